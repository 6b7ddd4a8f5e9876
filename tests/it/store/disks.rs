//! Disks that are full, read-only, too small, or fail to sync.

use super::*;
use crate::support::not_tested;

pub(super) fn root_can_mount() -> bool {
    let can = Command::new("unshare")
        .args(["-m", "true"])
        .output()
        .is_ok_and(|o| o.status.success());
    if !can {
        not_tested("full and read-only disks (unshare -m is not allowed here)");
    }
    can
}

/// In a mount namespace of its own: a tmpfs of `size` on the folder, then the child in it.
pub(super) fn on_tmpfs(size: &str, role: &str) {
    if !root_can_mount() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mount = format!("mount -t tmpfs -o size={size},mode=700 none \"$STORE_FOLDER\" && exec \"$@\"");
    let output = child(&["unshare", "-m", "sh", "-c", &mount, "sh"], role, folder.path())
        .output()
        .unwrap();
    assert!(said(&output).contains("1 passed"));
}

#[test]
fn a_failed_sync_closes_the_journal_for_this_process() {
    if Command::new("strace").arg("-V").output().is_err() {
        not_tested("failed sync (strace)");
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
    assert_eq!(
        append(&desk.reopened(), note(9)).unwrap(),
        1,
        "what was not believed is not there"
    );
}

pub(super) fn three_appends(store: &Store) {
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

pub(super) fn full_disk(folder: &Path) {
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

pub(super) fn read_only(folder: &Path) {
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

    let mut locked = case.lock(|_| false).unwrap();
    locked.read(|_| {}).unwrap();
    let refused = locked.append(note(1)).err().unwrap();
    assert!(refused.is_unwritable());
    assert!(refused.to_string().contains("Read-only file system"), "{refused}");
    drop(locked);
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

#[test]
fn a_spool_that_loses_its_place_goes_on_in_the_next() {
    on_tmpfs("1m", "spool-on-full-disk");
}

pub(super) fn spool_on_full_disk(folder: &Path) {
    let elsewhere = tempfile::tempdir_in("/dev/shm").unwrap();
    let mut spool = Spool::open(&id(), vec![folder.to_owned(), elsewhere.path().to_owned()]);
    spool.append(note(0)).unwrap();
    assert!(matches!(spool.place(), Place::Folder(path) if path.starts_with(folder)));

    let mut filler = fs::File::create(folder.join("filler")).unwrap();
    while filler.write_all(&[1; 4096]).is_ok() {}
    while matches!(spool.place(), Place::Folder(path) if path.starts_with(folder)) {
        spool.append(note(1)).unwrap();
    }
    let Place::Folder(place) = spool.place() else {
        panic!("there was room elsewhere")
    };
    assert!(place.starts_with(elsewhere.path()));
    assert_eq!(Spool::load(place).unwrap().chain(), spool.chain(), "all of it");
}
