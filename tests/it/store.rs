//! `store` against real disks: cuts, crowds, full and read-only disks, failed syncs, damage.
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs, io::Write};

use incident::journal::{self, Chain, Hash, LINE_CAP};
use incident::model::ids::IncidentId;
use incident::store::{Broken, Case, CaseState, Draft, Folder, Pin, Place, Spool, Store, StoreError};
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
        what,
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

// --- Another process -----------------------------------------------------------------------------

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
        "three-appends" => three_appends(&store),
        "full-disk" => full_disk(&folder),
        "no-room-for-a-reserve" => {
            let case = store.create_case(&id(), KEY).unwrap();
            assert!(!case.has_reserve());
            assert_eq!(append(&case, note(0)).unwrap(), 0);
        }
        "read-only" => read_only(&folder),
        other => panic!("no role {other}"),
    }
}

fn root_and_namespaces() -> bool {
    let can = Command::new("unshare")
        .args(["-m", "true"])
        .output()
        .is_ok_and(|o| o.status.success());
    if !can {
        eprintln!("NOT TESTED: full and read-only disks (unshare -m is not allowed here)");
        assert!(env::var("CI").is_err(), "CI must be able to mount");
    }
    can
}

/// In a mount namespace of its own: a tmpfs of `size` on the folder, then the child in it.
fn on_tmpfs(size: &str, role: &str) {
    if !root_and_namespaces() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mount = format!("mount -t tmpfs -o size={size},mode=700 none \"$STORE_FOLDER\" && exec \"$@\"");
    let output = child(&["unshare", "-m", "sh", "-c", &mount, "sh"], role, folder.path())
        .output()
        .unwrap();
    assert!(said(&output).contains("1 passed"));
}

// --- Append --------------------------------------------------------------------------------------

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

// --- Locks, files, folders -----------------------------------------------------------------------

#[test]
fn an_act_running_elsewhere_is_told_from_one_that_died() {
    let desk = Desk::with(1);
    let mut elsewhere = child(&[], "hold-act", desk.folder.path())
        .stdin(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(elsewhere.stderr.take().unwrap()));
    assert!(lines.any(|line| line.unwrap().contains("holding")));
    assert!(desk.case.try_act_lock().unwrap().is_none(), "running there");

    elsewhere.kill().unwrap();
    elsewhere.wait().unwrap();
    assert!(desk.case.try_act_lock().unwrap().is_some(), "dead: in doubt");
}

#[test]
fn a_case_is_private_whatever_the_umask() {
    for umask in ["0000", "0777"] {
        let folder = tempfile::tempdir().unwrap();
        let set = format!("umask {umask} && exec \"$@\"");
        let output = child(&["sh", "-c", &set, "sh"], "make", folder.path())
            .output()
            .unwrap();
        said(&output);
        let case = folder.path().join("cases").join(id().as_str());
        let mode = |path: &Path| fs::symlink_metadata(path).unwrap().mode() & 0o7777;
        assert_eq!(mode(&case), 0o700);
        for entry in fs::read_dir(&case).unwrap() {
            let entry = entry.unwrap().path();
            let wanted = if entry.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode(&entry), wanted, "{} under umask {umask}", entry.display());
        }
    }
}

#[test]
fn a_case_that_others_could_change_is_refused() {
    let desk = Desk::with(1);
    let case = desk.case.path();
    fs::set_permissions(case, fs::Permissions::from_mode(0o770)).unwrap();
    let refused = desk.store.open_case(&id()).err().unwrap();
    assert!(
        refused
            .to_string()
            .ends_with("is not a private folder: others may write to it")
    );
    fs::set_permissions(case, fs::Permissions::from_mode(0o700)).unwrap();

    let link = IncidentId::new("INC-20261122-0315-link").unwrap();
    symlink(case, desk.store.root().join(link.as_str())).unwrap();
    let refused = desk.store.open_case(&link).err().unwrap();
    assert!(
        refused
            .to_string()
            .ends_with("is not a private folder: it is a symbolic link")
    );
}

#[test]
fn nothing_in_a_case_is_reached_through_a_link() {
    let desk = Desk::with(1);
    let outside = desk.folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "x").unwrap();

    let file = |path: &str| desk.case.read_file(Path::new(path), 10);
    symlink(outside.join("secret"), desk.case.path().join("data/link")).unwrap();
    assert!(file("data/link").is_err());
    symlink(&outside, desk.case.path().join("data/0001-x")).unwrap();
    assert!(file("data/0001-x/secret").is_err());
    assert!(file("../outside/secret").is_err());
    assert!(file("/etc/hostname").is_err());

    fs::remove_dir(desk.case.path().join("undo")).unwrap();
    symlink(&outside, desk.case.path().join("undo")).unwrap();
    assert!(desk.case.write_once(Folder::Undo, "a", b"x").is_err());
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);

    fs::rename(desk.journal(), desk.folder.path().join("moved")).unwrap();
    symlink(desk.folder.path().join("moved"), desk.journal()).unwrap();
    assert!(desk.reopened().read(|_| {}).is_err());
}

