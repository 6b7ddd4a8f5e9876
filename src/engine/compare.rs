//! Two captures of the same look, side by side: what changed after the baseline, what did not, and by whose doing.
//!
//! Lines are compared as sets with counts, not in order: process lists, sockets and tables come in
//! any order, and a moved line is no change of state.

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value;

use super::EngineError;
use super::whose::{Way, Whose, Witness};
use crate::model::act::CaptureSpec;
use crate::model::event::Apart;
use crate::model::incident::{CaptureState, Change, Incident};
use crate::store::Case;

/// Two captures compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// The earlier one.
    pub before: u64,
    /// The later one.
    pub after: u64,
    /// Name of the look.
    pub name: String,
    /// Each thing that is not the same.
    pub changed: Vec<Changed>,
    /// Things of the same bytes.
    pub same: usize,
    /// Acts begun in between: number, title, who.
    pub acts: Vec<(u64, String, String)>,
    /// Its lines by whose doing they are.
    pub apart: Apart,
    /// Some of them, of each kind.
    pub lines: Vec<Line>,
}

/// One thing that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Its name in the exhibit.
    pub name: String,
    /// How.
    pub change: Change,
    /// How many lines are there after and not before.
    pub added: u64,
    /// How many lines were there before and are not after.
    pub removed: u64,
    /// Why lines are not compared.
    pub unread: Option<String>,
}

/// One line of a later look, or one that is no longer in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The thing it stands in.
    pub file: String,
    /// How it stands there.
    pub way: Way,
    /// Its text, at most 300 characters.
    pub text: String,
    /// Whose doing it is.
    pub whose: Whose,
}

/// Longest file whose lines are compared, in bytes.
const CAP: u64 = 32 << 20;
/// Lines shown of each kind, each way.
const SHOWN: usize = 20;
/// Characters shown of a line.
const WIDTH: usize = 300;

/// Every look taken after the repair against the same look of the baseline; or these two captures.
pub fn compare(
    incident: &Incident,
    case: &Case,
    pair: Option<(u64, u64)>,
) -> Result<Vec<Compared>, EngineError> {
    let pairs: Vec<(u64, u64)> = match pair {
        Some(pair) => vec![pair],
        None => {
            let after = incident.captures.iter().filter(|(_, c)| c.purpose == "after");
            let pair = after.filter_map(|(seq, _)| Some((incident.baseline_of(*seq)?, *seq)));
            pair.collect()
        }
    };
    let compared = pairs
        .into_iter()
        .map(|(before, after)| one(incident, case, before, after));
    compared.collect()
}

fn one(incident: &Incident, case: &Case, before: u64, after: u64) -> Result<Compared, EngineError> {
    let ended = |seq: u64| {
        let capture = incident.captures.get(&seq);
        let exhibit = capture.and_then(|c| Some((c, c.exhibit.as_ref()?)));
        exhibit.ok_or_else(|| EngineError::OutOfOrder(format!("record {seq} is no capture that ended")))
    };
    let ((earlier, old), (later, new)) = (ended(before)?, ended(after)?);
    let read = |exhibit: &str, name: &str, there: bool| match there {
        true => case
            .read_file(&Path::new("data").join(exhibit).join(name), CAP)
            .map_err(|e| e.to_string()),
        false => Ok(Vec::new()),
    };
    let mut told = Told {
        witness: Witness::of(incident, case, before, after),
        apart: Apart {
            before,
            after,
            ..Apart::default()
        },
        lines: Vec::new(),
    };
    let (mut changed, mut same) = (Vec::new(), 0);
    for (name, change) in incident.changes(before, after) {
        let source = source_of(later, name)
            .or(source_of(earlier, name))
            .unwrap_or(name);
        let old = read(old, name, !matches!(change, Change::New | Change::Same));
        let texts = old.and_then(|a| Ok((a, read(new, name, change != Change::Gone)?)));
        let texts = texts.and_then(|(a, b)| match a.contains(&0) || b.contains(&0) {
            true => Err("it is no text".to_owned()),
            false => Ok((pieces(&a), pieces(&b))),
        });
        match (change, texts) {
            (Change::Same, texts) => {
                same += 1;
                let lines = texts.map(|(_, lines)| lines).unwrap_or_default();
                lines
                    .iter()
                    .for_each(|line| told.line(name, source, Way::Stayed, line));
            }
            (_, Err(why)) => {
                told.apart.unknown += 1;
                changed.push(Changed::unread(name, change, why));
            }
            (_, Ok((a, b))) => {
                let (went, came, stayed) = apart(&a, &b);
                for (way, lines) in [(Way::Went, &went), (Way::Came, &came), (Way::Stayed, &stayed)] {
                    lines.iter().for_each(|line| told.line(name, source, way, line));
                }
                let count = |lines: &[&Vec<u8>]| u64::try_from(lines.len()).unwrap_or(u64::MAX);
                changed.push(Changed {
                    name: name.to_owned(),
                    change,
                    added: count(&came),
                    removed: count(&went),
                    unread: None,
                });
            }
        }
    }
    let acts = incident.acts.range(before..after);
    Ok(Compared {
        before,
        after,
        name: name_of(later.spec.as_ref(), &later.name),
        changed,
        same,
        acts: acts
            .map(|(seq, act)| (*seq, act.title.clone(), act.who.clone()))
            .collect(),
        apart: told.apart,
        lines: told.lines,
    })
}

