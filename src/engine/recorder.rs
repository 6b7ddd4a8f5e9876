//! The single writer: every event is folded, written, synced and then believed, in that order.
//!
//! An event that could not follow is refused before it reaches the disk. Where the case folder cannot
//! be written, the record goes on in a spool and says so: stop never waits for a disk.

use std::rc::Rc;
use std::time::Duration;

use super::EngineError;
use crate::journal::{Chain, Hash};
use crate::model::event::{Event, JournalRecovered};
use crate::model::ids::IncidentId;
use crate::model::incident::{At, FoldError, Incident};
use crate::model::time::Moment;
use crate::store::{Appended, Case, Draft, Locked, Place, Spool, StoreError};
use crate::world::World;

/// An event as the readers beside the journal (screen, `--json`) see it.
pub struct Told<'a> {
    /// Its number in the journal, or in the spool.
    pub seq: u64,
    /// When, RFC 3339.
    pub ts: &'a str,
    /// Who.
    pub who: &'a str,
    /// What.
    pub event: &'a Event,
}

/// Hears every event of this run, once it is believed.
pub type Listener<'w> = Box<dyn FnMut(&Told<'_>) + 'w>;

/// Writes events and keeps the fold.
pub struct Recorder<'w> {
    world: &'w World,
    case: Option<Rc<Case>>,
    spool: Option<Spool>,
    /// Why the case takes nothing in, where part of the record waits in spools: what is new goes into another one.
    adrift: Option<String>,
    spool_folders: Vec<std::path::PathBuf>,
    /// Shared with whoever looks at it: a long incident is not copied for every question.
    incident: Option<Rc<Incident>>,
    /// True where there is no incident but in memory.
    imagined: bool,
    /// Hashes of the lines read or written, by number: a sign-off names the head it saw.
    hashes: Vec<Hash>,
    /// Who is at the keyboard.
    pub who: String,
    /// What went wrong with the record itself, in words, for the screen.
    pub troubles: Vec<String>,
    /// The reader beside the journal.
    pub listener: Option<Listener<'w>>,
    /// When this process last started what brings records to the mirror, monotonic microseconds.
    woken_us: Option<u64>,
}

/// How long another terminal may hold the record before we give up, in milliseconds.
const LOCK_WAIT_MS: u32 = 3_000;
/// The same while something is being cut: then the record goes on elsewhere.
const STOP_LOCK_WAIT_MS: u32 = 250;

impl<'w> Recorder<'w> {
    /// A recorder over a case; `None` where no folder could be made. `spool_folders` take over then.
    pub fn new(
        world: &'w World,
        case: Option<Case>,
        spool_folders: Vec<std::path::PathBuf>,
        who: &str,
    ) -> Self {
        Recorder {
            world,
            case: case.map(Rc::new),
            spool: None,
            adrift: None,
            spool_folders,
            incident: None,
            imagined: false,
            hashes: Vec::new(),
            who: who.to_owned(),
            troubles: Vec::new(),
            listener: None,
            woken_us: None,
        }
    }

    /// A recorder over an incident that nobody opened: it can be read, and refuses to write.
    pub fn imagined(world: &'w World, incident: Option<Incident>, who: &str) -> Self {
        let mut recorder = Recorder::new(world, None, Vec::new(), who);
        recorder.incident = incident.map(Rc::new);
        recorder.imagined = true;
        recorder
    }

    /// True where there is no incident but in memory.
    pub fn is_imagined(&self) -> bool {
        self.imagined
    }

    /// The case, where there is one on disk.
    pub fn case(&self) -> Option<Rc<Case>> {
        self.case.clone()
    }

    /// The incident as far as it is known.
    pub fn incident(&self) -> Option<&Rc<Incident>> {
        self.incident.as_ref()
    }

    /// Number and hash of the newest record.
    pub fn head(&self) -> Option<(u64, Hash)> {
        let hash = self.hashes.last()?;
        Some((u64::try_from(self.hashes.len()).ok()?.checked_sub(1)?, *hash))
    }

    /// Hash of the line of this record.
    pub fn hash_of(&self, seq: u64) -> Option<Hash> {
        self.hashes.get(usize::try_from(seq).ok()?).copied()
    }

