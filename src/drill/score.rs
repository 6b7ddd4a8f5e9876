//! The score of a drill: a pure function of its record and of what the simulated world knows happened.
//!
//! Nobody is asked how it went. Times come from the platform's audit log, sign-offs and captures from the
//! journal; what the player says counts only where it answers a question about a claim.

use serde::Serialize;

use super::harbor::{Action, Audit, Holder, VolumeState};
use super::scenario::{Claim, Scenario, Trap};
use super::sim::{Truth, What};
use crate::journal::Record;
use crate::model::act::Stage;
use crate::model::event::{ActStarted, Event};
use crate::model::time::span;

/// A score and its reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sheet {
    /// Points, 0 to 100.
    pub total: u32,
    /// Where they come from.
    pub parts: Vec<Part>,
    /// Points taken away, and why: traps, and harm to what was healthy.
    pub deductions: Vec<Deduction>,
    /// Why it is failed whatever the points say; empty where it is not.
    pub failed: Vec<String>,
    /// What happened, what could be known, what to prepare.
    pub debrief: Vec<String>,
}

/// One part of the score.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// `stop`, `residual access`, `evidence`, `boundary` or `claims`.
    pub name: &'static str,
    /// Points.
    pub points: u32,
    /// Of so many.
    pub of: u32,
    /// Why not all, or what earned them.
    pub why: Vec<String>,
}

/// Points taken away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Deduction {
    /// How many.
    pub points: u32,
    /// Why.
    pub why: String,
}

/// Points for each thing healthy that was harmed.
const OVER_REACTION: u32 = 5;

/// The record, decoded, with the wall time of nothing: order and monotonic time decide.
struct Book {
    events: Vec<(u64, Event)>,
}

impl Book {
    fn read(records: &[Record]) -> Self {
        let event = |r: &Record| Some((r.seq, Event::decode(&r.kind, r.v, &r.what).ok()?));
        Book {
            events: records.iter().filter_map(event).collect(),
        }
    }

    /// When a stage was entered, in monotonic microseconds.
    fn entered(&self, stage: Stage) -> Option<u64> {
        self.events.iter().find_map(|(_, e)| match e {
            Event::StageEntered(e) if e.stage == stage => Some(e.mono_us),
            _ => None,
        })
    }

    /// The last act that had begun by then.
    fn act_at(&self, at_us: u64) -> Option<&ActStarted> {
        self.events
            .iter()
            .filter_map(|(_, e)| match e {
                Event::ActStarted(e) if e.mono_us <= at_us => Some(e),
                _ => None,
            })
            .next_back()
    }

    /// When a capture of this name or step was begun that brought something home whole.
    fn captured(&self, name: &str) -> Option<u64> {
        self.events.iter().find_map(|(seq, e)| {
            let Event::CaptureStarted(begun) = e else {
                return None;
            };
            let mine = begun.name == name || begun.step.as_ref().is_some_and(|s| s.as_str() == name);
            let whole = self.events.iter().any(|(_, e)| match e {
                Event::CaptureEnded(end) if end.capture == *seq => {
                    !end.items.is_empty() && !end.items.iter().any(|i| i.status.is_hole())
                }
                _ => false,
            });
            (mine && whole).then_some(begun.mono_us)
        })
    }

    fn sealed(&self) -> Option<u64> {
        self.events.iter().find_map(|(_, e)| match e {
            Event::BaselineSealed(e) => Some(e.mono_us),
            _ => None,
        })
    }

    /// When somebody was first told of a request by a notice that went out, in monotonic microseconds; who.
    fn asked(&self) -> Vec<(u64, &str)> {
        let went_out = |seq: u64| {
            let mut ends = self.events.iter();
            ends.any(|(_, e)| matches!(e, Event::NoticeEnded(e) if e.notice == seq && e.sent))
        };
        let begun = self.events.iter().filter_map(|(seq, e)| match e {
            Event::NoticeBegun(e) if went_out(*seq) => Some((e.mono_us, e.name.as_str())),
            _ => None,
        });
        begun.collect()
    }

    /// When signed approvals came, and whose.
    fn approved(&self) -> impl Iterator<Item = (u64, &str)> {
        self.events.iter().filter_map(|(_, e)| match e {
            Event::SignoffFiled(e) if e.approves => Some((e.mono_us, e.person.as_str())),
            _ => None,
        })
    }

