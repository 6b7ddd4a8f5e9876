//! Real crontabs and units, inside the jail: the spool is a file system of its own there.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use incident::local::projects::{self, Work};
use incident::local::{Local, at, cron, systemd};
use incident::model::fact::{Fact, Observed, Proof, TargetKind, proof};
use incident::model::grant::{Target, Trigger, TriggerKind};
use incident::model::ids::TargetId;

use super::inner_trees::Kept;
use super::yard::{self, Keys};

fn trigger(kind: TriggerKind) -> Target {
    Target::Trigger(Trigger {
        id: TargetId::new("t").unwrap(),
        agent: None,
        kind,
    })
}

fn word(facts: &[Fact]) -> Proof {
    let facts: Vec<Observed> = facts
        .iter()
        .map(|f| Observed {
            at_us: 1,
            fact: f.clone(),
        })
        .collect();
    proof(TargetKind::Trigger, &facts, Duration::ZERO)
}

fn run(argv: &[&str]) -> String {
    let out = Command::new(argv[0]).args(&argv[1..]).output().unwrap();
    String::from_utf8(out.stdout).unwrap()
}

fn set_crontab(text: &str) {
    let mut child = Command::new("crontab")
        .arg("-")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

const TAB: &str =
    "# nightly\nMAILTO=claude@example.com\n0 3 * * * /srv/run-agent.sh  # claude\n\n@daily backup\n";

#[test]
#[ignore = "runs in a jail"]
fn a_users_cron_line_is_switched_off_and_given_back_byte_for_byte() {
    let world = yard::world(&Keys::default());
    let kept = Kept::default();
    let local = Local::new(&world, &kept, "INC-1");
    let target = trigger(TriggerKind::Cron {
        user: "root".into(),
        contains: "claude".into(),
    });
    let none = world.wait(local.cut(&target)).unwrap();
    assert_eq!(
        none,
        [Fact::AlreadyDone { status: 0 }, Fact::ReadBack { dead: true }]
    );

    set_crontab(TAB);
    assert_eq!(word(&world.wait(local.probe(&target)).unwrap()), Proof::StillLive);
    let undo = world.wait(local.glance(&target)).unwrap().undo.unwrap();
    assert_eq!(undo, TAB.as_bytes());
    let facts = world.wait(local.cut(&target)).unwrap();
    assert_eq!(
        facts,
        [Fact::Accepted { status: 0 }, Fact::ReadBack { dead: true }]
    );
    assert_eq!(word(&facts), Proof::Confirmed);
    assert_eq!(
        run(&["crontab", "-l"]),
        TAB.replace("0 3 *", "# incident:INC-1 disabled: 0 3 *"),
        "the variable and the other line stay"
    );
    let facts = world.wait(local.restore(&target, &undo)).unwrap();
    assert!(format!("{facts:?}").contains("byte for byte"), "{facts:?}");
    assert_eq!(run(&["crontab", "-l"]), TAB);
}

#[test]
#[ignore = "runs in a jail"]
fn a_cron_file_keeps_what_others_changed_meanwhile() {
    let world = yard::world(&Keys::default());
    let kept = Kept::default();
    let local = Local::new(&world, &kept, "INC-1");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agent");
    std::fs::write(&path, "*/5 * * * * bot codex exec x\n").unwrap();
    let target = trigger(TriggerKind::CronFile {
        path: path.display().to_string(),
        contains: "codex".into(),
    });
    let undo = world.wait(local.glance(&target)).unwrap().undo.unwrap();
    assert_eq!(word(&world.wait(local.cut(&target)).unwrap()), Proof::Confirmed);
    let disabled = std::fs::read_to_string(&path).unwrap();
    assert_eq!(
        disabled,
        "# incident:INC-1 disabled: */5 * * * * bot codex exec x\n"
    );
    std::fs::write(&path, format!("{disabled}0 1 * * * root new-line\n")).unwrap();
    let facts = world.wait(local.restore(&target, &undo)).unwrap();
    assert!(format!("{facts:?}").contains("were changed since"), "{facts:?}");
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        "*/5 * * * * bot codex exec x\n0 1 * * * root new-line\n"
    );
}

