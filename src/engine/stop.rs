//! Stop, and every later look at what was stopped. One sweep's chains are in [`super::sweep`].

use futures_util::future::join_all;

use super::shared::SortedOut;
use super::sweep::{Kept, Seen, Sweep};
use super::{Engine, EngineError, Found, lines};
use crate::model::event::{Aim, StopEnded, StopStarted};
use crate::model::fact::Fact;
use crate::model::grant::Target;
use crate::model::ids::{IncidentId, TargetId};

/// What a sweep came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopReport {
    /// How many targets it aimed at.
    pub targets: usize,
    /// Milliseconds from the start to the first cut; `None` = nothing was there to cut.
    pub first_cut_ms: Option<u64>,
    /// Milliseconds it took.
    pub ms: u64,
    /// True where Ctrl-C ended it early.
    pub interrupted: bool,
}

impl StopReport {
    /// This sweep and the one right after it, as one.
    fn and(&self, next: &StopReport) -> StopReport {
        StopReport {
            targets: self.targets + next.targets,
            first_cut_ms: self.first_cut_ms.or(next.first_cut_ms),
            ms: self.ms + next.ms,
            interrupted: next.interrupted,
        }
    }
}

impl<'w> Engine<'w> {
    /// Cuts everything that is listed and found, and proves it. Can be entered again from any stage.
    ///
    /// `full` names grants that production uses too and that are to be cut all the same.
    pub fn stop(&self, full: &[TargetId]) -> Result<StopReport, EngineError> {
        let report = self.stop_all(full);
        self.file_held()?;
        report
    }

    fn stop_all(&self, full: &[TargetId]) -> Result<StopReport, EngineError> {
        let report = self.stop_found(full)?;
        if report.interrupted || !self.late.get() {
            return Ok(report);
        }
        // Processes forked between the look and the freeze carried what no scan had seen.
        let mut late = Found::default();
        if let Err(e) = self.look_for_secrets(&mut late) {
            late.problems.push(e.to_string());
        }
        late.take(full);
        let told = late.told();
        let more = match late.aims.is_empty() && told.is_empty() {
            true => None,
            false => Some(self.sweep(late.aims, told, full)?),
        };
        self.leave(&late.left)?;
        Ok(more.map_or(report.clone(), |more| report.and(&more)))
    }

    fn stop_found(&self, full: &[TargetId]) -> Result<StopReport, EngineError> {
        let discovered = self.discovered.borrow_mut().take();
        if let Some(mut found) = discovered {
            found.take(full);
            let told = found.told();
            let report = self.sweep(found.aims, told, full)?;
            self.leave(&found.left)?;
            return Ok(report);
        }
        // Nobody has looked yet: what is known at once is cut at once, and what a slower look finds
        // is cut right after, together with whatever it restarted.
        let mut found = self.at_once()?;
        let known = found.aims.len();
        let problems = std::mem::take(&mut found.problems);
        let first = self.sweep(found.aims.clone(), problems, full)?;
        if first.interrupted {
            return Ok(first);
        }
        self.look_further(&mut found);
        found.take(full);
        let told = found.told();
        if found.aims.len() == known && told.is_empty() {
            self.leave(&found.left)?;
            return Ok(first);
        }
        let late = found.aims.split_off(known);
        // Where nothing came late there is nothing that could have restarted them.
        let again = |a: &Aim| !late.is_empty() && matches!(a.target, Target::Tree(_));
        let trees: Vec<Aim> = found.aims.into_iter().filter(again).collect();
        let second = self.sweep(late.into_iter().chain(trees).collect(), told, full)?;
        self.leave(&found.left)?;
        Ok(first.and(&second))
    }

