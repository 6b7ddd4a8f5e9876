//! A new credential for a named service, in the place of one that a sweep took: what was cut stays cut.
//!
//! It has no more rights than the record saved before the cut had, which is why it is a kind of act of its own:
//! reviving the old one gives it back to whoever holds a copy. The secret goes into one file of the
//! responder and nowhere else; the record holds its fingerprint.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::restore::{auth_of, came_of, saved, words_of};
use super::{Acted, Engine, EngineError};
use crate::model::act::{Act, Lane, Manual, Renewal, Resolved, ResolvedUndo, Stage};
use crate::model::effect::{Effect, Effects};
use crate::model::event::{ActEnded, Event, Outcome, StopFacts};
use crate::model::fact::{Fact, Observed, cut_us};
use crate::model::grant::Target;
use crate::model::ids::{StepId, TargetId};
use crate::model::incident::TargetState;
use crate::model::secret::Secret;
use crate::providers::{Ctx, New, Renewable};
use crate::redact::fingerprint;

/// Every act that makes something anew is named by this, its target and its service.
const PREFIX: &str = "new-";
/// Making one may take this long; after it nobody knows.
const LIMIT: Duration = Duration::from_secs(60);
/// Longest name of a service: it becomes part of the name of a login.
const LONGEST: usize = 40;

