//! Which names belong to which environment, and rules by effect, place, amount and time.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Person, effects};
use crate::model::diagnostic::Place;
use crate::model::effect::{Effect, Effects, Zone};
use crate::model::hours::Hours;
use crate::model::reach::{Environment, Kind, Map, Names};
use crate::model::time::{parse_rfc3339, rfc3339};
use crate::model::yaml::{self, Fields, Mistakes, Node};

/// One rule. It holds where every condition written in it holds; a condition left out always holds.
///
/// The strictest rule that holds wins over the lists of the boundary. A rule `inside` only wins over what is
/// wider than it is in every condition, and over nothing that needs a proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, shown wherever it decides.
    pub id: String,
    /// Where it puts the act.
    pub zone: Zone,
    /// Effects; none = all that change something.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub effects: Effects,
    /// Environments.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub environments: BTreeSet<Environment>,
    /// Names of what the act is aimed at, by kind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub targets: Names,
    /// How much: `more-than` where the rule raises, `at-most` where it is inside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Amount>,
    /// In these hours of the week.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<Hours>,
    /// In this one stretch of time; only rules that raise have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze: Option<Period>,
    /// Why it is there.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
}

/// How much an act changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Amount {
    /// Rows of a database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Resources, files, pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objects: Option<u64>,
}

/// One stretch of time, ms since the epoch; the end is no longer in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Period {
    /// First moment.
    pub from_ms: i64,
    /// First moment after it.
    pub until_ms: i64,
}

impl std::fmt::Display for Period {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} to {}", rfc3339(self.from_ms), rfc3339(self.until_ms))
    }
}

const SHAPE: &str = "write `production: {hosts: [db1, \"*.prod.example.com\"], contexts: [prod-eu]}`";

/// `environments:`.
pub(super) fn map(node: Option<&Node>, mistakes: &Mistakes) -> Map {
    let mut all = Map::new();
    let Some(node) = node else { return all };
    let Some(mut fields) = Fields::of(node, "`environments`", mistakes) else {
        return all;
    };
    for environment in Environment::ALL {
        if let Some(node) = fields.take(environment.word()) {
            let names = names(node, "an environment", mistakes);
            if names.is_empty() {
                mistakes.add(
                    node.place,
                    format!("nothing belongs to `{environment}`"),
                    Some(SHAPE.into()),
                );
            }
            all.insert(environment, names);
        }
    }
    fields.finish();
    if all.is_empty() {
        let message = "`environments` is empty: with it every act would be outside the boundary";
        mistakes.add(node.place, message, Some(SHAPE.into()));
    }
    apart(&all, node.place, mistakes);
    all
}

/// A copy that goes by the name of the original dies with it.
fn apart(map: &Map, place: Place, mistakes: &Mistakes) {
    let of = |environment| map.get(&environment).cloned().unwrap_or_default();
    let (production, backups) = (of(Environment::Production), of(Environment::Backups));
    for (kind, names) in &backups {
        for name in names
            .iter()
            .filter(|n| production.get(kind).is_some_and(|p| p.contains(*n)))
        {
            let remedy = "keep it in one of the two; copies that lie in production are no backups of it";
            let message = format!("{} `{name}` is both `production` and `backups`", kind.word());
            mistakes.add(place, message, Some(remedy.into()));
        }
    }
}

/// Names by kind, as in `{hosts: [db1], databases: ["orders*"]}`.
fn names(node: &Node, what: &'static str, mistakes: &Mistakes) -> Names {
    let mut all = Names::new();
    let Some(mut fields) = Fields::of(node, what, mistakes) else {
        return all;
    };
    for kind in Kind::ALL {
        let Some(node) = fields.take(kind.key()) else {
            continue;
        };
        let given: BTreeSet<String> = yaml::texts(node, kind.key(), mistakes).into_iter().collect();
        if given.iter().any(|name| name.trim().is_empty()) {
            mistakes.add(
                node.place,
                format!("a name under `{}` is empty", kind.key()),
                None,
            );
        }
        if !given.is_empty() {
            all.insert(kind, given);
        }
    }
    fields.finish();
    all
}

