//! Whether an act may run now: stage order, baseline, plan, zone, quorum, in one pure function.

use serde::Serialize;

use super::quorum::quorum;
use super::zone::{Because, zone_of};
use crate::journal::Hash;
use crate::model::act::{Act, Lane, Resolved, ResolvedUndo, Stage};
use crate::model::effect::{Effect, Zone};
use crate::model::fact::Proof;
use crate::model::incident::{ActState, Incident, StepState};
use crate::model::runbook::{Need, Touch};
use crate::model::time::Moment;

/// How the act is being asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Asked<'a> {
    /// The responder's reason; needed in the early lanes.
    pub why: Option<&'a str>,
}

/// Zone, reasons, and the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Where the act stands.
    pub zone: Zone,
    /// Why, worst first.
    pub because: Vec<Because>,
    /// Whether it may run now.
    pub answer: Answer,
}

/// Whether the act may run now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It may; these requests' sign-offs are used up by it.
    Go {
        /// Numbers of the requests.
        consumes: Vec<u64>,
        /// True where one person acts alone, after the delay, because nobody answered.
        alone: bool,
    },
    /// It may not, yet or ever.
    Refused(Refusal),
}

/// Why an act may not run now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// The incident is closed.
    #[error("the incident is closed")]
    Closed,
    /// Another act has no known outcome.
    #[error("act {act} (`{step}`) is in doubt: nobody knows whether it happened")]
    InDoubt {
        /// Its record.
        act: u64,
        /// Its step.
        step: String,
    },
    /// Something changes before the baseline is sealed.
    #[error("before the baseline is sealed only reads run")]
    BeforeBaseline,
    /// The walk is not there yet.
    #[error("it belongs to {belongs}, and the walk is in {walk}")]
    NotItsStage {
        /// Where the step belongs.
        belongs: Stage,
        /// Where the walk is.
        walk: Stage,
    },
    /// The early lanes take a picture first.
    #[error("nothing was captured before it yet")]
    NoCaptureBefore,
    /// The early lanes need a reason.
    #[error("running it before the baseline needs a reason")]
    NoReason,
    /// Not the kind of step that the early lane is for.
    #[error("before the baseline only inside steps that can be undone run, and this one is not: {why}")]
    NotForThisLane {
        /// What is missing.
        why: String,
    },
    /// Recover runs a frozen plan.
    #[error("no plan is frozen")]
    NoPlan,
    /// The plan does not hold this step.
    #[error("it is not in the frozen plan")]
    NotInPlan,
    /// Another step comes first.
    #[error("the plan has `{next}` next")]
    NotNext {
        /// The step that is next.
        next: String,
    },
    /// The act is not what the plan froze.
    #[error("what would run now is not what the plan froze")]
    ChangedSincePlan,
    /// It was done.
    #[error("it is done already")]
    Done,
    /// It was tried as often as it may.
    #[error("it was tried {}, which is all its plan allows", if *tries == 1 { "once".to_owned() } else { format!("{tries} times") })]
    TriesUsed {
        /// How often.
        tries: u32,
    },
    /// The plan goes on without it.
    #[error("it was skipped, and the plan goes on without it")]
    Skipped,
    /// What was done last is taken back first.
    #[error("`{newest}` came after it and is in force: it is taken back first")]
    NotNewest {
        /// The newest step that can be taken back.
        newest: String,
    },
    /// There is nothing to take back.
    #[error("there is nothing to take back: it was not done")]
    NothingToUndo,
    /// Data is not put back while something can still destroy it.
    #[error("data is not touched while the agent may still be alive: {}", .targets.join(", "))]
    StillLive {
        /// Names of the targets.
        targets: Vec<String>,
    },
    /// Other people must sign first.
    #[error("it is {zone} the boundary and needs {}", people(.need))]
    NeedsSignoff {
        /// Where it stands.
        zone: Zone,
        /// Who must sign.
        need: Need,
        /// Who has.
        have: Vec<String>,
        /// The request that waits for answers.
        request: Option<u64>,
        /// Who refused this very act: without their own approval it does not run.
        refused_by: Option<String>,
        /// Names under which somebody acted and whom no key proves: one more must sign for each.
        unproven: Vec<String>,
        /// True where enough people signed, too long ago.
        expired: bool,
    },
}

fn people(need: &Need) -> String {
    let count = match need.people {
        1 => "1 other person's signature".to_owned(),
        n => format!("{n} other people's signatures"),
    };
    let mut asked: Vec<String> = need.roles.iter().cloned().collect();
    if need.teams_apart {
        asked.push("of different teams".into());
    }
    match need.touch {
        Touch::None => {}
        Touch::Present => asked.push("with a touched FIDO key".into()),
        Touch::Verified => asked.push("with a FIDO key, touched and its PIN given".into()),
    }
    if asked.is_empty() {
        return count;
    }
    format!("{count} ({})", asked.join(", "))
}

/// Whether `act` may run now. Pure: the same record, act and moment give the same answer.
pub fn judge(incident: &Incident, act: &Resolved, asked: Asked<'_>, now: Moment) -> Verdict {
    let policy = &incident.opened.policy;
    let (zone, because) = zone_of(policy, act, now);
    let answer = match gates(incident, act, asked, zone) {
        Err(refusal) => Answer::Refused(refusal),
        Ok(()) => quorum(incident, act, zone, now),
    };
    Verdict {
        zone,
        because,
        answer,
    }
}

