//! The plan: every step resolved and judged before it runs; frozen for recover; proved by probes.

use super::act::act_file;
use super::{Engine, EngineError};
use crate::boundary::{Asked, Verdict, judge};
use crate::journal::Hash;
use crate::model::act::{Act, Resolved, ResolvedUndo, Stage, Step};
use crate::model::event::{
    Event, PlanAmended, PlanChange, PlanDropped, PlanFrozen, PlannedStep, ProbeAnswered, Recovered,
    StepChange,
};
use crate::model::ids::StepId;
use crate::model::incident::{Incident, Stand};
use crate::model::runbook::{Probe, ProbeAsk};
use crate::model::secret::Secret;
use crate::store::{Case, Folder};
use crate::world::http::{HttpRequest, TlsFiles};

/// One step of the plan, as it stands now.
pub struct PlanRow<'r> {
    /// The step as written.
    pub step: &'r Step,
    /// What it would do, or why that cannot be said.
    pub resolved: Result<Resolved, EngineError>,
    /// How it would be judged now.
    pub verdict: Option<Verdict>,
    /// Its state in words: `done`, `failed`, `in doubt`, `skipped`, `taken back`, `answered`, ``, ….
    pub state: &'static str,
}

/// What came of changing the plan, or of giving it up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replanned {
    /// What changed, step by step. Empty where it was given up, or is the same to be tried again.
    pub changes: Vec<PlanChange>,
    /// Requests that fell because of it, each with its steps and who had signed.
    pub fell: Vec<(u64, Vec<StepId>, Vec<String>)>,
    /// Steps of recover that are in force all the same, the newest first, each with how it stands.
    pub stands: Vec<(StepId, Stand)>,
}

