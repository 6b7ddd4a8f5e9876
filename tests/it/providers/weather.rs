//! A bad network and dishonest servers: what the engine does, and what it never says.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use incident::model::fact::{Fact, Proof};
use incident::world::World;

use super::contract::{Case, error_text};
use crate::support::network_world;
use crate::support::stub::{Reply, Seen, Stub, say};

const AUTH: &str = "responders-own-key";
const SECRET: &str = "agents-leaked-key";

const HARBOR: &str = r#"
name: harbor
title: Harbor deploy key
needs: { address: address of the API, id: id of the key }
base: "{address}"
hosts: ["{address}"]
responder: { header: Authorization, value: "Bearer {auth}" }
agent: { header: Authorization, value: "Bearer {secret}" }
deadline: 3s
in-flight: 4
manual: "https://harbor.example/keys, Revoke"
cut:
  - call: { method: DELETE, path: "/keys/{id}", as: responder }
    ok: [{ status: [204] }]
    already: [{ status: [404] }]
use:
  call: { method: GET, path: /me, as: agent }
  alive: [{ status: [200] }]
  dead: [{ status: [401] }]
"#;

fn harbor<'w>(world: &'w World, stub: &Stub) -> Case<'w> {
    let with = [("address", stub.address()), ("id", "7/../8".to_owned())];
    let with: Vec<(&str, &str)> = with.iter().map(|(k, v)| (*k, v.as_str())).collect();
    Case::new(world, "harbor", &with)
        .table(HARBOR)
        .auth(AUTH)
        .secret(SECRET)
}

