//! One piece of evidence, and the ledger of all: what was collected, and what was not and why.

use serde::{Deserialize, Serialize};

use crate::journal::{Hash, Record};

/// How a capture ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Whole, as far as the collector can know.
    Collected,
    /// The collector or the program it ran failed.
    Failed,
    /// A deadline passed.
    TimedOut,
    /// The source refused us.
    Forbidden,
    /// Cut at a size or count limit.
    Truncated,
    /// Whole but for secrets, each with a receipt.
    Redacted,
    /// Nobody tried.
    Skipped,
    /// Collected, and kept out of what is handed on.
    Withheld,
}

impl Status {
    /// True where something that was asked for is not there.
    pub fn is_hole(self) -> bool {
        !matches!(self, Status::Collected | Status::Redacted)
    }
}

/// Where an exhibit comes from. Masked of secrets before it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Origin {
    /// A program that was run.
    Argv(Vec<String>),
    /// A file or folder, by its path on the host it was on.
    Path(String),
    /// A query sent to a server.
    Query {
        /// Which server.
        server: String,
        /// What was asked.
        text: String,
    },
    /// A web address.
    Url(String),
    /// Someone who handed it in.
    Person(String),
}

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

/// A secret that was taken out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redaction {
    /// Which file of the exhibit.
    pub file: String,
    /// Keyed fingerprint of the secret.
    pub fingerprint: String,
    /// Its length in bytes.
    pub len: u64,
    /// Where it stood, in bytes from the start of the original.
    pub offset: u64,
    /// The rule that found it.
    pub rule: String,
}

/// One piece of evidence. A record carries it under `what.exhibit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exhibit {
    /// When collecting ended, RFC 3339.
    pub ended: String,
    /// What was stored; empty where nothing was.
    pub files: Vec<ExhibitFile>,
    /// Short name for people, unique in the incident, such as `E41`.
    pub id: String,
    /// What it is, such as `processes`.
    pub name: String,
    /// Where it comes from.
    pub origin: Origin,
    /// Secrets taken out.
    pub redactions: Vec<Redaction>,
    /// Number of the record that announced the capture.
    pub seq: u64,
    /// When collecting began, RFC 3339.
    pub started: String,
    /// How it ended.
    pub status: Status,
    /// Why it ended that way; empty only for [`Status::Collected`].
    pub why: String,
}

/// One line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Number of the record that announced the capture.
    pub seq: u64,
    /// Short name for people.
    pub id: String,
    /// What it is.
    pub name: String,
    /// How it ended.
    pub status: Status,
    /// Why it ended that way.
    pub why: String,
    /// How many files it has. Their hashes stand in the journal and in the manifest.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many secrets were taken out. The receipts stand in the journal.
    pub redactions: u64,
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
            .filter(|row| row.status.is_hole())
            .map(|row| Hole {
                what: format!("exhibit {} ({})", row.id, row.name),
                why: format!("{}: {}", word(row.status), row.why),
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

fn word(status: Status) -> &'static str {
    match status {
        Status::Collected => "collected",
        Status::Failed => "failed",
        Status::TimedOut => "timed out",
        Status::Forbidden => "forbidden",
        Status::Truncated => "truncated",
        Status::Redacted => "redacted",
        Status::Skipped => "skipped",
        Status::Withheld => "withheld",
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
    /// Takes in the next record. What is no exhibit is passed over.
    pub fn add(&mut self, mut record: Record) {
        if record.kind == "capture.started" {
            self.ledger.unfinished.push(record.seq);
        }
        let Some(value) = record.what.get_mut("exhibit").map(serde_json::Value::take) else {
            return;
        };
        let Ok(exhibit) = serde_json::from_value::<Exhibit>(value) else {
            self.ledger.unreadable.push(record.seq);
            return;
        };
        self.ledger.unfinished.retain(|seq| *seq != exhibit.seq);
        self.ledger.rows.push(Row {
            seq: exhibit.seq,
            id: exhibit.id,
            name: exhibit.name,
            status: exhibit.status,
            why: exhibit.why,
            files: exhibit.files.len() as u64,
            bytes: exhibit.files.iter().map(|f| f.len).sum(),
            redactions: exhibit.redactions.len() as u64,
        });
        self.files.extend(exhibit.files);
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

    fn exhibit(seq: u64, status: &str) -> serde_json::Value {
        json!({"exhibit": {
            "id": format!("E{seq}"), "seq": seq, "name": "processes", "origin": {"argv": ["ps", "aux"]},
            "files": [], "status": status, "why": "the reason", "redactions": [],
            "started": "2026-11-22T03:14:07.120Z", "ended": "2026-11-22T03:14:08.120Z",
        }})
    }

    #[test]
    fn every_way_to_end_is_a_row_and_most_are_holes() {
        for (status, hole) in [
            ("collected", false),
            ("redacted", false),
            ("failed", true),
            ("timed-out", true),
            ("forbidden", true),
            ("truncated", true),
            ("skipped", true),
            ("withheld", true),
        ] {
            let ledger = fold(&[
                ("capture.started", json!({"n": 1})),
                ("capture.ended", exhibit(0, status)),
            ]);
            assert_eq!(ledger.rows.len(), 1);
            assert_eq!(ledger.holes().len(), usize::from(hole), "{status}");
            assert_eq!(Ledger::parse(&ledger.render()), Ok(ledger));
        }
    }

    #[test]
    fn a_capture_that_never_ended_is_a_hole() {
        let ledger = fold(&[("capture.started", json!({"n": 1})), ("note.added", json!({}))]);
        assert_eq!(ledger.unfinished, [0]);
        assert_eq!(ledger.holes()[0].why, "it was begun and never ended");
    }

    #[test]
    fn an_exhibit_with_an_unknown_field_is_a_hole_not_a_guess() {
        let mut what = exhibit(0, "collected");
        what["exhibit"]["extra"] = json!(1);
        assert_eq!(fold(&[("capture.ended", what)]).unreadable, [0]);
    }

    #[test]
    fn another_spelling_of_a_ledger_is_refused() {
        let text = String::from_utf8(Ledger::default().render()).unwrap();
        assert!(Ledger::parse(text.replace("  ", " ").as_bytes()).is_err());
    }
}
