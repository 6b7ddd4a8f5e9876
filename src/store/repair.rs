//! Going on after a damaged record: a new journal that names the damaged one by hash.

use std::io::{self, Write};

use rustix::fs::OFlags;

use super::Store;
use super::case::{Case, JOURNAL};
use super::error::{Broken, Damage, Doing, StoreError};
use super::read::{CONTINUED, Continued, damaged_name};
use super::replay;
use crate::journal::Chain;
use crate::model::ids::IncidentId;

/// What a repair found and did.
#[derive(Debug, Clone, PartialEq)]
pub struct Repaired {
    /// What was wrong.
    pub damage: Damage,
    /// What the new journal's first record says.
    pub continued: Continued,
    /// Where the chain stands: after that record.
    pub chain: Chain,
}

impl Store {
    /// Continues a damaged journal in a new one.
    ///
    /// The damaged file is kept whole as `journal.damaged-<n>.jsonl`. The new one begins with a
    /// `journal.continued` record that follows on the last good record, number and hash, so that the good
    /// part and the new journal together are one chain. `again` as in [`Case::lock`].
    pub fn repair(
        &self,
        id: &IncidentId,
        ts: &str,
        who: &str,
        again: impl FnMut(u32) -> bool,
    ) -> Result<Repaired, StoreError> {
        let case = self.open_case(id)?;
        let mut locked = case.lock(again)?;
        let damage = match locked.read(|_| {}) {
            Err(StoreError::Damaged(damage)) => damage,
            Err(other) => return Err(other),
            Ok(whole) => {
                return Err(StoreError::NothingBroken {
                    records: whole.chain.next,
                });
            }
        };
        // Only the newest journal can be continued; damage in an older one has no line to go on from.
        match damage.why {
            Broken::Line(_) if damage.file == JOURNAL => case.continue_after(damage, ts, who),
            _ => Err(StoreError::Damaged(damage)),
        }
    }
}

impl Case {
    fn continue_after(&self, damage: Damage, ts: &str, who: &str) -> Result<Repaired, StoreError> {
        let at = self.dir.join(JOURNAL);
        let journal = self.open_journal(OFlags::RDONLY)?;
        let count = self.damaged_names(&journal)?.len();
        let name = damaged_name(u32::try_from(count).unwrap_or(u32::MAX).saturating_add(1));

        let (len, sha256) = replay::measure(&journal).doing("read", &at)?;
        let continued = Continued {
            damaged: name.clone(),
            sha256,
            len,
            good: damage.good,
            at: damage.at,
            why: damage.why.to_string(),
        };
        let mut chain = Chain {
            head: damage.head,
            next: damage.good,
        };
        let what = serde_json::to_value(&continued)
            .map_err(io::Error::from)
            .doing("write", &at)?;
        let line = chain.write(ts, CONTINUED, 1, what, who)?;

        let tmp = self.sub("tmp")?;
        // What an earlier repair, cut short, may have left.
        let _ = tmp.remove(JOURNAL);
        let mut new = tmp.create(JOURNAL).doing("make", tmp.join(JOURNAL))?;
        new.write_all(&line)
            .and_then(|()| new.sync_all())
            .doing("write", tmp.join(JOURNAL))?;
        // Until the rename the damaged journal is the journal; a second name alone changes nothing.
        match self.dir.link(JOURNAL, &self.dir, &name) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            done => done.doing("set aside", &at)?,
        }
        self.dir.sync().doing("sync", self.path())?;
        tmp.rename(JOURNAL, &self.dir, JOURNAL).doing("replace", &at)?;
        self.dir.sync().doing("sync", self.path())?;
        Ok(Repaired {
            damage,
            continued,
            chain,
        })
    }
}
