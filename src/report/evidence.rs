//! What was captured, and what was not.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Entry;
use crate::model::event::{Apart, Event, ItemStatus};
use crate::model::incident::{CaptureState, Change, Incident};

/// One capture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Capture {
    /// Its `capture.started`, or `file.attached`.
    pub capture: u64,
    /// Its name.
    pub name: String,
    /// The step it belongs to.
    pub step: Option<String>,
    /// What it was for.
    pub purpose: String,
    /// When it began, RFC 3339.
    pub ts: String,
    /// Who took it.
    pub who: String,
    /// Folder below `data/`; `None` = it never ended.
    pub exhibit: Option<String>,
    /// Things kept whole.
    pub whole: usize,
    /// Things not whole.
    pub holes: usize,
    /// Bytes kept.
    pub bytes: u64,
    /// Secrets taken out.
    pub redactions: u64,
    /// Against the baseline, for a look that repeats one of it.
    pub against: Option<Against>,
}

/// How a look differs from the one of the baseline that it repeats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Against {
    /// The capture of the baseline.
    pub capture: u64,
    /// Things of the same bytes.
    pub same: usize,
    /// Names of things of other bytes.
    pub differs: Vec<String>,
    /// Names of things that were kept before and not after.
    pub gone: Vec<String>,
    /// Names of things that were not kept before.
    pub new: Vec<String>,
    /// Acts begun in between.
    pub acts: Vec<u64>,
    /// Its lines by whose doing they are; `None` where the incident was not recovered by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apart: Option<Apart>,
}

/// Something that was to be looked at and is not whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hole {
    /// The capture or act it belongs to.
    pub capture: u64,
    /// Its name, or its step's.
    pub name: String,
    /// What is missing.
    pub what: String,
    /// What became of it.
    pub status: &'static str,
    /// Why; empty where the record does not say.
    pub why: String,
}

/// Originals of redacted files that only some people can open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Originals {
    /// Who can, and to whom nothing was sealed and why.
    pub sealed: String,
    /// How many.
    pub files: usize,
    /// Which of them have a hand in the incident after all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub acted: Vec<String>,
}

/// The baseline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Baseline {
    /// Its record.
    pub record: u64,
    /// When, RFC 3339.
    pub ts: String,
    /// Who sealed it.
    pub who: String,
    /// Hash of its line.
    pub sha256: String,
    /// The captures it rests on.
    pub captures: Vec<u64>,
    /// What was not known yet.
    pub unknown: Vec<String>,
}

/// Every capture, in order.
pub(super) fn captures(incident: &Incident) -> Vec<Capture> {
    let one = |(seq, c): (&u64, &CaptureState)| {
        let holes = c.items.iter().filter(|i| i.status.is_hole()).count();
        Capture {
            capture: *seq,
            name: c.name.clone(),
            step: c.step.as_ref().map(ToString::to_string),
            purpose: c.purpose.clone(),
            ts: c.ts.clone(),
            who: c.who.clone(),
            exhibit: c.exhibit.clone(),
            whole: c.items.len() - holes,
            holes,
            bytes: c.items.iter().map(|i| i.bytes).sum(),
            redactions: c.items.iter().map(|i| u64::from(i.redactions)).sum(),
            against: (c.purpose == "after").then(|| against(incident, *seq)).flatten(),
        }
    };
    incident.captures.iter().map(one).collect()
}

fn against(incident: &Incident, after: u64) -> Option<Against> {
    let before = incident.baseline_of(after)?;
    let changes = incident.changes(before, after);
    let names = |wanted: Change| {
        let names = changes.iter().filter(|(_, change)| *change == wanted);
        names.map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>()
    };
    Some(Against {
        capture: before,
        same: names(Change::Same).len(),
        differs: names(Change::Differs),
        gone: names(Change::Gone),
        new: names(Change::New),
        acts: incident.acts.range(before..after).map(|(seq, _)| *seq).collect(),
        apart: incident.apart.iter().find(|a| a.after == after).cloned(),
    })
}

/// What is sealed, by who can open it.
pub(super) fn originals(entries: &[Entry], incident: &Incident) -> Vec<Originals> {
    let items = entries.iter().flat_map(|entry| match &entry.event {
        Event::CaptureEnded(e) => &e.items[..],
        Event::ExhibitFiled(e) => &e.items,
        Event::FileAttached(e) => &e.items,
        _ => &[],
    });
    let mut all: BTreeMap<&str, usize> = BTreeMap::new();
    for item in items.filter(|item| item.status == ItemStatus::Sealed) {
        *all.entry(item.why.as_deref().unwrap_or_default()).or_default() += 1;
    }
    let row = |(sealed, files): (&str, usize)| {
        let to = sealed.split(';').next().unwrap_or_default();
        let named = incident.opened.policy.seal_originals_to.iter().map(|r| &r.person);
        let acted = named.filter(|who| to.contains(who.as_str()) && incident.had_a_hand(who));
        Originals {
            sealed: sealed.to_owned(),
            files,
            acted: acted.cloned().collect(),
        }
    };
    all.into_iter().map(row).collect()
}

/// Every hole: what is not whole, in captures and in what acts wrote, and a capture that never ended.
pub(super) fn holes(entries: &[Entry], incident: &Incident) -> Vec<Hole> {
    let mut all = Vec::new();
    for entry in entries {
        let Event::ExhibitFiled(filed) = &entry.event else {
            continue;
        };
        let Some(act) = incident.acts.get(&filed.of) else {
            continue;
        };
        all.extend(
            filed
                .items
                .iter()
                .filter(|i| i.status.is_hole())
                .map(|item| Hole {
                    capture: filed.of,
                    name: act.step.to_string(),
                    what: item.name.clone(),
                    status: item.status.word(),
                    why: item.why.clone().unwrap_or_default(),
                }),
        );
    }
    for (seq, capture) in &incident.captures {
        let hole = |what: &str, status: &'static str, why: &str| Hole {
            capture: *seq,
            name: capture.name.clone(),
            what: what.to_owned(),
            status,
            why: why.to_owned(),
        };
        if capture.exhibit.is_none() {
            all.push(hole(
                "all of it",
                "unknown",
                "the capture never said how it ended",
            ));
        }
    }
    all.extend(incident.holes().into_iter().map(|gap| Hole {
        capture: gap.capture,
        name: gap.of.to_owned(),
        what: gap.names.join(", "),
        status: gap.status.word(),
        why: gap.why.to_owned(),
    }));
    all.sort_by_key(|hole| hole.capture);
    all
}

/// The newest baseline.
pub(super) fn baseline(entries: &[Entry], incident: &Incident) -> Option<Baseline> {
    let (record, sha256) = incident.baseline.clone()?;
    let entry = entries.iter().find(|e| e.seq == record)?;
    let Event::BaselineSealed(e) = &entry.event else {
        return None;
    };
    Some(Baseline {
        record,
        ts: entry.ts.clone(),
        who: entry.who.clone(),
        sha256,
        captures: e.captures.clone(),
        unknown: e.unknown.clone(),
    })
}
