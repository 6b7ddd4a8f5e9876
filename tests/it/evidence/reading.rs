//! `evidence show|extract|grep`: a bundle or a case read without unpacking it, whoever made it.

use std::io::Read;

use incident::evidence::{Shelf, ShelfError, disclose};
use insta::assert_snapshot;

use super::damage::Kit;
use super::*;
use crate::support::desk::{Desk, PROGRAM};
use crate::support::not_tested;

/// What a terminal would obey: a clipboard write, a line drawn over, text turned round.
const HOSTILE: &[u8] = b"ok\n\x1b]52;c;ZXZpbA==\x07DROP TABLE orders\rnothing here\n\xe2\x80\xaeevil\xff\n";
const PS: &str = "data/0001-processes/stdout";

/// A case with something of everything: text, a lure for a terminal, zeros, a long line, a hole.
fn motley() -> Case {
    let mut case = Case::new(ID);
    case.capture(
        "log",
        "collected",
        &[("lure.log", HOSTILE), ("dump.bin", b"PK\0\x01\nDROP TABLE\0\n")],
    );
    case.capture("pods", "forbidden", &[]);
    case
}

fn all(shelf: &Shelf, name: &str) -> Result<Vec<u8>, String> {
    let file = shelf.find(name).map_err(|e| e.to_string())?;
    let mut reading = shelf.read(file).map_err(|f| f.why)?;
    let mut bytes = Vec::new();
    reading.read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    reading.agrees().map_err(|f| f.why)?;
    Ok(bytes)
}

#[test]
fn a_bundle_an_unpacked_one_and_a_case_read_alike() {
    let case = motley();
    let bundle = case.bundle();
    let tar = on_disk(&bundle);
    let (_dir, top) = unpacked(&bundle);
    let mut rows = Vec::new();
    for path in [tar.path(), &top, &case.path] {
        let shelf = Shelf::open(path).unwrap();
        assert_eq!(shelf.incident.as_ref().map(IncidentId::as_str), Some(ID));
        assert_eq!(shelf.damaged, None);
        for file in shelf.files() {
            let kept = fs::read(case.path.join(&*file.name)).unwrap();
            assert_eq!(all(&shelf, &file.name).unwrap(), kept, "{}", file.name);
        }
        assert_eq!(shelf.files().len(), 5);
        assert_eq!(
            all(&shelf, "0001-processes/stdout").unwrap(),
            b"PID CMD\n1 init\n"
        );
        assert_eq!(
            all(&shelf, "0011-pods/list").unwrap_err(),
            "0011-pods/list was looked at and not kept: forbidden: the reason"
        );
        for none in [
            "undo/0003-role",
            "case.key",
            "../case.key",
            "data/../case.key",
            "/etc/passwd",
            "",
        ] {
            assert!(matches!(shelf.find(none), Err(ShelfError::NoFile(_))), "{none}");
        }
        rows.push(shelf.rows().unwrap().map(Result::unwrap).collect::<Vec<_>>());
    }
    assert_eq!(rows[0].len(), 6);
    assert!(rows[0] == rows[1] && rows[0] == rows[2]);
}

