//! Every byte of a case on disk: folder, locks, append, objects, spool.
//!
//! A case is one private folder; `journal.jsonl` in it is the truth, everything else is named by it.
//! A record is believed once its line is written and synced, never before. What was torn is set
//! aside, what is damaged is refused until [`Store::repair`], and nothing is ever edited.
//!
//! Absent from this room: clocks, randomness, what the records mean. Times, ids and keys are handed in.

mod append;
mod case;
mod dir;
mod error;
mod exhibit;
mod moving;
mod read;
mod repair;
mod replay;
mod spool;

use std::io::Seek;
use std::path::{Path, PathBuf};

pub use append::{Appended, CaughtUp, Draft, Locked, Torn};
pub use case::{ActLock, Case, Folder, Pin};
pub use error::{Broken, Damage, StoreError};
pub use exhibit::{ExhibitFile, Staging, Stored};
pub use moving::{Moved, MovedCase};
pub use read::{Continued, Read, Reader};
pub use repair::Repaired;
pub use spool::{Place, Spool, Spooled};

use crate::journal::{self, Record};
use crate::model::ids::IncidentId;
use crate::model::time;
use dir::Dir;
use error::Doing;

/// Kind of the record that ends a case.
const CLOSED: &str = "incident.closed";

/// All cases of one user on this machine.
pub struct Store {
    root: PathBuf,
}

/// One case as a list shows it, read quickly and without checking the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseSummary {
    /// Its name.
    pub id: IncidentId,
    /// Its folder.
    pub path: PathBuf,
    /// When its first record was written, ms since the epoch.
    pub opened_ms: Option<i64>,
    /// False where nothing was ever written: whoever made it was killed before the first record.
    pub begun: bool,
    /// Open, closed, or why neither can be said.
    pub state: CaseState,
}

/// Whether a case is still going on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaseState {
    /// Nobody closed it.
    Open,
    /// It was closed.
    Closed,
    /// Its folder or its first record cannot be read: why.
    Broken(String),
}

impl Store {
    /// A store in this folder, which is made when the first case is.
    pub fn open(root: PathBuf) -> Store {
        Store { root }
    }

    /// The folder that holds the cases.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Makes the folder of a new case, whole or not at all.
    ///
    /// `key` is the case's fingerprint key, 32 random bytes. The reserve is part of the folder where
    /// the file system gives one; [`Case::has_reserve`] tells.
    pub fn create_case(&self, id: &IncidentId, key: &[u8; 32]) -> Result<Case, StoreError> {
        self.make_root()?;
        let root = Dir::at(&self.root).doing("open", &self.root)?;
        if root.sub(id.as_str()).is_ok() {
            return Err(StoreError::Exists {
                path: root.join(id.as_str()),
            });
        }
        let staged = format!(".new-{id}");
        let made = root.make(&staged).doing("make", root.join(&staged))?;
        case::furnish(&made, key)?;
        root.rename(&staged, &root, id.as_str())
            .doing("make", root.join(id.as_str()))?;
        root.sync().doing("sync", &self.root)?;
        self.open_case(id)
    }

