//! Acts approved in peacetime: made and signed, read back when an incident opens, and found again for an act.
//!
//! An approval lies in the folder with the runbook, for the whole team. That costs nothing: it counts by its signature
//! alone, checked against the roster that somebody trusted. Where nobody trusted the roster, whoever can write the
//! folder could write both, and no approval counts. Those that count are pinned when the incident opens.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::desk::{Parsed, base_of};
use super::{Desk, Engine, EngineError, Written, sign_in_person};
use crate::journal::Hash;
use crate::model::act::{Act, Pinned, Resolved};
use crate::model::approved::{Approval, Approved, day, on_disk, portable};
use crate::model::effect::{Effect, Effects};
use crate::model::ids::StepId;
use crate::model::runbook::Runbook;
use crate::model::time::{parse_rfc3339, rfc3339};
use crate::model::trust::Trust;
use crate::signoff::odd;
use crate::sshsig::{Revoked, Roster, Signature, VerifiedKey, verify};

/// What a signature on an approval is made for.
pub const APPROVED_NAMESPACE: &str = "approved-act@incident-v1";
/// Most approvals that an incident reads, the first by name: whoever can write the folder must not keep it from
/// opening.
pub const MOST_APPROVALS: usize = 64;
/// What is said of those past that.
const LEFT: &str = "lie beside the runbook and were not read";
/// Largest file whose contents an approval binds, in bytes.
const LARGEST: u64 = 64 << 20;

/// An approval as it was found beside the runbook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalFile {
    /// Its name.
    pub name: String,
    /// What was signed.
    pub statement: String,
    /// The signature on it.
    pub signature: String,
}

/// What somebody means to approve.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ToApprove {
    /// A step of the runbook; `None` = `argv`.
    pub step: Option<StepId>,
    /// True for what takes the step back.
    pub undo: bool,
    /// An act that no runbook foresaw.
    pub argv: Vec<String>,
    /// What that changes.
    pub effects: Effects,
    /// Files that it reads and does not name.
    pub with: Vec<PathBuf>,
    /// How long it is to be good, in milliseconds.
    pub good_ms: i64,
}

/// An approval ready to be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalDraft {
    /// The very bytes that are signed.
    pub statement: Vec<u8>,
    /// The same, read.
    pub said: Approval,
    /// Name of its file, without ending.
    pub name: String,
}

/// An approval that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Counted {
    said: Approval,
    by: String,
    key: VerifiedKey,
    sha256: String,
    file: ApprovalFile,
}

impl Counted {
    /// Reads one that somebody of the roster signed, good at this moment; else why it does not count.
    fn read(
        file: &ApprovalFile,
        runbook: &Runbook,
        roster: &Roster,
        revoked: &Revoked,
        at_ms: i64,
    ) -> Result<Counted, String> {
        let said: Approval =
            serde_json::from_str(&file.statement).map_err(|e| format!("it cannot be read: {e}"))?;
        let unsigned = |e: &dyn std::fmt::Display| format!("its signature does not count: {e}");
        let signature = Signature::parse(file.signature.as_bytes()).map_err(|e| unsigned(&e))?;
        let key =
            verify(&signature, file.statement.as_bytes(), APPROVED_NAMESPACE).map_err(|e| unsigned(&e))?;
        if revoked.has_key(&key) {
            return Err(format!("the key {} that signed it is revoked", key.fingerprint));
        }
        let by = roster
            .who_signed(&key, APPROVED_NAMESPACE, at_ms)
            .map_err(|e| unsigned(&e))?;
        if runbook.policy.person(&by).is_none() {
            return Err(format!("{by}, who signed it, does not stand under `people:`"));
        }
        if said.runbook != runbook.name {
            return Err(format!(
                "it is for the runbook `{}`, and this is `{}`",
                said.runbook, runbook.name
            ));
        }
        if let Some(fault) = said.fault(at_ms) {
            return Err(fault);
        }
        Ok(Counted {
            said,
            by,
            key,
            sha256: Hash::of(file.statement.as_bytes()).to_string(),
            file: file.clone(),
        })
    }

    fn words(&self) -> String {
        format!("the approval by {} of {}", self.by, day(&self.said.made))
    }
}

