//! The record, line by line, at one place off this host while the incident runs.
//!
//! Nothing here delays an act: once records are durable, a process of its own is started (one at a time) that
//! brings what the place lacks and ends. How far it got stands in a note beside the case, which is no evidence:
//! what is really there is proved by reading the place ([`compare`]).

mod compare;
mod place;
mod send;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Engine, EngineError};
use crate::journal::{Hash, Line};
use crate::model::event::{MirrorAcked, MirrorChosen};
use crate::model::time::span;
use crate::redact::Redactor;
use crate::store::{Case, StoreError};
use crate::world::{World, WorldKind};

pub use compare::{Agreement, compare};
pub use place::Place;

use send::{NotThere, Way};

/// Most bytes of records in one batch.
pub(super) const BATCH: usize = 1 << 20;
/// A pusher that has nothing to bring waits so long for more, then ends.
const QUIET: Duration = Duration::from_secs(2);
/// How often it looks meanwhile.
const LOOK: Duration = Duration::from_millis(100);
/// Longest pause after a failed try; the first is one second, and each doubles.
const PAUSE: Duration = Duration::from_secs(30);
/// Without one batch that arrived, a pusher gives up after so long. The next command starts another.
const GIVES_UP: Duration = Duration::from_secs(600);
/// Kind of the record that names the place.
const CHOSEN: &str = "mirror.chosen";

/// How far the place has come, as far as this host knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    /// The record that chose the place.
    chosen: u64,
    /// Folder of the incident there. Empty until one is found that nobody used.
    folder: String,
    /// Records that are there.
    next: u64,
    /// Hash of the last of them.
    head: Option<Hash>,
    /// Last record of the batch that was sent and not yet read back: it is sent again under the same name.
    trying: Option<u64>,
    /// Since when there has been something to bring, ms since the epoch.
    since_ms: Option<i64>,
    /// When the last batch was read back, ms since the epoch.
    acked_ms: Option<i64>,
    /// Why the newest try failed.
    error: Option<String>,
}

impl Note {
    fn read(case: &Case, chosen: u64) -> Note {
        let read = || serde_json::from_slice::<Note>(&case.mirror_note()?).ok();
        read().filter(|note| note.chosen == chosen).unwrap_or(Note {
            chosen,
            ..Note::default()
        })
    }

    fn write(&self, case: &Case) -> Result<(), StoreError> {
        case.write_mirror_note(&serde_json::to_vec(self).unwrap_or_default())
    }
}

/// How the mirror of an incident stands, as far as this host knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mirror {
    /// Where it is.
    pub place: String,
    /// Folder of the incident there, once there is one.
    pub folder: Option<String>,
    /// Records that were read back from there.
    pub there: u64,
    /// Records that were not.
    pub behind: u64,
    /// Since when, ms since the epoch, where it is known.
    pub since_ms: Option<i64>,
    /// Why the newest try failed, if it did.
    pub error: Option<String>,
}

impl Mirror {
    /// One sentence without a full stop, at this wall time.
    pub fn words(&self, now_ms: i64) -> String {
        let records = match self.behind {
            0 => {
                let there = self.there;
                return format!("mirror {}: all {there} records are there", self.place);
            }
            1 => "1 record".to_owned(),
            n => format!("{n} records"),
        };
        let since = match self.since_ms.and_then(|ms| u64::try_from(now_ms - ms).ok()) {
            Some(ms) => format!(" since {}", span(ms)),
            None => String::new(),
        };
        let why = self.error.as_ref().map(|e| format!(": {e}")).unwrap_or_default();
        format!("mirror {}: {records} behind{since}{why}", self.place)
    }
}

impl Engine<'_> {
    /// From now on every record goes to this place, too. Chosen again, it begins anew there.
    pub fn choose_mirror(&self, place: &Place) -> Result<u64, EngineError> {
        if self.world.kind == WorldKind::Drill {
            return Err(EngineError::OutOfOrder("a drill is never mirrored".into()));
        }
        self.record(MirrorChosen {
            place: place.to_string(),
        })
    }

    /// How the mirror stands; `None` where no place was chosen.
    pub fn mirror(&self) -> Result<Option<Mirror>, EngineError> {
        let incident = self.incident()?;
        let Some((chosen, place)) = &incident.mirror else {
            return Ok(None);
        };
        let case = self.recorder.borrow().case();
        let note = case.map(|case| Note::read(&case, *chosen)).unwrap_or_default();
        let behind = incident.records.saturating_sub(note.next);
        Ok(Some(Mirror {
            place: place.clone(),
            folder: Some(note.folder).filter(|f| !f.is_empty()),
            there: note.next,
            behind,
            since_ms: note.since_ms.filter(|_| behind > 0),
            error: note.error.filter(|_| behind > 0),
        }))
    }

    /// Puts on record how far the place has come: before a seal and before the end.
    pub(super) fn record_mirror(&self) -> Result<(), EngineError> {
        let Some(mirror) = self.mirror()? else {
            return Ok(());
        };
        self.record(MirrorAcked {
            place: mirror.place,
            folder: mirror.folder.unwrap_or_default(),
            there: mirror.there,
            behind: mirror.behind,
            why: mirror.error.unwrap_or_default(),
        })
        .map(drop)
    }
}

