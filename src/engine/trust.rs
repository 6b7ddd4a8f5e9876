//! The files written in advance against what was trusted in peacetime: an agent may be able to write the folder.
//!
//! The record is one signed text outside the repository. It holds whole copies, so that what was trusted can be put
//! in force, and the digests of the scripts that steps run.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::desk::Parsed;
use super::{Desk, Engine, EngineError, Written, sign_in_person};
use crate::boundary::stricter;
use crate::journal::Hash;
use crate::model::act::{Act, CaptureSpec, Resolved};
use crate::model::grant::Target;
use crate::model::inventory::Inventory;
use crate::model::runbook::Way;
use crate::model::runbook::{Policy, Runbook};
use crate::model::secret::SecretRef;
use crate::model::trust::Trust;
use crate::sshsig::{Revoked, Roster, Signature, verify};
use crate::world::{World, WorldKind};

/// What a signature on the record is made for.
pub const TRUST_NAMESPACE: &str = "trust@incident-v1";
/// Longest script whose digest is taken, in bytes.
const SCRIPT: u64 = 64 << 20;
/// First words of the record, so that it can be no other signed text.
const KIND: &str = "incident runbook trust, version 1";

/// The record of what was trusted, as found in the user's own folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustFile {
    /// Where it lies.
    pub path: PathBuf,
    /// What was signed.
    pub statement: Vec<u8>,
    /// The signature on it.
    pub signature: Vec<u8>,
    /// True where others than its owner can write it.
    pub loose: bool,
    /// Keys that no longer count, beside the roster.
    pub revoked: Option<Vec<u8>>,
}

/// What somebody trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Statement {
    kind: String,
    folder: String,
    made: String,
    /// The files written in advance, whole.
    files: BTreeMap<String, String>,
    /// SHA-256 of scripts, by path.
    scripts: BTreeMap<String, String>,
    /// SHA-256 of the program that wrote this, empty where it could not be read.
    #[serde(default)]
    program: String,
    /// `revoked_keys` in base64: a list of OpenSSH's is no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revoked: Option<String>,
}

/// What `runbook trust` made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusting {
    /// Who signed.
    pub by: String,
    /// The files in it.
    pub files: Vec<String>,
    /// The scripts in it.
    pub scripts: Vec<String>,
    /// Steps whose scripts are not in it, and why.
    pub left: Vec<String>,
}

/// What is in force: the files, the policy where it is not that of the files, and how they compare.
pub(super) struct InForce<'a> {
    pub written: Cow<'a, Written>,
    pub policy: Option<Policy>,
    pub trust: Option<Trust>,
    pub problems: Vec<String>,
}

/// The three files by name.
fn files(written: &Written) -> [(&'static str, Option<&[u8]>); 3] {
    [
        ("runbook.yaml", bytes(&written.runbook)),
        ("access.yaml", bytes(&written.access)),
        ("allowed_signers", bytes(&written.signers)),
    ]
}

fn bytes(file: &Option<(String, Vec<u8>)>) -> Option<&[u8]> {
    file.as_ref().map(|(_, bytes)| bytes.as_slice())
}

/// Compares what was found with what was trusted, and says what is in force.
pub(super) fn in_force<'a>(world: &World, written: &'a Written, base: &Path) -> InForce<'a> {
    let mut force = InForce {
        written: Cow::Borrowed(written),
        policy: None,
        trust: None,
        problems: Vec::new(),
    };
    let real = world.kind == WorldKind::Real;
    let Some(folder) = written.folder.as_ref().filter(|_| real) else {
        return force;
    };
    let Some(file) = &written.trust else {
        let gone = |who: &String| format!("{who} made one, and it is gone from where it was kept");
        force.trust = Some(Trust {
            unused: written.trusted_before.as_ref().map(gone),
            ..Trust::default()
        });
        return force;
    };
    let (by, said) = match known(file, folder, world.clock.now().utc_ms) {
        Ok(known) => known,
        Err(why) => {
            let unused = Some(format!("{why} ({})", file.path.display()));
            force.trust = Some(Trust {
                unused,
                ..Trust::default()
            });
            return force;
        }
    };
    let mut differs: Vec<String> = Vec::new();
    for (name, found) in files(written) {
        if found != said.files.get(name).map(String::as_bytes) {
            differs.push(name.to_owned());
        }
    }
    if !differs.is_empty() {
        let copy = |name: &str| {
            let text = said.files.get(name)?;
            Some((format!("{name} as {by} trusted it"), text.clone().into_bytes()))
        };
        let trusted = Written {
            runbook: copy("runbook.yaml"),
            access: copy("access.yaml"),
            signers: copy("allowed_signers"),
            ..written.clone()
        };
        let policy = |w: &Written| {
            let (name, bytes) = w.runbook.as_ref()?;
            Runbook::parse(name, &String::from_utf8_lossy(bytes))
                .ok()
                .map(|r| r.policy)
        };
        let mine = policy(&trusted).unwrap_or_else(|| super::shipped_runbook().policy);
        // Whoever wrote what was found must not keep the record from being written.
        let both = policy(written).map(|found| stricter(&mine, &found));
        force.policy = both.filter(|policy| !super::lines::too_long(policy));
        force.problems = untrusted(written, &trusted);
        force.written = Cow::Owned(trusted);
    }
    if let Some(list) = still_revoked(&said, &by, written.revoked.as_ref()) {
        differs.push("revoked_keys".into());
        force.written.to_mut().revoked = Some(list);
    }
    for (path, sha256) in &said.scripts {
        if digest(world, &base.join(path)).as_ref() != Some(sha256) {
            differs.push(path.clone());
        }
    }
    force.trust = Some(Trust {
        by: Some(by),
        made: Some(said.made),
        unused: None,
        differs,
        scripts: said.scripts,
        program: Some(said.program).filter(|p| !p.is_empty()),
    });
    force
}

