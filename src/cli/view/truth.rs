//! The line of truth: where we are, what is not proved, what comes next.

use crate::cli::CliError;
use crate::cli::ui::{Tone, Ui};
use crate::engine::{Engine, Mirror};
use crate::evidence::escape;
use crate::model::incident::Incident;
use crate::model::time::Moment;

/// One line, at most 80 columns.
pub fn line(incident: &Incident, now: Moment) -> String {
    crate::report::truth_line(incident, now)
}

/// How the mirror stands.
pub fn mirror(ui: &Ui, mirror: &Mirror, now: Moment) {
    let tone = match (mirror.behind, &mirror.error) {
        (0, _) => Tone::Plain,
        (_, None) => Tone::Warn,
        (_, Some(_)) => Tone::Bad,
    };
    ui.hanging(tone, "", &escape(&mirror.words(now.utc_ms)));
}

/// The mirror below the line of truth, where it lags in earnest: the newest records are always under way.
pub fn lag(ui: &Ui, engine: &Engine<'_>) -> Result<(), CliError> {
    const MS: i64 = 10_000;
    let now = engine.world().clock.now();
    let late = |m: &Mirror| {
        m.error.is_some()
            || m.since_ms
                .is_some_and(|since| now.utc_ms.saturating_sub(since) >= MS)
    };
    if let Some(lags) = engine.mirror()?.filter(|m| m.behind > 0 && late(m)) {
        mirror(ui, &lags, now);
    }
    Ok(())
}
