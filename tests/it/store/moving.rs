//! Cases on their way to another folder.

use super::*;

fn no(_: u32) -> bool {
    false
}

#[test]
fn every_case_arrives_whole_and_the_old_one_refuses() {
    let desk = Desk::with(5);
    let staging = desk.case.begin_capture(3, "host").unwrap();
    let stored = staging.put("stdout", b"what was seen").unwrap();
    staging.commit(vec![stored]).unwrap();
    desk.case.write_once(Folder::Undo, "0003.json", b"{}").unwrap();
    let to = desk.folder.path().join("disk");
    let moved = desk.store.move_to(&to, no).unwrap();
    assert_eq!(moved.cases.len(), 1);
    let there = Store::found(desk.store.root().to_owned());
    assert_eq!(there.root(), to);
    let case = there.open_case(&id()).unwrap();
    assert_eq!(case.read(|_| {}).unwrap(), desk.case.read(|_| {}).unwrap());
    assert_eq!(
        case.read_file(Path::new("data/0003-host/stdout"), 99).unwrap(),
        b"what was seen"
    );
    assert_eq!(case.key().unwrap(), desk.case.key().unwrap());
    assert!(case.has_reserve());
    let mode = |path: PathBuf| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(
        (
            mode(case.path().to_owned()),
            mode(case.path().join("undo/0003.json"))
        ),
        (0o700, 0o600)
    );
    assert_eq!(append(&case, note(9)).unwrap(), 5);

    // Whoever had it open, and whoever opens it, would continue another record.
    let refused = append(&desk.case, note(9)).unwrap_err();
    assert!(
        matches!(&refused, StoreError::Moved { to: there, .. } if *there == to),
        "{refused}"
    );
    assert!(matches!(
        desk.store.open_case(&id()),
        Err(StoreError::Moved { .. })
    ));
    assert_eq!(desk.case.read(|_| {}).unwrap().chain.next, 5);
}

#[test]
fn nothing_moves_while_an_act_runs() {
    let desk = Desk::with(1);
    let act = desk.case.try_act_lock().unwrap().unwrap();
    let to = desk.folder.path().join("disk");
    assert!(matches!(
        desk.store.move_to(&to, no),
        Err(StoreError::ActRuns { .. })
    ));
    assert!(!to.exists());
    drop(act);
    let writing = desk.case.lock(|_| false).unwrap();
    assert!(matches!(
        desk.store.move_to(&to, no),
        Err(StoreError::Held { .. })
    ));
    drop(writing);
    assert!(desk.store.move_to(&to, no).is_ok());
}

#[test]
fn a_move_that_was_cut_short_goes_on_and_a_copy_that_differs_ends_it() {
    let desk = Desk::with(3);
    let to = desk.folder.path().join("disk");
    let half = to.join(format!(".moving-{}", id()));
    fs::create_dir_all(&half).unwrap();
    fs::set_permissions(&to, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(half.join("journal.jsonl"), "half").unwrap();
    desk.store.move_to(&to, no).unwrap();
    assert!(!half.exists());

    // The note alone was lost: what is there is proved again, and counts.
    fs::remove_file(desk.store.root().join("moved")).unwrap();
    assert_eq!(desk.store.move_to(&to, no).unwrap().cases.len(), 1);

    fs::remove_file(desk.store.root().join("moved")).unwrap();
    let copied = to.join(id().as_str()).join("case.key");
    fs::write(&copied, [8; 32]).unwrap();
    let refused = desk.store.move_to(&to, no).unwrap_err();
    assert!(
        matches!(&refused, StoreError::NotTheSame { path } if *path == copied),
        "{refused}"
    );
    assert!(desk.store.open_case(&id()).is_ok(), "it stays where it was");
}

#[test]
fn a_link_in_a_case_is_not_followed_out_of_it() {
    let desk = Desk::with(1);
    symlink("/etc/hostname", desk.case.path().join("data/link")).unwrap();
    let to = desk.folder.path().join("disk");
    assert!(desk.store.move_to(&to, no).is_err());
    assert!(!to.join(id().as_str()).exists());
    assert!(desk.store.open_case(&id()).is_ok());
}

#[test]
fn a_damaged_case_moves_as_it_is() {
    let desk = Desk::with(4);
    let text = fs::read_to_string(desk.journal()).unwrap();
    fs::write(desk.journal(), text.replacen("the pool", "the pond", 1)).unwrap();
    let to = desk.folder.path().join("disk");
    desk.store.move_to(&to, no).unwrap();
    let damage = |case: &Case| case.read(|_| {}).unwrap_err().to_string();
    assert_eq!(
        damage(&Store::open(to).open_case(&id()).unwrap()),
        damage(&desk.case)
    );
}

#[test]
fn the_disk_is_asked_for_room_first() {
    disks::on_tmpfs("1m", "no-room-to-move");
}

pub(super) fn no_room_to_move(folder: &Path) {
    let desk = Desk::with(1);
    desk.case
        .write_once(Folder::Undo, "big", &vec![1; 2 << 20])
        .unwrap();
    let to = folder.join("disk");
    let refused = desk.store.move_to(&to, no).unwrap_err();
    assert!(matches!(refused, StoreError::NoRoom { .. }), "{refused}");
    assert_eq!(fs::read_dir(&to).unwrap().count(), 0, "nothing was copied");
    assert!(desk.store.open_case(&id()).is_ok());
}
