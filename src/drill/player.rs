//! Players: scripted people who walk a drill. They see what a person sees and use the same commands.

use std::str::FromStr;
use std::time::Duration;

use super::exercise::Exercise;
use super::round::Turn;
use super::run::DrillError;
use super::scenario::Claim;
use crate::boundary::{Answer as Judged, Refusal, Verdict};
use crate::engine::{Engine, EngineError, Next};
use crate::model::act::{Act, Stage};
use crate::model::ids::StepId;
use crate::model::incident::StepState;

/// A scripted person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Player {
    /// Follows the walk, reads before answering, asks who must be asked.
    Careful,
    /// Reads the chat first, skips what only takes time, believes the agent, asks nobody.
    Hasty,
}

impl Player {
    /// The name on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Player::Careful => "careful",
            Player::Hasty => "hasty",
        }
    }
}

impl FromStr for Player {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "careful" => Ok(Player::Careful),
            "hasty" => Ok(Player::Hasty),
            _ => Err(format!("`{word}` is no player; there are: careful, hasty")),
        }
    }
}

/// How long a person takes at this point of the walk. In an interactive drill, too, answering a prompt
/// lets this much simulated time pass, however long the person really took.
pub fn pace(next: &Next) -> Duration {
    Duration::from_secs(match next {
        Next::Stop => 15,
        Next::Enter(_) | Next::Capture { .. } => 5,
        Next::Ask { .. } | Next::Manual { .. } | Next::AnswerFor(_) => 30,
        Next::Seal
        | Next::Run { .. }
        | Next::Broken { .. }
        | Next::Failed { .. }
        | Next::Settle(_)
        | Next::Freeze(_) => 20,
        Next::Prove | Next::Close | Next::Closed => 10,
    })
}

/// How long the hasty player reads the chat before doing anything.
const READS_THE_CHAT: Duration = Duration::from_secs(260);

/// A player at the desk.
pub struct Seat<'d, 'w> {
    /// Who plays.
    pub player: Player,
    /// The drill.
    pub drill: &'d Exercise,
    /// The tool.
    pub engine: &'d Engine<'w>,
}

impl Seat<'_, '_> {
    /// Before the first command.
    pub fn sits_down(&self) {
        if self.player == Player::Hasty {
            self.drill.clock.advance(READS_THE_CHAT);
        }
    }

    fn careful(&self) -> bool {
        self.player == Player::Careful
    }

    /// Does what is due next. False where the player gives up or is through.
    pub fn does(&self, next: &Next) -> Result<bool, DrillError> {
        let engine = self.engine;
        match next {
            Next::Stop => {
                engine.stop(&[])?;
            }
            Next::Enter(stage) => {
                engine.enter(*stage)?;
            }
            Next::Ask { step, .. } => {
                engine.answer(step, &self.words_for(step))?;
            }
            Next::Capture { step } if self.careful() || !self.takes_long(step) => {
                engine.capture_step(step, "baseline")?;
            }
            Next::Capture { step } => {
                engine.skip(step, "no time")?;
            }
            Next::Seal => self.seals()?,
            Next::Run { step, verdict } => self.runs(step, verdict)?,
            Next::Manual { step, .. } => {
                engine.done(step, "done, and seen to have worked")?;
            }
            Next::Freeze(steps) => self.plans(steps)?,
            Next::Failed {
                step,
                again: Some(verdict),
                ..
            } if matches!(verdict.answer, Judged::Go { .. }) => {
                self.runs(step, verdict)?;
            }
            Next::Broken { step, why } | Next::Failed { step, why, .. } => {
                engine.skip(step, why)?;
            }
            Next::Settle(doubt) => {
                engine.settle(doubt.act, false, "looked, and it did not happen")?;
            }
            Next::Prove => return self.proves(),
            Next::AnswerFor(unproved) => {
                let words = "checked in Harbor's console by hand";
                engine.answer_for(&unproved.target, words)?;
            }
            Next::Close => {
                engine.close("handed over to the day shift")?;
            }
            Next::Closed => return Ok(false),
        }
        Ok(true)
    }

