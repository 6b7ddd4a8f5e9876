//! The whole way of a sign-off, by the built program: asked here, read and signed on another machine, filed, used.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Output, Stdio};

use incident::journal::Chain;
use serde_json::json;

use super::keygen::Bench;
use crate::cli::RUNBOOK;
use crate::support::desk::{Desk, PROGRAM};

const BEN: &str = "ben@example.com";

/// The keys of the team, and Ana's machine with an incident that has come to contain.
pub(super) struct Team {
    pub bench: Bench,
    pub ana: Desk,
}

fn address(name: &str) -> String {
    format!("{name}@example.com")
}

/// A home with nothing in it but this person's key.
pub(super) fn machine_of(bench: &Bench, name: &str) -> Option<Desk> {
    let desk = Desk::new()?;
    let key = desk.home().join(".ssh/id_ed25519");
    desk.file(
        ".ssh/id_ed25519",
        &String::from_utf8(bench.private(name)).unwrap(),
    );
    desk.file(".ssh/id_ed25519.pub", &format!("{} {name}\n", bench.public(name)));
    std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o600)).unwrap();
    Some(desk)
}

impl Team {
    pub(super) fn new(revoked: &str) -> Option<Team> {
        Team::with(RUNBOOK, revoked)
    }

    /// The same with another plan.
    pub(super) fn with(runbook: &str, revoked: &str) -> Option<Team> {
        Team::of(runbook, revoked, |bench| {
            let line = |name| format!("{} {}\n", address(name), bench.public(name));
            ["ana", "ben", "kim"].map(line).concat()
        })
    }

    /// The same with another roster.
    pub(super) fn of(runbook: &str, revoked: &str, roster: fn(&Bench) -> String) -> Option<Team> {
        let bench = Bench::new();
        for name in ["ana", "ben", "kim"] {
            bench.key(name, &["-t", "ed25519"]);
        }
        let roster = roster(&bench);
        let ana = machine_of(&bench, "ana")?;
        ana.file("incident/runbook.yaml", runbook);
        ana.file("incident/allowed_signers", &roster);
        ana.file("shop.log", "DROP TABLE orders\n");
        match revoked {
            "" => {}
            "ben" => ana.file("incident/revoked_keys", &format!("{}\n", bench.public("ben"))),
            other => ana.file("incident/revoked_keys", other),
        }
        for args in [
            ["start", "--yes"].as_slice(),
            &["answer", "damage", "the orders are gone"],
            &["seal", "--unknown", "which customers"],
            &["enter", "contain"],
        ] {
            let code = ana.run(args).status.code();
            assert!(matches!(code, Some(0 | 4)), "{}", ana.incident(args));
        }
        Some(Team { bench, ana })
    }

    /// Ana asks for the swap, proved by her key; what `page` prints for the chat.
    pub(super) fn asked(&self) -> String {
        self.asked_with(".ssh/id_ed25519")
    }

    /// The same with another key of hers.
    pub(super) fn asked_with(&self, key: &str) -> String {
        let asked = self.ana.run(&["escalate", "swap", "--key", key]);
        assert_eq!(asked.status.code(), Some(3), "{}", self.ana.told(&asked));
        self.paged()
    }

    pub(super) fn paged(&self) -> String {
        let paged = self.ana.run(&["page", BEN]);
        assert_eq!(paged.status.code(), Some(3), "{}", self.ana.told(&paged));
        String::from_utf8(paged.stdout).unwrap()
    }

    /// What somebody sends back who pasted this on their own machine.
    pub(super) fn answer(&self, name: &str, word: &str, pasted: &str) -> Option<String> {
        let desk = machine_of(&self.bench, name)?;
        self.answer_at(&desk, &[word, "--yes"], pasted)
    }

    pub(super) fn answer_at(&self, desk: &Desk, args: &[&str], pasted: &str) -> Option<String> {
        let out = fed(desk, args, pasted);
        assert_eq!(out.status.code(), Some(0), "{}", desk.told(&out));
        Some(String::from_utf8(out.stdout).unwrap())
    }

