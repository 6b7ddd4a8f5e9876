//! Acts that somebody approved in peacetime, and everything that must not make one count.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::{public, record, trusted};
use crate::support::desk::{Desk, PROGRAM};

const RUNBOOK: &str = r#"version: 1
name: shop
people:
  ana@example.com: {roles: [on-call]}
  ben@example.com: {roles: [on-call]}
boundary: {inside: [read, traffic, service-restart], at: [config-change, credential-change, one-way]}
stages:
  stop: [{revoke: all}, {kill: agents}, {disable: triggers}]
  contain:
    - {id: move, run: [./scripts/move, eu], undo: {run: [./scripts/move, us]}, effects: [traffic]}
    - {id: keys, run: [./scripts/keys], undo: {manual: Give them back.}, effects: [service-restart]}
    - {id: count, run: [./scripts/move, count], effects: [read]}
"#;

/// Nobody knows `./bin/balance`; `ALTER ROLE` everybody does.
const MOVE: &str = "#!/bin/sh\n./bin/balance \"$1\"\n";
const KEYS: &str = "#!/bin/sh\n./bin/balance\npsql -c 'ALTER ROLE bot NOLOGIN'\n";

/// A repository that ana trusts, and in which ben approved `move`.
pub fn approved() -> Option<Desk> {
    let desk = unapproved()?;
    let (code, told) = approve(&desk, &["move"], "ben");
    assert_eq!(code, Some(0), "{told}");
    Some(desk)
}

