//! Exhibits: written aside, hashed while they are written, and moved into place whole.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::case::Case;
use super::dir::{self, Dir};
use super::error::{Doing, StoreError};
use crate::journal::Hash;

/// A file that is durable in the case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stored {
    /// Its path in the case folder, such as `data/0003-host/stdout`.
    pub path: PathBuf,
    /// Hash of its bytes, made while they were written.
    pub sha256: Hash,
    /// How many bytes.
    pub len: u64,
}

/// One capture on its way into the case. Dropped, it leaves what it has in tmp/.
pub struct Staging<'c> {
    case: &'c Case,
    /// The folder's name: `0003-host`.
    name: String,
    staged: String,
    tmp: Dir,
    dir: Dir,
}

/// A file of a capture being written.
pub struct ExhibitFile {
    file: File,
    name: String,
    path: PathBuf,
    hasher: Sha256,
    len: u64,
    room: Room,
    spare: u64,
}

/// How much more a file may take of its disk.
enum Room {
    /// So many bytes, then the disk is looked at again.
    For(usize),
    /// Nothing more: what came after that was dropped.
    Gone,
    /// Whatever there is.
    Any,
}

/// Bytes of the disk that are left for the lists beside the evidence, in which it says what is missing.
const SPARE: u64 = 1 << 20;
/// Bytes of the disk that a file leaves which stands beside the evidence and is none of it.
const SPARE_ASIDE: u64 = 64 << 20;
/// Most bytes that are written before the disk is looked at again.
const STRIDE: u64 = 1 << 20;

impl Case {
    /// Begins the capture whose `capture.started` is record `seq`, durable by now.
    pub fn begin_capture(&self, seq: u64, name: &str) -> Result<Staging<'_>, StoreError> {
        let name = format!("{seq:04}-{name}");
        dir::check_name(&name)?;
        let tmp = self.sub("tmp")?;
        // A capture cut short by a crash may have left its folder: it stays, this one is another.
        let (staged, made) = (1_u32..)
            .map(|n| format!("capture-{name}.{n}"))
            .find_map(|staged| match tmp.make(&staged) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => None,
                made => Some((staged, made)),
            })
            .ok_or(StoreError::Unread)?;
        let dir = made.doing("make", tmp.join(&staged))?;
        Ok(Staging {
            case: self,
            name,
            staged,
            tmp,
            dir,
        })
    }
}

impl Staging<'_> {
    /// Begins a file of this capture, as long as there is room for it.
    ///
    /// Where the disk is nearly full the rest is dropped, no error: what was kept so far is evidence, and
    /// [`ExhibitFile::is_cut`] says so.
    pub fn create(&self, name: &str) -> Result<ExhibitFile, StoreError> {
        self.begin(name, Room::For(0), SPARE)
    }

    /// Begins a file beside the evidence, which leaves the last of the disk to it.
    pub fn create_aside(&self, name: &str) -> Result<ExhibitFile, StoreError> {
        self.begin(name, Room::For(0), SPARE_ASIDE)
    }

    /// Takes a file back that was begun or finished in this capture and is not wanted.
    pub fn remove(&self, name: &str) -> Result<(), StoreError> {
        self.dir.remove(name).doing("remove", self.dir.join(name))
    }

    fn begin(&self, name: &str, room: Room, spare: u64) -> Result<ExhibitFile, StoreError> {
        dir::check_name(name)?;
        let path = self.dir.join(name);
        let file = match self.dir.create(name) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Err(StoreError::Exists { path }),
            file => file.doing("make", &path)?,
        };
        Ok(ExhibitFile {
            file,
            name: name.to_owned(),
            path,
            hasher: Sha256::new(),
            len: 0,
            room,
            spare,
        })
    }

    /// Writes a whole file of this capture, or says why it cannot.
    pub fn put(&self, name: &str, bytes: &[u8]) -> Result<Stored, StoreError> {
        let mut file = self.begin(name, Room::Any, 0)?;
        file.write_all(bytes).doing("write", &file.path)?;
        file.finish()
    }

    /// Moves the capture into `data/`, durable when this returns.
    ///
    /// `files` are all that [`ExhibitFile::finish`] gave; their paths come back as they are in the case.
    /// A file that was begun and not finished is an error: nothing unhashed becomes an exhibit.
    pub fn commit(self, mut files: Vec<Stored>) -> Result<Vec<Stored>, StoreError> {
        let staged_at = self.tmp.join(&self.staged);
        for name in self.dir.names().doing("list", &staged_at)? {
            if !files.iter().any(|file| file.path.as_os_str() == name.as_str()) {
                let unfinished = io::Error::new(io::ErrorKind::InvalidData, "it was not finished");
                return Err(unfinished).doing("keep", self.dir.join(&name));
            }
        }
        self.dir.sync().doing("sync", &staged_at)?;
        let data = self.case.sub("data")?;
        let place = data.join(&self.name);
        match self.tmp.rename(&self.staged, &data, &self.name) {
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists
                ) =>
            {
                return Err(StoreError::Exists { path: place });
            }
            done => done.doing("move", place)?,
        }
        data.sync().doing("sync", data.path())?;
        self.tmp.sync().doing("sync", self.tmp.path())?;
        let folder = PathBuf::from("data").join(&self.name);
        for file in &mut files {
            file.path = folder.join(&file.path);
        }
        Ok(files)
    }

    /// Throws the capture away: for one that could not be kept, such as on a full disk.
    pub fn discard(self) -> Result<(), StoreError> {
        let path = self.tmp.join(&self.staged);
        for name in self.dir.names().doing("list", &path)? {
            self.dir.remove(&name).doing("remove", self.dir.join(&name))?;
        }
        self.tmp.remove_folder(&self.staged).doing("remove", path)
    }
}

impl ExhibitFile {
    /// Bytes written so far.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// True where the disk had no room for all of it: what came last was dropped.
    pub fn is_cut(&self) -> bool {
        matches!(self.room, Room::Gone)
    }

    /// True while nothing is written.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Makes the file durable and says what it is; hand that to [`Staging::commit`].
    pub fn finish(self) -> Result<Stored, StoreError> {
        self.file.sync_all().doing("sync", &self.path)?;
        Ok(Stored {
            path: PathBuf::from(self.name),
            sha256: Hash(self.hasher.finalize().into()),
            len: self.len,
        })
    }
}

impl Write for ExhibitFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Room::For(0) = self.room {
            let free = dir::free(&self.file)?.saturating_sub(self.spare);
            // Others write to that disk, too: the nearer its end, the oftener it is looked at.
            self.room = match usize::try_from((free / 8).min(STRIDE)) {
                Ok(room) if room >= 4096 => Room::For(room),
                _ => Room::Gone,
            };
        }
        let now = match self.room {
            Room::Gone => return Ok(bytes.len()),
            Room::For(room) => bytes.get(..room).unwrap_or(bytes),
            Room::Any => bytes,
        };
        let n = match self.file.write(now) {
            Err(e) if dir::is_full(&e) && !matches!(self.room, Room::Any) => {
                self.room = Room::Gone;
                return Ok(bytes.len());
            }
            written => written?,
        };
        if let Room::For(room) = &mut self.room {
            *room -= n;
        }
        self.hasher.update(&bytes[..n]);
        self.len += u64::try_from(n).unwrap_or(u64::MAX);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
