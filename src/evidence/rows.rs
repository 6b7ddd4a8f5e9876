//! The rows of the ledger: what each record says of evidence, read from the journal whenever it is needed.

use std::io::{self, BufRead, Read};

use serde::Serialize;

use crate::journal::{self, Line};
use crate::model::event::{CaptureItem, Event, ItemStatus};

/// One line of the ledger: one thing that was looked at, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Number of the record that announced it.
    pub seq: u64,
    /// Folder below `data/`.
    pub exhibit: String,
    /// File name in it, or the name of what is missing.
    pub name: String,
    /// Where it came from.
    pub source: String,
    /// What became of it.
    pub status: ItemStatus,
    /// Why, where it is not whole.
    pub why: String,
    /// Bytes kept.
    pub bytes: u64,
    /// How many secrets were taken out.
    pub redactions: u32,
}

/// What a record says of evidence.
pub(super) enum Said {
    /// A capture begins.
    Begun,
    /// Things were filed.
    Filed {
        /// The capture that ends with it.
        ends: Option<u64>,
        /// The record that announced them.
        of: u64,
        exhibit: String,
        items: Vec<CaptureItem>,
    },
    /// It speaks of evidence in words this version does not know.
    Unreadable,
}

impl Said {
    /// `None` where it speaks of something else.
    pub fn of(line: &Line<'_>) -> Option<Said> {
        if !speaks(&line.kind) {
            return None;
        }
        Some(match Event::decode_text(&line.kind, line.v, &line.what) {
            Ok(Event::CaptureStarted(_)) => Said::Begun,
            Ok(Event::CaptureEnded(e)) => Said::Filed {
                ends: Some(e.capture),
                of: e.capture,
                exhibit: e.exhibit,
                items: e.items,
            },
            Ok(Event::ExhibitFiled(e)) => Said::Filed {
                ends: None,
                of: e.of,
                exhibit: e.exhibit,
                items: e.items,
            },
            Ok(Event::FileAttached(e)) => Said::Filed {
                ends: None,
                of: line.seq,
                exhibit: e.exhibit,
                items: e.items,
            },
            _ => Said::Unreadable,
        })
    }
}

/// True for kinds of records that speak of evidence.
fn speaks(kind: &str) -> bool {
    const KINDS: [&str; 4] = [
        "capture.started",
        "capture.ended",
        "exhibit.filed",
        "file.attached",
    ];
    KINDS.contains(&kind)
}

pub(super) fn row(of: u64, exhibit: &str, item: CaptureItem) -> Row {
    Row {
        seq: of,
        exhibit: exhibit.to_owned(),
        name: item.name,
        source: item.source,
        status: item.status,
        why: item.why.unwrap_or_default(),
        bytes: item.bytes,
        redactions: item.redactions,
    }
}

/// The rows of a ledger, read from journals that were checked before.
pub struct Rows<R> {
    journals: std::vec::IntoIter<io::Take<R>>,
    journal: Option<io::BufReader<io::Take<R>>>,
    line: Vec<u8>,
    ready: std::vec::IntoIter<Row>,
}

impl<R: Read> Rows<R> {
    /// Of each journal, oldest first, only the good lines: this many bytes.
    pub fn of(journals: Vec<(R, u64)>) -> Self {
        let good = |(journal, len): (R, u64)| journal.take(len);
        Rows {
            journals: journals.into_iter().map(good).collect::<Vec<_>>().into_iter(),
            journal: None,
            line: Vec::new(),
            ready: Vec::new().into_iter(),
        }
    }

    /// Reads the next line that speaks of evidence; false at the end.
    fn advance(&mut self) -> io::Result<bool> {
        loop {
            let Some(journal) = &mut self.journal else {
                let Some(next) = self.journals.next() else {
                    return Ok(false);
                };
                self.journal = Some(io::BufReader::with_capacity(super::hashing::CHUNK, next));
                continue;
            };
            self.line.clear();
            if journal.read_until(b'\n', &mut self.line)? == 0 {
                self.journal = None;
                continue;
            }
            if !journal::kind_of(&self.line).is_some_and(speaks) {
                continue;
            }
            let line = journal::parts(&self.line)
                .ok_or_else(|| io::Error::other("the journal has changed since it was checked"))?;
            if let Some(Said::Filed {
                of, exhibit, items, ..
            }) = Said::of(&line)
            {
                let rows: Vec<Row> = items.into_iter().map(|item| row(of, &exhibit, item)).collect();
                self.ready = rows.into_iter();
                return Ok(true);
            }
        }
    }
}

impl<R: Read> Iterator for Rows<R> {
    type Item = io::Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = self.ready.next() {
                return Some(Ok(row));
            }
            match self.advance() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(e) => return Some(Err(e)),
            }
        }
    }
}
