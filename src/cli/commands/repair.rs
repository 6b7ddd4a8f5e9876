//! `repair`: go on after a damaged record, in a new journal that names the damaged one.

use std::time::Duration;

use serde_json::json;

use crate::cli::record::Record;
use crate::cli::ui::Tone;
use crate::cli::{App, CliError, Exit};
use crate::engine::EngineError;
use crate::journal::ChainError;
use crate::model::ids::IncidentId;
use crate::store::{Broken, StoreError};

/// How long another terminal may hold the record, in tries of 5 ms.
const TRIES: u32 = 600;

/// Continues a damaged record.
pub fn run(app: &App) -> Result<Exit, CliError> {
    let id = app.which_any()?;
    let again = |tries| {
        app.world.clock.pause(Duration::from_millis(5));
        tries < TRIES
    };
    let now = app.world.clock.now().rfc3339();
    let repaired = match app.store.repair(&id, &now, &app.who, again) {
        Ok(repaired) => repaired,
        Err(e @ StoreError::NothingBroken { .. }) => {
            match app.ui.json {
                true => app.ui.value(&json!({ "incident": id, "repaired": false })),
                false => app.ui.line(&format!("{id}: {e}.")),
            }
            return readable(app, &id);
        }
        Err(StoreError::Damaged(damage)) => {
            return Err(CliError::new(Exit::Broken, format!("{id} cannot be continued: {damage}"))
                .hint("Keep the folder as it is. `incident start` opens a new incident; say in its first note which one it follows"));
        }
        Err(e) => return Err(EngineError::from(e).into()),
    };
    let said = &repaired.continued;
    if app.ui.json {
        app.ui
            .value(&json!({ "incident": id, "repaired": true, "continued": said }));
        return readable(app, &id);
    }
    app.ui.tone(
        Tone::Good,
        &format!("{id} goes on after record {}.", said.good.saturating_sub(1)),
    );
    app.ui.wrapped(
        2,
        &format!(
            "What was wrong: {}, at byte {} of {}.",
            said.why, said.at, said.len
        ),
    );
    app.ui.wrapped(
        2,
        &format!(
            "The damaged file is kept whole as {} (SHA-256 {}); the new journal begins by naming it. \
             What stood after the damage no longer counts: write down what you remember with `incident note`.",
            said.damaged, said.sha256
        ),
    );
    // Of two records that do not fit the earlier one stays: nothing behind it can tell that it was changed.
    if let (Broken::Line(ChainError::Link { .. }), Some(last)) =
        (&repaired.damage.why, said.good.checked_sub(1))
    {
        app.ui.wrapped(
            2,
            &format!(
                "Record {last} stays and may be the one that was changed: `incident timeline` shows it."
            ),
        );
    }
    readable(app, &id)?;
    app.ui.line("  next: incident status");
    Ok(Exit::Done)
}

/// An unbroken chain of records is not yet one that can be read: of two records that no longer fit, the earlier one
/// stays in the chain, and it may be the one that was changed.
fn readable(app: &App, id: &IncidentId) -> Result<Exit, CliError> {
    Record::read(app, id).map(|_| Exit::Done)
}
