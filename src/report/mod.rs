//! Facts to words: the postmortem as Markdown, HTML and JSON, the timeline, and the live views of a shift.
//!
//! Everything here is a pure function of the record; only the live views ([`danger`], [`brief()`],
//! [`handoff()`]) are handed the time. The same journal gives the same report, byte for byte.
//!
//! Absent from this room: files, clocks, the terminal, and any judgement. A word of proof comes from
//! `model::fact`, a zone from the record; nothing here can round either up.

pub mod brief;
pub mod danger;
pub mod escape;
pub mod facts;
pub mod handoff;
pub mod html;
pub mod markdown;
pub mod timeline;
pub mod words;

mod cut;
mod decisions;
mod evidence;

#[cfg(test)]
mod tests;

use crate::journal::Line;
use crate::model::event::{Event, EventError};

pub use brief::brief;
pub use danger::{Danger, Severity, still_dangerous, truth_line};
pub use facts::Report;
pub use handoff::handoff;
pub use html::html;
pub use markdown::{ReportError, markdown};
pub use timeline::timeline;

/// One record of the journal, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its number.
    pub seq: u64,
    /// When, RFC 3339.
    pub ts: String,
    /// Who.
    pub who: String,
    /// What.
    pub event: Event,
    /// Hash of its line.
    pub line_sha256: String,
}

impl Entry {
    /// Reads a checked line; fails where its kind or fields are not known to this program.
    pub fn read(line: &Line<'_>) -> Result<Entry, EventError> {
        Ok(Entry {
            seq: line.seq,
            ts: line.ts.to_string(),
            who: line.who.to_string(),
            event: Event::decode_text(&line.kind, line.v, &line.what)?,
            line_sha256: line.hash.to_string(),
        })
    }
}

/// What is due next, in the words of whoever drives the walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// What has to be decided or done.
    pub what: String,
    /// The command that does it.
    pub command: String,
}
