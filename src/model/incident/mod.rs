//! The incident: a fold over the journal and nothing else.
//!
//! [`Incident::apply`] takes the events one by one; an event that cannot follow is an error, never
//! ignored. Families of events are folded in files of their own: stop, acts, plan, evidence, escalation.

mod acts;
mod custody;
mod escalation;
mod evidence;
mod lone;
mod people;
mod plan;
mod stop;

#[cfg(test)]
mod fold_tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::act::Stage;
use super::event::{Apart, Event, EventError, MirrorEnded, Opened, WindowSeen};
use super::ids::{IncidentId, StepId, TargetId};

pub use acts::{ActState, Stand, StepState};
pub use custody::{Custody, Recorded};
pub use escalation::{Proven, ProvenBy, RequestState, SignoffState};
pub use evidence::{CaptureState, Change, FROZEN, Gap, ITEMS_LIST, ProbeState, RECEIPTS_LIST, SENT};
pub use lone::{AloneState, EnrolledState, LoneState, NoticeState};
pub use people::{Lent, Revocation};
pub use plan::{PlanFailure, PlanState};
pub use stop::{StopState, TargetState};

/// The event cannot follow what came before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// It cannot be read.
    #[error("record {seq}: {error}")]
    Event {
        /// Which record.
        seq: u64,
        /// Why.
        error: EventError,
    },
    /// It cannot follow.
    #[error("record {seq}: `{kind}` cannot follow here: {why}")]
    Illegal {
        /// Which record.
        seq: u64,
        /// Its kind.
        kind: &'static str,
        /// Why.
        why: String,
    },
}

/// Words from the record, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Its record.
    pub seq: u64,
    /// When.
    pub ts: String,
    /// Who.
    pub who: String,
    /// The words.
    pub text: String,
}

/// An answered question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Its record.
    pub seq: u64,
    /// Who answered.
    pub who: String,
    /// The answer.
    pub text: String,
}

/// What the record says of one incident.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    /// How it was opened.
    pub opened: Opened,
    /// When it was opened, RFC 3339.
    pub opened_ts: String,
    /// Who opened it.
    pub opened_by: String,
    /// Where the walk is.
    pub stage: Stage,
    /// When each stage was entered, in monotonic microseconds.
    pub entered_us: BTreeMap<Stage, u64>,
    /// The stop stage.
    pub stop: StopState,
    /// Steps by name.
    pub steps: BTreeMap<StepId, StepState>,
    /// Acts by the number of their `act.started`.
    pub acts: BTreeMap<u64, ActState>,
    /// The plan in force.
    pub plan: Option<PlanState>,
    /// Captures by the number of their `capture.started`.
    pub captures: BTreeMap<u64, CaptureState>,
    /// The baseline: number of its record and hash of its line.
    pub baseline: Option<(u64, String)>,
    /// When the baseline was sealed, monotonic microseconds.
    pub baseline_us: Option<u64>,
    /// Answers by step.
    pub answers: BTreeMap<StepId, Answered>,
    /// Notes.
    pub notes: Vec<Said>,
    /// What was done elsewhere.
    pub elsewhere: Vec<Said>,
    /// Ways to undo damage that somebody saw closing, by record, while nobody said that they are held.
    pub windows: BTreeMap<u64, WindowSeen>,
    /// Escalations by the number of their request.
    pub requests: BTreeMap<u64, RequestState>,
    /// Who was told of requests, by the number of the `notice.begun`.
    pub notices: BTreeMap<u64, NoticeState>,
    /// Acts that one person began alone, by their number.
    pub alone: BTreeMap<u64, AloneState>,
    /// Signers written into an empty roster during the incident, by person.
    pub enrolled: BTreeMap<String, EnrolledState>,
    /// Roles that were lent, in order.
    pub lent: Vec<Lent>,
    /// Keys and people that no longer count, in order.
    pub revocations: Vec<Revocation>,
    /// Signed answers that did not count: record, reason, words.
    pub rejected: Vec<(u64, String, String)>,
    /// Service probes, newest answer each.
    pub probes: BTreeMap<StepId, ProbeState>,
    /// When everything was proved recovered, monotonic microseconds.
    pub recovered_us: Option<u64>,
    /// Later looks by whose doing their lines are, as it was seen when it was recovered.
    pub apart: Vec<Apart>,
    /// When it was closed, RFC 3339.
    pub closed_ts: Option<String>,
    /// What was unproved when it was closed.
    pub closed_unproved: Vec<String>,
    /// Where every record goes, too: number of the record that says so, and the place.
    pub mirror: Option<(u64, String)>,
    /// The mirror that was switched off last, where none was chosen since.
    pub mirror_ended: Option<MirrorEnded>,
    /// Everybody who acted or answered: they do not count for a quorum.
    pub actors: BTreeSet<String>,
    /// The names under which they did, as they were claimed.
    pub acted_as: BTreeSet<String>,
    /// Whom a rostered key proved to be behind such a name.
    pub proven: BTreeMap<String, Proven>,
    /// Who held the record, by which clock, and where its heads are held.
    pub custody: Custody,
    /// How many records.
    pub records: u64,
}

