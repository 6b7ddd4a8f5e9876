//! Harbor, a platform that exists only in drills: volumes, services, tokens, and an audit log of its own.
//!
//! Its rules are those that hurt people in real incidents: backups live inside the volume they back up,
//! a deletion can be undone until another volume takes the name, a deletion once queued runs even after
//! the token that asked for it is dead, and a revoked token still works for a few seconds.
//!
//! Absent from this room: time of its own, randomness of its own, and any way out of the process.

mod routes;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::scenario::Offset;
use crate::model::time::Moment;

/// What a platform looks like when a drill begins. Part of the scenario file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Layout {
    /// Host name of the API.
    pub host: String,
    /// How long a revoked token still works.
    pub propagation: Offset,
    /// How long a deletion takes.
    pub deletion: Offset,
    /// Least time between two deletions.
    pub gap: Offset,
    /// How long a deletion can be undone.
    pub undo: Offset,
    /// Tokens.
    pub tokens: BTreeMap<String, TokenLayout>,
    /// Volumes.
    pub volumes: BTreeMap<String, Volume>,
    /// Services.
    pub services: BTreeMap<String, Service>,
    /// Secret variables of production, by name.
    pub variables: BTreeMap<String, u32>,
}

/// A token when a drill begins. Its value comes from the seed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TokenLayout {
    /// Name in the console.
    pub name: String,
    /// `account` reaches everything, anything else is the one environment it reaches.
    pub scope: String,
    /// Who the console says holds it.
    pub holder: Holder,
}

/// Who holds a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Holder {
    /// The agent, or files it can read.
    Agent,
    /// The person who responds.
    Responder,
    /// Somebody or something that has no part in the incident.
    Bystander,
}

/// A token.
#[derive(Debug, Clone)]
struct Token {
    name: String,
    scope: String,
    holder: Holder,
    value: String,
    revoked_us: Option<u64>,
    last_used_ms: Option<i64>,
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Volume {
    /// Name, unique among the live volumes of its environment.
    pub name: String,
    /// `production`, `staging`, …
    pub environment: String,
    /// Rows of the database on it.
    pub rows: u64,
    /// Times of the backups on it. They live and die with it.
    #[serde(default)]
    pub backups: Vec<String>,
    /// What has become of it.
    #[serde(default, skip_deserializing)]
    pub state: VolumeState,
    /// True where nobody may delete it or take its name.
    #[serde(default)]
    pub held: bool,
}

/// What has become of a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum VolumeState {
    /// In use.
    #[default]
    Live,
    /// Deleted; can be brought back until this wall time.
    Deleted {
        /// Ms since the epoch.
        undo_until_ms: i64,
    },
    /// Gone for good.
    Purged,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Service {
    /// The volume it cannot work without, by name, in production.
    pub needs: String,
    /// True while users see the maintenance page.
    #[serde(default)]
    pub maintenance: bool,
}

/// A deletion that was asked for and has not run yet, or has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Operation {
    /// Its id.
    pub id: String,
    /// `volume.delete`.
    pub kind: &'static str,
    /// The volume.
    pub target: String,
    /// The token that asked.
    pub token: String,
    /// Where it stands.
    pub state: OperationState,
    /// Wall time at which it runs, ms since the epoch.
    pub runs_at_ms: i64,
    #[serde(skip)]
    runs_us: u64,
}

/// Where an operation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OperationState {
    /// Waits for its turn.
    Pending,
    /// Has run.
    Done,
    /// Was called off before it ran.
    Cancelled,
}

/// One line of Harbor's own audit log, which no token can change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// Position, from 0.
    pub seq: usize,
    /// Monotonic microseconds, for the score.
    #[serde(skip)]
    pub at_us: u64,
    /// Wall time, RFC 3339.
    pub at: String,
    /// The token it was done with, or `harbor` for what the platform did by itself.
    pub by: String,
    /// Who holds that token.
    #[serde(skip)]
    pub holder: Option<Holder>,
    /// What was done.
    pub action: Action,
    /// To what.
    pub target: String,
    /// Environment of the target, empty where it has none.
    pub environment: String,
    /// HTTP status it was answered with, 200 for what the platform did by itself.
    pub status: u16,
}

/// What can be done at Harbor. Looking is not in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// A request whose token was refused.
    Refused,
    /// A deletion was asked for.
    DeleteVolume,
    /// A deletion ran.
    VolumeDeleted,
    /// A volume was made.
    CreateVolume,
    /// A deleted volume can never come back.
    VolumePurged,
    /// A deletion was undone.
    RestoreVolume,
    /// A volume was put on hold.
    HoldVolume,
    /// A hold was lifted.
    ReleaseVolume,
    /// Pending operations were called off.
    CancelOperations,
    /// A token was revoked.
    RevokeToken,
    /// The maintenance page was switched.
    Maintenance,
    /// A secret variable was replaced.
    RotateVariable,
}