#[test]
#[ignore = "runs in a jail"]
fn a_timer_of_an_offline_tree_is_switched_off_and_given_back() {
    if !std::path::Path::new("/usr/bin/systemctl").exists() {
        crate::support::not_tested("timers of systemd (systemctl)");
        return;
    }
    let world = yard::world(&Keys::default());
    let kept = Kept::default();
    let local = Local::new(&world, &kept, "INC-1");
    let dir = tempfile::tempdir().unwrap();
    let units = dir.path().join("etc/systemd/system");
    std::fs::create_dir_all(&units).unwrap();
    let timer = "[Timer]\nOnCalendar=hourly\n[Install]\nWantedBy=timers.target\n";
    std::fs::write(units.join("agent.timer"), timer).unwrap();
    std::fs::write(
        units.join("agent.service"),
        "[Service]\nExecStart=/usr/bin/env claude -p hi\n",
    )
    .unwrap();
    std::fs::write(units.join("other.service"), "[Service]\nExecStart=/bin/true\n").unwrap();
    let root = format!("--root={}", dir.path().display());
    run(&["systemctl", &root, "enable", "agent.timer"]);

    let (found, _) = systemd::find(&world, dir.path().to_str());
    assert_eq!(found.len(), 1, "{found:?}");
    let target = Target::Trigger(found[0].clone());
    let undo = world.wait(local.glance(&target)).unwrap().undo.unwrap();
    assert_eq!(word(&world.wait(local.probe(&target)).unwrap()), Proof::StillLive);
    let facts = world.wait(local.cut(&target)).unwrap();
    assert_eq!(word(&facts), Proof::Confirmed, "{facts:?}");
    assert_eq!(
        run(&["systemctl", &root, "is-enabled", "agent.timer"]),
        "disabled\n"
    );
    let drop_in = units.join("agent.timer.d/incident-INC-1.conf");
    assert!(
        std::fs::read_to_string(&drop_in)
            .unwrap()
            .contains("ConditionPathExists=!/\n")
    );
    let facts = world.wait(local.restore(&target, &undo)).unwrap();
    assert_eq!(word(&facts), Proof::StillLive, "{facts:?}");
    assert!(!drop_in.exists());
    assert_eq!(
        run(&["systemctl", &root, "is-enabled", "agent.timer"]),
        "enabled\n"
    );

    // A static unit cannot be disabled: only the drop-in keeps it from starting.
    let service = trigger(TriggerKind::Systemd {
        unit: "agent.service".into(),
        root: Some(dir.path().display().to_string()),
        user: false,
        of: None,
    });
    assert_eq!(
        word(&world.wait(local.probe(&service)).unwrap()),
        Proof::StillLive
    );
    assert_eq!(word(&world.wait(local.cut(&service)).unwrap()), Proof::Confirmed);
    let nowhere = trigger(TriggerKind::Systemd {
        unit: "nope.timer".into(),
        root: Some(dir.path().display().to_string()),
        user: false,
        of: None,
    });
    let facts = world.wait(local.cut(&nowhere)).unwrap();
    assert_eq!(
        facts,
        [Fact::AlreadyDone { status: 0 }, Fact::ReadBack { dead: true }]
    );
    // No manager runs in here: asking it is an error, never a death.
    let live = trigger(TriggerKind::Systemd {
        unit: "agent.timer".into(),
        root: None,
        user: true,
        of: None,
    });
    let facts = world.wait(local.probe(&live)).unwrap();
    assert_eq!(word(&facts), Proof::Failed, "{facts:?}");
}

