//! Agents that are recognised without anybody having listed them.
//!
//! By the path of the executable or script and by what they leave in the environment of everything they
//! start; a bare process name proves nothing. Markers say whose a process is, not that it did harm.

use std::path::Path;

use crate::world::host::Process;

/// One known agent.
#[derive(Debug)]
pub struct Known {
    /// Its name in the record.
    pub agent: &'static str,
    /// File names of its executable or script that nothing else uses.
    names: &'static [&'static str],
    /// File names that others use too, with the first arguments that tell.
    shared_names: &'static [(&'static str, &'static [&'static str])],
    /// Parts of the path of its executable or script.
    paths: &'static [&'static str],
    /// What its children inherit, as `NAME` or `NAME=value`.
    pub markers: &'static [&'static str],
}

/// Every agent in the table, in the order in which they are tried.
pub const KNOWN: &[Known] = &[
    Known {
        agent: "claude-code",
        names: &["claude", "claude.exe"],
        shared_names: &[],
        paths: &["/@anthropic-ai/claude-code/", "/claude/versions/"],
        markers: &[
            "CLAUDECODE=1",
            "CLAUDE_CODE_SESSION_ID",
            "CLAUDE_CODE_CHILD_SESSION",
        ],
    },
    Known {
        agent: "codex",
        names: &["codex"],
        shared_names: &[],
        paths: &["/@openai/codex/"],
        markers: &["CODEX_THREAD_ID", "CODEX_SANDBOX", "CODEX_CI"],
    },
    Known {
        agent: "gemini-cli",
        names: &["gemini"],
        shared_names: &[],
        paths: &["/@google/gemini-cli/"],
        markers: &["GEMINI_CLI=1"],
    },
    Known {
        agent: "cursor-agent",
        names: &["cursor-agent"],
        shared_names: &[],
        paths: &["/cursor-agent/"],
        markers: &["CURSOR_AGENT"],
    },
    Known {
        agent: "opencode",
        names: &["opencode", "opencode.exe"],
        shared_names: &[],
        paths: &["/opencode-ai/"],
        markers: &["OPENCODE", "OPENCODE_PID"],
    },
    Known {
        agent: "copilot-cli",
        names: &[],
        // AWS has a deployment tool of this name.
        shared_names: &[("copilot", &["-p", "--prompt", "--allow-all-tools"])],
        paths: &["/@github/copilot"],
        markers: &["COPILOT_CLI", "COPILOT_AGENT_SESSION_ID"],
    },
    Known {
        agent: "aider",
        names: &["aider"],
        shared_names: &[],
        paths: &["/aider/main.py"],
        markers: &["OR_APP_NAME=Aider"],
    },
    Known {
        agent: "goose",
        names: &[],
        // A database migration tool has this name, too.
        shared_names: &[("goose", &["run", "session", "web", "acp"])],
        paths: &[],
        markers: &["GOOSE_TERMINAL"],
    },
    Known {
        agent: "kiro",
        names: &["kiro-cli"],
        shared_names: &[("q", &["chat"])],
        paths: &["/kiro-cli/"],
        markers: &["KIRO_AGENT_PATH"],
    },
    Known {
        agent: "amp",
        names: &[],
        shared_names: &[("amp", &["-x", "--execute"])],
        paths: &["/@sourcegraph/amp/"],
        markers: &["AMP_CURRENT_THREAD_ID"],
    },
    Known {
        agent: "antigravity",
        names: &["agy"],
        shared_names: &[],
        paths: &[],
        markers: &["ANTIGRAVITY_AGENT"],
    },
    Known {
        agent: "cline",
        names: &[],
        shared_names: &[],
        paths: &[],
        markers: &["CLINE_ACTIVE", "CLINE_TASK_ID"],
    },
    Known {
        agent: "roo-code",
        names: &[],
        shared_names: &[],
        paths: &[],
        markers: &["ROO_CODE_TASK_ID"],
    },
];

/// The known agent of this name.
pub fn by_name(agent: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.agent == agent)
}

impl Known {
    /// Why this process is the agent itself, by executable or script; `None` where it is not.
    pub fn is_it(&self, process: &Process) -> Option<String> {
        programs_of(process).find_map(|program| {
            let name = file_name(program);
            let named = self.names.contains(&name)
                || self.shared_names.iter().any(|(shared, first)| {
                    *shared == name && process.argv.iter().skip(1).any(|a| first.contains(&a.as_str()))
                });
            let placed = self.paths.iter().any(|part| program.contains(part));
            (named || placed).then(|| format!("it runs {program}"))
        })
    }
}

/// The agent that a line of shell, a cron line or an `ExecStart=` calls.
pub fn called_in(text: &str) -> Option<&'static Known> {
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || "|&;()`'\"$={}".contains(c))
        .filter(|word| !word.is_empty())
        .collect();
    KNOWN.iter().find(|known| {
        words.iter().enumerate().any(|(i, word)| {
            let name = file_name(word);
            let rest = words.get(i + 1..).unwrap_or_default();
            known.names.contains(&name)
                || known.paths.iter().any(|part| word.contains(part))
                || known
                    .shared_names
                    .iter()
                    .any(|(shared, first)| *shared == name && rest.iter().take(3).any(|w| first.contains(w)))
        })
    })
}

