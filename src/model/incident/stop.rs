//! The stop stage: targets, their facts, and the word those allow.

use std::collections::BTreeMap;
use std::time::Duration;

use super::At;
use crate::model::event::{Aim, StopEnded, StopFacts, StopStarted, TargetAnswered};
use crate::model::fact::{Fact, Observed, Proof, cut_us, proof};
use crate::model::ids::TargetId;

/// Everything known about the stop stage.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StopState {
    /// When the first sweep began, monotonic microseconds.
    pub started_us: Option<u64>,
    /// When the first sweep began, RFC 3339.
    pub started_ts: Option<String>,
    /// When the first cut left this program, monotonic microseconds.
    pub first_cut_us: Option<u64>,
    /// When the newest sweep began: an intent of many targets takes several records.
    pub newest_us: Option<u64>,
    /// When the newest sweep ended, monotonic microseconds; `None` while one runs.
    pub ended_us: Option<u64>,
    /// How many sweeps.
    pub sweeps: u32,
    /// True where the newest sweep was interrupted.
    pub interrupted: bool,
    /// Targets by name.
    pub targets: BTreeMap<TargetId, TargetState>,
    /// What could not be used, over all sweeps.
    pub problems: Vec<String>,
}

/// One target and what was observed of it.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetState {
    /// What it is.
    pub aim: Aim,
    /// What was observed, oldest first.
    pub facts: Vec<Observed>,
    /// Who answers for it although it is not proved: person and words.
    pub answered: Option<(String, String)>,
}

impl TargetState {
    /// The strongest word the facts allow.
    pub fn proof(&self) -> Proof {
        proof(
            self.aim.target.kind(),
            &self.facts,
            Duration::from_millis(self.aim.window_ms),
        )
    }

    /// The moment from which a probe counts as after the window; `None` where nothing was cut.
    pub fn settles_us(&self) -> Option<u64> {
        Some(cut_us(&self.facts)?.saturating_add(self.aim.window_ms.saturating_mul(1000)))
    }

    /// What stays dangerous although it was cut, and is not over as far as anybody saw: what may live on,
    /// what still runs at a provider, what can start the agent again, which doors close. The newest word on each, in the order in which
    /// each was first seen. Deadlines may have passed.
    pub fn residue(&self) -> Vec<&Fact> {
        let mut open: Vec<(&str, &Fact)> = Vec::new();
        for observed in &self.facts {
            let fact = &observed.fact;
            match fact {
                Fact::Residual { what, .. }
                | Fact::InFlight { what }
                | Fact::Starter { what, .. }
                | Fact::Window { what, .. } => {
                    let same = |(words, before): &&mut (&str, &Fact)| {
                        *words == what && std::mem::discriminant(*before) == std::mem::discriminant(fact)
                    };
                    match open.iter_mut().find(same) {
                        Some(slot) => slot.1 = fact,
                        None => open.push((what, fact)),
                    }
                }
                Fact::Over { what } => open.retain(|(words, _)| words != what),
                _ => {}
            }
        }
        open.into_iter().map(|(_, fact)| fact).collect()
    }
}

impl StopState {
    pub(super) fn started(&mut self, at: &At<'_>, e: StopStarted) {
        self.started_ts.get_or_insert_with(|| at.ts.to_owned());
        self.started_us.get_or_insert(e.mono_us);
        self.ended_us = None;
        if self.newest_us.replace(e.mono_us) != Some(e.mono_us) {
            self.sweeps += 1;
        }
        self.problems.extend(e.problems);
        self.problems.dedup();
        for aim in e.targets {
            let id = aim.target.id().clone();
            self.targets
                .entry(id)
                .and_modify(|t| t.aim = aim.clone())
                .or_insert(TargetState {
                    aim,
                    facts: Vec::new(),
                    answered: None,
                });
        }
    }

    pub(super) fn facts(&mut self, e: StopFacts) -> Result<(), String> {
        let target = self
            .targets
            .get_mut(&e.target)
            .ok_or_else(|| format!("no sweep ever aimed at `{}`", e.target))?;
        target.facts.extend(e.facts);
        Ok(())
    }

    pub(super) fn ended(&mut self, e: StopEnded) -> Result<(), String> {
        if self.started_us.is_none() {
            return Err("no sweep was started".into());
        }
        self.ended_us = Some(e.mono_us);
        self.interrupted = e.interrupted;
        if self.first_cut_us.is_none() {
            self.first_cut_us = e.first_cut_us;
        }
        Ok(())
    }

    pub(super) fn answered(&mut self, at: &At<'_>, e: TargetAnswered) -> Result<(), String> {
        let target = self
            .targets
            .get_mut(&e.target)
            .ok_or_else(|| format!("there is no target `{}`", e.target))?;
        target.answered = Some((at.who.to_owned(), e.words));
        Ok(())
    }

    /// True where a sweep was recorded as started and none as ended after it.
    pub fn is_open(&self) -> bool {
        self.started_us.is_some() && self.ended_us.is_none()
    }
}
