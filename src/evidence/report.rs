//! What a verification found, as data. Three questions are kept apart: is it unchanged, who vouches
//! for it, and is everything there.

use serde::Serialize;

use super::exhibit::{Hole, Ledger};
use super::{escape, names};
use crate::journal::Hash;
use crate::model::event::AnchorKind;

/// What was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A bundle as one tar.
    Bundle,
    /// A bundle unpacked into a folder.
    UnpackedBundle,
    /// The folder of a case, still being written or never bundled.
    Case,
    /// A part of a bundle: some of its files, the rest withheld by whoever made it.
    Part,
}

/// One thing that is not as it was recorded. Its texts are safe to print.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The file, the journal's record, or the byte of the archive.
    pub place: String,
    /// What is wrong there.
    pub why: String,
}

impl Fault {
    pub(super) fn new(place: &str, why: impl Into<String>) -> Self {
        Fault {
            place: escape(place),
            why: escape(&why.into()),
        }
    }
}

/// Whose key made a signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Signer {
    /// `SHA256:…` of the public key.
    pub fingerprint: String,
    /// Whom the roster names for it, for this purpose and time.
    pub principal: Option<String>,
    /// Why it names nobody.
    pub nobody: Option<String>,
}

/// Who vouches for the whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Vouched {
    /// A key that the signers pinned from outside name.
    Pinned(Signer),
    /// A key that nobody outside was asked about. The name is the bundle's own word.
    SelfAsserted(Signer),
    /// A key that the signers pinned from outside do not accept.
    Unknown(Signer),
    /// Nobody: there is no signature.
    Unsigned,
    /// Not answered: a fault came first.
    NotAsked,
}

/// One signed sign-off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SignoffCheck {
    /// The statement's file.
    pub file: String,
    /// Who signed.
    pub signer: Signer,
    /// Number of the newest record the signer was shown.
    pub head_seq: u64,
}

/// A signature over the seal that lies beside the bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Countersigned {
    /// Its file name.
    pub file: String,
    /// True where whoever verifies named it; others were found beside the bundle.
    pub named: bool,
    /// Who signed.
    pub signer: Option<Signer>,
    /// Why it is no signature over this seal.
    pub wrong: Option<String>,
    /// True where a signer pinned from outside made it.
    pub counts: bool,
}

impl Countersigned {
    /// In a sentence.
    pub fn words(&self) -> String {
        let file = &self.file;
        match (&self.signer, &self.wrong) {
            (Some(signer), _) if self.counts => format!("{file} is signed by {}", name(signer)),
            (Some(signer), _) if signer.principal.is_some() => {
                format!("{file} is signed by {}, on its own word", name(signer))
            }
            (Some(signer), _) => format!(
                "{file} is signed by {}, who does not count: {}",
                signer.fingerprint,
                signer.nobody.as_deref().unwrap_or("nobody is named")
            ),
            (None, why) => format!("{file} does not count: {}", why.as_deref().unwrap_or("unknown")),
        }
    }
}

/// Something elsewhere that holds a head of the record, or its seal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// What kind of thing.
    pub anchor: AnchorKind,
    /// The record it holds, with all before it.
    pub seq: u64,
    /// Short code of that record's hash.
    pub code: String,
    /// When, as it says itself.
    pub time: Option<String>,
    /// Where to ask.
    pub words: String,
    /// The receipt.
    pub file: String,
    /// The file whose bytes it is about.
    pub about: String,
    /// Why it proves nothing here; `None` = it is proven.
    pub unproved: Option<String>,
}

impl Receipt {
    /// In a sentence.
    pub fn words(&self) -> String {
        let (seq, code, file) = (self.seq, &self.code, &self.file);
        let time = self.time.as_deref().unwrap_or("an unknown time");
        // Neither here nor by a certificate handed in is it known who stands above the authority.
        let beside = if self.about == names::TAGMANIFEST {
            "../"
        } else {
            ""
        };
        let elsewhere = format!(
            "in the folder: openssl ts -verify -data {} -in {beside}{file} -CAfile CA.pem",
            self.about
        );
        match (self.anchor, &self.unproved) {
            (AnchorKind::TimeStamp, None) => format!(
                "record {seq} ({code}) is time-stamped: {time}, by {file}; checked: it is of this head, and signed by \
                 the key of a certificate handed in that was valid then; not checked: who vouches for that \
                 certificate, and whether it was revoked; {elsewhere}"
            ),
            (AnchorKind::TimeStamp, Some(why)) => format!(
                "record {seq} ({code}) has a time stamp that says {time} and is not proved: {why}; checked: it is of \
                 this head; not checked: that an authority signed it; {elsewhere}"
            ),
            (AnchorKind::Witness, _) => {
                format!("record {seq} was shown to others, ask for {code}: {}", self.words)
            }
        }
    }
}

/// The newest record that somebody outside the bundle's own word stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Anchored {
    /// Its number.
    pub seq: u64,
    /// Who or what stands for it.
    pub by: String,
}

/// The journal, as far as it proves itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JournalReport {
    /// Good records.
    pub records: u64,
    /// Hash of the last one.
    pub head: Hash,
    /// Root of the RFC 6962 tree over them.
    pub root: Hash,
    /// The last record that a proven signature covers.
    pub anchored: Option<Anchored>,
    /// Records after it.
    pub unanchored: u64,
}

