//! Signed answers: filed where they count, recorded with the reason where they do not, and proved once more
//! by their signatures before what they allow may run.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Engine, EngineError};
use crate::boundary::{Answer as Judged, Verdict};
use crate::journal::Hash;
use crate::model::event::{EscalationWithdrawn, ResponderProven, SignerKey, SignoffFiled, SignoffRejected};
use crate::model::ids::StepId;
use crate::model::incident::{Incident, ProvenBy, RequestState, SignoffState};
use crate::model::runbook::Need;
use crate::signoff::{self, AcceptContext, Accepted, Answer, Claim, Decision, REQUEST_NAMESPACE};
use crate::sshsig::{self, Revoked, Roster, Signature, VerifiedKey};
use crate::store::Folder;
use crate::world::WorldKind;

/// Largest file of a sign-off that is read, in bytes.
const CAP: u64 = 1 << 20;

/// A request as the screen shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Number of its record.
    pub request: u64,
    /// Its steps.
    pub steps: Vec<StepId>,
    /// Who must sign.
    pub need: Need,
    /// Who has signed.
    pub have: Vec<String>,
}

impl Engine<'_> {
    /// The roster pinned at the start, and whom somebody wrote into it since where it was empty. One that
    /// cannot be read holds nobody.
    pub fn roster(&self) -> Roster {
        let mut text = self.signers.clone();
        for state in self.incident().iter().flat_map(|i| i.enrolled.values()) {
            text.extend(format!("\n{}\n", state.enrolled.line).into_bytes());
        }
        Roster::parse(&text).unwrap_or_default()
    }

    /// The keys that no longer count. A list that cannot be read would let any key count, so none does.
    pub(super) fn revocations(&self) -> Result<&Revoked, EngineError> {
        let unread = |why: &String| {
            EngineError::Escalation(format!(
                "the list of revoked keys cannot be read, so no signature counts: {why}"
            ))
        };
        self.revoked.as_ref().map_err(unread)
    }

    /// Files one signed answer. What does not count is recorded with its reason, and refused.
    pub fn add_signoff(&self, text: Option<&[u8]>, signature: &[u8]) -> Result<Accepted, EngineError> {
        self.catch_up()?;
        let incident = self.incident()?;
        let policy = &incident.opened.policy;
        let now = self.world.clock.now();
        let mut requests = Vec::new();
        for (seq, state) in &incident.requests {
            requests.extend(self.request_now(&incident, *seq, state)?);
        }
        let roles = policy.people.iter();
        let roles = roles
            .map(|(p, person)| (p.clone(), person.roles.clone()))
            .collect();
        let accepted = filed(&incident);
        let revoked = self.revocations()?;
        let namespace = signoff::namespace(incident.opened.drill);
        let verdict = signoff::accept(
            &Answer {
                statement: text,
                signature,
            },
            &AcceptContext {
                incident: incident.id(),
                requests: &requests,
                roster: &self.roster(),
                roles: &roles,
                revoked: &|key| revoked.has_key(key) || self.is_out(&incident, key, namespace, now.utc_ms),
                human: &|name| policy.human(name),
                acted: &incident.actors,
                acted_keys: &BTreeSet::new(),
                accepted: &accepted,
                head: &|seq| self.recorder.borrow().hash_of(seq).map(|h| h.to_string()),
                now_ms: now.utc_ms,
            },
        );
        let accepted = match verdict {
            Ok(accepted) => accepted,
            Err(refusal) => {
                self.record(SignoffRejected {
                    request: None,
                    reason: refusal.name().to_owned(),
                    text: self.scrubbed(&refusal.to_string()),
                })?;
                return Err(refusal.into());
            }
        };
        let approves = accepted.decision == Decision::Approve;
        let request = accepted.request_seq;
        let issued = requests.iter().find(|r| r.statement.request_seq == request);
        let text = issued
            .map(|r| r.statement.for_decision(accepted.decision).render())
            .unwrap_or_default();
        let file = answer_file(request, &accepted.key.fingerprint, approves);
        // In the one spelling that `ssh-keygen` writes, whatever a chat made of it.
        let armoured = Signature::parse(signature).map(|s| s.armoured());
        let signature = armoured.map_err(signoff::Refusal::Unsigned)?;
        self.keep_signed(&file, text.as_bytes(), signature.as_bytes())?;
        self.record(SignoffFiled {
            request,
            person: accepted.person.clone(),
            key: on_record(&accepted.key),
            approves,
            file,
            mono_us: now.mono_us,
            utc_ms: now.utc_ms,
        })?;
        Ok(accepted)
    }

    /// Proves by a key of the roster who acted under the name in force; returns the person.
    ///
    /// From then on nobody needs to sign in place of the doubt whether that name is one of the signers.
    pub fn prove_responder(&self, key: &str) -> Result<String, EngineError> {
        self.catch_up()?;
        let incident = self.incident()?;
        let name = self.who();
        if !incident.acted_as.contains(&name) {
            return Err(EngineError::OutOfOrder(format!(
                "nobody has acted as `{name}` yet"
            )));
        }
        if let Some(known) = incident.proven_as(&name) {
            let text = format!("`{name}` is proved to be {} already", known.person);
            return Err(EngineError::OutOfOrder(text));
        }
        let (head_seq, head) = self.head().ok_or(EngineError::NoIncident)?;
        let claim = Claim {
            incident: incident.id().clone(),
            name: name.clone(),
            head_seq,
            head_hash: head.to_string(),
        };
        let text = claim.render();
        let signature = self.sign_in_person(key, REQUEST_NAMESPACE, text.as_bytes())?;
        let now = self.world.clock.now().utc_ms;
        let (person, key) = self.signed_by(&signature, text.as_bytes(), REQUEST_NAMESPACE, now)?;
        let print = Hash::of(key.fingerprint.as_bytes()).to_string();
        let file = format!("{head_seq:08}.{}.claim", print.get(..8).unwrap_or_default());
        self.keep_signed(&file, text.as_bytes(), &signature)?;
        self.record(ResponderProven {
            name,
            person: person.clone(),
            key: on_record(&key),
            file,
        })?;
        Ok(person)
    }

    /// Takes a request back.
    pub fn withdraw(&self, request: u64, why: &str) -> Result<u64, EngineError> {
        self.record(EscalationWithdrawn {
            request,
            why: self.vouched(why, "taking a question back")?,
        })
    }

    /// Requests that wait for answers.
    pub fn pending(&self) -> Result<Vec<Pending>, EngineError> {
        let incident = self.incident()?;
        let open = incident
            .requests
            .iter()
            .filter(|(_, r)| r.is_open() && r.statement.is_some());
        Ok(open
            .map(|(seq, r)| Pending {
                request: *seq,
                steps: r.asked.steps.clone(),
                need: incident.need_of(r),
                have: incident.approvals_of(r).map(|s| s.person.clone()).collect(),
            })
            .collect())
    }

    /// The text of a request that approves it, as it was issued; fails where there is no such request.
    pub fn statement_of(&self, request: u64) -> Result<String, EngineError> {
        let incident = self.incident()?;
        let issued = incident.requests.get(&request).and_then(|r| r.statement.as_ref());
        let issued =
            issued.ok_or_else(|| EngineError::Escalation(format!("there is no request {request}")))?;
        let bytes = self.signoff_bytes(&issued.file)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Reads again, from the signatures themselves, what lets an act run; gives the requests it may use up.
    ///
    /// The record is a file on this machine, and its chain holds no secret: whoever can write it could add a
    /// line that says somebody signed. They cannot add the signature.
    pub(super) fn proved_signoffs(&self, verdict: &Verdict) -> Result<Vec<u64>, EngineError> {
        let Judged::Go { consumes, alone } = &verdict.answer else {
            return Ok(Vec::new());
        };
        let incident = self.incident()?;
        for seq in consumes {
            self.prove_request(&incident, *seq)?;
            if *alone {
                self.prove_lone(&incident, *seq)?;
            }
        }
        if !consumes.is_empty() {
            for name in &incident.acted_as {
                if let Some(proven) = incident.proven_as(name) {
                    self.prove_name(&incident, name, &proven.person, &proven.by)?;
                }
            }
        }
        Ok(consumes.clone())
    }

    fn prove_request(&self, incident: &Incident, seq: u64) -> Result<(), EngineError> {
        let state = incident.requests.get(&seq).ok_or(EngineError::NoIncident)?;
        let acts = self.acts_asked_for(state)?;
        let text = self.statement(incident, seq, state, &acts).render();
        let namespace = signoff::namespace(incident.opened.drill);
        for lent in incident
            .lent
            .iter()
            .filter(|_| !state.asked.need.roles.is_empty())
        {
            self.prove_lent(incident, lent)?;
        }
        for signoff in incident.approvals_of(state) {
            let file = answer_file(seq, &signoff.key.fingerprint, true);
            let signature = self.signoff_bytes(&format!("{file}.sig"));
            let signed =
                signature.and_then(|sig| self.signed_by(&sig, text.as_bytes(), namespace, signoff.utc_ms));
            let agrees =
                |(who, key): &(String, VerifiedKey)| *who == signoff.person && on_record(key) == signoff.key;
            if !signed.as_ref().is_ok_and(agrees) {
                let why = signed.err().map_or_else(String::new, |e| format!(": {e}"));
                return Err(EngineError::NotSigned(format!(
                    "record {} says that {} signed request {seq}, and signoffs/{file}.sig does not{why}",
                    signoff.seq, signoff.person
                )));
            }
        }
        Ok(())
    }

    /// One person alone: their key signed that they would, and the delay has passed since that signed moment,
    /// whatever the record says of when it began.
    fn prove_lone(&self, incident: &Incident, seq: u64) -> Result<(), EngineError> {
        let policy = &incident.opened.policy;
        let state = incident.requests.get(&seq).ok_or(EngineError::NoIncident)?;
        let acts = self.acts_asked_for(state)?;
        let statement = self.statement(incident, seq, state, &acts);
        let no = |why: String| {
            Err(EngineError::NotSigned(format!(
                "request {seq} does not run alone: {why}"
            )))
        };
        let Some(after_s) = statement.alone_after_s else {
            return no("it was not asked for like that, whatever the record says".into());
        };
        if policy.people.is_empty() {
            self.lain(state, &statement.render(), after_s).or_else(no)?;
        } else {
            let requester = &state.asked.requester;
            let signature = self.signoff_bytes(&requester_file(seq));
            let text = statement.render();
            let at_ms = statement.requested_ms;
            let signed =
                signature.and_then(|sig| self.signed_by(&sig, text.as_bytes(), REQUEST_NAMESPACE, at_ms));
            match signed {
                Ok((who, _)) if who == *requester => {}
                Ok((who, _)) => return no(format!("{who} signed it, not {requester}")),
                Err(e) => return no(e.to_string()),
            }
        }
        let since = self
            .world
            .clock
            .now()
            .utc_ms
            .saturating_sub(statement.requested_ms);
        let since = u64::try_from(since).unwrap_or(0);
        if since < after_s.saturating_mul(1000) {
            let at = crate::model::time::rfc3339(statement.requested_ms);
            return no(format!(
                "it was asked for at {at}, and the delay since is not over"
            ));
        }
        Ok(())
    }

    /// With nobody on the roster no key could prove when somebody asked. What is left is the file that was written then:
    /// a program may set what it says and how old it claims to be, not when it was last changed.
    fn lain(&self, state: &RequestState, text: &str, after_s: u64) -> Result<(), String> {
        if self.world.kind != WorldKind::Real {
            return Ok(());
        }
        let file = state.statement.as_ref().map_or("", |s| s.file.as_str());
        let bytes = self.signoff_bytes(file).map_err(|e| e.to_string())?;
        if bytes != text.as_bytes() {
            return Err(format!("signoffs/{file} asks for something else"));
        }
        let path = self
            .case_path()
            .ok_or("its record is not on disk")?
            .join("signoffs")
            .join(file);
        let stat = self.world.files.stat(&path).map_err(|e| e.to_string())?;
        let lain = self.world.clock.now().utc_ms.saturating_sub(stat.ctime_ms);
        match u64::try_from(lain).is_ok_and(|ms| ms >= after_s.saturating_mul(1000)) {
            true => Ok(()),
            false => Err(format!(
                "signoffs/{file} was last changed at {}, and the delay since is not over",
                crate::model::time::rfc3339(stat.ctime_ms)
            )),
        }
    }

    fn prove_name(
        &self,
        incident: &Incident,
        name: &str,
        person: &str,
        by: &ProvenBy,
    ) -> Result<(), EngineError> {
        let no = |why: String| {
            EngineError::NotSigned(format!(
                "the record says that `{name}` is {person}, and no signature does: {why}"
            ))
        };
        let (text, file, at_ms) = match by {
            ProvenBy::Request(seq) => {
                let state = incident.requests.get(seq).ok_or(EngineError::NoIncident)?;
                let acts = self.acts_asked_for(state)?;
                let statement = self.statement(incident, *seq, state, &acts);
                (statement.render(), requester_file(*seq), statement.requested_ms)
            }
            ProvenBy::Claim { file, ts } => {
                let text = String::from_utf8_lossy(&self.signoff_bytes(file)?).into_owned();
                let claim = Claim::parse(&text).filter(|c| c.name == name && c.incident == *incident.id());
                let known = claim.is_some_and(|c| {
                    let ours = self.recorder.borrow().hash_of(c.head_seq).map(|h| h.to_string());
                    ours == Some(c.head_hash)
                });
                if !known {
                    return Err(no(format!("signoffs/{file} claims something else")));
                }
                let at_ms = crate::model::time::parse_rfc3339(ts).unwrap_or(0);
                (text, format!("{file}.sig"), at_ms)
            }
        };
        let signature = self.signoff_bytes(&file);
        let signed =
            signature.and_then(|sig| self.signed_by(&sig, text.as_bytes(), REQUEST_NAMESPACE, at_ms));
        match signed {
            Ok((who, _)) if who == person => Ok(()),
            Ok((who, _)) => Err(no(format!("signoffs/{file} is {who}'s"))),
            Err(e) => Err(no(e.to_string())),
        }
    }

    /// The person of the roster whose key signed this text.
    pub(super) fn signed_by(
        &self,
        signature: &[u8],
        text: &[u8],
        namespace: &str,
        at_ms: i64,
    ) -> Result<(String, VerifiedKey), EngineError> {
        let no = |why: String| EngineError::Escalation(format!("the signature does not count: {why}"));
        let parsed = Signature::parse(signature).map_err(|e| no(e.to_string()))?;
        let key = sshsig::verify(&parsed, text, namespace).map_err(|e| no(e.to_string()))?;
        if self.is_revoked(&key, namespace, at_ms)? {
            return Err(no(format!("the key {} is revoked", key.fingerprint)));
        }
        let who = self.roster().who_signed(&key, namespace, at_ms);
        Ok((who.map_err(|e| no(e.to_string()))?, key))
    }

    pub(super) fn keep_signed(&self, file: &str, text: &[u8], signature: &[u8]) -> Result<(), EngineError> {
        self.with_case(|case| case.write_once(Folder::Signoffs, file, text))?;
        let sig = format!("{file}.sig");
        self.with_case(|case| case.write_once(Folder::Signoffs, &sig, signature))?;
        Ok(())
    }

    pub(super) fn signoff_bytes(&self, file: &str) -> Result<Vec<u8>, EngineError> {
        let path = Path::new("signoffs").join(file);
        self.with_case(|case| case.read_file(&path, CAP))
    }
}

