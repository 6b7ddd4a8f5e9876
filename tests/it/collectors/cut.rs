//! Looks that are cut short, things that change while they are looked at, and what dies with an agent.

use std::cell::Cell;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use incident::model::event::ItemStatus;
use incident::world::Interrupt;
use serde_json::Value;

use super::shelf::{LIMITS, of, status, take, with_secret};
use crate::support::desk::{Desk, PROGRAM};
use crate::support::network_world;
use crate::support::stub::{Reply, Stub, say};

fn whats(desk: &Desk, kind: &str) -> Vec<Value> {
    let journal = desk.journal();
    let records = journal
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    records
        .filter(|r| r["type"] == kind)
        .map(|r| r["what"].clone())
        .collect()
}

fn script(desk: &Desk, text: &str) -> String {
    let mut command = desk.jailed("sh");
    command.args(["-c", text, "sh", PROGRAM]);
    let out = command.stdin(std::process::Stdio::null()).output().unwrap();
    String::from_utf8_lossy(&[&out.stdout[..], &out.stderr].concat()).into_owned()
}

/// A look that never ends by itself, between two others.
const RUNBOOK: &str = "version: 1
name: shop
people: {ana@example.com: {roles: [on-call]}}
boundary: {inside: [read], at: [config-change]}
stages:
  stop: [{revoke: all}, {kill: agents}, {disable: triggers}]
  assess:
    - {id: follow, capture: {command: [tail, -f, shop.log]}}
    - {id: damage, ask: What is broken?}
";

#[test]
fn ctrl_c_in_the_middle_of_a_look_keeps_what_was_seen_and_says_what_is_cut() {
    let Some(desk) = Desk::new() else { return };
    desk.file("incident/runbook.yaml", RUNBOOK);
    desk.file("shop.log", "DROP TABLE orders\n");
    desk.run(&["stop"]);
    desk.run(&["enter", "assess"]);
    let mut p = desk.terminal("capture follow");
    for _ in 0..200 {
        if desk.kinds().iter().any(|k| k == "capture.started") {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    // The program says its line at once, and ends never.
    std::thread::sleep(Duration::from_secs(1));
    p.send_control('c').unwrap();
    let said = p.exp_eof().unwrap();
    let status = format!("{:?}", p.process().wait().unwrap());
    assert!(status.ends_with(", 130)"), "{status}: {said}");
    let flat = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "truncated, interrupted; the beginning is kept: stdout",
        "what was kept until then is on record",
    ] {
        assert!(flat.contains(words), "{words}: {said}");
    }
    let [ended] = whats(&desk, "capture.ended").try_into().unwrap();
    let item = &ended["items"][0];
    assert_eq!(
        (&item["name"], &item["status"], &item["bytes"]),
        (&"stdout".into(), &"truncated".into(), &18.into())
    );
    let kept = desk
        .home()
        .join(".local/share/incident")
        .join(desk.id())
        .join("data");
    let kept = kept.join(ended["exhibit"].as_str().unwrap()).join("stdout");
    assert_eq!(std::fs::read_to_string(kept).unwrap(), "DROP TABLE orders\n");
    // The ledger has it, and the walk goes on behind it.
    let text = desk.incident(&["verify"]);
    assert!(
        text.contains("complete: no: ") && text.contains("(case folder, 2 evidence files, "),
        "{text}"
    );
    let mut p = desk.terminal("resume");
    p.exp_string("What is broken?").unwrap();
    p.send_control('c').unwrap();
    p.exp_eof().unwrap();
}

#[test]
fn a_file_that_grows_while_it_is_read_is_kept_as_it_was_read() {
    let Some(desk) = Desk::new() else { return };
    let text = script(
        &desk,
        "\"$1\" stop > /dev/null; seq 300000 > grow.log; cp grow.log rest.log\n\
         (while [ ! -e done ]; do echo one line more >> grow.log; done) & \"$1\" capture --file grow.log; echo took $?\n\
         touch done; wait; \"$1\" capture --file rest.log; \"$1\" verify; echo verified $?",
    );
    assert!(text.contains("took 0"), "{text}");
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        flat.contains("collected, it changed while it was read: "),
        "{text}"
    );
    let all = whats(&desk, "capture.ended");
    let (grown, still) = (&all[0], &all[1]);
    let of = |ended: &Value, name: &str| {
        let items = ended["items"].as_array().unwrap();
        items.iter().find(|i| i["name"] == name).unwrap().clone()
    };
    let (item, quiet) = (of(grown, "grow.log"), of(still, "rest.log"));
    assert!(quiet["why"].is_null(), "{quiet}");
    let why = item["why"].as_str().unwrap();
    let bytes: Vec<u64> = why
        .split_whitespace()
        .zip(why.split_whitespace().skip(1))
        .filter(|(_, unit)| *unit == "bytes")
        .map(|(n, _)| n.parse().unwrap())
        .collect();
    let [before, after] = bytes.try_into().unwrap();
    let kept = item["bytes"].as_u64().unwrap();
    assert!(before <= kept && kept <= after && before < after, "{why}: {kept}");
    // What the record names is what was stored, and that was the beginning of the file.
    let case = desk.home().join(".local/share/incident").join(desk.id());
    let stored = std::fs::read(
        case.join("data")
            .join(grown["exhibit"].as_str().unwrap())
            .join("grow.log"),
    )
    .unwrap();
    assert_eq!(incident::journal::Hash::of(&stored).to_string(), item["sha256"]);
    assert!(
        std::fs::read(desk.home().join("grow.log"))
            .unwrap()
            .starts_with(&stored)
    );
    // Nobody vouches for it, and nothing in it is changed.
    assert!(text.contains("verified 11"), "{text}");
}

