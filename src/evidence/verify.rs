//! Proves a bundle or a case: every hash, every link, every signature, and nothing beside them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::anchors::HeadFile;
use super::chain::Journal;
use super::exhibit::{ExhibitFile, Hole, Ledger, Unended};
use super::hashing::{Job, hash_many};
use super::manifest::Entry;
use super::read::{self, Container, Opened, TAG_CAP};
pub use super::report::{
    Anchored, Countersigned, Fault, JournalReport, Kind, Receipt, Signer, SignoffCheck, VerifyReport, Vouched,
};
use super::seal::{Seal, seal_namespace};
use super::signoffs::Claims;
use super::{escape, names};
use crate::journal::Hash;
use crate::model::diagnostic::Diagnostic;
use crate::model::ids::IncidentId;
use crate::model::time::parse_rfc3339;
use crate::sshsig::{self, Revoked, RevokedError, Roster, Signature};

/// `VERIFY.txt`: the same checks with plain tools.
pub const SCRIPT: &str = include_str!("VERIFY.txt");
/// `bagit.txt`.
pub const BAGIT_TXT: &str = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n";

/// What stands after the rows of a ledger nearly always fits in this many bytes.
const END_OF_LEDGER: u64 = 256 * 1024;

/// Most faults that are listed.
const FAULTS_CAP: usize = 100;

/// What the one who verifies brings along.
#[derive(Debug, Clone, Copy, Default)]
pub struct VerifyOptions<'a> {
    /// An `allowed_signers` file from outside. Without it nobody is vouched for.
    pub pinned_signers: Option<&'a [u8]>,
    /// Keys that never count: an OpenSSH revocation list, or a public key a line.
    pub revoked: Option<&'a [u8]>,
    /// Certificates of time-stamp authorities from outside (PEM): their own, not those above them.
    pub authority: Option<&'a [u8]>,
    /// Signatures over the seal that must count, beside those found next to the bundle.
    pub signatures: &'a [PathBuf],
}

/// There is nothing to verify at that path. What is there and broken is a report, not an error.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// No such path, or it cannot be read.
    #[error("cannot read {path}: {why}", path = .path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        why: io::Error,
    },
    /// A folder that is neither a bundle nor a case.
    #[error("{path} is neither a bundle (no bagit.txt) nor a case (no journal.jsonl)", path = .0.display())]
    NotOurs(PathBuf),
    /// The pinned signers cannot be read; each mistake with its line.
    #[error("the pinned signers have {} mistakes", .0.len())]
    Signers(Vec<Diagnostic>),
    /// The list of revoked keys cannot be read.
    #[error("the list of revoked keys cannot be used: {0}")]
    Revoked(#[from] RevokedError),
    /// Signatures were named for something that has no seal.
    #[error("{path} has no seal, so no signature can be over it", path = .0.display())]
    NoSeal(PathBuf),
}

/// Verifies a bundle, an unpacked bundle or the folder of a case. Only reads, never extracts.
pub fn verify(input: &Path, options: &VerifyOptions<'_>) -> Result<VerifyReport, VerifyError> {
    let kind = kind_of(input)?;
    let pinned = options.pinned_signers.map(Roster::parse).transpose();
    if kind == Kind::Case && !options.signatures.is_empty() {
        return Err(VerifyError::NoSeal(input.to_owned()));
    }
    let mut check = Check {
        pinned: pinned.map_err(VerifyError::Signers)?,
        revoked: options
            .revoked
            .map(Revoked::parse)
            .transpose()?
            .unwrap_or_default(),
        authority: options.authority.map(<[u8]>::to_vec),
        own: Roster::default(),
        report: VerifyReport {
            kind,
            incident: None,
            members: 0,
            files: 0,
            bytes: 0,
            faults: Vec::new(),
            vouched: Vouched::NotAsked,
            countersigned: Vec::new(),
            signoffs: Vec::new(),
            receipts: Vec::new(),
            withheld: None,
            journal: None,
            ledger: None,
            holes: Vec::new(),
            notes: Vec::new(),
        },
    };
    let sealed = |check: &mut Check, bundle: Opened| check.sealed(input, options, &bundle);
    let done = match kind {
        Kind::Case => check.case(input),
        Kind::UnpackedBundle => read::open_folder(input).and_then(|b| sealed(&mut check, b)),
        _ => read::open_tar(input).and_then(|b| sealed(&mut check, b)),
    };
    check.report.faults.extend(done.err());
    check.report.faults.truncate(FAULTS_CAP);
    Ok(check.report)
}