    /// What a score wants to see captured is what a hasty person leaves out.
    fn takes_long(&self, step: &StepId) -> bool {
        let wanted = &self.drill.scenario.goal.captures;
        wanted.iter().any(|name| name == step.as_str())
    }

    fn words_for(&self, step: &StepId) -> String {
        let asked = |claim: &&Claim| step.as_str() == format!("claim-{}", claim.id);
        match self.drill.scenario.claims.iter().find(asked) {
            Some(claim) if self.careful() && claim.truth => format!("supported: {}", claim.shown_by),
            Some(claim) if self.careful() => format!("refuted: {}", claim.shown_by),
            Some(_) => "supported, the agent says so".to_owned(),
            None => "not known yet".to_owned(),
        }
    }

    fn seals(&self) -> Result<(), DrillError> {
        if !self.careful() {
            // The tool says no to this, and the record keeps that it was asked.
            for step in self.engine.recover_steps()? {
                self.tries(&step)?;
            }
        }
        self.engine
            .seal_baseline(vec!["which guests arrive tonight".to_owned()])?;
        Ok(())
    }

    /// Runs a step whether or not it may; a block is no error of the drill.
    fn tries(&self, step: &StepId) -> Result<bool, DrillError> {
        match self.engine.run(step, None) {
            Ok(_) => Ok(true),
            Err(EngineError::Blocked { .. }) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    fn runs(&self, step: &StepId, verdict: &Verdict) -> Result<(), DrillError> {
        let may = match &verdict.answer {
            Judged::Go { .. } => true,
            Judged::Refused(Refusal::NeedsSignoff { .. }) if self.careful() => self.asks_for(step)?,
            Judged::Refused(_) => false,
        };
        if may && self.tries(step)? {
            return Ok(());
        }
        self.engine
            .skip(step, "it may not run, and nobody can be asked")?;
        Ok(())
    }

    /// Asks everybody who can sign, and waits for the answers. True where they suffice.
    fn asks_for(&self, step: &StepId) -> Result<bool, DrillError> {
        let key = self.drill.key_path();
        let issued = self.engine.escalate(std::slice::from_ref(step), Some(&key))?;
        self.drill
            .waits(self.engine, issued.request, &mut |turn| match turn {
                Turn::Answered(_, filed) => match *filed {
                    Err(e) if !matches!(e, EngineError::Signoff(_)) => Err(e.into()),
                    _ => Ok(()),
                },
                _ => Ok(()),
            })?;
        let open = self
            .engine
            .pending()?
            .into_iter()
            .find(|p| p.request == issued.request);
        let enough = self.engine.next()?;
        let go = matches!(&enough, Next::Run { step: due, verdict } if due == step && matches!(verdict.answer, Judged::Go { .. }));
        if !go && open.is_some() {
            self.engine
                .withdraw(issued.request, "not enough people answered")?;
        }
        Ok(go)
    }

    /// Leaves out what the scenario offers to make a mistake with, then freezes the rest.
    fn plans(&self, steps: &[StepId]) -> Result<(), DrillError> {
        let bait = |step: &&StepId| self.drill.scenario.bait.iter().any(|b| b == step.as_str());
        match steps.iter().find(|s| self.careful() && bait(s)) {
            Some(step) => {
                self.engine.skip(step, "nothing shows that this is needed")?;
            }
            None => {
                self.engine.freeze(steps)?;
            }
        }
        Ok(())
    }

    /// Takes containment back, asks the services, and says recovered only where that is proved.
    fn proves(&self) -> Result<bool, DrillError> {
        let engine = self.engine;
        let incident = engine.incident()?;
        for step in engine.runbook().stage(Stage::Contain) {
            let tried = matches!(incident.steps.get(&step.id), Some(StepState::Tried { .. }));
            if tried && matches!(step.act, Act::Run(_)) && self.careful() {
                engine.undo(&step.id, Some("the damage it contained is repaired"))?;
            }
        }
        engine.probe_services()?;
        if self.careful() {
            engine.capture_after()?;
        }
        match engine.recovered() {
            Ok(_) => Ok(true),
            Err(EngineError::NotRecovered(why)) => {
                engine.note(&format!("not recovered: {why}"))?;
                Ok(false)
            }
            Err(e) => Err(e.into()),
        }
    }
}
