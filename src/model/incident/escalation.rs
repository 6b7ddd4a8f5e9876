//! Requests and sign-offs: who was asked, who answered, what was used up.

use super::{At, Incident, LoneState, Said};
use crate::model::effect::Zone;
use crate::model::event::{
    EscalationRequested, EscalationWithdrawn, ResponderProven, SignerKey, SignoffFiled, StatementIssued,
};
use crate::model::ids::StepId;
use crate::model::runbook::Need;

/// One escalation.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestState {
    /// The request as recorded.
    pub asked: EscalationRequested,
    /// The name it was recorded under.
    pub asked_as: String,
    /// Hash of the request's line, which the statement names.
    pub line_sha256: String,
    /// When, RFC 3339.
    pub ts: String,
    /// The statement, once issued.
    pub statement: Option<StatementIssued>,
    /// Signed answers that count.
    pub signoffs: Vec<SignoffState>,
    /// Why it was withdrawn.
    pub withdrawn: Option<String>,
    /// How many of its acts have used it, in order.
    pub used: usize,
    /// The record by which the plan it rests on was changed or given up.
    pub fell: Option<u64>,
    /// One person's wish to act alone.
    pub lone: Option<LoneState>,
    /// A person's word that nobody can be reached.
    pub unreached: Option<Said>,
}

/// A signed answer that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignoffState {
    /// Its record.
    pub seq: u64,
    /// The person.
    pub person: String,
    /// The key.
    pub key: SignerKey,
    /// True = approve.
    pub approves: bool,
    /// When it was filed, ms since the epoch.
    pub utc_ms: i64,
    /// When it was filed, monotonic microseconds.
    pub mono_us: u64,
}

/// Whom a rostered key proved to be behind a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// The person, as in the roster.
    pub person: String,
    /// Their key.
    pub key: SignerKey,
    /// Where their signature is.
    pub by: ProvenBy,
}

/// What a person signed to be known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProvenBy {
    /// The request of this record.
    Request(u64),
    /// A claim of their name.
    Claim {
        /// Its file below `signoffs/`.
        file: String,
        /// When, RFC 3339.
        ts: String,
    },
}

impl RequestState {
    /// True where somebody refused: the request is dead.
    pub fn refused_by(&self) -> Option<&SignoffState> {
        self.signoffs.iter().find(|s| !s.approves)
    }

    /// True where it waits for answers or for its acts.
    pub fn is_open(&self) -> bool {
        let gone = self.withdrawn.is_some() || self.fell.is_some() || self.refused_by().is_some();
        !gone && self.used < self.asked.steps.len()
    }

    /// The next act it covers.
    pub fn next(&self) -> Option<(&StepId, &str)> {
        let step = self.asked.steps.get(self.used)?;
        let act = self.asked.acts.get(self.used)?;
        Some((step, act))
    }

    pub(super) fn consume(&mut self, step: &StepId, act_sha256: &str) -> Result<(), String> {
        if !self.is_open() {
            return Err("the sign-off is used up, refused, withdrawn, or fell with its plan".into());
        }
        match self.next() {
            Some((s, a)) if s == step && a == act_sha256 => {
                self.used += 1;
                Ok(())
            }
            _ => Err(format!("the sign-off is not for this act of `{step}`")),
        }
    }
}

impl Incident {
    pub(super) fn requested(&mut self, at: &At<'_>, e: EscalationRequested) -> Result<(), String> {
        if e.steps.is_empty() || e.steps.len() != e.acts.len() {
            return Err("a request names each step with its act".into());
        }
        if e.zone == Zone::Inside {
            return Err("inside the boundary nobody needs to be asked".into());
        }
        self.acts(at);
        let request = RequestState {
            asked: e,
            asked_as: at.who.to_owned(),
            line_sha256: at.line_sha256.to_string(),
            ts: at.ts.to_owned(),
            statement: None,
            signoffs: Vec::new(),
            withdrawn: None,
            used: 0,
            fell: None,
            lone: None,
            unreached: None,
        };
        self.requests.insert(at.seq, request);
        Ok(())
    }

