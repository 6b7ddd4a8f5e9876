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
mod discover;
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
use crate::boundary::{Alone, Verdict};
use crate::journal::Hash;
use crate::model::act::Stage;
use crate::model::diagnostic::{Diagnostic, Place};
use crate::model::event::{DidElsewhere, Event, NoteAdded, Opened, StageEntered, WindowOver, WindowSeen};
use crate::model::ids::{IncidentId, StepId, TargetId};
use crate::model::incident::{FoldError, Incident};
use crate::model::inventory::Inventory;
use crate::model::runbook::Runbook;
use crate::providers::{Limits, Registry};
use crate::redact::{RedactError, Redactor};
use crate::signoff;
use crate::sshsig::Revoked;
use crate::store::{Pin, Store, StoreError};
use crate::world::{World, WorldKind};

pub use act::{Acted, DoubtAbout};
pub use anchor::{Anchored, HandedOver};
pub use answers::Pending;
pub use approve::{APPROVED_NAMESPACE, ApprovalDraft, ApprovalFile, MOST_APPROVALS, ToApprove};
pub use capture::Captured;
pub use close::{CloseBlock, Unproved};
pub use compare::{Changed, Compared, Line, compare};
pub use cut::{Again, CutReport, Given, NotCut};
pub use discover::Found;
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

/// The plan that ships inside the program.
pub const SHIPPED_RUNBOOK: &str = include_str!("../../runbooks/default.yaml");
/// Its name on screen.
pub const SHIPPED_RUNBOOK_NAME: &str = "the runbook that ships with incident";

