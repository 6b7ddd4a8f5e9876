//! A collector as data: what it is given, and what it looks at, soonest gone first.
//!
//! The shipped tables stand in `tables/`; what may stand in one is explained at the top of
//! `tables/postgres.yaml`. A profile is a table that names others.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::diagnostic::Diagnostic;
use crate::model::yaml::{self, Fields, Mistakes, Node, Value};

/// File name and text of every shipped table, in the order of names.
const SHIPPED: &[(&str, &str)] = &[
    ("agents.yaml", include_str!("tables/agents.yaml")),
    ("backups.yaml", include_str!("tables/backups.yaml")),
    ("cloud.yaml", include_str!("tables/cloud.yaml")),
    ("cloudtrail.yaml", include_str!("tables/cloudtrail.yaml")),
    ("cluster.yaml", include_str!("tables/cluster.yaml")),
    ("containers.yaml", include_str!("tables/containers.yaml")),
    ("credentials.yaml", include_str!("tables/credentials.yaml")),
    ("database.yaml", include_str!("tables/database.yaml")),
    ("day-zero.yaml", include_str!("tables/day-zero.yaml")),
    ("deploy.yaml", include_str!("tables/deploy.yaml")),
    ("host.yaml", include_str!("tables/host.yaml")),
    ("http.yaml", include_str!("tables/http.yaml")),
    ("kubernetes.yaml", include_str!("tables/kubernetes.yaml")),
    ("logs.yaml", include_str!("tables/logs.yaml")),
    ("mysql.yaml", include_str!("tables/mysql.yaml")),
    ("postgres.yaml", include_str!("tables/postgres.yaml")),
    ("redis.yaml", include_str!("tables/redis.yaml")),
    ("repository.yaml", include_str!("tables/repository.yaml")),
    ("source.yaml", include_str!("tables/source.yaml")),
    ("terraform.yaml", include_str!("tables/terraform.yaml")),
];

/// One collector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// What it looks at, in a few words.
    pub title: String,
    /// What it must be allowed to do.
    pub permissions: Vec<String>,
    /// What it leaves behind all the same: every look does.
    pub leaves: Vec<String>,
    /// What it is given, by name.
    pub takes: BTreeMap<String, Take>,
    /// The collectors a profile consists of; empty for any other.
    pub parts: Vec<String>,
    pub(super) database: Option<Database>,
    pub(super) server: Option<Server>,
    pub(super) entries: Vec<Entry>,
}

/// One thing a collector is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Take {
    /// What it is.
    pub about: String,
    /// What is taken where nothing is given; `None` where it has to be given.
    pub default: Option<String>,
    /// How it is understood.
    pub kind: TakeKind,
}

/// How a value is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakeKind {
    /// As it stands.
    Text,
    /// Never written down: a reference to where it is read from.
    Secret,
    /// A span up to now, or a moment.
    Since,
    /// One path or several.
    Paths,
}

/// How a database is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Database {
    /// The value that holds the address.
    pub url: String,
    /// Statements without whose success nothing is asked.
    pub must: Vec<String>,
    /// Statements that may fail.
    pub may: Vec<String>,
}

/// How a server is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    pub base: String,
    /// The value that holds the bearer token, if it was given.
    pub bearer: Option<String>,
    /// PEM file of a private authority, if it was given.
    pub ca: Option<String>,
    /// Member of an answer that leads to the next part, and the parameter that takes it.
    pub next: Option<(String, String)>,
}

/// One thing to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub name: String,
    pub verb: Verb,
    /// The same for each of these.
    pub each: Option<Each>,
    /// Only on this system.
    pub os: Option<String>,
    /// What it changes; such an entry is taken only when asked for by name.
    pub changes: Option<String>,
}

/// What is done to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verb {
    Processes,
    /// A program; arguments in brackets are left out unless all of their values are given.
    Run {
        argv: Vec<Arg>,
        env: Option<String>,
        /// What stands in the output where there was more than the program gave.
        more: Option<String>,
        /// True where it says nothing before its end.
        silent: bool,
    },
    File(String),
    Tree {
        path: String,
        newer: Option<String>,
    },
    Sql {
        columns: Vec<String>,
        text: String,
        each: bool,
    },
    Get {
        path: String,
        head: bool,
    },
    /// The summary of a Terraform state, from a file or a program.
    State(From),
    Git(String),
    Backups(String),
}

/// One argument, or some that belong together and may be left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Arg {
    Plain(String),
    Maybe(Vec<String>),
}

/// Where bytes come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum From {
    File(String),
    Program(Vec<Arg>),
}

/// A list that is asked for first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Each {
    pub from: Lister,
    /// Most of them that are looked at; the rest is named as skipped.
    pub cap: usize,
}

