//! One piece of evidence, and the ledger of all: what was collected, and what was not and why.

use memchr::memmem;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::hashing::Hashing;
use super::rows::{Row, Said, row};
use crate::journal::{Hash, Line};
use crate::model::event::CaptureItem;

/// One file of an exhibit, as it was when it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExhibitFile {
    /// Bytes.
    pub len: u64,
    /// Path below the case folder, `data/<seq>-<name>/…`.
    pub path: Box<str>,
    /// Hash of the bytes.
    pub sha256: Hash,
}

/// A file of the case folder that is not in the bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    /// Its path below the case folder, escaped.
    pub path: String,
    /// Why it is not there.
    pub why: String,
}

/// What was collected and what was not: a fold over the exhibits in the journal.
///
/// There may be hundreds of thousands of rows. They stand in the journal, and are read from there again
/// whenever the ledger is written; what is kept here is what everybody asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Ledger {
    /// How many rows: one an exhibit, in the order they were filed.
    pub rows: u64,
    /// Captures that were announced and never ended, by record number: the tool died in between.
    pub unfinished: Vec<u64>,
    /// Records that speak of an exhibit in words this version does not know.
    pub unreadable: Vec<u64>,
    /// Kept out by rule: what may hold secrets, and what is no evidence.
    pub withheld: Vec<LeftOut>,
    /// Kept out because it does not belong: names this tool does not make, links, devices.
    pub foreign: Vec<LeftOut>,
    /// Rows that are not whole.
    #[serde(skip)]
    partial: Vec<Hole>,
}

/// One hole, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hole {
    /// Which exhibit, capture or file.
    pub what: String,
    /// What is missing, and why.
    pub why: String,
}

impl Ledger {
    /// Takes over what the text of a ledger says and no journal does: which files were kept out. `None` where
    /// `end`, its last bytes, do not reach back to the end of its rows.
    ///
    /// The rows follow from the journal and are most of the text. Whoever reads this compares the whole with
    /// what would be written of it, so nothing is believed by its place.
    pub fn read_left_out(&mut self, end: &[u8]) -> Option<Result<(), String>> {
        // No text holds a bare line feed, so this stands between two fields.
        let after_rows = memmem::rfind(end, b"\n  \"unfinished\": ")?;
        let text = [b"{", &end[after_rows..]].concat();
        let said: LeftOuts = match serde_json::from_slice(&text) {
            Ok(said) => said,
            Err(e) => return Some(Err(e.to_string())),
        };
        (self.withheld, self.foreign) = (said.withheld, said.foreign);
        Some(Ok(()))
    }

    /// Everything that was asked for and is not there.
    pub fn holes(&self) -> Vec<Hole> {
        let unfinished = self.unfinished.iter().map(|seq| Hole {
            what: format!("the capture announced by record {seq}"),
            why: "it was begun and never ended".to_owned(),
        });
        let unreadable = self.unreadable.iter().map(|seq| Hole {
            what: format!("the exhibit in record {seq}"),
            why: "this version cannot read it".to_owned(),
        });
        let foreign = self.foreign.iter().map(|file| Hole {
            what: format!("file {}", file.path),
            why: format!("not bundled: {}", file.why),
        });
        let partial = self.partial.iter().cloned();
        partial
            .chain(unfinished)
            .chain(unreadable)
            .chain(foreign)
            .collect()
    }
}

/// The ledger as it stands in a bundle, piece by piece: JSON in one spelling, one row a line.
#[derive(Debug, Default)]
pub(super) struct LedgerText {
    rows: bool,
    piece: Vec<u8>,
}

impl LedgerText {
    /// The next row, and what stands before it.
    pub fn row(&mut self, row: &Row) -> &[u8] {
        self.piece.clear();
        self.piece.extend_from_slice(match self.rows {
            false => b"{\n  \"rows\": [\n    ",
            true => b",\n    ",
        });
        self.rows = true;
        value(&mut self.piece, row);
        &self.piece
    }

