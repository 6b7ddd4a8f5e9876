//! What is still dangerous, by deadline, each with its next command.
//!
//! A list without a danger in it does not exist: access that nobody listed is always on it.

use std::cmp::Reverse;

use serde::Serialize;

use super::{escape, words};
use crate::model::fact::{Fact, Observed, Proof};
use crate::model::grant::{Shared, Target};
use crate::model::incident::{Incident, TargetState};
use crate::model::time::{Moment, parse_rfc3339, rfc3339};

/// How bad a danger is; worse ones first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Seen alive after the cut.
    StillLive,
    /// The cut failed, or its outcome is unknown.
    Failed,
    /// Nobody knows whether an act happened.
    InDoubt,
    /// The agent's work goes on at a provider.
    InFlight,
    /// What can start the agent again was left alive.
    Starter,
    /// A way to undo damage is closing.
    Window,
    /// Something derived may outlive the cut.
    Residual,
    /// The provider took the cut; nothing more is known.
    Accepted,
    /// Gone from the part of the host that could be seen.
    NotSeenHere,
    /// Run by one person alone, and nobody countersigned it.
    Alone,
    /// Allowed by a key that was taken out afterwards.
    Doubtful,
    /// Given back on purpose: it lives.
    GivenBack,
    /// No way to tell from here.
    Unprovable,
    /// What nobody listed.
    Unlisted,
}

impl Severity {
    /// True where waiting makes it worse now, whatever its deadline.
    fn is_now(self) -> bool {
        self <= Severity::Starter
    }
}

/// One thing that is still dangerous.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Danger {
    /// How bad.
    pub severity: Severity,
    /// When it ends, closes or can be proved, ms since the epoch; `None` = no known time.
    pub deadline_ms: Option<i64>,
    /// In words, on one line, safe to print.
    pub what: String,
    /// The same in few words, for a narrow line.
    #[serde(skip)]
    pub short: String,
    /// The command that does something about it.
    pub next: String,
}

/// Everything still dangerous: what is alive, failed or in doubt, then by deadline, then by severity.
pub fn still_dangerous(incident: &Incident, now: Moment) -> Vec<Danger> {
    let mut all: Vec<Danger> = incident
        .targets()
        .into_iter()
        .flat_map(|(id, state)| {
            let unproved = unproved(id.as_str(), state, now);
            unproved.into_iter().chain(residue(id.as_str(), state, now))
        })
        .collect();
    all.extend(incident.in_doubt().map(|(seq, act)| {
        let why = match act.ended {
            None => "it was begun and never said how it ended",
            Some(_) => "nobody knows whether it happened",
        };
        Danger {
            severity: Severity::InDoubt,
            deadline_ms: None,
            what: format!("act #{seq} ({}) is in doubt: {why}", act.step),
            short: format!("act #{seq} in doubt"),
            next: format!("incident settle {seq}"),
        }
    }));
    all.extend(incident.not_countersigned().map(|(seq, alone)| {
        let act = incident.acts.get(&seq);
        let (step, who) = act.map_or((String::new(), ""), |a| (a.step.to_string(), a.who.as_str()));
        Danger {
            severity: Severity::Alone,
            deadline_ms: None,
            what: format!(
                "act #{seq} ({step}) was run by {who} alone: nobody countersigned request {}",
                alone.request
            ),
            short: format!("act #{seq} run alone"),
            next: "incident signoff add FILE".into(),
        }
    }));
    all.extend(incident.doubtful().map(|(seq, signoff, out)| {
        let step = incident
            .acts
            .get(&seq)
            .map_or(String::new(), |a| a.step.to_string());
        Danger {
            severity: Severity::Doubtful,
            deadline_ms: None,
            what: format!(
                "act #{seq} ({step}) ran on the signature of {}, whose key was taken out by record #{}",
                signoff.person, out.seq
            ),
            short: format!("act #{seq} in doubt of its signer"),
            next: format!("incident undo {step}"),
        }
    }));
    let open = incident.windows.iter().filter(|(_, w)| w.closes_ms > now.utc_ms);
    all.extend(open.map(|(seq, window)| {
        let over = format!("incident window --over {seq} \"what holds it\"");
        Danger {
            severity: Severity::Window,
            deadline_ms: Some(window.closes_ms),
            what: format!("{} closes", window.what),
            short: format!("{} closes", window.what),
            next: match window.hold.as_str() {
                "" => over,
                hold => format!("{}; then: {over}", escape::plain(hold)),
            },
        }
    }));
    for danger in &mut all {
        danger.what = escape::plain(&danger.what);
        danger.short = escape::plain(&danger.short);
    }
    let order = |d: &Danger| {
        let due = d.deadline_ms.unwrap_or(i64::MAX);
        (
            Reverse(d.severity.is_now()),
            if d.severity.is_now() { 0 } else { due },
            d.severity,
        )
    };
    all.sort_by_key(order);
    all.push(Danger {
        severity: Severity::Unlisted,
        deadline_ms: None,
        what: "access nobody listed: unknown".into(),
        short: "unlisted access unknown".into(),
        next: "incident stop".into(),
    });
    all
}