/// Who signed the record, and what it says; or why it does not count.
fn known(file: &TrustFile, folder: &Path, now_ms: i64) -> Result<(String, Statement), String> {
    if file.loose {
        return Err("others than its owner can write it".into());
    }
    let said: Statement =
        serde_json::from_slice(&file.statement).map_err(|e| format!("it cannot be read: {e}"))?;
    if said.kind != KIND || Path::new(&said.folder) != folder {
        return Err(format!("it is about {}", said.folder));
    }
    let signature =
        Signature::parse(&file.signature).map_err(|e| format!("its signature does not count: {e}"))?;
    let key = verify(&signature, &file.statement, TRUST_NAMESPACE)
        .map_err(|e| format!("its signature does not count: {e}"))?;
    let revoked = match &file.revoked {
        None => Revoked::default(),
        Some(bytes) => Revoked::parse(bytes).map_err(|e| format!("revoked_keys cannot be read: {e}"))?,
    };
    if revoked.has(&key.fingerprint) {
        return Err(format!("the key {} that signed it is revoked", key.fingerprint));
    }
    let signers = said.files.get("allowed_signers").map_or("", String::as_str);
    let roster = Roster::parse(signers.as_bytes()).unwrap_or_default();
    let by = roster
        .who(&key.fingerprint, TRUST_NAMESPACE, now_ms)
        .map_err(|e| format!("its signature does not count: {e}"))?;
    Ok((by.to_owned(), said.clone()))
}

/// The list of revoked keys where the one that was found no longer takes back what was trusted as taken back: both
/// together. A revocation is only ever added to.
fn still_revoked(said: &Statement, by: &str, found: Option<&(String, Vec<u8>)>) -> Option<(String, Vec<u8>)> {
    let trusted = STANDARD.decode(said.revoked.as_ref()?).ok()?;
    let list = Revoked::parse(&trusted).ok()?;
    let name = format!("revoked_keys with what {by} trusted");
    let Some((_, found)) = found else {
        return Some((name, trusted));
    };
    match Revoked::parse(found) {
        Ok(now) if now.holds_all(&list) => None,
        // It cannot be read, and then no signature counts.
        Err(_) => None,
        Ok(_) => {
            let (one, other) = (std::str::from_utf8(&trusted), std::str::from_utf8(found));
            let both = match (one, other) {
                (Ok(one), Ok(other)) => format!("{one}\n{other}\n"),
                // Nothing joins two of OpenSSH's lists; with either alone a revoked key would count.
                _ => "# The list that was found lacks what was trusted as revoked. Make one of both: ssh-keygen -k -u\n\
                      no signature counts until then\n"
                    .to_owned(),
            };
            Some((name, both.into_bytes()))
        }
    }
}

