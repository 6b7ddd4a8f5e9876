//! The escalation ladder: the built program, a program that tells somebody, and a webhook on the loopback network.

use incident::journal::Hash;
use serde_json::Value;

use crate::support::desk::Desk;
use crate::support::stub::{Stub, say};

/// What a team puts in its repository to tell somebody: it keeps what it was handed.
const PAGE: &str = "#!/bin/sh\ncat >> \"paged-$1\"\n[ -z \"$INCIDENT_SLICE\" ] || cp \"$INCIDENT_SLICE\" \"slice-$1.tar\"\necho \"paged $1\" >&2\nexit \"${2:-0}\"\n";

/// A desk in contain whose plan has a ladder of three rungs.
fn with_a_ladder(stub: &Stub, first: &str) -> Option<Desk> {
    let desk = Desk::new()?;
    for who in ["ana", "ben"] {
        let mut keygen = desk.jailed("ssh-keygen");
        let args = ["-q", "-t", "ed25519", "-N", "", "-C", who, "-f", who];
        assert!(keygen.args(args).output().unwrap().status.success());
    }
    let line = |who: &str| {
        let public = std::fs::read_to_string(desk.home().join(who).with_extension("pub")).unwrap();
        format!("{who}@example.com {public}")
    };
    desk.file("incident/allowed_signers", &(line("ana") + &line("ben")));
    desk.file("page", PAGE);
    desk.file("hook.token", "tok-5b1c0f9e77d24c1a\n");
    desk.file(
        "hook.url",
        &format!("{}/hooks/T0/hidden-in-the-path\n", stub.address()),
    );
    let home = desk.home().display().to_string();
    let ladder = format!(
        "escalation:
  at: {{people: 1}}
  outside: {{people: 2}}
  valid: 30m
  ladder:
    - name: colleague
      who: [ben@example.com]
      notify: [sh, ./page, ben{first}]
      send: [statement, brief, timeline, log, heap, huge]
      within: 4s
    - name: rescue
      who: [rescue]
      webhook: {{host: 127.0.0.1, url: {{file: {home}/hook.url}}, token: {{file: {home}/hook.token}}}}
      within: 4s
    - {{name: vendor, notify: [sh, ./page, vendor], within: 4s, send: request}}
"
    );
    let runbook = crate::cli::RUNBOOK.replace(
        "ben@example.com: {roles: [on-call]}",
        "ben@example.com: {roles: [on-call, rescue]}",
    );
    let runbook = runbook.replace(
        "escalation: {at: {people: 1}, outside: {people: 2}, valid: 30m}\n",
        &ladder,
    );
    desk.file("incident/runbook.yaml", &runbook);
    let runbook = runbook.replace(
        "    - {id: damage,",
        "    - {id: huge, capture: {file: huge.log}}\n    - {id: damage,",
    );
    desk.file("incident/runbook.yaml", &runbook);
    desk.file("shop.log", "DROP TABLE orders\npassword=hunter2-and-more\n");
    desk.file("huge.log", &"one more line of a long log\n".repeat(200_000));
    for args in [
        ["start", "--yes"].as_slice(),
        &[
            "answer",
            "damage",
            "the orders are gone, ghp_0123456789abcdefghijklmnopqrstuvwxyz is out",
        ],
        &["seal"],
        &["enter", "contain"],
        &["run", "page-on"],
    ] {
        let out = desk.run(args);
        assert!(matches!(out.status.code(), Some(0 | 4)), "{}", desk.told(&out));
    }
    Some(desk)
}

/// The notices on record: rung, name, whether it went out.
fn notices(desk: &Desk) -> Vec<(u64, String, bool)> {
    let journal = desk.journal();
    let lines: Vec<Value> = journal
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let begun = lines.iter().filter(|l| l["type"] == "notice.begun");
    let ended = |seq: &Value| {
        let mut ends = lines.iter().filter(|l| l["type"] == "notice.ended");
        ends.any(|l| l["what"]["notice"] == *seq && l["what"]["sent"] == true)
    };
    begun
        .map(|l| {
            let name = l["what"]["name"].as_str().unwrap().to_owned();
            (l["what"]["rung"].as_u64().unwrap(), name, ended(&l["seq"]))
        })
        .collect()
}

