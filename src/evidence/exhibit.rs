//! One piece of evidence, and the ledger of all: what was collected, and what was not and why.

use serde::{Deserialize, Serialize};

use crate::journal::{Hash, Record};
use crate::model::event::{CaptureItem, Event, ItemStatus};

/// One file of an exhibit, as it was when it was stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExhibitFile {
    /// Bytes.
    pub len: u64,
    /// Path below the case folder, `data/<seq>-<name>/…`.
    pub path: String,
    /// Hash of the bytes.
    pub sha256: Hash,
}

/// One line of the ledger: one thing that was looked at, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// One row an exhibit, in the order they were filed.
    pub rows: Vec<Row>,
    /// Captures that were announced and never ended, by record number: the tool died in between.
    pub unfinished: Vec<u64>,
    /// Records that speak of an exhibit in words this version does not know.
    pub unreadable: Vec<u64>,
    /// Kept out by rule: what may hold secrets, and what is no evidence.
    pub withheld: Vec<LeftOut>,
    /// Kept out because it does not belong: names this tool does not make, links, devices.
    pub foreign: Vec<LeftOut>,
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
    /// The ledger as it stands in a bundle: JSON, one row a line, in one spelling.
    pub fn render(&self) -> Vec<u8> {
        // Plain structs of strings and numbers cannot fail to serialise.
        let mut text = serde_json::to_vec_pretty(self).unwrap_or_default();
        text.push(b'\n');
        text
    }

    /// Reads what [`Ledger::render`] wrote; any other spelling is an error.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let ledger: Ledger = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        match ledger.render() == bytes {
            true => Ok(ledger),
            false => Err("not in the one spelling of a ledger".to_owned()),
        }
    }

    /// Everything that was asked for and is not there.
    pub fn holes(&self) -> Vec<Hole> {
        let rows = self
            .rows
            .iter()
            .filter(|row| row.status != ItemStatus::Collected)
            .map(|row| Hole {
                what: format!("{}/{}", row.exhibit, row.name),
                why: format!("{}: {}", row.status.word(), row.why),
            });
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
        rows.chain(unfinished).chain(unreadable).chain(foreign).collect()
    }
}

/// Reads exhibits out of records, one record at a time.
#[derive(Debug, Default)]
pub struct LedgerFold {
    /// The rows so far.
    pub ledger: Ledger,
    /// Files that exhibits say they stored.
    pub files: Vec<ExhibitFile>,
}

impl LedgerFold {
    /// Takes in the next record. What speaks of no evidence is passed over.
    pub fn add(&mut self, record: Record) {
        const KINDS: [&str; 4] = [
            "capture.started",
            "capture.ended",
            "exhibit.filed",
            "file.attached",
        ];
        if !KINDS.contains(&record.kind.as_str()) {
            return;
        }
        match Event::decode(&record.kind, record.v, &record.what) {
            Ok(Event::CaptureStarted(_)) => self.ledger.unfinished.push(record.seq),
            Ok(Event::CaptureEnded(e)) => {
                self.ledger.unfinished.retain(|seq| *seq != e.capture);
                self.file(e.capture, &e.exhibit, e.items);
            }
            Ok(Event::ExhibitFiled(e)) => self.file(e.of, &e.exhibit, e.items),
            Ok(Event::FileAttached(e)) => self.file(record.seq, &e.exhibit, e.items),
            _ => self.ledger.unreadable.push(record.seq),
        }
    }

    fn file(&mut self, seq: u64, exhibit: &str, items: Vec<CaptureItem>) {
        for item in items {
            if let Some(sha256) = Hash::parse(&item.sha256) {
                self.files.push(ExhibitFile {
                    len: item.bytes,
                    path: format!("data/{exhibit}/{}", item.name),
                    sha256,
                });
            }
            self.ledger.rows.push(Row {
                seq,
                exhibit: exhibit.to_owned(),
                name: item.name,
                source: item.source,
                status: item.status,
                why: item.why.unwrap_or_default(),
                bytes: item.bytes,
                redactions: item.redactions,
            });
        }
    }

    /// The ledger, and the files in order of their paths.
    pub fn end(mut self) -> (Ledger, Vec<ExhibitFile>) {
        self.files.sort_by(|a, b| a.path.cmp(&b.path));
        self.files.dedup();
        (self.ledger, self.files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Chain;
    use serde_json::json;

    fn fold(events: &[(&str, serde_json::Value)]) -> Ledger {
        let mut write = Chain::default();
        let mut read = Chain::default();
        let mut fold = LedgerFold::default();
        for (kind, what) in events {
            let line = write.write(
                "2026-11-22T03:14:07.120Z",
                kind,
                1,
                what.clone(),
                "ana@example.com",
            );
            fold.add(read.check(&line.unwrap()).unwrap());
        }
        fold.end().0
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
            let ledger = fold(&[
                ("capture.started", started()),
                ("capture.ended", ended(0, status)),
            ]);
            assert_eq!(ledger.rows.len(), 1, "{ledger:?}");
            assert_eq!(ledger.holes().len(), usize::from(hole), "{status}");
            assert_eq!(Ledger::parse(&ledger.render()), Ok(ledger));
        }
    }

    #[test]
    fn a_capture_that_never_ended_is_a_hole() {
        let ledger = fold(&[
            ("capture.started", started()),
            ("note.added", json!({"text": "x"})),
        ]);
        assert_eq!(ledger.unfinished, [0]);
        assert_eq!(ledger.holes()[0].why, "it was begun and never ended");
    }

    #[test]
    fn an_exhibit_with_an_unknown_field_is_a_hole_not_a_guess() {
        let mut what = ended(0, "collected");
        what["extra"] = json!(1);
        assert_eq!(fold(&[("capture.ended", what)]).unreadable, [0]);
    }

    #[test]
    fn another_spelling_of_a_ledger_is_refused() {
        let text = String::from_utf8(Ledger::default().render()).unwrap();
        assert!(Ledger::parse(text.replace("  ", " ").as_bytes()).is_err());
    }
}
