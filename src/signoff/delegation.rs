//! "Until then this person may sign in my role": what a holder of a role signs, and whether it counts.

use std::collections::BTreeSet;

use super::text::{values, word};
use crate::model::ids::IncidentId;
use crate::model::runbook::Policy;
use crate::model::time;
use crate::sshsig::{Entry, NotCounted, Roster, SigError, Signature, VerifiedKey, verify};

const FORMAT: &str = "incident-delegation v1";
/// Said in the text, so that whoever signs it reads it.
const MEANS: &str = "the second may sign in the role of the first until then, and may pass it on to nobody";
/// Longest time for which a role is lent, in milliseconds.
const LONGEST_MS: i64 = 31 * 24 * 3_600_000;

/// A role, lent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegation {
    /// The only incident in which it counts; `None` = any real one.
    pub incident: Option<IncidentId>,
    /// True where it counts in drills only.
    pub drill: bool,
    /// The role.
    pub role: String,
    /// Who gives it, as in the roster.
    pub from: String,
    /// Who gets it, as in the roster.
    pub to: String,
    /// From when, ms since the epoch.
    pub from_ms: i64,
    /// Until when, ms since the epoch.
    pub until_ms: i64,
    /// 128 random bits in hex.
    pub nonce: String,
}

/// SSHSIG namespace of lent roles; a drill's counts for nothing real.
pub fn delegation_namespace(drill: bool) -> &'static str {
    if drill {
        "delegation-drill@incident-v1"
    } else {
        "delegation@incident-v1"
    }
}

impl Delegation {
    /// The bytes to sign.
    pub fn render(&self) -> String {
        let incident = self.incident.as_ref().map_or("any", IncidentId::as_str);
        format!(
            "{FORMAT}\nincident: {incident}\ndrill: {}\nrole: {}\nfrom: {}\nto: {}\nvalid-from: {}\nvalid-until: {}\n\
             nonce: {}\nmeans: {MEANS}\n",
            super::statement::yes_no(self.drill),
            word(&self.role),
            word(&self.from),
            word(&self.to),
            time::rfc3339(self.from_ms),
            time::rfc3339(self.until_ms),
            word(&self.nonce)
        )
    }

    /// Reads exactly what [`Delegation::render`] writes; `None` for any other text.
    pub fn parse(text: &str) -> Option<Delegation> {
        let mut lines = text.strip_prefix(FORMAT)?.strip_prefix('\n')?.lines();
        let mut value = |key: &str| lines.next()?.strip_prefix(key)?.strip_prefix(": ");
        let one = |v: &str| {
            let [value]: [String; 1] = values(v, " ")?.try_into().ok()?;
            Some(value)
        };
        let read = Delegation {
            incident: match value("incident")? {
                "any" => None,
                id => Some(IncidentId::new(id).ok()?),
            },
            drill: value("drill")? == "yes",
            role: one(value("role")?)?,
            from: one(value("from")?)?,
            to: one(value("to")?)?,
            from_ms: time::parse_rfc3339(value("valid-from")?)?,
            until_ms: time::parse_rfc3339(value("valid-until")?)?,
            nonce: one(value("nonce")?)?,
        };
        let hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        let once = read.nonce.len() == 32 && read.nonce.bytes().all(hex);
        (once && read.render() == text).then_some(read)
    }
}

impl Delegation {
    /// Why it lends nothing by this runbook and this roster, whoever signs it and whenever.
    pub fn fault(&self, roster: &Roster, policy: &Policy) -> Result<(), NotDelegated> {
        let human = |name: &str| policy.human(name);
        let (from, to) = (self.from.clone(), self.to.clone());
        if !policy.gives(&from, &self.role) {
            let role = self.role.clone();
            return Err(NotDelegated::NotTheirs { from, role });
        }
        if human(&from) == human(&to) {
            return Err(NotDelegated::Oneself { from, to });
        }
        let named =
            |e: &Entry| e.vouches_for(&to) || e.principals.iter().any(|name| human(name) == human(&to));
        if policy.person(&to).is_none() && !roster.entries().iter().any(named) {
            return Err(NotDelegated::NotRostered { to });
        }
        if self.until_ms.saturating_sub(self.from_ms) > LONGEST_MS {
            return Err(NotDelegated::Time(
                "it is for more than 31 days: who holds a role for longer is written into the runbook",
            ));
        }
        Ok(())
    }
}

