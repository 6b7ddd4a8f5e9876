//! What was cut, with what proof, and what stays dangerous about it.

use serde::Serialize;

use super::facts::{Stamp, between};
use super::words;
use crate::model::event::Event;
use crate::model::fact::{Fact, Proof, TargetKind, proof};
use crate::model::grant::{Target, TriggerKind};
use crate::model::ids::TargetId;
use crate::model::incident::{Incident, TargetState};
use crate::model::time::{parse_rfc3339, rfc3339};
use crate::report::Entry;

/// One target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cut {
    /// Its name.
    pub target: String,
    /// A credential, a process tree or a trigger.
    pub kind: TargetKind,
    /// The provider or mechanism, in a word.
    pub through: String,
    /// What it reaches, in the team's words.
    pub reaches: Vec<String>,
    /// Where it was found.
    pub found_by: String,
    /// The strongest word the facts allow.
    pub proof: Proof,
    /// That word as it stands on screen.
    pub word: &'static str,
    /// True where the record holds a proof of death.
    pub proved_dead: bool,
    /// Milliseconds from the start of the stop to the fact that proved it; `None` = not proved.
    pub proved_after_ms: Option<u64>,
    /// The facts behind the word, oldest first.
    pub facts: Vec<String>,
    /// What was seen of it before it was cut.
    pub noted: Vec<String>,
    /// What stays dangerous.
    pub residue: Vec<Residue>,
    /// Who answers for it although it is not proved.
    pub answered: Option<Answer>,
}

/// Something that stays dangerous about a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Residue {
    /// When it ends or closes, RFC 3339; `None` = no known end.
    pub until: Option<String>,
    /// In words.
    pub what: String,
}

/// A named person's word for something unproved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Who.
    pub who: String,
    /// Their words.
    pub words: String,
}

/// Every target, most dangerous first.
pub(super) fn cuts(entries: &[Entry], incident: &Incident) -> Vec<Cut> {
    let begun = stop_began(entries);
    let one = |(id, state): (&TargetId, &TargetState)| {
        let proof = state.proof();
        let proved = begun.zip(proved_at(entries, id, state));
        let (noted, seen): (Vec<_>, Vec<_>) = state
            .facts
            .iter()
            .filter(|o| until(&o.fact).is_none())
            .cloned()
            .partition(|o| matches!(o.fact, Fact::Noted { .. }));
        Cut {
            target: id.to_string(),
            kind: state.aim.target.kind(),
            through: through(&state.aim.target),
            reaches: match &state.aim.target {
                Target::Grant(g) => g.reaches.clone(),
                Target::Tree(_) | Target::Trigger(_) => Vec::new(),
            },
            found_by: state.aim.found_by.clone(),
            proof,
            word: proof.word(),
            proved_dead: proof.is_dead(),
            proved_after_ms: proved.and_then(|(from, to)| between(from, to)),
            facts: words::facts(&seen),
            noted: words::facts(&noted),
            residue: residue(state),
            answered: state.answered.clone().map(|(who, words)| Answer { who, words }),
        }
    };
    incident.targets().into_iter().map(one).collect()
}

/// When the first sweep began.
pub(super) fn stop_began(entries: &[Entry]) -> Option<Stamp> {
    entries.iter().find_map(|entry| match &entry.event {
        Event::StopStarted(e) => Some(Stamp::new(e.mono_us, &entry.ts)),
        _ => None,
    })
}

/// The moment of the fact since which the target is proved dead; `None` where it is not.
fn proved_at(entries: &[Entry], id: &TargetId, state: &TargetState) -> Option<Stamp> {
    let window = std::time::Duration::from_millis(state.aim.window_ms);
    let dead = |n: usize| {
        let facts = state.facts.get(..n).unwrap_or_default();
        proof(state.aim.target.kind(), facts, window).is_dead()
    };
    // Back from the end for as long as what is left still proves it.
    let mut needed = state.facts.len();
    if !dead(needed) {
        return None;
    }
    while needed > 0 && dead(needed - 1) {
        needed -= 1;
    }
    let at = needed.checked_sub(1)?;
    let mut recorded = entries.iter().flat_map(|entry| {
        let facts = match &entry.event {
            Event::StopFacts(e) if e.target == *id => e.facts.len(),
            _ => 0,
        };
        std::iter::repeat_n(entry.ts.as_str(), facts)
    });
    Some(Stamp {
        mono_us: state.facts.get(at)?.at_us,
        utc_ms: recorded.nth(at).and_then(parse_rfc3339),
    })
}

/// What its provider or mechanism is called.
fn through(target: &Target) -> String {
    match target {
        Target::Grant(g) => g.provider.clone(),
        Target::Tree(t) => format!("processes of {}", t.agent),
        Target::Trigger(t) => match &t.kind {
            TriggerKind::Cron { user, .. } => format!("crontab of {user}"),
            TriggerKind::CronFile { path, .. } | TriggerKind::StartUp { path, .. } => path.clone(),
            TriggerKind::Supervised { by, entry, .. } => format!("{} {entry}", by.name()),
            TriggerKind::At { user, .. } => format!("at jobs of {user}"),
            TriggerKind::Script { path } | TriggerKind::File { path } => path.clone(),
            TriggerKind::Systemd { unit, .. } => unit.clone(),
            TriggerKind::Provider { provider, .. } => provider.clone(),
            TriggerKind::Manual { .. } => "by hand".into(),
        },
    }
}

/// When a danger that outlives the cut ends or closes; `None` where nobody knows.
fn until(fact: &Fact) -> Option<i64> {
    match fact {
        Fact::Residual { until_ms, .. } => *until_ms,
        Fact::Window { closes_ms, .. } => Some(*closes_ms),
        _ => None,
    }
}

fn residue(state: &TargetState) -> Vec<Residue> {
    let one = |fact: &Fact| Residue {
        until: until(fact).map(rfc3339),
        what: words::fact(fact),
    };
    state.residue().into_iter().map(one).collect()
}
