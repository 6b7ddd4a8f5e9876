//! One step of a runbook, and the acts, undos, secrets and variables in it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{Backup, DEFAULT_TIMEOUT_MS, check, day, effects, name};
use crate::model::act::{
    Act, COLLECTORS, CaptureSpec, EnvValue, Given, Lane, Manual, Stage, Step, Sweep, Undo,
};
use crate::model::diagnostic::Place;
use crate::model::ids::StepId;
use crate::model::secret::SecretRef;
use crate::model::yaml::{self, Fields, Mistakes, Node, Value};

const VERBS: [&str; 7] = ["run", "manual", "ask", "capture", "revoke", "kill", "disable"];

pub(super) fn step(
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
    let effects_node = fields.take("effects");
    let effects = effects_node.map(|n| effects(n, "effects", mistakes));
    if let (Some(node), Some([])) = (
        effects_node,
        effects_node.map(|n| yaml::items(n, "effects", &Mistakes::of(""))),
    ) {
        let remedy = Some("write `effects: [read]` for what only looks, or leave the field out".to_owned());
        mistakes.add(
            node.place,
            "`effects` is empty: nothing said is nothing proved",
            remedy,
        );
    }
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
        let check = check(&mut inner, n.place, backups, mistakes);
        inner.finish();
        check
    });
    let env = fields.take("env").map(|n| env(n, mistakes)).unwrap_or_default();
    let environment = fields
        .take("environment")
        .and_then(|n| super::rules::environment(n, mistakes));
    let title = fields.text("title");
    let why = fields.text("why");
    let cwd = fields.text("cwd").map(PathBuf::from);
    let rollback_tested = day(&mut fields, "rollback-tested");
    let timeout_ms = fields.span("timeout").unwrap_or(DEFAULT_TIMEOUT_MS);
    let tries = fields.number_in("tries", 1..=10).unwrap_or(1);
    fields.finish();
    let (id, act) = (id?, act?);
    if let Act::Run(argv) | Act::Capture(CaptureSpec::Command { argv, .. }) = &act {
        variables(argv, node.place, backups, mistakes);
    }
    // An undo that cannot be filled in would be found out on the day it is needed.
    if let Undo::By(argv) = &undo {
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
        environment,
        verify,
        cwd,
        env,
        timeout_ms,
        tries: u32::try_from(tries).unwrap_or(1),
    };
    Some((node.place, step))
}

/// At most 72 characters, and a mark where there were more.
fn one_line(text: &str) -> String {
    const LONGEST: usize = 72;
    match text.char_indices().nth(LONGEST) {
        Some(_) => text.chars().take(LONGEST - 1).chain(['…']).collect(),
        None => text.to_owned(),
    }
}

fn title_of(act: &Act) -> String {
    match act {
        Act::Run(argv) => one_line(&argv.join(" ")),
        Act::Manual(manual) => one_line(manual.what.lines().next().unwrap_or("by hand")),
        Act::Ask(question) => one_line(question),
        Act::Capture(CaptureSpec::Host) => "capture the host".into(),
        Act::Capture(CaptureSpec::Command { argv, .. }) => format!("capture `{}`", argv.join(" ")),
        Act::Capture(CaptureSpec::File { path }) => format!("capture {}", path.display()),
        Act::Capture(CaptureSpec::Git { repo }) => format!("capture the repository {}", repo.display()),
        Act::Capture(CaptureSpec::Collector { name, .. }) => format!("capture {name}"),
        Act::Sweep(Sweep::Revoke) => "revoke what the agent holds".into(),
        Act::Sweep(Sweep::Kill) => "kill the agent's processes".into(),
        Act::Restore(back) => format!("give {} back", back.target.id()),
        Act::Renew(new) => format!("make a new credential for {}", new.service),
        Act::Sweep(Sweep::Disable) => "disable what starts the agent again".into(),
    }
}

