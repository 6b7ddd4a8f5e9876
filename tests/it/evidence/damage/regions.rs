//! Damage that needs no imagination: every region of a bundle, every field of a header, every order of members.

use std::process::Stdio;

use super::*;
use crate::support::desk::{Desk, PROGRAM};
use crate::support::not_tested;

/// The members of a bundle with the byte of each header.
fn places(kit: &Kit) -> Vec<(String, usize)> {
    let mut at = 0;
    let place = |m: &Member| {
        let here = at;
        at += 512 + m.data.len().div_ceil(512) * 512;
        (path_of(&m.header)[TOP.len() + 1..].to_owned(), here)
    };
    kit.members.iter().map(place).collect()
}

/// What is said of a damaged bundle: the exit code, and place and reason of the first fault.
fn answer(bytes: &[u8]) -> (u8, String, String) {
    let report = verified(bytes, true);
    let (place, why) = match report.faults.first() {
        Some(fault) => (fault.place.clone(), fault.why.clone()),
        None => (String::new(), report.words()[1].clone()),
    };
    (report.exit_code(), place, why)
}

#[test]
fn one_bit_of_any_file_names_that_file() {
    let good = Kit::new();
    let mut tried = 0;
    for (n, (name, _)) in places(&good).iter().enumerate() {
        let len = good.members[n].data.len();
        for at in [0, len / 3, len / 2, len - 1] {
            let mut kit = good.clone();
            kit.members[n].data[at] ^= 1;
            let (code, place, why) = answer(&kit.bytes());
            let named = match name == LIST {
                false => place.starts_with(name.as_str()),
                // What the list vouches for, or what vouches for the list, no longer fits it.
                true => {
                    place.starts_with(LIST)
                        || good.members.iter().any(|m| path_of(&m.header).ends_with(&place))
                }
            };
            assert!(code == 10 && named, "{name}, byte {at}: {code} {place}: {why}");
            tried += 1;
        }
    }
    assert_eq!(tried, 4 * good.members.len());
}

#[test]
fn every_byte_of_a_header_counts_even_with_its_checksum_made_true() {
    let good = Kit::new();
    let (n, at) = (good.at(PS), places(&good)[good.at(PS)].1);
    for byte in 0..512 {
        for true_sum in [true, false] {
            let mut kit = good.clone();
            kit.members[n].header[byte] ^= 1;
            if true_sum {
                checksum(&mut kit.members[n].header);
            }
            if kit.members[n].header == good.members[n].header {
                continue; // The checksum repaired its own field.
            }
            let (code, place, why) = answer(&kit.bytes());
            // Another size moves the next header, and is seen there; or only the end of the contents.
            let place_is_right = place == format!("the bundle, byte {at}")
                || (SIZE.contains(&byte) && (place.starts_with("the bundle, byte ") || place == PS));
            assert!(
                code == 10 && place_is_right,
                "byte {byte}, {true_sum}: {code} {place}: {why}"
            );
        }
    }
}

const SIZE: std::ops::Range<usize> = 124..136;

#[test]
fn a_member_is_a_regular_file_or_refused_by_its_kind() {
    let good = Kit::new();
    let (n, at) = (good.at(PS), places(&good)[good.at(PS)].1);
    for kind in (0..=u8::MAX).filter(|kind| *kind != b'0') {
        let mut kit = good.clone();
        kit.header(PS, |h| h[156] = kind);
        let (code, place, why) = answer(&kit.bytes());
        let named = match kind {
            b'1' => "is a hard link",
            b'2' => "is a symbolic link",
            b'3' | b'4' => "is a device",
            b'5' => "is a folder entry",
            b'6' => "is a pipe",
            b'x' | b'g' => "is an extended (PAX) header",
            b'L' | b'K' => "is a GNU long-name header",
            _ => "is of an unknown type",
        };
        assert!(code == 10 && why.contains(named), "{kind}: {code} {why}");
        assert_eq!(place, format!("the bundle, byte {at}"));
        assert_eq!(kit.members[n].header[156], kind);
    }
}

