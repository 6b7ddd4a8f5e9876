//! Commands, screens and prompts. All printing and prompting; decides nothing.
//!
//! One file a command in `commands/`, one file a screen in `view/`. A command parses its own arguments,
//! calls the engine, shows what came of it and says how the program ends.

mod choose;
mod commands;
mod deeds;
mod error;
pub mod exit;
mod prompt;
mod record;
mod ui;
mod view;
mod walk;
mod who;
mod wire;

use std::cell::RefCell;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser};

use crate::engine::{Desk, Engine};
use crate::model::ids::IncidentId;
use crate::store::{CaseState, CaseSummary, Spool, Store};
use crate::world::World;
pub use error::CliError;
pub use exit::Exit;
use prompt::Prompter;
use ui::Ui;

/// Stop, assess, contain, recover: when an AI agent has broken production.
///
/// `incident start` walks you through it; `incident stop` only stops, and asks nothing.
/// The tool never says stopped, preserved, approved or recovered without a proof in the record.
#[derive(Parser)]
#[command(name = "incident", version, max_term_width = 100, after_long_help = exit::TABLE)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Option<commands::Command>,
}

/// What every command takes.
#[derive(clap::Args, Clone)]
struct Global {
    /// Which incident; needed only where several are open
    #[arg(
        long,
        global = true,
        help_heading = "Everywhere",
        value_name = "ID",
        env = "INCIDENT_ID",
        hide_env_values = true
    )]
    incident: Option<IncidentId>,
    /// Where incidents are kept
    #[arg(
        long,
        global = true,
        help_heading = "Everywhere",
        value_name = "FOLDER",
        env = "INCIDENT_STORE",
        hide_env_values = true
    )]
    store: Option<PathBuf>,
    /// Folder with runbook.yaml, access.yaml and allowed_signers
    #[arg(
        long,
        global = true,
        help_heading = "Everywhere",
        value_name = "FOLDER",
        env = "INCIDENT_CONFIG",
        hide_env_values = true
    )]
    config: Option<PathBuf>,
    /// Who you are in the record, as in allowed_signers
    #[arg(
        long = "as",
        global = true,
        help_heading = "Everywhere",
        value_name = "PRINCIPAL",
        env = "INCIDENT_AS",
        hide_env_values = true
    )]
    who: Option<String>,
    /// Answer with JSON: one object, or the events as lines with the result last
    #[arg(long, global = true, help_heading = "Everywhere")]
    json: bool,
}

/// What a command is handed.
struct App {
    ui: Ui,
    prompt: RefCell<Box<dyn Prompter>>,
    world: World,
    store: Store,
    /// The store as it was named; the cases may have been moved from there.
    root: PathBuf,
    spool_folders: Vec<PathBuf>,
    who: String,
    /// True where somebody said who they are.
    said_who: bool,
    incident: Option<IncidentId>,
    config: Option<PathBuf>,
}

/// Parses, runs, prints the error, and says how to exit.
pub fn run() -> ExitCode {
    let parsed = Cli::command()
        .try_get_matches()
        .and_then(|m| Cli::from_arg_matches(&m));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(e) => {
            // Help and version are no errors; clap says which stream.
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { Exit::Usage.code() } else { 0 });
        }
    };
    let ui = Ui::new(cli.global.json);
    let outcome = wire::real_world().and_then(|world| {
        let root = wire::store_root(&world, cli.global.store.as_deref());
        let mut app = App {
            store: Store::found(root.clone()),
            root,
            spool_folders: wire::spool_folders(&world),
            who: cli
                .global
                .who
                .clone()
                .unwrap_or_else(|| world.host.identity().user),
            said_who: cli.global.who.is_some(),
            incident: None,
            config: cli.global.config.clone(),
            prompt: RefCell::new(prompt::here()),
            ui: Ui::new(cli.global.json),
            world,
        };
        app.incident = cli.global.incident.map(|given| app.whole(given));
        match cli.command {
            Some(command) => command.run(&app),
            None => commands::bare(&app),
        }
    });
    match outcome {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(error) => {
            ui.error(&error);
            ExitCode::from(error.exit.code())
        }
    }
}