/// Every gate but the quorum.
fn gates(incident: &Incident, act: &Resolved, asked: Asked<'_>, zone: Zone) -> Result<(), Refusal> {
    // Stop never waits, not even for the question whether anything is open.
    if matches!(act.act, Act::Sweep(_)) {
        return Ok(());
    }
    if incident.closed_ts.is_some() {
        return Err(Refusal::Closed);
    }
    let effects = act.effects();
    // Reads are free.
    if effects.iter().all(|e| *e == Effect::Read) {
        return Ok(());
    }
    if let Some((seq, open)) = incident.in_doubt().next() {
        return Err(Refusal::InDoubt {
            act: seq,
            step: open.step.to_string(),
        });
    }
    repeat(incident, act)?;
    // Before the lanes: an early restore would be destroyed again like any other.
    if effects
        .iter()
        .any(|e| matches!(e, Effect::DataRestore | Effect::DataWrite | Effect::BulkData))
    {
        let targets: Vec<String> = incident
            .stop
            .targets
            .iter()
            .filter(|(_, t)| t.proof() == Proof::StillLive && t.answered.is_none())
            .map(|(id, _)| id.to_string())
            .collect();
        if !targets.is_empty() {
            return Err(Refusal::StillLive { targets });
        }
    }
    let early = incident.baseline.is_none();
    match act.lane {
        Lane::Protect
            if effects
                .iter()
                .all(|e| matches!(e, Effect::Read | Effect::Protect)) =>
        {
            if early {
                early_lane(incident, act, asked)?;
            }
            return Ok(());
        }
        Lane::First if early => {
            if zone != Zone::Inside {
                return Err(Refusal::NotForThisLane {
                    why: format!("it is {zone} the boundary"),
                });
            }
            if !matches!(act.undo, ResolvedUndo::By(_) | ResolvedUndo::ByHand(_)) {
                return Err(Refusal::NotForThisLane {
                    why: "it has no undo".into(),
                });
            }
            return early_lane(incident, act, asked);
        }
        _ => {}
    }
    if early {
        return Err(Refusal::BeforeBaseline);
    }
    let belongs = if act.undoes {
        Stage::Contain
    } else {
        act.stage.max(Stage::Contain)
    };
    if incident.stage < belongs {
        return Err(Refusal::NotItsStage {
            belongs,
            walk: incident.stage,
        });
    }
    match (act.stage, act.undoes) {
        (Stage::Recover, false) => in_plan(incident, act),
        (Stage::Recover, true) => newest(incident, act),
        _ => Ok(()),
    }
}

/// Done once is done; undone needs something done.
fn repeat(incident: &Incident, act: &Resolved) -> Result<(), Refusal> {
    let state = incident.steps.get(&act.step);
    if act.undoes {
        return match state {
            Some(StepState::Tried { .. } | StepState::Skipped { left: Some(_), .. }) => Ok(()),
            // An undo that did not work may be tried again.
            Some(StepState::Undone { act }) if !incident.acts.get(act).is_some_and(|a| a.is_done()) => Ok(()),
            _ => Err(Refusal::NothingToUndo),
        };
    }
    if incident.step_done(&act.step) {
        return Err(Refusal::Done);
    }
    // Elsewhere a failed step may be tried again; in recover `tries` is part of the frozen plan.
    match state {
        Some(StepState::Tried { tries, .. }) if act.stage == Stage::Recover && *tries >= act.tries => {
            Err(Refusal::TriesUsed { tries: *tries })
        }
        _ => Ok(()),
    }
}

/// The two named lanes before the baseline: a picture first, and a reason.
fn early_lane(incident: &Incident, act: &Resolved, asked: Asked<'_>) -> Result<(), Refusal> {
    if asked.why.is_none_or(|w| w.trim().is_empty()) {
        return Err(Refusal::NoReason);
    }
    let purpose = format!("before {}", act.step);
    let pictured = incident
        .captures
        .values()
        .any(|c| c.purpose == purpose && c.has_something());
    if pictured {
        Ok(())
    } else {
        Err(Refusal::NoCaptureBefore)
    }
}

fn in_plan(incident: &Incident, act: &Resolved) -> Result<(), Refusal> {
    let Some(plan) = &incident.plan else {
        return Err(Refusal::NoPlan);
    };
    let Some(planned) = plan.steps.iter().find(|p| p.step == act.step) else {
        return Err(Refusal::NotInPlan);
    };
    if planned.act_sha256 != Hash::of(&act.canonical()).to_string() {
        return Err(Refusal::ChangedSincePlan);
    }
    match incident.plan_next() {
        Some(next) if next.step == act.step => Ok(()),
        _ if matches!(incident.steps.get(&act.step), Some(StepState::Skipped { .. })) => {
            Err(Refusal::Skipped)
        }
        Some(next) => Err(Refusal::NotNext {
            next: next.step.to_string(),
        }),
        None => Err(Refusal::Done),
    }
}

/// What recover did is taken back in reverse. What nobody can take back stands in nobody's way.
fn newest(incident: &Incident, act: &Resolved) -> Result<(), Refusal> {
    let undoable = |a: &&ActState| matches!(a.undo, ResolvedUndo::By(_) | ResolvedUndo::ByHand(_));
    match incident.in_force().into_iter().map(|(_, a)| a).find(undoable) {
        Some(newest) if newest.step != act.step => Err(Refusal::NotNewest {
            newest: newest.step.to_string(),
        }),
        _ => Ok(()),
    }
}