fn unapproved() -> Option<Desk> {
    let desk = trusted()?;
    desk.file("incident/runbook.yaml", RUNBOOK);
    for (name, text) in [
        ("scripts/move", MOVE),
        ("scripts/keys", KEYS),
        ("bin/balance", "#!/bin/sh\nexit 0\n"),
        ("bin/psql", "#!/bin/sh\nexit 0\n"),
    ] {
        desk.file(name, text);
        let path = desk.home().join(name);
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    trust(&desk);
    Some(desk)
}

fn trust(desk: &Desk) {
    let out = desk.run(&["runbook", "trust", "--key", "ana"]);
    assert_eq!(out.status.code(), Some(0), "{}", desk.told(&out));
}

pub(super) fn approve(desk: &Desk, what: &[&str], who: &str) -> (Option<i32>, String) {
    let head = ["runbook", "approve", "--key", who, "--yes"];
    let args: Vec<&str> = head.iter().chain(what).copied().collect();
    let out = desk.run(&args);
    (out.status.code(), plain(&desk.told(&out)))
}

pub(super) fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Where the boundary puts an act, whose approval it rests on, and what is said of those that do not fit.
fn judged(desk: &Desk, act: &[&str]) -> (String, Value, String) {
    let args: Vec<&str> = ["boundary", "explain", "--json"]
        .iter()
        .chain(act)
        .copied()
        .collect();
    let out = desk.run(&args);
    let told: Value = serde_json::from_slice(&out.stdout).unwrap_or_else(|_| panic!("{}", desk.told(&out)));
    let zone = told["zone"].as_str().unwrap().to_owned();
    (
        zone,
        told["approved"]["by"].clone(),
        told["not_approved"].to_string(),
    )
}

pub(super) fn is_approved(desk: &Desk, act: &[&str], zone: &str) {
    let (found, by, misfit) = judged(desk, act);
    assert_eq!(
        (found.as_str(), &by),
        (zone, &json!("ben@example.com")),
        "{misfit}"
    );
}

pub(super) fn is_not(desk: &Desk, act: &[&str], words: &str) {
    let (found, by, misfit) = judged(desk, act);
    assert_eq!((found.as_str(), &by), ("outside", &Value::Null), "{act:?}");
    assert!(misfit.contains(words), "{words}: {misfit}");
}

fn file(desk: &Desk) -> PathBuf {
    desk.home().join("incident/approved/move.json")
}

/// Changes the approval as text, and signs it anew.
fn bent(desk: &Desk, who: &str, bend: impl Fn(&mut Value)) {
    let path = file(desk);
    let mut said: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    bend(&mut said);
    fs::write(&path, serde_json::to_vec_pretty(&said).unwrap()).unwrap();
    signed(desk, who, "approved-act@incident-v1");
}

fn signed(desk: &Desk, who: &str, namespace: &str) {
    let path = file(desk);
    let mut sig = path.clone().into_os_string();
    sig.push(".sig");
    let _ = fs::remove_file(&sig);
    let mut keygen = desk.jailed("ssh-keygen");
    let made = keygen
        .args(["-q", "-Y", "sign", "-n", namespace, "-f", who])
        .arg(&path);
    assert!(made.output().unwrap().status.success());
}

/// What `runbook lint` and `start` say of an approval that does not count, and that it is none.
fn refused(desk: &Desk, words: &str) {
    is_not(desk, &["move"], "");
    let told = plain(&desk.told(&desk.run(&["start", "--yes"])));
    assert!(
        told.contains("this approval does not count") && told.contains(words),
        "{words}: {told}"
    );
    let first: Value = serde_json::from_str(desk.journal().lines().next().unwrap()).unwrap();
    assert!(first["what"]["pins"]["approved_acts.json"].is_null(), "{words}");
}

macro_rules! approved {
    () => {
        match approved() {
            Some(desk) => desk,
            None => return,
        }
    };
}

#[test]
fn an_approved_act_is_judged_by_what_is_understood_and_the_record_names_who_answers() {
    let Some(desk) = unapproved() else { return };
    is_not(&desk, &["move"], "[]");
    let (code, told) = approve(&desk, &["move"], "ben");
    assert_eq!(code, Some(0), "{told}");
    for words in [
        "You would sign exactly this",
        "\"./scripts/move\"",
        "you answer for",
        "./bin/balance",
        "until",
        "counts for no quorum",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    is_approved(&desk, &["move"], "inside");
    is_approved(&desk, &["--", "./scripts/move", "eu"], "at");
    let told = plain(&desk.told(&desk.run(&["boundary", "explain", "move"])));
    assert!(
        told.contains("approved by ben@example.com on") && told.contains("`unknown` is discharged"),
        "{told}"
    );
    // Plain tools read it.
    let verify = "ssh-keygen -Y verify -n approved-act@incident-v1 -f incident/allowed_signers -I ben@example.com \
                  -s incident/approved/move.json.sig < incident/approved/move.json";
    assert!(
        desk.jailed("sh")
            .args(["-c", verify])
            .output()
            .unwrap()
            .status
            .success()
    );

    // What only reads, in a person's word, runs at once; the record says in whose.
    assert_eq!(approve(&desk, &["count"], "ben").0, Some(0));
    desk.run(&["start", "--yes"]);
    let out = desk.run(&["run", "count"]);
    assert_eq!(out.status.code(), Some(0), "{}", desk.told(&out));
    let journal = desk.journal();
    let started = journal.lines().find(|l| l.contains("\"act.started\"")).unwrap();
    let started: Value = serde_json::from_str(started).unwrap();
    assert_eq!(started["what"]["approved"]["by"], "ben@example.com");
    let case = desk.home().join(".local/share/incident").join(desk.id());
    assert!(case.join("approved_acts.json").exists());
    let told = plain(&desk.told(&desk.run(&["report"])));
    assert!(told.contains("approved by ben@example.com on"), "{told}");
    let told = plain(&desk.told(&desk.run(&["plan", "--long"])));
    assert!(told.contains("approved by ben@example.com on"), "{told}");
}

#[test]
fn an_approval_is_for_these_words_there_with_these_files_and_no_others() {
    let desk = approved!();
    is_not(&desk, &["--", "./scripts/move", "us"], "its words are others");
    is_not(
        &desk,
        &["--", "./scripts/move", "eu", "now"],
        "its words are others",
    );
    // The same script from another folder.
    desk.file("elsewhere/scripts/move", MOVE);
    let there = desk.home().join("elsewhere");
    fs::set_permissions(there.join("scripts/move"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = desk.jailed("sh");
    let line = format!("cd elsewhere && {PROGRAM} boundary explain --json -- ../scripts/move eu");
    let out = command.args(["-c", &line]).output().unwrap();
    let told: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(
        (&told["zone"], &told["approved"]),
        (&json!("outside"), &Value::Null)
    );
    // A script that somebody trusted since, and nobody approved.
    desk.file("scripts/move", &format!("{MOVE}./bin/other\n"));
    trust(&desk);
    is_not(&desk, &["move"], "./scripts/move is another file now");
}

#[test]
fn what_an_act_names_or_was_approved_with_must_stay_as_it_was() {
    let Some(desk) = unapproved() else { return };
    desk.file("hosts.txt", "web1\n");
    let act = ["--", "./scripts/move", "--from=hosts.txt"];
    let mut what = vec!["--effects", "traffic", "--with", "bin/psql"];
    what.extend(act);
    let (code, told) = approve(&desk, &what, "ben");
    assert_eq!(code, Some(0), "{told}");
    // Nobody wrote down how to take it back, which the approval does not change.
    is_approved(&desk, &act, "at");
    desk.file("hosts.txt", "web1\nweb2\n");
    is_not(&desk, &act, "hosts.txt is another file now");
    desk.file("hosts.txt", "web1\n");
    is_approved(&desk, &act, "at");
    desk.file("bin/psql", "#!/bin/sh\n./bin/other\n");
    is_not(&desk, &act, "bin/psql is another file now");
    fs::remove_file(desk.home().join("bin/psql")).unwrap();
    is_not(&desk, &act, "bin/psql cannot be read");
    let (code, told) = approve(
        &desk,
        &["--effects", "traffic", "--", "./scripts/move", "./scripts"],
        "ben",
    );
    assert!(
        code != Some(0) && told.contains("names the folder ./scripts"),
        "{told}"
    );
}

#[test]
fn what_is_seen_in_an_approved_act_counts_all_the_same() {
    let desk = approved!();
    let (code, told) = approve(&desk, &["keys"], "ben");
    assert_eq!(code, Some(0), "{told}");
    is_approved(&desk, &["keys"], "at");
}

#[test]
fn effects_that_the_runbook_widened_since_are_not_approved() {
    let desk = approved!();
    let wider = RUNBOOK.replace("effects: [traffic]", "effects: [traffic, service-restart]");
    desk.file("incident/runbook.yaml", &wider);
    trust(&desk);
    is_not(&desk, &["move"], "the runbook says service-restart, traffic");
}

#[test]
fn an_approval_of_another_runbook_counts_for_nothing() {
    let desk = approved!();
    desk.file(
        "incident/runbook.yaml",
        &RUNBOOK.replace("name: shop", "name: warehouse"),
    );
    trust(&desk);
    refused(&desk, "it is for the runbook `shop`");
}

#[test]
fn an_approval_that_was_changed_does_not_count() {
    let desk = approved!();
    let text = fs::read_to_string(file(&desk))
        .unwrap()
        .replace("\"eu\"", "\"us\"");
    fs::write(file(&desk), text).unwrap();
    refused(&desk, "its signature does not count");
}

#[test]
fn a_signature_made_for_something_else_approves_nothing() {
    let desk = approved!();
    signed(&desk, "ben", "signoff@incident-v1");
    refused(&desk, "its signature does not count");
}

#[test]
fn an_agent_that_signs_with_a_key_of_its_own_approves_nothing() {
    let desk = approved!();
    bent(&desk, "eve", |_| {});
    // Its own key in the roster beside it does not help either: the trusted roster counts.
    let signers = desk.home().join("incident/allowed_signers");
    let before = fs::read_to_string(&signers).unwrap();
    fs::write(
        &signers,
        format!("{before}eve@example.com {}", public(&desk, "eve")),
    )
    .unwrap();
    refused(&desk, "no line of the roster has the key");
}

#[test]
fn where_nobody_trusted_the_roster_no_approval_counts() {
    let desk = approved!();
    let (json, sig) = record(&desk);
    fs::remove_file(json).unwrap();
    fs::remove_file(sig).unwrap();
    refused(&desk, "nobody trusted the roster here in peacetime");
}

#[test]
fn a_key_that_was_revoked_since_approves_nothing() {
    let desk = approved!();
    desk.file("incident/revoked_keys", &public(&desk, "ben"));
    refused(&desk, "is revoked");
}

#[test]
fn an_approval_by_somebody_who_was_taken_out_during_the_incident_no_longer_counts() {
    let desk = approved!();
    desk.run(&["start", "--yes"]);
    let zone = || {
        let plan = desk.run(&["plan", "--json"]);
        let plan: Value = serde_json::from_slice(&plan.stdout).unwrap();
        let mut rows = plan["steps"].as_array().cloned().unwrap().into_iter();
        rows.find(|s| s["step"] == "move").unwrap()["zone"].clone()
    };
    assert_eq!(zone(), json!("inside"));
    let out = desk.run(&[
        "signoff",
        "revoke",
        "ben@example.com",
        "--why",
        "Her laptop is gone.",
    ]);
    assert_eq!(out.status.code(), Some(0), "{}", desk.told(&out));
    assert_eq!(zone(), json!("outside"));
}

#[test]
fn who_signed_must_be_one_of_the_people() {
    let desk = approved!();
    let fewer = RUNBOOK.replace("  ben@example.com: {roles: [on-call]}\n", "");
    desk.file("incident/runbook.yaml", &fewer);
    trust(&desk);
    refused(&desk, "does not stand under `people:`");
}

#[test]
fn an_approval_runs_out_and_none_is_for_ever() {
    for (made, until, words) in [
        (
            "2020-01-01T00:00:00Z",
            "2020-06-01T00:00:00Z",
            "it ran out on 2020-06-01",
        ),
        (
            "2020-01-01T00:00:00Z",
            "2099-01-01T00:00:00Z",
            "it is for longer than a year",
        ),
        ("2999-01-01T00:00:00Z", "2999-06-01T00:00:00Z", "which is not yet"),
        ("soon", "later", "its moments cannot be read"),
    ] {
        let desk = approved!();
        bent(&desk, "ben", |said| {
            said["made"] = json!(made);
            said["until"] = json!(until);
        });
        refused(&desk, words);
    }
    let Some(desk) = unapproved() else { return };
    let (code, told) = approve(&desk, &["move", "--until", "400d"], "ben");
    assert!(code != Some(0) && told.contains("longer than a year"), "{told}");
}

#[test]
fn an_approval_that_says_nobody_knows_what_changes_counts_for_nothing() {
    for (effects, words) in [
        (json!([]), "does not say what the act changes"),
        (json!(["unknown"]), "nobody knows what the act changes"),
    ] {
        let desk = approved!();
        bent(&desk, "ben", |said| said["effects"] = effects.clone());
        refused(&desk, words);
    }
}

#[test]
fn an_approval_given_after_the_opening_does_not_count_in_it() {
    let Some(desk) = unapproved() else { return };
    desk.run(&["start", "--yes"]);
    assert_eq!(approve(&desk, &["count"], "ben").0, Some(0));
    let out = desk.run(&["run", "count"]);
    let told = plain(&desk.told(&out));
    assert_ne!(out.status.code(), Some(0), "{told}");
    let plan = desk.run(&["plan", "--json"]);
    let plan: Value = serde_json::from_slice(&plan.stdout).unwrap();
    let row = plan["steps"]
        .as_array()
        .unwrap()
        .iter()
        .find(|s| s["step"] == "count")
        .unwrap();
    assert_eq!(
        (&row["zone"], &row["act"]["approved"]),
        (&json!("outside"), &Value::Null)
    );
    // Nor does it where somebody puts it into the case folder by hand.
    let case = desk.home().join(".local/share/incident").join(desk.id());
    let said = fs::read_to_string(desk.home().join("incident/approved/count.json")).unwrap();
    let sig = fs::read_to_string(desk.home().join("incident/approved/count.json.sig")).unwrap();
    let pinned = json!([{"name": "count", "statement": said, "signature": sig}]);
    fs::write(case.join("approved_acts.json"), pinned.to_string()).unwrap();
    let plan = desk.run(&["plan", "--json"]);
    let plan: Value = serde_json::from_slice(&plan.stdout).unwrap_or_default();
    let row = plan["steps"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|s| s["step"] == "count");
    assert!(row.is_none_or(|row| row["act"]["approved"].is_null()));
}

#[test]
fn an_approval_that_was_pinned_still_counts_and_one_that_was_changed_there_stops_the_case() {
    let desk = approved!();
    desk.run(&["start", "--yes"]);
    fs::remove_dir_all(desk.home().join("incident/approved")).unwrap();
    let of = |desk: &Desk| {
        let plan = desk.run(&["plan", "--json"]);
        let told: Value = serde_json::from_slice(&plan.stdout).unwrap_or_default();
        let mut rows = told["steps"].as_array().cloned().unwrap_or_default().into_iter();
        (
            rows.find(|s| s["step"] == "move").map(|s| s["zone"].clone()),
            desk.told(&plan),
        )
    };
    assert_eq!(of(&desk).0, Some(json!("inside")));
    let pinned = desk
        .home()
        .join(".local/share/incident")
        .join(desk.id())
        .join("approved_acts.json");
    fs::set_permissions(&pinned, fs::Permissions::from_mode(0o600)).unwrap();
    let text = fs::read_to_string(&pinned).unwrap();
    fs::write(&pinned, text.replace("traffic", "protect")).unwrap();
    let (zone, told) = of(&desk);
    assert_eq!(zone, None);
    assert!(told.contains("approved_acts.json"), "{told}");
}

#[test]
fn nothing_is_approved_that_needs_no_approval_or_that_nobody_can_answer_for() {
    let Some(desk) = unapproved() else { return };
    let more = format!(
        "{RUNBOOK}    - {{id: ls, run: [ls], effects: [read]}}\n    - {{id: dark, run: [./scripts/move, it]}}\n    \
         - {{id: this, run: [./scripts/move, \"{{{{ incident.id }}}}\"], effects: [traffic]}}\n    \
         - {{id: hand, manual: Do it., effects: [traffic]}}\n"
    );
    desk.file("incident/runbook.yaml", &more);
    trust(&desk);
    for (what, words) in [
        (&["ls"][..], "an approval would change nothing"),
        (&["dark"], "nobody wrote down what `dark` changes"),
        (&["this"], "are others in every incident"),
        (&["hand"], "runs no program"),
        (&["gone"], "there is no step `gone`"),
        (
            &["--", "./scripts/move"],
            "nothing says what this command changes",
        ),
        (
            &["--effects", "unknown", "--", "./bin/balance"],
            "nobody knows what it changes",
        ),
        (
            &["--effects", "read", "--", "ls"],
            "an approval would change nothing",
        ),
    ] {
        let (code, told) = approve(&desk, what, "ben");
        assert!(code != Some(0) && told.contains(words), "{what:?}: {told}");
        assert!(told.contains("nothing was approved"), "{what:?}: {told}");
    }
    let (code, told) = approve(&desk, &["move"], "eve");
    assert!(
        code != Some(0) && told.contains("no line of the roster has the key"),
        "{told}"
    );
    let out = desk.run(&["runbook", "approve", "move", "--key", "ben"]);
    assert_ne!(out.status.code(), Some(0), "without a terminal it asks for --yes");
    assert!(!desk.home().join("incident/approved").exists());
}

#[test]
fn an_agents_session_neither_approves_nor_trusts() {
    let Some(desk) = unapproved() else { return };
    let (json, _) = record(&desk);
    let before = fs::read(&json).unwrap();
    for args in [
        &["runbook", "approve", "move", "--key", "ben", "--yes"][..],
        &["runbook", "trust", "--key", "ana"],
    ] {
        let mut command = desk.jailed("env");
        let out = command
            .args(["CLAUDECODE=1", PROGRAM])
            .args(args)
            .output()
            .unwrap();
        let told = desk.told(&out);
        assert_eq!(out.status.code(), Some(5), "{told}");
        assert!(told.contains("an agent must not sign for a person"), "{told}");
    }
    assert!(!desk.home().join("incident/approved").exists());
    assert_eq!(fs::read(&json).unwrap(), before);
}
