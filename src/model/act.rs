//! What runs: a step as written, and the act it resolves to. One type for detectors, judge, screen,
//! journal, drill and runner: [`Resolved`].

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::approved::Approved;
use super::effect::{Effect, Effects, Seen};
use super::grant::Target;
use super::ids::StepId;
use super::reach::{Environment, Scope};
use super::secret::SecretRef;

/// The four stages, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Take away what the agent holds; needs nobody's approval.
    Stop,
    /// Look; change nothing; seal a baseline.
    Assess,
    /// Limit the damage with steps that can be undone.
    Contain,
    /// Put things right, by a plan.
    Recover,
}

impl Stage {
    /// All stages in order.
    pub const ALL: [Stage; 4] = [Stage::Stop, Stage::Assess, Stage::Contain, Stage::Recover];

    /// The word used in runbooks, records and on screen.
    pub fn word(self) -> &'static str {
        match self {
            Stage::Stop => "stop",
            Stage::Assess => "assess",
            Stage::Contain => "contain",
            Stage::Recover => "recover",
        }
    }

    /// The stage after this one.
    pub fn next(self) -> Option<Stage> {
        match self {
            Stage::Stop => Some(Stage::Assess),
            Stage::Assess => Some(Stage::Contain),
            Stage::Contain => Some(Stage::Recover),
            Stage::Recover => None,
        }
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// In which way a step may run outside the ordinary order of stages (DESIGN 3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lane {
    /// In its stage, in its turn.
    #[default]
    Ordinary,
    /// Keeps good copies from dying; allowed before the baseline, after an automatic capture.
    Protect,
    /// An inside, undoable containment step taken before the baseline, with a reason.
    First,
}

/// A step as the runbook says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its name.
    pub id: StepId,
    /// When it belongs.
    pub stage: Stage,
    /// Whether it may run early.
    pub lane: Lane,
    /// One line for people.
    pub title: String,
    /// Why it is there.
    pub why: Option<String>,
    /// What it does.
    pub act: Act,
    /// What its author says it changes; `None` = nobody classified it.
    pub effects: Option<Effects>,
    /// How to take it back.
    pub undo: Undo,
    /// The backup it needs.
    pub needs_backup: Option<String>,
    /// The earlier configuration it goes back to was tested, on this day (`2026-11-20`).
    pub rollback_tested: Option<String>,
    /// Where its author says it belongs.
    pub environment: Option<Environment>,
    /// How to see that it worked.
    pub verify: Option<Check>,
    /// Working directory.
    pub cwd: Option<PathBuf>,
    /// Environment besides the short allow-list.
    pub env: BTreeMap<String, EnvValue>,
    /// Limit, in milliseconds.
    pub timeout_ms: u64,
    /// How often it may be tried in one plan.
    pub tries: u32,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// A program and its arguments.
    Run(Vec<String>),
    /// Something a person does elsewhere.
    Manual(Manual),
    /// A question to the responder.
    Ask(String),
    /// A look, kept as evidence.
    Capture(CaptureSpec),
    /// The stop sweep, or a part of it.
    Sweep(Sweep),
    /// Giving back what a sweep took.
    Restore(GiveBack),
    /// Making a new credential in the place of one that a sweep took.
    Renew(Renewal),
}

/// A new credential for a named service, in the place of one that was cut and stays cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Renewal {
    /// What was cut.
    pub target: Target,
    /// The service that is to use it.
    pub service: String,
    /// What was saved before the cut, and its rights in words; `None` where a person makes it.
    pub from: Option<(SavedFile, String)>,
}

/// Access that a sweep took, to be given back from what was saved before the cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GiveBack {
    /// What was cut.
    pub target: Target,
    /// What was saved before each cut, oldest first.
    pub saved: Vec<SavedFile>,
}

/// What was saved before one cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedFile {
    /// File below `undo/`.
    pub file: String,
    /// SHA-256 of its bytes, hexadecimal.
    pub sha256: String,
}

/// Which part of the stop sweep a step names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sweep {
    /// Grants.
    Revoke,
    /// Process trees.
    Kill,
    /// Triggers.
    Disable,
}

/// What a person does by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manual {
    /// What to do.
    pub what: String,
    /// Where: a console path, a host, a document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// How to see that it worked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub see: Option<String>,
}

