//! Listings, work that goes on and rate limits: what is counted, what is ended, and what is never called over.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use incident::model::fact::Fact;
use incident::world::World;

use super::contract::{Case, error_text};
use crate::support::network_world;
use crate::support::stub::{Reply, Seen, Stub, say};

const DOCK: &str = r#"
name: dock
title: Dock key
needs: { address: address of the API }
base: "{address}"
hosts: ["{address}"]
responder: { header: Authorization, value: "Bearer {auth}" }
deadline: 4s
rate-limit: LIMIT
manual: console
cut:
  - call: { method: DELETE, path: /key, as: responder }
    ok: [{ status: [204] }]
sessions:
  list: { method: GET, path: "/sessions?open=1", as: responder }
  items: /items
  next: NEXT
  where: { at: /state, any-of: [open] }
  id: /id
  end:
    call: { method: DELETE, path: "/sessions/{item}", as: responder }
    ok: [{ status: [204] }]
running:
  - list: { method: GET, path: /jobs, as: responder }
    items: /jobs
    where: { at: /state, any-of: [queued, running] }
    next: { page: page }
    name: /name
    id: /id
    what: Dock job
    end:
      call: { method: POST, path: "/jobs/{item}/cancel", as: responder, repeatable: true }
      ok: [{ status: [202] }]
lookup:
  call: { method: GET, path: /key, as: responder }
  alive: [{ status: [200] }]
  dead: [{ status: [410] }]
"#;

fn dock<'w>(world: &'w World, stub: &Stub, next: &str, limit: &str) -> Case<'w> {
    let table = DOCK.replace("NEXT", next).replace("LIMIT", limit);
    Case::new(world, "dock", &[("address", &stub.address())])
        .table(&table)
        .auth("responders-own-key")
}

const LINK: &str = "{ link: true }";
const EPOCH: &str = "{ reset: x-ratelimit-reset, in: epoch, remaining: x-ratelimit-remaining }";

fn asked(stub: &Stub, path: &str) -> Vec<Seen> {
    let all = stub.seen().into_iter();
    all.filter(|s| s.path.starts_with(path)).collect()
}

fn listed(case: &Case<'_>) -> Vec<Fact> {
    case.world
        .wait(case.adapter().listed(case.ctx(), &case.target))
        .unwrap()
}

