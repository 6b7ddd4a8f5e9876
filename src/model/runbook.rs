//! The plan written in advance, and its decoding with every mistake at once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::act::{Check, Stage, Step};
use super::diagnostic::{Diagnostic, Place};
use super::effect::{Effect, Effects};
use super::hours::Hours;
use super::ids::StepId;
use super::reach::Map;
use super::recipient::Recipient;
use super::yaml::{self, Fields, Mistakes, Node, Value};

mod ladder;
mod originals;
mod people;
mod rules;
mod steps;

pub use ladder::{Lone, Reach, Rung, Sends, Way, Webhook, WebhookUrl, host_of};
pub use people::Touch;
pub use rules::{Amount, Period, Rule};
pub use steps::{fill, secret_ref};
use steps::{step, variables};

/// A whole runbook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runbook {
    /// Its name.
    pub name: String,
    /// Who, on which side, with whom.
    pub policy: Policy,
    /// Effects that somebody wrote down as outside; so is all that stands in no list.
    pub outside: Effects,
    /// Backups known beforehand, by name.
    pub backups: BTreeMap<String, Backup>,
    /// Every step, in order, stop first.
    pub steps: Vec<Step>,
    /// What must answer before anything is called recovered.
    pub probes: Vec<Probe>,
    /// How others hear of a request.
    pub reach: Reach,
}

/// What is decided in advance about boundary and escalation. Written into the record at the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Effects inside the boundary.
    pub inside: Effects,
    /// Effects at it. All others are outside.
    pub at: Effects,
    /// Who must sign at the boundary.
    pub need_at: Need,
    /// Who must sign outside it.
    pub need_outside: Need,
    /// How long a sign-off stays good once filed, in milliseconds.
    pub valid_ms: u64,
    /// People by principal.
    pub people: BTreeMap<String, Person>,
    /// When one person may act at the boundary alone; `None` = never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lone: Option<Lone>,
    /// To whom the originals of what is redacted are sealed; nobody = they are not kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seal_originals_to: Vec<Recipient>,
    /// What belongs to which environment; empty where nobody wrote it down.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environments: Map,
    /// Rules beside the two lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// A second policy that counts wherever it is the stricter one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub also: Option<Box<Policy>>,
}

/// Who must sign.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Need {
    /// How many distinct people.
    pub people: u32,
    /// Roles of which each must be held by one of them, a person of its own.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub roles: BTreeSet<String>,
    /// True where the holders of the roles must be of different teams.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub teams_apart: bool,
    /// What their keys must show.
    #[serde(default, skip_serializing_if = "Touch::is_none")]
    pub touch: Touch,
}

/// One person of the roster.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// What they may sign as.
    #[serde(default)]
    pub roles: BTreeSet<String>,
    /// Their team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// When they can be reached; `None` where nobody wrote it down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<Hours>,
    /// Other principals of the same human: they never count as a second person.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub also: BTreeSet<String>,
    /// Roles they may lend without holding them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub gives: BTreeSet<String>,
    /// A program that brings them a request, given on its standard input.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notify: Vec<String>,
}

/// A backup written down in advance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// Its name.
    pub id: String,
    /// Where it lies.
    pub path: PathBuf,
    /// SHA-256 of the file, 64 hexadecimal digits.
    pub sha256: String,
    /// Day of the last test restore.
    pub test_restore: Option<String>,
    /// Identities that can write it.
    pub writable_by: Vec<String>,
}

/// Something that must answer before anything is called recovered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Its name.
    pub id: StepId,
    /// What it asks.
    pub ask: ProbeAsk,
}

/// What a probe asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeAsk {
    /// Output of a program.
    Run(Check),
    /// Status of a page.
    Get {
        /// Absolute URL.
        url: String,
        /// Expected HTTP status.
        status: u16,
    },
}

/// Longest time a step may take where it says nothing, in milliseconds.
pub const DEFAULT_TIMEOUT_MS: u64 = 15 * 60 * 1000;

impl Runbook {
    /// The step of this name.
    pub fn step(&self, id: &StepId) -> Option<&Step> {
        self.steps.iter().find(|s| s.id == *id)
    }

