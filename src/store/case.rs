//! One case's folder: what is in it, who may write to it now, and the files that are written once.

use std::cell::RefCell;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::append::{Locked, Tail};
use super::dir::{self, Dir};
use super::error::{Doing, StoreError};
use super::exhibit::Stored;
use crate::journal::Hash;
use crate::model::ids::IncidentId;

pub(super) const JOURNAL: &str = "journal.jsonl";
const LOCK: &str = "lock";
const ACT_LOCK: &str = "act.lock";
const MIRROR_LOCK: &str = "mirror.lock";
const MIRROR_NOTE: &str = "mirror.json";
const KEY: &str = "case.key";
pub(super) const RESERVE: &str = "reserve";

/// Bytes kept aside so that a full disk does not end the record.
const RESERVE_LEN: u64 = 16 << 20;

/// An open case.
pub struct Case {
    pub(super) id: IncidentId,
    pub(super) dir: Dir,
    /// How far this process has read and checked the journal.
    pub(super) tail: RefCell<Option<Tail>>,
}

/// A file kept as it was when the case was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pin {
    /// The plan in force.
    Runbook,
    /// The inventory in force.
    Access,
    /// The roster in force.
    AllowedSigners,
    /// Keys and certificates that no longer count.
    RevokedKeys,
    /// Acts that somebody approved in peacetime.
    ApprovedActs,
}

impl Pin {
    /// All of them.
    pub const ALL: [Pin; 5] = [
        Pin::Runbook,
        Pin::Access,
        Pin::AllowedSigners,
        Pin::RevokedKeys,
        Pin::ApprovedActs,
    ];

    /// Its name in the case folder.
    pub fn file_name(self) -> &'static str {
        match self {
            Pin::Runbook => "runbook.yaml",
            Pin::Access => "access.yaml",
            Pin::AllowedSigners => "allowed_signers",
            Pin::RevokedKeys => "revoked_keys",
            Pin::ApprovedActs => "approved_acts.json",
        }
    }
}

/// A folder of small files that are written once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Folder {
    /// What undoes a cut. May hold secrets; never leaves the case.
    Undo,
    /// Requests, acts and signed answers.
    Signoffs,
    /// Receipts for heads held elsewhere.
    Anchors,
}

impl Folder {
    /// Its name in the case folder.
    pub fn name(self) -> &'static str {
        match self {
            Folder::Undo => "undo",
            Folder::Signoffs => "signoffs",
            Folder::Anchors => "anchors",
        }
    }
}

/// Held while an act of this case runs; released when dropped, or when the process ends.
pub struct ActLock {
    file: File,
}

impl Drop for ActLock {
    fn drop(&mut self) {
        // Closing is not enough: a child between fork and exec still holds the same lock.
        let _ = self.file.unlock();
    }
}

/// Fills a new case folder. Durable when it returns, but for the folder's own name.
pub(super) fn furnish(dir: &Dir, key: &[u8; 32]) -> Result<(), StoreError> {
    for name in ["data", "undo", "signoffs", "anchors", "tmp"] {
        dir.make(name).doing("make", dir.join(name))?;
    }
    for name in [JOURNAL, LOCK, ACT_LOCK] {
        dir.create(name).doing("make", dir.join(name))?;
    }
    let mut file = dir.create(KEY).doing("make", dir.join(KEY))?;
    file.write_all(key)
        .and_then(|()| file.sync_all())
        .doing("write", dir.join(KEY))?;
    keep_reserve(dir);
    dir.sync().doing("sync", dir.path())
}

/// Sets the reserve aside where there is room for it. A case without one is still a case.
pub(super) fn keep_reserve(dir: &Dir) {
    let kept = dir
        .create(RESERVE)
        .and_then(|file| dir::allocate(&file, RESERVE_LEN));
    if kept.is_err() {
        let _ = dir.remove(RESERVE);
    }
}

impl Case {
    pub(super) fn new(id: IncidentId, dir: Dir) -> Result<Case, StoreError> {
        if let Some(why) = dir.exposed().doing("look at", dir.path())? {
            let path = dir.path().to_owned();
            return Err(StoreError::NotPrivate { path, why });
        }
        Ok(Case {
            id,
            dir,
            tail: RefCell::new(None),
        })
    }

