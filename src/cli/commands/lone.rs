//! `lone` and `enrol`: one person alone, and a roster that nobody wrote in advance.

use std::path::PathBuf;

use crate::cli::ui::Tone;
use crate::cli::{App, CliError, Exit, deeds, view};
use crate::model::ids::StepId;

/// Arguments of `lone`.
#[derive(clap::Args)]
#[command(
    after_help = "Only at the boundary, only where the runbook has `escalation: {lone: …}`, and never outside. Everybody is \
told; for the length of the delay anybody of the roster may refuse, which ends it, or sign, which needs no delay. What was run \
alone is shown for ever, and the incident stays open until another person has countersigned it."
)]
pub struct LoneArgs {
    /// Which step
    step: StepId,
    /// Why it cannot wait for others
    #[arg(long)]
    why: String,
    /// Who was tried, and how, where no notice goes out
    #[arg(long, value_name = "WORDS")]
    unreached: Option<String>,
    /// Your own private key, or its public half for an agent: proves who asks
    #[arg(long, value_name = "FILE")]
    key: Option<String>,
}

/// Arguments of `enrol`.
#[derive(clap::Args)]
#[command(
    after_help = "Only where nobody wrote a roster in advance. They may refuse, and countersign what was run alone; they never \
approve beforehand. That they were enrolled on the day, and by whom, is shown for ever."
)]
pub struct EnrolArgs {
    /// The person, as in ben@example.com
    person: String,
    /// Their public key, as in id_ed25519.pub
    key: PathBuf,
    /// How you know that it is theirs
    #[arg(long)]
    why: String,
}

/// Asks to act alone, or says how far that has come.
pub fn run(app: &App, args: &LoneArgs) -> Result<Exit, CliError> {
    let engine = app.engine()?;
    let asked = engine.ask_alone(
        &args.step,
        &args.why,
        args.unreached.as_deref(),
        args.key.as_deref(),
    )?;
    if let Some(issued) = &asked.issued {
        deeds::issued(&app.ui, issued);
    }
    view::asked::told(&app.ui, &asked.told);
    app.ui.tone(
        Tone::Warn,
        &format!(
            "Request {} may be run by one person alone, if nobody refuses:",
            asked.request
        ),
    );
    view::asked::stands(&app.ui, &engine, asked.request)?;
    let exit = match asked.stands {
        crate::boundary::Alone::Ready { .. } => Exit::Done,
        _ => Exit::Waiting,
    };
    Ok(app.finish(&engine, exit))
}

/// Writes somebody into an empty roster.
pub fn enrol(app: &App, args: &EnrolArgs) -> Result<Exit, CliError> {
    const CAP: u64 = 16 << 10;
    let engine = app.engine()?;
    let path = app.world.host.cwd().join(&args.key);
    let key = app.world.files.read(&path, CAP).map_err(|e| {
        CliError::new(Exit::Usage, format!("cannot read {}: {e}", path.display()))
            .hint("Name the public half of the key, as in id_ed25519.pub")
    })?;
    engine.enrol(&args.person, &String::from_utf8_lossy(&key), &args.why)?;
    app.ui.line(&format!(
        "{} is enrolled: to refuse, and to countersign what was run alone. The record says that it was you who said so.",
        crate::evidence::escape(&args.person)
    ));
    Ok(app.finish(&engine, Exit::Done))
}
