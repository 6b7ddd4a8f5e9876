//! What an agent holds and what starts it: grants, trees, triggers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::fact::TargetKind;
use super::ids::TargetId;
use super::secret::SecretRef;

/// Who else uses a grant. Decides how and when it is cut (DESIGN 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shared {
    /// The agent's alone: cut now.
    #[default]
    No,
    /// Production uses it too: narrow cut now, full cut on one key.
    Production,
    /// The responder uses it too: used to cut the rest, then cut, last, never skipped.
    Responder,
}

/// One piece of access an agent holds. Never holds a secret, only where one is read from.
///
/// Its fields stand in canonical order: a thousand go into the record before anything is cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Which agent holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Where the *responder's* credential for the provider is read from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<SecretRef>,
    /// Name in the record and on screen.
    pub id: TargetId,
    /// Name of the adapter: a coded provider or a table.
    pub provider: String,
    /// What it reaches, in the team's words (`production`, `backups`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reaches: Vec<String>,
    /// Where the agent's own secret is read from, to prove it refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretRef>,
    /// Who else uses it.
    #[serde(default)]
    pub shared: Shared,
    /// What the adapter needs to name it (`address`, `accessor`, `role`, …).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub with: BTreeMap<String, String>,
}

impl Grant {
    /// The line that tries it again: a secret that was pasted, or found and kept in memory, is forgotten when the
    /// run ends, so only a person can bring it back. `None` where it can be read again.
    pub fn paste_line(&self) -> Option<String> {
        matches!(self.secret, Some(SecretRef::Held(_))).then(|| {
            let with = self.with.iter().map(|(k, v)| format!(" --with {k}={v}"));
            format!(
                "incident cut --provider {}{}",
                self.provider,
                with.collect::<String>()
            )
        })
    }
}

/// How the processes of one agent are recognised. An empty rule matches nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TreeRule {
    /// Absolute paths of executables, or file names, compared with `/proc/PID/exe` and argv.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exe: Vec<String>,
    /// Words one of which must occur in the argument list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub argv: Vec<String>,
    /// Environment markers, as `NAME` or `NAME=value`, one of which must be set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// Working directories (or their parents) of the agent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cwd: Vec<String>,
    /// Only processes of these users.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub user: Vec<String>,
}

/// One agent's processes on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tree {
    /// Name in the record and on screen.
    pub id: TargetId,
    /// Which agent it is, as a word for people (`claude-code`, `deploy-bot`).
    pub agent: String,
    /// How its processes are recognised.
    pub rule: TreeRule,
}

/// A program that keeps several others running and starts each again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Supervisor {
    /// pm2, for Node programs.
    Pm2,
    /// supervisord.
    Supervisord,
    /// runit: one `runsv` a service.
    Runit,
    /// s6: one `s6-supervise` a service.
    S6,
    /// daemontools: one `supervise` a service.
    Daemontools,
}

impl Supervisor {
    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Supervisor::Pm2 => "pm2",
            Supervisor::Supervisord => "supervisord",
            Supervisor::Runit => "runit",
            Supervisor::S6 => "s6",
            Supervisor::Daemontools => "daemontools",
        }
    }
}

/// The kinds of thing that start an agent again which the tool can disable itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TriggerKind {
    /// Lines of a user's crontab that contain the text.
    Cron {
        /// Whose crontab.
        user: String,
        /// Text that the line must contain.
        contains: String,
    },
    /// A file in `/etc/cron.d` or a like folder whose lines contain the text.
    CronFile {
        /// The file.
        path: String,
        /// Text that the line must contain.
        contains: String,
    },
    /// Jobs of `at` of a user whose commands contain the text.
    At {
        /// Whose jobs.
        user: String,
        /// Text that a line of the job must contain.
        contains: String,
    },
    /// A script that others run because it is executable, as in `/etc/cron.daily`.
    Script {
        /// The file.
        path: String,
    },
    /// A file that an agent, or what starts one, reads to know what to run.
    File {
        /// The file.
        path: String,
    },
    /// Lines of a file that shells run when they start.
    StartUp {
        /// The file.
        path: String,
        /// Text that the line must contain.
        contains: String,
    },
    /// One program that a supervisor of several keeps running.
    Supervised {
        /// Which supervisor.
        by: Supervisor,
        /// pm2's process id, supervisord's `GROUP:PROGRAM`, or the folder of the service.
        entry: String,
        /// Whose supervisor it is: its tool runs as that user.
        user: String,
        /// The supervisor's own tool: an absolute path.
        tool: String,
        /// pm2's home or supervisord's configuration; `None` = where the tool looks by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<String>,
    },
    /// A systemd unit (a timer, a path or a service).
    Systemd {
        /// Unit name with its suffix.
        unit: String,
        /// `--root` of an offline tree; `None` = the running manager.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        root: Option<String>,
        /// True for a user manager: the responder's own, or that of `of`.
        #[serde(default)]
        user: bool,
        /// Whose user manager, where it is another user's; `*` = that of every user.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<String>,
    },
    /// Something at a provider, cut like a grant through its adapter.
    Provider {
        /// Name of the adapter.
        provider: String,
        /// What the adapter needs to name it.
        #[serde(default)]
        with: BTreeMap<String, String>,
        /// Where the responder's credential is read from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        auth: Option<SecretRef>,
    },
    /// Something only a person can switch off.
    Manual {
        /// Exact console path or command.
        how: String,
    },
}

impl TriggerKind {
    /// What it is, in words.
    pub fn words(&self) -> String {
        match self {
            TriggerKind::Cron { user, contains } => format!("crontab of {user}, lines with `{contains}`"),
            TriggerKind::CronFile { path, contains } => format!("{path}, lines with `{contains}`"),
            TriggerKind::At { user, contains } => format!("at jobs of {user}, lines with `{contains}`"),
            TriggerKind::Script { path } => format!("executable {path}"),
            TriggerKind::File { path } => format!("file {path}"),
            TriggerKind::StartUp { path, contains } => format!("{path}, lines with `{contains}`"),
            TriggerKind::Supervised { by, entry, user, .. } => {
                format!("{} of {user}, entry {entry}", by.name())
            }
            TriggerKind::Systemd {
                unit, of: Some(of), ..
            } => {
                let of = if of == "*" { "every user" } else { of };
                format!("systemd unit {unit} of {of}")
            }
            TriggerKind::Systemd { unit, .. } => format!("systemd unit {unit}"),
            TriggerKind::Provider { provider, .. } => format!("at {provider}"),
            TriggerKind::Manual { how } => format!("by hand: {how}"),
        }
    }
}

/// What can start an agent again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// Name in the record and on screen.
    pub id: TargetId,
    /// Which agent it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// What it is.
    pub kind: TriggerKind,
}

/// One thing to stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// A credential.
    Grant(Grant),
    /// A process tree.
    Tree(Tree),
    /// What starts it again.
    Trigger(Trigger),
}

impl Target {
    /// Its name in the record.
    pub fn id(&self) -> &TargetId {
        match self {
            Target::Grant(g) => &g.id,
            Target::Tree(t) => &t.id,
            Target::Trigger(t) => &t.id,
        }
    }

    /// What kind of thing it is.
    pub fn kind(&self) -> TargetKind {
        match self {
            Target::Grant(_) => TargetKind::Grant,
            Target::Tree(_) => TargetKind::Tree,
            Target::Trigger(_) => TargetKind::Trigger,
        }
    }
}