    /// Both clocks.
    pub fn now(&self) -> Moment {
        self.world.clock.now()
    }

    /// Where the record goes instead of the case folder.
    pub fn spooled_to(&self) -> Option<String> {
        self.spool.as_ref().map(|s| s.place().to_string())
    }

    /// Reads what is new on disk.
    pub fn catch_up(&mut self) -> Result<(), EngineError> {
        let Some(case) = self.case.clone() else {
            return Ok(());
        };
        self.locked(&case, LOCK_WAIT_MS, |this, locked| this.read(locked))
    }

    /// Writes one event.
    pub fn record(&mut self, event: impl Into<Event>) -> Result<u64, EngineError> {
        self.record_all(vec![event.into()])
            .map(|seqs| seqs.first().copied().unwrap_or(0))
    }

    /// Writes a group of events with one sync; in a spool where the case folder cannot be written.
    pub fn record_all(&mut self, mut events: Vec<Event>) -> Result<Vec<u64>, EngineError> {
        self.record_or_spool(&mut events, LOCK_WAIT_MS, StoreError::is_unwritable, false)
    }

    /// Writes one event where it outlives this process, else refuses: what is lost with it was never on record.
    pub fn record_kept(&mut self, event: impl Into<Event>) -> Result<u64, EngineError> {
        let mut events = vec![event.into()];
        self.record_or_spool(&mut events, LOCK_WAIT_MS, StoreError::is_unwritable, true)
            .map(|seqs| seqs.first().copied().unwrap_or(0))
    }

    /// Writes what stop has to say: whatever is wrong with the case, the record goes on and stop with it.
    pub fn record_at_once(&mut self, mut events: Vec<Event>) -> Result<Vec<u64>, EngineError> {
        self.record_off(&mut events)
    }

    /// The same from a list: what is written leaves it, what is not stays for another try.
    pub fn record_off(&mut self, events: &mut Vec<Event>) -> Result<Vec<u64>, EngineError> {
        let any = |e: &StoreError| !matches!(e, StoreError::NotARecord(_));
        self.record_or_spool(events, STOP_LOCK_WAIT_MS, any, false)
    }

    fn record_or_spool(
        &mut self,
        events: &mut Vec<Event>,
        wait_ms: u32,
        spools: impl Fn(&StoreError) -> bool,
        kept: bool,
    ) -> Result<Vec<u64>, EngineError> {
        if let (Some(case), None, None) = (self.case.clone(), &self.spool, &self.adrift) {
            match self.locked(&case, wait_ms, |this, locked| {
                this.read(locked)?;
                this.append(locked, events)
            }) {
                Ok((ts, appended)) => {
                    let seqs = self.believe(&ts, std::mem::take(events), &appended);
                    self.wake_mirror(&case);
                    return seqs;
                }
                Err(EngineError::Store(e)) if spools(&e) => self.begin_spool(&e),
                Err(e) => return Err(e),
            }
        }
        self.write_spooled(events, kept)
    }

    /// Decides on the newest state and writes what was decided, with nobody in between.
    ///
    /// Never in a spool: what is decided here lets an act begin, and without a durable line there is none.
    pub fn decide<T>(
        &mut self,
        decide: impl FnOnce(Option<&Incident>) -> Result<(Vec<Event>, T), EngineError>,
    ) -> Result<(Vec<u64>, T), EngineError> {
        let case = match &self.case {
            Some(case) if self.spool.is_none() && self.adrift.is_none() => Rc::clone(case),
            _ => return Err(EngineError::NotDurable),
        };
        self.locked(&case, LOCK_WAIT_MS, |this, locked| {
            this.read(locked)?;
            let (events, value) = decide(this.incident.as_deref())?;
            Ok((this.write(locked, events)?, value))
        })
    }

