//! Lies told by somebody who holds the key of a seal, and keys that should no longer count.

use super::*;

/// What is done, the exit code, and where and why the first fault is seen (or who is not vouched for).
const LIES: &[(&str, Damage, u8, &str)] = &[
    (
        "a signer added to the roster",
        |k| {
            let eve = fs::read_to_string(KEYS.path().join("eve.pub")).unwrap();
            let roster = k.text("allowed_signers") + &format!("eve@example.com {eve}");
            k.set("allowed_signers", roster);
        },
        10,
        "allowed_signers: not the file that was pinned when the incident opened",
    ),
    (
        "another runbook",
        |k| k.set("runbook.yaml", "version: 1\nboundary: {inside: [one-way]}\n"),
        10,
        "runbook.yaml: not the file that was pinned when the incident opened",
    ),
    (
        "another list of access",
        |k| k.set("access.yaml", "agents: [x]\n"),
        10,
        "access.yaml: not the file that was pinned when the incident opened",
    ),
    (
        "no runbook",
        |k| {
            let n = k.at("runbook.yaml");
            k.members.remove(n);
        },
        10,
        "runbook.yaml: it was pinned when the incident opened, but it is not there",
    ),
    (
        "a pinned file that no record pinned, everything made true",
        |k| {
            k.rechain(|records| {
                drop(
                    records[0].what["pins"]
                        .as_object_mut()
                        .unwrap()
                        .remove("access.yaml"),
                )
            })
        },
        10,
        "access.yaml: no such file was pinned when the incident opened",
    ),
    (
        "the journal of another incident, everything made true",
        |k| k.rechain(|records| records[0].what["id"] = json!("INC-20260101-0101-abcd")),
        10,
        "journal.jsonl, line 1: it is the record of INC-20260101-0101-abcd, not of INC-20261122-0314-k7qf",
    ),
    (
        "the journal of another incident, and its seal not made true",
        |k| {
            let other = Case::new("INC-20260101-0101-abcd");
            k.set(
                "journal.jsonl",
                fs::read(other.path.join("journal.jsonl")).unwrap(),
            );
        },
        10,
        "SEAL.txt: the head is",
    ),
    (
        "sealed in the past",
        |k| {
            k.replace("SEAL.txt", "sealed-at: 2026-11-22", "sealed-at: 2025-11-22");
            k.replace("bag-info.txt", "2026-11-22", "2025-11-22");
        },
        10,
        "SEAL.txt: by its time it was sealed before its newest record was written",
    ),
    (
        "the last records of another incident",
        |k| {
            let own = k.text("journal.jsonl");
            let other = Case::new("INC-20260101-0101-abcd");
            let other = fs::read_to_string(other.path.join("journal.jsonl")).unwrap();
            let lines = own.lines().take(6).chain(other.lines().skip(6));
            let spliced: String = lines.map(|l| format!("{l}\n")).collect();
            k.set("journal.jsonl", spliced);
        },
        10,
        "journal.jsonl, line 7: record 6: it does not follow from the record before it",
    ),
    (
        "a file more than the journal knows",
        |k| {
            k.members.push(member("data/0008-more/x", "x"));
            let total: u64 = k
                .text("bag-info.txt")
                .rsplit_once(": ")
                .unwrap()
                .1
                .trim()
                .split_once('.')
                .unwrap()
                .0
                .parse()
                .unwrap();
            let info = k
                .text("bag-info.txt")
                .replace(&format!("{total}.3"), &format!("{}.4", total + 1));
            k.set("bag-info.txt", info);
        },
        12,
        "data/0008-more/x: no record says where it comes from",
    ),
    (
        "a hole taken out of the ledger",
        |k| k.replace("ledger.json", "\"withheld\": [", "\"withheld\": [] , \"x\": ["),
        10,
        "ledger.json: ",
    ),
    (
        "BagIt's word for another charset",
        |k| k.replace("bagit.txt", "UTF-8", "UTF-7"),
        10,
        "bagit.txt: not what follows from the seal and the evidence",
    ),
    (
        "a list of files to fetch",
        |k| {
            k.members
                .insert(8, member("fetch.txt", "http://203.0.113.9/x 1 data/x\n"))
        },
        10,
        "`fetch.txt`: not a file of a bundle",
    ),
];

