//! What the first record says of the whole: whose record it is, and which files were pinned beside it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::chain::Journal;
use super::manifest::Entry;
use super::names;
use super::verify::Check;
use crate::journal::Line;
use crate::model::ids::IncidentId;

/// The first record, as far as it binds other files.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Opening {
    id: Option<String>,
    /// SHA-256 by name of the file.
    pins: Option<BTreeMap<String, String>>,
}

impl Opening {
    /// `None` where the record opens nothing, or in words that bind nothing.
    pub fn of(record: &Line<'_>) -> Option<Opening> {
        match record.kind == "incident.opened" {
            true => record.read().ok(),
            false => None,
        }
    }
}

impl Check {
    /// The record is of this incident, and the pinned files are those it was opened with.
    pub(super) fn opening(&mut self, journal: &Journal, tags: &[Entry], incident: &IncidentId) {
        let Some(opening) = &journal.opening else { return };
        if let Some(id) = opening.id.as_ref().filter(|id| **id != incident.as_str()) {
            let place = format!("{}, line 1", names::JOURNAL);
            self.fault(&place, format!("it is the record of {id}, not of {incident}"));
        }
        let Some(pins) = &opening.pins else { return };
        for name in names::PINNED {
            let tag = tags.iter().find(|tag| *tag.name == *name);
            match (pins.get(name), tag) {
                (None, None) => {}
                (Some(pin), Some(tag)) if *pin == tag.sha256.to_string() => {}
                (Some(_), Some(_)) => {
                    self.fault(name, "not the file that was pinned when the incident opened")
                }
                (Some(_), None) => {
                    self.fault(
                        name,
                        "it was pinned when the incident opened, but it is not there",
                    );
                }
                (None, Some(_)) => self.fault(name, "no such file was pinned when the incident opened"),
            }
        }
    }

    /// A clock that was set back is named: order is by number, and times around it prove little.
    pub(super) fn clock(&mut self, journal: &Journal) {
        if let Some(seq) = journal.clock_back {
            self.report.notes.push(format!(
                "the clock went back at record {seq}: its time is earlier than that of the record before it"
            ));
        }
    }
}
