//! Who waits for whom in one sweep: the only order there is between chains, and none of it lasts long.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::event::Aim;
use crate::model::grant::{Shared, Target};
use crate::model::ids::TargetId;

/// A trigger that hangs delays the end of sessions no longer than this.
pub(super) const TRIGGERS: Duration = Duration::from_secs(2);
/// What the responder uses too waits for the rest no longer than this.
pub(super) const OTHERS: Duration = Duration::from_secs(20);
/// A database that hangs delays the cut of what leases its logins no longer than this, and the other way round.
pub(super) const FEEDS: Duration = Duration::from_secs(2);

/// How far the chains of one sweep have come.
pub(super) struct Turns {
    /// Triggers that are not cut yet.
    pub triggers: Left,
    /// What is not the responder's and not through yet.
    pub others: Left,
    /// Trees that are not frozen yet.
    pub frozen: Left,
    /// How many of those that are cut last are through.
    pub last_done: Cell<usize>,
    /// Chains another one waits for: sessions ended once, a lease revoked, or at its end however it ended.
    reached: RefCell<BTreeSet<TargetId>>,
}

impl Turns {
    /// Nothing has begun.
    pub fn of(aims: &[Aim]) -> Turns {
        Turns {
            triggers: Left::of(aims, |t| matches!(t, Target::Trigger(_))),
            others: Left::of(aims, |t| !is_responders(t)),
            frozen: Left::of(aims, |t| matches!(t, Target::Tree(_))),
            last_done: Cell::new(0),
            reached: RefCell::default(),
        }
    }

    /// This chain has come to where others wait for it.
    pub fn reach(&self, id: &TargetId) {
        self.reached.borrow_mut().insert(id.clone());
    }

    /// True where all of these have.
    pub fn reached(&self, all: &[TargetId]) -> bool {
        let reached = self.reached.borrow();
        all.iter().all(|id| reached.contains(id))
    }
}

/// How many chains have not come to some point yet.
pub(super) struct Left(Cell<usize>);

impl Left {
    fn of(aims: &[Aim], pick: impl Fn(&Target) -> bool) -> Left {
        Left(Cell::new(aims.iter().filter(|a| pick(&a.target)).count()))
    }

    pub fn none(&self) -> bool {
        self.0.get() == 0
    }

    /// One chain's part; given up at the latest when the chain ends, however it ends.
    pub fn part(&self, mine: bool) -> Part<'_> {
        Part(mine.then_some(&self.0))
    }
}

/// What one chain holds up.
pub(super) struct Part<'l>(Option<&'l Cell<usize>>);

impl Part<'_> {
    pub fn done(&mut self) {
        if let Some(left) = self.0.take() {
            left.set(left.get().saturating_sub(1));
        }
    }
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        self.done();
    }
}

/// True for a grant that the responder uses too.
pub(super) fn is_responders(target: &Target) -> bool {
    matches!(target, Target::Grant(g) if g.shared == Shared::Responder)
}
