//! The record, line by line, at one place off this host while the incident runs.
//!
//! Nothing here delays an act: once records are durable, a process of its own is started (one at a time) that
//! brings what the place lacks and ends. How far it got stands in a note beside the case, which is no evidence:
//! what is really there is proved by reading the place ([`compare`]).

mod compare;
mod place;
mod send;

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Engine, EngineError};
use crate::journal::{Hash, Line};
use crate::model::event::{MirrorAcked, MirrorChosen, MirrorEnded};
use crate::model::time::span;
use crate::redact::Redactor;
use crate::store::{Broken, Case, Damage, Reader, StoreError};
use crate::world::{World, WorldKind};

pub use compare::{Agreement, compare};
pub use place::Place;

pub(super) use send::env as responders_env;
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
/// Kind of the record after which nothing more goes there.
const ENDED: &str = "mirror.ended";

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
        let since = match self
            .since_ms
            .and_then(|ms| u64::try_from(now_ms.checked_sub(ms)?).ok())
        {
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

    /// From now on nothing more goes there; says what the place keeps. `None` where there was no mirror.
    pub fn end_mirror(&self) -> Result<Option<MirrorEnded>, EngineError> {
        let Some(mirror) = self.mirror()? else {
            return Ok(None);
        };
        let ended = MirrorEnded {
            place: mirror.place,
            folder: mirror.folder.unwrap_or_default(),
            there: mirror.there,
            behind: mirror.behind,
        };
        self.record(ended.clone())?;
        Ok(Some(ended))
    }

    /// How the mirror stands; `None` where no place was chosen.
    pub fn mirror(&self) -> Result<Option<Mirror>, EngineError> {
        let mut incident = self.incident()?;
        let Some((chosen, place)) = incident.mirror.clone() else {
            return Ok(None);
        };
        let case = self.recorder.borrow().case();
        let note = case.map(|case| Note::read(&case, chosen)).unwrap_or_default();
        if note.next > incident.records && self.catch_up().is_ok() {
            // Another terminal wrote on, and that is there already.
            incident = self.incident()?;
        }
        // A note is anybody's who can write here: what it says beyond this record is not known.
        let fits = match note.next.cmp(&incident.records) {
            Ordering::Less => true,
            Ordering::Equal => note.head == self.head().map(|(_, hash)| hash),
            Ordering::Greater => false,
        };
        let note = if fits { note } else { Note::default() };
        let behind = incident.records.saturating_sub(note.next);
        Ok(Some(Mirror {
            place,
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
    if Note::read(case, chosen).next == records || !matches!(case.try_mirror_lock(), Ok(Some(_))) {
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

/// The record as far as one pusher has read it: where it goes, and what is still to bring.
#[derive(Default)]
struct Seen {
    reader: Reader,
    /// Where it is mirrored: number of the record that says so, and its words.
    chosen: Option<(u64, String)>,
    /// How many records there are.
    records: u64,
    /// First record that is not there.
    next: u64,
    /// Hash of the one before it.
    before: Option<Hash>,
    /// Lines from `next` on, as many as make a batch.
    lines: VecDeque<Pending>,
    /// Bytes of them.
    bytes: usize,
    /// True where more follow than were kept.
    cut: bool,
}

/// One line to bring.
struct Pending {
    seq: u64,
    hash: Hash,
    text: String,
}

#[derive(Deserialize)]
struct Chosen {
    place: String,
}

impl Seen {
    /// Nothing read yet.
    fn from(next: u64) -> Seen {
        Seen {
            next,
            ..Seen::default()
        }
    }

    /// Lines are kept from this record on.
    fn begin(&mut self, case: &Case, next: u64) -> Result<(), StoreError> {
        if self.next == next {
            return Ok(());
        }
        *self = Seen::from(next);
        self.look(case)
    }

    /// Reads what is new.
    fn look(&mut self, case: &Case) -> Result<(), StoreError> {
        let mut reader = std::mem::take(&mut self.reader);
        let read = case.read_on(&mut reader, |line| self.line(line));
        self.reader = reader;
        match read {
            // A repair put another file there; whether the place still agrees is told by the hashes.
            Err(StoreError::Damaged(Damage {
                why: Broken::Rewritten,
                ..
            })) => {
                *self = Seen::from(self.next);
                self.look(case)
            }
            read => read,
        }
    }

    fn line(&mut self, line: &Line<'_>) {
        self.records = line.seq + 1;
        match line.kind.as_ref() {
            CHOSEN => {
                if let Ok(Chosen { place }) = line.read() {
                    self.chosen = Some((line.seq, place));
                }
            }
            ENDED => self.chosen = None,
            _ => {}
        }
        if line.seq + 1 == self.next {
            self.before = Some(line.hash);
        }
        if line.seq < self.next || self.cut {
            return;
        }
        match text_of(line) {
            Some(text) if self.lines.is_empty() || self.bytes + text.len() <= BATCH => {
                self.bytes += text.len();
                self.lines.push_back(Pending {
                    seq: line.seq,
                    hash: line.hash,
                    text,
                });
            }
            _ => self.cut = true,
        }
    }

    /// The next batch with the number and the hash of its last record; `until` ends one that was sent before.
    fn batch(&self, until: Option<u64>) -> Option<(String, u64, Hash)> {
        let mut text = String::new();
        let mut last = None;
        for line in &self.lines {
            text.push_str(&line.text);
            last = Some((line.seq, line.hash));
            if until == Some(line.seq) {
                break;
            }
        }
        last.map(|(seq, hash)| (text, seq, hash))
    }

    /// What is there up to this record need not be kept any longer.
    fn brought(&mut self, last: u64, head: Hash) {
        while let Some(line) = self.lines.pop_front_if(|line| line.seq <= last) {
            self.bytes -= line.text.len();
        }
        (self.next, self.before) = (last + 1, Some(head));
        if self.cut && self.lines.is_empty() {
            *self = Seen::from(self.next);
        }
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
        let mut pusher = Pusher {
            world,
            case,
            seen: Seen::default(),
        };
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
    seen: Seen,
}

impl Pusher<'_> {
    /// True where everything was there in the end.
    fn run(&mut self) -> Result<bool, EngineError> {
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

    fn behind(&mut self) -> Result<u64, EngineError> {
        self.seen.look(self.case)?;
        Ok(match self.seen.chosen {
            Some((chosen, _)) => self
                .seen
                .records
                .saturating_sub(Note::read(self.case, chosen).next),
            None => 0,
        })
    }

    fn once(&mut self) -> Result<Once, EngineError> {
        // Where the store has moved, the case is mirrored from its new place.
        if self.case.is_moved() {
            return Ok(Once::NoPlace);
        }
        self.seen.look(self.case)?;
        let Some((chosen, place)) = &self.seen.chosen else {
            return Ok(Once::NoPlace);
        };
        let (chosen, Ok(place)) = (*chosen, place.parse::<Place>()) else {
            return Ok(Once::NoPlace);
        };
        let mut note = Note::read(self.case, chosen);
        self.seen.begin(self.case, note.next)?;
        if note.next > 0 && (self.seen.before.is_none() || self.seen.before != note.head) {
            // The record went on another way than what is there (a repair, a note that somebody changed): both are
            // kept, each in its folder.
            note = Note {
                chosen,
                ..Note::default()
            };
            self.seen.begin(self.case, 0)?;
        }
        if note.next == self.seen.records {
            return Ok(Once::Nothing);
        }
        let Some((batch, last, head)) = self.seen.batch(note.trying) else {
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
        match way.put(&note.folder, &name, &batch) {
            Ok(()) => {
                let whole = last + 1 == self.seen.records;
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
                self.seen.brought(last, head);
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
    use super::{BATCH, Mirror, Seen, free_folder};
    use crate::journal::Chain;

    /// Lines of a record, each about as long as one can be.
    fn long_lines(count: usize) -> Vec<Vec<u8>> {
        let mut chain = Chain::default();
        let what = serde_json::json!({ "text": "x".repeat(60_000) });
        let mut line = || chain.write("t", "note.added", 1, what.clone(), "ana");
        (0..count).map(|_| line().unwrap()).collect()
    }

    #[test]
    fn a_long_backlog_is_brought_in_batches_that_are_the_record() {
        let all = long_lines(40);
        let feed = |seen: &mut Seen| {
            let mut chain = Chain::default();
            for line in &all {
                seen.line(&chain.check_line(line).unwrap());
            }
        };
        let (mut seen, mut brought, mut batches) = (Seen::from(0), String::new(), 0);
        feed(&mut seen);
        assert_eq!(seen.records, 40);
        // Sent before and not read back: it ends where it ended then.
        assert_eq!(seen.batch(Some(3)).unwrap().1, 3);
        while let Some((text, last, head)) = seen.batch(None) {
            assert!(text.len() <= BATCH);
            brought.push_str(&text);
            batches += 1;
            seen.brought(last, head);
            if last < 39 && seen.lines.is_empty() {
                // What was not kept is read again, from the first line that is not there.
                feed(&mut seen);
                assert_eq!(seen.before, Some(head));
            }
        }
        assert_eq!((brought.as_bytes(), batches), (all.concat().as_slice(), 3));
        assert_eq!(seen.next, 40);
    }

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