#[test]
#[ignore = "runs in a jail"]
fn triggers_nobody_listed_are_found() {
    let world = yard::world(&Keys::default());
    let home = std::env::var("HOME").unwrap();
    let wrapper = format!("{home}/nightly");
    std::fs::write(
        &wrapper,
        "#!/bin/sh\n# not claude here\ncd /srv && exec codex exec 'go on'\n",
    )
    .unwrap();
    set_crontab(&format!(
        "0 3 * * * claude -p 'tidy'\n5 * * * * {wrapper} --all\n7 * * * * /bin/true\n"
    ));
    let (found, unread) = world.wait(cron::find(&world)).unwrap();
    let ours: Vec<_> = found
        .iter()
        .filter_map(|t| match &t.kind {
            TriggerKind::Cron { user, contains } => {
                Some((t.agent.as_deref()?, user.as_str(), contains.clone()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(
        ours,
        [
            ("claude-code", "root", "0 3 * * * claude -p 'tidy'".to_owned()),
            ("codex", "root", format!("5 * * * * {wrapper} --all")),
        ]
    );
    assert_eq!(unread, Vec::<String>::new());
}

#[test]
#[ignore = "runs in a jail"]
fn a_job_of_at_is_removed_and_submitted_again_for_its_time() {
    if !std::path::Path::new("/usr/bin/at").exists() {
        crate::support::not_tested("at");
        return;
    }
    let world = yard::world(&Keys::default());
    let kept = Kept::default();
    let local = Local::new(&world, &kept, "INC-1");
    for job in [
        "echo claude-free | at now + 1 day",
        "echo \"claude -p 'tidy up'\" | at -q c -t 203001020304",
    ] {
        assert!(
            Command::new("sh")
                .args(["-c", job])
                .stderr(Stdio::null())
                .status()
                .unwrap()
                .success()
        );
    }
    let (found, unread) = world.wait(at::find(&world)).unwrap();
    assert_eq!((found.len(), unread), (1, Vec::<String>::new()), "{found:?}");
    let TriggerKind::At { user, contains } = &found[0].kind else {
        panic!("{found:?}")
    };
    assert_eq!(
        (user.as_str(), contains.as_str()),
        ("root", "claude -p 'tidy up'")
    );
    let target = Target::Trigger(found[0].clone());
    assert_eq!(word(&world.wait(local.probe(&target)).unwrap()), Proof::StillLive);
    let undo = world.wait(local.glance(&target)).unwrap().undo.unwrap();
    let facts = world.wait(local.cut(&target)).unwrap();
    assert_eq!(word(&facts), Proof::Confirmed, "{facts:?}");
    assert_eq!(run(&["atq"]).lines().count(), 1, "the other job stays");
    let facts = world.wait(local.restore(&target, &undo)).unwrap();
    assert!(facts.contains(&Fact::ReadBack { dead: false }), "{facts:?}");
    let back = run(&["atq"]);
    let back = back.lines().find(|l| l.contains("2030")).unwrap();
    assert!(back.contains("Wed Jan  2 03:04:00 2030 c root"), "{back}");
    // Found again if it returns: by what it runs, not by its number.
    let (again, _) = world.wait(at::find(&world)).unwrap();
    assert_eq!(again[0].id, found[0].id);
    // What is late does not run at once.
    let late = String::from_utf8(undo)
        .unwrap()
        .replace("203001020304", "202001020304");
    let facts = world.wait(local.restore(&target, late.as_bytes())).unwrap();
    assert!(format!("{facts:?}").contains("would run at once"), "{facts:?}");
    assert_eq!(run(&["atq"]).lines().count(), 2);
}

#[test]
#[ignore = "runs in a jail"]
fn a_script_of_run_parts_loses_its_right_to_run_and_gets_it_back() {
    use std::os::unix::fs::PermissionsExt;
    let world = yard::world(&Keys::default());
    let kept = Kept::default();
    let local = Local::new(&world, &kept, "INC-1");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agent");
    std::fs::write(&path, "#!/bin/sh\necho ran\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let parts = || run(&["run-parts", dir.path().to_str().unwrap()]);
    let target = trigger(TriggerKind::Script {
        path: path.display().to_string(),
    });
    assert_eq!(parts(), "ran\n");
    let undo = world.wait(local.glance(&target)).unwrap().undo.unwrap();
    assert_eq!(word(&world.wait(local.cut(&target)).unwrap()), Proof::Confirmed);
    assert_eq!(parts(), "");
    assert!(
        world.wait(local.glance(&target)).unwrap().undo.is_none(),
        "nothing is left to save"
    );
    world.wait(local.restore(&target, &undo)).unwrap();
    assert_eq!(parts(), "ran\n");
    assert_eq!(word(&world.wait(local.probe(&target)).unwrap()), Proof::StillLive);
}

#[test]
#[ignore = "runs in a jail"]
fn a_schedule_of_an_agent_is_set_aside_and_put_back() {
    let world = yard::world(&Keys::default());
    let kept = Kept::default();
    let local = Local::new(&world, &kept, "INC-1");
    let project = tempfile::tempdir().unwrap();
    let schedule = project.path().join(".claude/scheduled_tasks.json");
    std::fs::create_dir(project.path().join(".claude")).unwrap();
    std::fs::write(&schedule, "[{\"cron\": \"7 * * * *\"}]").unwrap();
    let work = Work {
        agent: "claude-code".into(),
        home: None,
        cwds: [project.path().to_path_buf()].into(),
    };
    let found = projects::find(&world, &[work]);
    let path = schedule.display().to_string();
    assert_eq!(
        found.iter().map(|t| &t.kind).collect::<Vec<_>>(),
        [&TriggerKind::File { path }]
    );
    let target = Target::Trigger(found[0].clone());
    let undo = world.wait(local.glance(&target)).unwrap().undo.unwrap();
    assert_eq!(word(&world.wait(local.cut(&target)).unwrap()), Proof::Confirmed);
    assert!(!schedule.exists());
    std::fs::write(&schedule, "new").unwrap();
    let facts = world.wait(local.restore(&target, &undo)).unwrap();
    assert!(format!("{facts:?}").contains("is there again"), "{facts:?}");
    std::fs::remove_file(&schedule).unwrap();
    world.wait(local.restore(&target, &undo)).unwrap();
    assert!(std::fs::read_to_string(&schedule).unwrap().contains("7 * * * *"));
}

#[test]
#[ignore = "runs in a jail"]
fn units_of_users_who_linger_and_of_other_names_are_found() {
    let world = yard::world(&Keys::default());
    let dir = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let runs = |what: &str| format!("[Service]\nExecStart=/usr/bin/env {what}\n");
    write(
        "etc/passwd",
        "bot:x:1001:1001::/home/bot:/bin/sh\nana:x:1002:1002::/home/ana:/bin/sh\n",
    );
    write("var/lib/systemd/linger/bot", "");
    write(
        "home/bot/.config/systemd/user/night.service",
        &runs("codex exec x"),
    );
    write(
        "home/bot/.config/systemd/user/night.timer",
        "[Timer]\nOnCalendar=hourly\n",
    );
    write(
        "usr/lib/systemd/system/worker.service",
        &format!("{}[Install]\n", runs("claude -p x")),
    );
    write(
        "etc/systemd/system/wake.path",
        "[Path]\nPathChanged=/srv\nUnit=worker.service\n",
    );
    write("run/systemd/system/run-u7.service", &runs("gemini -p x"));
    write("run/systemd/system/run-u7.timer", "[Timer]\nOnActiveSec=9\n");
    write("usr/lib/systemd/system/hidden.service", &runs("claude -p x"));
    write("etc/systemd/system/hidden.service", &runs("true"));
    write("home/ana/.config/systemd/user/mine.service", &runs("aider --yes"));
    write("etc/systemd/user/all.service", &runs("claude -p x"));
    let (found, unread) = systemd::find(&world, dir.path().to_str());
    assert_eq!(unread, Vec::<String>::new());
    let mut all: Vec<_> = found
        .iter()
        .map(|t| match &t.kind {
            TriggerKind::Systemd { unit, user, of, .. } => format!("{unit} {user} {of:?}"),
            other => format!("{other:?}"),
        })
        .collect();
    all.sort();
    assert_eq!(
        all,
        [
            "all.service true Some(\"*\")",
            "mine.service true Some(\"ana\")",
            "night.timer true Some(\"bot\")",
            "run-u7.timer false None",
            "wake.path false None",
            "worker.service false None",
        ]
    );
}