    /// Its name.
    pub fn id(&self) -> &IncidentId {
        &self.id
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// True where something lies here that only comes after a first record: one that is not there any more
    /// was taken away.
    pub(super) fn holds_files(&self) -> bool {
        let filled = |name| self.dir.sub(name).and_then(|dir| dir.names());
        ["data", "undo", "signoffs"]
            .into_iter()
            .any(|name| filled(name).is_ok_and(|names| !names.is_empty()))
    }

    /// Takes the case for writing.
    ///
    /// While another process has it, `again` is asked with the number of tries so far: true tries once
    /// more (it is the one to wait a little), false ends in [`StoreError::Held`].
    pub fn lock(&self, mut again: impl FnMut(u32) -> bool) -> Result<Locked<'_>, StoreError> {
        let path = self.dir.join(LOCK);
        // A disk that cannot be written can still be locked and read; `append` then says why not.
        let file = match self.dir.open(LOCK, OFlags::RDWR | OFlags::CREATE) {
            Err(e) if dir::is_read_only(&e) => self.dir.open(LOCK, OFlags::RDONLY),
            file => file,
        }
        .doing("open", &path)?;
        let mut tries = 0;
        while !try_lock(&file).doing("lock", &path)? {
            tries += 1;
            if !again(tries) {
                return Err(StoreError::Held { by: holder(&file) });
            }
        }
        // Another terminal may have moved the case while this one held it open.
        if let Some(root) = self.path().parent() {
            super::moving::went(root, &self.id)?;
        }
        // Only a courtesy to whoever waits: on a full disk the lock holds all the same.
        let pid = format!("{:<10}\n", std::process::id());
        let _ = file.write_all_at(pid.as_bytes(), 0);
        Locked::new(self, file)
    }

    /// Marks that an act runs, or `None` where one runs already.
    ///
    /// A started act without an end is running while this lock is held, and in doubt once it is free.
    pub fn try_act_lock(&self) -> Result<Option<ActLock>, StoreError> {
        lock_in(&self.dir, ACT_LOCK)
    }

    /// True where the case lies in another store now, and this is what was left behind.
    pub fn is_moved(&self) -> bool {
        let root = self.path().parent();
        root.is_some_and(|root| super::moving::went(root, &self.id).is_err())
    }

    /// The lock of the one process that brings records to the mirror, or `None` where one does already.
    pub fn try_mirror_lock(&self) -> Result<Option<ActLock>, StoreError> {
        lock_in(&self.sub("tmp")?, MIRROR_LOCK)
    }

    /// What the mirror noted last; `None` where it noted nothing that can be read.
    pub fn mirror_note(&self) -> Option<Vec<u8>> {
        const CAP: u64 = 16 << 10;
        self.sub("tmp").ok()?.read(MIRROR_NOTE, CAP).ok()
    }

    /// Replaces what the mirror noted. It lies in tmp/: it is no evidence, and never in a bundle.
    pub fn write_mirror_note(&self, bytes: &[u8]) -> Result<(), StoreError> {
        let tmp = self.sub("tmp")?;
        let (new, path) = (format!("{MIRROR_NOTE}.new"), tmp.join(MIRROR_NOTE));
        let _ = tmp.remove(&new);
        tmp.create(&new)
            .and_then(|mut file| {
                file.write_all(bytes)?;
                file.sync_all()
            })
            .and_then(|()| tmp.rename(&new, &tmp, MIRROR_NOTE))
            .doing("write", path)
    }

    /// Keeps a file as it is now. The same bytes again are taken as done before.
    pub fn pin(&self, pin: Pin, bytes: &[u8]) -> Result<Stored, StoreError> {
        self.put(&self.dir, "", pin.file_name(), bytes)
    }

    /// Writes a small file, durable when this returns. The same bytes again are taken as done before.
    pub fn write_once(&self, folder: Folder, name: &str, bytes: &[u8]) -> Result<Stored, StoreError> {
        dir::check_name(name)?;
        let dir = self.sub(folder.name())?;
        self.put(&dir, folder.name(), name, bytes)
    }