/// Name of an answer's text; its signature lies beside it.
pub(super) fn answer_file(request: u64, fingerprint: &str, approves: bool) -> String {
    let print = Hash::of(fingerprint.as_bytes()).to_string();
    let word = if approves { "" } else { ".no" };
    format!("{request:08}.{}{word}.txt", print.get(..8).unwrap_or_default())
}

/// Name of the requester's own signature under a request.
pub(super) fn requester_file(request: u64) -> String {
    format!("{request:08}.requester.sig")
}

/// The answers on record, in the shape the rules over answers take.
fn filed(incident: &Incident) -> Vec<Accepted> {
    let valid = i64::try_from(incident.opened.policy.valid_ms).unwrap_or(i64::MAX);
    let mut all = Vec::new();
    for (seq, request) in &incident.requests {
        // What was taken out counts for nothing, also not against another key of the same person.
        let out = |s: &&SignoffState| incident.taken_out(&s.person, &s.key.prints()).is_some();
        for signoff in request.signoffs.iter().filter(|s| !out(s)) {
            let person = incident.opened.policy.people.get(&signoff.person);
            all.push(Accepted {
                person: signoff.person.clone(),
                roles: person.map(|p| p.roles.clone()).unwrap_or_default(),
                key: from_record(&signoff.key),
                decision: if signoff.approves {
                    Decision::Approve
                } else {
                    Decision::Refuse
                },
                request_seq: *seq,
                nonce: request.asked.nonce.clone(),
                filed_ms: signoff.utc_ms,
                expires_ms: signoff.utc_ms.saturating_add(valid),
            });
        }
    }
    all
}

pub(super) fn on_record(key: &VerifiedKey) -> SignerKey {
    SignerKey {
        fingerprint: key.fingerprint.clone(),
        algorithm: key.algorithm.clone(),
        user_presence: key.user_presence,
        user_verified: key.user_verified,
        counter: key.counter,
        authority: key.certificate.as_ref().map(|c| c.authority.clone()),
    }
}

fn from_record(key: &SignerKey) -> VerifiedKey {
    VerifiedKey {
        fingerprint: key.fingerprint.clone(),
        algorithm: key.algorithm.clone(),
        user_presence: key.user_presence,
        user_verified: key.user_verified,
        counter: key.counter,
        certificate: None,
    }
}
