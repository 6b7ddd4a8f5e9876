//! Files that start an agent by being there: a script that must not be executable, a schedule that must not
//! be read. Each is changed in place and given back with its bytes, its owner and its mode.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::programs::{error, noted};
use crate::model::fact::{Fact, Glance};
use crate::world::World;

/// Largest file that is set aside, in bytes.
const CAP: u64 = 4 << 20;

/// One such file.
pub struct Aside<'t> {
    path: &'t Path,
    how: How,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// It loses the right to be executed.
    NotExecutable,
    /// It moves beside, under a name nobody reads.
    Renamed,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Before {
    mode: u32,
}

impl<'t> Aside<'t> {
    /// A script that others run because it is executable.
    pub fn script(path: &'t str) -> Self {
        Aside {
            path: Path::new(path),
            how: How::NotExecutable,
        }
    }

    /// A file that an agent reads to know when to run.
    pub fn file(path: &'t str) -> Self {
        Aside {
            path: Path::new(path),
            how: How::Renamed,
        }
    }

    /// Its mode, for an undo.
    pub async fn glance(&self, world: &World) -> Glance {
        let (facts, undo) = match world.files.stat(self.path) {
            Ok(stat) => {
                let words = format!("{} had mode {:o}", self.path.display(), stat.mode);
                let undo = serde_json::to_vec(&Before { mode: stat.mode }).ok();
                (
                    vec![noted("file", words)],
                    undo.filter(|_| self.is_live(stat.mode)),
                )
            }
            Err(e) if e.kind() == ErrorKind::NotFound => (vec![noted("file", "it is not there")], None),
            Err(e) => (vec![self.failed(&e)], None),
        };
        Glance { facts, undo }
    }

    /// Takes it out of the way, and looks.
    pub async fn cut(&self, world: &World, incident: &str) -> Vec<Fact> {
        let fact = match self.set_aside(world, incident) {
            Ok(true) => Fact::Accepted { status: 0 },
            Ok(false) => Fact::AlreadyDone { status: 0 },
            Err(e) => return vec![self.failed(&e)],
        };
        [vec![fact], self.probe(world).await].concat()
    }

    fn set_aside(&self, world: &World, incident: &str) -> std::io::Result<bool> {
        let stat = match world.files.stat(self.path) {
            Ok(stat) if self.is_live(stat.mode) => stat,
            Ok(_) => return Ok(false),
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(e),
        };
        let bytes = world.files.read(self.path, CAP)?;
        match self.how {
            How::NotExecutable => world.files.replace(self.path, &bytes, stat.mode & !0o111)?,
            How::Renamed => {
                world.files.replace(&self.beside(incident), &bytes, stat.mode)?;
                world.files.remove(self.path)?;
            }
        }
        Ok(true)
    }

    /// Looks whether it would run again.
    pub async fn probe(&self, world: &World) -> Vec<Fact> {
        match world.files.stat(self.path) {
            Ok(stat) => vec![Fact::ReadBack {
                dead: !self.is_live(stat.mode),
            }],
            Err(e) if e.kind() == ErrorKind::NotFound => vec![Fact::ReadBack { dead: true }],
            Err(e) => vec![self.failed(&e)],
        }
    }

    /// Puts it back. What somebody put in its place since stays there.
    pub async fn restore(&self, world: &World, incident: &str, undo: &[u8]) -> Vec<Fact> {
        let Ok(before) = serde_json::from_slice::<Before>(undo) else {
            return vec![error(&format!(
                "the undo data of {} cannot be read",
                self.path.display()
            ))];
        };
        let from = match self.how {
            How::NotExecutable => self.path.to_path_buf(),
            How::Renamed => self.beside(incident),
        };
        if self.how == How::Renamed && world.files.stat(self.path).is_ok() {
            let text = format!(
                "{} is there again; the old one lies at {}",
                self.path.display(),
                from.display()
            );
            return vec![error(&text)];
        }
        let put = world.files.read(&from, CAP).and_then(|bytes| {
            world.files.replace(self.path, &bytes, before.mode)?;
            match self.how {
                How::NotExecutable => Ok(()),
                How::Renamed => world.files.remove(&from),
            }
        });
        match put {
            Ok(()) => [vec![Fact::Accepted { status: 0 }], self.probe(world).await].concat(),
            Err(e) => vec![self.failed(&e)],
        }
    }

    fn is_live(&self, mode: u32) -> bool {
        self.how == How::Renamed || mode & 0o111 != 0
    }

    fn beside(&self, incident: &str) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(format!(".{incident}"));
        PathBuf::from(name)
    }

    fn failed(&self, e: &std::io::Error) -> Fact {
        error(&format!("{}: {e}", self.path.display()))
    }
}
