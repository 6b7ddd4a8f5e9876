//! From a table and what it is given to the things to look at.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::each::{EachSource, List};
use super::get::{Door, Get};
use super::git::Repository;
use super::source::{Env, Hole, Program, Source};
use super::sql::{Sql, Statement};
use super::table::{Arg, Entry, From, Lister, Table, TakeKind, Verb, by_name, names};
use super::tfstate::{State, StateFrom};
use super::{NotGiven, Scene};
use crate::model::act::Given;
use crate::model::event::ItemStatus;
use crate::model::secret::SecretRef;
use crate::model::time::{parse_rfc3339, parse_span, rfc3339};
use crate::model::yaml::nearest;

/// Values by name, and where the secret ones are read from.
#[derive(Debug, Clone, Default)]
pub(super) struct Values {
    texts: BTreeMap<String, String>,
    secrets: BTreeMap<String, SecretRef>,
    paths: BTreeMap<String, Vec<PathBuf>>,
}

impl Values {
    /// Text with each `{{ name }}` filled in; `None` where one of them is not given.
    pub(super) fn fill(&self, text: &str) -> Option<String> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, after) = after.split_once("}}")?;
            out.push_str(before);
            // A template of another program, such as docker's `{{json .}}`, goes through as it is.
            if !name
                .trim()
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '_')
            {
                out.push_str(&format!("{{{{{name}}}}}"));
                rest = after;
                continue;
            }
            out.push_str(self.texts.get(name.trim()).filter(|v| !v.is_empty())?);
            rest = after;
        }
        out.push_str(rest);
        Some(out)
    }

    /// The same, with more names on top.
    pub(super) fn with(&self, more: &BTreeMap<String, String>) -> Values {
        let mut all = self.clone();
        all.texts.extend(more.clone());
        all
    }

    pub(super) fn argv(&self, argv: &[Arg]) -> Option<Vec<String>> {
        let mut out = Vec::new();
        for arg in argv {
            match arg {
                Arg::Plain(text) => out.push(self.fill(text)?),
                Arg::Maybe(texts) => {
                    let filled: Option<Vec<String>> = texts.iter().map(|t| self.fill(t)).collect();
                    out.extend(filled.unwrap_or_default());
                }
            }
        }
        Some(out)
    }
}

/// The things this collector looks at, given this, or what is missing or unknown.
pub(super) fn sources(
    collector: &str,
    given: &BTreeMap<String, Given>,
    changing: &[String],
    scene: &Scene,
) -> Result<Vec<Source>, NotGiven> {
    let all = looks(collector, given, changing, scene)?;
    let marked = |name: &String| all.1.contains(name);
    match changing.iter().find(|name| !marked(name)) {
        Some(name) => Err(NotGiven(format!(
            "{collector} has no item `{name}` that changes something"
        ))),
        None => Ok(all.0),
    }
}

/// The sources, and the names of all items that are marked as changing something.
fn looks(
    collector: &str,
    given: &BTreeMap<String, Given>,
    changing: &[String],
    scene: &Scene,
) -> Result<(Vec<Source>, BTreeSet<String>), NotGiven> {
    let table = by_name(collector).ok_or_else(|| unknown(collector))?;
    if table.parts.is_empty() {
        let values = values(&table, given, scene)?;
        return Ok((
            of_table(&table, "", &values, changing, scene),
            marked(&table).collect(),
        ));
    }
    let mut names = BTreeSet::new();
    let mut left: BTreeSet<&str> = given.keys().map(String::as_str).collect();
    let mut all = Vec::new();
    for part in &table.parts {
        let Some(inner) = by_name(part) else { continue };
        let mut own = BTreeMap::new();
        for (key, value) in given {
            // `postgres.url` is for one part, `since` for all that take it.
            let name = match key.split_once('.') {
                Some((whose, name)) if whose == part => name,
                Some(_) => continue,
                None => key,
            };
            if inner.takes.contains_key(name) {
                left.remove(key.as_str());
                own.insert(name.to_owned(), value.clone());
            }
        }
        match values(&inner, &own, scene) {
            Ok(values) => {
                names.extend(marked(&inner));
                all.extend(of_table(&inner, &format!("{part}-"), &values, changing, scene));
            }
            // What nobody gave is a hole in a profile, not the end of it.
            Err(NotGiven(why)) => all.push(Source::Hole(Hole {
                name: part.clone(),
                touches: inner.title.clone(),
                why,
            })),
        }
    }
    match left.first() {
        Some(name) => Err(NotGiven(format!(
            "none of the collectors of {collector} takes `{name}`"
        ))),
        None => Ok((all, names)),
    }
}

