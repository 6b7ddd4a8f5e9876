//! The people of a drill: each with a key of the seed's making, who sign, refuse or sleep.

use std::time::Duration;

use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{HashAlg, LineEnding, PrivateKey};

use super::entropy::Seeded;
use super::scenario::{ColleaguePlan, Mood, Offset, Scenario};

/// Namespace of a drill's sign-offs. One made for a drill can never pass for a real one.
const SIGNOFF: &str = "signoff-drill@incident-v1";
/// Namespace in which a requester proves to be one.
const REQUEST: &str = "request@incident-v1";
/// Namespace in which a bundle is sealed.
const SEAL: &str = "seal-drill@incident-v1";

/// One person who can sign.
pub struct Colleague {
    /// Principal.
    pub name: String,
    /// How they answer.
    pub mood: Mood,
    /// How long an answer takes.
    pub answers_after: Duration,
    key: PrivateKey,
}

/// What a signer sends back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The text that was signed.
    pub statement: String,
    /// Its signature.
    pub signature: String,
}

/// The key could not be used. Does not happen with keys made here.
#[derive(Debug, thiserror::Error)]
#[error("the drill key of {who} cannot sign: {why}")]
pub struct CannotSign {
    /// Principal.
    pub who: String,
    /// What the library said.
    pub why: String,
}

impl Colleague {
    /// Everybody of a scenario, the responder first.
    pub fn all(scenario: &Scenario, seed: u64) -> Vec<Self> {
        let responder = ColleaguePlan {
            name: scenario.responder(),
            mood: Mood::Signs,
            answers_after: Offset(0),
        };
        std::iter::once(&responder)
            .chain(&scenario.colleagues)
            .filter_map(|plan| Colleague::new(plan, seed))
            .collect()
    }

    fn new(plan: &ColleaguePlan, seed: u64) -> Option<Self> {
        let name = plan.name.as_str();
        let secret: [u8; 32] = Seeded::new(seed, &format!("key of {name}")).bytes();
        let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&secret));
        let key = PrivateKey::new(pair, format!("{name} (drill)")).ok()?;
        Some(Colleague {
            name: name.to_owned(),
            mood: plan.mood,
            answers_after: Duration::from_micros(plan.answers_after.us()),
            key,
        })
    }

    /// This person's line of `allowed_signers`: good for drills and for nothing else.
    pub fn roster_line(&self) -> String {
        let key = self.key.public_key().to_openssh().unwrap_or_default();
        let spaces = [SIGNOFF, REQUEST, SEAL].join(",");
        format!("{} namespaces=\"{spaces}\" {key}\n", self.name)
    }

    /// Reads a statement and answers it; `None` from somebody asleep, or asked about what is no drill.
    ///
    /// The statement is the approving text; a refusal is the same text with the other decision.
    pub fn answer(&self, statement: &str) -> Result<Option<Answer>, CannotSign> {
        let practice = statement.lines().any(|line| line == "drill: yes");
        let text = match self.mood {
            _ if !practice => return Ok(None),
            Mood::Sleeps => return Ok(None),
            Mood::Signs => statement.to_owned(),
            Mood::Refuses => statement.replace("\ndecision: approve\n", "\ndecision: refuse\n"),
        };
        let signature = self.sign(SIGNOFF, text.as_bytes())?;
        Ok(Some(Answer {
            statement: text,
            signature,
        }))
    }

    /// Signs these bytes: an armoured OpenSSH signature, as `ssh-keygen -Y sign` makes it.
    pub fn sign(&self, namespace: &str, bytes: &[u8]) -> Result<String, CannotSign> {
        let failed = |e: ssh_key::Error| CannotSign {
            who: self.name.clone(),
            why: e.to_string(),
        };
        self.key
            .sign(namespace, HashAlg::Sha512, bytes)
            .and_then(|signature| signature.to_pem(LineEnding::LF))
            .map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATEMENT: &str = "incident-signoff v1\nincident: DRILL-x\ndrill: yes\ndecision: approve\nact: x\n";

    fn people(seed: u64) -> Vec<Colleague> {
        Colleague::all(&Scenario::shipped("nine-seconds").unwrap(), seed)
    }

    #[test]
    fn the_same_seed_makes_the_same_keys_and_signatures() {
        let (a, b) = (people(5), people(5));
        assert_eq!(a[0].name, "ana@example.com");
        assert!(a.len() > 1);
        for (a, b) in a.iter().zip(&b) {
            assert_eq!(a.roster_line(), b.roster_line());
            assert_eq!(a.sign(SIGNOFF, b"x").unwrap(), b.sign(SIGNOFF, b"x").unwrap());
        }
        assert_ne!(a[1].roster_line(), people(6)[1].roster_line());
    }

    #[test]
    fn a_signature_holds_for_its_text_and_its_namespace_only() {
        let ben = people(5).remove(1);
        let answer = ben.answer(STATEMENT).unwrap().unwrap();
        let signature = ssh_key::SshSig::from_pem(answer.signature).unwrap();
        let key = ben.key.public_key();
        let holds = |space, text: &str| key.verify(space, text.as_bytes(), &signature).is_ok();
        assert!(holds(SIGNOFF, STATEMENT));
        assert!(!holds(SIGNOFF, &STATEMENT.replace("approve", "refuse")));
        assert!(!holds("signoff@incident-v1", STATEMENT));
    }

    #[test]
    fn people_sign_refuse_or_sleep_and_never_answer_what_is_no_drill() {
        let mut ben = people(5).remove(1);
        let said = |ben: &Colleague, text: &str| ben.answer(text).unwrap().map(|a| a.statement);
        assert_eq!(said(&ben, STATEMENT).as_deref(), Some(STATEMENT));
        assert_eq!(said(&ben, &STATEMENT.replace("drill: yes", "drill: no")), None);
        ben.mood = Mood::Refuses;
        assert_eq!(
            said(&ben, STATEMENT),
            Some(STATEMENT.replace("approve", "refuse"))
        );
        ben.mood = Mood::Sleeps;
        assert_eq!(said(&ben, STATEMENT), None);
    }
}
