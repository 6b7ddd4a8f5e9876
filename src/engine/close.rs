//! The end: what is unproved is named and answered for.

use super::{Engine, EngineError, lines};
use crate::model::event::{BundleSealed, Closed, TargetAnswered};
use crate::model::fact::Proof;
use crate::model::ids::TargetId;
use crate::model::incident::Incident;

/// A target that is not proved dead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unproved {
    /// Which.
    pub target: TargetId,
    /// The strongest word there is.
    pub proof: Proof,
    /// Who answers for it, and their words.
    pub answered: Option<(String, String)>,
}

/// What keeps an incident open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CloseBlock {
    /// A target is not proved dead and nobody answers for it.
    #[error("`{0}` is {1}: nobody answers for it")]
    Target(TargetId, Proof),
    /// An act is in doubt.
    #[error("act {0} (`{1}`) is in doubt")]
    Doubt(u64, String),
    /// One person ran an act alone, and nobody countersigned it.
    #[error("act {0} (`{1}`) was run by one person alone: nobody countersigned request {2}")]
    Alone(u64, String, u64),
    /// A request waits for answers.
    #[error("request {0} still waits for signatures")]
    Request(u64),
    /// The sweep never ended, or never began: nothing seen proves nothing.
    #[error("the stop sweep was not run to its end")]
    Sweep,
}

impl Engine<'_> {
    /// A named person answers for a target that cannot be proved dead.
    pub fn answer_for(&self, target: &TargetId, words: &str) -> Result<u64, EngineError> {
        if !self.incident()?.stop.targets.contains_key(target) {
            return Err(EngineError::NoTarget(target.clone()));
        }
        self.record(TargetAnswered {
            target: target.clone(),
            words: self.vouched(words, "answering for a target")?,
        })
    }

    /// What keeps the incident open.
    pub fn close_blocks(&self) -> Result<Vec<CloseBlock>, EngineError> {
        let incident = self.incident()?;
        let mut blocks = Vec::new();
        if incident.stop.started_us.is_none() || incident.stop.is_open() {
            blocks.push(CloseBlock::Sweep);
        }
        for unproved in unproved(&incident) {
            if unproved.answered.is_none() {
                blocks.push(CloseBlock::Target(unproved.target, unproved.proof));
            }
        }
        blocks.extend(
            incident
                .in_doubt()
                .map(|(seq, a)| CloseBlock::Doubt(seq, a.step.to_string())),
        );
        blocks.extend(incident.not_countersigned().map(|(seq, a)| {
            let step = incident.acts.get(&seq).map(|act| act.step.to_string());
            CloseBlock::Alone(seq, step.unwrap_or_default(), a.request)
        }));
        let waiting = incident
            .requests
            .iter()
            .filter(|(_, r)| r.is_open() && r.statement.is_some());
        blocks.extend(waiting.map(|(seq, _)| CloseBlock::Request(*seq)));
        Ok(blocks)
    }

    /// Ends the incident.
    pub fn close(&self, words: &str) -> Result<u64, EngineError> {
        let blocks = self.close_blocks()?;
        if !blocks.is_empty() {
            return Err(EngineError::CannotClose(blocks));
        }
        let incident = self.incident()?;
        let mut all: Vec<String> = unproved(&incident)
            .into_iter()
            .map(|u| {
                let (who, words) = u.answered.unwrap_or_default();
                format!("{}: {}; {who} answers for it: {words}", u.target, u.proof)
            })
            .collect();
        all.push("access that nobody listed: unknown".into());
        if incident.recovered_us.is_none() {
            all.push("recovery: not proved".into());
        }
        // Every answer stands whole in a record of its own; here they stand together.
        if lines::too_long(&all) {
            all = lines::first_words(all);
        }
        self.record_mirror()?;
        let mono_us = self.world.clock.now().mono_us;
        self.record(Closed {
            unproved: all,
            words: self.words(words)?,
            mono_us,
        })
    }

    /// Records that a bundle is about to be sealed; its journal holds this line.
    pub fn seal(&self, signed: bool) -> Result<u64, EngineError> {
        self.record_mirror()?;
        self.record(BundleSealed {
            by: self.who(),
            signed,
        })
    }
}

/// Targets that are not proved dead, most dangerous first.
pub(super) fn unproved(incident: &Incident) -> Vec<Unproved> {
    incident
        .targets()
        .into_iter()
        .map(|(id, t)| Unproved {
            target: id.clone(),
            proof: t.proof(),
            answered: t.answered.clone(),
        })
        .filter(|u| !u.proof.is_dead())
        .collect()
}
