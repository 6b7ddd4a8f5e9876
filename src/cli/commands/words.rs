//! Commands that look, or only add to the record: answer, seal, enter, note, did, attach, prove, close.

use std::path::PathBuf;

use crate::cli::ui::Tone;
use crate::cli::{App, CliError, Exit, deeds};
use crate::model::act::Stage;
use crate::model::ids::{StepId, TargetId};
use crate::model::time::{parse_rfc3339, parse_span, rfc3339};

/// Arguments of `answer`.
#[derive(clap::Args)]
pub struct AnswerArgs {
    /// A question of the runbook, or a target of the stop stage
    about: String,
    /// The answer
    text: String,
}

/// Arguments of `seal`.
#[derive(clap::Args)]
pub struct SealArgs {
    /// What is not known yet; may be given several times
    #[arg(long, value_name = "WORDS")]
    unknown: Vec<String>,
}

/// Arguments of `enter`.
#[derive(clap::Args)]
pub struct EnterArgs {
    /// assess, contain or recover
    #[arg(value_parser = stage)]
    stage: Stage,
}

/// Arguments of `note`.
#[derive(clap::Args)]
pub struct NoteArgs {
    /// The words
    text: String,
}

/// Arguments of `window`.
#[derive(clap::Args)]
pub struct WindowArgs {
    /// What closes, or with --over what was done about it
    text: String,
    /// When it closes: a moment (2026-11-23T05:00:00Z) or a span from now (48h)
    #[arg(
        long,
        value_name = "WHEN",
        required_unless_present = "over",
        conflicts_with = "over"
    )]
    until: Option<String>,
    /// What would hold it: a step of the runbook, or words
    #[arg(long, value_name = "STEP|WORDS", conflicts_with = "over")]
    hold: Option<String>,
    /// The record of a window that is held now, was used, or is not needed
    #[arg(long, value_name = "RECORD")]
    over: Option<u64>,
}

/// Arguments of `did`.
#[derive(clap::Args)]
pub struct DidArgs {
    /// What was done, by whom, where
    text: String,
}

/// Arguments of `attach`.
#[derive(clap::Args)]
pub struct AttachArgs {
    /// The file
    file: PathBuf,
}

/// Arguments of `close`.
#[derive(clap::Args)]
pub struct CloseArgs {
    /// Last words for the record
    words: String,
}

fn stage(word: &str) -> Result<Stage, String> {
    let known = Stage::ALL.into_iter().skip(1).find(|s| s.word() == word);
    known.ok_or_else(|| "it is one of assess, contain, recover".to_owned())
}

/// Answers a question, or for a target.
pub fn answer(app: &App, args: &AnswerArgs) -> Result<Exit, CliError> {
    let engine = app.engine()?;
    let target = TargetId::new(&args.about)
        .ok()
        .filter(|t| engine.incident().is_ok_and(|i| i.stop.targets.contains_key(t)));
    match (target, StepId::new(&args.about)) {
        (Some(target), _) => {
            engine.answer_for(&target, &args.text)?;
        }
        (None, Ok(step)) => {
            engine.answer(&step, &args.text)?;
        }
        (None, Err(e)) => return Err(CliError::new(Exit::Usage, e.to_string())),
    }
    deeds::kept(&app.ui, &engine, Tone::Plain, "It is on record.");
    Ok(app.finish(&engine, Exit::Done))
}

/// Seals the baseline.
pub fn seal(app: &App, args: &SealArgs) -> Result<Exit, CliError> {
    let engine = app.engine()?;
    engine.seal_baseline(args.unknown.clone())?;
    deeds::kept(&app.ui, &engine, Tone::Good, "The baseline is sealed.");
    Ok(app.finish(&engine, Exit::Done))
}

/// Moves on.
pub fn enter(app: &App, args: &EnterArgs) -> Result<Exit, CliError> {
    let engine = app.engine()?;
    deeds::enter(&app.ui, &engine, args.stage)?;
    Ok(app.finish(&engine, Exit::Done))
}

/// Adds words.
pub fn note(app: &App, args: &NoteArgs) -> Result<Exit, CliError> {
    let engine = app.engine()?;
    engine.note(&args.text)?;
    deeds::kept(&app.ui, &engine, Tone::Plain, "It is on record.");
    Ok(app.finish(&engine, Exit::Done))
}

/// Puts a closing window on the list of dangers, or takes it off.
pub fn window(app: &App, args: &WindowArgs) -> Result<Exit, CliError> {
    let engine = app.engine()?;
    if let Some(record) = args.over {
        engine.window_over(record, &args.text)?;
        let text = "It is on record, and off the list of dangers.";
        deeds::kept(&app.ui, &engine, Tone::Plain, text);
        return Ok(app.finish(&engine, Exit::Done));
    }
    let until = args.until.as_deref().unwrap_or_default();
    let now = app.world.clock.now().utc_ms;
    let span = parse_span(until).and_then(|ms| i64::try_from(ms).ok());
    let closes = span.map(|ms| now + ms).or_else(|| parse_rfc3339(until));
    let Some(closes) = closes.filter(|at| *at > now) else {
        let words = format!("`{until}` is no moment to come: write 48h, or 2026-11-23T05:00:00Z");
        return Err(CliError::new(Exit::Usage, words));
    };
    let step = args.hold.as_deref().and_then(|hold| StepId::new(hold).ok());
    let hold = match step.filter(|step| engine.runbook().step(step).is_some()) {
        Some(step) => format!("incident run {step}"),
        None => args.hold.clone().unwrap_or_default(),
    };
    let record = engine.window(&args.text, closes, &hold)?;
    let text = format!(
        "It is on record as #{record}, and on the list of dangers until {}.",
        rfc3339(closes)
    );
    deeds::kept(&app.ui, &engine, Tone::Plain, &text);
    app.ui.line(&format!(
        "  next: hold it open, then: incident window --over {record} \"what holds it\""
    ));
    Ok(app.finish(&engine, Exit::Done))
}

/// Records what was done elsewhere.
pub fn did(app: &App, args: &DidArgs) -> Result<Exit, CliError> {
    let engine = app.engine()?;
    engine.did(&args.text)?;
    let text = "It is on record, as done outside the tool.";
    deeds::kept(&app.ui, &engine, Tone::Plain, text);
    Ok(app.finish(&engine, Exit::Done))
}

/// Keeps a file.
pub fn attach(app: &App, args: &AttachArgs) -> Result<Exit, CliError> {
    let engine = app.engine()?;
    deeds::room(&app.ui, &engine);
    let captured = engine.attach(&app.world.host.cwd().join(&args.file))?;
    deeds::captured(&app.ui, &captured);
    Ok(app.finish(&engine, Exit::Done))
}

/// Proves recovery.
pub fn prove(app: &App) -> Result<Exit, CliError> {
    let engine = app.engine()?;
    let exit = deeds::prove(&app.ui, &engine)?;
    Ok(app.finish(&engine, exit))
}

/// Ends the incident.
pub fn close(app: &App, args: &CloseArgs) -> Result<Exit, CliError> {
    let engine = app.engine()?;
    engine.close(&args.words)?;
    app.ui.tone(Tone::Good, "The incident is closed.");
    let incident = engine.incident()?;
    for unproved in &incident.closed_unproved {
        app.ui.tone(
            Tone::Warn,
            &format!("  not proved: {}", crate::evidence::escape(unproved)),
        );
    }
    app.ui.line("  next: incident bundle -o FILE, incident report");
    Ok(app.finish(&engine, deeds::standing(&engine)?))
}