/// `rules:`.
pub(super) fn rules(
    node: Option<&Node>,
    people: &BTreeMap<String, Person>,
    mistakes: &Mistakes,
) -> Vec<Rule> {
    let Some(node) = node else { return Vec::new() };
    let mut all: Vec<Rule> = Vec::new();
    for item in yaml::items(node, "rules", mistakes) {
        let Some(rule) = rule(item, people, mistakes) else {
            continue;
        };
        if all.iter().any(|r| r.id == rule.id) {
            mistakes.add(item.place, format!("two rules are named `{}`", rule.id), None);
        }
        all.push(rule);
    }
    all
}

fn rule(node: &Node, people: &BTreeMap<String, Person>, mistakes: &Mistakes) -> Option<Rule> {
    let before = mistakes.count();
    let mut fields = Fields::of(node, "a rule", mistakes)?;
    let mut need = |key: &'static str, remedy: &str| {
        let node = fields.need(key, remedy)?;
        let text = yaml::text(node, key, mistakes)?;
        if text.trim().is_empty() {
            mistakes.add(node.place, format!("`{key}` is empty"), Some(remedy.to_owned()));
        }
        Some(text)
    };
    let id = need("id", "give it a name, as in `id: no-schema-change-on-friday`");
    let zone = need("zone", "write `zone: outside`, `zone: at` or `zone: inside`");
    let reason = need("reason", "write why, for whoever meets it at 3 a.m.");
    let owner = need("owner", "write who answers for it, one of `people:`");
    let zone = zone.and_then(|word| {
        let known = [Zone::Inside, Zone::At, Zone::Outside];
        let zone = known.into_iter().find(|z| z.word() == word);
        if zone.is_none() {
            let remedy = Some("the zones are: inside at outside".to_owned());
            mistakes.add(node.place, format!("`zone: {word}` is not known"), remedy);
        }
        zone
    });
    if let Some(owner) = owner.as_ref().filter(|o| !people.contains_key(*o)) {
        let remedy = Some("name one of `people:`, who can be asked about it".to_owned());
        mistakes.add(node.place, format!("the owner `{owner}` is nobody here"), remedy);
    }
    let given = fields.take("effects").map(|n| effects(n, "effects", mistakes));
    let environments = fields.take("environments").map(|n| environments(n, mistakes));
    let targets = fields.take("targets").map(|n| names(n, "`targets`", mistakes));
    let more = fields.take("more-than").and_then(|n| amount(n, mistakes));
    let most = fields.take("at-most").and_then(|n| amount(n, mistakes));
    let hours = fields.take("hours").and_then(|n| hours(n, mistakes));
    let freeze = fields.take("freeze").and_then(|n| period(n, mistakes));
    fields.finish();
    for (key, empty) in [
        ("effects", given.as_ref().is_some_and(BTreeSet::is_empty)),
        (
            "environments",
            environments.as_ref().is_some_and(BTreeSet::is_empty),
        ),
        ("targets", targets.as_ref().is_some_and(BTreeMap::is_empty)),
    ] {
        if empty {
            let remedy = Some("leave it out where the rule is for all of them".to_owned());
            mistakes.add(
                node.place,
                format!("`{key}` is empty: the rule would hold for nothing"),
                remedy,
            );
        }
    }
    let rule = Rule {
        id: id?,
        zone: zone?,
        effects: given.unwrap_or_default(),
        environments: environments.unwrap_or_default(),
        targets: targets.unwrap_or_default(),
        amount: more.or(most),
        hours,
        freeze,
        reason: reason?,
        owner: owner?,
    };
    fitting(&rule, more.is_some(), most.is_some(), node.place, mistakes);
    (mistakes.count() == before).then_some(rule)
}