impl Incident {
    /// The first event of every journal.
    fn open(opened: Opened, ts: &str, who: &str) -> Self {
        let mut incident = Incident {
            opened_ts: ts.to_owned(),
            opened_by: who.to_owned(),
            stage: Stage::Stop,
            entered_us: BTreeMap::from([(Stage::Stop, opened.mono_us)]),
            stop: StopState::default(),
            steps: BTreeMap::new(),
            acts: BTreeMap::new(),
            plan: None,
            captures: BTreeMap::new(),
            baseline: None,
            baseline_us: None,
            answers: BTreeMap::new(),
            notes: Vec::new(),
            elsewhere: Vec::new(),
            windows: BTreeMap::new(),
            requests: BTreeMap::new(),
            notices: BTreeMap::new(),
            alone: BTreeMap::new(),
            enrolled: BTreeMap::new(),
            lent: Vec::new(),
            revocations: Vec::new(),
            rejected: Vec::new(),
            probes: BTreeMap::new(),
            recovered_us: None,
            apart: Vec::new(),
            closed_ts: None,
            closed_unproved: Vec::new(),
            mirror: None,
            mirror_ended: None,
            actors: BTreeSet::from([who.to_owned()]),
            acted_as: BTreeSet::from([who.to_owned()]),
            proven: BTreeMap::new(),
            custody: Custody::default(),
            records: 1,
            opened,
        };
        incident.actors.insert(incident.opened.user.clone());
        incident
    }

    /// Takes one more event into the state, which is `None` before the first.
    ///
    /// In place, because records can be long: after an error the state is not to be believed.
    pub fn apply(state: &mut Option<Incident>, at: &At<'_>, event: Event) -> Result<(), FoldError> {
        let (seq, kind) = (at.seq, event.kind());
        let illegal = |why: String| FoldError::Illegal { seq, kind, why };
        let Some(incident) = state else {
            let Event::Opened(opened) = event else {
                return Err(illegal("no incident was opened".into()));
            };
            *state = Some(Incident::open(opened, at.ts, at.who));
            return Ok(());
        };
        incident.records = seq + 1;
        incident.fold(at, event).map_err(illegal)
    }

    /// True where all of these can follow, seen without folding them on a copy: what a stop writes by the thousand.
    /// Where it is false, they may be able to all the same.
    pub fn surely_takes(&self, events: &[Event]) -> bool {
        let open = self.closed_ts.is_none();
        events.iter().all(|event| match event {
            Event::StopStarted(_) => open,
            Event::StopFacts(e) => self.stop.targets.contains_key(&e.target),
            Event::StopEnded(_) => open && self.stop.started_us.is_some(),
            _ => false,
        })
    }