/// Everything a verification found. Texts that come from the input are escaped or checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// What was verified.
    pub kind: Kind,
    /// Which incident it says it is.
    pub incident: Option<String>,
    /// Files of any kind that the seal lists and that are here.
    pub members: u64,
    /// Evidence files among them.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What has been changed, the first wrong place first; at most a hundred.
    pub faults: Vec<Fault>,
    /// Who vouches for the whole.
    pub vouched: Vouched,
    /// Signatures over the seal that lie beside the bundle.
    pub countersigned: Vec<Countersigned>,
    /// Sign-offs whose signature is good.
    pub signoffs: Vec<SignoffCheck>,
    /// What holds heads of the record elsewhere.
    pub receipts: Vec<Receipt>,
    /// In a part of a bundle, the files that are not in it. `None` = not a part.
    pub withheld: Option<Vec<String>>,
    /// The journal.
    pub journal: Option<JournalReport>,
    /// What was collected and what was not.
    pub ledger: Option<Ledger>,
    /// What was asked for and is not there.
    pub holes: Vec<Hole>,
    /// What a reader should know and no answer says.
    pub notes: Vec<String>,
}

impl VerifyReport {
    /// True where nothing has been changed.
    pub fn unchanged(&self) -> bool {
        self.faults.is_empty()
    }

    /// True where signers pinned from outside vouch for the whole, as it is now, and for every sign-off.
    pub fn vouched_for(&self) -> bool {
        self.unchanged()
            && self.vouchers().next().is_some()
            && self.signoffs.iter().all(|s| s.signer.principal.is_some())
            && self.countersigned.iter().all(|c| !c.named || c.counts)
    }

    /// The pinned signers who signed the whole, each once.
    fn vouchers(&self) -> impl Iterator<Item = &Signer> {
        let seal = match &self.vouched {
            Vouched::Pinned(signer) => Some(signer),
            _ => None,
        };
        let others = self.countersigned.iter().filter(|c| c.counts);
        let mut all: Vec<&Signer> = Vec::new();
        for signer in seal.into_iter().chain(others.filter_map(|c| c.signer.as_ref())) {
            if all.iter().all(|s| s.principal != signer.principal) {
                all.push(signer);
            }
        }
        all.into_iter()
    }

    /// True where the ledger was read, and nothing that was asked for is missing.
    pub fn complete(&self) -> bool {
        self.ledger.is_some() && self.holes.is_empty() && self.withheld.is_none()
    }

    /// 10 changed, 11 not vouched for, 12 incomplete, 0 none of these; the first that applies.
    pub fn exit_code(&self) -> u8 {
        match (self.unchanged(), self.vouched_for(), self.complete()) {
            (false, _, _) => 10,
            (_, false, _) => 11,
            (_, _, false) => 12,
            (true, true, true) => 0,
        }
    }

    /// The three answers and the tail, one sentence each.
    pub fn words(&self) -> Vec<String> {
        let mut words = vec![match self.faults.first() {
            None => "unchanged: yes".to_owned(),
            Some(fault) => format!("unchanged: NO: {}: {}", fault.place, fault.why),
        }];
        words.push(match &self.vouched {
            _ if !self.unchanged() => "vouched for: not as it is now".to_owned(),
            _ if self.vouched_for() => {
                let all: Vec<String> = self.vouchers().map(name).collect();
                format!("vouched for: yes, by {}", all.join(" and "))
            }
            _ if self.countersigned.iter().any(|c| c.named && !c.counts) => {
                "vouched for: unknown: a signature that was named does not count".to_owned()
            }
            _ if self.vouchers().next().is_some() => {
                "vouched for: unknown: a sign-off is by a key that the pinned signers do not accept"
                    .to_owned()
            }
            Vouched::Pinned(_) => "vouched for: unknown".to_owned(),
            Vouched::SelfAsserted(signer) => format!(
                "vouched for: unknown: signed by {}, on its own word; pin signers from outside",
                name(signer)
            ),
            Vouched::Unknown(signer) => format!(
                "vouched for: unknown: signed by {}, which the pinned signers do not accept: {}",
                signer.fingerprint,
                signer.nobody.as_deref().unwrap_or("nobody is named")
            ),
            Vouched::Unsigned => "vouched for: unknown: nobody signed it".to_owned(),
            Vouched::NotAsked => "vouched for: unknown: nobody asked".to_owned(),
        });
        words.push(match self.holes.len() {
            _ if self.withheld.is_some() => {
                let withheld = self.withheld.as_ref().map_or(0, Vec::len);
                let of = withheld as u64 + self.members;
                format!("complete: no: a part of a sealed bundle; {withheld} of its {of} files are withheld")
            }
            _ if self.ledger.is_none() => "complete: unknown: there is no ledger that can be read".to_owned(),
            0 => "complete: yes".to_owned(),
            1 => format!("complete: no: {}: {}", self.holes[0].what, self.holes[0].why),
            n => format!(
                "complete: no: {n} holes, the first {}: {}",
                self.holes[0].what, self.holes[0].why
            ),
        });
        if let Some(journal) = &self.journal {
            words.push(match (&journal.anchored, journal.unanchored) {
                (None, _) => {
                    "no record is vouched for from outside: the journal stands on its own word".to_owned()
                }
                (Some(a), 0) => format!(
                    "record {} is vouched for by {}, and none came after it",
                    a.seq, a.by
                ),
                (Some(a), 1) => format!(
                    "record {} is vouched for by {}; 1 record after it stands on its own word",
                    a.seq, a.by
                ),
                (Some(a), n) => format!(
                    "record {} is vouched for by {}; {n} records after it stand on their own word",
                    a.seq, a.by
                ),
            });
        }
        words
    }
}

fn name(signer: &Signer) -> String {
    match &signer.principal {
        Some(principal) => format!("{} ({})", escape(principal), signer.fingerprint),
        None => signer.fingerprint.clone(),
    }
}
