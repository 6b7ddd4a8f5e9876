//! What was trusted in peacetime against what an agent may have written since, through the built program.

pub mod approved;
mod shelf;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::support::desk::Desk;

const RUNBOOK: &str = r#"version: 1
name: shop
people:
  ana@example.com: {roles: [on-call]}
  ben@example.com: {roles: [on-call]}
boundary: {inside: [read, traffic, service-restart], at: [config-change, one-way]}
stages:
  stop: [{revoke: all}, {kill: agents}, {disable: triggers}]
  contain:
    - {id: page, run: [./scripts/page, "on"], undo: {run: [./scripts/page, "off"]}, effects: [traffic]}
    - {id: swap, manual: Point the shop at the copy., effects: [config-change], undo: {manual: Point it back.}}
"#;

const ACCESS: &str = "version: 1\nagents:\n  - name: bot\n    host: local\n    triggers: [{id: nightly, manual: Switch it off}]\n";

/// A repository that ana trusts as it is.
fn trusted() -> Option<Desk> {
    let desk = Desk::new()?;
    let mut signers = String::new();
    for who in ["ana", "ben", "eve"] {
        let mut keygen = desk.jailed("ssh-keygen");
        let made = keygen
            .args(["-q", "-t", "ed25519", "-N", "", "-C", who, "-f", who])
            .output();
        assert!(made.unwrap().status.success());
        if who != "eve" {
            signers.push_str(&format!("{who}@example.com {}", public(&desk, who)));
        }
    }
    desk.file("incident/runbook.yaml", RUNBOOK);
    desk.file("incident/access.yaml", ACCESS);
    desk.file("incident/allowed_signers", &signers);
    desk.file("scripts/page", "#!/bin/sh\necho \"$1\"\n");
    let page = desk.home().join("scripts/page");
    fs::set_permissions(page, fs::Permissions::from_mode(0o755)).unwrap();
    let out = desk.run(&["runbook", "trust", "--key", "ana"]);
    assert_eq!(out.status.code(), Some(0), "{}", desk.told(&out));
    Some(desk)
}

fn public(desk: &Desk, who: &str) -> String {
    fs::read_to_string(desk.home().join(who).with_extension("pub")).unwrap()
}

/// The record and its signature.
fn record(desk: &Desk) -> (PathBuf, PathBuf) {
    let folder = desk.home().join(".local/state/incident/trust");
    let mut names: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    assert_eq!(names.len(), 2, "{names:?}");
    let sig = names.pop().unwrap();
    (names.pop().unwrap(), sig)
}

/// What `start` says and how it ends up on record: its words, and the first line of the journal.
fn opened(desk: &Desk) -> (String, serde_json::Value) {
    let told = desk
        .told(&desk.run(&["start", "--yes"]))
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    let journal = desk.journal();
    let line: serde_json::Value = serde_json::from_str(journal.lines().next().unwrap()).unwrap();
    (told, line["what"].clone())
}

fn pinned(desk: &Desk, name: &str) -> String {
    let case = desk.home().join(".local/share/incident").join(desk.id());
    fs::read_to_string(case.join(name)).unwrap()
}

fn zone(desk: &Desk, step: &str) -> String {
    let out = desk.run(&["boundary", "explain", "--json", step]);
    let told: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap_or_default();
    told["zone"].as_str().unwrap_or("refused").to_owned()
}

macro_rules! trusted {
    () => {
        match trusted() {
            Some(desk) => desk,
            None => return,
        }
    };
}

#[test]
fn what_was_trusted_and_is_unchanged_counts_as_it_stands() {
    let desk = trusted!();
    let (json, sig) = record(&desk);
    for path in [json, sig] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let (told, what) = opened(&desk);
    assert!(
        told.contains("The files are what ana@example.com trusted on"),
        "{told}"
    );
    assert_eq!(what["trust"]["by"], "ana@example.com");
    assert!(what["trust"]["differs"].is_null());
    assert_eq!(zone(&desk, "page"), "inside");
    assert_eq!(zone(&desk, "swap"), "at");
}