/// What a rule of this zone may not say.
fn fitting(rule: &Rule, more: bool, most: bool, place: Place, mistakes: &Mistakes) {
    let wrong = |message: &str, remedy: &str| mistakes.add(place, message, Some(remedy.to_owned()));
    if rule.zone != Zone::Inside {
        if more && rule.effects.is_empty() {
            wrong(
                "this does not say of which `effects` so much is too much",
                "name them: `effects: [data-write]`",
            );
        }
        if most {
            wrong(
                "`at-most` belongs to a rule `inside`",
                "write `more-than:` in a rule that raises",
            );
        }
        return;
    }
    if more {
        wrong(
            "`more-than` belongs to a rule that raises",
            "write `at-most:` in a rule `inside`",
        );
    }
    if rule.freeze.is_some() {
        wrong(
            "a freeze never brings an act inside",
            "write `zone: at` or `zone: outside`",
        );
    }
    let narrow = !rule.environments.is_empty()
        || !rule.targets.is_empty()
        || rule.amount.is_some()
        || rule.hours.is_some();
    if rule.effects.is_empty() || !narrow {
        wrong(
            "a rule `inside` must be narrower than the lists of the boundary",
            "name its `effects` and at least one of `environments`, `targets`, `at-most`, `hours`",
        );
    }
    for never in [Effect::Unknown, Effect::OneWay, Effect::BulkData] {
        if rule.effects.contains(&never) {
            let message = format!("`{never}` can never be inside the boundary");
            wrong(&message, &format!("take `{never}` out of the rule's `effects`"));
        }
    }
}

fn environments(node: &Node, mistakes: &Mistakes) -> BTreeSet<Environment> {
    let mut all = BTreeSet::new();
    for item in yaml::items(node, "environments", mistakes) {
        all.extend(environment(item, mistakes));
    }
    all
}

/// One of the four words.
pub(super) fn environment(node: &Node, mistakes: &Mistakes) -> Option<Environment> {
    let word = yaml::text(node, "environment", mistakes)?;
    let found = Environment::of(&word);
    if found.is_none() {
        let remedy = Some("the environments are: dev staging production backups".to_owned());
        mistakes.add(node.place, format!("`{word}` is not an environment"), remedy);
    }
    found
}

fn amount(node: &Node, mistakes: &Mistakes) -> Option<Amount> {
    let mut fields = Fields::of(node, "an amount", mistakes)?;
    let (rows, objects) = (fields.number("rows"), fields.number("objects"));
    fields.finish();
    if rows.is_none() && objects.is_none() {
        let remedy = Some("write `{rows: 100}` or `{objects: 3}`".to_owned());
        mistakes.add(node.place, "this says no amount", remedy);
        return None;
    }
    Some(Amount { rows, objects })
}

/// Hours of the week.
pub(super) fn hours(node: &Node, mistakes: &Mistakes) -> Option<Hours> {
    let text = yaml::text(node, "hours", mistakes)?;
    match text.parse() {
        Ok(hours) => Some(hours),
        Err(e) => {
            let remedy = "write them with their offset from UTC, as in `Mon-Fri 09:00-17:00 +01:00`";
            mistakes.add(node.place, format!("{e}"), Some(remedy.into()));
            None
        }
    }
}

fn period(node: &Node, mistakes: &Mistakes) -> Option<Period> {
    const REMEDY: &str = "write `{from: 2026-12-20T00:00:00Z, until: 2027-01-02T00:00:00Z}`";
    let mut fields = Fields::of(node, "`freeze`", mistakes)?;
    let mut moment = |key: &'static str| {
        let node = fields.need(key, REMEDY)?;
        let text = yaml::text(node, key, mistakes)?;
        let ms = parse_rfc3339(&text);
        if ms.is_none() {
            mistakes.add(
                node.place,
                format!("`{key}: {text}` is not a moment"),
                Some(REMEDY.into()),
            );
        }
        ms
    };
    let (from_ms, until_ms) = (moment("from"), moment("until"));
    fields.finish();
    let period = Period {
        from_ms: from_ms?,
        until_ms: until_ms?,
    };
    if period.from_ms >= period.until_ms {
        mistakes.add(
            node.place,
            "this freeze ends before it begins",
            Some(REMEDY.into()),
        );
        return None;
    }
    Some(period)
}
