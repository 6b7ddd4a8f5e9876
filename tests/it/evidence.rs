//! Bundles: made, read by tools we did not write, damaged in every way we could think of.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "these tests run the real tools and say which of them are missing"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use incident::evidence::{
    BundleMeta, Kind, Plan, PlanError, VerifyOptions, VerifyReport, Vouched, WriteError, plan, verify, write,
    write_file,
};
use incident::journal::{Chain, Hash};
use incident::model::ids::IncidentId;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::not_tested;

mod attacks;
pub mod damage;
#[path = "evidence/hands.rs"]
mod hands;
#[path = "evidence/others.rs"]
mod others;
mod reading;
#[path = "evidence/stamps.rs"]
pub mod stamps;

const ID: &str = "INC-20261122-0314-k7qf";
const TS: &str = "2026-11-22T03:14:07.120Z";
const SEAL: &str = "seal@incident-v1";
const SIGNOFF: &str = "signoff@incident-v1";

/// Keys of ana and ben, who are on the roster, and eve, who is not.
static KEYS: LazyLock<TempDir> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let mut roster = String::new();
    for who in ["ana", "ben", "eve"] {
        let key = dir.path().join(who);
        run(Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", who, "-f"])
            .arg(&key));
        if who != "eve" {
            let public = fs::read_to_string(key.with_extension("pub")).unwrap();
            roster += &format!("{who}@example.com {public}");
        }
    }
    fs::write(dir.path().join("signers"), roster).unwrap();
    dir
});

/// A case whose files are all small, for tests that read it thousands of times.
pub fn small_case() -> Case {
    Case::with_rows(ID, 2)
}

/// Signatures of all namespaces over one message.
pub fn signatures(message: &[u8]) -> Vec<Vec<u8>> {
    [SEAL, SIGNOFF]
        .map(|namespace| sign("ana", namespace, message))
        .into()
}

