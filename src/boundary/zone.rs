//! On which side of the boundary an act lands, effect by effect.

use serde::Serialize;

use crate::model::act::{Act, Resolved};
use crate::model::effect::{Effect, Zone};
use crate::model::runbook::Policy;

/// Why one effect puts an act into a zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Because {
    /// The effect.
    pub effect: Effect,
    /// The zone it asks for.
    pub zone: Zone,
    /// The rule that says so, such as `boundary.at` or `sql.drop-table`.
    pub rule: String,
    /// Words of the act in which it was seen, or the reason in plain words.
    pub text: String,
}

/// The worst zone of all effects, and the reasons, worst first.
pub fn zone_of(policy: &Policy, act: &Resolved) -> (Zone, Vec<Because>) {
    let mut reasons: Vec<Because> = Vec::new();
    for effect in act.effects() {
        if matches!(act.act, Act::Sweep(_)) {
            // Stop never waits: a sweep changes credentials and services, and needs nobody.
            reasons.push(Because {
                effect,
                zone: Zone::Inside,
                rule: "stop.never-waits".into(),
                text: "stop needs nobody's signature".into(),
            });
            continue;
        }
        let (zone, condition) = side(policy, act, effect);
        let seen = act.seen.iter().find(|s| s.effect == effect);
        let (rule, text) = match (&condition, seen) {
            (Some(reason), _) => (format!("boundary.{effect}"), reason.clone()),
            (None, Some(seen)) => (seen.rule.clone(), seen.text.clone()),
            (None, None) => said_or_missing(act, effect, zone),
        };
        reasons.push(Because {
            effect,
            zone,
            rule,
            text,
        });
    }
    reasons.sort_by(|a, b| b.zone.cmp(&a.zone).then(a.effect.cmp(&b.effect)));
    let zone = reasons.first().map_or(Zone::Outside, |r| r.zone);
    (zone, reasons)
}

fn said_or_missing(act: &Resolved, effect: Effect, zone: Zone) -> (String, String) {
    let declared = act.declared.as_ref().is_some_and(|d| d.contains(&effect));
    match effect {
        _ if declared => (format!("boundary.{zone}"), "declared in the runbook".into()),
        Effect::OneWay => ("boundary.no-undo".into(), "nothing takes this step back".into()),
        Effect::Unknown => (
            "boundary.unclassified".into(),
            "nobody wrote down what it changes".into(),
        ),
        _ => (format!("boundary.{zone}"), String::new()),
    }
}

/// The zone of one effect, and the condition that was not met where there is one.
fn side(policy: &Policy, act: &Resolved, effect: Effect) -> (Zone, Option<String>) {
    let of = |effect: Effect| match () {
        () if policy.inside.contains(&effect) => Some(Zone::Inside),
        () if policy.at.contains(&effect) => Some(Zone::At),
        () => None,
    };
    let written = match effect {
        // A policy that does not know it knows what it is a kind of.
        Effect::CredentialNew => of(effect).or(of(Effect::CredentialChange)),
        _ => of(effect),
    };
    let written = written.unwrap_or(Zone::Outside);
    match effect {
        Effect::Read => (Zone::Inside, None),
        // Not understood is outside, whatever a policy says.
        Effect::Unknown => (Zone::Outside, None),
        Effect::OneWay | Effect::BulkData => (written.max(Zone::At), None),
        Effect::DataRestore => match &act.backup {
            None => (
                written.max(Zone::At),
                Some("it names no verified backup (`needs: {backup: …}`)".into()),
            ),
            Some(backup) => match backup.doubt() {
                Some(doubt) => (written.max(Zone::At), Some(doubt)),
                None => (written, None),
            },
        },
        // Declared of a program it is somebody's word; here the rights were read from what was saved.
        Effect::CredentialNew if !matches!(act.act, Act::Renew(_)) => (
            written.max(Zone::At),
            Some(
                "only `incident access restore GRANT --new --for SERVICE` makes one with no more rights"
                    .into(),
            ),
        ),
        Effect::ConfigRollback if act.rollback_tested.is_none() => (
            written.max(Zone::At),
            Some("no test of this rollback is on record (`rollback-tested: DAY`)".into()),
        ),
        _ => (written, None),
    }
}