    fn put(&self, dir: &Dir, folder: &str, name: &str, bytes: &[u8]) -> Result<Stored, StoreError> {
        let tmp = self.sub("tmp")?;
        match dir.write_once(&tmp, name, bytes) {
            Err(StoreError::Io { source, .. }) if dir::is_full(&source) && self.free_reserve() => {
                dir.write_once(&tmp, name, bytes)?;
            }
            done => done?,
        }
        Ok(Stored {
            path: PathBuf::from(folder).join(name),
            sha256: Hash::of(bytes),
            len: bytes.len().try_into().unwrap_or(u64::MAX),
        })
    }

    /// Opens a file of the case by its path in the folder, such as `data/0003-host/stdout`.
    pub fn open(&self, path: &Path) -> Result<File, StoreError> {
        let bad = || StoreError::BadName {
            name: path.display().to_string().chars().take(100).collect(),
        };
        let mut parts = Vec::new();
        for part in path.components() {
            match part {
                Component::Normal(name) => parts.push(name.to_str().ok_or_else(bad)?),
                _ => return Err(bad()),
            }
        }
        let (name, folders) = parts.split_last().ok_or_else(bad)?;
        let mut inner: Option<Dir> = None;
        for folder in folders {
            inner = Some(
                inner
                    .as_ref()
                    .unwrap_or(&self.dir)
                    .sub(folder)
                    .doing("open", self.path().join(path))?,
            );
        }
        inner
            .as_ref()
            .unwrap_or(&self.dir)
            .open(name, OFlags::RDONLY)
            .doing("open", self.path().join(path))
    }

    /// The whole of a file of at most `cap` bytes, by its path in the folder.
    pub fn read_file(&self, path: &Path, cap: u64) -> Result<Vec<u8>, StoreError> {
        let mut bytes = Vec::new();
        self.open(path)?
            .take(cap.saturating_add(1))
            .read_to_end(&mut bytes)
            .doing("read", self.path().join(path))?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > cap {
            let too_large = std::io::Error::from(std::io::ErrorKind::FileTooLarge);
            return Err(too_large).doing("read", self.path().join(path));
        }
        Ok(bytes)
    }

    /// The key behind the fingerprints of this case's secrets.
    pub fn key(&self) -> Result<Zeroizing<[u8; 32]>, StoreError> {
        let path = self.dir.join(KEY);
        let bytes = Zeroizing::new(self.dir.read(KEY, 32).doing("read", &path)?);
        let key = <[u8; 32]>::try_from(bytes.as_slice())
            .map_err(|_| std::io::Error::new(std::io::ErrorKind::InvalidData, "not 32 bytes"));
        key.map(Zeroizing::new).doing("read", path)
    }

    /// True while there are bytes kept aside for the journal.
    pub fn has_reserve(&self) -> bool {
        self.dir.open(RESERVE, OFlags::RDONLY).is_ok()
    }

    /// Gives the reserve back to the file system; true where there was one.
    pub(super) fn free_reserve(&self) -> bool {
        self.dir.remove(RESERVE).is_ok()
    }

    pub(super) fn sub(&self, name: &str) -> Result<Dir, StoreError> {
        self.dir.sub(name).doing("open", self.dir.join(name))
    }
}

fn lock_in(dir: &Dir, name: &str) -> Result<Option<ActLock>, StoreError> {
    let path = dir.join(name);
    let file = dir
        .open(name, OFlags::RDWR | OFlags::CREATE)
        .doing("open", &path)?;
    let free = try_lock(&file).doing("lock", &path)?;
    Ok(free.then_some(ActLock { file }))
}

fn try_lock(file: &File) -> std::io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(std::fs::TryLockError::WouldBlock) => Ok(false),
        Err(std::fs::TryLockError::Error(e)) => Err(e),
    }
}

fn holder(lock: &File) -> Option<u32> {
    let mut text = [0; 10];
    lock.read_exact_at(&mut text, 0).ok()?;
    std::str::from_utf8(&text).ok()?.trim().parse().ok()
}
