//! The recovery plan: fixed, changed, given up, and how far it has come.

use std::collections::BTreeSet;

use super::acts::{ActState, Stand, StepState};
use super::{At, Incident};
use crate::model::event::{PlanAmended, PlanChange, PlanDropped, PlanFrozen, PlannedStep, StepChange};
use crate::model::ids::StepId;

/// The recovery plan in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanState {
    /// The record that fixed it, or changed it last.
    pub seq: u64,
    /// The steps, in order.
    pub steps: Vec<PlannedStep>,
    /// SHA-256 over them, and over the plan they were changed from.
    pub digest: String,
}

impl PlanState {
    /// True where the plan holds this step.
    pub fn holds(&self, step: &StepId) -> bool {
        self.steps.iter().any(|p| p.step == *step)
    }
}

/// A step of the plan that failed: nothing else of the plan runs until somebody decided about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanFailure<'i> {
    /// Which step.
    pub step: &'i StepId,
    /// Number of its newest `act.started`.
    pub act: u64,
    /// How it ended.
    pub why: String,
    /// How often it was tried under this plan.
    pub tries: u32,
}

/// What differs from one list of planned steps to another, in the order of the new one; what was left out comes last.
///
/// A step has moved where the steps that both lists hold stand before others than they did.
pub fn plan_changes(old: &[PlannedStep], new: &[PlannedStep]) -> Vec<(StepId, StepChange)> {
    let both = |list: &[PlannedStep], other: &[PlannedStep]| -> Vec<StepId> {
        let held = |p: &&PlannedStep| other.iter().any(|o| o.step == p.step);
        list.iter().filter(held).map(|p| p.step.clone()).collect()
    };
    let (was, is) = (both(old, new), both(new, old));
    let mut all = Vec::new();
    for planned in new {
        let before = old.iter().find(|o| o.step == planned.step);
        let at = |list: &[StepId]| list.iter().position(|s| *s == planned.step);
        let change = match before {
            None => StepChange::Added,
            Some(before) if before.act_sha256 != planned.act_sha256 => StepChange::Changed,
            Some(_) if at(&was) != at(&is) => StepChange::Moved,
            Some(_) => continue,
        };
        all.push((planned.step.clone(), change));
    }
    let gone = old.iter().filter(|o| !new.iter().any(|n| n.step == o.step));
    all.extend(gone.map(|o| (o.step.clone(), StepChange::LeftOut)));
    all
}

impl Incident {
    pub(super) fn plan_frozen(&mut self, at: &At<'_>, e: PlanFrozen) -> Result<(), String> {
        if self.baseline.is_none() {
            return Err("there is no baseline".into());
        }
        if let Some(plan) = &self.plan {
            return Err(format!("a plan is in force since record {}", plan.seq));
        }
        self.plan_begins(at.seq, e.steps, e.digest)
    }

    pub(super) fn plan_amended(&mut self, at: &At<'_>, e: PlanAmended) -> Result<(), String> {
        let plan = self.plan.as_ref().ok_or("no plan is in force")?;
        if plan.digest != e.was || e.digest == e.was {
            return Err("this is no change of the plan in force".into());
        }
        if let Some((seq, _)) = self.in_doubt().next() {
            return Err(format!("act {seq} has no known outcome"));
        }
        let told = e.changes.iter().map(|c| (c.step.clone(), c.change));
        if !told.eq(plan_changes(&plan.steps, &e.steps)) {
            return Err("it does not say what changed".into());
        }
        if self.fall(at.seq) != e.fell {
            return Err("it does not say which requests fell".into());
        }
        self.actors.insert(at.who.to_owned());
        self.plan_begins(at.seq, e.steps, e.digest)
    }

    pub(super) fn plan_dropped(&mut self, at: &At<'_>, e: PlanDropped) -> Result<(), String> {
        if self.plan.is_none() {
            return Err("no plan is in force".into());
        }
        if !self.in_force().iter().map(|(_, a)| &a.step).eq(&e.stands) {
            return Err("it does not say what stands".into());
        }
        if self.fall(at.seq) != e.fell {
            return Err("it does not say which requests fell".into());
        }
        self.plan = None;
        Ok(())
    }

    fn plan_begins(&mut self, seq: u64, steps: Vec<PlannedStep>, digest: String) -> Result<(), String> {
        let mut named = BTreeSet::new();
        if let Some(twice) = steps.iter().find(|p| !named.insert(&p.step)) {
            return Err(format!("the plan holds step `{}` twice", twice.step));
        }
        for planned in &steps {
            if self.step_done(&planned.step) {
                continue;
            }
            match self.steps.get_mut(&planned.step) {
                // Tries are counted within one plan.
                Some(StepState::Tried { tries, .. }) => *tries = 0,
                // What is planned is no longer left out.
                Some(StepState::Skipped {
                    left: Some((act, _)), ..
                }) => {
                    let again = StepState::Tried { act: *act, tries: 0 };
                    self.steps.insert(planned.step.clone(), again);
                }
                Some(StepState::Skipped { left: None, .. }) => {
                    self.steps.remove(&planned.step);
                }
                _ => {}
            }
        }
        self.plan = Some(PlanState { seq, steps, digest });
        Ok(())
    }

    /// Open requests for acts of the plan in force. They rest on it: changed or given up, it takes them along.
    pub fn resting_on_plan(&self) -> Vec<u64> {
        let Some(plan) = &self.plan else {
            return Vec::new();
        };
        let planned = |(step, act): (&StepId, &String)| {
            let is = |p: &PlannedStep| p.step == *step && p.act_sha256 == *act;
            plan.steps.iter().any(is)
        };
        let rests = self.requests.iter().filter(|(_, r)| {
            let mut left = r.asked.steps.iter().zip(&r.asked.acts).skip(r.used);
            r.is_open() && left.any(planned)
        });
        rests.map(|(seq, _)| *seq).collect()
    }

    /// Lets them fall, and says which.
    pub(super) fn fall(&mut self, by: u64) -> Vec<u64> {
        let falling = self.resting_on_plan();
        for seq in &falling {
            if let Some(request) = self.requests.get_mut(seq) {
                request.fell = Some(by);
            }
        }
        falling
    }

    /// The first step of the plan that is neither done nor left out.
    pub fn plan_next(&self) -> Option<&PlannedStep> {
        let through = |p: &&PlannedStep| {
            !matches!(
                self.stand(&p.step),
                Stand::Done | Stand::Skipped | Stand::LeftHalf
            )
        };
        self.plan.as_ref()?.steps.iter().find(through)
    }

    /// The failure that holds the plan up, where there is one.
    pub fn plan_failure(&self) -> Option<PlanFailure<'_>> {
        let step = &self.plan_next()?.step;
        if !matches!(self.stand(step), Stand::Failed | Stand::UndoFailed) {
            return None;
        }
        let (act, state): (u64, &ActState) = self.act_of(step)?;
        let tries = match self.steps.get(step) {
            Some(StepState::Tried { tries, .. }) => *tries,
            _ => 0,
        };
        Some(PlanFailure {
            step,
            act,
            why: state.how_it_ended(),
            tries,
        })
    }

    /// What changed between the plan in force and these steps, ready for the record but for the parts of each act.
    pub fn plan_changes_to(&self, steps: &[PlannedStep]) -> Vec<PlanChange> {
        let old = self.plan.as_ref().map_or(&[][..], |p| &p.steps);
        let one = |(step, change)| PlanChange {
            step,
            change,
            parts: Vec::new(),
        };
        plan_changes(old, steps).into_iter().map(one).collect()
    }
}
