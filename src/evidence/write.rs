//! The planned members written as one canonical tar, each hashed again while it is copied.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::exhibit::LedgerText;
use super::hashing::{CHUNK, Hashing, Neighbours};
use super::manifest::Entry;
use super::plan::{Body, Plan};
use super::{names, ustar};
use crate::journal::Hash;
use crate::model::ids::IncidentId;

/// Largest signature, in bytes.
pub const SIGNATURE_CAP: u64 = 16 * 1024;

/// Why a bundle could not be written. No file has been left behind, and none replaced.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A file is no longer what was planned: what was signed would not be what is written.
    #[error("{path} is not what was planned and signed: it has changed since it was stored or listed")]
    Changed {
        /// Which one.
        path: String,
    },
    /// A file could not be read.
    #[error("cannot read {path}: {why}")]
    Read {
        /// Which one.
        path: String,
        /// What the system said.
        why: io::Error,
    },
    /// The bundle could not be written.
    #[error("cannot write the bundle: {0}")]
    Write(#[from] io::Error),
    /// There is already something at that path.
    #[error("{0} is there already, and a bundle never replaces anything")]
    Exists(String),
    /// The signature is too large to be one.
    #[error("the signature has {0} bytes; 16 KiB are the limit")]
    Signature(usize),
    /// A name or size that ustar cannot hold; `plan` leaves such files out.
    #[error("{0} cannot stand in a bundle")]
    Name(String),
}

/// Writes the bundle into `out` in one pass, in memory that does not grow with it.
pub fn write(plan: &Plan, signature: Option<&[u8]>, out: &mut impl Write) -> Result<(), WriteError> {
    let mut tar = Tar::new(out, &plan.seal.incident);
    tar.whole(names::TAGMANIFEST, &plan.tagmanifest)?;
    if let Some(signature) = signature {
        if signature.len() as u64 > SIGNATURE_CAP {
            return Err(WriteError::Signature(signature.len()));
        }
        tar.whole(names::SIGNATURE, signature)?;
    }
    tar.planned(plan, |_| true)
}

/// Writes the bundle to `path`: temporary file beside it, sync, rename without replacing, sync of the folder.
pub fn write_file(plan: &Plan, signature: Option<&[u8]>, path: &Path) -> Result<(), WriteError> {
    place(path, |file| write(plan, signature, file))
}

/// Puts a new file at `path`, whole or not at all.
pub(super) fn place(
    path: &Path,
    fill: impl FnOnce(&mut File) -> Result<(), WriteError>,
) -> Result<(), WriteError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    fill(file.as_file_mut())?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|e| match e.error.kind() {
        io::ErrorKind::AlreadyExists => WriteError::Exists(path.display().to_string()),
        _ => WriteError::Write(e.error),
    })?;
    File::open(folder)?.sync_all()?;
    Ok(())
}

/// A tar in the making. File contents are read straight into the buffer that is written out.
pub(super) struct Tar<'a, W> {
    out: &'a mut W,
    buffer: Box<[u8]>,
    used: usize,
    /// Top folder and slash, and then the name of a member.
    name: String,
    below_top: usize,
}

impl<'a, W: Write> Tar<'a, W> {
    pub fn new(out: &'a mut W, top: &IncidentId) -> Self {
        let name = format!("{top}/");
        Tar {
            out,
            buffer: vec![0; 2 * CHUNK].into_boxed_slice(),
            used: 0,
            below_top: name.len(),
            name,
        }
    }

    /// The planned members that `shown` names, in order, and the end of the archive.
    pub fn planned(&mut self, plan: &Plan, shown: impl Fn(&str) -> bool) -> Result<(), WriteError> {
        let mut files = Neighbours::below(&plan.case_dir);
        for tag in plan.tags.iter().filter(|tag| shown(&tag.entry.name)) {
            match &tag.body {
                Body::Bytes(bytes) => self.whole(&tag.entry.name, bytes)?,
                // The journal may have grown since it was sealed.
                Body::CaseFile => {
                    let file = open(&mut files, &tag.entry)?;
                    self.copy(&tag.entry, file.take(tag.entry.len))?;
                }
                Body::Ledger => self.ledger(plan, &tag.entry)?,
                Body::Manifest => {
                    self.header(&tag.entry.name, tag.entry.len)?;
                    plan.manifest_lines()
                        .try_for_each(|line| self.put(line.as_bytes()))?;
                    self.pad(tag.entry.len)?;
                }
            }
        }
        for entry in plan.payload.iter().filter(|entry| shown(&entry.name)) {
            match *entry.name == *names::NOTHING {
                true => self.whole(names::NOTHING, names::NOTHING_TEXT)?,
                false => self.copy(entry, open(&mut files, entry)?)?,
            }
        }
        self.end()
    }

    /// Ends the archive.
    pub fn end(&mut self) -> Result<(), WriteError> {
        self.put(&[0; 2 * ustar::BLOCK as usize])?;
        Ok(self.flush()?)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(&self.buffer[..self.used])?;
        self.used = 0;
        self.out.flush()
    }