/// Starts a pusher where the place lacks something and none runs; true where it did. Never waits, never fails: what
/// cannot be started shows as a lag.
pub(super) fn wake(world: &World, case: &Case, chosen: u64, records: u64) -> bool {
    if Note::read(case, chosen).next >= records || !matches!(case.try_mirror_lock(), Ok(Some(_))) {
        return false;
    }
    let (Some(program), Some(store)) = (world.host.program(), case.path().parent()) else {
        return false;
    };
    let argv = [
        program.display().to_string(),
        "--store".to_owned(),
        store.display().to_string(),
        "--incident".to_owned(),
        case.id().to_string(),
        "mirror".to_owned(),
        "--push".to_owned(),
    ];
    world.spawn.detach(&argv, send::env(world));
    true
}

/// What the record holds from `next` on.
#[derive(Default)]
struct Look {
    /// Where it is mirrored: number of the record that says so, and its words.
    chosen: Option<(u64, String)>,
    /// Hash of the record before `next`.
    before: Option<Hash>,
    /// Lines from `next` on, as many as make a batch.
    lines: String,
    /// Number and hash of the last of them.
    last: Option<(u64, Hash)>,
    /// How many records there are.
    records: u64,
}

#[derive(Deserialize)]
struct Chosen {
    place: String,
}

impl Look {
    /// `until` ends a batch that was sent before.
    fn at(case: &Case, next: u64, until: Option<u64>) -> Result<Look, StoreError> {
        let mut look = Look::default();
        let mut full = false;
        case.read(|line| {
            look.records = line.seq + 1;
            if line.kind == CHOSEN
                && let Ok(Chosen { place }) = line.read()
            {
                look.chosen = Some((line.seq, place));
            }
            if line.seq + 1 == next {
                look.before = Some(line.hash);
            }
            if line.seq < next || full {
                return;
            }
            let Some(text) = text_of(line) else {
                full = true;
                return;
            };
            full = !look.lines.is_empty() && look.lines.len() + text.len() > BATCH;
            if !full {
                look.lines.push_str(&text);
                look.last = Some((line.seq, line.hash));
                full = until == Some(line.seq);
            }
        })?;
        Ok(look)
    }
}

/// The exact bytes of a line, which its hash proves.
fn text_of(line: &Line<'_>) -> Option<String> {
    let mut text = serde_json::to_string(&line.record().ok()?).ok()?;
    text.push('\n');
    (Hash::of(text.as_bytes()) == line.hash).then_some(text)
}

/// Brings what the place lacks, until there has been nothing new for `QUIET` or nothing arrived for
/// `GIVES_UP`. Returns at once where another process does it already, or where no place was chosen.
pub fn push(world: &World, case: &Case) -> Result<(), EngineError> {
    loop {
        let Some(lock) = locked(world, case)? else {
            return Ok(());
        };
        let pusher = Pusher { world, case };
        let brought = pusher.run()?;
        drop(lock);
        // A record may have come between the last look and the end of the lock: nobody else would bring it.
        if !brought || pusher.behind()? == 0 {
            return Ok(());
        }
    }
}

/// The lock of the one pusher. Whoever only asks whether it is free holds it for a moment.
fn locked(world: &World, case: &Case) -> Result<Option<crate::store::ActLock>, EngineError> {
    for _ in 0..20 {
        if let Some(lock) = case.try_mirror_lock()? {
            return Ok(Some(lock));
        }
        world.clock.pause(Duration::from_millis(10));
    }
    Ok(None)
}

struct Pusher<'a> {
    world: &'a World,
    case: &'a Case,
}

