//! Who stops counting during the incident, and who signs in another's role.

use std::collections::BTreeSet;

use super::{At, Incident, RequestState, SignoffState};
use crate::model::event::{DelegationFiled, SignerKey, SignerRevoked};
use crate::model::time::rfc3339;

/// A role that its holder lent.
#[derive(Debug, Clone, PartialEq)]
pub struct Lent {
    /// Its record.
    pub seq: u64,
    /// As it was recorded.
    pub filed: DelegationFiled,
}

impl Lent {
    /// True where the role was on loan when this was signed, by the clock that says it is later.
    fn covers(&self, signoff: &SignoffState) -> bool {
        let since = signoff.mono_us.saturating_sub(self.filed.mono_us) / 1000;
        let since = i64::try_from(since).unwrap_or(i64::MAX);
        let at_most = signoff.utc_ms.max(self.filed.utc_ms.saturating_add(since));
        self.seq < signoff.seq && self.filed.from_ms <= signoff.utc_ms && at_most < self.filed.until_ms
    }
}

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

    pub(super) fn delegation_filed(&mut self, at: &At<'_>, e: DelegationFiled) -> Result<(), String> {
        let policy = &self.opened.policy;
        let giver = policy.human(&e.from);
        if giver == policy.human(&e.to) {
            return Err(format!("`{}` and `{}` are one person", e.from, e.to));
        }
        if self.actors.iter().any(|who| policy.human(who) == giver) {
            return Err(format!("`{}` acted in this incident and lends nothing", e.from));
        }
        if self.lent.iter().any(|l| l.filed.nonce == e.nonce) {
            return Err("this was filed before".into());
        }
        self.lent.push(Lent {
            seq: at.seq,
            filed: e,
        });
        Ok(())
    }

    /// Why a lent role no longer counts; `None` where it does, as far as its time goes.
    pub fn lent_fell(&self, lent: &Lent) -> Option<&'static str> {
        let (policy, filed) = (&self.opened.policy, &lent.filed);
        let giver = policy.human(&filed.from);
        // One who gives must hold it by the runbook: a lent role is not lent on.
        if !policy.gives(&filed.from, &filed.role) {
            return Some("the giver does not hold it");
        }
        if self.actors.iter().any(|who| policy.human(who) == giver) {
            return Some("the giver acted since");
        }
        let out = self.taken_out(&filed.from, &filed.key.prints());
        out.is_some().then_some("the giver was taken out")
    }

    /// Whether this answer was given in a role: the runbook says so, or it was lent, by somebody who is not among
    /// the approvers: nobody signs in the place of one who is there.
    pub fn signs_as(&self, signoff: &SignoffState, role: &str, approvers: &[&str]) -> bool {
        let policy = &self.opened.policy;
        if policy
            .person(&signoff.person)
            .is_some_and(|p| p.roles.contains(role))
        {
            return true;
        }
        let human = policy.human(&signoff.person);
        self.lent.iter().any(|lent| {
            let filed = &lent.filed;
            let giver = policy.human(&filed.from);
            filed.role == role
                && policy.human(&filed.to) == human
                && !approvers.contains(&giver.as_str())
                && lent.covers(signoff)
                && self.lent_fell(lent).is_none()
        })
    }

    /// Roles of these that were lent before this record, as its statement shows them: role, giver, holder, until when.
    pub fn lent_before(&self, seq: u64, roles: &BTreeSet<String>) -> Vec<[String; 4]> {
        let lent = self
            .lent
            .iter()
            .filter(|l| l.seq < seq && roles.contains(&l.filed.role));
        lent.map(|l| {
            let DelegationFiled { role, from, to, .. } = &l.filed;
            [role.clone(), from.clone(), to.clone(), rfc3339(l.filed.until_ms)]
        })
        .collect()
    }

    /// What took this person out, or what they sign with: [`SignerKey::prints`]. `None` where all of it counts.
    ///
    /// It only ever narrows: nothing in the incident brings them back.
    pub fn taken_out(&self, person: &str, prints: &[&str]) -> Option<&Revocation> {
        let policy = &self.opened.policy;
        let human = (!self.revocations.is_empty()).then(|| policy.human(person))?;
        self.revocations.iter().find(|r| {
            r.revoked.keys.iter().any(|key| prints.contains(&key.as_str()))
                || prints.contains(&r.revoked.subject.as_str())
                || policy.human(&r.revoked.subject) == human
        })
    }

    /// Every key that signed something on record.
    pub fn signer_keys(&self) -> impl Iterator<Item = &SignerKey> {
        let asked = self
            .requests
            .values()
            .filter_map(|r| r.statement.as_ref()?.requester_key.as_ref());
        let answered = self.requests.values().flat_map(|r| &r.signoffs).map(|s| &s.key);
        let lent = self.lent.iter().map(|l| &l.filed.key);
        asked
            .chain(answered)
            .chain(lent)
            .chain(self.proven.values().map(|p| &p.key))
    }

    /// Approvals of a request whose person and key were not taken out since.
    pub fn approvals_of<'a>(&'a self, request: &'a RequestState) -> impl Iterator<Item = &'a SignoffState> {
        let all = request.signoffs.iter().filter(|s| s.approves);
        all.filter(|s| self.taken_out(&s.person, &s.key.prints()).is_none())
    }

    /// Approvals that an act used up and that were taken out afterwards: nobody knows who gave them.
    pub fn doubtful(&self) -> impl Iterator<Item = (u64, &SignoffState, &Revocation)> {
        let used = self.acts.iter().filter(|(_, act)| !act.consumes.is_empty());
        used.flat_map(move |(act, state)| {
            let requests = state.consumes.iter().filter_map(|seq| self.requests.get(seq));
            let approvals = requests.flat_map(|r| r.signoffs.iter().filter(|s| s.approves));
            approvals.filter_map(move |s| Some((*act, s, self.taken_out(&s.person, &s.key.prints())?)))
        })
    }

    /// True where the requester's own key signed the request, and still counts.
    pub fn asks_proven(&self, request: &RequestState) -> bool {
        let key = request.statement.as_ref().and_then(|s| s.requester_key.as_ref());
        let prints = key.map(SignerKey::prints).unwrap_or_default();
        request.asked.proven && self.taken_out(&request.asked.requester, &prints).is_none()
    }
}
