//! What the agent's processes held when they were frozen: it dies with them, so it is kept before anybody asks.
//!
//! The sweep waits for none of it: texts are held in memory and filed as an exhibit once it is over.

use std::collections::BTreeMap;
use std::io::Write;

use super::{Engine, EngineError};
use crate::collectors::{Sink, Taken};
use crate::model::act::CaptureSpec;
use crate::model::event::{ItemStatus, NoteAdded};
use crate::model::incident::FROZEN;

/// What the processes of one agent held.
#[derive(Default)]
pub(super) struct Held {
    text: String,
    /// Processes there was no time for.
    left_out: usize,
}

impl Engine<'_> {
    /// Holds what processes of an agent held, until the sweep is over.
    pub(super) fn hold_back(&self, agent: &str, text: &str, left_out: usize) {
        let mut all = self.held.borrow_mut();
        let held = all.entry(agent.to_owned()).or_default();
        held.text.push_str(text);
        held.left_out += left_out;
    }

    /// Files it, one text an agent.
    pub(super) fn file_held(&self) -> Result<(), EngineError> {
        let held = std::mem::take(&mut *self.held.borrow_mut());
        if held.is_empty() {
            return Ok(());
        }
        let spec = CaptureSpec::Collector {
            name: FROZEN.to_owned(),
            with: BTreeMap::new(),
            changing: Vec::new(),
        };
        let filed = self.file_look(&spec, None, FROZEN, |sink| {
            let all = held.iter();
            all.map(|(agent, held)| held.keep(agent, sink)).collect()
        });
        match filed {
            Ok(_) => Ok(()),
            // Stop has been done and is on record; so is that this is not.
            Err(e) => {
                let why = format!("what the frozen processes held is not kept: {e}");
                let note = NoteAdded {
                    text: self.scrubbed(&why),
                };
                self.recorder
                    .borrow_mut()
                    .record_at_once(vec![note.into()])
                    .map(drop)
            }
        }
    }
}

impl Held {
    fn keep(&self, agent: &str, sink: &dyn Sink) -> Taken {
        let name = format!("{}.txt", super::act::file_name(agent));
        let written = sink.open(&name).and_then(|mut out| {
            out.write_all(self.text.as_bytes())?;
            out.flush()
        });
        let (status, why) = match (written, self.left_out) {
            (Err(e), _) => (ItemStatus::Failed, Some(format!("cannot be kept: {e}"))),
            (Ok(()), 0) => (ItemStatus::Collected, None),
            (Ok(()), n) => {
                let why =
                    format!("there was no time to look into {n} more of its processes before they ended");
                (ItemStatus::Truncated, Some(why))
            }
        };
        Taken {
            name,
            source: format!("the frozen processes of {agent}"),
            status,
            why,
            bytes: u64::try_from(self.text.len()).unwrap_or(u64::MAX),
            ms: 0,
        }
    }
}
