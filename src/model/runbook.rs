//! The plan written in advance, and its decoding with every mistake at once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::act::{Act, CaptureSpec, Check, EnvValue, Lane, Manual, Stage, Step, Sweep, Undo};
use super::diagnostic::{Diagnostic, Place};
use super::effect::{Effect, Effects};
use super::ids::StepId;
use super::secret::SecretRef;
use super::yaml::{self, Fields, Mistakes, Node, Value};

/// A whole runbook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runbook {
    /// Its name.
    pub name: String,
    /// Who, on which side, with whom.
    pub policy: Policy,
    /// Backups known beforehand, by name.
    pub backups: BTreeMap<String, Backup>,
    /// Every step, in order, stop first.
    pub steps: Vec<Step>,
    /// What must answer before anything is called recovered.
    pub probes: Vec<Probe>,
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
}

/// Who must sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Need {
    /// How many distinct people.
    pub people: u32,
    /// Roles of which each must be held by one of them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub roles: BTreeSet<String>,
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
    let (inside, at) = match fields.need("boundary", "write `boundary:` with `inside:` and `at:`") {
        Some(node) => boundary(node, mistakes),
        None => (Effects::new(), Effects::new()),
    };
    let (need_at, need_outside, valid_ms) = escalation(fields.take("escalation"), &people, mistakes);
    let backups = backups(fields.take("backups"), mistakes);
    let mut steps = Vec::new();
    if let Some(node) = fields.need("stages", "write `stages:` with stop, assess, contain, recover") {
        if let Some(mut stages) = Fields::of(node, "`stages`", mistakes) {
            for stage in Stage::ALL {
                if let Some(list) = stages.take(stage.word()) {
                    for (n, node) in yaml::items(list, stage.word(), mistakes).iter().enumerate() {
                        steps.extend(step(node, stage, n + 1, &backups, mistakes));
                    }
                }
            }
            stages.finish();
        }
    }
    let probes = probes(fields.take("probes"), mistakes);
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
        },
        backups,
        steps: steps.into_iter().map(|(_, s)| s).collect(),
        probes,
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
        };
        fields.finish();
        all.insert(key.text.clone(), person);
    }
    all
}

