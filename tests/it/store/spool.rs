//! Records that went elsewhere, and came home once.

use super::*;

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
fn a_torn_spool_is_read_as_far_as_it_is_whole() {
    let desk = Desk::new();
    let mut spool = Spool::open(&id(), vec![desk.folder.path().to_owned()]);
    spool.append(note(0)).unwrap();
    let Place::Folder(place) = spool.place().clone() else {
        panic!("not on disk")
    };
    let file = place.join("journal.jsonl");
    let torn = [&fs::read(&file).unwrap(), &b"{\"prev\":"[..]].concat();
    fs::write(&file, torn).unwrap();
    assert_eq!(Spool::load(&place).unwrap().chain(), spool.chain());
}
