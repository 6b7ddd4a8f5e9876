//! Readers of bundles and cases.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;

use incident::evidence::{Shelf, VerifyOptions, disclose, verify};
use incident::journal::Hash;

use super::mutant::{Mutant, Random};
use super::{as_is, feed};
use crate::evidence::damage::Kit;
use crate::evidence::{roster, small_case};

const LEDGER: &str = "ledger.json";

/// Verifies and reads what is at this path. Says the exit code and whether it is unchanged.
fn looked_at(path: &Path) -> (u8, bool) {
    let signers = roster();
    let options = VerifyOptions {
        pinned_signers: Some(&signers),
        ..VerifyOptions::default()
    };
    let Ok(report) = verify(path, &options) else {
        return (2, false);
    };
    let said = report.words().concat();
    assert!(!said.contains(|c: char| c.is_control()), "{said:?}");
    if let Ok(shelf) = Shelf::open(path) {
        for file in shelf.files().iter().chain(shelf.beside()) {
            let mut bytes = Vec::new();
            let Ok(mut reading) = shelf.read(file) else {
                continue;
            };
            let _ = reading.read_to_end(&mut bytes);
            let agrees = reading.agrees().is_ok();
            assert_eq!(agrees, Hash::of(&bytes) == file.sha256, "{}", file.name);
            assert!(
                agrees || !report.unchanged(),
                "{} is changed, and `verify` says it is not",
                file.name
            );
        }
        if let Ok(rows) = shelf.rows() {
            assert!(rows.take_while(Result::is_ok).count() as u64 <= shelf.ledger.rows);
        }
    }
    (report.exit_code(), report.unchanged())
}

/// Makes the checksum of every block true that looks like a header, as whoever changes one would.
fn checksums(random: &mut Random, mut input: Vec<u8>) -> Vec<u8> {
    if random.one_in(2) {
        for block in input.chunks_exact_mut(512) {
            if &block[257..262] == b"ustar" {
                crate::evidence::damage::checksum(block.try_into().unwrap());
            }
        }
    }
    input
}

#[test]
#[ignore = "runs in a process of its own"]
fn bundles_as_bytes() {
    let good = small_case().bundle();
    let top = "INC-20261122-0314-k7qf/";
    let words = [
        top,
        "ustar\0",
        "data/0001-processes/stdout",
        "SEAL.txt",
        "00000000017\0",
        "x\0\0\0\0",
        "30 path=/etc/cron.d/evil-thing\n",
    ];
    let mutant = Mutant::new([good.clone()], &words);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("b.tar");
    feed("bundles as bytes", &mutant, checksums, |input| {
        fs::write(&file, input).unwrap();
        let (code, unchanged) = looked_at(&file);
        assert_eq!(code == 0, input == good, "exit code {code}");
        assert!(!unchanged || input == good);
    });
}

/// The contents of one member changed, and all lists made true by somebody without a key.
#[test]
#[ignore = "runs in a process of its own"]
fn bundles_made_true_again() {
    let good = Kit::of(&small_case().bundle());
    let files = good.files();
    let names: Vec<String> = files.keys().cloned().collect();
    let mutant = Mutant::new(
        files.values().cloned(),
        &[
            "data/",
            "journal-head: ",
            "  ",
            "\"withheld\": [",
            "Payload-Oxum: ",
        ],
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("b.tar");
    let turn = std::cell::Cell::new(0);
    let choose = |random: &mut Random, input: Vec<u8>| {
        turn.set(random.below(names.len()));
        // Mostly a change of this very file, not of another.
        match random.one_in(4) {
            true => input,
            false => {
                Mutant::new([files[&names[turn.get()]].clone()], &["data/", "0"]).next(random, super::INPUT)
            }
        }
    };
    feed("bundles made true again", &mutant, choose, |input| {
        let name = &names[turn.get()];
        let mut kit = good.clone();
        kit.set(name, input);
        match name.as_str() {
            "tagmanifest-sha256.txt" => kit.unsigned(),
            "manifest-sha256.txt" => kit.relist_tags(),
            _ => kit.relist(),
        }
        fs::write(&file, kit.bytes()).unwrap();
        let (code, unchanged) = looked_at(&file);
        assert_ne!(code, 0, "nobody signed it");
        // Nothing binds the script, which a note says; the rest follows from the journal, or is signed itself.
        assert!(
            !unchanged || follows(kit.files()) == follows(files.clone()),
            "{name}"
        );
    });
}

/// False for files that may differ in a bundle that fits together.
fn bound(name: &str) -> bool {
    name != "VERIFY.txt" && !name.contains("manifest-sha256.txt")
}

/// The bound files, of the ledger what follows from the journal: why a file was kept out follows from nothing,
/// and where it is not in our words, a note says so.
fn follows(files: BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
    let bound = files.into_iter().filter(|(name, _)| bound(name));
    let mut bound: BTreeMap<_, _> = bound.collect();
    let ledger = bound.get_mut(LEDGER).unwrap();
    let rows = memchr::memmem::find(ledger, b"\n  \"withheld\": ");
    ledger.truncate(rows.unwrap_or(ledger.len()));
    bound
}

/// A part of a bundle, which is never the whole, whatever becomes of it.
#[test]
#[ignore = "runs in a process of its own"]
fn disclosed_parts() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, file) = (folder.path().join("whole.tar"), folder.path().join("p.tar"));
    fs::write(&whole, small_case().bundle()).unwrap();
    let part = |only: &str, name: &str| {
        let out = folder.path().join(name);
        disclose(&whole, &[only.to_owned()], &out).unwrap();
        fs::read(out).unwrap()
    };
    let seeds = [part("0001-processes", "a.tar"), part("journal.jsonl", "b.tar")];
    let words = [
        "incident-disclosure v1\n",
        "withheld  data/",
        "shown  ",
        "files: 4 of 15 shown",
        "data/0003-rows/rows.csv",
        "DISCLOSURE.txt",
    ];
    let mutant = Mutant::new(seeds.clone(), &words);
    feed("disclosed parts", &mutant, checksums, |input| {
        fs::write(&file, input).unwrap();
        let (code, unchanged) = looked_at(&file);
        assert_ne!(code, 0, "a part is never complete");
        assert!(!unchanged || seeds.iter().any(|s| s == input));
        // Neither is it made into another part.
        let again = disclose(
            &file,
            &["0001-processes".to_owned()],
            &folder.path().join("again.tar"),
        );
        assert!(again.is_err());
    });
}

/// The folder of a case, whose journal is anything.
#[test]
#[ignore = "runs in a process of its own"]
fn cases() {
    let case = small_case();
    let journal = case.path.join("journal.jsonl");
    let good = fs::read(&journal).unwrap();
    let mutant = Mutant::new(
        [good],
        &[
            "\"exhibit\":\"../..",
            "\"sha256\":\"",
            "\"items\":[",
            "capture.ended",
        ],
    );
    feed("cases", &mutant, as_is, |input| {
        fs::write(&journal, input).unwrap();
        let (code, _) = looked_at(&case.path);
        assert!(matches!(code, 10 | 11), "{code}");
    });
}
