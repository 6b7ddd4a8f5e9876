//! The evidence files of a bundle or a case, read one at a time. Nothing is unpacked.
//!
//! Reading proves the file that is read and no more: its hash is the one that the list gives (in a
//! bundle) or the journal (in a case). Whether that list is the signed one is for `verify` to prove.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::chain::Journal;
use super::exhibit::Ledger;
use super::hashing::CHUNK;
use super::manifest::Entry;
use super::names;
use super::read::{self, Container, Opened, TAG_CAP};
use super::report::{Fault, Kind};
use super::rows::{Row, Rows};
use super::seal::Seal;
use super::verify::{VerifyError, kind_of};
use super::write::{self, WriteError};
use crate::journal::Hash;
use crate::model::ids::IncidentId;

/// Why nothing can be read, or not this.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// There is nothing of ours at that path.
    #[error(transparent)]
    Input(#[from] VerifyError),
    /// It is damaged, and this is where.
    #[error("{}: {}", .0.place, .0.why)]
    Damaged(Fault),
    /// No file of that name is in it.
    #[error("there is no file {0} in it")]
    NoFile(String),
    /// Whoever made this part of a bundle left it out.
    #[error("{0} is withheld in this part; it is in the whole bundle")]
    Withheld(String),
    /// Something of that name was looked at, and is not there to be read.
    #[error("{name} was looked at and not kept: {word}: {why}")]
    NotKept {
        /// Its name.
        name: String,
        /// What became of it.
        word: &'static str,
        /// Why.
        why: String,
    },
    /// The file could not be written out. Nothing was left behind.
    #[error("cannot write {path}: {why}", path = .path.display())]
    Write {
        /// Where to.
        path: PathBuf,
        /// What the system said.
        why: io::Error,
    },
}

impl From<Fault> for ShelfError {
    fn from(fault: Fault) -> Self {
        ShelfError::Damaged(fault)
    }
}

/// A bundle, an unpacked bundle or a case, open for reading.
#[derive(Debug)]
pub struct Shelf {
    /// What it is.
    pub kind: Kind,
    /// Which incident it says it is.
    pub incident: Option<IncidentId>,
    /// What was not collected, as far as the journal can be read.
    pub ledger: Ledger,
    /// Where the journal is damaged; of what came after it nothing is known.
    pub damaged: Option<Fault>,
    container: Container,
    /// Evidence files, in the order of their names.
    files: Vec<Entry>,
    /// What else a bundle holds.
    beside: Vec<Entry>,
    /// What is not there in a part of a bundle.
    withheld: Vec<String>,
    /// The files of the journal, oldest first, and how many bytes of each are good.
    journals: Vec<(Entry, u64)>,
}

impl Shelf {
    /// Opens whatever is at that path.
    pub fn open(input: &Path) -> Result<Shelf, ShelfError> {
        match kind_of(input)? {
            Kind::Case => Shelf::of_case(input),
            Kind::UnpackedBundle => Shelf::of_bundle(Kind::UnpackedBundle, read::open_folder(input)?),
            Kind::Bundle | Kind::Part => Shelf::of_bundle(Kind::Bundle, read::open_tar(input)?),
        }
    }

    fn of_bundle(kind: Kind, bundle: Opened) -> Result<Shelf, ShelfError> {
        let seal = bundle
            .tag(names::SEAL)
            .and_then(|entry| Seal::parse(&bundle.container.read(entry, TAG_CAP).ok()?).ok());
        let (mut files, mut beside) = (bundle.payload, bundle.tags);
        // What stands in for evidence where there is none is no evidence.
        beside.extend(files.extract_if(.., |file| *file.name == *names::NOTHING));
        let mut shelf = Shelf {
            kind: if bundle.withheld.is_some() {
                Kind::Part
            } else {
                kind
            },
            incident: bundle.top.or_else(|| seal.map(|seal| seal.incident)),
            ledger: Ledger::default(),
            damaged: None,
            container: bundle.container,
            files,
            beside,
            withheld: bundle.withheld.unwrap_or_default(),
            journals: Vec::new(),
        };
        // A part may withhold the journal.
        if shelf.beside.iter().any(|e| *e.name == *names::JOURNAL) {
            let names: Vec<String> = shelf.beside.iter().map(|e| e.name.to_string()).collect();
            shelf.journal(&names)?;
        }
        Ok(shelf)
    }

