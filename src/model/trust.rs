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
    /// SHA-256 of the program that was trusted with them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
}

impl Trust {
    /// The day on which it was trusted.
    pub fn day(&self) -> &str {
        let made = self.made.as_deref().unwrap_or("");
        made.split('T').next().unwrap_or(made)
    }

    /// What is to be said where the program that runs, with this SHA-256, is not the one that was trusted.
    pub fn strange(&self, running: Option<&str>) -> Option<String> {
        let trusted = self.program.as_deref()?;
        let by = self.by.as_deref().unwrap_or("nobody");
        let short = |hash: &str| hash.chars().take(16).collect::<String>();
        let now = match running {
            Some(running) if running == trusted => return None,
            Some(running) => format!("is {}…", short(running)),
            None => "cannot be read".to_owned(),
        };
        Some(format!(
            "This program is not the one that {by} trusted on {}: that was {}…, this {now}. It goes on; a newer version \
             is trusted anew, and anything else is somebody's doing: sign nothing with it.",
            self.day(),
            short(trusted)
        ))
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
