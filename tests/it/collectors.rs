//! Collectors against real files, programs and repositories, in a jail: they look at processes.

macro_rules! jailed {
    ($($name:ident),* $(,)?) => {
        $(#[test] fn $name() { crate::local::jailed(concat!("collectors::inner::", stringify!($name))); })*
    };
}

jailed!(
    a_host_is_looked_at_and_what_is_missing_is_said,
    a_commands_output_is_kept_and_its_failure_told,
    a_folder_is_taken_with_its_holes,
    a_repository_is_read_without_running_what_it_names,
    when_the_time_runs_out_the_rest_is_skipped_by_name,
    logs_and_transcripts_are_taken_from_a_moment_on,
    containers_are_asked_one_by_one_and_what_is_not_there_is_said,
    copies_are_told_with_everybody_who_could_replace_them,
    what_changes_something_is_left_alone_unless_asked_for,
    a_look_may_take_long_while_it_tells_something,
    what_a_program_left_out_is_said,
    the_journal_and_a_remote_state_are_asked_for_what_was_meant,
    the_first_look_changes_nothing_on_this_host,
);

mod cloud;
mod cluster;
mod cut;
mod daemons;
mod harmless;
mod planted;
mod servers;
pub mod shelf;
mod together;

mod inner {
    use std::collections::BTreeMap;
    use std::io::Read;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::process::Command;
    use std::time::Duration;

    use incident::collectors::{Limits, plan};
    use incident::model::act::CaptureSpec;
    use incident::model::event::ItemStatus;
    use incident::world::files::{Files, RealFiles};

    use super::shelf::{LIMITS, command, of, scene, status, take};
    use crate::local::yard::{Keys, world};

    #[test]
    #[ignore = "runs in a jail"]
    fn a_host_is_looked_at_and_what_is_missing_is_said() {
        let world = world(&Keys::default());
        let (taken, shelf) = take(&world, &CaptureSpec::Host, LIMITS);
        let planned = plan(&CaptureSpec::Host, &scene(Path::new("/"))).unwrap();
        assert_eq!(planned[0].name, "processes.txt", "what goes first is taken first");
        for item in &planned {
            assert!(
                taken
                    .iter()
                    .any(|t| t.name == item.name && t.source == item.touches),
                "{item:?}"
            );
        }
        assert!(
            shelf.text("processes.txt").contains("--ignored"),
            "our own arguments"
        );
        assert!(shelf.text("meminfo").contains("MemTotal"));
        assert!(shelf.text("disk.txt").contains("Mounted on"));
        // No manager runs in a jail: the failure is told, its words are kept.
        if taken.iter().any(|t| t.name == "services.txt.stderr") {
            assert_eq!(status(&taken, "services.txt"), ItemStatus::Failed);
        }
    }

    #[test]
    #[ignore = "runs in a jail"]
    fn a_commands_output_is_kept_and_its_failure_told() {
        let world = world(&Keys::default());
        let (taken, shelf) = take(&world, &command("echo out; echo err >&2; exit 3"), LIMITS);
        assert_eq!(status(&taken, "stdout"), ItemStatus::Failed);
        assert_eq!(
            (shelf.text("stdout"), shelf.text("stdout.stderr")),
            ("out\n".into(), "err\n".into())
        );
        let short = Limits {
            deadline: Duration::from_millis(300),
            cap: 4,
            ..LIMITS
        };
        let (taken, shelf) = take(&world, &command("echo abcdefgh"), short);
        assert_eq!(
            (status(&taken, "stdout"), shelf.text("stdout")),
            (ItemStatus::Truncated, "abcd".into())
        );
        let (taken, shelf) = take(&world, &command("echo a; sleep 1001"), short);
        assert_eq!(
            (status(&taken, "stdout"), shelf.text("stdout")),
            (ItemStatus::TimedOut, "a\n".into())
        );
        let missing = CaptureSpec::Command {
            argv: vec!["no-such-program".into()],
            cwd: None,
        };
        let (taken, _) = take(&world, &missing, LIMITS);
        assert_eq!(taken[0].status, ItemStatus::Failed);
        assert_eq!(taken[0].why.as_deref(), Some("no program `no-such-program`"));
    }

    #[test]
    #[ignore = "runs in a jail"]
    fn a_folder_is_taken_with_its_holes() {
        let world = world(&Keys::default());
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("logs");
        std::fs::create_dir_all(top.join("b")).unwrap();
        std::fs::write(top.join("a.log"), "one\n").unwrap();
        std::fs::write(top.join("b/long name.log"), "x".repeat(50)).unwrap();
        std::os::unix::fs::symlink("/etc/shadow", top.join("link")).unwrap();
        assert!(
            Command::new("mkfifo")
                .arg(top.join("pipe"))
                .status()
                .unwrap()
                .success()
        );
        let limits = Limits { cap: 40, ..LIMITS };
        let (taken, shelf) = take(
            &world,
            &CaptureSpec::File { path: top.clone() },
            Limits { cap: 400, ..limits },
        );
        assert_eq!(status(&taken, "logs/b/long%20name.log"), ItemStatus::Collected);
        let listing = shelf.text("listing.txt");
        assert!(
            listing.contains("logs/link") && listing.contains(" 50 "),
            "{listing}"
        );
        assert_eq!(shelf.text("logs/a.log"), "one\n");
        assert_eq!(status(&taken, "logs/link"), ItemStatus::Skipped);
        assert_eq!(status(&taken, "logs/pipe"), ItemStatus::Skipped);
        let (taken, _) = take(&world, &CaptureSpec::File { path: top.clone() }, limits);
        assert_eq!(status(&taken, "logs/b/long%20name.log"), ItemStatus::Truncated);
        let (taken, _) = take(
            &world,
            &CaptureSpec::File { path: top.clone() },
            Limits { files: 1, ..LIMITS },
        );
        assert_eq!(status(&taken, "logs/b/long%20name.log"), ItemStatus::Skipped);
        let (taken, _) = take(
            &world,
            &CaptureSpec::File {
                path: top.join("nope"),
            },
            LIMITS,
        );
        assert_eq!(status(&taken, "nope"), ItemStatus::Failed);
        std::fs::set_permissions(&top, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn git(repo: &Path, arguments: &[&str]) {
        let out = Command::new("git")
            .args([
                "-c",
                "user.name=Ana",
                "-c",
                "user.email=ana@example.com",
                "-c",
                "init.defaultBranch=main",
            ])
            .args(arguments)
            .current_dir(repo)
            .output()
            .unwrap();
        assert!(
            out.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
    }

    /// Every file below a folder with its bytes.
    fn bytes_below(folder: &Path) -> BTreeMap<String, Vec<u8>> {
        let mut all = BTreeMap::new();
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                all.extend(bytes_below(&path));
            } else {
                all.insert(path.display().to_string(), std::fs::read(&path).unwrap());
            }
        }
        all
    }

    #[test]
    #[ignore = "runs in a jail"]
    fn a_repository_is_read_without_running_what_it_names() {
        let world = world(&Keys::default());
        let dir = tempfile::tempdir().unwrap();
        let repo = dir.path();
        git(repo, &["init", "-q"]);
        std::fs::write(repo.join("a.txt"), "one\n").unwrap();
        git(repo, &["add", "."]);
        git(repo, &["commit", "-q", "-m", "first"]);
        std::fs::write(repo.join("a.txt"), "stashed\n").unwrap();
        git(repo, &["stash"]);
        std::fs::write(repo.join("a.txt"), "two\n").unwrap();
        std::fs::write(repo.join("new.txt"), "new\n").unwrap();
        // What an agent with write access could leave behind for whoever looks.
        let trap = repo.join(".git/trap.sh");
        let sprung = repo.join(".git/sprung");
        std::fs::write(
            &trap,
            format!("#!/bin/sh\necho \"$0 $@\" >>{}\ncat\n", sprung.display()),
        )
        .unwrap();
        std::fs::set_permissions(&trap, std::fs::Permissions::from_mode(0o755)).unwrap();
        let trap = trap.to_str().unwrap();
        for name in [
            "core.fsmonitor",
            "core.pager",
            "core.sshCommand",
            "diff.external",
            "gpg.program",
            "filter.trap.clean",
            "filter.trap.smudge",
            "filter.a.b.process",
            "diff.trap.textconv",
            "diff.trap.command",
            "core.alternateRefsCommand",
            "credential.helper",
            "pager.log",
            "alias.status",
        ] {
            git(repo, &["config", name, trap]);
        }
        git(repo, &["config", "filter.trap.required", "true"]);
        std::fs::create_dir_all(repo.join(".git/hooks")).unwrap();
        std::fs::copy(trap, repo.join(".git/hooks/post-index-change")).unwrap();
        std::fs::write(repo.join(".git/info/attributes"), "* filter=trap diff=trap\n").unwrap();
        let before = bytes_below(repo);

        let spec = CaptureSpec::Git {
            repo: repo.to_owned(),
        };
        let (taken, shelf) = take(&world, &spec, LIMITS);
        assert!(!sprung.exists(), "{}", std::fs::read_to_string(&sprung).unwrap());
        assert!(
            taken.iter().all(|t| t.status == ItemStatus::Collected),
            "{taken:?}"
        );
        assert!(shelf.text("status.txt").contains("? new.txt"));
        assert!(shelf.text("diff.patch").contains("+two"));
        assert!(shelf.text("log.txt").contains("first") && shelf.text("unpushed.txt").contains("first"));
        assert!(shelf.text("stash.txt").contains("stash@{"));
        assert!(shelf.text("worktrees.txt").contains("branch refs/heads/main"));
        assert_eq!(before, bytes_below(repo), "nothing was written");

        // The trap is a real one: plain git walks into it.
        let _ = Command::new("git").arg("status").current_dir(repo).output();
        assert!(sprung.exists());
        let (taken, _) = take(&world, &CaptureSpec::Git { repo: "/proc".into() }, LIMITS);
        assert!(
            taken
                .iter()
                .filter(|t| t.name == "log.txt")
                .all(|t| t.status == ItemStatus::Failed)
        );
    }

    #[test]
    #[ignore = "runs in a jail"]
    fn when_the_time_runs_out_the_rest_is_skipped_by_name() {
        let world = world(&Keys::default());
        let limits = Limits {
            total: Duration::ZERO,
            ..LIMITS
        };
        let (taken, shelf) = take(&world, &CaptureSpec::Host, limits);
        assert!(taken.iter().all(|t| t.status == ItemStatus::Skipped), "{taken:?}");
        let planned = plan(&CaptureSpec::Host, &scene(Path::new("/"))).unwrap();
        assert_eq!(taken.len(), planned.len());
        assert!(shelf.is_empty());
    }

    #[test]
    #[ignore = "runs in a jail"]
    fn logs_and_transcripts_are_taken_from_a_moment_on() {
        let world = world(&Keys::default());
        let home = tempfile::tempdir().unwrap();
        let session = home.path().join(".claude/projects/-srv-app/5e55.jsonl");
        std::fs::create_dir_all(session.parent().unwrap()).unwrap();
        std::fs::write(&session, "{\"type\":\"user\"}\n").unwrap();
        let old = session.with_file_name("old.jsonl");
        std::fs::write(&old, "long ago\n").unwrap();
        let touched = Command::new("touch")
            .args(["-d", "3 days ago"])
            .arg(&old)
            .status();
        assert!(touched.unwrap().success());
        let spec = of(
            "agents",
            &[("of", home.path().to_str().unwrap()), ("since", "24h")],
        );
        let (taken, shelf) = take(&world, &spec, LIMITS);
        assert_eq!(
            status(&taken, "claude-projects/-srv-app/5e55.jsonl"),
            ItemStatus::Collected
        );
        let listing = shelf.text("claude-projects-listing.txt");
        assert!(
            listing.contains("old.jsonl") && listing.contains("# 1 of these"),
            "{listing}"
        );
        assert!(!taken.iter().any(|t| t.name.ends_with("old.jsonl")));
        // An agent that was never here is a hole, not a failure of the look.
        assert_eq!(status(&taken, "codex-sessions"), ItemStatus::Skipped);

        let spec = of(
            "logs",
            &[
                ("folder", session.parent().unwrap().to_str().unwrap()),
                ("since", "1h"),
            ],
        );
        let (taken, _) = take(&world, &spec, LIMITS);
        assert_eq!(status(&taken, "files/5e55.jsonl"), ItemStatus::Collected);
    }

    #[test]
    #[ignore = "runs in a jail"]
    fn containers_are_asked_one_by_one_and_what_is_not_there_is_said() {
        // A program of that name, in a folder of this namespace alone.
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "none", "/usr/local/bin"])
            .status();
        assert!(mounted.unwrap().success());
        // Nor has this host a podman, whatever is installed.
        if Path::new("/usr/bin/podman").exists() {
            let hidden = Command::new("mount")
                .args(["--bind", "/dev/null", "/usr/bin/podman"])
                .status();
            assert!(hidden.unwrap().success());
        }
        let script = "#!/bin/sh\ncase \"$1 $2 $3\" in\n\"ps --all --quiet\"|\"ps --quiet --no-trunc\") echo aaa; echo bbb;;\n\
                      \"logs --timestamps --since\") echo \"log of $7\";;\n\"inspect bbb \") exit 1;;\n*) echo \"$*\";;\nesac\n";
        std::fs::write("/usr/local/bin/docker", script).unwrap();
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions("/usr/local/bin/docker", mode).unwrap();
        let world = world(&Keys::default());
        let (taken, shelf) = take(&world, &of("containers", &[("since", "10m")]), LIMITS);
        assert_eq!(shelf.text("docker-logs-aaa.txt"), "log of aaa\n");
        assert_eq!(shelf.text("docker-logs-bbb.txt"), "log of bbb\n");
        assert_eq!(status(&taken, "docker-inspect-aaa.json"), ItemStatus::Collected);
        assert_eq!(status(&taken, "docker-inspect-bbb.json"), ItemStatus::Failed);
        assert_eq!(status(&taken, "podman-running.txt"), ItemStatus::Skipped);
        assert_eq!(status(&taken, "podman-logs-{{ id }}.txt"), ItemStatus::Skipped);
    }

    #[test]
    #[ignore = "runs in a jail"]
    fn copies_are_told_with_everybody_who_could_replace_them() {
        let world = world(&Keys::default());
        let dir = tempfile::tempdir().unwrap();
        let mode = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        let folder = dir.path().join("copies");
        std::fs::create_dir(&folder).unwrap();
        let copy = folder.join("orders.dump");
        std::fs::write(&copy, "0123456789").unwrap();
        mode(&copy, 0o640);
        mode(&folder, 0o777);
        let spec = of("backups", &[("paths", copy.to_str().unwrap())]);
        let (taken, shelf) = take(&world, &spec, LIMITS);
        assert_eq!(status(&taken, "backups.txt"), ItemStatus::Collected);
        let text = shelf.text("backups.txt");
        assert!(
            text.contains("a file, 10 bytes") && text.contains("writable by root\n"),
            "{text}"
        );
        assert!(
            text.contains("copies: a folder") && text.contains("entries replaceable by root, everybody"),
            "{text}"
        );
        // Somebody else's, writable by a group; and one more user by an access list, behind a mask.
        let passwd = "root:x:0:0::/root:/bin/sh\nagent:x:1001:1001::/:/bin/sh\nana:x:1002:1003::/:/bin/sh\nben:x:1004:1004::/:/bin/sh\n";
        let group = "root:x:0:\nbackup:x:1003:ben,agent\nothers:x:1005:\n";
        for (file, text) in [("passwd", passwd), ("group", group)] {
            let ours = dir.path().join(file);
            std::fs::write(&ours, text).unwrap();
            let mounted = Command::new("mount")
                .arg("--bind")
                .arg(&ours)
                .arg(format!("/etc/{file}"))
                .status();
            assert!(mounted.unwrap().success());
        }
        mode(&folder, 0o750);
        mode(&copy, 0o660);
        std::os::unix::fs::chown(&copy, Some(1001), Some(1003)).unwrap();
        let (_, shelf) = take(&world, &spec, LIMITS);
        let text = shelf.text("backups.txt");
        assert!(
            text.contains("mode 0660, writable by root, agent, group backup (agent ana ben)\n"),
            "{text}"
        );
        let changed = std::fs::metadata(&copy).unwrap().modified().unwrap();
        let changed = changed.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
        assert!(
            text.contains(&format!("changed {}", incident::model::time::rfc3339(changed))),
            "{text}"
        );
        let entry = |tag: u16, may: u16, id: u32| {
            [&tag.to_le_bytes()[..], &may.to_le_bytes(), &id.to_le_bytes()].concat()
        };
        let list = |mask: u16| {
            let none = u32::MAX;
            let all = [
                (1, 6, none),
                (2, 6, 1004),
                (4, 4, none),
                (8, 6, 1005),
                (16, mask, none),
                (32, 4, none),
            ];
            let all = all.map(|(tag, may, id)| entry(tag, may, id)).concat();
            [&2_u32.to_le_bytes()[..], &all].concat()
        };
        let listed = |mask: u16| {
            let flags = rustix::fs::XattrFlags::empty();
            rustix::fs::setxattr(&copy, "system.posix_acl_access", &list(mask), flags).unwrap();
            let (_, shelf) = take(&world, &spec, LIMITS);
            shelf.text("backups.txt")
        };
        let text = listed(6);
        assert!(
            text.contains("writable by root, agent, ben, group others\n"),
            "{text}"
        );
        assert!(!text.contains("group backup"), "{text}");
        let text = listed(4);
        assert!(text.contains("mode 0644, writable by root, agent\n"), "{text}");
        let missing = of("backups", &[("paths", "/nowhere/x.dump")]);
        let (taken, _) = take(&world, &missing, LIMITS);
        assert_eq!(status(&taken, "backups.txt"), ItemStatus::Failed);
    }

    #[test]
    #[ignore = "runs in a jail"]
    fn a_look_may_take_long_while_it_tells_something() {
        let world = world(&Keys::default());
        let limits = Limits {
            deadline: Duration::from_secs(60),
            no_progress: Some(Duration::from_secs(3)),
            total: Duration::from_secs(60),
            ..LIMITS
        };
        let (taken, shelf) = take(
            &world,
            &command("for n in 1 2 3 4 5 6 7 8; do echo $n; sleep 0.5; done"),
            limits,
        );
        assert_eq!(status(&taken, "stdout"), ItemStatus::Collected, "{taken:?}");
        assert_eq!(shelf.text("stdout").lines().count(), 8);
        let (taken, shelf) = take(&world, &command("echo a; sleep 1001"), limits);
        let why = taken[0].why.as_deref().unwrap();
        assert!(
            taken[0].status == ItemStatus::TimedOut && why.starts_with("no output for too long"),
            "{taken:?}"
        );
        assert_eq!(shelf.text("stdout"), "a\n");
        // What is really used tells the two apart, and is over within a minute.
        let quick = Limits::QUICK;
        assert!(quick.no_progress.is_some_and(|silence| silence < quick.deadline));
        assert!(quick.total + quick.no_progress.unwrap() < Duration::from_secs(60));
    }

    #[test]
    #[ignore = "runs in a jail"]
    fn what_a_program_left_out_is_said() {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "none", "/usr/local/bin"])
            .status();
        assert!(mounted.unwrap().success());
        // Its word for it comes in two pieces, and what an event quotes of another call is none.
        let script = "#!/bin/sh\ncase \"$*\" in\n*Username*) echo '{\"Events\": [{\"CloudTrailEvent\": \"{\\\"NextToken\\\": 1}\"}]}';;\n\
                      *lookup-events*) printf '{\"Events\": [], \"NextTo'; sleep 0.2; echo 'ken\": \"eyJ\"}';;\n*) echo '{}';;\nesac\n";
        std::fs::write("/usr/local/bin/aws", script).unwrap();
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions("/usr/local/bin/aws", mode).unwrap();
        let world = world(&Keys::default());
        let (taken, shelf) = take(&world, &of("cloudtrail", &[("user", "deploy-bot")]), LIMITS);
        assert_eq!(status(&taken, "events.json"), ItemStatus::Truncated, "{taken:#?}");
        assert_eq!(
            shelf.text("events.json"),
            "{\"Events\": [], \"NextToken\": \"eyJ\"}\n"
        );
        assert_eq!(
            status(&taken, "events-of-user-deploy-bot.json"),
            ItemStatus::Collected,
            "{taken:#?}"
        );
    }

    #[test]
    #[ignore = "runs in a jail"]
    fn the_journal_and_a_remote_state_are_asked_for_what_was_meant() {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "none", "/usr/local/bin"])
            .status();
        assert!(mounted.unwrap().success());
        let state = r#"{"version": 4, "serial": 7, "lineage": "a-b", "outputs": {"url": {"value": "hunter2"}}, "resources": []}"#;
        for (program, script) in [
            ("journalctl", "#!/bin/sh\necho \"$*\"\n".to_owned()),
            (
                "terraform",
                format!("#!/bin/sh\n[ \"$*\" = '-chdir=/srv/shop state pull' ] || exit 3\necho '{state}'\n"),
            ),
            ("tofu", "#!/bin/sh\necho 'no state here' >&2; exit 1\n".to_owned()),
        ] {
            let path = Path::new("/usr/local/bin").join(program);
            std::fs::write(&path, script).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let world = world(&Keys::default());
        let empty = tempfile::tempdir().unwrap();
        let given = [
            ("since", "2026-11-22T03:14:00Z"),
            ("unit", "shop"),
            ("folder", empty.path().to_str().unwrap()),
        ];
        let (_, shelf) = take(&world, &of("logs", &given), LIMITS);
        let from = "--since @1795317240";
        let told = shelf.text("journal.jsonl");
        assert_eq!(told, format!("--no-pager -o json --utc {from} --unit shop\n"));
        assert!(
            shelf
                .text("kernel.txt")
                .ends_with(&format!("-k -o short-iso-precise --utc {from}\n"))
        );

        let given = [("folder", "/srv/shop"), ("state", "/srv/shop/terraform.tfstate")];
        let (taken, shelf) = take(&world, &of("terraform", &given), LIMITS);
        let told = shelf.text("remote-state.json");
        assert!(
            told.contains("\"serial\": 7") && told.contains("\"a-b\""),
            "{told}"
        );
        assert!(told.contains("\"url\"") && !told.contains("hunter2"), "{told}");
        let tofu = taken.iter().find(|t| t.name == "remote-state-tofu.json").unwrap();
        assert_eq!(
            (tofu.status, tofu.why.as_deref()),
            (ItemStatus::Failed, Some("no state here"))
        );
    }

    #[test]
    #[ignore = "runs in a jail"]
    fn what_changes_something_is_left_alone_unless_asked_for() {
        let items = plan(&of("logs", &[]), &scene(Path::new("/"))).unwrap();
        let sync = items.iter().find(|i| i.name == "journal-sync").unwrap();
        assert!(
            sync.touches.starts_with("nothing: it changes something"),
            "{sync:?}"
        );
        let CaptureSpec::Collector { name, with, .. } = of("logs", &[]) else {
            panic!()
        };
        let asked = CaptureSpec::Collector {
            name,
            with,
            changing: vec!["journal-sync".into()],
        };
        let items = plan(&asked, &scene(Path::new("/"))).unwrap();
        assert!(
            items.iter().any(|i| i.touches == "journalctl --sync"),
            "{items:?}"
        );
        let CaptureSpec::Collector { name, with, .. } = of("logs", &[]) else {
            panic!()
        };
        let wrong = CaptureSpec::Collector {
            name,
            with,
            changing: vec!["files".into()],
        };
        assert!(plan(&wrong, &scene(Path::new("/"))).is_err());
    }

    /// Path, length, mode, change times and bytes of everything below some folders.
    fn state_of(folders: &[&Path]) -> BTreeMap<String, (u64, u32, i64, i64, Vec<u8>)> {
        use std::os::unix::fs::MetadataExt;
        let mut all = BTreeMap::new();
        let mut open: Vec<_> = folders.iter().map(|f| f.to_path_buf()).collect();
        while let Some(path) = open.pop() {
            let Ok(meta) = std::fs::symlink_metadata(&path) else {
                continue;
            };
            let bytes = if meta.is_file() && meta.len() < 1 << 20 {
                let mut bytes = Vec::new();
                // Reading otherwise would move the time of access first.
                RealFiles.open(&path).unwrap().read_to_end(&mut bytes).unwrap();
                bytes
            } else {
                Vec::new()
            };
            let changed = (
                meta.len(),
                meta.mode(),
                meta.mtime_nsec(),
                meta.ctime_nsec(),
                bytes,
            );
            all.insert(path.display().to_string(), changed);
            if meta.is_dir() {
                open.extend(std::fs::read_dir(&path).unwrap().flatten().map(|e| e.path()));
            }
        }
        all
    }

    #[test]
    #[ignore = "runs in a jail"]
    fn the_first_look_changes_nothing_on_this_host() {
        let world = world(&Keys::default());
        let home = tempfile::tempdir().unwrap();
        for file in [
            ".claude/projects/a/s.jsonl",
            ".codex/history.jsonl",
            "logs/app.log",
            "logs/old/app.log.1",
        ] {
            let file = home.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, "one line\n").unwrap();
            // A time of access that any other read would move.
            let old = Command::new("touch")
                .args(["-a", "-d", "3 days ago"])
                .arg(&file)
                .status();
            assert!(old.unwrap().success());
        }
        let accessed = || {
            use std::os::unix::fs::MetadataExt;
            let session = home.path().join(".claude/projects/a/s.jsonl");
            let logs = home.path().join("logs/app.log");
            [session, logs].map(|file| std::fs::metadata(file).unwrap().atime())
        };
        let accesses = accessed();
        let logs = home.path().join("logs");
        let spec = of(
            "day-zero",
            &[
                ("agents.of", home.path().to_str().unwrap()),
                ("logs.folder", logs.to_str().unwrap()),
            ],
        );
        let looked_at = [home.path(), Path::new("/etc"), Path::new("/var/spool/cron")];
        let (before, processes) = (state_of(&looked_at), world.host.processes().unwrap().len());
        let (taken, _) = take(&world, &spec, LIMITS);
        assert!(
            taken.iter().filter(|t| t.status == ItemStatus::Collected).count() >= 10,
            "{taken:#?}"
        );
        assert_eq!(status(&taken, "logs-files/app.log"), ItemStatus::Collected);
        assert_eq!(accesses, accessed(), "nobody sees that it was read");
        assert_eq!(before, state_of(&looked_at));
        assert_eq!(
            processes,
            world.host.processes().unwrap().len(),
            "nothing it started is left"
        );
    }
}