/// What a process runs: its executable, its own name for it, and the script of an interpreter.
///
/// Other arguments do not count: `less /opt/claude` is not an agent.
pub(super) fn programs_of(process: &Process) -> impl Iterator<Item = &str> {
    let exe = process
        .exe
        .as_deref()
        .and_then(Path::to_str)
        .map(|exe| exe.strip_suffix(" (deleted)").unwrap_or(exe));
    let first = process.argv.first().map(String::as_str);
    let interprets = exe.or(first).is_some_and(|program| {
        let name = file_name(program).trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        matches!(
            name,
            "node"
                | "nodejs"
                | "bun"
                | "deno"
                | "python"
                | "pypy"
                | "sh"
                | "bash"
                | "dash"
                | "zsh"
                | "busybox"
        )
    });
    let scripts = process
        .argv
        .iter()
        .skip(1)
        .map(String::as_str)
        // What follows `-c` or `-e` is text of a program, not the name of one.
        .take_while(|argument| !matches!(*argument, "-c" | "-e" | "-ec" | "-lc" | "-xc" | "--eval"))
        .filter(|argument| !argument.starts_with('-'))
        .take(2)
        .filter(move |argument| interprets && argument.contains('/'));
    exe.into_iter().chain(first).chain(scripts)
}

pub(super) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::world::host::Pid;

    pub(in crate::local) fn process(pid: u32, ppid: u32, exe: &str, argv: &[&str]) -> Process {
        Process {
            id: Pid { pid, starttime: 100 },
            ppid,
            session: pid,
            uid: 1000,
            user: "agent".into(),
            state: 'S',
            exe: Some(exe.into()),
            argv: argv.iter().map(|a| (*a).to_owned()).collect(),
            cwd: None,
            readable: true,
        }
    }

    fn agent_of(exe: &str, argv: &[&str]) -> Option<&'static str> {
        let process = process(10, 1, exe, argv);
        KNOWN
            .iter()
            .find(|k| k.is_it(&process).is_some())
            .map(|k| k.agent)
    }

    #[test]
    fn agents_are_known_by_what_they_run() {
        let cli = "/usr/lib/node_modules/@anthropic-ai/claude-code/cli.js";
        for (exe, argv, agent) in [
            ("/usr/bin/node", &["node", cli][..], "claude-code"),
            (
                "/home/u/.local/share/claude/versions/2.1.3",
                &["claude"],
                "claude-code",
            ),
            (
                "/opt/bin/claude.exe (deleted)",
                &["claude", "-p", "x"],
                "claude-code",
            ),
            (
                "/usr/bin/node",
                &[
                    "node",
                    "--max-old-space-size=8192",
                    "/x/@openai/codex/bin/codex.js",
                ],
                "codex",
            ),
            (
                "/usr/bin/python3.12",
                &["python3", "/home/u/.local/bin/aider", "--yes"],
                "aider",
            ),
            ("/usr/local/bin/goose", &["goose", "session"], "goose"),
        ] {
            assert_eq!(agent_of(exe, argv), Some(agent), "{argv:?}");
        }
    }

    #[test]
    fn reading_about_an_agent_is_not_being_one() {
        for (exe, argv) in [
            ("/usr/bin/less", &["less", "/opt/claude"][..]),
            ("/usr/bin/grep", &["grep", "claude", "/etc/crontab"]),
            ("/usr/local/bin/goose", &["goose", "-dir", "db", "up"]),
            ("/usr/local/bin/copilot", &["copilot", "svc", "deploy"]),
            ("/usr/bin/python3", &["python3", "/srv/claude-report.py"]),
            (
                "/usr/bin/dash",
                &[
                    "sh",
                    "-c",
                    "ls /usr/lib/node_modules/@anthropic-ai/claude-code/cli.js",
                ],
            ),
        ] {
            assert_eq!(agent_of(exe, argv), None, "{argv:?}");
        }
    }

    #[test]
    fn lines_that_call_an_agent_are_seen() {
        for (line, agent) in [
            (
                "0 3 * * * cd /srv && /usr/local/bin/claude -p 'tidy up'",
                Some("claude-code"),
            ),
            ("@daily codex exec \"$(cat prompt)\"", Some("codex")),
            (
                "ExecStart=/usr/bin/node /x/@google/gemini-cli/dist/index.js -p x",
                Some("gemini-cli"),
            ),
            ("*/5 * * * * /usr/bin/goose run -i task.md", Some("goose")),
            ("*/5 * * * * /usr/bin/goose up", None),
            ("0 1 * * * tar c /home/claude-data", None),
        ] {
            assert_eq!(called_in(line).map(|k| k.agent), agent, "{line}");
        }
    }
}
