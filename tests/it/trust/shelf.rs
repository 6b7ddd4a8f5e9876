//! Approvals in numbers, carried elsewhere, and before the eyes of those who sign.

use std::fs;

use incident::journal::Hash;
use serde_json::Value;

use super::approved::{approve, approved, is_approved, is_not, plain};
use crate::support::desk::{Desk, PROGRAM};

#[test]
fn what_nobody_read_of_the_approvals_is_said_where_it_counts() {
    let Some(desk) = approved() else { return };
    is_approved(&desk, &["move"], "inside");
    // By name, `move` comes last.
    for n in 0..66 {
        desk.file(&format!("incident/approved/a{n:02}.json"), "{}");
    }
    let left = "3 more approvals lie beside the runbook and were not read";
    is_not(&desk, &["move"], left);
    let lint = plain(&desk.told(&desk.run(&["runbook", "lint"])));
    assert!(lint.contains(left), "{lint}");
    let (code, told) = approve(&desk, &["count"], "ben");
    assert_eq!(code, Some(5), "{told}");
    assert!(
        told.contains("67 approvals lie beside the runbook already") && told.contains("nothing was approved"),
        "{told}"
    );
    let told = plain(&desk.told(&desk.run(&["start", "--yes"])));
    assert!(told.contains(left), "{told}");
    is_not(&desk, &["move"], left);
    // One that is there may be replaced.
    for n in 0..3 {
        fs::remove_file(desk.home().join(format!("incident/approved/a{n:02}.json"))).unwrap();
    }
    let (code, told) = approve(&desk, &["move"], "ben");
    assert_eq!(code, Some(0), "{told}");
}

#[test]
fn whoever_signs_reads_who_answers_for_what_nobody_understood() {
    let Some(desk) = approved() else { return };
    assert_eq!(approve(&desk, &["keys"], "ben").0, Some(0));
    for args in [
        &["start", "--yes"][..],
        &["seal", "--unknown", "which customers"],
        &["enter", "contain"],
    ] {
        desk.run(args);
    }
    let asked = desk.run(&["escalate", "keys", "--show"]);
    assert_eq!(asked.status.code(), Some(3), "{}", desk.told(&asked));
    let case = desk.home().join(".local/share/incident").join(desk.id());
    let folder = fs::read_dir(case.join("signoffs")).unwrap();
    let mut names: Vec<_> = folder.map(|f| f.unwrap().path()).collect();
    names.retain(|p| p.to_string_lossy().ends_with(".txt") && !p.to_string_lossy().ends_with(".refuse.txt"));
    let issued = fs::read_to_string(&names[0]).unwrap();
    let line = issued.lines().find(|line| line.contains("approved by")).unwrap();
    let signed = fs::read(desk.home().join("incident/approved/keys.json")).unwrap();
    for words in [
        "approved by ben@example.com on ",
        "`unknown` is discharged",
        &Hash::of(&signed).to_string(),
    ] {
        assert!(line.contains(words), "{words}: {line}");
    }
    // What is signed are these bytes, and they are what the signer is shown.
    let shown = desk.run(&["sign", names[0].to_str().unwrap(), "--key", "eve"]);
    assert!(String::from_utf8(shown.stderr).unwrap().contains(line));
}

/// The name of a runbook is nobody's: what an approval says beside it must hold there, too.
#[test]
fn an_approval_carried_to_another_runbook_of_the_same_name_counts_only_where_all_it_says_holds() {
    let Some(desk) = approved() else { return };
    let within = |line: &str| {
        let line = format!("cd other && {line}");
        desk.jailed("sh").args(["-c", &line]).output().unwrap()
    };
    let copied = desk
        .jailed("sh")
        .args(["-c", "mkdir other && cp -a incident scripts bin other/"])
        .output();
    assert!(copied.unwrap().status.success());
    let judged = |desk: &Desk| {
        let out = within(&format!("{PROGRAM} boundary explain --json move"));
        let told: Value =
            serde_json::from_slice(&out.stdout).unwrap_or_else(|_| panic!("{}", desk.told(&out)));
        (
            told["zone"].as_str().unwrap().to_owned(),
            told["approved"]["by"].as_str().map(str::to_owned),
        )
    };
    let outside = ("outside".to_owned(), None);
    let trusts = || {
        let out = within(&format!("{PROGRAM} runbook trust --key ../ana"));
        assert_eq!(out.status.code(), Some(0), "{}", desk.told(&out));
    };
    // The same files, and nobody trusted them there.
    assert_eq!(judged(&desk), outside);
    trusts();
    // Trusted there, with its signer on the roster, the same words, files and effects: it counts there as well.
    assert_eq!(
        judged(&desk),
        ("inside".to_owned(), Some("ben@example.com".to_owned()))
    );
    let roster = fs::read_to_string(desk.home().join("incident/allowed_signers")).unwrap();
    let without: String = roster
        .lines()
        .filter(|l| !l.starts_with("ben@"))
        .map(|l| format!("{l}\n"))
        .collect();
    desk.file("other/incident/allowed_signers", &without);
    trusts();
    assert_eq!(judged(&desk), outside);
    desk.file("other/incident/allowed_signers", &roster);
    desk.file("other/scripts/move", "#!/bin/sh\n./bin/balance \"$1\" --all\n");
    trusts();
    assert_eq!(judged(&desk), outside);
    // Here nothing changed.
    is_approved(&desk, &["move"], "inside");
}
