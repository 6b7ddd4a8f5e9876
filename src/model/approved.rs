//! An act that somebody read in peacetime and signed for: what nobody else understands in it counts as understood.
//!
//! It discharges `unknown` and nothing else. What is seen in the act counts all the same, and so does what the
//! approval says it changes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::act::{Act, EnvValue, Pinned, Resolved};
use super::effect::{Effect, Effects};
use super::ids::StepId;
use super::time::parse_rfc3339;

/// First words of an approval, so that it can be no other signed text.
pub const KIND: &str = "incident approved act, version 1";
/// Longest time that an approval may be good for, in milliseconds.
pub const LONGEST_MS: i64 = 366 * 86_400_000;

/// What somebody signs: exactly these words, run there, with files of these contents. Paths below the folder that
/// holds the runbook's begin with `./`, so that it fits every checkout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// [`KIND`].
    pub kind: String,
    /// The `name:` of the runbook it belongs to.
    pub runbook: String,
    /// The step it was written for; `None` for an act that no runbook foresaw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepId>,
    /// Program and arguments.
    pub run: Vec<String>,
    /// Working directory.
    #[serde(rename = "in")]
    pub cwd: String,
    /// Environment besides the short allow-list.
    pub env: BTreeMap<String, EnvValue>,
    /// What is run to see that it worked; it is read together with the act.
    pub verify: Vec<String>,
    /// The program, its scripts, every file that its words name, and those named besides.
    pub files: Vec<Pinned>,
    /// What it changes, in the signer's word.
    pub effects: Effects,
    /// What nobody understood in it, and what the signer answers for: words of the act, and the rule.
    pub unknown: BTreeSet<String>,
    /// When it was signed, RFC 3339.
    pub made: String,
    /// Last moment, RFC 3339.
    pub until: String,
}

/// The approval that fits an act, as it stands in what is hashed and signed for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approved {
    /// Who signed.
    pub by: String,
    /// When, RFC 3339.
    pub made: String,
    /// Last moment, RFC 3339.
    pub until: String,
    /// What it changes, in their word.
    pub effects: Effects,
    /// SHA-256 of what was signed.
    pub sha256: String,
}

impl Approved {
    /// One sentence for screens, statements and reports.
    pub fn words(&self) -> String {
        format!(
            "approved by {} on {} until {}: `unknown` is discharged",
            self.by,
            day(&self.made),
            day(&self.until)
        )
    }
}

/// The day of a moment.
pub fn day(moment: &str) -> &str {
    moment.split('T').next().unwrap_or(moment)
}

/// A path as it stands in an approval.
pub fn portable(base: &Path, path: &str) -> String {
    match Path::new(path).strip_prefix(base) {
        Ok(inner) if inner.as_os_str().is_empty() => ".".to_owned(),
        Ok(inner) => format!("./{}", inner.display()),
        Err(_) => path.to_owned(),
    }
}

/// The same on this machine.
pub fn on_disk(base: &Path, path: &str) -> PathBuf {
    match path.strip_prefix("./") {
        Some(inner) => base.join(inner),
        None if path == "." => base.to_owned(),
        None => PathBuf::from(path),
    }
}

/// What is not understood in an act, each with the rule that says so.
pub fn unknown_in(act: &Resolved) -> BTreeSet<String> {
    let dark = act.seen.iter().filter(|s| s.effect == Effect::Unknown);
    dark.map(|s| format!("{} ({})", s.text, s.rule)).collect()
}

fn program(base: &Path, argv: &[String]) -> Vec<String> {
    let mut argv = argv.to_vec();
    if let Some(first) = argv.first_mut() {
        *first = portable(base, first);
    }
    argv
}

