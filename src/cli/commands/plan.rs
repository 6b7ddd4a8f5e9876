//! `plan`: everything before it runs; fixing the recovery plan, changing it, giving it up.

use crate::cli::ui::Tone;
use crate::cli::view;
use crate::cli::{App, CliError, Exit};
use crate::model::ids::StepId;
use crate::report::words::count;

/// Arguments of `plan`.
#[derive(clap::Args)]
pub struct PlanArgs {
    /// Show exactly what each step runs, where, and every reason for its zone
    #[arg(long, short)]
    long: bool,
    /// Fix the recovery plan: these steps, or all that are not skipped
    #[arg(long, group = "change")]
    freeze: bool,
    /// Change the plan in force, and why: to these steps, or to the same to be tried again. It is signed for anew
    #[arg(long, value_name = "WHY", group = "change")]
    amend: Option<String>,
    /// Give the plan in force up, and why; what it did stands
    #[arg(long, value_name = "WHY", visible_alias = "drop", group = "change")]
    abort: Option<String>,
    /// Steps of the plan, in order
    #[arg(requires = "change", conflicts_with = "abort")]
    steps: Vec<StepId>,
}

/// Shows, freezes, changes or gives up the plan.
pub fn run(app: &App, args: &PlanArgs) -> Result<Exit, CliError> {
    let engine = app.engine()?;
    if let Some(why) = &args.abort {
        let told = engine.drop_plan(why)?;
        app.ui
            .line("The plan is given up: nothing more of it runs. What was done stays on record.");
        view::plan::replanned(&app.ui, &told, true);
        return Ok(app.finish(&engine, Exit::Done));
    }
    if let Some(why) = &args.amend {
        let steps = match args.steps.is_empty() {
            true => engine.plan_steps()?,
            false => args.steps.clone(),
        };
        let told = engine.amend(&steps, why)?;
        let text = format!("The plan is changed: {}.", count(steps.len(), "step"));
        app.ui.tone(Tone::Good, &text);
        view::plan::replanned(&app.ui, &told, false);
        return Ok(app.finish(&engine, Exit::Done));
    }
    if args.freeze {
        let steps = if args.steps.is_empty() {
            engine.recover_steps()?
        } else {
            args.steps.clone()
        };
        engine.freeze(&steps)?;
        let text = format!("The plan is frozen: {}.", count(steps.len(), "step"));
        app.ui.tone(Tone::Good, &text);
        return Ok(app.finish(&engine, Exit::Done));
    }
    let rows = engine.plan()?;
    if app.ui.json {
        let mut value = view::plan::json(&rows);
        value["in_force"] = view::plan::plan_json(&*engine.incident()?);
        app.ui.value(&value);
    } else {
        view::plan::in_force(&app.ui, &*engine.incident()?);
        view::plan::show(&app.ui, &rows, args.long);
    }
    Ok(Exit::Done)
}