    /// Cuts these targets. What earlier sweeps aimed at and this one does not is probed again.
    pub fn sweep(
        &self,
        aims: Vec<Aim>,
        problems: Vec<String>,
        full: &[TargetId],
    ) -> Result<StopReport, EngineError> {
        let start = self.world.clock.now().mono_us;
        let (aims, too_long): (Vec<Aim>, Vec<Aim>) = aims.into_iter().partition(|aim| !lines::too_long(aim));
        let sorted = self.sorted_out(aims, &*self.incident()?, full);
        let left_out = too_long
            .iter()
            .map(|aim| format!("{}: too long for the record; cut it by hand", aim.target.id()));
        let twice = sorted
            .merged
            .iter()
            .map(|(kept, other)| format!("{other} is {kept} under a second name: it is cut once, as {kept}"));
        let problems = left_out.chain(twice).chain(problems);
        let problems = problems.map(|p| self.scrubbed(&p)).collect();
        let mut problems = lines::first_words(problems);
        let started = lines::lines(sorted.aims.clone()).into_iter().map(|targets| {
            let part = StopStarted {
                mono_us: start,
                targets,
                problems: std::mem::take(&mut problems),
            };
            part.into()
        });
        let started = started.collect();
        self.recorder.borrow_mut().record_at_once(started)?;
        let mut full = full.to_vec();
        full.extend(
            sorted
                .merged
                .iter()
                .filter(|(_, other)| full.contains(other))
                .map(|(kept, _)| kept.clone())
                .collect::<Vec<_>>(),
        );
        let kept = Kept::wanted_by(self, &sorted.aims);
        let (id, seen) = self.seen_so_far()?;
        let sweep = Sweep::new(self, &kept, &id, seen, &sorted, &full);
        let interrupted = self.world.wait(sweep.run()).unwrap_or(true);
        let end = self.world.clock.now().mono_us;
        let first_cut_us = sweep.first_cut_us();
        let ended = StopEnded {
            mono_us: end,
            first_cut_us,
            interrupted,
        };
        sweep.commit_with(Some(ended.into()))?;
        Ok(StopReport {
            targets: sorted.aims.len(),
            first_cut_ms: first_cut_us.map(|at| at.saturating_sub(start) / 1000),
            ms: end.saturating_sub(start) / 1000,
            interrupted,
        })
    }

    /// Probes what is due: cut, its window over, and not probed since. Every command may call it.
    pub fn due_probes(&self) -> Result<usize, EngineError> {
        let incident = self.incident()?;
        let now = self.world.clock.now().mono_us;
        let due: Vec<Aim> = incident
            .stop
            .targets
            .values()
            .filter(|t| {
                let settled = t.settles_us().is_some_and(|at| at <= now);
                let probed = t
                    .settles_us()
                    .is_some_and(|at| t.facts.iter().any(|o| o.at_us >= at && is_look(&o.fact)));
                settled && !probed
            })
            .map(|t| t.aim.clone())
            .collect();
        self.probe(&due, false)?;
        Ok(due.len())
    }

    /// Looks at every target again, cutting nothing: respawned processes, revived or new tokens,
    /// re-enabled triggers.
    pub fn look_again(&self) -> Result<usize, EngineError> {
        let aims: Vec<Aim> = self
            .incident()?
            .stop
            .targets
            .values()
            .map(|t| t.aim.clone())
            .collect();
        self.probe(&aims, true)?;
        Ok(aims.len())
    }

    /// What a look finds here that no sweep ever aimed at: a new cron line, another agent. Changes nothing.
    pub fn news(&self) -> Result<Vec<(Aim, String)>, EngineError> {
        let incident = self.incident()?;
        let mut found = self.at_once()?;
        self.look_for_triggers(&mut found);
        let all = found.aims.into_iter().zip(found.words);
        Ok(all
            .filter(|(aim, _)| !incident.stop.targets.contains_key(aim.target.id()))
            .collect())
    }

    /// The incident and the facts of its targets. Nothing of the incident is held: what the recorder
    /// alone holds it need not copy when facts come in.
    fn seen_so_far(&self) -> Result<(IncidentId, Seen), EngineError> {
        let incident = self.incident()?;
        let known = incident.stop.targets.iter().filter(|(_, t)| !t.facts.is_empty());
        let seen = known.map(|(id, t)| (id.clone(), t.facts.clone())).collect();
        Ok((incident.id().clone(), seen))
    }

    fn probe(&self, aims: &[Aim], list: bool) -> Result<(), EngineError> {
        if aims.is_empty() {
            return Ok(());
        }
        let (kept, none) = (Kept::wanted_by(self, &[]), SortedOut::default());
        let (id, seen) = self.seen_so_far()?;
        let sweep = Sweep::new(self, &kept, &id, seen, &none, &[]);
        self.world
            .wait(join_all(aims.iter().map(|aim| sweep.probe_only(aim, list))));
        sweep.commit()
    }
}

fn is_look(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::ReadBack { .. }
            | Fact::TriedNew { .. }
            | Fact::TriedOpen { .. }
            | Fact::LookedFor { .. }
            | Fact::NotTried { .. }
    )
}
