//! The half of the host port for macOS, compiled here too and held against the one for Linux: what it is built on
//! works on both. What only a Mac can tell (what its kernel shows to whom) no test here does.

use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

// `jail` and `host` are what it finds beside itself at its own place.
use incident::world::{host, jail};

use super::yard::pause;
use host::{Host, Pid, Process, RealHost as LinuxHost, Signal, Signalled};
pub use macos::RealHost;

#[path = "../../../src/world/macos.rs"]
#[allow(dead_code, reason = "what starts programs uses the rest of it")]
mod macos;

macro_rules! jailed {
    ($($test:ident: $name:expr),* $(,)?) => {
        $(#[test] fn $test() { super::jailed_with($name, "macos"); })*
    };
}

jailed!(
    both_halves_see_the_same_processes: "local::other_half::inner_both_see_the_same",
    the_other_half_signals_only_whom_it_means: "local::other_half::inner_signals",
    the_other_half_tells_what_is_open: "local::other_half::inner_open",
    a_tree_is_frozen_and_killed_by_the_other_half:
        "local::inner_trees::an_agents_tree_is_frozen_kept_killed_and_not_found_again",
);

/// A child in the environment `A_TOKEN=made-up`.
fn child(script: &str) -> Child {
    let child = Command::new("setsid")
        .args(["/bin/sh", "-c", script, "shop worker"])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("A_TOKEN", "made-up")
        .current_dir("/srv")
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    pause(300);
    child
}

fn by_number(host: &dyn Host) -> BTreeMap<u32, Process> {
    let all = host.processes().unwrap();
    all.into_iter().map(|p| (p.id.pid, p)).collect()
}

fn of(host: &dyn Host, pid: u32) -> Pid {
    by_number(host)[&pid].id
}

#[test]
#[ignore = "runs in a jail"]
fn inner_both_see_the_same() {
    let child = child("sleep 1001; true");
    let stopped = self::child("kill -STOP $$");
    let (linux, other) = (LinuxHost::new(), RealHost::new());
    let (here, there) = (by_number(&linux), by_number(&other));
    assert_eq!(
        here.keys().collect::<Vec<_>>(),
        there.keys().collect::<Vec<_>>(),
        "not one more, and no threads"
    );
    assert!(here.len() >= 4, "{here:#?}");
    for (pid, mut ours) in here {
        let theirs = &there[&pid];
        // Counted from another moment, in another unit; threads of ours may sleep or run.
        assert!(theirs.id.starttime > 1_700_000_000, "{theirs:?}");
        ours.id = theirs.id;
        if pid == std::process::id() {
            ours.state = theirs.state;
        }
        assert_eq!(&ours, theirs);
    }
    assert_eq!(there[&stopped.id()].state, 'T');

    let id = of(&other, child.id());
    let env = other.environment(id);
    let token = env.iter().find(|(name, _)| name == "A_TOKEN").unwrap();
    assert_eq!(token.1.expose(), "made-up");
    let later = Pid {
        starttime: id.starttime + 1,
        ..id
    };
    assert!(other.environment(later).is_empty(), "another process's by now");
    assert_eq!(macos::started(id.pid), id.starttime);
    let all = macos::everyone().unwrap();
    let of_session = all.iter().filter(|seen| seen.session == id.pid && !seen.dead);
    assert_eq!(of_session.count(), 2, "the shell and its sleep");
    let marked = all.iter().filter(|seen| seen.carries(b"A_TOKEN=made-up"));
    assert_eq!(marked.count(), 3, "the stopped one, too");
    let (us, them) = (linux.identity(), other.identity());
    assert_eq!(
        (us.user, us.uid, us.host, us.pid.pid),
        (them.user, them.uid, them.host, them.pid.pid)
    );
    for mut child in [child, stopped] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
#[ignore = "runs in a jail"]
fn inner_signals() {
    let host = RealHost::new();
    let mut child = child("sleep 1001; true");
    let id = of(&host, child.id());
    let later = Pid {
        starttime: id.starttime + 1,
        ..id
    };
    assert_eq!(host.signal(later, Signal::Kill), Signalled::Gone);
    let unknown = Pid { starttime: 0, ..id };
    assert!(
        matches!(host.signal(unknown, Signal::Kill), Signalled::Refused(_)),
        "it may be another"
    );
    assert_eq!(host.signal(id, Signal::Stop), Signalled::Sent);
    pause(50);
    assert_eq!(by_number(&host)[&id.pid].state, 'T');
    assert_eq!(host.signal(id, Signal::Continue), Signalled::Sent);
    assert_eq!(host.signal(id, Signal::Kill), Signalled::Sent);
    pause(50);
    assert_eq!(host.signal(id, Signal::Kill), Signalled::Gone, "a zombie by now");
    child.wait().unwrap();
    assert_eq!(host.signal(id, Signal::Kill), Signalled::Gone);
    let ourselves = host.identity().pid;
    assert!(matches!(
        host.signal(ourselves, Signal::Kill),
        Signalled::Refused(_)
    ));
    let first = Pid { pid: 1, ..ourselves };
    assert!(matches!(host.signal(first, Signal::Kill), Signalled::Refused(_)));
}

#[test]
#[ignore = "runs in a jail"]
fn inner_open() {
    if Command::new("lsof").arg("-v").output().is_err() {
        crate::support::not_tested("what a process has open, by lsof (Debian lsof)");
        return;
    }
    let host = RealHost::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let connection = TcpStream::connect(at).unwrap();
    let mut child = child("exec sleep 1001 3</etc/hostname 5</etc/hostname 4>\"/tmp/a b\"");
    let theirs = host.open_files(of(&host, child.id()));
    assert!(
        theirs.contains(&"/etc/hostname".to_owned()) && theirs.contains(&"/tmp/a b".to_owned()),
        "{theirs:?}"
    );
    assert_eq!(
        theirs.iter().filter(|file| *file == "/etc/hostname").count(),
        1,
        "{theirs:?}"
    );
    let mapped = host.mapped_files(of(&host, child.id()));
    assert!(mapped.iter().any(|file| file.ends_with("/sleep")), "{mapped:?}");
    let ours = host.open_files(host.identity().pid);
    for words in [format!("tcp listening on {at}"), format!("tcp {at}")] {
        assert!(ours.contains(&words), "{words}: {ours:?}");
    }
    drop(connection);
    child.kill().unwrap();
    child.wait().unwrap();
}