/// What stands in the access file that was found and in no trusted one: a stop leaves it alone, and says so.
fn untrusted(found: &Written, trusted: &Written) -> Vec<String> {
    let targets = |written: &Written| {
        let (name, bytes) = written.access.as_ref()?;
        Some(Inventory::parse(name, &String::from_utf8_lossy(bytes)).0.targets)
    };
    let known = targets(trusted).unwrap_or_default();
    let new = targets(found).unwrap_or_default();
    new.iter()
        .filter(|t| !known.contains(t))
        .map(|t| {
            format!(
                "`{}` stands in access.yaml and is not as it was trusted: it is not cut on that word alone; \
                 cut it yourself, or with `incident cut`",
                t.id()
            )
        })
        .collect()
}

fn digest(world: &World, path: &Path) -> Option<String> {
    let bytes = world.files.read(path, SCRIPT).ok()?;
    Some(Hash::of(&bytes).to_string())
}

/// The path from `base`, where it lies below.
fn below(base: &Path, path: &Path) -> Option<String> {
    let plain = path.components().all(|c| !matches!(c, Component::ParentDir));
    let inner = path.strip_prefix(base).ok().filter(|_| plain)?;
    Some(inner.display().to_string())
}

impl Desk<'_> {
    /// Signs for the files as they are now: answers the record, its signature, and what is in it.
    pub fn trust(&self, written: &Written, key: &str) -> Result<(Vec<u8>, Vec<u8>, Trusting), EngineError> {
        let no = EngineError::Escalation;
        let folder = written
            .folder
            .as_ref()
            .ok_or_else(|| no("nothing was written in advance here: `incident init` begins it".into()))?;
        if let Some(mistake) = Parsed::of(written).mistakes.first() {
            return Err(no(format!("what cannot be read cannot be trusted: {mistake}")));
        }
        let untrusting = Written {
            trust: None,
            ..written.clone()
        };
        let engine = self.preview(&untrusting)?;
        let (mut scripts, mut left) = (BTreeMap::new(), Vec::new());
        for path in engine.scripts(&mut left)? {
            let sha256 = digest(self.world, &engine.base.join(&path));
            scripts.insert(
                path.clone(),
                sha256.ok_or_else(|| no(format!("{path} cannot be read")))?,
            );
        }
        let mut texts = BTreeMap::new();
        for (name, found) in files(written) {
            if let Some(bytes) = found {
                let text =
                    String::from_utf8(bytes.to_vec()).map_err(|_| no(format!("{name} is not text")))?;
                texts.insert(name.to_owned(), text);
            }
        }
        let now = self.world.clock.now();
        let statement = Statement {
            kind: KIND.into(),
            folder: folder.display().to_string(),
            made: now.rfc3339(),
            files: texts,
            scripts,
            program: engine.own_hash().unwrap_or_default(),
            revoked: bytes(&written.revoked).map(|list| STANDARD.encode(list)),
        };
        let mut bytes = serde_json::to_vec_pretty(&statement).map_err(|e| no(e.to_string()))?;
        bytes.push(b'\n');
        let signature = sign_in_person(self.world, key, TRUST_NAMESPACE, &bytes)?;
        let file = TrustFile {
            path: PathBuf::new(),
            statement: bytes.clone(),
            signature: signature.clone(),
            loose: false,
            revoked: written.trust.as_ref().and_then(|t| t.revoked.clone()),
        };
        // What would not count in an incident is not written down either.
        let (by, _) = known(&file, folder, now.utc_ms).map_err(no)?;
        let trusting = Trusting {
            by,
            files: statement
                .files
                .into_keys()
                .chain(statement.revoked.map(|_| "revoked_keys".to_owned()))
                .collect(),
            scripts: statement.scripts.into_keys().collect(),
            left,
        };
        Ok((bytes, signature, trusting))
    }
}

