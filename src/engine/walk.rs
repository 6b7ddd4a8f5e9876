//! What is due next. The walk is a loop over single commands; this says which one.

use super::{CloseBlock, DoubtAbout, Engine, EngineError, Unproved};
use crate::boundary::Verdict;
use crate::model::act::{Act, Stage, Step};
use crate::model::ids::StepId;
use crate::model::incident::{Incident, Stand};

/// What is due next.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// The sweep was not started, or never ended.
    Stop,
    /// An act is in doubt: somebody must look.
    Settle(DoubtAbout),
    /// A question of the runbook.
    Ask {
        /// Which step.
        step: StepId,
        /// The question.
        question: String,
    },
    /// A look of the runbook that was not taken.
    Capture {
        /// Which step.
        step: StepId,
    },
    /// Enough was looked at to seal the baseline.
    Seal,
    /// The stage is through.
    Enter(Stage),
    /// A step that a program runs.
    Run {
        /// Which step.
        step: StepId,
        /// How it would be judged now.
        verdict: Box<Verdict>,
    },
    /// A step that a person does.
    Manual {
        /// Which step.
        step: StepId,
        /// How it would be judged now.
        verdict: Box<Verdict>,
    },
    /// A step that cannot be resolved: its program or backup is missing.
    Broken {
        /// Which step.
        step: StepId,
        /// Why.
        why: String,
    },
    /// A step that ran and failed, or whose check failed, or that could not be taken back: it may have half
    /// happened, and nothing after it runs until somebody decided about it.
    Failed {
        /// Which step.
        step: StepId,
        /// How it ended.
        why: String,
        /// How trying it again would be judged now; `None` where taking it back failed.
        again: Option<Box<Verdict>>,
    },
    /// The recovery plan is to be shown and frozen.
    Freeze(Vec<StepId>),
    /// Services are to be probed and the after-state captured.
    Prove,
    /// Targets that somebody must answer for before the end.
    AnswerFor(Unproved),
    /// Nothing keeps the incident open.
    Close,
    /// It is closed.
    Closed,
}

impl Engine<'_> {
    /// What is due next.
    pub fn next(&self) -> Result<Next, EngineError> {
        let incident = self.incident()?;
        if incident.closed_ts.is_some() {
            return Ok(Next::Closed);
        }
        if let Some(doubt) = self.doubts()?.into_iter().next() {
            return Ok(Next::Settle(doubt));
        }
        match incident.stage {
            Stage::Stop if incident.stop.started_us.is_none() || incident.stop.is_open() => Ok(Next::Stop),
            Stage::Stop => Ok(Next::Enter(Stage::Assess)),
            Stage::Assess => self.next_in_assess(),
            Stage::Contain => Ok(self
                .next_step(Stage::Contain)?
                .unwrap_or(Next::Enter(Stage::Recover))),
            Stage::Recover => self.next_in_recover(),
        }
    }

    fn next_in_assess(&self) -> Result<Next, EngineError> {
        if let Some(next) = self.next_step(Stage::Assess)? {
            return Ok(next);
        }
        let incident = self.incident()?;
        Ok(if incident.baseline.is_none() {
            Next::Seal
        } else {
            Next::Enter(Stage::Contain)
        })
    }

    fn next_in_recover(&self) -> Result<Next, EngineError> {
        let incident = self.incident()?;
        let steps = self.recover_steps()?;
        let open = steps.iter().any(|id| !incident.step_done(id));
        if open && incident.plan.is_none() {
            return Ok(Next::Freeze(steps));
        }
        if let Some(next) = self.next_step(Stage::Recover)? {
            return Ok(next);
        }
        if incident.recovered_us.is_none() && !self.runbook.probes.is_empty() {
            return Ok(Next::Prove);
        }
        let unanswered = super::close::unproved(&incident)
            .into_iter()
            .find(|u| u.answered.is_none());
        Ok(match unanswered {
            Some(unproved) => Next::AnswerFor(unproved),
            None => Next::Close,
        })
    }

    /// The steps of a stage in the order in which they are due: in recover that of the plan, then what it leaves out.
    fn in_order(&self, stage: Stage, incident: &Incident) -> Vec<&Step> {
        let plan = incident.plan.as_ref().filter(|_| stage == Stage::Recover);
        let planned = plan.iter().flat_map(|p| &p.steps);
        let first = planned.filter_map(|p| self.runbook.step(&p.step));
        let rest = self
            .runbook
            .stage(stage)
            .filter(|s| !plan.is_some_and(|p| p.holds(&s.id)));
        first.chain(rest).collect()
    }

    /// The first step of a stage that is neither done nor skipped.
    fn next_step(&self, stage: Stage) -> Result<Option<Next>, EngineError> {
        let incident = self.incident()?;
        for step in self.in_order(stage, &incident) {
            let id = &step.id;
            let stand = incident.stand(id);
            let how = || {
                let act = incident.act_of(id);
                act.map(|(_, a)| a.how_it_ended()).unwrap_or_default()
            };
            let settled = match stand {
                Stand::Done | Stand::Skipped | Stand::LeftHalf => true,
                // What the plan holds is done again, or left out with a reason.
                Stand::Undone => !incident.plan.as_ref().is_some_and(|p| p.holds(id)),
                Stand::UndoFailed => {
                    return Ok(Some(Next::Failed {
                        step: id.clone(),
                        why: how(),
                        again: None,
                    }));
                }
                Stand::Open | Stand::Failed | Stand::InDoubt => false,
            };
            let looked = incident
                .captures
                .values()
                .any(|c| c.step.as_ref() == Some(id) && c.exhibit.is_some());
            match &step.act {
                _ if settled => continue,
                Act::Ask(_) if incident.answers.contains_key(id) => continue,
                Act::Ask(question) => {
                    return Ok(Some(Next::Ask {
                        step: id.clone(),
                        question: question.clone(),
                    }));
                }
                Act::Capture(_) if looked => continue,
                Act::Capture(_) => return Ok(Some(Next::Capture { step: id.clone() })),
                Act::Sweep(_) | Act::Restore(_) | Act::Renew(_) => continue,
                Act::Run(_) | Act::Manual(_) => {}
            }
            let act = match self.resolved(step) {
                Ok(act) => act,
                Err(e) => {
                    return Ok(Some(Next::Broken {
                        step: id.clone(),
                        why: e.to_string(),
                    }));
                }
            };
            let verdict = self.judged(&act, None)?;
            let (step, verdict) = (id.clone(), Box::new(verdict));
            if stand == Stand::Failed {
                return Ok(Some(Next::Failed {
                    step,
                    why: how(),
                    again: Some(verdict),
                }));
            }
            return Ok(Some(match act.act {
                Act::Manual(_) => Next::Manual { step, verdict },
                _ => Next::Run { step, verdict },
            }));
        }
        Ok(None)
    }

    /// True where nothing keeps the incident open.
    pub fn may_close(&self) -> Result<Result<(), Vec<CloseBlock>>, EngineError> {
        let blocks = self.close_blocks()?;
        Ok(if blocks.is_empty() { Ok(()) } else { Err(blocks) })
    }
}
