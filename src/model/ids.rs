//! Names: incidents, steps, grants. Checked once, at the edge.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// The text cannot be a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {what}: {rule}")]
pub struct BadName {
    /// The text as given, at most 80 characters of it.
    pub text: String,
    /// What it should have named.
    pub what: &'static str,
    /// The rule it breaks.
    pub rule: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $type(String);

        impl $type {
            /// Checks the text and makes it a name.
            pub fn new(text: &str) -> Result<Self, BadName> {
                check(text, $what).map(|()| $type(text.to_owned()))
            }
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
        impl std::str::FromStr for $type {
            type Err = BadName;
            fn from_str(text: &str) -> Result<Self, BadName> {
                $type::new(text)
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = String::deserialize(d)?;
                $type::new(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

name!(
    /// The name of a step in a runbook, such as `restore-beside`.
    StepId, "step name"
);
name!(
    /// The name of a grant, a tree or a trigger in the inventory.
    TargetId, "name"
);
name!(
    /// `INC-20261122-0314-k7qf`, or `DRILL-…` for a drill.
    IncidentId, "incident id"
);

impl IncidentId {
    /// Builds the id from the wall clock and four random letters.
    pub fn made(drill: bool, utc_ms: i64, random: [u8; 4]) -> Self {
        const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";
        let stamp = crate::model::time::rfc3339(utc_ms);
        let digits: String = stamp.chars().filter(char::is_ascii_digit).take(12).collect();
        let (day, minute) = digits.split_at(8.min(digits.len()));
        let tail: String = random
            .iter()
            .map(|b| char::from(LETTERS[usize::from(b % 32)]))
            .collect();
        let kind = if drill { "DRILL" } else { "INC" };
        IncidentId(format!("{kind}-{day}-{minute}-{tail}"))
    }

    /// True for the record of a drill.
    pub fn is_drill(&self) -> bool {
        self.0.starts_with("DRILL-")
    }
}

const RULE: &str =
    "use letters, digits, `.`, `_`, `-` and `:`, start with a letter or digit, 64 characters at most";

fn check(text: &str, what: &'static str) -> Result<(), BadName> {
    let first = text.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
    let rest = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':'));
    if first && rest && text.len() <= 64 && !text.contains("..") {
        return Ok(());
    }
    Err(BadName {
        text: text.chars().take(80).collect(),
        what,
        rule: RULE,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_walk_out_of_a_folder_are_refused() {
        for bad in ["", "../x", "a/b", "a b", ".hidden", "a..b", "é", &"x".repeat(65)] {
            assert!(StepId::new(bad).is_err(), "{bad}");
        }
        assert!(StepId::new("restore-beside.2").is_ok());
    }

    #[test]
    fn an_incident_id_tells_day_and_minute() {
        let id = IncidentId::made(false, 1_795_317_247_120, [0, 1, 2, 3]);
        assert_eq!(id.as_str(), "INC-20261122-0314-abcd");
        assert!(!id.is_drill());
    }
}
