//! A drill on screen: the briefing, the news, what was done, the score.

use std::time::Duration;

use serde_json::Value;

use crate::cli::ui::{Tone, Ui, styled, wrap};
use crate::drill::Sheet;
use crate::drill::scenario::{Inject, Scenario};
use crate::evidence::escape;
use crate::model::event::{CaptureItem, Event, Outcome};

/// Columns before the words of a row.
const MARGIN: usize = 23;

/// Who you are and what just happened, for somebody who has read nothing.
pub fn briefing(ui: &Ui, scenario: &Scenario, seed: u64) {
    let title = format!(
        "DRILL · {} · seed {seed} · nothing real is touched",
        scenario.title
    );
    ui.tone(Tone::Head, &title);
    ui.wrapped(0, &scenario.briefing);
}

/// How to play, for the one at the keyboard.
pub fn manners(ui: &Ui, scenario: &Scenario) {
    ui.wrapped(
        0,
        &format!(
            "You are {}. The tool walks you through: stop, assess, contain, recover. Each prompt takes a \
             little simulated time; news comes in meanwhile, and those you ask to sign answer by themselves.",
            scenario.responder()
        ),
    );
    ui.wrapped(
        0,
        "Use the arrows and Enter. Ctrl-C leaves; the record stays, and a drill is not taken up again.",
    );
}

/// One row: when after the page, from whom, what.
pub fn row(ui: &Ui, tone: Tone, after: Duration, from: &str, words: &str) {
    let seconds = after.as_secs();
    let when = format!("+{}:{:02}", seconds / 60, seconds % 60);
    let mut lines = wrap(&escape(words), ui.width.saturating_sub(MARGIN)).into_iter();
    let first = lines.next().unwrap_or_default();
    ui.line(&format!("  {when:>6}  {from:<12} {}", styled(tone, &first)));
    for line in lines {
        ui.line(&format!("{:MARGIN$}{}", "", styled(tone, &line)));
    }
}

/// News that reached the person.
pub fn news(ui: &Ui, after: Duration, news: &[Inject]) {
    for inject in news {
        let words = format!("\u{201c}{}\u{201d}", inject.text);
        row(ui, Tone::Warn, after, &inject.from, &words);
    }
}

/// An event of the walk in few words, for a screen that shows a whole drill; `None` = not worth a row.
pub fn told(event: &Event) -> Option<(Tone, &'static str, String)> {
    let plain = |kind, words| Some((Tone::Plain, kind, words));
    match event {
        Event::StopStarted(e) => plain("stop", format!("cuts {} targets at once", e.targets.len())),
        Event::TargetAnswered(e) => plain("answers for", format!("{}: {}", e.target, e.words)),
        // `recovered` says that the state after it is captured.
        Event::CaptureStarted(e) if e.purpose == "after" => None,
        Event::CaptureStarted(e) => plain("captures", format!("{} ({})", e.name, e.purpose)),
        Event::CaptureEnded(e) if holes(&e.items) > 0 => {
            let words = format!("{} of {} things are not whole", holes(&e.items), e.items.len());
            Some((Tone::Warn, "", words))
        }
        Event::QuestionAnswered(e) => plain("answers", format!("{}: {}", e.step, e.text)),
        Event::BaselineSealed(_) => Some((Tone::Good, "sealed", "the baseline".into())),
        Event::EscalationRequested(e) => {
            let steps: Vec<_> = e.steps.iter().map(|s| format!("`{s}`")).collect();
            let words = format!(
                "{}, {} the boundary ({}): {} other people must sign",
                steps.join(", "),
                e.zone,
                e.rule,
                e.need.people
            );
            Some((Tone::Warn, "blocked", words))
        }
        Event::NoticeBegun(e) => plain("asks", format!("{} by {} (request {})", e.name, e.via, e.request)),
        Event::NoticeEnded(e) if !e.sent => Some((Tone::Bad, "", format!("not told: {}", e.why))),
        Event::SignoffFiled(e) => {
            let (tone, word) = if e.approves {
                (Tone::Good, "signs")
            } else {
                (Tone::Bad, "refuses")
            };
            Some((tone, word, format!("{} (request {})", e.person, e.request)))
        }
        Event::SignoffRejected(e) => Some((Tone::Bad, "", format!("an answer does not count: {}", e.text))),
        Event::ActStarted(e) => {
            let requests: Vec<_> = e.consumes.iter().map(u64::to_string).collect();
            let signed = match requests.is_empty() {
                true => String::new(),
                false => format!(", signed for in request {}", requests.join(", ")),
            };
            let verb = if e.undoes { "takes back" } else { "does" };
            plain(
                verb,
                format!("`{}`: {} ({} the boundary{signed})", e.step, e.title, e.zone),
            )
        }
        Event::ActEnded(e) if e.outcome != Outcome::Done => Some((Tone::Bad, "failed", e.why.clone())),
        Event::ActChecked(e) if e.passed => Some((Tone::Good, "checked", e.text.clone())),
        Event::ActChecked(e) => Some((Tone::Bad, "not so", e.text.clone())),
        Event::StepSkipped(e) => plain("leaves out", format!("`{}`: {}", e.step, e.why)),
        Event::PlanFrozen(e) => {
            let steps: Vec<_> = e.steps.iter().map(|s| s.step.as_str()).collect();
            plain("plan frozen", steps.join(", "))
        }
        Event::PlanAmended(e) => plain("plan changed", e.why.clone()),
        Event::PlanDropped(e) => plain("plan dropped", e.why.clone()),
        Event::ProbeAnswered(e) => {
            let (tone, word) = if e.passed {
                (Tone::Good, "passed")
            } else {
                (Tone::Bad, "failed")
            };
            Some((tone, "probe", format!("{} {word}: {}", e.probe, e.text)))
        }
        Event::Recovered(e) => {
            let words = match e.probes.len() {
                1 => "the probe passed, and the state after it is captured".to_owned(),
                n => format!("all {n} probes passed, and the state after it is captured"),
            };
            Some((Tone::Good, "recovered", words))
        }
        Event::Closed(e) => plain("closed", e.words.clone()),
        Event::NoteAdded(e) => plain("note", e.text.clone()),
        _ => None,
    }
}

