//! Attacks on a sign-off, each refused for a reason of its own and with its exit code; docs/threat-model.md lists the same.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use incident::cli::{CliError, Exit};
use incident::engine::EngineError;
use incident::model::ids::{IncidentId, StepId};
use incident::model::runbook::Touch;
use incident::signoff::{Accepted, Decision, Refusal, RequestState, namespace};
use incident::sshsig::Revoked;

use super::attacks::{Desk, NOON, REAL, statement};
use super::keygen::Bench;

type Attack = (&'static str, &'static str, fn(Desk) -> Result<Accepted, Refusal>);

/// What is tried, the name of the reason in the record, and how.
const ATTACKS: [Attack; 42] = [
    ("words instead of a signature", "unsigned", |d| {
        d.file(Some(text().as_bytes()), b"LGTM, go ahead")
    }),
    ("a signature cut short", "unsigned", |d| {
        let sig = String::from_utf8(d.bench.sign("ben", REAL, text().as_bytes())).unwrap();
        let lines: Vec<&str> = sig.lines().filter(|l| !l.is_empty()).collect();
        let cut = [&lines[..2], &lines[lines.len() - 1..]].concat().join("\n");
        d.file(Some(text().as_bytes()), cut.as_bytes())
    }),
    ("an RSA key that is too short", "unsigned", |d| {
        d.bench.key("weak", &["-t", "rsa", "-b", "2048"]);
        d.signed("weak", &statement())
    }),
    ("a certificate of a machine", "unsigned", |d| {
        certified(&d, &["-I", "x", "-h", "-n", "ben@example.com"])
    }),
    ("a certificate for one command", "unsigned", |d| {
        certified(
            &d,
            &["-I", "x", "-O", "force-command=true", "-n", "ben@example.com"],
        )
    }),
    ("a signature under a git commit", "namespace", |d| {
        let sig = d.bench.sign("ben", "git", text().as_bytes());
        d.file(Some(text().as_bytes()), &sig)
    }),
    (
        "the requester's own proof, filed as an approval",
        "namespace",
        |d| {
            let sig = d.bench.sign("ana", "request@incident-v1", text().as_bytes());
            d.file(None, &sig)
        },
    ),
    ("a signature from a drill", "drill", |d| {
        let sig = d.bench.sign("ben", namespace(true), text().as_bytes());
        d.file(Some(text().as_bytes()), &sig)
    }),
    ("a text changed after it was signed", "bad-signature", |d| {
        let sig = d.bench.sign("ben", REAL, text().as_bytes());
        d.file(Some(text().replace("db1", "db2").as_bytes()), &sig)
    }),
    ("free words, signed", "not-a-statement", |d| {
        let words = b"I approve whatever Ana wants\n";
        let sig = d.bench.sign("ben", REAL, words);
        d.file(Some(words), &sig)
    }),
    ("a statement in another spelling", "not-a-statement", |d| {
        let dos = text().replace('\n', "\r\n");
        let sig = d.bench.sign("ben", REAL, dos.as_bytes());
        d.file(Some(dos.as_bytes()), &sig)
    }),
    ("a statement that decides nothing", "no-decision", |d| {
        let open = text().replace("decision: approve\n", "");
        let sig = d.bench.sign("ben", REAL, open.as_bytes());
        d.file(Some(open.as_bytes()), &sig)
    }),
    ("a key nobody knows", "not-counted", |d| {
        d.signed("eve", &statement())
    }),
    ("a key under a pattern of names", "not-counted", |d| {
        rostered(d, "*@example.com ")
    }),
    ("an authority's own key", "not-counted", |d| {
        rostered(d, "eve@example.com cert-authority ")
    }),
    ("one key under two names", "not-counted", |d| {
        rostered(d, "eve@example.com,ben@example.com ")
    }),
    ("a key for other purposes", "not-counted", |d| {
        rostered(d, "eve@example.com namespaces=\"git\" ")
    }),
    ("a key whose time is over", "not-counted", |d| {
        rostered(d, "eve@example.com valid-before=\"20261121Z\" ")
    }),
    ("a key whose time has not come", "not-counted", |d| {
        rostered(d, "eve@example.com valid-after=\"20261123Z\" ")
    }),
    ("a certificate of an authority nobody knows", "not-counted", |d| {
        certified(&d, &["-I", "x", "-n", "ben@example.com"])
    }),
    ("a certificate that has run out", "not-counted", |mut d| {
        d.bench.key("authority", &["-t", "ed25519"]);
        d.roster += &format!("*@example.com cert-authority {}\n", d.bench.public("authority"));
        d.bench.certify(
            "authority",
            "eve",
            &["-I", "x", "-n", "eve@example.com", "-V", "20200101:20200201"],
        );
        let sig = d.bench.sign("eve-cert.pub", REAL, text().as_bytes());
        d.file(None, &sig)
    }),
    ("a stolen key that was revoked", "revoked", |mut d| {
        d.revoked = Revoked::parse(d.bench.public("ben").as_bytes()).unwrap();
        d.signed("ben", &statement())
    }),
    ("a sign-off of another incident", "other-incident", |d| {
        d.changed(|s| s.incident = IncidentId::new("INC-20261101-0000-aaaa").unwrap())
    }),
    ("a sign-off of another request", "unknown-request", |d| {
        d.changed(|s| s.request_seq = 12)
    }),
    ("a sign-off of another step", "differs", |d| {
        d.changed(|s| s.bound.acts[0].step = StepId::new("swap").unwrap())
    }),
    ("another argument", "differs", |d| {
        d.changed(|s| s.bound.acts[0].args[2] = "orders".into())
    }),
    ("another database host", "differs", |d| {
        d.changed(|s| s.bound.acts[0].targets[0].value = "db2.internal".into())
    }),
    ("another runbook", "differs", |d| {
        d.changed(|s| s.bound.runbook_sha256 = "0".repeat(64))
    }),
    ("a weaker boundary", "differs", |d| {
        d.changed(|s| s.bound.boundary_sha256 = "0".repeat(64))
    }),
    ("another baseline", "differs", |d| {
        d.changed(|s| s.bound.baseline = None)
    }),
    ("a record that was rewritten", "unknown-head", |d| {
        d.changed(|s| s.head_hash = "0".repeat(64))
    }),
    ("a longer validity", "altered", |d| {
        d.changed(|s| s.valid_s = 999_999)
    }),
    ("fewer people", "altered", |d| d.changed(|s| s.people_needed = 0)),
    ("one's own request", "own-request", |d| {
        d.signed("ana", &statement())
    }),
    ("somebody who acted in the incident", "acted", |mut d| {
        d.acted.insert("Ben@example.com".into());
        d.signed("ben", &statement())
    }),
    ("one person twice", "second-answer", |mut d| {
        let first = d.signed("ben", &statement())?;
        d.accepted.push(first);
        d.signed("ben", &statement())
    }),
    ("an old approval filed again", "expired", |mut d| {
        let first = d.signed("ben", &statement())?;
        d.accepted.push(first);
        d.now_ms = NOON + 1_800_001;
        d.signed("ben", &statement())
    }),
    ("a one-time number used before", "nonce-replayed", |mut d| {
        let mut earlier = d.signed("kim", &statement())?;
        earlier.request_seq = 30;
        d.accepted.push(earlier);
        d.signed("ben", &statement())
    }),
    ("a request that was taken back", "withdrawn", |mut d| {
        d.requests[0].state = RequestState::Withdrawn;
        d.signed("ben", &statement())
    }),
    ("a sign-off that was used up", "consumed", |mut d| {
        d.requests[0].state = RequestState::Consumed;
        d.signed("ben", &statement())
    }),
    ("approving over a refusal", "already-refused", |mut d| {
        d.requests[0].state = RequestState::Refused("kim@vendor.example".into());
        d.signed("ben", &statement())
    }),
    (
        "an act that was changed after it was asked for",
        "stale",
        |mut d| {
            d.requests[0].now.acts[0].args.push("--clean".into());
            d.signed("ben", &statement())
        },
    ),
];

