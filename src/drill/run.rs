//! A whole drill: set up, walked by a player, scored.

use std::path::PathBuf;

use super::colleague::CannotSign;
use super::exercise::Exercise;
use super::player::{Player, Seat};
use super::scenario::{Inject, ScenarioError};
use super::score::{Sheet, score};
use crate::engine::{Desk, Engine, EngineError, Next};
use crate::journal::Record;
use crate::model::ids::IncidentId;
use crate::store::{Store, StoreError};

/// What came of a drill.
#[derive(Debug)]
pub struct Outcome {
    /// Its record.
    pub id: IncidentId,
    /// Folder of the record.
    pub case: Option<PathBuf>,
    /// The score.
    pub sheet: Sheet,
}

/// A drill that could not be played to its end.
#[derive(Debug, thiserror::Error)]
pub enum DrillError {
    /// There is no such drill.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// The tool could not do something that no boundary forbids.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The record could not be read back.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// One seed is one record, and this store has it.
    #[error("this drill was played with this seed before: {}", .0.display())]
    PlayedBefore(PathBuf),
    /// The case folder could not be made.
    #[error("the drill's record cannot be kept: {0}")]
    NoRecord(String),
    /// A drill key could not sign.
    #[error(transparent)]
    Sign(#[from] CannotSign),
    /// A record that was just written is none.
    #[error("record {seq} cannot be read back: {why}")]
    Record {
        /// Which.
        seq: u64,
        /// Why.
        why: String,
    },
    /// The player goes round in circles.
    #[error("the player does not get on: after {0} commands the drill is not over")]
    Stuck(u32),
}

/// Most commands a player gives in one drill.
const COMMANDS: u32 = 500;

/// Plays a shipped drill from the page to the end. The same name, player and seed give the same record.
pub fn run(scenario: &str, player: Player, seed: u64, store: &Store) -> Result<Outcome, DrillError> {
    play(&Exercise::new(scenario, seed)?, player, store)
}

/// Sees a drill go by: called before each command with what is due and the news that came meanwhile.
pub type Watcher<'w> = dyn FnMut(&Engine<'_>, &Next, &[Inject]) + 'w;

/// Opens the record of a drill. Fails where the store cannot keep it: a drill without a record is none.
pub fn open<'d>(drill: &'d Exercise, store: &'d Store) -> Result<Engine<'d>, DrillError> {
    let desk = Desk {
        world: &drill.world,
        store,
        spool_folders: Vec::new(),
        who: drill.scenario.responder(),
    };
    let engine = desk.open(&drill.scenario.title, &drill.written())?;
    if engine.case_path().is_some() {
        return Ok(engine);
    }
    let played = store.open_case(engine.incident()?.id());
    Err(match played {
        Ok(case) => DrillError::PlayedBefore(case.path().to_owned()),
        Err(_) => DrillError::NoRecord(engine.troubles().join("; ")),
    })
}

/// Plays a drill that is set up.
pub fn play(drill: &Exercise, player: Player, store: &Store) -> Result<Outcome, DrillError> {
    let engine = open(drill, store)?;
    watched(drill, &engine, player, store, &mut |_, _, _| {})
}

/// Plays an open drill before somebody's eyes.
pub fn watched(
    drill: &Exercise,
    engine: &Engine<'_>,
    player: Player,
    store: &Store,
    watcher: &mut Watcher<'_>,
) -> Result<Outcome, DrillError> {
    let seat = Seat {
        player,
        drill,
        engine,
    };
    seat.sits_down();
    let mut commands = 0;
    loop {
        let next = engine.next()?;
        let news = drill.thinks(&next);
        watcher(engine, &next, &news);
        if !seat.does(&next)? {
            break;
        }
        commands += 1;
        if commands == COMMANDS {
            return Err(DrillError::Stuck(COMMANDS));
        }
    }
    let id = engine.incident()?.id().clone();
    Ok(Outcome {
        sheet: sheet(drill, store, &id)?,
        case: engine.case_path(),
        id,
    })
}

/// The score of a drill as far as it has gone.
pub fn sheet(drill: &Exercise, store: &Store, id: &IncidentId) -> Result<Sheet, DrillError> {
    Ok(score(&records(store, id)?, &drill.truth(), &drill.scenario))
}

/// The record of a drill, as it stands on disk.
fn records(store: &Store, id: &IncidentId) -> Result<Vec<Record>, DrillError> {
    let mut all = Vec::new();
    let mut broken = None;
    store.open_case(id)?.read(|line| match line.record() {
        Ok(record) => all.push(record),
        Err(e) => broken = broken.take().or(Some((line.seq, e.to_string()))),
    })?;
    match broken {
        Some((seq, why)) => Err(DrillError::Record { seq, why }),
        None => Ok(all),
    }
}
