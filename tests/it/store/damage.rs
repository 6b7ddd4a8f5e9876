//! Twenty-seven ways to damage a journal, each refused for its own reason, and the way on from there.

use super::*;

/// Lines of a good journal of five records.
fn five() -> Vec<Vec<u8>> {
    let bytes = fs::read(Desk::with(5).journal()).unwrap();
    journal::lines(&bytes).map(<[u8]>::to_vec).collect()
}

fn replaced(line: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(line.to_vec()).unwrap();
    assert!(text.contains(from));
    text.replacen(from, to, 1).into_bytes()
}

/// A journal of five records, damaged in `how`.
fn damaged(how: &str) -> Vec<u8> {
    let mut l = five();
    let other = {
        let mut chain = Chain::default();
        let mut lines = Vec::new();
        for n in 0..5 {
            lines.push(
                chain
                    .write(TS, "note.added", 1, json!({"n": n}), "ben@example.com")
                    .unwrap(),
            );
        }
        lines
    };
    match how {
        "text edited" => l[2] = replaced(&l[2], "pool", "fool"),
        "who edited" => l[0] = replaced(&l[0], "ana@", "ann@"),
        "time edited" => l[3] = replaced(&l[3], "03:14", "03:15"),
        "record dropped" => drop(l.remove(2)),
        "first record dropped" => drop(l.remove(0)),
        "record doubled" => l.insert(2, l[2].clone()),
        "records swapped" => l.swap(1, 2),
        "renumbered after a drop" => {
            l.remove(2);
            l[2] = replaced(&l[2], "\"seq\":3", "\"seq\":2");
        }
        "spliced from another case" => l[3..].clone_from_slice(&other[3..]),
        "line cut in the middle" => l[2] = [&l[2][..40], b"\n"].concat(),
        "line feed lost" => drop(l[2].pop()),
        "line feed added" => l[2].insert(100, b'\n'),
        "empty line" => l.insert(2, b"\n".to_vec()),
        "carriage return" => l[2] = replaced(&l[2], "}\n", "}\r\n"),
        "byte order mark" => l[0] = [b"\xef\xbb\xbf", &l[0][..]].concat(),
        "key twice" => l[4] = replaced(&l[4], "{\"n\":4,", "{\"n\":4,\"n\":4,"),
        "number as a float" => l[4] = replaced(&l[4], "\"n\":4", "\"n\":4.0"),
        "number too large" => l[4] = replaced(&l[4], "\"n\":4", "\"n\":9007199254740993"),
        "letter escaped" => l[4] = replaced(&l[4], "pool", "p\\u006fol"),
        "blank added" => l[4] = replaced(&l[4], "\"n\":4", "\"n\": 4"),
        "keys reordered" => {
            l[4] = replaced(
                &l[4],
                "\"n\":4,\"text\":\"the pool is empty\"",
                "\"text\":\"the pool is empty\",\"n\":4",
            );
        }
        "field added" => l[4] = replaced(&l[4], "\"v\":1", "\"u\":1,\"v\":1"),
        "version below zero" => l[4] = replaced(&l[4], "\"v\":1", "\"v\":-1"),
        "not UTF-8" => l[4] = [&l[4][..150], b"\xff", &l[4][150..]].concat(),
        "zeros" => l[4] = [vec![0; 300], b"\n".to_vec()].concat(),
        "too long" => l[4] = replaced(&l[4], "pool", &"o".repeat(LINE_CAP)),
        "nested too deep" => l[4] = replaced(&l[4], "\"n\":4", &format!("\"n\":{}", "[".repeat(200))),
        other => panic!("no damage {other}"),
    }
    l.concat()
}

const KINDS_OF_DAMAGE: [&str; 27] = [
    "text edited",
    "who edited",
    "time edited",
    "record dropped",
    "first record dropped",
    "record doubled",
    "records swapped",
    "renumbered after a drop",
    "spliced from another case",
    "line cut in the middle",
    "line feed lost",
    "line feed added",
    "empty line",
    "carriage return",
    "byte order mark",
    "key twice",
    "number as a float",
    "number too large",
    "letter escaped",
    "blank added",
    "keys reordered",
    "field added",
    "version below zero",
    "not UTF-8",
    "zeros",
    "too long",
    "nested too deep",
];

