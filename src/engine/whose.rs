//! Whose doing a line of a later look is: the agent's, the responders', or nobody can tell.
//!
//! Both take a proof in the record. A line is the agent's where it names what only the agent held and says a time
//! before the stop, when nobody else used it; it is the responders' where it names what an act of the record was
//! for, and was not there before that act. Whatever names both, or neither, is unknown.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use regex::Regex;

use super::act::act_file;
use crate::access::is_transcript;
use crate::journal::Hash;
use crate::model::act::{Act, Resolved};
use crate::model::effect::Effect;
use crate::model::event::Outcome;
use crate::model::grant::{Grant, Shared, Target};
use crate::model::incident::{ActState, Incident};
use crate::model::time::parse_rfc3339;
use crate::store::Case;

/// Whose doing it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// The agent's: this name of its access stands there, with a time before the stop.
    Agent(String),
    /// The responders': these acts name it.
    Responders(Vec<u64>),
    /// The record does not tell.
    Unknown,
}

/// How a line stands in the later look, against the earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It is there now and was not.
    Came,
    /// It was there and is not.
    Went,
    /// It was there before, too.
    Stayed,
}

/// Keys of a grant under which stands where it holds, and not whose it is.
const PLACES: [&str; 17] = [
    "address",
    "api",
    "url",
    "endpoint",
    "base",
    "host",
    "region",
    "project",
    "org",
    "owner",
    "database",
    "file",
    "sshd-config",
    "krl",
    "namespace",
    "subscription",
    "group",
];

/// Largest act that is read, in bytes.
const CAP: u64 = 1 << 20;

/// What the record knows that tells whose doing a line is.
#[derive(Debug, Default)]
pub(super) struct Witness {
    /// Names of what only the agent held.
    agents: BTreeSet<String>,
    /// When the first sweep began, ms since the epoch.
    stop_ms: Option<i64>,
    acts: Vec<Named>,
}

/// An act and what it was for.
#[derive(Debug)]
struct Named {
    seq: u64,
    began_ms: i64,
    names: BTreeSet<String>,
}

impl Witness {
    /// What the record knows of the time between two of its records.
    pub fn of(incident: &Incident, case: &Case, before: u64, after: u64) -> Witness {
        let targets = incident.stop.targets.values().map(|t| &t.aim.target);
        let grants = targets.filter_map(|target| match target {
            Target::Grant(grant) if grant.shared == Shared::No => Some(grant),
            _ => None,
        });
        let changed = |act: &&ActState| {
            let done = act.ended.as_ref().is_some_and(|e| e.outcome == Outcome::Done);
            done && act.effects.iter().any(|e| *e != Effect::Read)
        };
        let acts = incident.acts.range(before..after).filter(|(_, act)| changed(act));
        let named = acts.filter_map(|(seq, act)| {
            Some(Named {
                seq: *seq,
                began_ms: parse_rfc3339(&act.ts)?,
                names: names_of(&resolved(case, &act.act_sha256)?),
            })
        });
        Witness {
            agents: grants.flat_map(held).collect(),
            stop_ms: incident.stop.started_ts.as_deref().and_then(parse_rfc3339),
            acts: named.collect(),
        }
    }

    /// Whose doing a line is that was looked at in this file, or wherever else it came from.
    pub fn whose(&self, line: &str, way: Way, source: &str) -> Whose {
        let words: BTreeSet<&str> = words(line).collect();
        let times = times(line);
        let agents = self.agents.iter().find(|name| words.contains(name.as_str()));
        let names_it = |act: &&Named| {
            let named = act.names.contains(source) || words.iter().any(|word| act.names.contains(*word));
            // What has a time and only an earlier one did not come of it.
            let too_early = way == Way::Came && !times.is_empty() && times.iter().all(|t| *t < act.began_ms);
            named && !too_early
        };
        let acts: Vec<u64> = match way {
            Way::Stayed => Vec::new(),
            _ => self.acts.iter().filter(names_it).map(|act| act.seq).collect(),
        };
        let before_stop =
            !times.is_empty() && times.iter().all(|t| self.stop_ms.is_some_and(|stop| *t < stop));
        match agents {
            // What an agent writes down itself is its word, not its doing.
            Some(name)
                if acts.is_empty()
                    && before_stop
                    && way != Way::Went
                    && !is_transcript(Path::new(source)) =>
            {
                Whose::Agent(name.clone())
            }
            None if !acts.is_empty() => Whose::Responders(acts),
            _ => Whose::Unknown,
        }
    }
}