#[test]
fn what_a_frozen_agent_held_is_an_exhibit_and_no_value_of_its_variables() {
    let Some(desk) = Desk::new() else { return };
    desk.file("bin/placeholder", "");
    std::fs::copy("/bin/sleep", desk.home().join("bin/claude")).unwrap();
    let text = script(
        &desk,
        "mkdir shop; cd shop; echo x > orders.csv; env SHOP_TOKEN=made-up-value-of-the-shop CLAUDECODE=1 $HOME/bin/claude 300 3< orders.csv &\n\
         sleep 0.3; cd; \"$1\" stop; echo stopped $?; \"$1\" enter assess; \"$1\" seal; echo sealed $?\n\
         \"$1\" evidence show; \"$1\" evidence grep orders.csv; \"$1\" status",
    );
    let [ended] = whats(&desk, "capture.ended").try_into().unwrap();
    let [started] = whats(&desk, "capture.started").try_into().unwrap();
    assert_eq!(started["purpose"], "frozen", "{text}");
    let item = &ended["items"][0];
    assert_eq!(
        (&item["name"], &item["status"], &item["source"]),
        (
            &"claude-code.txt".into(),
            &"collected".into(),
            &"the frozen processes of claude-code".into()
        ),
        "{text}"
    );
    let case = desk.home().join(".local/share/incident").join(desk.id());
    let file = case
        .join("data")
        .join(ended["exhibit"].as_str().unwrap())
        .join("claude-code.txt");
    let held = std::fs::read_to_string(file).unwrap();
    for words in [
        "/shop/orders.csv\n",
        "/bin/claude\n",
        "  SHOP_TOKEN\n",
        "mapped files:\n",
    ] {
        assert!(held.contains(words), "{words:?} in {held}");
    }
    for (what, text) in [
        ("the exhibit", &held),
        ("the record", &desk.journal()),
        ("the screen", &text),
    ] {
        assert!(!text.contains("made-up-value"), "{what}: {text}");
    }
    // It says nothing of the damage: nobody can call it the baseline.
    assert!(!desk.kinds().contains(&"baseline.sealed".to_owned()), "{text}");
    assert!(text.contains("claude-code.txt"), "{text}");
}

/// Somebody presses Ctrl-C once this is so.
struct Press<F>(F, Rc<Cell<Option<Instant>>>);

impl<F: Fn() -> bool> Interrupt for Press<F> {
    fn count(&self) -> u32 {
        if self.1.get().is_none() && (self.0)() {
            self.1.set(Some(Instant::now()));
        }
        u32::from(self.1.get().is_some())
    }
}

/// Looks, and presses once a server was asked what it does not answer; nobody sits out the ten seconds after it.
fn pressed(
    of_it: impl FnOnce(&incident::world::World) -> incident::model::act::CaptureSpec,
    once: impl Fn() -> bool + 'static,
) -> (Vec<incident::collectors::Taken>, super::shelf::Shelf) {
    let mut world = network_world();
    let spec = of_it(&world);
    let pressed = Rc::new(Cell::new(None::<Instant>));
    world.interrupt = Box::new(Press(once, Rc::clone(&pressed)));
    let seen = take(&world, &spec, LIMITS);
    let waited = pressed.get().unwrap().elapsed();
    assert!(waited < Duration::from_secs(5), "{waited:?}");
    seen
}

