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
);

mod inner {
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use std::io::{self, Write};
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::process::Command;
    use std::time::Duration;

    use incident::collectors::{Ctx, Limits, Sink, Taken, plan, run};
    use incident::model::act::CaptureSpec;
    use incident::model::event::ItemStatus;
    use incident::model::secret::Secret;
    use incident::world::World;

    use crate::local::yard::{Keys, world};

    /// Keeps files in memory.
    #[derive(Default)]
    struct Shelf(RefCell<BTreeMap<String, Vec<u8>>>);

    struct File<'s>(&'s Shelf, String);

    impl Write for File<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0
                .0
                .borrow_mut()
                .get_mut(&self.1)
                .unwrap()
                .extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Sink for Shelf {
        fn open<'s>(&'s self, name: &str) -> io::Result<Box<dyn Write + 's>> {
            let before = self.0.borrow_mut().insert(name.to_owned(), Vec::new());
            assert!(before.is_none(), "{name} was opened twice");
            Ok(Box::new(File(self, name.to_owned())))
        }
    }

    impl Shelf {
        fn text(&self, name: &str) -> String {
            String::from_utf8(self.0.borrow()[name].clone()).unwrap()
        }
    }

    const LIMITS: Limits = Limits {
        deadline: Duration::from_secs(10),
        no_progress: None,
        total: Duration::from_secs(30),
        cap: 1 << 20,
        files: 100,
    };

    fn take(world: &World, spec: &CaptureSpec, limits: Limits) -> (Vec<Taken>, Shelf) {
        let shelf = Shelf::default();
        let env = || vec![("PATH".to_owned(), Secret::new("/usr/bin:/bin".into()))];
        let ctx = Ctx {
            world,
            limits,
            sink: &shelf,
            env: &env,
            started: &|child| assert!(child.pid > 0),
        };
        let taken = world.wait(run(ctx, spec)).unwrap();
        for item in &taken {
            let kept = shelf.0.borrow().get(&item.name).map_or(0, Vec::len);
            assert_eq!(item.bytes, kept as u64, "{item:?}");
            assert_eq!(
                item.why.is_none(),
                item.status == ItemStatus::Collected,
                "{item:?}"
            );
        }
        (taken, shelf)
    }

    fn status(taken: &[Taken], name: &str) -> ItemStatus {
        taken
            .iter()
            .find(|t| t.name == name)
            .unwrap_or_else(|| panic!("no {name} in {taken:?}"))
            .status
    }

    fn command(script: &str) -> CaptureSpec {
        CaptureSpec::Command {
            argv: vec!["sh".into(), "-c".into(), script.into()],
            cwd: None,
        }
    }

    #[test]
    #[ignore = "runs in a jail"]
    fn a_host_is_looked_at_and_what_is_missing_is_said() {
        let world = world(&Keys::default());
        let (taken, shelf) = take(&world, &CaptureSpec::Host, LIMITS);
        let planned = plan(&CaptureSpec::Host);
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
        assert_eq!(taken.len(), plan(&CaptureSpec::Host).len());
        assert!(shelf.0.borrow().is_empty());
    }
}