#[test]
fn every_damaged_journal_is_refused_for_its_own_reason() {
    let desk = Desk::with(5);
    let mut said = String::new();
    for how in KINDS_OF_DAMAGE {
        fs::write(desk.journal(), damaged(how)).unwrap();
        let case = desk.reopened();
        let refused = case.read(|_| {}).err().unwrap();
        assert!(refused.is_integrity(), "{how}");
        let again = case.lock(|_| false).unwrap().read(|_| {}).err().unwrap();
        assert_eq!(refused.to_string(), again.to_string(), "{how}");
        said += &format!("{how}: {refused}\n");
        assert_eq!(
            fs::read(desk.journal()).unwrap(),
            damaged(how),
            "{how}: untouched"
        );
    }
    insta::assert_snapshot!(said, @r#"
    text edited: journal.jsonl is damaged at byte 624, after 3 good records: record 3: it does not follow from the record before it: one of the two is not what was written
    who edited: journal.jsonl is damaged at byte 208, after 1 good record: record 1: it does not follow from the record before it: one of the two is not what was written
    time edited: journal.jsonl is damaged at byte 832, after 4 good records: record 4: it does not follow from the record before it: one of the two is not what was written
    record dropped: journal.jsonl is damaged at byte 416, after 2 good records: record 2: it says it is number 3
    first record dropped: journal.jsonl is damaged at byte 0, after 0 good records: record 0: it says it is number 1
    record doubled: journal.jsonl is damaged at byte 624, after 3 good records: record 3: it says it is number 2
    records swapped: journal.jsonl is damaged at byte 208, after 1 good record: record 1: it says it is number 2
    renumbered after a drop: journal.jsonl is damaged at byte 416, after 2 good records: record 2: it does not follow from the record before it: one of the two is not what was written
    spliced from another case: journal.jsonl is damaged at byte 624, after 3 good records: record 3: it does not follow from the record before it: one of the two is not what was written
    line cut in the middle: journal.jsonl is damaged at byte 416, after 2 good records: record 2: not a record: EOF while parsing a string at line 1 column 40
    line feed lost: journal.jsonl is damaged at byte 416, after 2 good records: record 2: not a record: trailing characters at line 1 column 208
    line feed added: journal.jsonl is damaged at byte 416, after 2 good records: record 2: not a record: EOF while parsing a string at line 1 column 100
    empty line: journal.jsonl is damaged at byte 416, after 2 good records: record 2: not a record: EOF while parsing a value at line 1 column 0
    carriage return: journal.jsonl is damaged at byte 416, after 2 good records: record 2: not in canonical spelling, from byte 207 on
    byte order mark: journal.jsonl is damaged at byte 0, after 0 good records: record 0: not a record: expected value at line 1 column 1
    key twice: journal.jsonl is damaged at byte 832, after 4 good records: record 4: not in canonical spelling, from byte 156 on
    number as a float: journal.jsonl is damaged at byte 832, after 4 good records: record 4: a number is not an integer of at most 53 bits
    number too large: journal.jsonl is damaged at byte 832, after 4 good records: record 4: a number is not an integer of at most 53 bits
    letter escaped: journal.jsonl is damaged at byte 832, after 4 good records: record 4: not in canonical spelling, from byte 168 on
    blank added: journal.jsonl is damaged at byte 832, after 4 good records: record 4: not in canonical spelling, from byte 153 on
    keys reordered: journal.jsonl is damaged at byte 832, after 4 good records: record 4: not in canonical spelling, from byte 150 on
    field added: journal.jsonl is damaged at byte 832, after 4 good records: record 4: not a record: unknown field `u`, expected one of `prev`, `seq`, `ts`, `type`, `v`, `what`, `who` at line 1 column 138
    version below zero: journal.jsonl is damaged at byte 832, after 4 good records: record 4: not a record: invalid value: integer `-1`, expected u32 at line 1 column 141
    not UTF-8: journal.jsonl is damaged at byte 832, after 4 good records: record 4: not a record: invalid unicode code point at line 1 column 151
    zeros: journal.jsonl is damaged at byte 832, after 4 good records: record 4: not a record: expected value at line 1 column 1
    too long: journal.jsonl is damaged at byte 832, after 4 good records: record 4: the line is longer than 64 KiB
    nested too deep: journal.jsonl is damaged at byte 832, after 4 good records: record 4: not a record: recursion limit exceeded at line 1 column 279
    "#);
}

#[test]
fn after_a_repair_the_good_part_and_the_new_journal_are_one_chain() {
    for how in KINDS_OF_DAMAGE {
        let desk = Desk::with(5);
        fs::write(desk.journal(), damaged(how)).unwrap();
        let repaired = desk
            .store
            .repair(&id(), TS, "ana@example.com", |_| false)
            .unwrap();
        let good = repaired.damage.good;
        assert_eq!(append(&desk.reopened(), note(9)).unwrap(), good + 1, "{how}");

        let mut seen = Vec::new();
        desk.reopened()
            .read(|line| seen.push((line.seq, line.kind.to_string())))
            .unwrap();
        let mut wanted: Vec<_> = (0..good).map(|n| (n, "note.added".to_owned())).collect();
        wanted.extend([
            (good, "journal.continued".to_owned()),
            (good + 1, "note.added".to_owned()),
        ]);
        assert_eq!(seen, wanted, "{how}");

        let kept = desk
            .case
            .read_file(Path::new("journal.damaged-1.jsonl"), 1 << 20)
            .unwrap();
        assert_eq!(kept, damaged(how), "{how}: kept whole");
        assert_eq!(repaired.continued.sha256, Hash::of(&kept));
        let again = desk
            .store
            .repair(&id(), TS, "ana@example.com", |_| false)
            .err()
            .unwrap();
        assert!(matches!(again, StoreError::NothingBroken { .. }), "{how}");
    }
}

#[test]
fn a_repaired_journal_can_be_damaged_and_repaired_again() {
    let desk = Desk::with(5);
    for round in 1..4 {
        let bytes = fs::read(desk.journal()).unwrap();
        let lines = journal::lines(&bytes).count();
        // The last line goes bad; in the last round that is the record which says what is continued.
        let spoiled = replaced(&bytes, "\"who\":\"ana@", "\"who\" :\"ana@");
        fs::write(desk.journal(), spoiled).unwrap();
        let repaired = desk
            .store
            .repair(&id(), TS, "ana@example.com", |_| false)
            .unwrap();
        assert_eq!(
            repaired.continued.damaged,
            format!("journal.damaged-{round}.jsonl")
        );
        assert_eq!(
            repaired.damage.good, 0,
            "round {round}: the first line of {lines} was spoiled"
        );
    }
    assert_eq!(desk.case.journals().unwrap().len(), 4);
    assert_eq!(desk.kinds(), ["journal.continued"]);
}

#[test]
fn a_journal_set_aside_is_still_held_to_its_hash() {
    let desk = Desk::with(5);
    fs::write(desk.journal(), damaged("time edited")).unwrap();
    desk.store
        .repair(&id(), TS, "ana@example.com", |_| false)
        .unwrap();
    let aside = desk.case.path().join("journal.damaged-1.jsonl");
    let bytes = fs::read(&aside).unwrap();

    fs::write(&aside, [&bytes[..], b"x"].concat()).unwrap();
    let refused = desk.reopened().read(|_| {}).err().unwrap();
    assert!(matches!(refused, StoreError::Damaged(d) if d.why == Broken::NotWhatWasNamed));
    fs::remove_file(&aside).unwrap();
    let refused = desk.reopened().read(|_| {}).err().unwrap();
    assert!(matches!(refused, StoreError::Damaged(d) if d.why == Broken::NoPredecessor));
}

#[test]
fn a_repair_cut_short_changes_nothing() {
    let desk = Desk::with(5);
    fs::write(desk.journal(), damaged("time edited")).unwrap();
    fs::hard_link(desk.journal(), desk.case.path().join("journal.damaged-1.jsonl")).unwrap();
    fs::write(desk.case.path().join("tmp/journal.jsonl"), "half").unwrap();
    assert_eq!(desk.case.journals().unwrap(), [PathBuf::from("journal.jsonl")]);
    assert!(desk.reopened().read(|_| {}).err().unwrap().is_integrity());
    let repaired = desk
        .store
        .repair(&id(), TS, "ana@example.com", |_| false)
        .unwrap();
    assert_eq!(repaired.continued.damaged, "journal.damaged-1.jsonl");
    assert_eq!(desk.kinds().len(), 5, "four, and the one that says so");
}

#[test]
fn a_record_rewritten_under_our_feet_is_noticed() {
    for spoil in ["shorter", "last line", "another file", "gone"] {
        let desk = Desk::with(5);
        let bytes = fs::read(desk.journal()).unwrap();
        match spoil {
            "shorter" => fs::write(desk.journal(), five()[..3].concat()).unwrap(),
            "last line" => {
                fs::write(desk.journal(), [&bytes[..bytes.len() - 4], b"z\"}\n"].concat()).unwrap()
            }
            "another file" => {
                fs::write(desk.folder.path().join("copy"), &bytes).unwrap();
                fs::rename(desk.folder.path().join("copy"), desk.journal()).unwrap();
            }
            _ => fs::remove_file(desk.journal()).unwrap(),
        }
        let refused = append(&desk.case, note(5)).err().unwrap();
        assert!(refused.is_integrity(), "{spoil}: {refused}");
    }
}

#[test]
fn a_reader_reads_only_what_is_new() {
    let desk = Desk::with(5);
    let (case, mut reader) = (desk.reopened(), Reader::default());
    let new = |reader: &mut Reader| {
        let mut seen = Vec::new();
        case.read_on(reader, |line| seen.push(line.seq)).map(|()| seen)
    };
    assert_eq!(new(&mut reader).unwrap(), [0, 1, 2, 3, 4]);
    assert_eq!(new(&mut reader).unwrap(), [] as [u64; 0]);
    append(&desk.case, note(5)).unwrap();
    assert_eq!(new(&mut reader).unwrap(), [5]);
    // A record that is being written is none yet.
    let whole = fs::read(desk.journal()).unwrap();
    let mut file = fs::OpenOptions::new().append(true).open(desk.journal()).unwrap();
    file.write_all(b"{\"prev\":").unwrap();
    assert_eq!(new(&mut reader).unwrap(), [] as [u64; 0]);
    file.set_len(whole.len() as u64).unwrap();
    append(&desk.reopened(), note(6)).unwrap();
    assert_eq!(new(&mut reader).unwrap(), [6]);
    // Another file in its place is another record, and says so.
    fs::write(desk.journal(), damaged("time edited")).unwrap();
    desk.store
        .repair(&id(), TS, "ana@example.com", |_| false)
        .unwrap();
    let refused = new(&mut reader).unwrap_err();
    assert!(
        matches!(refused, StoreError::Damaged(d) if d.why == Broken::Rewritten),
        "after a repair"
    );
}