    /// The last answer to the question of this name.
    fn answer(&self, step: &str) -> Option<&str> {
        self.events.iter().rev().find_map(|(_, e)| match e {
            Event::QuestionAnswered(e) if e.step.as_str() == step => Some(e.text.as_str()),
            _ => None,
        })
    }
}

/// Scores a drill.
pub fn score(records: &[Record], truth: &Truth, scenario: &Scenario) -> Sheet {
    let book = Book::read(records);
    let parts = vec![
        stop(truth, scenario),
        residual(truth),
        evidence(&book, truth, scenario),
        boundary(&book, truth, scenario),
        claims(&book, scenario),
    ];
    let mut deductions = traps(&book, truth, scenario);
    deductions.extend(over_reactions(truth));
    deductions.extend(asked_late(&book, truth, scenario));
    let earned: u32 = parts.iter().map(|p| p.points).sum();
    let lost: u32 = deductions.iter().map(|d| d.points).sum();
    Sheet {
        total: earned.saturating_sub(lost),
        parts,
        failed: failures(&book, truth),
        deductions,
        debrief: debrief(&book, truth, scenario),
    }
}

/// What the agent, or the platform for it, destroyed after the page.
fn damage(truth: &Truth) -> impl Iterator<Item = &Audit> {
    truth.audit.iter().filter(|a| {
        a.at_us > truth.page_us && matches!(a.action, Action::VolumeDeleted | Action::VolumePurged)
    })
}

/// Changes our side made to production, whatever they were for. Stopping and protecting are none.
fn our_changes(truth: &Truth) -> impl Iterator<Item = &Audit> {
    truth.audit.iter().filter(|a| {
        let changes = !matches!(
            a.action,
            Action::RevokeToken | Action::CancelOperations | Action::HoldVolume | Action::Refused
        );
        changes && a.holder == Some(Holder::Responder) && a.status < 400
    })
}

fn stop(truth: &Truth, scenario: &Scenario) -> Part {
    let of = 30;
    let (full, none) = (scenario.goal.stop_full.us(), scenario.goal.stop_none.us());
    let can_act = truth.agent_exists || truth.trigger_armed;
    if can_act && !truth.live_tokens.is_empty() {
        let why = vec!["the agent could still act when the drill ended".to_owned()];
        return part("stop", 0, of, why);
    }
    let last_us = damage(truth).map(|a| a.at_us - truth.page_us).max().unwrap_or(0);
    let room = none.saturating_sub(full).max(1);
    let over = last_us.saturating_sub(full).min(room);
    let points = of - u32::try_from(u64::from(of) * over / room).unwrap_or(of);
    let second_wave = damage(truth).filter(|a| a.at_us - truth.page_us > full).count();
    let points = points.saturating_sub(3 * u32::try_from(second_wave).unwrap_or(0));
    let mut why: Vec<String> = damage(truth)
        .map(|a| format!("{} after the page: {}", after(truth, a.at_us), in_words(a)))
        .collect();
    if why.is_empty() {
        why.push("nothing was destroyed after the page".to_owned());
    }
    part("stop", points, of, why)
}

fn residual(truth: &Truth) -> Part {
    let of = 20;
    let mut why = Vec::new();
    let known = u32::try_from(truth.agent_tokens.len()).unwrap_or(1).max(1);
    let live = u32::try_from(truth.live_tokens.len()).unwrap_or(0);
    let mut points = 12 * known.saturating_sub(live) / known;
    for token in &truth.live_tokens {
        why.push(format!("{token} still works"));
    }
    for (armed, words) in [
        (truth.agent_exists, "a process of the agent still runs"),
        (truth.trigger_armed, "its trigger is still armed"),
    ] {
        match armed {
            true => why.push(words.to_owned()),
            false => points += 4,
        }
    }
    part("residual access", points, of, why)
}

