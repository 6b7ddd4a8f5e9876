//! A request on its way: who was told, until when they may answer, and what one person may do alone.

use super::danger::minute;
use crate::boundary::Alone;
use crate::cli::CliError;
use crate::cli::ui::{Tone, Ui};
use crate::engine::{Engine, Ladder, Notice};
use crate::evidence::escape;
use crate::model::ids::StepId;
use crate::model::time::span;

/// What came of telling somebody, a line each.
pub fn told(ui: &Ui, all: &[Notice]) {
    for notice in all {
        let (tone, word) = match notice.sent {
            true => (Tone::Plain, "was told"),
            false => (Tone::Bad, "could not be told"),
        };
        let text = format!(
            "{} {word} of request {} by {}: {}",
            escape(&notice.name),
            notice.request,
            escape(&notice.via),
            escape(&notice.why)
        );
        ui.hanging(tone, "", &text);
        if !notice.with.is_empty() {
            ui.hanging(Tone::Dim, "  ", &format!("with it: {}", escape(&notice.with)));
        }
    }
}

/// Where the ladder and the wish to act alone stand, and the next command.
pub fn stands(ui: &Ui, engine: &Engine<'_>, request: u64) -> Result<(), CliError> {
    let incident = engine.incident()?;
    let step = incident
        .requests
        .get(&request)
        .and_then(|r| r.next())
        .map(|(step, _)| step.clone());
    match engine.ladder(&incident, request) {
        Ladder::None => {}
        Ladder::Due { rung } => ui.line(&format!(
            "  rung {rung} of the ladder is due; the next command climbs it"
        )),
        Ladder::Waits { rung, name, until_ms } => {
            let (name, until) = (escape(&name), minute(until_ms));
            let text = format!("rung {rung}, {name}, was told and has until {until}; then the next one is");
            ui.hanging(Tone::Plain, "  ", &text);
        }
        Ladder::NobodyAnswered => {
            ui.tone(Tone::Warn, "  every rung was told, and nobody answered in time");
            ui.line(&format!(
                "  next: incident signoff unreached {request} \"WHO WAS TRIED, AND HOW\"; an answer still counts when it comes"
            ));
        }
    }
    if let Some((text, next)) = alone(engine, request, step.as_ref())? {
        ui.hanging(Tone::Warn, "  ", &text);
        ui.line(&format!("  next: {next}"));
    }
    Ok(())
}

/// How far one person's wish to act alone has come, where somebody has it.
fn alone(
    engine: &Engine<'_>,
    request: u64,
    step: Option<&StepId>,
) -> Result<Option<(String, String)>, CliError> {
    let stands = engine.alone(request)?;
    let incident = engine.incident()?;
    let asked = incident.requests.get(&request).is_some_and(|r| r.lone.is_some());
    let (true, Some(step)) = (asked, step) else {
        return Ok(None);
    };
    let next = match &stands {
        Alone::Ready { .. } => format!("incident run {step}, or incident done {step} \"WHAT YOU SAW\""),
        Alone::Cooling { left_ms } => {
            format!("wait {}, or an answer: incident signoff add FILE", span(*left_ms))
        }
        Alone::NobodyTold => format!("incident signoff unreached {request} \"WHO WAS TRIED, AND HOW\""),
        _ => format!("incident escalate {step}"),
    };
    Ok(Some((format!("alone: {stands}"), next)))
}