impl Engine<'_> {
    /// What making a new credential for this service would do now. `at` the boundary only where nobody can say
    /// that it has no more rights than the old one.
    pub fn resolve_renewal(&self, id: &TargetId, service: &str) -> Result<Resolved, EngineError> {
        let incident = self.incident()?;
        let state = incident.stop.targets.get(id);
        let state = state.ok_or_else(|| EngineError::NoTarget(id.clone()))?;
        let step = step_of(id, state, service)?;
        let unresolved = |why: &str| EngineError::Unresolved {
            step: step.clone(),
            why: why.to_owned(),
        };
        let target = &state.aim.target;
        let adapter = match (target, self.registry.of(target)) {
            (Target::Grant(_), Some(Ok(adapter))) => adapter,
            (_, Some(Err(e))) => return Err(unresolved(&e.to_string())),
            _ => return Err(unresolved("only a grant has a credential")),
        };
        if cut_us(&state.facts).is_none() {
            return Err(unresolved("it was not cut yet; incident stop cuts it"));
        }
        // The oldest: what came after was saved of something cut already.
        let kept = saved(state).into_iter().next();
        let can = match &kept {
            Some(file) => adapter.renewable(target, &self.saved_bytes(&step, file)?),
            None => match adapter.renewable(target, b"{}") {
                Renewable::ByHand => Renewable::ByHand,
                _ => Renewable::No("what it might do was not saved before the cut".to_owned()),
            },
        };
        let mut targets = BTreeMap::from([
            ("host".to_owned(), self.world.host.identity().host),
            ("instead of".to_owned(), words_of(target)),
            ("for".to_owned(), service.to_owned()),
        ]);
        let (from, effect) = match can {
            Renewable::With(rights) => {
                targets.insert("rights".to_owned(), rights.clone());
                (kept.map(|file| (file, rights)), Effect::CredentialNew)
            }
            Renewable::ByHand => (None, Effect::CredentialNew),
            Renewable::No(why) => {
                targets.insert("rights".to_owned(), format!("nobody can say: {why}"));
                (None, Effect::CredentialChange)
            }
        };
        let about = adapter.about();
        if from.is_none() {
            let how = format!(
                "make a new {} for {service} with no more rights than the old one had, give it to {service} alone, and \
                 try it; the old one stays cut",
                about.kinds.first().map_or("credential", |kind| kind.as_str())
            );
            targets.insert("by hand".to_owned(), how);
        }
        Ok(Resolved {
            title: format!("make a new credential for {service} in the place of {id}"),
            step,
            stage: Stage::Contain,
            lane: Lane::Ordinary,
            act: Act::Renew(Renewal {
                target: target.clone(),
                service: service.to_owned(),
                from,
            }),
            undoes: false,
            cwd: String::new(),
            env: BTreeMap::new(),
            files: Vec::new(),
            targets,
            declared: Some(Effects::from([effect])),
            scope: Default::default(),
            approved: None,
            seen: Vec::new(),
            undo: ResolvedUndo::ByHand(Manual {
                what: format!("revoke the new one: {}", about.manual),
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

    /// The target and the service of a step named like `new-TARGET:SERVICE`; `None` where it is no such step.
    pub(super) fn renewed_by(&self, step: &StepId) -> Result<Option<(TargetId, String)>, EngineError> {
        let Some(rest) = step.as_str().strip_prefix(PREFIX) else {
            return Ok(None);
        };
        let incident = self.incident()?;
        let found = rest.rsplit_once(':').and_then(|(id, service)| {
            let (id, state) = incident
                .stop
                .targets
                .iter()
                .find(|(known, _)| known.as_str() == id)?;
            let service = service.split_once('.').map_or(service, |(service, _)| service);
            let now = step_of(id, state, service).is_ok_and(|now| now == *step);
            now.then(|| (id.clone(), service.to_owned()))
        });
        Ok(found)
    }

    /// Makes it: judged, recorded, done, recorded. The secret goes into `into`, which must not exist yet.
    pub fn renew(&self, act: &Resolved, into: &Path, why: Option<&str>) -> Result<Acted, EngineError> {
        let Act::Renew(Renewal {
            target,
            service,
            from: Some((kept, _)),
        }) = &act.act
        else {
            return Err(EngineError::WrongKind {
                step: act.step.clone(),
                why: "a person makes it; then the same command with --done WORDS".to_owned(),
            });
        };
        let lock = self.case()?.try_act_lock()?.ok_or(EngineError::Running)?;
        self.settle_crashed()?;
        self.picture_before(act, why)?;
        let undo = self.saved_bytes(&act.step, kept)?;
        let auth = match auth_of(target) {
            Some(source) => Some(self.credential(act, source)?),
            None => None,
        };
        let incident = self.incident()?;
        let place = self.reserved(into)?;
        let seq = match self.begin(act, why) {
            Ok(seq) => seq,
            Err(e) => {
                let _ = self.world.files.remove(&place);
                return Err(e);
            }
        };
        let began = self.world.clock.now().mono_us;
        let earlier = incident.stop.targets.get(target.id()).map(|t| t.facts.as_slice());
        let ctx = Ctx {
            world: self.world,
            auth: auth.as_ref(),
            secret: None,
            open: None,
            saved: Some(&undo),
            earlier: earlier.unwrap_or_default(),
            limits: &self.limits,
        };
        let made = self.world.wait(self.making(ctx, target, &undo, service));
        let mut facts = Vec::new();
        let (outcome, why) = match made.unwrap_or_else(|| Err(Vec::new())) {
            Ok(new) => {
                facts.extend(new.facts);
                let text = Secret::joined(&[new.secret.expose(), "\n"]);
                let written = self.world.files.replace(&place, text.expose().as_bytes(), 0o600);
                let print = fingerprint(&self.key, new.secret.expose().as_bytes());
                self.world
                    .secrets
                    .hold(&format!("the new credential of {service}"), new.secret);
                let name = new.name;
                facts.push(Fact::Renewed {
                    act: seq,
                    service: service.clone(),
                    name: name.clone(),
                    print: Some(print),
                });
                match written {
                    Ok(()) => (
                        Outcome::Done,
                        format!("made {name} for {service}; its secret is in {}", place.display()),
                    ),
                    Err(e) => (
                        Outcome::Failed,
                        format!(
                            "{name} was made and its secret is lost, {} could not be written ({e}): revoke {name}",
                            place.display()
                        ),
                    ),
                }
            }
            Err(seen) => {
                let _ = self.world.files.remove(&place);
                let said = came_of(&seen);
                facts = seen;
                match said {
                    (Outcome::InDoubt, _) => (
                        Outcome::InDoubt,
                        format!(
                            "no answer: nobody knows whether one was made; look for what is new for {service}"
                        ),
                    ),
                    (_, why) => (Outcome::Failed, why.replace("given back", "made")),
                }
            }
        };
        let ms = self.world.clock.now().mono_us.saturating_sub(began) / 1000;
        self.ended_anew(act, seq, facts, outcome, why, ms)
            .inspect(|_| drop(lock))
    }

    /// Records that a person made it. Passes the same gate.
    pub fn renewed_by_hand(&self, act: &Resolved, words: &str) -> Result<Acted, EngineError> {
        let Act::Renew(Renewal { service, from, .. }) = &act.act else {
            let why = "it makes no new credential".to_owned();
            let step = act.step.clone();
            return Err(EngineError::WrongKind { step, why });
        };
        if from.is_some() {
            return Err(EngineError::WrongKind {
                step: act.step.clone(),
                why: "the tool makes it, and reads what it may do from the record; name a file for its secret: --into FILE"
                    .to_owned(),
            });
        }
        let lock = self.case()?.try_act_lock()?.ok_or(EngineError::Running)?;
        self.settle_crashed()?;
        let words = self.scrubbed(words);
        self.picture_before(act, Some(&words))?;
        let seq = self.begin(act, Some(&words))?;
        let fact = Fact::Renewed {
            act: seq,
            service: service.clone(),
            name: words.clone(),
            print: None,
        };
        let why = format!("made by hand for {service}: {words}");
        self.ended_anew(act, seq, vec![fact], Outcome::Done, why, 0)
            .inspect(|_| drop(lock))
    }

    async fn making(
        &self,
        ctx: Ctx<'_>,
        target: &Target,
        undo: &[u8],
        service: &str,
    ) -> Result<New, Vec<Fact>> {
        let making = match self.registry.of(target) {
            Some(Ok(adapter)) => adapter.renew(ctx, target, undo, service),
            _ => return Err(Vec::new()),
        };
        let after_ms = u64::try_from(LIMIT.as_millis()).unwrap_or(u64::MAX);
        let made = self.world.timeout(LIMIT, making).await;
        made.unwrap_or_else(|| Err(vec![Fact::Silent { after_ms }]))
    }

    fn ended_anew(
        &self,
        act: &Resolved,
        seq: u64,
        facts: Vec<Fact>,
        outcome: Outcome,
        why: String,
        ms: u64,
    ) -> Result<Acted, EngineError> {
        let Act::Renew(renewal) = &act.act else {
            return Err(EngineError::NoStep(act.step.clone()));
        };
        let at_us = self.world.clock.now().mono_us;
        // Taken was the request to make one, not to cut: of the old one it says nothing.
        let taken = |f: &Fact| matches!(f, Fact::Accepted { .. } | Fact::AlreadyDone { .. });
        let facts = facts.into_iter().filter(|f| !taken(f));
        let facts: Vec<Observed> = facts.map(|fact| Observed { at_us, fact }).collect();
        let mut events = Vec::new();
        if !facts.is_empty() {
            let (target, phase) = (renewal.target.id().clone(), "made anew".to_owned());
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
        self.recorder.borrow_mut().record_all(events)?;
        Ok(Acted {
            act: seq,
            outcome,
            code: None,
            why,
            exhibit: None,
            output: Vec::new(),
            checked: None,
        })
    }

    /// Takes the place for the secret, so that nothing is made that cannot be put anywhere.
    fn reserved(&self, into: &Path) -> Result<PathBuf, EngineError> {
        let path = self.world.host.cwd().join(into);
        let made = self.world.files.create(&path, 0o600);
        made.map(|()| path.clone()).map_err(|e| EngineError::File {
            path: path.display().to_string(),
            why: match e.kind() {
                std::io::ErrorKind::AlreadyExists => {
                    "it is there already, and nothing is overwritten".to_owned()
                }
                _ => e.to_string(),
            },
        })
    }
}

/// The name of the act that makes it; another one each time one was made for this service before.
fn step_of(id: &TargetId, state: &TargetState, service: &str) -> Result<StepId, EngineError> {
    let fit = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if service.is_empty() || service.len() > LONGEST || !service.chars().all(fit) {
        return Err(EngineError::Escalation(format!(
            "`{service}` cannot name a service here: up to {LONGEST} small letters, digits and `-`"
        )));
    }
    let made = |f: &Fact| matches!(f, Fact::Renewed { service: s, .. } if s == service);
    let before = state.facts.iter().filter(|o| made(&o.fact)).count();
    let name = match before {
        0 => format!("{PREFIX}{id}:{service}"),
        n => format!("{PREFIX}{id}:{service}.{}", n + 1),
    };
    StepId::new(&name).map_err(|e| EngineError::Escalation(e.to_string()))
}
