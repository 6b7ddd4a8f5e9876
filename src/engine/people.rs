//! Who stops counting while the incident runs, and who signs in another's role.

use std::collections::BTreeSet;

use super::answers::{answer_file, on_record};
use super::{Engine, EngineError};
use crate::journal::Hash;
use crate::model::event::{DelegationFiled, SignerRevoked, SignoffRejected};
use crate::model::incident::{Incident, Lent};
use crate::signoff::{Delegation, DelegationContext, accept_delegation, delegation_namespace};
use crate::sshsig::{Signature, VerifiedKey};

/// What became of taking a key or a person out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenOut {
    /// Its record.
    pub record: u64,
    /// Approvals that fell before any act used them: the request and the person.
    pub fell: Vec<(u64, String)>,
    /// Approvals that an act had used: the act and the person.
    pub doubtful: Vec<(u64, String)>,
    /// Who of the roster could still sign.
    pub left: Vec<String>,
}

/// Letters after `SHA256:` in a fingerprint.
const FINGERPRINT: usize = 43;

impl Engine<'_> {
    /// Takes a key (`SHA256:…`) or a person out for the rest of the incident. Anybody may: it only narrows.
    pub fn revoke(&self, subject: &str, why: &str) -> Result<TakenOut, EngineError> {
        if why.trim().is_empty() {
            return Err(EngineError::NoWords("taking a signer out"));
        }
        self.catch_up()?;
        let before = self.incident()?;
        let keys = self.keys_meant(&before, subject)?;
        if let Some(out) = before.revocations.iter().find(|r| r.revoked.subject == subject) {
            return Err(EngineError::OutOfOrder(format!(
                "`{subject}` was taken out by record {} already",
                out.seq
            )));
        }
        let record = self.record(SignerRevoked {
            subject: subject.to_owned(),
            keys: keys.into_iter().collect(),
            why: self.words(why)?,
        })?;
        let now = self.incident()?;
        let mut fell = Vec::new();
        for (seq, request) in before.requests.iter().filter(|(_, r)| r.used == 0) {
            let stays: BTreeSet<u64> = now.approvals_of(request).map(|s| s.seq).collect();
            let lost = before.approvals_of(request).filter(|s| !stays.contains(&s.seq));
            fell.extend(lost.map(|s| (*seq, s.person.clone())));
        }
        let doubtful = now.doubtful().filter(|(_, _, out)| out.seq == record);
        Ok(TakenOut {
            record,
            fell,
            doubtful: doubtful.map(|(act, s, _)| (act, s.person.clone())).collect(),
            left: self.could_sign(&now),
        })
    }

    /// Files a role that its holder lent. What does not count is recorded with its reason, and refused.
    pub fn add_delegation(&self, text: &str, signature: &str) -> Result<Delegation, EngineError> {
        self.catch_up()?;
        let incident = self.incident()?;
        let namespace = delegation_namespace(incident.opened.drill);
        let now = self.world.clock.now();
        let revoked = self.revocations()?;
        let filed: BTreeSet<String> = incident.lent.iter().map(|l| l.filed.nonce.clone()).collect();
        let accepted = accept_delegation(
            text.as_bytes(),
            signature.as_bytes(),
            &DelegationContext {
                incident: incident.id(),
                roster: &self.roster(),
                policy: &incident.opened.policy,
                revoked: &|key| revoked.has_key(key) || self.is_out(&incident, key, namespace, now.utc_ms),
                acted: &incident.actors,
                filed: &filed,
                now_ms: now.utc_ms,
            },
        );
        let (lent, key) = match accepted {
            Ok(accepted) => accepted,
            Err(why) => {
                self.record(SignoffRejected {
                    request: None,
                    reason: why.name().to_owned(),
                    text: self.scrubbed(&why.to_string()),
                })?;
                return Err(why.into());
            }
        };
        let (head_seq, _) = self.head().ok_or(EngineError::NoIncident)?;
        let print = Hash::of(text.as_bytes()).to_string();
        let file = format!("{head_seq:08}.{}.delegation", print.get(..8).unwrap_or_default());
        self.keep_signed(&file, text.as_bytes(), signature.as_bytes())?;
        self.record(DelegationFiled {
            role: lent.role.clone(),
            from: lent.from.clone(),
            to: lent.to.clone(),
            from_ms: lent.from_ms,
            until_ms: lent.until_ms,
            nonce: lent.nonce.clone(),
            key: on_record(&key),
            file,
            mono_us: now.mono_us,
            utc_ms: now.utc_ms,
        })?;
        Ok(lent)
    }

    /// Reads again, from its signature, that a role was lent. One that fell lends nothing and proves nothing.
    pub(super) fn prove_lent(&self, incident: &Incident, lent: &Lent) -> Result<(), EngineError> {
        if incident.lent_fell(lent).is_some() {
            return Ok(());
        }
        let filed = &lent.filed;
        let no = |why: String| {
            Err(EngineError::NotSigned(format!(
                "record {} says that {} lent the role {} to {}, and signoffs/{}.sig does not: {why}",
                lent.seq, filed.from, filed.role, filed.to, filed.file
            )))
        };
        let text = match self.signoff_bytes(&filed.file) {
            Ok(text) => text,
            Err(e) => return no(e.to_string()),
        };
        let said = Delegation::parse(&String::from_utf8_lossy(&text));
        let drill = incident.opened.drill;
        let same = said.is_some_and(|said| {
            said.drill == drill
                && said.incident.as_ref().is_none_or(|id| id == incident.id())
                && (said.role.as_str(), said.from.as_str(), said.to.as_str())
                    == (filed.role.as_str(), filed.from.as_str(), filed.to.as_str())
                && (said.from_ms, said.until_ms, &said.nonce) == (filed.from_ms, filed.until_ms, &filed.nonce)
        });
        if !same {
            return no("it says something else".into());
        }
        let signature = self.signoff_bytes(&format!("{}.sig", filed.file));
        let namespace = delegation_namespace(drill);
        let signed = signature.and_then(|sig| self.signed_by(&sig, &text, namespace, filed.utc_ms));
        let policy = &incident.opened.policy;
        match signed {
            Ok((who, key))
                if policy.human(&who) == policy.human(&filed.from) && on_record(&key) == filed.key =>
            {
                Ok(())
            }
            Ok((who, _)) => no(format!("it is {who}'s")),
            Err(e) => no(e.to_string()),
        }
    }

    /// The keys that this takes out, as far as they are known here: those of a person, a key itself, and what an
    /// authority vouched for so far.
    fn keys_meant(&self, incident: &Incident, subject: &str) -> Result<BTreeSet<String>, EngineError> {
        let policy = &incident.opened.policy;
        let roster = self.roster();
        let signoffs = || incident.requests.values().flat_map(|r| &r.signoffs);
        let Some(print) = subject.strip_prefix("SHA256:") else {
            let human = policy.human(subject);
            let same = |name: &String| policy.human(name) == human;
            let lines = roster
                .entries()
                .iter()
                .filter(|e| !e.authority && e.principals.iter().any(same));
            let keys: BTreeSet<String> = lines.map(|e| e.fingerprint.clone()).collect();
            if keys.is_empty() && policy.person(subject).is_none() && !signoffs().any(|s| same(&s.person)) {
                return Err(EngineError::Escalation(format!(
                    "nobody is called `{subject}` in the roster or under `people:`; a key is named by its \
                     fingerprint, SHA256:…, as `ssh-keygen -l` prints it"
                )));
            }
            return Ok(keys);
        };
        let base64 = |b: u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
        if print.len() != FINGERPRINT || !print.bytes().all(base64) {
            return Err(EngineError::Escalation(format!(
                "`{subject}` is no fingerprint: `ssh-keygen -l -f KEY.pub` prints it, SHA256: and 43 letters"
            )));
        }
        let mut keys = BTreeSet::from([subject.to_owned()]);
        for (seq, request) in &incident.requests {
            for signoff in &request.signoffs {
                let file = format!(
                    "{}.sig",
                    answer_file(*seq, &signoff.key.fingerprint, signoff.approves)
                );
                let signature = self.signoff_bytes(&file).ok();
                let signature = signature.and_then(|bytes| Signature::parse(&bytes).ok());
                if signature.is_some_and(|s| s.authority() == Some(subject)) {
                    keys.insert(signoff.key.fingerprint.clone());
                }
            }
        }
        Ok(keys)
    }

    /// True where this key no longer counts: by the list pinned at the start, or taken out since.
    pub(super) fn is_revoked(
        &self,
        key: &VerifiedKey,
        namespace: &str,
        at_ms: i64,
    ) -> Result<bool, EngineError> {
        if self.revocations()?.has_key(key) {
            return Ok(true);
        }
        let incident = self.incident()?;
        Ok(self.is_out(&incident, key, namespace, at_ms))
    }

    /// True where this key, its person, or the authority behind it was taken out during the incident.
    pub(super) fn is_out(&self, incident: &Incident, key: &VerifiedKey, namespace: &str, at_ms: i64) -> bool {
        if incident.revocations.is_empty() {
            return false;
        }
        let person = self
            .roster()
            .who_signed(key, namespace, at_ms)
            .unwrap_or_default();
        let authority = key.certificate.as_ref().map(|c| c.authority.as_str());
        incident.taken_out(&person, &key.fingerprint).is_some()
            || authority.is_some_and(|authority| incident.taken_out("", authority).is_some())
    }

    /// Everybody of the roster who took no part and was not taken out.
    pub fn could_sign(&self, incident: &Incident) -> Vec<String> {
        let policy = &incident.opened.policy;
        let acted: BTreeSet<String> = incident.actors.iter().map(|who| policy.human(who)).collect();
        let roster = self.roster();
        let own = roster.entries().iter().filter(|e| !e.wildcard && !e.authority);
        let free = own.filter_map(|e| {
            let name = e.principals.first()?;
            let counts = incident.taken_out(name, &e.fingerprint).is_none();
            (counts && !acted.contains(&policy.human(name))).then(|| name.clone())
        });
        free.collect::<BTreeSet<String>>().into_iter().collect()
    }
}
