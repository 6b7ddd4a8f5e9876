//! The program itself against the one that was trusted in peacetime. It is said, and keeps nobody from stopping.

use std::path::Path;

use super::{Desk, Engine, Written};

/// The running program, whatever its name; only Linux has it.
const SELF: &str = "/proc/self/exe";

impl Engine<'_> {
    /// SHA-256 of the running program; `None` where it cannot be read. Where only its file is known (macOS), of what lies there now.
    pub(super) fn own_hash(&self) -> Option<String> {
        let named = || self.hash_program(&self.world.host.program()?).ok();
        self.hash_program(Path::new(SELF)).ok().or_else(named)
    }

    /// What is to be said where this program is not the one that was trusted; `None` where it is, or nobody trusted any.
    pub fn strange_program(&self) -> Option<String> {
        let incident = self.incident().ok()?;
        let trust = incident.opened.trust.as_ref().filter(|t| t.program.is_some())?;
        trust.strange(self.own_hash().as_deref())
    }
}

impl Desk<'_> {
    /// The same where there is no incident at hand.
    pub fn strange_program(&self, written: &Written) -> Option<String> {
        self.preview(written).ok()?.strange_program()
    }
}
