//! What can happen in an incident. Each kind of record has one strict struct; a change of its fields
//! is a new version with the old decoder kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::act::{CaptureSpec, Lane, ResolvedUndo, Stage};
use super::approved::Approved;
use super::effect::{Effects, Zone};
use super::fact::Observed;
use super::grant::Target;
use super::ids::{IncidentId, StepId, TargetId};
use super::runbook::{Need, Policy};
use super::trust::Trust;

/// The record cannot be read as an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// A kind, or a version of it, that this program does not know.
    #[error("`{kind}` version {v} is not known to this program")]
    Unknown {
        /// The kind.
        kind: String,
        /// Its version.
        v: u32,
    },
    /// The fields are not those of this kind.
    #[error("`{kind}` has wrong fields: {why}")]
    Fields {
        /// The kind.
        kind: String,
        /// What does not fit.
        why: String,
    },
}

macro_rules! events {
    ($($(#[$doc:meta])* $variant:ident = $kind:literal v $version:literal { $($(#[$fdoc:meta])* $field:ident : $type:ty),* $(,)? })*) => {
        /// One event.
        #[derive(Debug, Clone, PartialEq)]
        #[allow(clippy::large_enum_variant, reason = "events are built once and written")]
        pub enum Event { $($(#[$doc])* $variant($variant)),* }

        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
            #[serde(deny_unknown_fields)]
            pub struct $variant { $($(#[$fdoc])* pub $field: $type),* }

            impl From<$variant> for Event {
                fn from(event: $variant) -> Event { Event::$variant(event) }
            }
        )*

        impl Event {
            /// The kind as it stands in the record.
            pub fn kind(&self) -> &'static str {
                match self { $(Event::$variant(_) => $kind),* }
            }
            /// The version of that kind this program writes.
            pub fn version(&self) -> u32 {
                match self { $(Event::$variant(_) => $version),* }
            }
            /// The fields, for the record.
            pub fn fields(&self) -> Value {
                // Structs of strings, integers and lists: turning them into a Value cannot fail.
                match self { $(Event::$variant(e) => serde_json::to_value(e).unwrap_or(Value::Null)),* }
            }
            /// The fields as JSON text, in the order in which they are declared.
            pub fn text(&self) -> String {
                match self { $(Event::$variant(e) => serde_json::to_string(e).unwrap_or_default()),* }
            }
            /// Reads the fields of a record back.
            pub fn decode(kind: &str, v: u32, what: &Value) -> Result<Event, EventError> {
                Event::read(kind, v, what)
            }
            /// Reads the fields of a record from their text: what a long journal is read by.
            pub fn decode_text(kind: &str, v: u32, what: &str) -> Result<Event, EventError> {
                let mut text = serde_json::Deserializer::from_str(what);
                let event = Event::read(kind, v, &mut text)?;
                match text.end() {
                    Ok(()) => Ok(event),
                    Err(e) => Err(EventError::Fields { kind: kind.to_owned(), why: e.to_string() }),
                }
            }
            fn read<'de, D>(kind: &str, v: u32, what: D) -> Result<Event, EventError>
            where
                D: serde::Deserializer<'de>,
                D::Error: std::fmt::Display,
            {
                match (kind, v) {
                    $(($kind, $version) => $variant::deserialize(what).map(Event::$variant)
                        .map_err(|e| EventError::Fields { kind: kind.to_owned(), why: e.to_string() }),)*
                    _ => Err(EventError::Unknown { kind: kind.to_owned(), v }),
                }
            }
        }
    };
}

events! {
    /// The incident begins.
    Opened = "incident.opened" v 1 {
        /// Its id.
        id: IncidentId,
        /// True for a drill.
        drill: bool,
        /// In the responder's words.
        title: String,
        /// 128 random bits, hexadecimal: no other journal can be spliced in.
        nonce: String,
        /// Program version.
        tool: String,
        /// Host name.
        host: String,
        /// Boot id: `mono_us` counts from it.
        boot: String,
        /// User on that host.
        user: String,
        /// Monotonic microseconds.
        mono_us: u64,
        /// SHA-256 of the pinned files, by name.
        pins: BTreeMap<String, String>,
        /// Folder that relative paths of the runbook start from.
        base: String,
        /// Boundary, quorums and people in force.
        policy: Policy,
        /// What was wrong with the files written in advance.
        problems: Vec<String>,
        /// How these files compare with what was trusted in peacetime; `None` where nothing was written in advance.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trust: Option<Trust>,
    }
    /// The sweep is about to start: one intent for all of it, its fields in canonical order.
    StopStarted = "stop.started" v 1 {
        /// Monotonic microseconds.
        mono_us: u64,
        /// What could not be used, and why.
        problems: Vec<String>,
        /// What is to be cut.
        targets: Vec<Aim>,
    }
    /// Facts about one target. Thousands are written in a sweep: the fields stand in canonical order.
    StopFacts = "stop.facts" v 1 {
        /// What was observed, oldest first.
        facts: Vec<Observed>,
        /// In which part of its chain.
        phase: String,
        /// Which target.
        target: TargetId,
    }
    /// The sweep is over.
    StopEnded = "stop.ended" v 1 {
        /// Monotonic microseconds.
        mono_us: u64,
        /// When the first cut left this program; `None` = nothing was there to cut.
        first_cut_us: Option<u64>,
        /// True where Ctrl-C ended it early.
        interrupted: bool,
    }
    /// A named person answers for a target that cannot be proved.
    TargetAnswered = "target.answered" v 1 {
        /// Which target.
        target: TargetId,
        /// Their words.
        words: String,
    }
    /// The walk moved on.
    StageEntered = "stage.entered" v 1 {
        /// Where to.
        stage: Stage,
        /// Monotonic microseconds.
        mono_us: u64,
    }
    /// An act is about to run.
    ActStarted = "act.started" v 1 {
        /// Which step.
        step: StepId,
        /// When it belongs.
        stage: Stage,
        /// In which lane.
        lane: Lane,
        /// One line for people.
        title: String,
        /// SHA-256 of the resolved act.
        act_sha256: String,
        /// Its zone.
        zone: Zone,
        /// What it changes.
        effects: Effects,
        /// The requests whose sign-offs it uses up.
        consumes: Vec<u64>,
        /// True where it takes an earlier act back.
        undoes: bool,
        /// True where one person runs it alone, at the boundary, after the delay.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        alone: bool,
        /// The approval given in peacetime that its zone rests on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        approved: Option<Approved>,
        /// How it can be taken back.
        undo: ResolvedUndo,
        /// Why it runs now, in the responder's words.
        why: Option<String>,
        /// Host, boot and process that run it.
        runner: Runner,
        /// Monotonic microseconds.
        mono_us: u64,
    }
    /// The act's program exists.
    ActChild = "act.child" v 1 {
        /// The `act.started` it belongs to.
        act: u64,
        /// Process id.
        pid: u32,
        /// Start time in clock ticks since boot.
        starttime: u64,
    }
    /// The act is over, or we hung up on it.
    ActEnded = "act.ended" v 1 {
        /// The `act.started` it belongs to.
        act: u64,
        /// How it ended.
        outcome: Outcome,
        /// Exit code, where there was one.
        code: Option<i32>,
        /// Milliseconds it took.
        ms: u64,
        /// Folder of its output, below `data/`.
        exhibit: Option<String>,
        /// In words.
        why: String,
    }
    /// The act was checked afterwards.
    ActChecked = "act.checked" v 1 {
        /// The `act.started` it belongs to.
        act: u64,
        /// True where the check passed.
        passed: bool,
        /// Expected against found, or who saw what.
        text: String,
        /// Folder of its output, below `data/`.
        exhibit: Option<String>,
    }
    /// A step will not be done.
    StepSkipped = "step.skipped" v 1 {
        /// Which.
        step: StepId,
        /// Why.
        why: String,
    }
    /// A question of the runbook is answered.
    QuestionAnswered = "question.answered" v 1 {
        /// Which step.
        step: StepId,
        /// The answer.
        text: String,
    }
    /// A capture is about to start.
    CaptureStarted = "capture.started" v 1 {
        /// Its name.
        name: String,
        /// What is looked at.
        spec: CaptureSpec,
        /// The step it belongs to.
        step: Option<StepId>,
        /// `baseline`, `addendum`, `before STEP`, `after`.
        purpose: String,
        /// Monotonic microseconds.
        mono_us: u64,
    }
    /// The capture is over.
    CaptureEnded = "capture.ended" v 1 {
        /// The `capture.started` it belongs to.
        capture: u64,
        /// Folder below `data/`.
        exhibit: String,
        /// Things looked at, with what became of each, as many as one line holds.
        items: Vec<CaptureItem>,
        /// Milliseconds it took.
        ms: u64,
    }
    /// Files of an exhibit that the record naming it does not hold: output of an act, or the rest of
    /// a long list.
    ExhibitFiled = "exhibit.filed" v 1 {
        /// The `capture.started` or `act.started` it belongs to.
        of: u64,
        /// Folder below `data/`.
        exhibit: String,
        /// What is in it, with what became of each.
        items: Vec<CaptureItem>,
    }
    /// Enough was looked at: repair may begin to change things.
    BaselineSealed = "baseline.sealed" v 1 {
        /// The captures it rests on.
        captures: Vec<u64>,
        /// What is not known yet, in the responder's words.
        unknown: Vec<String>,
        /// Monotonic microseconds.
        mono_us: u64,
    }
    /// Words for the record.
    NoteAdded = "note.added" v 1 {
        /// The words.
        text: String,
    }
    /// A way to undo damage that somebody saw closing: undelete, point-in-time recovery, rotation, a scheduled
    /// deletion, a delayed replica.
    WindowSeen = "window.seen" v 1 {
        /// What closes.
        what: String,
        /// Wall time at which it closes, ms since the epoch.
        closes_ms: i64,
        /// The command or the words that hold it open; empty where nobody knows one.
        hold: String,
    }
    /// A window is held open, was used, or is no longer needed.
    WindowOver = "window.over" v 1 {
        /// The `window.seen` it belongs to.
        window: u64,
        /// What was done about it.
        text: String,
    }
    /// A file for the record.
    FileAttached = "file.attached" v 1 {
        /// Folder below `data/`.
        exhibit: String,
        /// Where it came from.
        from: String,
        /// What it is.
        items: Vec<CaptureItem>,
    }
    /// Something done outside the tool.
    DidElsewhere = "did.recorded" v 1 {
        /// In the words of whoever did it.
        text: String,
    }
    /// Another person is asked.
    EscalationRequested = "escalation.requested" v 1 {
        /// The steps, in the order they may run.
        steps: Vec<StepId>,
        /// SHA-256 of each resolved act, in the same order.
        acts: Vec<String>,
        /// Their worst zone.
        zone: Zone,
        /// The rule that asks.
        rule: String,
        /// Who must sign.
        need: Need,
        /// Who asks.
        requester: String,
        /// True where the request is signed by a rostered key of the requester.
        proven: bool,
        /// Names under which somebody acted and whom no key proves, the requester's own among them.
        unproven: Vec<String>,
        /// 128 random bits, hexadecimal.
        nonce: String,
        /// The newest record the statement speaks of.
        head_seq: u64,
        /// Hash of that record's line.
        head_sha256: String,
        /// SHA-256 of the baseline record's line, or `none`.
        baseline: String,
        /// True where the requester will run it alone, if nobody answers and nobody refuses.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        lone: bool,
    }
    /// The statement to be signed was written.
    StatementIssued = "statement.issued" v 1 {
        /// The `escalation.requested` it belongs to.
        request: u64,
        /// SHA-256 of the approving text.
        approve_sha256: String,
        /// SHA-256 of the refusing text.
        refuse_sha256: String,
        /// Its file below `signoffs/`.
        file: String,
        /// The key that proved the requester.
        requester_key: Option<SignerKey>,
    }
    /// A rostered key proved who acted under a name.
    ResponderProven = "responder.proven" v 1 {
        /// The name in the record.
        name: String,
        /// The person, as in the roster.
        person: String,
        /// Their key.
        key: SignerKey,
        /// What they signed, below `signoffs/`; its signature lies beside it.
        file: String,
    }
    /// Nobody needs to answer any more.
    EscalationWithdrawn = "escalation.withdrawn" v 1 {
        /// The `escalation.requested`.
        request: u64,
        /// Why.
        why: String,
    }
    /// A signed answer that counts.
    SignoffFiled = "signoff.filed" v 1 {
        /// The `escalation.requested` it answers.
        request: u64,
        /// The person, as in the roster.
        person: String,
        /// The key, and what it says about touch and PIN.
        key: SignerKey,
        /// True = approve, false = refuse.
        approves: bool,
        /// Its file below `signoffs/`.
        file: String,
        /// Monotonic microseconds; validity runs from here.
        mono_us: u64,
        /// Wall time, ms since the epoch.
        utc_ms: i64,
    }
    /// A signed answer that does not count.
    SignoffRejected = "signoff.rejected" v 1 {
        /// The request it claims to answer, where that could be read.
        request: Option<u64>,
        /// Short name of the reason.
        reason: String,
        /// The reason in words.
        text: String,
    }
    /// Somebody is about to be told of a request.
    NoticeBegun = "notice.begun" v 1 {
        /// The `escalation.requested`.
        request: u64,
        /// The rung of the ladder, from 1; 0 = everybody, told that one person wants to act alone.
        rung: u32,
        /// Its name.
        name: String,
        /// People or roles it reaches, as written in advance.
        who: Vec<String>,
        /// By what: a program, or the host of a webhook.
        via: String,
        /// Time to answer, in milliseconds.
        within_ms: u64,
        /// Monotonic microseconds.
        mono_us: u64,
        /// Wall time, ms since the epoch.
        utc_ms: i64,
    }
    /// What came of it.
    NoticeEnded = "notice.ended" v 1 {
        /// The `notice.begun`.
        notice: u64,
        /// True where it went out. Nothing says that anybody read it.
        sent: bool,
        /// In words.
        why: String,
    }
    /// A part of the record was cut out, to be sent to a rung.
    SliceCut = "slice.cut" v 1 {
        /// The `escalation.requested`.
        request: u64,
        /// The rung of the ladder, from 1.
        rung: u32,
        /// Its name.
        name: String,
        /// People or roles it reaches, as written in advance.
        who: Vec<String>,
        /// What of the record it shows: files and exhibits.
        shown: Vec<String>,
        /// What the rung names and it does not hold, with the reason.
        left: Vec<String>,
        /// Its length in bytes.
        bytes: u64,
        /// SHA-256 of it.
        sha256: String,
        /// Where it lies, below the case folder. No bundle holds it: it is cut from one.
        file: String,
    }
    /// A person's word that nobody can be reached.
    Unreached = "escalation.unreached" v 1 {
        /// The `escalation.requested`.
        request: u64,
        /// Who was tried, and how.
        words: String,
    }
    /// One person wants to run the act of a request alone. The delay runs from here.
    LoneAsked = "lone.asked" v 1 {
        /// The `escalation.requested`, which others may still sign or refuse.
        request: u64,
        /// Why.
        why: String,
        /// Monotonic microseconds.
        mono_us: u64,
        /// Wall time, ms since the epoch.
        utc_ms: i64,
    }
    /// A signer is written into an empty roster during the incident: to refuse and to countersign, never to approve.
    SignerEnrolled = "signer.enrolled" v 1 {
        /// The person.
        person: String,
        /// Their line of `allowed_signers`.
        line: String,
        /// How whoever wrote it knows whose key it is.
        words: String,
    }
    /// A role was lent: its holder signed that another person may sign in it until then.
    DelegationFiled = "delegation.filed" v 1 {
        /// The role.
        role: String,
        /// Who gives it, as in the roster.
        from: String,
        /// Who may sign in it, as in the roster.
        to: String,
        /// From when, ms since the epoch.
        from_ms: i64,
        /// Until when, ms since the epoch.
        until_ms: i64,
        /// The giver's one-time number.
        nonce: String,
        /// The key of the giver.
        key: SignerKey,
        /// What they signed, below `signoffs/`; its signature lies beside it.
        file: String,
        /// Monotonic microseconds.
        mono_us: u64,
        /// Wall time, ms since the epoch.
        utc_ms: i64,
    }
    /// A key or a person no longer counts in this incident. It only narrows, and nothing takes it back.
    SignerRevoked = "signer.revoked" v 1 {
        /// A key (`SHA256:…`) or a person of the roster.
        subject: String,
        /// Every key that this takes out, as far as it was known.
        keys: Vec<String>,
        /// Why.
        why: String,
    }
    /// The recovery plan is fixed.
    PlanFrozen = "plan.frozen" v 1 {
        /// The steps, in order, each with the SHA-256 of its resolved act.
        steps: Vec<PlannedStep>,
        /// SHA-256 over them.
        digest: String,
    }
    /// The plan is changed: a plan of its own from here on.
    PlanAmended = "plan.amended" v 1 {
        /// The steps, in order, each with the SHA-256 of its resolved act.
        steps: Vec<PlannedStep>,
        /// SHA-256 over them and over the plan before.
        digest: String,
        /// That of the plan before.
        was: String,
        /// Why.
        why: String,
        /// What changed, step by step.
        changes: Vec<PlanChange>,
        /// Requests whose sign-offs fell because of it.
        fell: Vec<u64>,
    }
    /// The plan no longer holds.
    PlanDropped = "plan.dropped" v 1 {
        /// Why.
        why: String,
        /// Steps of recover that are in force all the same, done or half done, the newest first.
        stands: Vec<StepId>,
        /// Requests whose sign-offs fell because of it.
        fell: Vec<u64>,
    }
    /// A service probe answered.
    ProbeAnswered = "probe.answered" v 1 {
        /// Its name.
        probe: StepId,
        /// True where the answer is the expected one.
        passed: bool,
        /// Expected against found.
        text: String,
    }
    /// Every probe passed and the after-state is captured.
    Recovered = "incident.recovered" v 1 {
        /// The `probe.answered` records it rests on.
        probes: Vec<u64>,
        /// The after-state captures it rests on.
        captures: Vec<u64>,
        /// Whose doing their lines are, as far as the record showed it then.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        apart: Vec<Apart>,
        /// Monotonic microseconds.
        mono_us: u64,
    }
    /// The incident is over.
    Closed = "incident.closed" v 1 {
        /// What is unproved and answered for.
        unproved: Vec<String>,
        /// Last words.
        words: String,
        /// Monotonic microseconds.
        mono_us: u64,
    }
    /// A bundle was sealed.
    BundleSealed = "bundle.sealed" v 1 {
        /// Who sealed it.
        by: String,
        /// True where a key signed it.
        signed: bool,
    }
    /// From here on every record goes to a place off this host, too.
    MirrorChosen = "mirror.chosen" v 1 {
        /// The place, as the responder wrote it.
        place: String,
    }
    /// How far that place had come, as far as this host knew: before a seal, and before the end.
    MirrorAcked = "mirror.acked" v 1 {
        /// The place.
        place: String,
        /// Folder of the incident there, empty where there was none yet.
        folder: String,
        /// Records that were read back from there.
        there: u64,
        /// Records that were not.
        behind: u64,
        /// Why the newest try had failed, empty where it had not.
        why: String,
    }
    /// From here on nothing more goes to that place; what it holds stays there.
    MirrorEnded = "mirror.ended" v 1 {
        /// The place.
        place: String,
        /// Folder of the incident there, empty where there was none yet.
        folder: String,
        /// Records that were read back from there.
        there: u64,
        /// Records before this one that were not.
        behind: u64,
    }
    /// A torn last line was set aside.
    JournalRecovered = "journal.recovered" v 1 {
        /// Its length in bytes.
        bytes: u64,
        /// SHA-256 of it.
        sha256: String,
        /// Where it lies now, below the case folder.
        file: String,
    }
    /// This journal continues a damaged one.
    JournalContinued = "journal.continued" v 1 {
        /// The damaged file, below the case folder.
        damaged: String,
        /// SHA-256 of the whole damaged file.
        sha256: String,
        /// Its length in bytes.
        len: u64,
        /// Good records before the damage, counted from the first of the case.
        good: u64,
        /// Offset of the first bad line.
        at: u64,
        /// What is wrong there.
        why: String,
    }
    /// Lines spooled elsewhere while the case folder could not be written.
    SpoolAbsorbed = "spool.absorbed" v 1 {
        /// Newest hash of the spool's own chain.
        head: String,
        /// Where they lay.
        place: String,
        /// How many records were taken over.
        records: u64,
    }
    /// A time stamp is asked for; the request lies in `anchors/`.
    AnchorRequested = "anchor.requested" v 1 {
        /// The newest record at that time.
        head_seq: u64,
        /// Hash of its line.
        head_sha256: String,
        /// The nonce of the request, 32 hexadecimal digits.
        nonce: String,
        /// The request, below `anchors/`; the head line it is about lies beside it.
        file: String,
        /// SHA-256 of the request.
        sha256: String,
    }
    /// A head of this record is held elsewhere.
    AnchorFiled = "anchor.filed" v 1 {
        /// By what.
        anchor: AnchorKind,
        /// The record that is held.
        head_seq: u64,
        /// Hash of its line.
        head_sha256: String,
        /// When it was, as the holder tells, RFC 3339.
        time: Option<String>,
        /// Where to ask, in the words of whoever filed it.
        words: String,
        /// The `anchor.requested` it answers.
        request: Option<u64>,
        /// The receipt or the head line, below `anchors/`.
        file: String,
        /// SHA-256 of that file.
        sha256: String,
    }
    /// Who looks from here on, where and with what program.
    CustodyBegan = "custody.began" v 1 {
        /// Host name.
        host: String,
        /// Boot id: `mono_us` counts from it.
        boot: String,
        /// User on that host.
        user: String,
        /// Program version.
        tool: String,
        /// SHA-256 of the program, empty where it could not be read.
        program_sha256: String,
        /// Monotonic microseconds.
        mono_us: u64,
    }
    /// This host's clock beside another.
    ClockOffset = "clock.offset" v 1 {
        /// Which other clock.
        source: String,
        /// How far this host is ahead of it, in milliseconds.
        offset_ms: i64,
        /// How far that may be wrong either way, in milliseconds.
        uncertainty_ms: u64,
        /// Monotonic microseconds.
        mono_us: u64,
    }
    /// The record went into other hands.
    CustodyHanded = "custody.handed" v 1 {
        /// Whose.
        to: String,
        /// The newest record they were shown.
        head_seq: u64,
        /// Hash of its line.
        head_sha256: String,
        /// The key they signed the receipt with; `None` = only the word of whoever recorded it.
        key: Option<SignerKey>,
        /// The receipt, below `anchors/`; its signature lies beside it.
        file: Option<String>,
    }
}

/// What holds a head elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnchorKind {
    /// An RFC 3161 time stamp.
    TimeStamp,
    /// People who saw it: a chat, a ticket, a sheet of paper.
    Witness,
}

/// A target with what its provider needs to be believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aim {
    /// Where it was found: `access.yaml`, `scan`, `responder`.
    pub found_by: String,
    /// What is to be cut.
    pub target: Target,
    /// Propagation window of its provider, in milliseconds.
    pub window_ms: u64,
}

/// The key behind a signed answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignerKey {
    /// `SHA256:…`, as OpenSSH prints it.
    pub fingerprint: String,
    /// Its type in OpenSSH's words.
    pub algorithm: String,
    /// FIDO: somebody touched the device. `None` for keys that cannot say.
    pub user_presence: Option<bool>,
    /// FIDO: the device asked for a PIN or a finger. `None` for keys that cannot say.
    pub user_verified: Option<bool>,
    /// FIDO: how often the device has signed. `None` for keys that cannot say.
    pub counter: Option<u32>,
    /// `SHA256:…` of the authority whose certificate vouches for it; `None` for a key with a line of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
}

impl SignerKey {
    /// Every fingerprint that it counts by: its own, and that of the authority behind it.
    pub fn prints(&self) -> Vec<&str> {
        let own = std::iter::once(self.fingerprint.as_str());
        own.chain(self.authority.as_deref()).collect()
    }
}

/// The lines of a later look by whose doing they are. What the record does not tell is counted as unknown.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Apart {
    /// The later look.
    pub after: u64,
    /// The one of the baseline that it repeats.
    pub before: u64,
    /// Lines that show the agent's access at work before the stop, new or not.
    pub agent: u64,
    /// Lines that came or went and that an act names: the first act that does, and how many.
    pub responders: Vec<(u64, u64)>,
    /// Lines that came or went, and nobody can tell by whom; a file that cannot be compared is one.
    pub unknown: u64,
}

/// Who runs an act, so that another terminal can tell "running there" from "crashed".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Runner {
    /// Host name.
    pub host: String,
    /// Boot id.
    pub boot: String,
    /// Our process id.
    pub pid: u32,
    /// Our start time in clock ticks since boot.
    pub starttime: u64,
}

/// How an act ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It says it did it.
    Done,
    /// It says it did not.
    Failed,
    /// We do not know: we hung up, crashed, or were interrupted.
    InDoubt,
}

