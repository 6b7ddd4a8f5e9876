//! The journal read as a stream: every link checked, its head and tree, its exhibits, its file hash.
//!
//! A journal that was damaged and repaired is several files: of each damaged one the good beginning
//! counts, and the next file begins with a `journal.continued` record that follows on it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, Read};

use sha2::{Digest, Sha256};

use super::exhibit::LedgerFold;
use super::opening::Opening;
use super::seal::Tree;
use crate::journal::{Chain, ChainError, Hash, LINE_CAP, Line};
use crate::model::event::{AnchorFiled, Event};

/// The journal so far, over all files read.
#[derive(Debug, Default)]
pub struct Journal {
    /// Where the chain stands after the last good record.
    pub chain: Chain,
    /// The RFC 6962 tree over the good lines.
    pub tree: Tree,
    /// The exhibits.
    pub fold: LedgerFold,
    /// Numbers of the records to remember.
    pub wanted: BTreeSet<u64>,
    /// The remembered records.
    pub marks: BTreeMap<u64, Mark>,
    /// What was filed of heads that are held elsewhere.
    pub anchors: Vec<AnchorFiled>,
    /// What the first record binds.
    pub(super) opening: Option<Opening>,
    /// Time of the newest record, as it says.
    pub newest: String,
    /// The first record whose time is earlier than that of the one before it.
    pub clock_back: Option<u64>,
}

/// One record, as a sign-off may name it.
#[derive(Debug, Clone)]
pub struct Mark {
    /// Hash of its line.
    pub hash: Hash,
    /// When it was written, as it says.
    pub ts: String,
}

/// One file of the journal.
#[derive(Debug)]
pub struct Part {
    /// Bytes of its good lines.
    pub len: u64,
    /// Hash of these bytes.
    pub sha256: Hash,
    /// Hash of the damaged file before it, by its own first record.
    pub continues: Option<Hash>,
    /// Why the next line is not a record, where it is not.
    pub broken: Option<ChainError>,
}

impl Journal {
    /// Reads the next file until its end, its first broken line, or until there are `limit` records.
    pub fn read(&mut self, file: impl Read, limit: Option<u64>) -> io::Result<Part> {
        let mut file = io::BufReader::with_capacity(super::hashing::CHUNK, file);
        let mut hasher = Sha256::new();
        let mut part = Part {
            len: 0,
            sha256: Hash::ZERO,
            continues: None,
            broken: None,
        };
        let mut line = Vec::new();
        while limit.is_none_or(|limit| self.chain.next < limit) {
            line.clear();
            // One byte past the cap: `check` then says that the line is too long.
            let cap = LINE_CAP as u64 + 1;
            if file.by_ref().take(cap).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            match self.chain.check_line(&line) {
                Ok(record) => {
                    if part.len == 0 {
                        part.continues = continues(&record);
                    }
                    hasher.update(&line);
                    part.len += line.len() as u64;
                    self.tree.add(&line);
                    if record.seq == 0 {
                        self.opening = Opening::of(&record);
                    }
                    if *record.ts < *self.newest {
                        self.clock_back.get_or_insert(record.seq);
                    }
                    self.newest.clear();
                    self.newest.push_str(&record.ts);
                    if self.wanted.contains(&record.seq) {
                        let (hash, ts) = (record.hash, record.ts.to_string());
                        self.marks.insert(record.seq, Mark { hash, ts });
                    }
                    if record.kind == "anchor.filed"
                        && let Ok(Event::AnchorFiled(e)) =
                            Event::decode_text(&record.kind, record.v, &record.what)
                    {
                        self.anchors.push(e);
                    }
                    self.fold.add(&record);
                }
                Err(why) => {
                    part.broken = Some(why);
                    break;
                }
            }
        }
        part.sha256 = Hash(hasher.finalize().into());
        Ok(part)
    }
}

fn continues(record: &Line<'_>) -> Option<Hash> {
    if record.kind != "journal.continued" {
        return None;
    }
    let what: serde_json::Value = record.read().ok()?;
    Hash::parse(what.get("sha256")?.as_str()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reading_stops_at_the_first_broken_line_or_at_the_limit() {
        let mut chain = Chain::default();
        let mut bytes = Vec::new();
        let mut heads = Vec::new();
        for n in 0..5 {
            let line = chain.write(
                "2026-11-22T03:14:07.120Z",
                "note.added",
                1,
                json!({"n": n}),
                "ana",
            );
            bytes.extend(line.unwrap());
            heads.push(chain.head);
        }
        let read = |bytes: &[u8], limit| {
            let wanted = BTreeSet::from([2]);
            let mut journal = Journal {
                wanted,
                ..Journal::default()
            };
            let part = journal.read(bytes, limit).unwrap();
            (journal, part)
        };
        let (all, part) = read(&bytes, None);
        assert_eq!((all.chain, part.broken), (chain, None));
        assert_eq!((part.len, part.sha256), (bytes.len() as u64, Hash::of(&bytes)));
        assert_eq!(all.marks[&2].hash, heads[2]);

        let (three, _) = read(&bytes, Some(3));
        assert_eq!((three.chain.next, three.chain.head), (3, heads[2]));

        bytes.truncate(bytes.len() - 1);
        let (four, torn) = read(&bytes, None);
        assert_eq!(
            (four.chain.next, torn.broken),
            (4, Some(ChainError::Torn { seq: 4 }))
        );
    }
}
