//! Opening and resuming an incident: from the files written in advance to an engine.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

use super::approve::{self, ApprovalFile};
use super::recorder::Recorder;
use super::trust::{self, TrustFile};
use super::{Engine, EngineError, hex, lines};
use crate::journal::Hash;
use crate::model::diagnostic::{Diagnostic, Place};
use crate::model::event::Opened;
use crate::model::ids::IncidentId;
use crate::model::inventory::Inventory;
use crate::model::runbook::Runbook;
use crate::providers::{Limits, Registry};
use crate::redact::Redactor;
use crate::sshsig::Revoked;
use crate::store::{Pin, Store};
use crate::world::{World, WorldKind};

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
    /// How many more lie there, past [`super::MOST_APPROVALS`]; nobody read those.
    pub approvals_left: usize,
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
pub(super) fn base_of(world: &World, written: &Written) -> PathBuf {
    let parent = written.folder.as_ref().and_then(|f| f.parent());
    parent.map_or_else(|| world.host.cwd(), PathBuf::from)
}

/// The files written in advance, read; what cannot be read is replaced by what ships.
pub(super) struct Parsed {
    pub revoked: Result<Revoked, String>,
    pub runbook: Runbook,
    pub runbook_name: String,
    pub inventory: Inventory,
    pub mistakes: Vec<Diagnostic>,
    pub approvals: Vec<approve::Counted>,
    /// What is pinned of them.
    pub approved_acts: Option<Vec<u8>>,
}

impl Parsed {
    pub fn of(written: &Written) -> Self {
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
    pub fn and(mut self, problems: Vec<String>) -> Self {
        for message in problems {
            self.wrong("access.yaml", message);
        }
        self
    }

    pub fn wrong(&mut self, file: &str, message: String) {
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
    pub(super) fn assembled(
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
}
