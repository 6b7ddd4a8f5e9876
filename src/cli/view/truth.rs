//! The line of truth: where we are, and what is not proved.

use crate::model::fact::Proof;
use crate::model::incident::Incident;
use crate::model::time::{Moment, span};

/// One line, at most 80 columns for ordinary ids.
pub fn line(incident: &Incident, now: Moment) -> String {
    let elapsed = span(now.mono_us.saturating_sub(incident.opened.mono_us) / 1000);
    let proofs: Vec<Proof> = incident.stop.targets.values().map(|t| t.proof()).collect();
    let live = proofs.iter().filter(|p| **p == Proof::StillLive).count();
    let open = proofs
        .iter()
        .filter(|p| !p.is_dead() && **p != Proof::StillLive)
        .count();
    let stop = match (proofs.len(), live, open) {
        (0, _, _) => "nothing cut, nothing proved".to_owned(),
        (n, 0, 0) => format!("{n} proved dead"),
        (_, live, open) => format!("{live} still live, {open} unproved"),
    };
    format!("{} · {} · {elapsed} · {stop}", incident.id(), incident.stage)
}