/// The fields of every record of a kind.
fn records(desk: &Desk, kind: &str) -> Vec<Value> {
    let journal = desk.journal();
    let lines = journal.lines().map(|l| serde_json::from_str::<Value>(l).unwrap());
    lines
        .filter(|l| l["type"] == kind)
        .map(|l| l["what"].clone())
        .collect()
}

fn rung(n: u64, name: &str, sent: bool) -> (u64, String, bool) {
    (n, name.to_owned(), sent)
}

fn wait() {
    std::thread::sleep(std::time::Duration::from_millis(4_100));
}

#[test]
fn the_ladder_is_climbed_by_whichever_command_comes_next_and_carries_no_secret() {
    let stub = Stub::start(|_, _| say(200, "ok"));
    let Some(desk) = with_a_ladder(&stub, "") else {
        return;
    };
    let asked = desk.run(&["escalate", "swap", "--key", "ana"]);
    let said = desk.told(&asked);
    assert_eq!(asked.status.code(), Some(3), "{said}");
    assert!(said.contains("colleague was told"), "{said}");
    assert_eq!(notices(&desk), [rung(1, "colleague", true)]);
    let paged = std::fs::read_to_string(desk.home().join("paged-ben")).unwrap();
    assert!(
        paged.contains("ana@example.com asks for your signature"),
        "{paged}"
    );
    assert!(
        paged.contains("decision: approve") && paged.contains("ssh-keygen -Y sign"),
        "{paged}"
    );
    // With it went what the rung names of the record, which proves itself; what it does not hold is named.
    let slices: Vec<Value> = records(&desk, "slice.cut");
    let [cut] = slices.as_slice() else {
        panic!("{slices:?}")
    };
    assert_eq!((&cut["rung"], &cut["name"]), (&1.into(), &"colleague".into()));
    assert_eq!(
        cut["left"],
        serde_json::json!(["heap (never captured)", "huge (no room in 4 MiB)"])
    );
    assert!(said.contains("with it: a part of the record"), "{said}");
    let slice = std::fs::read(desk.home().join("slice-ben.tar")).unwrap();
    assert_eq!(slice.len() as u64, cut["bytes"].as_u64().unwrap());
    assert_eq!(Hash::of(&slice).to_string(), cut["sha256"].as_str().unwrap());
    let held = String::from_utf8_lossy(&slice);
    assert!(held.contains("decision: approve") && held.contains("DROP TABLE orders"));
    assert!(held.contains("NOBODY SIGNED the whole") && said.contains("unsigned"));
    assert!(held.contains("timeline.txt") && held.contains("to sign for swap"));
    for secret in [
        "hunter2",
        "ghp_0123",
        "tok-5b1c0f9e77d24c1a",
        "hidden-in-the-path",
    ] {
        assert!(!held.contains(secret), "{secret}");
    }
    // Nobody is told twice, and nobody else before the time is up.
    desk.run(&["note", "waiting"]);
    assert_eq!(notices(&desk).len(), 1);
    wait();
    let status = desk.incident(&["status"]);
    assert!(status.contains("rescue was told"), "{status}");
    assert!(
        status.contains("rung 2, rescue, was told and has until"),
        "{status}"
    );
    assert_eq!(notices(&desk).last(), Some(&rung(2, "rescue", true)));
    let [hook] = stub.seen().try_into().unwrap();
    assert_eq!(
        (hook.method.as_str(), hook.path.as_str()),
        ("POST", "/hooks/T0/hidden-in-the-path")
    );
    assert_eq!(hook.headers["authorization"], "Bearer tok-5b1c0f9e77d24c1a");
    let body: Value = serde_json::from_str(&hook.body).unwrap();
    let text = body["text"].as_str().unwrap();
    assert!(
        text.contains("the orders are gone") || text.contains("next decision"),
        "{text}"
    );
    assert!(text.contains("swap") && !text.contains("ghp_0123"), "{text}");
    // Who is from outside is sent what the rung names, and it names nothing: the request and the brief, no evidence.
    let told = &body["slice"];
    let shown = told["shown"].as_array().unwrap();
    assert_eq!(shown.len(), 3, "{told}");
    assert!(!told.to_string().contains("log"), "{told}");
    let place = told["where"].as_str().unwrap();
    let (_, path) = place.split_once(':').unwrap();
    let slice = std::fs::read(path).unwrap();
    assert_eq!(Hash::of(&slice).to_string(), told["sha256"].as_str().unwrap());
    let held = String::from_utf8_lossy(&slice);
    assert!(held.contains("record: #") && held.contains("decision: approve"));
    assert!(!held.contains("DROP TABLE orders") && !held.contains("to sign for swap"));
    assert!(!hook.body.contains("DISCLOSURE"));
    // What only the responder may know is nowhere in the record.
    let journal = desk.journal();
    for secret in ["tok-5b1c0f9e77d24c1a", "hidden-in-the-path", "ghp_0123"] {
        assert!(!journal.contains(secret), "{secret}");
    }
    // In the foreground `watch` climbs in time.
    wait();
    desk.run(&["watch", "--every", "1s", "--for", "1s"]);
    desk.run(&["note", "still waiting"]);
    assert_eq!(notices(&desk).last(), Some(&rung(3, "vendor", true)));
    assert!(!desk.home().join("slice-vendor.tar").exists());
    assert_eq!(records(&desk, "slice.cut").len(), 2);
    wait();
    let end = desk.incident(&["status"]);
    assert!(
        end.contains("every rung was told, and nobody answered in time"),
        "{end}"
    );
    assert!(end.contains("incident signoff unreached"), "{end}");
    let json: Value = serde_json::from_slice(&desk.run(&["status", "--json"]).stdout).unwrap();
    assert_eq!(
        json["waiting_for"][0]["told"].as_array().unwrap().len(),
        3,
        "{json}"
    );
    // An answer still counts when it comes, and nobody is asked again.
    let request = json["waiting_for"][0]["request"].as_u64().unwrap();
    let text = format!(".local/share/incident/{}/signoffs/{request:08}.txt", desk.id());
    let text = std::fs::read_to_string(desk.home().join(text)).unwrap();
    desk.file("swap.txt", &text);
    let mut sign = desk.jailed("ssh-keygen");
    let args = ["-Y", "sign", "-f", "ben", "-n", "signoff@incident-v1", "swap.txt"];
    assert!(sign.args(args).output().unwrap().status.success());
    let filed = desk.run(&["signoff", "add", "swap.txt.sig"]);
    assert_eq!(filed.status.code(), Some(0), "{}", desk.told(&filed));
    let done = desk.run(&["done", "swap", "the shop reads the copy"]);
    assert_eq!(done.status.code(), Some(0), "{}", desk.told(&done));
    assert_eq!(notices(&desk).len(), 3);
    // What the first of them was sent proves itself to them.
    let verified = desk.run(&["verify", "slice-ben.tar"]);
    let told = desk.told(&verified);
    assert_eq!(verified.status.code(), Some(11), "{told}");
    let bent = std::fs::read(desk.home().join("slice-ben.tar")).unwrap();
    let bent = String::from_utf8_lossy(&bent).replacen("DROP TABLE orders", "DROP TABLE others", 1);
    desk.file("bent.tar", &bent);
    assert_eq!(desk.run(&["verify", "bent.tar"]).status.code(), Some(10));
}

