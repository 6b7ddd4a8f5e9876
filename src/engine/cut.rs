//! "This token, now": secrets that somebody holds in the hand, cut with nothing but themselves.

use std::collections::BTreeMap;
use std::time::Duration;

use super::scan::{Pick, millis};
use super::{Engine, EngineError};
use crate::access::Eye;
use crate::access::by_hand::by_hand;
use crate::model::event::Aim;
use crate::model::grant::Target;
use crate::model::ids::TargetId;
use crate::model::secret::Secret;
use crate::providers::Adapter;

/// What the person says beside the secrets.
#[derive(Debug, Default)]
pub struct Given {
    /// The adapter, where the shape does not tell.
    pub provider: Option<String>,
    /// What the adapter needs besides (`address`).
    pub with: BTreeMap<String, String>,
}

/// A secret that was not cut, and the way on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotCut {
    /// Keyed fingerprint.
    pub fingerprint: String,
    /// Its last four characters; empty where it is too short.
    pub last4: String,
    /// Why not.
    pub why: String,
    /// What to do.
    pub how: String,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct CutReport {
    /// What was aimed at: each is a target of the incident, with a proof word.
    pub targets: Vec<TargetId>,
    /// What was not.
    pub not_cut: Vec<NotCut>,
    /// True where Ctrl-C ended it early.
    pub interrupted: bool,
}

/// A secret that only its own return can prove dead: it was taken, and its provider's window outlasts this run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Again {
    /// Its target.
    pub target: TargetId,
    /// Wall time after which a refusal counts, ms since the epoch.
    pub after_ms: i64,
    /// What a person types then, with the secret at hand.
    pub line: String,
}

/// The flags that say what the adapter lacks.
fn missing(adapter: &dyn Adapter, lacking: &[String]) -> String {
    let needs = adapter.about().needs.into_iter();
    let keys = needs.filter(|(key, _)| lacking.iter().any(|l| l.contains(&format!("`{key}`"))));
    keys.map(|(key, _)| format!(" --with {key}=…")).collect()
}

/// Longest wait for a provider's window while the secret is still in memory.
const WAIT: Duration = Duration::from_secs(60);