fn effects(node: &Node, key: &str, mistakes: &Mistakes) -> Effects {
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

fn boundary(node: &Node, mistakes: &Mistakes) -> (Effects, Effects) {
    let Some(mut fields) = Fields::of(node, "`boundary`", mistakes) else {
        return (Effects::new(), Effects::new());
    };
    let inside_node = fields.take("inside");
    let inside = inside_node
        .map(|n| effects(n, "inside", mistakes))
        .unwrap_or_default();
    let at = fields
        .take("at")
        .map(|n| effects(n, "at", mistakes))
        .unwrap_or_default();
    fields.finish();
    for effect in inside.intersection(&at) {
        let remedy = Some("keep it in one of the two lists".to_owned());
        mistakes.add(
            node.place,
            format!("`{effect}` is both inside and at the boundary"),
            remedy,
        );
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
    (inside, at)
}

fn escalation(
    node: Option<&Node>,
    people: &BTreeMap<String, Person>,
    mistakes: &Mistakes,
) -> (Need, Need, u64) {
    let mut at = Need {
        people: 1,
        roles: BTreeSet::new(),
    };
    let mut outside = Need {
        people: 2,
        roles: BTreeSet::new(),
    };
    let mut valid = 30 * 60 * 1000;
    let Some(mut fields) = node.and_then(|n| Fields::of(n, "`escalation`", mistakes)) else {
        return (at, outside, valid);
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
        inner.finish();
    }
    if let Some(ms) = fields.span("valid") {
        valid = ms;
    }
    fields.finish();
    (at, outside, valid)
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
        let test_restore = fields.text("test-restore");
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

fn probes(node: Option<&Node>, mistakes: &Mistakes) -> Vec<Probe> {
    let mut all = Vec::new();
    let Some(node) = node else { return all };
    for item in yaml::items(node, "probes", mistakes) {
        let Some(mut fields) = Fields::of(item, "a probe", mistakes) else {
            continue;
        };
        let id = name(fields.need("id", "give it a name"), mistakes);
        let ask = if let Some(url) = fields.text("get") {
            let status = fields.number("status").unwrap_or(200);
            Some(ProbeAsk::Get {
                url,
                status: u16::try_from(status).unwrap_or(200),
            })
        } else {
            check(&mut fields, item.place).map(ProbeAsk::Run)
        };
        fields.finish();
        if let (Some(id), Some(ask)) = (id, ask) {
            all.push(Probe { id, ask });
        }
    }
    all
}

/// `run`, `expect` and `expect-file` of a check.
fn check(fields: &mut Fields<'_, '_>, place: Place) -> Option<Check> {
    let run = fields.texts("run");
    let expect = fields.text("expect");
    let expect_file = fields.text("expect-file");
    if run.is_empty() {
        fields.mistakes().add(
            place,
            "there is nothing to run here",
            Some("write `run: [program, argument]`".into()),
        );
        return None;
    }
    Some(Check {
        run,
        expect,
        expect_file,
    })
}

fn name(node: Option<&Node>, mistakes: &Mistakes) -> Option<StepId> {
    let node = node?;
    let text = yaml::text(node, "id", mistakes)?;
    match StepId::new(&text) {
        Ok(id) => Some(id),
        Err(e) => {
            mistakes.add(node.place, e.to_string(), None);
            None
        }
    }
}

const VERBS: [&str; 7] = ["run", "manual", "ask", "capture", "revoke", "kill", "disable"];

fn step(
    node: &Node,
    stage: Stage,
    number: usize,
    backups: &BTreeMap<String, Backup>,
    mistakes: &Mistakes,
) -> Option<(Place, Step)> {
    let mut fields = Fields::of(node, "a step", mistakes)?;
    let id_node = fields.take("id");
    let mut acts: Vec<(&str, Option<Act>)> = Vec::new();
    for verb in VERBS {
        if let Some(value) = fields.take(verb) {
            acts.push((verb, act(verb, value, mistakes)));
        }
    }
    if acts.len() != 1 {
        let message = match acts.len() {
            0 => "this step does nothing".to_owned(),
            _ => {
                let verbs: Vec<&str> = acts.iter().map(|(v, _)| *v).collect();
                format!("this step does {} things: {}", acts.len(), verbs.join(", "))
            }
        };
        let remedy = format!("write exactly one of: {}", VERBS.join(", "));
        mistakes.add(node.place, message, Some(remedy));
    }
    let (verb, act) = acts.into_iter().next()?;
    let sweep = matches!(act, Some(Act::Sweep(_)));
    if sweep != (stage == Stage::Stop) && act.is_some() {
        let message = if sweep {
            format!("`{verb}` belongs to `stop`, not to `{stage}`")
        } else {
            "`stop` holds only revoke, kill and disable: it must not wait for anything else".to_owned()
        };
        mistakes.add(node.place, message, None);
    }
    let reads = matches!(act, Some(Act::Ask(_) | Act::Capture(_)));
    if stage == Stage::Assess && !reads && !matches!(act, Some(Act::Run(_) | Act::Manual(_)) | None) {
        mistakes.add(
            node.place,
            format!("`{verb}` has no place in `assess`: it only reads"),
            None,
        );
    }
    let id = match id_node {
        Some(node) => name(Some(node), mistakes),
        None => StepId::new(&format!("{stage}-{number}")).ok(),
    };
    let effects = fields.take("effects").map(|n| effects(n, "effects", mistakes));
    let lane = match fields.text("lane").as_deref() {
        None => Lane::Ordinary,
        Some("protect") => Lane::Protect,
        Some("first") if stage == Stage::Contain => Lane::First,
        Some(other) => {
            let remedy = Some("`lane: protect`, or in contain `lane: first`".to_owned());
            mistakes.add(node.place, format!("`lane: {other}` does not exist here"), remedy);
            Lane::Ordinary
        }
    };
    let undo = fields.take("undo").map_or(Undo::Unsaid, |n| undo(n, mistakes));
    let mut needs_backup = None;
    if let Some(needs) = fields
        .take("needs")
        .and_then(|n| Fields::of(n, "`needs`", mistakes))
    {
        let mut needs = needs;
        if let Some(node) = needs.take("backup") {
            needs_backup = yaml::text(node, "backup", mistakes);
            if let Some(id) = needs_backup.as_ref().filter(|id| !backups.contains_key(*id)) {
                let known: Vec<&str> = backups.keys().map(String::as_str).collect();
                let remedy = match known.as_slice() {
                    [] => "write it down under `backups:`".to_owned(),
                    known => format!("the backups are: {}", known.join(", ")),
                };
                mistakes.add(node.place, format!("there is no backup `{id}`"), Some(remedy));
            }
        }
        needs.finish();
    }
    let verify = fields.take("verify").and_then(|n| {
        let mut inner = Fields::of(n, "`verify`", mistakes)?;
        let check = check(&mut inner, n.place);
        inner.finish();
        check
    });
    let env = fields.take("env").map(|n| env(n, mistakes)).unwrap_or_default();
    let title = fields.text("title");
    let why = fields.text("why");
    let cwd = fields.text("cwd").map(PathBuf::from);
    let rollback_tested = fields.text("rollback-tested");
    let timeout_ms = fields.span("timeout").unwrap_or(DEFAULT_TIMEOUT_MS);
    let tries = fields.number("tries").unwrap_or(1).clamp(1, 10);
    fields.finish();
    let (id, act) = (id?, act?);
    if let Act::Run(argv) = &act {
        variables(argv, node.place, backups, mistakes);
    }
    let title = title.unwrap_or_else(|| title_of(&act));
    let step = Step {
        id,
        stage,
        lane,
        title,
        why,
        act,
        effects,
        undo,
        needs_backup,
        rollback_tested,
        verify,
        cwd,
        env,
        timeout_ms,
        tries: u32::try_from(tries).unwrap_or(1),
    };
    Some((node.place, step))
}

fn title_of(act: &Act) -> String {
    match act {
        Act::Run(argv) => argv.join(" ").chars().take(72).collect(),
        Act::Manual(manual) => manual
            .what
            .lines()
            .next()
            .unwrap_or("by hand")
            .chars()
            .take(72)
            .collect(),
        Act::Ask(question) => question.chars().take(72).collect(),
        Act::Capture(CaptureSpec::Host) => "capture the host".into(),
        Act::Capture(CaptureSpec::Command { argv, .. }) => format!("capture `{}`", argv.join(" ")),
        Act::Capture(CaptureSpec::File { path }) => format!("capture {}", path.display()),
        Act::Capture(CaptureSpec::Git { repo }) => format!("capture the repository {}", repo.display()),
        Act::Sweep(Sweep::Revoke) => "revoke what the agent holds".into(),
        Act::Sweep(Sweep::Kill) => "kill the agent's processes".into(),
        Act::Sweep(Sweep::Disable) => "disable what starts the agent again".into(),
    }
}

fn act(verb: &str, node: &Node, mistakes: &Mistakes) -> Option<Act> {
    match verb {
        "run" => {
            if let Value::Text(line) = &node.value {
                let remedy = format!(
                    "write the arguments as a list: `run: [{}]`",
                    line.split_whitespace().collect::<Vec<_>>().join(", ")
                );
                mistakes.add(
                    node.place,
                    "`run` takes a list, never a line for a shell",
                    Some(remedy),
                );
                return None;
            }
            let argv = yaml::texts(node, "run", mistakes);
            if argv.is_empty() || argv.first().is_some_and(String::is_empty) {
                mistakes.add(node.place, "`run` names no program", None);
                return None;
            }
            Some(Act::Run(argv))
        }
        "manual" => manual(node, mistakes).map(Act::Manual),
        "ask" => yaml::text(node, "ask", mistakes).map(Act::Ask),
        "capture" => capture(node, mistakes).map(Act::Capture),
        "revoke" => sweep(node, "all", Sweep::Revoke, verb, mistakes),
        "kill" => sweep(node, "agents", Sweep::Kill, verb, mistakes),
        "disable" => sweep(node, "triggers", Sweep::Disable, verb, mistakes),
        _ => None,
    }
}

fn sweep(node: &Node, word: &str, sweep: Sweep, verb: &str, mistakes: &Mistakes) -> Option<Act> {
    let given = yaml::text(node, verb, mistakes)?;
    if given != word {
        let remedy = Some(format!(
            "write `{verb}: {word}`; leave something out by taking it out of access.yaml"
        ));
        mistakes.add(node.place, format!("`{verb}: {given}` is not known"), remedy);
    }
    Some(Act::Sweep(sweep))
}

fn manual(node: &Node, mistakes: &Mistakes) -> Option<Manual> {
    if let Value::Text(what) = &node.value {
        return Some(Manual {
            what: what.clone(),
            place: None,
            see: None,
        });
    }
    let mut fields = Fields::of(node, "`manual`", mistakes)?;
    let what = fields
        .need("what", "say what to do")
        .and_then(|n| yaml::text(n, "what", mistakes));
    let place = fields.text("where");
    let see = fields.text("see");
    fields.finish();
    Some(Manual {
        what: what?,
        place,
        see,
    })
}

fn capture(node: &Node, mistakes: &Mistakes) -> Option<CaptureSpec> {
    match &node.value {
        Value::Text(word) if word == "host" => Some(CaptureSpec::Host),
        Value::Map(_) => {
            let mut fields = Fields::of(node, "`capture`", mistakes)?;
            let spec = if let Some(argv) = fields.take("command") {
                let argv = yaml::texts(argv, "command", mistakes);
                let cwd = fields.text("cwd").map(PathBuf::from);
                (!argv.is_empty()).then_some(CaptureSpec::Command { argv, cwd })
            } else if let Some(path) = fields.text("file") {
                Some(CaptureSpec::File { path: path.into() })
            } else if let Some(repo) = fields.text("git") {
                Some(CaptureSpec::Git { repo: repo.into() })
            } else {
                let remedy = Some(
                    "write `host`, `{file: PATH}`, `{git: PATH}` or `{command: [program, …]}`".to_owned(),
                );
                mistakes.add(node.place, "`capture` does not say what to look at", remedy);
                None
            };
            fields.finish();
            spec
        }
        _ => {
            let remedy =
                Some("write `host`, `{file: PATH}`, `{git: PATH}` or `{command: [program, …]}`".to_owned());
            mistakes.add(node.place, "this collector is not known", remedy);
            None
        }
    }
}

fn undo(node: &Node, mistakes: &Mistakes) -> Undo {
    let Some(mut fields) = Fields::of(node, "`undo`", mistakes) else {
        return Undo::Unsaid;
    };
    let undo = if let Some(run) = fields.take("run") {
        Undo::By(yaml::texts(run, "run", mistakes))
    } else if let Some(node) = fields.take("manual") {
        manual(node, mistakes).map_or(Undo::Unsaid, Undo::ByHand)
    } else if let Some(reason) = fields.text("never") {
        Undo::Never(reason)
    } else {
        let remedy = Some("write `run: [program, …]`, `manual: …` or `never: REASON`".to_owned());
        mistakes.add(node.place, "`undo` does not say how", remedy);
        Undo::Unsaid
    };
    fields.finish();
    undo
}

fn env(node: &Node, mistakes: &Mistakes) -> BTreeMap<String, EnvValue> {
    let mut all = BTreeMap::new();
    let Value::Map(entries) = &node.value else {
        mistakes.add(node.place, "`env` must be a mapping", None);
        return all;
    };
    for (key, value) in entries {
        let value = match &value.value {
            Value::Text(text) => Some(EnvValue::Plain(text.clone())),
            _ => secret_ref(value, mistakes).map(EnvValue::From),
        };
        if let Some(value) = value {
            all.insert(key.text.clone(), value);
        }
    }
    all
}

/// Reads `{env: NAME}`, `{file: PATH}`, `{command: […]}` or `{process: NAME}`.
pub fn secret_ref(node: &Node, mistakes: &Mistakes) -> Option<SecretRef> {
    const REMEDY: &str = "write `{env: NAME}`, `{file: PATH}`, `{command: [program, …]}` or `{process: NAME}`; never the secret itself";
    if let Value::Text(_) = &node.value {
        // The value is not repeated: it may be the secret.
        mistakes.add(node.place, "a secret is never written here", Some(REMEDY.into()));
        return None;
    }
    let mut fields = Fields::of(node, "a secret's source", mistakes)?;
    let found = if let Some(name) = fields.text("env") {
        Some(SecretRef::Env(name))
    } else if let Some(path) = fields.text("file") {
        Some(SecretRef::File(path.into()))
    } else if let Some(node) = fields.take("command") {
        Some(SecretRef::Command(yaml::texts(node, "command", mistakes)))
    } else {
        fields.text("process").map(SecretRef::Process)
    };
    fields.finish();
    if found.is_none() {
        mistakes.add(
            node.place,
            "this does not say where the secret is read from",
            Some(REMEDY.into()),
        );
    }
    found
}

/// The closed set of variables: `{{ backup.ID.path }}`, `{{ backup.ID.sha256 }}`, `{{ incident.id }}`.
fn variables(argv: &[String], place: Place, backups: &BTreeMap<String, Backup>, mistakes: &Mistakes) {
    for arg in argv {
        if let Err(e) = fill(arg, backups, "INC") {
            let remedy =
                Some("known: {{ backup.ID.path }}, {{ backup.ID.sha256 }}, {{ incident.id }}".to_owned());
            mistakes.add(place, e, remedy);
        }
    }
}

/// Replaces the variables of one argument. The result stays one argument, whatever it holds.
pub fn fill(arg: &str, backups: &BTreeMap<String, Backup>, incident: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = arg;
    while let Some(start) = rest.find("{{") {
        let (before, tail) = rest.split_at(start);
        out.push_str(before);
        let Some(end) = tail.find("}}") else {
            return Err(format!("`{arg}` opens a variable and does not close it"));
        };
        let name = tail.get(2..end).unwrap_or("").trim();
        let value = match name.split('.').collect::<Vec<_>>().as_slice() {
            ["incident", "id"] => Some(incident.to_owned()),
            ["backup", id, "path"] => backups.get(*id).map(|b| b.path.display().to_string()),
            ["backup", id, "sha256"] => backups.get(*id).map(|b| b.sha256.clone()),
            _ => None,
        };
        out.push_str(&value.ok_or_else(|| format!("there is no variable `{name}`"))?);
        rest = tail.get(end + 2..).unwrap_or("");
    }
    out.push_str(rest);
    Ok(out)
}
