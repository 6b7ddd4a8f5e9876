//! `access list|check|providers`: what agents can reach, and whether each cut would work. Neither changes anything.

use clap::Subcommand;
use serde_json::json;

use crate::cli::ui::{Tone, styled};
use crate::cli::view::{found, proofs};
use crate::cli::{App, CliError, Exit, wire};
use crate::engine::{Armed, Engine};
use crate::evidence::escape;
use crate::model::fact::Fact;

/// Arguments of `access`.
#[derive(clap::Args)]
pub struct AccessArgs {
    #[command(subcommand)]
    command: AccessCommand,
}

#[derive(Subcommand)]
enum AccessCommand {
    /// What is written down, and what is found on this host: what stop would cut
    List,
    /// What can be cut elsewhere, what it takes, and what proves it
    Providers(super::providers::ProvidersArgs),
    /// Ask every provider, changing nothing, whether its cut would be allowed
    Check,
    /// Give back what stop took, as it was: at the boundary, so another person signs
    Restore(super::restore::RestoreArgs),
}

/// Lists or checks.
pub fn run(app: &App, args: &AccessArgs) -> Result<Exit, CliError> {
    if let AccessCommand::Restore(args) = &args.command {
        return super::restore::run(app, args);
    }
    let written = wire::written(&app.world, app.config.as_deref())?;
    let engine = app.desk().preview(&written)?;
    match &args.command {
        AccessCommand::Providers(args) => super::providers::run(app, args, engine.registry()),
        AccessCommand::List => list(app, &engine),
        AccessCommand::Check | AccessCommand::Restore(_) => check(app, &engine),
    }
}

fn list(app: &App, engine: &Engine<'_>) -> Result<Exit, CliError> {
    let found = engine.discover()?;
    if app.ui.json {
        let rows = found.aims.iter().zip(&found.words).map(|(aim, words)| {
            json!({
                "id": aim.target.id(), "kind": aim.target.kind(), "what": words, "found_by": aim.found_by,
                "window_ms": aim.window_ms, "target": aim.target,
            })
        });
        app.ui.value(&json!({
            "access": rows.collect::<Vec<_>>(), "problems": found.problems, "unlisted_access": "unknown",
        }));
        return Ok(Exit::Done);
    }
    found::show(&app.ui, &found);
    if !found.aims.is_empty() {
        app.ui.tone(
            Tone::Warn,
            "  unknown    access nobody listed, and agents on other hosts",
        );
        app.ui.line("  next: incident access check");
    }
    Ok(Exit::Done)
}

fn check(app: &App, engine: &Engine<'_>) -> Result<Exit, CliError> {
    let found = engine.discover()?;
    let all = engine.armed(&found);
    let broken = !found.problems.is_empty() || all.iter().any(|a| a.answer() == Some(false));
    let unknown = all.is_empty() || all.iter().any(|a| a.answer().is_none());
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
            "armed": rows.collect::<Vec<_>>(), "problems": found.problems, "exit": exit.code(),
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
