//! `drill`: the same walk on a simulated platform. Nothing real is touched.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::cli::ui::{Tone, Ui};
use crate::cli::view::{asked, drill as view, found, proofs, truth};
use crate::cli::{App, CliError, Exit, deeds, walk};
use crate::drill::round::Turn;
use crate::drill::scenario::ScenarioError;
use crate::drill::{DrillError, Exercise, Player, Sheet, open, sheet, watched};
use crate::engine::{Engine, EngineError, Next};
use crate::model::act::Stage;
use crate::model::ids::IncidentId;
use crate::model::time::span;
use crate::world::Clock;

/// Arguments of `drill`.
///
/// With a terminal you play; without one a scripted player does. The record is kept as `DRILL-…` beside
/// real incidents and can never pass for one.
#[derive(clap::Args)]
pub struct DrillArgs {
    /// Which drill
    #[arg(default_value = "nine-seconds")]
    scenario: String,
    /// Repeat a drill exactly; without it each one is a little different
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Let a scripted player play: careful or hasty
    #[arg(long, value_name = "PLAYER")]
    auto: Option<Player>,
}

impl From<DrillError> for CliError {
    fn from(error: DrillError) -> Self {
        let message = error.to_string();
        match error {
            DrillError::Engine(e) => e.into(),
            DrillError::Store(e) => EngineError::Store(e).into(),
            DrillError::Scenario(ScenarioError::Unknown { .. }) => CliError::new(Exit::Usage, message),
            DrillError::PlayedBefore(_) => CliError::new(Exit::Usage, message)
                .hint("Its record stays as it is. Play another --seed, or name an empty folder with --store"),
            DrillError::NoRecord(_) => {
                CliError::new(Exit::Failed, message).hint("Name a folder that can be written with --store")
            }
            _ => CliError::new(Exit::Failed, message),
        }
    }
}

/// One drill at this desk.
struct Table<'a> {
    app: &'a App,
    drill: &'a Exercise,
    seed: u64,
    /// When the pager went off.
    page_us: u64,
}

/// Plays a drill, shows the score, and says where the record is.
pub fn run(app: &App, args: &DrillArgs) -> Result<Exit, CliError> {
    let seed = match args.seed {
        Some(seed) => seed,
        None => {
            let mut two = [0_u8; 2];
            app.world.entropy.fill(&mut two).map_err(EngineError::from)?;
            u64::from(u16::from_le_bytes(two))
        }
    };
    let drill = Exercise::new(&args.scenario, seed).map_err(DrillError::from)?;
    let table = Table {
        app,
        drill: &drill,
        seed,
        page_us: drill.clock.now().mono_us,
    };
    let attended = app.prompt.borrow().attended();
    match args.auto {
        Some(player) => table.scripted(player),
        None if attended => table.person(),
        None => {
            app.ui
                .aside("There is no terminal to ask at, so the scripted player `careful` plays this drill.");
            table.scripted(Player::Careful)
        }
    }
}