    fn locked<T>(
        &mut self,
        case: &Case,
        wait_ms: u32,
        run: impl FnOnce(&mut Self, &mut Locked<'_>) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        const PAUSE_MS: u32 = 5;
        let world = self.world;
        let mut locked = case.lock(|tries| {
            world.clock.pause(Duration::from_millis(PAUSE_MS.into()));
            tries < wait_ms / PAUSE_MS
        })?;
        let done = run(self, &mut locked);
        drop(locked);
        self.wake_mirror(case);
        done
    }

    /// Lets the mirror know that there is something to bring; never waits for it.
    fn wake_mirror(&mut self, case: &Case) {
        /// A pusher that was just started looks for more by itself.
        const PAUSE_US: u64 = 500_000;
        let Some(incident) = self.incident.as_deref() else {
            return;
        };
        let now_us = self.now().mono_us;
        let lately = self
            .woken_us
            .is_some_and(|at| now_us.saturating_sub(at) < PAUSE_US);
        let Some((chosen, _)) = incident.mirror.as_ref().filter(|_| !lately) else {
            return;
        };
        if super::mirror::wake(self.world, case, *chosen, incident.records) {
            self.woken_us = Some(now_us);
        }
    }

    fn read(&mut self, locked: &mut Locked<'_>) -> Result<(), EngineError> {
        let mut fold = Fold {
            before: self.incident.take(),
            incident: None,
            hashes: &mut self.hashes,
            broken: None,
        };
        let read = locked.read(|line| fold.line(line));
        let Fold {
            before,
            incident,
            broken,
            ..
        } = fold;
        self.incident = before.or(incident.map(Rc::new));
        let caught_up = read?;
        if let Some(error) = broken {
            return Err(error);
        }
        if let Some(torn) = caught_up.torn {
            let event = JournalRecovered {
                bytes: torn.len,
                sha256: torn.sha256.to_string(),
                file: torn.path.display().to_string(),
            };
            self.write(locked, vec![event.into()])?;
        }
        Ok(())
    }

    fn write(&mut self, locked: &mut Locked<'_>, events: Vec<Event>) -> Result<Vec<u64>, EngineError> {
        let (ts, appended) = self.append(locked, &events)?;
        self.believe(&ts, events, &appended)
    }

    /// Puts events on disk, at this time; they are not folded yet.
    fn append(
        &self,
        locked: &mut Locked<'_>,
        events: &[Event],
    ) -> Result<(String, Vec<Appended>), EngineError> {
        let ts = self.now().rfc3339();
        self.rehearse(&ts, events)?;
        let drafts = events.iter().map(|e| self.draft(&ts, e)).collect();
        let appended = locked.append_group(drafts)?;
        Ok((ts, appended))
    }

    /// Folds on a copy first: what cannot follow never reaches the disk.
    fn rehearse(&self, ts: &str, events: &[Event]) -> Result<(), EngineError> {
        if self.incident.as_ref().is_some_and(|i| i.surely_takes(events)) {
            return Ok(());
        }
        let next = u64::try_from(self.hashes.len()).unwrap_or(u64::MAX);
        let mut copy = self.incident.as_deref().cloned();
        for (seq, event) in (next..).zip(events) {
            // It is the request that does not fit the record, not the record that is wrong.
            let at = At {
                seq,
                ts,
                who: &self.who,
                line_sha256: &"",
            };
            Incident::apply(&mut copy, &at, event.clone()).map_err(|e| match e {
                FoldError::Illegal { why, .. } => EngineError::OutOfOrder(why),
                other => other.into(),
            })?;
        }
        Ok(())
    }

    fn believe(
        &mut self,
        ts: &str,
        events: Vec<Event>,
        appended: &[Appended],
    ) -> Result<Vec<u64>, EngineError> {
        let mut seqs = Vec::with_capacity(events.len());
        let who = self.who.clone();
        let mut incident = self.incident.take().map(Rc::unwrap_or_clone);
        for (event, at) in events.into_iter().zip(appended) {
            if at.reserve_freed {
                self.troubles
                    .push("the disk is full: the journal's reserve was given up for the record".into());
            }
            if let Some(listener) = &mut self.listener {
                listener(&Told {
                    seq: at.seq,
                    ts,
                    who: &who,
                    event: &event,
                });
            }
            let stands = At {
                seq: at.seq,
                ts,
                who: &who,
                line_sha256: &at.hash,
            };
            Incident::apply(&mut incident, &stands, event)?;
            self.hashes.push(at.hash);
            seqs.push(at.seq);
        }
        self.incident = incident.map(Rc::new);
        Ok(seqs)
    }

    fn draft(&self, ts: &str, event: &Event) -> Draft {
        Draft {
            ts: ts.to_owned(),
            kind: event.kind().to_owned(),
            v: event.version(),
            what: event.text(),
            who: self.who.clone(),
        }
    }

    fn begin_spool(&mut self, why: &StoreError) {
        if self.spool.is_some() {
            return;
        }
        let id = match &self.incident {
            Some(incident) => incident.id().clone(),
            None => return,
        };
        self.open_spool(&id, why.to_string());
    }

    /// Starts a spool for an incident whose folder could not be made at all.
    pub fn open_spool(&mut self, id: &IncidentId, why: String) {
        let spool = Spool::open(id, self.spool_folders.clone());
        self.troubles.push(match (spool.place(), &self.adrift) {
            (Place::Memory, _) => format!(
                "the case folder cannot be written ({why}), and no other place either: what this command does stands only \
                 in memory and is lost when it ends, so keep what stands on this screen"
            ),
            (place, None) => {
                format!("the case folder cannot be written ({why}); the record goes on in {place}")
            }
            (place, Some(_)) => format!("what this command adds waits in {place}"),
        });
        self.spool = Some(spool);
    }

    /// Whether anything that is written now outlives this process.
    fn is_kept(&self) -> Result<(), EngineError> {
        match self.spool.as_ref().map(Spool::place) {
            Some(Place::Memory) => Err(EngineError::OnlyInMemory),
            _ => Ok(()),
        }
    }

    fn write_spooled(&mut self, events: &mut Vec<Event>, kept: bool) -> Result<Vec<u64>, EngineError> {
        if self.imagined {
            return Err(EngineError::NoIncident);
        }
        if self.spool.is_none() {
            // The first event names the incident.
            let id = match (events.first(), &self.incident) {
                (Some(Event::Opened(e)), _) => e.id.clone(),
                (_, Some(incident)) => incident.id().clone(),
                _ => return Err(EngineError::NoIncident),
            };
            let why = self.adrift.clone();
            self.open_spool(&id, why.unwrap_or_else(|| "there is none".into()));
        }
        if kept {
            self.is_kept()?;
        }
        let ts = self.now().rfc3339();
        self.rehearse(&ts, events)?;
        let drafts: Vec<Draft> = events.iter().map(|e| self.draft(&ts, e)).collect();
        let mut appended = Vec::with_capacity(drafts.len());
        if let Some(spool) = &mut self.spool {
            for draft in drafts {
                appended.push(spool.append(draft)?);
            }
        }
        if kept {
            // The place may have been lost on the way.
            self.is_kept()?;
        }
        // Numbers of spooled records run on from what is known; the spool has a chain of its own.
        let base = u64::try_from(self.hashes.len()).unwrap_or(u64::MAX);
        for (n, at) in (0..).zip(appended.iter_mut()) {
            at.seq = base + n;
        }
        self.believe(&ts, std::mem::take(events), &appended)
    }

    /// Takes what earlier runs spooled into the case. Where the case cannot be written it is read from where it waits.
    pub fn take_in_spools(&mut self) -> Result<(), EngineError> {
        match self.absorb_spools() {
            Ok(0) => Ok(()),
            Ok(_) => {
                let text = "records spooled elsewhere were taken into the case";
                self.troubles.push(text.into());
                Ok(())
            }
            Err(EngineError::Store(e)) if e.is_unwritable() => self.read_spools(&e),
            Err(e) => Err(e),
        }
    }

    /// Folds what waits in spools on top of the record, each with a place left for the record that will take it in.
    fn read_spools(&mut self, why: &StoreError) -> Result<(), EngineError> {
        let Some(case) = self.case.clone() else {
            return Ok(());
        };
        self.catch_up()?;
        let mut waits = Vec::new();
        for folder in Spool::find(case.id(), &self.spool_folders) {
            let spool = Spool::load(&folder)?;
            let mut chain = Chain::default();
            let mut incident = self.incident.take().map(Rc::unwrap_or_clone);
            for line in crate::journal::lines(spool.lines()) {
                let line = chain.check_line(line).map_err(StoreError::from)?;
                let at = At {
                    seq: u64::try_from(self.hashes.len()).unwrap_or(u64::MAX),
                    ts: &line.ts,
                    who: &line.who,
                    line_sha256: &line.hash,
                };
                Incident::apply(&mut incident, &at, decode(&line)?)?;
                self.hashes.push(line.hash);
            }
            self.incident = incident.map(Rc::new);
            self.hashes.push(chain.head);
            if chain.next > 0 {
                waits.push(format!("{} in {}", chain.next, folder.display()));
            }
        }
        self.troubles.push(format!(
            "the case folder cannot be written ({why}; is its disk full, or mounted read-only?): the records that wait for \
             it are read from where they are ({}), and once it can be written the next command takes them in; until then \
             stop and notes go on, and nothing else may act",
            waits.join(", ")
        ));
        self.adrift = Some(why.to_string());
        Ok(())
    }

    fn absorb_spools(&mut self) -> Result<u64, EngineError> {
        let Some(case) = self.case.clone() else {
            return Ok(0);
        };
        let folders = self.spool_folders.clone();
        self.locked(&case, LOCK_WAIT_MS, |this, locked| {
            this.read(locked)?;
            let mut taken = 0;
            for folder in Spool::find(case.id(), &folders) {
                let spool = Spool::load(&folder)?;
                let ts = this.now().rfc3339();
                let who = this.who.clone();
                let spooled = locked.absorb(&spool, &ts, &who)?;
                taken += spooled.records;
                // Said once: what is there a second time was taken in before.
                if let Some(why) = spooled.stays.filter(|_| spooled.records > 0) {
                    this.troubles.push(format!(
                        "the records of {} are in the case; that folder cannot be removed ({why}) and may stay",
                        folder.display()
                    ));
                }
            }
            if taken > 0 {
                // The store wrote what was absorbed by itself: fold the record again from its start.
                let folded = fold_case(&case)?;
                (this.incident, this.hashes) =
                    folded.map_or((None, Vec::new()), |(i, h)| (Some(Rc::new(i)), h));
            }
            Ok(taken)
        })
    }
}

/// Folds lines as they are read.
struct Fold<'h> {
    /// The state before the first of them. Mostly none comes, and what somebody else looks at is not copied.
    before: Option<Rc<Incident>>,
    incident: Option<Incident>,
    hashes: &'h mut Vec<Hash>,
    broken: Option<EngineError>,
}