    fn of_case(root: &Path) -> Result<Shelf, ShelfError> {
        let unreadable = |why| VerifyError::Read {
            path: root.to_owned(),
            why,
        };
        let names = fs::read_dir(root)
            .and_then(Iterator::collect::<io::Result<Vec<_>>>)
            .map_err(unreadable)?;
        let names: Vec<String> = names
            .iter()
            .map(|f| f.file_name().to_string_lossy().into_owned())
            .collect();
        let canonical = root.canonicalize().map_err(unreadable)?;
        let own_name = canonical.file_name().and_then(|name| name.to_str());
        let mut shelf = Shelf {
            kind: Kind::Case,
            incident: own_name.and_then(|name| IncidentId::new(name).ok()),
            ledger: Ledger::default(),
            damaged: None,
            container: Container::Folder(root.to_owned()),
            files: Vec::new(),
            beside: Vec::new(),
            withheld: Vec::new(),
            journals: Vec::new(),
        };
        shelf.files = shelf.journal(&names)?;
        if let Some(bad) = shelf
            .files
            .iter()
            .find_map(|file| Some((file, names::check_payload(&file.name).err()?)))
        {
            return Err(Fault::new(&bad.0.name, bad.1).into());
        }
        Ok(shelf)
    }

    /// Reads the journal, damaged predecessors first; hands back the files that it says were stored.
    fn journal(&mut self, names: &[String]) -> Result<Vec<Entry>, ShelfError> {
        let mut journal = Journal::default();
        for name in names::journals(names.iter().map(String::as_str)) {
            let listed = self.beside.iter().find(|e| *e.name == *name).cloned();
            let entry = listed.clone().unwrap_or_else(|| Entry::named(name));
            let first = journal.chain.next;
            let part = self
                .container
                .open(&entry)
                .and_then(|bytes| journal.read(bytes, None))
                .map_err(|e| Fault::new(name, format!("cannot be read: {e}")))?;
            self.damaged = match part.broken {
                _ if name != names::JOURNAL => None,
                Some(why) => {
                    let line = journal.chain.next - first + 1;
                    Some(Fault::new(&format!("{name}, line {line}"), why.to_string()))
                }
                None => listed
                    .filter(|listed| listed.sha256 != part.sha256)
                    .map(|_| Fault::new(name, "its hash is not the one listed")),
            };
            self.journals.push((entry, part.len));
        }
        let (ledger, stored, _) = journal.fold.end();
        self.ledger = ledger;
        Ok(stored
            .into_iter()
            .map(|file| Entry::new(&file.path, file.sha256, file.len))
            .collect())
    }

    /// The evidence files, in the order of their names.
    pub fn files(&self) -> &[Entry] {
        &self.files
    }

    /// What else there is to read: the journal, the seal, the pinned files of a bundle.
    pub fn beside(&self) -> &[Entry] {
        &self.beside
    }

    /// Names of the files that a part of a bundle withholds.
    pub fn withheld(&self) -> &[String] {
        &self.withheld
    }

    /// False in a part that withholds the journal: nothing then says what became of what.
    pub fn has_journal(&self) -> bool {
        !self.journals.is_empty()
    }

