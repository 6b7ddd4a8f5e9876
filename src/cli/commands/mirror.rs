//! `mirror`: the record at one place off this host, line by line, while the incident runs.

use std::path::Path;

use serde_json::json;

use crate::cli::ui::{Tone, Ui};
use crate::cli::view::truth;
use crate::cli::{App, CliError, Exit, wire};
use crate::engine::{self, Agreement, Engine, EngineError, MirrorPlace};
use crate::evidence::escape;
use crate::model::event::MirrorEnded;
use crate::report::words::count;
use crate::store::Store;

/// Arguments of `mirror`.
#[derive(clap::Args)]
#[command(
    after_help = "The place is reached by your own ssh, git or aws. No act ever waits for it, and nothing there is replaced:\n\
each batch of records is a file INCIDENT/journal/FIRST-LAST.jsonl, and all of them in order are the journal.\n\
To see how far it agrees, fetch that folder and run `incident verify CASE --mirror FOLDER`.\n\
Ends 3 while the place lacks records."
)]
pub struct MirrorArgs {
    /// ssh://user@host/folder, git:URL or s3://bucket/prefix; without it, how the mirror stands
    place: Option<MirrorPlace>,
    /// Send nothing more there; what the place holds stays there
    #[arg(long, conflicts_with = "place")]
    off: bool,
    /// Bring what the place lacks, wait a little for more, and end: what every command starts by itself
    #[arg(long, conflicts_with = "place", hide = true)]
    push: bool,
}

/// Chooses a place, says how it stands, or brings what it lacks.
pub fn run(app: &App, args: &MirrorArgs) -> Result<Exit, CliError> {
    if args.push {
        let case = app
            .store
            .open_case(&app.which_any()?)
            .map_err(EngineError::from)?;
        engine::push_mirror(&app.world, &case)?;
        return Ok(Exit::Done);
    }
    let engine = app.desk().resume(&app.which_any()?)?;
    if let Some(place) = &args.place {
        app.tell(&engine);
        engine.choose_mirror(place)?;
        if !app.ui.json {
            let words = format!("From now on every record goes to {place} as well; nothing waits for it.");
            app.ui.hanging(Tone::Plain, "", &words);
            app.ui.line("  next: incident mirror says how far it has come");
        }
        return Ok(app.finish(&engine, Exit::Done));
    }
    if args.off {
        app.tell(&engine);
        let ended = engine.end_mirror()?;
        if !app.ui.json {
            match &ended {
                Some(ended) => show_ended(&app.ui, ended),
                None => nowhere(&app.ui, &engine)?,
            }
        }
        return Ok(app.finish(&engine, Exit::Done));
    }
    let mirror = engine.mirror()?;
    let exit = match &mirror {
        Some(mirror) if mirror.behind > 0 => Exit::Waiting,
        _ => Exit::Done,
    };
    if app.ui.json {
        app.ui.value(&json!({ "mirror": mirror, "exit": exit.code() }));
        return Ok(exit);
    }
    match &mirror {
        Some(mirror) => truth::mirror(&app.ui, mirror, app.world.clock.now()),
        None => nowhere(&app.ui, &engine)?,
    }
    Ok(exit)
}

/// Says that no record leaves this host, and what a mirror that was switched off keeps.
fn nowhere(ui: &Ui, engine: &Engine<'_>) -> Result<(), CliError> {
    match &engine.incident()?.mirror_ended {
        Some(ended) => show_ended(ui, ended),
        None => {
            ui.line("The record is nowhere but here.");
            ui.line("  next: incident mirror PLACE");
        }
    }
    Ok(())
}

fn show_ended(ui: &Ui, ended: &MirrorEnded) {
    let MirrorEnded { place, folder, .. } = ended;
    let stands = match ended.there {
        0 => format!("Nothing was read back from {place}."),
        there => format!(
            "{place} keeps the first {} in {folder}; nothing is removed there.",
            records(there)
        ),
    };
    let lacks = match ended.behind {
        0 => String::new(),
        behind => format!(" It lacks {} written before that.", records(behind)),
    };
    let words = format!("The mirror is off: new records are nowhere but here. {stands}{lacks}");
    ui.hanging(Tone::Warn, "", &escape(&words));
    ui.line("  next: incident mirror PLACE");
}

fn records(n: u64) -> String {
    count(usize::try_from(n).unwrap_or(usize::MAX), "record")
}

/// The place of a new incident: as given, else as the environment says. Whatever is wrong with it keeps nobody
/// from stopping.
pub fn begin(app: &App, engine: &Engine<'_>, given: Option<&MirrorPlace>) {
    let named = || {
        let text = wire::mirror(&app.world)?;
        Some(
            text.parse::<MirrorPlace>()
                .map_err(|why| format!("INCIDENT_MIRROR: {why}")),
        )
    };
    let chosen = match given {
        Some(place) => Some(Ok(place.clone())),
        None => named(),
    };
    let begun = match chosen {
        None => return,
        Some(Ok(place)) => engine.choose_mirror(&place).map_err(|e| e.to_string()),
        Some(Err(why)) => Err(why),
    };
    if let Err(why) = begun {
        app.ui
            .aside(&format!("The record is not mirrored. {}", escape(&why)));
    }
}

/// How far what was fetched from a place agrees with a case.
pub(super) fn compared(app: &App, case: &Path, copy: &Path) -> Result<Agreement, CliError> {
    let store = case.parent().map(|root| Store::open(root.to_owned()));
    let id = case
        .file_name()
        .and_then(|name| crate::model::ids::IncidentId::new(name.to_str()?).ok());
    let folder = app.world.files.stat(case).is_ok_and(|s| s.is_dir);
    let (Some(store), Some(id), true) = (store, id, folder) else {
        return Err(CliError::new(
            Exit::Usage,
            format!(
                "{} is no case folder, and only such is compared with a mirror",
                case.display()
            ),
        ));
    };
    let case = store.open_case(&id).map_err(EngineError::from)?;
    Ok(engine::compare_mirror(
        &app.world,
        &case,
        &app.world.host.cwd().join(copy),
    )?)
}

/// Says it as another answer of `verify`.
pub(super) fn show_agreement(ui: &Ui, agreement: &Agreement) {
    if let Some((seq, why)) = &agreement.differs {
        ui.hanging(
            Tone::Bad,
            "  ",
            &format!(
                "mirror: NO. It agrees with the first {}; record {seq} is the first that differs: {}.",
                records(agreement.same),
                escape(why)
            ),
        );
        return;
    }
    let alone = agreement.here - agreement.same;
    let rest = match alone {
        0 => String::new(),
        n => format!("; {} after them stand on the word of this folder", records(n)),
    };
    let tone = if alone == 0 { Tone::Good } else { Tone::Warn };
    ui.hanging(
        tone,
        "  ",
        &format!(
            "mirror: it agrees with the first {}{rest}.",
            records(agreement.same)
        ),
    );
}