/// The records that sign-offs and receipts name.
fn wanted(claims: &BTreeMap<String, Claims>, heads: &[HeadFile]) -> BTreeSet<u64> {
    let signed = claims.values().flat_map(|claims| &claims.heads);
    let signed = signed.map(|(_, seq, _)| *seq);
    signed.chain(heads.iter().map(|file| file.head.seq)).collect()
}

/// Tells by its look what is at that path.
pub(super) fn kind_of(input: &Path) -> Result<Kind, VerifyError> {
    let meta = fs::metadata(input).map_err(|why| VerifyError::Read {
        path: input.to_owned(),
        why,
    })?;
    let has = |name: &str| fs::symlink_metadata(input.join(name)).is_ok();
    match () {
        () if meta.is_file() => Ok(Kind::Bundle),
        () if has(names::BAGIT) || has(names::TAGMANIFEST) => Ok(Kind::UnpackedBundle),
        () if has(names::JOURNAL) => Ok(Kind::Case),
        () => Err(VerifyError::NotOurs(input.to_owned())),
    }
}

pub(super) struct Check {
    /// The signers from outside.
    pub(super) pinned: Option<Roster>,
    /// The roster that lies in the bundle or case: good for names, not for trust.
    own: Roster,
    revoked: Revoked,
    /// Certificates of time-stamp authorities, from outside.
    pub(super) authority: Option<Vec<u8>>,
    pub(super) report: VerifyReport,
}

impl Check {
    pub(super) fn fault(&mut self, place: &str, why: impl Into<String>) {
        self.report.faults.push(Fault::new(place, why));
    }

    /// Checks what has a seal. An `Err` is a fault after which nothing more can be said.
    fn sealed(&mut self, input: &Path, options: &VerifyOptions<'_>, bundle: &Opened) -> Result<(), Fault> {
        let read = |name: &str| match bundle.tag(name) {
            Some(entry) => bundle.container.read(entry, TAG_CAP),
            None => Err(Fault::new(name, "not there")),
        };
        let seal = Seal::parse(&read(names::SEAL)?).map_err(|why| Fault::new(names::SEAL, why))?;
        self.report.incident = Some(seal.incident.to_string());
        if let Some(top) = bundle.top.as_ref().filter(|top| **top != seal.incident) {
            return Err(Fault::new(
                names::SEAL,
                format!("it seals {}, but the bundle is called {top}", seal.incident),
            ));
        }
        if bundle.tag(names::ROSTER).is_some() {
            self.own_roster(&read(names::ROSTER)?);
        }
        self.seal_signature(bundle, &seal)?;
        self.beside(input, options.signatures, &bundle.tagmanifest, &seal);
        self.hashes(bundle);
        if let Some(withheld) = &bundle.withheld {
            // The journal and what follows from it are proven as bytes; what they say is in the whole.
            self.report.kind = Kind::Part;
            self.report.withheld = Some(withheld.clone());
            return Ok(());
        }
        self.bundle(bundle, &seal, &read)
    }

