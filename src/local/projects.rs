//! What starts an agent from the folders it works in: schedules it keeps there, hooks of git, development
//! containers.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::cron::called_by_script;
use super::users::homes;
use super::{known, stamp};
use crate::model::grant::{Trigger, TriggerKind};
use crate::world::World;

/// Largest file that is read, in bytes.
const CAP: u64 = 4 << 20;
/// Most folders upward from one where an agent works.
const DEPTH: usize = 12;
/// Schedules that agents keep below the folder they work in. They survive the session that wrote them.
const SCHEDULES: [(&str, &str); 1] = [("claude-code", ".claude/scheduled_tasks.json")];
/// Schedules that agents keep below the home of their user.
const OF_HOME: [(&str, &str); 3] = [
    ("goose", ".local/share/goose/schedule.json"),
    ("goose", "Library/Application Support/Block/goose/schedule.json"),
    ("claude-code", ".claude/scheduled_tasks.json"),
];
/// Keys of a development container under which commands stand that run by themselves.
const COMMANDS: [&str; 6] = [
    "initializeCommand",
    "onCreateCommand",
    "updateContentCommand",
    "postCreateCommand",
    "postStartCommand",
    "postAttachCommand",
];

/// An agent and where it works, or worked until it was ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// Which agent.
    pub agent: String,
    /// Home of its user.
    pub home: Option<PathBuf>,
    /// Folders it works in.
    pub cwds: BTreeSet<PathBuf>,
}

/// Files in projects and homes that make an agent start.
pub fn find(world: &World, work: &[Work]) -> Vec<Trigger> {
    let mut found: Vec<Trigger> = Vec::new();
    let mut add = |trigger: Option<Trigger>| found.extend(trigger.filter(|t| !found.contains(t)));
    let file = |path: PathBuf| {
        let is_file = world.files.stat(&path).is_ok_and(|s| s.is_file);
        is_file.then(|| TriggerKind::File {
            path: path.display().to_string(),
        })
    };
    let mut all = homes(world);
    all.extend(work.iter().filter_map(|w| w.home.clone()));
    for home in all {
        for (agent, name) in OF_HOME {
            add(file(home.join(name)).and_then(|kind| stamp("schedule", agent, kind)));
        }
        for (agent, name) in SCHEDULES {
            for project in known_projects(world, &home) {
                add(file(project.join(name)).and_then(|kind| stamp("schedule", agent, kind)));
            }
        }
    }
    let mut folders: BTreeSet<PathBuf> = BTreeSet::new();
    let mut tops: BTreeSet<(PathBuf, Option<PathBuf>)> = BTreeSet::new();
    for work in work {
        for cwd in &work.cwds {
            let above: Vec<&Path> = cwd.ancestors().take(DEPTH).collect();
            let top = above
                .iter()
                .position(|f| world.files.stat(&f.join(".git")).is_ok());
            let own = above.iter().take(top.map_or(1, |top| top + 1));
            folders.extend(own.map(|f| f.to_path_buf()));
            let top = top.and_then(|top| above.get(top));
            tops.extend(top.map(|top| (top.to_path_buf(), work.home.clone())));
        }
    }
    for folder in &folders {
        for (agent, name) in SCHEDULES {
            add(file(folder.join(name)).and_then(|kind| stamp("schedule", agent, kind)));
        }
        for path in containers(world, folder) {
            if let Some(agent) = started_by_container(world, folder, &path) {
                add(file(path).and_then(|kind| stamp("devcontainer", agent, kind)));
            }
        }
    }
    for (top, home) in tops {
        hooks(world, &top, home.as_deref(), &mut add);
    }
    found
}

/// Folders that Claude Code has worked in before, by its own list.
fn known_projects(world: &World, home: &Path) -> Vec<PathBuf> {
    const MOST: usize = 200;
    let list = world
        .files
        .read(&home.join(".claude.json"), CAP)
        .unwrap_or_default();
    let list: Value = serde_json::from_slice(&list).unwrap_or_default();
    let projects = list.get("projects").and_then(Value::as_object);
    let names = projects.into_iter().flat_map(|p| p.keys());
    names
        .filter(|n| n.starts_with('/'))
        .take(MOST)
        .map(PathBuf::from)
        .collect()
}

fn containers(world: &World, folder: &Path) -> Vec<PathBuf> {
    let inner = folder.join(".devcontainer");
    let mut all = vec![folder.join(".devcontainer.json"), inner.join("devcontainer.json")];
    let more = world.files.list(&inner).unwrap_or_default();
    all.extend(
        more.into_iter()
            .map(|name| inner.join(name).join("devcontainer.json")),
    );
    all
}

/// The agent that a development container starts by itself.
fn started_by_container(world: &World, folder: &Path, path: &Path) -> Option<&'static str> {
    let bytes = world.files.read(path, CAP).ok()?;
    let text = without_comments(&String::from_utf8_lossy(&bytes));
    let container: Value = serde_json::from_str(&text).ok()?;
    let commands = COMMANDS.iter().filter_map(|key| container.get(key));
    let mut texts = Vec::new();
    commands.for_each(|value| words_of(value, &mut texts));
    texts.into_iter().find_map(|text| {
        let script = |word: &str| {
            let word = word.trim_matches(['"', '\'']);
            called_by_script(world, &folder.join(word))
        };
        let known = known::called_in(&text).map(|known| known.agent);
        known.or_else(|| {
            text.split_whitespace()
                .filter(|w| w.contains('/'))
                .find_map(script)
        })
    })
}