    fn fold(&mut self, at: &At<'_>, event: Event) -> Result<(), String> {
        let said = |text: &str| Said {
            seq: at.seq,
            ts: at.ts.to_owned(),
            who: at.who.to_owned(),
            text: text.to_owned(),
        };
        if self.closed_ts.is_some() && !allowed_after_close(&event) {
            return Err("the incident is closed".into());
        }
        match event {
            Event::Opened(_) => return Err("the incident is open already".into()),
            Event::StopStarted(e) => self.stop.started(at, e),
            Event::StopFacts(e) => self.stop.facts(e)?,
            Event::StopEnded(e) => self.stop.ended(e)?,
            Event::TargetAnswered(e) => {
                self.acts(at);
                self.stop.answered(at, e)?;
            }
            Event::StageEntered(e) => self.enter(e.stage, e.mono_us)?,
            Event::ActStarted(e) => self.act_started(at, e)?,
            Event::ActChild(e) => self.act_child(e)?,
            Event::ActEnded(e) => self.act_ended(e)?,
            Event::ActChecked(e) => self.act_checked(at, e)?,
            Event::StepSkipped(e) => self.step_skipped(at, e)?,
            Event::QuestionAnswered(e) => {
                self.acts(at);
                let answer = Answered {
                    seq: at.seq,
                    who: at.who.to_owned(),
                    text: e.text,
                };
                self.answers.insert(e.step, answer);
            }
            Event::CaptureStarted(e) => self.capture_started(at, e),
            Event::CaptureEnded(e) => self.capture_ended(at, e)?,
            Event::BaselineSealed(e) => self.baseline_sealed(at, e)?,
            Event::NoteAdded(e) => self.notes.push(said(&e.text)),
            Event::WindowSeen(e) => {
                self.windows.insert(at.seq, e);
            }
            Event::WindowOver(e) => {
                let known = self.windows.remove(&e.window);
                known.ok_or_else(|| format!("record {} is no window that is still closing", e.window))?;
            }
            Event::ExhibitFiled(e) => self.exhibit_filed(e)?,
            Event::FileAttached(e) => self.file_attached(at, e),
            Event::DidElsewhere(e) => {
                self.acts(at);
                self.elsewhere.push(said(&e.text));
            }
            Event::EscalationRequested(e) => self.requested(at, e)?,
            Event::StatementIssued(e) => self.statement_issued(e)?,
            Event::EscalationWithdrawn(e) => self.withdrawn(e)?,
            Event::SignoffFiled(e) => self.signoff_filed(at, e)?,
            Event::ResponderProven(e) => self.responder_proven(at, e)?,
            Event::SignoffRejected(e) => self.rejected.push((at.seq, e.reason, e.text)),
            Event::NoticeBegun(e) => self.notice_begun(at, e)?,
            Event::NoticeEnded(e) => self.notice_ended(e)?,
            Event::Unreached(e) => self.unreached(at, e)?,
            Event::LoneAsked(e) => self.lone_asked(at, e)?,
            Event::SignerEnrolled(e) => self.signer_enrolled(at, e)?,
            Event::DelegationFiled(e) => self.delegation_filed(at, e)?,
            Event::SignerRevoked(e) => self.signer_revoked(at, e)?,
            Event::PlanFrozen(e) => self.plan_frozen(at, e)?,
            Event::PlanAmended(e) => self.plan_amended(at, e)?,
            Event::PlanDropped(e) => self.plan_dropped(at, e)?,
            Event::ProbeAnswered(e) => self.probe_answered(at, e),
            Event::Recovered(e) => self.recovered(e)?,
            Event::Closed(e) => {
                if let Some((act, _)) = self.not_countersigned().next() {
                    return Err(format!(
                        "act {act} was run by one person alone, and nobody countersigned it"
                    ));
                }
                self.closed_ts = Some(at.ts.to_owned());
                self.closed_unproved = e.unproved;
            }
            Event::AnchorRequested(e) => self.custody.requested(at, e)?,
            Event::AnchorFiled(e) => self.custody.anchored(at, e)?,
            Event::CustodyBegan(e) => self.custody.began.push(Recorded::new(at, e)),
            Event::ClockOffset(e) => self.custody.clocks.push(Recorded::new(at, e)),
            Event::CustodyHanded(e) => self.custody.handed(at, e)?,
            Event::MirrorChosen(_) if self.opened.drill => {
                return Err("a drill is never mirrored".into());
            }
            Event::MirrorChosen(e) => {
                self.mirror = Some((at.seq, e.place));
                self.mirror_ended = None;
            }
            Event::MirrorEnded(e) => match self.mirror.take() {
                Some(_) => self.mirror_ended = Some(e),
                None => return Err("there is no mirror that could end".into()),
            },
            Event::SliceCut(e) => {
                self.request_mut(e.request)?;
            }
            Event::BundleSealed(_)
            | Event::MirrorAcked(_)
            | Event::JournalRecovered(_)
            | Event::JournalContinued(_)
            | Event::SpoolAbsorbed(_) => {}
        }
        Ok(())
    }