/// What to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CaptureSpec {
    /// This host: processes, sockets, disk, services, uptime, last logins.
    Host,
    /// Output of a program that only reads.
    Command {
        /// Program and arguments.
        argv: Vec<String>,
        /// Working directory.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cwd: Option<PathBuf>,
    },
    /// A file, or a folder and what is below it.
    File {
        /// Which.
        path: PathBuf,
    },
    /// A git repository: status, log, reflog, stash, worktrees, what was not pushed.
    Git {
        /// Its working tree.
        repo: PathBuf,
    },
    /// A collector that the program brings along.
    Collector {
        /// Its name.
        name: String,
        /// What it is given.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        with: BTreeMap<String, Given>,
        /// Items that change something, asked for by name.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        changing: Vec<String>,
    },
}

/// The collectors that the program brings along, in the order of names.
pub const COLLECTORS: [&str; 20] = [
    "agents",
    "backups",
    "cloud",
    "cloudtrail",
    "cluster",
    "containers",
    "credentials",
    "database",
    "day-zero",
    "deploy",
    "host",
    "http",
    "kubernetes",
    "logs",
    "mysql",
    "postgres",
    "redis",
    "repository",
    "source",
    "terraform",
];

/// One thing a collector is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Given {
    /// As it stands.
    Text(String),
    /// Several.
    Many(Vec<String>),
    /// Where a secret is read from.
    Secret(SecretRef),
}

/// How to take a step back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undo {
    /// Nobody said. In contain this makes the step one-way.
    Unsaid,
    /// This program restores the earlier state.
    By(Vec<String>),
    /// A person restores it by hand.
    ByHand(Manual),
    /// Nothing restores it, and why.
    Never(String),
}

/// How to see that a step worked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Program and arguments; it must only read.
    pub run: Vec<String>,
    /// Text that its output must equal, white space at both ends aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<String>,
    /// Name of a file beside the backup (or beside the runbook) that holds the expected output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect_file: Option<String>,
}

/// Value of an environment variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EnvValue {
    /// Written in the runbook.
    Plain(String),
    /// Read just in time.
    From(SecretRef),
}

/// An executable file and its hash at the moment it was looked at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pinned {
    /// Absolute path.
    pub path: String,
    /// SHA-256 of its bytes, hexadecimal.
    pub sha256: String,
}

/// A backup as it was found just now, compared with what the runbook says of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupFound {
    /// Its name in the runbook.
    pub id: String,
    /// Where it lies.
    pub path: String,
    /// The hash written in advance.
    pub expected: String,
    /// The hash found now; `None` where it could not be read.
    pub found: Option<String>,
    /// Day of the last test restore on record.
    pub test_restore: Option<String>,
    /// Identities that can write it, as the runbook says.
    pub writable_by: Vec<String>,
    /// Those of them that an agent of this incident holds, or why its file is writable by the agent.
    pub agent_can_write: Vec<String>,
}

impl BackupFound {
    /// Why it does not count as verified; `None` where it does.
    pub fn doubt(&self) -> Option<String> {
        match &self.found {
            None => return Some(format!("backup `{}` cannot be read at {}", self.id, self.path)),
            Some(found) if *found != self.expected => {
                return Some(format!(
                    "backup `{}` has another SHA-256 than the runbook says",
                    self.id
                ));
            }
            Some(_) => {}
        }
        if self.test_restore.is_none() {
            return Some(format!("backup `{}` has no test restore on record", self.id));
        }
        if let Some(who) = self.agent_can_write.first() {
            return Some(format!(
                "backup `{}` can be written by the agent ({who})",
                self.id
            ));
        }
        if self.writable_by.is_empty() {
            return Some(format!("nobody wrote down who can write backup `{}`", self.id));
        }
        None
    }
}

/// How an act can be taken back, resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResolvedUndo {
    /// This program, with absolute path.
    By(Vec<String>),
    /// By hand.
    ByHand(Manual),
    /// Not at all.
    Never(String),
    /// Nobody said.
    Unsaid,
}

