//! What a rung of the ladder is sent of the record: a part of a sealed bundle that proves itself, and no more of it
//! than the rung names.

use std::path::{Path, PathBuf};

use super::capture::kept_whole;
use super::{Engine, EngineError};
use crate::evidence::{self, BundleMeta};
use crate::journal::Hash;
use crate::model::event::{Event, FileAttached, SliceCut};
use crate::model::incident::{Incident, SENT};
use crate::model::runbook::Rung;
use crate::report::{self, Entry};
use crate::store::Stored;

/// Longest part that is sent, in bytes: it must fit into a mail.
const CAP: u64 = 4 << 20;
/// Rows of the timeline that are sent, the newest.
const ROWS: usize = 40;

/// A part of the record, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// Where it lies.
    pub path: PathBuf,
    /// SHA-256 of it.
    pub sha256: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// What of the record it shows: files and exhibits.
    pub shown: Vec<String>,
    /// What the rung names and it does not hold, with the reason.
    pub left: Vec<String>,
}

impl Slice {
    /// One line about it.
    pub fn words(&self) -> String {
        let left = match self.left.is_empty() {
            true => String::new(),
            false => format!("; not in it: {}", self.left.join(", ")),
        };
        let (kib, shown) = (self.bytes.div_ceil(1024), self.shown.join(", "));
        format!(
            "a part of the record ({shown}; {kib} KiB, unsigned, SHA-256 {}){left}",
            self.sha256
        )
    }
}

impl Engine<'_> {
    /// Cuts what this rung is sent out of the record as it stands now. `None` where it is sent the request alone.
    pub(super) fn slice(&self, request: u64, number: u32, rung: &Rung) -> Result<Option<Slice>, EngineError> {
        let sends = &rung.sends;
        if !sends.brief && !sends.timeline && sends.exhibits.is_empty() {
            return Ok(None);
        }
        let no = |e: &dyn std::fmt::Display| EngineError::Escalation(e.to_string());
        let told = self.file_words(number, rung)?;
        let incident = self.incident()?;
        let sealed = self.seal(false)?;
        let mut at = String::new();
        self.entries(|entry| {
            if entry.seq == sealed {
                at = entry.ts;
            }
        })?;
        let case = self.case_path().ok_or(EngineError::NotDurable)?;
        let plan = evidence::plan(
            &case,
            &BundleMeta {
                incident: incident.id().clone(),
                sealed_by: self.who(),
                sealed_at: at,
                records: Some(sealed + 1),
                hash_anew: false,
            },
        )
        .map_err(|e| no(&e))?;
        let mut must = vec![format!("signoffs/{request:08}.txt")];
        let proof = super::answers::requester_file(request);
        if incident.requests.get(&request).is_some_and(|r| r.asked.proven) {
            must.push(format!("signoffs/{proof}"));
        }
        must.extend(told);
        let (mut wanted, mut left) = (Vec::new(), Vec::new());
        for name in &sends.exhibits {
            match newest(&incident, name) {
                Some(exhibit) => wanted.push((name, exhibit)),
                None => left.push(format!("{name} (never captured)")),
            }
        }
        let exhibits: Vec<String> = wanted.iter().map(|(_, exhibit)| exhibit.clone()).collect();
        let file = format!("slice-{request:04}-{number}-{sealed:04}.tar");
        let path = case.join("tmp").join(&file);
        let (_, no_room) =
            evidence::disclose_planned(&plan, &must, &exhibits, CAP, &path).map_err(|e| no(&e))?;
        wanted.retain(|(name, exhibit)| {
            let held = !no_room.contains(exhibit);
            if !held {
                left.push(format!("{name} (no room in {} MiB)", CAP >> 20));
            }
            held
        });
        let bytes = self.with_case(|case| case.read_file(&Path::new("tmp").join(&file), CAP))?;
        let slice = Slice {
            path,
            sha256: Hash::of(&bytes).to_string(),
            bytes: bytes.len() as u64,
            shown: must
                .into_iter()
                .chain(wanted.into_iter().map(|(_, exhibit)| exhibit))
                .collect(),
            left,
        };
        self.record(SliceCut {
            request,
            rung: number,
            name: rung.name.clone(),
            who: rung.who.clone(),
            shown: slice.shown.clone(),
            left: slice.left.clone(),
            bytes: slice.bytes,
            sha256: slice.sha256.clone(),
            file: format!("tmp/{file}"),
        })?;
        Ok(Some(slice))
    }

    /// Files the brief and the end of the timeline as an exhibit, so that the seal covers what is sent. Its name.
    fn file_words(&self, number: u32, rung: &Rung) -> Result<Option<String>, EngineError> {
        let mut texts = Vec::new();
        if rung.sends.brief {
            texts.push(("brief.txt", self.brief_lines(&*self.incident()?) + "\n"));
        }
        if rung.sends.timeline {
            texts.push(("timeline.txt", self.timeline_end()?));
        }
        if texts.is_empty() {
            return Ok(None);
        }
        let redactor = self.redactor();
        let case = self.case()?;
        let seq = self.incident()?.records;
        let staging = case.begin_capture(seq, "attached")?;
        let (mut stored, mut items): (Vec<Stored>, _) = (Vec::new(), Vec::new());
        let from = format!("{SENT}{number}, {}", self.scrubbed(&rung.name));
        for (name, text) in texts {
            let (clean, taken) = redactor.redact(text.as_bytes());
            let file = staging.put(name, &clean)?;
            let taken = u32::try_from(taken.len()).unwrap_or(u32::MAX);
            items.push(kept_whole(&file, &from, taken));
            stored.push(file);
        }
        staging.commit(stored)?;
        let exhibit = format!("{seq:04}-attached");
        self.record(Event::from(FileAttached {
            exhibit: exhibit.clone(),
            from,
            items,
        }))?;
        Ok(Some(exhibit))
    }

    /// The newest rows of the timeline, oldest first.
    fn timeline_end(&self) -> Result<String, EngineError> {
        let mut entries = Vec::new();
        self.entries(|entry| entries.push(entry))?;
        let rows = report::timeline(&entries);
        let first = rows.len().saturating_sub(ROWS);
        let lines = rows.get(first..).unwrap_or_default().iter().map(|row| {
            let words = evidence::escape(&row.words);
            format!(
                "{} #{} {}: {words}\n",
                row.ts,
                row.seq,
                evidence::escape(&row.who)
            )
        });
        let lines: String = lines.collect();
        Ok(match first {
            0 => lines,
            n => format!("({n} earlier rows are not in this part)\n{lines}"),
        })
    }

    fn entries(&self, mut each: impl FnMut(Entry)) -> Result<(), EngineError> {
        self.with_case(|case| {
            case.read(|line| {
                if let Ok(entry) = Entry::read(line) {
                    each(entry);
                }
            })
            .map(drop)
        })
    }
}

/// The newest exhibit of that name, or of the step of that name.
fn newest(incident: &Incident, name: &str) -> Option<String> {
    let captures = incident.captures.values().rev();
    let mut mine = captures.filter(|c| c.name == name || c.step.as_ref().is_some_and(|s| s.as_str() == name));
    mine.find_map(|c| c.exhibit.clone())
}
