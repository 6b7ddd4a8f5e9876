//! Hashing many files, or many ranges of one file, on a few threads.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::{Mode, OFlags};
use sha2::{Digest, Sha256};

use super::manifest::Entry;
use super::ustar;
use crate::journal::Hash;

/// Bytes read at once. Larger gains nothing; a mapping costs 1.17 times the CPU and dies on rotation.
pub const CHUNK: usize = 128 * 1024;

/// Where the bytes of a job are.
#[derive(Debug, Clone, Copy)]
pub enum At<'a> {
    /// A file in a folder. Links are not followed.
    File {
        /// The folder.
        root: &'a Path,
        /// Its name below the folder.
        name: &'a str,
    },
    /// A tar member: this many bytes from here on, then zeros up to a full block.
    Member {
        /// The archive.
        tar: &'a File,
        /// First byte of the contents.
        offset: u64,
    },
}

/// One thing to hash.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// Where it is.
    pub at: At<'a>,
    /// How many bytes it should have. A file may turn out longer or shorter.
    pub len: u64,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digested {
    /// Hash of the bytes.
    pub sha256: Hash,
    /// How many there were.
    pub len: u64,
}

/// Length and hash of a text that is made piece by piece.
#[derive(Debug, Default)]
pub(super) struct Hashing {
    hasher: Sha256,
    len: u64,
}

impl Hashing {
    pub fn add(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
    }

    /// The text as a member of this name.
    pub fn entry(self, name: &str) -> Entry {
        Entry::new(name, Hash(self.hasher.finalize().into()), self.len)
    }
}

/// Opens a file for reading; a symbolic link is an error, and so is what is not a regular file.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok(file)
}

/// Opens the files of a folder for whoever compares what they hold: neighbours without walking the whole way again.
pub(super) struct Neighbours<'a> {
    root: &'a Path,
    folder: Option<(Box<str>, OwnedFd)>,
}

impl<'a> Neighbours<'a> {
    pub fn below(root: &'a Path) -> Self {
        Neighbours { root, folder: None }
    }

    /// Opens `name` below the folder. A symbolic link is an error; what kind of file it is is not asked.
    pub fn open(&mut self, name: &str) -> io::Result<File> {
        const READ: OFlags = OFlags::RDONLY
            .union(OFlags::NOFOLLOW)
            .union(OFlags::NONBLOCK)
            .union(OFlags::CLOEXEC);
        let (folder, file) = name.rsplit_once('/').unwrap_or((".", name));
        let near = match self.folder.take() {
            Some(near) if *near.0 == *folder => near,
            _ => {
                let path = self.root.join(folder);
                let open = rustix::fs::open(path, READ | OFlags::DIRECTORY, Mode::empty())?;
                (folder.into(), open)
            }
        };
        let (_, at) = self.folder.insert(near);
        Ok(rustix::fs::openat(at, file, READ, Mode::empty())?.into())
    }
}

/// Hashes all jobs, big ones first, on `threads` threads. Results stand in the order of the jobs.
///
/// The only place that hashes in bulk, so that a faster hasher can be put behind it.
pub fn hash_many(jobs: &[Job<'_>], threads: usize) -> Vec<io::Result<Digested>> {
    let mut order: Vec<u32> = (0u32..).take(jobs.len()).collect();
    order.sort_by_key(|i| std::cmp::Reverse(jobs[*i as usize].len));
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::with_capacity(jobs.len()));
    let work = || {
        let mut buffer = vec![0; CHUNK];
        let mut mine = Vec::new();
        while let Some(i) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            mine.push((*i, digest(&jobs[*i as usize], &mut buffer)));
        }
        found.lock().unwrap_or_else(|e| e.into_inner()).append(&mut mine);
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(jobs.len()) {
            scope.spawn(work);
        }
        work();
    });
    let mut found = found.into_inner().unwrap_or_else(|e| e.into_inner());
    found.sort_unstable_by_key(|(i, _)| *i);
    found.into_iter().map(|(_, result)| result).collect()
}

fn digest(job: &Job<'_>, buffer: &mut [u8]) -> io::Result<Digested> {
    match job.at {
        At::File { root, name } => digest_file(&open_regular(&root.join(name))?, buffer),
        At::Member { tar, offset } => digest_member(tar, offset, job.len, buffer),
    }
}

fn digest_file(mut file: &File, buffer: &mut [u8]) -> io::Result<Digested> {
    let mut hasher = Sha256::new();
    let mut len = 0;
    loop {
        match io::Read::read(&mut file, buffer) {
            Ok(0) => break,
            Ok(n) => {
                hasher.update(&buffer[..n]);
                len += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(Digested {
        sha256: Hash(hasher.finalize().into()),
        len,
    })
}

fn digest_member(tar: &File, offset: u64, len: u64, buffer: &mut [u8]) -> io::Result<Digested> {
    let mut hasher = Sha256::new();
    let end = len + ustar::padding(len);
    let mut done = 0;
    while done < end {
        let want = buffer
            .len()
            .min(usize::try_from(end - done).unwrap_or(usize::MAX));
        let part = &mut buffer[..want];
        tar.read_exact_at(part, offset + done)?;
        let content = usize::try_from(len.saturating_sub(done))
            .unwrap_or(usize::MAX)
            .min(want);
        hasher.update(&part[..content]);
        if part[content..].iter().any(|b| *b != 0) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the padding after it is not zero",
            ));
        }
        done += want as u64;
    }
    Ok(Digested {
        sha256: Hash(hasher.finalize().into()),
        len,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_stand_in_the_order_of_the_jobs() {
        let dir = tempfile::tempdir().unwrap();
        let names: Vec<String> = (0..40).map(|n| format!("f{n}")).collect();
        for (n, name) in names.iter().enumerate() {
            std::fs::write(dir.path().join(name), vec![b'x'; n * 10_007]).unwrap();
        }
        let jobs: Vec<Job<'_>> = names
            .iter()
            .map(|name| Job {
                at: At::File {
                    root: dir.path(),
                    name,
                },
                len: 0,
            })
            .collect();
        for threads in [1, 2, 7] {
            for (n, got) in hash_many(&jobs, threads).into_iter().enumerate() {
                let want = vec![b'x'; n * 10_007];
                assert_eq!(
                    got.unwrap(),
                    Digested {
                        sha256: Hash::of(&want),
                        len: want.len() as u64
                    }
                );
            }
        }
    }

    #[test]
    fn neighbours_are_found_in_their_own_folders_and_no_link_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["a", "b/c"] {
            std::fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        for name in ["x", "a/x", "a/y", "b/c/x"] {
            std::fs::write(dir.path().join(name), name).unwrap();
        }
        std::os::unix::fs::symlink("x", dir.path().join("a/link")).unwrap();
        std::os::unix::fs::symlink("a", dir.path().join("d")).unwrap();
        let mut files = Neighbours::below(dir.path());
        for name in ["a/x", "a/y", "x", "b/c/x", "a/x"] {
            let mut text = String::new();
            io::Read::read_to_string(&mut files.open(name).unwrap(), &mut text).unwrap();
            assert_eq!(text, name);
        }
        for name in ["a/link", "d/x", "a/z", "e/x"] {
            assert!(files.open(name).is_err(), "{name}");
        }
        // After what is not there, too.
        assert!(files.open("b/c/x").is_ok());
    }

    #[test]
    fn a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/hostname", dir.path().join("link")).unwrap();
        assert!(open_regular(&dir.path().join("link")).is_err());
        assert!(open_regular(dir.path()).is_err());
    }
}
