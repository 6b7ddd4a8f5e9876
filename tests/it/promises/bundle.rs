//! Promise 8, the bundle proves itself with plain tools; promise 9, holes stand in the signed ledger.

use std::process::Command as Program;

use incident::evidence::{BundleMeta, VerifyOptions, plan, verify, write_file};
use incident::model::act::CaptureSpec;

use super::*;
use crate::support::not_tested;

fn said(program: &mut Program) -> (bool, String) {
    let out = program.output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    (out.status.success(), text)
}

fn has(program: &str) -> bool {
    let there = Program::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .output();
    let there = there.is_ok_and(|o| o.status.success());
    if !there {
        not_tested(program);
    }
    there
}

/// The bundle of a case, sealed by ana's drill key.
fn sealed(room: &Room, engine: &Engine<'_>) -> PathBuf {
    engine.seal(true).unwrap();
    let journal = fs::read_to_string(case_of(engine).join("journal.jsonl")).unwrap();
    let sealing: serde_json::Value = serde_json::from_str(journal.lines().last().unwrap()).unwrap();
    let meta = BundleMeta {
        incident: engine.incident().unwrap().id().clone(),
        sealed_by: ANA.to_owned(),
        sealed_at: sealing["ts"].as_str().unwrap().to_owned(),
        records: None,
        hash_anew: false,
    };
    let plan = plan(&case_of(engine), &meta).unwrap();
    let ana = &room.drill.people[0];
    let signature = ana.sign(plan.namespace(), plan.to_sign()).unwrap();
    let path = room.folder.path().join("bundle.tar");
    write_file(&plan, Some(signature.as_bytes()), &path).unwrap();
    path
}

#[test]
fn promise_08_the_bundle_of_a_whole_incident_proves_itself_with_plain_tools() {
    let room = Room::new(80);
    let engine = room.open();
    room.walk(&engine, |next| matches!(next, Next::Closed));
    let bundle = sealed(&room, &engine);
    if !(has("tar") && has("sha256sum") && has("ssh-keygen")) {
        return;
    }
    let out = room.folder.path().join("out");
    fs::create_dir(&out).unwrap();
    let (ok, text) = said(Program::new("tar").arg("-xf").arg(&bundle).arg("-C").arg(&out));
    assert!(ok, "{text}");
    let bag = fs::read_dir(&out).unwrap().next().unwrap().unwrap().path();
    for manifest in ["manifest-sha256.txt", "tagmanifest-sha256.txt"] {
        let check = |bag: &Path| {
            said(
                Program::new("sha256sum")
                    .args(["-c", "--strict", "--quiet", manifest])
                    .current_dir(bag),
            )
        };
        let (ok, text) = check(&bag);
        assert!(ok, "{manifest}: {text}");
        assert!(fs::read_to_string(bag.join(manifest)).unwrap().lines().count() >= 6);
    }
    // The seal, and every answer that counted, by the program everybody has.
    let roster: String = room.drill.people.iter().map(|p| p.roster_line()).collect();
    let signers = room.folder.path().join("signers");
    fs::write(&signers, roster).unwrap();
    let verified = |who: &str, namespace: &str, text: &Path, signature: &Path| {
        said(
            Program::new("ssh-keygen")
                .args(["-Y", "verify", "-I", who, "-n", namespace, "-f"])
                .arg(&signers)
                .arg("-s")
                .arg(signature)
                .stdin(fs::File::open(text).unwrap()),
        )
    };
    let tag = bag.join("tagmanifest-sha256.txt");
    let sig = bag.join("tagmanifest-sha256.txt.sig");
    let (ok, text) = verified(ANA, "seal-drill@incident-v1", &tag, &sig);
    assert!(ok, "{text}");
    assert!(
        !verified(BEN, "seal-drill@incident-v1", &tag, &sig).0,
        "ana sealed it, not ben"
    );
    let mut answers = 0;
    for entry in fs::read_dir(bag.join("signoffs")).unwrap() {
        let sig = entry.unwrap().path();
        let name = sig.file_name().unwrap().to_string_lossy().into_owned();
        if !name.ends_with(".txt.sig") {
            continue;
        }
        let by = |who: &&&str| verified(who, "signoff-drill@incident-v1", &sig.with_extension(""), &sig).0;
        assert_eq!([BEN, KIM].iter().filter(by).count(), 1, "{name}");
        answers += 1;
    }
    assert_eq!(answers, 2);
    let bagit = std::env::var_os("INCIDENT_BAGIT").map(PathBuf::from);
    match bagit.filter(|p| p.exists()) {
        None => not_tested("the bagit validator (INCIDENT_BAGIT names bagit.py)"),
        Some(script) => {
            let (ok, text) = said(Program::new(script).arg("--validate").arg(&bag));
            assert!(ok, "{text}");
        }
    }
    // One flipped byte anywhere in the record is found by them, too.
    let journal = bag.join("journal.jsonl");
    let mut bytes = fs::read(&journal).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&journal, bytes).unwrap();
    let (ok, _) = said(
        Program::new("sha256sum")
            .args(["-c", "--quiet", "tagmanifest-sha256.txt"])
            .current_dir(&bag),
    );
    assert!(!ok);
}

#[test]
fn promise_09_what_was_not_collected_stands_in_the_signed_ledger() {
    let room = Room::new(81);
    let engine = room.open();
    room.walk(&engine, |next| matches!(next, Next::Ask { .. }));
    let missing = PathBuf::from("/srv/rental/gone.log");
    let spec = CaptureSpec::File {
        path: missing.clone(),
    };
    engine.capture(&spec, None, "baseline").unwrap();
    let spec = CaptureSpec::Command {
        argv: [
            "/usr/bin/psql",
            "-d",
            "bookings",
            "-Atc",
            "select count(*) from bookings",
        ]
        .map(str::to_owned)
        .to_vec(),
        cwd: None,
    };
    engine.capture(&spec, None, "baseline").unwrap();
    room.walk(&engine, |next| matches!(next, Next::Closed));
    let bundle = sealed(&room, &engine);
    let roster: String = room.drill.people.iter().map(|p| p.roster_line()).collect();
    let report = verify(
        &bundle,
        &VerifyOptions {
            pinned_signers: Some(roster.as_bytes()),
            ..VerifyOptions::default()
        },
    )
    .unwrap();
    assert_eq!(report.faults, []);
    let holes: String = report
        .holes
        .iter()
        .map(|h| format!("{}: {}\n", h.what, h.why))
        .collect();
    assert!(holes.contains("gone.log") && holes.contains("command"), "{holes}");
    assert_eq!(report.exit_code(), 12, "{holes}");
    // It is under the signature: the seal covers the ledger through the tag manifest.
    let out = room.folder.path().join("out");
    fs::create_dir(&out).unwrap();
    let (ok, text) = said(Program::new("tar").arg("-xf").arg(&bundle).arg("-C").arg(&out));
    assert!(ok, "{text}");
    let bag = fs::read_dir(&out).unwrap().next().unwrap().unwrap().path();
    let tags = fs::read_to_string(bag.join("tagmanifest-sha256.txt")).unwrap();
    let ledger = tags
        .lines()
        .find_map(|l| l.split_whitespace().nth(1).filter(|n| n.starts_with("ledger")));
    let ledger = fs::read_to_string(bag.join(ledger.unwrap())).unwrap();
    assert!(ledger.contains("gone.log"), "{ledger}");
    assert!(
        ledger.contains("undo") && ledger.contains("withheld"),
        "what stays home is said: {ledger}"
    );
}
