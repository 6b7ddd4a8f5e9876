//! Acts and the plan: what was started, how it ended, what is in doubt.

use super::{At, Incident};
use crate::model::act::{ResolvedUndo, Stage};
use crate::model::effect::{Effects, Zone};
use crate::model::event::{
    ActChecked, ActChild, ActEnded, ActStarted, Outcome, PlanFrozen, PlannedStep, Runner, StepSkipped,
};
use crate::model::ids::StepId;

/// One act that was started.
#[derive(Debug, Clone, PartialEq)]
pub struct ActState {
    /// Which step.
    pub step: StepId,
    /// When it belongs.
    pub stage: Stage,
    /// One line for people.
    pub title: String,
    /// SHA-256 of the resolved act.
    pub act_sha256: String,
    /// Its zone when it was judged.
    pub zone: Zone,
    /// What it changes.
    pub effects: Effects,
    /// True where it takes an earlier act back.
    pub undoes: bool,
    /// The act it takes back, and how often that step had been tried.
    pub takes_back: Option<(u64, u32)>,
    /// How it can be taken back.
    pub undo: ResolvedUndo,
    /// Requests whose sign-offs it used.
    pub consumes: Vec<u64>,
    /// Who started it.
    pub who: String,
    /// When, RFC 3339.
    pub ts: String,
    /// Monotonic microseconds of the start.
    pub mono_us: u64,
    /// Host, boot and process that ran it.
    pub runner: Runner,
    /// Its program, once it existed.
    pub child: Option<(u32, u64)>,
    /// How it ended; `None` = it never said.
    pub ended: Option<ActEnded>,
    /// Whether the check afterwards passed, and its words.
    pub checked: Option<(bool, String)>,
}

impl ActState {
    /// True where nobody knows whether it happened.
    pub fn is_open_question(&self) -> bool {
        match &self.ended {
            None => true,
            Some(ended) => ended.outcome == Outcome::InDoubt && self.checked.is_none(),
        }
    }

    /// True where it is known to have been done: it said so and no check failed, or a check passed.
    pub fn is_done(&self) -> bool {
        match (&self.ended, &self.checked) {
            (Some(_), Some((passed, _))) => *passed,
            (Some(ended), None) => ended.outcome == Outcome::Done,
            (None, _) => false,
        }
    }
}

/// What became of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepState {
    /// The act that ran it last.
    Tried {
        /// Number of its `act.started`.
        act: u64,
        /// How often it was tried.
        tries: u32,
    },
    /// Taken back by this act.
    Undone {
        /// Number of the undoing `act.started`.
        act: u64,
    },
    /// Will not be done. Satisfies no gate.
    Skipped {
        /// Why.
        why: String,
    },
}

/// The recovery plan in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanState {
    /// Its record.
    pub seq: u64,
    /// The steps, in order.
    pub steps: Vec<PlannedStep>,
    /// SHA-256 over them.
    pub digest: String,
}

impl Incident {
    pub(super) fn act_started(&mut self, at: &At<'_>, e: ActStarted) -> Result<(), String> {
        if let Some((seq, _)) = self.acts.iter().find(|(_, a)| a.ended.is_none()) {
            return Err(format!("act {seq} is still open"));
        }
        if e.zone > Zone::Inside && e.consumes.is_empty() {
            return Err(format!(
                "an act {} the boundary uses a sign-off, and none is named",
                e.zone
            ));
        }
        for request in &e.consumes {
            let steps_left = self
                .requests
                .get_mut(request)
                .ok_or_else(|| format!("there is no request {request}"))?;
            steps_left.consume(&e.step, &e.act_sha256)?;
        }
        self.actors.insert(at.who.to_owned());
        let tries = match self.steps.get(&e.step) {
            Some(StepState::Tried { tries, .. }) => tries + 1,
            _ => 1,
        };
        let takes_back = match self.steps.get(&e.step) {
            Some(StepState::Tried { act, tries }) if e.undoes => Some((*act, *tries)),
            // An undo tried again takes back what the first one did not.
            Some(StepState::Undone { act }) if e.undoes => self.acts.get(act).and_then(|a| a.takes_back),
            _ => None,
        };
        let state = if e.undoes {
            StepState::Undone { act: at.seq }
        } else {
            StepState::Tried { act: at.seq, tries }
        };
        self.steps.insert(e.step.clone(), state);
        let act = ActState {
            step: e.step,
            stage: e.stage,
            title: e.title,
            act_sha256: e.act_sha256,
            zone: e.zone,
            effects: e.effects,
            undoes: e.undoes,
            takes_back,
            undo: e.undo,
            consumes: e.consumes,
            who: at.who.to_owned(),
            ts: at.ts.to_owned(),
            mono_us: e.mono_us,
            runner: e.runner,
            child: None,
            ended: None,
            checked: None,
        };
        self.acts.insert(at.seq, act);
        // What was recovered before this act is not known to be so after it.
        self.recovered_us = None;
        Ok(())
    }

