//! Where records go while the case folder cannot be written, so that stop never waits for a disk.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::json;

use super::append::{Appended, Draft, Locked};
use super::dir::Dir;
use super::error::{Doing, StoreError};
use super::replay;
use crate::journal::{self, Chain, Hash};
use crate::model::ids::IncidentId;

/// Kind of the record that ends the records taken over from a spool.
pub(super) const ABSORBED: &str = "spool.absorbed";

const FILE: &str = "journal.jsonl";
/// Longest spool that is read back, in bytes.
const CAP: u64 = 256 << 20;

/// Where a spool is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In this folder.
    Folder(PathBuf),
    /// Only in the memory of this process: lost when it ends.
    Memory,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Folder(path) => write!(f, "{}", path.display()),
            Place::Memory => f.write_str("only in memory"),
        }
    }
}

/// A journal of its own beside the case. Appending to it fails for no disk.
pub struct Spool {
    prefix: String,
    candidates: std::vec::IntoIter<PathBuf>,
    place: Place,
    file: Option<File>,
    chain: Chain,
    /// All lines, to start again elsewhere when a place fails.
    lines: Vec<u8>,
}

/// What [`Locked::absorb`] took over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spooled {
    /// Records taken over; 0 where they had been before.
    pub records: u64,
    /// The record that says so; `None` where it had been written before.
    pub recorded: Option<Appended>,
    /// Why its folder stays where it was, though its records are here.
    pub stays: Option<String>,
}

impl Spool {
    /// Begins a spool in the first of these folders that takes one, else in memory. Never fails.
    pub fn open(id: &IncidentId, candidates: Vec<PathBuf>) -> Spool {
        let mut spool = Spool {
            prefix: prefix(id),
            candidates: candidates.into_iter(),
            place: Place::Memory,
            file: None,
            chain: Chain::default(),
            lines: Vec::new(),
        };
        spool.move_on();
        spool
    }

    /// Where it is now.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Where its chain stands.
    pub fn chain(&self) -> Chain {
        self.chain
    }

    /// Writes one record, synced where there is a disk. Fails only for what is no record.
    ///
    /// Where the place no longer takes it, the whole spool goes on in the next one; look at
    /// [`Spool::place`] afterwards.
    pub fn append(&mut self, draft: Draft) -> Result<Appended, StoreError> {
        let line = self
            .chain
            .write_text(&draft.ts, &draft.kind, draft.v, &draft.what, &draft.who)?;
        self.lines.extend_from_slice(&line);
        let kept = match &mut self.file {
            Some(file) => file.write_all(&line).and_then(|()| file.sync_data()).is_ok(),
            None => true,
        };
        if !kept {
            self.move_on();
        }
        Ok(Appended {
            seq: self.chain.next - 1,
            hash: self.chain.head,
            reserve_freed: false,
        })
    }

    /// Spools of this case left in these folders by earlier runs, of this user and private, the oldest of each folder
    /// first.
    pub fn find(id: &IncidentId, candidates: &[PathBuf]) -> Vec<PathBuf> {
        let prefix = prefix(id);
        let mut found = Vec::new();
        for candidate in candidates {
            let Ok(dir) = Dir::at(candidate) else { continue };
            let private = |sub: Dir| matches!(sub.exposed(), Ok(None));
            let mut names = dir.names().unwrap_or_default();
            names.retain(|name| name.starts_with(&prefix) && dir.sub(name).is_ok_and(private));
            // The tenth comes after the second.
            names.sort_by_key(|name| (name.len(), name.clone()));
            found.extend(names.iter().map(|name| dir.join(name)));
        }
        found
    }

    /// Its lines, whole.
    pub fn lines(&self) -> &[u8] {
        &self.lines
    }

