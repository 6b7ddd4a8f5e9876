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

    /// The address that `git push NAME` goes to; `None` where several do, or where it is rewritten elsewhere.
    fn remote_of(&self, folder: &Path, name: &str) -> Option<String> {
        let own = folder
            .ancestors()
            .find_map(|above| self.config(&above.join(".git/config")))?;
        let mine = self
            .world
            .host
            .home()
            .map(|home: PathBuf| home.join(".gitconfig"));
        let mine = mine.and_then(|path| self.config(&path)).unwrap_or_default();
        let lower = format!("{own}\n{mine}").to_ascii_lowercase();
        if lower.contains("insteadof") || lower.contains("[include") {
            return None;
        }
        let (mut here, mut urls, mut pushes) = (false, Vec::new(), Vec::new());
        for line in own.lines().map(str::trim) {
            if line.starts_with('[') {
                here = line == format!("[remote \"{name}\"]");
            } else if let (true, Some((key, value))) = (here, line.split_once('=')) {
                match key.trim().to_ascii_lowercase().as_str() {
                    "url" => urls.push(value.trim().to_owned()),
                    "pushurl" => pushes.push(value.trim().to_owned()),
                    _ => {}
                }
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
