//! One writer at a time: catch up, append, sync, and only then believe it.

use std::fs::File;
use std::io::{self, BufReader, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;

use rustix::fs::OFlags;
use serde::Deserialize;

use super::case::{Case, JOURNAL};
use super::dir;
use super::error::{Broken, Damage, Doing, StoreError};
use super::replay::{self, Replayed};
use super::spool::{self, ABSORBED};
use crate::journal::{Chain, Hash, Line};

/// A record to be written; its place in the chain is found when it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Wall time, RFC 3339 in UTC with milliseconds.
    pub ts: String,
    /// Kind of event.
    pub kind: String,
    /// Version of that kind's fields.
    pub v: u32,
    /// The event's fields as the JSON text of an object: integers only, ASCII keys.
    pub what: String,
    /// Who did or said it.
    pub who: String,
}

/// A record that is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Its number.
    pub seq: u64,
    /// Hash of its line: the new head.
    pub hash: Hash,
    /// True where the disk was full and the reserve was given up for this record. It happens once.
    pub reserve_freed: bool,
}

/// What [`Locked::read`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaughtUp {
    /// Where the chain stands now.
    pub chain: Chain,
    /// A torn tail, set aside. Record it (`journal.recovered`).
    pub torn: Option<Torn>,
}

/// Bytes of a record that was never finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torn {
    /// The number the record would have had.
    pub seq: u64,
    /// How many bytes.
    pub len: u64,
    /// Their hash.
    pub sha256: Hash,
    /// Where they are kept, in the case folder.
    pub path: PathBuf,
}

/// How far a process has read and checked the record.
#[derive(Default)]
pub(super) struct Tail {
    pub chain: Chain,
    /// Device and inode of the journal.
    file: (u64, u64),
    /// Bytes of it that were checked.
    pub len: u64,
    /// Length of the last line.
    last_len: u64,
    /// Why nothing more is written, if so.
    poisoned: Option<String>,
    /// Heads of the spools whose records are here.
    absorbed: Vec<Hash>,
}

#[derive(Deserialize)]
struct AbsorbedHead {
    head: Hash,
}

impl Tail {
    /// Reads records from `file` on; see [`replay::replay`].
    pub fn follow(
        &mut self,
        file: &File,
        until: Option<u64>,
        on: &mut impl FnMut(&Line<'_>),
    ) -> io::Result<Replayed> {
        let absorbed = &mut self.absorbed;
        replay::replay(file, &mut self.chain, until, |line| {
            if line.kind == ABSORBED
                && let Ok(AbsorbedHead { head }) = line.read()
            {
                absorbed.push(head);
            }
            on(line);
        })
    }

    /// Reads on from where the tail ends; gives the bytes torn after the last line feed.
    pub fn extend(
        &mut self,
        mut file: &File,
        name: &str,
        on: &mut impl FnMut(&Line<'_>),
    ) -> io::Result<Result<u64, StoreError>> {
        file.seek(SeekFrom::Start(self.len))?;
        let read = self.follow(file, None, on)?;
        self.len += read.len;
        if read.len > 0 {
            self.last_len = read.last_len;
        }
        Ok(match read.broken {
            Some(why) => Err(self.damaged(name, why.into())),
            None => Ok(read.torn),
        })
    }

    pub fn remember(&mut self, file: &File) -> io::Result<()> {
        let stat = file.metadata()?;
        self.file = (stat.dev(), stat.ino());
        Ok(())
    }

    pub fn damaged(&self, file: &str, why: Broken) -> StoreError {
        StoreError::Damaged(Damage {
            file: file.to_owned(),
            good: self.chain.next,
            at: self.len,
            head: self.chain.head,
            why,
        })
    }

    /// True where the file still is the one that was read, up to the end of the last line read.
    pub fn still_holds(&self, file: &File) -> io::Result<bool> {
        let stat = file.metadata()?;
        if (stat.dev(), stat.ino()) != self.file || stat.len() < self.len {
            return Ok(false);
        }
        if self.len == 0 {
            return Ok(true);
        }
        let mut last = vec![0; usize::try_from(self.last_len).unwrap_or(usize::MAX)];
        file.read_exact_at(&mut last, self.len - self.last_len)?;
        Ok(Hash::of(&last) == self.chain.head)
    }
}

/// A case held for writing. Dropping it lets the next one in.
pub struct Locked<'c> {
    case: &'c Case,
    journal: File,
    /// Why the journal is open for reading only, if it is: the system's error number.
    read_only: Option<i32>,
    lock: File,
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // Closing is not enough: a child between fork and exec still holds the same lock.
        let _ = self.lock.unlock();
    }
}

