//! The whole record of a case: its journal, and before it the good part of every damaged one it continues.

use std::fs::File;
use std::io::{self, Seek};
use std::path::PathBuf;

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use super::append::Tail;
use super::case::{Case, JOURNAL};
use super::error::{Broken, Damage, Doing, StoreError};
use super::replay;
use crate::journal::{Chain, Hash, Line};

/// Kind of the record that begins a journal which continues a damaged one.
pub(super) const CONTINUED: &str = "journal.continued";

/// What a `journal.continued` record says, version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Continued {
    /// Name of the damaged journal in the case folder.
    pub damaged: String,
    /// SHA-256 of the whole damaged file.
    pub sha256: Hash,
    /// Bytes of the damaged file.
    pub len: u64,
    /// Good records before the damage, counted from the first of the case.
    pub good: u64,
    /// Offset of the first bad line.
    pub at: u64,
    /// What is wrong there.
    pub why: String,
}

/// What reading without the lock found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    /// Where the chain stands.
    pub chain: Chain,
    /// Bytes after the last line feed: a torn tail, or a record being written right now.
    pub torn: u64,
}

/// A reader that remembers how far it came.
#[derive(Default)]
pub struct Reader(Option<Tail>);

impl Case {
    /// Reads and checks what this reader has not read yet, without taking the lock; the first time that is all.
    ///
    /// `Damaged` with [`Broken::Rewritten`] where the journal is no longer the one that was read.
    pub fn read_on(&self, reader: &mut Reader, mut on: impl FnMut(&Line<'_>)) -> Result<(), StoreError> {
        let journal = self.open_journal(OFlags::RDONLY)?;
        let path = || self.dir.join(JOURNAL);
        let Some(tail) = &mut reader.0 else {
            reader.0 = Some(self.read_all(&journal, on)?.0);
            return Ok(());
        };
        if !tail.still_holds(&journal).doing("read", path())? {
            return Err(tail.damaged(JOURNAL, Broken::Rewritten));
        }
        tail.extend(&journal, JOURNAL, &mut on)
            .doing("read", path())?
            .map(drop)
    }

    /// Reads and checks every record without taking the lock; changes nothing on disk.
    pub fn read(&self, on: impl FnMut(&Line<'_>)) -> Result<Read, StoreError> {
        let journal = self.open_journal(OFlags::RDONLY)?;
        let (tail, torn) = self.read_all(&journal, on)?;
        Ok(Read {
            chain: tail.chain,
            torn,
        })
    }

    /// The files that together are the record, oldest first, by their paths in the case folder.
    ///
    /// Of each but the last only the good part counts, which is as long as the next one says.
    pub fn journals(&self) -> Result<Vec<PathBuf>, StoreError> {
        let journal = self.open_journal(OFlags::RDONLY)?;
        let mut names = self.damaged_names(&journal)?;
        names.push(JOURNAL.to_owned());
        Ok(names.into_iter().map(PathBuf::from).collect())
    }

    pub(super) fn open_journal(&self, flags: OFlags) -> Result<File, StoreError> {
        match self.dir.open(JOURNAL, flags) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(StoreError::Damaged(Damage {
                file: JOURNAL.to_owned(),
                good: 0,
                at: 0,
                head: Hash::ZERO,
                why: Broken::Gone,
            })),
            file => file.doing("open", self.dir.join(JOURNAL)),
        }
    }

    /// Names of the journals that `repair` set aside, oldest first.
    pub(super) fn damaged_names(&self, journal: &File) -> Result<Vec<String>, StoreError> {
        let mut names = Vec::new();
        for n in 1_u32.. {
            let name = damaged_name(n);
            match self.dir.is(&name, journal) {
                Ok(false) => names.push(name),
                // A repair that was cut short: it has two names, and is not set aside yet.
                Ok(true) => break,
                Err(e) if e.kind() == io::ErrorKind::NotFound => break,
                Err(e) => return Err(e).doing("look at", self.dir.join(&name)),
            }
        }
        Ok(names)
    }

    /// Reads everything up to the end of `journal`; gives the tail and the bytes torn after it.
    pub(super) fn read_all(
        &self,
        journal: &File,
        mut on: impl FnMut(&Line<'_>),
    ) -> Result<(Tail, u64), StoreError> {
        let mut tail = Tail::default();
        let damaged = self.damaged_names(journal)?;
        for (name, next) in damaged
            .iter()
            .zip(damaged.iter().skip(1).map(String::as_str).chain([JOURNAL]))
        {
            self.read_damaged(name, next, &mut tail, &mut on)?;
        }
        if damaged.is_empty() && self.first_of(JOURNAL)?.is_some_and(|(_, before)| before.next > 0) {
            return Err(tail.damaged(JOURNAL, Broken::NoPredecessor));
        }
        let torn = tail
            .extend(journal, JOURNAL, &mut on)
            .doing("read", self.dir.join(JOURNAL))??;
        tail.remember(journal).doing("look at", self.dir.join(JOURNAL))?;
        Ok((tail, torn))
    }

    /// Reads as much of a damaged journal as `next` names, and checks that it is the one named.
    fn read_damaged(
        &self,
        name: &str,
        next: &str,
        tail: &mut Tail,
        on: &mut impl FnMut(&Line<'_>),
    ) -> Result<(), StoreError> {
        let path = self.dir.join(name);
        let mut file = self.dir.open(name, OFlags::RDONLY).doing("open", &path)?;
        let Some((said, before)) = self.first_of(next)? else {
            // The record that would say how much of it counts is damaged itself: as much as is good.
            tail.follow(&file, None, on).doing("read", &path)?;
            return Ok(());
        };
        let (len, sha256) = replay::measure(&file).doing("read", &path)?;
        if (said.damaged.as_str(), said.sha256, said.len, said.good) != (name, sha256, len, before.next) {
            return Err(tail.damaged(name, Broken::NotWhatWasNamed));
        }
        file.rewind().doing("read", &path)?;
        let read = tail.follow(&file, Some(before.next), on).doing("read", &path)?;
        if read.broken.is_some() || tail.chain != before {
            return Err(tail.damaged(name, Broken::NotWhatWasNamed));
        }
        Ok(())
    }

    /// What the first line of a journal says it continues, where it says so.
    fn first_of(&self, name: &str) -> Result<Option<(Continued, Chain)>, StoreError> {
        let path = self.dir.join(name);
        let file = self.dir.open(name, OFlags::RDONLY).doing("open", &path)?;
        let mut first = None;
        let line = replay::first_line(file).doing("read", &path)?;
        if let Some(mut chain) = Chain::before(&line) {
            let before = chain;
            if let Ok(line) = chain.check_line(&line)
                && line.kind == CONTINUED
                && let Ok(said) = line.read::<Continued>()
            {
                first = Some((said, before));
            }
        }
        Ok(first)
    }
}

pub(super) fn damaged_name(n: u32) -> String {
    format!("journal.damaged-{n}.jsonl")
}
