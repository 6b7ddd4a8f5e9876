//! The stricter of two policies: the one a team trusted, and the one found beside its code.

use crate::model::effect::{Effect, Zone};
use crate::model::reach::{Environment, Kind, Map};
use crate::model::runbook::{Need, Policy};

/// What both policies ask for together: no act stands better under it than under either. The people are those of
/// `trusted`: nobody who can write `found` adds a signer.
pub fn stricter(trusted: &Policy, found: &Policy) -> Policy {
    let mut both = trusted.clone();
    both.inside.clear();
    both.at.clear();
    for effect in Effect::ALL {
        match side(trusted, effect).max(side(found, effect)) {
            Zone::Inside => both.inside.insert(effect),
            Zone::At => both.at.insert(effect),
            Zone::Outside => false,
        };
    }
    both.need_at = more(&both, &trusted.need_at, &found.need_at);
    both.need_outside = more(&both, &trusted.need_outside, &found.need_outside);
    both.valid_ms = trusted.valid_ms.min(found.valid_ms);
    both.environments = map(&trusted.environments, &found.environments);
    both.rules = trusted
        .rules
        .iter()
        .filter(|r| r.zone != Zone::Inside || found.rules.contains(r))
        .chain(
            found
                .rules
                .iter()
                .filter(|r| r.zone != Zone::Inside && !trusted.rules.contains(r)),
        )
        .cloned()
        .collect();
    both
}

fn side(policy: &Policy, effect: Effect) -> Zone {
    let of = |effect: &Effect| match () {
        () if policy.inside.contains(effect) => Some(Zone::Inside),
        () if policy.at.contains(effect) => Some(Zone::At),
        () => None,
    };
    let kind = (effect == Effect::CredentialNew).then(|| of(&Effect::CredentialChange));
    of(&effect).or(kind.flatten()).unwrap_or(Zone::Outside)
}

/// A role that nobody holds any more could never be met.
fn more(policy: &Policy, trusted: &Need, found: &Need) -> Need {
    let held = |role: &&String| policy.people.values().any(|p| p.roles.contains(*role));
    let mut need = trusted.clone();
    need.people = trusted.people.max(found.people);
    need.roles.extend(found.roles.iter().filter(held).cloned());
    need
}

/// A place belongs somewhere only where both say so; what merely says more about a place counts from either.
fn map(trusted: &Map, found: &Map) -> Map {
    if trusted.is_empty() || found.is_empty() {
        return if trusted.is_empty() {
            found.clone()
        } else {
            trusted.clone()
        };
    }
    let mut both = Map::new();
    for environment in Environment::ALL {
        let names = both.entry(environment).or_default();
        for kind in Kind::ALL {
            let of = |map: &Map| {
                map.get(&environment)
                    .and_then(|n| n.get(&kind))
                    .cloned()
                    .unwrap_or_default()
            };
            let (a, b) = (of(trusted), of(found));
            let kept: std::collections::BTreeSet<String> = match kind.is_place() {
                true => a.intersection(&b).cloned().collect(),
                false => a.union(&b).cloned().collect(),
            };
            if !kept.is_empty() {
                names.insert(kind, kept);
            }
        }
    }
    both
}
