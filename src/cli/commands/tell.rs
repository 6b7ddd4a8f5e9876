//! `timeline`, `brief`, `handoff`, `report`: the record in words, for other people. None of them changes it.

use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::json;

use crate::cli::record::Record;
use crate::cli::ui::Tone;
use crate::cli::view::next;
use crate::cli::{App, CliError, Exit};
use crate::evidence::escape;
use crate::report::{self, Due, Report, ReportError};

/// Arguments of `report`.
#[derive(clap::Args)]
pub struct ReportArgs {
    /// In which form
    #[arg(long, value_name = "FORM", default_value = "md")]
    format: Form,
    /// Write it here instead of to the terminal; never replaces a file
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Arguments of `handoff`.
#[derive(clap::Args)]
#[command(
    after_help = "Alone it writes what the next shift must know. With --to it records that the record went into their \
hands; with --key they sign for the head they were shown, and the pinned roster must say that the key is theirs."
)]
pub struct HandoffArgs {
    /// Who takes over, as in allowed_signers
    #[arg(long, value_name = "PRINCIPAL")]
    to: Option<String>,
    /// Their private key, or its public half for an agent: they sign the receipt
    #[arg(long, value_name = "FILE", requires = "to")]
    key: Option<String>,
}

/// Forms of the postmortem.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Markdown
    Md,
    /// One page that loads nothing from elsewhere
    Html,
    /// One JSON object
    Json,
}

impl From<ReportError> for CliError {
    fn from(error: ReportError) -> Self {
        let because = std::error::Error::source(&error).map(ToString::to_string);
        CliError::new(Exit::Failed, error.to_string()).because(because.unwrap_or_default())
    }
}

/// Everything that happened, a row each.
pub fn timeline(app: &App) -> Result<Exit, CliError> {
    let record = Record::read(app, &app.which_any()?)?;
    let rows = report::timeline(&record.entries);
    if app.ui.json {
        app.ui
            .value(&json!({ "incident": record.incident.id(), "timeline": rows }));
        return Ok(Exit::Done);
    }
    let mut day = String::new();
    for row in &rows {
        let (date, time) = row.ts.split_once('T').unwrap_or(("", &row.ts));
        if date != day {
            app.ui.line(&format!("{date} (UTC)"));
            day = date.to_owned();
        }
        let head = format!("  {} #{:<4} ", time.get(..8).unwrap_or(time), row.seq);
        let text = format!("{}: {}", escape(&row.who), escape(&row.words));
        app.ui.hanging(Tone::Plain, &head, &text);
    }
    Ok(Exit::Done)
}

/// Ten lines for the chat.
pub fn brief(app: &App) -> Result<Exit, CliError> {
    let record = Record::read(app, &app.which_any()?)?;
    let now = record.seen_at(app.world.clock.now());
    let mut lines = report::brief(&record.incident, &record.head, &due(app, &record)?, now);
    if record.incident.mirror.is_some()
        && let Some(mirror) = app.desk().resume(record.incident.id())?.mirror()?
        && let Some(last) = lines.last_mut()
    {
        *last = match mirror.behind {
            0 => format!("{last}; the mirror has all of it"),
            n => format!(
                "{last}; the mirror lacks {}",
                report::words::count(usize::try_from(n).unwrap_or(usize::MAX), "record")
            ),
        };
    }
    match app.ui.json {
        true => app
            .ui
            .value(&json!({ "incident": record.incident.id(), "brief": lines })),
        false => lines.iter().for_each(|line| app.ui.line(line)),
    }
    Ok(Exit::Done)
}

/// What the next shift must know.
pub fn handoff(app: &App, args: &HandoffArgs) -> Result<Exit, CliError> {
    if let Some(to) = &args.to {
        return hand_over(app, to, args.key.as_deref());
    }
    let record = Record::read(app, &app.which_any()?)?;
    let now = record.seen_at(app.world.clock.now());
    let text = report::handoff(&record.entries, &record.incident, &due(app, &record)?, now)?;
    match app.ui.json {
        true => app
            .ui
            .value(&json!({ "incident": record.incident.id(), "handoff": text })),
        false => app.ui.raw(text.as_bytes()),
    }
    Ok(Exit::Done)
}

/// Records into whose hands it goes.
fn hand_over(app: &App, to: &str, key: Option<&str>) -> Result<Exit, CliError> {
    let engine = app.desk().resume(&app.which_any()?)?;
    app.tell(&engine);
    let handed = engine.hand_over(to, key)?;
    if !app.ui.json {
        let (to, seq, code) = (escape(&handed.to), handed.head.seq, handed.head.code());
        match &handed.key {
            Some(key) => app.ui.tone(
                Tone::Good,
                &format!("{to} signed for the record up to {seq} ({code}) with {key}."),
            ),
            None => app.ui.tone(
                Tone::Warn,
                &format!("On record: {to} takes over at record {seq} ({code}). They signed nothing; this is your word."),
            ),
        }
        app.ui.line("  next: incident handoff, for what they must know");
    }
    Ok(app.finish(&engine, Exit::Done))
}

/// What is due next in an open incident; in a closed one or a drill there is nothing to do any more.
fn due(app: &App, record: &Record) -> Result<Due, CliError> {
    if record.incident.closed_ts.is_some() || record.incident.opened.drill {
        return Ok(Due {
            what: "none, it is over".to_owned(),
            command: "incident report".to_owned(),
        });
    }
    let engine = app.desk().resume(record.incident.id())?;
    Ok(next::due(&engine.next()?))
}

/// The postmortem.
pub fn report(app: &App, args: &ReportArgs) -> Result<Exit, CliError> {
    let record = Record::read(app, &app.which_any()?)?;
    let report = Report::of(&record.entries, &record.incident);
    let text = match (args.format, app.ui.json) {
        (Form::Json, _) | (_, true) => report
            .json()
            .map_err(|e| CliError::new(Exit::Failed, format!("the report cannot be written: {e}")))?,
        (Form::Md, false) => report::markdown(&report)?,
        (Form::Html, false) => report::html(&report)?,
    };
    let Some(path) = &args.output else {
        app.ui.raw(text.as_bytes());
        return Ok(Exit::Done);
    };
    let path = app.world.host.cwd().join(path);
    super::new_file(app, &path)?;
    app.world
        .files
        .replace(&path, text.as_bytes(), 0o644)
        .map_err(|e| CliError::new(Exit::Failed, format!("cannot write {}: {e}", path.display())))?;
    app.ui
        .aside(&format!("The report is written to {}.", path.display()));
    Ok(Exit::Done)
}