/// Why a lent role does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotDelegated {
    /// No signature, or one that proves nothing.
    #[error("it is not signed: {0}")]
    Unsigned(SigError),
    /// Made for another purpose, such as an approval, or for drills.
    #[error("the signature was made for `{found}`, not for `{wanted}`")]
    Namespace {
        /// Namespace in the signature.
        found: String,
        /// Namespace that counts here.
        wanted: &'static str,
    },
    /// A good signature of another text, or this one changed afterwards.
    #[error("the signature does not fit the text: it was changed, or another text was signed")]
    BadSignature,
    /// Signed, but it lends no role.
    #[error("what was signed lends no role as this tool writes it")]
    NotADelegation,
    /// For another incident, or for drills.
    #[error("it is for {theirs}, and this is {ours}")]
    OtherIncident {
        /// Where it counts.
        theirs: String,
        /// The open incident.
        ours: String,
    },
    /// The key no longer counts.
    #[error("the key {fingerprint}, or what vouches for it, is revoked")]
    Revoked {
        /// `SHA256:…` of the key.
        fingerprint: String,
    },
    /// The key is nobody's.
    #[error("{0}")]
    NotCounted(NotCounted),
    /// Somebody else signed it than who gives.
    #[error("{signer} signed what {from} was to give")]
    AnotherSigner {
        /// Who signed.
        signer: String,
        /// Who gives, by the text.
        from: String,
    },
    /// Nobody gives what they do not have: a lent role is not lent on.
    #[error(
        "the runbook names {from} neither as `{role}` nor as somebody who gives that role; a lent role is not lent on"
    )]
    NotTheirs {
        /// Who gives.
        from: String,
        /// The role.
        role: String,
    },
    /// To the same human.
    #[error("{from} and {to} are one person")]
    Oneself {
        /// Who gives.
        from: String,
        /// Who gets it.
        to: String,
    },
    /// Nobody there who could sign.
    #[error("`{to}` is nobody on the roster: a lent role makes no signer")]
    NotRostered {
        /// Who was to get it.
        to: String,
    },
    /// The giver is part of the response.
    #[error("{from} has acted in this incident, so nobody signs in their place either")]
    Acted {
        /// Who gives.
        from: String,
    },
    /// It is over, has not begun, or is for too long.
    #[error("{0}")]
    Time(&'static str),
    /// The same text was filed before.
    #[error("it was filed before")]
    Filed,
}

impl NotDelegated {
    /// Its short name in the record.
    pub fn name(&self) -> &'static str {
        match self {
            NotDelegated::Unsigned(_) => "delegation-unsigned",
            NotDelegated::Namespace { .. } => "delegation-namespace",
            NotDelegated::BadSignature => "delegation-bad-signature",
            NotDelegated::NotADelegation => "not-a-delegation",
            NotDelegated::OtherIncident { .. } => "delegation-elsewhere",
            NotDelegated::Revoked { .. } => "delegation-revoked",
            NotDelegated::NotCounted(_) => "delegation-not-counted",
            NotDelegated::AnotherSigner { .. } => "delegation-another-signer",
            NotDelegated::NotTheirs { .. } => "delegation-not-theirs",
            NotDelegated::Oneself { .. } => "delegation-to-oneself",
            NotDelegated::NotRostered { .. } => "delegation-not-rostered",
            NotDelegated::Acted { .. } => "delegation-acted",
            NotDelegated::Time(_) => "delegation-time",
            NotDelegated::Filed => "delegation-filed-before",
        }
    }
}

