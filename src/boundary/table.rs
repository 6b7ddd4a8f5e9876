//! The boundary as a table, for whoever wrote it: what lands where and which rule says so, rules that never decide,
//! and hours of the week at which no quorum can be had.

use std::collections::BTreeSet;

use serde::Serialize;

use super::rules::{covers, narrower};
use crate::model::effect::{Effect, Zone};
use crate::model::hours::WEEK;
use crate::model::runbook::{Need, Policy, Rule};

/// One effect, and where it lands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The effect.
    pub effect: Effect,
    /// Where the lists put it.
    pub zone: Zone,
    /// Which list, such as `boundary.at`; `boundary.neither` where nobody wrote it down.
    pub rule: &'static str,
    /// What it takes to land there; else it is at the boundary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only: Option<&'static str>,
    /// Rules that can put it elsewhere, in the order of the runbook.
    pub rules: Vec<RuleRow>,
}

/// One rule in the row of one effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleRow {
    /// Its name.
    pub id: String,
    /// Where it puts the act.
    pub zone: Zone,
    /// When it holds, in words.
    pub when: String,
}

/// Every effect, where the lists put it, and every rule that is about it.
pub fn matrix(policy: &Policy) -> Vec<Row> {
    Effect::ALL
        .into_iter()
        .map(|effect| row(policy, effect))
        .collect()
}

fn row(policy: &Policy, effect: Effect) -> Row {
    let (zone, rule) = listed(policy, effect);
    let only = match effect {
        _ if zone != Zone::Inside => None,
        Effect::DataRestore => Some("from a verified backup"),
        Effect::ConfigRollback => Some("by a rollback on record as tested"),
        Effect::CredentialNew => Some("made by `incident access restore --new`"),
        _ => None,
    };
    // Looking and what nobody understood stand where they stand.
    let ruled = !matches!(effect, Effect::Read | Effect::Unknown);
    let rules = policy
        .rules
        .iter()
        .filter(|r| ruled && about(r, effect))
        .map(|r| RuleRow {
            id: r.id.clone(),
            zone: r.zone,
            when: when(r),
        });
    Row {
        effect,
        zone,
        rule,
        only,
        rules: rules.collect(),
    }
}

/// Where the two lists put an effect, and which of them.
fn listed(policy: &Policy, effect: Effect) -> (Zone, &'static str) {
    let of = |effect: Effect| match () {
        () if policy.inside.contains(&effect) => Some((Zone::Inside, "boundary.inside")),
        () if policy.at.contains(&effect) => Some((Zone::At, "boundary.at")),
        () => None,
    };
    let found = match effect {
        Effect::Read => Some((Zone::Inside, "boundary.reads-are-free")),
        Effect::Unknown => Some((Zone::Outside, "boundary.not-understood")),
        Effect::CredentialNew => of(effect).or(of(Effect::CredentialChange)),
        _ => of(effect),
    };
    let (zone, rule) = found.unwrap_or((Zone::Outside, "boundary.neither"));
    match effect {
        Effect::OneWay | Effect::BulkData => (zone.max(Zone::At), rule),
        _ => (zone, rule),
    }
}

fn about(rule: &Rule, effect: Effect) -> bool {
    let changes = !matches!(effect, Effect::Read | Effect::Protect);
    rule.effects.contains(&effect) || rule.effects.is_empty() && changes && rule.zone != Zone::Inside
}

/// The conditions of a rule in words.
fn when(rule: &Rule) -> String {
    let mut parts: Vec<String> = Vec::new();
    if !rule.environments.is_empty() {
        let all: Vec<&str> = rule.environments.iter().map(|e| e.word()).collect();
        parts.push(all.join(" or "));
    }
    for (kind, names) in &rule.targets {
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        parts.push(format!("{} {}", kind.word(), all.join(" or ")));
    }
    if let Some(amount) = rule.amount {
        let word = if rule.zone == Zone::Inside {
            "at most"
        } else {
            "more than"
        };
        let all = [(amount.rows, "rows"), (amount.objects, "objects")];
        parts.extend(
            all.iter()
                .filter_map(|(n, thing)| Some(format!("{word} {} {thing}", (*n)?))),
        );
    }
    parts.extend(rule.hours.as_ref().map(ToString::to_string));
    parts.extend(rule.freeze.map(|freeze| freeze.to_string()));
    if parts.is_empty() {
        "always".into()
    } else {
        parts.join(", ")
    }
}

/// Effects that somebody must have forgotten: in neither list, and not the one that never can be in one.
pub fn unlisted(policy: &Policy) -> Vec<Effect> {
    let rows = matrix(policy).into_iter();
    rows.filter(|row| row.rule == "boundary.neither")
        .map(|row| row.effect)
        .collect()
}

/// Rules that never decide anything, and why; and those that hold where nobody meant it.
pub fn idle(policy: &Policy, now_ms: i64) -> Vec<(String, String)> {
    let why = |(at, rule): (usize, &Rule)| Some((rule.id.clone(), why_idle(policy, at, rule, now_ms)?));
    policy.rules.iter().enumerate().filter_map(why).collect()
}

