//! The report as one value: everything the postmortem says, and its JSON form. Its keys are stable.

use serde::Serialize;

use super::cut::{self, Cut};
use super::decisions::{self, Decision, Rejected, Request};
use super::evidence::{self, Baseline, Capture, Hole, Originals};
use super::timeline::{Row, timeline};
use super::{Entry, escape, words};
use crate::journal::Hash;
use crate::model::act::Stage;
use crate::model::effect::Zone;
use crate::model::event::Event;
use crate::model::fact::TargetKind;
use crate::model::incident::{Incident, Said, StepState};
use crate::model::time::parse_rfc3339;

/// The whole report. A pure function of the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Version of these keys.
    pub format: &'static str,
    /// Id of the incident.
    pub id: String,
    /// True for a drill.
    pub drill: bool,
    /// In the responder's words.
    pub title: String,
    /// When it was opened, RFC 3339.
    pub opened: String,
    /// Who opened it.
    pub opened_by: String,
    /// When it was closed, RFC 3339; `None` = it is open.
    pub closed: Option<String>,
    /// What was unproved when it was closed.
    pub closed_unproved: Vec<String>,
    /// Where the walk got to.
    pub stage: Stage,
    /// Host it was opened on.
    pub host: String,
    /// Program version that opened it.
    pub tool: String,
    /// Everybody who acted or answered.
    pub people: Vec<String>,
    /// How long things took.
    pub times: Times,
    /// Credentials and processes, most dangerous first.
    pub cut: Vec<Cut>,
    /// What starts the agent again, most dangerous first.
    pub triggers: Vec<Cut>,
    /// The row that is never missing.
    pub unlisted: &'static str,
    /// What could not be used when the incident was opened or stopped, and why.
    pub problems: Vec<String>,
    /// What was captured.
    pub captures: Vec<Capture>,
    /// What was not.
    pub holes: Vec<Hole>,
    /// What was redacted and is kept sealed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub originals: Vec<Originals>,
    /// The newest baseline.
    pub baseline: Option<Baseline>,
    /// Every act, with its zone and who allowed it.
    pub acts: Vec<Decision>,
    /// Every escalation.
    pub requests: Vec<Request>,
    /// Signed answers that did not count.
    pub rejected: Vec<Rejected>,
    /// Who was told of requests, who could not be reached, who was enrolled or taken out on the day.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reached: Vec<Row>,
    /// The plan in force at the end.
    pub plan: Option<Plan>,
    /// How the plan was changed or given up on the way.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replanned: Vec<Row>,
    /// Steps that were not done, and why.
    pub skipped: Vec<Skipped>,
    /// What was done outside the tool.
    pub outside: Vec<Words>,
    /// Answers to questions of the runbook; the newest of each.
    pub answers: Vec<Answered>,
    /// Notes.
    pub notes: Vec<Words>,
    /// Service probes; the newest answer of each.
    pub probes: Vec<Probe>,
    /// When everything was proved recovered, RFC 3339; `None` = not proved.
    pub recovered: Option<String>,
    /// Who held the record, by which clock, and where its heads are held.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub custody: Vec<Row>,
    /// What happened, in order.
    pub timeline: Vec<Row>,
    /// The record this report was made from.
    pub record: Head,
}

/// How long things took, in milliseconds; `None` = it never happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Times {
    /// From the start of the stop to the first cut that left the program.
    pub to_first_revoke_ms: Option<u64>,
    /// From the start of the stop to the proof of the last target; `None` while one is unproved or none was seen.
    pub to_stop_proved_ms: Option<u64>,
    /// From the opening to the first baseline.
    pub to_baseline_ms: Option<u64>,
    /// From the opening to contain.
    pub to_contain_ms: Option<u64>,
    /// From the opening to the proof of recovery that still stands.
    pub to_recovered_ms: Option<u64>,
}

/// The plan of recover.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Its record.
    pub record: u64,
    /// SHA-256 over its steps.
    pub digest: String,
    /// The steps, in order.
    pub steps: Vec<Planned>,
}

/// One step of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// Which.
    pub step: String,
    /// Its zone when the plan was fixed.
    pub zone: Zone,
    /// True where it is known to be done.
    pub done: bool,
    /// How it stands, in a word.
    pub state: &'static str,
}

/// A step that was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Which.
    pub step: String,
    /// Why.
    pub why: String,
    /// True where it was tried before and failed: it may have half happened.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub half_done: bool,
}

/// Words somebody gave for the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Words {
    /// Their record.
    pub record: u64,
    /// When, RFC 3339.
    pub ts: String,
    /// Who.
    pub who: String,
    /// The words.
    pub text: String,
}

/// An answer to a question of the runbook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answered {
    /// Which question.
    pub step: String,
    /// Its record.
    pub record: u64,
    /// Who answered.
    pub who: String,
    /// The answer.
    pub text: String,
}

