//! The loop: open, stop, look, act, plan, ask, prove, close. Prints nothing, reads no flags.
//!
//! Every command of the program is one method here, and the walk is a loop over the same methods:
//! [`Engine::next`] says what is due, a command does it. All state is the fold of the journal; the
//! engine itself remembers only what it was handed.

mod act;
mod anchor;
mod answers;
mod approve;
mod around;
mod capture;
mod close;
mod compare;
mod custody;
mod cut;
mod desk;
mod discover;
mod error;
mod escalate;
mod explain;
mod exposed;
mod held;
mod keep;
mod lines;
mod lone;
mod mirror;
mod notice;
mod page;
mod people;
mod plan;
mod preview;
mod program;
mod recorder;
mod remote;
mod renew;
mod resolve;
mod restore;
mod scan;
mod shared;
mod sign;
mod slice;
mod stop;
mod sweep;
mod trust;
mod turns;
mod verbatim;
mod walk;
mod whose;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::rc::Rc;

use zeroize::Zeroizing;

use crate::access::Agent;
use crate::journal::Hash;
use crate::model::act::Stage;
use crate::model::diagnostic::Diagnostic;
use crate::model::event::{DidElsewhere, Event, NoteAdded, StageEntered, WindowOver, WindowSeen};
use crate::model::incident::Incident;
use crate::model::inventory::Inventory;
use crate::model::runbook::Runbook;
use crate::providers::{Limits, Registry};
use crate::redact::Redactor;
use crate::sshsig::Revoked;
use crate::world::World;

pub use act::{Acted, DoubtAbout};
pub use anchor::{Anchored, HandedOver};
pub use answers::Pending;
pub use approve::{APPROVED_NAMESPACE, ApprovalDraft, ApprovalFile, MOST_APPROVALS, ToApprove};
pub use capture::Captured;
pub use close::{CloseBlock, Unproved};
pub use compare::{Changed, Compared, Line, compare};
pub use cut::{Again, CutReport, Given, NotCut};
pub use desk::{Desk, SHIPPED_RUNBOOK, SHIPPED_RUNBOOK_NAME, Written, shipped_runbook};
pub use discover::Found;
pub use error::EngineError;
pub use escalate::Issued;
pub use explain::Explained;
pub use exposed::Exposed;
pub use lone::AskedAlone;
pub use mirror::{Agreement, Mirror, Place as MirrorPlace, compare as compare_mirror, push as push_mirror};
pub use notice::{Ladder, Told as Notice};
pub use page::Paged;
pub use people::{Meant, TakenOut};
pub use plan::{PlanRow, ProbeRun, Replanned, TakeBack};
pub use preview::Armed;
pub use recorder::{Listener, Recorder, Told, decode, fold_case};
pub use remote::{Remote, RemoteStop};
pub use scan::Left;
pub use sign::{agent_session, sign_in_person, ssh_sign, usual_key, weakness};
pub use slice::Slice;
pub use stop::StopReport;
pub use trust::{TrustFile, Trusting};
pub use walk::Next;
pub use whose::{Way, Whose};

/// One incident in the hands of one responder.
pub struct Engine<'w> {
    world: &'w World,
    recorder: RefCell<Recorder<'w>>,
    runbook: Runbook,
    /// Where the plan came from, for the screen.
    pub runbook_name: String,
    inventory: Inventory,
    registry: Registry,
    limits: Limits,
    /// Mistakes in the files written in advance.
    pub mistakes: Vec<Diagnostic>,
    /// Folder that relative paths of the runbook start from.
    base: PathBuf,
    signers: Vec<u8>,
    /// Keys that no longer count; an `Err` where the list cannot be read, and then none counts.
    revoked: Result<Revoked, String>,
    /// Approvals of acts that count in this incident.
    approvals: Vec<approve::Counted>,
    /// Hashes of programs, while a whole plan is looked at.
    hashed: RefCell<Option<BTreeMap<PathBuf, String>>>,
    /// Hashes of backups read in this run, by path, length and change time: they may be large.
    backup_hashes: RefCell<BTreeMap<(PathBuf, u64, i64), String>>,
    key: [u8; 32],
    /// What the last look found; the next sweep takes it.
    discovered: RefCell<Option<Found>>,
    /// The agents that were seen here, with what they carry.
    agents: RefCell<Vec<Agent>>,
    /// True where they carry what no scan has looked at yet.
    late: Cell<bool>,
    /// Fingerprints of what scans have found since the last look.
    sorted: RefCell<BTreeSet<String>>,
    /// True once this run has said on record who looks.
    in_custody: Cell<bool>,
    /// What the agents' frozen processes held, by agent, until it is filed.
    held: RefCell<BTreeMap<String, held::Held>>,
    /// Knows every secret read so far; built anew when there are more.
    redactor: RefCell<(usize, Rc<Redactor>)>,
}