impl Parsed {
    /// The same with the approvals that count, where the roster is one that somebody trusted.
    pub(super) fn approving(mut self, written: &Written, trust: Option<&Trust>, at_ms: i64) -> Self {
        let trusted = trust.is_some_and(|t| t.by.is_some());
        let signers = written.signers.as_ref().map_or(&[][..], |(_, bytes)| bytes);
        let roster = Roster::parse(signers).unwrap_or_default();
        for file in &written.approvals {
            let counted = match &self.revoked {
                _ if !trusted => Err("nobody trusted the roster here in peacetime".to_owned()),
                Err(_) => Err("the list of revoked keys cannot be read".to_owned()),
                Ok(revoked) => Counted::read(file, &self.runbook, &roster, revoked, at_ms),
            };
            match counted {
                Ok(counted) => self.approvals.push(counted),
                Err(why) => self.wrong(&file.name, format!("this approval does not count: {why}")),
            }
        }
        if written.approvals_left > 0 {
            let (left, most) = (written.approvals_left, MOST_APPROVALS);
            let text = format!(
                "{left} more approvals {LEFT}: an incident reads the first {most} by name. Remove the ones that ran out \
                 (`incident runbook lint` names those that do not count)"
            );
            self.wrong("approved", text);
        }
        let files: Vec<&ApprovalFile> = self.approvals.iter().map(|c| &c.file).collect();
        self.approved_acts = match files.is_empty() {
            true => None,
            false => serde_json::to_vec_pretty(&files).ok(),
        };
        self
    }
}

/// The approvals pinned in a case.
pub(super) fn pinned(bytes: &[u8]) -> Vec<ApprovalFile> {
    serde_json::from_slice(bytes).unwrap_or_default()
}