/// Commands as they would be typed: a text, a list of arguments, or several of either by name.
fn words_of(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) => into.push(text.clone()),
        Value::Array(items) => {
            let words: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            into.push(words.join(" "));
        }
        Value::Object(named) => named.values().for_each(|value| words_of(value, into)),
        _ => {}
    }
}

/// JSON as editors write it, as JSON: without comments and without a comma before a closing bracket.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('"', _) => {
                out.push(c);
                while let Some(inner) = chars.next() {
                    out.push(inner);
                    match inner {
                        '\\' => out.extend(chars.next()),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            ('/', Some('/')) => while chars.next_if(|c| *c != '\n').is_some() {},
            ('/', Some('*')) => {
                let mut last = ' ';
                for inner in chars.by_ref().skip(1) {
                    if (last, inner) == ('*', '/') {
                        break;
                    }
                    last = inner;
                }
            }
            (']' | '}', _) => {
                let end = out.trim_end().trim_end_matches(',').len();
                out.truncate(end);
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}

/// Executable hooks of the repository at `top` that call a known agent.
fn hooks(world: &World, top: &Path, home: Option<&Path>, add: &mut impl FnMut(Option<Trigger>)) {
    let Some(common) = git_folder(world, top) else {
        return;
    };
    let mut folders = BTreeSet::from([common.join("hooks")]);
    let global = home
        .into_iter()
        .flat_map(|home| [home.join(".gitconfig"), home.join(".config/git/config")]);
    let files = [PathBuf::from("/etc/gitconfig")].into_iter().chain(global);
    let files = files.chain([common.join("config"), common.join("config.worktree")]);
    for file in files {
        let text = world.files.read(&file, CAP).unwrap_or_default();
        for path in hooks_paths(&String::from_utf8_lossy(&text)) {
            let path = match (path.strip_prefix("~/"), home) {
                (Some(below), Some(home)) => home.join(below),
                _ => top.join(path),
            };
            folders.insert(path);
        }
    }
    for folder in folders {
        for name in world.files.list(&folder).unwrap_or_default() {
            let path = folder.join(&name);
            let Ok(stat) = world.files.stat(&path) else {
                continue;
            };
            if stat.is_dir || stat.mode & 0o111 == 0 || name.extension().is_some_and(|e| e == "sample") {
                continue;
            }
            // husky's own hook runs the one of the same name beside its folder.
            let beside = folder
                .parent()
                .map(|parent| parent.join(&name))
                .filter(|_| folder.ends_with("_"));
            let agent = called_by_script(world, &path).or_else(|| commands_of(world, &beside?));
            let Some(agent) = agent else { continue };
            let path = path.display().to_string();
            let kind = match stat.is_file {
                true => TriggerKind::Script { path },
                false => TriggerKind::Manual {
                    how: format!("the hook {path} starts {agent} and is a link: rm {path}"),
                },
            };
            add(stamp("hook", agent, kind));
        }
    }
}

/// The agent that a file of commands calls, whether it says what reads it or not.
fn commands_of(world: &World, path: &Path) -> Option<&'static str> {
    let bytes = world.files.read(path, CAP).ok()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let mut lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    lines.find_map(known::called_in).map(|known| known.agent)
}

/// Where the repository keeps what all its working folders share.
fn git_folder(world: &World, top: &Path) -> Option<PathBuf> {
    let git = top.join(".git");
    if world.files.stat(&git).ok()?.is_dir {
        return Some(git);
    }
    let text = String::from_utf8(world.files.read(&git, CAP).ok()?).ok()?;
    let own = top.join(text.trim().strip_prefix("gitdir:")?.trim());
    match world.files.read(&own.join("commondir"), CAP) {
        Ok(common) => Some(own.join(String::from_utf8_lossy(&common).trim())),
        Err(_) => Some(own),
    }
}

/// Every `core.hooksPath` in a configuration of git.
fn hooks_paths(text: &str) -> Vec<String> {
    let mut in_core = false;
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            in_core = section
                .split(']')
                .next()
                .is_some_and(|s| s.trim().eq_ignore_ascii_case("core"));
        }
        if let Some((key, value)) = line.split_once('=').filter(|_| in_core)
            && key.trim().eq_ignore_ascii_case("hookspath")
        {
            found.push(value.trim().trim_matches('"').to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_paths_are_read_as_git_does() {
        let text = "[user]\n\thooksPath = no\n[core]\n\tbare = false\n\thookspath = \".husky/_\"\n[Core]\nHooksPath=~/hooks\n";
        assert_eq!(hooks_paths(text), [".husky/_", "~/hooks"]);
    }

    #[test]
    fn json_of_editors_is_read_without_its_comments() {
        let text = "{ // why\n \"a\": \"http://x // no\", /* or */ \"b\": [1, 2,], }";
        let value: Value = serde_json::from_str(&without_comments(text)).unwrap();
        assert_eq!(value, serde_json::json!({"a": "http://x // no", "b": [1, 2]}));
    }
}
