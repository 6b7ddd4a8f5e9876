//! `store`: where incidents are kept.

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use serde_json::json;

use crate::cli::ui::Tone;
use crate::cli::{App, CliError, Exit};
use crate::engine::EngineError;
use crate::report::words::count;
use crate::store::Store;

/// Arguments of `store`.
#[derive(clap::Args)]
pub struct StoreArgs {
    #[command(subcommand)]
    command: StoreCommand,
}

#[derive(Subcommand)]
enum StoreCommand {
    /// Copy every incident to another folder, prove each copy, and look there from now on
    #[command(
        after_help = "Nothing is deleted: the old folder stays as it is, with a note that later commands follow. Refused while an act runs."
    )]
    Move {
        /// Where they go: a folder on another disk, say
        folder: PathBuf,
    },
}

/// How long another terminal may hold a record, in tries of 5 ms.
const TRIES: u32 = 600;

/// Moves the store.
pub fn run(app: &App, args: &StoreArgs) -> Result<Exit, CliError> {
    let StoreCommand::Move { folder } = &args.command;
    let to = app.world.host.cwd().join(folder);
    let again = |tries| {
        app.world.clock.pause(Duration::from_millis(5));
        tries < TRIES
    };
    // From where they lie now; what was opened at the old place while the new one was away goes along.
    let from = match app.store.root() == to {
        true => app.root.clone(),
        false => app.store.root().to_owned(),
    };
    let moved = Store::open(from).move_to(&to, again).map_err(EngineError::from)?;
    let cases = moved.cases.iter();
    if app.ui.json {
        let cases = cases.map(|c| json!({ "incident": c.id, "files": c.files, "bytes": c.bytes }));
        app.ui
            .value(&json!({ "moved": { "to": moved.to, "cases": cases.collect::<Vec<_>>() } }));
        return Ok(Exit::Done);
    }
    for case in cases {
        let files = usize::try_from(case.files).unwrap_or(usize::MAX);
        app.ui.line(&format!(
            "  {}  {}, {} bytes: the same there as here",
            case.id,
            count(files, "file"),
            case.bytes
        ));
    }
    let count = count(moved.cases.len(), "incident");
    app.ui.tone(
        Tone::Good,
        &format!("{count} copied to {} and proved there.", moved.to.display()),
    );
    app.ui.wrapped(
        2,
        "From now on every command looks there, also when told to look here. What is here was left as it is; delete it when nothing needs it any more.",
    );
    Ok(Exit::Done)
}