    /// Whoever wrote this record takes part in the response.
    fn acts(&mut self, at: &At<'_>) {
        self.actors.insert(at.who.to_owned());
        self.acted_as.insert(at.who.to_owned());
    }

    fn enter(&mut self, stage: Stage, mono_us: u64) -> Result<(), String> {
        // Stop can be entered again from any stage; the walk then stays where it was.
        if stage <= self.stage {
            return Err(format!("the walk is in {} already", self.stage));
        }
        if self.stage.next() != Some(stage) {
            return Err(format!("{stage} does not follow {}", self.stage));
        }
        if stage >= Stage::Contain && self.baseline.is_none() {
            return Err(format!("{stage} cannot begin before the baseline is sealed"));
        }
        self.stage = stage;
        self.entered_us.insert(stage, mono_us);
        Ok(())
    }

    /// The id.
    pub fn id(&self) -> &IncidentId {
        &self.opened.id
    }

    /// The targets with their proofs, most dangerous first.
    pub fn targets(&self) -> Vec<(&TargetId, &TargetState)> {
        let mut all: Vec<_> = self.stop.targets.iter().collect();
        // Stable: what is as dangerous stays in order of its name.
        all.sort_by_cached_key(|(_, target)| std::cmp::Reverse(target.proof()));
        all
    }

    /// Acts that were started and never ended.
    pub fn in_doubt(&self) -> impl Iterator<Item = (u64, &ActState)> {
        self.acts
            .iter()
            .filter(|(_, a)| a.is_open_question())
            .map(|(seq, a)| (*seq, a))
    }
}

/// A closed incident still takes bundles, anchors, other hands, words, the news that a key was stolen, and what was
/// done elsewhere, which is never refused.
fn allowed_after_close(event: &Event) -> bool {
    matches!(
        event,
        Event::BundleSealed(_)
            | Event::AnchorRequested(_)
            | Event::AnchorFiled(_)
            | Event::CustodyBegan(_)
            | Event::ClockOffset(_)
            | Event::CustodyHanded(_)
            | Event::MirrorChosen(_)
            | Event::MirrorAcked(_)
            | Event::MirrorEnded(_)
            | Event::NoteAdded(_)
            | Event::WindowSeen(_)
            | Event::WindowOver(_)
            | Event::DidElsewhere(_)
            | Event::SignerRevoked(_)
            | Event::JournalRecovered(_)
            | Event::JournalContinued(_)
            | Event::SpoolAbsorbed(_)
            | Event::StopFacts(_)
    )
}

/// Where in the journal an event stands.
pub struct At<'a> {
    /// Number of the record.
    pub seq: u64,
    /// Its wall time.
    pub ts: &'a str,
    /// Who did or said it.
    pub who: &'a str,
    /// Hash of its line.
    pub line_sha256: &'a dyn fmt::Display,
}
