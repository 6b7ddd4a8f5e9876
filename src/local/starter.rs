//! What would start an agent again: the shell loop above it, a watcher, a supervisor of several programs.
//!
//! A loop and a watcher exist for the agent alone and end with it. A supervisor runs other things, too: it
//! is left alive and named, with the line that keeps it from starting the agent.

use std::path::Path;

use super::known::{file_name, programs_of};
use crate::model::grant::Supervisor;
use crate::world::host::Process;

/// What a process above an agent does with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Starter {
    /// It does nothing but start the agent again: it goes with it, for this reason.
    Own(String),
    /// It runs other things, too. `line` keeps it from starting the agent.
    Shared {
        /// What it is, in words.
        what: String,
        /// What a person types.
        line: String,
        /// The one program of it that is the agent's, where it can be told: how it is spoken to.
        entry: Option<Entry>,
    },
}

/// The agent's own program at a supervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Which supervisor.
    pub by: Supervisor,
    /// Its name for the program.
    pub entry: String,
    /// pm2's home or supervisord's configuration.
    pub at: Option<String>,
}

/// Programs that run one program and start it again, by file name.
const WATCHERS: [&str; 7] = [
    "nodemon",
    "nodemon.js",
    "watchexec",
    "entr",
    "forever",
    "forever-monitor",
    "runworker",
];
/// Shells, by file name.
const SHELLS: [&str; 7] = ["sh", "bash", "dash", "zsh", "ksh", "fish", "busybox"];

/// What this process above an agent's process does with it; `None` where nothing shows that it starts it again.
///
/// `variable` reads the environment of the agent's process, `script` the text of a script.
pub fn of(
    process: &Process,
    variable: impl Fn(&str) -> Option<String>,
    script: impl Fn(&str) -> Option<String>,
) -> Option<Starter> {
    let first = process.argv.first().map(String::as_str).unwrap_or_default();
    let shared = |name: &str, line: String, entry: Option<Entry>| {
        Some(Starter::Shared {
            what: format!("{name} (pid {}, of {})", process.id.pid, process.user),
            line,
            entry,
        })
    };
    if first.starts_with("PM2 ") && first.contains("God Daemon") {
        let id = variable("pm_id").filter(|id| id.chars().all(|c| c.is_ascii_digit()));
        let home = first
            .rsplit_once(" (")
            .map(|(_, home)| home.trim_end().trim_end_matches(')'));
        let line = format!("pm2 stop {}", id.as_deref().unwrap_or("NAME"));
        let entry = id.map(|entry| Entry {
            by: Supervisor::Pm2,
            entry,
            at: home.filter(|home| home.starts_with('/')).map(str::to_owned),
        });
        return shared("pm2", line, entry);
    }
    let runs = |name: &str| programs_of(process).any(|program| file_name(program) == name);
    if runs("supervisord") {
        let names = (
            variable("SUPERVISOR_GROUP_NAME"),
            variable("SUPERVISOR_PROCESS_NAME"),
        );
        let entry = match names {
            (Some(group), Some(program)) => Some(format!("{group}:{program}")),
            _ => None,
        };
        let line = format!("supervisorctl stop {}", entry.as_deref().unwrap_or("NAME:NAME"));
        let entry = entry.map(|entry| Entry {
            by: Supervisor::Supervisord,
            entry,
            at: configuration(process),
        });
        return shared("supervisord", line, entry);
    }
    for (name, by, verb) in [
        ("runsv", Supervisor::Runit, "sv down"),
        ("s6-supervise", Supervisor::S6, "s6-svc -d"),
        ("supervise", Supervisor::Daemontools, "svc -d"),
    ] {
        if !runs(name) {
            continue;
        }
        // Each works in the folder of its service.
        let folder = process.cwd.as_deref().and_then(Path::to_str);
        let named = process.argv.get(1).map_or("NAME", String::as_str);
        let entry = folder.map(|folder| Entry {
            by,
            entry: folder.to_owned(),
            at: None,
        });
        return shared(name, format!("{verb} {}", folder.unwrap_or(named)), entry);
    }
    if let Some(watcher) = WATCHERS.iter().find(|name| runs(name)) {
        return Some(Starter::Own(format!("{watcher} starts the agent again")));
    }
    if !is_shell(process) {
        return None;
    }
    let text = commands(process, script)?;
    loops(&text).then(|| Starter::Own("its loop starts the agent again".to_owned()))
}

