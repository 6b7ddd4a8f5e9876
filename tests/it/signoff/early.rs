//! A record that was rewritten so that the delay of one person alone began earlier, where no key could prove when.

use std::fs;

use incident::journal::{Chain, Hash};
use incident::model::time::{parse_rfc3339, rfc3339};
use serde_json::{Value, json};

use crate::support::desk::Desk;

const RUNBOOK: &str = r#"version: 1
name: shop
boundary: {inside: [read, traffic], at: [config-change, one-way]}
escalation: {at: {people: 1}, outside: {people: 2}, valid: 30m, lone: {after: 5m}}
stages:
  stop: [{revoke: all}, {kill: agents}, {disable: triggers}]
  assess: [{id: log, capture: {file: shop.log}}]
  contain:
    - id: swap
      manual: {what: Point the shop at the copy., see: The shop reads the copy.}
      effects: [config-change]
      undo: {manual: Point it back.}
"#;
const EARLIER_MS: i64 = 600_000;

#[test]
fn with_an_empty_roster_the_delay_counts_from_the_file_on_disk() {
    let Some(desk) = Desk::new() else { return };
    desk.file("incident/runbook.yaml", RUNBOOK);
    desk.file("shop.log", "DROP TABLE orders\n");
    for args in [
        &["start", "--yes"][..],
        &["seal", "--unknown", "which customers"],
        &["enter", "contain"],
        &[
            "lone",
            "swap",
            "--why",
            "orders are lost",
            "--unreached",
            "rang ben",
        ],
    ] {
        let out = desk.run(args);
        assert!(
            matches!(out.status.code(), Some(0 | 3 | 4)),
            "{}",
            desk.told(&out)
        );
    }
    let told = desk.incident(&["signoff", "list"]);
    assert!(told.contains("the cooling delay is not over"), "{told}");
    // Whoever can write the record says that it was asked for ten minutes ago, and makes everything else fit.
    let case = desk.home().join(".local/share/incident").join(desk.id());
    let (mut chain, mut journal) = (Chain::default(), Vec::new());
    let (mut old, mut asked) = (String::new(), String::new());
    let text_at = case.join("signoffs");
    for line in desk.journal().lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let mut what = record["what"].clone();
        let mut ts = record["ts"].as_str().unwrap().to_owned();
        let kind = record["type"].as_str().unwrap();
        match kind {
            "escalation.requested" => {
                old = Hash::of(format!("{line}\n").as_bytes()).to_string();
                asked = ts.clone();
                ts = rfc3339(parse_rfc3339(&ts).unwrap() - EARLIER_MS);
            }
            "statement.issued" => {
                let path = text_at.join(what["file"].as_str().unwrap());
                let text = fs::read_to_string(&path).unwrap();
                assert!(text.contains(&old) && text.contains(&asked), "{text}");
                let earlier = rfc3339(parse_rfc3339(&asked).unwrap() - EARLIER_MS);
                let text = text
                    .replace(&old, &chain.head.to_string())
                    .replace(&asked, &earlier);
                what["approve_sha256"] = json!(Hash::of(text.as_bytes()).to_string());
                fs::remove_file(&path).unwrap();
                fs::write(&path, text).unwrap();
                // A program may say how old a file is.
                let touch = ["touch", "-d", "2 hours ago"];
                let touched = std::process::Command::new(touch[0])
                    .args(&touch[1..])
                    .arg(&path)
                    .status();
                assert!(touched.unwrap().success());
            }
            "lone.asked" => {
                what["utc_ms"] = json!(what["utc_ms"].as_i64().unwrap() - EARLIER_MS);
                what["mono_us"] = json!((what["mono_us"].as_i64().unwrap() - EARLIER_MS * 1000).max(0));
            }
            _ => {}
        }
        let v = u32::try_from(record["v"].as_u64().unwrap()).unwrap();
        journal.extend(
            chain
                .write(&ts, kind, v, what, record["who"].as_str().unwrap())
                .unwrap(),
        );
    }
    fs::write(case.join("journal.jsonl"), journal).unwrap();
    let told = desk.incident(&["signoff", "list"]);
    assert!(
        told.contains("one person may run it alone"),
        "the record says so: {told}"
    );
    let done = desk.run(&["done", "swap", "it reads the copy"]);
    let told = desk.told(&done);
    assert_eq!(done.status.code(), Some(10), "{told}");
    assert!(
        told.contains("was last changed at") && told.contains("the delay since is not over"),
        "{told}"
    );
}