/// What PAX and GNU headers can say of the member after them, and what a sparse one lies about its length.
#[test]
fn no_header_speaks_for_another_member() {
    let good = Kit::new();
    let pax = |text: &str| {
        let mut len = text.len() + 2;
        while format!("{len} {text}\n").len() != len {
            len += 1;
        }
        format!("{len} {text}\n").into_bytes()
    };
    let lies = [
        ('x', pax("path=/etc/cron.d/evil")),
        ('x', pax("path=INC-20261122-0314-k7qf/data/0001-processes/stdout")),
        ('x', pax("size=0")),
        ('x', pax("size=99999999999999999999")),
        ('x', pax("linkpath=/etc/passwd")),
        ('x', pax("GNU.sparse.realsize=1099511627776")),
        ('x', pax("GNU.sparse.map=0,15,1099511627776,0")),
        ('x', pax("hdrcharset=BINARY")),
        ('x', b"-1 path=x\n".to_vec()),
        ('x', Vec::new()),
        ('g', pax("path=/etc/cron.d/evil")),
        ('g', pax("uid=0")),
        ('L', b"/etc/cron.d/evil\0".to_vec()),
        ('L', [&b"a"[..].repeat(70_000), &b"\0"[..]].concat()),
        ('K', b"/etc/passwd\0".to_vec()),
        ('S', b"x".to_vec()),
        ('M', b"x".to_vec()),
        ('V', b"label".to_vec()),
        ('D', b"YINC-20261122-0314-k7qf\0".to_vec()),
        ('N', b"rename\0".to_vec()),
        ('A', Vec::new()),
    ];
    for before in [LIST, "SEAL.txt", PS] {
        for (kind, data) in &lies {
            let mut kit = good.clone();
            let n = kit.at(before);
            kit.members
                .insert(n, odd("././@Lies", u8::try_from(*kind).unwrap(), "", data));
            let (code, place, why) = answer(&kit.bytes());
            let at = places(&good)[n].1;
            assert_eq!(
                (code, place),
                (10, format!("the bundle, byte {at}")),
                "{kind}: {why}"
            );
        }
    }
}

#[test]
fn a_cut_anywhere_is_a_cut_and_says_where() {
    let good = Kit::new();
    let whole = good.bytes();
    for (n, (name, at)) in places(&good).iter().enumerate() {
        let end = at + 512 + good.members[n].data.len();
        for len in [*at, at + 1, at + 511, at + 512, (at + 512 + end) / 2, end - 1] {
            let (code, place, why) = answer(&whole[..len]);
            assert!(
                code == 10 && why.contains("cut off"),
                "{name}, {len} bytes: {code} {place}: {why}"
            );
            assert_eq!(
                place,
                format!("the bundle, byte {at}"),
                "{name}, {len} bytes: {why}"
            );
        }
    }
    for less in [1, 511, 512, 513, 1024] {
        let (code, _, why) = answer(&whole[..whole.len() - less]);
        assert!(code == 10 && why.contains("cut off"), "{less} bytes fewer: {why}");
    }
}

#[test]
fn members_stand_once_and_in_order() {
    let good = Kit::new();
    let names = places(&good);
    for n in 0..names.len() {
        let name = &names[n].0;
        let mut removed = good.clone();
        removed.members.remove(n);
        let (code, _, why) = answer(&removed.bytes());
        // Without its signature a bundle is whole and nobody's.
        assert_eq!(code, if *name == SIG { 11 } else { 10 }, "without {name}: {why}");

        for at in [n, names.len()] {
            let mut twice = good.clone();
            twice.members.insert(at, good.members[n].clone());
            let (code, place, why) = answer(&twice.bytes());
            assert!(
                code == 10 && why.contains("appears a second time"),
                "{name} twice: {place}: {why}"
            );
        }
        if n > 0 {
            let mut swapped = good.clone();
            swapped.members.swap(n - 1, n);
            let (code, place, why) = answer(&swapped.bytes());
            assert!(
                code == 10 && place.starts_with("the bundle, byte "),
                "{name} earlier: {place}: {why}"
            );
        }
    }
}

/// Other spellings of the name of a member; each is another file to some tool, and the same to another.
#[test]
fn a_name_has_one_spelling() {
    let good = Kit::new();
    let at = places(&good)[good.at(PS)].1;
    let full = format!("{TOP}/{PS}");
    for name in [
        format!("./{full}"),
        format!("/{full}"),
        format!("{full}/"),
        full.replace("data/", "data//"),
        full.replace("data/", "data/./"),
        full.replace("data/", "data/../data/"),
        full.replace("INC-", "inc-"),
        full.replace("stdout", "STDOUT"),
        full.replace("stdout", "stdout "),
        full.replace("stdout", "stdout."),
        full.replace("stdout", "stdou\u{ff54}"),
        full.replace("stdout", "stdo\u{fc}t"),
        full.replace("stdout", "stdou\u{308}t"),
        full.replace("stdout", "stdout\n"),
        full.replace('/', "\\"),
        format!("C:{full}"),
        PS.to_owned(),
        String::new(),
    ] {
        let mut kit = good.clone();
        let data = kit.get(PS).data.clone();
        *kit.get(PS) = odd(&name, b'0', "", &data);
        let (code, place, why) = answer(&kit.bytes());
        assert_eq!(
            (code, place),
            (10, format!("the bundle, byte {at}")),
            "{name}: {why}"
        );
        assert!(!why.contains('\n'), "{why}");
    }
}