/// The file that a supervisord was told to read.
fn configuration(process: &Process) -> Option<String> {
    let mut arguments = process.argv.iter();
    let file = loop {
        let argument = arguments.next()?;
        if let Some(file) = argument.strip_prefix("--configuration=") {
            break file;
        }
        if argument == "-c" || argument == "--configuration" {
            break arguments.next()?;
        }
    };
    let file = process.cwd.as_deref().unwrap_or(Path::new("/")).join(file);
    file.to_str().map(str::to_owned)
}

/// True for a shell, by its executable or its own name.
pub fn is_shell(process: &Process) -> bool {
    let exe = process.exe.as_deref().and_then(|exe| exe.to_str());
    let first = process.argv.first().map(|first| first.trim_start_matches('-'));
    exe.into_iter()
        .chain(first)
        .any(|name| SHELLS.contains(&file_name(name)))
}

/// What a shell was told to run: the text behind `-c`, or that of its script.
fn commands(process: &Process, script: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut arguments = process.argv.iter().skip(1);
    while let Some(argument) = arguments.next() {
        let is_option = argument.starts_with('-') && !argument.starts_with("--");
        if is_option && argument.ends_with('c') {
            return arguments.next().cloned();
        }
        if !argument.starts_with('-') {
            return script(argument);
        }
    }
    None
}

/// True where the text holds a loop that does not end by itself.
fn loops(text: &str) -> bool {
    // Where a command may stand: `wait a while` is none.
    let code = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let commands = code.flat_map(|line| line.split(|c: char| ";&|({".contains(c)));
    let mut words = commands.filter_map(|command| {
        let mut words = command.split_whitespace();
        words.find(|word| !matches!(*word, "do" | "then" | "else" | "time" | "!"))
    });
    words.any(|word| matches!(word, "while" | "until")) || text.replace(' ', "").contains("for((;;))")
}

#[cfg(test)]
mod tests {
    use super::super::known::tests::process;
    use super::*;

    fn starter(exe: &str, argv: &[&str]) -> Option<Starter> {
        let value = |name: &str| (name == "pm_id").then(|| "3".to_owned());
        let script =
            |path: &str| (path == "keep.sh").then(|| "#!/bin/sh\nuntil claude; do :; done\n".to_owned());
        of(&process(812, 1, exe, argv), value, script)
    }

    #[test]
    fn loops_and_watchers_go_with_the_agent() {
        for (exe, argv) in [
            ("/usr/bin/bash", &["bash", "-c", "while :; do claude; done"][..]),
            ("/usr/bin/dash", &["sh", "-ec", "for ((;;)) do claude; done"]),
            ("/usr/bin/bash", &["-bash", "-x", "keep.sh"]),
            (
                "/usr/bin/node",
                &["node", "/usr/lib/node_modules/nodemon/bin/nodemon.js", "agent.js"],
            ),
        ] {
            assert!(matches!(starter(exe, argv), Some(Starter::Own(_))), "{argv:?}");
        }
    }

    #[test]
    fn supervisors_of_other_things_are_named_with_the_line() {
        let pm2 = starter("/usr/bin/node", &["PM2 v5.3.0: God Daemon (/root/.pm2)"]);
        let (what, line) = ("pm2 (pid 812, of agent)".to_owned(), "pm2 stop 3".to_owned());
        let entry = Some(Entry {
            by: Supervisor::Pm2,
            entry: "3".to_owned(),
            at: Some("/root/.pm2".to_owned()),
        });
        assert_eq!(pm2, Some(Starter::Shared { what, line, entry }));
        let supervisord = starter("/usr/bin/python3", &["python3", "/usr/bin/supervisord", "-n"]);
        assert!(matches!(supervisord, Some(Starter::Shared { entry: None, .. })));
        let mut runsv = process(812, 1, "/usr/bin/runsv", &["runsv", "agent"]);
        runsv.cwd = Some("/etc/sv/agent".into());
        let Some(Starter::Shared { line, entry, .. }) = of(&runsv, |_| None, |_| None) else {
            panic!()
        };
        assert_eq!(
            (line.as_str(), entry.unwrap().entry.as_str()),
            ("sv down /etc/sv/agent", "/etc/sv/agent")
        );
    }

    #[test]
    fn nobody_elses_shell_is_a_starter() {
        for argv in [
            &["-bash"][..],
            &["bash", "-c", "claude -p 'wait a while'"],
            &["bash", "-c", "# while\nclaude"],
            &["bash", "other.sh"],
        ] {
            assert_eq!(starter("/usr/bin/bash", argv), None, "{argv:?}");
        }
    }
}
