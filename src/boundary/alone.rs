//! The one exception from the quorum: one person alone, at the boundary and never outside it, where the
//! runbook allows it, after a delay in which others were told and could refuse.

use serde::Serialize;

use crate::model::effect::Zone;
use crate::model::incident::{Incident, RequestState};
use crate::model::time::Moment;

/// How far one person's wish to act alone has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Alone {
    /// It may run.
    #[error("one person may run it alone for another {}", crate::model::time::span(*left_ms))]
    Ready {
        /// Milliseconds until it expires.
        left_ms: u64,
    },
    /// The runbook says nothing of it.
    #[error("the runbook lets nobody act alone (`escalation: {{lone: …}}`)")]
    NotAllowed,
    /// Never outside.
    #[error("outside the boundary nobody ever acts alone")]
    Outside,
    /// Nobody asked for it.
    #[error("nobody asked to act alone")]
    NotAsked,
    /// Who asks must be proved where somebody could prove it.
    #[error("nobody proved who asks: the request is signed with a key of the roster")]
    Unproven,
    /// Somebody refused the step.
    #[error("{by} refused it, and what is refused is never run alone")]
    Refused {
        /// Who.
        by: String,
    },
    /// The delay is not over.
    #[error("the cooling delay is not over for another {}", crate::model::time::span(*left_ms))]
    Cooling {
        /// Milliseconds until it is, if both clocks go on.
        left_ms: u64,
    },
    /// Nobody heard of it.
    #[error("nobody was told: no notice went out, and nobody said that nobody can be reached")]
    NobodyTold,
    /// It was not used in time.
    #[error("it was not used in time")]
    Expired,
}

/// How far this request has come. Pure.
pub fn alone(incident: &Incident, seq: u64, request: &RequestState, now: Moment) -> Alone {
    let policy = &incident.opened.policy;
    let Some(lone) = &policy.lone else {
        return Alone::NotAllowed;
    };
    if request.asked.zone != Zone::At {
        return Alone::Outside;
    }
    let Some(asked) = request.lone.as_ref().filter(|_| request.asked.steps.len() == 1) else {
        return Alone::NotAsked;
    };
    // With nobody on the roster, nobody could.
    if !incident.asks_proven(request) && !policy.people.is_empty() {
        return Alone::Unproven;
    }
    // Whatever act of the step was refused: a step that is asked for again is the same wish.
    let same = |r: &&RequestState| r.asked.steps.iter().any(|s| request.asked.steps.contains(s));
    if let Some(no) = incident
        .requests
        .values()
        .filter(same)
        .find_map(|r| r.refused_by())
    {
        return Alone::Refused {
            by: no.person.clone(),
        };
    }
    let wall = u64::try_from(now.utc_ms.saturating_sub(asked.asked.utc_ms)).unwrap_or(0);
    let mono = now.mono_us.saturating_sub(asked.asked.mono_us) / 1000;
    // Both clocks must agree that the delay is over, and either may say that the time is up.
    let (sure, at_most) = (wall.min(mono), wall.max(mono));
    if sure < lone.after_ms {
        return Alone::Cooling {
            left_ms: lone.after_ms - sure,
        };
    }
    let end = lone.after_ms.saturating_add(lone.valid_ms);
    if at_most > end {
        return Alone::Expired;
    }
    let sent = |n: &crate::model::incident::NoticeState| n.ended.as_ref().is_some_and(|(sent, _)| *sent);
    if request.unreached.is_none() && !incident.notices_of(seq).any(|(_, n)| sent(n)) {
        return Alone::NobodyTold;
    }
    Alone::Ready {
        left_ms: end - at_most,
    }
}