    /// The ledger's rows, read from the good part of the journal.
    pub fn rows(&self) -> Result<impl Iterator<Item = io::Result<Row>> + '_, Fault> {
        let mut journals = Vec::new();
        for (entry, good) in &self.journals {
            let bytes = self
                .container
                .open(entry)
                .map_err(|e| Fault::new(&entry.name, format!("cannot be read: {e}")))?;
            journals.push((bytes, *good));
        }
        Ok(Rows::of(journals))
    }

    /// Where among [`Shelf::files`] this row's file is, if one was kept.
    pub fn file_of(&self, row: &Row) -> Option<usize> {
        self.place(&format!("data/{}/{}", row.exhibit, row.name))
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.files.binary_search_by(|file| (*file.name).cmp(name)).ok()
    }

    /// The file of this name, with or without `data/` before it.
    pub fn find(&self, name: &str) -> Result<&Entry, ShelfError> {
        let place = self.place(name).or_else(|| self.place(&format!("data/{name}")));
        let beside = || self.beside.iter().find(|e| *e.name == *name);
        if let Some(file) = place.map(|n| &self.files[n]).or_else(beside) {
            return Ok(file);
        }
        let is_it = |withheld: &&String| **withheld == name || withheld.strip_prefix("data/") == Some(name);
        if let Some(withheld) = self.withheld.iter().find(is_it) {
            return Err(ShelfError::Withheld(withheld.clone()));
        }
        let wanted = name.strip_prefix("data/").unwrap_or(name);
        for row in self.rows()? {
            let row = row.map_err(|e| Fault::new(names::JOURNAL, e.to_string()))?;
            if wanted
                .strip_prefix(&*row.exhibit)
                .and_then(|rest| rest.strip_prefix('/'))
                == Some(&row.name)
            {
                return Err(ShelfError::NotKept {
                    name: name.to_owned(),
                    word: row.status.word(),
                    why: row.why,
                });
            }
        }
        Err(ShelfError::NoFile(name.to_owned()))
    }

    /// Begins to read a file.
    pub fn read<'a>(&'a self, file: &'a Entry) -> Result<Proving<'a>, Fault> {
        let fault = |why: String| Fault::new(&file.name, why);
        if let Container::Folder(root) = &self.container {
            // The file itself is opened without following links; so must be the way to it.
            let on_the_way = file.name.match_indices('/').map(|(at, _)| &file.name[..at]);
            for folder in on_the_way {
                let found = fs::symlink_metadata(root.join(folder));
                if !found.is_ok_and(|found| found.is_dir()) {
                    return Err(fault(format!("`{folder}` is not a folder in it")));
                }
            }
        }
        let bytes = self.container.open(file);
        Ok(Proving {
            bytes: bytes.map_err(|e| fault(format!("cannot be read: {e}")))?,
            hasher: Sha256::new(),
            file,
        })
    }

    /// Writes a file to a path where nothing is, once its hash agrees; whole or not at all.
    pub fn extract(&self, file: &Entry, path: &Path) -> Result<(), ShelfError> {
        let mut damaged = None;
        let placed = write::place(path, |out| {
            self.copy(file, out)?.map_err(|fault| {
                damaged = Some(fault);
                WriteError::Changed {
                    path: file.name.to_string(),
                }
            })
        });
        match damaged {
            Some(fault) => Err(fault.into()),
            None => placed.map_err(|why| ShelfError::Write {
                path: path.to_owned(),
                why: match why {
                    WriteError::Write(why) => why,
                    other => io::Error::other(other.to_string()),
                },
            }),
        }
    }

    /// Copies a file. The outer error is of the writing, the inner one of what was read.
    fn copy(&self, file: &Entry, out: &mut fs::File) -> io::Result<Result<(), Fault>> {
        let mut reading = match self.read(file) {
            Ok(reading) => reading,
            Err(fault) => return Ok(Err(fault)),
        };
        let mut buffer = vec![0; CHUNK];
        loop {
            match reading.read(&mut buffer) {
                Ok(0) => return Ok(reading.agrees()),
                Ok(n) => out.write_all(&buffer[..n])?,
                Err(e) => return Ok(Err(Fault::new(&file.name, format!("cannot be read: {e}")))),
            }
        }
    }
}

/// The bytes of one file, hashed as they are read.
pub struct Proving<'a> {
    bytes: Box<dyn Read + 'a>,
    hasher: Sha256,
    file: &'a Entry,
}

impl Read for Proving<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.bytes.read(to) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Ok(n) => {
                    self.hasher.update(&to[..n]);
                    return Ok(n);
                }
                Err(e) => return Err(e),
            }
        }
    }
}

impl Proving<'_> {
    /// Reads what is left, and says whether the whole is what is listed.
    pub fn agrees(mut self) -> Result<(), Fault> {
        let file = self.file;
        io::copy(&mut self, &mut io::sink())
            .map_err(|e| Fault::new(&file.name, format!("cannot be read: {e}")))?;
        match Hash(self.hasher.finalize().into()) == file.sha256 {
            true => Ok(()),
            false => Err(Fault::new(&file.name, "its hash is not the one listed")),
        }
    }
}