#[test]
fn ctrl_c_ends_the_wait_for_an_http_server_and_keeps_the_parts_before() {
    const FIRST: &str =
        r#"{"metadata":{"continue":"m2"},"items":[{"metadata":{"namespace":"shop","name":"web"}}]}"#;
    let stub = Rc::new(Stub::start(|_, seen| match seen.path.as_str() {
        "/api/v1/pods?limit=500" => say(200, FIRST),
        "/version" => say(200, "{}"),
        // Everything else, the second part too, says nothing for ten seconds.
        _ => Reply::Hang(Duration::from_secs(10)),
    }));
    let asked = Rc::clone(&stub);
    let (taken, shelf) = pressed(
        |world| {
            let spec = of("kubernetes", &[("api", stub.address().trim_end_matches('/'))]);
            with_secret(world, spec, "token", "made-up")
        },
        move || asked.lines().iter().any(|line| line.contains("continue=m2")),
    );
    let pods = taken.iter().find(|t| t.name == "pods.json").unwrap();
    assert_eq!(pods.status, ItemStatus::Truncated, "{taken:#?}");
    assert_eq!(
        pods.why.as_deref(),
        Some("interrupted; the parts before are kept: 1")
    );
    assert_eq!(shelf.text("pods.json"), format!("{FIRST}\n"));
    // What was waited for at that moment, and what had not begun.
    let said = |status, why: &str| {
        let of = |t: &&incident::collectors::Taken| t.status == status && t.why.as_deref() == Some(why);
        taken.iter().filter(of).count()
    };
    assert!(said(ItemStatus::Failed, "interrupted") > 0, "{taken:#?}");
    assert!(said(ItemStatus::Skipped, "interrupted") > 0, "{taken:#?}");
    // A list of which only half came lists nothing.
    assert!(
        taken.iter().all(|t| !t.name.starts_with("log-shop")),
        "{taken:#?}"
    );
}

#[test]
fn a_server_that_falls_silent_half_way_leaves_what_it_said() {
    const FIRST: &str = r#"{"metadata":{"continue":"m2"},"items":[]}"#;
    let stub = Stub::start(|_, seen| match seen.path.as_str() {
        "/api/v1/pods?limit=500" => say(200, FIRST),
        path if path.contains("continue=m2") => Reply::Reset,
        _ => say(404, "{}"),
    });
    let world = network_world();
    let spec = of("kubernetes", &[("api", stub.address().trim_end_matches('/'))]);
    let (taken, shelf) = take(&world, &with_secret(&world, spec, "token", "made-up"), LIMITS);
    let pods = taken.iter().find(|t| t.name == "pods.json").unwrap();
    let why = pods.why.as_deref().unwrap();
    assert!(
        pods.status == ItemStatus::Truncated && why.ends_with("; the parts before are kept: 1"),
        "{pods:?}"
    );
    assert_eq!(shelf.text("pods.json"), format!("{FIRST}\n"));
}

/// A Redis that answers so many commands, then none; and whether it was asked one more.
fn tired(answers: usize) -> (String, impl Fn() -> bool + 'static) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://a:b@{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicBool::new(false));
    let tell = Arc::clone(&asked);
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut buffer = [0; 4096];
        for n in 0.. {
            match stream.read(&mut buffer) {
                Ok(1..) if n < answers => stream.write_all(b"+OK\r\n").unwrap(),
                Ok(1..) => tell.store(true, Ordering::SeqCst),
                _ => break,
            }
        }
    });
    (url, move || asked.load(Ordering::SeqCst))
}

#[test]
fn ctrl_c_ends_the_wait_for_a_database_and_keeps_the_answers_before() {
    // Before there is a session.
    let (url, asked) = tired(0);
    let (taken, _) = pressed(|world| with_secret(world, of("redis", &[]), "url", &url), asked);
    assert_eq!(status(&taken, "clients.txt"), ItemStatus::Failed, "{taken:#?}");
    assert!(
        taken.iter().all(|t| t.why.as_deref() == Some("interrupted")),
        "{taken:#?}"
    );
    assert_eq!(status(&taken, "acl-log.txt"), ItemStatus::Skipped);
    // In the middle of its answers.
    let (url, asked) = tired(4);
    let (taken, shelf) = pressed(|world| with_secret(world, of("redis", &[]), "url", &url), asked);
    assert_eq!(status(&taken, "clients.txt"), ItemStatus::Collected, "{taken:#?}");
    assert_eq!(shelf.text("clients.txt"), "OK\n");
    let waited: Vec<_> = taken.iter().filter(|t| t.status == ItemStatus::Failed).collect();
    assert_eq!(waited.len(), 1, "{taken:#?}");
    assert_eq!(waited[0].why.as_deref(), Some("interrupted"));
    assert_eq!(status(&taken, "settings.txt"), ItemStatus::Skipped);
}