/// Bytes after the end, and archives inside archives.
#[test]
fn nothing_follows_the_end() {
    let good = Kit::new();
    let whole = good.bytes();
    for more in [&b"\0"[..], b"\n", &[0; 512], &[0; 10_240], &whole, b"PK\x05\x06"] {
        let (code, place, why) = answer(&[&whole, more].concat());
        assert_eq!((code, place), (10, format!("the bundle, byte {}", whole.len())));
        assert_eq!(
            why,
            format!("{} bytes follow after the end of the archive", more.len())
        );
    }
    let mut hidden = good.clone();
    hidden.tail = [&[0; 512][..], &whole, &[0; 512]].concat();
    let (code, _, why) = answer(&hidden.bytes());
    assert_eq!(code, 10, "{why}");
}

/// Claims far larger than the file, and files that are nearly all hole.
fn bombs() -> Vec<(String, tempfile::NamedTempFile)> {
    let good = Kit::new();
    let mut all = Vec::new();
    for (what, size) in [
        (LIST, 0o77_777_777_777_u64),
        (SIG, 0o77_777_777_777),
        ("SEAL.txt", 1 << 32),
        (PS, 1 << 40),
    ] {
        let mut kit = good.clone();
        kit.header(what, |h| match size < 1 << 33 {
            true => h[124..135].copy_from_slice(format!("{size:011o}").as_bytes()),
            // Base 256, as GNU tar writes what octal cannot hold.
            false => {
                h[124] = 0x80;
                h[128..136].copy_from_slice(&size.to_be_bytes());
            }
        });
        all.push((format!("{what} of {size} bytes"), on_disk(&kit.bytes())));
    }
    // Archives that are nearly all hole: a terabyte of zeros, before or behind a good one.
    for lead in [0, good.bytes().len()] {
        let file = on_disk(&good.bytes()[..lead]);
        file.as_file().set_len(1 << 40).unwrap();
        all.push((format!("a terabyte of zeros from {lead} on"), file));
    }
    // A member that is nearly all hole and larger than any list may be.
    for what in [LIST, "manifest-sha256.txt", "journal.jsonl"] {
        let mut kit = good.clone();
        let n = kit.at(what);
        kit.header(what, |h| h[124..135].copy_from_slice(b"02004000000")); // 257 MiB
        kit.members.truncate(n + 1);
        kit.tail.clear();
        let file = on_disk(&kit.bytes());
        let end = places(&good)[n].1 as u64 + 512 + (257 << 20) + 1024;
        file.as_file().set_len(end).unwrap();
        all.push((format!("{what} of zeros"), file));
    }
    // A line without an end.
    let mut kit = good.clone();
    let journal = [kit.get("journal.jsonl").data.clone(), vec![b'x'; 40 << 20]].concat();
    kit.set("journal.jsonl", journal);
    kit.reseal("ana");
    all.push(("a line without an end".to_owned(), on_disk(&kit.bytes())));
    all
}

/// Refused without reading them through.
#[test]
fn bombs_do_not_go_off() {
    let started = std::time::Instant::now();
    for (what, file) in bombs() {
        let report = verified_at(file.path(), true);
        assert_eq!(report.exit_code(), 10, "{what}");
        if what.starts_with("a line") {
            assert_eq!(report.faults[0].place, "journal.jsonl, line 10");
            assert!(report.faults[0].why.contains("longer than 64 KiB"), "{report:?}");
        }
    }
    // A list of more members than anybody has, signed.
    let mut kit = Kit::new();
    let many: String = (0..1_000_001)
        .map(|n| format!("{}  data/{n:07}\n", Hash::ZERO))
        .collect();
    kit.set("manifest-sha256.txt", many);
    kit.reseal_lists_as_they_are();
    let (code, place, why) = answer(&kit.bytes());
    assert_eq!(
        (code, place.as_str(), why.as_str()),
        (10, "manifest-sha256.txt", "more than a million members")
    );
    // Terabytes would take hours.
    assert!(started.elapsed().as_secs() < 600, "{:?}", started.elapsed());
}

/// The program itself, with 64 MiB of memory and no more.
#[test]
fn bombs_find_no_memory_to_fill() {
    let Some(desk) = Desk::new() else { return };
    if Command::new("prlimit").arg("--version").output().is_err() {
        not_tested("prlimit: that bombs find no memory");
        return;
    }
    let tight = |file: &Path| {
        let mut command = desk.jailed("prlimit");
        command
            .args(["--data=67108864", "--", PROGRAM, "verify"])
            .arg(file);
        command.stdin(Stdio::null()).output().unwrap()
    };
    let good = on_disk(&Kit::new().bytes());
    assert_eq!(
        tight(good.path()).status.code(),
        Some(11),
        "enough for what is right"
    );
    for (what, file) in bombs() {
        let out = tight(file.path());
        assert_eq!(out.status.code(), Some(10), "{what}: {}", said(&out));
        assert!(said(&out).contains("unchanged: NO"), "{what}: {}", said(&out));
    }
}