    pub(super) fn act_child(&mut self, e: ActChild) -> Result<(), String> {
        self.open_act(e.act)?.child = Some((e.pid, e.starttime));
        Ok(())
    }

    pub(super) fn act_ended(&mut self, e: ActEnded) -> Result<(), String> {
        let act = self.open_act(e.act)?;
        act.ended = Some(e);
        Ok(())
    }

    /// An undo that did not happen leaves its step as it was: tried, and still in force.
    fn not_taken_back(&mut self, undo: u64) {
        let Some((step, Some((act, tries)))) = self.acts.get(&undo).map(|a| (a.step.clone(), a.takes_back))
        else {
            return;
        };
        if self.steps.get(&step) == Some(&StepState::Undone { act: undo }) {
            self.steps.insert(step, StepState::Tried { act, tries });
        }
    }

    fn open_act(&mut self, seq: u64) -> Result<&mut ActState, String> {
        let act = self
            .acts
            .get_mut(&seq)
            .ok_or_else(|| format!("there is no act {seq}"))?;
        match act.ended {
            None => Ok(act),
            Some(_) => Err(format!("act {seq} is over")),
        }
    }

    pub(super) fn act_checked(&mut self, at: &At<'_>, e: ActChecked) -> Result<(), String> {
        self.actors.insert(at.who.to_owned());
        let act = self
            .acts
            .get_mut(&e.act)
            .ok_or_else(|| format!("there is no act {}", e.act))?;
        if act.ended.is_none() {
            return Err(format!("act {} is not over", e.act));
        }
        let never_happened = act.is_open_question() && !e.passed;
        act.checked = Some((e.passed, e.text));
        let step = act.step.clone();
        if never_happened {
            // What somebody saw not to have happened was no try.
            if let Some(StepState::Tried { tries, .. }) = self.steps.get_mut(&step) {
                *tries = tries.saturating_sub(1);
            }
            self.not_taken_back(e.act);
        }
        Ok(())
    }

    pub(super) fn step_skipped(&mut self, at: &At<'_>, e: StepSkipped) -> Result<(), String> {
        if self.step_done(&e.step) {
            return Err(format!("step `{}` is done", e.step));
        }
        // Skipped while it runs or is in doubt, it would be forgotten that it may have happened.
        if let Some((seq, _)) = self.in_doubt().find(|(_, a)| a.step == e.step) {
            return Err(format!("act {seq} of step `{}` has no known outcome", e.step));
        }
        self.actors.insert(at.who.to_owned());
        self.steps.insert(e.step, StepState::Skipped { why: e.why });
        Ok(())
    }

    pub(super) fn plan_frozen(&mut self, at: &At<'_>, e: PlanFrozen) -> Result<(), String> {
        if self.baseline.is_none() {
            return Err("there is no baseline".into());
        }
        // Tries are counted within one plan.
        for planned in &e.steps {
            if self.step_done(&planned.step) {
                continue;
            }
            if let Some(StepState::Tried { tries, .. }) = self.steps.get_mut(&planned.step) {
                *tries = 0;
            }
        }
        self.plan = Some(PlanState {
            seq: at.seq,
            steps: e.steps,
            digest: e.digest,
        });
        Ok(())
    }

    /// The newest act of a step.
    pub fn act_of(&self, step: &StepId) -> Option<(u64, &ActState)> {
        match self.steps.get(step)? {
            StepState::Tried { act, .. } | StepState::Undone { act } => Some((*act, self.acts.get(act)?)),
            StepState::Skipped { .. } => None,
        }
    }

    /// True where the step was run, is known to be done, and was not taken back.
    pub fn step_done(&self, step: &StepId) -> bool {
        match self.steps.get(step) {
            Some(StepState::Tried { act, .. }) => self.acts.get(act).is_some_and(ActState::is_done),
            _ => false,
        }
    }

    /// The first step of the plan that is not done yet.
    pub fn plan_next(&self) -> Option<&PlannedStep> {
        self.plan
            .as_ref()?
            .steps
            .iter()
            .find(|p| !self.step_done(&p.step))
    }
}