#[test]
fn what_a_seal_cannot_make_true() {
    let good = Kit::new();
    let mut wrong = String::new();
    for (what, lie, code, words) in LIES {
        let mut kit = good.clone();
        lie(&mut kit);
        kit.reseal("ana");
        let report = verified(&kit.bytes(), true);
        let said = report.words();
        if report.exit_code() != *code || !said.iter().any(|w| w.contains(words)) {
            wrong += &format!("{what}: {} {said:#?}, not {code} {words}\n", report.exit_code());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// An older bundle's list and seal before a newer bundle's files.
#[test]
fn a_seal_is_not_good_for_a_later_state() {
    let mut case = Case::new(ID);
    let old = Kit::of(&case.bundle());
    case.record("note.added", json!({"n": 9}));
    let mut new = Kit::of(&case.bundle());
    new.members[..2].clone_from_slice(&old.members[..2]);
    let report = verified(&new.bytes(), true);
    assert_eq!(report.exit_code(), 10);
    assert_eq!(report.faults[0].place, "SEAL.txt");
}

/// A bundle under the name of another incident: every header is rewritten, no content.
#[test]
fn a_bundle_has_one_name() {
    let mut kit = Kit::new();
    for member in &mut kit.members {
        let name = path_of(&member.header).replace(TOP, "INC-20260101-0101-abcd");
        *member = odd(&name, b'0', "", &member.data.clone());
    }
    let report = verified(&kit.bytes(), true);
    assert_eq!(report.exit_code(), 10);
    assert_eq!(
        report.words()[0],
        "unchanged: NO: SEAL.txt: it seals INC-20261122-0314-k7qf, but the bundle is called INC-20260101-0101-abcd"
    );
}

/// The right signature, and signers from outside who do not accept its key.
#[test]
fn a_key_counts_only_as_the_pinned_signers_say() {
    let bundle = on_disk(&Kit::new().bytes());
    let public = |who: &str| fs::read_to_string(KEYS.path().join(who).with_extension("pub")).unwrap();
    let (ana, ben) = (public("ana"), public("ben"));
    let ben = format!("ben@example.com {ben}");
    let answer = |signers: &str| {
        let options = VerifyOptions {
            pinned_signers: Some(signers.as_bytes()),
            ..VerifyOptions::default()
        };
        let report = verify(bundle.path(), &options).map_err(|e| e.to_string())?;
        assert!(report.unchanged());
        Ok::<_, String>((report.exit_code(), report.words()[1].clone()))
    };
    assert_eq!(answer(&format!("ana@example.com {ana}{ben}")).unwrap().0, 0);
    for (what, signers, words) in [
        (
            "revoked: the line is gone",
            ben.clone(),
            "no line of the roster has the key",
        ),
        (
            "revoked: it ended before the seal",
            format!("ana@example.com valid-before=\"20261121Z\" {ana}{ben}"),
            "made this key valid only until 2026-11-21",
        ),
        (
            "not valid yet",
            format!("ana@example.com valid-after=\"20261123Z\" {ana}{ben}"),
            "makes this key valid only from 2026-11-23",
        ),
        (
            "a key for sign-offs only",
            format!("ana@example.com namespaces=\"signoff@incident-v1\" {ana}{ben}"),
            "allows this key for `signoff@incident-v1` only",
        ),
        (
            "anybody's key",
            format!("*@example.com {ana}{ben}"),
            "is a pattern and no person",
        ),
        (
            "an authority's key",
            format!("ana@example.com cert-authority {ana}{ben}"),
            "certificate authority",
        ),
        (
            "one key for two people",
            format!("ana@example.com {ana}kim@vendor.example {ana}{ben}"),
            "under several names",
        ),
        ("nobody", String::new(), "no line of the roster has the key"),
    ] {
        let (code, said) = answer(&signers).unwrap();
        assert!(code == 11 && said.contains(words), "{what}: {code} {said}");
    }
    // A signer of a sign-off who is gone counts no more than one of the seal.
    let (code, said) = answer(&format!("ana@example.com {ana}")).unwrap();
    assert_eq!(code, 11, "{said}");
    // Signers that cannot be read are no signers.
    let refused = answer(&format!(
        "ana@example.com {ana}ben@example.com valid-before=20260101 ssh-ed25519 AAAA\n"
    ));
    assert!(refused.unwrap_err().contains("the pinned signers have 1"));
}

/// Records of an older or newer version are holes: named, never guessed.
#[test]
fn a_record_of_another_version_is_a_hole() {
    for v in [0, 2, u32::MAX] {
        let mut case = Case::new(ID);
        let what = json!({"capture": 1, "exhibit": "0001-processes", "items": [], "ms": 1});
        let line = case
            .chain
            .write(TS, "capture.ended", v, what, "ana@example.com")
            .unwrap();
        let journal = case.path.join("journal.jsonl");
        fs::write(&journal, [fs::read(&journal).unwrap(), line].concat()).unwrap();
        let report = verified(&case.bundle(), true);
        assert_eq!(report.exit_code(), 12, "{:?}", report.words());
        assert_eq!(
            report.words()[2],
            "complete: no: the exhibit in record 9: this version cannot read it"
        );
    }
    for (kind, v) in [
        ("incident.opened", 0),
        ("incident.opened", 2),
        ("incident.forgiven", 1),
    ] {
        let refused = incident::model::event::Event::decode(kind, v, &json!({}));
        assert!(refused.unwrap_err().to_string().contains(kind));
    }
}

#[test]
fn a_clock_that_was_set_back_is_named() {
    let mut case = Case::new(ID);
    let line = case
        .chain
        .write(
            "2026-11-22T03:14:07.119Z",
            "note.added",
            1,
            json!({}),
            "ana@example.com",
        )
        .unwrap();
    let journal = case.path.join("journal.jsonl");
    fs::write(&journal, [fs::read(&journal).unwrap(), line].concat()).unwrap();
    let report = verified(&case.bundle(), true);
    assert_eq!(report.exit_code(), 0);
    assert!(
        report.notes[0].starts_with("the clock went back at record 9"),
        "{:?}",
        report.notes
    );
}

/// Why something was kept out follows from no record: told otherwise, and without a signature, it is pointed at.
#[test]
fn a_ledger_that_tells_otherwise_what_is_kept_out_is_named() {
    let case = Case::new(ID);
    let mut kit = Kit::of(&case.bundle());
    kit.replace("ledger.json", "it may hold secrets", "nothing of interest");
    kit.relist();
    let report = verified(&kit.bytes(), true);
    assert_eq!(
        report.exit_code(),
        11,
        "nobody vouches for it: {:?}",
        report.words()
    );
    let told = |report: &incident::evidence::VerifyReport| {
        report
            .notes
            .iter()
            .any(|note| note.contains("files that no bundle holds"))
    };
    assert!(told(&report), "{:?}", report.notes);
    assert!(!told(&verified(&case.bundle(), true)));
}
