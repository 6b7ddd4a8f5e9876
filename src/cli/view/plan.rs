//! Everything before it runs.

use serde_json::{Value, json};

use super::verdict;
use crate::boundary::Answer;
use crate::cli::ui::{Tone, Ui, styled};
use crate::engine::{PlanRow, Replanned};
use crate::evidence::escape;
use crate::model::act::Act;
use crate::model::incident::Incident;
use crate::report::words::{count, list};

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
        let head = format!("  {zone} {:<18} ", row.step.id.as_str());
        ui.hanging(Tone::Plain, &head, &format!("{}{state}", escape(&row.step.title)));
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

/// The plan in force as one JSON object, or null.
pub fn plan_json(incident: &Incident) -> Value {
    let Some(plan) = &incident.plan else {
        return Value::Null;
    };
    let steps = plan
        .steps
        .iter()
        .map(|p| json!({ "step": p.step, "zone": p.zone, "state": incident.stand(&p.step).word() }));
    let failed = incident
        .plan_failure()
        .map(|f| json!({ "step": f.step, "act": f.act, "why": f.why, "tries": f.tries }));
    json!({
        "record": plan.seq, "digest": plan.digest, "steps": steps.collect::<Vec<_>>(),
        "next": incident.plan_next().map(|p| &p.step), "failed": failed,
    })
}

/// The plan in force: how far it came, and what holds it up. Nothing where there is none.
pub fn in_force(ui: &Ui, incident: &Incident) {
    let Some(plan) = &incident.plan else { return };
    let done = plan.steps.iter().filter(|p| incident.step_done(&p.step)).count();
    let digest = plan.digest.get(..12).unwrap_or_default();
    let next = match incident.plan_next() {
        Some(next) => format!("`{}` is next", next.step),
        None => "it is through".to_owned(),
    };
    ui.line(&format!(
        "Plan (record {}, digest {digest}…): {done} of {} done, {next}.",
        plan.seq,
        count(plan.steps.len(), "step")
    ));
    if let Some(failed) = incident.plan_failure() {
        let text = format!(
            "`{}` failed and may have half happened ({}); nothing after it runs until it is tried again, taken back, \
             skipped, or the plan is changed",
            failed.step,
            escape(&failed.why)
        );
        ui.hanging(Tone::Bad, "  ", &text);
    }
}

/// What a change of the plan did: step by step, the sign-offs it took along, and what stands.
pub fn replanned(ui: &Ui, told: &Replanned, given_up: bool) {
    for change in &told.changes {
        let parts = match change.parts.as_slice() {
            [] => String::new(),
            parts => format!(": {}", parts.join(", ")),
        };
        ui.line(&format!("  {} {}{parts}", change.step, change.change.word()));
    }
    if told.changes.is_empty() && !given_up {
        ui.line("  the same steps; each may be tried again");
    }
    for (request, steps, people) in &told.fell {
        let signed = match people.as_slice() {
            [] => "nobody had signed it".to_owned(),
            people => format!("signed by {}", escape(&list(people))),
        };
        let text = format!(
            "request {request} ({}) fell with the old plan; {signed}",
            list(steps)
        );
        ui.hanging(Tone::Warn, "  ", &text);
    }
    let stands: Vec<String> = told
        .stands
        .iter()
        .map(|(step, stand)| format!("`{step}` ({})", stand.word()))
        .collect();
    match (given_up, stands.is_empty()) {
        (false, _) => {}
        (true, true) => ui.line("Nothing of recover is in force. Next: incident plan --freeze"),
        (true, false) => {
            ui.hanging(
                Tone::Warn,
                "",
                &format!("In force, the newest first: {}", list(&stands)),
            );
            ui.line("  next: incident undo --plan takes it back in this order; incident plan --freeze fixes another plan");
        }
    }
}