impl Engine<'_> {
    /// Revokes each secret with nothing but itself, tries it, and forgets it when this run ends.
    ///
    /// The record holds a keyed fingerprint of each, also of what no adapter knows.
    pub fn cut(&self, secrets: Vec<Secret>, given: &Given) -> Result<CutReport, EngineError> {
        let recognise = |value: &str| -> Vec<String> {
            let all = self.registry.recognise(value);
            all.iter().map(|a| a.name().to_owned()).collect()
        };
        let eye = Eye::new(&self.key, &recognise)?;
        let mut report = CutReport::default();
        let mut aims: Vec<Aim> = Vec::new();
        for secret in secrets {
            match self.aimed(&eye, secret, given) {
                Ok(aim) if report.targets.contains(aim.target.id()) => {}
                Ok(aim) => {
                    report.targets.push(aim.target.id().clone());
                    aims.push(aim);
                }
                Err(not_cut) if report.not_cut.contains(&not_cut) => {}
                Err(not_cut) => report.not_cut.push(not_cut),
            }
        }
        let problems = report.not_cut.iter();
        let problems =
            problems.map(|n| format!("a secret with the fingerprint {}: {}", n.fingerprint, n.why));
        let swept = self.sweep(aims, problems.collect(), &[])?;
        report.interrupted = swept.interrupted;
        Ok(report)
    }

    fn aimed(&self, eye: &Eye<'_>, secret: Secret, given: &Given) -> Result<Aim, NotCut> {
        let value = secret.expose();
        let (names, kind) = eye.whole(value);
        let no = |why: String, how: String| NotCut {
            fingerprint: eye.fingerprint(value),
            last4: Eye::last4(value),
            why,
            how,
        };
        let adapter = match self.pick(&names, given.provider.as_deref()) {
            Pick::One(adapter) => adapter,
            Pick::Several(all) => {
                let how = format!(
                    "say which: incident cut --provider {}",
                    all.first().cloned().unwrap_or_default()
                );
                return Err(no(format!("it could be for {}", all.join(" or ")), how));
            }
            Pick::Nobody if given.provider.is_some() => {
                let why = format!(
                    "no provider is named `{}`",
                    given.provider.as_deref().unwrap_or_default()
                );
                let how = "incident access providers lists them".to_owned();
                return Err(no(why, how));
            }
            Pick::Nobody => {
                let why = match Eye::is_telling(&kind) {
                    true => format!("it looks like a secret of {kind}, which nothing here can cut"),
                    false => "no known shape fits it".to_owned(),
                };
                let how = match Eye::is_telling(&kind) {
                    true => by_hand(&kind).to_owned(),
                    false => "say whose it is: incident cut --provider NAME (incident access providers lists them); else revoke it where it was made".to_owned(),
                };
                return Err(no(why, how));
            }
        };
        let not_held = no("its fingerprint makes no name".to_owned(), String::new());
        let print = not_held.fingerprint.clone();
        let last4 = not_held.last4.clone();
        let aim = self.held(adapter, secret, &given.with, None).ok_or(not_held)?;
        match adapter.check(&aim.target).as_slice() {
            [] => Ok(aim),
            lacking => Err(NotCut {
                fingerprint: print,
                last4,
                why: format!("{}: {}", adapter.name(), lacking.join("; ")),
                how: format!(
                    "say it: incident cut{}; by hand: {}",
                    missing(adapter, lacking),
                    adapter.about().manual
                ),
            }),
        }
    }

    /// Time until the windows of these targets are over, if it is short enough to be waited for.
    pub fn window_left(&self, targets: &[TargetId]) -> Result<Option<Duration>, EngineError> {
        let incident = self.incident()?;
        let now = self.world.clock.now().mono_us;
        let seen = targets.iter().filter_map(|id| incident.stop.targets.get(id));
        // Where it was seen alive after the cut, waiting proves nothing more.
        let open = seen.filter(|t| !t.proof().is_dead());
        let settles = open.filter_map(|t| t.settles_us()).filter(|at| *at > now);
        let left = settles.max().map(|at| Duration::from_micros(at - now));
        Ok(left.filter(|left| *left <= WAIT))
    }

    /// Which of these nothing here can look at again, because the secret is forgotten before its window is over.
    pub fn paste_again(&self, targets: &[TargetId]) -> Result<Vec<Again>, EngineError> {
        let incident = self.incident()?;
        let now = self.world.clock.now();
        let again = targets.iter().filter_map(|id| {
            let seen = incident.stop.targets.get(id)?;
            let Target::Grant(grant) = &seen.aim.target else {
                return None;
            };
            let left_us = seen
                .settles_us()?
                .checked_sub(now.mono_us)
                .filter(|left| *left > 0)?;
            let left_ms = i64::try_from(left_us.div_ceil(1_000)).ok()?;
            Some(Again {
                target: id.clone(),
                after_ms: now.utc_ms.checked_add(left_ms)?,
                line: grant.paste_line().filter(|_| !seen.proof().is_dead())?,
            })
        });
        Ok(again.collect())
    }

    /// Waits for the windows to pass and tries again while the secrets are at hand; false where Ctrl-C came first.
    pub fn wait_and_try(&self, left: Duration) -> Result<bool, EngineError> {
        const STEP: Duration = Duration::from_millis(100);
        let end = self.world.clock.now().mono_us + millis(left) * 1_000 + 20_000;
        while self.world.clock.now().mono_us < end {
            if self.world.interrupt.count() > 0 {
                return Ok(false);
            }
            self.world.wait(self.world.clock.sleep(STEP));
        }
        self.due_probes()?;
        Ok(true)
    }

    /// Targets whose secret is in memory for this run only.
    pub fn held_targets(&self) -> Result<Vec<TargetId>, EngineError> {
        use crate::model::secret::SecretRef;
        let incident = self.incident()?;
        let held = incident.stop.targets.values().filter(
            |t| matches!(&t.aim.target, Target::Grant(g) if matches!(&g.secret, Some(SecretRef::Held(_)))),
        );
        Ok(held.map(|t| t.aim.target.id().clone()).collect())
    }
}
