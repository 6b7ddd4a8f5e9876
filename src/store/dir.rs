//! Folders by handle: nothing is reached through a symbolic link, everything made is private and synced.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};

use super::error::{Doing, StoreError};

const FOLDER: Mode = Mode::RWXU;
const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);

/// An open folder.
pub(super) struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

impl Dir {
    /// Opens a folder, following links on the way to it and at its end.
    pub(super) fn at(path: &Path) -> io::Result<Dir> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty())?;
        let path = path.to_owned();
        Ok(Dir { fd, path })
    }

    /// Opens a folder in this one; a link in its place is an error.
    pub(super) fn sub(&self, name: &str) -> io::Result<Dir> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::empty())?;
        let path = self.path.join(name);
        Ok(Dir { fd, path })
    }

    /// Makes a folder of mode 0700, whatever the umask says.
    pub(super) fn make(&self, name: &str) -> io::Result<Dir> {
        rustix::fs::mkdirat(&self.fd, name, FOLDER)?;
        let made = self.sub(name)?;
        rustix::fs::fchmod(&made.fd, FOLDER)?;
        Ok(made)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Full path of something in this folder, for messages and reports.
    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Why another user could change what is in this folder, if one could.
    pub(super) fn exposed(&self) -> io::Result<Option<&'static str>> {
        let stat = rustix::fs::fstat(&self.fd)?;
        let me = rustix::process::geteuid();
        let owner = rustix::fs::Uid::from_raw(stat.st_uid);
        if Mode::from_raw_mode(stat.st_mode).intersects(Mode::WGRP | Mode::WOTH) {
            return Ok(Some("others may write to it"));
        }
        if owner != me && !me.is_root() {
            return Ok(Some("it belongs to another user"));
        }
        Ok(None)
    }

    /// Opens a regular file; anything else in its place is an error.
    pub(super) fn open(&self, name: &str, flags: OFlags) -> io::Result<File> {
        // NONBLOCK: a pipe put in place of the file must not hang us.
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fd = rustix::fs::openat(&self.fd, name, flags, PRIVATE)?;
        let stat = rustix::fs::fstat(&fd)?;
        if !FileType::from_raw_mode(stat.st_mode).is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        if flags.contains(OFlags::CREATE) {
            rustix::fs::fchmod(&fd, PRIVATE)?;
        }
        Ok(File::from(fd))
    }

    /// Makes a new file of mode 0600, whatever the umask says.
    pub(super) fn create(&self, name: &str) -> io::Result<File> {
        self.open(name, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL)
    }

    /// The whole of a file of at most `cap` bytes.
    pub(super) fn read(&self, name: &str, cap: u64) -> io::Result<Vec<u8>> {
        let file = self.open(name, OFlags::RDONLY)?;
        let mut bytes = Vec::new();
        (&file).take(cap.saturating_add(1)).read_to_end(&mut bytes)?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > cap {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(bytes)
    }

    /// Puts a new file in this folder, whole or not at all, and durable when this returns.
    ///
    /// The name must be free; the same bytes under the same name are taken as done before.
    pub(super) fn write_once(&self, tmp: &Dir, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let staged = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = self.join(name);
        let written = tmp.create(&staged).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
        let linked = written.and_then(|()| tmp.link(&staged, self, name));
        // Left behind at worst: an orphan in tmp/ harms nothing.
        let _ = tmp.remove(&staged);
        match linked {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && self.holds(name, bytes) => {}
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Err(StoreError::Exists { path }),
            done => done.doing("write", &path)?,
        }
        self.sync().doing("sync", self.path())
    }

    fn holds(&self, name: &str, bytes: &[u8]) -> bool {
        let cap = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.read(name, cap).is_ok_and(|there| there == bytes)
    }

    /// Gives a file a second name; the new name must be free.
    pub(super) fn link(&self, name: &str, to: &Dir, new: &str) -> io::Result<()> {
        Ok(rustix::fs::linkat(&self.fd, name, &to.fd, new, AtFlags::empty())?)
    }

    /// Moves a file or folder. A file in its new place is replaced, a folder with something in it is not.
    pub(super) fn rename(&self, name: &str, to: &Dir, new: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.fd, name, &to.fd, new)?)
    }

    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.fd, name, AtFlags::empty())?)
    }

    pub(super) fn remove_folder(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR)?)
    }

    /// Names in this folder, sorted. Names that are not UTF-8 are nobody's of ours and left out.
    pub(super) fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd)? {
            match entry?.file_name().to_str() {
                Ok("." | "..") | Err(_) => {}
                Ok(name) => names.push(name.to_owned()),
            }
        }
        names.sort();
        Ok(names)
    }

    /// Bytes that this user may still write to the disk it lies on.
    pub(super) fn free(&self) -> io::Result<u64> {
        free(&self.fd)
    }

    /// Makes durable which names this folder holds.
    pub(super) fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.fd)?)
    }

    /// True where the named file is this very file.
    pub(super) fn is(&self, name: &str, file: &File) -> io::Result<bool> {
        let there = rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let here = rustix::fs::fstat(file)?;
        Ok((there.st_dev, there.st_ino) == (here.st_dev, here.st_ino))
    }
}

/// Bytes that this user may still write to the disk a file lies on.
pub(super) fn free(file: impl std::os::fd::AsFd) -> io::Result<u64> {
    let stat = rustix::fs::fstatvfs(file)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Gives a file real blocks for `len` bytes.
pub(super) fn allocate(file: &File, len: u64) -> io::Result<()> {
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, len) {
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {
            let zeros = vec![0; 1 << 20];
            (0..len)
                .step_by(zeros.len())
                .try_for_each(|at| file.write_all_at(&zeros, at))
        }
        done => Ok(done?),
    }
}

/// True where there is no room left, on the disk or in the quota.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// True where nothing may be written, though it may be read.
pub(super) fn is_read_only(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied
    )
}

/// Checks a name the store gives to a file: `[a-z0-9._-]`, at most 100 bytes, no dot in front.
pub(super) fn check_name(name: &str) -> Result<(), StoreError> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
    if !name.is_empty() && name.len() <= 100 && !name.starts_with('.') && name.bytes().all(plain) {
        return Ok(());
    }
    Err(StoreError::BadName {
        name: name.chars().take(100).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_need_no_escaping_anywhere() {
        for good in ["stdout", "00000041.txt.sig", "0041.act.json"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            ".x",
            "A",
            "a b",
            "a/b",
            "a\n",
            "é",
            &"x".repeat(101),
        ] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn write_once_writes_once() {
        let folder = tempfile::tempdir().unwrap();
        let dir = Dir::at(folder.path()).unwrap();
        dir.write_once(&dir, "a", b"one").unwrap();
        dir.write_once(&dir, "a", b"one").unwrap();
        assert!(matches!(
            dir.write_once(&dir, "a", b"two"),
            Err(StoreError::Exists { .. })
        ));
        assert_eq!(dir.read("a", 10).unwrap(), b"one");
        assert_eq!(dir.names().unwrap(), ["a"]);
    }
}
