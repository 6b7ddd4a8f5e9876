//! Giving back what a sweep took: from what was saved before the cut, judged like any other act.
//!
//! Undoing a stop changes credentials, so it is at the boundary and needs another person. What is signed
//! names the target, the saved bytes by their hash, and what would work again with it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::sweep::Kept;
use super::{Acted, Engine, EngineError};
use crate::journal::Hash;
use crate::local::Local;
use crate::model::act::{Act, GiveBack, Lane, Manual, Resolved, ResolvedUndo, SavedFile, Stage};
use crate::model::effect::{Effect, Effects};
use crate::model::event::{ActChecked, ActEnded, Event, Outcome, StopFacts};
use crate::model::fact::{Fact, Observed};
use crate::model::grant::{Target, TriggerKind};
use crate::model::ids::{StepId, TargetId};
use crate::model::incident::{Incident, TargetState};
use crate::model::secret::{Secret, SecretRef};
use crate::model::time::rfc3339;
use crate::providers::Ctx;

/// Every act that gives something back is named by this and its target.
const PREFIX: &str = "restore-";
/// Giving back may take this long; after it nobody knows.
const LIMIT: Duration = Duration::from_secs(60);
/// Largest undo that is read back, in bytes.
const CAP: u64 = 4 << 20;
/// What takes the place of old access.
const NEW: &str = "a new credential for the service that needs one revives nothing: \
                   incident access restore GRANT --new --for SERVICE --into FILE";