/// One thing that was looked at, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaptureItem {
    /// File name in the exhibit, or the name of what is missing.
    pub name: String,
    /// Where it came from (command line, path).
    pub source: String,
    /// What became of it.
    pub status: ItemStatus,
    /// Why, where it is not whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Bytes kept.
    pub bytes: u64,
    /// SHA-256 of what was kept, empty where there is nothing.
    pub sha256: String,
    /// How many secrets were taken out.
    pub redactions: u32,
}

/// What became of one thing that was to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ItemStatus {
    /// Whole.
    Collected,
    /// Tried, did not work.
    Failed,
    /// Took too long; what came is kept.
    TimedOut,
    /// Not allowed.
    Forbidden,
    /// Longer than the cap; the beginning is kept.
    Truncated,
    /// Not tried.
    Skipped,
    /// Kept, but stays out of bundles.
    Withheld,
    /// The original of something redacted, which only those it names can open.
    Sealed,
}

impl ItemStatus {
    /// The word used in records and on screen.
    pub fn word(self) -> &'static str {
        match self {
            ItemStatus::Collected => "collected",
            ItemStatus::Failed => "failed",
            ItemStatus::TimedOut => "timed out",
            ItemStatus::Forbidden => "forbidden",
            ItemStatus::Truncated => "truncated",
            ItemStatus::Skipped => "skipped",
            ItemStatus::Withheld => "withheld",
            ItemStatus::Sealed => "sealed",
        }
    }

    /// True where something is missing.
    pub fn is_hole(self) -> bool {
        !matches!(self, ItemStatus::Collected | ItemStatus::Sealed)
    }
}

/// What became of one step from one plan to the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanChange {
    /// Which step.
    pub step: StepId,
    /// What became of it.
    pub change: StepChange,
    /// The parts of its act that differ, where it is another act than before.
    pub parts: Vec<String>,
}

/// What became of a step from one plan to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepChange {
    /// It was not in the plan before.
    Added,
    /// It is no longer in the plan.
    LeftOut,
    /// What it would run is not what it was.
    Changed,
    /// It comes before or after others than it did.
    Moved,
}

impl StepChange {
    /// The word used on screen and in reports.
    pub fn word(self) -> &'static str {
        match self {
            StepChange::Added => "added",
            StepChange::LeftOut => "left out",
            StepChange::Changed => "another act than before",
            StepChange::Moved => "moved",
        }
    }
}

/// A step of a frozen plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedStep {
    /// Which step.
    pub step: StepId,
    /// SHA-256 of its resolved act.
    pub act_sha256: String,
    /// Its zone.
    pub zone: Zone,
}
