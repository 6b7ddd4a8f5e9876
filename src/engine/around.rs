//! What surrounds an act and decides where it goes: its variables, its folder, the current context, the remotes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::Engine;
use crate::effects::{self, ActText, Asked};
use crate::model::act::EnvValue;
use crate::model::reach::{Kind, Reach};

/// Longest configuration that is read for one name in it, in bytes.
const CAP: u64 = 1 << 20;

impl Engine<'_> {
    /// What an act is aimed at, as it would run now from `cwd`.
    pub(super) fn reaches(
        &self,
        act: &ActText<'_>,
        cwd: &str,
        env: &BTreeMap<String, EnvValue>,
    ) -> BTreeSet<Reach> {
        let around = |asked: Asked<'_>| match asked {
            // A secret's value is nobody's to compare: it counts as not known.
            Asked::Variable(name) => env.get(name).map(|value| match value {
                EnvValue::Plain(text) => text.clone(),
                EnvValue::From(_) => String::new(),
            }),
            Asked::Folder => Some(cwd.to_owned()),
            Asked::Context(file) => self.current_context(cwd, file),
            Asked::Remote(folder, name) => self.remote_of(Path::new(folder), name),
        };
        let base = self.base.display().to_string();
        let found = effects::reaches(act, &around);
        found.into_iter().map(|reach| beside(reach, &base)).collect()
    }

    /// The current context of the cluster's configuration; `None` where that is not one file that can be read.
    fn current_context(&self, cwd: &str, file: Option<&str>) -> Option<String> {
        let path = match file {
            Some(list) if list.contains(':') => return None,
            Some(file) => Path::new(cwd).join(file),
            None => self.world.host.home()?.join(".kube/config"),
        };
        let text = self.config(&path)?;
        let mut lines = text
            .lines()
            .filter_map(|line| line.strip_prefix("current-context:"));
        let name = lines.next()?.trim().trim_matches(['"', '\'']).to_owned();
        (lines.next().is_none() && !name.is_empty() && !name.contains('#')).then_some(name)
    }

    /// The address that `git push NAME` goes to; `None` where several do, where it is rewritten elsewhere, and where the
    /// file says anything in a way that git reads and this does not: whoever wrote it may want another name on it.
    fn remote_of(&self, folder: &Path, name: &str) -> Option<String> {
        let there = |path: &PathBuf| self.world.files.stat(path).is_ok();
        // A worktree or a submodule has a file of this name, and its configuration elsewhere.
        let git = folder.ancestors().map(|above| above.join(".git")).find(there)?;
        let own = self.config(&git.join("config"))?;
        let says = |text: &str, words: &[&str]| {
            let text = text.to_ascii_lowercase();
            words.iter().any(|word| text.contains(word))
        };
        if says(&own, &["insteadof", "[include", "worktreeconfig", "\u{feff}"]) {
            return None;
        }
        let home = self.world.host.home();
        let config = self.world.host.env("XDG_CONFIG_HOME").map(PathBuf::from);
        let others = [
            Some(PathBuf::from("/etc/gitconfig")),
            home.as_ref().map(|home| home.join(".gitconfig")),
            config
                .or(home.map(|home| home.join(".config")))
                .map(|folder| folder.join("git/config")),
        ];
        for other in others.iter().flatten().filter(|path| there(path)) {
            if says(&self.config(other)?, &["insteadof", "[include", "[remote"]) {
                return None;
            }
        }
        let (mut here, mut urls, mut pushes) = (false, Vec::new(), Vec::new());
        for line in own.lines().map(str::trim) {
            if line.ends_with('\\') {
                return None;
            }
            if let Some(section) = line.strip_prefix('[') {
                here = remote_in(section)? == Some(name);
            } else if let (true, Some((key, value))) = (here, line.split_once('=')) {
                let all = match key.trim().to_ascii_lowercase().as_str() {
                    "url" => &mut urls,
                    "pushurl" => &mut pushes,
                    _ => continue,
                };
                if value.contains(['"', '\\', '#', ';']) {
                    return None;
                }
                all.push(value.trim().to_owned());
            }
        }
        let mut all = if pushes.is_empty() { urls } else { pushes };
        (all.len() == 1).then(|| all.pop()).flatten()
    }

    fn config(&self, path: &Path) -> Option<String> {
        let bytes = self.world.files.read(path, CAP).ok()?;
        String::from_utf8(bytes).ok()
    }
}

/// The remote that a section is about, its bracket taken off, `Some(None)` where it is about something else; `None` where
/// it may be about one that is spelt otherwise.
fn remote_in(section: &str) -> Option<Option<&str>> {
    let section = section.strip_suffix(']')?;
    if !section.to_ascii_lowercase().starts_with("remote") {
        return Some(None);
    }
    let name = section.strip_prefix("remote \"")?.strip_suffix('"')?;
    (!name.contains(['"', '\\', ']'])).then_some(Some(name))
}

/// A folder is named from the one that holds the runbook's, so that it is the same in every checkout.
fn beside(mut reach: Reach, base: &str) -> Reach {
    if let (Kind::Folder, Some(name)) = (reach.kind, &mut reach.name)
        && let Some(inner) = name.strip_prefix(base)
        && (inner.is_empty() || inner.starts_with('/') || base.ends_with('/'))
    {
        let inner = inner.trim_start_matches('/');
        *name = if inner.is_empty() { "." } else { inner }.to_owned();
    }
    reach
}
