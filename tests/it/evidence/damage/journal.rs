//! The journal of a case, damaged everywhere. A bare case has no seal: what nothing stands for is said to stand alone.

use super::*;

/// A case of thirty records, and its journal.
fn thirty() -> (Case, Vec<u8>) {
    let mut case = Case::new(ID);
    while case.chain.next < 30 {
        case.record(
            "note.added",
            json!({"n": case.chain.next, "text": "the pool is empty"}),
        );
    }
    let journal = fs::read(case.path.join("journal.jsonl")).unwrap();
    (case, journal)
}

/// What is said of a case with this journal: code, place of the first fault, records that stand alone.
fn answer(case: &Case, journal: &[u8]) -> (u8, String, u64) {
    fs::write(case.path.join("journal.jsonl"), journal).unwrap();
    let report = verified_at(&case.path, true);
    let place = report.faults.first().map(|f| f.place.clone()).unwrap_or_default();
    (
        report.exit_code(),
        place,
        report.journal.map_or(0, |j| j.unanchored),
    )
}

/// Where each line begins.
fn starts(journal: &[u8]) -> Vec<usize> {
    let ends = journal.iter().enumerate().filter(|(_, b)| **b == b'\n');
    std::iter::once(0).chain(ends.map(|(n, _)| n + 1)).collect()
}

/// The lines of the file, as bytes, with line feeds.
fn lines(journal: &[u8]) -> Vec<Vec<u8>> {
    journal
        .split_inclusive(|b| *b == b'\n')
        .map(<[u8]>::to_vec)
        .collect()
}

/// Attack 1: each byte of thirty records in turn.
#[test]
fn no_byte_of_any_record_can_be_changed_unseen() {
    let (_, journal) = thirty();
    let starts = starts(&journal);
    let mut chain = Chain::default();
    let mut before = Vec::new();
    for line in lines(&journal) {
        before.push(chain);
        chain.check_line(&line).unwrap();
    }
    for at in 0..journal.len() {
        for bit in [1, 0x20] {
            let mut bad = journal.clone();
            bad[at] ^= bit;
            let line = starts.iter().rposition(|start| *start <= at).unwrap();
            let mut chain = before[line];
            let mut from_here = bad[starts[line]..].split_inclusive(|b| *b == b'\n').take(2);
            let seen = from_here.any(|l| chain.check_line(l).is_err());
            // Nothing follows the last record: only a head kept elsewhere can tell.
            assert!(seen || line == 29, "byte {at} of record {line}");
        }
    }
    // And through the whole of `verify`, more thinly.
    let (case, journal) = thirty();
    for at in (0..starts[29]).step_by(101) {
        let mut bad = journal.clone();
        bad[at] ^= 0x20;
        let line = starts.iter().rposition(|start| *start <= at).unwrap() + 1;
        let (code, place, _) = answer(&case, &bad);
        let named = [line, line + 1].map(|line| format!("journal.jsonl, line {line}"));
        assert!(
            code == 10 && named.contains(&place),
            "byte {at} of line {line}: {code} {place}"
        );
    }
}

/// Attacks 2 and 3: cut at every line, then go on from there.
#[test]
fn a_tail_cut_off_is_seen_below_the_last_signature_and_else_stands_alone() {
    let (case, journal) = thirty();
    let all = lines(&journal);
    for kept in 1..all.len() {
        let (code, place, alone) = answer(&case, &all[..kept].concat());
        // Ben signed that he saw record 5.
        match kept {
            // Exhibits are there that no record speaks of, or the sign-off names a record that is not.
            0..=5 => assert_eq!(code, 10, "{kept} records: {place}"),
            _ => assert_eq!((code, alone), (11, kept as u64 - 6), "{kept} records: {place}"),
        }
        // Go on from the cut.
        let mut chain = Chain::default();
        all[..kept].iter().for_each(|l| drop(chain.check(l).unwrap()));
        let mut bad = all[..kept].concat();
        for n in 0..7 {
            bad.extend(
                chain
                    .write(TS, "note.added", 1, json!({"n": n}), "ana@example.com")
                    .unwrap(),
            );
        }
        let (code, place, alone) = answer(&case, &bad);
        match kept {
            0..=5 => assert_eq!((code, place.as_str()), (10, NOTE), "{kept} records and 7 more"),
            _ => assert_eq!(
                (code, alone),
                (11, kept as u64 + 1),
                "{kept} records and 7 more: {place}"
            ),
        }
    }
}

