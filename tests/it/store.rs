//! `store` against real disks and a crowd of processes: what is appended, and what a cut leaves.

mod adrift;
mod damage;
mod disks;
mod folder;
mod moving;
mod space;
mod spool;

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs, io::Write};

use incident::journal::{self, Chain, Hash, LINE_CAP};
use incident::model::ids::IncidentId;
use incident::store::{Broken, Case, CaseState, Draft, Folder, Pin, Place, Reader, Spool, Store, StoreError};
use serde_json::{Value, json};

const KEY: &[u8; 32] = &[7; 32];
const TS: &str = "2026-11-22T03:14:07.120Z";

fn id() -> IncidentId {
    IncidentId::new("INC-20261122-0314-k7qf").unwrap()
}

fn draft(kind: &str, what: Value) -> Draft {
    Draft {
        ts: TS.to_owned(),
        kind: kind.to_owned(),
        v: 1,
        what: what.to_string(),
        who: "ana@example.com".to_owned(),
    }
}

fn note(n: u64) -> Draft {
    draft("note.added", json!({"n": n, "text": "the pool is empty"}))
}

/// A store in a temporary folder, with one case in it.
struct Desk {
    folder: tempfile::TempDir,
    store: Store,
    case: Case,
}

impl Desk {
    fn new() -> Desk {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("cases"));
        let case = store.create_case(&id(), KEY).unwrap();
        Desk { folder, store, case }
    }

    fn with(notes: u64) -> Desk {
        let desk = Desk::new();
        let mut locked = desk.case.lock(|_| false).unwrap();
        locked.read(|_| {}).unwrap();
        locked.append_group((0..notes).map(note).collect()).unwrap();
        drop(locked);
        desk
    }

    fn journal(&self) -> PathBuf {
        self.case.path().join("journal.jsonl")
    }

    /// The case as another process would open it.
    fn reopened(&self) -> Case {
        self.store.open_case(&id()).unwrap()
    }

    fn kinds(&self) -> Vec<String> {
        let mut kinds = Vec::new();
        self.reopened()
            .read(|line| kinds.push(line.kind.clone().into_owned()))
            .unwrap();
        kinds
    }
}

fn append(case: &Case, draft: Draft) -> Result<u64, StoreError> {
    let mut locked = case.lock(|_| false)?;
    locked.read(|_| {})?;
    Ok(locked.append(draft)?.seq)
}

/// Runs `child_process` below in a process of its own, through `wrapper` (a program and arguments).
fn child(wrapper: &[&str], role: &str, folder: &Path) -> Command {
    let me = env::current_exe().unwrap();
    let mut command = match wrapper {
        [program, args @ ..] => {
            let mut command = Command::new(program);
            command.args(args).arg(me);
            command
        }
        [] => Command::new(me),
    };
    command
        .args([
            "--exact",
            "store::child_process",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env("STORE_ROLE", role)
        .env("STORE_FOLDER", folder);
    command
}

fn said(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr].concat();
    let both = String::from_utf8_lossy(&both).into_owned();
    assert!(output.status.success(), "{both}");
    both
}

#[test]
#[ignore = "runs only as a child of the tests below"]
fn child_process() {
    let (Ok(role), Ok(folder)) = (env::var("STORE_ROLE"), env::var("STORE_FOLDER")) else {
        return;
    };
    let folder = PathBuf::from(folder);
    let store = Store::open(folder.join("cases"));
    match role.as_str() {
        "append-50" => {
            let case = store.open_case(&id()).unwrap();
            for n in 0..50 {
                let mut locked = case
                    .lock(|tries| {
                        std::thread::sleep(std::time::Duration::from_millis(1));
                        tries < 60_000
                    })
                    .unwrap();
                locked.read(|_| {}).unwrap();
                locked.append(note(n)).unwrap();
            }
        }
        "append-until-killed" => {
            let case = store.open_case(&id()).unwrap();
            let mut locked = case.lock(|_| false).unwrap();
            locked.read(|_| {}).unwrap();
            for n in 0.. {
                let seq = locked.append(note(n)).unwrap().seq;
                eprintln!("believed {seq}");
            }
        }
        "hold-act" => {
            let case = store.open_case(&id()).unwrap();
            let held = case.try_act_lock().unwrap();
            assert!(held.is_some());
            eprintln!("holding");
            std::io::stdin().read_line(&mut String::new()).unwrap();
        }
        "make" => drop(
            store
                .create_case(&id(), KEY)
                .unwrap()
                .pin(Pin::Access, b"x")
                .unwrap(),
        ),
        "three-appends" => disks::three_appends(&store),
        "full-disk" => disks::full_disk(&folder),
        "no-room-for-a-reserve" => {
            let case = store.create_case(&id(), KEY).unwrap();
            assert!(!case.has_reserve());
            assert_eq!(append(&case, note(0)).unwrap(), 0);
        }
        "no-room-to-move" => moving::no_room_to_move(&folder),
        "read-only" => disks::read_only(&folder),
        "spool-on-full-disk" => disks::spool_on_full_disk(&folder),
        other => panic!("no role {other}"),
    }
}

#[test]
fn what_is_appended_is_read_back_as_one_chain() {
    let desk = Desk::with(3);
    assert_eq!(append(&desk.case, note(3)).unwrap(), 3);

    let mut seen = Vec::new();
    let read = desk
        .reopened()
        .read(|line| seen.push(line.record().unwrap()))
        .unwrap();
    assert_eq!((read.chain.next, read.torn), (4, 0));
    assert_eq!(
        seen.iter()
            .map(|r| r.what["n"].as_u64().unwrap())
            .collect::<Vec<_>>(),
        [0, 1, 2, 3]
    );

    let bytes = fs::read(desk.journal()).unwrap();
    let mut chain = Chain::default();
    assert!(journal::lines(&bytes).all(|line| chain.check(line).is_ok()));
    assert_eq!(chain, read.chain);
}

#[test]
fn nothing_is_appended_before_what_others_wrote_is_read() {
    let desk = Desk::with(1);
    let other = desk.reopened();
    assert_eq!(append(&other, note(1)).unwrap(), 1);

    let mut locked = desk.case.lock(|_| false).unwrap();
    assert!(matches!(locked.append(note(9)), Err(StoreError::Unread)));
    let mut new = Vec::new();
    locked.read(|line| new.push(line.seq)).unwrap();
    assert_eq!(new, [1], "only what was not read yet");
    assert_eq!(locked.append(note(2)).unwrap().seq, 2);
}

#[test]
fn a_draft_that_is_no_record_leaves_nothing_behind() {
    let desk = Desk::with(1);
    for bad in [json!({"n": 1.5}), json!({"text": "x".repeat(LINE_CAP)})] {
        let mut locked = desk.case.lock(|_| false).unwrap();
        locked.read(|_| {}).unwrap();
        let group = vec![note(1), draft("note.added", bad)];
        assert!(matches!(
            locked.append_group(group),
            Err(StoreError::NotARecord(_))
        ));
    }
    assert_eq!(desk.kinds().len(), 1);
    assert_eq!(append(&desk.case, note(1)).unwrap(), 1);
}

#[test]
fn a_case_in_use_names_who_has_it() {
    let desk = Desk::with(1);
    let _held = desk.case.lock(|_| false).unwrap();
    let mut tries = Vec::new();
    let other = desk.reopened();
    let refused = other.lock(|n| {
        tries.push(n);
        n < 3
    });
    let message = refused.err().unwrap().to_string();
    assert_eq!(
        message,
        format!("the case is in use by process {}", std::process::id())
    );
    assert_eq!(tries, [1, 2, 3]);
}

#[test]
fn sixteen_processes_write_one_chain() {
    let desk = Desk::new();
    let crowd: Vec<_> = (0..16)
        .map(|_| {
            let mut command = child(&[], "append-50", desk.folder.path());
            command
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null());
            command.spawn().unwrap()
        })
        .collect();
    for mut member in crowd {
        assert!(member.wait().unwrap().success());
    }
    assert_eq!(desk.reopened().read(|_| {}).unwrap().chain.next, 800);
}

