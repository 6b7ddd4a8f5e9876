//! The folder: private, listed, written once, reached through no link.

use super::*;

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
