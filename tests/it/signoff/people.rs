//! Who stops counting while the incident runs, and who signs in another's role.

use incident::journal::Chain;
use incident::sshsig::fingerprint_of;
use serde_json::json;

use super::alone::{Team, fed, machine_of};
use super::lent::NOON;
use crate::cli::RUNBOOK;

macro_rules! team {
    ($made:expr) => {
        match $made {
            Some(team) => team,
            None => return,
        }
    };
}

impl Team {
    pub(super) fn print(&self, name: &str) -> String {
        fingerprint_of(&self.bench.public(name)).unwrap()
    }

    pub(super) fn says(&self, args: &[&str]) -> (Option<i32>, String) {
        let out = self.ana.run(args);
        (out.status.code(), self.ana.told(&out))
    }
}

#[test]
fn a_key_found_stolen_stops_counting_at_once_and_nothing_brings_it_back() {
    let team = team!(Team::new(""));
    let pasted = team.asked();
    let (Some(ben), Some(kim)) = (
        team.answer("ben", "sign", &pasted),
        team.answer("kim", "sign", &pasted),
    ) else {
        return;
    };
    assert_eq!(team.files(&ben).status.code(), Some(0));
    let stolen = team.print("ben");
    let (code, told) = team.says(&["signoff", "revoke", &stolen, "--why", "ben's laptop is gone"]);
    assert_eq!(code, Some(0), "{told}");
    for words in [
        "nothing undoes that here",
        "the approval of request",
        "by ben@example.com fell",
        "who can still sign: kim@example.com",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let (code, told) = team.done();
    assert_eq!(code, Some(3), "{told}");
    let again = team.files(&ben);
    let told = team.ana.told(&again);
    assert_eq!(again.status.code(), Some(5), "{told}");
    assert!(told.contains("is revoked"), "{told}");
    let no = team.answer("ben", "refuse", &pasted).unwrap();
    assert_eq!(team.files(&no).status.code(), Some(5));
    // Whoever took somebody out is named wherever people look, and so is what it costs.
    let brief = team.ana.incident(&["brief"]);
    assert!(brief.contains("taken out"), "{brief}");
    let (code, told) = team.says(&["signoff", "revoke", &stolen, "--why", "again"]);
    assert_eq!(code, Some(5), "{told}");
    // Another person signs, and the act runs.
    assert_eq!(team.files(&kim).status.code(), Some(0));
    assert_eq!(team.done().0, Some(0));
    // What ran on a signature that falls later stays in doubt of its signer.
    let (code, told) = team.says(&["signoff", "revoke", "kim@example.com", "--why", "she called"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(
        told.contains("ran on the signature of kim@example.com: look at what it did"),
        "{told}"
    );
    assert!(
        told.contains("nobody on the roster is left who could sign"),
        "{told}"
    );
    let status = team.ana.incident(&["status"]);
    assert!(
        status.contains("ran on the signature of kim@example.com, whose key was taken out"),
        "{status}"
    );
    let report = team.ana.incident(&["report", "--format", "md"]);
    assert!(
        report.contains("**doubtful**: taken out by #") && report.contains("ben's laptop is gone"),
        "{report}"
    );
}

#[test]
fn taking_somebody_out_opens_no_other_way() {
    let team = team!(Team::new(""));
    for (args, words) in [
        (["eve@example.com", "--why", "x"], "nobody is called"),
        (["SHA256:short", "--why", "x"], "is no fingerprint"),
        (["ben@example.com", "--why", " "], "needs words"),
    ] {
        let (code, told) = team.says(&[["signoff", "revoke"].as_slice(), &args].concat());
        assert_ne!(code, Some(0), "{told}");
        assert!(told.contains(words), "{told}");
    }
    // Ana's own key: she asks as nobody, one more person signs.
    let mine = team.print("ana");
    assert_eq!(
        team.says(&["signoff", "revoke", &mine, "--why", "stolen"]).0,
        Some(0)
    );
    let (code, told) = team.says(&["escalate", "swap", "--key", ".ssh/id_ed25519"]);
    assert_eq!(code, Some(5), "{told}");
    assert!(told.contains("is revoked"), "{told}");
    let (code, told) = team.says(&["escalate", "swap"]);
    assert_eq!(code, Some(3), "{told}");
    assert!(told.contains("2 other people"), "{told}");
    // With everybody out the roster is not empty: nobody is enrolled in their place, and nobody acts alone.
    for who in ["ben@example.com", "kim@example.com"] {
        assert_eq!(
            team.says(&["signoff", "revoke", who, "--why", "stolen"]).0,
            Some(0)
        );
    }
    team.bench.key("eve", &["-t", "ed25519"]);
    team.ana
        .file("eve.pub", &format!("{}\n", team.bench.public("eve")));
    let (code, told) = team.says(&["enrol", "eve@example.com", "eve.pub", "--why", "she says so"]);
    assert_ne!(code, Some(0), "{told}");
    assert!(told.contains("there is a roster"), "{told}");
    assert_eq!(team.done().0, Some(3));
}

/// A team whose rule asks for a `dba`, which Ben is and Kim is not.
pub(super) fn asks_for_a_dba() -> Option<Team> {
    let runbook = RUNBOOK
        .replace(
            "ben@example.com: {roles: [on-call]}",
            "ben@example.com: {roles: [dba]}\n  kim@example.com: {}",
        )
        .replace("at: {people: 1}", "at: {people: 1, roles: [dba]}");
    Team::with(&runbook, "")
}

fn lends(team: &Team, name: &str, args: &[&str]) -> Option<String> {
    let who = format!("{name}@example.com");
    let desk = machine_of(&team.bench, name)?;
    let args = [args, &["--as", &who, "--yes"]].concat();
    let out = desk.run(&args);
    assert_eq!(out.status.code(), Some(0), "{}", desk.told(&out));
    Some(String::from_utf8(out.stdout).unwrap())
}

const LEND: [&str; 6] = ["delegate", "dba", "--to", "kim@example.com", "--until", "4h"];

#[test]
fn a_role_is_lent_from_another_machine_and_shown_wherever_people_look() {
    let team = team!(asks_for_a_dba());
    let Some(block) = lends(&team, "ben", &LEND) else {
        return;
    };
    assert!(
        block.starts_with("-----BEGIN INCIDENT DELEGATION-----\n"),
        "{block}"
    );
    let filed = team.files(&block);
    let told = team.ana.told(&filed);
    assert_eq!(filed.status.code(), Some(0), "{told}");
    assert!(
        told.contains("kim@example.com may sign as dba for ben@example.com"),
        "{told}"
    );
    let again = team.files(&block);
    assert_eq!(again.status.code(), Some(5), "{}", team.ana.told(&again));
    let pasted = team.asked();
    let shown = fed(&machine_of(&team.bench, "kim").unwrap(), &["sign"], &pasted);
    let shown = String::from_utf8_lossy(&shown.stderr).into_owned();
    assert!(
        shown.contains("lent-role: dba ben@example.com kim@example.com 20"),
        "{shown}"
    );
    let brief = team.ana.incident(&["brief"]);
    assert!(brief.contains("signs as dba, lent by"), "{brief}");
    let kim = team.answer("kim", "sign", &pasted).unwrap();
    assert_eq!(team.files(&kim).status.code(), Some(0));
    assert_eq!(team.done().0, Some(0));
    let report = team.ana.incident(&["report", "--format", "md"]);
    assert!(report.contains("lent the role dba to"), "{report}");
}

#[test]
fn a_line_that_says_a_role_was_lent_is_not_a_signature() {
    let team = team!(asks_for_a_dba());
    let (code, told) = team.says(&[
        "delegate",
        "dba",
        "--to",
        "kim@example.com",
        "--until",
        "yesterday",
    ]);
    assert_eq!(code, Some(2), "{told}");
    // Whoever acts lends nothing, not even a role they held.
    let ours = lends(
        &team,
        "ana",
        &["delegate", "on-call", "--to", "kim@example.com", "--until", "4h"],
    );
    let Some(ours) = ours else { return };
    let refused = team.files(&ours);
    let told = team.ana.told(&refused);
    assert_eq!(refused.status.code(), Some(5), "{told}");
    assert!(told.contains("has acted in this incident"), "{told}");
    // Without the role Kim's approval is one person, and no dba.
    let path = team
        .ana
        .home()
        .join(".local/share/incident")
        .join(team.ana.id())
        .join("journal.jsonl");
    let mut chain = Chain::default();
    let mut journal = std::fs::read(&path).unwrap();
    for line in journal.clone().split_inclusive(|b| *b == b'\n') {
        chain.check(line).unwrap();
    }
    let forged = json!({
        "role": "dba", "from": "ben@example.com", "to": "kim@example.com", "from_ms": 0, "until_ms": 4_000_000_000_000_i64,
        "nonce": "x", "file": "00000009.x.delegation", "mono_us": 1, "utc_ms": NOON,
        "key": {"fingerprint": team.print("ben"), "algorithm": "ssh-ed25519", "user_presence": null, "user_verified": null, "counter": null},
    });
    journal.extend(
        chain
            .write("2026-11-22T03:14:07.120Z", "delegation.filed", 1, forged, "filer")
            .unwrap(),
    );
    std::fs::write(&path, journal).unwrap();
    let pasted = team.asked();
    let kim = team.answer("kim", "sign", &pasted).unwrap();
    assert_eq!(team.files(&kim).status.code(), Some(0));
    let (code, told) = team.done();
    assert_eq!(code, Some(10), "{told}");
    assert!(
        told.contains("says that ben@example.com lent the role dba"),
        "{told}"
    );
}

#[test]
fn a_question_nobody_needs_any_more_is_taken_back_where_the_walk_ends() {
    let team = team!(Team::new(""));
    team.asked();
    for args in [
        ["skip", "swap", "not needed after all"].as_slice(),
        &["run", "page-on"],
        &["undo", "page-on"],
        &["enter", "recover"],
    ] {
        let (code, told) = team.says(args);
        assert!(matches!(code, Some(0 | 4)), "{told}");
    }
    let mut p = team.ana.terminal("resume");
    p.exp_string("Only a question to other people keeps the incident open")
        .unwrap();
    p.exp_string("Leave here").unwrap();
    p.send("\r").unwrap();
    p.flush().unwrap();
    p.exp_string("Why is it not needed").unwrap();
    p.send("the step was skipped\r").unwrap();
    p.flush().unwrap();
    p.exp_string("Nothing keeps the incident open").unwrap();
    p.exp_string("Last words").unwrap();
    p.send("the shop is as it was\r").unwrap();
    p.flush().unwrap();
    p.exp_string("The incident is closed").unwrap();
    p.exp_eof().unwrap();
    let kinds = team.ana.kinds();
    assert!(
        kinds.iter().any(|kind| kind == "escalation.withdrawn"),
        "{kinds:?}"
    );
}
