//! What a team trusted in peacetime, and how far it is what was found.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How the files written in advance compare with what somebody trusted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trust {
    /// Who signed for them; `None` where nobody did, or where what they signed is not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<String>,
    /// Why the record of it is not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unused: Option<String>,
    /// Files that are not what was trusted. The trusted copies are in force instead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differs: Vec<String>,
    /// SHA-256 of the scripts that were trusted, by their path from the folder that holds the runbook's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scripts: BTreeMap<String, String>,
}

impl Trust {
    /// The day on which it was trusted.
    pub fn day(&self) -> &str {
        let made = self.made.as_deref().unwrap_or("");
        made.split('T').next().unwrap_or(made)
    }

    /// One sentence for people, and whether all is well.
    pub fn words(&self) -> (bool, String) {
        let by = self.by.as_deref().unwrap_or("nobody");
        match (&self.by, &self.unused) {
            (_, Some(why)) => (
                false,
                format!(
                    "The record of what was trusted in peacetime is not used: {why}. The files count as they stand."
                ),
            ),
            (None, None) => (
                false,
                "Nobody trusted these files in peacetime: they count as they stand, whoever wrote them last."
                    .into(),
            ),
            (Some(_), None) if self.differs.is_empty() => (
                true,
                format!("The files are what {by} trusted on {}.", self.day()),
            ),
            (Some(_), None) => (
                false,
                format!(
                    "The files are not what {by} trusted on {}: {}. The trusted copies are in force, the boundary is \
                     the stricter of both, and a script that differs does not run.",
                    self.day(),
                    self.differs.join(", ")
                ),
            ),
        }
    }
}
