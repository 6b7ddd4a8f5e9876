//! Everything before it runs.

use serde_json::{Value, json};

use super::verdict;
use crate::boundary::Answer;
use crate::cli::ui::{Tone, Ui, styled};
use crate::engine::PlanRow;
use crate::evidence::escape;
use crate::model::act::Act;

/// Shows the plan; `long` with exactly what and where.
pub fn show(ui: &Ui, rows: &[PlanRow<'_>], long: bool) {
    let mut stage = None;
    for row in rows {
        if stage != Some(row.step.stage) {
            stage = Some(row.step.stage);
            ui.tone(Tone::Head, row.step.stage.word());
        }
        let zone = match (&row.verdict, &row.step.act) {
            (_, Act::Ask(_) | Act::Capture(_) | Act::Sweep(_) | Act::Restore(_) | Act::Renew(_)) => {
                "       ".to_owned()
            }
            (Some(v), _) => styled(verdict::tone(v.zone), &format!("{:<7}", v.zone.word())),
            (None, _) => styled(Tone::Bad, "broken "),
        };
        let state = if row.state.is_empty() {
            String::new()
        } else {
            format!(" [{}]", row.state)
        };
        ui.line(&format!(
            "  {zone} {:<18} {}{state}",
            row.step.id.as_str(),
            escape(&row.step.title)
        ));
        match &row.resolved {
            Err(e) => ui.line(&format!(
                "          {}",
                styled(Tone::Bad, &escape(&e.to_string()))
            )),
            Ok(act) if long && matches!(act.act, Act::Run(_) | Act::Manual(_)) => {
                verdict::act(ui, act);
                if let Some(v) = &row.verdict {
                    verdict::show(ui, v);
                }
            }
            Ok(_) => {}
        }
    }
}

/// The plan as one JSON object.
pub fn json(rows: &[PlanRow<'_>]) -> Value {
    let rows = rows.iter().map(|row| {
        let (act, error) = match &row.resolved {
            Ok(act) => (serde_json::to_value(act).unwrap_or(Value::Null), Value::Null),
            Err(e) => (Value::Null, Value::String(e.to_string())),
        };
        json!({
            "step": row.step.id, "stage": row.step.stage, "title": row.step.title, "state": row.state,
            "zone": row.verdict.as_ref().map(|v| v.zone),
            "because": row.verdict.as_ref().map(|v| &v.because),
            "runs_now": row.verdict.as_ref().map(|v| matches!(v.answer, Answer::Go { .. })),
            "act": act, "error": error,
        })
    });
    json!({ "steps": rows.collect::<Vec<_>>() })
}