fn holes(items: &[CaptureItem]) -> usize {
    items.iter().filter(|i| i.status.is_hole()).count()
}

/// Rows of a captured text that are shown.
const ROWS: usize = 20;

/// What a program's captured output says: a list of JSON objects as rows, anything else as it is.
pub fn output(ui: &Ui, name: &str, text: &str) {
    ui.tone(Tone::Head, &format!("{name} says:"));
    let parsed = serde_json::from_str::<Value>(text).ok();
    let items = parsed
        .as_ref()
        .and_then(|v| v.get("items"))
        .and_then(Value::as_array);
    let rows: Vec<String> = match items {
        Some(items) => items.iter().map(fields).collect(),
        None => text.lines().map(str::to_owned).collect(),
    };
    if rows.is_empty() {
        ui.line("  nothing");
    }
    for row in rows.iter().take(ROWS) {
        let mut indent = 2;
        for line in wrap(&escape(row), ui.width.saturating_sub(4)) {
            ui.line(&format!("{:indent$}{line}", ""));
            indent = 4;
        }
    }
    if rows.len() > ROWS {
        ui.tone(Tone::Dim, &format!("  and {} more", rows.len() - ROWS));
    }
}

fn fields(item: &Value) -> String {
    let Value::Object(fields) = item else {
        return item.to_string();
    };
    let shown = fields.iter().filter_map(|(key, value)| match value {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(format!("{key}={text}")),
        value => Some(format!("{key}={value}")),
    });
    shown.collect::<Vec<_>>().join(" ")
}

/// The score with its reasons, and what there is to learn.
pub fn sheet(ui: &Ui, sheet: &Sheet) {
    ui.line("");
    ui.tone(Tone::Head, &format!("Score {} of 100", sheet.total));
    for part in &sheet.parts {
        let tone = if part.points == part.of {
            Tone::Good
        } else {
            Tone::Warn
        };
        let points = styled(tone, &format!("{:>3} of {:<3}", part.points, part.of));
        ui.line(&format!("  {points} {}", part.name));
        for why in &part.why {
            ui.wrapped(13, &escape(why));
        }
    }
    for deduction in &sheet.deductions {
        let points = styled(Tone::Bad, &format!("{:>3}", -i64::from(deduction.points)));
        ui.line(&format!("  {points}        taken off"));
        ui.wrapped(13, &escape(&deduction.why));
    }
    for why in &sheet.failed {
        ui.tone(Tone::Bad, &format!("  Failed: {}", escape(why)));
    }
    ui.line("");
    ui.tone(Tone::Head, "What happened");
    for line in &sheet.debrief {
        ui.wrapped(2, &escape(line));
    }
}