fn why_idle(policy: &Policy, at: usize, rule: &Rule, now_ms: i64) -> Option<String> {
    if let Some(freeze) = rule.freeze.filter(|f| f.until_ms <= now_ms) {
        return Some(format!("its freeze is over ({freeze})"));
    }
    let effects: Vec<Effect> = Effect::ALL.into_iter().filter(|e| about(rule, *e)).collect();
    let lists = |effect: &Effect| listed(policy, *effect).0;
    let mut raising = policy.rules.iter().filter(|r| r.zone != Zone::Inside);
    if rule.zone == Zone::Inside {
        if !rule.environments.is_empty() && policy.environments.is_empty() {
            return Some("nobody drew a map (`environments:`), so nothing is known to be there".into());
        }
        if let Some(wins) = raising
            .clone()
            .find(|wider| covers(wider, rule) && !narrower(rule, wider))
        {
            return Some(format!(
                "`{}` holds wherever it does, and it is no exception to that",
                wins.id
            ));
        }
        let exception = raising.any(|wider| narrower(rule, wider));
        let nothing_new = effects.iter().all(|e| lists(e) == Zone::Inside) && !exception;
        return nothing_new.then(|| "what it brings inside is inside already".into());
    }
    if effects
        .iter()
        .all(|e| matches!(e, Effect::Read | Effect::Unknown))
    {
        return Some("looking is free, and what nobody understood is outside, whatever a rule says".into());
    }
    // A rule that raises is a bar, too, to what would bring an act inside and is no exception to it.
    let inside = || policy.rules.iter().filter(|r| r.zone == Zone::Inside);
    let apart = |r: &Rule| !rule.effects.is_empty() && r.effects.is_disjoint(&rule.effects);
    let bars = |r: &Rule| !apart(r) && !narrower(r, rule);
    if effects
        .iter()
        .all(|e| lists(e) > rule.zone || matches!(e, Effect::Read | Effect::Unknown))
        && !inside().any(bars)
    {
        return Some(format!(
            "what it puts {} the boundary is outside it already",
            rule.zone
        ));
    }
    // The later of two that are alike names the reason.
    let stronger = |(n, other): &(usize, &Rule)| {
        let decides = other.zone > rule.zone || other.zone == rule.zone && *n > at;
        decides && covers(other, rule) && !inside().any(|r| bars(r) && narrower(r, other))
    };
    let shadow = policy.rules.iter().enumerate().find(stronger);
    if let Some((_, other)) = shadow {
        return Some(format!(
            "`{}` holds wherever it does and is at least as strict",
            other.id
        ));
    }
    None
}

/// When nobody could be asked: minutes of a week that begins on Monday 00:00 UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stretch {
    /// First minute.
    pub from: i64,
    /// First minute after it.
    pub until: i64,
}

/// The stretches of a week at which `need` cannot be met by those who can be reached; `signers` are the people with
/// a key. Whoever wrote no hours counts as there always. With `acting`, one of those there is the one who acts, and
/// does not count: whoever that is.
pub fn unmet(policy: &Policy, need: &Need, signers: &BTreeSet<String>, acting: bool) -> Vec<Stretch> {
    let mut all: Vec<Stretch> = Vec::new();
    let mut last: Option<(Vec<String>, bool)> = None;
    for minute in 0..WEEK {
        let there: Vec<String> = policy
            .people
            .iter()
            .filter(|(who, person)| {
                signers.contains(*who) && person.hours.as_ref().is_none_or(|h| h.contain_minute(minute))
            })
            .map(|(who, _)| policy.human(who))
            .collect();
        let met = match &last {
            Some((same, met)) if *same == there => *met,
            _ => can(policy, need, &there, acting),
        };
        last = Some((there, met));
        match all.last_mut() {
            _ if met => {}
            Some(stretch) if stretch.until == minute => stretch.until = minute + 1,
            _ => all.push(Stretch {
                from: minute,
                until: minute + 1,
            }),
        }
    }
    // Sunday night goes over into Monday morning.
    if let [first, .., end] = all.as_slice()
        && (first.from, end.until) == (0, WEEK)
    {
        let joined = Stretch {
            from: end.from,
            until: first.until,
        };
        all.remove(0);
        all.pop();
        all.push(joined);
    }
    all
}

fn can(policy: &Policy, need: &Need, there: &[String], acting: bool) -> bool {
    if !acting {
        return suffice(need, there, policy);
    }
    !there.is_empty()
        && there.iter().all(|actor| {
            let others: Vec<String> = there.iter().filter(|who| *who != actor).cloned().collect();
            suffice(need, &others, policy)
        })
}

/// Whether these people could be the quorum, each with the roles that the runbook gives them.
fn suffice(need: &Need, people: &[String], policy: &Policy) -> bool {
    let count = u32::try_from(people.len()).unwrap_or(u32::MAX);
    let roles: Vec<&String> = need.roles.iter().collect();
    let people: Vec<&String> = people.iter().collect();
    count >= need.people.max(1) && seated(&roles, &people, need.teams_apart, policy)
}

/// Whether each role finds a person of its own, of a team of its own where that is asked.
fn seated(roles: &[&String], free: &[&String], apart: bool, policy: &Policy) -> bool {
    let Some((role, rest)) = roles.split_first() else {
        return true;
    };
    let team = |who: &str| policy.person(who).and_then(|p| p.team.as_deref());
    free.iter().any(|who| {
        let holds = policy.person(who).is_some_and(|p| p.roles.contains(*role));
        let others = free
            .iter()
            .filter(|other| *other != who && (!apart || team(other) != team(who)));
        let others: Vec<&String> = others.copied().collect();
        holds && (!apart || team(who).is_some()) && seated(rest, &others, apart, policy)
    })
}
