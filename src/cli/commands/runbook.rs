//! `runbook list|show|trust|approve|lint`: the files written in advance, before they are needed.

mod approve;
mod lint;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;

use crate::cli::ui::{Tone, styled};
use crate::cli::view::{plan, verdict};
use crate::cli::{App, CliError, Exit, wire};
use crate::engine::{EngineError, SHIPPED_RUNBOOK, SHIPPED_RUNBOOK_NAME, Written};
use crate::evidence::escape;
use crate::model::diagnostic::Diagnostic;
use crate::model::effect::Zone;
use crate::model::runbook::Runbook;
use crate::report::words::{count, list as listed, need as need_words};

/// Arguments of `runbook`.
#[derive(clap::Args)]
pub struct RunbookArgs {
    #[command(subcommand)]
    command: RunbookCommand,
}

#[derive(Subcommand)]
enum RunbookCommand {
    /// List the runbooks that would be found from here; the first is the one in force
    List,
    /// Show a runbook as it would be judged on this host
    Show {
        /// A runbook, or the folder that holds one; without it, the one in force
        file: Option<PathBuf>,
        /// Print the file itself
        #[arg(long)]
        raw: bool,
    },
    /// Sign, in peacetime, for the files as they are now: an agent may be able to write the folder
    ///
    /// What is signed is kept outside the repository. When an incident opens and a file or a script is another, the
    /// trusted copies are in force, the boundary is the stricter of both, and the other script does not run.
    Trust {
        /// Your key in allowed_signers: the private key's file, or its public half for an agent
        #[arg(long, value_name = "FILE")]
        key: String,
    },
    /// Answer, in peacetime, for what nobody understands in an act: its exact words, files and effects
    ///
    /// An approval discharges `unknown` and nothing else: what is seen in the act counts all the same, and it counts
    /// for no quorum. It is signed with your key of the roster and kept beside the runbook, for the whole team.
    #[command(
        override_usage = "incident runbook approve STEP [--undo] [--key FILE]\n       incident runbook approve --effects EFFECTS [--key FILE] -- COMMAND…"
    )]
    Approve(approve::ApproveArgs),
    /// Show every mistake at once, and what will hurt on the day
    Lint {
        /// A file, or the folder that holds runbook.yaml, access.yaml and allowed_signers
        file: Option<PathBuf>,
        /// Print the boundary too: every effect, its zone, and the list or the rule that says so
        #[arg(long)]
        matrix: bool,
    },
}

/// Lists, shows or lints.
pub fn run(app: &App, args: &RunbookArgs) -> Result<Exit, CliError> {
    match &args.command {
        RunbookCommand::List => list(app),
        RunbookCommand::Show { file, raw } => show(app, &meant(app, file.as_deref())?, *raw),
        RunbookCommand::Trust { key } => trust(app, key),
        RunbookCommand::Approve(args) => approve::run(app, args),
        RunbookCommand::Lint { file, matrix } => {
            let found = meant(app, file.as_deref())?;
            // What was trusted is told of the files that would be in force here.
            let own = file
                .is_none()
                .then(|| wire::written(&app.world, app.config.as_deref()));
            let own = own.transpose()?.filter(|w| w.folder.is_some());
            lint::run(app, &found, own.as_ref(), *matrix)
        }
    }
}

/// The files that are meant: a folder, one file of it, or what is in force here.
fn meant(app: &App, file: Option<&Path>) -> Result<Written, CliError> {
    // The file itself is meant, not what somebody trusted in its place.
    let as_found = |mut written: Written| {
        written.trust = None;
        written
    };
    let Some(file) = file else {
        return wire::written(&app.world, app.config.as_deref()).map(as_found);
    };
    let path = app.world.host.cwd().join(file);
    if app.world.files.stat(&path).is_ok_and(|s| s.is_dir) {
        return wire::written(&app.world, Some(&path)).map(as_found);
    }
    let bytes = wire::read(&app.world, &path)
        .map_err(|e| CliError::new(Exit::Usage, format!("cannot read {}: {e}", path.display())))?;
    let named = Some((file.display().to_string(), bytes));
    let mut written = Written {
        folder: path.parent().map(PathBuf::from),
        ..Written::default()
    };
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
    match name.unwrap_or_default() {
        n if n.starts_with("allowed_signers") => written.signers = named,
        n if n.starts_with("access") => written.access = named,
        _ => written.runbook = named,
    }
    Ok(written)
}

