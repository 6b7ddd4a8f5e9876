//! One sweep over everything an agent holds at AWS, as the engine does it, at fakecloud.

use std::sync::atomic::{AtomicU32, Ordering};

use incident::engine::{Desk, Written};
use incident::model::fact::{Fact, Proof};
use incident::model::ids::TargetId;
use incident::store::Store;

use super::aws::{LIST, pair};
use super::aws_sessions::{assume, is_denied, role, session, uses};
use crate::support::clouds::Aws;
use crate::support::network_world;

#[test]
fn a_sweep_cuts_key_role_and_rule_and_names_what_is_left() {
    // A machine too busy to look within the half second before the cut gets another chance.
    while let Some(aws) = Aws::fakecloud() {
        static TRIES: AtomicU32 = AtomicU32::new(0);
        let last = TRIES.fetch_add(1, Ordering::Relaxed) == 4;
        if swept(&aws, last) {
            return;
        }
    }
}

/// False where the look before the cut came too late for the rest to mean anything.
fn swept(aws: &Aws, last: bool) -> bool {
    let world = network_world();
    let (bot, other) = role(aws);
    let responder = aws.user_who("desk", &["iam:*", "events:*", "sts:GetCallerIdentity"]);
    aws.as_root("b.client('events').put_rule(Name='nightly', ScheduleExpression='rate(1 hour)')");
    let own = session(aws, &bot);
    let worker = assume(aws, &other).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, key: &(String, String)| {
        let path = folder.path().join(name);
        std::fs::write(&path, pair(key)).unwrap();
        path.display().to_string()
    };
    let (auth, bot_file, other_file) = (file("desk", &responder), file("bot", &bot), file("other", &other));
    let (endpoint, key) = (&aws.endpoint, &bot.0);
    let access = format!(
        "version: 1
agents:
  - name: bot
    grants:
      - {{id: key, provider: aws-key, with: {{endpoint: \"{endpoint}\", user: bot, key: {key}}}, auth: {{file: {auth}}}, secret: {{file: {bot_file}}}}}
      - {{id: role, provider: aws-role, with: {{endpoint: \"{endpoint}\", role: worker}}, auth: {{file: {auth}}}, secret: {{file: {other_file}}}}}
    triggers:
      - {{id: rule, provider: aws-rule, with: {{endpoint: \"{endpoint}\", rule: nightly}}, auth: {{file: {auth}}}}}
"
    );
    let store = Store::open(folder.path().join("cases"));
    let desk = Desk {
        world: &world,
        store: &store,
        spool_folders: Vec::new(),
        who: "ana@example.com".to_owned(),
    };
    let written = Written {
        access: Some(("access.yaml".to_owned(), access.into_bytes())),
        ..Written::default()
    };
    let engine = desk.open("an agent at AWS", &written).unwrap();
    engine.stop(&[]).unwrap();

    let incident = engine.incident().unwrap();
    let state = |name: &str| &incident.stop.targets[&TargetId::new(name).unwrap()];
    let alive = |name: &str| {
        let seen = |f: &Fact| matches!(f, Fact::Noted { text, .. } if text == "session: alive");
        state(name).facts.iter().any(|o| seen(&o.fact))
    };
    let saved = |name: &str| {
        let saved = state(name)
            .facts
            .iter()
            .filter(|o| matches!(o.fact, Fact::Saved { .. }));
        saved.count()
    };
    let in_time = alive("key") && alive("role") && ["key", "role", "rule"].into_iter().all(|n| saved(n) > 0);
    if !in_time && !last {
        return false;
    }
    for (name, word) in [
        ("key", Proof::Refused),
        ("role", Proof::Refused),
        // Nothing there can be tried, and the record is not that of AWS itself.
        ("rule", Proof::Accepted),
    ] {
        let state = state(name);
        assert_eq!(state.proof(), word, "{name}: {:?}", state.facts);
        assert_eq!(saved(name), 1, "{name}: {:?}", state.facts);
    }
    // The sessions that were named are over; those of roles nobody listed are not known to be.
    let left = |name: &str| -> Vec<String> {
        let all = state(name).residue().into_iter().filter_map(|f| match f {
            Fact::Residual { what, .. } => Some(what.clone()),
            _ => None,
        });
        all.collect()
    };
    assert!(left("role").is_empty(), "{:?}", left("role"));
    assert!(
        matches!(left("key").as_slice(), [what] if what.starts_with("sessions of roles")),
        "{:?}",
        left("key")
    );
    // The same in the words of the vendor's own client.
    assert!(aws.boto((&bot.0, &bot.1, None), LIST).is_err());
    assert!(is_denied(&uses(aws, &own)) && is_denied(&uses(aws, &worker)));
    assert!(is_denied(&assume(aws, &other).map(|s| s.0)));
    let look = "print(b.client('events').describe_rule(Name='nightly')['State'])";
    assert_eq!(aws.as_root(look), "DISABLED");

    let mut journal = String::new();
    for case in std::fs::read_dir(folder.path().join("cases")).unwrap() {
        journal += &std::fs::read_to_string(case.unwrap().path().join("journal.jsonl")).unwrap();
    }
    for secret in [&responder.1, &bot.1, &other.1, &own.1, &own.2] {
        assert!(
            journal.len() > 1000 && !journal.contains(secret.as_str()),
            "a secret is in the journal"
        );
    }
    true
}