    fn put(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.used == self.buffer.len() {
                self.flush()?;
            }
            let n = bytes.len().min(self.buffer.len() - self.used);
            let (now, later) = bytes.split_at(n);
            self.buffer[self.used..self.used + n].copy_from_slice(now);
            self.used += n;
            bytes = later;
        }
        Ok(())
    }

    fn header(&mut self, name: &str, len: u64) -> Result<(), WriteError> {
        self.name.truncate(self.below_top);
        self.name.push_str(name);
        match ustar::header(&self.name, len) {
            Some(block) => Ok(self.put(&block)?),
            None => Err(WriteError::Name(self.name.clone())),
        }
    }

    fn pad(&mut self, len: u64) -> io::Result<()> {
        const ZEROS: [u8; ustar::BLOCK as usize] = [0; ustar::BLOCK as usize];
        let n = usize::try_from(ustar::padding(len)).unwrap_or_default();
        self.put(&ZEROS[..n])
    }

    /// A member with these bytes.
    pub fn whole(&mut self, name: &str, bytes: &[u8]) -> Result<(), WriteError> {
        let len = bytes.len() as u64;
        self.header(name, len)?;
        self.put(bytes)?;
        Ok(self.pad(len)?)
    }

    fn ledger(&mut self, plan: &Plan, entry: &Entry) -> Result<(), WriteError> {
        self.header(&entry.name, entry.len)?;
        let (mut text, mut seen) = (LedgerText::default(), Hashing::default());
        let unread = |why| WriteError::Read {
            path: names::JOURNAL.to_owned(),
            why,
        };
        for row in plan.rows().map_err(unread)? {
            let row = row.map_err(unread)?;
            let piece = text.row(&row);
            self.put(piece)?;
            seen.add(piece);
        }
        let end = text.end(&plan.ledger);
        self.put(&end)?;
        seen.add(&end);
        if seen.entry(&entry.name) != *entry {
            let path = names::JOURNAL.to_owned();
            return Err(WriteError::Changed { path });
        }
        Ok(self.pad(entry.len)?)
    }

    /// A member copied from elsewhere; its hash must be the planned one.
    pub fn copy(&mut self, entry: &Entry, mut file: impl Read) -> Result<(), WriteError> {
        let path = || entry.name.to_string();
        self.header(&entry.name, entry.len)?;
        let mut hasher = Sha256::new();
        let mut left = entry.len;
        loop {
            if self.buffer.len() - self.used < CHUNK {
                self.flush()?;
            }
            // One byte more than there should be: a file that has grown is seen without another call.
            let most = usize::try_from(left).unwrap_or(usize::MAX).saturating_add(1);
            let room = (self.buffer.len() - self.used).min(most);
            let part = &mut self.buffer[self.used..self.used + room];
            let n = match file.read(part) {
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(why) => return Err(WriteError::Read { path: path(), why }),
            };
            let Some(rest) = left.checked_sub(n as u64).filter(|rest| n > 0 || *rest == 0) else {
                return Err(WriteError::Changed { path: path() });
            };
            hasher.update(&part[..n]);
            self.used += n;
            left = rest;
            // Fewer bytes than there was room for are the last ones of a file.
            if left == 0 && n < room {
                break;
            }
        }
        if Hash(hasher.finalize().into()) != entry.sha256 {
            return Err(WriteError::Changed { path: path() });
        }
        Ok(self.pad(entry.len)?)
    }
}

fn open(files: &mut Neighbours<'_>, entry: &Entry) -> Result<File, WriteError> {
    files.open(&entry.name).map_err(|why| WriteError::Read {
        path: entry.name.to_string(),
        why,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_any_length_is_copied_and_one_byte_more_or_less_is_a_change() {
        let incident = IncidentId::new("INC-20261122-0314-k7qf").unwrap();
        for len in [
            0,
            1,
            511,
            512,
            CHUNK - 1,
            CHUNK,
            CHUNK + 1,
            2 * CHUNK,
            5 * CHUNK + 7,
        ] {
            let text: Vec<u8> = (0..=len).map(|n| n as u8).collect();
            let planned = Entry::new("data/0001-x/y", Hash::of(&text[..len]), len as u64);
            // What is written before it leaves the buffer full in different ways.
            for before in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1] {
                let copied = |file: &[u8]| {
                    let mut out = Vec::new();
                    let mut tar = Tar::new(&mut out, &incident);
                    tar.put(&vec![0; before]).unwrap();
                    tar.copy(&planned, file)?;
                    tar.end()?;
                    Ok::<_, WriteError>(out)
                };
                let out = copied(&text[..len]).unwrap();
                let from = before + ustar::BLOCK as usize;
                assert!(out[from..from + len] == text[..len], "{len} behind {before}");
                let changed = |file: &[u8]| matches!(copied(file), Err(WriteError::Changed { .. }));
                assert!(changed(&text), "{len} behind {before}: grown");
                assert!(
                    len == 0 || changed(&text[..len - 1]),
                    "{len} behind {before}: cut"
                );
            }
        }
    }
}