#[test]
fn a_pipe_in_place_of_the_journal_hangs_nobody() {
    let desk = Desk::with(1);
    fs::remove_file(desk.journal()).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(desk.journal())
            .status()
            .unwrap()
            .success()
    );
    let refused = desk.reopened().read(|_| {}).err().unwrap().to_string();
    assert!(refused.ends_with("not a regular file"), "{refused}");
}

#[test]
fn pinned_files_and_receipts_are_written_once() {
    let desk = Desk::new();
    let stored = desk.case.pin(Pin::Runbook, b"version: 1\n").unwrap();
    assert_eq!(
        (stored.path.to_str(), stored.sha256),
        (Some("runbook.yaml"), Hash::of(b"version: 1\n"))
    );
    desk.case.pin(Pin::Runbook, b"version: 1\n").unwrap();
    assert!(matches!(
        desk.case.pin(Pin::Runbook, b"version: 2\n"),
        Err(StoreError::Exists { .. })
    ));

    let stored = desk
        .case
        .write_once(Folder::Signoffs, "0041.act.json", b"{}")
        .unwrap();
    assert_eq!(stored.path.to_str(), Some("signoffs/0041.act.json"));
    assert!(desk.case.write_once(Folder::Signoffs, "../x", b"{}").is_err());
    assert_eq!(
        desk.case.read_file(Path::new("runbook.yaml"), 100).unwrap(),
        b"version: 1\n"
    );
    assert_eq!(&*desk.case.key().unwrap(), KEY);
    assert_eq!(fs::read_dir(desk.case.path().join("tmp")).unwrap().count(), 0);
}

#[test]
fn a_capture_becomes_an_exhibit_whole_or_not_at_all() {
    let desk = Desk::with(1);
    let staging = desk.case.begin_capture(3, "host").unwrap();
    let mut stdout = staging.create("stdout").unwrap();
    stdout.write_all(b"one ").unwrap();
    stdout.write_all(b"two").unwrap();
    let files = vec![stdout.finish().unwrap(), staging.put("meta.json", b"{}").unwrap()];
    let kept = staging.commit(files).unwrap();
    let seen: Vec<_> = kept.iter().map(|f| (f.path.to_str().unwrap(), f.len)).collect();
    assert_eq!(
        seen,
        [("data/0003-host/stdout", 7), ("data/0003-host/meta.json", 2)]
    );
    assert_eq!(kept[0].sha256, Hash::of(b"one two"));
    assert_eq!(desk.case.read_file(&kept[0].path, 100).unwrap(), b"one two");

    let again = desk.case.begin_capture(3, "host").unwrap();
    let files = vec![again.put("stdout", b"other").unwrap()];
    assert!(matches!(again.commit(files), Err(StoreError::Exists { .. })));
    assert_eq!(desk.case.read_file(&kept[0].path, 100).unwrap(), b"one two");

    let unfinished = desk.case.begin_capture(4, "host").unwrap();
    drop(unfinished.create("stdout").unwrap());
    assert!(unfinished.commit(Vec::new()).is_err());
    assert!(!desk.case.path().join("data/0004-host").exists());
    assert!(desk.case.begin_capture(5, "Host/..").is_err());

    let thrown = desk.case.begin_capture(6, "host").unwrap();
    thrown.put("stdout", b"x").unwrap();
    thrown.discard().unwrap();
    assert!(!desk.case.path().join("tmp/capture-0006-host.1").exists());
}