impl Engine<'_> {
    /// How the files compare with what was trusted.
    pub fn trusted(&self) -> Result<Option<Trust>, EngineError> {
        Ok(self.incident()?.opened.trust.clone())
    }

    /// Every script below the base that a step, its undo, the reading of a secret or telling somebody would run.
    fn scripts(&self, left: &mut Vec<String>) -> Result<Vec<String>, EngineError> {
        let mut all = std::collections::BTreeSet::new();
        for step in &self.runbook.steps {
            if !matches!(step.act, Act::Run(_) | Act::Capture(CaptureSpec::Command { .. })) {
                continue;
            }
            match self.resolved(step) {
                Ok(act) => all.extend(self.own(&act)),
                Err(e) => left.push(e.to_string()),
            }
            if let Ok(undo) = self.resolve_undo(&step.id) {
                all.extend(self.own(&undo));
            }
        }
        for target in &self.inventory.targets {
            for source in sources(target) {
                all.extend(self.commanded(source));
            }
        }
        let reach = &self.runbook.reach;
        all.extend(self.named(&reach.notify));
        for way in reach.ladder.iter().flat_map(|rung| &rung.ways) {
            match way {
                Way::Program(argv) => all.extend(self.named(argv)),
                Way::Webhook(hook) => all.extend(hook.secrets().flat_map(|s| self.commanded(s))),
            }
        }
        all.retain(|path| {
            self.world
                .files
                .stat(&self.base.join(path))
                .is_ok_and(|s| s.is_file)
        });
        Ok(all.into_iter().collect())
    }

    fn own(&self, act: &Resolved) -> Vec<String> {
        act.files
            .iter()
            .filter_map(|f| below(&self.base, Path::new(&f.path)))
            .collect()
    }

    /// Words of a command that name files below the base.
    fn commanded(&self, source: &SecretRef) -> Vec<String> {
        match source {
            SecretRef::Command(argv) => self.named(argv),
            _ => Vec::new(),
        }
    }

    /// Words of an argument list that name files below the base.
    fn named(&self, argv: &[String]) -> Vec<String> {
        argv.iter()
            .filter(|word| word.contains('/'))
            .filter_map(|word| below(&self.base, &self.base.join(word.trim_start_matches("./"))))
            .collect()
    }

    /// A script other than the trusted one that telling somebody, or reading a secret for it, would run.
    pub(super) fn strange(&self, argv: &[String]) -> Option<String> {
        let incident = self.incident().ok()?;
        let trust = incident.opened.trust.as_ref().filter(|t| t.by.is_some())?;
        let mut files = self.named(argv).into_iter();
        files.find(|path| {
            let now = digest(self.world, &self.base.join(path));
            now.is_some() && trust.scripts.get(path) != now.as_ref()
        })
    }

    /// Refuses a step of the runbook that would run a script other than the trusted one.
    pub(super) fn trusts(&self, act: &Resolved) -> Result<(), EngineError> {
        let Some(trust) = self.incident()?.opened.trust.clone() else {
            return Ok(());
        };
        let Some(by) = trust
            .by
            .as_ref()
            .filter(|_| self.runbook.step(&act.step).is_some())
        else {
            return Ok(());
        };
        for file in &act.files {
            let Some(path) = below(&self.base, Path::new(&file.path)) else {
                continue;
            };
            if trust.scripts.get(&path) != Some(&file.sha256) {
                let why = format!(
                    "{path} is not the script that {by} trusted on {}, so it does not run as a step; read it, and \
                     judge what it does: incident boundary explain -- {}",
                    trust.day(),
                    file.path
                );
                return Err(EngineError::Unresolved {
                    step: act.step.clone(),
                    why,
                });
            }
        }
        Ok(())
    }

    /// Takes away what would run an untrusted program to read a secret: stop goes on without that secret.
    pub(super) fn disarmed(&mut self) -> Result<(), EngineError> {
        let Some(trust) = self.incident()?.opened.trust.clone().filter(|t| t.by.is_some()) else {
            return Ok(());
        };
        let strange = |engine: &Self, source: &SecretRef| {
            let mut paths = engine.commanded(source).into_iter();
            paths.any(|p| trust.scripts.get(&p) != digest(engine.world, &engine.base.join(&p)).as_ref())
        };
        let mut inventory = std::mem::take(&mut self.inventory);
        for target in &mut inventory.targets {
            let Target::Grant(grant) = target else { continue };
            for slot in [&mut grant.auth, &mut grant.secret] {
                if slot.as_ref().is_some_and(|source| strange(self, source)) {
                    self.mistakes.push(crate::model::diagnostic::Diagnostic {
                        file: "access.yaml".into(),
                        place: Default::default(),
                        message: format!(
                            "`{}` would run a script that nobody trusted to read a secret: it is not run",
                            grant.id
                        ),
                        remedy: None,
                    });
                    *slot = None;
                }
            }
        }
        self.inventory = inventory;
        Ok(())
    }
}

fn sources(target: &Target) -> Vec<&SecretRef> {
    match target {
        Target::Grant(grant) => grant.auth.iter().chain(&grant.secret).collect(),
        Target::Tree(_) | Target::Trigger(_) => Vec::new(),
    }
}
