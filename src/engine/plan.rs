//! The plan: every step resolved and judged before it runs; frozen for recover; proved by probes.

use super::{Engine, EngineError};
use crate::boundary::{Asked, Verdict, judge};
use crate::journal::Hash;
use crate::model::act::{Act, Resolved, Stage, Step};
use crate::model::event::{PlanDropped, PlanFrozen, PlannedStep, ProbeAnswered, Recovered};
use crate::model::ids::StepId;
use crate::model::runbook::{Probe, ProbeAsk};
use crate::model::secret::Secret;
use crate::world::http::{HttpRequest, TlsFiles};

/// One step of the plan, as it stands now.
pub struct PlanRow<'r> {
    /// The step as written.
    pub step: &'r Step,
    /// What it would do, or why that cannot be said.
    pub resolved: Result<Resolved, EngineError>,
    /// How it would be judged now.
    pub verdict: Option<Verdict>,
    /// Its state in words: `done`, `skipped`, `tried`, `undone`, `undo failed`, `answered`, ``.
    pub state: &'static str,
}

/// One probe that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeRun {
    /// Which.
    pub id: StepId,
    /// True where the answer was the expected one.
    pub passed: bool,
    /// Expected against found.
    pub text: String,
}

impl Engine<'_> {
    /// Every step, resolved and judged, nothing run.
    pub fn plan(&self) -> Result<Vec<PlanRow<'_>>, EngineError> {
        use crate::model::incident::StepState;
        let incident = self.incident()?;
        let now = self.world.clock.now();
        let rows = self.runbook.steps.iter().map(|step| {
            let resolved = self.resolved(step);
            let verdict = resolved
                .as_ref()
                .ok()
                .map(|r| judge(&incident, r, Asked::default(), now));
            let state = match incident.steps.get(&step.id) {
                _ if incident.answers.contains_key(&step.id) => "answered",
                None => "",
                Some(_) if incident.step_done(&step.id) => "done",
                Some(StepState::Skipped { .. }) => "skipped",
                Some(StepState::Undone { act }) if incident.acts.get(act).is_some_and(|a| a.is_done()) => {
                    "undone"
                }
                Some(StepState::Undone { .. }) => "undo failed",
                Some(StepState::Tried { .. }) => "tried",
            };
            PlanRow {
                step,
                resolved,
                verdict,
                state,
            }
        });
        Ok(self.hashing_once(|| rows.collect()))
    }

    /// Freezes the recovery plan: these steps, in this order, exactly as they resolve now.
    pub fn freeze(&self, steps: &[StepId]) -> Result<u64, EngineError> {
        let incident = self.incident()?;
        let mut planned = Vec::with_capacity(steps.len());
        for id in steps {
            let step = self.step(id)?;
            if step.stage != Stage::Recover {
                let why = format!("it belongs to {}, not to recover", step.stage);
                return Err(EngineError::WrongKind {
                    step: id.clone(),
                    why,
                });
            }
            let act = self.resolved(step)?;
            let (zone, _) = crate::boundary::zone_of(&incident.opened.policy, &act);
            let act_sha256 = Hash::of(&act.canonical()).to_string();
            planned.push(PlannedStep {
                step: id.clone(),
                act_sha256,
                zone,
            });
        }
        let text: String = planned
            .iter()
            .map(|p| format!("{} {}\n", p.step, p.act_sha256))
            .collect();
        self.record(PlanFrozen {
            steps: planned,
            digest: Hash::of(text.as_bytes()).to_string(),
        })
    }

    /// Gives the frozen plan up.
    pub fn drop_plan(&self, why: &str) -> Result<u64, EngineError> {
        self.record(PlanDropped {
            why: self.scrubbed(why),
        })
    }

    /// The steps of recover that would go into a plan: what is not skipped, in order.
    pub fn recover_steps(&self) -> Result<Vec<StepId>, EngineError> {
        use crate::model::incident::StepState;
        let incident = self.incident()?;
        let open = |s: &&Step| !matches!(incident.steps.get(&s.id), Some(StepState::Skipped { .. }));
        Ok(self
            .runbook
            .stage(Stage::Recover)
            .filter(open)
            .map(|s| s.id.clone())
            .collect())
    }

    /// Asks every service probe and records the answers.
    pub fn probe_services(&self) -> Result<Vec<ProbeRun>, EngineError> {
        let mut runs = Vec::new();
        for probe in &self.runbook.probes {
            let run = self.ask(probe)?;
            let text = self.scrubbed(&run.text);
            self.record(ProbeAnswered {
                probe: run.id.clone(),
                passed: run.passed,
                text,
            })?;
            runs.push(run);
        }
        Ok(runs)
    }

    fn ask(&self, probe: &Probe) -> Result<ProbeRun, EngineError> {
        let (passed, text) = match &probe.ask {
            ProbeAsk::Get { url, status } => self.get(url, *status),
            ProbeAsk::Run(check) => {
                let step = self.probe_step(probe, &check.run)?;
                if !step.only_reads() {
                    (false, "this probe does not only read; it was not run".to_owned())
                } else {
                    self.check_passes(&step, check)?
                }
            }
        };
        Ok(ProbeRun {
            id: probe.id.clone(),
            passed,
            text,
        })
    }

    /// A probe as an act, so that it is resolved and read like any other.
    fn probe_step(&self, probe: &Probe, argv: &[String]) -> Result<Resolved, EngineError> {
        let resolved = self.resolve_ad_hoc(argv)?;
        Ok(Resolved {
            step: probe.id.clone(),
            cwd: self.base.display().to_string(),
            ..resolved
        })
    }

    fn get(&self, url: &str, expected: u16) -> (bool, String) {
        let request = HttpRequest {
            method: "GET".into(),
            url: url.to_owned(),
            headers: vec![("user-agent".into(), Secret::new("incident".into()))],
            body: None,
            deadline: std::time::Duration::from_secs(10),
            tls: TlsFiles::default(),
        };
        match self.world.wait(self.world.http.send(request)) {
            Some(Ok(answer)) => (
                answer.status == expected,
                format!("{url}: expected {expected}, found {}", answer.status),
            ),
            Some(Err(e)) => (false, format!("{url}: expected {expected}, but {e}")),
            None => (false, format!("{url}: no answer")),
        }
    }

    /// Says recovered, where every probe passed after the last act and the after-state is captured.
    pub fn recovered(&self) -> Result<u64, EngineError> {
        let incident = self.incident()?;
        let last_act = incident.acts.keys().next_back().copied().unwrap_or(0);
        if self.runbook.probes.is_empty() {
            let why = "the runbook declares no probe (`probes:`), so nothing proves that the service answers";
            return Err(EngineError::NotRecovered(why.into()));
        }
        let mut probes = Vec::new();
        for probe in &self.runbook.probes {
            match incident.probes.get(&probe.id) {
                Some(p) if p.passed && p.seq > last_act => probes.push(p.seq),
                Some(p) if !p.passed => {
                    return Err(EngineError::NotRecovered(format!(
                        "probe `{}` failed: {}",
                        probe.id, p.text
                    )));
                }
                _ => {
                    let why = format!("probe `{}` was not asked after the last act", probe.id);
                    return Err(EngineError::NotRecovered(why));
                }
            }
        }
        let captures: Vec<u64> = incident
            .captures
            .iter()
            .filter(|(seq, c)| **seq > last_act && c.purpose == "after" && c.has_something())
            .map(|(seq, _)| *seq)
            .collect();
        if captures.is_empty() {
            return Err(EngineError::NotRecovered(
                "the state after recovery was not captured".into(),
            ));
        }
        if let Some((seq, act)) = incident.in_doubt().next() {
            return Err(EngineError::NotRecovered(format!(
                "act {seq} (`{}`) is in doubt",
                act.step
            )));
        }
        self.record(Recovered {
            probes,
            captures,
            mono_us: self.world.clock.now().mono_us,
        })
    }

    /// True where the act is one that a program runs.
    pub fn is_program(act: &Resolved) -> bool {
        matches!(act.act, Act::Run(_))
    }
}