impl Approval {
    /// The approval of this act, running these files; `None` where it is not a program's.
    pub fn of(act: &Resolved, base: &Path, files: &[Pinned]) -> Option<Approval> {
        let Act::Run(argv) = &act.act else { return None };
        let mut files: Vec<Pinned> = files
            .iter()
            .map(|f| Pinned {
                path: portable(base, &f.path),
                sha256: f.sha256.clone(),
            })
            .collect();
        files.sort();
        files.dedup();
        Some(Approval {
            kind: KIND.to_owned(),
            runbook: String::new(),
            step: Some(act.step.clone()),
            run: program(base, argv),
            cwd: portable(base, &act.cwd),
            env: act.env.clone(),
            verify: act
                .verify
                .as_ref()
                .map(|check| program(base, &check.run))
                .unwrap_or_default(),
            files,
            effects: act.declared.clone().unwrap_or_default(),
            unknown: unknown_in(act),
            made: String::new(),
            until: String::new(),
        })
    }

    /// Why it does not count at all at this moment; `None` where it does.
    pub fn fault(&self, now_ms: i64) -> Option<String> {
        let (made, until) = match (parse_rfc3339(&self.made), parse_rfc3339(&self.until)) {
            (Some(made), Some(until)) => (made, until),
            _ => return Some("its moments cannot be read".into()),
        };
        match () {
            () if self.kind != KIND => Some("it is no approval of an act".into()),
            () if self.effects.is_empty() => Some("it does not say what the act changes".into()),
            () if self.effects.contains(&Effect::Unknown) => {
                Some("it says that nobody knows what the act changes".into())
            }
            () if until.saturating_sub(made) > LONGEST_MS => Some("it is for longer than a year".into()),
            () if now_ms < made => Some(format!("it is signed for {}, which is not yet", day(&self.made))),
            () if now_ms > until => Some(format!("it ran out on {}", day(&self.until))),
            () => None,
        }
    }

    /// Why it is not for this act, as it would run now; `None` where it is.
    ///
    /// `now` is the approval of the act as it stands, made in the same way.
    pub fn misfit(&self, now: &Approval, act: &Resolved) -> Option<String> {
        if self.run != now.run {
            return Some("its words are others".into());
        }
        if self.cwd != now.cwd {
            return Some(format!("it is for {}, and this runs in {}", self.cwd, now.cwd));
        }
        if self.env != now.env {
            return Some("its variables are others".into());
        }
        if self.verify != now.verify {
            return Some("what is run to see that it worked is other".into());
        }
        if let Some(declared) = act.declared.as_ref().filter(|d| **d != self.effects) {
            let words = |all: &Effects| all.iter().map(|e| e.word()).collect::<Vec<_>>().join(", ");
            return Some(format!(
                "it says that the act changes {}, and the runbook says {}",
                words(&self.effects),
                words(declared)
            ));
        }
        let of = |all: &[Pinned]| -> BTreeMap<String, String> {
            all.iter().map(|f| (f.path.clone(), f.sha256.clone())).collect()
        };
        let (mine, theirs) = (of(&self.files), of(&now.files));
        let differs = mine
            .keys()
            .chain(theirs.keys())
            .find(|path| mine.get(*path) != theirs.get(*path));
        if let Some(path) = differs {
            return Some(match (mine.contains_key(path), theirs.contains_key(path)) {
                (true, true) => format!("{path} is another file now"),
                (true, false) => format!("{path} cannot be read"),
                _ => format!("{path} was no file of it"),
            });
        }
        let more = now.unknown.difference(&self.unknown).next();
        more.map(|text| format!("nobody answered for {text}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_below_the_base_fit_every_checkout_and_no_other_folder() {
        let base = Path::new("/srv/shop");
        for (path, portable_one) in [
            ("/srv/shop/scripts/page", "./scripts/page"),
            ("/srv/shop", "."),
            ("/srv/shopping/x", "/srv/shopping/x"),
            ("/usr/bin/psql", "/usr/bin/psql"),
        ] {
            assert_eq!(portable(base, path), portable_one);
            assert_eq!(on_disk(base, portable_one), Path::new(path));
        }
        assert_eq!(
            on_disk(Path::new("/home/ben/shop"), "./scripts/page"),
            Path::new("/home/ben/shop/scripts/page")
        );
    }
}