/// The files a team wrote in advance, as they are on disk.
#[derive(Debug, Clone, Default)]
pub struct Written {
    /// Folder they were found in; `None` = nothing was written in advance.
    pub folder: Option<PathBuf>,
    /// `runbook.yaml`: name on screen and bytes.
    pub runbook: Option<(String, Vec<u8>)>,
    /// `access.yaml`.
    pub access: Option<(String, Vec<u8>)>,
    /// `allowed_signers`.
    pub signers: Option<(String, Vec<u8>)>,
    /// What somebody trusted in peacetime, from outside the folder.
    pub trust: Option<TrustFile>,
    /// Who trusted these files on this machine and when, where the record of it is gone.
    pub trusted_before: Option<String>,
    /// `revoked_keys`: a KRL, or a public key a line.
    pub revoked: Option<(String, Vec<u8>)>,
    /// Approvals of acts, from the folder `approved`.
    pub approvals: Vec<ApprovalFile>,
    /// How many more lie there, past [`MOST_APPROVALS`]; nobody read those.
    pub approvals_left: usize,
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The record could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The record says something that cannot be.
    #[error(transparent)]
    Fold(#[from] FoldError),
    /// What was asked for cannot follow what is on record. Nothing was written.
    #[error("this cannot follow here: {0}")]
    OutOfOrder(String),
    /// A look lacks what it must be given, or there is no such look.
    #[error(transparent)]
    NotGiven(#[from] crate::collectors::NotGiven),
    /// There is no open incident.
    #[error("there is no open incident")]
    NoIncident,
    /// The boundary, the order of stages or the plan says no.
    #[error("step `{step}` is blocked")]
    Blocked {
        /// Which step.
        step: StepId,
        /// True where it was to be taken back.
        undoes: bool,
        /// Zone, reasons and the refusal.
        verdict: Box<Verdict>,
    },
    /// A plan is in force already.
    #[error("a plan is in force already, since record {0}")]
    PlanInForce(u64),
    /// No plan is in force.
    #[error("no plan is in force")]
    NoPlan,
    /// One person may not act alone.
    #[error("{0}")]
    Alone(Alone),
    /// Something that must be said for the record is missing.
    #[error("{0} needs a reason, and none was given")]
    NoWords(&'static str),
    /// No such step.
    #[error("there is no step `{0}`")]
    NoStep(StepId),
    /// No such target.
    #[error("there is no grant, process tree or trigger `{0}` in this incident")]
    NoTarget(TargetId),
    /// The command does not fit the step.
    #[error("step `{step}` is not of that kind: {why}")]
    WrongKind {
        /// Which step.
        step: StepId,
        /// What would fit.
        why: String,
    },
    /// What the step names cannot be found or read.
    #[error("step `{step}` cannot be resolved: {why}")]
    Unresolved {
        /// Which step.
        step: StepId,
        /// What is missing.
        why: String,
    },
    /// Another terminal is running an act.
    #[error("another terminal is running an act of this incident right now")]
    Running,
    /// No durable journal line, no act.
    #[error("the record cannot be written to disk, so nothing but stop may act")]
    NotDurable,
    /// Nobody could sign.
    #[error("no signers are configured: at and outside the boundary stay blocked")]
    NoSigners,
    /// A signed answer does not count.
    #[error("this answer does not count: {0}")]
    Signoff(#[from] signoff::Refusal),
    /// A lent role does not count.
    #[error("this lends no role here: {0}")]
    Delegation(#[from] signoff::NotDelegated),
    /// The record says that somebody signed, and no signature does.
    #[error("{0}")]
    NotSigned(String),
    /// An agent must not sign for a person.
    #[error("this runs inside a session of {0}, and an agent must not sign for a person")]
    AgentSession(String),
    /// A name that stands nowhere.
    #[error("nobody is called `{name}` in the roster or under `people:`")]
    NobodyCalled {
        /// The name.
        name: String,
        /// Those that are there.
        known: Vec<String>,
    },
    /// A request cannot be made or used.
    #[error("{0}")]
    Escalation(String),
    /// A receipt cannot be filed.
    #[error("{0}")]
    Anchor(String),
    /// What remains unproved, so the incident stays open.
    #[error("the incident cannot be closed yet")]
    CannotClose(Vec<CloseBlock>),
    /// It cannot be called recovered.
    #[error("this cannot be called recovered: {0}")]
    NotRecovered(String),
    /// A pinned file is not what was pinned.
    #[error("{file} in the case folder is not the file that was pinned when the incident opened")]
    PinChanged {
        /// Its name.
        file: &'static str,
    },
    /// The folder of a case holds the record of another.
    #[error("the folder of {asked} holds the record of {found}")]
    OtherRecord {
        /// The case that was asked for.
        asked: IncidentId,
        /// What its record says it is.
        found: IncidentId,
    },
    /// A drill where the real world is meant, or the other way round.
    #[error("{0} belongs to the other world: a drill and an incident never continue each other")]
    OtherWorld(IncidentId),
    /// Somebody's words do not fit into one record.
    #[error(
        "these words are {0} characters long, and one record does not hold them; none of them is on record"
    )]
    TooLong(usize),
    /// A file of the responder cannot be read.
    #[error("cannot read {path}: {why}")]
    File {
        /// Which.
        path: String,
        /// What the system said.
        why: String,
    },
    /// Nothing may be written without the patterns that take secrets out.
    #[error(transparent)]
    Redact(#[from] RedactError),
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] crate::world::entropy::NoEntropy),
}

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

/// What is needed to open or resume an incident.
pub struct Desk<'w> {
    /// The way out.
    pub world: &'w World,
    /// Where cases lie.
    pub store: &'w Store,
    /// Where the record goes when no case folder can be written.
    pub spool_folders: Vec<PathBuf>,
    /// Who is at the keyboard.
    pub who: String,
}

impl<'w> Desk<'w> {
    /// Opens a new incident. Works with nothing written in advance and without a writable disk.
    pub fn open(&self, title: &str, written: &Written) -> Result<Engine<'w>, EngineError> {
        let world = self.world;
        let now = world.clock.now();
        let drill = world.kind == WorldKind::Drill;
        let mut random = [0_u8; 4];
        world.entropy.fill(&mut random)?;
        let id = IncidentId::made(drill, now.utc_ms, random);
        let (mut nonce, mut key) = ([0_u8; 16], [0_u8; 32]);
        world.entropy.fill(&mut nonce)?;
        world.entropy.fill(&mut key)?;
        let base = base_of(world, written);
        let force = trust::in_force(world, written, &base);
        let written = force.written.as_ref();
        let parsed =
            Parsed::of(written)
                .and(force.problems)
                .approving(written, force.trust.as_ref(), now.utc_ms);
        let made = self.store.create_case(&id, &key).and_then(|case| {
            for (pin, bytes) in parsed.pins(written) {
                case.pin(pin, bytes)?;
            }
            Ok(case)
        });
        let (case, trouble) = match made {
            Ok(case) => (Some(case), None),
            Err(e) => (None, Some(e.to_string())),
        };
        let mut recorder = Recorder::new(world, case, self.spool_folders.clone(), &self.who);
        if let Some(why) = trouble {
            recorder.open_spool(&id, why);
        }
        let identity = world.host.identity();
        let pins = parsed
            .pins(written)
            .into_iter()
            .map(|(pin, bytes)| (pin.file_name().to_owned(), Hash::of(bytes).to_string()))
            .collect();
        recorder.record(Opened {
            id,
            drill,
            title: title.chars().take(500).collect(),
            nonce: hex(&nonce),
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            host: identity.host,
            boot: identity.boot,
            user: identity.user,
            mono_us: now.mono_us,
            pins,
            base: base.display().to_string(),
            policy: force.policy.unwrap_or_else(|| parsed.runbook.policy.clone()),
            problems: lines::first_words(parsed.mistakes.iter().map(ToString::to_string).collect()),
            trust: force.trust,
        })?;
        Engine::assembled(
            world,
            recorder,
            parsed,
            base,
            written.signers.as_ref().map(|s| s.1.clone()),
            key,
        )
    }