/// The same where the rule asks for hardware.
const ON_DEVICES: [Attack; 4] = [
    ("a plain key where a touch is asked", "not-touched", |d| {
        device(d, "ben", Touch::Present)
    }),
    ("a hardware key that nobody touched", "not-touched", |d| {
        d.bench
            .key("cold", &["-t", "ed25519-sk", "-O", "no-touch-required"]);
        device(d, "cold", Touch::Present)
    }),
    ("a touch where a PIN is asked", "not-verified", |d| {
        d.bench.key("warm", &["-t", "ed25519-sk"]);
        device(d, "warm", Touch::Verified)
    }),
    ("a copied hardware key", "counter-fell", |mut d| {
        d.bench.key("twin", &["-t", "ed25519-sk"]);
        d.roster += &format!("twin@example.com {}\n", d.bench.public("twin"));
        let mut before = d.signed("twin", &statement())?;
        (before.request_seq, before.nonce) = (30, "f".repeat(32));
        before.key.counter = before.key.counter.map(|c| c + 1);
        d.accepted.push(before);
        d.signed("twin", &statement())
    }),
];

fn text() -> String {
    statement().for_decision(Decision::Approve).render()
}

/// Eve signs, and this stands before her key in the roster.
fn rostered(mut desk: Desk, line: &str) -> Result<Accepted, Refusal> {
    desk.roster += &format!("{line}{}\n", desk.bench.public("eve"));
    desk.signed("eve", &statement())
}

