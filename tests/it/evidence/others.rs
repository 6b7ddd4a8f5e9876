//! What other people do with a bundle: sign it too, revoke a key, show a part of it.

use incident::evidence::{DiscloseError, disclose, seal_namespace, signer_name, to_countersign};

use super::*;

/// A bundle at a path of its own, so that files can lie beside it.
struct Shelf {
    dir: TempDir,
    case: Case,
}

impl Shelf {
    fn new() -> Self {
        let (dir, case) = (tempfile::tempdir().unwrap(), Case::new(ID));
        fs::write(dir.path().join("shop.tar"), case.bundle()).unwrap();
        Shelf { dir, case }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn bundle(&self) -> PathBuf {
        self.path("shop.tar")
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn report(&self, options: VerifyOptions<'_>) -> VerifyReport {
        verify(&self.bundle(), &options).unwrap()
    }
}

/// A roster of these people only.
fn only(who: &[&str]) -> Vec<u8> {
    let roster = String::from_utf8(roster()).unwrap();
    let mut kept: Vec<&str> = Vec::new();
    for line in roster.lines() {
        if who.iter().any(|who| line.starts_with(who)) {
            kept.push(line);
        }
    }
    (kept.join("\n") + "\n").into_bytes()
}

#[test]
fn others_sign_later_and_every_signer_is_told() {
    let shelf = Shelf::new();
    let message = to_countersign(&shelf.bundle()).unwrap();
    assert_eq!(message, shelf.case.plan().to_sign());
    let ben = sign("ben", SEAL, &message);
    assert_eq!(signer_name(&shelf.bundle(), &ben), "ben@example.com");
    let eve = sign("eve", SEAL, &message);
    assert!(signer_name(&shelf.bundle(), &eve).starts_with("SHA256-"));
    shelf.put("shop.tar.ben@example.com.sig", &ben);
    shelf.put("shop.tar.eve.sig", &eve);

    let roster = roster();
    let pinned = VerifyOptions {
        pinned_signers: Some(&roster),
        ..VerifyOptions::default()
    };
    let report = shelf.report(pinned);
    let words = report.words();
    assert!(
        words[1].starts_with("vouched for: yes, by ana@example.com (SHA256:")
            && words[1].contains(" and ben@example.com ("),
        "{words:?}"
    );
    let told: Vec<String> = report.countersigned.iter().map(|c| c.words()).collect();
    assert!(
        told[0].starts_with("shop.tar.ben@example.com.sig is signed by ben@example.com"),
        "{told:?}"
    );
    assert!(
        told[1].contains("who does not count: no line of the roster has the key"),
        "{told:?}"
    );
    assert_eq!(report.exit_code(), 0);

    // Ben alone is enough where he is the one who is pinned, and so is a bundle that nobody signed at first.
    let bens = only(&["ben"]);
    let by_ben = VerifyOptions {
        pinned_signers: Some(&bens),
        ..VerifyOptions::default()
    };
    assert!(shelf.report(by_ben).words()[1].starts_with("vouched for: yes, by ben@example.com ("));
    fs::write(shelf.bundle(), bytes(&shelf.case.plan(), None)).unwrap();
    let report = shelf.report(by_ben);
    assert_eq!((report.exit_code(), &report.vouched), (0, &Vouched::Unsigned));
    assert_eq!(
        report.words()[3],
        "record 8 is vouched for by the signature of ben@example.com, and none came after it"
    );
    // Unpacked, the signature lies beside the folder.
    let (_dir, top) = unpacked(&bytes(&shelf.case.plan(), None));
    fs::write(top.with_file_name(format!("{ID}.ben@example.com.sig")), &ben).unwrap();
    assert_eq!(verify(&top, &by_ben).unwrap().exit_code(), 0);
    // Without anybody pinned it is still its own word.
    assert_eq!(verify(&top, &VerifyOptions::default()).unwrap().exit_code(), 11);
}

#[test]
fn ssh_keygen_reads_both_kinds_of_signature() {
    let shelf = Shelf::new();
    let message = to_countersign(&shelf.bundle()).unwrap();
    let sig = shelf.put("shop.tar.ben@example.com.sig", &sign("ben", SEAL, &message));
    let (_dir, top) = unpacked(&fs::read(shelf.bundle()).unwrap());
    let verified = |who: &str, sig: &Path| {
        let listed = fs::File::open(top.join("tagmanifest-sha256.txt")).unwrap();
        let mut command = Command::new("ssh-keygen");
        let name = format!("{who}@example.com");
        command.args(["-Y", "verify", "-n", SEAL, "-I", &name, "-f"]);
        command
            .arg(KEYS.path().join("signers"))
            .arg("-s")
            .arg(sig)
            .stdin(listed);
        command.output().unwrap().status.success()
    };
    let embedded = top.join("tagmanifest-sha256.txt.sig");
    assert!(verified("ana", &embedded) && !verified("ben", &embedded));
    assert!(verified("ben", &sig) && !verified("ana", &sig));
}

#[test]
fn a_signature_over_something_else_counts_for_nothing() {
    let shelf = Shelf::new();
    let message = to_countersign(&shelf.bundle()).unwrap();
    let mut other = Case::new(ID);
    other.record("note.added", json!({"text": "another"}));
    let roster = roster();
    for (signature, why) in [
        (
            sign("ben", SEAL, other.plan().to_sign()),
            "the signature does not fit this text",
        ),
        (
            sign("ben", SIGNOFF, &message),
            "it was made for `signoff@incident-v1`",
        ),
        (sign("ben", "git", &message), "it was made for `git`"),
        (b"garbage".to_vec(), "this is no SSH signature"),
        (vec![b'x'; 20 << 10], "larger than 16 KiB"),
    ] {
        let path = shelf.put("shop.tar.ben.sig", &signature);
        let pinned = VerifyOptions {
            pinned_signers: Some(&roster),
            ..VerifyOptions::default()
        };
        // Whoever can write beside a bundle cannot make it look changed, nor vouched for by more people.
        let report = shelf.report(pinned);
        assert!(
            report.countersigned[0].words().contains(why),
            "{:?}",
            report.countersigned
        );
        assert!(
            !report.words()[1].contains("ben") && report.exit_code() == 0,
            "{why}"
        );
        // Named, it was asked for.
        let named = [path];
        let report = shelf.report(VerifyOptions {
            signatures: &named,
            ..pinned
        });
        assert_eq!((report.exit_code(), report.countersigned.len()), (11, 1), "{why}");
        assert_eq!(
            report.words()[1],
            "vouched for: unknown: a signature that was named does not count"
        );
    }
}

#[test]
fn a_revoked_key_never_counts() {
    let shelf = Shelf::new();
    let message = to_countersign(&shelf.bundle()).unwrap();
    let sig = shelf.put("shop.tar.ben.sig", &sign("ben", SEAL, &message));
    let roster = roster();
    let krl = KEYS.path().join("krl-of-ana");
    let public = KEYS.path().join("ana.pub");
    run(Command::new("ssh-keygen")
        .args(["-q", "-k", "-f"])
        .arg(&krl)
        .arg(&public));
    let spec = KEYS.path().join("spec-of-ana");
    let fingerprint = said(&run(Command::new("ssh-keygen").args(["-l", "-f"]).arg(&public)));
    let hash = fingerprint.split(' ').nth(1).unwrap();
    fs::write(&spec, format!("hash: {hash}\n")).unwrap();
    let krl_by_hash = KEYS.path().join("krl-by-hash");
    run(Command::new("ssh-keygen")
        .args(["-q", "-k", "-f"])
        .arg(&krl_by_hash)
        .arg(&spec));
    for list in [&krl, &krl_by_hash, &public] {
        // The tool everybody has says the same of the same list.
        let (_dir, top) = unpacked(&fs::read(shelf.bundle()).unwrap());
        let listed = || fs::File::open(top.join("tagmanifest-sha256.txt")).unwrap();
        let keygen = |who: &str, sig: &Path| {
            let mut command = Command::new("ssh-keygen");
            command.args(["-Y", "verify", "-n", SEAL, "-I", who, "-f"]);
            command.arg(KEYS.path().join("signers")).arg("-s").arg(sig);
            command.arg("-r").arg(list).stdin(listed());
            command.output().unwrap().status.success()
        };
        assert!(!keygen(
            "ana@example.com",
            &top.join("tagmanifest-sha256.txt.sig")
        ));
        assert!(keygen("ben@example.com", &sig));

        let revoked = fs::read(list).unwrap();
        let options = |pinned: bool| VerifyOptions {
            pinned_signers: pinned.then_some(&roster[..]),
            revoked: Some(&revoked),
            ..VerifyOptions::default()
        };
        let report = shelf.report(options(true));
        let words = report.words();
        assert!(
            words[1].starts_with("vouched for: yes, by ben@example.com") && !words[1].contains("ana"),
            "{words:?}"
        );
        assert!(shelf.report(options(false)).words()[1].ends_with("its key is revoked"));
        fs::remove_file(&sig).unwrap();
        let report = shelf.report(options(true));
        assert!(
            report.words()[1].ends_with("its key is revoked"),
            "{:?}",
            report.words()
        );
        assert_eq!(report.exit_code(), 11);
        fs::write(&sig, sign("ben", SEAL, &message)).unwrap();
    }
    // A list that cannot be read whole is not used in part.
    let options = VerifyOptions {
        revoked: Some(b"SSHKRL\n\0garbage"),
        ..VerifyOptions::default()
    };
    let error = verify(&shelf.bundle(), &options).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("the list of revoked keys cannot be used")
    );
}

fn part(shelf: &Shelf, only: &[&str], name: &str) -> PathBuf {
    let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
    let out = shelf.path(name);
    disclose(&shelf.bundle(), &only, &out).unwrap();
    out
}

#[test]
fn a_part_proves_its_exhibits_without_the_rest() {
    let shelf = Shelf::new();
    let out = part(&shelf, &["0001-processes"], "part.tar");
    let roster = roster();
    let report = verified_at(&out, true);
    assert_eq!(
        (report.kind, report.faults.len(), report.exit_code()),
        (Kind::Part, 0, 12)
    );
    let words = report.words();
    assert_eq!(words[0], "unchanged: yes");
    assert!(
        words[1].starts_with("vouched for: yes, by ana@example.com"),
        "{words:?}"
    );
    assert_eq!(
        words[2],
        "complete: no: a part of a sealed bundle; 11 of its 15 files are withheld"
    );
    assert_eq!(verified_at(&out, false).exit_code(), 11);
    let whole = fs::read(&out).unwrap();
    let text = String::from_utf8_lossy(&whole);
    assert!(
        text.contains("PID CMD") && !text.contains("id,total"),
        "only what was chosen"
    );
    assert!(!text.contains("note.added"), "the record is withheld, too");
    assert!(
        text.contains("withheld  journal.jsonl\n") && text.contains("withheld  data/0003-rows/rows.csv\n")
    );

    // With tools we did not write, as the text in front says.
    let (_dir, top) = unpacked(&whole);
    let ledger = fs::read_to_string(top.join("DISCLOSURE.txt")).unwrap();
    let lines: Vec<&str> = ledger.lines().filter_map(|l| l.strip_prefix("  ")).collect();
    assert_eq!(lines.len(), 2, "{ledger}");
    for line in lines {
        run(Command::new("sh").args(["-c", line]).current_dir(&top));
    }
    assert_eq!(verified_at(&top, true).exit_code(), 12);
    // A part never passes for the whole in their eyes either.
    assert!(!script(&top, true).status.success());
    // Somebody else may sign for the whole with only a part in hand.
    let ben = sign("ben", SEAL, &to_countersign(&out).unwrap());
    shelf.put("part.tar.ben.sig", &ben);
    let options = VerifyOptions {
        pinned_signers: Some(&roster),
        ..VerifyOptions::default()
    };
    assert!(verify(&out, &options).unwrap().words()[1].contains("ben@example.com"));
    assert_eq!(seal_namespace(&IncidentId::new(ID).unwrap()), SEAL);
}

#[test]
fn a_part_is_asked_for_by_names_that_are_there() {
    let shelf = Shelf::new();
    let out = shelf.path("x.tar");
    let error = disclose(&shelf.bundle(), &["0009-x".to_owned()], &out).unwrap_err();
    assert!(
        matches!(&error, DiscloseError::NoSuch { there, .. } if there.contains("0001-processes")),
        "{error}"
    );
    assert!(!out.exists());
    for name in ["data/0003-rows/", "0003-rows", "data/0003-rows/rows.csv"] {
        let out = part(&shelf, &[name], "rows.tar");
        assert_eq!(verified_at(&out, true).files, 1, "{name}");
        let again = disclose(&out, &["0003-rows".to_owned()], &shelf.path("again.tar"));
        assert!(matches!(again, Err(DiscloseError::Part)));
        fs::remove_file(out).unwrap();
    }
    part(&shelf, &["journal.jsonl"], "once.tar");
    let twice = disclose(
        &shelf.bundle(),
        &["journal.jsonl".to_owned()],
        &shelf.path("once.tar"),
    );
    assert!(matches!(twice, Err(DiscloseError::Write(WriteError::Exists(_)))));
}

#[test]
fn a_changed_part_is_refused() {
    let shelf = Shelf::new();
    let good = fs::read(part(&shelf, &["0001-processes"], "part.tar")).unwrap();
    let (_dir, top) = unpacked(&good);
    let file = |name: &str| top.join(name);
    let fault = || {
        let report = verified_at(&top, true);
        assert_eq!(report.exit_code(), 10);
        format!("{}: {}", report.faults[0].place, report.faults[0].why)
    };
    let ledger = fs::read_to_string(file("DISCLOSURE.txt")).unwrap();
    let other = "DISCLOSURE.txt: it does not say what is here and what is withheld";

    fs::write(file("data/0001-processes/stdout"), "PID CMD\n1 evil\n").unwrap();
    assert_eq!(
        fault(),
        "data/0001-processes/stdout: its hash is not the one listed"
    );
    fs::write(file("data/0001-processes/stdout"), "PID CMD\n1 init\n").unwrap();
    // Fewer withheld than there are; more shown than there are; a file that is not told of.
    fs::write(
        file("DISCLOSURE.txt"),
        ledger.replace("11 withheld", "1 withheld"),
    )
    .unwrap();
    assert_eq!(fault(), other);
    fs::write(
        file("DISCLOSURE.txt"),
        ledger.replace("withheld  journal.jsonl\n", ""),
    )
    .unwrap();
    assert_eq!(fault(), other);
    let more = ledger.replace("withheld  journal", "shown     journal");
    fs::write(
        file("DISCLOSURE.txt"),
        more.replace("4 of 15 shown, 11", "5 of 15 shown, 10"),
    )
    .unwrap();
    assert_eq!(fault(), "journal.jsonl: listed, but not there");
    fs::write(file("DISCLOSURE.txt"), &ledger).unwrap();
    fs::write(file("journal.jsonl"), "{}\n").unwrap();
    assert_eq!(fault(), "journal.jsonl: in no manifest");
    fs::remove_file(file("journal.jsonl")).unwrap();
    // Without its ledger it is a bundle with missing files.
    fs::remove_file(file("DISCLOSURE.txt")).unwrap();
    assert!(fault().ends_with("listed, but not there"));

    // The same in the archive: no byte of it can be changed, and nothing can be cut.
    for at in (0..good.len()).step_by(7) {
        let mut bad = good.clone();
        bad[at] ^= 0x20;
        assert_eq!(verified(&bad, true).exit_code(), 10, "byte {at}");
    }
    for at in (0..good.len()).step_by(512) {
        assert_eq!(verified(&good[..at], true).exit_code(), 10, "cut at {at}");
    }
}