    /// Takes up an incident that was opened before, from its own pinned files.
    pub fn resume(&self, id: &IncidentId) -> Result<Engine<'w>, EngineError> {
        const CAP: u64 = 2 << 20;
        let case = self.store.open_case(id)?;
        let key = *case.key()?;
        let mut recorder = Recorder::new(self.world, Some(case), self.spool_folders.clone(), &self.who);
        recorder.take_in_spools()?;
        recorder.catch_up()?;
        let incident = recorder.incident().ok_or(EngineError::NoIncident)?;
        if incident.id() != id {
            return Err(EngineError::OtherRecord {
                asked: id.clone(),
                found: incident.id().clone(),
            });
        }
        if incident.opened.drill != (self.world.kind == WorldKind::Drill) {
            return Err(EngineError::OtherWorld(id.clone()));
        }
        let mut written = Written::default();
        for pin in Pin::ALL {
            let name = pin.file_name();
            let Some(expected) = incident.opened.pins.get(name) else {
                continue;
            };
            let bytes = match recorder.case() {
                Some(case) => case.read_file(std::path::Path::new(name), CAP)?,
                None => continue,
            };
            if Hash::of(&bytes).to_string() != *expected {
                return Err(EngineError::PinChanged { file: name });
            }
            let slot = match pin {
                Pin::Runbook => &mut written.runbook,
                Pin::Access => &mut written.access,
                Pin::AllowedSigners => &mut written.signers,
                Pin::RevokedKeys => &mut written.revoked,
                Pin::ApprovedActs => {
                    written.approvals = approve::pinned(&bytes);
                    continue;
                }
            };
            *slot = Some((name.to_owned(), bytes));
        }
        let base = PathBuf::from(&incident.opened.base);
        let opened_ms = approve::opened_ms(&incident.opened_ts);
        let parsed = Parsed::of(&written).approving(&written, incident.opened.trust.as_ref(), opened_ms);
        let signers = written.signers.map(|s| s.1);
        Engine::assembled(self.world, recorder, parsed, base, signers, key)
    }
}

/// Folder that relative paths of the runbook start from: the one that holds its folder.
fn base_of(world: &World, written: &Written) -> PathBuf {
    let parent = written.folder.as_ref().and_then(|f| f.parent());
    parent.map_or_else(|| world.host.cwd(), PathBuf::from)
}

/// The files written in advance, read; what cannot be read is replaced by what ships.
struct Parsed {
    revoked: Result<Revoked, String>,
    runbook: Runbook,
    runbook_name: String,
    inventory: Inventory,
    mistakes: Vec<Diagnostic>,
    approvals: Vec<approve::Counted>,
    /// What is pinned of them.
    approved_acts: Option<Vec<u8>>,
}

impl Parsed {
    fn of(written: &Written) -> Self {
        let mut mistakes = Vec::new();
        let mut runbook = None;
        let mut runbook_name = SHIPPED_RUNBOOK_NAME.to_owned();
        if let Some((name, bytes)) = &written.runbook {
            match Runbook::parse(name, &String::from_utf8_lossy(bytes)) {
                Ok(read) if lines::too_long(&read.policy) => mistakes.push(Diagnostic {
                    file: name.clone(),
                    place: Place::default(),
                    message: "the boundary and its people are too long for the record".into(),
                    remedy: None,
                }),
                Ok(read) => {
                    runbook = Some(read);
                    runbook_name = name.clone();
                }
                Err(found) => mistakes.extend(found),
            }
        }
        let mut inventory = Inventory::default();
        if let Some((name, bytes)) = &written.access {
            let (read, found) = Inventory::parse(name, &String::from_utf8_lossy(bytes));
            inventory = read;
            mistakes.extend(found);
        }
        let revoked = match &written.revoked {
            None => Ok(Revoked::default()),
            Some((name, bytes)) => Revoked::parse(bytes).map_err(|e| format!("{name}: {e}")),
        };
        if let (Err(why), Some((name, _))) = (&revoked, &written.revoked) {
            mistakes.push(Diagnostic {
                file: name.clone(),
                place: Place::default(),
                message: format!("{why}; no signature counts in this incident"),
                remedy: Some("write a public key a line, or make a list with `ssh-keygen -k`".into()),
            });
        }
        Parsed {
            revoked,
            runbook: runbook.unwrap_or_else(shipped_runbook),
            runbook_name,
            inventory,
            mistakes,
            approvals: Vec::new(),
            approved_acts: None,
        }
    }

