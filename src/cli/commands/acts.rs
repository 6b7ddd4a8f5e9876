//! `run`, `done`, `skip`, `undo`, `do`, `settle`: one act at a time.

use crate::cli::view::verdict;
use crate::cli::{App, CliError, Exit, deeds};
use crate::model::ids::StepId;

/// Arguments of `run`.
#[derive(clap::Args)]
pub struct RunArgs {
    /// Which step
    step: StepId,
    /// Why it runs now (needed before the baseline)
    #[arg(long)]
    why: Option<String>,
}

/// Arguments of `done`.
#[derive(clap::Args)]
pub struct DoneArgs {
    /// Which step
    step: StepId,
    /// What you did, and what you see
    words: String,
}

/// Arguments of `skip`.
#[derive(clap::Args)]
pub struct SkipArgs {
    /// Which step
    step: StepId,
    /// Why
    why: String,
}

/// Arguments of `undo`.
#[derive(clap::Args)]
#[command(
    after_help = "What recover did is taken back in reverse: what came last goes first, each through the same gates as any act."
)]
pub struct UndoArgs {
    /// Which step
    #[arg(required_unless_present = "plan", conflicts_with = "plan")]
    step: Option<StepId>,
    /// Everything of recover that is in force, the newest first, until something must be decided
    #[arg(long)]
    plan: bool,
    /// Why
    #[arg(long)]
    why: Option<String>,
}

/// Arguments of `do`.
#[derive(clap::Args)]
pub struct DoArgs {
    /// Why
    #[arg(long)]
    why: Option<String>,
    /// Only say how it would be judged
    #[arg(long)]
    dry_run: bool,
    /// Program and arguments, after `--`
    #[arg(last = true, required = true)]
    argv: Vec<String>,
}

/// Arguments of `settle`.
#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("seen").required(true)))]
pub struct SettleArgs {
    /// Number of the act
    act: u64,
    /// It happened
    #[arg(long, group = "seen")]
    happened: bool,
    /// It did not happen
    #[arg(long, group = "seen")]
    did_not: bool,
    /// How you know
    words: String,
}

/// Runs a step.
pub fn run(app: &App, args: &RunArgs) -> Result<Exit, CliError> {
    let engine = app.engine()?;
    let act = engine.resolve(&args.step)?;
    verdict::act(&app.ui, &act);
    let acted = engine.run(&args.step, args.why.as_deref())?;
    deeds::acted(&app.ui, &acted);
    Ok(app.finish(&engine, deeds::exit_of(&acted)))
}

/// Records a step done by hand.
pub fn done(app: &App, args: &DoneArgs) -> Result<Exit, CliError> {
    let engine = app.engine()?;
    let acted = engine.done(&args.step, &args.words)?;
    deeds::by_hand(&app.ui, &args.step, &acted);
    Ok(app.finish(&engine, Exit::Done))
}

/// Records that a step will not be done.
pub fn skip(app: &App, args: &SkipArgs) -> Result<Exit, CliError> {
    let engine = app.engine()?;
    deeds::skip(&app.ui, &engine, &args.step, &args.why)?;
    Ok(app.finish(&engine, Exit::Done))
}

/// Takes a step back, or all of recover.
pub fn undo(app: &App, args: &UndoArgs) -> Result<Exit, CliError> {
    let engine = app.engine()?;
    let exit = match &args.step {
        Some(step) => {
            let acted = engine.undo(step, args.why.as_deref())?;
            deeds::acted(&app.ui, &acted);
            deeds::exit_of(&acted)
        }
        None => deeds::take_back(&app.ui, &engine, args.why.as_deref())?,
    };
    Ok(app.finish(&engine, exit))
}

/// Runs an act nobody foresaw.
pub fn ad_hoc(app: &App, args: &DoArgs) -> Result<Exit, CliError> {
    let engine = app.engine()?;
    let act = engine.resolve_ad_hoc(&args.argv)?;
    verdict::act(&app.ui, &act);
    if args.dry_run {
        verdict::show(&app.ui, &engine.judged(&act, args.why.as_deref())?);
        return Ok(Exit::Done);
    }
    let acted = engine.perform(&act, args.why.as_deref())?;
    deeds::acted(&app.ui, &acted);
    Ok(app.finish(&engine, deeds::exit_of(&acted)))
}

/// Settles an act in doubt.
pub fn settle(app: &App, args: &SettleArgs) -> Result<Exit, CliError> {
    let engine = app.engine()?;
    engine.settle(args.act, args.happened, &args.words)?;
    let word = if args.happened {
        "happened"
    } else {
        "did not happen"
    };
    app.ui.line(&format!("Act {} is settled: it {word}.", args.act));
    Ok(app.finish(&engine, Exit::Done))
}