fn act(verb: &str, node: &Node, mistakes: &Mistakes) -> Option<Act> {
    match verb {
        "run" => {
            if let Value::Text(line) = &node.value {
                // Words in quotes are not split here: a guess at what a shell would do is no remedy.
                let words = match line.contains(|c: char| "'\"\\$|&;<>*`".contains(c)) {
                    true => "program, argument".to_owned(),
                    false => line.split_whitespace().collect::<Vec<_>>().join(", "),
                };
                let remedy = format!("write the arguments as a list: `run: [{words}]`");
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
        Value::Text(word) => Some(CaptureSpec::Collector {
            name: collector(word, node.place, mistakes)?,
            with: BTreeMap::new(),
            changing: Vec::new(),
        }),
        Value::Map(entries)
            if !KINDS
                .iter()
                .any(|kind| entries.iter().any(|(k, _)| k.text == *kind)) =>
        {
            let [(key, values)] = entries.as_slice() else {
                let remedy = Some(CAPTURES.to_owned());
                mistakes.add(node.place, "`capture` names one thing to look at", remedy);
                return None;
            };
            let (with, changing) = given(values, mistakes);
            let name = collector(&key.text, key.place, mistakes)?;
            Some(CaptureSpec::Collector { name, with, changing })
        }
        Value::Map(_) => {
            let mut fields = Fields::of(node, "`capture`", mistakes)?;
            let spec = if let Some(argv) = fields.take("command") {
                let argv = yaml::texts(argv, "command", mistakes);
                let cwd = fields.text("cwd").map(PathBuf::from);
                (!argv.is_empty()).then_some(CaptureSpec::Command { argv, cwd })
            } else if let Some(path) = fields.text("file") {
                Some(CaptureSpec::File { path: path.into() })
            } else {
                let repo = fields.text("git");
                repo.map(|repo| CaptureSpec::Git { repo: repo.into() })
            };
            fields.finish();
            spec
        }
        _ => {
            mistakes.add(
                node.place,
                "this is nothing to look at",
                Some(CAPTURES.to_owned()),
            );
            None
        }
    }
}

/// Items that change something, asked for by name.
const CHANGING: &str = "changing";
/// Looks that are written with what they are given.
const KINDS: [&str; 3] = ["command", "file", "git"];
const CAPTURES: &str = "write `host`, `{file: PATH}`, `{git: PATH}`, `{command: [program, …]}` or a collector, as in \
                        `{postgres: {url: {env: NAME}}}`; `incident capture --list` names them";

fn collector(word: &str, place: Place, mistakes: &Mistakes) -> Option<String> {
    if COLLECTORS.contains(&word) {
        return Some(word.to_owned());
    }
    let remedy = match yaml::nearest(word, &COLLECTORS) {
        Some(near) => format!("did you mean `{near}`?"),
        None => CAPTURES.to_owned(),
    };
    mistakes.add(place, format!("there is no collector `{word}`"), Some(remedy));
    None
}

/// What a collector is given: texts, lists of texts, references to secrets.
fn given(node: &Node, mistakes: &Mistakes) -> (BTreeMap<String, Given>, Vec<String>) {
    let entries = match &node.value {
        Value::Map(entries) => entries.as_slice(),
        Value::Null => &[],
        _ => {
            mistakes.add(
                node.place,
                "what a collector is given must be a mapping (`key: value`)",
                None,
            );
            &[]
        }
    };
    let one = |node: &Node| match &node.value {
        Value::Map(_) => secret_ref(node, mistakes).map(Given::Secret),
        Value::List(_) => Some(Given::Many(yaml::texts(node, "capture", mistakes))),
        _ => yaml::text(node, "capture", mistakes).map(Given::Text),
    };
    let asked = entries.iter().filter(|(key, _)| key.text == CHANGING);
    let asked = asked
        .flat_map(|(_, node)| yaml::texts(node, CHANGING, mistakes))
        .collect();
    let others = entries.iter().filter(|(key, _)| key.text != CHANGING);
    let pairs = others.filter_map(|(key, node)| Some((key.text.clone(), one(node)?)));
    (pairs.collect(), asked)
}

fn undo(node: &Node, mistakes: &Mistakes) -> Undo {
    let Some(mut fields) = Fields::of(node, "`undo`", mistakes) else {
        return Undo::Unsaid;
    };
    let undo = if let Some(run) = fields.take("run") {
        match yaml::texts(run, "run", mistakes) {
            argv if argv.is_empty() => {
                mistakes.add(run.place, "`undo` names no program", None);
                Undo::Unsaid
            }
            argv => Undo::By(argv),
        }
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
pub(super) fn variables(
    argv: &[String],
    place: Place,
    backups: &BTreeMap<String, Backup>,
    mistakes: &Mistakes,
) {
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
