//! `escalate` and `signoff`: asking another person, and filing the answer.

use std::path::PathBuf;

use clap::Subcommand;

use crate::cli::{App, CliError, Exit, deeds};
use crate::model::ids::StepId;

/// Arguments of `escalate`.
#[derive(clap::Args)]
#[command(
    after_help = "Writes the text that the other person signs. The step stays blocked until enough signatures are filed."
)]
pub struct EscalateArgs {
    /// Steps, in the order they may run
    #[arg(required_unless_present = "argv", conflicts_with = "argv")]
    steps: Vec<StepId>,
    /// An act no runbook foresaw, after `--`; then `incident do -- …` runs it
    #[arg(last = true, value_name = "COMMAND")]
    argv: Vec<String>,
    /// Your own private key, or its public half for an agent: proves who asks
    #[arg(long, value_name = "FILE")]
    key: Option<String>,
    /// Ask for taking the step back instead
    #[arg(long)]
    undo: bool,
    /// Print the text as well
    #[arg(long)]
    show: bool,
}

/// Arguments of `signoff`.
#[derive(clap::Args)]
pub struct SignoffArgs {
    #[command(subcommand)]
    command: SignoffCommand,
}

#[derive(Subcommand)]
enum SignoffCommand {
    /// File a signature (`FILE.sig`); its text is read from beside it where it is there
    Add {
        /// What ssh-keygen wrote
        file: PathBuf,
    },
    /// List requests that wait for answers
    List,
    /// Take a request back
    Withdraw {
        /// Number of the request
        request: u64,
        /// Why
        why: String,
    },
}

/// Writes a request.
pub fn run(app: &App, args: &EscalateArgs) -> Result<Exit, CliError> {
    let engine = app.engine()?;
    let key = args.key.as_deref();
    let issued = match args.steps.as_slice() {
        [] => engine.escalate_ad_hoc(&args.argv, key)?,
        [step] if args.undo => engine.escalate_undo(step, key)?,
        _ if args.undo => return Err(CliError::new(Exit::Usage, "one step is taken back at a time")),
        steps => engine.escalate(steps, key)?,
    };
    deeds::issued(&app.ui, &issued);
    if args.show {
        app.ui.line(&issued.approve);
    }
    Ok(app.finish(&engine, Exit::Waiting))
}

/// Files, lists or withdraws.
pub fn signoff(app: &App, args: &SignoffArgs) -> Result<Exit, CliError> {
    let engine = app.engine()?;
    match &args.command {
        SignoffCommand::Add { file } => deeds::file_answer(&app.ui, &engine, file)?,
        SignoffCommand::List => {
            let pending = engine.pending()?;
            if pending.is_empty() {
                app.ui.line("No request waits for answers.");
            }
            for p in &pending {
                let steps: Vec<&str> = p.steps.iter().map(StepId::as_str).collect();
                let have = if p.have.is_empty() {
                    "nobody".to_owned()
                } else {
                    p.have.join(", ")
                };
                app.ui.line(&format!(
                    "request {}: {}; needs {}, signed by {have}",
                    p.request,
                    steps.join(", "),
                    p.need.people
                ));
            }
            return Ok(if pending.is_empty() {
                Exit::Done
            } else {
                Exit::Waiting
            });
        }
        SignoffCommand::Withdraw { request, why } => {
            engine.withdraw(*request, why)?;
            app.ui.line(&format!("Request {request} is withdrawn."));
        }
    }
    Ok(app.finish(&engine, Exit::Done))
}
