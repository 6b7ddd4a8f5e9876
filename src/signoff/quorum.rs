//! People counted for one request, now.

use std::collections::BTreeSet;

use super::accept::Accepted;
use super::statement::Decision;

/// What the boundary asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Need {
    /// Different people who must approve.
    pub people: u32,
    /// Roles, each of which one of them must hold.
    pub roles: BTreeSet<String>,
}

/// How far a request has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// Who counts now, sorted.
    pub have: Vec<String>,
    /// How many people are needed.
    pub need: u32,
    /// How many more are needed.
    pub missing: u32,
    /// Roles that nobody among them holds.
    pub missing_roles: Vec<String>,
    /// Whose approval has run out.
    pub expired: Vec<String>,
    /// Who refused; one is enough to end the request.
    pub refused_by: Option<String>,
}

impl Count {
    /// True where the act may run. Nobody is never enough, whatever was asked for.
    pub fn met(&self) -> bool {
        !self.have.is_empty()
            && self.missing == 0
            && self.missing_roles.is_empty()
            && self.refused_by.is_none()
    }
}

/// Counts the people who approve one request at this moment.
///
/// Who has acted since they signed no longer counts: they have become part of the response.
pub fn quorum(
    accepted: &[Accepted],
    request_seq: u64,
    need: &Need,
    acted: &BTreeSet<String>,
    now_ms: i64,
) -> Count {
    let answers = || accepted.iter().filter(|a| a.request_seq == request_seq);
    let approvals = || answers().filter(|a| a.decision == Decision::Approve);
    let counted: Vec<&Accepted> = approvals()
        .filter(|a| a.expires_ms >= now_ms && !acted.iter().any(|who| who.eq_ignore_ascii_case(&a.person)))
        .collect();
    let people: BTreeSet<String> = counted.iter().map(|a| a.person.to_ascii_lowercase()).collect();
    let have = u32::try_from(people.len()).unwrap_or(u32::MAX);
    let held = |role: &&String| counted.iter().any(|a| a.roles.contains(*role));
    Count {
        have: people.into_iter().collect(),
        need: need.people,
        missing: need.people.saturating_sub(have),
        missing_roles: need.roles.iter().filter(|role| !held(role)).cloned().collect(),
        expired: approvals()
            .filter(|a| a.expires_ms < now_ms)
            .map(|a| a.person.clone())
            .collect(),
        refused_by: answers()
            .find(|a| a.decision == Decision::Refuse)
            .map(|a| a.person.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sshsig::VerifiedKey;

    fn answer(person: &str, role: &str, decision: Decision, expires_ms: i64) -> Accepted {
        Accepted {
            person: person.into(),
            roles: [role.to_owned()].into(),
            key: VerifiedKey {
                fingerprint: format!("SHA256:{person}"),
                algorithm: "ssh-ed25519".into(),
                user_presence: None,
                user_verified: None,
                counter: None,
            },
            decision,
            request_seq: 41,
            nonce: "n".into(),
            filed_ms: 0,
            expires_ms,
        }
    }

    #[test]
    fn people_are_counted_once_now_and_only_while_they_stand_apart() {
        let need = Need {
            people: 2,
            roles: ["data-owner".to_owned()].into(),
        };
        let nobody = BTreeSet::new();
        let ben = answer("ben@example.com", "on-call", Decision::Approve, 100);
        let again = answer("Ben@example.com", "on-call", Decision::Approve, 100);
        let kim = answer("kim@vendor.example", "data-owner", Decision::Approve, 50);
        let no = answer("ana@example.com", "", Decision::Refuse, 100);
        let count = |all: &[&Accepted], acted: &BTreeSet<String>, now| {
            let all: Vec<Accepted> = all.iter().map(|a| (*a).clone()).collect();
            quorum(&all, 41, &need, acted, now)
        };

        assert!(!count(&[], &nobody, 0).met());
        let twice = count(&[&ben, &again], &nobody, 0);
        assert_eq!((twice.missing, twice.missing_roles.len()), (1, 1));
        assert!(count(&[&ben, &kim], &nobody, 50).met());
        let late = count(&[&ben, &kim], &nobody, 51);
        assert_eq!(late.expired, ["kim@vendor.example"]);
        assert!(!late.met());
        assert!(!count(&[&ben, &kim], &["BEN@example.com".to_owned()].into(), 0).met());
        let refused = count(&[&ben, &kim, &no], &nobody, 0);
        assert_eq!(refused.refused_by.as_deref(), Some("ana@example.com"));
        assert!(!refused.met());
        let other = quorum(&[ben, kim], 42, &need, &nobody, 0);
        assert!(other.have.is_empty() && !other.met());
    }

    #[test]
    fn nobody_is_never_enough() {
        assert!(!quorum(&[], 41, &Need::default(), &BTreeSet::new(), 0).met());
    }
}