    /// The steps of one stage, in order.
    pub fn stage(&self, stage: Stage) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(move |s| s.stage == stage)
    }

    /// Reads a runbook. On mistakes, all of them, in the order of the file.
    pub fn parse(file: &str, source: &str) -> Result<Runbook, Vec<Diagnostic>> {
        let node = yaml::parse(file, source).map_err(|d| vec![d])?;
        let mistakes = Mistakes::of(file);
        let runbook = whole(&node, &mistakes);
        let found = mistakes.into_sorted();
        match runbook {
            Some(runbook) if found.is_empty() => Ok(runbook),
            _ => Err(found),
        }
    }
}

fn whole(node: &Node, mistakes: &Mistakes) -> Option<Runbook> {
    let mut fields = Fields::of(node, "the runbook", mistakes)?;
    if let Some(version) = fields.need("version", "write `version: 1` as the first line") {
        match yaml::text(version, "version", mistakes).as_deref() {
            Some("1") | None => {}
            Some(other) => mistakes.add(
                version.place,
                format!("version {other} is not known to this program"),
                Some("this program reads `version: 1`".into()),
            ),
        }
    }
    let name = fields.text("name").unwrap_or_else(|| "unnamed".into());
    let people = fields
        .take("people")
        .map(|n| people(n, mistakes))
        .unwrap_or_default();
    let (inside, at, outside) = fields
        .need("boundary", "write `boundary:` with `inside:` and `at:`")
        .map(|node| boundary(node, mistakes))
        .unwrap_or_default();
    let environments = rules::map(fields.take("environments"), mistakes);
    let rules = rules::rules(fields.take("rules"), &people, mistakes);
    let (need_at, need_outside, valid_ms, (lone, reach)) =
        escalation(fields.take("escalation"), &people, mistakes);
    let backups = backups(fields.take("backups"), mistakes);
    let seal_originals_to = originals::recipients(fields.take("evidence"), mistakes);
    let mut steps = Vec::new();
    if let Some(node) = fields.need("stages", "write `stages:` with stop, assess, contain, recover")
        && let Some(mut stages) = Fields::of(node, "`stages`", mistakes)
    {
        for stage in Stage::ALL {
            if let Some(list) = stages.take(stage.word()) {
                for (n, node) in yaml::items(list, stage.word(), mistakes).iter().enumerate() {
                    steps.extend(step(node, stage, n + 1, &backups, mistakes));
                }
            }
        }
        stages.finish();
    }
    let probes = probes(fields.take("probes"), &backups, mistakes);
    fields.finish();
    unique(&steps, mistakes);
    Some(Runbook {
        name,
        policy: Policy {
            inside,
            at,
            need_at,
            need_outside,
            valid_ms,
            people,
            lone,
            seal_originals_to,
            environments,
            rules,
            also: None,
        },
        outside,
        backups,
        steps: steps.into_iter().map(|(_, s)| s).collect(),
        probes,
        reach,
    })
}

fn unique(steps: &[(Place, Step)], mistakes: &Mistakes) {
    let mut seen = BTreeMap::new();
    for (place, step) in steps {
        if let Some(first) = seen.insert(step.id.clone(), *place) {
            let message = format!(
                "two steps are named `{}` (the first is on line {})",
                step.id, first.line
            );
            mistakes.add(*place, message, Some("give each step its own `id`".into()));
        }
    }
}

fn people(node: &Node, mistakes: &Mistakes) -> BTreeMap<String, Person> {
    let mut all = BTreeMap::new();
    let Value::Map(entries) = &node.value else {
        if node.value != Value::Null {
            mistakes.add(node.place, "`people` must be a mapping of principals", None);
        }
        return all;
    };
    for (key, value) in entries {
        if key.text.contains(['*', '?', '!', ',', ' ']) {
            let remedy = Some("write one principal exactly as in allowed_signers".to_owned());
            mistakes.add(key.place, format!("`{}` is not one person", key.text), remedy);
        }
        let Some(mut fields) = Fields::of(value, "a person", mistakes) else {
            continue;
        };
        let person = Person {
            roles: fields.texts("roles").into_iter().collect(),
            team: fields.text("team"),
            hours: fields.take("hours").and_then(|n| rules::hours(n, mistakes)),
            also: fields.texts("also").into_iter().collect(),
            gives: fields.texts("gives").into_iter().collect(),
            notify: fields.texts("notify"),
        };
        fields.finish();
        all.insert(key.text.clone(), person);
    }
    people::known_once(node, &all, mistakes);
    all
}