    /// Checks what the files of a whole bundle say.
    fn bundle(
        &mut self,
        bundle: &Opened,
        seal: &Seal,
        read: &dyn Fn(&str) -> Result<Vec<u8>, Fault>,
    ) -> Result<(), Fault> {
        self.bag(seal, read)?;
        let signed = self.signed(&bundle.container, &bundle.tags);
        let claims = self.claims(&signed);
        let heads = self.heads(&bundle.container, &bundle.tags);
        let wanted = wanted(&claims, &heads);
        let (journal, whole) = self.journal(&bundle.container, &bundle.tags, wanted)?;
        if whole {
            for (what, said, found) in [
                ("head", seal.head.to_string(), journal.chain.head.to_string()),
                (
                    "number of records",
                    seal.records.to_string(),
                    journal.chain.next.to_string(),
                ),
                ("tree", seal.root.to_string(), journal.tree.root().to_string()),
            ] {
                if said != found {
                    self.fault(
                        names::SEAL,
                        format!("the {what} is {said} here and {found} in the journal"),
                    );
                }
            }
        }
        if whole && seal.sealed_at < journal.newest {
            self.fault(
                names::SEAL,
                "by its time it was sealed before its newest record was written",
            );
        }
        self.opening(&journal, &bundle.tags, &seal.incident);
        self.clock(&journal);
        self.signoffs(signed, &claims, &journal, &seal.incident);
        self.receipts(&bundle.container, &bundle.tags, heads, &journal, &seal.incident);
        self.anchor(&journal);

        let (mut ledger, stored, follows) = journal.fold.end();
        self.ledger_text(bundle, &mut ledger, follows)?;
        self.exhibits(stored, &bundle.payload);
        self.ledger(ledger);
        Ok(())
    }