    pub(super) fn statement_issued(&mut self, e: StatementIssued) -> Result<(), String> {
        let seq = e.request;
        let request = self.request_mut(e.request)?;
        if request.statement.is_some() {
            return Err(format!("request {} has its statement", e.request));
        }
        let proven = request.asked.proven;
        let (name, person) = (request.asked_as.clone(), request.asked.requester.clone());
        let key = e.requester_key.clone();
        request.statement = Some(e);
        if let Some(key) = key.filter(|_| proven) {
            self.actors.insert(person.clone());
            let by = ProvenBy::Request(seq);
            self.proven.insert(name, Proven { person, key, by });
        }
        Ok(())
    }

    pub(super) fn responder_proven(&mut self, at: &At<'_>, e: ResponderProven) -> Result<(), String> {
        if !self.acted_as.contains(&e.name) {
            return Err(format!("nobody acted as `{}`", e.name));
        }
        if let Some(known) = self.proven_as(&e.name) {
            return Err(format!("`{}` is proved to be {}", e.name, known.person));
        }
        self.actors.insert(e.person.clone());
        let ts = at.ts.to_owned();
        let by = ProvenBy::Claim { file: e.file, ts };
        let (person, key) = (e.person, e.key);
        self.proven.insert(e.name, Proven { person, key, by });
        Ok(())
    }

    /// Whom a key that still counts proves to be behind a name.
    pub fn proven_as(&self, name: &str) -> Option<&Proven> {
        let proven = self.proven.get(name)?;
        self.taken_out(&proven.person, &proven.key.prints())
            .is_none()
            .then_some(proven)
    }

    /// Names under which somebody acted and whom no key proves.
    pub fn unproven(&self) -> impl Iterator<Item = &str> {
        let names = self.acted_as.iter().map(String::as_str);
        names.filter(|name| self.proven_as(name).is_none())
    }

    pub(super) fn withdrawn(&mut self, e: EscalationWithdrawn) -> Result<(), String> {
        self.request_mut(e.request)?.withdrawn = Some(e.why);
        Ok(())
    }

    pub(super) fn signoff_filed(&mut self, at: &At<'_>, e: SignoffFiled) -> Result<(), String> {
        // Whoever knows a reason may refuse, also someone who could not approve.
        if e.approves && self.actors.contains(&e.person) {
            return Err(format!(
                "`{}` acted in this incident and does not count",
                e.person
            ));
        }
        let seq = at.seq;
        // What one person did alone is countersigned afterwards, by a signature over the same text.
        let after = self.alone.values().any(|a| a.request == e.request);
        if e.approves && !after && self.enrolled.contains_key(&e.person) {
            return Err(format!(
                "`{}` was enrolled during the incident: to refuse and to countersign, not to approve",
                e.person
            ));
        }
        if let Some(out) = self.taken_out(&e.person, &e.key.prints()) {
            return Err(format!(
                "`{}` was taken out by record {}",
                out.revoked.subject, out.seq
            ));
        }
        let request = self.requests.get(&e.request);
        let request = request.ok_or_else(|| format!("there is no request {}", e.request))?;
        if !(request.is_open() || after) || request.statement.is_none() {
            return Err(format!("request {} takes no answers", e.request));
        }
        // A stolen key was taken out: its owner may still answer with another one.
        let same = |s: &SignoffState| {
            let mine = s.person == e.person || s.key.fingerprint == e.key.fingerprint;
            mine && (!s.approves || self.taken_out(&s.person, &s.key.prints()).is_none())
        };
        if e.approves && request.signoffs.iter().any(same) {
            return Err(format!("`{}` has answered request {}", e.person, e.request));
        }
        if e.approves {
            let alone = self.alone.values_mut().filter(|a| a.request == e.request);
            alone.for_each(|a| a.countersigned = Some((seq, e.person.clone())));
        }
        let request = self.request_mut(e.request)?;
        request.signoffs.push(SignoffState {
            seq,
            person: e.person,
            key: e.key,
            approves: e.approves,
            utc_ms: e.utc_ms,
            mono_us: e.mono_us,
        });
        Ok(())
    }

    pub(super) fn request_mut(&mut self, seq: u64) -> Result<&mut RequestState, String> {
        self.requests
            .get_mut(&seq)
            .ok_or_else(|| format!("there is no request {seq}"))
    }

    /// Who must sign this request, as its statement says: one person more for every name that nobody proved.
    pub fn need_of(&self, request: &RequestState) -> Need {
        let mut need = request.asked.need.clone();
        let unproven = u32::try_from(request.asked.unproven.len()).unwrap_or(u32::MAX);
        need.people = need
            .people
            .saturating_add(unproven.max(u32::from(!request.asked.proven)));
        need
    }
}
