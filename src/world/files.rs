//! Files outside the case folder: read with a limit, replaced whole.

use std::fs;
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

/// What a path is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// Bytes.
    pub len: u64,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last change of the contents, ms since the epoch; a program may set it.
    pub mtime_ms: i64,
    /// Last change of contents, name, owner or mode (`ctime`), ms since the epoch; only the system's clock sets it.
    pub ctime_ms: i64,
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
    /// Opens a regular file for streaming; a symbolic link is refused, not followed.
    fn open(&self, path: &Path) -> io::Result<Box<dyn io::Read>>;
    /// Opens a regular file for streaming from this byte on; a symbolic link is refused, not followed.
    fn open_from(&self, path: &Path, from: u64) -> io::Result<Box<dyn io::Read>> {
        let mut file = self.open(path)?;
        io::copy(&mut file.by_ref().take(from), &mut io::sink())?;
        Ok(file)
    }
    /// Opens the regular file that running this path would run: links are followed, as the kernel does.
    fn open_program(&self, path: &Path) -> io::Result<Box<dyn io::Read>> {
        self.open(path)
    }
    /// Names in a folder, sorted.
    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>>;
    /// What a path is; links are not followed.
    fn stat(&self, path: &Path) -> io::Result<Stat>;
    /// The access list (POSIX ACL) of a path as the system keeps it; empty where it has none, or this system has other ones.
    fn access_list(&self, path: &Path) -> Vec<u8> {
        let _ = path;
        Vec::new()
    }
    /// Replaces a file whole: temporary file, sync, rename, sync of the folder. Missing folders are made.
    fn replace(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()>;
    /// Makes an empty file where nothing was; an error of kind `AlreadyExists` where something is, link or not.
    fn create(&self, path: &Path, mode: u32) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// The file system of this machine.
pub struct RealFiles;

/// The error for anything that is neither file nor folder: reading a pipe could wait for ever.
fn not_a_file() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")
}

/// Opens a regular file; never waits on a pipe or a device.
fn open_regular(path: &Path, flags: OFlags) -> io::Result<fs::File> {
    let flags = flags | OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = fs::File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(not_a_file())
    }
}

/// Reads without leaving a time of access behind, where the system lets us: only a file's owner and root may.
#[cfg(target_os = "linux")]
const UNSEEN: OFlags = OFlags::NOATIME;
#[cfg(not(target_os = "linux"))]
const UNSEEN: OFlags = OFlags::empty();

/// The same, and a link is refused: a file swapped for one between the look and the open must not take us
/// elsewhere.
fn open_itself(path: &Path) -> io::Result<fs::File> {
    let opened = match open_regular(path, OFlags::NOFOLLOW | UNSEEN) {
        Err(e) if e.raw_os_error() == Some(rustix::io::Errno::PERM.raw_os_error()) => {
            open_regular(path, OFlags::NOFOLLOW)
        }
        opened => opened,
    };
    opened.map_err(|e| match e.raw_os_error() {
        Some(code) if code == rustix::io::Errno::LOOP.raw_os_error() => {
            io::Error::new(io::ErrorKind::InvalidInput, "a symbolic link, not followed")
        }
        _ => e,
    })
}

impl Files for RealFiles {
    fn read(&self, path: &Path, cap: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        open_regular(path, OFlags::empty())?
            .take(cap.saturating_add(1))
            .read_to_end(&mut bytes)?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > cap {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(bytes)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn io::Read>> {
        Ok(Box::new(open_itself(path)?))
    }

    fn open_from(&self, path: &Path, from: u64) -> io::Result<Box<dyn io::Read>> {
        let mut file = open_itself(path)?;
        file.seek(io::SeekFrom::Start(from))?;
        Ok(Box::new(file))
    }

    fn open_program(&self, path: &Path) -> io::Result<Box<dyn io::Read>> {
        open_regular(path, OFlags::empty()).map(|file| Box::new(file) as Box<dyn io::Read>)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let mut names = fs::read_dir(path)?
            .map(|entry| entry.map(|e| PathBuf::from(e.file_name())))
            .collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let meta = fs::symlink_metadata(path)?;
        Ok(Stat {
            len: meta.len(),
            mode: meta.mode() & 0o7777,
            uid: meta.uid(),
            gid: meta.gid(),
            mtime_ms: meta.mtime() * 1_000 + meta.mtime_nsec() / 1_000_000,
            ctime_ms: meta.ctime() * 1_000 + meta.ctime_nsec() / 1_000_000,
            is_dir: meta.is_dir(),
            is_file: meta.is_file(),
            is_link: meta.is_symlink(),
        })
    }

    fn access_list(&self, path: &Path) -> Vec<u8> {
        let mut list = vec![0; 64 << 10];
        let read = rustix::fs::lgetxattr(path, "system.posix_acl_access", list.as_mut_slice());
        list.truncate(read.unwrap_or(0));
        list
    }

    fn replace(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        let folder = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        fs::create_dir_all(folder)?;
        let mut file = tempfile::Builder::new()
            .prefix(".incident-")
            .tempfile_in(folder)?;
        file.write_all(bytes)?;
        let inner = file.as_file();
        if let Ok(old) = fs::symlink_metadata(path) {
            // Another owner's file stays that owner's where we may say so.
            let _ = std::os::unix::fs::fchown(inner, Some(old.uid()), Some(old.gid()));
        }
        inner.set_permissions(fs::Permissions::from_mode(mode))?;
        inner.sync_all()?;
        file.persist(path).map_err(|e| e.error)?;
        fs::File::open(folder)?.sync_all()
    }

    fn create(&self, path: &Path, mode: u32) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // Nobody else's until the permissions are set: what they are may need more bits than an open takes.
        let file = fs::File::from(rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?);
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.sync_all()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_file_is_an_error_and_not_a_short_answer() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        RealFiles.replace(&path, b"12345", 0o640).unwrap();
        assert_eq!(RealFiles.read(&path, 5).unwrap(), b"12345");
        assert_eq!(
            RealFiles.read(&path, 4).unwrap_err().kind(),
            io::ErrorKind::FileTooLarge
        );
        assert_eq!(RealFiles.stat(&path).unwrap().mode, 0o640);
        assert_eq!(
            RealFiles.list(&dir.path().join("a")).unwrap(),
            [PathBuf::from("b")]
        );
    }

    #[test]
    fn a_file_is_made_only_where_nothing_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        RealFiles.create(&path, 0o600).unwrap();
        assert_eq!(RealFiles.stat(&path).unwrap().mode, 0o600);
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), &link).unwrap();
        for there in [&path, &link] {
            let kind = RealFiles.create(there, 0o600).unwrap_err().kind();
            assert_eq!(kind, io::ErrorKind::AlreadyExists);
        }
        assert!(!dir.path().join("elsewhere").exists());
    }

    #[test]
    fn links_are_seen_and_not_followed_when_streaming() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
        assert!(RealFiles.stat(&link).unwrap().is_link);
        let error = RealFiles.open(&link).err().unwrap();
        assert_eq!(error.to_string(), "a symbolic link, not followed");
        assert!(RealFiles.open_program(&link).is_ok());
    }

    #[test]
    fn a_pipe_does_not_hold_us_up() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert_eq!(
            RealFiles.read(&pipe, 10).unwrap_err().to_string(),
            "not a regular file"
        );
    }
}