/// Everything a lent role is held against.
pub struct DelegationContext<'a> {
    /// The open incident.
    pub incident: &'a IncidentId,
    /// The roster pinned when it opened.
    pub roster: &'a Roster,
    /// People and roles, as pinned.
    pub policy: &'a Policy,
    /// Whether a key no longer counts.
    pub revoked: &'a dyn Fn(&VerifiedKey) -> bool,
    /// Everybody who acted or answered.
    pub acted: &'a BTreeSet<String>,
    /// One-time numbers of what was filed before.
    pub filed: &'a BTreeSet<String>,
    /// Wall time, ms since the epoch.
    pub now_ms: i64,
}

/// Decides whether a lent role counts from now on.
pub fn accept_delegation(
    text: &[u8],
    signature: &[u8],
    ctx: &DelegationContext<'_>,
) -> Result<(Delegation, VerifiedKey), NotDelegated> {
    let drill = ctx.incident.is_drill();
    let wanted = delegation_namespace(drill);
    let signature = Signature::parse(signature).map_err(NotDelegated::Unsigned)?;
    let key = verify(&signature, text, wanted).map_err(|why| match why {
        SigError::Namespace { found, .. } => NotDelegated::Namespace { found, wanted },
        SigError::Mismatch => NotDelegated::BadSignature,
        other => NotDelegated::Unsigned(other),
    })?;
    if (ctx.revoked)(&key) {
        return Err(NotDelegated::Revoked {
            fingerprint: key.fingerprint,
        });
    }
    let signer = ctx
        .roster
        .who_signed(&key, wanted, ctx.now_ms)
        .map_err(NotDelegated::NotCounted)?;
    let said = Delegation::parse(&String::from_utf8_lossy(text)).ok_or(NotDelegated::NotADelegation)?;
    let here = said.incident.as_ref().is_none_or(|id| id == ctx.incident);
    if !here || said.drill != drill {
        let theirs = said
            .incident
            .map_or("another kind of incident".to_owned(), |id| id.to_string());
        let ours = ctx.incident.to_string();
        return Err(NotDelegated::OtherIncident { theirs, ours });
    }
    let human = |name: &str| ctx.policy.human(name);
    let from = said.from.clone();
    if human(&signer) != human(&from) {
        return Err(NotDelegated::AnotherSigner { signer, from });
    }
    said.fault(ctx.roster, ctx.policy)?;
    if ctx.acted.iter().any(|who| human(who) == human(&from)) {
        return Err(NotDelegated::Acted { from });
    }
    if ctx.filed.contains(&said.nonce) {
        return Err(NotDelegated::Filed);
    }
    match said {
        Delegation { from_ms, .. } if from_ms > ctx.now_ms => {
            Err(NotDelegated::Time("by this clock its time has not begun"))
        }
        Delegation { until_ms, .. } if until_ms <= ctx.now_ms => Err(NotDelegated::Time("its time is over")),
        said => Ok((said, key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lent_role_has_one_spelling() {
        let lent = Delegation {
            incident: None,
            drill: false,
            role: "data owner\u{202e}".into(),
            from: "ben@example.com".into(),
            to: "kim@vendor.example".into(),
            from_ms: 1_795_317_247_120,
            until_ms: 1_795_331_647_120,
            nonce: "0123456789abcdef0123456789abcdef".into(),
        };
        let text = lent.render();
        assert!(
            text.is_ascii() && text.contains("role: \"data owner\\u202e\"\n"),
            "{text}"
        );
        assert_eq!(Delegation::parse(&text), Some(lent.clone()));
        let bound = Delegation {
            incident: IncidentId::new("INC-20261122-0314-k7qf").ok(),
            ..lent
        };
        assert_eq!(Delegation::parse(&bound.render()), Some(bound));
        for (from, to) in [
            ("v1", "v2"),
            ("incident: any", "incident: \"any\""),
            ("drill: no", "drill: No"),
            ("from: ben", "from:  ben"),
            ("120Z", "120+00:00"),
            ("means: the", "means: The"),
            ("nonce: 0123", "nonce: g123"),
            ("\n", "\r\n"),
        ] {
            assert_eq!(Delegation::parse(&text.replace(from, to)), None, "{to}");
        }
        assert_eq!(Delegation::parse(&format!("{text}more\n")), None);
    }
}
