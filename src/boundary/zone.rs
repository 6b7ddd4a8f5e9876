//! On which side of the boundary an act lands, effect by effect.

use serde::Serialize;

use super::rules::Case;
use super::standing::Standing;
use crate::model::act::{Act, Resolved};
use crate::model::effect::{Effect, Zone};
use crate::model::runbook::Policy;
use crate::model::time::Moment;

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

/// The worst zone of all effects, and the reasons, worst first. Pure: rules that hold at certain hours are handed
/// the moment.
pub fn zone_of(policy: &Policy, act: &Resolved, now: Moment) -> (Zone, Vec<Because>) {
    let one = under(policy, act, now);
    match &policy.also {
        Some(also) => {
            let other = under(also, act, now);
            if other.0 > one.0 { other } else { one }
        }
        None => one,
    }
}

/// The same under one policy alone.
fn under(policy: &Policy, act: &Resolved, now: Moment) -> (Zone, Vec<Because>) {
    let standing = Standing::of(policy, act);
    let mut reasons: Vec<Because> = Vec::new();
    let mut effects = act.effects();
    let sweep = matches!(act.act, Act::Sweep(_));
    let harmed = effects.iter().copied().find(|e| standing.harms_backups(*e));
    let harmed = harmed.filter(|_| !sweep && effects.insert(Effect::BackupChange));
    for effect in effects {
        if sweep {
            // Stop never waits: a sweep changes credentials and services, and needs nobody.
            reasons.push(Because {
                effect,
                zone: Zone::Inside,
                rule: "stop.never-waits".into(),
                text: "stop needs nobody's signature".into(),
            });
            continue;
        }
        let case = Case {
            effect,
            act,
            standing: &standing,
            now_ms: now.utc_ms,
        };
        let mut because = one(policy, &case);
        if let (Effect::BackupChange, Some(harmed)) = (effect, harmed)
            && because.text.is_empty()
        {
            because.rule = "environments.backups".into();
            because.text = format!("{harmed} on what belongs to `backups`");
        }
        reasons.push(because);
    }
    reasons.sort_by(|a, b| b.zone.cmp(&a.zone).then(a.effect.cmp(&b.effect)));
    let zone = reasons.first().map_or(Zone::Outside, |r| r.zone);
    (zone, reasons)
}

/// Where one effect puts the act, and why.
fn one(policy: &Policy, case: &Case<'_>) -> Because {
    let Case {
        effect,
        act,
        standing,
        ..
    } = *case;
    let because = |zone, rule: String, text: String| Because {
        effect,
        zone,
        rule,
        text,
    };
    if effect == Effect::Read {
        let seen = act.seen.iter().find(|s| s.effect == effect);
        let (rule, text) = match seen {
            Some(seen) => (seen.rule.clone(), seen.text.clone()),
            None => said_or_missing(act, effect, Zone::Inside),
        };
        return because(Zone::Inside, rule, text);
    }
    if let (Some(why), true) = (&standing.unmapped, effect != Effect::Unknown) {
        return because(Zone::Outside, "environments.unmapped".into(), why.clone());
    }
    let (written, condition) = side(policy, act, effect);
    let never = matches!(effect, Effect::Unknown | Effect::OneWay | Effect::BulkData);
    let lowers = condition.is_none() && !never;
    let (zone, rule) = case.zone(&policy.rules, written, lowers);
    if let Some(rule) = rule {
        return because(
            zone,
            format!("rules.{}", rule.id),
            format!("{} ({})", rule.reason, rule.owner),
        );
    }
    let seen = act.seen.iter().find(|s| s.effect == effect);
    let (rule, text) = match (condition, seen) {
        (Some(reason), _) => (format!("boundary.{effect}"), reason),
        (None, Some(seen)) => (seen.rule.clone(), seen.text.clone()),
        (None, None) => said_or_missing(act, effect, zone),
    };
    because(zone, rule, text)
}

fn said_or_missing(act: &Resolved, effect: Effect, zone: Zone) -> (String, String) {
    let declared = act.declared.as_ref().is_some_and(|d| d.contains(&effect));
    let approved = act.approved.as_ref().filter(|a| a.effects.contains(&effect));
    match (effect, approved) {
        _ if declared => (format!("boundary.{zone}"), "declared in the runbook".into()),
        (_, Some(approved)) => (
            format!("boundary.{zone}"),
            format!("in the word of {}", approved.by),
        ),
        (Effect::OneWay, _) => ("boundary.no-undo".into(), "nothing takes this step back".into()),
        (Effect::Unknown, _) => (
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
