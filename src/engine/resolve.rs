//! From a step as written to exactly what will run, where, and what it changes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{Engine, EngineError};
use crate::effects::{self, ActText, Amounts, ScriptText};
use crate::journal::Hash;
use crate::model::act::{
    Act, BackupFound, CaptureSpec, Check, EnvValue, Lane, Manual, Pinned, Resolved, ResolvedUndo, Stage,
    Step, Undo,
};
use crate::model::effect::{Effect, Effects, Seen};
use crate::model::ids::StepId;
use crate::model::incident::Incident;
use crate::model::reach::{Reach, Scope};
use crate::model::runbook::{Backup, DEFAULT_TIMEOUT_MS, fill};

/// Longest file that the detectors read, in bytes; a longer one is not understood.
pub(super) const SCRIPT_CAP: u64 = effects::FILE_LIMIT as u64;

impl Engine<'_> {
    /// The step of this name in the runbook.
    pub fn step(&self, id: &StepId) -> Result<&Step, EngineError> {
        self.runbook
            .step(id)
            .ok_or_else(|| EngineError::NoStep(id.clone()))
    }

    /// What a step of the runbook would do now.
    pub fn resolve(&self, id: &StepId) -> Result<Resolved, EngineError> {
        if let (None, Some(target)) = (self.runbook.step(id), self.restored_by(id)?) {
            return self.resolve_restore(&target);
        }
        if let (None, Some((target, service))) = (self.runbook.step(id), self.renewed_by(id)?) {
            return self.resolve_renewal(&target, &service);
        }
        let step = self.step(id)?;
        self.resolved(step)
    }

    /// What taking a step back would do now.
    pub fn resolve_undo(&self, id: &StepId) -> Result<Resolved, EngineError> {
        let step = self.step(id)?;
        let forward = self.resolved(step)?;
        let (act, argv) = match forward.undo {
            ResolvedUndo::By(argv) => (Act::Run(argv.clone()), argv),
            ResolvedUndo::ByHand(manual) => (Act::Manual(manual), Vec::new()),
            ResolvedUndo::Never(why) => {
                return Err(EngineError::WrongKind {
                    step: id.clone(),
                    why: format!("it can never be undone: {why}"),
                });
            }
            ResolvedUndo::Unsaid => {
                let why = "nobody wrote down how to undo it; do it by hand and record it with `incident did`";
                return Err(EngineError::WrongKind {
                    step: id.clone(),
                    why: why.into(),
                });
            }
        };
        let (mut reaches, mut amounts) = (BTreeSet::new(), Amounts::default());
        let (files, seen) = if argv.is_empty() {
            (Vec::new(), Vec::new())
        } else {
            let read = self.read_act(id, &argv, &forward.cwd, &forward.env)?;
            (reaches, amounts) = (read.reaches, read.amounts);
            (read.files, read.seen)
        };
        let undo = Resolved {
            title: format!("undo: {}", forward.title),
            act,
            undoes: true,
            files,
            seen,
            undo: ResolvedUndo::Never("it is an undo itself".into()),
            verify: None,
            targets: targets_of(&argv, &forward.env, &self.world.host.identity().host),
            scope: Scope {
                reaches,
                environment: forward.scope.environment,
                rows: amounts.rows,
                objects: amounts.objects,
            },
            ..forward
        };
        self.trusts(&undo)?;
        Ok(self.with_approval(undo))
    }

    /// What an act nobody foresaw would do now.
    pub fn resolve_ad_hoc(&self, argv: &[String]) -> Result<Resolved, EngineError> {
        self.resolve_ad_hoc_in(argv, self.world.host.cwd())
    }

    /// The same, started from `cwd`. Where somebody was asked for exactly this, it keeps the name it was
    /// asked under, so that the signature fits.
    pub(super) fn resolve_ad_hoc_in(&self, argv: &[String], cwd: PathBuf) -> Result<Resolved, EngineError> {
        let incident = self.incident()?;
        let mut act = self.resolved(&ad_hoc(&incident, argv, cwd)?)?;
        // Named by what runs, not by how it was typed: the same act typed in two ways is one.
        if let Act::Run(argv) = &act.act {
            act.title = argv.join(" ").chars().take(72).collect();
        }
        for (step, digest) in incident
            .requests
            .values()
            .filter(|r| r.is_open())
            .filter_map(|r| r.next())
        {
            let asked = Resolved {
                step: step.clone(),
                ..act.clone()
            };
            if self.runbook.step(step).is_none() && Hash::of(&asked.canonical()).to_string() == digest {
                return Ok(asked);
            }
        }
        Ok(act)
    }

    /// What a step would do now: absolute program, hashes, targets, effects.
    pub fn resolved(&self, step: &Step) -> Result<Resolved, EngineError> {
        let incident = self.incident()?;
        let unresolved = |why: String| EngineError::Unresolved {
            step: step.id.clone(),
            why,
        };
        let cwd = match &step.cwd {
            Some(cwd) if cwd.is_absolute() => cwd.clone(),
            Some(cwd) => self.base.join(cwd),
            None => self.base.clone(),
        };
        let cwd = cwd.display().to_string();
        let filled = |argv: &[String]| -> Result<Vec<String>, EngineError> {
            let mut out = Vec::with_capacity(argv.len());
            for arg in argv {
                let arg = fill(arg, &self.runbook.backups, incident.id().as_str()).map_err(unresolved)?;
                // The act is written down verbatim and shown to signers.
                if !self.redactor().redact(arg.as_bytes()).1.is_empty() {
                    let why =
                        "an argument looks like a secret; hand it over as `env: {NAME: {env: …}}` or a file";
                    return Err(unresolved(why.into()));
                }
                out.push(arg);
            }
            if let Some(program) = out.first_mut() {
                *program = self.program(program, &cwd).ok_or_else(|| {
                    unresolved(format!(
                        "there is no program `{program}` (looked in PATH and from {cwd})"
                    ))
                })?;
            }
            Ok(out)
        };
        let (mut reaches, mut amounts) = (BTreeSet::new(), Amounts::default());
        let (act, mut files, mut seen) = match &step.act {
            Act::Run(argv) => {
                let argv = filled(argv)?;
                let read = self.read_act(&step.id, &argv, &cwd, &step.env)?;
                (reaches, amounts) = (read.reaches, read.amounts);
                (Act::Run(argv), read.files, read.seen)
            }
            Act::Capture(CaptureSpec::Command { argv, cwd: own }) => {
                let argv = filled(argv)?;
                let read = self.read_act(&step.id, &argv, &cwd, &step.env)?;
                (
                    Act::Capture(CaptureSpec::Command {
                        argv,
                        cwd: own.clone(),
                    }),
                    read.files,
                    read.seen,
                )
            }
            other => {
                if let Act::Capture(spec @ CaptureSpec::Collector { .. }) = other {
                    self.capture_plan(spec).map_err(|e| unresolved(e.to_string()))?;
                }
                (other.clone(), Vec::new(), Vec::new())
            }
        };
        let verify = match &step.verify {
            None => None,
            Some(check) => {
                let run = filled(&check.run)?;
                // A check that changes something is part of what the step changes.
                let read = self.read_act(&step.id, &run, &cwd, &step.env)?;
                files.extend(read.files);
                let before = seen.len();
                seen.extend(read.seen.into_iter().filter(|s| s.effect != Effect::Read));
                if seen.len() > before {
                    reaches.extend(read.reaches);
                    amounts = Amounts::default();
                }
                Some(Check { run, ..check.clone() })
            }
        };
        files.sort();
        files.dedup();
        let undo = match &step.undo {
            Undo::Unsaid => ResolvedUndo::Unsaid,
            // An undo whose program is missing today is no undo.
            Undo::By(argv) => match filled(argv) {
                Ok(argv) => ResolvedUndo::By(argv),
                Err(_) => ResolvedUndo::Unsaid,
            },
            Undo::ByHand(manual) => ResolvedUndo::ByHand(manual.clone()),
            Undo::Never(why) => ResolvedUndo::Never(why.clone()),
        };
        let backup =
            match &step.needs_backup {
                None => None,
                Some(id) => {
                    let backup = self.runbook.backups.get(id);
                    Some(self.backup_found(
                        backup.ok_or_else(|| unresolved(format!("there is no backup `{id}`")))?,
                    ))
                }
            };
        let argv: &[String] = match &act {
            Act::Run(argv) => argv,
            _ => &[],
        };
        let act = Resolved {
            step: step.id.clone(),
            stage: step.stage,
            lane: step.lane,
            title: step.title.clone(),
            undoes: false,
            targets: targets_of(argv, &step.env, &self.world.host.identity().host),
            act,
            cwd,
            env: step.env.clone(),
            files,
            declared: step.effects.clone().or_else(|| declared_by_kind(&step.act)),
            seen,
            undo,
            backup,
            rollback_tested: step.rollback_tested.clone(),
            scope: Scope {
                reaches,
                environment: step.environment,
                rows: amounts.rows,
                objects: amounts.objects,
            },
            approved: None,
            verify,
            timeout_ms: step.timeout_ms,
            tries: step.tries,
        };
        self.trusts(&act)?;
        Ok(self.with_approval(act))
    }

    /// The absolute path of a program, as it would be started from `cwd`.
    pub(super) fn program(&self, name: &str, cwd: &str) -> Option<String> {
        if name.contains('/') {
            let path = Path::new(cwd).join(name);
            let path: PathBuf = path.components().collect();
            return self
                .world
                .files
                .stat(&path)
                .ok()
                .map(|_| path.display().to_string());
        }
        self.world.spawn.find(name).map(|p| p.display().to_string())
    }

    /// Hashes and reads everything an argument list runs, and what that would change.
    fn read_act(
        &self,
        step: &StepId,
        argv: &[String],
        cwd: &str,
        env: &BTreeMap<String, EnvValue>,
    ) -> Result<ReadAct, EngineError> {
        let mut files = Vec::new();
        let mut texts: Vec<(String, Vec<u8>)> = Vec::new();
        if let Some(program) = argv.first() {
            files.push(self.pinned(step, Path::new(program))?);
        }
        for name in effects::script_paths(argv) {
            let path = Path::new(cwd).join(&name);
            // A script that is not there or too long stays unread, and the detectors say `unknown`.
            if let Ok(bytes) = self.world.files.read(&path, SCRIPT_CAP) {
                files.push(Pinned {
                    path: path.display().to_string(),
                    sha256: Hash::of(&bytes).to_string(),
                });
                texts.push((name, bytes));
            }
        }
        let scripts: Vec<ScriptText<'_>> = texts
            .iter()
            .map(|(path, bytes)| ScriptText { path, bytes })
            .collect();
        let text = ActText {
            argv,
            scripts: &scripts,
            stdin: None,
        };
        Ok(ReadAct {
            seen: effects::detect(&text),
            reaches: self.reaches(&text, cwd, env),
            amounts: effects::amounts(&text),
            files,
        })
    }

    /// A file's hash, read in pieces.
    fn pinned(&self, step: &StepId, path: &Path) -> Result<Pinned, EngineError> {
        let sha256 = self.hash_program(path).map_err(|e| EngineError::Unresolved {
            step: step.clone(),
            why: format!("{} cannot be read: {e}", path.display()),
        })?;
        Ok(Pinned {
            path: path.display().to_string(),
            sha256,
        })
    }

    /// The hash of what running this path would run. `psql` is a link on Debian, and so are many others:
    /// a link that is turned elsewhere shows as another hash.
    pub(super) fn hash_program(&self, path: &Path) -> std::io::Result<String> {
        if let Some(hash) = self.hashed.borrow().as_ref().and_then(|h| h.get(path)) {
            return Ok(hash.clone());
        }
        let hash = self.hash(self.world.files.open_program(path)?)?;
        if let Some(hashed) = self.hashed.borrow_mut().as_mut() {
            hashed.insert(path.to_owned(), hash.clone());
        }
        Ok(hash)
    }

    /// Does something in which each program is hashed once, however many steps run it. Never an act:
    /// what is about to run is hashed then and there.
    pub(super) fn hashing_once<T>(&self, look: impl FnOnce() -> T) -> T {
        self.hashed.replace(Some(BTreeMap::new()));
        let looked = look();
        self.hashed.replace(None);
        looked
    }

    fn hash(&self, mut file: Box<dyn Read>) -> std::io::Result<String> {
        let mut hasher = Sha256::new();
        let mut buffer = vec![0_u8; 128 << 10];
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                return Ok(Hash(hasher.finalize().into()).to_string());
            }
            hasher.update(buffer.get(..read).unwrap_or_default());
        }
    }

    /// True where every file the act rests on still has the hash it was judged with.
    pub(super) fn unchanged(&self, act: &Resolved) -> Result<(), EngineError> {
        for pinned in &act.files {
            let now = self
                .hash_program(Path::new(&pinned.path))
                .unwrap_or_else(|e| e.to_string());
            if now != pinned.sha256 {
                let why = format!("{} changed between judging and running", pinned.path);
                return Err(EngineError::Unresolved {
                    step: act.step.clone(),
                    why,
                });
            }
        }
        Ok(())
    }

    fn backup_found(&self, backup: &Backup) -> BackupFound {
        let path = if backup.path.is_absolute() {
            backup.path.clone()
        } else {
            self.base.join(&backup.path)
        };
        let identities = self.inventory.identities();
        let mut agent_can_write: Vec<String> = backup
            .writable_by
            .iter()
            .filter(|who| identities.contains(*who))
            .cloned()
            .collect();
        let stat = self.world.files.stat(&path).ok();
        if stat.as_ref().is_some_and(|s| s.mode & 0o002 != 0) {
            agent_can_write.push("every user of this host can write the file".into());
        }
        let found = stat.and_then(|s| {
            let key = (path.clone(), s.len, s.mtime_ms);
            if let Some(hash) = self.backup_hashes.borrow().get(&key) {
                return Some(hash.clone());
            }
            let hash = self.hash(self.world.files.open(&path).ok()?).ok()?;
            self.backup_hashes.borrow_mut().insert(key, hash.clone());
            Some(hash)
        });
        BackupFound {
            id: backup.id.clone(),
            path: path.display().to_string(),
            expected: backup.sha256.clone(),
            found,
            test_restore: backup.test_restore.clone(),
            writable_by: backup.writable_by.clone(),
            agent_can_write,
        }
    }

    /// Path of a file named beside a backup, or beside the runbook.
    pub(super) fn beside(&self, act: &Resolved, name: &str) -> PathBuf {
        let folder = act
            .backup
            .as_ref()
            .and_then(|b| Path::new(&b.path).parent().map(PathBuf::from));
        folder
            .map(|f| f.join(name))
            .filter(|p| self.world.files.stat(p).is_ok())
            .unwrap_or_else(|| self.base.join(name))
    }
}