#[test]
fn a_folder_that_was_changed_gives_way_to_the_trusted_copies_and_the_stricter_boundary() {
    let desk = trusted!();
    let wider = RUNBOOK
        .replace(
            "inside: [read, traffic, service-restart]",
            "inside: [read, config-change, service-restart]",
        )
        .replace("at: [config-change, one-way]", "at: [one-way, traffic]")
        .replace("Point the shop at the copy.", "Send everything to eve.");
    desk.file("incident/runbook.yaml", &wider);
    desk.file(
        "incident/access.yaml",
        &format!("{ACCESS}      - {{id: shop-role, manual: Cut the shop off}}\n").replace(
            "[{id: nightly, manual: Switch it off}]",
            "\n      - {id: nightly, manual: Switch it off}",
        ),
    );
    assert_eq!(zone(&desk, "swap"), "at", "what was at stays at");
    assert_eq!(zone(&desk, "page"), "at", "and what is found at is at, too");
    let (told, what) = opened(&desk);
    assert!(
        told.contains("The files are not what ana@example.com trusted"),
        "{told}"
    );
    assert!(told.contains("incident runbook trust --key FILE"), "{told}");
    assert!(
        told.contains("`shop-role` stands in access.yaml and is not as it was trusted"),
        "{told}"
    );
    assert_eq!(
        what["trust"]["differs"],
        serde_json::json!(["runbook.yaml", "access.yaml"])
    );
    assert_eq!(
        what["policy"]["also"]["at"],
        serde_json::json!(["traffic", "one-way"])
    );
    assert_eq!(pinned(&desk, "runbook.yaml"), RUNBOOK);
    assert!(
        !desk
            .journal()
            .contains("stop.facts\",\"v\":1,\"what\":{\"target\":\"shop-role"),
        "left alone"
    );
    let status = desk.told(&desk.run(&["status"]));
    assert!(status.contains("The files are not what"), "{status}");
}

#[test]
fn a_signer_that_was_added_is_nobody() {
    let desk = trusted!();
    let path = desk.home().join("incident/allowed_signers");
    let before = fs::read_to_string(&path).unwrap();
    desk.file(
        "incident/allowed_signers",
        &format!("{before}ben@example.com {}", public(&desk, "eve")),
    );
    let (_, what) = opened(&desk);
    assert_eq!(what["trust"]["differs"], serde_json::json!(["allowed_signers"]));
    assert_eq!(pinned(&desk, "allowed_signers"), before);
}

#[test]
fn a_script_that_was_changed_does_not_run_and_the_others_do() {
    let desk = trusted!();
    desk.file("scripts/page", "#!/bin/sh\necho changed\n");
    let out = desk.run(&["boundary", "explain", "page"]);
    let told = desk.told(&out);
    assert!(
        told.contains("scripts/page is not the script that ana@example.com trusted"),
        "{told}"
    );
    assert_ne!(out.status.code(), Some(0));
    assert_eq!(zone(&desk, "swap"), "at");
    let (told, what) = opened(&desk);
    assert!(told.contains("scripts/page"), "{told}");
    assert_eq!(what["trust"]["differs"], serde_json::json!(["scripts/page"]));
    let run = desk.told(&desk.run(&["run", "page"]));
    assert!(run.contains("is not the script that"), "{run}");
}

#[test]
fn without_a_record_the_files_count_as_they_stand_and_it_says_so() {
    let desk = trusted!();
    let (json, sig) = record(&desk);
    fs::remove_file(json).unwrap();
    fs::remove_file(sig).unwrap();
    let (told, what) = opened(&desk);
    assert!(
        told.contains("ana@example.com on") && told.contains("made one, and it is gone"),
        "{told}"
    );
    assert!(what["trust"]["by"].is_null());
    let status = desk.told(&desk.run(&["status"]));
    assert!(status.contains("and it is gone"), "{status}");
    fs::remove_dir_all(desk.home().join(".local/share")).unwrap();
    let (told, _) = opened(&desk);
    assert!(told.contains("Nobody trusted these files in peacetime"), "{told}");
    let status = desk.told(&desk.run(&["status"]));
    assert!(status.contains("Nobody trusted these files"), "{status}");
    let lint = desk.told(&desk.run(&["runbook", "lint"]));
    assert!(lint.contains("Nobody trusted these files"), "{lint}");
}