    /// Files what came back, quoted as a chat quotes it.
    pub(super) fn files(&self, answer: &str) -> Output {
        let quoted = format!("ben, 03:20:\n> {}", answer.replace('\n', "\n> "));
        fed(&self.ana, &["signoff", "add"], &quoted)
    }

    pub(super) fn done(&self) -> (Option<i32>, String) {
        let out = self.ana.run(&["done", "swap", "it reads the copy"]);
        (out.status.code(), self.ana.told(&out))
    }
}

pub(super) fn fed(desk: &Desk, args: &[&str], input: &str) -> Output {
    let mut command = desk.jailed(PROGRAM);
    command.args(args).stdin(Stdio::piped());
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may refuse before it has read everything.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

macro_rules! team {
    ($revoked:expr) => {
        match Team::new($revoked) {
            Some(team) => team,
            None => return,
        }
    };
}

#[test]
fn a_request_is_read_and_answered_where_nothing_is_installed() {
    let team = team!("");
    let pasted = team.asked();
    // Only the sentence is longer than a chat's line; what is decoded is not.
    assert!(pasted.lines().skip(1).all(|line| line.len() <= 100), "{pasted}");
    let ben = machine_of(&team.bench, "ben").unwrap();
    // Nobody is at a terminal, and nobody said that it was read.
    let unread = fed(&ben, &["sign"], &pasted);
    assert_eq!(unread.status.code(), Some(3), "{}", ben.told(&unread));
    assert!(unread.stdout.is_empty());
    let signed = fed(&ben, &["sign", "--yes"], &pasted);
    assert_eq!(signed.status.code(), Some(0), "{}", ben.told(&signed));
    // What is shown is the text that the signature fits, every byte of it.
    let shown = String::from_utf8(signed.stderr).unwrap();
    let case = team.ana.home().join(".local/share/incident").join(team.ana.id());
    let folder = std::fs::read_dir(case.join("signoffs")).unwrap();
    let mut names: Vec<_> = folder.map(|f| f.unwrap().path()).collect();
    names.retain(|p| p.to_string_lossy().ends_with(".txt") && !p.to_string_lossy().ends_with(".refuse.txt"));
    let issued = std::fs::read_to_string(&names[0]).unwrap();
    assert!(shown.contains(&issued), "{shown}\n---\n{issued}");
    assert!(
        shown.contains("ana@example.com, proved by key, asks to run this"),
        "{shown}"
    );
    assert!(
        shown.contains("it has no passphrase and asks for no touch"),
        "{shown}"
    );
    let answer = String::from_utf8(signed.stdout).unwrap();
    assert!(
        answer.starts_with("-----BEGIN SSH SIGNATURE-----\n") && answer.len() < 1000,
        "{answer}"
    );
    let roster = format!("{BEN} {}\n", team.bench.public("ben"));
    let ns = "signoff@incident-v1";
    assert!(
        team.bench
            .verifies(&roster, BEN, ns, answer.as_bytes(), issued.as_bytes())
    );

    assert_eq!(team.done().0, Some(3));
    let filed = team.files(&answer);
    assert_eq!(filed.status.code(), Some(0), "{}", team.ana.told(&filed));
    assert_eq!(team.done().0, Some(0), "{}", team.done().1);
    // The bundle's own reader finds the same signature good.
    let verified = team.ana.run(&["verify", case.to_str().unwrap()]);
    assert!(
        matches!(verified.status.code(), Some(0 | 11 | 12)),
        "{}",
        team.ana.told(&verified)
    );

    for (what, pasted) in [
        ("cut short", &pasted[..pasted.len() / 2]),
        ("no request to sign", "LGTM?"),
        ("more than one block", &pasted.repeat(2)),
    ] {
        let out = fed(&ben, &["sign", "--yes"], pasted);
        let told = ben.told(&out);
        assert_eq!(out.status.code(), Some(2), "{told}");
        assert!(told.contains(what) && told.contains("next: "), "{told}");
    }
}

#[test]
fn whoever_reads_it_may_refuse_and_the_act_stays_blocked() {
    let team = team!("");
    let pasted = team.asked();
    let Some(no) = team.answer("kim", "refuse", &pasted) else {
        return;
    };
    assert_eq!(team.files(&no).status.code(), Some(0));
    // Another request for the same act, and another person's yes: it is still Kim's no.
    let again = team.asked();
    let Some(yes) = team.answer("ben", "sign", &again) else {
        return;
    };
    assert_eq!(team.files(&yes).status.code(), Some(0));
    let (code, told) = team.done();
    assert_eq!(code, Some(3), "{told}");
    assert!(told.contains("kim@example.com refused this act"), "{told}");
    let Some(yes) = team.answer("kim", "sign", &again) else {
        return;
    };
    assert_eq!(team.files(&yes).status.code(), Some(0));
    assert_eq!(team.done().0, Some(0));
}

#[test]
fn a_name_is_proved_by_its_key_and_the_doubt_is_gone() {
    let team = team!("");
    let zed = |args: &[&str]| team.ana.run(&[&["--as", "zed"], args].concat());
    assert_eq!(zed(&["did", "looked at the console"]).status.code(), Some(0));
    let asked = team.ana.run(&["escalate", "swap", "--key", ".ssh/id_ed25519"]);
    let told = team.ana.told(&asked);
    assert!(
        told.contains("2 other people") && told.contains("who acted as zed"),
        "{told}"
    );
    // It was Ben, and so Ben is no signer.
    team.ana
        .file("bens-key", &String::from_utf8(team.bench.private("ben")).unwrap());
    let key = team.ana.home().join("bens-key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let proved = zed(&["signoff", "me", "--key", "bens-key"]);
    assert_eq!(proved.status.code(), Some(0), "{}", team.ana.told(&proved));
    assert_eq!(
        zed(&["signoff", "me", "--key", "bens-key"]).status.code(),
        Some(5)
    );
    let request = team.ana.run(&["signoff", "list"]);
    let number = String::from_utf8(request.stdout).unwrap();
    let number = number.split([' ', ':']).nth(1).unwrap().to_owned();
    assert_eq!(
        team.ana
            .run(&["signoff", "withdraw", &number, "fewer people"])
            .status
            .code(),
        Some(0)
    );
    let asked = team.ana.run(&["escalate", "swap", "--key", ".ssh/id_ed25519"]);
    assert!(
        team.ana.told(&asked).contains("1 other person"),
        "{}",
        team.ana.told(&asked)
    );
    let pasted = team.paged();
    let Some(ben) = team.answer("ben", "sign", &pasted) else {
        return;
    };
    let refused = team.files(&ben);
    assert_eq!(refused.status.code(), Some(5), "{}", team.ana.told(&refused));
    let Some(kim) = team.answer("kim", "sign", &pasted) else {
        return;
    };
    assert_eq!(team.files(&kim).status.code(), Some(0));
    assert_eq!(team.done().0, Some(0), "{}", team.done().1);
}

#[test]
fn a_line_that_says_somebody_signed_is_not_a_signature() {
    let team = team!("");
    team.asked();
    let case = team.ana.home().join(".local/share/incident").join(team.ana.id());
    let path = case.join("journal.jsonl");
    let mut chain = Chain::default();
    let mut request = 0;
    let journal = std::fs::read(&path).unwrap();
    for line in journal.split_inclusive(|b| *b == b'\n') {
        let record = chain.check(line).unwrap();
        if record.kind == "escalation.requested" {
            request = record.seq;
        }
    }
    let filed = json!({
        "request": request, "person": BEN, "approves": true, "file": "x", "mono_us": 1, "utc_ms": 1_795_348_800_000_i64,
        "key": {"fingerprint": "SHA256:x", "algorithm": "ssh-ed25519", "user_presence": null, "user_verified": null, "counter": null},
    });
    // As the agent would write it: young by both clocks, and the chain holds.
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let mut filed = filed;
    filed["utc_ms"] = json!(i64::try_from(now.as_millis()).unwrap());
    filed["mono_us"] = json!(u64::MAX >> 12);
    let line = chain
        .write("2026-11-22T03:14:07.120Z", "signoff.filed", 1, filed, "filer")
        .unwrap();
    let mut forged = journal.clone();
    forged.extend(&line);
    std::fs::write(&path, forged).unwrap();
    let (code, told) = team.done();
    assert_eq!(code, Some(10), "{told}");
    assert!(
        told.contains("says that ben@example.com signed request"),
        "{told}"
    );
    assert!(
        !team.ana.journal().contains("act.started\",\"step\":\"swap"),
        "it ran"
    );
}

#[test]
fn adding_a_signer_after_the_opening_stops_everything_but_stop() {
    let team = team!("");
    let case = team.ana.home().join(".local/share/incident").join(team.ana.id());
    let mut roster = std::fs::read_to_string(case.join("allowed_signers")).unwrap();
    team.bench.key("eve", &["-t", "ed25519"]);
    roster += &format!("eve@example.com {}\n", team.bench.public("eve"));
    std::fs::write(case.join("allowed_signers"), roster).unwrap();
    let asked = team.ana.run(&["escalate", "swap"]);
    let told = team.ana.told(&asked);
    assert_eq!(asked.status.code(), Some(10), "{told}");
    assert!(
        told.contains("allowed_signers in the case folder is not the file that was pinned"),
        "{told}"
    );
    // In the team's folder a new line changes nothing in this incident.
    let stopped = team.ana.run(&["stop"]);
    assert!(
        matches!(stopped.status.code(), Some(0 | 3 | 4)),
        "{}",
        team.ana.told(&stopped)
    );
}

#[test]
fn a_revoked_key_signs_nothing_and_a_broken_list_lets_nobody_sign() {
    let team = team!("ben");
    let pasted = team.asked();
    let Some(ben) = team.answer("ben", "sign", &pasted) else {
        return;
    };
    let refused = team.files(&ben);
    let told = team.ana.told(&refused);
    assert_eq!(refused.status.code(), Some(5), "{told}");
    assert!(told.contains("is revoked"), "{told}");
    let Some(kim) = team.answer("kim", "sign", &pasted) else {
        return;
    };
    assert_eq!(team.files(&kim).status.code(), Some(0));

    let team = team!("ssh-ed25519 AAAA\n");
    let asked = team.ana.run(&["escalate", "swap", "--key", ".ssh/id_ed25519"]);
    let told = team.ana.told(&asked);
    assert!(
        !asked.status.success() && told.contains("the list of revoked keys cannot be read"),
        "{told}"
    );
}

#[test]
fn an_agents_session_signs_for_nobody() {
    let team = team!("");
    let pasted = team.asked();
    let ben = machine_of(&team.bench, "ben").unwrap();
    ben.file("claude", "#!/bin/sh\n\"$@\"\nexit $?\n");
    ben.file("request.txt", &pasted);
    let agent = ben.home().join("claude");
    std::fs::set_permissions(&agent, std::fs::Permissions::from_mode(0o755)).unwrap();
    let agent = agent.to_str().unwrap();
    let marked = ["env", "CLAUDECODE=1", PROGRAM];
    for (how, words) in [(&marked[..], "CLAUDECODE is set"), (&[agent, PROGRAM], "it runs")] {
        for word in ["sign", "refuse"] {
            let mut command = ben.jailed(how[0]);
            command.args(&how[1..]).args([word, "request.txt", "--yes"]);
            let out = command.stdin(Stdio::null()).output().unwrap();
            let told = ben.told(&out);
            assert_eq!(out.status.code(), Some(5), "{told}");
            assert!(
                told.contains("an agent must not sign for a person") && told.contains(words),
                "{told}"
            );
            assert!(!told.contains("BEGIN SSH SIGNATURE"), "{told}");
        }
    }
    let out = ben.run(&["sign", "request.txt", "--yes"]);
    assert_eq!(out.status.code(), Some(0), "{}", ben.told(&out));
}