impl Engine<'_> {
    /// The act with the approval that fits it exactly. Only what is not understood needs one.
    pub(super) fn with_approval(&self, mut act: Resolved) -> Resolved {
        act.approved = None;
        if self.approvals.is_empty() || !act.effects().contains(&Effect::Unknown) {
            return act;
        }
        let now_ms = self.world.clock.now().utc_ms;
        for counted in &self.approvals {
            let Ok((files, None)) = self.measured(counted, &act, now_ms) else {
                continue;
            };
            let Counted { said, by, sha256, .. } = counted;
            act.files = files;
            act.approved = Some(Approved {
                by: by.clone(),
                made: said.made.clone(),
                until: said.until.clone(),
                effects: said.effects.clone(),
                sha256: sha256.clone(),
            });
            break;
        }
        act
    }

    /// Why the approvals that seem to be meant for this act do not fit it, and that some were not even read.
    pub fn misfits(&self, act: &Resolved) -> Vec<String> {
        if act.approved.is_some() || !act.effects().contains(&Effect::Unknown) {
            return Vec::new();
        }
        let opened = self.incident().map(|i| i.opened.problems.clone());
        let told = self.mistakes.iter().map(ToString::to_string);
        let left = told
            .chain(opened.unwrap_or_default())
            .find(|told| told.contains(LEFT));
        let mut all = self.meant_for(act);
        all.extend(left);
        all
    }

    fn meant_for(&self, act: &Resolved) -> Vec<String> {
        let now_ms = self.world.clock.now().utc_ms;
        let first = |argv: &[String]| argv.first().map(|p| portable(&self.base, p));
        let Act::Run(argv) = &act.act else {
            return Vec::new();
        };
        let meant = |c: &&Counted| {
            c.said.step.as_ref() == Some(&act.step) || c.said.run.first() == first(argv).as_ref()
        };
        let why = |c: &Counted| match self.measured(c, act, now_ms) {
            Err(why) | Ok((_, Some(why))) => Some(format!("{} does not fit: {why}", c.words())),
            Ok((_, None)) => None,
        };
        self.approvals.iter().filter(meant).filter_map(why).collect()
    }

    /// How many approvals count in this incident.
    pub fn approvals(&self) -> usize {
        self.approvals.len()
    }

    /// Every file of the act that this approval binds, as it is now, and why the approval does not fit.
    fn measured(
        &self,
        counted: &Counted,
        act: &Resolved,
        now_ms: i64,
    ) -> Result<(Vec<Pinned>, Option<String>), String> {
        let with = counted.said.files.iter().map(|f| on_disk(&self.base, &f.path));
        // What cannot be read any more shows as missing.
        let with: Vec<PathBuf> = with.filter(|p| self.world.files.stat(p).is_ok()).collect();
        if let Some(fault) = counted.said.fault(now_ms) {
            return Err(fault);
        }
        let incident = self.incident().map_err(|e| e.to_string())?;
        let out = incident.taken_out(&counted.by, &[]).is_some()
            || self.is_out(&incident, &counted.key, APPROVED_NAMESPACE, now_ms);
        if out {
            return Err("whoever signed it was taken out in this incident".into());
        }
        let Act::Run(argv) = &act.act else {
            return Err("it is for a program".into());
        };
        // Before any file is read: most acts differ in their first word.
        if argv.len() != counted.said.run.len() || argv.get(1..) != counted.said.run.get(1..) {
            return Err("its words are others".into());
        }
        let files = self.bound_files(act, &with)?;
        let now = Approval::of(act, &self.base, &files).ok_or("it is for a program")?;
        let misfit = counted.said.misfit(&now, act);
        Ok((files, misfit))
    }

    /// What an act runs, every file its words name, and those named besides, each with its hash as it is now.
    fn bound_files(&self, act: &Resolved, with: &[PathBuf]) -> Result<Vec<Pinned>, String> {
        let mut files = act.files.clone();
        let known: BTreeSet<String> = files.iter().map(|f| f.path.clone()).collect();
        let mut named: BTreeSet<PathBuf> = with.iter().cloned().collect();
        let check = act.verify.iter().flat_map(|check| check.run.iter().skip(1));
        let words: Vec<&String> = match &act.act {
            Act::Run(argv) => argv.iter().skip(1).chain(check).collect(),
            _ => Vec::new(),
        };
        for word in words {
            let value = word.split_once('=').map(|(_, value)| value);
            for text in [Some(word.as_str()), value, word.strip_prefix('@')]
                .into_iter()
                .flatten()
            {
                let path: PathBuf = Path::new(&act.cwd).join(text).components().collect();
                let Ok(stat) = self.world.files.stat(&path) else {
                    continue;
                };
                // A bare word that a folder happens to have for a name is a word.
                if stat.is_dir && (text.contains('/') || text.starts_with('.')) {
                    return Err(format!(
                        "it names the folder {text}, and what lies in it could be changed unseen"
                    ));
                }
                if stat.is_file || stat.is_link {
                    named.insert(path);
                }
            }
        }
        for path in named {
            let name = path.display().to_string();
            if known.contains(&name) {
                continue;
            }
            if self.world.files.stat(&path).is_ok_and(|s| s.len > LARGEST) {
                return Err(format!("{name} is too large to be bound by an approval"));
            }
            let sha256 = self.hash_program(&path).map_err(|e| format!("{name}: {e}"))?;
            files.push(Pinned { path: name, sha256 });
        }
        files.sort();
        files.dedup();
        Ok(files)
    }
}