/// The act of this digest, where its file is still the one that was judged.
fn resolved(case: &Case, digest: &str) -> Option<Resolved> {
    let bytes = case
        .read_file(&Path::new("signoffs").join(act_file(digest)), CAP)
        .ok()?;
    let same = Hash::of(&bytes).to_string() == digest;
    serde_json::from_slice(&bytes).ok().filter(|_| same)
}

/// Names in a grant that say whose it is.
fn held(grant: &Grant) -> impl Iterator<Item = String> + '_ {
    let own = grant
        .with
        .iter()
        .filter(|(key, _)| !PLACES.contains(&key.as_str()));
    own.map(|(_, value)| value.clone()).filter(|value| tells(value))
}

/// What an act was for: the words of its program, without those that only say where it ran.
fn names_of(act: &Resolved) -> BTreeSet<String> {
    let Act::Run(argv) = &act.act else {
        return BTreeSet::new();
    };
    let reaches = act.scope.reaches.iter().filter(|r| r.kind.is_place());
    let places = act
        .targets
        .values()
        .chain(reaches.filter_map(|r| r.name.as_ref()));
    let programs = act.files.iter().map(|file| &file.path);
    let not_meant: BTreeSet<&String> = places.chain(programs).collect();
    let mut names = BTreeSet::new();
    for word in argv.iter().skip(1).flat_map(|argument| words(argument)) {
        let last = match word.contains("://") {
            true => word.rsplit('/').find(|part| !part.is_empty()).unwrap_or(word),
            false => word,
        };
        let below = below(&act.cwd, word);
        if last.starts_with('-') || not_meant.contains(&below) {
            continue;
        }
        names.extend(
            [last.to_owned(), below]
                .into_iter()
                .filter(|name| tells(name) && !not_meant.contains(name)),
        );
    }
    names
}

/// A path as it would be from this folder, `.` and `..` followed as text.
fn below(folder: &str, word: &str) -> String {
    let mut path = PathBuf::new();
    for part in Path::new(folder).join(word).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(path.pop()),
            other => path.push(other),
        }
    }
    path.display().to_string()
}

/// The words of a text, as names stand in logs, tables, commands and JSON.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let parts = text.split(|c: char| c.is_whitespace() || c.is_control() || "\"'`,;=|<>(){}[]\\".contains(c));
    let bare = parts.map(|part| part.trim_matches(['.', ':']));
    bare.filter(|part| !part.is_empty())
}

/// True for a word that stands for one thing: `restore` or `web` may mean anything.
fn tells(word: &str) -> bool {
    word.len() >= 4 && word.bytes().any(|b| b.is_ascii_digit() || b"-_./@:".contains(&b))
}