impl Pusher<'_> {
    /// True where everything was there in the end.
    fn run(&self) -> Result<bool, EngineError> {
        let now_us = || self.world.clock.now().mono_us;
        let us = |span: Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        let (mut quiet_since, mut arrived, mut pause) = (now_us(), now_us(), Duration::from_secs(1));
        loop {
            match self.once()? {
                Once::NoPlace => return Ok(false),
                Once::Nothing if now_us().saturating_sub(quiet_since) >= us(QUIET) => return Ok(true),
                Once::Nothing => self.world.clock.pause(LOOK),
                Once::Brought => {
                    (quiet_since, arrived, pause) = (now_us(), now_us(), Duration::from_secs(1));
                }
                Once::Failed => {
                    if now_us().saturating_sub(arrived) >= us(GIVES_UP) {
                        return Ok(false);
                    }
                    self.world.clock.pause(pause);
                    pause = PAUSE.min(pause * 2);
                }
            }
        }
    }

    fn behind(&self) -> Result<u64, EngineError> {
        let look = Look::at(self.case, 0, Some(0))?;
        Ok(match look.chosen {
            Some((chosen, _)) => look.records.saturating_sub(Note::read(self.case, chosen).next),
            None => 0,
        })
    }

    fn once(&self) -> Result<Once, EngineError> {
        // Where the store has moved, the case is mirrored from its new place.
        if self.case.is_moved() {
            return Ok(Once::NoPlace);
        }
        let whole = Look::at(self.case, 0, Some(0))?;
        let Some((chosen, place)) = whole.chosen else {
            return Ok(Once::NoPlace);
        };
        let Ok(place) = place.parse::<Place>() else {
            return Ok(Once::NoPlace);
        };
        let mut note = Note::read(self.case, chosen);
        if note.next == whole.records {
            return Ok(Once::Nothing);
        }
        let mut look = Look::at(self.case, note.next, note.trying)?;
        if note.next > 0 && look.before != note.head {
            // The record went on another way than what is there (a repair): both are kept, each in its folder.
            note = Note {
                chosen,
                ..Note::default()
            };
            look = Look::at(self.case, 0, None)?;
        }
        let Some((last, head)) = look.last else {
            return Ok(Once::Nothing);
        };
        let now = || self.world.clock.now().utc_ms;
        note.since_ms = note.since_ms.or_else(|| Some(now()));
        let way = Way {
            world: self.world,
            place: &place,
            id: self.case.id(),
            tmp: self.case.path().join("tmp"),
        };
        if note.folder.is_empty() {
            note.write(self.case)?;
            match way.folders() {
                Ok(there) => note.folder = free_folder(&there),
                Err(why) => return self.failed(note, &why),
            }
        }
        note.trying = Some(last);
        note.write(self.case)?;
        let name = format!("{:08}-{last:08}.jsonl", note.next);
        match way.put(&note.folder, &name, &look.lines) {
            Ok(()) => {
                let whole = last + 1 == look.records;
                let at = now();
                note = Note {
                    next: last + 1,
                    head: Some(head),
                    trying: None,
                    since_ms: (!whole).then_some(at),
                    acked_ms: Some(at),
                    error: None,
                    ..note
                };
                note.write(self.case)?;
                Ok(Once::Brought)
            }
            Err(NotThere::Failed(why)) => self.failed(note, &why),
            Err(NotThere::Other) => {
                let why = format!(
                    "{}/{name} there is not what was sent; choose the place again to begin a new folder",
                    note.folder
                );
                self.failed(note, &why)
            }
        }
    }

    fn failed(&self, mut note: Note, why: &str) -> Result<Once, EngineError> {
        const LONGEST: usize = 300;
        let redactor = Redactor::new(*self.case.key()?, &[])?;
        note.error = Some(redactor.scrub(why).chars().take(LONGEST).collect());
        note.write(self.case)?;
        Ok(Once::Failed)
    }
}

/// What one look and one try came to.
enum Once {
    NoPlace,
    Nothing,
    Brought,
    Failed,
}

/// The first of `journal`, `journal-2`, … that nobody used.
fn free_folder(there: &[String]) -> String {
    let taken = |name: &String| there.contains(name);
    let numbered = (2_u32..).map(|n| format!("journal-{n}"));
    let mut names = std::iter::once("journal".to_owned()).chain(numbered);
    names.find(|name| !taken(name)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Mirror, free_folder};

    #[test]
    fn a_folder_that_was_used_is_never_written_to_again() {
        let there = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        assert_eq!(free_folder(&[]), "journal");
        assert_eq!(free_folder(&there(&["journal", "journal-3"])), "journal-2");
        assert_eq!(free_folder(&there(&["journal-2", "journal"])), "journal-3");
    }

    #[test]
    fn the_lag_says_how_much_since_when_and_why() {
        let mut mirror = Mirror {
            place: "ssh://ana@vault/srv".into(),
            folder: Some("journal".into()),
            there: 9,
            behind: 3,
            since_ms: Some(1_000),
            error: Some("connection refused".into()),
        };
        assert_eq!(
            mirror.words(41_000),
            "mirror ssh://ana@vault/srv: 3 records behind since 40 s: connection refused"
        );
        mirror.behind = 0;
        assert_eq!(
            mirror.words(41_000),
            "mirror ssh://ana@vault/srv: all 9 records are there"
        );
    }
}
