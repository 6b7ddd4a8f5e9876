//! `start`, `stop`, `resume`: into the incident, and back into it.

use crate::cli::ui::Tone;
use crate::cli::view::found;
use crate::cli::{App, CliError, Exit, deeds, walk, wire};
use crate::engine::{Engine, MirrorPlace, Remote};
use crate::evidence::escape;
use crate::model::ids::TargetId;

/// Arguments of `start`.
#[derive(clap::Args)]
pub struct StartArgs {
    /// What happened, in a few words
    #[arg(long)]
    title: Option<String>,
    /// Cut without asking; the walk still asks where a person is needed
    #[arg(long, short)]
    yes: bool,
    /// Copy every record there, too, while the incident runs: ssh://user@host/folder, git:URL or
    /// s3://bucket/prefix. The environment's INCIDENT_MIRROR where it is not given
    #[arg(long, value_name = "PLACE")]
    mirror: Option<MirrorPlace>,
}

/// Arguments of `stop`.
#[derive(clap::Args)]
pub struct StopArgs {
    /// Cut this grant whole although production uses it too
    #[arg(long, value_name = "GRANT")]
    full: Vec<TargetId>,
    /// Stop the agents on another host, through your own ssh; what is here is left alone
    #[arg(long, value_name = "USER@HOST", conflicts_with = "full")]
    on: Option<Remote>,
}

/// Opens an incident and walks.
pub fn start(app: &App, args: &StartArgs) -> Result<Exit, CliError> {
    if !args.yes && !app.prompt.borrow().attended() {
        return Err(CliError::new(
            Exit::Waiting,
            "there is no terminal to ask at, so nothing was opened",
        )
        .hint("`incident start --yes` cuts without asking; `incident stop` only stops"));
    }
    let open = app.open_incidents().unwrap_or_default();
    if let Some(case) = open.first() {
        app.ui.tone(
            Tone::Warn,
            &format!(
                "{} is open already; `incident resume` goes on with it. This opens another.",
                case.id
            ),
        );
    }
    let written = wire::written(&app.world, app.config.as_deref())?;
    let title = args
        .title
        .as_deref()
        .unwrap_or("an AI agent has broken something");
    let engine = app.desk().open(title, &written)?;
    app.tell(&engine);
    super::mirror::begin(app, &engine, args.mirror.as_ref());
    deeds::opened(&app.ui, &engine)?;
    deeds::strange(&app.ui, engine.strange_program());
    let found = engine.discover()?;
    found::show(&app.ui, &found);
    if !args.yes {
        let invitation = match found.aims.is_empty() {
            true => "Enter goes on; Ctrl-C leaves",
            false => "Enter cuts it now; Ctrl-C leaves",
        };
        app.prompt.borrow_mut().enter(invitation, "--yes")?;
    }
    if !app.ui.json {
        deeds::show_live(&engine);
    }
    go_on(app, &engine)
}

/// The panic button: joins the open incident or opens one, cuts, and says what is proved.
pub fn stop(app: &App, args: &StopArgs) -> Result<Exit, CliError> {
    let engine = joined_or_new(app, "stop")?;
    app.tell(&engine);
    deeds::opened(&app.ui, &engine)?;
    if !app.ui.json {
        deeds::show_live(&engine);
    }
    let known = engine.incident()?.stop.problems.len();
    let mut exit = match &args.on {
        Some(remote) => deeds::stop_on(&app.ui, &engine, remote)?,
        None => deeds::stop(&app.ui, &engine, &args.full)?,
    };
    for problem in engine.incident()?.stop.problems.iter().skip(known) {
        app.ui.hanging(Tone::Warn, "  not cut  ", &escape(problem));
    }
    if exit != Exit::Interrupted && deeds::wait_out(&app.ui, &engine, &engine.held_targets()?)? {
        exit = deeds::standing(&engine)?;
    }
    // Said last: nothing about the program holds a stop up.
    deeds::strange(&app.ui, engine.strange_program());
    if engine.case_path().is_some() {
        app.ui.line("  next: incident resume");
    }
    Ok(app.finish(&engine, exit))
}

/// The open incident, else a new one. Nothing written in advance may keep it from stopping.
pub(super) fn joined_or_new<'a>(app: &'a App, title: &str) -> Result<Engine<'a>, CliError> {
    if let Some(engine) = joined(app) {
        return Ok(engine);
    }
    let written = wire::written(&app.world, app.config.as_deref()).unwrap_or_default();
    let engine = app.desk().open(title, &written)?;
    super::mirror::begin(app, &engine, None);
    Ok(engine)
}

/// The open incident, where it can be taken up at all.
fn joined(app: &App) -> Option<Engine<'_>> {
    let id = app.which().ok()?;
    if id.is_drill() {
        return None;
    }
    match app.desk().resume(&id) {
        Ok(engine) => Some(engine),
        Err(e) => {
            app.ui.tone(
                Tone::Bad,
                &format!("{id} cannot be taken up ({e}); stop goes on in a new one."),
            );
            None
        }
    }
}

/// Takes the walk up where it was left.
pub fn resume(app: &App) -> Result<Exit, CliError> {
    let engine = app.engine()?;
    if !app.ui.json {
        deeds::show_live(&engine);
    }
    go_on(app, &engine)
}

fn go_on(app: &App, engine: &Engine<'_>) -> Result<Exit, CliError> {
    let mut prompt = app.prompt.borrow_mut();
    let exit = walk::walk(&app.ui, &mut **prompt, engine)?;
    Ok(app.finish(engine, exit))
}