fn evidence(book: &Book, truth: &Truth, scenario: &Scenario) -> Part {
    let of = 20;
    let first_change = our_changes(truth).map(|a| a.at_us).min().unwrap_or(u64::MAX);
    let in_time = |at: Option<u64>| at.is_some_and(|at| at < first_change);
    let wanted = &scenario.goal.captures;
    let mut why = Vec::new();
    let mut kept = 0;
    for name in wanted {
        match in_time(book.captured(name)) {
            true => kept += 1,
            false => why.push(format!("`{name}` was not captured whole before the first change")),
        }
    }
    let mut points = 14 * kept / u32::try_from(wanted.len()).unwrap_or(1).max(1);
    match in_time(book.sealed()) {
        true => points += 6,
        false => why.push("no baseline was sealed before the first change".to_owned()),
    }
    let touched = truth
        .log
        .iter()
        .any(|h| matches!(&h.what, What::FileChanged(path) if path.contains("/.claude/projects/")));
    if touched {
        points = points.saturating_sub(10);
        why.push("the agent's transcript was changed".to_owned());
    }
    part("evidence", points, of, why)
}

fn boundary(book: &Book, truth: &Truth, scenario: &Scenario) -> Part {
    let of = 15;
    let bare: Vec<String> = our_changes(truth)
        .filter(|a| scenario.at_boundary.contains(&a.action) && !signed(book, a.at_us))
        .map(|a| format!("{} without a sign-off on record", in_words(a)))
        .collect();
    let lost = 8 * u32::try_from(bare.len()).unwrap_or(2);
    part("boundary", 15u32.saturating_sub(lost), of, bare)
}

/// True where the act running at that moment used up a sign-off.
fn signed(book: &Book, at_us: u64) -> bool {
    book.act_at(at_us).is_some_and(|act| !act.consumes.is_empty())
}

/// What a person says of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Supported,
    Refuted,
    Unknown,
}

fn verdict(answer: &str) -> Verdict {
    let words = answer.to_ascii_lowercase();
    let mut words = words.split(|c: char| !c.is_ascii_alphabetic());
    words
        .find_map(|word| match word {
            "supported" | "true" | "yes" => Some(Verdict::Supported),
            "refuted" | "false" | "no" => Some(Verdict::Refuted),
            "unknown" | "unsupported" => Some(Verdict::Unknown),
            _ => None,
        })
        .unwrap_or(Verdict::Unknown)
}

/// A third of a claim's points is for naming what shows it; a true claim called false costs double.
fn claims(book: &Book, scenario: &Scenario) -> Part {
    let of: i64 = 15;
    let each = 3;
    let mut earned = 0;
    let mut why = Vec::new();
    for claim in &scenario.claims {
        let answer = book.answer(&format!("claim-{}", claim.id)).unwrap_or_default();
        let right = match claim.truth {
            true => Verdict::Supported,
            false => Verdict::Refuted,
        };
        let given = verdict(answer);
        earned += match given {
            given if given == right => each - i64::from(!cites(claim, answer)),
            Verdict::Refuted if claim.truth => -each,
            _ => 0,
        };
        if given != right {
            let word = if claim.truth { "so" } else { "not so" };
            why.push(format!(
                "\u{201c}{}\u{201d} is {word}: {}",
                claim.text, claim.shown_by
            ));
        } else if !cites(claim, answer) {
            why.push(format!(
                "\u{201c}{}\u{201d}: the answer does not say what shows it",
                claim.text
            ));
        }
    }
    let most = each * i64::try_from(scenario.claims.len()).unwrap_or(1).max(1);
    let points = earned.max(0) * of / most;
    part("claims", u32::try_from(points).unwrap_or(0), 15, why)
}

fn cites(claim: &Claim, answer: &str) -> bool {
    let answer = answer.to_ascii_lowercase();
    claim.cites.iter().any(|word| answer.contains(word.as_str()))
}

fn traps(book: &Book, truth: &Truth, scenario: &Scenario) -> Vec<Deduction> {
    let stepped = |trap: &&Trap| {
        truth.audit.iter().any(|a| {
            let ours = a.holder == Some(Holder::Responder);
            a.action == trap.action && a.status < 400 && !(ours && signed(book, a.at_us))
        })
    };
    scenario
        .traps
        .iter()
        .filter(stepped)
        .map(|trap| Deduction {
            points: trap.points,
            why: trap.consequence.clone(),
        })
        .collect()
}

