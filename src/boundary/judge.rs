//! Whether an act may run now: stage order, baseline, plan, zone, quorum, in one pure function.

use serde::Serialize;

use super::zone::{Because, zone_of};
use crate::journal::Hash;
use crate::model::act::{Act, Lane, Resolved, ResolvedUndo, Stage};
use crate::model::effect::{Effect, Zone};
use crate::model::fact::Proof;
use crate::model::incident::{ActState, Incident, RequestState, StepState};
use crate::model::runbook::Need;
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
    #[error("it was tried {tries} times, which is all its plan allows")]
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
        /// Who refused the last request for this very act.
        refused_by: Option<String>,
        /// True where enough people signed, too long ago.
        expired: bool,
    },
}

fn people(need: &Need) -> String {
    let count = match need.people {
        1 => "1 other person's signature".to_owned(),
        n => format!("{n} other people's signatures"),
    };
    if need.roles.is_empty() {
        return count;
    }
    let roles: Vec<&str> = need.roles.iter().map(String::as_str).collect();
    format!("{count} ({})", roles.join(", "))
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

/// The people. Inside the boundary nobody is asked.
fn quorum(incident: &Incident, act: &Resolved, zone: Zone, now: Moment) -> Answer {
    if zone == Zone::Inside || matches!(act.act, Act::Sweep(_)) {
        return Answer::Go { consumes: Vec::new() };
    }
    let policy = &incident.opened.policy;
    let digest = Hash::of(&act.canonical()).to_string();
    let mut need = match zone {
        Zone::Outside => policy.need_outside.clone(),
        _ => policy.need_at.clone(),
    };
    let mut have = Vec::new();
    let mut waiting = None;
    let mut refused_by = None;
    let mut expired = false;
    for (seq, request) in incident.requests.iter().rev() {
        let mine = request
            .asked
            .steps
            .iter()
            .zip(&request.asked.acts)
            .any(|(s, a)| *s == act.step && *a == digest);
        if mine && refused_by.is_none() && waiting.is_none() {
            refused_by = request.refused_by().map(|s| s.person.clone());
        }
        if !covers(incident, request, act, &digest, zone) {
            continue;
        }
        let wanted = incident.need_of(request);
        let (people, old) = approvals(incident, request, now);
        if enough(&wanted, &people, policy) {
            return Answer::Go { consumes: vec![*seq] };
        }
        if waiting.is_none() {
            expired = old;
            (waiting, have, need) = (Some(*seq), people, wanted);
        }
    }
    Answer::Refused(Refusal::NeedsSignoff {
        zone,
        need,
        have,
        request: waiting,
        refused_by,
        expired,
    })
}

/// True where the request is open, is for exactly this act next, and nothing it rests on has changed.
fn covers(incident: &Incident, request: &RequestState, act: &Resolved, digest: &str, zone: Zone) -> bool {
    let baseline = incident
        .baseline
        .as_ref()
        .map_or("none", |(_, hash)| hash.as_str());
    request.is_open()
        && request.statement.is_some()
        && request.next() == Some((&act.step, digest))
        && request.asked.baseline == baseline
        && request.asked.zone >= zone
}

/// Distinct people whose approval is still good, and whether any has run out.
fn approvals(incident: &Incident, request: &RequestState, now: Moment) -> (Vec<String>, bool) {
    let valid_ms = incident.opened.policy.valid_ms;
    let mut people: Vec<String> = Vec::new();
    let mut old = false;
    for signoff in request.signoffs.iter().filter(|s| s.approves) {
        // Both clocks must agree that it is young: a wall clock set back does not revive it.
        let wall = now.utc_ms.saturating_sub(signoff.utc_ms);
        let mono = now.mono_us.saturating_sub(signoff.mono_us) / 1000;
        let age = u64::try_from(wall.max(0)).unwrap_or(0).max(mono);
        if age > valid_ms {
            old = true;
            continue;
        }
        let acted = incident.actors.contains(&signoff.person);
        if !acted && signoff.person != request.asked.requester && !people.contains(&signoff.person) {
            people.push(signoff.person.clone());
        }
    }
    (people, old)
}

fn enough(need: &Need, people: &[String], policy: &crate::model::runbook::Policy) -> bool {
    let count = u32::try_from(people.len()).unwrap_or(u32::MAX);
    let role = |role: &String| {
        people.iter().any(|p| {
            policy
                .people
                .get(p)
                .is_some_and(|person| person.roles.contains(role))
        })
    };
    count >= need.people.max(1) && need.roles.iter().all(role)
}
