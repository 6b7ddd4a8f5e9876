//! A record read without taking its lock and without changing a byte: also a closed or a drilled one.

use std::path::Path;

use super::{App, CliError, Exit};
use crate::engine::EngineError;
use crate::evidence::escape;
use crate::journal::Hash;
use crate::model::event::Event;
use crate::model::ids::IncidentId;
use crate::model::incident::{At, Incident};
use crate::model::time::{Moment, parse_rfc3339};
use crate::report::Entry;
use crate::store::Spool;

/// Everything one case says of itself.
pub struct Record {
    /// Every record, oldest first.
    pub entries: Vec<Entry>,
    /// What they add up to.
    pub incident: Incident,
    /// Hash of the newest.
    pub head: Hash,
}

impl Record {
    /// Reads a case and folds it.
    pub fn read(app: &App, id: &IncidentId) -> Result<Record, CliError> {
        let case = app.store.open_case(id).map_err(EngineError::from)?;
        let mut entries = Vec::new();
        let mut broken = None;
        let read = case
            .read(|line| match Entry::read(line) {
                Ok(entry) => entries.push(entry),
                Err(error) => {
                    let seq = line.seq;
                    broken.get_or_insert(crate::model::incident::FoldError::Event { seq, error });
                }
            })
            .map_err(EngineError::from)?;
        if let Some(error) = broken {
            return Err(EngineError::from(error).into());
        }
        let mut incident = None;
        for e in &entries {
            let at = At {
                seq: e.seq,
                ts: &e.ts,
                who: &e.who,
                line_sha256: &e.line_sha256,
            };
            Incident::apply(&mut incident, &at, e.event.clone()).map_err(EngineError::from)?;
        }
        let incident = incident.ok_or_else(|| {
            CliError::new(Exit::Failed, format!("{id} holds no record yet"))
                .hint("What was spooled elsewhere is taken in by `incident resume`")
        })?;
        let taken = |spool: &Path| {
            let head = Spool::load(spool)
                .ok()
                .map(|spool| spool.chain().head.to_string());
            entries
                .iter()
                .any(|e| matches!(&e.event, Event::SpoolAbsorbed(e) if Some(&e.head) == head.as_ref()))
        };
        // What was taken in may still lie on a disk from which nothing can be removed.
        let spools = Spool::find(id, &app.spool_folders).into_iter();
        for spool in spools.filter(|spool| !taken(spool)) {
            app.ui.aside(&format!(
                "not in it: the records that wait in {}, because the case folder could not be written. `incident status` \
                 takes them in as soon as it can be",
                escape(&spool.display().to_string())
            ));
        }
        Ok(Record {
            entries,
            incident,
            head: read.chain.head,
        })
    }

    /// The moment to look at it from: now while it is open here, else when its newest record was written.
    pub fn seen_at(&self, now: Moment) -> Moment {
        let opened = &self.incident.opened;
        if self.incident.closed_ts.is_none() && !opened.drill {
            return now;
        }
        let ms = |ts: &str| parse_rfc3339(ts).unwrap_or(now.utc_ms);
        let last = self.entries.last().map_or(now.utc_ms, |e| ms(&e.ts));
        let passed = u64::try_from(last - ms(&self.incident.opened_ts)).unwrap_or(0);
        Moment {
            utc_ms: last,
            mono_us: opened.mono_us.saturating_add(passed.saturating_mul(1000)),
        }
    }
}