impl Desk<'_> {
    /// What somebody would sign for this act as it is now. Runs nothing, signs nothing.
    pub fn approval(&self, written: &Written, what: &ToApprove) -> Result<ApprovalDraft, EngineError> {
        let no = EngineError::Escalation;
        if written.folder.is_none() {
            return Err(no(
                "nothing was written in advance here: `incident init` begins it".into(),
            ));
        }
        if let Some(mistake) = Parsed::of(written).mistakes.first() {
            return Err(no(format!(
                "what cannot be read can approve nothing (`incident runbook lint` shows every mistake): {mistake}"
            )));
        }
        let engine = self.preview(written)?;
        if engine.runbook().name == "unnamed" {
            return Err(no(
                "an approval is for one runbook, and this one has no `name:`".into()
            ));
        }
        let mut act = match &what.step {
            Some(step) if what.undo => engine.resolve_undo(step)?,
            Some(step) => engine.resolve(step)?,
            None => engine.resolve_ad_hoc(&what.argv)?,
        };
        // As if there were none yet: an old one is replaced.
        act.approved = None;
        if what.step.is_none() {
            act.declared = Some(what.effects.clone());
        }
        let known = |act: &Resolved| !act.effects().contains(&Effect::Unknown);
        let Act::Run(argv) = &act.act else {
            return Err(no(format!(
                "`{}` runs no program: there is nothing to approve",
                act.step
            )));
        };
        let Some(declared) = act.declared.clone().filter(|d| !d.is_empty()) else {
            return Err(no(format!(
                "nobody wrote down what `{}` changes: write its `effects:`, and approve it then",
                act.step
            )));
        };
        if declared.contains(&Effect::Unknown) {
            return Err(no(
                "`unknown` says that nobody knows what it changes: there is nothing to answer for".into(),
            ));
        }
        let unseen = Resolved {
            declared: None,
            ..act.clone()
        };
        if known(&act) && (what.step.is_some() || known(&unseen)) {
            return Err(no(format!(
                "everything in `{}` is understood: an approval would change nothing",
                act.step
            )));
        }
        if let Some(step) = &what.step
            && let Some(raw) = engine.runbook().step(step)
            && format!("{:?} {:?} {:?}", raw.act, raw.undo, raw.verify).contains("incident.id")
        {
            return Err(no(format!(
                "the words of `{step}` are others in every incident (`{{{{ incident.id }}}}`): nobody can approve them \
                 in advance"
            )));
        }
        let with: Vec<PathBuf> = what.with.iter().map(|p| self.world.host.cwd().join(p)).collect();
        for path in &with {
            if !self.world.files.stat(path).is_ok_and(|s| s.is_file) {
                return Err(no(format!("{} is not a file", path.display())));
            }
        }
        let files = engine.bound_files(&act, &with).map_err(no)?;
        let now = self.world.clock.now().utc_ms;
        let name = match &what.step {
            Some(step) if what.undo => format!("{step}.undo"),
            Some(step) => step.to_string(),
            None => {
                let hash = Hash::of(argv.join("\n").as_bytes()).to_string();
                format!("act-{}", hash.get(..8).unwrap_or_default())
            }
        };
        let made = Approval::of(&act, &engine.base, &files)
            .ok_or_else(|| no(format!("`{}` runs no program", act.step)))?;
        let said = Approval {
            runbook: engine.runbook().name.clone(),
            step: what.step.clone(),
            made: rfc3339(now),
            until: rfc3339(now.saturating_add(what.good_ms)),
            ..made
        };
        if let Some(fault) = said.fault(now) {
            return Err(no(fault));
        }
        let mut statement = serde_json::to_vec_pretty(&said).map_err(|e| no(e.to_string()))?;
        statement.push(b'\n');
        let text = String::from_utf8_lossy(&statement);
        if let Some((letter, why)) = odd(&text) {
            return Err(no(format!(
                "this cannot be read for what it is: it holds U+{:04X}, {why}",
                u32::from(letter)
            )));
        }
        Ok(ApprovalDraft {
            statement,
            said,
            name,
        })
    }

    /// Signs it, and answers the signature and who signed. Refused inside an agent's session, and where it would not
    /// count in an incident.
    pub fn approve(
        &self,
        written: &Written,
        draft: &ApprovalDraft,
        key: &str,
    ) -> Result<(Vec<u8>, String), EngineError> {
        let no = EngineError::Escalation;
        let signature = sign_in_person(self.world, key, APPROVED_NAMESPACE, &draft.statement)?;
        let now = self.world.clock.now();
        let base = base_of(self.world, written);
        let force = super::trust::in_force(self.world, written, &base);
        let parsed = Parsed::of(&force.written);
        let revoked = parsed.revoked.map_err(no)?;
        let signers = force.written.signers.as_ref().map_or(&[][..], |(_, bytes)| bytes);
        let file = ApprovalFile {
            name: draft.name.clone(),
            statement: String::from_utf8_lossy(&draft.statement).into_owned(),
            signature: String::from_utf8_lossy(&signature).into_owned(),
        };
        let roster = Roster::parse(signers).unwrap_or_default();
        let counted = Counted::read(&file, &parsed.runbook, &roster, &revoked, now.utc_ms).map_err(no)?;
        Ok((signature, counted.by))
    }
}

/// When an incident was opened, for what must be the same whenever its record is read.
pub(super) fn opened_ms(ts: &str) -> i64 {
    parse_rfc3339(ts).unwrap_or(i64::MAX)
}
