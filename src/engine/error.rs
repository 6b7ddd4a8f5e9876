//! Why something was not done.

use super::CloseBlock;
use crate::boundary::{Alone, Verdict};
use crate::model::ids::{IncidentId, StepId, TargetId};
use crate::model::incident::FoldError;
use crate::redact::RedactError;
use crate::signoff;
use crate::store::StoreError;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The record could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The record says something that cannot be.
    #[error(transparent)]
    Fold(#[from] FoldError),
    /// What was asked for cannot follow what is on record. Nothing was written.
    #[error("this cannot follow here: {0}")]
    OutOfOrder(String),
    /// A look lacks what it must be given, or there is no such look.
    #[error(transparent)]
    NotGiven(#[from] crate::collectors::NotGiven),
    /// There is no open incident.
    #[error("there is no open incident")]
    NoIncident,
    /// The boundary, the order of stages or the plan says no.
    #[error("step `{step}` is blocked")]
    Blocked {
        /// Which step.
        step: StepId,
        /// True where it was to be taken back.
        undoes: bool,
        /// Zone, reasons and the refusal.
        verdict: Box<Verdict>,
    },
    /// A plan is in force already.
    #[error("a plan is in force already, since record {0}")]
    PlanInForce(u64),
    /// No plan is in force.
    #[error("no plan is in force")]
    NoPlan,
    /// One person may not act alone.
    #[error("{0}")]
    Alone(Alone),
    /// Something that must be said for the record is missing.
    #[error("{0} needs words for the record, and none were given")]
    NoWords(&'static str),
    /// No such step.
    #[error("there is no step `{0}`")]
    NoStep(StepId),
    /// No such target.
    #[error("there is no grant, process tree or trigger `{0}` in this incident")]
    NoTarget(TargetId),
    /// The command does not fit the step.
    #[error("step `{step}` is not of that kind: {why}")]
    WrongKind {
        /// Which step.
        step: StepId,
        /// What would fit.
        why: String,
    },
    /// What the step names cannot be found or read.
    #[error("step `{step}` cannot be resolved: {why}")]
    Unresolved {
        /// Which step.
        step: StepId,
        /// What is missing.
        why: String,
    },
    /// Another terminal is running an act.
    #[error("another terminal is running an act of this incident right now")]
    Running,
    /// No durable journal line, no act.
    #[error("the record cannot be written to disk, so nothing but stop may act")]
    NotDurable,
    /// What would end with this process is on no record.
    #[error("neither the case folder nor any other place can be written, so this is on no record")]
    OnlyInMemory,
    /// Nobody could sign.
    #[error("no signers are configured: at and outside the boundary stay blocked")]
    NoSigners,
    /// A signed answer does not count.
    #[error("this answer does not count: {0}")]
    Signoff(#[from] signoff::Refusal),
    /// A lent role does not count.
    #[error("this lends no role here: {0}")]
    Delegation(#[from] signoff::NotDelegated),
    /// The record says that somebody signed, and no signature does.
    #[error("{0}")]
    NotSigned(String),
    /// An agent must not sign for a person.
    #[error("this runs inside a session of {0}, and an agent must not sign for a person")]
    AgentSession(String),
    /// A name that stands nowhere.
    #[error("nobody is called `{name}` in the roster or under `people:`")]
    NobodyCalled {
        /// The name.
        name: String,
        /// Those that are there.
        known: Vec<String>,
    },
    /// A request cannot be made or used.
    #[error("{0}")]
    Escalation(String),
    /// A receipt cannot be filed.
    #[error("{0}")]
    Anchor(String),
    /// What remains unproved, so the incident stays open.
    #[error("the incident cannot be closed yet")]
    CannotClose(Vec<CloseBlock>),
    /// It cannot be called recovered.
    #[error("this cannot be called recovered: {0}")]
    NotRecovered(String),
    /// A pinned file is not what was pinned.
    #[error("{file} in the case folder is not the file that was pinned when the incident opened")]
    PinChanged {
        /// Its name.
        file: &'static str,
    },
    /// The folder of a case holds the record of another.
    #[error("the folder of {asked} holds the record of {found}")]
    OtherRecord {
        /// The case that was asked for.
        asked: IncidentId,
        /// What its record says it is.
        found: IncidentId,
    },
    /// A drill where the real world is meant, or the other way round.
    #[error("{0} belongs to the other world: a drill and an incident never continue each other")]
    OtherWorld(IncidentId),
    /// Somebody's words do not fit into one record.
    #[error(
        "these words are {0} characters long, and one record does not hold them; none of them is on record"
    )]
    TooLong(usize),
    /// A file of the responder cannot be read.
    #[error("cannot read {path}: {why}")]
    File {
        /// Which.
        path: String,
        /// What the system said.
        why: String,
    },
    /// Nothing may be written without the patterns that take secrets out.
    #[error(transparent)]
    Redact(#[from] RedactError),
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] crate::world::entropy::NoEntropy),
}
