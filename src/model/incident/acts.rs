//! Acts: what was started, how it ended, what is in doubt.

use super::{At, Incident};
use crate::model::act::{ResolvedUndo, Stage};
use crate::model::effect::{Effects, Zone};
use crate::model::event::{
    ActChecked, ActChild, ActEnded, ActStarted, CaptureItem, Outcome, Runner, StepSkipped,
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
    /// What was kept of its output.
    pub output: Vec<CaptureItem>,
}

impl ActState {
    /// True where nobody knows whether it happened.
    pub fn is_open_question(&self) -> bool {
        match &self.ended {
            None => true,
            Some(ended) => ended.outcome == Outcome::InDoubt && self.checked.is_none(),
        }
    }

    /// True where it was in doubt and somebody saw that it had not happened.
    pub fn never_happened(&self) -> bool {
        let doubted = self.ended.as_ref().is_some_and(|e| e.outcome == Outcome::InDoubt);
        doubted && self.checked.as_ref().is_some_and(|(passed, _)| !passed)
    }

    /// How it ended, in the words of whoever said so last.
    pub fn how_it_ended(&self) -> String {
        match (&self.checked, &self.ended) {
            (Some((false, text)), _) => format!("its check failed: {text}"),
            (_, Some(ended)) => ended.why.clone(),
            _ => String::new(),
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
        /// The act it left behind half done, and how often that was tried: it can still be taken back.
        left: Option<(u64, u32)>,
    },
}

impl StepState {
    /// The act of the step that may be in force, and how often it was tried.
    fn forward(&self, acts: &std::collections::BTreeMap<u64, ActState>) -> Option<(u64, u32)> {
        match self {
            StepState::Tried { act, tries } => Some((*act, *tries)),
            StepState::Skipped { left, .. } => *left,
            // An undo that did not work left it as it was.
            StepState::Undone { act } => acts.get(act).filter(|a| !a.is_done())?.takes_back,
        }
    }
}

/// How a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    /// Nothing of it was begun.
    Open,
    /// Known to be done, and not taken back.
    Done,
    /// Tried, and it failed or its check did: it may have half happened.
    Failed,
    /// It runs, or nobody knows whether it happened.
    InDoubt,
    /// Left out, and nothing of it was begun.
    Skipped,
    /// Left out after it had failed: it may have half happened.
    LeftHalf,
    /// Taken back.
    Undone,
    /// Taking it back failed.
    UndoFailed,
}

impl Stand {
    /// The word used on screen and in reports.
    pub fn word(self) -> &'static str {
        match self {
            Stand::Open => "not done",
            Stand::Done => "done",
            Stand::Failed => "failed",
            Stand::InDoubt => "in doubt",
            Stand::Skipped => "skipped",
            Stand::LeftHalf => "skipped after it failed",
            Stand::Undone => "taken back",
            Stand::UndoFailed => "taking it back failed",
        }
    }
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
        if e.alone {
            self.act_alone(at.seq, &e)?;
        }
        self.acts(at);
        let tries = match self.steps.get(&e.step) {
            Some(StepState::Tried { tries, .. }) => tries + 1,
            _ => 1,
        };
        let takes_back = match self.steps.get(&e.step) {
            Some(state) if e.undoes => state.forward(&self.acts),
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
            output: Vec::new(),
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
        self.acts(at);
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
        self.acts(at);
        let left = self.steps.get(&e.step).and_then(|s| s.forward(&self.acts));
        let left = left.filter(|(act, _)| self.acts.get(act).is_some_and(|a| !a.never_happened()));
        // The plan goes on without it, which is not the plan that was signed for.
        if self.plan.as_ref().is_some_and(|p| p.holds(&e.step)) {
            self.fall(at.seq);
        }
        self.steps.insert(e.step, StepState::Skipped { why: e.why, left });
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

    /// How a step stands.
    pub fn stand(&self, step: &StepId) -> Stand {
        let Some(state) = self.steps.get(step) else {
            return Stand::Open;
        };
        let (act, failed, done) = match state {
            StepState::Skipped { left: None, .. } => return Stand::Skipped,
            StepState::Skipped { left: Some(_), .. } => return Stand::LeftHalf,
            StepState::Tried { act, .. } => (act, Stand::Failed, Stand::Done),
            StepState::Undone { act } => (act, Stand::UndoFailed, Stand::Undone),
        };
        match self.acts.get(act) {
            Some(a) if a.is_open_question() => Stand::InDoubt,
            Some(a) if a.is_done() => done,
            Some(a) if a.never_happened() => Stand::Open,
            _ => failed,
        }
    }

    /// What recover did and nobody took back, the newest first; what failed may have half happened.
    pub fn in_force(&self) -> Vec<(u64, &ActState)> {
        let forward = self.steps.values().filter_map(|s| s.forward(&self.acts));
        let mut all: Vec<(u64, &ActState)> = forward
            .filter_map(|(seq, _)| Some((seq, self.acts.get(&seq)?)))
            .filter(|(_, a)| a.stage == Stage::Recover && !a.never_happened())
            .collect();
        all.sort_by_key(|(seq, _)| std::cmp::Reverse(*seq));
        all
    }
}