/// What an argument list runs, changes and is aimed at.
struct ReadAct {
    files: Vec<Pinned>,
    seen: Vec<Seen>,
    reaches: BTreeSet<Reach>,
    amounts: Amounts,
}

/// An act nobody foresaw, as a step.
pub(super) fn ad_hoc(incident: &Incident, argv: &[String], cwd: PathBuf) -> Result<Step, EngineError> {
    let id = StepId::new(&format!("do-{}", incident.records))
        .map_err(|e| EngineError::Escalation(e.to_string()))?;
    Ok(Step {
        id,
        stage: Stage::Contain,
        lane: Lane::Ordinary,
        title: argv.join(" ").chars().take(72).collect(),
        why: None,
        act: Act::Run(argv.to_vec()),
        // Nobody classified it: what detectors read as a read is one, all else is unknown.
        effects: None,
        undo: Undo::Unsaid,
        needs_backup: None,
        rollback_tested: None,
        environment: None,
        verify: None,
        cwd: Some(cwd),
        env: BTreeMap::new(),
        timeout_ms: DEFAULT_TIMEOUT_MS,
        tries: 1,
    })
}

/// Questions and looks need no author to say that they only read.
fn declared_by_kind(act: &Act) -> Option<Effects> {
    match act {
        Act::Ask(_)
        | Act::Capture(CaptureSpec::Host | CaptureSpec::File { .. } | CaptureSpec::Git { .. }) => {
            Some(Effects::from([Effect::Read]))
        }
        // What is marked in a table keeps or marks a good copy; anything else has no place in one.
        Act::Capture(CaptureSpec::Collector { changing, .. }) => {
            Some(Effects::from([match changing.is_empty() {
                true => Effect::Read,
                false => Effect::Protect,
            }]))
        }
        // A person told to do something nobody classified may do anything.
        Act::Manual(Manual { .. })
        | Act::Run(_)
        | Act::Capture(CaptureSpec::Command { .. })
        | Act::Sweep(_)
        | Act::Restore(_)
        | Act::Renew(_) => None,
    }
}

