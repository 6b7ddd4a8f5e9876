//! Lines of shells' start-up files that start an agent: whoever logs in would start it again.

use std::path::{Path, PathBuf};

use super::cron::called_by_script;
use super::users::homes;
use super::{known, stamp, telling};
use crate::model::grant::{Trigger, TriggerKind};
use crate::world::World;

/// Largest start-up file that is read, in bytes.
const CAP: u64 = 1 << 20;
/// Start-up files below a home.
const OF_HOME: [&str; 11] = [
    ".bashrc",
    ".bash_profile",
    ".bash_login",
    ".bash_logout",
    ".profile",
    ".zshenv",
    ".zprofile",
    ".zshrc",
    ".zlogin",
    ".xprofile",
    ".config/fish/config.fish",
];
/// Start-up files of everybody.
const OF_ALL: [&str; 6] = [
    "/etc/profile",
    "/etc/bash.bashrc",
    "/etc/zsh/zshenv",
    "/etc/zsh/zprofile",
    "/etc/zsh/zshrc",
    "/etc/zsh/zlogin",
];
/// Folder whose files `/etc/profile` runs.
const OF_PROFILE: &str = "/etc/profile.d";
/// Programs that run what their arguments say.
const RUNNERS: [&str; 17] = [
    "tmux",
    "screen",
    "sh",
    "bash",
    "zsh",
    "dash",
    "su",
    "sudo",
    "runuser",
    "nohup",
    "setsid",
    "exec",
    "env",
    "timeout",
    "nice",
    "systemd-run",
    "xargs",
];
/// Words of the shell that a command may stand behind.
const KEYWORDS: [&str; 10] = [
    "if", "then", "else", "elif", "do", "while", "until", "!", "{", "time",
];

/// True for a line that a shell would run: no comment, and not switched off.
pub(super) fn runs(line: &str) -> bool {
    let line = line.trim_start();
    !line.is_empty() && !line.starts_with('#') && !line.starts_with(": # incident:")
}

/// Start-up lines that start a known agent. One that cannot be taken out alone is only named.
pub(super) fn find(world: &World) -> Vec<Trigger> {
    let mut found: Vec<Trigger> = Vec::new();
    let of_homes = homes(world).into_iter().flat_map(|home| {
        let files = OF_HOME.iter().map(|name| home.join(name)).collect::<Vec<_>>();
        files.into_iter().map(move |file| (home.clone(), file))
    });
    let profile = Path::new(OF_PROFILE);
    let parts = world.files.list(profile).unwrap_or_default();
    let of_all = OF_ALL.iter().map(PathBuf::from);
    let of_all = of_all.chain(parts.into_iter().map(|name| profile.join(name)));
    let of_all = of_all.map(|file| (PathBuf::from("/"), file));
    for (home, file) in of_homes.chain(of_all) {
        let Ok(bytes) = world.files.read(&file, CAP) else {
            continue;
        };
        let text = String::from_utf8_lossy(&bytes);
        let mut before = "";
        for (n, line) in (1..).zip(text.lines()) {
            let script = |path: &Path| called_by_script(world, path);
            if let Some(agent) = starts(&home, line, script) {
                let path = file.display().to_string();
                let kind = match stands_alone(before, line) {
                    true => TriggerKind::StartUp {
                        path,
                        contains: telling(line),
                    },
                    false => TriggerKind::Manual {
                        how: format!(
                            "line {n} of {path} starts {agent} and belongs to the lines around it: vi +{n} {path}"
                        ),
                    },
                };
                let trigger = stamp("startup", agent, kind);
                found.extend(trigger.filter(|t| !found.contains(t)));
            }
            before = line;
        }
    }
    found
}

