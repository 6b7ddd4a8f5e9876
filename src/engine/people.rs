//! Who stops counting while the incident runs, and who signs in another's role.

use std::collections::BTreeSet;

use super::answers::on_record;
use super::{Engine, EngineError};
use crate::journal::Hash;
use crate::model::event::{DelegationFiled, SignerRevoked, SignoffRejected};
use crate::model::incident::{Incident, Lent};
use crate::signoff::{Delegation, DelegationContext, NotDelegated, accept_delegation, delegation_namespace};
use crate::sshsig::{Entry, Roster, VerifiedKey, fingerprint_of};

/// What became of taking a key or a person out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenOut {
    /// Its record.
    pub record: u64,
    /// Approvals that fell before any act used them: the request and the person.
    pub fell: Vec<(u64, String)>,
    /// Approvals that an act had used: the act and the person.
    pub doubtful: Vec<(u64, String)>,
    /// What it was.
    pub meant: Meant,
    /// Who of the roster could still sign.
    pub left: Vec<String>,
    /// Roles that the boundary asks for and none of them has.
    pub lacking: Vec<String>,
    /// Authorities that may vouch for somebody else: fingerprint and names.
    pub authorities: Vec<String>,
}

/// What of the roster was taken out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meant {
    /// Somebody who has a key there, or is named in the runbook.
    Person,
    /// Nobody who is named anywhere; but an authority may vouch for such a name.
    Vouched,
    /// A key, and whose it is there; of nobody where only a certificate says whose.
    Key {
        /// Names, as written.
        of: Vec<String>,
    },
    /// An authority, and for which names it may vouch.
    Authority {
        /// Names and patterns, as written.
        of: Vec<String>,
    },
    /// A key that is not there and has signed nothing here.
    Nothing {
        /// The keys that are: fingerprint and names.
        there: Vec<String>,
    },
}