impl Table<'_> {
    /// A scripted player plays; the screen shows what it does, a row an event.
    fn scripted(&self, player: Player) -> Result<Exit, CliError> {
        let (app, ui, drill) = (self.app, &self.app.ui, self.drill);
        let engine = open(drill, &app.store)?;
        let after = self.since_page();
        view::briefing(ui, &drill.scenario, self.seed);
        view::news(ui, after(), &drill.news());
        if ui.json {
            app.tell(&engine);
        } else {
            let (width, after) = (ui.width, self.since_page());
            engine.listen(Box::new(move |told| {
                if let Some((tone, kind, words)) = view::told(told.event) {
                    view::row(&Ui { json: false, width }, tone, after(), kind, &words);
                }
            }));
        }
        let mut stage = None;
        let outcome = watched(drill, &engine, player, &app.store, &mut |engine, next, news| {
            if ui.json {
                return;
            }
            let Ok(incident) = engine.incident() else { return };
            if *next == Next::Enter(Stage::Assess) {
                proofs::show(ui, &incident);
            }
            if stage.replace(incident.stage) != Some(incident.stage) {
                ui.line("");
                ui.tone(Tone::Head, &truth::line(&incident, engine.world().clock.now()));
            }
            view::news(ui, after(), news);
        })?;
        self.over(&engine, &outcome.id, &outcome.sheet, Some(player))
    }

    /// The person at the terminal plays: the very walk of a real incident.
    fn person(&self) -> Result<Exit, CliError> {
        let (app, ui, drill) = (self.app, &self.app.ui, self.drill);
        let mut prompt = app.prompt.borrow_mut();
        view::briefing(ui, &drill.scenario, self.seed);
        view::manners(ui, &drill.scenario);
        ui.line("");
        let engine = open(drill, &app.store)?;
        let after = self.since_page();
        view::news(ui, after(), &drill.news());
        found::show(ui, &engine.discover()?);
        if ui.json {
            app.tell(&engine);
        } else {
            deeds::show_live(&engine);
        }
        let mut asked = BTreeSet::new();
        let mut read = false;
        let mut beside = |engine: &Engine<'_>, next: &Next| {
            view::news(ui, after(), &drill.thinks(next));
            if matches!(next, Next::Ask { .. }) && !std::mem::replace(&mut read, true) {
                self.captures(engine)?;
            }
            let open = engine.pending()?.into_iter().map(|p| p.request);
            let fresh: Vec<u64> = open.filter(|request| asked.insert(*request)).collect();
            for request in &fresh {
                self.answered(engine, *request)?;
            }
            Ok(!fresh.is_empty())
        };
        let walked = prompt
            .enter("Enter cuts it now; Ctrl-C leaves", "--auto")
            .and_then(|()| walk::walk_beside(ui, &mut **prompt, &engine, &mut beside));
        let id = engine.incident()?.id().clone();
        match walked {
            Err(e) if e.exit == Exit::Interrupted => {
                let place = engine.case_path().unwrap_or_default();
                Err(CliError::new(Exit::Interrupted, "you left the drill").hint(format!(
                    "Nothing is to be taken up: the record so far stays in {}; `incident drill` plays a new one",
                    place.display()
                )))
            }
            Err(e) => Err(e),
            Ok(_) => {
                let sheet = sheet(drill, &app.store, &id)?;
                self.over(&engine, &id, &sheet, None)
            }
        }
    }

    /// What the captures brought home, for somebody who is about to be asked about it. Files, which may be
    /// long, are named only.
    fn captures(&self, engine: &Engine<'_>) -> Result<(), CliError> {
        let ui = &self.app.ui;
        let data = engine.case_path().unwrap_or_default().join("data");
        ui.line("");
        for capture in engine.incident()?.captures.values() {
            let Some(exhibit) = &capture.exhibit else { continue };
            match std::fs::read_to_string(data.join(exhibit).join("stdout")) {
                Ok(text) => view::output(ui, exhibit, &text),
                Err(_) => ui.line(&format!("{exhibit} lies in {}", data.join(exhibit).display())),
            }
        }
        Ok(())
    }

    /// Those who were asked read, and sign or refuse, each in their own time.
    fn answered(&self, engine: &Engine<'_>, request: u64) -> Result<(), CliError> {
        let (ui, drill, after) = (&self.app.ui, self.drill, self.since_page());
        let mut anybody = false;
        drill.waits(engine, request, &mut |turn| {
            view::news(ui, after(), &drill.news());
            let (reply, filed) = match turn {
                Turn::Told(notice) => {
                    asked::told(ui, &[notice]);
                    return Ok(());
                }
                Turn::Silence(how_long) => {
                    let words = format!(
                        "nobody answers for {}",
                        span(u64::try_from(how_long.as_millis()).unwrap_or(u64::MAX))
                    );
                    view::row(ui, Tone::Warn, after(), "sign-off", &words);
                    return Ok(());
                }
                Turn::Answered(reply, filed) => (reply, *filed),
            };
            anybody = true;
            let (tone, words) = match filed {
                Ok(accepted) if accepted.decision == crate::signoff::Decision::Approve => (
                    Tone::Good,
                    format!("{} read it and signs request {request}", reply.who),
                ),
                Ok(_) => (
                    Tone::Bad,
                    format!("{} read it and refuses request {request}", reply.who),
                ),
                Err(EngineError::Signoff(no)) => {
                    (Tone::Warn, format!("{} answers, too late: {no}", reply.who))
                }
                Err(e) => return Err(e.into()),
            };
            view::row(ui, tone, after(), "sign-off", &words);
            Ok(())
        })?;
        if !anybody {
            ui.tone(Tone::Warn, "Nobody answers.");
        }
        Ok(())
    }

    /// Simulated time since the pager went off.
    fn since_page(&self) -> impl Fn() -> Duration + use<> {
        let (clock, page_us) = (self.drill.clock.clone(), self.page_us);
        move || Duration::from_micros(clock.now().mono_us.saturating_sub(page_us))
    }

    /// The score, and where the record is.
    fn over(
        &self,
        engine: &Engine<'_>,
        id: &IncidentId,
        sheet: &Sheet,
        player: Option<Player>,
    ) -> Result<Exit, CliError> {
        let ui = &self.app.ui;
        let place = engine.case_path().unwrap_or_default();
        if ui.json {
            ui.value(&serde_json::json!({
                "result": {
                    "incident": id.to_string(),
                    "scenario": self.drill.scenario.id,
                    "seed": self.seed,
                    "player": player.map(Player::word),
                    "case": place.display().to_string(),
                    "head": engine.head().map(|(_, head)| head.to_string()),
                    "sheet": sheet,
                },
                "exit": Exit::Done.code(),
            }));
            return Ok(Exit::Done);
        }
        view::sheet(ui, sheet);
        ui.line("");
        let auto = player.map(|player| format!(" --auto {}", player.word()));
        let (scenario, auto) = (&self.drill.scenario.id, auto.unwrap_or_default());
        let again = format!("incident drill {scenario}{auto} --seed {}", self.seed);
        ui.line(&format!("DRILL over. Record  {}", place.display()));
        ui.line(&format!("  next: incident verify {}", place.display()));
        ui.line(&format!("  again, exactly: {again} --store FOLDER"));
        Ok(Exit::Done)
    }
}
