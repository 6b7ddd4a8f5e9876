//! `access restore`: what stop took, given back from what was saved before the cut.

use crate::cli::view::verdict;
use crate::cli::{App, CliError, Exit, deeds};
use crate::model::ids::TargetId;

/// Arguments of `access restore`.
#[derive(clap::Args)]
#[command(
    after_help = "What is given back is live again for whoever holds a copy: a new credential for the service that \
needs one is better, and revives nothing. The act is judged like any other: after the baseline, at the boundary. \
`incident escalate restore-GRANT` writes what the other person signs."
)]
pub struct RestoreArgs {
    /// Which grant or trigger
    target: TargetId,
    /// Why
    #[arg(long)]
    why: Option<String>,
    /// Only say what would be done and how it would be judged
    #[arg(long)]
    dry_run: bool,
}

/// Gives it back, where the boundary lets it.
pub fn run(app: &App, args: &RestoreArgs) -> Result<Exit, CliError> {
    let engine = app.engine()?;
    let act = engine.resolve_restore(&args.target)?;
    verdict::act(&app.ui, &act);
    if args.dry_run {
        verdict::show(&app.ui, &engine.judged(&act, args.why.as_deref())?);
        return Ok(Exit::Done);
    }
    let acted = engine.perform(&act, args.why.as_deref())?;
    deeds::acted(&app.ui, &acted);
    Ok(app.finish(&engine, deeds::exit_of(&acted)))
}
