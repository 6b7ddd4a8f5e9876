//! Keeping one file: its secrets taken out on the way, and beside it, where the runbook asks for that,
//! the original, sealed to people who have no hand in this incident.
//!
//! The original is written in one pass with the exhibit, since nobody knows beforehand whether a secret
//! will turn up; where none did, it goes. It is never on disk in the clear.

use std::io::{self, Write};

use super::{Engine, EngineError};
use crate::age::Sealer;
use crate::model::event::{CaptureItem, ItemStatus};
use crate::model::incident::Incident;
use crate::model::recipient::{Recipient, SealKey};
use crate::redact::{Receipt, Redactor, Stream};
use crate::sshsig::Roster;
use crate::store::{ExhibitFile, Staging, Stored};
use crate::world::World;

/// To whom originals are sealed, decided once for each exhibit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Sealing {
    to: Vec<Recipient>,
    /// Whom the runbook names and why nothing is sealed to them.
    not: Vec<String>,
}

impl Sealing {
    /// What the runbook asks for, without whoever has a hand in the incident.
    fn of(incident: &Incident, who: &str, roster: &Roster) -> Self {
        let mut sealing = Sealing::default();
        for recipient in &incident.opened.policy.seal_originals_to {
            let person = &recipient.person;
            if person.eq_ignore_ascii_case(who) || incident.had_a_hand(person) {
                sealing.not.push(format!("{person} acts in this incident"));
            } else if let Some(other) = roster.another_holds(recipient) {
                sealing.not.push(format!(
                    "the key named for {person} is {other}'s in allowed_signers"
                ));
            } else {
                sealing.to.push(recipient.clone());
            }
        }
        sealing
    }

    fn to(&self) -> String {
        let to: Vec<&str> = self.to.iter().map(|r| r.person.as_str()).collect();
        match self.not.is_empty() {
            true => format!("to {}", to.join(", ")),
            false => format!("to {}; {}", to.join(", "), self.not.join("; ")),
        }
    }
}

impl Engine<'_> {
    /// How the files of the next exhibit are kept.
    pub(super) fn sealing(&self) -> Result<Sealing, EngineError> {
        Ok(Sealing::of(&*self.incident()?, &self.who(), &self.roster()))
    }
}

/// What every file of one exhibit is kept with.
pub(super) struct Keeper<'s, 'c> {
    pub world: &'s World,
    pub staging: &'s Staging<'c>,
    pub redactor: &'s Redactor,
    pub sealing: &'s Sealing,
}

/// A file being kept.
pub(super) struct Keeping<'s, 'c> {
    keeper: &'s Keeper<'s, 'c>,
    name: String,
    redacted: Stream<'s, ExhibitFile>,
    original: Original,
}

/// The original of a file being kept.
enum Original {
    /// Nobody asked for it.
    Unwanted,
    Sealing(Box<Sealer<ExhibitFile>>),
    /// It is not sealed, and why.
    Not(String),
}

/// A file that was kept.
pub(super) struct Kept {
    pub stored: Stored,
    /// What was taken out.
    pub receipts: Vec<Receipt>,
    /// How much that was.
    pub taken_out: u32,
    /// True where the disk had no room for all of it.
    pub cut: bool,
    /// Where something was taken out and the runbook wants originals: what became of this one.
    pub original: Option<CaptureItem>,
    /// Its file.
    pub sealed: Option<Stored>,
}

impl<'s, 'c> Keeper<'s, 'c> {
    /// Begins a file.
    pub fn create(&'s self, name: &str) -> Result<Keeping<'s, 'c>, EngineError> {
        let redacted = self.redactor.stream(self.staging.create(name)?);
        let original = match (self.sealing.to.is_empty(), self.sealing.not.is_empty()) {
            (true, true) => Original::Unwanted,
            (true, false) => Original::Not(self.sealing.not.join("; ")),
            (false, _) => match self.sealer(&sealed_name(name)) {
                Ok(sealer) => Original::Sealing(Box::new(sealer)),
                Err(e) => self.lost(name, &e.to_string()),
            },
        };
        Ok(Keeping {
            keeper: self,
            name: name.to_owned(),
            redacted,
            original,
        })
    }