/// A step of recover that is in force and could be taken back next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakeBack {
    /// The newest one that can be taken back; `None` where nothing can be.
    pub next: Option<StepId>,
    /// Those that nobody can take back, the newest first, and why.
    pub stays: Vec<(StepId, String)>,
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
        let incident = self.incident()?;
        let now = self.world.clock.now();
        let rows = self.runbook.steps.iter().map(|step| {
            let resolved = self.resolved(step);
            let verdict = resolved
                .as_ref()
                .ok()
                .map(|r| judge(&incident, r, Asked::default(), now));
            let state = match incident.stand(&step.id) {
                _ if incident.answers.contains_key(&step.id) => "answered",
                Stand::Open => "",
                stand => stand.word(),
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

    /// Freezes the recovery plan: these steps, in this order, exactly as they resolve now. Refused while one is in force.
    pub fn freeze(&self, steps: &[StepId]) -> Result<u64, EngineError> {
        self.catch_up()?;
        if let Some(plan) = &self.incident()?.plan {
            return Err(EngineError::PlanInForce(plan.seq));
        }
        let steps = self.planned(steps)?;
        let digest = digest(None, &steps);
        self.record(PlanFrozen { steps, digest })
    }

    /// Changes the plan in force: these steps, in this order, as they resolve now; what is done stays as it
    /// was frozen. Even the same steps are a new plan: each may be tried anew, and is signed for anew.
    pub fn amend(&self, steps: &[StepId], why: &str) -> Result<Replanned, EngineError> {
        if why.trim().is_empty() {
            return Err(EngineError::NoWords("changing the plan"));
        }
        self.catch_up()?;
        let steps = self.planned(steps)?;
        let (why, case) = (self.words(why)?, self.case()?);
        let decide = |incident: Option<&Incident>| {
            let incident = incident.ok_or(EngineError::NoIncident)?;
            let plan = incident.plan.as_ref().ok_or(EngineError::NoPlan)?;
            let mut changes = incident.plan_changes_to(&steps);
            for change in changes.iter_mut().filter(|c| c.change == StepChange::Changed) {
                let of = |list: &[PlannedStep]| {
                    let planned = list.iter().find(|p| p.step == change.step);
                    planned.map(|p| p.act_sha256.clone()).unwrap_or_default()
                };
                change.parts = parts_that_differ(&case, &of(&plan.steps), &of(&steps));
            }
            let fell = incident.resting_on_plan();
            let told = Replanned {
                changes: changes.clone(),
                fell: fallen(incident, &fell),
                stands: standing(incident),
            };
            let amended = PlanAmended {
                digest: digest(Some(&plan.digest), &steps),
                was: plan.digest.clone(),
                steps,
                why,
                changes,
                fell,
            };
            Ok((vec![Event::from(amended)], told))
        };
        let (_, told) = self.recorder.borrow_mut().decide(decide)?;
        Ok(told)
    }

    /// Gives the frozen plan up. What it did stands, and is told.
    pub fn drop_plan(&self, why: &str) -> Result<Replanned, EngineError> {
        if why.trim().is_empty() {
            return Err(EngineError::NoWords("giving the plan up"));
        }
        let why = self.words(why)?;
        let decide = |incident: Option<&Incident>| {
            let incident = incident.ok_or(EngineError::NoIncident)?;
            if incident.plan.is_none() {
                return Err(EngineError::NoPlan);
            }
            let fell = incident.resting_on_plan();
            let told = Replanned {
                changes: Vec::new(),
                fell: fallen(incident, &fell),
                stands: standing(incident),
            };
            let stands = told.stands.iter().map(|(step, _)| step.clone()).collect();
            Ok((vec![Event::from(PlanDropped { why, stands, fell })], told))
        };
        let (_, told) = self.recorder.borrow_mut().decide(decide)?;
        Ok(told)
    }

    /// Steps of the runbook as a plan holds them, their acts written down for whoever compares.
    fn planned(&self, steps: &[StepId]) -> Result<Vec<PlannedStep>, EngineError> {
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
            let before = incident
                .plan
                .iter()
                .flat_map(|p| &p.steps)
                .find(|p| p.step == *id);
            if let Some(done) = before.filter(|_| incident.step_done(id)) {
                planned.push(done.clone());
                continue;
            }
            let act = self.resolved(step)?;
            let (zone, _) = crate::boundary::zone_of(&incident.opened.policy, &act, self.world.clock.now());
            let bytes = act.canonical();
            let act_sha256 = Hash::of(&bytes).to_string();
            self.with_case(|case| case.write_once(Folder::Signoffs, &act_file(&act_sha256), &bytes))?;
            planned.push(PlannedStep {
                step: id.clone(),
                act_sha256,
                zone,
            });
        }
        Ok(planned)
    }

    /// What of recover is taken back next, in reverse of the order in which it was done.
    pub fn take_back(&self) -> Result<TakeBack, EngineError> {
        let incident = self.incident()?;
        let mut stays = Vec::new();
        for (_, act) in incident.in_force() {
            let why = match &act.undo {
                ResolvedUndo::By(_) | ResolvedUndo::ByHand(_) => {
                    return Ok(TakeBack {
                        next: Some(act.step.clone()),
                        stays,
                    });
                }
                ResolvedUndo::Never(why) => why.clone(),
                ResolvedUndo::Unsaid => "nobody wrote down how".to_owned(),
            };
            stays.push((act.step.clone(), why));
        }
        Ok(TakeBack { next: None, stays })
    }

    /// The steps of the plan in force, but for those that were left out of it since.
    pub fn plan_steps(&self) -> Result<Vec<StepId>, EngineError> {
        let incident = self.incident()?;
        let plan = incident.plan.as_ref().ok_or(EngineError::NoPlan)?;
        let left_out = |id: &StepId| matches!(incident.stand(id), Stand::Skipped | Stand::LeftHalf);
        let steps = plan.steps.iter().map(|p| p.step.clone());
        Ok(steps.filter(|id| !left_out(id)).collect())
    }

    /// The steps of recover that would go into a plan: what is not skipped, in order.
    pub fn recover_steps(&self) -> Result<Vec<StepId>, EngineError> {
        let incident = self.incident()?;
        let open = |s: &&Step| !matches!(incident.stand(&s.id), Stand::Skipped | Stand::LeftHalf);
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
        // What cannot be compared now still can be from the exhibits: it holds nothing up.
        let compared = super::compare(&incident, &*self.case()?, None).unwrap_or_default();
        let apart = compared.iter().filter(|c| captures.contains(&c.after));
        let apart = apart.map(|c| c.apart.clone()).collect();
        self.record(Recovered {
            probes,
            captures,
            apart,
            mono_us: self.world.clock.now().mono_us,
        })
    }

    /// True where the act is one that a program runs.
    pub fn is_program(act: &Resolved) -> bool {
        matches!(act.act, Act::Run(_))
    }
}

/// A digest over these steps, and over the plan they were changed from: every change is another plan.
fn digest(was: Option<&str>, steps: &[PlannedStep]) -> String {
    let was = was.map(|digest| format!("was {digest}\n"));
    let lines = steps.iter().map(|p| format!("{} {}\n", p.step, p.act_sha256));
    let text: String = was.into_iter().chain(lines).collect();
    Hash::of(text.as_bytes()).to_string()
}

fn fallen(incident: &Incident, requests: &[u64]) -> Vec<(u64, Vec<StepId>, Vec<String>)> {
    let one = |seq: &u64| {
        let request = incident.requests.get(seq)?;
        let people = incident.approvals_of(request).map(|s| s.person.clone()).collect();
        Some((*seq, request.asked.steps.clone(), people))
    };
    requests.iter().filter_map(one).collect()
}

fn standing(incident: &Incident) -> Vec<(StepId, Stand)> {
    let one =
        |(_, act): (u64, &crate::model::incident::ActState)| (act.step.clone(), incident.stand(&act.step));
    incident.in_force().into_iter().map(one).collect()
}

/// The parts in which two acts differ, by their names in the act file; empty where one cannot be read.
fn parts_that_differ(case: &Case, old: &str, new: &str) -> Vec<String> {
    const CAP: u64 = 1 << 20;
    let read = |digest: &str| -> Option<serde_json::Map<String, serde_json::Value>> {
        let path = std::path::Path::new("signoffs").join(act_file(digest));
        let bytes = case.read_file(&path, CAP).ok()?;
        serde_json::from_slice(&bytes).ok()
    };
    let (Some(old), Some(new)) = (read(old), read(new)) else {
        return Vec::new();
    };
    let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let differs = names.into_iter().filter(|name| old.get(*name) != new.get(*name));
    differs.cloned().collect()
}