/// Eve signs with a certificate of an authority that is not in the roster.
fn certified(desk: &Desk, options: &[&str]) -> Result<Accepted, Refusal> {
    desk.bench.key("authority", &["-t", "ed25519"]);
    desk.bench.certify("authority", "eve", options);
    let sig = desk.bench.sign("eve-cert.pub", REAL, text().as_bytes());
    desk.file(Some(text().as_bytes()), &sig)
}

fn device(mut desk: Desk, who: &str, touch: Touch) -> Result<Accepted, Refusal> {
    if who != "ben" {
        desk.roster += &format!("{who}@example.com {}\n", desk.bench.public(who));
    }
    desk.requests[0].statement.touch_needed = touch;
    let asked = desk.requests[0].statement.clone();
    desk.signed(who, &asked)
}

fn attacks() -> Vec<Attack> {
    let mut all = ATTACKS.to_vec();
    if Bench::has_fido() {
        all.extend(ON_DEVICES);
    }
    all
}

#[test]
fn every_attack_on_a_signoff_is_refused_for_its_own_reason_with_its_exit_code() {
    let mut said = BTreeSet::new();
    for (attack, reason, how) in attacks() {
        let refusal = match how(Desk::new()) {
            Err(refusal) => refusal,
            Ok(accepted) => panic!("{attack} was taken as the approval of {}", accepted.person),
        };
        assert_eq!(refusal.name(), reason, "{attack}: {refusal}");
        assert!(
            said.insert(refusal.to_string()),
            "{attack} has the words of another: {refusal}"
        );
        let error = CliError::from(EngineError::from(refusal));
        assert_eq!(error.exit, Exit::Refused, "{attack}");
        assert!(!error.hints.is_empty(), "{attack} has no next step");
    }
    assert!(said.len() >= 30);
}

fn page() -> String {
    std::fs::read_to_string(root().join("docs/threat-model.md")).unwrap()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path, into: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            *into += &std::fs::read_to_string(&path).unwrap();
        }
    }
}

/// The cells of every row of a table of the page.
fn rows(page: &str) -> Vec<Vec<String>> {
    let row = |line: &str| {
        let cells = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ");
        Some(cells.map(|c| c.trim().to_owned()).collect())
    };
    page.lines().filter_map(row).collect()
}

#[test]
fn the_threat_model_lists_every_attack_with_its_reason() {
    let rows = rows(&page());
    for (attack, reason, _) in ATTACKS.iter().chain(&ON_DEVICES) {
        let row = rows
            .iter()
            .find(|row| row.first().is_some_and(|first| first == attack));
        let row = row.unwrap_or_else(|| panic!("docs/threat-model.md has no line for: {attack}"));
        assert_eq!(row[1..], [format!("`{reason}`"), "5".to_owned()], "{attack}");
    }
}

#[test]
fn the_threat_model_names_only_tests_that_exist() {
    let mut all = String::new();
    sources(&root().join("src"), &mut all);
    sources(&root().join("tests"), &mut all);
    let mut named = 0;
    for row in rows(&page()) {
        let [_, stopped, how, tests] = row.as_slice() else {
            continue;
        };
        if how.starts_with("--") || stopped == "stopped" && how == "how" {
            continue;
        }
        let tests: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(
            !tests.is_empty() || stopped.starts_with("no"),
            "no test is named for what is said to be stopped: {row:?}"
        );
        for test in tests {
            named += 1;
            let defined = format!("fn {test}(");
            assert!(
                all.contains(&defined),
                "docs/threat-model.md names `{test}`, which does not exist"
            );
        }
    }
    assert!(named > 20, "the table is not where it was");
}
