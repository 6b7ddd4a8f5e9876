//! What an act changes, and on which side of the repair boundary that lands it.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One kind of change. The list is closed: what does not fit is [`Effect::Unknown`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Looks and changes nothing.
    Read,
    /// Keeps good copies from dying: hold, snapshot, pause a prune, deletion protection.
    Protect,
    /// Restarts a service without changing what it runs.
    ServiceRestart,
    /// Moves, limits or stops users' traffic (maintenance page, load balancer, feature switch).
    Traffic,
    /// Puts new code or a new artefact into production.
    Deploy,
    /// Goes back to an earlier, known configuration or release.
    ConfigRollback,
    /// Changes configuration forward.
    ConfigChange,
    /// Puts data back from a backup.
    DataRestore,
    /// Writes single, bounded pieces of data.
    DataWrite,
    /// Writes or deletes data without a bound that can be read off the act.
    BulkData,
    /// Changes the shape of a database or the set of databases.
    SchemaChange,
    /// Makes a new credential for a named service, with no more rights than one that was cut had.
    CredentialNew,
    /// Creates, changes, revives or deletes credentials and permissions.
    CredentialChange,
    /// Changes firewalls, gates, hooks, policies, protection.
    SecurityConfig,
    /// Changes, deletes or re-schedules backups, snapshots, versions or their retention.
    BackupChange,
    /// Creates, changes or destroys infrastructure.
    InfraChange,
    /// Cannot be undone.
    OneWay,
    /// Nobody, and no detector, understood it.
    Unknown,
}

impl Effect {
    /// Every effect, in the order of the documentation.
    pub const ALL: [Effect; 18] = [
        Effect::Read,
        Effect::Protect,
        Effect::ServiceRestart,
        Effect::Traffic,
        Effect::Deploy,
        Effect::ConfigRollback,
        Effect::ConfigChange,
        Effect::DataRestore,
        Effect::DataWrite,
        Effect::BulkData,
        Effect::SchemaChange,
        Effect::CredentialNew,
        Effect::CredentialChange,
        Effect::SecurityConfig,
        Effect::BackupChange,
        Effect::InfraChange,
        Effect::OneWay,
        Effect::Unknown,
    ];

    /// The kebab-case word used in runbooks, records and on screen.
    pub fn word(self) -> &'static str {
        match self {
            Effect::Read => "read",
            Effect::Protect => "protect",
            Effect::ServiceRestart => "service-restart",
            Effect::Traffic => "traffic",
            Effect::Deploy => "deploy",
            Effect::ConfigRollback => "config-rollback",
            Effect::ConfigChange => "config-change",
            Effect::DataRestore => "data-restore",
            Effect::DataWrite => "data-write",
            Effect::BulkData => "bulk-data",
            Effect::SchemaChange => "schema-change",
            Effect::CredentialNew => "credential-new",
            Effect::CredentialChange => "credential-change",
            Effect::SecurityConfig => "security-config",
            Effect::BackupChange => "backup-change",
            Effect::InfraChange => "infra-change",
            Effect::OneWay => "one-way",
            Effect::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The word is not one of the eighteen effects.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an effect")]
pub struct NotAnEffect(pub String);

impl FromStr for Effect {
    type Err = NotAnEffect;
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Effect::ALL
            .into_iter()
            .find(|e| e.word() == word)
            .ok_or_else(|| NotAnEffect(word.to_owned()))
    }
}

/// A set of effects, ordered so that records are the same bytes every time.
pub type Effects = BTreeSet<Effect>;

/// Where an act stands relative to the repair boundary; later is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Zone {
    /// Decided in advance: the responder may do it alone.
    Inside,
    /// Could compound the damage: another person signs first.
    At,
    /// Not foreseen, or not understood: the widest quorum signs first.
    Outside,
}

impl Zone {
    /// The word used in records and on screen.
    pub fn word(self) -> &'static str {
        match self {
            Zone::Inside => "inside",
            Zone::At => "at",
            Zone::Outside => "outside",
        }
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One effect that a detector read out of an act, with the place it was read from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// What would change.
    pub effect: Effect,
    /// The words of the act in which it was seen, at most 200 characters.
    pub text: String,
    /// The rule that recognised it, such as `sql.drop-table` or `shell.not-understood`.
    pub rule: String,
}