/// Every time that a line says together with its zone, in ms since the epoch.
fn times(line: &str) -> Vec<i64> {
    static TIME: OnceLock<Option<Regex>> = OnceLock::new();
    let time = TIME.get_or_init(|| {
        Regex::new(
            r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d(?:\.\d{1,9})?)(?:(Z| ?UTC\b| ?GMT\b)|([+-]\d\d):?(\d\d)?)",
        )
        .ok()
    });
    let found = time.iter().flat_map(|time| time.captures_iter(line));
    let read = found.filter_map(|part| {
        let (day, clock) = (part.get(1)?.as_str(), part.get(2)?.as_str());
        let zone = match part.get(4) {
            Some(hours) => format!("{}:{}", hours.as_str(), part.get(5).map_or("00", |m| m.as_str())),
            None => "Z".to_owned(),
        };
        parse_rfc3339(&format!("{day}T{clock}{zone}"))
    });
    read.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn witness() -> Witness {
        let stop_ms = parse_rfc3339("2026-03-14T05:05:02Z");
        let began_ms = parse_rfc3339("2026-03-14T05:13:28Z").unwrap();
        let names = |all: &[&str]| all.iter().map(|n| (*n).to_owned()).collect();
        Witness {
            agents: names(&["tok-dns"]),
            stop_ms,
            acts: vec![Named {
                seq: 57,
                began_ms,
                names: names(&["vol-bookings", "/srv/shop/page.html"]),
            }],
        }
    }

    #[test]
    fn a_line_is_somebodys_only_with_a_proof() {
        use Way::{Came, Stayed, Went};
        let agent = Whose::Agent("tok-dns".to_owned());
        let act = Whose::Responders(vec![57]);
        for (line, way, source, whose) in [
            // It names the agent's access, before the stop: also where the log came late.
            (
                r#"{"at":"2026-03-14T05:04:38Z","by":"tok-dns"}"#,
                Stayed,
                "x",
                &agent,
            ),
            (
                r#"{"at":"2026-03-14T05:04:38Z","by":"tok-dns"}"#,
                Came,
                "x",
                &agent,
            ),
            ("2026-03-14 06:04:38.2+01 tok-dns: dropped", Stayed, "x", &agent),
            // After the stop this program tries it, too.
            (
                r#"{"at":"2026-03-14T05:05:09Z","by":"tok-dns"}"#,
                Came,
                "x",
                &Whose::Unknown,
            ),
            // Without a time, or without a zone, nobody knows when.
            ("tok-dns volume-deleted", Stayed, "x", &Whose::Unknown),
            (
                "2026-03-14 05:04:38 tok-dns volume-deleted",
                Stayed,
                "x",
                &Whose::Unknown,
            ),
            // One of its times is later.
            (
                "2026-03-14T05:04:38Z tok-dns until 2026-03-16T05:04:38Z",
                Stayed,
                "x",
                &Whose::Unknown,
            ),
            // Another name that only contains it.
            ("2026-03-14T05:04:38Z tok-dns-2", Stayed, "x", &Whose::Unknown),
            // Its own transcript is its word; what went, went for a reason nobody wrote down.
            (
                "2026-03-14T05:04:38Z tok-dns",
                Stayed,
                "/home/a/.claude/projects/p/1.jsonl",
                &Whose::Unknown,
            ),
            ("2026-03-14T05:04:38Z tok-dns", Went, "x", &Whose::Unknown),
            // An act names it.
            (r#"{"id":"vol-bookings","state":"live"}"#, Came, "x", &act),
            (r#"{"id":"vol-bookings","state":"deleted"}"#, Went, "x", &act),
            ("<h1>open</h1>", Came, "/srv/shop/page.html", &act),
            ("2026-03-14T05:13:29Z undeleted vol-bookings", Came, "x", &act),
            // It was so before the act, or the line stayed.
            (
                "2026-03-14T05:13:27Z undeleted vol-bookings",
                Came,
                "x",
                &Whose::Unknown,
            ),
            (r#"{"id":"vol-bookings"}"#, Stayed, "x", &Whose::Unknown),
            // Both are named, or neither.
            (
                "2026-03-14T05:04:38Z tok-dns deleted vol-bookings, undone 2026-03-14T05:13:29Z",
                Came,
                "x",
                &Whose::Unknown,
            ),
            (
                r#"{"id":"vol-photos","state":"live"}"#,
                Came,
                "x",
                &Whose::Unknown,
            ),
        ] {
            assert_eq!(witness().whose(line, way, source), *whose, "{way:?} {line}");
        }
        // Before any stop nothing is anybody's.
        let never = Witness {
            stop_ms: None,
            ..witness()
        };
        assert_eq!(
            never.whose("2026-03-14T05:04:38Z tok-dns", Stayed, "x"),
            Whose::Unknown
        );
    }

    #[test]
    fn words_that_may_mean_anything_are_no_names() {
        for (word, is_name) in [
            ("restore", false),
            ("web", false),
            ("a-b", false),
            ("vol-bookings", true),
            ("orders_restored", true),
            ("/srv/x", true),
            ("i-0abc", true),
        ] {
            assert_eq!(tells(word), is_name, "{word}");
        }
        assert_eq!(below("/srv/shop", "../a/./b"), "/srv/a/b");
        let said: Vec<&str> = words(r#"{"by":"tok-dns", x=[/srv/a]} done."#).collect();
        assert_eq!(said, ["by", "tok-dns", "x", "/srv/a", "done"]);
    }
}