#[test]
fn the_program_lists_shows_and_searches_and_nothing_reaches_the_terminal_unescaped() {
    let Some(desk) = Desk::new() else { return };
    fs::write(desk.home().join("b.tar"), motley().bundle()).unwrap();
    assert_snapshot!(desk.incident(&["evidence", "show", "--in", "b.tar"]), @r#"
    [stdout]
    INC-20261122-0314-k7qf (bundle, 5 evidence files, 1300094 bytes)
      collected  data/0001-processes/stdout (15 bytes), from ps aux
      collected  data/0001-processes/meta.json (3 bytes), from ps aux
      collected  data/0003-rows/rows.csv (1300000 bytes), from ps aux
      collected  data/0009-log/lure.log (59 bytes), from ps aux
      collected  data/0009-log/dump.bin (17 bytes), from ps aux
      forbidden  data/0011-pods/list, from ps aux: the reason
      also in it SEAL.txt, VERIFY.txt, access.yaml, allowed_signers, bag-info.txt, bagit.txt,
                 journal.jsonl, ledger.json, manifest-sha256.txt, runbook.yaml, signoffs/00000005.txt,
                 signoffs/00000005.txt.sig
    5 collected, 1 forbidden.
      next: incident evidence show data/0001-processes/meta.json --in b.tar
    [exit 0]
    "#);
    // Whoever was handed a bundle names it first.
    assert_eq!(
        desk.incident(&["evidence", "show", "b.tar"]),
        desk.incident(&["evidence", "show", "--in", "b.tar"])
    );
    assert_snapshot!(desk.incident(&["evidence", "show", "0009-log/lure.log", "--in", "b.tar"]), @r#"
    [stdout]
    ok
    \u{1b}]52;c;ZXZpbA==\u{7}DROP TABLE orders\u{d}nothing here
    \u{202e}evil\xff
    [exit 0]
    "#);
    assert_snapshot!(desk.incident(&["evidence", "grep", "(?i)drop table|init$", "--in", "b.tar"]), @r#"
    [stdout]
    data/0001-processes/stdout:2: 1 init
    data/0009-log/dump.bin: binary, with 1 matching line (UTF-16 is not read as text)
    data/0009-log/lure.log:2: \u{1b}]52;c;ZXZpbA==\u{7}DROP TABLE orders\u{d}nothing here
    [stderr]
    3 lines in 3 files; 5 files searched, 1300094 bytes.
    Not collected whole, and so not searched: 1; `incident evidence show --in b.tar` names them.
    [exit 0]
    "#);
    assert_snapshot!(desk.incident(&["evidence", "grep", "(", "--in", "b.tar"]), @r#"
    [stderr]
    Error: the pattern is no regular expression
      because unclosed group
      next: A backslash before it makes a sign stand for itself: `\(`
    [exit 2]
    "#);
    assert_snapshot!(desk.incident(&["evidence", "show", "0011-pods/list", "--in", "b.tar"]), @r#"
    [stderr]
    Error: 0011-pods/list was looked at and not kept: forbidden: the reason
      next: `incident evidence show` lists what is in it
    [exit 2]
    "#);
    assert_snapshot!(desk.incident(&["--json", "evidence", "show", PS, "--in", "b.tar"]), @r#"
    [stdout]
    {"bytes":15,"exit":0,"fault":null,"file":"data/0001-processes/stdout","sha256":"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}
    [exit 0]
    "#);
    let raw = desk.run(&[
        "evidence",
        "show",
        "--raw",
        "data/0009-log/lure.log",
        "--in",
        "b.tar",
    ]);
    assert_eq!(raw.stdout, HOSTILE);
    let found = desk.run(&["--json", "evidence", "grep", "DROP", "--in", "b.tar"]);
    let lines: Vec<Value> = said(&found)
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(
        lines[0],
        json!({"file": "data/0009-log/dump.bin", "line": 2, "byte": 5, "text": null, "binary": true})
    );
    assert_eq!(
        lines[1]["text"],
        "\\u{1b}]52;c;ZXZpbA==\\u{7}DROP TABLE orders\\u{d}nothing here"
    );
    let result = json!({"lines": 2, "files": 2, "searched": 5, "bytes": 1_300_094, "not_collected": 1, "withheld": 0, "faults": []});
    assert_eq!(lines[2], json!({"result": result, "exit": 0}));
}

#[test]
fn bytes_as_they_are_never_reach_a_terminal() {
    let Some(desk) = Desk::new() else { return };
    fs::write(desk.home().join("b.tar"), motley().bundle()).unwrap();
    let mut terminal = desk.terminal("evidence show --raw data/0009-log/lure.log --in b.tar");
    let said = terminal.exp_eof().unwrap();
    assert!(said.contains("could take over this terminal"), "{said}");
    assert!(!said.contains("evil"), "{said}");
}

#[test]
fn a_file_is_written_out_only_as_listed_and_never_over_another() {
    let Some(desk) = Desk::new() else { return };
    fs::write(desk.home().join("good.tar"), Kit::new().bytes()).unwrap();
    let mut kit = Kit::new();
    kit.get(PS).data[3] ^= 1;
    fs::write(desk.home().join("bad.tar"), kit.bytes()).unwrap();

    assert_snapshot!(desk.incident(&["evidence", "extract", PS, "-o", "ps", "--in", "good.tar"]), @r#"
    [stdout]
    data/0001-processes/stdout (15 bytes) is written to /home/ana/shift/ps.
      sha256  0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef, as listed; verify proves the list
      next: incident verify /home/ana/shift/good.tar
    [exit 0]
    "#);
    assert_eq!(fs::read(desk.home().join("ps")).unwrap(), b"PID CMD\n1 init\n");
    let again = desk.run(&["evidence", "extract", PS, "-o", "ps", "--in", "good.tar"]);
    assert_eq!(again.status.code(), Some(2), "{}", said(&again));

    assert_snapshot!(desk.incident(&["evidence", "extract", PS, "-o", "evil", "--in", "bad.tar"]), @r#"
    [stderr]
    Error: /home/ana/shift/bad.tar is damaged: data/0001-processes/stdout: its hash is not the one listed
      so far: /home/ana/shift/evil was not written
      next: `incident verify /home/ana/shift/bad.tar` names what changed
    [exit 10]
    "#);
    let mut left: Vec<_> = fs::read_dir(desk.home())
        .unwrap()
        .map(|f| f.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(
        left,
        ["bad.tar", "good.tar", "ps"],
        "a temporary file was left behind"
    );
    let raw = desk.run(&["evidence", "show", "--raw", PS, "--in", "bad.tar"]);
    assert_eq!(
        (raw.status.code(), raw.stdout.len()),
        (Some(10), 0),
        "{}",
        said(&raw)
    );
    let shown = desk.run(&["evidence", "show", PS, "--in", "bad.tar"]);
    assert_eq!(shown.status.code(), Some(10));
    let found = desk.run(&["evidence", "grep", "init", "--in", "bad.tar"]);
    assert_eq!(found.status.code(), Some(10), "{}", said(&found));
}

#[test]
fn a_case_is_not_left_by_a_link_or_by_what_its_journal_says() {
    // A folder on the way to the file.
    let case = motley();
    let elsewhere = tempfile::tempdir().unwrap();
    let folder = case.path.join("data/0001-processes");
    fs::rename(&folder, elsewhere.path().join("ps")).unwrap();
    std::os::unix::fs::symlink(elsewhere.path().join("ps"), &folder).unwrap();
    let shelf = Shelf::open(&case.path).unwrap();
    assert_eq!(
        all(&shelf, PS).unwrap_err(),
        "`data/0001-processes` is not a folder in it"
    );

    // The file itself.
    let log = case.path.join("data/0009-log/lure.log");
    fs::remove_file(&log).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &log).unwrap();
    assert!(
        all(&shelf, "0009-log/lure.log")
            .unwrap_err()
            .starts_with("cannot be read")
    );

    // A journal that names something else.
    let mut case = motley();
    let bytes = fs::read("/etc/passwd").unwrap();
    case.record(
        "capture.ended",
        json!({"capture": 9, "ms": 1, "exhibit": "../../../etc", "items": [{"name": "passwd", "source": "x", "status": "collected",
            "bytes": bytes.len(), "sha256": Hash::of(&bytes), "redactions": 0}]}),
    );
    let refused = Shelf::open(&case.path).unwrap_err().to_string();
    assert!(
        refused.contains("a part of the path is empty, `.` or `..`"),
        "{refused}"
    );

    // A pipe in place of a bundle hangs nobody.
    let pipe = elsewhere.path().join("pipe");
    run(Command::new("mkfifo").arg(&pipe));
    assert!(matches!(Shelf::open(&pipe), Err(ShelfError::Input(_))));
}

#[test]
fn of_a_broken_journal_the_good_part_is_listed_and_the_line_named() {
    let case = motley();
    let journal = fs::read_to_string(case.path.join("journal.jsonl")).unwrap();
    fs::write(
        case.path.join("journal.jsonl"),
        journal.replacen("0009-log", "0009-lob", 1),
    )
    .unwrap();
    let shelf = Shelf::open(&case.path).unwrap();
    assert_eq!(shelf.damaged.as_ref().unwrap().place, "journal.jsonl, line 12");
    assert_eq!(all(&shelf, PS).unwrap(), b"PID CMD\n1 init\n");
}

/// The program reads hostile bundles under `strace`: it creates, links and renames nothing.
#[test]
fn reading_creates_nothing_whatever_the_bundle_says() {
    let Some(desk) = Desk::new() else { return };
    if Command::new("strace").arg("-V").output().is_err() {
        not_tested("strace");
        return;
    }
    for (name, bundle) in super::damage::hostile() {
        fs::write(desk.home().join("b.tar"), bundle).unwrap();
        for args in [
            &["verify", "b.tar"][..],
            &["evidence", "grep", "x", "--in", "b.tar"],
        ] {
            let out = desk
                .jailed("strace")
                .args(["-f", "-qq", "-o", "trace", "-e", "trace=%file", PROGRAM])
                .args(args)
                .output()
                .unwrap();
            assert!(
                matches!(out.status.code(), Some(0 | 10 | 11 | 12)),
                "{name}: {}",
                said(&out)
            );
            let trace = fs::read_to_string(desk.home().join("trace")).unwrap();
            assert!(trace.contains("b.tar"), "{trace}");
            let wrote = [
                "O_CREAT", "O_WRONLY", "O_RDWR", "mkdir", "symlink", "link(", "rename", "unlink", "chmod",
                "mknod",
            ];
            let bad = trace.lines().find(|l| {
                wrote.iter().any(|w| l.contains(w)) && !l.contains("/dev/") && !l.contains("readlink")
            });
            assert_eq!(bad, None, "{name}");
        }
    }
}

/// A part shows what it holds, and names what it withholds; nothing in it is taken for the whole.
#[test]
fn of_a_part_what_is_withheld_is_named() {
    let case = motley();
    let tar = on_disk(&case.bundle());
    let part = case.path.with_file_name("part.tar");
    disclose(tar.path(), &["data/0009-log/lure.log".to_owned()], &part).unwrap();
    let (_dir, top) = unpacked(&fs::read(&part).unwrap());
    for path in [&part, &top] {
        let shelf = Shelf::open(path).unwrap();
        assert_eq!(
            (shelf.kind, shelf.has_journal(), shelf.files().len()),
            (Kind::Part, false, 1)
        );
        assert_eq!(all(&shelf, "0009-log/lure.log").unwrap(), HOSTILE);
        assert_eq!(
            all(&shelf, "0001-processes/stdout").unwrap_err(),
            "data/0001-processes/stdout is withheld in this part; it is in the whole bundle"
        );
    }
}
