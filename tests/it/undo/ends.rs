//! What is not over when the credential is dead, and what closes by itself: in every view, by deadline, with what holds it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::desk::Desk;
use crate::support::stub::{Stub, say};

const ACCESS: &str = "version: 1
agents:
  - name: bot
    grants:
      - {id: shop-key, provider: shop, with: {address: \"@\"}, auth: {file: key}, secret: {file: key}}
providers:
  shop:
    title: Key of a shop
    kinds: [key]
    needs: {address: address of the server}
    base: \"{address}\"
    hosts: [\"{address}\"]
    responder: {header: Authorization, value: \"Bearer {auth}\"}
    agent: {header: Authorization, value: \"Bearer {secret}\"}
    window: 0s
    manual: revoke it in the shop
    cut: [{call: {method: DELETE, path: /key, as: responder}, ok: [{status: [204]}]}]
    use: {call: {method: GET, path: /me, as: agent}, alive: [{status: [200]}], dead: [{status: [401]}]}
    running:
      - {list: {method: GET, path: /jobs, as: responder}, items: /jobs, name: /id, what: export}
    closing:
      - {list: {method: GET, path: /deleted, as: responder}, items: /volumes, name: /id, closes: /until,
         what: the time in which the shop brings back, hold: shopctl hold}
      - {list: {method: GET, path: /trash, as: responder}, items: /volumes, name: /id, closes: /deleted, lasts: 30d,
         what: the time in which the shop brings back, hold: shopctl hold}
";

#[test]
fn what_runs_on_and_what_closes_stands_in_every_view_until_it_is_over() {
    let Some(desk) = Desk::new() else { return };
    let over = Arc::new(AtomicBool::new(false));
    let stub = Stub::start({
        let over = Arc::clone(&over);
        move |_, seen| match (seen.path.as_str(), over.load(Ordering::SeqCst)) {
            ("/jobs", false) => say(200, r#"{"jobs": [{"id": "job-7"}]}"#),
            ("/jobs", true) => say(200, r#"{"jobs": []}"#),
            ("/deleted", false) => say(
                200,
                r#"{"volumes": [{"id": "vol-soon", "until": "2097-03-01T00:00:00Z"}]}"#,
            ),
            ("/deleted", true) => say(200, r#"{"volumes": []}"#),
            ("/trash", _) => say(
                200,
                r#"{"volumes": [{"id": "vol-late", "deleted": "2098-01-30T00:00:00Z"}]}"#,
            ),
            ("/key", _) => say(204, ""),
            _ => say(401, ""),
        }
    });
    desk.file("incident/access.yaml", &ACCESS.replace('@', &stub.address()));
    desk.file("key", "made-up-key");
    desk.incident(&["stop"]);

    let at = |text: &str, what: &str| {
        text.find(what)
            .unwrap_or_else(|| panic!("no `{what}` in\n{text}"))
    };
    let status = desk.incident(&["status"]);
    let (running, soon, late) = (
        at(&status, "shop-key: export job-7 is still running at the provider"),
        at(&status, "brings back vol-soon closes"),
        at(&status, "brings back vol-late closes"),
    );
    assert!(
        running < soon && soon < late,
        "what runs now, then by deadline:\n{status}"
    );
    assert!(
        at(&status, "next: shopctl hold vol-soon") < late
            && at(&status, "next: shopctl hold vol-late") > late,
        "{status}"
    );
    assert!(
        status.contains("· running: export job-7"),
        "the line of truth:\n{status}"
    );
    let json = desk.run(&["--json", "status"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let rows = json["still_dangerous"].as_array().unwrap();
    let words: Vec<_> = rows.iter().map(|r| r["severity"].as_str().unwrap()).collect();
    assert_eq!(words, ["in-flight", "window", "window", "unlisted"]);
    assert_eq!(rows[1]["next"], "shopctl hold vol-soon");
    let brief = desk.incident(&["brief"]);
    for what in ["export job-7", "vol-soon"] {
        at(&brief, what);
    }

    over.store(true, Ordering::SeqCst);
    let watch = desk.incident(&["watch", "--every", "1s", "--for", "1s"]);
    for what in ["export job-7", "vol-soon"] {
        at(&watch, what);
    }
    let status = desk.incident(&["status"]);
    assert!(
        !status.contains("job-7") && !status.contains("vol-soon"),
        "{status}"
    );
    at(&status, "next: shopctl hold vol-late");
    assert!(
        status.contains("2098-03") || status.contains("03-01 00:00Z"),
        "what closes next is on the line of truth:\n{status}"
    );
}

#[test]
fn a_new_credential_names_its_service_and_its_file_or_is_not_begun() {
    let Some(desk) = Desk::new() else { return };
    let stub = Stub::start(|_, seen| match seen.method.as_str() {
        "DELETE" => say(204, ""),
        _ => say(401, ""),
    });
    desk.file("incident/access.yaml", &ACCESS.replace('@', &stub.address()));
    desk.file("key", "made-up-key");
    desk.incident(&["stop"]);
    let restore = ["access", "restore", "shop-key", "--new"];
    let said = |more: &[&str]| desk.incident(&[&restore, more].concat());
    assert!(said(&[]).ends_with("[exit 2]"), "no service");
    let told = said(&["--for", "shop"]);
    for words in [
        "by hand",
        "make a new key for shop",
        "--done WORDS",
        "inside",
        "[exit 3]",
    ] {
        assert!(told.contains(words), "`{words}` is not in\n{told}");
    }
    let early = said(&["--for", "shop", "--done", "made key two"]);
    assert!(
        early.contains("baseline") && early.ends_with("[exit 5]"),
        "{early}"
    );
}
