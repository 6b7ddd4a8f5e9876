//! `host`: what runs, what it is connected to, how full and how busy it is, who was here.

use std::fmt::Write as _;
use std::io::Write as _;

use super::Ctx;
use super::source::{Env, Item, Program, Source, Taken};
use crate::model::event::ItemStatus;
use crate::model::time::rfc3339;

/// Soonest gone first.
pub(super) fn items() -> Vec<Source> {
    let file = |name: &str, path: &str| Source::File {
        name: name.to_owned(),
        path: path.into(),
    };
    let program = |name: &str, argv: &[&str]| {
        Source::Program(Program {
            name: name.to_owned(),
            argv: argv.iter().map(|a| (*a).to_owned()).collect(),
            cwd: None,
            env: Env::Own(Vec::new()),
            optional: true,
        })
    };
    vec![
        Source::Processes,
        program("sockets.txt", &["ss", "-tuanp"]),
        file("net-tcp", "/proc/net/tcp"),
        file("net-tcp6", "/proc/net/tcp6"),
        file("net-udp", "/proc/net/udp"),
        file("net-udp6", "/proc/net/udp6"),
        file("net-unix", "/proc/net/unix"),
        file("loadavg", "/proc/loadavg"),
        file("meminfo", "/proc/meminfo"),
        file("uptime", "/proc/uptime"),
        program("who.txt", &["who", "-a"]),
        // Without `--now` or any verb that changes: lists only. Local disks only: a dead share would hang.
        program("disk.txt", &["df", "-lkP"]),
        program("inodes.txt", &["df", "-liP"]),
        program(
            "services.txt",
            &["systemctl", "--no-pager", "--plain", "list-units", "--all"],
        ),
        program("timers.txt", &["systemctl", "--no-pager", "list-timers", "--all"]),
        program("logins.txt", &["last", "-n", "200", "-w", "-F"]),
        file("mounts", "/proc/self/mounts"),
        file("kernel", "/proc/version"),
        file("os-release", "/usr/lib/os-release"),
    ]
}

/// The process list, one line a process, arguments last.
pub(super) fn processes(ctx: Ctx<'_>, item: Item) -> Taken {
    let began = ctx.world.clock.now();
    let all = match ctx.world.host.processes() {
        Ok(all) => all,
        Err(e) => return Taken::hole(item, ItemStatus::Failed, &e.to_string()),
    };
    let who = ctx.world.host.identity();
    let mut text = format!(
        "# {} at {}, boot {}: {}\n# pid parent session user state started-tick executable folder: arguments\n",
        who.host,
        rfc3339(began.utc_ms),
        who.boot,
        who.scope
    );
    let known = |path: &Option<std::path::PathBuf>| {
        path.as_deref()
            .map_or_else(|| "?".to_owned(), |p| p.display().to_string())
    };
    for p in &all {
        let argv: Vec<String> = p.argv.iter().map(|a| a.escape_debug().to_string()).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{} {} {} {} {} {} {} {}: {}",
            p.id.pid,
            p.ppid,
            p.session,
            p.user,
            p.state,
            p.id.starttime,
            known(&p.exe),
            known(&p.cwd),
            argv.join(" ")
        );
    }
    let kept = ctx.sink.open(&item.name).and_then(|mut out| {
        out.write_all(text.as_bytes())?;
        out.flush()
    });
    match kept {
        Ok(()) => Taken {
            name: item.name,
            source: item.touches,
            status: ItemStatus::Collected,
            why: None,
            bytes: u64::try_from(text.len()).unwrap_or(u64::MAX),
            ms: (ctx.world.clock.now().mono_us - began.mono_us) / 1_000,
        },
        Err(e) => Taken::hole(item, ItemStatus::Failed, &format!("cannot be kept: {e}")),
    }
}
