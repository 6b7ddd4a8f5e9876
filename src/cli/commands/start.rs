//! `start`, `stop`, `resume`: into the incident, and back into it.

use crate::cli::ui::Tone;
use crate::cli::view::danger::minute;
use crate::cli::view::found;
use crate::cli::{App, CliError, Exit, deeds, walk, wire};
use crate::engine::{Engine, MirrorPlace, Next, Remote};
use crate::evidence::escape;
use crate::model::ids::TargetId;
use crate::store::CaseSummary;

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
        if args.yes {
            let text = format!("{} is open already. This opens another.", case.id);
            app.ui.hanging(Tone::Warn, "", &text);
        } else if goes_on_with(app, case)? {
            return take_up(app, &app.desk().resume(&case.id)?);
        }
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
    show_what_is_cut(app, &engine, !args.yes)?;
    if !app.ui.json {
        deeds::show_live(&engine);
    }
    go_on(app, &engine)
}

/// Whether the person means the incident that is open already. Somebody who left at the first question, or stands at
/// a second terminal, types `start` again, and two records of one night help nobody.
fn goes_on_with(app: &App, case: &CaseSummary) -> Result<bool, CliError> {
    let at = case.opened_ms.map(minute).unwrap_or_default();
    app.ui.hanging(
        Tone::Warn,
        "",
        &format!("{} is open already, since {at}.", case.id),
    );
    let choices = ["Go on with it", "Open another: this is something else"].map(str::to_owned);
    let chosen = app
        .prompt
        .borrow_mut()
        .select("What is it?", &choices, "incident resume")?;
    Ok(chosen == 0)
}

/// What stop will cut, and one Enter, where somebody is there to press it.
fn show_what_is_cut(app: &App, engine: &Engine<'_>, ask: bool) -> Result<(), CliError> {
    let found = engine.discover()?;
    found::show(&app.ui, &found);
    if !ask {
        return Ok(());
    }
    let (invitation, stands) = match found.aims.is_empty() {
        true => (
            "Enter goes on; Ctrl-C leaves",
            "nothing was found and nothing was cut",
        ),
        false => (
            "Enter cuts it now; Ctrl-C leaves",
            "nothing was cut: everything listed above still runs and still has its access",
        ),
    };
    let asked = app.prompt.borrow_mut().enter(invitation, "--yes");
    asked.map_err(|mut error| {
        error.stands.push(stands.to_owned());
        if error.exit == Exit::Interrupted {
            error.hints = vec![
                "`incident stop` cuts it without a question; `incident resume` shows it and asks again"
                    .to_owned(),
            ];
        }
        error
    })
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

/// The open incident, the newest of several, where it can be taken up at all.
fn joined(app: &App) -> Option<Engine<'_>> {
    let id = match &app.incident {
        Some(id) => id.clone(),
        None => app.open_incidents().ok()?.first()?.id.clone(),
    };
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
    take_up(app, &app.engine()?)
}

fn take_up(app: &App, engine: &Engine<'_>) -> Result<Exit, CliError> {
    // Whoever left before the cut is shown it again; where nobody can be asked, stop never waits.
    let never_begun = engine.incident()?.stop.started_us.is_none();
    if never_begun && matches!(engine.next()?, Next::Stop) && app.prompt.borrow().attended() {
        show_what_is_cut(app, engine, true)?;
    }
    if !app.ui.json {
        deeds::show_live(engine);
    }
    go_on(app, engine)
}

fn go_on(app: &App, engine: &Engine<'_>) -> Result<Exit, CliError> {
    let mut prompt = app.prompt.borrow_mut();
    let exit = walk::walk(&app.ui, &mut **prompt, engine)?;
    Ok(app.finish(engine, exit))
}
