//! The people: who signed for this very act, who of them counts, and whether they suffice.

use std::collections::BTreeSet;

use super::alone::{Alone, alone};
use super::judge::{Answer, Refusal};
use crate::journal::Hash;
use crate::model::act::{Act, Resolved};
use crate::model::effect::Zone;
use crate::model::event::SignerKey;
use crate::model::incident::{Incident, RequestState, SignoffState};
use crate::model::runbook::{Need, Policy, Touch};
use crate::model::time::Moment;

/// Inside the boundary nobody is asked.
pub(super) fn quorum(incident: &Incident, act: &Resolved, zone: Zone, now: Moment) -> Answer {
    if zone == Zone::Inside || matches!(act.act, Act::Sweep(_)) {
        return Answer::Go {
            consumes: Vec::new(),
            alone: false,
        };
    }
    let policy = &incident.opened.policy;
    let digest = Hash::of(&act.canonical()).to_string();
    let refusers = refusers(incident, act);
    let unproven: Vec<String> = incident.unproven().map(str::to_owned).collect();
    let mut need = match zone {
        Zone::Outside => policy.need_outside.clone(),
        _ => policy.need_at.clone(),
    };
    let mut have = Vec::new();
    let mut waiting = None;
    let mut refused_by = refusers.first().cloned();
    let mut expired = false;
    let mut by_one = None;
    for (seq, request) in incident.requests.iter().rev() {
        if !covers(incident, request, act, &digest, zone) {
            continue;
        }
        let wanted = needed_now(incident, request);
        let (people, old) = approvals(incident, request, now, wanted.touch);
        let missing = refusers
            .iter()
            .find(|who| people.iter().all(|p| p.human != policy.human(who)));
        if missing.is_none() && enough(&wanted, &people, incident) {
            return Answer::Go {
                consumes: vec![*seq],
                alone: false,
            };
        }
        if zone == Zone::At && matches!(alone(incident, *seq, request, now), Alone::Ready { .. }) {
            by_one.get_or_insert(*seq);
        }
        if waiting.is_none() {
            expired = old;
            refused_by = missing.cloned();
            have = people.into_iter().map(|p| p.human).collect();
            (waiting, need) = (Some(*seq), wanted);
        }
    }
    if let Some(seq) = by_one {
        return Answer::Go {
            consumes: vec![seq],
            alone: true,
        };
    }
    Answer::Refused(Refusal::NeedsSignoff {
        zone,
        need,
        have,
        request: waiting,
        refused_by,
        unproven,
        expired,
    })
}

/// What the statement told its signers, or more: whoever acted since without a key may be one of them.
fn needed_now(incident: &Incident, request: &RequestState) -> Need {
    let told = incident.need_of(request);
    let unproven = u32::try_from(incident.unproven().count()).unwrap_or(u32::MAX);
    // A request that a stolen key signed is nobody's, even where its name was proved anew.
    let stolen = request.asked.proven && !incident.asks_proven(request);
    let unproven = unproven.max(u32::from(stolen));
    let people = request.asked.need.people.saturating_add(unproven);
    Need {
        people: people.max(told.people),
        ..told
    }
}

/// Everybody who refused this very act, by whichever request and under whichever name of the step.
///
/// A refusal outlives its request: else one would ask until somebody says yes. The requester's own is a
/// change of mind, no judgement.
fn refusers(incident: &Incident, act: &Resolved) -> Vec<String> {
    let policy = &incident.opened.policy;
    let mut who: Vec<String> = Vec::new();
    for request in incident.requests.values() {
        let Some(by) = request.refused_by().map(|s| s.person.as_str()) else {
            continue;
        };
        if policy.human(by) == policy.human(&request.asked.requester) || who.iter().any(|w| w == by) {
            continue;
        }
        let same = request
            .asked
            .steps
            .iter()
            .zip(&request.asked.acts)
            .any(|(step, digest)| {
                let named = Resolved {
                    step: step.clone(),
                    ..act.clone()
                };
                Hash::of(&named.canonical()).to_string() == *digest
            });
        if same {
            who.push(by.to_owned());
        }
    }
    who
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

/// One human, and their approval.
struct Approver<'a> {
    human: String,
    signoff: &'a SignoffState,
}

/// Distinct humans whose approval is still good, and whether any has run out.
fn approvals<'a>(
    incident: &'a Incident,
    request: &'a RequestState,
    now: Moment,
    touch: Touch,
) -> (Vec<Approver<'a>>, bool) {
    let policy = &incident.opened.policy;
    let acted: BTreeSet<String> = incident.actors.iter().map(|who| policy.human(who)).collect();
    let requester = policy.human(&request.asked.requester);
    let mut people: Vec<Approver<'_>> = Vec::new();
    let mut keys: Vec<&str> = Vec::new();
    let mut old = false;
    for signoff in incident.approvals_of(request) {
        // Both clocks must agree that it is young: a wall clock set back does not revive it.
        let wall = now.utc_ms.saturating_sub(signoff.utc_ms);
        let mono = now.mono_us.saturating_sub(signoff.mono_us) / 1000;
        let age = u64::try_from(wall.max(0)).unwrap_or(0).max(mono);
        if age > policy.valid_ms {
            old = true;
            continue;
        }
        let human = policy.human(&signoff.person);
        if people.iter().any(|p| p.human == human) || keys.contains(&signoff.key.fingerprint.as_str()) {
            continue;
        }
        keys.push(&signoff.key.fingerprint);
        if !acted.contains(&human) && human != requester && shows(&signoff.key, touch) {
            people.push(Approver { human, signoff });
        }
    }
    (people, old)
}

/// Whether a key showed what the rule asks of it. A key that cannot say has not said it.
fn shows(key: &SignerKey, touch: Touch) -> bool {
    (touch < Touch::Present || key.user_presence == Some(true))
        && (touch < Touch::Verified || key.user_verified == Some(true))
}

fn enough(need: &Need, people: &[Approver<'_>], incident: &Incident) -> bool {
    let count = u32::try_from(people.len()).unwrap_or(u32::MAX);
    let roles: Vec<&str> = need.roles.iter().map(String::as_str).collect();
    let names: Vec<&str> = people.iter().map(|p| p.human.as_str()).collect();
    let holds = |who: &Approver<'_>, role: &str| incident.signs_as(who.signoff, role, &names);
    let people: Vec<&Approver<'_>> = people.iter().collect();
    let policy = &incident.opened.policy;
    count >= need.people.max(1) && seated(&roles, &people, need.teams_apart, policy, &holds)
}

/// Whether each role finds a person of its own, and a team of its own where that is asked. Whoever has no
/// team on record is of no other one; a lent role changes nobody's team.
fn seated(
    roles: &[&str],
    free: &[&Approver<'_>],
    apart: bool,
    policy: &Policy,
    holds: &dyn Fn(&Approver<'_>, &str) -> bool,
) -> bool {
    let Some((role, rest)) = roles.split_first() else {
        return true;
    };
    let team = |who: &Approver<'_>| policy.person(&who.human).and_then(|p| p.team.as_deref());
    free.iter().any(|who| {
        if !holds(who, role) || (apart && team(who).is_none()) {
            return false;
        }
        let stays = |other: &&&Approver<'_>| other.human != who.human && (!apart || team(other) != team(who));
        let others: Vec<&Approver<'_>> = free.iter().filter(stays).copied().collect();
        seated(rest, &others, apart, policy, holds)
    })
}