/// What gives the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lister {
    /// A program: one a line, the words of a line under these names.
    Program { argv: Vec<Arg>, words: Vec<String> },
    /// A server: members of each element of `/items`, by JSON pointer; `*` stands for each of a list.
    Get {
        path: String,
        take: Vec<(String, String)>,
    },
}

/// The shipped collector of this name.
pub fn by_name(name: &str) -> Option<Table> {
    let file = format!("{name}.yaml");
    let (file, text) = SHIPPED.iter().find(|(f, _)| *f == file)?;
    // A test reads every shipped table.
    read(file, text).ok()
}

/// The names of all shipped collectors.
pub fn names() -> impl Iterator<Item = &'static str> {
    SHIPPED.iter().filter_map(|(file, _)| file.strip_suffix(".yaml"))
}

/// Reads a table; every mistake with its place.
pub(super) fn read(file: &str, text: &str) -> Result<Table, Vec<Diagnostic>> {
    let mistakes = Mistakes::of(file);
    let node = yaml::parse(file, text).map_err(|e| vec![e])?;
    let read = table(&node, &mistakes);
    match (read, mistakes.count()) {
        (Some(read), 0) => Ok(read),
        _ => Err(mistakes.into_sorted()),
    }
}

fn table(node: &Node, mistakes: &Mistakes) -> Option<Table> {
    let mut fields = Fields::of(node, "a collector", mistakes)?;
    let name = needed(&mut fields, "name");
    let title = needed(&mut fields, "title");
    let permissions = fields.texts("permissions");
    let leaves = fields.texts("leaves");
    let takes = pairs(&mut fields, "takes").filter_map(|(name, node)| Some((name, take(node, mistakes)?)));
    let takes = takes.collect();
    let parts = fields.texts("collectors");
    let database = fields.take("database").and_then(|n| {
        let mut inner = Fields::of(n, "`database`", mistakes)?;
        let url = needed(&mut inner, "url");
        let (must, may) = (inner.texts("must"), inner.texts("may"));
        inner.finish();
        Some(Database { url: url?, must, may })
    });
    let server = fields.take("server").and_then(|n| {
        let mut inner = Fields::of(n, "`server`", mistakes)?;
        let base = needed(&mut inner, "base");
        let (bearer, ca) = (inner.text("bearer"), inner.text("ca"));
        let next = inner.text("next").zip(inner.text("next-as"));
        inner.finish();
        Some(Server {
            base: base?,
            bearer,
            ca,
            next,
        })
    });
    let items = fields.take("items").map(|n| yaml::items(n, "items", mistakes));
    let entries = items
        .unwrap_or_default()
        .iter()
        .filter_map(|n| entry(n, mistakes));
    let entries: Vec<Entry> = entries.collect();
    fields.finish();
    if entries.is_empty() == parts.is_empty() {
        mistakes.add(node.place, "write either `items` or `collectors`", None);
    }
    let mut given = BTreeSet::new();
    for entry in &entries {
        let fresh = given.insert((entry.name.as_str(), entry.os.as_deref()));
        let asks = matches!(entry.verb, Verb::Sql { .. }) && database.is_none()
            || matches!(entry.verb, Verb::Get { .. }) && server.is_none();
        if !fresh || asks {
            let why = format!(
                "`{}` stands here twice, or has no `database` or `server`",
                entry.name
            );
            mistakes.add(node.place, why, None);
        }
    }
    Some(Table {
        name: name?,
        title: title?,
        permissions,
        leaves,
        takes,
        parts,
        database,
        server,
        entries,
    })
}

fn take(node: &Node, mistakes: &Mistakes) -> Option<Take> {
    let mut fields = Fields::of(node, "what a collector takes", mistakes)?;
    let about = needed(&mut fields, "about");
    let default = fields.text("default");
    let kind = match fields.text("kind").as_deref() {
        None => TakeKind::Text,
        Some("secret") => TakeKind::Secret,
        Some("since") => TakeKind::Since,
        Some("paths") => TakeKind::Paths,
        Some(other) => {
            mistakes.add(
                node.place,
                format!("`{other}` is no kind: secret, since, paths"),
                None,
            );
            TakeKind::Text
        }
    };
    // An empty default is how a table says that it does without.
    let bare = fields.flag("optional") == Some(true) && default.is_none();
    let default = if bare { Some(String::new()) } else { default };
    fields.finish();
    Some(Take {
        about: about?,
        default,
        kind,
    })
}