fn marked(table: &Table) -> impl Iterator<Item = String> {
    let marked = table.entries.iter().filter(|e| e.changes.is_some());
    marked.map(|e| e.name.clone()).collect::<Vec<_>>().into_iter()
}

fn unknown(collector: &str) -> NotGiven {
    let known: Vec<&str> = names().collect();
    let near = match nearest(collector, &known) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("known are {}", known.join(", ")),
    };
    NotGiven(format!("there is no collector `{collector}`; {near}"))
}

fn values(table: &Table, given: &BTreeMap<String, Given>, scene: &Scene) -> Result<Values, NotGiven> {
    let mut values = Values::default();
    if let Some(name) = given.keys().find(|name| !table.takes.contains_key(*name)) {
        let known: Vec<&str> = table.takes.keys().map(String::as_str).collect();
        return Err(NotGiven(format!(
            "{} takes no `{name}`; it takes {}",
            table.name,
            if known.is_empty() {
                "nothing".to_owned()
            } else {
                known.join(", ")
            }
        )));
    }
    values.texts.insert("home".to_owned(), scene.home.clone());
    values.texts.insert("here".to_owned(), scene.here.clone());
    for (name, take) in &table.takes {
        let wrong = |why: &str| NotGiven(format!("`{name}` of {}: {why}", table.name));
        let value = match (given.get(name), &take.default) {
            (Some(value), _) => value.clone(),
            (None, Some(text)) if text.is_empty() => continue,
            (None, Some(text)) => Given::Text(values.fill(text).unwrap_or_default()),
            (None, None) => {
                return Err(NotGiven(format!(
                    "{} was not given `{name}`: {}",
                    table.name, take.about
                )));
            }
        };
        match (take.kind, value) {
            (TakeKind::Secret, Given::Secret(from)) => {
                values.secrets.insert(name.clone(), from);
            }
            (TakeKind::Secret, _) => {
                return Err(wrong(
                    "it may hold a secret; say where it is read from, as env:NAME or file:PATH",
                ));
            }
            (_, Given::Secret(_)) => return Err(wrong("it is written down, so it is no place for a secret")),
            (TakeKind::Paths, Given::Text(path)) => {
                values.paths.insert(name.clone(), vec![scene.path(&path)]);
            }
            (TakeKind::Paths, Given::Many(paths)) => {
                let paths = paths.iter().map(|p| scene.path(p)).collect();
                values.paths.insert(name.clone(), paths);
            }
            (_, Given::Many(_)) => return Err(wrong("it is a single value")),
            (TakeKind::Text, Given::Text(text)) => {
                values.texts.insert(name.clone(), text);
            }
            (TakeKind::Since, Given::Text(text)) => {
                let span = parse_span(&text).and_then(|ms| i64::try_from(ms).ok());
                let at = span.map(|ms| scene.now_ms - ms).or_else(|| parse_rfc3339(&text));
                let at = at.ok_or_else(|| {
                    wrong("write a span such as 2h, or a moment such as 2026-11-22T03:14:00Z")
                })?;
                values.texts.insert(name.clone(), rfc3339(at));
                values
                    .texts
                    .insert(format!("{name}.unix"), (at / 1_000).to_string());
            }
        }
    }
    Ok(values)
}

fn of_table(table: &Table, prefix: &str, values: &Values, changing: &[String], scene: &Scene) -> Vec<Source> {
    let mut all: Vec<Source> = Vec::new();
    for entry in &table.entries {
        if entry.os.as_deref().is_some_and(|os| os != scene.os) {
            continue;
        }
        let source = of_entry(table, entry, prefix, values, changing);
        match (all.last_mut(), source) {
            // One session after the other questions: a database in trouble is not asked by four at once.
            (Some(Source::Sql(open)), Source::Sql(mut more)) => open.ask.append(&mut more.ask),
            (_, source) => all.push(source),
        }
    }
    all
}

