//! What is still dangerous, worst and soonest first, each with its next command.

use crate::cli::ui::{Tone, Ui};
use crate::model::time::rfc3339;
use crate::report::{Danger, Severity};

/// Shows the list; the row of what nobody listed is always the last.
pub fn show(ui: &Ui, dangers: &[Danger]) {
    ui.tone(Tone::Head, "Still dangerous");
    for danger in dangers {
        let tone = match danger.severity {
            Severity::StillLive | Severity::Failed | Severity::InDoubt => Tone::Bad,
            _ => Tone::Warn,
        };
        let until = match danger.deadline_ms {
            Some(at) => format!("{} ", minute(at)),
            None => String::new(),
        };
        ui.hanging(tone, "  ", &format!("{until}{}", danger.what));
        ui.tone(Tone::Dim, &format!("    next: {}", danger.next));
    }
}

/// `2026-11-22 03:14Z`.
pub fn minute(ms: i64) -> String {
    let text = rfc3339(ms);
    match (text.get(..10), text.get(11..16)) {
        (Some(day), Some(time)) => format!("{day} {time}Z"),
        _ => text,
    }
}