fn list(app: &App) -> Result<Exit, CliError> {
    let mut rows: Vec<(String, Result<Runbook, usize>)> = Vec::new();
    for folder in wire::places(&app.world, app.config.as_deref()) {
        let path = folder.join("runbook.yaml");
        if let Ok(bytes) = wire::read(&app.world, &path) {
            let name = path.display().to_string();
            let read = Runbook::parse(&name, &String::from_utf8_lossy(&bytes)).map_err(|d| d.len());
            rows.push((name, read));
        }
    }
    let shipped = Runbook::parse(SHIPPED_RUNBOOK_NAME, SHIPPED_RUNBOOK).map_err(|d| d.len());
    rows.push((SHIPPED_RUNBOOK_NAME.to_owned(), shipped));
    if app.ui.json {
        let rows = rows.iter().enumerate().map(|(n, (name, read))| {
            json!({
                "file": name, "in_force": n == 0, "mistakes": read.as_ref().err(),
                "name": read.as_ref().ok().map(|r| &r.name), "steps": read.as_ref().ok().map(|r| r.steps.len()),
            })
        });
        app.ui.value(&json!({ "runbooks": rows.collect::<Vec<_>>() }));
        return Ok(Exit::Done);
    }
    for (n, (name, read)) in rows.iter().enumerate() {
        let mark = if n == 0 { "in force" } else { "" };
        let words = match read {
            Ok(runbook) => format!(
                "{}, {}",
                escape(&runbook.name),
                count(runbook.steps.len(), "step")
            ),
            Err(n) => format!("{}: incident runbook lint {name}", count(*n, "mistake")),
        };
        app.ui.line(&format!("{mark:<8}  {}", escape(name)));
        app.ui.wrapped(10, &words);
    }
    Ok(Exit::Done)
}

fn show(app: &App, written: &Written, raw: bool) -> Result<Exit, CliError> {
    if raw {
        let bytes = written.runbook.as_ref().map(|(_, bytes)| bytes.as_slice());
        app.ui.raw(bytes.unwrap_or(SHIPPED_RUNBOOK.as_bytes()));
        return Ok(Exit::Done);
    }
    let engine = app.desk().preview(written)?;
    // A broken runbook is replaced by the shipped one in an incident; somebody who looks must see the mistakes.
    if let (Some((name, _)), false) = (&written.runbook, engine.mistakes.is_empty()) {
        let mine: Vec<Diagnostic> = engine
            .mistakes
            .iter()
            .filter(|d| d.file == *name)
            .cloned()
            .collect();
        if !mine.is_empty() {
            return Err(CliError::mistakes(name, &mine).hint(format!("incident runbook lint {name}")));
        }
    }
    let rows = engine.plan()?;
    if app.ui.json {
        app.ui.value(&plan::json(&rows));
        return Ok(Exit::Done);
    }
    let policy = &engine.runbook().policy;
    app.ui.tone(
        Tone::Head,
        &format!(
            "{} ({})",
            escape(&engine.runbook().name),
            escape(&engine.runbook_name)
        ),
    );
    for (zone, need) in [(Zone::At, &policy.need_at), (Zone::Outside, &policy.need_outside)] {
        app.ui.line(&format!(
            "  {} needs {}, signed within {}",
            styled(verdict::tone(zone), &format!("{:<7}", zone.word())),
            need_words(need),
            crate::model::time::span(policy.valid_ms)
        ));
    }
    let people = listed(policy.people.keys());
    app.ui.wrapped(
        2,
        &format!(
            "people: {}",
            if people.is_empty() {
                "nobody".to_owned()
            } else {
                escape(&people)
            }
        ),
    );
    if !policy.seal_originals_to.is_empty() {
        let to = listed(policy.seal_originals_to.iter().map(|r| &r.person));
        let words = format!("originals of what is redacted: sealed to {}", escape(&to));
        app.ui.wrapped(2, &words);
    }
    for (n, rung) in engine.runbook().reach.ladder.iter().enumerate() {
        let ways: Vec<String> = rung.ways.iter().map(crate::model::runbook::Way::name).collect();
        let words = format!(
            "rung {}: {}, by {}, {} to answer; is sent: {}",
            n + 1,
            escape(&rung.name),
            escape(&ways.join(", ")),
            crate::model::time::span(rung.within_ms),
            escape(&rung.sends.words())
        );
        app.ui.wrapped(2, &words);
    }
    if let Some(lone) = &policy.lone {
        let after = crate::model::time::span(lone.after_ms);
        app.ui.line(&format!(
            "  alone: at the boundary, after {after}; countersigned before the end"
        ));
    }
    plan::show(&app.ui, &rows, false);
    for probe in &engine.runbook().probes {
        app.ui.line(&format!("probe {}", probe.id));
    }
    Ok(Exit::Done)
}