pub(super) fn effects(node: &Node, key: &str, mistakes: &Mistakes) -> Effects {
    let mut all = Effects::new();
    for item in yaml::items(node, key, mistakes) {
        let Some(word) = yaml::text(item, key, mistakes) else {
            continue;
        };
        match word.parse::<Effect>() {
            Ok(effect) => {
                all.insert(effect);
            }
            Err(e) => {
                let known: Vec<&str> = Effect::ALL.iter().map(|e| e.word()).collect();
                let remedy = match yaml::nearest(&word, &known) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("the effects are: {}", known.join(" ")),
                };
                mistakes.add(item.place, e.to_string(), Some(remedy));
            }
        }
    }
    all
}

fn boundary(node: &Node, mistakes: &Mistakes) -> (Effects, Effects, Effects) {
    let Some(mut fields) = Fields::of(node, "`boundary`", mistakes) else {
        return Default::default();
    };
    let inside_node = fields.take("inside");
    let inside = inside_node
        .map(|n| effects(n, "inside", mistakes))
        .unwrap_or_default();
    let at = fields
        .take("at")
        .map(|n| effects(n, "at", mistakes))
        .unwrap_or_default();
    let outside = fields
        .take("outside")
        .map(|n| effects(n, "outside", mistakes))
        .unwrap_or_default();
    fields.finish();
    let twice = [
        (&inside, &at, "inside and at"),
        (&inside, &outside, "inside and outside"),
        (&at, &outside, "at and outside"),
    ];
    for (one, other, words) in twice {
        for effect in one.intersection(other) {
            let remedy = Some("keep it in one of the two lists".to_owned());
            mistakes.add(
                node.place,
                format!("`{effect}` is both {words} the boundary"),
                remedy,
            );
        }
    }
    for never in [Effect::Unknown, Effect::OneWay, Effect::BulkData] {
        if inside.contains(&never) {
            let place = inside_node.map_or(node.place, |n| n.place);
            let remedy = Some(format!("take `{never}` out of `inside`"));
            mistakes.add(
                place,
                format!("`{never}` can never be inside the boundary"),
                remedy,
            );
        }
    }
    if at.contains(&Effect::Unknown) {
        let remedy = Some("take `unknown` out of `at`: what nobody understood is outside".to_owned());
        mistakes.add(node.place, "`unknown` can never be at the boundary", remedy);
    }
    (inside, at, outside)
}

fn escalation(
    node: Option<&Node>,
    people: &BTreeMap<String, Person>,
    mistakes: &Mistakes,
) -> (Need, Need, u64, (Option<Lone>, Reach)) {
    let mut at = Need::of(1);
    let mut outside = Need::of(2);
    let mut valid = 30 * 60 * 1000;
    let Some(mut fields) = node.and_then(|n| Fields::of(n, "`escalation`", mistakes)) else {
        return (at, outside, valid, Default::default());
    };
    for (key, slot) in [("at", &mut at), ("outside", &mut outside)] {
        let Some(node) = fields.take(key) else { continue };
        let Some(mut inner) = Fields::of(node, "a quorum", mistakes) else {
            continue;
        };
        if let Some(n) = inner.number("people") {
            if n == 0 {
                let remedy =
                    Some("ask at least one other person, or move the effects to `inside`".to_owned());
                mistakes.add(node.place, "a quorum of nobody is no boundary", remedy);
            }
            slot.people = u32::try_from(n).unwrap_or(u32::MAX);
        }
        let roles_node = inner.take("roles");
        slot.roles = roles_node
            .map(|n| yaml::texts(n, "roles", mistakes))
            .unwrap_or_default()
            .into_iter()
            .collect();
        for role in &slot.roles {
            if !people.values().any(|p| p.roles.contains(role)) {
                let place = roles_node.map_or(node.place, |n| n.place);
                mistakes.add(place, format!("nobody in `people` has the role `{role}`"), None);
            }
        }
        people::keys_and_teams(slot, &mut inner);
        inner.finish();
    }
    if let Some(ms) = fields.span("valid") {
        valid = ms;
    }
    let reach = ladder::reach(&mut fields, people, mistakes);
    fields.finish();
    (at, outside, valid, reach)
}