fn of_entry(table: &Table, entry: &Entry, prefix: &str, values: &Values, changing: &[String]) -> Source {
    let hole = |why: String| {
        Source::Hole(Hole {
            name: format!("{prefix}{}", entry.name),
            touches: table.title.clone(),
            why,
        })
    };
    if let Some(what) = &entry.changes
        && !changing.contains(&entry.name)
    {
        return hole(format!(
            "it changes something: {what}; ask for it by `--changing {}`",
            entry.name
        ));
    }
    if let Some(each) = &entry.each {
        let list = match &each.from {
            Lister::Program { argv, words } => values.argv(argv).map(|argv| List::Program {
                argv,
                words: words.clone(),
            }),
            Lister::Get { path, take } => door(table, values).and_then(|door| {
                Some(List::Get {
                    get: Get {
                        name: entry.name.clone(),
                        path: values.fill(path)?,
                        door,
                        head: false,
                    },
                    take: take.clone(),
                })
            }),
        };
        let one = Entry {
            each: None,
            changes: None,
            ..entry.clone()
        };
        return match list {
            Some(list) => Source::Each(Box::new(EachSource {
                list,
                cap: each.cap,
                table: table.clone(),
                entry: one,
                prefix: prefix.to_owned(),
                values: values.clone(),
            })),
            None => hole("what it needs was not given".to_owned()),
        };
    }
    verb(table, entry, prefix, values).unwrap_or_else(|| hole("what it needs was not given".to_owned()))
}

/// One entry with every value filled in; `None` where one is not given.
pub(super) fn verb(table: &Table, entry: &Entry, prefix: &str, values: &Values) -> Option<Source> {
    let name = format!("{prefix}{}", values.fill(&entry.name)?);
    Some(match &entry.verb {
        Verb::Processes => Source::Processes(name),
        Verb::Run {
            argv,
            env,
            more,
            silent,
        } => Source::Program(Program {
            name,
            argv: values.argv(argv)?,
            cwd: None,
            env: match env.as_deref() {
                Some("given") => Env::Given,
                _ => Env::Own(Vec::new()),
            },
            optional: true,
            more: more.clone(),
            silent: *silent,
        }),
        Verb::File(path) => Source::File {
            name,
            path: values.fill(path)?.into(),
        },
        Verb::Tree { path, newer } => Source::Tree {
            path: values.fill(path)?.into(),
            newer_ms: match newer {
                Some(text) => Some(parse_rfc3339(&values.fill(text)?)?),
                None => None,
            },
            prefix: Some(name),
        },
        Verb::Sql { columns, text, each } => {
            let database = table.database.as_ref()?;
            Source::Sql(Sql {
                url: values.secrets.get(&database.url)?.clone(),
                must: database.must.clone(),
                may: database.may.clone(),
                ask: vec![Statement {
                    name,
                    columns: columns.clone(),
                    text: values.fill(text)?,
                    each: *each,
                }],
            })
        }
        Verb::Get { path, head } => Source::Get(Get {
            name,
            path: values.fill(path)?,
            door: door(table, values)?,
            head: *head,
        }),
        Verb::State(from) => Source::State(State {
            name,
            from: match from {
                From::File(path) => StateFrom::File(values.fill(path)?.into()),
                From::Program(argv) => StateFrom::Program(values.argv(argv)?),
            },
        }),
        Verb::Git(repo) => Source::Git(Repository {
            repo: values.fill(repo)?.into(),
            // The items have names of their own.
            prefix: prefix.to_owned(),
        }),
        Verb::Backups(paths) => Source::Backups {
            name,
            paths: values.paths.get(paths)?.clone(),
        },
    })
}

fn door(table: &Table, values: &Values) -> Option<Door> {
    let server = table.server.as_ref()?;
    Some(Door {
        base: values.fill(&server.base)?,
        bearer: server
            .bearer
            .as_ref()
            .and_then(|name| values.secrets.get(name).cloned()),
        ca: server
            .ca
            .as_ref()
            .and_then(|ca| values.fill(ca))
            .map(PathBuf::from),
        next: server.next.clone(),
    })
}

impl Hole {
    /// The status of a thing that was left alone on purpose.
    pub(super) const STATUS: ItemStatus = ItemStatus::Skipped;
}