/// A service probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Probe {
    /// Which.
    pub probe: String,
    /// Its record.
    pub record: u64,
    /// True where the answer was the expected one.
    pub passed: bool,
    /// Expected against found.
    pub text: String,
}

/// Where the record stood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Head {
    /// How many records.
    pub records: u64,
    /// Hash of the newest.
    pub sha256: String,
    /// The same, short enough to read out.
    pub code: String,
}

impl Report {
    /// Reads the report out of the record and its fold, which must be of the same records.
    pub fn of(entries: &[Entry], incident: &Incident) -> Report {
        let opened = &incident.opened;
        let cuts = cut::cuts(entries, incident);
        let recovered = recovered(entries, incident);
        let times = times(entries, incident, &cuts, recovered);
        let (triggers, cut) = cuts.into_iter().partition(|c| c.kind == TargetKind::Trigger);
        let mut problems = opened.problems.clone();
        for problem in &incident.stop.problems {
            if !problems.contains(problem) {
                problems.push(problem.clone());
            }
        }
        Report {
            format: "incident-report/1",
            id: opened.id.to_string(),
            drill: opened.drill,
            title: opened.title.clone(),
            opened: incident.opened_ts.clone(),
            opened_by: incident.opened_by.clone(),
            closed: incident.closed_ts.clone(),
            closed_unproved: incident.closed_unproved.clone(),
            stage: incident.stage,
            host: opened.host.clone(),
            tool: opened.tool.clone(),
            people: incident.actors.iter().cloned().collect(),
            times,
            cut,
            triggers,
            unlisted: "access nobody listed: unknown",
            problems,
            captures: evidence::captures(incident),
            holes: evidence::holes(entries, incident),
            originals: evidence::originals(entries, incident),
            baseline: evidence::baseline(entries, incident),
            acts: decisions::decisions(entries, incident),
            requests: decisions::requests(incident),
            rejected: decisions::rejected(entries),
            reached: rows(entries, |e| {
                matches!(
                    e,
                    Event::NoticeBegun(_)
                        | Event::SliceCut(_)
                        | Event::NoticeEnded(_)
                        | Event::Unreached(_)
                        | Event::LoneAsked(_)
                        | Event::SignerEnrolled(_)
                        | Event::SignerRevoked(_)
                        | Event::DelegationFiled(_)
                )
            }),
            plan: plan(incident),
            replanned: rows(entries, |e| {
                matches!(e, Event::PlanAmended(_) | Event::PlanDropped(_))
            }),
            skipped: skipped(incident),
            outside: incident.elsewhere.iter().map(Words::of).collect(),
            answers: answers(incident),
            notes: incident.notes.iter().map(Words::of).collect(),
            probes: probes(incident),
            recovered: recovered.map(|(_, ts)| ts.to_owned()),
            custody: custody(entries),
            timeline: timeline(entries),
            record: Head::of(entries),
        }
    }

    /// The JSON form: one object, safe to show on a terminal.
    pub fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self).map(|text| escape::json(&text) + "\n")
    }
}

impl Words {
    fn of(said: &Said) -> Words {
        Words {
            record: said.seq,
            ts: said.ts.clone(),
            who: said.who.clone(),
            text: said.text.clone(),
        }
    }
}

impl Head {
    pub(super) fn of(entries: &[Entry]) -> Head {
        let sha256 = entries.last().map(|e| e.line_sha256.clone()).unwrap_or_default();
        Head {
            records: u64::try_from(entries.len()).unwrap_or(u64::MAX),
            code: Hash::parse(&sha256).map(|h| h.short()).unwrap_or_default(),
            sha256,
        }
    }
}

/// A moment as the record holds it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp {
    /// Monotonic microseconds.
    pub mono_us: u64,
    /// Wall time of its record, ms since the epoch.
    pub utc_ms: Option<i64>,
}

impl Stamp {
    pub(super) fn new(mono_us: u64, ts: &str) -> Stamp {
        let utc_ms = parse_rfc3339(ts);
        Stamp { mono_us, utc_ms }
    }
}

/// Milliseconds between two moments.
///
/// Monotonic time knows nothing of corrections of the wall clock, but begins anew with every boot. Where
/// the two differ by more than a minute, the longer one counts: no time is made to look shorter than it may have been.
pub(super) fn between(from: Stamp, to: Stamp) -> Option<u64> {
    const DRIFT_MS: u64 = 60_000;
    let mono = to.mono_us.checked_sub(from.mono_us).map(|us| us / 1000);
    let wall = from
        .utc_ms
        .zip(to.utc_ms)
        .and_then(|(from, to)| u64::try_from(to - from).ok());
    match (mono, wall) {
        (Some(mono), Some(wall)) if mono.abs_diff(wall) > DRIFT_MS => Some(mono.max(wall)),
        (mono, wall) => mono.or(wall),
    }
}

