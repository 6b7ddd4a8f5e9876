//! Moving every case to another folder, mostly on another disk: copied, proved there, and the old ones left as they are.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use super::Store;
use super::case::{self, Case, RESERVE};
use super::dir::Dir;
use super::error::{Doing, StoreError};
use super::replay;
use crate::journal::Chain;
use crate::model::ids::IncidentId;

const NOTE: &str = "moved";
/// How often a store that moved is followed to one that moved, too.
const HOPS: u32 = 8;

/// What a store leaves behind when its cases go elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    /// Where later commands look.
    to: PathBuf,
    /// Where each case went.
    cases: BTreeMap<String, PathBuf>,
}

impl Note {
    fn read(root: &Path) -> Option<Note> {
        const CAP: u64 = 16 << 20;
        serde_json::from_slice(&Dir::at(root).ok()?.read(NOTE, CAP).ok()?).ok()
    }
}

/// What a move brought to its new place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The new store.
    pub to: PathBuf,
    /// The cases that are there now, with what each holds.
    pub cases: Vec<MovedCase>,
}

/// One case at its new place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedCase {
    /// Its name.
    pub id: IncidentId,
    /// Files that were copied and found the same when read back.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
}

impl Store {
    /// The store in this folder, or the one its cases were moved to.
    ///
    /// Where that one is not there (a disk that is not mounted) it stays this one: new cases can be opened here,
    /// those that went refuse with [`StoreError::Moved`].
    pub fn found(root: PathBuf) -> Store {
        let mut root = root;
        for _ in 0..HOPS {
            match Note::read(&root) {
                Some(note) if Dir::at(&note.to).is_ok_and(|dir| matches!(dir.exposed(), Ok(None))) => {
                    root = note.to;
                }
                _ => break,
            }
        }
        Store::open(root)
    }

    /// Where the cases went, where this is what they left behind and the new place is not there.
    pub fn away(&self) -> Option<PathBuf> {
        Note::read(&self.root).map(|note| note.to)
    }

    /// Copies every case to another folder, proves each copy, and leaves a note that later commands follow.
    ///
    /// Nothing is deleted here. Refused while an act runs anywhere in the store; `again` as in [`Case::lock`]. What
    /// an earlier move, cut short, brought there already is proved again and counts.
    pub fn move_to(&self, to: &Path, mut again: impl FnMut(u32) -> bool) -> Result<Moved, StoreError> {
        let to = std::path::absolute(to).doing("name", to)?;
        let inside = to.starts_with(&self.root) || self.root.starts_with(&to);
        let mut note = Note::read(&self.root).unwrap_or_default();
        let mut cases = Vec::new();
        for found in self.list()? {
            if !note.cases.contains_key(found.id.as_str()) {
                cases.push(self.open_case(&found.id)?);
            }
        }
        if inside {
            return Err(StoreError::Exists { path: to });
        }
        // Nobody writes to any of them from here to the end.
        let mut held = Vec::new();
        for case in &cases {
            let act = case.try_act_lock()?.ok_or_else(|| StoreError::ActRuns {
                id: case.id().to_string(),
            })?;
            let mut tries = 0;
            let mirror = loop {
                if let Some(lock) = case.try_mirror_lock()? {
                    break lock;
                }
                tries += 1;
                if !again(tries) {
                    return Err(StoreError::Held { by: None });
                }
            };
            held.push((act, mirror, case.lock(&mut again)?));
        }
        let there = Store::open(to.clone());
        there.make_root()?;
        let root = Dir::at(&to).doing("open", &to)?;
        if let Some(why) = root.exposed().doing("look at", &to)? {
            return Err(StoreError::NotPrivate { path: to, why });
        }
        room_for(&root, &cases)?;
        let mut moved = Moved {
            to: to.clone(),
            cases: Vec::new(),
        };
        for case in &cases {
            moved.cases.push(bring(case, &root)?);
            note.cases.insert(case.id().to_string(), to.clone());
        }
        note.to = to;
        let from = Dir::at(&self.root).doing("open", &self.root)?;
        let staged = format!("{NOTE}.new");
        let _ = from.remove(&staged);
        from.create(&staged)
            .and_then(|mut file| {
                file.write_all(&serde_json::to_vec(&note)?)?;
                file.sync_all()
            })
            .and_then(|()| from.rename(&staged, &from, NOTE))
            .and_then(|()| from.sync())
            .doing("write", from.join(NOTE))?;
        drop(held);
        Ok(moved)
    }
}

/// Where this case went, if it went.
pub(super) fn went(root: &Path, id: &IncidentId) -> Result<(), StoreError> {
    match Note::read(root).and_then(|mut note| note.cases.remove(id.as_str())) {
        Some(to) => Err(StoreError::Moved {
            id: id.to_string(),
            to,
        }),
        None => Ok(()),
    }
}

