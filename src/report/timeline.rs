//! What happened, a row at a time.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Entry;
use super::words::{stop_facts, words_of};
use crate::model::event::{Event, StopFacts};

/// One row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The record it begins with.
    pub seq: u64,
    /// When, RFC 3339. Order is `seq`, never this.
    pub ts: String,
    /// Who did or said it.
    pub who: String,
    /// In words; foreign text in it is not escaped.
    pub words: String,
}

/// Every event that means something to people, in order.
///
/// Facts that one sweep found of one target in one part of its chain share a row, which stands where
/// the first of them was recorded.
pub fn timeline(entries: &[Entry]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut sweep: Option<BTreeMap<(String, String), (usize, StopFacts)>> = None;
    for entry in entries {
        match &entry.event {
            Event::StopStarted(_) => sweep = Some(BTreeMap::new()),
            Event::StopEnded(_) => sweep = None,
            _ => {}
        }
        if let (Event::StopFacts(e), Some(sweep)) = (&entry.event, &mut sweep) {
            let key = (e.target.to_string(), e.phase.clone());
            if let Some((at, joined)) = sweep.get_mut(&key) {
                joined.facts.extend(e.facts.iter().cloned());
                if let Some(row) = rows.get_mut(*at) {
                    row.words = stop_facts(joined);
                }
                continue;
            }
            sweep.insert(key, (rows.len(), e.clone()));
        }
        if let Some(words) = words_of(&entry.event) {
            rows.push(Row {
                seq: entry.seq,
                ts: entry.ts.clone(),
                who: entry.who.clone(),
                words,
            });
        }
    }
    rows
}
