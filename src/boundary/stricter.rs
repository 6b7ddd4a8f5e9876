//! The stricter of two policies: the one a team trusted, and the one found beside its code.

use std::collections::BTreeSet;

use crate::model::runbook::{Lone, Need, Policy};

/// What both policies ask for together: an act stands where the stricter of the two puts it. The people are those of
/// `trusted`: nobody who can write `found` adds a signer.
pub fn stricter(trusted: &Policy, found: &Policy) -> Policy {
    Policy {
        need_at: more(trusted, &trusted.need_at, &found.need_at),
        need_outside: more(trusted, &trusted.need_outside, &found.need_outside),
        valid_ms: trusted.valid_ms.min(found.valid_ms),
        // What either forbids nobody may, and what both allow takes the longer delay.
        lone: match (&trusted.lone, &found.lone) {
            (Some(a), Some(b)) => Some(Lone {
                after_ms: a.after_ms.max(b.after_ms),
                valid_ms: a.valid_ms.min(b.valid_ms),
            }),
            _ => None,
        },
        also: Some(Box::new(found.clone())),
        ..trusted.clone()
    }
}

/// A role that nobody of `policy` holds or may lend could never be met, nor could two teams where they have one.
fn more(policy: &Policy, trusted: &Need, found: &Need) -> Need {
    let met = |role: &&String| policy.people.keys().any(|who| policy.gives(who, role));
    let teams: BTreeSet<&String> = policy.people.values().filter_map(|p| p.team.as_ref()).collect();
    Need {
        people: trusted.people.max(found.people),
        roles: trusted
            .roles
            .iter()
            .chain(found.roles.iter().filter(met))
            .cloned()
            .collect(),
        teams_apart: trusted.teams_apart || found.teams_apart && teams.len() > 1,
        touch: trusted.touch.max(found.touch),
    }
}
