//! Files outside the case folder: read with a limit, replaced whole.

use std::io;
use std::path::{Path, PathBuf};

/// What a path is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// Bytes.
    pub len: u64,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Last change of the contents, ms since the epoch.
    pub mtime_ms: i64,
    /// True for a folder.
    pub is_dir: bool,
    /// True for a regular file.
    pub is_file: bool,
    /// True for a symbolic link (never followed by `stat`).
    pub is_link: bool,
}

/// Reads and replaces files.
pub trait Files {
    /// The file's bytes; an error of kind `FileTooLarge` where it has more than `cap`.
    fn read(&self, path: &Path, cap: u64) -> io::Result<Vec<u8>>;
    /// Opens a file for streaming.
    fn open(&self, path: &Path) -> io::Result<Box<dyn io::Read>>;
    /// Names in a folder, sorted.
    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>>;
    /// What a path is; links are not followed.
    fn stat(&self, path: &Path) -> io::Result<Stat>;
    /// Replaces a file whole: temporary file, sync, rename, sync of the folder. Missing folders are made.
    fn replace(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
}
