//! Looks that are cut short, things that change while they are looked at, and what dies with an agent.

use std::time::Duration;

use serde_json::Value;

use crate::support::desk::{Desk, PROGRAM};

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