fn times(entries: &[Entry], incident: &Incident, cuts: &[Cut], recovered: Option<(Stamp, &str)>) -> Times {
    let opened = Stamp::new(incident.opened.mono_us, &incident.opened_ts);
    let since_opened = |pick: &dyn Fn(&Event) -> Option<u64>| {
        let at = entries
            .iter()
            .find_map(|e| pick(&e.event).map(|mono_us| Stamp::new(mono_us, &e.ts)))?;
        between(opened, at)
    };
    let first_cut = incident.stop.started_us.zip(incident.stop.first_cut_us);
    // Collecting options: one target without a proof, and there is no such time.
    let proved: Option<Vec<u64>> = cuts.iter().map(|c| c.proved_after_ms).collect();
    Times {
        to_first_revoke_ms: first_cut
            .and_then(|(from, to)| to.checked_sub(from))
            .map(|us| us / 1000),
        to_stop_proved_ms: proved.and_then(|all| all.into_iter().max()),
        to_baseline_ms: since_opened(&|e| match e {
            Event::BaselineSealed(e) => Some(e.mono_us),
            _ => None,
        }),
        to_contain_ms: since_opened(&|e| match e {
            Event::StageEntered(e) if e.stage == Stage::Contain => Some(e.mono_us),
            _ => None,
        }),
        to_recovered_ms: recovered.and_then(|(at, _)| between(opened, at)),
    }
}

/// The proof of recovery that still stands: no act came after it.
fn recovered<'e>(entries: &'e [Entry], incident: &Incident) -> Option<(Stamp, &'e str)> {
    incident.recovered_us?;
    entries.iter().rev().find_map(|entry| match &entry.event {
        Event::Recovered(e) => Some((Stamp::new(e.mono_us, &entry.ts), entry.ts.as_str())),
        _ => None,
    })
}

fn plan(incident: &Incident) -> Option<Plan> {
    let plan = incident.plan.as_ref()?;
    Some(Plan {
        record: plan.seq,
        digest: plan.digest.clone(),
        steps: plan
            .steps
            .iter()
            .map(|s| Planned {
                step: s.step.to_string(),
                zone: s.zone,
                done: incident.step_done(&s.step),
                state: incident.stand(&s.step).word(),
            })
            .collect(),
    })
}

fn skipped(incident: &Incident) -> Vec<Skipped> {
    let skipped = incident.steps.iter().filter_map(|(step, state)| match state {
        StepState::Skipped { why, left } => Some(Skipped {
            step: step.to_string(),
            why: why.clone(),
            half_done: left.is_some(),
        }),
        _ => None,
    });
    skipped.collect()
}

fn answers(incident: &Incident) -> Vec<Answered> {
    let mut all: Vec<Answered> = incident
        .answers
        .iter()
        .map(|(step, a)| Answered {
            step: step.to_string(),
            record: a.seq,
            who: a.who.clone(),
            text: a.text.clone(),
        })
        .collect();
    all.sort_by_key(|a| a.record);
    all
}

fn probes(incident: &Incident) -> Vec<Probe> {
    let one = |(id, p): (&crate::model::ids::StepId, &crate::model::incident::ProbeState)| Probe {
        probe: id.to_string(),
        record: p.seq,
        passed: p.passed,
        text: p.text.clone(),
    };
    incident.probes.iter().map(one).collect()
}

/// The events that are wanted, a row each.
fn rows(entries: &[Entry], wanted: impl Fn(&Event) -> bool) -> Vec<Row> {
    let row = |entry: &Entry| {
        Some(Row {
            seq: entry.seq,
            ts: entry.ts.clone(),
            who: entry.who.clone(),
            words: words::words_of(&entry.event)?,
        })
    };
    entries
        .iter()
        .filter(|e| wanted(&e.event))
        .filter_map(row)
        .collect()
}

/// Who held the record, by which clock, and where its heads are held, a row each.
fn custody(entries: &[Entry]) -> Vec<Row> {
    let trusted = entries.iter().find_map(|entry| match &entry.event {
        Event::Opened(e) => e.trust.as_ref()?.program.as_deref(),
        _ => None,
    });
    let row = |entry: &Entry| {
        let words = match &entry.event {
            Event::CustodyBegan(e) if trusted.is_some_and(|t| t != e.program_sha256) => {
                format!("{}, which is not the program that was trusted", words::began(e))
            }
            Event::CustodyBegan(e) => words::began(e),
            Event::ClockOffset(_) | Event::CustodyHanded(_) | Event::AnchorFiled(_) => {
                words::words_of(&entry.event)?
            }
            _ => return None,
        };
        Some(Row {
            seq: entry.seq,
            ts: entry.ts.clone(),
            who: entry.who.clone(),
            words,
        })
    };
    entries.iter().filter_map(row).collect()
}