    fn sealer(&self, name: &str) -> io::Result<Sealer<ExhibitFile>> {
        let file = self.staging.create_aside(name).map_err(io::Error::other)?;
        let keys: Vec<&SealKey> = self.sealing.to.iter().map(|r| &r.key).collect();
        let entropy = &self.world.entropy;
        Sealer::begin(file, &keys, &mut |buffer| {
            entropy.fill(buffer).map_err(io::Error::other)
        })
    }

    /// Takes a sealed file back that will never be whole: the exhibit goes on without it.
    fn lost(&self, name: &str, why: &str) -> Original {
        // Where it was not even begun there is nothing to take back.
        let _ = self.staging.remove(&sealed_name(name));
        Original::Not(format!("its original could not be sealed: {why}"))
    }
}

impl Keeping<'_, '_> {
    /// Makes the file durable, and its original where it differs.
    pub fn finish(self) -> Result<Kept, EngineError> {
        let (keeper, name) = (self.keeper, self.name);
        let (file, receipts) = self.redacted.finish().map_err(|e| EngineError::File {
            path: name.clone(),
            why: e.to_string(),
        })?;
        let cut = file.is_cut();
        let stored = file.finish()?;
        let item = |status, why: String, sealed: Option<&Stored>| CaptureItem {
            name: sealed_name(&name),
            source: format!("the original of {name}"),
            status,
            why: Some(why),
            bytes: sealed.map_or(0, |s| s.len),
            sha256: sealed.map_or_else(String::new, |s| s.sha256.to_string()),
            redactions: 0,
        };
        let (original, sealed) = match self.original {
            Original::Unwanted => (None, None),
            Original::Sealing(_) if receipts.is_empty() => {
                keeper.staging.remove(&sealed_name(&name))?;
                (None, None)
            }
            Original::Not(_) if receipts.is_empty() => (None, None),
            Original::Sealing(sealer) => match whole(*sealer) {
                Ok(stored) => {
                    let item = item(ItemStatus::Sealed, keeper.sealing.to(), Some(&stored));
                    (Some(item), Some(stored))
                }
                Err(e) => match keeper.lost(&name, &e.to_string()) {
                    Original::Not(why) => (Some(item(ItemStatus::Failed, why, None)), None),
                    Original::Unwanted | Original::Sealing(_) => (None, None),
                },
            },
            Original::Not(why) => (Some(item(ItemStatus::Failed, why, None)), None),
        };
        Ok(Kept {
            stored,
            taken_out: u32::try_from(receipts.len()).unwrap_or(u32::MAX),
            receipts,
            cut,
            original,
            sealed,
        })
    }
}

impl Write for Keeping<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.redacted.write_all(bytes)?;
        if let Original::Sealing(sealer) = &mut self.original {
            let sealed = sealer.write_all(bytes).and_then(|()| uncut(sealer.get_ref()));
            if let Err(e) = sealed {
                self.original = self.keeper.lost(&self.name, &e.to_string());
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.redacted.flush()
    }
}

fn whole(sealer: Sealer<ExhibitFile>) -> io::Result<Stored> {
    let file = sealer.finish()?;
    uncut(&file)?;
    file.finish().map_err(io::Error::other)
}

/// Half a sealed file opens to an error and is worth nothing.
fn uncut(file: &ExhibitFile) -> io::Result<()> {
    match file.is_cut() {
        true => Err(io::Error::other("the disk of the record is nearly full")),
        false => Ok(()),
    }
}

/// The name of a file's original; no other file of an exhibit ends like this.
fn sealed_name(name: &str) -> String {
    format!("{name}{SEALED}")
}

/// What the name of a sealed file ends with.
pub(super) const SEALED: &str = ".age";