/// What an argument list is aimed at, for the eyes of a signer. Never used to lower a zone.
fn targets_of(argv: &[String], env: &BTreeMap<String, EnvValue>, host: &str) -> BTreeMap<String, String> {
    const FLAGS: [(&str, &str); 16] = [
        ("--dbname", "database"),
        ("-d", "database"),
        ("--host", "server"),
        ("-h", "server"),
        ("--port", "port"),
        ("--username", "user"),
        ("-U", "user"),
        ("--context", "context"),
        ("--namespace", "namespace"),
        ("-n", "namespace"),
        ("--project", "project"),
        ("--profile", "profile"),
        ("--region", "region"),
        ("--cluster", "cluster"),
        ("--account", "account"),
        ("-C", "folder"),
    ];
    let mut all = BTreeMap::new();
    for (name, value) in env {
        if let EnvValue::Plain(value) = value {
            all.insert(name.clone(), value.clone());
        }
    }
    // After the variables: none of them may rename this host.
    all.insert("host".to_owned(), host.to_owned());
    for (at, arg) in argv.iter().enumerate().skip(1) {
        for (flag, target) in FLAGS {
            let value = match arg.strip_prefix(flag) {
                Some("") => argv.get(at + 1).cloned(),
                Some(rest) => rest.strip_prefix('=').map(str::to_owned),
                None => None,
            };
            if let Some(value) = value {
                all.insert(target.to_owned(), value);
            }
        }
    }
    all
}