/// Answers deletions by `cut`, and the key itself as refused.
fn deleting(cut: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Stub {
    Stub::start(move |n, seen: &Seen| match seen.method.as_str() {
        "DELETE" => cut(n),
        _ => say(401, ""),
    })
}

#[test]
fn a_liar_is_still_live() {
    let world = network_world();
    let stub = Stub::start(|_, seen| match seen.method.as_str() {
        "DELETE" => say(204, ""),
        _ => say(200, "{}"),
    });
    let mut case = harbor(&world, &stub);
    assert_eq!(case.stop(), Proof::StillLive);
    assert!(case.has(&Fact::Accepted { status: 204 }) && case.has(&Fact::TriedNew { refused: false }));
    assert!(
        stub.lines().contains(&"DELETE /keys/7%2F..%2F8".to_owned()),
        "{:?}",
        stub.lines()
    );
}

#[test]
fn retry_after_is_honoured() {
    let world = network_world();
    let stub = deleting(|n| match n {
        0 => Reply::Say(429, vec![("retry-after", "1".to_owned())], String::new()),
        _ => say(204, ""),
    });
    let started = Instant::now();
    let facts = harbor(&world, &stub).cut();
    assert!(started.elapsed() >= Duration::from_secs(1));
    let tries = Fact::Noted {
        label: "attempts".to_owned(),
        text: "429, 204".to_owned(),
    };
    assert_eq!(facts, [tries, Fact::Accepted { status: 204 }]);
}

#[test]
fn a_wait_longer_than_the_deadline_is_reported_at_once() {
    let world = network_world();
    let date = httpdate::fmt_http_date(std::time::SystemTime::now() + Duration::from_secs(3600));
    for asked in ["3600".to_owned(), date] {
        let stub = deleting(move |_| Reply::Say(429, vec![("retry-after", asked.clone())], String::new()));
        let started = Instant::now();
        let facts = harbor(&world, &stub).cut();
        assert!(started.elapsed() < Duration::from_secs(2));
        assert!(error_text(&facts).contains("asks to wait 3"), "{facts:?}");
        assert_eq!(stub.seen().len(), 1);
    }
}

#[test]
fn what_may_be_repeated_is_repeated_after_5xx_and_broken_connections() {
    let world = network_world();
    let stub = deleting(|n| match n {
        0 => say(503, ""),
        1 => Reply::Reset,
        _ => say(204, ""),
    });
    let facts = harbor(&world, &stub).cut();
    let tries = Fact::Noted {
        label: "attempts".to_owned(),
        text: "503, connection lost, 204".to_owned(),
    };
    assert_eq!(facts, [tries, Fact::Accepted { status: 204 }]);
}

#[test]
fn what_may_not_be_repeated_is_sent_once() {
    let world = network_world();
    let stub = Stub::start(|_, _| say(502, ""));
    let table = HARBOR.replace("{ method: DELETE,", "{ method: POST,");
    let mut case = Case::new(&world, "harbor", &[("address", &stub.address()), ("id", "7")])
        .table(&table)
        .auth(AUTH);
    assert!(matches!(case.cut().as_slice(), [Fact::Error { status: 502, .. }]));
    assert_eq!(stub.seen().len(), 1);
}

#[test]
fn silence_is_not_success() {
    let world = network_world();
    for reply in [|| Reply::Hang(Duration::from_secs(5)), || Reply::Drip] {
        let stub = Stub::start(move |_, _| reply());
        let mut case = harbor(&world, &stub);
        let started = Instant::now();
        let facts = case.cut();
        assert!(
            matches!(
                facts.as_slice(),
                [Fact::Silent {
                    after_ms: 2900..10_000
                }]
            ),
            "{facts:?}"
        );
        assert!(started.elapsed() < Duration::from_secs(10));
        assert_eq!(case.proof(), Proof::Failed);
    }
}

#[test]
fn nobody_listening_is_said_so() {
    let world = network_world();
    let port = crate::support::free_port();
    let with = [
        ("address", format!("http://127.0.0.1:{port}")),
        ("id", "7".to_owned()),
    ];
    let with: Vec<(&str, &str)> = with.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let mut case = Case::new(&world, "harbor", &with)
        .table(&HARBOR.replace("3s", "500ms"))
        .auth(AUTH);
    let facts = case.cut();
    assert!(error_text(&facts).contains("Connection refused"), "{facts:?}");
}

#[test]
fn a_redirect_is_not_followed_and_the_credential_goes_nowhere_else() {
    let world = network_world();
    let elsewhere = Stub::start(|_, _| say(204, ""));
    let target = elsewhere.address();
    let stub = Stub::start(move |_, _| {
        Reply::Say(307, vec![("location", format!("{target}/steal"))], String::new())
    });
    let mut case = harbor(&world, &stub);
    assert_eq!(case.stop(), Proof::Failed);
    assert!(elsewhere.seen().is_empty(), "{:?}", elsewhere.seen());
}

#[test]
fn a_credential_is_sent_only_to_the_hosts_of_the_table() {
    let world = network_world();
    let stub = Stub::start(|_, _| say(204, ""));
    let table = HARBOR.replace("hosts: [\"{address}\"]", "hosts: [api.harbor.example]");
    let mut case = Case::new(&world, "harbor", &[("address", &stub.address()), ("id", "7")])
        .table(&table)
        .auth(AUTH)
        .secret(SECRET);
    let facts = case.cut();
    assert!(
        matches!(facts.as_slice(), [Fact::NotTried { why }, Fact::Manual { .. }] if why.contains("hosts")),
        "{facts:?}"
    );
    assert_eq!(case.stop(), Proof::Unprovable);
    assert!(stub.seen().is_empty());
}

#[test]
fn each_credential_travels_with_its_own_calls_only() {
    let world = network_world();
    let stub = deleting(|_| say(204, ""));
    harbor(&world, &stub).stop();
    for seen in stub.seen() {
        let key = if seen.method == "DELETE" { AUTH } else { SECRET };
        assert_eq!(seen.headers["authorization"], format!("Bearer {key}"));
    }
}

#[test]
fn what_the_provider_echoes_is_scrubbed() {
    let world = network_world();
    let stub = Stub::start(|_, seen| {
        let sent = seen.headers["authorization"].clone();
        say(400, &format!("{{\"message\": \"bad key {sent}\"}}"))
    });
    let mut case = harbor(&world, &stub);
    case.stop();
    let text = format!("{:?}", case.facts);
    assert!(text.contains("bad key Bearer …"), "{text}");
    assert!(!text.contains(AUTH) && !text.contains(SECRET));
}

#[test]
fn no_credential_means_a_manual_step_not_a_failure_in_silence() {
    let world = network_world();
    let stub = deleting(|_| say(204, ""));
    let mut case = harbor(&world, &stub);
    case.auth = None;
    let facts = case.cut();
    assert!(
        matches!(facts.as_slice(), [Fact::NotTried { .. }, Fact::Manual { how }] if how.contains("harbor.example"))
    );
    assert!(stub.seen().is_empty());
}

#[test]
fn many_cuts_at_once_keep_to_the_limit_of_the_host() {
    let world = network_world();
    let stub = Stub::start(|_, _| Reply::Slow(Duration::from_millis(30), 204));
    let case = harbor(&world, &stub);
    let cuts = (0..40).map(|_| case.adapter().cut(case.ctx(), &case.target));
    let all = world.wait(join_all(cuts)).unwrap();
    assert!(all.iter().all(|facts| *facts == [Fact::Accepted { status: 204 }]));
    assert_eq!(stub.seen().len(), 40);
    assert!((2..=4).contains(&stub.most_at_once()), "{}", stub.most_at_once());
}