/// Exactly what will run, where, and what it changes. Its digest is the SHA-256 of its canonical bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resolved {
    /// Which step; ad-hoc acts are named `do-<n>`.
    pub step: StepId,
    /// When it belongs.
    pub stage: Stage,
    /// Whether it may run early.
    pub lane: Lane,
    /// One line for people.
    pub title: String,
    /// What it does; programs by absolute path.
    pub act: Act,
    /// True where this takes an earlier act back.
    pub undoes: bool,
    /// Working directory.
    pub cwd: String,
    /// Environment: names and where values come from, never a secret.
    pub env: BTreeMap<String, EnvValue>,
    /// Executables and scripts with their digests, re-read just before they run.
    pub files: Vec<Pinned>,
    /// What it is aimed at (`host`, `user`, `database`, `context`, …).
    pub targets: BTreeMap<String, String>,
    /// The same, read off its words by kind, for the map and the rules of the boundary.
    #[serde(default, skip_serializing_if = "Scope::is_empty")]
    pub scope: Scope,
    /// The approval given in peacetime that fits it exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<Approved>,
    /// What the author declared; `None` = nobody classified it.
    pub declared: Option<Effects>,
    /// What the detectors saw.
    pub seen: Vec<Seen>,
    /// How to take it back.
    pub undo: ResolvedUndo,
    /// The backup it restores from, as found now.
    pub backup: Option<BackupFound>,
    /// Day on which the rollback it makes was tested.
    pub rollback_tested: Option<String>,
    /// How to see that it worked.
    pub verify: Option<Check>,
    /// Limit in milliseconds.
    pub timeout_ms: u64,
    /// How often it may be tried in one plan.
    pub tries: u32,
}

impl Resolved {
    /// Every effect: declared or seen, `unknown` where nobody classified it, `one-way` where a
    /// containment step cannot be taken back. Never empty: where nothing is said, nothing is proved.
    pub fn effects(&self) -> Effects {
        if let Act::Sweep(sweep) = &self.act {
            return Effects::from([match sweep {
                Sweep::Revoke => Effect::CredentialChange,
                Sweep::Kill => Effect::ServiceRestart,
                Sweep::Disable => Effect::ConfigChange,
            }]);
        }
        let mut all: Effects = self.seen.iter().map(|s| s.effect).collect();
        match &self.declared {
            Some(declared) => all.extend(declared),
            // What only reads needs no author to say so.
            None if self.only_reads() => {
                all.insert(Effect::Read);
            }
            None => {
                all.insert(Effect::Unknown);
            }
        }
        // Somebody read it in peacetime and signed what it changes. What is seen in it counts all the same.
        if let Some(approved) = &self.approved {
            all.extend(&approved.effects);
            all.remove(&Effect::Unknown);
        }
        // Taking a protection away is not protecting.
        if self.undoes && all.remove(&Effect::Protect) {
            all.insert(Effect::BackupChange);
        }
        if all.is_empty() {
            all.insert(Effect::Unknown);
        }
        let stuck = matches!(self.undo, ResolvedUndo::Unsaid | ResolvedUndo::Never(_));
        let changes = all.iter().any(|e| !matches!(e, Effect::Read | Effect::Protect));
        if self.stage == Stage::Contain && stuck && changes && !self.undoes {
            all.insert(Effect::OneWay);
        }
        if all.len() > 1 {
            all.remove(&Effect::Read);
        }
        all
    }

    /// True where everything seen is a read and the act is of a kind that a detector can read.
    pub fn only_reads(&self) -> bool {
        let seen_reads = !self.seen.is_empty() && self.seen.iter().all(|s| s.effect == Effect::Read);
        match &self.act {
            Act::Run(_) => seen_reads,
            Act::Ask(_) => true,
            Act::Capture(CaptureSpec::Command { .. }) => seen_reads,
            Act::Capture(CaptureSpec::Collector { changing, .. }) => changing.is_empty(),
            Act::Capture(_) => true,
            Act::Manual(_) | Act::Sweep(_) | Act::Restore(_) | Act::Renew(_) => false,
        }
    }

    /// The bytes that are hashed, signed for and stored: sorted JSON, one line.
    pub fn canonical(&self) -> Vec<u8> {
        // Through Value, whose maps are sorted; a struct of strings and integers cannot fail.
        serde_json::to_value(self)
            .map(|v| v.to_string().into_bytes())
            .unwrap_or_default()
    }
}
