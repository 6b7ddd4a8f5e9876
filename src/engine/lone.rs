//! One person alone: asked for with a reason, told to everybody, possible after a delay, countersigned afterwards.

use super::notice::{Told, WIDE};
use super::{Engine, EngineError, Issued};
use crate::boundary::{self, Alone, zone_of};
use crate::journal::Hash;
use crate::model::effect::Zone;
use crate::model::event::{LoneAsked, SignerEnrolled};
use crate::model::ids::StepId;
use crate::model::incident::Incident;
use crate::model::runbook::{Rung, Sends, Way};

/// What came of asking to act alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedAlone {
    /// Its request, which others may sign or refuse all the while.
    pub request: u64,
    /// The request, where it was written just now.
    pub issued: Option<Issued>,
    /// Who was told just now.
    pub told: Vec<Told>,
    /// How far it has come.
    pub stands: Alone,
}

impl Engine<'_> {
    /// Asks to run a step alone. Entered again, it asks nothing anew: it tells everybody again, and says how far it came.
    pub fn ask_alone(
        &self,
        step: &StepId,
        why: &str,
        unreached: Option<&str>,
        key: Option<&str>,
    ) -> Result<AskedAlone, EngineError> {
        if why.trim().is_empty() {
            return Err(EngineError::NoWords("acting alone"));
        }
        self.catch_up()?;
        let incident = self.incident()?;
        let policy = &incident.opened.policy;
        let act = self.resolve(step)?;
        match zone_of(policy, &act, self.world.clock.now()).0 {
            _ if policy.lone.is_none() => return Err(EngineError::Alone(Alone::NotAllowed)),
            Zone::Outside => return Err(EngineError::Alone(Alone::Outside)),
            Zone::Inside => {
                let text = format!("`{step}` is inside the boundary: nobody needs to be asked");
                return Err(EngineError::Escalation(text));
            }
            Zone::At => {}
        }
        if key.is_none() && !policy.people.is_empty() {
            return Err(EngineError::Alone(Alone::Unproven));
        }
        let digest = Hash::of(&act.canonical()).to_string();
        let mine = |incident: &Incident| {
            let open = incident.requests.iter().rev().find(|(_, r)| {
                r.is_open()
                    && r.lone.is_some()
                    && r.asked.lone
                    && r.next() == Some((step, digest.as_str()))
                    && !matches!(
                        boundary::alone(incident, 0, r, self.world.clock.now()),
                        Alone::Expired
                    )
            });
            open.map(|(seq, _)| *seq)
        };
        let (request, issued) = match mine(&incident) {
            Some(seq) => (seq, None),
            None => {
                let issued = self.escalate_lone(step, key)?;
                let now = self.world.clock.now();
                self.record(LoneAsked {
                    request: issued.request,
                    why: self.scrubbed(why),
                    mono_us: now.mono_us,
                    utc_ms: now.utc_ms,
                })?;
                (issued.request, Some(issued))
            }
        };
        if let Some(words) = unreached {
            self.unreached(request, words)?;
        }
        let told = self.tell_everybody(request)?;
        let stands = self.alone(request)?;
        Ok(AskedAlone {
            request,
            issued,
            told,
            stands,
        })
    }

    /// How far one person's wish to act alone has come.
    pub fn alone(&self, request: u64) -> Result<Alone, EngineError> {
        let incident = self.incident()?;
        let state = incident.requests.get(&request).ok_or(EngineError::NoIncident)?;
        Ok(boundary::alone(&incident, request, state, self.world.clock.now()))
    }

    fn tell_everybody(&self, request: u64) -> Result<Vec<Told>, EngineError> {
        let reach = &self.runbook.reach;
        if reach.notify.is_empty() {
            return Ok(Vec::new());
        }
        let everybody = Rung {
            name: "everybody".into(),
            who: Vec::new(),
            ways: vec![Way::Program(reach.notify.clone())],
            sends: Sends::usual(),
            within_ms: 0,
        };
        let told = everybody
            .ways
            .iter()
            .map(|way| self.tell(request, WIDE, &everybody, way, None));
        Ok(told
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .flatten()
            .collect())
    }

    /// Writes somebody into the roster during the incident, where it is empty. They may refuse and countersign,
    /// and never sign beforehand; it is shown for ever.
    pub fn enrol(&self, person: &str, key: &str, words: &str) -> Result<u64, EngineError> {
        if words.trim().is_empty() {
            return Err(EngineError::NoWords("enrolling somebody"));
        }
        let line = format!("{person} {}", key.trim());
        let roster = crate::sshsig::Roster::parse(line.as_bytes()).map_err(|e| {
            let why: Vec<&str> = e.iter().map(|d| d.message.as_str()).collect();
            EngineError::Escalation(format!("this key cannot stand in a roster: {}", why.join("; ")))
        })?;
        if roster.is_empty() || line.contains('\n') {
            return Err(EngineError::Escalation(
                "a roster line is one person and one public key, as in id_ed25519.pub".into(),
            ));
        }
        if !self.roster().is_empty() && self.incident()?.enrolled.is_empty() {
            return Err(EngineError::Escalation(
                "there is a roster; nobody is written into it during an incident".into(),
            ));
        }
        self.record(SignerEnrolled {
            person: person.to_owned(),
            line,
            words: self.scrubbed(words),
        })
    }
}