/// The agent that a line of a start-up file starts: as a command, not in a name, a setting or a completion.
///
/// `called` says which agent a script calls.
fn starts(home: &Path, line: &str, called: impl Fn(&Path) -> Option<&'static str>) -> Option<&'static str> {
    if !runs(line) {
        return None;
    }
    let line = line.trim_start();
    let defines = |line: &str| {
        let first = line.split_whitespace().next().unwrap_or_default();
        matches!(
            first,
            "alias" | "abbr" | "export" | "function" | "complete" | "set" | "path="
        ) || first.contains("()")
            || line.contains("completion")
            || line.contains("--version")
    };
    if defines(line) {
        return None;
    }
    let script = |word: &str| called(&below(home, word)?);
    line.split([';', '&', '|', '(']).find_map(|command| {
        let mut words = command.split_whitespace().peekable();
        let is_set = |word: &&str| {
            let name = word.split('=').next().unwrap_or_default();
            word.contains('=')
                && !name.is_empty()
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        while words
            .next_if(|word| KEYWORDS.contains(word) || is_set(word))
            .is_some()
        {}
        let first = words.next()?;
        let rest = words.collect::<Vec<_>>().join(" ");
        let name = known::file_name(first).trim_end_matches([')', '}']);
        if RUNNERS.contains(&name) {
            return known::called_in(&rest)
                .map(|known| known.agent)
                .or_else(|| rest.split_whitespace().find_map(&script));
        }
        known::called_in(&format!("{first} {rest}"))
            .filter(|_| known::called_in(&rest).is_none())
            .map(|known| known.agent)
            .or_else(|| script(first))
    })
}

/// The file that a word names by an absolute path or from the home.
fn below(home: &Path, word: &str) -> Option<PathBuf> {
    let word = word.trim_matches(['"', '\'', ')', '}']);
    let below = ["~/", "$HOME/", "${HOME}/"]
        .iter()
        .find_map(|h| word.strip_prefix(h));
    match below {
        Some(below) => Some(home.join(below)),
        None => word.starts_with('/').then(|| PathBuf::from(word)),
    }
}

/// True where the line can be taken out and the rest still means the same.
fn stands_alone(before: &str, line: &str) -> bool {
    let goes_on = |line: &str| {
        let line = line.trim_end();
        line.ends_with('\\') || line.ends_with('|') || line.ends_with("&&")
    };
    let marks = |mark: char| line.matches(mark).count();
    let words: Vec<&str> = line.split(|c: char| c.is_whitespace() || c == ';').collect();
    let count = |word: &str| words.iter().filter(|w| **w == word).count();
    let loose = count("then") + count("else") + count("elif");
    let blocks = ["if", "fi", "do", "done", "case", "esac", "{", "}"].map(count);
    let [opens, closes, does, dones, cases, esacs, left, right] = blocks;
    !goes_on(before)
        && !goes_on(line)
        && !line.contains("<<")
        && ['"', '\'', '`'].into_iter().all(|quote| marks(quote) % 2 == 0)
        && marks('(') == marks(')')
        && (opens, does, cases, left) == (closes, dones, esacs, right)
        && (loose == 0 || opens > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Option<&'static str> {
        let called = |path: &Path| path.ends_with("night.sh").then_some("codex");
        starts(Path::new("/home/bot"), line, called)
    }

    #[test]
    fn only_what_starts_an_agent_counts() {
        for line in [
            "claude --resume &",
            "  nohup codex exec 'go on' > /tmp/log 2>&1 &",
            "[ -t 0 ] && claude -p x",
            "if true; then X=1 gemini -p x; fi",
            "tmux new-session -d 'claude -p x'",
            "(claude -p x &)",
            "~/bin/night.sh &",
        ] {
            assert!(of(line).is_some(), "{line}");
        }
        for line in [
            "# claude",
            "alias c='claude -p x'",
            "export PATH=$HOME/.claude/bin:$PATH",
            "source <(codex completion bash)",
            "command -v claude > /dev/null",
            "work() { claude -p x; }",
            "echo claude is here",
            ": # incident:INC-1 disabled: claude &",
        ] {
            assert_eq!(of(line), None, "{line}");
        }
    }

    #[test]
    fn a_line_that_belongs_to_others_is_not_taken_out() {
        assert!(stands_alone("x=1", "claude -p 'tidy up' &"));
        assert!(stands_alone("", "if true; then claude; fi"));
        for (before, line) in [
            ("", "if true; then claude"),
            ("true && ", "claude &"),
            ("", "claude \\"),
            ("", "claude -p 'one"),
            ("", "claude <<EOF"),
            ("", "else claude"),
        ] {
            assert!(!stands_alone(before, line), "{before} {line}");
        }
    }
}
