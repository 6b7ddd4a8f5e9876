//! What a responder signs so that a name in the record is known to be theirs.

use super::text::{values, word};
use crate::model::ids::IncidentId;

const FORMAT: &str = "incident-responder v1";

/// "Whatever was done here under this name was done by me", up to a record and from there on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The incident.
    pub incident: IncidentId,
    /// The name in the record.
    pub name: String,
    /// The newest record when it was signed.
    pub head_seq: u64,
    /// Its hash, 64 hex digits.
    pub head_hash: String,
}

impl Claim {
    /// The bytes to sign.
    pub fn render(&self) -> String {
        format!(
            "{FORMAT}\nincident: {}\nacted-as: {}\nhead-seq: {}\nhead-hash: {}\n",
            self.incident,
            word(&self.name),
            self.head_seq,
            word(&self.head_hash)
        )
    }

    /// Reads exactly what [`Claim::render`] writes; `None` for any other text.
    pub fn parse(text: &str) -> Option<Claim> {
        let mut lines = text.strip_prefix(FORMAT)?.strip_prefix('\n')?.lines();
        let mut value = |key: &str| lines.next()?.strip_prefix(key)?.strip_prefix(": ");
        let claim = Claim {
            incident: IncidentId::new(value("incident")?).ok()?,
            name: values(value("acted-as")?, " ")?.pop()?,
            head_seq: value("head-seq")?.parse().ok()?,
            head_hash: value("head-hash")?.to_owned(),
        };
        (claim.render() == text).then_some(claim)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_has_one_spelling() {
        let claim = Claim {
            incident: IncidentId::new("INC-20261122-0314-k7qf").unwrap(),
            name: "ops user\u{202e}".into(),
            head_seq: 41,
            head_hash: "a".repeat(64),
        };
        let text = claim.render();
        assert!(
            text.is_ascii() && text.contains("acted-as: \"ops user\\u202e\"\n"),
            "{text}"
        );
        assert_eq!(Claim::parse(&text), Some(claim));
        for (from, to) in [("41", "041"), ("v1", "v2"), ("head-seq", "head"), ("\n", "\r\n")] {
            assert_eq!(Claim::parse(&text.replace(from, to)), None, "{to}");
        }
        assert_eq!(Claim::parse(&format!("{text}more")), None);
    }
}