/// What is told of the lines of a look.
struct Told {
    witness: Witness,
    apart: Apart,
    lines: Vec<Line>,
}

impl Told {
    fn line(&mut self, file: &str, source: &str, way: Way, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let whose = self.witness.whose(&text, way, source);
        match &whose {
            // It was so before anybody repaired, and nothing shows whose doing it was.
            Whose::Unknown if way == Way::Stayed => return,
            Whose::Unknown => self.apart.unknown += 1,
            Whose::Agent(_) => self.apart.agent += 1,
            Whose::Responders(acts) => {
                let first = acts.first().copied().unwrap_or_default();
                match self.apart.responders.iter_mut().find(|(act, _)| *act == first) {
                    Some((_, lines)) => *lines += 1,
                    None => self.apart.responders.push((first, 1)),
                }
            }
        }
        let kind = std::mem::discriminant(&whose);
        let alike = |l: &&Line| l.way == way && std::mem::discriminant(&l.whose) == kind;
        if self.lines.iter().filter(alike).count() < SHOWN {
            self.lines.push(Line {
                file: file.to_owned(),
                way,
                text: text.chars().take(WIDTH).collect(),
                whose,
            });
        }
    }
}

/// Where a thing of a capture was read.
fn source_of<'c>(capture: &'c CaptureState, name: &str) -> Option<&'c str> {
    let item = capture.items.iter().find(|item| item.name == name);
    item.map(|item| item.source.as_str())
}

impl Changed {
    fn unread(name: &str, change: Change, why: String) -> Self {
        Changed {
            name: name.to_owned(),
            change,
            added: 0,
            removed: 0,
            unread: Some(why),
        }
    }
}

fn name_of(spec: Option<&CaptureSpec>, name: &str) -> String {
    match spec {
        Some(CaptureSpec::File { path }) => path.display().to_string(),
        Some(CaptureSpec::Git { repo }) => repo.display().to_string(),
        Some(CaptureSpec::Command { argv, .. }) => argv.join(" "),
        _ => name.to_owned(),
    }
}

/// What is compared of a text: its lines; of one JSON value what stands in its lists, one element a line, because
/// most servers answer in a single one.
fn pieces(text: &[u8]) -> Vec<Vec<u8>> {
    let is_json = text.trim_ascii_start().starts_with(b"{") || text.trim_ascii_start().starts_with(b"[");
    match is_json.then(|| serde_json::from_slice::<Value>(text)) {
        Some(Ok(value)) => {
            let mut all = Vec::new();
            spread(&value, "", &mut all);
            all
        }
        _ => text.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect(),
    }
}

fn spread(value: &Value, path: &str, all: &mut Vec<Vec<u8>>) {
    let named = |value: &Value| match path {
        "" => value.to_string().into_bytes(),
        path => format!("{path}: {value}").into_bytes(),
    };
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let dot = if path.is_empty() { "" } else { "." };
                spread(value, &format!("{path}{dot}{name}"), all);
            }
        }
        Value::Array(items) => all.extend(items.iter().map(named)),
        value => all.push(named(value)),
    }
}

type Lines<'t> = Vec<&'t Vec<u8>>;

/// Lines only in the first text, only in the second, and in both, in the order in which they stand there.
fn apart<'t>(a: &'t [Vec<u8>], b: &'t [Vec<u8>]) -> (Lines<'t>, Lines<'t>, Lines<'t>) {
    let split = |these: &'t [Vec<u8>], those: &'t [Vec<u8>]| -> (Lines<'t>, Lines<'t>) {
        let mut left: HashMap<&[u8], u64> = HashMap::new();
        for line in those {
            *left.entry(line).or_default() += 1;
        }
        these
            .iter()
            .partition(|line| match left.get_mut(line.as_slice()) {
                Some(n) if *n > 0 => {
                    *n -= 1;
                    false
                }
                _ => true,
            })
    };
    let (came, stayed) = split(b, a);
    (split(a, b).0, came, stayed)
}

#[cfg(test)]
mod tests {
    use super::{apart, pieces};

    #[test]
    fn a_moved_line_is_no_change_and_a_doubled_one_is() {
        let (a, b) = (pieces(b"a\nb\nc\n"), pieces(b"c\nb\nb\nd\n"));
        let (went, came, stayed) = apart(&a, &b);
        assert_eq!(went, [b"a"]);
        assert_eq!(came, [b"b", b"d"]);
        assert_eq!(stayed.len(), 3, "the empty one behind the last line feed, too");
        let many = pieces("x\n".repeat(1_000).as_bytes());
        assert_eq!(apart(&many, &pieces(b"")).0.len(), 1_000);
    }

    #[test]
    fn an_answer_on_one_line_is_compared_by_what_stands_in_its_lists() {
        let text = br#"{"items":[{"id":"a","x":[1]},{"id":"b"}],"page":{"total":2}}"#;
        let lines: Vec<String> = pieces(text)
            .into_iter()
            .map(|l| String::from_utf8(l).unwrap())
            .collect();
        assert_eq!(
            lines,
            [
                r#"items: {"id":"a","x":[1]}"#,
                r#"items: {"id":"b"}"#,
                "page.total: 2"
            ]
        );
        assert_eq!(pieces(b"{not json\n}").len(), 2);
    }
}