    /// Opens a case. Its journal is not read yet.
    pub fn open_case(&self, id: &IncidentId) -> Result<Case, StoreError> {
        let missing = || StoreError::NoSuchCase {
            id: id.to_string(),
            root: self.root.clone(),
        };
        let path = self.root.join(id.as_str());
        let root = Dir::at(&self.root).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => missing(),
            _ => StoreError::Io {
                doing: "open",
                path: self.root.clone(),
                source: e,
            },
        })?;
        moving::went(&self.root, id)?;
        match root.sub(id.as_str()) {
            Ok(dir) => Case::new(id.clone(), dir),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(missing()),
            Err(_) if path.is_symlink() => Err(StoreError::NotPrivate {
                path,
                why: "it is a symbolic link",
            }),
            Err(e) => Err(e).doing("open", path),
        }
    }

    /// Every case, newest first, broken ones with their reason. An absent store holds none.
    pub fn list(&self) -> Result<Vec<CaseSummary>, StoreError> {
        self.summaries(|_| true)
    }

    /// Names of all cases, in no order: what can be told without reading any.
    pub fn ids(&self) -> Result<Vec<IncidentId>, StoreError> {
        let root = match Dir::at(&self.root) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            root => root.doing("open", &self.root)?,
        };
        let names = root.names().doing("list", &self.root)?;
        let cases = names
            .iter()
            .filter(|name| name.starts_with("INC-") || name.starts_with("DRILL-"));
        Ok(cases.filter_map(|name| IncidentId::new(name).ok()).collect())
    }

    /// A record is read to tell whether it is closed, so only those that are wanted are.
    fn summaries(&self, wanted: impl Fn(&IncidentId) -> bool) -> Result<Vec<CaseSummary>, StoreError> {
        let ids = self.ids()?.into_iter().filter(wanted);
        let mut cases: Vec<CaseSummary> = ids.map(|id| self.summary(id)).collect();
        cases.sort_by_cached_key(|case| std::cmp::Reverse((stamp(&case.id), case.opened_ms)));
        Ok(cases)
    }

    /// The open cases, newest first; drills or real ones, never both.
    pub fn find_open(&self, drill: bool) -> Result<Vec<CaseSummary>, StoreError> {
        let mut cases = self.summaries(|id| id.is_drill() == drill)?;
        cases.retain(|case| case.state == CaseState::Open);
        Ok(cases)
    }

    fn summary(&self, id: IncidentId) -> CaseSummary {
        let path = self.root.join(id.as_str());
        let mut summary = CaseSummary {
            id,
            path,
            opened_ms: None,
            begun: true,
            state: CaseState::Open,
        };
        let case = self.open_case(&summary.id);
        if let Err(e) = case.and_then(|case| glance(&case, &mut summary)) {
            summary.state = CaseState::Broken(e.to_string());
        }
        summary
    }

    fn make_root(&self) -> Result<(), StoreError> {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.root)
            .doing("make", &self.root)
    }
}

/// Bytes that this user may still write to the disk of this folder.
pub fn free_in(folder: &Path) -> Result<u64, StoreError> {
    Dir::at(folder)
        .and_then(|dir| dir.free())
        .doing("look at", folder)
}

/// When the case was opened, and whether it is closed: from the kinds of its lines alone.
fn glance(case: &Case, summary: &mut CaseSummary) -> Result<(), StoreError> {
    let (mut begun, mut closed) = (case.holds_files(), false);
    for path in case.journals()? {
        let file = case.open(&path)?;
        let mut look = || {
            let first = replay::first_line(&file)?;
            begun |= !first.is_empty();
            let first = serde_json::from_slice::<Record>(&first);
            let opened_ms = || time::parse_rfc3339(&first.ok()?.ts);
            summary.opened_ms = summary.opened_ms.or_else(opened_ms);
            (&file).rewind()?;
            // Most records never say the word, and to look for a word is quicker than to look at lines.
            if replay::holds(&file, CLOSED)? {
                (&file).rewind()?;
                replay::each_line(&file, |line| closed |= journal::kind_of(line) == Some(CLOSED))?;
            }
            std::io::Result::Ok(())
        };
        look().doing("read", case.path().join(&path))?;
    }
    summary.begun = begun;
    if closed {
        summary.state = CaseState::Closed;
    }
    Ok(())
}

/// Day and minute in the name of a case: `20261122-0314` of `INC-20261122-0314-k7qf`.
fn stamp(id: &IncidentId) -> String {
    let parts: Vec<&str> = id.as_str().splitn(4, '-').collect();
    parts.get(1..3).map(|stamp| stamp.join("-")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::model::event::{Event, EventError};

    #[test]
    fn the_kinds_this_room_knows_by_name_are_those_of_the_model() {
        for kind in [super::CLOSED, super::read::CONTINUED, super::spool::ABSORBED] {
            let known = Event::decode(kind, 1, &serde_json::Value::Null);
            assert!(matches!(known, Err(EventError::Fields { .. })), "{kind}");
        }
    }
}