#[test]
fn a_key_that_was_revoked_when_the_files_were_trusted_stays_revoked() {
    for found in [None, Some("# nobody\n")] {
        let desk = trusted!();
        desk.file("incident/revoked_keys", &public(&desk, "ben"));
        let out = desk.run(&["runbook", "trust", "--key", "ana"]);
        assert_eq!(out.status.code(), Some(0), "{}", desk.told(&out));
        assert!(desk.told(&out).contains("revoked_keys"), "{}", desk.told(&out));
        match found {
            Some(text) => desk.file("incident/revoked_keys", text),
            None => fs::remove_file(desk.home().join("incident/revoked_keys")).unwrap(),
        }
        let (_, what) = opened(&desk);
        assert_eq!(what["trust"]["differs"], serde_json::json!(["revoked_keys"]));
        assert!(pinned(&desk, "revoked_keys").contains(public(&desk, "ben").trim()));
    }
    // More of them is no change that anybody must undo.
    let desk = trusted!();
    desk.file("incident/revoked_keys", &public(&desk, "ben"));
    desk.run(&["runbook", "trust", "--key", "ana"]);
    let both = format!("{}{}", public(&desk, "ben"), public(&desk, "eve"));
    desk.file("incident/revoked_keys", &both);
    let (_, what) = opened(&desk);
    assert!(what["trust"]["differs"].is_null(), "{}", what["trust"]);
    assert_eq!(pinned(&desk, "revoked_keys"), both);
    // Lists of OpenSSH's own cannot be joined: rather no signature than one that was taken back.
    let desk = trusted!();
    let list = |of: &str| {
        let mut keygen = desk.jailed("ssh-keygen");
        let made = keygen
            .args(["-q", "-k", "-f", "incident/revoked_keys", of])
            .output();
        assert!(made.unwrap().status.success());
    };
    list("ben.pub");
    let out = desk.run(&["runbook", "trust", "--key", "ana"]);
    assert_eq!(out.status.code(), Some(0), "{}", desk.told(&out));
    list("eve.pub");
    let (told, what) = opened(&desk);
    assert_eq!(what["trust"]["differs"], serde_json::json!(["revoked_keys"]));
    assert!(told.contains("no signature counts in this incident"), "{told}");
}

#[test]
fn lint_names_rules_that_never_decide_hours_without_a_quorum_and_prints_the_boundary() {
    let desk = trusted!();
    let text = RUNBOOK
        .replace(
            "ana@example.com: {roles: [on-call]}",
            "ana@example.com: {roles: [on-call], hours: 'Mon-Fri 08:00-20:00 Z'}",
        )
        .replace(
            "ben@example.com: {roles: [on-call]}",
            "ben@example.com: {roles: [on-call], hours: 'Mon-Fri 12:00-20:00 Z'}",
        )
        + "rules:\n  - {id: late, zone: at, effects: [traffic], hours: 'Fri 12:00-24:00 Z', reason: r, owner: ana@example.com}\n  \
           - {id: wide, zone: outside, effects: [traffic], reason: r, owner: ana@example.com}\n  \
           - {id: many, zone: outside, effects: [config-change], more-than: {objects: 3}, reason: r, owner: ana@example.com}\n";
    desk.file("incident/runbook.yaml", &text);
    let out = desk.run(&["runbook", "lint", "--matrix"]);
    assert_eq!(out.status.code(), Some(0), "{}", desk.told(&out));
    let told = desk.told(&out);
    assert!(told.lines().all(|line| line.chars().count() <= 100), "{told}");
    let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "rule `late` never decides anything: `wide` holds wherever it does",
        "nobody wrote down where protect, deploy,",
        "step `swap` does not say how much it changes, so the rule `many` counts as holding for it",
        "too few can be reached on Mon 20:00Z to Tue 12:00Z",
        "Fri 20:00Z to Mon 12:00Z",
        "The files are not what ana@example.com trusted",
        "traffic inside boundary.inside at rules.late: Fri 12:00-24:00 Z outside rules.wide: always",
        "unknown outside boundary.not-understood",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let out = desk.run(&["runbook", "lint", "--json"]);
    let told: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let rows = told["matrix"].as_array().unwrap();
    assert_eq!(rows.len(), 18);
    let row = rows.iter().find(|r| r["effect"] == "traffic").unwrap();
    assert_eq!(row["rules"][1]["zone"], "outside");
    // What somebody wrote down as outside is forgotten by nobody.
    let all = "one-way], outside: [protect, deploy, config-rollback, data-restore, data-write, bulk-data, schema-change, \
               credential-new, credential-change, security-config, backup-change, infra-change]}";
    desk.file("incident/runbook.yaml", &text.replace("one-way]}", all));
    let told = desk.told(&desk.run(&["runbook", "lint"]));
    assert!(!told.contains("nobody wrote down where"), "{told}");
}