impl Fold<'_> {
    fn line(&mut self, line: &crate::journal::Line<'_>) {
        self.hashes.push(line.hash);
        if self.broken.is_some() {
            return;
        }
        if let Some(before) = self.before.take() {
            self.incident = Some(Rc::unwrap_or_clone(before));
        }
        if let Err(e) = self.fold(line) {
            // What is half folded is nothing to act on.
            (self.broken, self.incident) = (Some(e), None);
        }
    }

    fn fold(&mut self, line: &crate::journal::Line<'_>) -> Result<(), EngineError> {
        let event = decode(line)?;
        let at = At {
            seq: line.seq,
            ts: &line.ts,
            who: &line.who,
            line_sha256: &line.hash,
        };
        Ok(Incident::apply(&mut self.incident, &at, event)?)
    }
}

/// Reads a line as an event.
pub fn decode(line: &crate::journal::Line<'_>) -> Result<Event, EngineError> {
    let wrong = |error| FoldError::Event { seq: line.seq, error };
    Ok(Event::decode_text(&line.kind, line.v, &line.what).map_err(wrong)?)
}

/// Folds a whole record that was read elsewhere (a bundle, another process's case), changing nothing.
pub fn fold_case(case: &Case) -> Result<Option<(Incident, Vec<Hash>)>, EngineError> {
    let mut hashes = Vec::new();
    let mut fold = Fold {
        before: None,
        incident: None,
        hashes: &mut hashes,
        broken: None,
    };
    case.read(|line| fold.line(line))?;
    let Fold { incident, broken, .. } = fold;
    match broken {
        Some(error) => Err(error),
        None => Ok(incident.map(|i| (i, hashes))),
    }
}