#[test]
fn a_notice_that_does_not_go_out_is_said_and_the_next_rung_comes_all_the_same() {
    let stub = Stub::start(|_, _| say(302, "elsewhere"));
    let Some(desk) = with_a_ladder(&stub, ", \"7\"") else {
        return;
    };
    let asked = desk.incident(&["escalate", "swap", "--key", "ana"]);
    assert!(asked.contains("colleague could not be told"), "{asked}");
    assert!(asked.contains("paged ben"), "{asked}");
    // An address of another host than the one that is written down is never called.
    desk.file("hook.url", "http://127.0.0.2:9/elsewhere\n");
    wait();
    let status = desk.incident(&["status"]);
    assert!(status.contains("the only host it may reach"), "{status}");
    assert!(stub.seen().is_empty());
    assert_eq!(
        notices(&desk),
        [rung(1, "colleague", false), rung(2, "rescue", false)]
    );
}

#[test]
fn a_redirect_tells_nobody_anything() {
    let stub = Stub::start(|_, _| say(302, "elsewhere"));
    let Some(desk) = with_a_ladder(&stub, "") else {
        return;
    };
    desk.run(&["escalate", "swap", "--key", "ana"]);
    wait();
    let status = desk.incident(&["status"]);
    assert!(
        status.contains("rescue could not be told") && status.contains("HTTP 302"),
        "{status}"
    );
    assert_eq!(stub.seen().len(), 1);
}