fn trust(app: &App, key: &str) -> Result<Exit, CliError> {
    let mut written = wire::written(&app.world, app.config.as_deref())?;
    if let Some(folder) = &mut written.folder {
        *folder = app.world.host.cwd().join(&*folder);
    }
    let hint = "Read what changed, put allowed_signers in order, then sign with a key that stands in it";
    let refused = |e: EngineError| {
        CliError::from(e)
            .because("nothing was trusted, and what was before still is")
            .hint(hint)
    };
    let (statement, signature, trusting) = app.desk().trust(&written, key).map_err(refused)?;
    let path = written
        .folder
        .as_ref()
        .and_then(|folder| wire::trust_path(&app.world, folder));
    let path =
        path.ok_or_else(|| CliError::new(Exit::Failed, "there is no home folder to keep the record in"))?;
    for (path, bytes) in [
        (wire::signature_of(&path), &signature),
        (path.clone(), &statement),
    ] {
        app.world.files.replace(&path, bytes, 0o600).map_err(|e| {
            CliError::new(Exit::Failed, format!("cannot write {}: {e}", path.display()))
                .because("until both the record and its signature are written, neither counts")
        })?;
    }
    if let Some(note) = written
        .folder
        .as_ref()
        .and_then(|folder| wire::trust_note(&app.world, folder))
    {
        let day = app.world.clock.now().rfc3339();
        let day = day.split('T').next().unwrap_or(&day);
        // It only helps to miss the record; without it the record counts all the same.
        let _ = app
            .world
            .files
            .replace(&note, format!("{} on {day}\n", trusting.by).as_bytes(), 0o600);
    }
    if app.ui.json {
        app.ui.value(&json!({
            "by": trusting.by, "files": trusting.files, "scripts": trusting.scripts, "left": trusting.left,
            "record": path.display().to_string(),
        }));
        return Ok(Exit::Done);
    }
    let words = format!(
        "{} and {}",
        listed(&trusting.files),
        count(trusting.scripts.len(), "script")
    );
    let words = format!("{words}, by {}", escape(&trusting.by));
    app.ui.hanging(Tone::Good, "trusted  ", &words);
    app.ui
        .line("  trusted  this very program, by its SHA-256; a newer version is trusted anew");
    for script in &trusting.scripts {
        app.ui.line(&format!("         {}", escape(script)));
    }
    for left in &trusting.left {
        app.ui.hanging(Tone::Warn, "  left out  ", &escape(left));
    }
    app.ui.line(&format!("  kept in {}", path.display()));
    app.ui
        .line("  Every later change wants it again: incident runbook trust --key FILE");
    Ok(Exit::Done)
}
