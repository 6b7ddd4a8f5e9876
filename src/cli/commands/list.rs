//! `list`: every incident there is a record of.

use crate::cli::ui::{Tone, styled};
use crate::cli::view::danger::minute;
use crate::cli::{App, CliError, Exit};
use crate::engine::EngineError;
use crate::evidence::escape;
use crate::store::{CaseState, CaseSummary};

/// Lists cases, newest first.
pub fn run(app: &App) -> Result<Exit, CliError> {
    let cases = app.store.list().map_err(EngineError::from)?;
    if app.ui.json {
        let rows = cases.iter().map(|case| {
            let (state, why) = words(app, case);
            serde_json::json!({
                "id": case.id, "state": state, "why": why, "drill": case.id.is_drill(),
                "opened": case.opened_ms.map(crate::model::time::rfc3339), "path": case.path,
            })
        });
        app.ui
            .value(&serde_json::json!({ "store": app.store.root(), "incidents": rows.collect::<Vec<_>>() }));
        return Ok(Exit::Done);
    }
    if cases.is_empty() {
        app.ui
            .line(&format!("No incident is kept in {}.", app.store.root().display()));
        app.ui
            .line("  next: incident start, or incident drill to practise");
    }
    for case in &cases {
        let (state, why) = words(app, case);
        let tone = match case.state {
            CaseState::Open => Tone::Warn,
            CaseState::Closed => Tone::Plain,
            CaseState::Broken(_) => Tone::Bad,
        };
        let drill = if case.id.is_drill() { "  a drill" } else { "" };
        let opened = case.opened_ms.map_or_else(|| "-".to_owned(), minute);
        app.ui.line(&format!(
            "{}  {:<24}  {opened}{drill}",
            styled(tone, &format!("{state:<6}")),
            case.id.as_str(),
        ));
        if let Some(why) = why {
            app.ui.wrapped(8, &escape(why));
            app.ui
                .line(&format!("        next: incident verify {}", case.path.display()));
        }
    }
    Ok(Exit::Done)
}

fn words<'c>(app: &App, case: &'c CaseSummary) -> (&'static str, Option<&'c str>) {
    match &case.state {
        CaseState::Open if !app.is_begun(case) => ("empty", None),
        CaseState::Open => ("open", None),
        CaseState::Closed => ("closed", None),
        CaseState::Broken(why) => ("broken", Some(why)),
    }
}
