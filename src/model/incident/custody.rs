//! Who held the record, with what and by which clock, and where its heads are held.

use std::collections::BTreeMap;

use super::At;
use crate::model::event::{AnchorFiled, AnchorRequested, ClockOffset, CustodyBegan, CustodyHanded};

/// One event with its place in the record.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded<E> {
    /// Its record.
    pub seq: u64,
    /// When, RFC 3339.
    pub ts: String,
    /// Who.
    pub who: String,
    /// What.
    pub event: E,
}

impl<E> Recorded<E> {
    pub(super) fn new(at: &At<'_>, event: E) -> Self {
        Recorded {
            seq: at.seq,
            ts: at.ts.to_owned(),
            who: at.who.to_owned(),
            event,
        }
    }
}

/// The chain of custody. Each list in the order of the record.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Custody {
    /// Where and with what program somebody looked.
    pub began: Vec<Recorded<CustodyBegan>>,
    /// The clock beside others.
    pub clocks: Vec<Recorded<ClockOffset>>,
    /// Into whose hands it went.
    pub handed: Vec<Recorded<CustodyHanded>>,
    /// Time stamps asked for, by record.
    pub requests: BTreeMap<u64, AnchorRequested>,
    /// Heads held elsewhere.
    pub anchors: Vec<Recorded<AnchorFiled>>,
}

impl Custody {
    pub(super) fn requested(&mut self, at: &At<'_>, e: AnchorRequested) -> Result<(), String> {
        earlier(at, e.head_seq)?;
        self.requests.insert(at.seq, e);
        Ok(())
    }

    pub(super) fn anchored(&mut self, at: &At<'_>, e: AnchorFiled) -> Result<(), String> {
        earlier(at, e.head_seq)?;
        if let Some(seq) = e.request {
            let asked = self.requests.get(&seq);
            let asked = asked.ok_or_else(|| format!("record {seq} asked for no time stamp"))?;
            if (asked.head_seq, &asked.head_sha256) != (e.head_seq, &e.head_sha256) {
                return Err(format!("record {seq} asked for the time stamp of another head"));
            }
        }
        self.anchors.push(Recorded::new(at, e));
        Ok(())
    }

    pub(super) fn handed(&mut self, at: &At<'_>, e: CustodyHanded) -> Result<(), String> {
        earlier(at, e.head_seq)?;
        self.handed.push(Recorded::new(at, e));
        Ok(())
    }
}

fn earlier(at: &At<'_>, head: u64) -> Result<(), String> {
    match head < at.seq {
        true => Ok(()),
        false => Err(format!("record {head} is not there yet")),
    }
}