    /// The ledger in the bundle is the one that follows from the journal, in its one spelling.
    fn ledger_text(&mut self, bundle: &Opened, ledger: &mut Ledger, follows: Unended) -> Result<(), Fault> {
        let unreadable = |e: io::Error| Fault::new(names::LEDGER, format!("cannot be read: {e}"));
        let entry = bundle
            .tag(names::LEDGER)
            .ok_or_else(|| Fault::new(names::LEDGER, "not there"))?;
        let mut read = None;
        for most in [END_OF_LEDGER, TAG_CAP] {
            let end = bundle.container.end(entry, most).map_err(unreadable)?;
            read = ledger.read_left_out(&end);
            if read.is_some() {
                break;
            }
        }
        read.unwrap_or_else(|| Err("not in the one spelling of a ledger".to_owned()))
            .map_err(|why| Fault::new(names::LEDGER, why))?;
        if follows.end(ledger).entry(names::LEDGER).sha256 != entry.sha256 {
            self.fault(names::LEDGER, "it does not say what the journal says");
        }
        if ledger.withheld != super::plan::withheld() {
            self.report.notes.push(
                "what the ledger says of files that no bundle holds is not this version's: only a signature vouches for it"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// Checks the folder of a case. It has no seal, so nobody can vouch for it as a whole.
    fn case(&mut self, root: &Path) -> Result<(), Fault> {
        self.report.vouched = Vouched::Unsigned;
        let container = Container::Folder(root.to_owned());
        let incident = root
            .canonicalize()
            .ok()
            .and_then(|path| IncidentId::new(path.file_name()?.to_str()?).ok())
            .ok_or_else(|| Fault::new("the case folder", "its name is not an incident's id"))?;
        self.report.incident = Some(incident.to_string());
        let meta = super::BundleMeta {
            incident: incident.clone(),
            sealed_by: "nobody".to_owned(),
            sealed_at: "never".to_owned(),
            records: None,
            hash_anew: true,
        };
        let plan = match super::plan(root, &meta) {
            Ok(plan) => plan,
            Err(super::PlanError::Journal(_)) => {
                let files = fs::read_dir(root).into_iter().flatten().flatten();
                let names: Vec<String> = files
                    .map(|f| f.file_name().to_string_lossy().into_owned())
                    .collect();
                let mut journals: Vec<Entry> = names::journals(names.iter().map(String::as_str))
                    .into_iter()
                    .map(Entry::named)
                    .collect();
                for journal in &mut journals {
                    let found = hash_many(&[container.job(journal)], 1).pop().and_then(Result::ok);
                    journal.sha256 = found.map_or(Hash::ZERO, |found| found.sha256);
                }
                self.journal(&container, &journals, BTreeSet::new())?;
                return Ok(());
            }
            Err(why) => return Err(Fault::new("the case folder", why.to_string())),
        };
        let tags: Vec<Entry> = plan.tags.iter().map(|tag| tag.entry.clone()).collect();
        if let Some(entry) = tags.iter().find(|e| *e.name == *names::ROSTER) {
            self.own_roster(&container.read(entry, TAG_CAP)?);
        }
        let signed = self.signed(&container, &tags);
        let claims = self.claims(&signed);
        let heads = self.heads(&container, &tags);
        let (journal, _) = self.journal(&container, &tags, wanted(&claims, &heads))?;
        self.opening(&journal, &tags, &incident);
        self.clock(&journal);
        self.signoffs(signed, &claims, &journal, &incident);
        self.receipts(&container, &tags, heads, &journal, &incident);
        self.anchor(&journal);
        let (_, stored, _) = journal.fold.end();
        self.exhibits(stored, &plan.payload);
        let evidence = plan.payload.iter().filter(|e| *e.name != *names::NOTHING);
        self.report.files = evidence.clone().count() as u64;
        self.report.bytes = evidence.map(|e| e.len).sum();
        self.ledger(plan.ledger);
        Ok(())
    }

    /// A mistake in the roster that lies with the record makes its names unknown, no more.
    fn own_roster(&mut self, bytes: &[u8]) {
        match Roster::parse(bytes) {
            Ok(roster) => self.own = roster,
            Err(_) => self
                .report
                .notes
                .push("the bundled allowed_signers cannot be read".to_owned()),
        }
    }

    /// Who made this signature over `message`; an `Err` where it is not good.
    pub(super) fn signer(
        &self,
        armored: &[u8],
        message: &[u8],
        namespace: &str,
        at_ms: i64,
    ) -> Result<Signer, String> {
        let signature = Signature::parse(armored).map_err(|e| e.to_string())?;
        if signature.armoured().as_bytes() != armored {
            return Err("not in the one spelling that ssh-keygen writes".to_owned());
        }
        let key = sshsig::verify(&signature, message, namespace).map_err(|e| e.to_string())?;
        let roster = self.pinned.as_ref().unwrap_or(&self.own);
        if self.revoked.has_key(&key) {
            return Ok(Signer {
                principal: None,
                nobody: Some("its key is revoked".to_owned()),
                fingerprint: key.fingerprint,
            });
        }
        let who = roster.who_signed(&key, namespace, at_ms);
        Ok(Signer {
            principal: who.as_ref().ok().map(|who| escape(who)),
            nobody: who.err().map(|why| escape(&why.to_string())),
            fingerprint: key.fingerprint,
        })
    }

    /// The signature over the list that covers everything.
    fn seal_signature(&mut self, bundle: &Opened, seal: &Seal) -> Result<(), Fault> {
        let Some(armored) = &bundle.signature else {
            self.report.vouched = Vouched::Unsigned;
            return Ok(());
        };
        let at_ms = parse_rfc3339(&seal.sealed_at)
            .ok_or_else(|| Fault::new(names::SEAL, "`sealed-at` is not a time"))?;
        let signer = self
            .signer(
                armored,
                &bundle.tagmanifest,
                seal_namespace(&seal.incident),
                at_ms,
            )
            .map_err(|why| Fault::new(names::SIGNATURE, why))?;
        self.report.vouched = match (&self.pinned, &signer.principal) {
            (None, _) if !self.revoked.has(&signer.fingerprint) => Vouched::SelfAsserted(signer),
            (None, _) => Vouched::Unknown(signer),
            (Some(_), Some(_)) => Vouched::Pinned(signer),
            (Some(_), None) => Vouched::Unknown(signer),
        };
        Ok(())
    }

    /// Every member has the listed hash. The journal too: it is hashed here and read once more below.
    fn hashes(&mut self, bundle: &Opened) {
        let entries: Vec<&Entry> = bundle.tags.iter().chain(&bundle.payload).collect();
        let jobs: Vec<Job<'_>> = entries.iter().map(|entry| bundle.container.job(entry)).collect();
        for (entry, found) in entries.iter().zip(hash_many(&jobs, 2)) {
            match found {
                Ok(found) if found.sha256 == entry.sha256 => {}
                Ok(_) => self.fault(&entry.name, "its hash is not the one listed"),
                Err(why) => self.fault(&entry.name, why.to_string()),
            }
        }
        self.report.members = entries.len() as u64;
        self.report.files = bundle.payload.len() as u64;
        self.report.bytes = bundle.payload.iter().map(|e| e.len).sum();
    }

    /// The files BagIt wants, all of which follow from the rest.
    fn bag(&mut self, seal: &Seal, read: &dyn Fn(&str) -> Result<Vec<u8>, Fault>) -> Result<(), Fault> {
        let bag_info = seal.bag_info(self.report.bytes, self.report.files);
        for (name, wanted) in [(names::BAGIT, BAGIT_TXT), (names::BAG_INFO, &bag_info)] {
            if read(name)? != wanted.as_bytes() {
                self.fault(name, "not what follows from the seal and the evidence");
            }
        }
        if read(names::VERIFY)? != SCRIPT.as_bytes() {
            self.report
                .notes
                .push("VERIFY.txt is not the script of this version: read it before you run it".to_owned());
        }
        Ok(())
    }

    /// Reads the journal, damaged predecessors first. False where it is broken.
    fn journal(
        &mut self,
        container: &Container,
        tags: &[Entry],
        wanted: BTreeSet<u64>,
    ) -> Result<(Journal, bool), Fault> {
        let mut journal = Journal {
            wanted,
            ..Journal::default()
        };
        let mut whole = true;
        let mut before: Option<&Entry> = None;
        for name in names::journals(tags.iter().map(|e| &*e.name)) {
            let Some(entry) = tags.iter().find(|e| *e.name == *name) else {
                return Err(Fault::new(name, "not there"));
            };
            let first = journal.chain.next;
            let part = container
                .open(entry)
                .and_then(|bytes| journal.read(bytes, None))
                .map_err(|e| Fault::new(name, format!("cannot be read: {e}")))?;
            if let Some(before) = before.filter(|before| part.continues != Some(before.sha256)) {
                self.fault(
                    name,
                    format!("it does not begin with a record that names {}", before.name),
                );
                whole = false;
            }
            match part.broken {
                Some(why) if name == names::JOURNAL => {
                    let line = journal.chain.next - first + 1;
                    self.fault(&format!("{name}, line {line}"), why.to_string());
                    whole = false;
                }
                Some(why) => self
                    .report
                    .notes
                    .push(format!("{name} is damaged and was continued: {why}")),
                None => {}
            }
            before = Some(entry);
        }
        self.report.journal = Some(JournalReport {
            records: journal.chain.next,
            head: journal.chain.head,
            root: journal.tree.root(),
            anchored: None,
            unanchored: journal.chain.next,
        });
        Ok((journal, whole))
    }

    /// Every file that the journal says was stored is there, with that hash; others are holes.
    fn exhibits(&mut self, stored: Vec<ExhibitFile>, payload: &[Entry]) {
        let mut unfiled = 0u64;
        let mut first = None;
        let mut stored = stored.into_iter().peekable();
        for entry in payload {
            while let Some(missing) = stored.next_if(|file| *file.path < *entry.name) {
                self.fault(
                    &missing.path,
                    "the journal says it was stored, but it is not there",
                );
            }
            match stored.next_if(|file| *file.path == *entry.name) {
                Some(file) if file.sha256 == entry.sha256 && file.len == entry.len => {}
                Some(_) => self.fault(&entry.name, "not what the journal says was stored"),
                None if *entry.name == *names::NOTHING => {}
                None => {
                    unfiled += 1;
                    first.get_or_insert_with(|| entry.name.to_string());
                }
            }
        }
        for missing in stored {
            self.fault(
                &missing.path,
                "the journal says it was stored, but it is not there",
            );
        }
        if let Some(first) = first {
            self.report.holes.push(Hole {
                what: match unfiled {
                    1 => first,
                    n => format!("{n} files, the first {first}"),
                },
                why: "no record says where it comes from".to_owned(),
            });
        }
    }

    fn ledger(&mut self, ledger: Ledger) {
        let mut holes = ledger.holes();
        for hole in &mut holes {
            (hole.what, hole.why) = (escape(&hole.what), escape(&hole.why));
        }
        holes.append(&mut self.report.holes);
        self.report.holes = holes;
        self.report.ledger = Some(ledger);
    }
}