#[test]
fn the_list_shows_every_case_newest_first() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("cases"));
    assert_eq!(store.list().unwrap(), []);
    for name in [
        "INC-20261120-0100-aaaa",
        "INC-20261122-0314-bbbb",
        "DRILL-20261121-0900-cccc",
    ] {
        let case = store.create_case(&IncidentId::new(name).unwrap(), KEY).unwrap();
        append(&case, draft("incident.opened", json!({}))).unwrap();
    }
    let oldest = store
        .open_case(&IncidentId::new("INC-20261120-0100-aaaa").unwrap())
        .unwrap();
    append(&oldest, draft("incident.closed", json!({}))).unwrap();
    append(
        &oldest,
        draft("note.added", json!({"text": "\",\"type\":\"incident.closed\""})),
    )
    .unwrap();
    fs::create_dir(store.root().join("INC-20261119-0000-dddd")).unwrap();
    fs::write(store.root().join("README"), "x").unwrap();

    let rows = || -> Vec<String> {
        let short = |state: &CaseState| match state {
            CaseState::Broken(why) => format!("broken: {}", why.rsplit('/').next().unwrap()),
            other => format!("{other:?}"),
        };
        let row = |c: incident::store::CaseSummary| format!("{} {} {:?}", c.id, short(&c.state), c.opened_ms);
        store.list().unwrap().into_iter().map(row).collect()
    };
    insta::assert_debug_snapshot!(rows(), @r#"
    [
        "INC-20261122-0314-bbbb Open Some(1795317247120)",
        "DRILL-20261121-0900-cccc Open Some(1795317247120)",
        "INC-20261120-0100-aaaa Closed Some(1795317247120)",
        "INC-20261119-0000-dddd broken: journal.jsonl cannot be believed: it is gone None",
    ]
    "#);
    let open: Vec<_> = store
        .find_open(false)
        .unwrap()
        .into_iter()
        .map(|c| c.id.to_string())
        .collect();
    assert_eq!(open, ["INC-20261122-0314-bbbb"]);

    assert!(store.create_case(oldest.id(), KEY).is_err());
    let absent = store
        .open_case(&IncidentId::new("INC-20200101-0000-none").unwrap())
        .err()
        .unwrap();
    assert!(matches!(absent, StoreError::NoSuchCase { .. }));
}

// --- Bad disks -----------------------------------------------------------------------------------

#[test]
fn a_failed_sync_closes_the_journal_for_this_process() {
    if Command::new("strace").arg("-V").output().is_err() {
        eprintln!("NOT TESTED: failed sync (no strace)");
        assert!(env::var("CI").is_err(), "CI must have strace");
        return;
    }
    let desk = Desk::new();
    let inject = "inject=fdatasync:error=EIO:when=2";
    let output = child(
        &["strace", "-f", "-qq", "-o", "/dev/null", "-e", inject],
        "three-appends",
        desk.folder.path(),
    )
    .output()
    .unwrap();
    let out = said(&output);
    assert!(out.contains("1 Ok(0)"), "{out}");
    assert!(out.contains("2 Err(\"cannot sync"), "{out}");
    assert!(
        out.contains("3 Err(\"the journal is closed for writing: the last record could not be synced"),
        "{out}"
    );
    // Another process checks again what is really there, and goes on.
    assert_eq!(append(&desk.reopened(), note(9)).unwrap(), 2);
}

fn three_appends(store: &Store) {
    let case = store.open_case(&id()).unwrap();
    for n in 1..=3 {
        let mut locked = case.lock(|_| false).unwrap();
        let done = locked.read(|_| {}).and_then(|_| locked.append(note(n)));
        eprintln!("{n} {:?}", done.map(|a| a.seq).map_err(|e| e.to_string()));
    }
}

#[test]
fn a_full_disk_does_not_end_the_record() {
    on_tmpfs("20m", "full-disk");
}

#[test]
fn a_disk_too_small_for_the_reserve_still_takes_a_case() {
    on_tmpfs("1m", "no-room-for-a-reserve");
}

fn full_disk(folder: &Path) {
    let store = Store::open(folder.join("cases"));
    let case = store.create_case(&id(), KEY).unwrap();
    assert!(case.has_reserve());
    let mut filler = fs::File::create(folder.join("filler")).unwrap();
    while filler.write_all(&[1; 4096]).is_ok() {}

    // An exhibit is not worth the reserve; the record of it is.
    let staging = case.begin_capture(1, "host").unwrap();
    assert!(staging.put("stdout", &[1; 100_000]).is_err());
    staging.discard().unwrap();
    assert!(case.has_reserve());

    let mut locked = case.lock(|_| false).unwrap();
    locked.read(|_| {}).unwrap();
    let text = "x".repeat(2000);
    let freed: Vec<bool> = (0..50)
        .map(|_| {
            locked
                .append(draft("note.added", json!({"text": text})))
                .unwrap()
                .reserve_freed
        })
        .collect();
    assert_eq!(
        freed.iter().filter(|freed| **freed).count(),
        1,
        "given up once, and said so"
    );
    assert!(!case.has_reserve());

    // Full again, and nothing left to give up: an error, and no half record.
    while filler.write_all(&[1; 4096]).is_ok() {}
    let last = loop {
        match locked.append(draft("note.added", json!({"text": text}))) {
            Ok(appended) => assert!(!appended.reserve_freed),
            Err(e) => break e,
        }
    };
    assert!(last.is_unwritable(), "{last}");
    drop(locked);
    let read = case.read(|_| {}).unwrap();
    assert_eq!(read.torn, 0);

    drop(filler);
    fs::remove_file(folder.join("filler")).unwrap();
    assert_eq!(
        append(&case, note(1)).unwrap(),
        read.chain.next,
        "room again: it goes on"
    );
}

