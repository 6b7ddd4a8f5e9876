//! What can go wrong with the bytes of a case, and what it means.

use std::io;
use std::path::PathBuf;

use crate::journal::{ChainError, Hash};

/// A case could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried, as in "write".
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The folder could be changed by someone else, or leads somewhere else.
    #[error("{} is not a private folder: {why}", path.display())]
    NotPrivate {
        /// Which folder.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// No case of this name.
    #[error("there is no case {id} in {}", root.display())]
    NoSuchCase {
        /// The case asked for.
        id: String,
        /// Where it was looked for.
        root: PathBuf,
    },
    /// The name is taken, by other bytes.
    #[error("{} exists already", path.display())]
    Exists {
        /// The file or folder.
        path: PathBuf,
    },
    /// Not a name the store gives to a file.
    #[error("`{name}` is not a file name of a case: use a-z, 0-9, `.`, `_`, `-`, at most 100 characters")]
    BadName {
        /// The name as given, at most 100 characters of it.
        name: String,
    },
    /// Another process is writing to the case.
    #[error("the case is in use {}", holder(*by))]
    Held {
        /// Its process id, where it left one.
        by: Option<u32>,
    },
    /// The record is not what was written. Only `repair` goes on from here.
    #[error("{0}")]
    Damaged(Damage),
    /// Records were appended that this process has not read; what it decided may no longer hold.
    #[error("the journal has records that were not read yet")]
    Unread,
    /// An earlier write left the journal in an unknown state; this process writes no more.
    #[error("the journal is closed for writing: {why}")]
    Poisoned {
        /// What happened.
        why: String,
    },
    /// What was to be written is not a record.
    #[error("cannot record this: {0}")]
    NotARecord(#[from] ChainError),
    /// The case lies elsewhere now.
    #[error("{id} was moved to {}", to.display())]
    Moved {
        /// The case asked for.
        id: String,
        /// The store it is in now.
        to: PathBuf,
    },
    /// An act runs, so nothing is moved.
    #[error("an act of {id} is running right now")]
    ActRuns {
        /// The case.
        id: String,
    },
    /// The disk cannot hold it. Nothing was written.
    #[error("{} has room for {free} bytes, and {needed} are needed", path.display())]
    NoRoom {
        /// Where it was to go.
        path: PathBuf,
        /// Bytes to be written.
        needed: u64,
        /// Bytes that can be written.
        free: u64,
    },
    /// A copy is not what was copied. The original stands.
    #[error("{} is not the same as what was copied there", path.display())]
    NotTheSame {
        /// Which file or folder.
        path: PathBuf,
    },
    /// `repair` was asked for a journal that is whole.
    #[error("the journal is whole, all {records} records of it: nothing to repair")]
    NothingBroken {
        /// How many records it has.
        records: u64,
    },
}

fn holder(by: Option<u32>) -> String {
    match by {
        Some(pid) => format!("by process {pid}"),
        None => "by another process".to_owned(),
    }
}

impl StoreError {
    /// True where the record itself cannot be believed (exit code 10).
    pub fn is_integrity(&self) -> bool {
        matches!(self, StoreError::Damaged(_))
    }

    /// True where the case folder cannot be written at all: the moment for a [`super::Spool`].
    pub fn is_unwritable(&self) -> bool {
        matches!(
            self,
            StoreError::Io { .. } | StoreError::Poisoned { .. } | StoreError::NotPrivate { .. }
        )
    }
}

/// Where and why a journal stops being believable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file} {}{why}", self.place())]
pub struct Damage {
    /// Name of the file in the case folder.
    pub file: String,
    /// Records before the damage, counted from the first of the case.
    pub good: u64,
    /// Offset of the first bad byte's line in this file.
    pub at: u64,
    /// Hash of the last good record.
    pub head: Hash,
    /// What is wrong.
    pub why: Broken,
}

impl Damage {
    fn place(&self) -> String {
        match (&self.why, self.good) {
            (Broken::Line(_), 1) => format!("is damaged at byte {}, after 1 good record: ", self.at),
            (Broken::Line(_), n) => format!("is damaged at byte {}, after {n} good records: ", self.at),
            _ => "cannot be believed: ".to_owned(),
        }
    }
}

/// What is wrong with a journal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A whole line that is not the next record.
    #[error(transparent)]
    Line(#[from] ChainError),
    /// No journal where one was made.
    #[error("it is gone")]
    Gone,
    /// Bytes this process has read before have changed or gone.
    #[error("records read earlier have changed or gone")]
    Rewritten,
    /// The journal begins in the middle, and no damaged journal it could continue is there.
    #[error("it continues a journal that is not there")]
    NoPredecessor,
    /// A journal set aside by `repair` is no longer what the next one says it is.
    #[error("it is not the journal that the next one continues")]
    NotWhatWasNamed,
}

/// Turns a system error into a [`StoreError`] that says what was tried on what.
pub(super) trait Doing<T> {
    fn doing(self, doing: &'static str, path: impl Into<PathBuf>) -> Result<T, StoreError>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, doing: &'static str, path: impl Into<PathBuf>) -> Result<T, StoreError> {
        self.map_err(|e| StoreError::Io {
            doing,
            path: path.into(),
            source: e.into(),
        })
    }
}