impl Engine<'_> {
    /// Gives back what was taken from a grant or a trigger. Judged: at the boundary.
    pub fn restore(&self, target: &TargetId, why: Option<&str>) -> Result<Acted, EngineError> {
        let act = self.resolve_restore(target)?;
        self.perform(&act, why)
    }

    /// What giving this back would do now.
    pub fn resolve_restore(&self, id: &TargetId) -> Result<Resolved, EngineError> {
        let incident = self.incident()?;
        let state = incident.stop.targets.get(id);
        let state = state.ok_or_else(|| EngineError::NoTarget(id.clone()))?;
        let step = step_of(id, state)?;
        let unresolved = |why: String| EngineError::Unresolved {
            step: step.clone(),
            why,
        };
        let target = &state.aim.target;
        let mut revives = Vec::new();
        let manual = match self.registry.of(target) {
            Some(Ok(adapter)) if !adapter.reversible(target) => {
                return Err(unresolved(format!(
                    "what {} cuts stays cut; {NEW}",
                    adapter.name()
                )));
            }
            Some(Ok(adapter)) => {
                revives.extend(adapter.revives().map(str::to_owned));
                Some(adapter.about().manual)
            }
            Some(Err(e)) => return Err(unresolved(e.to_string())),
            None if matches!(target, Target::Tree(_)) => {
                return Err(unresolved("a killed process has no way back".to_owned()));
            }
            None => None,
        };
        let saved = saved(state);
        if saved.is_empty() {
            return Err(unresolved(format!(
                "nothing that would undo its cut was saved; {NEW}"
            )));
        }
        let now = self.world.clock.now().utc_ms;
        for (what, until_ms) in revived(state) {
            match until_ms {
                Some(at) if at > now => {
                    return Err(unresolved(format!(
                        "it would revive {what}, which would work until {}; wait until then, or: {NEW}",
                        rfc3339(at)
                    )));
                }
                Some(_) => {}
                None => revives.push(what),
            }
        }
        if revives.is_empty() && matches!(target, Target::Grant(_)) {
            revives.push("the credential the agent held, wherever copies of it are".to_owned());
        }
        let mut targets = BTreeMap::from([("host".to_owned(), self.world.host.identity().host)]);
        targets.insert("gives back".to_owned(), words_of(target));
        if !revives.is_empty() {
            targets.insert("revives".to_owned(), revives.join("; "));
        }
        targets.extend(manual.map(|how| ("by hand".to_owned(), how)));
        Ok(Resolved {
            title: format!("give {id} back as it was before the stop"),
            step,
            stage: Stage::Contain,
            lane: Lane::Ordinary,
            act: Act::Restore(GiveBack {
                target: target.clone(),
                saved,
            }),
            undoes: false,
            cwd: String::new(),
            env: BTreeMap::new(),
            files: Vec::new(),
            targets,
            declared: Some(Effects::from([Effect::CredentialChange])),
            scope: Default::default(),
            approved: None,
            seen: Vec::new(),
            undo: ResolvedUndo::ByHand(Manual {
                what: "cut it again: incident stop".to_owned(),
                place: None,
                see: None,
            }),
            backup: None,
            rollback_tested: None,
            verify: None,
            timeout_ms: u64::try_from(LIMIT.as_millis()).unwrap_or(u64::MAX),
            tries: 1,
        })
    }

    /// The target that a step named like `restore-TARGET` would give back; `None` where it is no such step.
    pub(super) fn restored_by(&self, step: &StepId) -> Result<Option<TargetId>, EngineError> {
        if !step.as_str().starts_with(PREFIX) {
            return Ok(None);
        }
        let incident = self.incident()?;
        let mut targets = incident.stop.targets.iter();
        let found = targets.find(|(id, state)| step_of(id, state).is_ok_and(|s| s == *step));
        Ok(found.map(|(id, _)| id.clone()))
    }

    /// Gives back: judged, recorded, done, recorded.
    pub(super) fn give_back(
        &self,
        act: &Resolved,
        back: &GiveBack,
        why: Option<&str>,
    ) -> Result<Acted, EngineError> {
        let lock = self.case()?.try_act_lock()?.ok_or(EngineError::Running)?;
        self.settle_crashed()?;
        self.picture_before(act, why)?;
        let undo = self.undo_bytes(act, back)?;
        let auth = match auth_of(&back.target) {
            Some(source) => Some(self.credential(act, source)?),
            None => None,
        };
        let incident = self.incident()?;
        let seq = self.begin(act, why)?;
        let began = self.world.clock.now().mono_us;
        let facts = self
            .world
            .wait(self.giving(back, &undo, auth.as_ref(), &incident));
        let facts = facts.unwrap_or_default();
        let at_us = self.world.clock.now().mono_us;
        let ms = at_us.saturating_sub(began) / 1000;
        let (outcome, why) = came_of(&facts);
        let taken = |f: &Fact| matches!(f, Fact::Accepted { .. } | Fact::AlreadyDone { .. });
        let maybe = facts.iter().any(|f| taken(f) || matches!(f, Fact::Silent { .. }));
        let alive = facts.iter().rev().find_map(|f| match f {
            Fact::ReadBack { dead } => Some(!*dead),
            _ => None,
        });
        // The request was taken to give, not to cut: on the target's record it is `given back`.
        let given = maybe.then_some(Fact::GivenBack { act: seq });
        let on_record = given.into_iter().chain(facts.into_iter().filter(|f| !taken(f)));
        let facts: Vec<Observed> = on_record.map(|fact| Observed { at_us, fact }).collect();
        let mut events = Vec::new();
        if !facts.is_empty() {
            let (target, phase) = (back.target.id().clone(), "given back".to_owned());
            events.push(Event::from(StopFacts { target, phase, facts }));
        }
        events.push(Event::from(ActEnded {
            act: seq,
            outcome,
            code: None,
            ms,
            exhibit: None,
            why: why.clone(),
        }));
        let checked = match (outcome, alive) {
            (Outcome::Done, Some(passed)) => {
                let word = if passed { "alive" } else { "dead" };
                Some((passed, format!("its own record says {word}")))
            }
            _ => None,
        };
        events.extend(checked.iter().map(|(passed, text)| {
            Event::from(ActChecked {
                act: seq,
                passed: *passed,
                text: text.clone(),
                exhibit: None,
            })
        }));
        self.recorder.borrow_mut().record_all(events)?;
        drop(lock);
        Ok(Acted {
            act: seq,
            outcome,
            code: None,
            why,
            exhibit: None,
            output: Vec::new(),
            checked,
        })
    }

    /// What was saved before each cut, unchanged since.
    fn undo_bytes(&self, act: &Resolved, back: &GiveBack) -> Result<Vec<Vec<u8>>, EngineError> {
        let read = |saved| self.saved_bytes(&act.step, saved);
        back.saved.iter().map(read).collect()
    }

    /// What was saved before one cut, unchanged since.
    pub(super) fn saved_bytes(&self, step: &StepId, saved: &SavedFile) -> Result<Vec<u8>, EngineError> {
        let path = Path::new("undo").join(&saved.file);
        let bytes = self.with_case(|case| case.read_file(&path, CAP))?;
        if Hash::of(&bytes).to_string() == saved.sha256 {
            return Ok(bytes);
        }
        Err(EngineError::Unresolved {
            step: step.clone(),
            why: format!("{} is not what was saved before the cut", path.display()),
        })
    }

    pub(super) fn credential(&self, act: &Resolved, source: &SecretRef) -> Result<Secret, EngineError> {
        let why = match self.world.wait(self.world.secrets.read(source)) {
            Some(Ok(secret)) => return Ok(secret),
            Some(Err(e)) => e.to_string(),
            None => format!("{source} gave no answer"),
        };
        Err(EngineError::Unresolved {
            step: act.step.clone(),
            why,
        })
    }

    async fn giving(
        &self,
        back: &GiveBack,
        undo: &[Vec<u8>],
        auth: Option<&Secret>,
        incident: &Incident,
    ) -> Vec<Fact> {
        let target = &back.target;
        let earlier = incident.stop.targets.get(target.id()).map(|t| t.facts.as_slice());
        let kept = Kept::wanted_by(self, &[]);
        let local = Local::new(self.world, &kept, incident.id().as_str());
        let all = async {
            let mut facts = Vec::new();
            // What was cut twice was saved twice: the state before the newest cut is the one that stays.
            for undo in undo {
                let ctx = Ctx {
                    world: self.world,
                    auth,
                    secret: None,
                    open: None,
                    saved: Some(undo),
                    earlier: earlier.unwrap_or_default(),
                    limits: &self.limits,
                };
                let giving = match self.registry.of(target) {
                    Some(Ok(adapter)) => adapter.restore(ctx, target, undo),
                    Some(Err(e)) => return vec![Fact::NotTried { why: e.to_string() }],
                    None => local.restore(target, undo),
                };
                facts.extend(giving.await);
            }
            facts
        };
        let after_ms = u64::try_from(LIMIT.as_millis()).unwrap_or(u64::MAX);
        let given = self.world.timeout(LIMIT, all).await;
        given.unwrap_or_else(|| vec![Fact::Silent { after_ms }])
    }
}