fn unproved(id: &str, state: &TargetState, now: Moment) -> Option<Danger> {
    let answered = match &state.answered {
        Some((who, _)) => format!("; {who} answers for it"),
        None => String::new(),
    };
    let danger = |severity, deadline_ms, what: String, next: String| {
        Some(Danger {
            severity,
            deadline_ms,
            what: format!("{id}{} {what}{answered}", words::what_it_is(state)),
            short: format!("{id} {}", state.proof()),
            next,
        })
    };
    let last = last_words(&state.facts)
        .map(|w| format!(": {w}"))
        .unwrap_or_default();
    // A secret that was pasted is forgotten: without it another stop could do no more.
    let paste = match &state.aim.target {
        Target::Grant(grant) => grant.paste_line(),
        _ => None,
    };
    let stop = match paste {
        Some(_) => "incident cut",
        None => "incident stop",
    };
    let stop = stop.to_owned();
    match state.proof() {
        Proof::Refused | Proof::Gone | Proof::RefusedNewUse | Proof::Confirmed => None,
        Proof::StillLive if is_narrow(state) => {
            let what = "is still live: production uses it, only its sessions were cut".to_owned();
            danger(
                Severity::StillLive,
                None,
                what,
                format!("incident stop --full {id}"),
            )
        }
        Proof::StillLive if given_back(state).is_some() => {
            let act = given_back(state).unwrap_or_default();
            let what = format!("lives: it was given back on purpose by act #{act}");
            danger(
                Severity::GivenBack,
                None,
                what,
                format!("incident answer {id} 'WORDS', or to cut it again: incident stop"),
            )
        }
        Proof::StillLive => {
            let what = format!("is still live{last}{}", words::why_not_cut(state));
            danger(Severity::StillLive, None, what, stop)
        }
        Proof::Failed => {
            let forgotten = match paste {
                Some(_) => "; the secret is forgotten: paste it, or end it at its provider by hand",
                None => "",
            };
            let what = format!("is not cut as far as anybody knows{last}{forgotten}");
            danger(Severity::Failed, None, what, stop)
        }
        Proof::Accepted => match state.settles_us().and_then(|at| wall(at, now)) {
            Some(at) => {
                let what = "was taken by the provider and cannot be proved before its window is over";
                let (what, next) = match paste {
                    Some(line) => (
                        format!("{what}; the secret is forgotten: paste it again after that"),
                        line,
                    ),
                    None => (what.to_owned(), "incident status".to_owned()),
                };
                danger(Severity::Accepted, Some(at), what, next)
            }
            None => {
                let what = format!("was taken by the provider, and nothing more is known{last}");
                danger(Severity::Accepted, None, what, stop)
            }
        },
        Proof::NotSeenHere => {
            let what = format!("was not found in what could be seen{last}");
            danger(Severity::NotSeenHere, None, what, stop)
        }
        Proof::Unprovable => {
            let next = format!("incident answer {id} 'WORDS'");
            danger(
                Severity::Unprovable,
                None,
                format!("cannot be proved from here{last}"),
                next,
            )
        }
    }
}

/// True for a grant of which only the sessions were cut, because production uses it, too.
fn is_narrow(state: &TargetState) -> bool {
    let shared = matches!(&state.aim.target, Target::Grant(g) if g.shared == Shared::Production);
    shared && state.facts.iter().any(|o| matches!(o.fact, Fact::Spared { .. }))
}

