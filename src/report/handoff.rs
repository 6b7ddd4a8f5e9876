//! What the next person on shift must know, as Markdown.

use serde::Serialize;

use super::brief::waits;
use super::danger::{elapsed, standing, still_dangerous, where_it_is};
use super::decisions::outcome;
use super::facts::Head;
use super::markdown::{ReportError, fill};
use super::{Due, Entry, evidence};
use crate::model::incident::Incident;
use crate::model::time::{Moment, rfc3339};

const HANDOFF: &str = include_str!("../../templates/handoff.md.j2");

#[derive(Serialize)]
struct Handoff<'i> {
    id: &'i str,
    title: &'i str,
    stage: &'static str,
    elapsed: String,
    opened: &'i str,
    standing: String,
    head: String,
    newest: u64,
    next: Next<'i>,
    dangers: Vec<Row>,
    doubts: Vec<String>,
    waiting: Vec<String>,
    unknown: Vec<String>,
    acts: Vec<String>,
    said: Vec<Said<'i>>,
}

#[derive(Serialize)]
struct Next<'i> {
    what: &'i str,
    command: &'i str,
}

#[derive(Serialize)]
struct Row {
    until: Option<String>,
    what: String,
    next: String,
}

#[derive(Serialize)]
struct Said<'i> {
    record: u64,
    who: &'i str,
    about: String,
    text: &'i str,
}

/// The state for a change of shift. `entries` and `incident` must be of the same records.
pub fn handoff(
    entries: &[Entry],
    incident: &Incident,
    due: &Due,
    now: Moment,
) -> Result<String, ReportError> {
    let dangers = still_dangerous(incident, now).into_iter().map(|d| Row {
        until: d.deadline_ms.map(rfc3339),
        what: d.what,
        next: d.next,
    });
    let doubts = incident.in_doubt().map(|(seq, a)| {
        format!(
            "act #{seq}, {}: {} (begun {} by {})",
            a.step, a.title, a.ts, a.who
        )
    });
    let waiting = incident.requests.iter().filter(|(_, r)| r.is_open());
    let acts = incident.acts.iter().map(|(seq, a)| {
        let verb = if a.undoes { "taking back " } else { "" };
        format!("#{seq} {verb}{} ({}): {}", a.step, a.zone, outcome(a))
    });
    let view = Handoff {
        id: incident.id().as_str(),
        title: &incident.opened.title,
        stage: where_it_is(incident),
        elapsed: elapsed(incident, now),
        opened: &incident.opened_ts,
        standing: standing(incident),
        head: Head::of(entries).code,
        newest: incident.records.saturating_sub(1),
        next: Next {
            what: &due.what,
            command: &due.command,
        },
        dangers: dangers.collect(),
        doubts: doubts.collect(),
        waiting: waiting.map(|(seq, r)| waits(incident, *seq, r)).collect(),
        unknown: unknowns(entries, incident),
        acts: acts.collect(),
        said: said(incident),
    };
    fill("handoff.md.j2", HANDOFF, &view)
}

/// What nobody knows: said so when the baseline was sealed, not kept, or not proved.
fn unknowns(entries: &[Entry], incident: &Incident) -> Vec<String> {
    let mut all = match evidence::baseline(entries, incident) {
        Some(baseline) => baseline.unknown,
        None => vec!["the baseline is not sealed".into()],
    };
    let holes = incident.holes();
    all.extend(holes.iter().map(|gap| {
        let why = if gap.why.is_empty() {
            "no reason on record"
        } else {
            gap.why
        };
        format!(
            "{}, {}: {}; {why}",
            gap.of,
            gap.names.join(", "),
            gap.status.word()
        )
    }));
    if incident.recovered_us.is_none() {
        all.push("recovery is not proved".into());
    }
    all
}

/// Answers, notes and what was done elsewhere, in the order of the record.
fn said(incident: &Incident) -> Vec<Said<'_>> {
    let answers = incident.answers.iter().map(|(step, a)| Said {
        record: a.seq,
        who: &a.who,
        about: format!("answer to {step}"),
        text: &a.text,
    });
    let words = |about: &'static str| {
        move |s| {
            let s: &crate::model::incident::Said = s;
            Said {
                record: s.seq,
                who: &s.who,
                about: about.to_owned(),
                text: &s.text,
            }
        }
    };
    let notes = incident.notes.iter().map(words("note"));
    let elsewhere = incident.elsewhere.iter().map(words("done outside the tool"));
    let mut all: Vec<Said<'_>> = answers.chain(notes).chain(elsewhere).collect();
    all.sort_by_key(|s| s.record);
    all
}