/// The name of the act that gives this back; another one each time it was given back before.
fn step_of(id: &TargetId, state: &TargetState) -> Result<StepId, EngineError> {
    let before = state
        .facts
        .iter()
        .filter(|o| matches!(o.fact, Fact::GivenBack { .. }))
        .count();
    let name = match before {
        0 => format!("{PREFIX}{id}"),
        n => format!("{PREFIX}{id}-{}", n + 1),
    };
    StepId::new(&name).map_err(|e| EngineError::Escalation(e.to_string()))
}

/// Everything saved since it was last given back, oldest first; what was saved twice alike, once.
pub(super) fn saved(state: &TargetState) -> Vec<SavedFile> {
    let given = state
        .facts
        .iter()
        .rposition(|o| matches!(o.fact, Fact::GivenBack { .. }));
    let since = state.facts.get(given.map_or(0, |n| n + 1)..).unwrap_or_default();
    let mut all: Vec<SavedFile> = Vec::new();
    for observed in since {
        if let Fact::Saved { file, sha256 } = &observed.fact
            && !all.iter().any(|s| s.sha256 == *sha256)
        {
            all.push(SavedFile {
                file: file.clone(),
                sha256: sha256.clone(),
            });
        }
    }
    all
}

/// What would work again, each with the newest word on its end.
fn revived(state: &TargetState) -> BTreeMap<String, Option<i64>> {
    let all = state.facts.iter().filter_map(|o| match &o.fact {
        Fact::Revives { what, until_ms } => Some((what.clone(), *until_ms)),
        _ => None,
    });
    all.collect()
}

/// How giving back ended, in a word and in words.
pub(super) fn came_of(facts: &[Fact]) -> (Outcome, String) {
    let trouble = facts.iter().find_map(|f| match f {
        Fact::Error { text, .. } => Some(text.clone()),
        _ => None,
    });
    let taken = facts
        .iter()
        .any(|f| matches!(f, Fact::Accepted { .. } | Fact::AlreadyDone { .. }));
    if facts.iter().any(|f| matches!(f, Fact::Silent { .. })) {
        return (
            Outcome::InDoubt,
            "no answer: nobody knows whether it was given back".to_owned(),
        );
    }
    match (taken, trouble) {
        (true, None) => (Outcome::Done, "given back".to_owned()),
        (true, Some(text)) => (Outcome::Failed, format!("given back in part only: {text}")),
        (false, Some(text)) => (Outcome::Failed, format!("not given back: {text}")),
        (false, None) => {
            let why = facts.iter().find_map(|f| match f {
                Fact::NotTried { why } => Some(why.clone()),
                Fact::Manual { how } => Some(format!("by hand: {how}")),
                _ => None,
            });
            let why = why.unwrap_or_else(|| "nothing was observed".to_owned());
            (Outcome::Failed, format!("not given back: {why}"))
        }
    }
}

pub(super) fn auth_of(target: &Target) -> Option<&SecretRef> {
    match target {
        Target::Grant(grant) => grant.auth.as_ref(),
        Target::Trigger(trigger) => match &trigger.kind {
            TriggerKind::Provider { auth, .. } => auth.as_ref(),
            _ => None,
        },
        Target::Tree(_) => None,
    }
}

/// What it is, for the eyes of a signer.
pub(super) fn words_of(target: &Target) -> String {
    let with = |provider: &str, with: &BTreeMap<String, String>| {
        let all: Vec<String> = with.iter().map(|(k, v)| format!("{k} {v}")).collect();
        format!("{provider}: {}", all.join(", "))
    };
    match target {
        Target::Grant(grant) => with(&grant.provider, &grant.with),
        Target::Tree(tree) => format!("processes of {}", tree.agent),
        Target::Trigger(trigger) => match &trigger.kind {
            TriggerKind::Provider {
                provider, with: keys, ..
            } => with(provider, keys),
            kind => kind.words(),
        },
    }
}