impl<'c> Locked<'c> {
    pub(super) fn new(case: &'c Case, lock: File) -> Result<Self, StoreError> {
        let (journal, read_only) = match case.open_journal(OFlags::RDWR | OFlags::APPEND) {
            Err(StoreError::Io { source, .. }) if dir::is_read_only(&source) => {
                (case.open_journal(OFlags::RDONLY)?, source.raw_os_error())
            }
            journal => (journal?, None),
        };
        Ok(Locked {
            case,
            journal,
            read_only,
            lock,
        })
    }

    /// Hands over every record this [`Case`] has not read yet, checked; the first time that is all of them.
    ///
    /// Records appended through the same case count as read. Sets a torn tail aside.
    pub fn read(&mut self, mut on: impl FnMut(&Line<'_>)) -> Result<CaughtUp, StoreError> {
        let path = self.case.dir.join(JOURNAL);
        let mut slot = self.case.tail.borrow_mut();
        let torn = match slot.as_mut() {
            None => {
                let (tail, torn) = self.case.read_all(&self.journal, on)?;
                *slot = Some(tail);
                torn
            }
            Some(tail) => {
                if !tail.still_holds(&self.journal).doing("read", &path)? {
                    return Err(tail.damaged(JOURNAL, Broken::Rewritten));
                }
                tail.extend(&self.journal, JOURNAL, &mut on)
                    .doing("read", &path)??
            }
        };
        let Some(tail) = slot.as_ref() else {
            return Err(StoreError::Unread);
        };
        let torn = if torn > 0 {
            Some(self.set_aside(tail)?)
        } else {
            None
        };
        Ok(CaughtUp {
            chain: tail.chain,
            torn,
        })
    }

    /// Writes one record; on disk when this returns.
    pub fn append(&mut self, draft: Draft) -> Result<Appended, StoreError> {
        let appended = self.append_group(vec![draft])?;
        appended.into_iter().next().ok_or(StoreError::Unread)
    }

    /// Writes several records with one write and one sync: all of them are on disk when this returns.
    ///
    /// After an error none of them is believed; a crash in between may have left the first few.
    pub fn append_group(&mut self, drafts: Vec<Draft>) -> Result<Vec<Appended>, StoreError> {
        let path = self.case.dir.join(JOURNAL);
        let mut slot = self.case.tail.borrow_mut();
        let tail = slot.as_mut().ok_or(StoreError::Unread)?;
        if let Some(why) = &tail.poisoned {
            return Err(StoreError::Poisoned { why: why.clone() });
        }
        if let Some(code) = self.read_only {
            return Err(io::Error::from_raw_os_error(code)).doing("append to", path);
        }
        if self.journal.metadata().doing("look at", &path)?.len() != tail.len {
            return Err(StoreError::Unread);
        }
        let mut chain = tail.chain;
        let mut bytes = Vec::new();
        let mut last_len = 0;
        let mut appended = Vec::with_capacity(drafts.len());
        for d in drafts {
            let line = chain.write_text(&d.ts, &d.kind, d.v, &d.what, &d.who)?;
            last_len = line.len();
            bytes.extend(line);
            appended.push(Appended {
                seq: chain.next - 1,
                hash: chain.head,
                reserve_freed: false,
            });
        }
        if bytes.is_empty() {
            return Ok(appended);
        }
        let freed = match self.write(tail, &bytes) {
            Err(e) if dir::is_full(&e) && tail.poisoned.is_none() && self.case.free_reserve() => {
                self.write(tail, &bytes).doing("append to", &path)?;
                true
            }
            done => done.map(|()| false).doing("append to", &path)?,
        };
        if let Err(e) = self.journal.sync_data() {
            // The kernel may have dropped the pages: a second sync would lie. What is not believed is
            // taken back, so that it is not found here as well as in a spool.
            let _ = self.journal.set_len(tail.len);
            tail.poisoned = Some(format!("the last record could not be synced: {e}"));
            return Err(e).doing("sync", &path);
        }
        tail.chain = chain;
        tail.len += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        tail.last_len = u64::try_from(last_len).unwrap_or(u64::MAX);
        if let Some(last) = appended.last_mut() {
            last.reserve_freed = freed;
        }
        Ok(appended)
    }

    pub(super) fn has_absorbed(&self, head: Hash) -> Result<bool, StoreError> {
        let slot = self.case.tail.borrow();
        let tail = slot.as_ref().ok_or(StoreError::Unread)?;
        Ok(tail.absorbed.contains(&head))
    }

    pub(super) fn note_absorbed(&self, head: Hash) {
        if let Some(tail) = self.case.tail.borrow_mut().as_mut() {
            tail.absorbed.push(head);
        }
    }

    pub(super) fn keep_spool(&self, head: Hash, lines: &[u8]) -> Result<(), StoreError> {
        let tmp = self.case.sub("tmp")?;
        tmp.write_once(&tmp, &spool::kept_name(head), lines)
    }

    /// Appends the bytes whole, or takes back what was written of them.
    fn write(&self, tail: &mut Tail, bytes: &[u8]) -> io::Result<()> {
        let mut journal = &self.journal;
        let written = journal.write_all(bytes);
        if let Err(why) = &written
            && let Err(e) = journal.set_len(tail.len)
        {
            tail.poisoned = Some(format!(
                "half a record could not be taken back ({e}) after: {why}"
            ));
        }
        written
    }

    /// Moves what follows the last line feed to tmp/, durable there before it goes here.
    fn set_aside(&self, tail: &Tail) -> Result<Torn, StoreError> {
        let seq = tail.chain.next;
        let tmp = self.case.sub("tmp")?;
        let (name, copy) = (1_u32..)
            .map(|n| {
                if n == 1 {
                    format!("torn-{seq}")
                } else {
                    format!("torn-{seq}.{n}")
                }
            })
            .find_map(|name| match tmp.create(&name) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => None,
                made => Some((name, made)),
            })
            .ok_or(StoreError::Unread)?;
        let path = tmp.join(&name);
        let mut copy = copy.doing("make", &path)?;
        let moved = match self.copy_torn(tail, &copy) {
            Err(e) if dir::is_full(&e) && self.case.free_reserve() => copy
                .rewind()
                .and_then(|()| copy.set_len(0))
                .and_then(|()| self.copy_torn(tail, &copy)),
            done => done,
        };
        let (len, sha256) = moved.doing("write", &path)?;
        tmp.sync().doing("sync", tmp.path())?;
        self.journal
            .set_len(tail.len)
            .and_then(|()| self.journal.sync_data())
            .doing("cut the torn record off", self.case.dir.join(JOURNAL))?;
        Ok(Torn {
            seq,
            len,
            sha256,
            path: PathBuf::from("tmp").join(name),
        })
    }

    fn copy_torn(&self, tail: &Tail, mut copy: &File) -> io::Result<(u64, Hash)> {
        let mut journal = &self.journal;
        journal.seek(SeekFrom::Start(tail.len))?;
        let mut from = BufReader::new(journal);
        io::copy(&mut from, &mut copy)?;
        copy.sync_all()?;
        copy.rewind()?;
        replay::measure(copy)
    }
}
