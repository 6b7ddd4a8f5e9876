//! The people of a drill: each with a key of the seed's making, who sign, refuse or sleep.

use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{HashAlg, LineEnding, PrivateKey};

use super::entropy::Seeded;
use super::scenario::{Mood, Scenario};

/// Namespace of a drill's signatures. One made for a drill can never pass for a real one.
pub const NAMESPACE: &str = "signoff-drill@incident-v1";

/// One person who can sign.
pub struct Colleague {
    /// Principal.
    pub name: String,
    /// How they answer.
    pub mood: Mood,
    key: PrivateKey,
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
        let responder = (format!("{}@example.com", scenario.host.responder), Mood::Signs);
        let others = scenario.colleagues.iter().map(|c| (c.name.clone(), c.mood));
        std::iter::once(responder)
            .chain(others)
            .filter_map(|(name, mood)| Colleague::new(&name, mood, seed))
            .collect()
    }

    fn new(name: &str, mood: Mood, seed: u64) -> Option<Self> {
        let secret: [u8; 32] = Seeded::new(seed, &format!("key of {name}")).bytes();
        let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&secret));
        let key = PrivateKey::new(pair, format!("{name} (drill)")).ok()?;
        Some(Colleague {
            name: name.to_owned(),
            mood,
            key,
        })
    }

    /// This person's line of `allowed_signers`.
    pub fn roster_line(&self) -> String {
        let key = self.key.public_key().to_openssh().unwrap_or_default();
        format!("{} namespaces=\"{NAMESPACE}\" {key}\n", self.name)
    }

    /// Signs these bytes: an armoured OpenSSH signature, as `ssh-keygen -Y sign` makes it.
    pub fn sign(&self, statement: &[u8]) -> Result<String, CannotSign> {
        let failed = |e: ssh_key::Error| CannotSign {
            who: self.name.clone(),
            why: e.to_string(),
        };
        self.key
            .sign(NAMESPACE, HashAlg::Sha512, statement)
            .and_then(|signature| signature.to_pem(LineEnding::LF))
            .map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_keys_and_signatures() {
        let scenario = Scenario::shipped("nine-seconds").unwrap();
        let (a, b) = (Colleague::all(&scenario, 5), Colleague::all(&scenario, 5));
        assert_eq!(a[0].name, "ana@example.com");
        assert!(a.len() > 1);
        for (a, b) in a.iter().zip(&b) {
            assert_eq!(a.roster_line(), b.roster_line());
            assert_eq!(a.sign(b"x").unwrap(), b.sign(b"x").unwrap());
        }
        assert_ne!(a[1].roster_line(), Colleague::all(&scenario, 6)[1].roster_line());
    }

    #[test]
    fn a_signature_holds_for_its_text_and_its_namespace_only() {
        let scenario = Scenario::shipped("nine-seconds").unwrap();
        let ben = Colleague::all(&scenario, 5).remove(1);
        let signature = ssh_key::SshSig::from_pem(ben.sign(b"approve").unwrap()).unwrap();
        let key = ben.key.public_key();
        assert!(key.verify(NAMESPACE, b"approve", &signature).is_ok());
        assert!(key.verify(NAMESPACE, b"refuse", &signature).is_err());
        assert!(key.verify("signoff@incident-v1", b"approve", &signature).is_err());
    }
}