    /// What stands after the last row.
    pub fn end(mut self, ledger: &Ledger) -> Vec<u8> {
        self.piece.clear();
        let out = &mut self.piece;
        out.extend_from_slice(match self.rows {
            false => b"{\n  \"rows\": []",
            true => b"\n  ]",
        });
        list(out, "unfinished", &ledger.unfinished);
        list(out, "unreadable", &ledger.unreadable);
        list(out, "withheld", &ledger.withheld);
        list(out, "foreign", &ledger.foreign);
        out.extend_from_slice(b"\n}\n");
        self.piece
    }
}

/// A field that is a list, one value a line.
fn list(out: &mut Vec<u8>, name: &str, values: &[impl Serialize]) {
    out.extend_from_slice(format!(",\n  \"{name}\": [").as_bytes());
    for (n, one) in values.iter().enumerate() {
        out.extend_from_slice(if n == 0 { b"\n    " } else { b",\n    " });
        value(out, one);
    }
    out.extend_from_slice(if values.is_empty() { b"]" } else { b"\n  ]" });
}

/// Texts and integers can always be written into memory.
fn value(out: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(out, value).unwrap_or_default();
}

/// What stands after the rows of a ledger.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LeftOuts {
    #[serde(rename = "unfinished")]
    _unfinished: IgnoredAny,
    #[serde(rename = "unreadable")]
    _unreadable: IgnoredAny,
    withheld: Vec<LeftOut>,
    foreign: Vec<LeftOut>,
}

/// Reads exhibits out of records, one record at a time.
#[derive(Debug, Default)]
pub struct LedgerFold {
    /// What is kept of the rows so far.
    pub ledger: Ledger,
    /// Files that exhibits say they stored.
    pub files: Vec<ExhibitFile>,
    text: LedgerText,
    /// The text so far.
    seen: Hashing,
}

impl LedgerFold {
    /// Takes in the next record. What speaks of no evidence is passed over.
    pub fn add(&mut self, line: &Line<'_>) {
        match Said::of(line) {
            None => {}
            Some(Said::Begun) => self.ledger.unfinished.push(line.seq),
            Some(Said::Unreadable) => self.ledger.unreadable.push(line.seq),
            Some(Said::Filed {
                ends,
                of,
                exhibit,
                items,
            }) => {
                self.ledger.unfinished.retain(|seq| Some(*seq) != ends);
                for item in items {
                    self.file(of, &exhibit, item);
                }
            }
        }
    }

    fn file(&mut self, of: u64, exhibit: &str, item: CaptureItem) {
        if let Some(sha256) = Hash::parse(&item.sha256) {
            self.files.push(ExhibitFile {
                len: item.bytes,
                path: format!("data/{exhibit}/{}", item.name).into(),
                sha256,
            });
        }
        let row = row(of, exhibit, item);
        self.seen.add(self.text.row(&row));
        self.ledger.rows += 1;
        if row.status.is_hole() {
            self.ledger.partial.push(Hole {
                what: format!("{}/{}", row.exhibit, row.name),
                why: format!("{}: {}", row.status.word(), row.why),
            });
        }
    }

    /// The ledger, the files in order of their paths, and what becomes the ledger's text.
    pub(super) fn end(mut self) -> (Ledger, Vec<ExhibitFile>, Unended) {
        self.files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        self.files.dedup();
        let text = Unended {
            text: self.text,
            seen: self.seen,
        };
        (self.ledger, self.files, text)
    }
}

/// The text of a ledger up to its last row, known by its hash.
pub(super) struct Unended {
    text: LedgerText,
    seen: Hashing,
}

