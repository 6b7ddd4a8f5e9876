//! What runs inside the jail.

use std::time::Duration;

use incident::world::World;
use incident::world::host::{Pid, Signal, Signalled};
use incident::world::spawn::{Child, Command, End, Ran};

use super::yard::{self, Keys, sh};

fn run(world: &World, command: Command) -> (Ran, String, Child) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut child = Child { pid: 0, starttime: 0 };
    let ran = world
        .wait(world.spawn.run(command, &mut out, &mut err, &mut |c| child = c))
        .unwrap();
    (ran, String::from_utf8(out).unwrap(), child)
}

/// Command lines of everything alive that contains the text.
fn alive(world: &World, text: &str) -> Vec<String> {
    let all = world.host.processes().unwrap();
    all.iter()
        .filter(|p| p.state != 'Z')
        .map(|p| p.argv.join(" "))
        .filter(|line| line.contains(text))
        .collect()
}

#[test]
#[ignore = "runs in a jail"]
fn a_program_that_runs_too_long_is_ended_with_all_it_started() {
    let world = yard::world(&Keys::default());
    // One child in the session, one escaped with its marker, one escaped without it.
    let command = Command {
        deadline: Duration::from_millis(700),
        ..sh(
            "trap '' TERM; sleep 1001 & setsid -f sleep 1002; setsid -f env -i /bin/sleep 1003; echo up; sleep 1004",
        )
    };
    let (ran, out, child) = run(&world, command);
    assert_eq!((ran.end, out.as_str(), ran.escapees), (End::Deadline, "up\n", 4));
    assert_eq!(alive(&world, "sleep 100"), Vec::<String>::new());
    assert!(child.pid > 0 && child.starttime > 0);
    assert!(ran.ms < 4_000, "{} ms", ran.ms);

    let command = Command {
        no_progress: Some(Duration::from_millis(300)),
        ..sh("echo a; sleep 0.1; echo b; sleep 1005")
    };
    let (ran, out, _) = run(&world, command);
    assert_eq!((ran.end, out.as_str()), (End::NoProgress, "a\nb\n"));

    let command = Command {
        cap: 10,
        ..sh("yes | head -c 100000; exit 3")
    };
    let (ran, out, _) = run(&world, command);
    assert_eq!(
        (ran.end, out.len(), ran.out_bytes, ran.truncated),
        (End::Exit(3), 10, 100_000, true)
    );

    let command = Command {
        argv: vec!["no-such-program".into()],
        ..sh("")
    };
    assert_eq!(
        run(&world, command).0.end,
        End::NotStarted("no program `no-such-program`".into())
    );
}

#[test]
#[ignore = "runs in a jail"]
fn a_program_has_a_session_of_its_own_and_no_terminal() {
    let world = yard::world(&Keys::default());
    // Its number, its group's, its session's, and the terminal's.
    let (_, out, child) = run(&world, sh("exec cut -d' ' -f1,5,6,7 /proc/self/stat"));
    assert_eq!(out, format!("{0} {0} {0} 0\n", child.pid));
}

#[test]
#[ignore = "runs in a jail"]
fn ctrl_c_ends_a_program_at_once() {
    let keys = Keys::default();
    let world = yard::world(&keys);
    let pressed = keys.clone();
    let mut start = |_| pressed.0.set(1);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let ran = world.wait(world.spawn.run(sh("sleep 1001"), &mut out, &mut err, &mut start));
    assert_eq!(ran.unwrap().end, End::Interrupted);
    assert_eq!(alive(&world, "sleep 100"), Vec::<String>::new());
}

#[test]
#[ignore = "runs in a jail"]
fn what_a_finished_program_left_running_is_counted_and_left_alone() {
    let world = yard::world(&Keys::default());
    let (ran, out, _) = run(&world, sh("setsid -f sleep 1001; echo done"));
    assert_eq!(
        (ran.end, out.as_str(), ran.left, ran.escapees),
        (End::Exit(0), "done\n", 1, 0)
    );
    assert!(ran.ms < 1_000, "{} ms", ran.ms);
    assert_eq!(alive(&world, "sleep 1001").len(), 1);
}

#[test]
#[ignore = "runs in a jail"]
fn signals_hit_exactly_the_process_that_was_meant() {
    let world = yard::world(&Keys::default());
    run(
        &world,
        sh("A_TOKEN=abc setsid -f sleep 1001 </etc/hostname >/dev/null 2>&1"),
    );
    yard::pause(200);
    let all = world.host.processes().unwrap();
    let sleeper = all
        .iter()
        .find(|p| p.argv.last().is_some_and(|a| a == "1001"))
        .unwrap();
    assert_eq!(sleeper.exe.as_deref().unwrap().file_name().unwrap(), "sleep");
    let environment = world.host.environment(sleeper.id);
    let token = environment.iter().find(|(name, _)| name == "A_TOKEN").unwrap();
    assert_eq!(token.1.expose(), "abc");
    assert_eq!(world.host.open_files(sleeper.id), ["/dev/null", "/etc/hostname"]);

    let later = Pid {
        starttime: sleeper.id.starttime + 1,
        ..sleeper.id
    };
    assert_eq!(world.host.signal(later, Signal::Kill), Signalled::Gone);
    assert!(world.host.environment(later).is_empty());
    assert_eq!(alive(&world, "sleep 1001").len(), 1);
    let ours = world.host.identity();
    assert!(
        !ours.sees_all && ours.scope.contains("PID namespace"),
        "{}",
        ours.scope
    );
    assert!(matches!(
        world.host.signal(ours.pid, Signal::Kill),
        Signalled::Refused(_)
    ));
    assert_eq!(world.host.signal(sleeper.id, Signal::Kill), Signalled::Sent);
    yard::pause(200);
    assert_eq!(alive(&world, "sleep 1001").len(), 0);
    assert_eq!(world.host.signal(sleeper.id, Signal::Kill), Signalled::Gone);
}

#[test]
#[ignore = "runs in a jail"]
fn a_lost_connection_is_not_a_ctrl_c() {
    use incident::world::interrupt::{Interrupt, RealInterrupt};
    let presses = RealInterrupt::install().unwrap();
    let send = |signal: &str| {
        let us = std::process::id().to_string();
        assert!(
            std::process::Command::new("kill")
                .args([signal, &us])
                .status()
                .unwrap()
                .success()
        );
        yard::pause(100);
        presses.count()
    };
    assert_eq!(
        (send("-HUP"), send("-INT"), send("-TERM"), send("-HUP")),
        (0, 1, 2, 2)
    );
}