/// A line of the roster, by its key and its names.
fn named(entry: &Entry) -> String {
    format!("{} ({})", entry.fingerprint, entry.principals.join(", "))
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
        let (keys, meant) = self.keys_meant(&before, subject)?;
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
        let (left, authorities) = self.could_sign(&now);
        Ok(TakenOut {
            record,
            fell,
            doubtful: doubtful.map(|(act, s, _)| (act, s.person.clone())).collect(),
            meant,
            lacking: Engine::lacking(&now, &left),
            left,
            authorities,
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

    /// The keys that this takes out, as far as they are known here, and what it is: those of a person, a key itself,
    /// and what an authority vouched for so far.
    fn keys_meant(
        &self,
        incident: &Incident,
        subject: &str,
    ) -> Result<(BTreeSet<String>, Meant), EngineError> {
        let no = EngineError::Escalation;
        let roster = self.roster();
        let Some(print) = subject.strip_prefix("SHA256:") else {
            return self.keys_of_person(incident, &roster, subject);
        };
        let base64 = |b: u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
        if print.len() != FINGERPRINT || !print.bytes().all(base64) {
            return Err(no(format!(
                "`{subject}` is no fingerprint: `ssh-keygen -l -f KEY.pub` prints it, SHA256: and 43 letters"
            )));
        }
        let vouched = incident
            .signer_keys()
            .filter(|k| k.authority.as_deref() == Some(subject));
        let mut keys: BTreeSet<String> = vouched.map(|k| k.fingerprint.clone()).collect();
        let lines = || roster.entries().iter().filter(|e| e.fingerprint == subject);
        let names = |authority: bool| -> Vec<String> {
            let lines = lines().filter(|e| e.authority == authority);
            lines.flat_map(|e| e.principals.clone()).collect()
        };
        let meant = match (names(true), names(false)) {
            (of, _) if !of.is_empty() => Meant::Authority { of },
            (_, of) if !of.is_empty() => Meant::Key { of },
            _ if incident.signer_keys().any(|k| k.prints().contains(&subject)) => {
                Meant::Key { of: Vec::new() }
            }
            _ => Meant::Nothing {
                there: roster.entries().iter().map(named).collect(),
            },
        };
        keys.insert(subject.to_owned());
        Ok((keys, meant))
    }

    fn keys_of_person(
        &self,
        incident: &Incident,
        roster: &Roster,
        subject: &str,
    ) -> Result<(BTreeSet<String>, Meant), EngineError> {
        let policy = &incident.opened.policy;
        let human = policy.human(subject);
        let same = |name: &String| policy.human(name) == human;
        let own = || roster.entries().iter().filter(|e| !e.authority);
        let lines = own().filter(|e| e.principals.iter().any(same));
        let signoffs = incident.requests.values().flat_map(|r| &r.signoffs);
        let signed = signoffs.filter(|s| same(&s.person)).map(|s| &s.key.fingerprint);
        let keys: BTreeSet<String> = lines.map(|e| &e.fingerprint).chain(signed).cloned().collect();
        if !keys.is_empty() || policy.person(subject).is_some() {
            return Ok((keys, Meant::Person));
        }
        if roster.entries().iter().any(|e| e.vouches_for(subject)) {
            return Ok((keys, Meant::Vouched));
        }
        Err(EngineError::NobodyCalled {
            name: subject.to_owned(),
            known: self.names(),
        })
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
        incident.taken_out(&person, &on_record(key).prints()).is_some()
    }

    /// Every name of the roster and of the runbook's people.
    pub fn names(&self) -> Vec<String> {
        let roster = self.roster();
        let own = roster.entries().iter().filter(|e| !e.authority && !e.wildcard);
        let mut names: BTreeSet<String> = own.flat_map(|e| e.principals.clone()).collect();
        names.extend(
            self.incident()
                .iter()
                .flat_map(|i| i.opened.policy.people.keys().cloned()),
        );
        names.into_iter().collect()
    }

    /// True where the runbook names people: else nothing is known of roles.
    pub fn has_people(&self) -> bool {
        self.incident().is_ok_and(|i| !i.opened.policy.people.is_empty())
    }

    /// The name that somebody goes by from now on, in this run.
    pub fn goes_by(&self, name: &str) {
        self.recorder.borrow_mut().who = name.to_owned();
    }

    /// Whose public key this is by the roster; `None` where it is nobody's, or no plain key.
    pub fn whose(&self, public: &str) -> Option<String> {
        let print = fingerprint_of(public)?;
        let now = self.world.clock.now().utc_ms;
        let who = self
            .roster()
            .who(&print, delegation_namespace(false), now)
            .map(str::to_owned);
        who.ok()
    }

    /// Says what speaks against lending a role like this, as far as the files here know.
    pub fn may_lend(&self, lent: &Delegation) -> Result<(), NotDelegated> {
        match self.incident() {
            Ok(incident) => lent.fault(&self.roster(), &incident.opened.policy),
            Err(_) => Ok(()),
        }
    }

    /// Who may lend this role, by the runbook.
    pub fn givers(&self, role: &str) -> Vec<String> {
        let incident = self.incident();
        let people = incident
            .iter()
            .flat_map(|i| i.opened.policy.people.keys().cloned());
        let gives = |name: &String| self.incident().is_ok_and(|i| i.opened.policy.gives(name, role));
        people.filter(gives).collect()
    }

    /// Whose signature under a lent role it is, by the roster here.
    pub fn lends_by(&self, lent: &Delegation, signature: &[u8]) -> Result<(), EngineError> {
        let now = self.world.clock.now().utc_ms;
        let text = lent.render();
        let namespace = delegation_namespace(lent.drill);
        let (signer, _) = self.signed_by(signature, text.as_bytes(), namespace, now)?;
        let policy = &self.incident()?.opened.policy;
        if policy.human(&signer) != policy.human(&lent.from) {
            let from = lent.from.clone();
            return Err(NotDelegated::AnotherSigner { signer, from }.into());
        }
        Ok(())
    }

    /// Roles that the boundary asks for and nobody of these has, by the runbook or lent.
    fn lacking(incident: &Incident, left: &[String]) -> Vec<String> {
        let policy = &incident.opened.policy;
        let has = |name: &String, role: &String| {
            let lent = incident
                .lent
                .iter()
                .any(|l| l.filed.role == *role && policy.human(&l.filed.to) == policy.human(name));
            lent || policy.person(name).is_some_and(|p| p.roles.contains(role))
        };
        let asked: BTreeSet<&String> = policy.need_at.roles.union(&policy.need_outside.roles).collect();
        let none = asked
            .into_iter()
            .filter(|role| !left.iter().any(|name| has(name, role)));
        none.cloned().collect()
    }

    /// Everybody of the roster who took no part and was not taken out, and the authorities that may vouch for more.
    pub fn could_sign(&self, incident: &Incident) -> (Vec<String>, Vec<String>) {
        let policy = &incident.opened.policy;
        let acted: BTreeSet<String> = incident.actors.iter().map(|who| policy.human(who)).collect();
        let roster = self.roster();
        let counts = |e: &Entry, name: &str| {
            !acted.contains(&policy.human(name)) && incident.taken_out(name, &[&e.fingerprint]).is_none()
        };
        let mut free = BTreeSet::new();
        let mut authorities = Vec::new();
        for entry in roster.entries() {
            let vouched = policy.people.keys().filter(|name| entry.vouches_for(name));
            let own = entry
                .principals
                .first()
                .filter(|_| !entry.wildcard && !entry.authority);
            free.extend(
                own.into_iter()
                    .chain(vouched)
                    .filter(|name| counts(entry, name))
                    .cloned(),
            );
            if entry.authority && incident.taken_out("", &[&entry.fingerprint]).is_none() {
                authorities.push(named(entry));
            }
        }
        (free.into_iter().collect(), authorities)
    }
}
