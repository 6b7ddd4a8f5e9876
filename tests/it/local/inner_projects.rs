//! What starts an agent from its projects and its user's home, inside the jail.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use incident::local::projects::Work;
use incident::local::{Local, find_triggers};
use incident::model::fact::{Fact, Observed, Proof, TargetKind, proof};
use incident::model::grant::{Target, TriggerKind};
use incident::world::World;

use super::inner_trees::Kept;
use super::yard::{self, Keys};

fn home() -> PathBuf {
    std::env::var_os("HOME").unwrap().into()
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn program(path: &Path, text: &str) {
    write(path, text);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn sh(line: &str) -> String {
    let out = Command::new("bash")
        .args(["-c", line])
        .current_dir(home())
        .output()
        .unwrap();
    assert!(
        out.status.success(),
        "{line}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8(out.stdout).unwrap()
}

/// What is found where an agent works in this folder of the home.
fn found(world: &World, folder: &str) -> Vec<Target> {
    let work = Work {
        agent: "claude-code".into(),
        home: Some(home()),
        cwds: [home().join(folder)].into(),
    };
    let (found, unread) = world.wait(find_triggers(world, &[work])).unwrap();
    assert_eq!(unread, Vec::<String>::new());
    found.into_iter().map(Target::Trigger).collect()
}

fn words(all: &[Target]) -> Vec<String> {
    let word = |target: &Target| match target {
        Target::Trigger(t) => t.kind.words().replace(&home().display().to_string(), "~"),
        _ => panic!(),
    };
    all.iter().map(word).collect()
}

fn word(facts: &[Fact]) -> Proof {
    let observed = facts.iter().map(|fact| Observed {
        at_us: 1,
        fact: fact.clone(),
    });
    proof(TargetKind::Trigger, &observed.collect::<Vec<_>>(), Duration::ZERO)
}

/// Cuts one and gives back what undoes it.
fn cut(world: &World, local: &Local<'_>, target: &Target) -> Vec<u8> {
    assert_eq!(word(&world.wait(local.probe(target)).unwrap()), Proof::StillLive);
    let undo = world.wait(local.glance(target)).unwrap().undo.unwrap();
    let facts = world.wait(local.cut(target)).unwrap();
    assert_eq!(word(&facts), Proof::Confirmed, "{facts:?}");
    undo
}

#[test]
#[ignore = "runs in a jail"]
fn a_hook_that_starts_an_agent_runs_no_more_and_is_given_back() {
    let (world, kept) = (yard::world(&Keys::default()), Kept::default());
    let local = Local::new(&world, &kept, "INC-1");
    sh(
        "git init -q proj && cd proj && git config user.email ana@example.com && git config user.name ana && mkdir sub",
    );
    let claude = home().join("bin/claude");
    program(&claude, "#!/bin/sh\necho ran >> ~/ran\n");
    program(
        &home().join("proj/.git/hooks/pre-commit"),
        &format!("#!/bin/sh\n{} -p x\n", claude.display()),
    );
    program(&home().join("proj/.git/hooks/pre-push"), "#!/bin/sh\ntrue\n");
    // husky keeps what runs one folder up, and this one is a link.
    program(&home().join("proj/.husky/_/post-merge"), "#!/bin/sh\n. $0/../h\n");
    write(&home().join("proj/.husky/post-merge"), "codex exec x\n");
    std::os::unix::fs::symlink(
        "../../../bin/claude-hook",
        home().join("proj/.husky/_/post-commit"),
    )
    .unwrap();
    program(&home().join("bin/claude-hook"), "#!/bin/sh\nclaude -p x\n");
    let commit = "cd proj && git commit -q --allow-empty -m x; cat ~/ran";
    assert_eq!(sh(commit), "ran\n");
    sh("cd proj && git config core.hooksPath .husky/_");
    let all = found(&world, "proj/sub");
    assert_eq!(
        words(&all),
        [
            "executable ~/proj/.git/hooks/pre-commit",
            "by hand: the hook ~/proj/.husky/_/post-commit starts claude-code and is a link: rm ~/proj/.husky/_/post-commit",
            "executable ~/proj/.husky/_/post-merge",
        ]
    );
    sh("cd proj && git config --unset core.hooksPath");
    let undo = cut(&world, &local, &all[0]);
    assert_eq!(sh(commit), "ran\n", "the hook did not run again");
    world.wait(local.restore(&all[0], &undo)).unwrap();
    assert_eq!(sh(commit), "ran\nran\n");
}

#[test]
#[ignore = "runs in a jail"]
fn a_container_that_starts_an_agent_is_set_aside() {
    let (world, kept) = (yard::world(&Keys::default()), Kept::default());
    let local = Local::new(&world, &kept, "INC-1");
    sh("git init -q proj; mkdir -p proj/a/b");
    let text = "{ // ours\n \"image\": \"x\",\n \"postStartCommand\": {\"agent\": [\"claude\", \"-p\", \"go on\"]},\n}\n";
    let file = home().join("proj/.devcontainer/devcontainer.json");
    write(&file, text);
    write(
        &home().join("proj/.devcontainer/plain/devcontainer.json"),
        "{\"features\": {\"ghcr.io/x/claude:1\": {}}, \"postCreateCommand\": \"npm ci\"}",
    );
    let all = found(&world, "proj/a/b");
    assert_eq!(words(&all), ["file ~/proj/.devcontainer/devcontainer.json"]);
    let undo = cut(&world, &local, &all[0]);
    assert!(!file.exists());
    world.wait(local.restore(&all[0], &undo)).unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
}

#[test]
#[ignore = "runs in a jail"]
fn schedules_below_homes_and_projects_are_found() {
    let world = yard::world(&Keys::default());
    write(&home().join(".local/share/goose/schedule.json"), "[]");
    write(&home().join("old/.claude/scheduled_tasks.json"), "[]");
    write(&home().join("new/.claude/scheduled_tasks.json"), "[]");
    let known = format!("{{\"projects\": {{\"{}/old\": {{}}}}}}", home().display());
    write(&home().join(".claude.json"), &known);
    assert_eq!(
        words(&found(&world, "new")),
        [
            "file ~/.local/share/goose/schedule.json",
            "file ~/old/.claude/scheduled_tasks.json",
            "file ~/new/.claude/scheduled_tasks.json",
        ]
    );
}

#[test]
#[ignore = "runs in a jail"]
fn a_start_up_line_is_switched_off_and_given_back_byte_for_byte() {
    let (world, kept) = (yard::world(&Keys::default()), Kept::default());
    let local = Local::new(&world, &kept, "INC-1");
    program(&home().join("bin/claude"), "#!/bin/sh\necho ran >> ~/ran\n");
    let text = "alias c='claude -p x'\nif [ -d ~/bin ]; then\n  ~/bin/claude -p 'go on'\nfi\nexport OK=1\n";
    let file = home().join(".bashrc");
    write(&file, text);
    write(&home().join(".profile"), "true && \\\n  claude -p x\n");
    let login = "bash --rcfile ~/.bashrc -ic 'echo $OK' 2>/dev/null; cat ~/ran";
    assert_eq!(sh(login), "1\nran\n");
    let all = found(&world, ".");
    let told = words(&all);
    assert_eq!(told[0], "~/.bashrc, lines with `~/bin/claude -p 'go on'`");
    assert!(
        told[1].starts_with("by hand: line 2 of ~/.profile starts claude-code"),
        "{told:?}"
    );
    assert_eq!(told.len(), 2, "{told:?}");
    let undo = cut(&world, &local, &all[0]);
    assert_eq!(sh(login), "1\nran\n", "the rest of the file still runs");
    assert!(
        found(&world, ".").iter().all(|t| t.id() != all[0].id()),
        "it is off"
    );
    world.wait(local.restore(&all[0], &undo)).unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    assert_eq!(sh(login), "1\nran\nran\n");
}

#[test]
#[ignore = "runs in a jail"]
fn units_of_a_user_who_is_not_logged_in_are_kept_from_starting() {
    let (world, kept) = (yard::world(&Keys::default()), Kept::default());
    let local = Local::new(&world, &kept, "INC-1");
    let bot = home().join("bot");
    let line = format!("bot:x:4242:4242::{}:/bin/sh\n", bot.display());
    let users = std::fs::read_to_string("/etc/passwd").unwrap() + &line;
    std::fs::write("/etc/passwd", users).unwrap();
    write(
        &bot.join(".config/systemd/user/night.service"),
        "[Service]\nExecStart=/usr/bin/env claude -p x\n[Install]\nWantedBy=default.target\n",
    );
    let all = found(&world, ".");
    assert_eq!(words(&all), ["systemd unit night.service of bot"]);
    let Target::Trigger(trigger) = &all[0] else {
        panic!()
    };
    assert!(matches!(&trigger.kind, TriggerKind::Systemd { user: true, .. }));
    let undo = cut(&world, &local, &all[0]);
    let drop_in = bot.join(".config/systemd/user/night.service.d/incident-INC-1.conf");
    assert!(drop_in.exists());
    world.wait(local.restore(&all[0], &undo)).unwrap();
    assert!(!drop_in.exists());
    assert_eq!(word(&world.wait(local.probe(&all[0])).unwrap()), Proof::StillLive);
}