impl Unended {
    /// The whole text's length and hash.
    pub fn end(mut self, ledger: &Ledger) -> Hashing {
        self.seen.add(&self.text.end(ledger));
        self.seen
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::Rows;
    use super::*;
    use crate::journal::Chain;
    use serde_json::json;

    /// The ledger, and its text as it stands in a bundle.
    fn fold(events: &[(&str, serde_json::Value)]) -> (Ledger, String) {
        let mut write = Chain::default();
        let mut read = Chain::default();
        let mut fold = LedgerFold::default();
        let mut journal = Vec::new();
        for (kind, what) in events {
            let line = write.write(
                "2026-11-22T03:14:07.120Z",
                kind,
                1,
                what.clone(),
                "ana@example.com",
            );
            let line = line.unwrap();
            fold.add(&read.check_line(&line).unwrap());
            journal.extend(line);
        }
        let (ledger, _, hashed) = fold.end();
        let len = journal.len() as u64;
        let rows = Rows::of(vec![(&*journal, len)]).map(Result::unwrap);
        let text = text(rows, &ledger);
        assert_eq!(
            hashed.end(&ledger).entry("ledger.json").sha256,
            Hash::of(text.as_bytes()),
            "read again it is the same"
        );
        (ledger, text)
    }

    fn text(rows: impl Iterator<Item = Row>, ledger: &Ledger) -> String {
        let mut text = LedgerText::default();
        let mut all = Vec::new();
        rows.for_each(|row| all.extend_from_slice(text.row(&row)));
        all.extend(text.end(ledger));
        String::from_utf8(all).unwrap()
    }

    fn ended(capture: u64, status: &str) -> serde_json::Value {
        json!({"capture": capture, "exhibit": "0000-host", "ms": 1, "items": [{
            "name": "processes", "source": "ps aux", "status": status, "why": "the reason",
            "bytes": 0, "sha256": "", "redactions": 0,
        }]})
    }

    fn started() -> serde_json::Value {
        json!({"name": "host", "spec": "host", "step": null, "purpose": "baseline", "mono_us": 1})
    }

    #[test]
    fn every_way_to_end_is_a_row_and_all_but_one_are_holes() {
        for (status, hole) in [
            ("collected", false),
            ("failed", true),
            ("timed-out", true),
            ("forbidden", true),
            ("truncated", true),
            ("skipped", true),
            ("withheld", true),
        ] {
            let (ledger, text) = fold(&[
                ("capture.started", started()),
                ("capture.ended", ended(0, status)),
            ]);
            assert_eq!(ledger.rows, 1, "{ledger:?}");
            assert_eq!(ledger.holes().len(), usize::from(hole), "{status}");
            let read: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(read["rows"][0]["status"], status, "{text}");
        }
    }

    #[test]
    fn a_capture_that_never_ended_is_a_hole() {
        let (ledger, text) = fold(&[
            ("capture.started", started()),
            ("note.added", json!({"text": "x"})),
        ]);
        assert!(text.contains("\"rows\": [],\n"), "{text}");
        assert_eq!(ledger.unfinished, [0]);
        assert_eq!(ledger.holes()[0].why, "it was begun and never ended");
    }

    #[test]
    fn an_exhibit_with_an_unknown_field_is_a_hole_not_a_guess() {
        let mut what = ended(0, "collected");
        what["extra"] = json!(1);
        assert_eq!(fold(&[("capture.ended", what)]).0.unreadable, [0]);
    }

    #[test]
    fn what_was_kept_out_is_read_back_and_nothing_beside_it() {
        let kept_out = LeftOut {
            path: "undo".into(),
            why: "it may hold secrets".into(),
        };
        let ledger = Ledger {
            withheld: vec![kept_out],
            ..Ledger::default()
        };
        let text = text(std::iter::empty(), &ledger);
        let mut read = Ledger::default();
        assert_eq!(read.read_left_out(text.as_bytes()), Some(Ok(())));
        assert_eq!(read, ledger);
        assert_eq!(read.read_left_out(&text.as_bytes()[text.len() - 10..]), None);
        let more = text.replace("\"foreign\"", "\"more\": 1, \"foreign\"");
        assert!(read.read_left_out(more.as_bytes()).is_some_and(|r| r.is_err()));
    }
}