/// The platform.
pub struct Harbor {
    layout_host: String,
    propagation_us: u64,
    deletion_us: u64,
    gap_us: u64,
    undo_ms: i64,
    tokens: BTreeMap<String, Token>,
    volumes: BTreeMap<String, Volume>,
    services: BTreeMap<String, Service>,
    variables: BTreeMap<String, u32>,
    operations: Vec<Operation>,
    audit: Vec<Audit>,
}

impl Harbor {
    /// A platform as laid out; `value` makes the secret of each token from its id.
    pub fn new(layout: &Layout, mut value: impl FnMut(&str) -> String) -> Self {
        let token = |(id, t): (&String, &TokenLayout)| {
            let token = Token {
                name: t.name.clone(),
                scope: t.scope.clone(),
                holder: t.holder,
                value: value(id),
                revoked_us: None,
                last_used_ms: None,
            };
            (id.clone(), token)
        };
        Harbor {
            layout_host: layout.host.clone(),
            propagation_us: layout.propagation.us(),
            deletion_us: layout.deletion.us(),
            gap_us: layout.gap.us(),
            undo_ms: layout.undo.0,
            tokens: layout.tokens.iter().map(token).collect(),
            volumes: layout.volumes.clone(),
            services: layout.services.clone(),
            variables: layout.variables.clone(),
            operations: Vec::new(),
            audit: Vec::new(),
        }
    }

    /// Host name of the API.
    pub fn host(&self) -> &str {
        &self.layout_host
    }

    /// The secret of a token; empty where there is no such token.
    pub fn secret_of(&self, token: &str) -> &str {
        self.tokens.get(token).map_or("", |t| t.value.as_str())
    }

    /// Tokens of this holder that would still be let in.
    pub fn live_tokens(&self, holder: Holder, now: Moment) -> Vec<&str> {
        self.tokens
            .iter()
            .filter(|(_, t)| t.holder == holder && self.works(t, now))
            .map(|(id, _)| id.as_str())
            .collect()
    }

    /// Every volume, by id.
    pub fn volumes(&self) -> &BTreeMap<String, Volume> {
        &self.volumes
    }

    /// The audit log.
    pub fn audit(&self) -> &[Audit] {
        &self.audit
    }

    /// True where a service answers its users.
    pub fn healthy(&self, service: &str) -> bool {
        self.services
            .get(service)
            .is_some_and(|s| self.rows_behind(s) > 0)
    }

    /// Rows a service can read.
    fn rows_behind(&self, service: &Service) -> u64 {
        self.volumes
            .values()
            .filter(|v| v.name == service.needs && v.environment == "production")
            .filter(|v| v.state == VolumeState::Live)
            .map(|v| v.rows)
            .sum()
    }

    /// When the platform next does something by itself, in monotonic microseconds.
    pub fn next_due(&self) -> Option<u64> {
        self.pending().map(|o| o.runs_us).min()
    }

    /// Runs the operations that are due.
    pub fn run_due(&mut self, now: Moment) {
        let due: Vec<usize> = (0..self.operations.len())
            .filter(|i| {
                let o = &self.operations[*i];
                o.state == OperationState::Pending && o.runs_us <= now.mono_us
            })
            .collect();
        for i in due {
            let target = self.operations[i].target.clone();
            let held = self.volumes.get(&target).is_none_or(|v| v.held);
            if held {
                self.operations[i].state = OperationState::Cancelled;
                continue;
            }
            self.operations[i].state = OperationState::Done;
            if let Some(volume) = self.volumes.get_mut(&target) {
                volume.state = VolumeState::Deleted {
                    undo_until_ms: now.utc_ms + self.undo_ms,
                };
            }
            self.note(now, None, Action::VolumeDeleted, &target, 200);
        }
    }

    fn pending(&self) -> impl Iterator<Item = &Operation> {
        self.operations
            .iter()
            .filter(|o| o.state == OperationState::Pending)
    }

    fn works(&self, token: &Token, now: Moment) -> bool {
        token
            .revoked_us
            .is_none_or(|at| now.mono_us < at + self.propagation_us)
    }

    fn note(&mut self, now: Moment, by: Option<&str>, action: Action, target: &str, status: u16) {
        let environment = self
            .volumes
            .get(target)
            .map_or(String::new(), |v| v.environment.clone());
        self.audit.push(Audit {
            seq: self.audit.len(),
            at_us: now.mono_us,
            at: now.rfc3339(),
            by: by.unwrap_or("harbor").to_owned(),
            holder: by.and_then(|id| self.tokens.get(id)).map(|t| t.holder),
            action,
            target: target.to_owned(),
            environment,
            status,
        });
    }
}

#[cfg(test)]
mod tests;