#[test]
fn what_goes_on_is_told_once_and_over_only_when_the_whole_list_is_without_it() {
    let world = network_world();
    let turn = Arc::new(AtomicUsize::new(0));
    let now = Arc::clone(&turn);
    let stub = Stub::start(move |_, seen| {
        let first = seen.path == "/jobs?page=1";
        match (seen.path.starts_with("/jobs?"), now.load(Ordering::SeqCst), first) {
            (false, ..) => say(410, ""),
            (_, 0 | 1, true) => say(
                200,
                r#"{"jobs": [{"name": "old", "state": "done"}, {"name": "ship", "state": "running"}]}"#,
            ),
            (_, 0 | 1, false) if seen.path == "/jobs?page=2" => {
                say(200, r#"{"jobs": [{"name": "crane", "state": "queued"}]}"#)
            }
            (_, 2, _) => say(500, "broken"),
            // A list without an end, in which nothing of it stands any more.
            (_, 3, _) => say(200, r#"{"jobs": [{"name": "old", "state": "done"}]}"#),
            (_, 4, true) => say(200, r#"{"jobs": [{"name": "crane", "state": "running"}]}"#),
            _ => say(200, r#"{"jobs": []}"#),
        }
    });
    let mut case = dock(&world, &stub, LINK, EPOCH);
    let mut at = |n: usize| {
        turn.store(n, Ordering::SeqCst);
        let told = case.probe();
        let of_work = |f: &Fact| matches!(f, Fact::InFlight { .. } | Fact::Over { .. });
        told.into_iter().filter(of_work).collect::<Vec<_>>()
    };
    let runs = |name: &str| Fact::InFlight {
        what: format!("Dock job {name}"),
    };
    let over = |name: &str| Fact::Over {
        what: format!("Dock job {name}"),
    };
    assert_eq!(at(0), [runs("ship"), runs("crane")]);
    assert_eq!(at(1), [], "known already");
    assert_eq!(at(2), [], "the list could not be read");
    assert_eq!(at(3), [], "the list has no end");
    assert_eq!(at(4), [over("ship")]);
    assert_eq!(at(5), [over("crane")]);
    assert_eq!(at(6), [], "over is told once");
    assert_eq!(at(0), [runs("ship"), runs("crane")], "and runs again");
}

#[test]
fn what_runs_is_called_off_with_the_sessions_and_only_looked_at_by_a_probe() {
    let world = network_world();
    let stub = Stub::start(|_, seen| match (seen.method.as_str(), seen.path.as_str()) {
        ("GET", "/jobs?page=1") => say(
            200,
            r#"{"jobs": [{"id": 7, "name": "ship", "state": "running"}, {"id": 8, "name": "old", "state": "done"}]}"#,
        ),
        ("GET", "/jobs?page=2") => say(200, r#"{"jobs": []}"#),
        ("POST", _) => say(202, ""),
        _ => say(200, r#"{"items": []}"#),
    });
    let mut case = dock(&world, &stub, LINK, EPOCH);
    case.probe();
    assert!(stub.seen().iter().all(|s| s.method == "GET"));
    case.sessions();
    let told: Vec<String> = stub
        .lines()
        .into_iter()
        .filter(|l| l.starts_with("POST"))
        .collect();
    assert_eq!(told, ["POST /jobs/7/cancel"]);
}

/// Two pages of sessions, each page in the words of one way of paging.
fn paged(way: &'static str) -> Stub {
    Stub::start(move |_, seen| {
        let second = seen.path.contains("two") || seen.path.contains("page=2");
        let items = match (second, seen.path.contains("page=3")) {
            (_, true) => "",
            (false, _) => r#"{"id": "a", "state": "open"}, {"id": "x", "state": "shut"}"#,
            (true, _) => r#"{"id": "b", "state": "open"}, {"id": "c", "state": "open"}"#,
        };
        match (seen.path.starts_with("/sessions?"), way) {
            (false, _) => say(204, ""),
            (_, "link") if !second => {
                let link = "</sessions?open=1&from=two>; rel=\"next\", </sessions>; rel=\"last\"";
                Reply::Say(
                    200,
                    vec![("link", link.to_owned())],
                    format!("{{\"items\": [{items}]}}"),
                )
            }
            (_, "cursor") => {
                let more = !second;
                let body = format!("{{\"items\": [{items}], \"next\": \"two\", \"more\": {more}}}");
                say(200, &body)
            }
            _ => say(200, &format!("{{\"items\": [{items}]}}")),
        }
    })
}

#[test]
fn every_page_is_read_whichever_way_the_provider_turns_it() {
    let world = network_world();
    for (way, next) in [
        ("link", LINK),
        ("page", "{ page: page }"),
        ("cursor", "{ at: /next, query: from, while: /more }"),
    ] {
        let stub = paged(way);
        let case = dock(&world, &stub, next, EPOCH);
        assert_eq!(
            listed(&case),
            [Fact::Listed { live: 3 }],
            "{way}: {:?}",
            stub.lines()
        );
        assert!(
            stub.seen().iter().all(|s| s.method == "GET"),
            "looking ends nothing"
        );
        let mut case = case;
        let facts = case.sessions();
        assert!(facts.contains(&Fact::Ended { count: 3 }), "{way}: {facts:?}");
        let ended: Vec<String> = stub
            .lines()
            .into_iter()
            .filter(|l| l.starts_with("DELETE"))
            .collect();
        assert_eq!(ended.len(), 3, "{way}: {ended:?}");
        assert!(!ended.contains(&"DELETE /sessions/x".to_owned()));
    }
}

#[test]
fn a_list_without_an_end_is_called_longer_and_never_empty() {
    let world = network_world();
    let stub = Stub::start(|n, seen| match seen.path.starts_with("/sessions?") {
        true => say(
            200,
            &format!("{{\"items\": [{{\"id\": {n}, \"state\": \"shut\"}}], \"next\": {n}}}"),
        ),
        false => say(500, ""),
    });
    let case = dock(&world, &stub, "{ at: /next, query: from }", EPOCH);
    let facts = listed(&case);
    assert!(
        matches!(facts.as_slice(), [Fact::NotTried { why }] if why.contains("goes on after 20 pages")),
        "{facts:?}"
    );
    assert_eq!(stub.seen().len(), 20);
}

#[test]
fn a_next_page_elsewhere_or_here_again_is_not_asked_for() {
    let world = network_world();
    let elsewhere = Stub::start(|_, _| say(200, r#"{"items": []}"#));
    let away = format!("<{}/sessions?from=two>; rel=\"next\"", elsewhere.address());
    let again = "</sessions?open=1>; rel=\"next\"".to_owned();
    for link in [away, again] {
        let stub = Stub::start(move |_, _| {
            Reply::Say(200, vec![("link", link.clone())], r#"{"items": []}"#.to_owned())
        });
        let facts = listed(&dock(&world, &stub, LINK, EPOCH));
        assert!(
            matches!(facts.as_slice(), [Fact::NotTried { why }] if why.contains("the next page")),
            "{facts:?}"
        );
        assert_eq!(stub.seen().len(), 1);
    }
    assert!(elsewhere.seen().is_empty());
}

/// Seconds since 1970 as a provider would write them, some seconds from now.
fn epoch(ahead: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    (now.as_secs() + ahead).to_string()
}

#[test]
fn a_provider_s_own_word_on_when_to_come_back_is_honoured() {
    let world = network_world();
    type Headers = Vec<(&'static str, String)>;
    type Way = (&'static str, u16, fn() -> Headers);
    let ways: [Way; 4] = [
        (EPOCH, 429, || vec![("x-ratelimit-reset", epoch(2))]),
        (EPOCH, 403, || {
            let none_left = ("x-ratelimit-remaining", "0".to_owned());
            vec![("x-ratelimit-reset", epoch(2)), none_left]
        }),
        ("{ reset: RateLimit-Reset, in: seconds }", 429, || {
            vec![("ratelimit-reset", "1.5".to_owned())]
        }),
        (EPOCH, 429, || {
            let then = SystemTime::now() + Duration::from_secs(2);
            vec![("retry-after", httpdate::fmt_http_date(then))]
        }),
    ];
    for (limit, status, headers) in ways {
        let headers = headers();
        let said = format!("{headers:?}");
        let stub = Stub::start(move |n, _| match n {
            0 => Reply::Say(status, headers.clone(), String::new()),
            _ => say(204, ""),
        });
        let started = Instant::now();
        let facts = dock(&world, &stub, LINK, limit).cut();
        assert!(
            facts.contains(&Fact::Accepted { status: 204 }),
            "{said}: {facts:?}"
        );
        let waited = started.elapsed();
        assert!(
            (Duration::from_millis(700)..Duration::from_secs(4)).contains(&waited),
            "{said}: {waited:?}"
        );
    }
}

#[test]
fn a_refusal_for_want_of_rights_is_not_waited_for() {
    let world = network_world();
    let stub = Stub::start(|_, _| {
        let headers = vec![
            ("x-ratelimit-reset", epoch(2)),
            ("x-ratelimit-remaining", "58".to_owned()),
        ];
        Reply::Say(403, headers, r#"{"message": "must be an owner"}"#.to_owned())
    });
    let facts = dock(&world, &stub, LINK, EPOCH).cut();
    assert!(error_text(&facts).contains("must be an owner"), "{facts:?}");
    assert_eq!(asked(&stub, "/key").len(), 1);
}

#[test]
fn a_limit_that_lasts_longer_than_the_call_may_take_is_said_at_once() {
    let world = network_world();
    let stub = Stub::start(|_, _| Reply::Say(429, vec![("x-ratelimit-reset", epoch(600))], String::new()));
    let started = Instant::now();
    let facts = dock(&world, &stub, LINK, EPOCH).cut();
    assert!(
        error_text(&facts).contains("asks to wait 59") || error_text(&facts).contains("asks to wait 600"),
        "{facts:?}"
    );
    assert!(started.elapsed() < Duration::from_secs(2));
}