fn entry(node: &Node, mistakes: &Mistakes) -> Option<Entry> {
    let mut fields = Fields::of(node, "an item", mistakes)?;
    let name = needed(&mut fields, "name");
    let each = fields.take("each").and_then(|n| each(n, mistakes));
    let (os, changes) = (fields.text("os"), fields.text("changes"));
    let verb = if fields.flag("processes") == Some(true) {
        Some(Verb::Processes)
    } else if let Some(run) = fields.take("run") {
        let argv = args(run, mistakes);
        let (env, more) = (fields.text("env"), fields.text("more"));
        let silent = fields.flag("silent") == Some(true);
        Some(Verb::Run {
            argv,
            env,
            more,
            silent,
        })
    } else if let Some(path) = fields.text("file") {
        Some(Verb::File(path))
    } else if let Some(path) = fields.text("tree") {
        let newer = fields.text("newer");
        Some(Verb::Tree { path, newer })
    } else if let Some(text) = fields.text("sql") {
        let columns = fields.texts("columns");
        Some(Verb::Sql {
            columns,
            text,
            each: false,
        })
    } else if let Some(text) = fields.text("sql-each") {
        let columns = fields.texts("columns");
        Some(Verb::Sql {
            columns,
            text,
            each: true,
        })
    } else if let Some(path) = fields.text("get") {
        let head = fields.flag("head") == Some(true);
        Some(Verb::Get { path, head })
    } else if let Some(from) = fields.take("terraform-state") {
        match &from.value {
            Value::Text(path) => Some(Verb::State(From::File(path.clone()))),
            _ => Some(Verb::State(From::Program(args(from, mistakes)))),
        }
    } else if let Some(repo) = fields.text("git") {
        Some(Verb::Git(repo))
    } else if let Some(paths) = fields.text("backups") {
        Some(Verb::Backups(paths))
    } else {
        mistakes.add(node.place, "the item does not say what is looked at", None);
        None
    };
    fields.finish();
    Some(Entry {
        name: name?,
        verb: verb?,
        each,
        os,
        changes,
    })
}

fn each(node: &Node, mistakes: &Mistakes) -> Option<Each> {
    let mut fields = Fields::of(node, "`each`", mistakes)?;
    let cap = usize::try_from(fields.number_in("cap", 1..=1_000).unwrap_or(50)).unwrap_or(50);
    let from = if let Some(run) = fields.take("run") {
        let argv = args(run, mistakes);
        let words = fields.texts("words");
        Some(Lister::Program { argv, words })
    } else {
        let path = needed(&mut fields, "get");
        let take = pairs(&mut fields, "take");
        let take = take.filter_map(|(name, n)| Some((name, yaml::text(n, "take", mistakes)?)));
        let take = take.collect();
        path.map(|path| Lister::Get { path, take })
    };
    fields.finish();
    Some(Each { from: from?, cap })
}

fn args(node: &Node, mistakes: &Mistakes) -> Vec<Arg> {
    let items = yaml::items(node, "run", mistakes);
    let arg = |n: &Node| match &n.value {
        Value::List(_) => Some(Arg::Maybe(yaml::texts(n, "run", mistakes))),
        _ => Some(Arg::Plain(yaml::text(n, "run", mistakes)?)),
    };
    items.iter().filter_map(arg).collect()
}

fn needed(fields: &mut Fields<'_, '_>, key: &'static str) -> Option<String> {
    let mistakes = fields.mistakes();
    let node = fields.need(key, "every table has it")?;
    yaml::text(node, key, mistakes)
}

fn pairs<'n>(fields: &mut Fields<'n, '_>, key: &'static str) -> impl Iterator<Item = (String, &'n Node)> {
    let entries = match fields.take(key).map(|n| &n.value) {
        Some(Value::Map(entries)) => entries.as_slice(),
        _ => &[],
    };
    entries.iter().map(|(key, node)| (key.text.clone(), node))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_table_is_read_and_called_as_its_file() {
        for (file, text) in SHIPPED {
            let table = read(file, text).unwrap_or_else(|found| panic!("{found:?}"));
            assert_eq!(format!("{}.yaml", table.name), *file);
            for part in &table.parts {
                assert!(
                    by_name(part).is_some_and(|t| t.parts.is_empty()),
                    "{file}: {part}"
                );
            }
        }
        assert_eq!(names().collect::<Vec<_>>(), crate::model::act::COLLECTORS);
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let found = read("x.yaml", "name: x\ntitle: y\nitems:\n  - {name: a, ran: [x]}\n").unwrap_err();
        let told: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert!(told.iter().any(|t| t.contains("did you mean `run`?")), "{told:?}");
        assert!(read("x.yaml", "name: x\ntitle: y\n").is_err());
        assert!(read("x.yaml", "name: x\ntitle: y\nitems: [{name: a, sql: select 1}]\n").is_err());
    }
}
