//! `access check`: would every cut work, and is what it needs kept from the agents?

use serde_json::json;

use crate::cli::ui::{Tone, styled};
use crate::cli::view::proofs;
use crate::cli::{App, CliError, Exit};
use crate::engine::{Armed, Engine};
use crate::evidence::escape;
use crate::model::fact::Fact;

/// Asks, and says so.
pub fn run(app: &App, engine: &Engine<'_>) -> Result<Exit, CliError> {
    let found = engine.discover()?;
    let all = engine.armed(&found);
    let exposed = engine.exposed()?;
    let open = exposed.iter().any(|e| e.readable == Some(true));
    let unsure = exposed.iter().any(|e| e.readable.is_none());
    let broken = open || !found.problems.is_empty() || all.iter().any(|a| a.answer() == Some(false));
    let unknown = all.is_empty() || unsure || all.iter().any(|a| a.answer().is_none());
    let exit = match (broken, unknown) {
        (true, _) => Exit::Failed,
        (_, true) => Exit::Unproved,
        (false, false) => Exit::Done,
    };
    if app.ui.json {
        let rows = all.iter().map(|a| {
            json!({
                "id": a.target.id(), "kind": a.target.kind(), "answer": word(a), "because": because(a),
            })
        });
        app.ui.value(&json!({
            "armed": rows.collect::<Vec<_>>(),
            "credentials": exposed.iter().map(|e| json!({"source": e.source, "readable_by_agents": e.readable, "why": e.why})).collect::<Vec<_>>(),
            "problems": found.problems, "exit": exit.code(),
        }));
        return Ok(exit);
    }
    for armed in &all {
        let tone = match armed.answer() {
            Some(true) => Tone::Good,
            Some(false) => Tone::Bad,
            None => Tone::Warn,
        };
        app.ui.line(&format!(
            "{}  {}",
            styled(tone, &format!("{:<8}", word(armed))),
            armed.target.id()
        ));
        for line in because(armed) {
            app.ui.wrapped(10, &escape(&line));
        }
    }
    for one in &exposed {
        let (tone, word) = match one.readable {
            Some(true) => (Tone::Bad, "open"),
            Some(false) => (Tone::Good, "kept"),
            None => (Tone::Warn, "unknown"),
        };
        app.ui.hanging(
            Tone::Plain,
            &format!("{}  ", styled(tone, &format!("{word:<8}"))),
            &escape(&format!("{}: {}", one.source, one.why)),
        );
    }
    for problem in &found.problems {
        app.ui.tone(Tone::Bad, &format!("not used: {}", escape(problem)));
    }
    if all.is_empty() {
        app.ui.line(
            "Nothing is listed and nothing was found here: there is nothing to check, and nothing is proved.",
        );
        app.ui
            .line("  next: incident init writes an access.yaml to fill in");
    }
    Ok(exit)
}

fn word(armed: &Armed) -> &'static str {
    match armed.answer() {
        Some(true) => "armed",
        Some(false) => "no",
        None => "unknown",
    }
}

fn because(armed: &Armed) -> Vec<String> {
    let noted = |fact: &Fact| match fact {
        Fact::Noted { text, .. } => Some(text.clone()),
        other => proofs::words(other),
    };
    let facts = armed.facts.iter().filter_map(noted);
    armed.mistakes.iter().cloned().chain(facts).collect()
}
