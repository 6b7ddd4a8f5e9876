//! `access`: what agents can reach, what is written down of it, and whether each cut would work. Cuts nothing.

mod add;
mod check;
mod scan;

pub use add::pair;

use clap::Subcommand;
use serde_json::json;

use crate::cli::ui::Tone;
use crate::cli::view::found;
use crate::cli::{App, CliError, Exit, wire};
use crate::engine::Engine;

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
    /// Look two seconds for secrets that agents could read here: environments, configurations, stores
    Scan,
    /// Write a grant into access.yaml; never a secret, only where one is read from
    Add(add::AddArgs),
    /// What can be cut elsewhere, what it takes, and what proves it
    Providers(super::providers::ProvidersArgs),
    /// Ask every provider, changing nothing, whether its cut would be allowed, and who could read what it needs
    Check,
    /// Give back what stop took, as it was: at the boundary, so another person signs
    Restore(super::restore::RestoreArgs),
}

/// Lists or checks.
pub fn run(app: &App, args: &AccessArgs) -> Result<Exit, CliError> {
    match &args.command {
        AccessCommand::Restore(args) => return super::restore::run(app, args),
        AccessCommand::Add(args) => return add::run(app, args),
        _ => {}
    }
    let written = wire::written(&app.world, app.config.as_deref())?;
    let engine = app.desk().preview(&written)?;
    match &args.command {
        AccessCommand::Providers(args) => super::providers::run(app, args, engine.registry()),
        AccessCommand::List => list(app, &engine),
        AccessCommand::Scan => scan::run(app, &engine),
        AccessCommand::Check | AccessCommand::Add(_) | AccessCommand::Restore(_) => check::run(app, &engine),
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
            "access": rows.collect::<Vec<_>>(), "readable": found.readable, "not_looked_at": found.unseen,
            "left_alive": found.left.iter().map(|l| json!({"what": l.words, "why": l.why, "next": l.next})).collect::<Vec<_>>(),
            "problems": found.problems, "unlisted_access": "unknown",
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