#[test]
fn on_a_read_only_disk_the_record_goes_on_in_a_spool() {
    on_tmpfs("20m", "read-only");
}

fn read_only(folder: &Path) {
    let remount = |how: &str| {
        let options = format!("remount,{how}");
        assert!(
            Command::new("mount")
                .args(["-o", &options])
                .arg(folder)
                .status()
                .unwrap()
                .success()
        );
    };
    let store = Store::open(folder.join("cases"));
    let case = store.create_case(&id(), KEY).unwrap();
    append(&case, note(0)).unwrap();
    remount("ro");

    assert!(append(&case, note(1)).err().unwrap().is_unwritable());
    assert_eq!(
        case.read(|_| {}).unwrap().chain.next,
        1,
        "reading needs no writing"
    );
    let elsewhere = tempfile::tempdir_in("/dev/shm").unwrap();
    let candidates = vec![
        store.root().to_owned(),
        folder.join("absent"),
        elsewhere.path().to_owned(),
    ];
    let mut spool = Spool::open(&id(), candidates.clone());
    assert!(matches!(spool.place(), Place::Folder(path) if path.starts_with(elsewhere.path())));
    spool.append(note(1)).unwrap();
    spool.append(note(2)).unwrap();
    drop(spool);

    remount("rw");
    let left = Spool::find(&id(), &candidates);
    assert_eq!(left.len(), 1);
    let mut locked = case.lock(|_| false).unwrap();
    locked.read(|_| {}).unwrap();
    let taken = locked
        .absorb(&Spool::load(&left[0]).unwrap(), TS, "ana@example.com")
        .unwrap();
    assert_eq!((taken.records, taken.recorded.unwrap().seq), (2, 3));
    assert_eq!(Spool::find(&id(), &candidates), Vec::<PathBuf>::new());
}

// --- Spool ---------------------------------------------------------------------------------------

#[test]
fn with_no_disk_at_all_the_spool_is_in_memory() {
    let desk = Desk::with(1);
    let mut spool = Spool::open(
        &id(),
        vec![desk.folder.path().join("absent"), PathBuf::from("/proc")],
    );
    assert_eq!(spool.place(), &Place::Memory);
    let mut early = note(1);
    early.ts = "2026-11-22T03:10:00.000Z".to_owned();
    spool.append(early).unwrap();

    let mut locked = desk.case.lock(|_| false).unwrap();
    locked.read(|_| {}).unwrap();
    locked.absorb(&spool, TS, "ana@example.com").unwrap();
    drop(locked);
    let mut seen = Vec::new();
    desk.case
        .read(|l| seen.push((l.ts.to_string(), l.kind.to_string(), l.what.to_string())))
        .unwrap();
    assert_eq!(seen[1].0, "2026-11-22T03:10:00.000Z", "with its own time");
    assert_eq!(seen[2].1, "spool.absorbed");
    let head = spool.chain().head;
    assert_eq!(
        seen[2].2,
        format!("{{\"head\":\"{head}\",\"place\":\"only in memory\",\"records\":1}}")
    );
}

#[test]
fn a_spool_is_taken_over_once() {
    let desk = Desk::with(1);
    let candidates = vec![desk.folder.path().to_owned()];
    let mut spool = Spool::open(&id(), candidates.clone());
    spool.append(note(1)).unwrap();
    for case in [desk.reopened(), desk.reopened()] {
        let mut locked = case.lock(|_| false).unwrap();
        locked.read(|_| {}).unwrap();
        locked.absorb(&spool, TS, "ana@example.com").unwrap();
        locked.absorb(&spool, TS, "ana@example.com").unwrap();
    }
    assert_eq!(desk.kinds(), ["note.added", "note.added", "spool.absorbed"]);
    assert_eq!(Spool::find(&id(), &candidates), Vec::<PathBuf>::new());
}

#[test]
fn a_spool_that_loses_its_place_goes_on_in_the_next() {
    if !Path::new("/dev/full").exists() {
        return;
    }
    let first = tempfile::tempdir().unwrap();
    let second = tempfile::tempdir().unwrap();
    let candidates = vec![first.path().to_owned(), second.path().to_owned()];
    let mut spool = Spool::open(&id(), candidates);
    spool.append(note(0)).unwrap();
    let Place::Folder(place) = spool.place().clone() else {
        panic!("not on disk")
    };
    assert!(place.starts_with(first.path()));
    let torn = {
        let mut bytes = fs::read(place.join("journal.jsonl")).unwrap();
        bytes.extend(b"{\"prev\":");
        bytes
    };
    fs::write(place.join("journal.jsonl"), torn).unwrap();
    assert_eq!(
        Spool::load(&place).unwrap().chain().next,
        1,
        "as far as it is whole"
    );
}

// --- Damage --------------------------------------------------------------------------------------

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