/// Refuses before anything is copied where the disk cannot hold it.
fn room_for(root: &Dir, cases: &[Case]) -> Result<(), StoreError> {
    let mut needed = 0_u64;
    for case in cases {
        needed = needed.saturating_add(size(&case.dir)?);
    }
    let free = root.free().doing("look at", root.path())?;
    match free < needed {
        true => Err(StoreError::NoRoom {
            path: root.path().to_owned(),
            needed,
            free,
        }),
        false => Ok(()),
    }
}

fn size(dir: &Dir) -> Result<u64, StoreError> {
    let mut all = 0_u64;
    for name in dir.names().doing("list", dir.path())? {
        all = all.saturating_add(match dir.sub(&name) {
            Ok(sub) => size(&sub)?,
            Err(_) => dir
                .open(&name, OFlags::RDONLY)
                .and_then(|file| file.metadata())
                .doing("look at", dir.join(&name))?
                .len(),
        });
    }
    Ok(all)
}

/// Copies one case and proves the copy; whole under its name, or not there.
fn bring(case: &Case, root: &Dir) -> Result<MovedCase, StoreError> {
    let id = case.id().as_str();
    let staged = format!(".moving-{id}");
    let mut done = MovedCase {
        id: case.id().clone(),
        files: 0,
        bytes: 0,
    };
    if let Ok(there) = root.sub(id) {
        same(&case.dir, &there, &mut done)?;
        return Ok(done);
    }
    let made = match root.make(&staged) {
        // What an earlier move, cut short, left half done.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            let half = root.join(&staged);
            std::fs::remove_dir_all(&half).doing("remove", &half)?;
            root.make(&staged)
        }
        made => made,
    }
    .doing("make", root.join(&staged))?;
    copy(&case.dir, &made)?;
    same(&case.dir, &made, &mut done)?;
    case::keep_reserve(&made);
    let copied = Case::new(case.id().clone(), made)?;
    if state(case)? != state(&copied)? {
        return Err(StoreError::NotTheSame {
            path: root.join(&staged),
        });
    }
    root.rename(&staged, root, id).doing("make", root.join(id))?;
    root.sync().doing("sync", root.path())?;
    Ok(done)
}

/// Where the record of a case stands, or what is wrong with it.
fn state(case: &Case) -> Result<(Chain, String), StoreError> {
    match case.read(|_| {}) {
        Ok(read) => Ok((read.chain, read.torn.to_string())),
        Err(StoreError::Damaged(damage)) => Ok((Chain::default(), damage.to_string())),
        Err(e) => Err(e),
    }
}

fn copy(from: &Dir, to: &Dir) -> Result<(), StoreError> {
    for name in all_names(from)? {
        if let Ok(sub) = from.sub(&name) {
            copy(&sub, &to.make(&name).doing("make", to.join(&name))?)?;
            continue;
        }
        let mut source = from.open(&name, OFlags::RDONLY).doing("open", from.join(&name))?;
        let mut file = to.create(&name).doing("make", to.join(&name))?;
        io::copy(&mut source, &mut file)
            .and_then(|_| file.sync_all())
            .doing("write", to.join(&name))?;
    }
    to.sync().doing("sync", to.path())
}

/// Reads both, byte for byte by their hashes; everything here must be there, and nothing else.
fn same(from: &Dir, to: &Dir, done: &mut MovedCase) -> Result<(), StoreError> {
    let differs = |name: &str| StoreError::NotTheSame { path: to.join(name) };
    let (names, mut there) = (all_names(from)?, all_names(to)?);
    there.retain(|name| !names.contains(name));
    if let Some(more) = there.first() {
        return Err(differs(more));
    }
    for name in names {
        if let Ok(sub) = from.sub(&name) {
            same(&sub, &to.sub(&name).map_err(|_| differs(&name))?, done)?;
            continue;
        }
        let read = |dir: &Dir| {
            let file = dir.open(&name, OFlags::RDONLY)?;
            replay::measure(file)
        };
        let (here, copied) = (
            read(from).doing("read", from.join(&name))?,
            read(to).doing("read", to.join(&name))?,
        );
        if here != copied {
            return Err(differs(&name));
        }
        done.files += 1;
        done.bytes = done.bytes.saturating_add(here.0);
    }
    Ok(())
}

/// The names of a folder but for the reserve, which is made anew; a name nobody of ours gave is an error here.
fn all_names(dir: &Dir) -> Result<Vec<String>, StoreError> {
    let mut names = dir.names().doing("list", dir.path())?;
    let all = std::fs::read_dir(dir.path()).doing("list", dir.path())?.count();
    if all != names.len() {
        return Err(StoreError::BadName {
            name: format!("something in {}", dir.path().display()),
        });
    }
    names.retain(|name| name != RESERVE);
    Ok(names)
}