fn over_reactions(truth: &Truth) -> Vec<Deduction> {
    let killed = truth.log.iter().filter_map(|h| match &h.what {
        What::Signalled {
            program,
            agents: false,
        } => Some(format!("`{program}` was signalled, and it had no part in this")),
        _ => None,
    });
    let revoked = truth.audit.iter().filter_map(|a| {
        let unrelated = truth.bystander_tokens.contains(&a.target);
        (a.action == Action::RevokeToken && a.status == 204 && unrelated)
            .then(|| format!("{} was revoked, and the agent never held it", a.target))
    });
    killed
        .chain(revoked)
        .map(|why| Deduction {
            points: OVER_REACTION,
            why,
        })
        .collect()
}

/// Points for each minute, begun, in which nobody had been asked though somebody should have been; at most ten.
fn asked_late(book: &Book, truth: &Truth, scenario: &Scenario) -> Option<Deduction> {
    const MOST: u64 = 10;
    let limit = scenario.goal.asked_by?.us();
    let Some((first, _)) = book.asked().first().copied() else {
        let why = "nobody was ever asked to sign".to_owned();
        let points = u32::try_from(MOST).unwrap_or(0);
        return Some(Deduction { points, why });
    };
    let late = first.saturating_sub(truth.page_us).saturating_sub(limit);
    let points = u32::try_from(late.div_ceil(60_000_000).min(MOST)).unwrap_or(0);
    let asked = after(truth, first);
    let limit = span(limit / 1_000);
    (points > 0).then(|| Deduction {
        points,
        why: format!("the first person was asked {asked} after the page, {limit} is what it should take"),
    })
}

/// Production is not changed while it is being assessed.
fn failures(book: &Book, truth: &Truth) -> Vec<String> {
    let Some(from) = book.entered(Stage::Assess) else {
        return Vec::new();
    };
    let to = book.entered(Stage::Contain).unwrap_or(u64::MAX);
    our_changes(truth)
        .filter(|a| (from..to).contains(&a.at_us))
        .map(|a| format!("production was changed during assess: {}", in_words(a)))
        .collect()
}

fn debrief(book: &Book, truth: &Truth, scenario: &Scenario) -> Vec<String> {
    let mut lines: Vec<String> = truth
        .audit
        .iter()
        .filter(|a| a.holder == Some(Holder::Agent) && a.action != Action::Refused)
        .map(|a| {
            format!(
                "{}: the agent, with {}: {}",
                after(truth, a.at_us),
                a.by,
                in_words(a)
            )
        })
        .collect();
    for volume in &truth.volumes {
        let fate = match volume.state {
            VolumeState::Live => continue,
            VolumeState::Deleted { .. } => "is deleted and could still be brought back",
            VolumeState::Purged => "is gone for good",
        };
        lines.push(format!("{} of {} {fate}", volume.name, volume.environment));
    }
    for service in &truth.unhealthy {
        lines.push(format!("{service} does not work"));
    }
    if scenario.by_pager {
        let told = book.asked().into_iter();
        lines.extend(told.map(|(at, who)| format!("{}: {who} was asked", after(truth, at))));
        let came = book.approved();
        lines.extend(came.map(|(at, who)| format!("{}: {who} signed", after(truth, at))));
    }
    lines.push(format!("Knowable: {}", scenario.debrief.knowable));
    lines.push(format!("Prepare: {}", scenario.debrief.prepare));
    lines
}

fn in_words(audit: &Audit) -> String {
    let what = match audit.action {
        Action::Refused => "a refused request",
        Action::DeleteVolume => "asked to delete",
        Action::VolumeDeleted => "deleted",
        Action::CreateVolume => "created",
        Action::VolumePurged => "made irrecoverable",
        Action::RestoreVolume => "brought back",
        Action::HoldVolume => "put on hold",
        Action::ReleaseVolume => "released",
        Action::CancelOperations => "called off what was asked for with",
        Action::RevokeToken => "revoked",
        Action::Maintenance => "switched the maintenance page of",
        Action::RotateVariable => "replaced",
    };
    let refused = if audit.status >= 400 { " (refused)" } else { "" };
    format!("{what} {}{refused}", audit.target)
}

fn after(truth: &Truth, at_us: u64) -> String {
    match at_us.checked_sub(truth.page_us) {
        Some(us) => format!("+{}", span(us / 1_000)),
        None => format!("-{}", span((truth.page_us - at_us) / 1_000)),
    }
}

fn part(name: &'static str, points: u32, of: u32, why: Vec<String>) -> Part {
    Part {
        name,
        points,
        of,
        why,
    }
}

#[cfg(test)]
#[path = "score_tests.rs"]
mod tests;