pub fn roster() -> Vec<u8> {
    fs::read(KEYS.path().join("signers")).unwrap()
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", said(&output));
    output
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Signs with `ssh-keygen -Y sign`, as a person would.
fn sign(who: &str, namespace: &str, message: &[u8]) -> Vec<u8> {
    let mut child = Command::new("ssh-keygen")
        .args(["-Y", "sign", "-q", "-n", namespace, "-f"])
        .arg(KEYS.path().join(who))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(message).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    output.stdout
}

fn started(name: &str) -> Value {
    json!({"name": name, "spec": "host", "step": null, "purpose": "baseline", "mono_us": 1})
}

/// A case on disk: ten records, two exhibits, a hole or none, one sign-off by ben.
pub struct Case {
    _dir: TempDir,
    pub path: PathBuf,
    chain: Chain,
}

impl Case {
    fn new(id: &str) -> Self {
        Case::with_rows(id, 100_000)
    }

    fn with_rows(id: &str, rows: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(id);
        for folder in ["data", "undo", "signoffs", "anchors", "tmp"] {
            fs::create_dir_all(path.join(folder)).unwrap();
        }
        for (name, text) in [
            ("runbook.yaml", "version: 1\n"),
            ("access.yaml", "agents: []\n"),
            ("lock", ""),
            ("case.key", "SECRET-OF-THE-CASE"),
            ("undo/0003-role", "SECRET-FOR-UNDO"),
            ("tmp/torn-9", "SECRET-IN-TMP"),
        ] {
            fs::write(path.join(name), text).unwrap();
        }
        fs::write(path.join("allowed_signers"), roster()).unwrap();
        let mut case = Case {
            _dir: dir,
            path,
            chain: Chain::default(),
        };
        let pin = |name: &str| Hash::of(&fs::read(case.path.join(name)).unwrap()).to_string();
        let pins: BTreeMap<&str, String> = ["access.yaml", "allowed_signers", "runbook.yaml"]
            .map(|name| (name, pin(name)))
            .into();
        case.record(
            "incident.opened",
            json!({"id": id, "nonce": "00112233", "pins": pins}),
        );
        case.capture(
            "processes",
            "collected",
            &[("stdout", b"PID CMD\n1 init\n"), ("meta.json", b"{}\n")],
        );
        case.capture(
            "rows",
            "collected",
            &[("rows.csv", &b"id,total\n1,2\n".repeat(rows))],
        );
        case.signoff("ben", id);
        for n in 0..3 {
            case.record("note.added", json!({"n": n, "text": "back\\slash é \"quoted\""}));
        }
        case
    }

    fn record(&mut self, kind: &str, what: Value) -> u64 {
        let seq = self.chain.next;
        let line = self.chain.write(TS, kind, 1, what, "ana@example.com").unwrap();
        let journal = self.path.join("journal.jsonl");
        let mut file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(journal)
            .unwrap();
        file.write_all(&line).unwrap();
        seq
    }

    fn capture(&mut self, name: &str, status: &str, files: &[(&str, &[u8])]) {
        let seq = self.record("capture.started", started(name));
        let why = if status == "collected" {
            Value::Null
        } else {
            json!("the reason")
        };
        let mut items = Vec::new();
        for (file, bytes) in files {
            let path = format!("data/{seq:04}-{name}/{file}");
            fs::create_dir_all(self.path.join(&path).parent().unwrap()).unwrap();
            fs::write(self.path.join(&path), bytes).unwrap();
            items.push(
                json!({"name": file, "source": "ps aux", "status": status, "bytes": bytes.len(),
                "sha256": Hash::of(bytes), "redactions": 0}),
            );
        }
        if files.is_empty() {
            items.push(
                json!({"name": "list", "source": "ps aux", "status": status, "why": why, "bytes": 0,
                "sha256": "", "redactions": 0}),
            );
        }
        let ended = json!({"capture": seq, "exhibit": format!("{seq:04}-{name}"), "items": items, "ms": 1});
        self.record("capture.ended", ended);
    }

    fn signoff(&mut self, who: &str, id: &str) {
        let request = self.record("signoff.requested", json!({"step": "restore-beside"}));
        let head = self.chain.head;
        let statement = format!(
            "incident-signoff v1\nincident: {id}\nrequest-seq: {request}\nrequest-hash: {head}\nhead-seq: {request}\n\
             head-hash: {head}\nstep: restore-beside\ndecision: approve\nact:\n\"pg_restore\"\n"
        );
        let signature = sign(who, SIGNOFF, statement.as_bytes());
        fs::write(self.path.join(format!("signoffs/{request:08}.txt")), &statement).unwrap();
        fs::write(
            self.path.join(format!("signoffs/{request:08}.txt.sig")),
            signature,
        )
        .unwrap();
    }

    fn meta(&self) -> BundleMeta {
        let id = self.path.file_name().unwrap().to_str().unwrap();
        BundleMeta {
            incident: IncidentId::new(id).unwrap(),
            sealed_by: "ana@example.com".to_owned(),
            sealed_at: TS.to_owned(),
            records: None,
            hash_anew: false,
        }
    }

    fn plan(&self) -> Plan {
        plan(&self.path, &self.meta()).unwrap()
    }

    pub fn bundle(&self) -> Vec<u8> {
        let plan = self.plan();
        let signature = sign("ana", plan.namespace(), plan.to_sign());
        bytes(&plan, Some(&signature))
    }
}

fn bytes(plan: &Plan, signature: Option<&[u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    write(plan, signature, &mut out).unwrap();
    out
}

fn on_disk(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn verified(bundle: &[u8], pinned: bool) -> VerifyReport {
    verified_at(on_disk(bundle).path(), pinned)
}

fn verified_at(path: &Path, pinned: bool) -> VerifyReport {
    let roster = roster();
    let pinned_signers = pinned.then_some(&roster[..]);
    let options = VerifyOptions {
        pinned_signers,
        ..VerifyOptions::default()
    };
    verify(path, &options).unwrap()
}

/// Unpacks with GNU tar and gives the top folder.
fn unpacked(bundle: &[u8]) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    run(Command::new("tar")
        .arg("xf")
        .arg(on_disk(bundle).path())
        .arg("-C")
        .arg(dir.path()));
    let top = fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
    (dir, top)
}

#[test]
fn a_whole_bundle_answers_yes_three_times() {
    let bundle = Case::new(ID).bundle();
    let report = verified(&bundle, true);
    assert_eq!(report.faults, []);
    assert_eq!((report.kind, report.exit_code()), (Kind::Bundle, 0), "{report:?}");
    assert_eq!(
        report.signoffs[0].signer.principal.as_deref(),
        Some("ben@example.com")
    );
    let journal = report.journal.as_ref().unwrap();
    assert_eq!((journal.records, journal.unanchored), (9, 0));
    let fingerprint = match &report.vouched {
        Vouched::Pinned(signer) => signer.fingerprint.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        report.words(),
        [
            "unchanged: yes".to_owned(),
            format!("vouched for: yes, by ana@example.com ({fingerprint})"),
            "complete: yes".to_owned(),
            "record 8 is vouched for by the seal of ana@example.com, and none came after it".to_owned(),
        ]
    );
}

#[test]
fn without_signers_from_outside_nobody_is_vouched_for() {
    let report = verified(&Case::new(ID).bundle(), false);
    assert_eq!(report.exit_code(), 11);
    assert!(matches!(report.vouched, Vouched::SelfAsserted(_)));
    let words = report.words();
    assert_eq!(words[0], "unchanged: yes");
    assert!(
        words[1].starts_with("vouched for: unknown: signed by ana@example.com (SHA256:"),
        "{words:?}"
    );
    assert_eq!(
        words[3],
        "no record is vouched for from outside: the journal stands on its own word"
    );
}

#[test]
fn holes_are_named_and_end_12() {
    let mut case = Case::new(ID);
    for status in [
        "failed",
        "timed-out",
        "forbidden",
        "truncated",
        "skipped",
        "withheld",
    ] {
        case.capture("pods", status, &[]);
    }
    case.record("capture.started", started("disk"));
    fs::create_dir(case.path.join("data/0099-orphan")).unwrap();
    fs::write(case.path.join("data/0099-orphan/x"), "x").unwrap();
    fs::write(case.path.join("data/Odd Name\u{1b}[2J"), "x").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", case.path.join("data/link")).unwrap();
    fs::write(case.path.join("stray.sh"), "x").unwrap();
    let report = verified(&case.bundle(), true);
    assert_eq!(report.faults, []);
    assert_eq!(report.exit_code(), 12);
    let holes: Vec<String> = report
        .holes
        .iter()
        .map(|h| format!("{}: {}", h.what, h.why))
        .collect();
    insta::assert_snapshot!(holes.join("\n"), @r"
    0009-pods/list: failed: the reason
    0011-pods/list: timed out: the reason
    0013-pods/list: forbidden: the reason
    0015-pods/list: truncated: the reason
    0017-pods/list: skipped: the reason
    0019-pods/list: withheld: the reason
    the capture announced by record 21: it was begun and never ended
    file data/Odd Name\u{1b}[2J: not bundled: upper-case letters could be twins of another name
    file data/link: not bundled: not a regular file
    file stray.sh: not bundled: not a file of a case
    data/0099-orphan/x: no record says where it comes from
    ");
}

#[test]
fn the_same_seal_gives_the_same_bytes() {
    let mut case = Case::new(ID);
    let plan = case.plan();
    let signature = sign("ana", plan.namespace(), plan.to_sign());
    let first = bytes(&plan, Some(&signature));
    assert!(first == bytes(&case.plan(), Some(&signature)));

    // The case grows after the seal; the sealed records still give the same bundle.
    let sealed = plan.seal.records;
    case.capture("later", "collected", &[("stdout", b"later")]);
    case.signoff("ben", ID);
    let meta = BundleMeta {
        records: Some(sealed),
        ..case.meta()
    };
    let again = super::evidence::plan(&case.path, &meta).unwrap();
    assert!(first == bytes(&again, Some(&signature)));
    assert!(first != bytes(&case.plan(), Some(&signature)));
}

#[test]
fn nothing_secret_is_bundled() {
    let bundle = Case::new(ID).bundle();
    let text = String::from_utf8_lossy(&bundle);
    for secret in ["SECRET-OF-THE-CASE", "SECRET-FOR-UNDO", "SECRET-IN-TMP"] {
        assert!(!text.contains(secret), "{secret}");
    }
    let ledger = verified(&bundle, true).ledger.unwrap();
    let withheld: Vec<&str> = ledger.withheld.iter().map(|w| w.path.as_str()).collect();
    assert_eq!(
        withheld,
        ["act.lock", "case.key", "lock", "reserve", "tmp", "undo"]
    );
}

#[test]
fn a_file_changed_after_it_was_stored_stops_the_bundle() {
    let case = Case::new(ID);
    let file = case.path.join("data/0001-processes/stdout");
    let plan_before = case.plan();

    // Same size: seen while copying.
    fs::write(&file, b"PID CMD\n1 evil\n").unwrap();
    let out = case.path.parent().unwrap().join("bundle.tar");
    let refused = write_file(&plan_before, None, &out).unwrap_err();
    assert!(
        matches!(&refused, WriteError::Changed { path } if path == "data/0001-processes/stdout"),
        "{refused}"
    );
    assert_eq!(
        fs::read_dir(case.path.parent().unwrap()).unwrap().count(),
        1,
        "nothing is left behind"
    );

    // Handed on all the same: the bundle says which file it is.
    let meta = BundleMeta {
        hash_anew: true,
        ..case.meta()
    };
    let report = verified(&bytes(&plan(&case.path, &meta).unwrap(), None), true);
    assert_eq!(report.exit_code(), 10);
    assert_eq!(
        report.words()[0],
        "unchanged: NO: data/0001-processes/stdout: not what the journal says was stored"
    );

    // Another size, too.
    for other in [&b"x"[..], b"PID CMD\n1 init\nand more"] {
        fs::write(&file, other).unwrap();
        let refused = write_file(&case.plan(), None, &out).unwrap_err();
        assert!(matches!(refused, WriteError::Changed { .. }), "{refused}");
    }
    // Gone: seen while planning.
    fs::remove_file(&file).unwrap();
    let refused = plan(&case.path, &case.meta()).unwrap_err();
    assert!(matches!(refused, PlanError::Gone { .. }), "{refused}");
    assert_eq!(
        refused.to_string(),
        "data/0001-processes/stdout: the journal says 15 bytes were stored, and it is not there"
    );
}

#[test]
fn a_bundle_never_replaces_a_file() {
    let case = Case::new(ID);
    let out = case.path.parent().unwrap().join("bundle.tar");
    write_file(&case.plan(), None, &out).unwrap();
    let before = fs::read(&out).unwrap();
    assert!(matches!(
        write_file(&case.plan(), None, &out),
        Err(WriteError::Exists(_))
    ));
    assert!(fs::read(&out).unwrap() == before);
    assert_eq!(verified_at(&out, true).exit_code(), 11);
}

#[test]
fn a_case_without_evidence_is_still_a_bag() {
    let mut case = Case::new(ID);
    fs::remove_dir_all(case.path.join("data")).unwrap();
    fs::remove_file(case.path.join("journal.jsonl")).unwrap();
    fs::remove_dir_all(case.path.join("signoffs")).unwrap();
    case.chain = Chain::default();
    case.record("incident.opened", json!({}));
    let bundle = case.bundle();
    assert_eq!(verified(&bundle, true).exit_code(), 0);
    let (_dir, top) = unpacked(&bundle);
    plain_tools_agree(&top);
}

#[test]
fn a_drill_never_passes_for_real() {
    let case = Case::new("DRILL-20261122-0314-k7qf");
    let plan = case.plan();
    assert_eq!(plan.namespace(), "seal-drill@incident-v1");
    let report = verified(&bytes(&plan, Some(&sign("ana", SEAL, plan.to_sign()))), true);
    assert_eq!(report.exit_code(), 10);
    assert!(
        report.faults[0].why.contains("seal@incident-v1"),
        "{:?}",
        report.faults
    );
}

/// `sha256sum` on both lists, `bagit.py`, `ssh-keygen -Y verify`, and the script in the bundle.
fn plain_tools_agree(top: &Path) {
    for list in ["tagmanifest-sha256.txt", "manifest-sha256.txt"] {
        run(Command::new("sha256sum")
            .args(["--strict", "-c", list])
            .current_dir(top));
    }
    let list = fs::File::open(top.join("tagmanifest-sha256.txt")).unwrap();
    run(Command::new("ssh-keygen")
        .args([
            "-Y",
            "verify",
            "-I",
            "ana@example.com",
            "-n",
            SEAL,
            "-s",
            "tagmanifest-sha256.txt.sig",
            "-f",
        ])
        .arg(KEYS.path().join("signers"))
        .stdin(list)
        .current_dir(top));
    let script = script(top, true);
    assert_eq!(script.status.code(), Some(0), "{}", said(&script));
    let bagit = std::env::var_os("INCIDENT_BAGIT").unwrap_or_else(|| "bagit.py".into());
    match Command::new(&bagit).arg("--validate").arg(top).output() {
        Ok(output) => assert!(output.status.success(), "{}", said(&output)),
        Err(why) => not_tested(&format!("bagit ({}: {why})", Path::new(&bagit).display())),
    }
}

fn script(top: &Path, pinned: bool) -> Output {
    let mut command = Command::new("sh");
    command.arg("VERIFY.txt").current_dir(top);
    if pinned {
        command.arg(KEYS.path().join("signers"));
    }
    command.output().unwrap()
}

#[test]
fn tools_we_did_not_write_agree() {
    let bundle = Case::new(ID).bundle();
    let (_dir, top) = unpacked(&bundle);
    plain_tools_agree(&top);
    assert_eq!(script(&top, false).status.code(), Some(11));
    let report = verified_at(&top, true);
    assert_eq!(
        (report.kind, report.exit_code()),
        (Kind::UnpackedBundle, 0),
        "{report:?}"
    );
}

#[test]
fn every_tar_unpacks_the_same() {
    let bundle = Case::new(ID).bundle();
    let (_gnu, top) = unpacked(&bundle);
    let packed = on_disk(&bundle);
    let names = |program: &str| {
        let listed = run(Command::new(program).arg("tf").arg(packed.path()));
        String::from_utf8(listed.stdout).unwrap()
    };
    let dir = tempfile::tempdir().unwrap();
    let mut unpack = Command::new("bsdtar");
    unpack.arg("xf").arg(packed.path()).arg("-C").arg(dir.path());
    let Ok(done) = unpack.output() else {
        not_tested("BSD tar (`bsdtar`, Debian libarchive-tools)");
        return;
    };
    assert!(done.status.success() && said(&done).is_empty(), "{}", said(&done));
    assert_eq!(names("tar"), names("bsdtar"));
    run(Command::new("diff")
        .arg("-r")
        .arg(&top)
        .arg(dir.path().join(top.file_name().unwrap())));
    plain_tools_agree(&dir.path().join(top.file_name().unwrap()));
}

#[test]
fn the_script_and_we_see_the_same_damage() {
    let bundle = Case::new(ID).bundle();
    let edit = |name: &'static str, from: &'static str, to: &'static str| {
        move |top: &Path| {
            let text = fs::read_to_string(top.join(name)).unwrap();
            assert!(text.contains(from));
            fs::write(top.join(name), text.replacen(from, to, 1)).unwrap();
        }
    };
    type Damage = Box<dyn Fn(&Path)>;
    let damages: Vec<(&str, Damage)> = vec![
        (
            "an edited record",
            Box::new(edit("journal.jsonl", "note.added", "note.edited")),
        ),
        (
            "an edited exhibit",
            Box::new(edit("data/0001-processes/stdout", "init", "evil")),
        ),
        (
            "an edited sign-off",
            Box::new(edit("signoffs/00000005.txt", "approve", "refuse")),
        ),
        (
            "an edited list",
            Box::new(edit("tagmanifest-sha256.txt", "0", "1")),
        ),
        (
            "an extra file",
            Box::new(|top| fs::write(top.join("data/x"), "x").unwrap()),
        ),
        (
            "a missing file",
            Box::new(|top| fs::remove_file(top.join("data/0001-processes/stdout")).unwrap()),
        ),
        (
            "a missing sign-off",
            Box::new(|top| fs::remove_file(top.join("signoffs/00000005.txt")).unwrap()),
        ),
        (
            "a link to the same bytes",
            Box::new(|top| {
                fs::rename(top.join("runbook.yaml"), top.with_extension("moved")).unwrap();
                std::os::unix::fs::symlink(top.with_extension("moved"), top.join("runbook.yaml")).unwrap();
            }),
        ),
        (
            "a dropped tail",
            Box::new(|top| {
                let text = fs::read_to_string(top.join("journal.jsonl")).unwrap();
                let cut = text.trim_end().rfind('\n').unwrap() + 1;
                fs::write(top.join("journal.jsonl"), &text[..cut]).unwrap();
                relist(top);
            }),
        ),
    ];
    for (what, damage) in damages {
        let (_dir, top) = unpacked(&bundle);
        damage(&top);
        let ours = verified_at(&top, true);
        assert_eq!(ours.exit_code(), 10, "{what}: {ours:?}");
        let theirs = script(&top, true);
        assert_eq!(theirs.status.code(), Some(10), "{what}: {}", said(&theirs));
    }
}

/// Makes the lists true again, as someone without a key could.
fn relist(top: &Path) {
    let list = fs::read_to_string(top.join("tagmanifest-sha256.txt")).unwrap();
    let again: String = list
        .lines()
        .map(|l| {
            format!(
                "{}  {}\n",
                Hash::of(&fs::read(top.join(&l[66..])).unwrap()),
                &l[66..]
            )
        })
        .collect();
    fs::write(top.join("tagmanifest-sha256.txt"), again).unwrap();
    fs::remove_file(top.join("tagmanifest-sha256.txt.sig")).unwrap();
}

#[test]
fn a_live_case_is_verified_too() {
    let case = Case::new(ID);
    let report = verified_at(&case.path, true);
    assert_eq!((report.kind, report.exit_code()), (Kind::Case, 11), "{report:?}");
    assert_eq!(
        report.words()[3],
        "record 5 is vouched for by the sign-off of ben@example.com; 3 records after it stand on their own word"
    );

    fs::write(case.path.join("data/0001-processes/stdout"), b"PID CMD\n1 evil\n").unwrap();
    let report = verified_at(&case.path, true);
    assert_eq!(
        report.words()[0],
        "unchanged: NO: data/0001-processes/stdout: not what the journal says was stored"
    );

    let journal = fs::read_to_string(case.path.join("journal.jsonl")).unwrap();
    fs::write(
        case.path.join("journal.jsonl"),
        journal.replacen("incident.opened", "incident.closed", 1),
    )
    .unwrap();
    let report = verified_at(&case.path, true);
    let words = report.words();
    assert!(
        words[0].starts_with("unchanged: NO: journal.jsonl, line 2: record 1: it does not follow"),
        "{words:?}"
    );
    assert!(matches!(
        plan(&case.path, &case.meta()),
        Err(PlanError::Journal(_))
    ));
}

#[test]
fn a_repaired_journal_is_one_chain_over_two_files() {
    let mut case = Case::new(ID);
    let journal = case.path.join("journal.jsonl");
    let good = fs::read(&journal).unwrap();
    let damaged = [&good[..], b"garbage\n"].concat();
    fs::write(case.path.join("journal.damaged-1.jsonl"), &damaged).unwrap();
    fs::remove_file(&journal).unwrap();
    case.record(
        "journal.continued",
        json!({"damaged": "journal.damaged-1.jsonl", "sha256": Hash::of(&damaged), "len": damaged.len(), "good": 9}),
    );
    let bundle = case.bundle();
    let report = verified(&bundle, true);
    assert_eq!(
        (report.exit_code(), report.journal.as_ref().unwrap().records),
        (0, 10),
        "{report:?}"
    );
    assert!(
        report.notes[0].starts_with("journal.damaged-1.jsonl is damaged and was continued"),
        "{report:?}"
    );
    let (_dir, top) = unpacked(&bundle);
    plain_tools_agree(&top);

    // A damaged file that is not the one that was continued.
    fs::write(
        case.path.join("journal.damaged-1.jsonl"),
        [&damaged[..], b"more\n"].concat(),
    )
    .unwrap();
    let report = verified(&case.bundle(), true);
    assert_eq!(
        report.words()[0],
        "unchanged: NO: journal.jsonl: it does not begin with a record that names journal.damaged-1.jsonl"
    );
}