impl App {
    fn desk(&self) -> Desk<'_> {
        Desk {
            world: &self.world,
            store: &self.store,
            spool_folders: self.spool_folders.clone(),
            who: self.who.clone(),
        }
    }

    /// The id that was given, or the only one that ends with it: screens show no more of it than `INC-…-k7qf`.
    fn whole(&self, given: IncidentId) -> IncidentId {
        let ids = self.store.ids().unwrap_or_default();
        let tail = format!("-{given}");
        let mut ends = ids.iter().filter(|id| id.as_str().ends_with(&tail));
        match (ids.contains(&given), ends.next(), ends.next()) {
            (false, Some(one), None) => one.clone(),
            _ => given,
        }
    }

    /// The open incidents, newest first.
    fn open_incidents(&self) -> Result<Vec<CaseSummary>, CliError> {
        let mut open = self
            .store
            .find_open(false)
            .map_err(crate::engine::EngineError::from)?;
        open.retain(|case| self.is_begun(case));
        Ok(open)
    }

    /// False for what a start left behind that was killed before its first record, here or in a spool:
    /// an empty folder must not stand in the way of the incident that was opened next.
    fn is_begun(&self, case: &CaseSummary) -> bool {
        case.begun || !Spool::find(&case.id, &self.spool_folders).is_empty()
    }

    /// The id of the incident that is meant: the one named, else the only open one.
    fn which(&self) -> Result<IncidentId, CliError> {
        if let Some(id) = &self.incident {
            return Ok(id.clone());
        }
        let open = self.open_incidents()?;
        match open.as_slice() {
            [] => Err(match self.store.away() {
                Some(to) => crate::engine::EngineError::from(crate::store::StoreError::Moved {
                    id: "what was open here".to_owned(),
                    to,
                }),
                None => crate::engine::EngineError::NoIncident,
            }
            .into()),
            [one] => Ok(one.id.clone()),
            many => {
                let mut error = CliError::new(Exit::Usage, "several incidents are open");
                error.causes.extend(many.iter().map(|c| c.id.to_string()));
                Err(error.hint(
                    "Name one with --incident, its last four letters are enough; `incident` alone says where each is",
                ))
            }
        }
    }

    /// The incident that is meant, also a closed or a broken one where it is the only one.
    fn which_any(&self) -> Result<IncidentId, CliError> {
        if let Some(id) = &self.incident {
            return Ok(id.clone());
        }
        // Where there is but one, no record need be read to choose it.
        if let [only] = self
            .store
            .ids()
            .map_err(crate::engine::EngineError::from)?
            .as_slice()
        {
            return Ok(only.clone());
        }
        let all = self.store.list().map_err(crate::engine::EngineError::from)?;
        let open: Vec<_> = all
            .iter()
            .filter(|c| c.state == CaseState::Open && !c.id.is_drill() && self.is_begun(c))
            .collect();
        // A drill played since hides no incident.
        let newest = all.iter().find(|c| !c.id.is_drill()).or(all.first());
        match (open.as_slice(), newest) {
            ([one], _) => Ok(one.id.clone()),
            ([], Some(newest)) => Ok(newest.id.clone()),
            ([], None) => Err(crate::engine::EngineError::NoIncident.into()),
            (_, _) => self.which(),
        }
    }

    /// Takes up the incident that is meant.
    fn engine(&self) -> Result<Engine<'_>, CliError> {
        let id = self.which()?;
        if id.is_drill() {
            return Err(CliError::new(Exit::Usage, format!("{id} is the record of a drill, not an incident"))
                .hint("A drill is played to its end by `incident drill`; its record can be read with verify and report"));
        }
        let engine = self.desk().resume(&id)?;
        self.tell(&engine);
        Ok(engine)
    }

    /// Lets `--json` hear every event as a line.
    fn tell(&self, engine: &Engine<'_>) {
        if !self.ui.json {
            return;
        }
        engine.listen(Box::new(|told| {
            let ui = Ui {
                json: true,
                width: 100,
            };
            ui.value(&serde_json::json!({
                "seq": told.seq, "ts": told.ts, "who": told.who,
                "type": told.event.kind(), "what": told.event.fields(),
            }));
        }));
    }

    /// The last words of an acting command: troubles with the record, and the result for `--json`.
    fn finish(&self, engine: &Engine<'_>, exit: Exit) -> Exit {
        deeds::climb(&self.ui, engine);
        for trouble in engine.troubles() {
            self.ui
                .aside(&ui::styled(ui::Tone::Bad, &format!("The record: {trouble}")));
        }
        if self.ui.json {
            let incident = engine.incident().ok();
            self.ui.value(&serde_json::json!({
                "result": {
                    "incident": incident.as_ref().map(|i| i.id().to_string()),
                    "stage": incident.as_ref().map(|i| i.stage.word()),
                    "records": incident.as_ref().map(|i| i.records),
                    "head": engine.head().map(|(_, h)| h.to_string()),
                },
                "exit": exit.code(),
            }));
        }
        exit
    }
}

/// Leaves when the reader of our output is gone. Whatever was begun is on record already.
#[allow(
    clippy::exit,
    reason = "a closed pipe ends the program, and there is nobody left to tell"
)]
fn leave_quietly() {
    std::process::exit(0);
}
