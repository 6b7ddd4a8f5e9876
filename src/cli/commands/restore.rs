//! `access restore`: what stop took, given back from what was saved before the cut, or made anew.

use std::path::PathBuf;

use crate::cli::view::verdict;
use crate::cli::{App, CliError, Exit, deeds};
use crate::model::ids::TargetId;

/// Arguments of `access restore`.
#[derive(clap::Args)]
#[command(
    after_help = "What is given back is live again for whoever holds a copy: at the boundary, so that another person \
signs (`incident escalate restore-GRANT` writes what they sign).\n\nA new credential for a service that needs one \
revives nothing: `--new --for SERVICE --into FILE`. It has no more rights than what was saved of the old one before the cut, \
its secret goes into FILE (mode 0600, never over another file) and nowhere else, and the old one stays cut. Inside the \
boundary; where nobody can say what the old one might do, at it. Where the tool cannot make one it says how, and \
`--done WORDS` records that you did.\n\nBoth only after the baseline."
)]
pub struct RestoreArgs {
    /// Which grant or trigger
    target: TargetId,
    /// Make a new credential instead of reviving the old one
    #[arg(long, requires = "service")]
    new: bool,
    /// The service that is to use the new one
    #[arg(long = "for", value_name = "SERVICE", requires = "new")]
    service: Option<String>,
    /// File for its secret; it must not exist yet
    #[arg(long, value_name = "FILE", requires = "new")]
    into: Option<PathBuf>,
    /// Record that you made it by hand, and what the provider knows it by
    #[arg(long, value_name = "WORDS", requires = "new", conflicts_with = "into")]
    done: Option<String>,
    /// Why
    #[arg(long)]
    why: Option<String>,
    /// Only say what would be done and how it would be judged
    #[arg(long)]
    dry_run: bool,
}

/// Gives it back or makes it anew, where the boundary lets it.
pub fn run(app: &App, args: &RestoreArgs) -> Result<Exit, CliError> {
    let engine = app.engine()?;
    let act = match &args.service {
        Some(service) => engine.resolve_renewal(&args.target, service)?,
        None => engine.resolve_restore(&args.target)?,
    };
    verdict::act(&app.ui, &act);
    // A person who is told what to do by hand has done nothing yet.
    let told = args.new && args.into.is_none() && args.done.is_none();
    if args.dry_run || told {
        verdict::show(&app.ui, &engine.judged(&act, args.why.as_deref())?);
        let next = match act.targets.contains_key("by hand") {
            true => "--done WORDS, once you made it",
            false => "--into FILE, where its secret is to go",
        };
        if told {
            app.ui.line(&format!("  next     the same command with {next}"));
        }
        let waits = told && !args.dry_run;
        return Ok(if waits { Exit::Waiting } else { Exit::Done });
    }
    let acted = match (&args.into, &args.done) {
        (Some(into), _) => engine.renew(&act, into, args.why.as_deref())?,
        (None, Some(words)) => engine.renewed_by_hand(&act, words)?,
        (None, None) => engine.perform(&act, args.why.as_deref())?,
    };
    deeds::acted(&app.ui, &acted);
    Ok(app.finish(&engine, deeds::exit_of(&acted)))
}
