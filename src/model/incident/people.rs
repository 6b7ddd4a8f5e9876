//! Who stops counting during the incident.

use super::{At, Incident, RequestState, SignoffState};
use crate::model::event::SignerRevoked;

/// A key or a person that no longer counts in this incident.
#[derive(Debug, Clone, PartialEq)]
pub struct Revocation {
    /// Its record.
    pub seq: u64,
    /// When, RFC 3339.
    pub ts: String,
    /// Who took it out.
    pub by: String,
    /// As it was recorded.
    pub revoked: SignerRevoked,
}

impl Incident {
    pub(super) fn signer_revoked(&mut self, at: &At<'_>, e: SignerRevoked) -> Result<(), String> {
        if e.subject.is_empty() {
            return Err("it names neither a key nor a person".into());
        }
        self.acts(at);
        self.revocations.push(Revocation {
            seq: at.seq,
            ts: at.ts.to_owned(),
            by: at.who.to_owned(),
            revoked: e,
        });
        Ok(())
    }

    /// What took this person, or this key of theirs (`SHA256:…`), out; `None` where both count.
    ///
    /// It only ever narrows: nothing in the incident brings them back.
    pub fn taken_out(&self, person: &str, fingerprint: &str) -> Option<&Revocation> {
        let policy = &self.opened.policy;
        let human = (!self.revocations.is_empty()).then(|| policy.human(person))?;
        self.revocations.iter().find(|r| {
            r.revoked.keys.iter().any(|key| key == fingerprint)
                || r.revoked.subject == fingerprint
                || policy.human(&r.revoked.subject) == human
        })
    }

    /// Approvals of a request whose person and key were not taken out since.
    pub fn approvals_of<'a>(&'a self, request: &'a RequestState) -> impl Iterator<Item = &'a SignoffState> {
        let all = request.signoffs.iter().filter(|s| s.approves);
        all.filter(|s| self.taken_out(&s.person, &s.key.fingerprint).is_none())
    }

    /// Approvals that an act used up and that were taken out afterwards: nobody knows who gave them.
    pub fn doubtful(&self) -> impl Iterator<Item = (u64, &SignoffState, &Revocation)> {
        let used = self.acts.iter().filter(|(_, act)| !act.consumes.is_empty());
        used.flat_map(move |(act, state)| {
            let requests = state.consumes.iter().filter_map(|seq| self.requests.get(seq));
            let approvals = requests.flat_map(|r| r.signoffs.iter().filter(|s| s.approves));
            approvals.filter_map(move |s| Some((*act, s, self.taken_out(&s.person, &s.key.fingerprint)?)))
        })
    }

    /// True where the requester's own key signed the request, and still counts.
    pub fn asks_proven(&self, request: &RequestState) -> bool {
        let key = request.statement.as_ref().and_then(|s| s.requester_key.as_ref());
        let fingerprint = key.map_or("", |key| key.fingerprint.as_str());
        request.asked.proven && self.taken_out(&request.asked.requester, fingerprint).is_none()
    }
}