#[test]
fn what_the_words_of_an_act_name_is_counted_for_the_rules() {
    let desk = trusted!();
    let rule = "rules:\n  - {id: many, zone: outside, effects: [infra-change, one-way], more-than: {objects: 2}, reason: r, owner: ana@example.com}\n";
    let text = RUNBOOK.replace(
        "at: [config-change, one-way]",
        "at: [config-change, infra-change, one-way]",
    );
    desk.file("incident/runbook.yaml", &format!("{text}{rule}"));
    desk.run(&["runbook", "trust", "--key", "ana"]);
    let example = |run: &str, zone: &str| {
        let text =
            format!("version: 1\nexamples:\n  - {{run: [{run}], effects: [infra-change], zone: {zone}}}\n");
        desk.file("mine.yaml", &text);
        let out = desk.run(&["boundary", "test", "mine.yaml"]);
        assert_eq!(out.status.code(), Some(0), "{run}: {}", desk.told(&out));
    };
    example("kubectl, delete, pod, a, b", "at");
    example("kubectl, delete, pod, a, b, c", "outside");
    example("kubectl, delete, pod, a, \"--all\"", "outside");
    let told = desk.told(&desk.run(&["boundary", "explain", "--", "kubectl", "delete", "pod", "a", "b"]));
    assert!(told.contains("at most 2 objects, by its words"), "{told}");
}

#[test]
fn a_record_that_was_changed_is_not_used() {
    for (bend, words) in [
        (0, "its signature does not count"),
        (1, "others than its owner can write it"),
        (2, "is revoked"),
        (3, "its signature does not count"),
    ] {
        let desk = trusted!();
        let (json, sig) = record(&desk);
        match bend {
            0 => {
                let text = fs::read_to_string(&json)
                    .unwrap()
                    .replace("config-change", "data-write");
                fs::write(&json, text).unwrap();
            }
            1 => fs::set_permissions(&json, fs::Permissions::from_mode(0o666)).unwrap(),
            2 => desk.file("incident/revoked_keys", &public(&desk, "ana")),
            _ => fs::write(&sig, "no signature").unwrap(),
        }
        let (told, what) = opened(&desk);
        assert!(
            told.contains("is not used") && told.contains(words),
            "{words}: {told}"
        );
        assert!(what["trust"]["by"].is_null(), "{words}");
    }
}

#[test]
fn only_somebody_on_the_roster_can_trust_and_a_refusal_changes_nothing() {
    let desk = trusted!();
    let (json, _) = record(&desk);
    let before = fs::read(&json).unwrap();
    let out = desk.run(&["runbook", "trust", "--key", "eve"]);
    let told = desk.told(&out);
    assert_ne!(out.status.code(), Some(0));
    assert!(
        told.contains("no line of the roster has the key") && told.contains("nothing was trusted"),
        "{told}"
    );
    desk.file(
        "incident/runbook.yaml",
        "version: 1\nboundary: {inside: [reed]}\nstages: {}\n",
    );
    let out = desk.run(&["runbook", "trust", "--key", "ana"]);
    assert!(
        desk.told(&out).contains("what cannot be read cannot be trusted"),
        "{}",
        desk.told(&out)
    );
    assert_eq!(fs::read(&json).unwrap(), before);
}

