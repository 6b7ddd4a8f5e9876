//! `plan`: everything before it runs; and fixing the recovery plan.

use crate::cli::ui::Tone;
use crate::cli::view;
use crate::cli::{App, CliError, Exit};
use crate::model::ids::StepId;

/// Arguments of `plan`.
#[derive(clap::Args)]
pub struct PlanArgs {
    /// Show exactly what each step runs, where, and every reason for its zone
    #[arg(long, short)]
    long: bool,
    /// Fix the recovery plan: these steps, or all that are not skipped
    #[arg(long, conflicts_with = "drop")]
    freeze: bool,
    /// Give the fixed plan up, and why
    #[arg(long, value_name = "WHY")]
    drop: Option<String>,
    /// Steps to freeze, in order
    #[arg(requires = "freeze")]
    steps: Vec<StepId>,
}

/// Shows, freezes or drops the plan.
pub fn run(app: &App, args: &PlanArgs) -> Result<Exit, CliError> {
    let engine = app.engine()?;
    if let Some(why) = &args.drop {
        engine.drop_plan(why)?;
        app.ui
            .line("The plan is given up; what was done stays on record.");
        return Ok(app.finish(&engine, Exit::Done));
    }
    if args.freeze {
        let steps = if args.steps.is_empty() {
            engine.recover_steps()?
        } else {
            args.steps.clone()
        };
        engine.freeze(&steps)?;
        app.ui
            .tone(Tone::Good, &format!("The plan is frozen: {} steps.", steps.len()));
        return Ok(app.finish(&engine, Exit::Done));
    }
    let rows = engine.plan()?;
    if app.ui.json {
        app.ui.value(&view::plan::json(&rows));
    } else {
        view::plan::show(&app.ui, &rows, args.long);
    }
    Ok(Exit::Done)
}