/// The act that gave it back, where nothing was cut since.
fn given_back(state: &TargetState) -> Option<u64> {
    let newest = state.facts.iter().rev().find_map(|o| match o.fact {
        Fact::GivenBack { act } => Some(Some(act)),
        Fact::Accepted { .. } | Fact::AlreadyDone { .. } => Some(None),
        _ => None,
    });
    newest.flatten()
}

/// The newest fact that explains why there is no proof.
fn last_words(facts: &[Observed]) -> Option<String> {
    let telling = facts.iter().rev().find(|o| {
        matches!(
            o.fact,
            Fact::Spared { .. }
                | Fact::Manual { .. }
                | Fact::Error { .. }
                | Fact::Silent { .. }
                | Fact::NotTried { .. }
                | Fact::LookedFor { .. }
                | Fact::TriedNew { refused: false }
                | Fact::TriedOpen { refused: false }
                | Fact::ReadBack { dead: false }
                | Fact::Listed { live: 1.. }
        )
    })?;
    Some(words::fact(&telling.fact))
}

/// Wall time of a monotonic moment that is still to come.
fn wall(at_us: u64, now: Moment) -> Option<i64> {
    let left_ms = at_us
        .checked_sub(now.mono_us)
        .filter(|us| *us > 0)?
        .div_ceil(1000);
    now.utc_ms.checked_add(i64::try_from(left_ms).ok()?)
}

/// What stays dangerous about a target; what is past its time is left out.
fn residue(id: &str, state: &TargetState, now: Moment) -> Vec<Danger> {
    let danger = |fact: &Fact| {
        let stop = "incident stop".to_owned();
        let (severity, deadline_ms, text, short, next) = match fact {
            Fact::Residual { what, until_ms } => {
                let text = match until_ms {
                    Some(_) => format!("{what} may live on"),
                    None => words::residual(what, None),
                };
                let short = format!("{what} may live");
                (
                    Severity::Residual,
                    *until_ms,
                    text,
                    short,
                    "incident watch".to_owned(),
                )
            }
            Fact::InFlight { what } => {
                let text = format!("{what} is still running at the provider");
                (Severity::InFlight, None, text, format!("running: {what}"), stop)
            }
            Fact::Starter { what, line, .. } => {
                let text = format!("{what} can start it again");
                (Severity::Starter, None, text.clone(), text, line.clone())
            }
            Fact::Window {
                what,
                closes_ms,
                hold,
            } => {
                let text = format!("{what} closes");
                (
                    Severity::Window,
                    Some(*closes_ms),
                    text.clone(),
                    text,
                    hold.clone(),
                )
            }
            _ => return None,
        };
        Some(Danger {
            severity,
            deadline_ms,
            what: format!("{id}: {text}"),
            short,
            next: escape::plain(&next),
        })
    };
    let mut all: Vec<Danger> = state.residue().into_iter().filter_map(danger).collect();
    all.retain(|d| d.deadline_ms.is_none_or(|at| at > now.utc_ms));
    all
}

/// Widest line of truth, in columns.
const COLUMNS: usize = 80;

/// Columns of it that names do not take from what comes last.
const REST: usize = 19;

/// The line on top of every screen: id, stage, elapsed, what is unproved, what is due next. At most 80 columns.
///
/// It spends its columns on the danger: what lives is named where it is one thing, then comes what ends or
/// closes first, and where nothing has a time, the command against the worst.
pub fn truth_line(incident: &Incident, now: Moment) -> String {
    let dangers = still_dangerous(incident, now);
    let listed = || dangers.iter().filter(|d| d.severity != Severity::Unlisted);
    let timed = listed().find(|d| d.deadline_ms.is_some());
    let now_bad = listed().find(|d| d.severity.is_now() && d.severity > Severity::Failed);
    let rest = match (now_bad, timed, listed().next()) {
        (Some(d), ..) => d.short.clone(),
        (None, Some(d), _) => {
            let at = d.deadline_ms.map(|at| clock(at, now)).unwrap_or_default();
            format!("{at} {}", d.short)
        }
        (None, None, Some(d)) => format!("next: {}", d.next),
        (None, None, None) if incident.stop.started_us.is_none() => "next: incident stop".to_owned(),
        (None, None, None) => dangers.first().map(|d| d.short.clone()).unwrap_or_default(),
    };
    let line = |standing: String| {
        format!(
            "{} · {} · {} · {standing} · ",
            short_id(incident.id().as_str()),
            where_it_is(incident),
            elapsed(incident, now),
        )
    };
    // Names, as far as they leave room for what ends next or the command against it.
    let room = COLUMNS.saturating_sub(console::measure_text_width(&rest).min(REST));
    let named = [true, false].map(|all| line(standing_named(incident, all)));
    let fits = named
        .into_iter()
        .find(|line| console::measure_text_width(line) <= room);
    let line = fits.unwrap_or_else(|| line(standing(incident))) + &rest;
    console::truncate_str(&line, COLUMNS, "…").into_owned()
}