    /// The same with more that is wrong.
    fn and(mut self, problems: Vec<String>) -> Self {
        for message in problems {
            self.wrong("access.yaml", message);
        }
        self
    }

    fn wrong(&mut self, file: &str, message: String) {
        self.mistakes.push(Diagnostic {
            file: file.to_owned(),
            place: Place::default(),
            message,
            remedy: None,
        });
    }

    /// What is kept in the case: a broken runbook is pinned too, it is evidence of what was there.
    fn pins<'a>(&'a self, written: &'a Written) -> Vec<(Pin, &'a [u8])> {
        let mut all: Vec<(Pin, &[u8])> = Vec::new();
        match &written.runbook {
            Some((_, bytes)) => all.push((Pin::Runbook, bytes)),
            None => all.push((Pin::Runbook, SHIPPED_RUNBOOK.as_bytes())),
        }
        if let Some((_, bytes)) = &written.access {
            all.push((Pin::Access, bytes));
        }
        if let Some((_, bytes)) = &written.signers {
            all.push((Pin::AllowedSigners, bytes));
        }
        if let Some((_, bytes)) = &written.revoked {
            all.push((Pin::RevokedKeys, bytes));
        }
        if let Some(bytes) = &self.approved_acts {
            all.push((Pin::ApprovedActs, bytes));
        }
        all
    }
}

/// The runbook that ships; a test parses it, so the fallback is never met.
pub fn shipped_runbook() -> Runbook {
    use crate::model::effect::Effects;
    use crate::model::runbook::{Need, Policy};
    Runbook::parse(SHIPPED_RUNBOOK_NAME, SHIPPED_RUNBOOK).unwrap_or_else(|_| {
        // With no policy at all everything is outside and nobody can sign: the strictest reading.
        let need = |people| Need::of(people);
        let policy = Policy {
            inside: Effects::new(),
            at: Effects::new(),
            need_at: need(1),
            need_outside: need(2),
            lone: None,
            valid_ms: 0,
            people: BTreeMap::new(),
            seal_originals_to: Vec::new(),
            environments: BTreeMap::new(),
            rules: Vec::new(),
            also: None,
        };
        Runbook {
            name: "none".into(),
            policy,
            outside: Effects::new(),
            backups: BTreeMap::new(),
            steps: Vec::new(),
            probes: Vec::new(),
            reach: Default::default(),
        }
    })
}

impl<'w> Engine<'w> {
    fn assembled(
        world: &'w World,
        recorder: Recorder<'w>,
        parsed: Parsed,
        base: PathBuf,
        signers: Option<Vec<u8>>,
        key: [u8; 32],
    ) -> Result<Self, EngineError> {
        let mut registry = Registry::shipped();
        let mut mistakes = parsed.mistakes;
        for (name, node) in &parsed.inventory.tables {
            if let Err(found) = registry.add_node("access.yaml", name, node) {
                mistakes.extend(found);
            }
        }
        let redactor = Rc::new(Redactor::new(key, &[])?);
        let mut engine = Engine {
            world,
            recorder: RefCell::new(recorder),
            runbook: parsed.runbook,
            runbook_name: parsed.runbook_name,
            inventory: parsed.inventory,
            registry,
            limits: Limits::new(),
            mistakes,
            base,
            signers: signers.unwrap_or_default(),
            revoked: parsed.revoked,
            approvals: parsed.approvals,
            hashed: RefCell::default(),
            backup_hashes: RefCell::default(),
            key,
            discovered: RefCell::default(),
            agents: RefCell::default(),
            late: Cell::default(),
            sorted: RefCell::default(),
            in_custody: Cell::new(false),
            held: RefCell::default(),
            redactor: RefCell::new((0, redactor)),
        };
        engine.disarmed()?;
        Ok(engine)
    }

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

    /// Reads what other terminals wrote.
    pub fn catch_up(&self) -> Result<(), EngineError> {
        self.recorder.borrow_mut().catch_up()
    }

    fn record(&self, event: impl Into<Event>) -> Result<u64, EngineError> {
        self.recorder.borrow_mut().record(event)
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
            text: self.words(text)?,
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