/// Attack 4: swapped, doubled, deleted; each names the first line that is not in its place.
#[test]
fn records_stand_once_and_in_order() {
    let (case, journal) = thirty();
    let all = lines(&journal);
    for n in 0..all.len() - 1 {
        let mut swapped = all.clone();
        swapped.swap(n, n + 1);
        let mut doubled = all.clone();
        doubled.insert(n, all[n].clone());
        let mut deleted = all.clone();
        deleted.remove(n);
        for (what, bad, line) in [
            ("swapped", swapped, n + 1),
            ("doubled", doubled, n + 2),
            ("deleted", deleted, n + 1),
        ] {
            let (code, place, _) = answer(&case, &bad.concat());
            assert_eq!(
                (code, place),
                (10, format!("journal.jsonl, line {line}")),
                "record {n} {what}"
            );
        }
    }
}

/// Attack 23 on the reading side: cut at every byte of the last three records.
#[test]
fn a_torn_record_is_no_record() {
    let (case, journal) = thirty();
    let starts = starts(&journal);
    for len in (starts[27]..journal.len()).step_by(3) {
        let (code, place, _) = answer(&case, &journal[..len]);
        let line = starts.iter().rposition(|start| *start <= len).unwrap();
        match starts[line] == len {
            true => assert_eq!(code, 11, "{len} bytes: {place}"),
            false => assert_eq!(
                (code, place),
                (10, format!("journal.jsonl, line {}", line + 1)),
                "{len} bytes"
            ),
        }
    }
}

/// Attack 14: the same record in another spelling is another record.
#[test]
fn a_record_has_one_spelling() {
    let (case, journal) = thirty();
    let mut all = lines(&journal);
    let last = String::from_utf8(all[29].clone()).unwrap();
    let n = format!("\"n\":{}", 29);
    let spellings: Vec<Vec<u8>> = [
        last.replace(&n, "\"n\":29.0"),
        last.replace(&n, "\"n\":2.9e1"),
        last.replace(&n, "\"n\":29e0"),
        last.replace(&n, "\"n\":+29"),
        last.replace(&n, "\"n\":029"),
        last.replace(&n, "\"n\":NaN"),
        last.replace(&n, "\"n\":-0"),
        last.replace(&n, "\"n\":9007199254740993"),
        last.replace(&n, &format!("{n},{n}")),
        last.replace(&n, &format!("\"m\":{}1{}", "[".repeat(500), "]".repeat(500))),
        last.replace("pool", "\\u0070ool"),
        last.replace("pool", "po\\/ol"),
        last.replace("pool", "\\ud800ool"),
        last.replace("pool", "p\u{0}ool"),
        last.replace(',', ", "),
        last.replace('\n', "\r\n"),
        last.replace('\n', " \n"),
        last.replace("{\"prev\"", "\u{feff}{\"prev\""),
        last.replace("\"v\":1", "\"v\":1.0"),
        last.replace("\"v\":1", "\"v\":\"1\""),
        last.replace("\"v\":1,", ""),
        last.replace("\"v\":1,", "\"v\":1,\"v\":1,"),
        last.replace("\"v\":1,", "\"v\":1,\"z\":1,"),
        last.replace("\"seq\":29", "\"seq\":30"),
        last.replace("\"seq\":29", "\"seq\":-29"),
        last.replace("\"type\"", "\"Type\""),
        "[]\n".to_owned(),
        "null\n".to_owned(),
        "\n".to_owned(),
    ]
    .into_iter()
    .map(String::into_bytes)
    .chain([b"{\"prev\":\"\xc3\x28\"}\n".to_vec()])
    .collect();
    for spelling in spellings {
        let shown = String::from_utf8_lossy(&spelling).into_owned();
        assert_ne!(shown, last, "no change");
        all[29] = spelling;
        let (code, place, _) = answer(&case, &all.concat());
        assert_eq!((code, place.as_str()), (10, "journal.jsonl, line 30"), "{shown}");
    }
}

/// Attack 5: the rest of another incident's record.
#[test]
fn another_incident_is_not_spliced_in() {
    let (case, journal) = thirty();
    let other = lines(&thirty().1);
    let own = lines(&journal);
    // The other case has other keys in no record, but another nonce would do as well: change one byte of it.
    let mut chain = Chain::default();
    let mut theirs = Vec::new();
    for (n, line) in other.iter().enumerate() {
        let mut record: incident::journal::Record = serde_json::from_slice(line).unwrap();
        if n == 0 {
            record.what["nonce"] = json!("44556677");
        }
        theirs.push(
            chain
                .write(&record.ts, &record.kind, record.v, record.what, &record.who)
                .unwrap(),
        );
    }
    for at in 1..own.len() {
        let bad = [&own[..at], &theirs[at..]].concat().concat();
        let (code, place, _) = answer(&case, &bad);
        assert_eq!((code, place), (10, format!("journal.jsonl, line {}", at + 1)));
    }
}
