//! Real crontabs and units, inside the jail: the spool is a file system of its own there.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use incident::local::{Local, cron, systemd};
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
        assert!(std::env::var_os("CI").is_none(), "systemctl is missing");
        eprintln!("NOT TESTED: systemctl is missing");
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

    let found = systemd::find(&world, dir.path().to_str());
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
