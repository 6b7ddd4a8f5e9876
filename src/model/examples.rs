//! Acts that a team knows the zone of: examples to test a boundary with.

use std::collections::{BTreeMap, BTreeSet};

use super::act::{EnvValue, Stage};
use super::diagnostic::Diagnostic;
use super::effect::{Effects, Zone};
use super::reach::Environment;
use super::time::parse_rfc3339;
use super::yaml::{self, Fields, Mistakes, Node, Value};

/// One example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// What a runbook would declare; `None` = nobody classified it.
    pub effects: Option<Effects>,
    /// When it belongs.
    pub stage: Stage,
    /// Where its author says it belongs.
    pub environment: Option<Environment>,
    /// Variables it is given.
    pub env: BTreeMap<String, EnvValue>,
    /// What the step would bring along.
    pub with: BTreeSet<With>,
    /// When it is asked for, ms since the epoch; `None` = now.
    pub at_ms: Option<i64>,
    /// Where it must land.
    pub zone: Zone,
    /// A line for people.
    pub why: Option<String>,
}

/// What a step may bring along.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum With {
    /// A way back.
    Undo,
    /// A verified backup.
    VerifiedBackup,
    /// A rollback on record as tested.
    TestedRollback,
}

const WITH: [(&str, With); 3] = [
    ("undo", With::Undo),
    ("verified-backup", With::VerifiedBackup),
    ("tested-rollback", With::TestedRollback),
];

impl Example {
    /// Reads a file of examples. On mistakes, all of them, in the order of the file.
    pub fn parse(file: &str, source: &str) -> Result<Vec<Example>, Vec<Diagnostic>> {
        let node = yaml::parse(file, source).map_err(|d| vec![d])?;
        let mistakes = Mistakes::of(file);
        let mut all = Vec::new();
        if let Some(mut fields) = Fields::of(&node, "the file", &mistakes) {
            if let Some(version) = fields.need("version", "write `version: 1` as the first line")
                && yaml::text(version, "version", &mistakes).is_some_and(|v| v != "1")
            {
                let remedy = Some("this program reads `version: 1`".to_owned());
                mistakes.add(version.place, "this version is not known to this program", remedy);
            }
            if let Some(list) = fields.need("examples", "write `examples:` with a list of acts") {
                for item in yaml::items(list, "examples", &mistakes) {
                    all.extend(example(item, &mistakes));
                }
                if all.is_empty() && mistakes.count() == 0 {
                    mistakes.add(
                        list.place,
                        "there is no example here: nothing would be tested",
                        None,
                    );
                }
            }
            fields.finish();
        }
        let found = mistakes.into_sorted();
        if found.is_empty() { Ok(all) } else { Err(found) }
    }
}

fn example(node: &Node, mistakes: &Mistakes) -> Option<Example> {
    let mut fields = Fields::of(node, "an example", mistakes)?;
    let run = fields.texts("run");
    let shell = fields.text("shell");
    let argv = match (run.is_empty(), shell) {
        (false, None) => run,
        (true, Some(text)) => vec!["sh".to_owned(), "-c".to_owned(), text],
        _ => {
            let remedy = "write `run: [program, argument]`, or `shell: \"a line for a shell\"`";
            mistakes.add(node.place, "an example is exactly one act", Some(remedy.into()));
            Vec::new()
        }
    };
    let effects = fields
        .take("effects")
        .map(|n| super::runbook::effects(n, "effects", mistakes));
    let stage =
        word(&mut fields, "stage", &Stage::ALL.map(|s| (s.word(), s)), mistakes).unwrap_or(Stage::Recover);
    let environment = word(
        &mut fields,
        "environment",
        &Environment::ALL.map(|e| (e.word(), e)),
        mistakes,
    );
    let zones = [Zone::Inside, Zone::At, Zone::Outside].map(|z| (z.word(), z));
    let before = mistakes.count();
    let zone = word(&mut fields, "zone", &zones, mistakes);
    if zone.is_none() && mistakes.count() == before {
        let remedy = Some("write `zone: inside`, `zone: at` or `zone: outside`".to_owned());
        mistakes.add(node.place, "this example does not say where it must land", remedy);
    }
    let with = fields.texts("with").into_iter().filter_map(|text| {
        let found = WITH.iter().find(|(w, _)| *w == text).map(|(_, with)| *with);
        if found.is_none() {
            let remedy = Some("known: undo, verified-backup, tested-rollback".to_owned());
            mistakes.add(
                node.place,
                format!("`{text}` is nothing a step brings along"),
                remedy,
            );
        }
        found
    });
    let with = with.collect();
    let at_ms = fields.text("at").and_then(|text| {
        let ms = parse_rfc3339(&text);
        if ms.is_none() {
            let remedy = Some("write it as in `2026-12-24T03:00:00Z`".to_owned());
            mistakes.add(node.place, format!("`at: {text}` is not a moment"), remedy);
        }
        ms
    });
    let mut env = BTreeMap::new();
    if let Some(Value::Map(entries)) = fields.take("env").map(|n| &n.value) {
        for (key, value) in entries {
            if let Some(text) = yaml::text(value, "env", mistakes) {
                env.insert(key.text.clone(), EnvValue::Plain(text));
            }
        }
    }
    let why = fields.text("why");
    fields.finish();
    Some(Example {
        argv,
        effects,
        stage,
        environment,
        env,
        with,
        at_ms,
        zone: zone?,
        why,
    })
}

/// One word of a closed list.
fn word<T: Copy>(
    fields: &mut Fields<'_, '_>,
    key: &'static str,
    known: &[(&'static str, T)],
    mistakes: &Mistakes,
) -> Option<T> {
    let node = fields.take(key)?;
    let text = yaml::text(node, key, mistakes)?;
    let found = known.iter().find(|(w, _)| *w == text).map(|(_, value)| *value);
    if found.is_none() {
        let words: Vec<&str> = known.iter().map(|(w, _)| *w).collect();
        let remedy = Some(format!("known here: {}", words.join(" ")));
        mistakes.add(node.place, format!("`{key}: {text}` is not known"), remedy);
    }
    found
}
