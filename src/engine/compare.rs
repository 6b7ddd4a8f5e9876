//! Two captures of the same look, side by side: what changed after the baseline, and what did not.
//!
//! Lines are compared as sets with counts, not in order: process lists, sockets and tables come in
//! any order, and a moved line is no change of state.

use std::collections::HashMap;
use std::path::Path;

use super::EngineError;
use crate::model::act::CaptureSpec;
use crate::model::incident::{Change, Incident};
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
}

/// One thing that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Its name in the exhibit.
    pub name: String,
    /// How.
    pub change: Change,
    /// Lines that are there after and not before, and how many there are of them in all.
    pub added: (Vec<String>, u64),
    /// Lines that were there before and are not after.
    pub removed: (Vec<String>, u64),
    /// Why lines are not compared.
    pub unread: Option<String>,
}

/// Longest file whose lines are compared, in bytes.
const CAP: u64 = 32 << 20;
/// Lines shown of a change, each way.
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
    let ((_, old), (later, new)) = (ended(before)?, ended(after)?);
    let read = |exhibit: &str, name: &str, there: bool| match there {
        true => case
            .read_file(&Path::new("data").join(exhibit).join(name), CAP)
            .map_err(|e| e.to_string()),
        false => Ok(Vec::new()),
    };
    let (mut changed, mut same) = (Vec::new(), 0);
    for (name, change) in incident.changes(before, after) {
        if change == Change::Same {
            same += 1;
            continue;
        }
        let old = read(old, name, change != Change::New);
        let texts = old.and_then(|a| Ok((a, read(new, name, change != Change::Gone)?)));
        changed.push(match texts {
            Ok((a, b)) if a.contains(&0) || b.contains(&0) => {
                Changed::unread(name, change, "it is no text".to_owned())
            }
            Ok((a, b)) => {
                let (removed, added) = apart(&a, &b);
                Changed {
                    name: name.to_owned(),
                    change,
                    added,
                    removed,
                    unread: None,
                }
            }
            Err(why) => Changed::unread(name, change, why),
        });
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
    })
}

impl Changed {
    fn unread(name: &str, change: Change, why: String) -> Self {
        Changed {
            name: name.to_owned(),
            change,
            added: (Vec::new(), 0),
            removed: (Vec::new(), 0),
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

/// Some lines, and how many there are in all.
type Lines = (Vec<String>, u64);

/// Lines only in the first text, and only in the second, in the order in which they stand there.
fn apart(a: &[u8], b: &[u8]) -> (Lines, Lines) {
    let lines = |text: &[u8]| -> Vec<Vec<u8>> { text.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect() };
    let (a, b) = (lines(a), lines(b));
    let only = |these: &[Vec<u8>], those: &[Vec<u8>]| {
        let mut left: HashMap<&[u8], u64> = HashMap::new();
        for line in those {
            *left.entry(line).or_default() += 1;
        }
        let (mut shown, mut count) = (Vec::new(), 0);
        for line in these {
            match left.get_mut(line.as_slice()) {
                Some(n) if *n > 0 => *n -= 1,
                _ => {
                    count += 1;
                    if shown.len() < SHOWN {
                        shown.push(String::from_utf8_lossy(line).chars().take(WIDTH).collect());
                    }
                }
            }
        }
        (shown, count)
    };
    (only(&a, &b), only(&b, &a))
}

#[cfg(test)]
mod tests {
    use super::apart;

    #[test]
    fn a_moved_line_is_no_change_and_a_doubled_one_is() {
        let (removed, added) = apart(b"a\nb\nc\n", b"c\nb\nb\nd\n");
        assert_eq!(removed, (vec!["a".to_owned()], 1));
        assert_eq!(added, (vec!["b".to_owned(), "d".to_owned()], 2));
        let many = "x\n".repeat(1_000);
        let (removed, _) = apart(many.as_bytes(), b"");
        assert_eq!((removed.0.len(), removed.1), (20, 1_000));
    }
}