impl<'w> Engine<'w> {
    /// Lets somebody hear every event of this run.
    pub fn listen(&self, listener: Listener<'w>) {
        self.recorder.borrow_mut().listener = Some(listener);
    }

    /// The way out.
    pub fn world(&self) -> &'w World {
        self.world
    }

    /// The plan in force.
    pub fn runbook(&self) -> &Runbook {
        &self.runbook
    }

    /// The adapters.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Who is at the keyboard.
    pub fn who(&self) -> String {
        self.recorder.borrow().who.clone()
    }

    /// The newest state, as it is now.
    pub fn incident(&self) -> Result<Rc<Incident>, EngineError> {
        self.recorder
            .borrow()
            .incident()
            .cloned()
            .ok_or(EngineError::NoIncident)
    }

    /// The newest record: number and hash.
    pub fn head(&self) -> Option<(u64, Hash)> {
        self.recorder.borrow().head()
    }

    /// Folder of the case, where there is one.
    pub fn case_path(&self) -> Option<PathBuf> {
        self.recorder.borrow().case().map(|c| c.path().to_owned())
    }

    /// What went wrong with the record itself, once each.
    pub fn troubles(&self) -> Vec<String> {
        std::mem::take(&mut self.recorder.borrow_mut().troubles)
    }

    /// Where the record goes on instead of the case folder; `None` where it goes into the folder.
    pub fn spooled_to(&self) -> Option<String> {
        self.recorder.borrow().spooled_to()
    }

    /// Reads what other terminals wrote.
    pub fn catch_up(&self) -> Result<(), EngineError> {
        self.recorder.borrow_mut().catch_up()
    }

    fn record(&self, event: impl Into<Event>) -> Result<u64, EngineError> {
        self.recorder.borrow_mut().record_kept(event)
    }

    /// The redactor that knows every secret read so far.
    fn redactor(&self) -> Rc<Redactor> {
        let mut known: Vec<Zeroizing<String>> = Vec::new();
        self.world
            .secrets
            .known(&mut |value| known.push(Zeroizing::new(value.to_owned())));
        let mut slot = self.redactor.borrow_mut();
        if slot.0 != known.len() {
            let values: Vec<&str> = known.iter().map(|v| v.as_str()).collect();
            // Where they are too many for one pattern, the shapes and the values before them still hold.
            if let Ok(redactor) = Redactor::new(self.key, &values) {
                *slot = (known.len(), Rc::new(redactor));
            }
        }
        Rc::clone(&slot.1)
    }

    /// Text without secrets, for the journal.
    fn scrubbed(&self, text: &str) -> String {
        self.redactor().scrub(text)
    }

    /// What a person said, without secrets, on one line, and whole: nothing of it is cut off in silence.
    fn words(&self, text: &str) -> Result<String, EngineError> {
        let (clean, _) = self.redactor().redact(text.as_bytes());
        let clean = String::from_utf8_lossy(&clean);
        let line: String = clean
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        // Twice, because an act is ended and checked in the same words.
        match lines::too_long(&[&line, &line]) {
            true => Err(EngineError::TooLong(line.chars().count())),
            false => Ok(line),
        }
    }

    /// The same, for what a person vouches for: silence vouches for nothing.
    fn vouched(&self, text: &str, what: &'static str) -> Result<String, EngineError> {
        match text.trim().is_empty() {
            true => Err(EngineError::NoWords(what)),
            false => self.words(text),
        }
    }

    /// Adds words to the record.
    pub fn note(&self, text: &str) -> Result<u64, EngineError> {
        self.record(NoteAdded {
            text: self.words(text)?,
        })
    }

    /// Records a way to undo damage that is closing, and what would hold it.
    pub fn window(&self, what: &str, closes_ms: i64, hold: &str) -> Result<u64, EngineError> {
        self.record(WindowSeen {
            what: self.words(what)?,
            closes_ms,
            hold: self.words(hold)?,
        })
    }

    /// Records that such a window is held, was used, or is not needed.
    pub fn window_over(&self, window: u64, text: &str) -> Result<u64, EngineError> {
        if !self.incident()?.windows.contains_key(&window) {
            return Err(EngineError::OutOfOrder(format!(
                "record {window} is no window that is still closing"
            )));
        }
        self.record(WindowOver {
            window,
            text: self.vouched(text, "taking a window off the list")?,
        })
    }

    /// Records something done outside the tool. Never refused.
    pub fn did(&self, text: &str) -> Result<u64, EngineError> {
        self.record(DidElsewhere {
            text: self.words(text)?,
        })
    }

    /// Moves the walk to the next stage.
    pub fn enter(&self, stage: Stage) -> Result<u64, EngineError> {
        self.record(StageEntered {
            stage,
            mono_us: self.world.clock.now().mono_us,
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