#[test]
fn a_cut_at_any_byte_of_the_last_three_records_goes_on() {
    let whole = fs::read(Desk::with(5).journal()).unwrap();
    let ends: Vec<usize> = journal::lines(&whole)
        .scan(0, |at, line| {
            *at += line.len();
            Some(*at)
        })
        .collect();
    let desk = Desk::with(5);
    for cut in ends[1]..whole.len() {
        fs::write(desk.journal(), &whole[..cut]).unwrap();
        let case = desk.reopened();
        let kept = ends.iter().filter(|end| **end <= cut).count();
        let torn_len = cut - ends[kept - 1];

        assert_eq!(case.read(|_| {}).unwrap().torn, torn_len as u64, "cut at {cut}");
        assert_eq!(
            fs::read(desk.journal()).unwrap().len(),
            cut,
            "reading changes nothing"
        );

        let mut locked = case.lock(|_| false).unwrap();
        let caught = locked.read(|_| {}).unwrap();
        assert_eq!(caught.chain.next, kept as u64, "cut at {cut}");
        match caught.torn {
            None => assert_eq!(torn_len, 0),
            Some(torn) => {
                let bytes = &whole[ends[kept - 1]..cut];
                assert_eq!((torn.seq, torn.len), (kept as u64, torn_len as u64));
                assert_eq!(torn.sha256, Hash::of(bytes));
                assert_eq!(case.read_file(&torn.path, 1 << 20).unwrap(), bytes);
            }
        }
        assert_eq!(locked.append(note(9)).unwrap().seq, kept as u64);
        drop(locked);
        assert_eq!(desk.reopened().read(|_| {}).unwrap().chain.next, kept as u64 + 1);
    }
}

#[test]
fn what_was_believed_outlives_a_kill() {
    let desk = Desk::new();
    let mut at_least = 0;
    for round in 1..=20 {
        let mut writer = child(&[], "append-until-killed", desk.folder.path())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let said = std::io::BufReader::new(writer.stderr.take().unwrap());
        let mut believed = std::io::BufRead::lines(said)
            .map_while(Result::ok)
            .filter_map(|line| {
                line.strip_prefix("believed ")
                    .and_then(|seq| seq.parse::<u64>().ok())
            });
        let seen: Vec<u64> = believed.by_ref().take(round).collect();
        writer.kill().unwrap();
        // What it said between the last look and its end counts as well.
        let last = believed.last().or(seen.last().copied()).unwrap();
        writer.wait().unwrap();
        assert!(
            last >= at_least,
            "round {round} went on where the one before ended"
        );

        let case = desk.reopened();
        let mut locked = case.lock(|_| false).unwrap();
        let next = locked.read(|_| {}).unwrap().chain.next;
        assert!(
            next > last,
            "round {round}: record {last} was believed, {next} are there"
        );
        at_least = next;
    }
}
