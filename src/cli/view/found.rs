//! What was found here and would be cut.

use crate::cli::ui::{Tone, Ui};
use crate::engine::Found;
use crate::evidence::escape;
use crate::model::fact::TargetKind;
use crate::model::grant::{Shared, Target};

/// Shows what would be cut, and what could not be looked at.
pub fn show(ui: &Ui, found: &Found) {
    if found.aims.is_empty() {
        ui.tone(
            Tone::Warn,
            "Nothing is listed and nothing was found here. That proves nothing:",
        );
        ui.wrapped(2, "an agent elsewhere, or one nobody listed, is not seen from this host. A token you can paste is cut by `incident cut`; what it holds is named in access.yaml (`incident init`).");
    } else {
        ui.tone(Tone::Head, "Stop will cut:");
    }
    for (aim, words) in found.aims.iter().zip(&found.words) {
        let kind = match aim.target.kind() {
            TargetKind::Grant => "access",
            TargetKind::Tree => "processes",
            TargetKind::Trigger => "trigger",
        };
        let shared = match &aim.target {
            Target::Grant(g) if g.shared == Shared::Production => {
                "; production uses it too: its sessions only"
            }
            Target::Grant(g) if g.shared == Shared::Responder => "; you use it too: cut last",
            _ => "",
        };
        let line = format!("{}: {}{shared}", aim.target.id(), escape(words));
        ui.hanging(Tone::Plain, &format!("  {kind:<10} "), &line);
    }
    for left in &found.left {
        let line = format!(
            "{}: {}; {}; {}",
            left.aim.target.id(),
            escape(&left.words),
            escape(&left.why),
            escape(&left.next)
        );
        ui.hanging(Tone::Warn, "  left alive ", &line);
    }
    for line in &found.readable {
        ui.hanging(Tone::Warn, "  readable   ", &escape(line));
    }
    for line in &found.unseen {
        ui.hanging(Tone::Warn, "  not seen   ", &escape(line));
    }
    for problem in &found.problems {
        ui.hanging(Tone::Warn, "  not used: ", &escape(problem));
    }
}