fn backups(node: Option<&Node>, mistakes: &Mistakes) -> BTreeMap<String, Backup> {
    let mut all = BTreeMap::new();
    let Some(node) = node else { return all };
    for item in yaml::items(node, "backups", mistakes) {
        let Some(mut fields) = Fields::of(item, "a backup", mistakes) else {
            continue;
        };
        let id = fields.need("id", "give it a name, as in `id: orders-0200`");
        let path = fields.need("path", "write where the file lies");
        let hash = fields.need("sha256", "write the output of `sha256sum FILE`");
        let id = id.and_then(|n| yaml::text(n, "id", mistakes));
        let path = path.and_then(|n| yaml::text(n, "path", mistakes));
        let sha256 = hash.and_then(|n| yaml::text(n, "sha256", mistakes));
        if let (Some(node), Some(text)) = (hash, &sha256) {
            let hex = text.len() == 64
                && text
                    .bytes()
                    .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
            if !hex {
                let remedy = Some(
                    "write 64 lower-case hexadecimal digits, as `sha256sum FILE` prints them".to_owned(),
                );
                mistakes.add(node.place, "this is not a SHA-256", remedy);
            }
        }
        let test_restore = day(&mut fields, "test-restore");
        let writable_by = fields.texts("writable-by");
        fields.finish();
        if let (Some(id), Some(path), Some(sha256)) = (id, path, sha256) {
            let backup = Backup {
                id: id.clone(),
                path: path.into(),
                sha256,
                test_restore,
                writable_by,
            };
            if all.insert(id.clone(), backup).is_some() {
                mistakes.add(item.place, format!("two backups are named `{id}`"), None);
            }
        }
    }
    all
}

fn probes(node: Option<&Node>, backups: &BTreeMap<String, Backup>, mistakes: &Mistakes) -> Vec<Probe> {
    let mut all = Vec::new();
    let Some(node) = node else { return all };
    for item in yaml::items(node, "probes", mistakes) {
        let Some(mut fields) = Fields::of(item, "a probe", mistakes) else {
            continue;
        };
        let id = name(fields.need("id", "give it a name"), mistakes);
        let ask = if let Some(url) = fields.text("get") {
            let status = fields.number_in("status", 100..=599).unwrap_or(200);
            Some(ProbeAsk::Get {
                url,
                status: u16::try_from(status).unwrap_or(200),
            })
        } else {
            check(&mut fields, item.place, backups, mistakes).map(ProbeAsk::Run)
        };
        fields.finish();
        if let (Some(id), Some(ask)) = (id, ask) {
            all.push(Probe { id, ask });
        }
    }
    all
}

/// `run`, `expect` and `expect-file` of a check.
fn check(
    fields: &mut Fields<'_, '_>,
    place: Place,
    backups: &BTreeMap<String, Backup>,
    mistakes: &Mistakes,
) -> Option<Check> {
    let run = fields.texts("run");
    let expect = fields.text("expect");
    let expect_file = fields.text("expect-file");
    if run.is_empty() {
        let remedy = Some("write `run: [program, argument]`".into());
        mistakes.add(place, "there is nothing to run here", remedy);
        return None;
    }
    variables(&run, place, backups, mistakes);
    Some(Check {
        run,
        expect,
        expect_file,
    })
}

/// A day such as `2026-11-20` under `key`: proof needs a date, and `soon` or `never` is none.
fn day(fields: &mut Fields<'_, '_>, key: &'static str) -> Option<String> {
    let node = fields.take(key)?;
    let text = yaml::text(node, key, fields.mistakes())?;
    if super::time::parse_rfc3339(&format!("{text}T00:00:00Z")).is_some() {
        return Some(text);
    }
    let remedy = Some("write the day it was done, as in `2026-11-20`, or leave it out".to_owned());
    let message = format!("`{key}: {text}` is not a day");
    fields.mistakes().add(node.place, message, remedy);
    None
}

fn name(node: Option<&Node>, mistakes: &Mistakes) -> Option<StepId> {
    let node = node?;
    let text = yaml::text(node, "id", mistakes)?;
    let numbered = text.strip_prefix("do-").is_some_and(|n| n.parse::<u64>().is_ok());
    if numbered {
        let remedy = Some("`do-1`, `do-2`, … name acts that no runbook foresaw; choose another".to_owned());
        mistakes.add(node.place, format!("`{text}` cannot name a step"), remedy);
        return None;
    }
    match StepId::new(&text) {
        Ok(id) => Some(id),
        Err(e) => {
            mistakes.add(node.place, e.to_string(), None);
            None
        }
    }
}