/// How the targets stand; where just one is alive, or (`all`) just one unproved, by its name.
fn standing_named(incident: &Incident, all: bool) -> String {
    let of = |wanted: &dyn Fn(Proof) -> bool| {
        let all = incident.targets().into_iter();
        all.filter(|(_, t)| wanted(t.proof()))
            .map(|(id, _)| escape::plain(id.as_str()))
            .collect::<Vec<_>>()
    };
    let live = of(&|p| p == Proof::StillLive);
    let unproved = of(&|p| p != Proof::StillLive && !p.is_dead());
    let said = |names: &[String], word: &str, by_name: bool| match names {
        [] => None,
        [one] if by_name => Some(format!("{one} {word}")),
        many => Some(format!("{} {word}", many.len())),
    };
    let parts = [said(&live, "still live", true), said(&unproved, "unproved", all)];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    match parts.is_empty() {
        true => standing(incident),
        false => words::list(parts),
    }
}

/// `INC-…-k7qf`: enough to tell open incidents apart on a narrow line.
fn short_id(id: &str) -> String {
    match (id.split_once('-'), id.rsplit_once('-')) {
        (Some((kind, _)), Some((_, tail))) => format!("{kind}-…-{tail}"),
        _ => id.to_owned(),
    }
}

/// The stage, or that it is over.
pub(super) fn where_it_is(incident: &Incident) -> &'static str {
    match incident.closed_ts {
        Some(_) => "closed",
        None => incident.stage.word(),
    }
}

/// How the targets stand, in words. No target at all is not a success.
pub(super) fn standing(incident: &Incident) -> String {
    let targets = incident.stop.targets.values();
    let proofs: Vec<Proof> = targets.map(TargetState::proof).collect();
    let live = proofs.iter().filter(|p| **p == Proof::StillLive).count();
    let unproved = proofs.iter().filter(|p| !p.is_dead()).count() - live;
    let dead = proofs.len() - live - unproved;
    match (incident.stop.started_us, proofs.len()) {
        (None, _) => return "nothing stopped yet".into(),
        (Some(_), 0) => return "no target seen".into(),
        _ => {}
    }
    let parts = [
        (live, "still live"),
        (unproved, "unproved"),
        (dead, "proved dead"),
    ];
    let said = parts
        .iter()
        .filter(|(n, word)| *n > 0 && (*word != "proved dead" || live + unproved == 0));
    words::list(said.map(|(n, word)| format!("{n} {word}")))
}

/// Time since the incident was opened, until now or until it was closed: `40 s`, `12 min`, `2 h 5 min`.
pub(super) fn elapsed(incident: &Incident, now: Moment) -> String {
    let end = incident
        .closed_ts
        .as_deref()
        .and_then(parse_rfc3339)
        .unwrap_or(now.utc_ms);
    let ms = parse_rfc3339(&incident.opened_ts).map_or(0, |from| end.saturating_sub(from).max(0));
    let minutes = ms / 60_000;
    match minutes {
        0 => format!("{} s", ms / 1000),
        1..60 => format!("{minutes} min"),
        _ => format!("{} h {} min", minutes / 60, minutes % 60),
    }
}

/// Hour and minute, `03:40Z`; with the day, `11-25 03:40Z`, where that is another day than now.
pub(super) fn clock(at_ms: i64, now: Moment) -> String {
    let (at, today) = (rfc3339(at_ms), now.rfc3339());
    let from = if at.get(..10) == today.get(..10) { 11 } else { 5 };
    at.get(from..16)
        .map_or(at.clone(), |time| time.replace('T', " ") + "Z")
}