    /// Reads a spool that an earlier run left, as far as it is whole.
    pub fn load(folder: &Path) -> Result<Spool, StoreError> {
        let bytes = Dir::at(folder)
            .and_then(|dir| dir.read(FILE, CAP))
            .doing("read", folder)?;
        let mut chain = Chain::default();
        let good = replay::replay(bytes.as_slice(), &mut chain, None, |_| {}).doing("read", folder)?;
        let good = usize::try_from(good.len).unwrap_or(bytes.len());
        Ok(Spool {
            prefix: String::new(),
            candidates: Vec::new().into_iter(),
            place: Place::Folder(folder.to_owned()),
            file: None,
            chain,
            lines: bytes[..good].to_vec(),
        })
    }

    /// Goes on in the next place that takes everything so far.
    fn move_on(&mut self) {
        for candidate in self.candidates.by_ref() {
            if let Ok((path, file)) = begin(&candidate, &self.prefix, &self.lines) {
                self.place = Place::Folder(path);
                self.file = Some(file);
                return;
            }
        }
        self.place = Place::Memory;
        self.file = None;
    }
}

impl Locked<'_> {
    /// Takes the records of a spool into the case, each with its own time, then says so in a record.
    ///
    /// One write and one sync; what was taken over before is not taken twice. The spool's folder goes
    /// once its records are here, its own bytes stay in tmp/.
    pub fn absorb(&mut self, spool: &Spool, ts: &str, who: &str) -> Result<Spooled, StoreError> {
        let head = spool.chain.head;
        let mut taken = Spooled {
            records: 0,
            recorded: None,
            stays: None,
        };
        if spool.chain.next > 0 && !self.has_absorbed(head)? {
            self.keep_spool(head, &spool.lines)?;
            let mut drafts = drafts(&spool.lines)?;
            taken.records = spool.chain.next;
            drafts.push(Draft {
                ts: ts.to_owned(),
                kind: ABSORBED.to_owned(),
                v: 1,
                what: json!({"head": head, "place": spool.place.to_string(), "records": taken.records})
                    .to_string(),
                who: who.to_owned(),
            });
            taken.recorded = self.append_group(drafts)?.last().copied();
            self.note_absorbed(head);
        }
        // What it holds is here: a disk that cannot be written holds nobody up.
        if let Place::Folder(path) = &spool.place {
            taken.stays = remove(path).err().map(|e| e.to_string());
        }
        Ok(taken)
    }
}

fn drafts(lines: &[u8]) -> Result<Vec<Draft>, StoreError> {
    let mut chain = Chain::default();
    journal::lines(lines)
        .map(|line| {
            let line = chain.check_line(line)?;
            Ok(Draft {
                ts: line.ts.into_owned(),
                kind: line.kind.into_owned(),
                v: line.v,
                what: line.what.into_owned(),
                who: line.who.into_owned(),
            })
        })
        .collect()
}

fn prefix(id: &IncidentId) -> String {
    format!("incident-spool-{id}.")
}

/// Makes a folder of our own in `candidate` and writes what there is so far.
fn begin(candidate: &Path, prefix: &str, lines: &[u8]) -> io::Result<(PathBuf, File)> {
    let outer = Dir::at(candidate)?;
    // Never a folder that was there before: in /tmp it could be anybody's.
    let (name, dir) = (1_u32..1000)
        .map(|n| format!("{prefix}{n}"))
        .find_map(|name| match outer.make(&name) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => None,
            made => Some((name, made)),
        })
        .ok_or(io::ErrorKind::AlreadyExists)?;
    let mut file = dir?.create(FILE)?;
    file.write_all(lines)?;
    file.sync_all()?;
    Ok((outer.join(&name), file))
}

fn remove(folder: &Path) -> io::Result<()> {
    match std::fs::remove_file(folder.join(FILE)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        done => done?,
    }
    match std::fs::remove_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Name under which a spool's own bytes stay in the case.
pub(super) fn kept_name(head: Hash) -> String {
    format!("spool-{}.jsonl", head.short())
}