#[test]
fn the_shipped_examples_land_where_they_must_and_one_that_does_not_ends_1() {
    let Some(desk) = Desk::new() else { return };
    desk.file(
        "shipped.yaml",
        include_str!("../../runbooks/init/boundary-tests.yaml"),
    );
    let out = desk.run(&["boundary", "test", "shipped.yaml"]);
    assert_eq!(out.status.code(), Some(0), "{}", desk.told(&out));
    assert!(desk.told(&out).contains("all land where they must"));
    let example = |line: &str| {
        desk.file("mine.yaml", &format!("version: 1\nexamples:\n  - {line}\n"));
        let out = desk.run(&["boundary", "test", "mine.yaml"]);
        (out.status.code(), desk.told(&out))
    };
    let (code, told) =
        example("{run: [psql, -c, DROP TABLE orders], effects: [read], zone: inside, why: nobody minds}");
    assert_eq!(code, Some(1));
    assert!(
        told.contains("it must be inside") && told.contains("nobody minds"),
        "{told}"
    );
    let (code, told) = example("{run: [ls], shell: ls, zone: here, with: [luck]}");
    assert_eq!(code, Some(2));
    for words in [
        "exactly one act",
        "`zone: here` is not known",
        "`luck` is nothing",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let told = desk.told(&desk.run(&["boundary", "test"]));
    assert!(told.contains("incident init writes a beginning"), "{told}");
    desk.run(&["init"]);
    let out = desk.run(&["boundary", "test", "--json"]);
    assert_eq!(
        out.status.code(),
        Some(0),
        "what `init` writes agrees with itself: {}",
        desk.told(&out)
    );
    let told: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(told["wrong"], 0);
    assert!(told["examples"].as_array().unwrap().len() >= 30);
}

#[test]
fn another_program_than_the_trusted_one_is_said_and_stops_all_the_same() {
    let desk = trusted!();
    let (told, what) = opened(&desk);
    assert!(!told.contains("not the one that"), "{told}");
    assert_eq!(what["trust"]["program"].as_str().unwrap().len(), 64);
    assert!(
        !desk
            .incident(&["report", "--format", "md"])
            .contains("which is not the program")
    );
    // The same program, with something behind it.
    let other = desk.home().join("other");
    let mut bytes = fs::read(crate::support::desk::PROGRAM).unwrap();
    bytes.extend(b"and more");
    fs::write(&other, bytes).unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o755)).unwrap();
    let runs = |args: &[&str]| {
        let mut command = desk.jailed(other.to_str().unwrap());
        let out = command
            .args(args)
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&out.stderr).into_owned() + &String::from_utf8_lossy(&out.stdout);
        (
            out.status.code(),
            told.split_whitespace().collect::<Vec<_>>().join(" "),
        )
    };
    let strange = "This program is not the one that ana@example.com trusted on";
    let usual = desk.run(&["stop"]).status.code();
    let (code, told) = runs(&["stop"]);
    assert_eq!(code, usual, "{told}");
    assert!(told.contains(strange), "{told}");
    let (_, told) = runs(&["signoff", "list"]);
    assert!(told.contains(strange), "{told}");
    runs(&["attach", "incident/access.yaml"]);
    let report = desk.incident(&["report", "--format", "md"]);
    assert!(
        report.contains("which is not the program that was trusted"),
        "{report}"
    );
    // On a signer's own machine it is said before they are asked.
    desk.run(&["escalate", "swap"]);
    let waiting = desk.run(&["page", "ben@example.com"]).stdout;
    desk.file("request.txt", &String::from_utf8(waiting).unwrap());
    let (code, told) = runs(&["sign", "request.txt", "--key", "ben"]);
    assert_ne!(code, Some(0), "nobody confirmed it");
    assert!(told.contains(strange), "{told}");
    assert!(
        !desk
            .incident(&["sign", "request.txt", "--key", "ben"])
            .contains("not the one that")
    );
}
