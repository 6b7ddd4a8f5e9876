//! Asking others in a drill: the ladder is climbed, time passes, and whoever was reached answers in their own time.

use std::collections::BTreeSet;
use std::time::Duration;

use super::exercise::{Exercise, Reply};
use super::run::DrillError;
use crate::engine::{Engine, EngineError, Ladder, Notice};
use crate::signoff::Accepted;
use crate::world::Clock;

/// What happens while somebody waits for signatures.
pub enum Turn {
    /// Somebody was told, or was to be.
    Told(Notice),
    /// Somebody answered, and this came of it.
    Answered(Box<Reply>, Box<Result<Accepted, EngineError>>),
    /// Nobody answered for so long.
    Silence(Duration),
}

impl Exercise {
    /// Waits until a request has its people, or nobody is left to be asked. `each` sees it go by.
    pub fn waits(
        &self,
        engine: &Engine<'_>,
        request: u64,
        each: &mut dyn FnMut(Turn) -> Result<(), DrillError>,
    ) -> Result<(), DrillError> {
        let statement = engine.statement_of(request)?;
        let mut heard = BTreeSet::new();
        loop {
            for notice in engine.climb()? {
                each(Turn::Told(notice))?;
            }
            for reply in self.answers(&statement)? {
                if !heard.insert(reply.who.clone()) {
                    continue;
                }
                self.clock.advance(reply.after);
                let text = Some(reply.statement.as_bytes());
                let filed = engine.add_signoff(text, reply.signature.as_bytes());
                each(Turn::Answered(Box::new(reply), Box::new(filed)))?;
            }
            let pending = engine.pending()?.into_iter().find(|p| p.request == request);
            let missing = pending.is_some_and(|p| p.have.len() < usize::try_from(p.need.people).unwrap_or(0));
            let incident = engine.incident()?;
            match engine.ladder(&incident, request) {
                Ladder::Due { .. } if missing => {}
                Ladder::Waits { until_ms, .. } if missing => {
                    let left = until_ms.saturating_sub(self.clock.now().utc_ms);
                    let left = Duration::from_millis(u64::try_from(left).unwrap_or(0));
                    self.clock.advance(left);
                    each(Turn::Silence(left))?;
                }
                _ => return Ok(()),
            }
        }
    }
}
