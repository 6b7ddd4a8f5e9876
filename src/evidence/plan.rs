//! A case made into the exact list of members of its bundle, ready to be signed and written.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::chain::{Journal, Part};
use super::exhibit::{ExhibitFile, Ledger, LeftOut, Unended};
use super::hashing::{At, Hashing, Job, hash_many, open_regular};
use super::manifest::{self, Entry};
use super::rows::{Row, Rows};
use super::seal::{Seal, is_one_line, seal_namespace};
use super::{escape, names, ustar};
use crate::journal::{ChainError, Hash};
use crate::model::ids::IncidentId;

/// Who seals what, and when.
#[derive(Debug, Clone)]
pub struct BundleMeta {
    /// The incident; its id becomes the top folder.
    pub incident: IncidentId,
    /// Who seals. Printable ASCII.
    pub sealed_by: String,
    /// When, RFC 3339 with milliseconds.
    pub sealed_at: String,
    /// How many records the seal covers: up to and with the one that records the sealing.
    ///
    /// Captures, sign-offs and anchors of later records are not in the bundle, so that the same seal
    /// gives the same bytes however the case has grown since. `None` takes the whole case.
    pub records: Option<u64>,
    /// Hash every file anew instead of believing the hashes in the journal until the copy proves them.
    ///
    /// Twice the reading. Needed to hand on a case whose evidence has changed since it was stored:
    /// the bundle can then be written, and whoever verifies it is told which file changed.
    pub hash_anew: bool,
}

/// Why there can be no bundle.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A file or folder could not be read.
    #[error("cannot read {path}: {why}", path = .path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        why: io::Error,
    },
    /// The journal does not prove itself; it needs repair first.
    #[error("the journal is broken: {0}")]
    Journal(ChainError),
    /// The seal does not fit the journal: too few records, or the journal was continued in a new file since.
    #[error("the seal should cover {wanted} records, but {there} are what can be bundled")]
    Records {
        /// What was asked for.
        wanted: u64,
        /// What there is.
        there: u64,
    },
    /// A stored file is not there.
    #[error("{path}: the journal says {stored} bytes were stored, and it is not there")]
    Gone {
        /// Which one.
        path: String,
        /// Bytes, by the journal.
        stored: u64,
    },
    /// `sealed_by` or `sealed_at` cannot stand in a seal.
    #[error("{what} must be one line of printable ASCII")]
    Text {
        /// Which one.
        what: &'static str,
    },
    /// A file is larger than a bundle can hold.
    #[error("{path} is larger than 8 GiB, which a bundle cannot hold")]
    TooLarge {
        /// Which one.
        path: String,
    },
}

/// Where a member's bytes come from.
#[derive(Debug)]
pub(super) enum Body {
    /// From here.
    Bytes(Vec<u8>),
    /// From the file of the same name in the case folder, `len` bytes of it.
    CaseFile,
    /// The list of the payload, written line by line.
    Manifest,
    /// The ledger, its rows read from the journal.
    Ledger,
}

/// One tag file.
#[derive(Debug)]
pub(super) struct Tag {
    pub(super) entry: Entry,
    pub(super) body: Body,
}

/// Everything a bundle will hold. Nothing has been written yet.
#[derive(Debug)]
pub struct Plan {
    pub(super) case_dir: PathBuf,
    pub(super) tagmanifest: Vec<u8>,
    pub(super) tags: Vec<Tag>,
    pub(super) payload: Vec<Entry>,
    /// The files of the journal, oldest first, and how many bytes of each count.
    journals: Vec<(String, u64)>,
    /// What is sealed.
    pub seal: Seal,
    /// What was collected and what was not.
    pub ledger: Ledger,
}

impl Plan {
    /// The bytes to sign (`ssh-keygen -Y sign`) in [`Plan::namespace`]; one signature covers the bundle.
    pub fn to_sign(&self) -> &[u8] {
        &self.tagmanifest
    }

    /// The namespace to sign in.
    pub fn namespace(&self) -> &'static str {
        seal_namespace(&self.seal.incident)
    }

    /// Evidence files and their bytes.
    pub fn payload(&self) -> (u64, u64) {
        (
            self.payload.len() as u64,
            self.payload.iter().map(|e| e.len).sum(),
        )
    }

    /// The rows of `ledger.json`.
    pub(super) fn rows(&self) -> io::Result<impl Iterator<Item = io::Result<Row>>> {
        let open = |(name, len): &(String, u64)| Ok((open_regular(&self.case_dir.join(name))?, *len));
        let journals: io::Result<Vec<_>> = self.journals.iter().map(open).collect();
        Ok(Rows::of(journals?))
    }

    /// The lines of `manifest-sha256.txt`.
    pub(super) fn manifest_lines(&self) -> impl Iterator<Item = String> {
        self.payload.iter().map(|e| manifest::line(&e.name, &e.sha256))
    }
}

/// Reads a case and lists what its bundle will hold, with the hash of each file.
///
/// Only reads. The caller holds the case's lock, or accepts that a file may change before it is
/// copied, which [`super::write()`] then refuses.
pub fn plan(case_dir: &Path, meta: &BundleMeta) -> Result<Plan, PlanError> {
    for (what, text) in [("sealed-by", &meta.sealed_by), ("sealed-at", &meta.sealed_at)] {
        if !is_one_line(text) {
            return Err(PlanError::Text { what });
        }
    }
    let mut listing = list(case_dir, &meta.incident)?;
    let mut journal = Journal::default();
    let mut last = None;
    let mut journals = Vec::new();
    for name in names::journals(listing.tags.iter().map(String::as_str)) {
        let path = case_dir.join(name);
        let part = open_regular(&path)
            .and_then(|file| journal.read(file, meta.records))
            .map_err(|why| PlanError::Read { path, why })?;
        journals.push((name.to_owned(), part.len));
        last = Some(part);
    }
    let Some(last) = last else {
        return Err(PlanError::Journal(ChainError::Torn { seq: 0 }));
    };
    if let Some(why) = last.broken {
        return Err(PlanError::Journal(why));
    }
    let records = journal.chain.next;
    if let Some(wanted) = meta.records {
        if wanted != records {
            return Err(PlanError::Records {
                wanted,
                there: records,
            });
        }
        listing.keep_before(wanted);
    }
    let (head, root) = (journal.chain.head, journal.tree.root());
    let (mut ledger, stored, ledger_text) = journal.fold.end();
    ledger.withheld = withheld();
    ledger.foreign = listing.foreign;

    let payload = payload(case_dir, listing.payload, stored, meta.hash_anew)?;
    let seal = Seal {
        incident: meta.incident.clone(),
        records,
        head,
        root,
        sealed_by: meta.sealed_by.clone(),
        sealed_at: meta.sealed_at.clone(),
        tool: concat!("incident ", env!("CARGO_PKG_VERSION")).to_owned(),
    };
    let mut plan = Plan {
        case_dir: case_dir.to_owned(),
        tagmanifest: Vec::new(),
        tags: Vec::new(),
        payload,
        journals,
        seal,
        ledger,
    };
    plan.tags = tags(&plan, ledger_text, listing.tags, &last)?;
    plan.tagmanifest = plan
        .tags
        .iter()
        .flat_map(|tag| manifest::line(&tag.entry.name, &tag.entry.sha256).into_bytes())
        .collect();
    Ok(plan)
}

/// The tag files in order, hashed: made ones, pinned ones, sign-offs and anchors.
fn tags(plan: &Plan, ledger: Unended, on_disk: Vec<String>, journal: &Part) -> Result<Vec<Tag>, PlanError> {
    let (files, bytes) = plan.payload();
    let mut tags: Vec<Tag> = [
        (names::SEAL, plan.seal.render().into_bytes()),
        (names::VERIFY, super::verify::SCRIPT.into()),
        (names::BAG_INFO, plan.seal.bag_info(bytes, files).into_bytes()),
        (names::BAGIT, super::verify::BAGIT_TXT.into()),
    ]
    .into_iter()
    .map(|(name, bytes)| Tag {
        entry: Entry::new(name, Hash::of(&bytes), bytes.len() as u64),
        body: Body::Bytes(bytes),
    })
    .collect();

    let mut list = Hashing::default();
    plan.manifest_lines().for_each(|line| list.add(line.as_bytes()));
    tags.push(Tag {
        entry: list.entry(names::MANIFEST),
        body: Body::Manifest,
    });
    tags.push(Tag {
        entry: ledger.end(&plan.ledger).entry(names::LEDGER),
        body: Body::Ledger,
    });
    tags.push(Tag {
        entry: Entry::new(names::JOURNAL, journal.sha256, journal.len),
        body: Body::CaseFile,
    });

    let jobs: Vec<Job<'_>> = on_disk
        .iter()
        .map(|name| Job {
            at: At::File {
                root: &plan.case_dir,
                name,
            },
            len: 0,
        })
        .collect();
    for (name, digest) in on_disk.iter().zip(hash_many(&jobs, 1)) {
        let path = || plan.case_dir.join(name);
        let digest = digest.map_err(|why| PlanError::Read { path: path(), why })?;
        tags.push(Tag {
            entry: Entry::new(name, digest.sha256, digest.len),
            body: Body::CaseFile,
        });
    }
    tags.sort_by(|a, b| a.entry.name.cmp(&b.entry.name));
    Ok(tags)
}

/// Gives every evidence file its length and hash: those recorded when it was stored, or new ones.
///
/// What is recorded is believed until the copy proves it: asking for 200,000 sizes beforehand is a tenth of the
/// time of a bundle.
fn payload(
    case_dir: &Path,
    mut found: Vec<Entry>,
    stored: Vec<ExhibitFile>,
    hash_anew: bool,
) -> Result<Vec<Entry>, PlanError> {
    let mut unknown: Vec<usize> = Vec::new();
    let mut stored = stored.into_iter().peekable();
    for (n, file) in found.iter_mut().enumerate() {
        if !hash_anew && let Some(missing) = stored.next_if(|s| *s.path < *file.name) {
            return Err(gone(missing));
        }
        match stored.next_if(|s| *s.path == *file.name) {
            Some(record) if !hash_anew => (file.sha256, file.len) = (record.sha256, record.len),
            _ => {
                file.len = size(&case_dir.join(&*file.name))?;
                unknown.push(n);
            }
        }
        if file.len > ustar::MEMBER_CAP {
            let path = file.name.to_string();
            return Err(PlanError::TooLarge { path });
        }
    }
    if let Some(missing) = stored.next().filter(|_| !hash_anew) {
        return Err(gone(missing));
    }
    let jobs: Vec<Job<'_>> = unknown
        .iter()
        .map(|n| Job {
            at: At::File {
                root: case_dir,
                name: &found[*n].name,
            },
            len: found[*n].len,
        })
        .collect();
    let digests = hash_many(&jobs, 2);
    for (n, digest) in unknown.into_iter().zip(digests) {
        let file = &mut found[n];
        let path = || case_dir.join(&*file.name);
        let digest = digest.map_err(|why| PlanError::Read { path: path(), why })?;
        (file.sha256, file.len) = (digest.sha256, digest.len);
    }
    match found.is_empty() {
        true => Ok(vec![Entry::new(
            names::NOTHING,
            Hash::of(names::NOTHING_TEXT),
            names::NOTHING_TEXT.len() as u64,
        )]),
        false => Ok(found),
    }
}

fn gone(record: ExhibitFile) -> PlanError {
    PlanError::Gone {
        path: record.path.into(),
        stored: record.len,
    }
}

/// What is in a case folder. Names are sorted.
#[derive(Default)]
struct Listing {
    /// Tag files on disk, without the journal.
    tags: Vec<String>,
    /// Evidence files; sizes and hashes are not known yet.
    payload: Vec<Entry>,
    foreign: Vec<LeftOut>,
}

impl Listing {
    /// Drops what belongs to records from this number on.
    fn keep_before(&mut self, records: u64) {
        let early = |path: &str| {
            let name = path.split('/').nth(1).unwrap_or_default();
            names::leading_seq(name).is_none_or(|seq| seq < records)
        };
        self.tags.retain(|path| early(path));
        self.payload.retain(|file| early(&file.name));
        self.foreign.retain(|file| early(&file.path));
    }

    fn leave_out(&mut self, path: &str, why: &str) {
        self.foreign.push(LeftOut {
            path: escape(path),
            why: why.to_owned(),
        });
    }
}

/// Names of a case folder that never enter a bundle, and why. Named whether they are there or not.
const NEVER: [(&str, &str); 6] = [
    ("act.lock", "a lock; it holds no evidence"),
    (
        "case.key",
        "the key of the fingerprints: with it short secrets could be guessed",
    ),
    ("lock", "a lock; it holds no evidence"),
    ("reserve", "room kept free for the journal; it holds no evidence"),
    (
        "tmp",
        "work in progress, and torn tails whose hash stands in the journal",
    ),
    ("undo", "what is needed to give access back; it may hold secrets"),
];

/// What no bundle holds, and why.
pub(super) fn withheld() -> Vec<LeftOut> {
    NEVER
        .iter()
        .map(|(path, why)| LeftOut {
            path: (*path).to_owned(),
            why: (*why).to_owned(),
        })
        .collect()
}

fn list(case_dir: &Path, incident: &IncidentId) -> Result<Listing, PlanError> {
    let mut listing = Listing::default();
    for (name, kind) in folder(case_dir)? {
        match (name.as_str(), kind) {
            (names::JOURNAL, Kind::File | Kind::Other) => {}
            ("data", Kind::Folder) => list_data(case_dir, "data", incident, &mut listing)?,
            ("signoffs" | "anchors", Kind::Folder) => {
                for (file, kind) in folder(&case_dir.join(&name))? {
                    list_tag(case_dir, format!("{name}/{file}"), kind, incident, &mut listing)?;
                }
            }
            _ if NEVER.iter().any(|(never, _)| *never == name) => {}
            _ => list_tag(case_dir, name, kind, incident, &mut listing)?,
        }
    }
    listing.tags.sort();
    listing.payload.sort_by(|a, b| a.name.cmp(&b.name));
    listing.foreign.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(listing)
}

fn list_tag(
    case_dir: &Path,
    path: String,
    kind: Kind,
    incident: &IncidentId,
    listing: &mut Listing,
) -> Result<(), PlanError> {
    let made_by_us = names::PINNED.contains(&path.as_str())
        || names::damaged_journal(&path).is_some()
        || (path.contains('/') && names::check_tag(&path).is_ok());
    match (made_by_us, kind) {
        (false, _) => listing.leave_out(&path, "not a file of a case"),
        (true, Kind::Folder | Kind::Other) => listing.leave_out(&path, "not a regular file"),
        (true, Kind::File) => match size(&case_dir.join(&path))? {
            len if len > ustar::MEMBER_CAP => listing.leave_out(&path, "too large"),
            _ if !fits(incident, &path) => listing.leave_out(&path, "the name is too long"),
            _ => listing.tags.push(path),
        },
    }
    Ok(())
}

fn list_data(
    case_dir: &Path,
    path: &str,
    incident: &IncidentId,
    listing: &mut Listing,
) -> Result<(), PlanError> {
    for (name, kind) in folder(&case_dir.join(path))? {
        let path = format!("{path}/{name}");
        match names::check_payload(&path) {
            Err(why) => listing.leave_out(&path, why),
            Ok(()) if path == names::NOTHING => {
                listing.leave_out(&path, "a name that the bundle itself uses")
            }
            Ok(()) if kind == Kind::Folder => list_data(case_dir, &path, incident, listing)?,
            Ok(()) if kind == Kind::Other => listing.leave_out(&path, "not a regular file"),
            Ok(()) if !fits(incident, &path) => listing.leave_out(&path, "the name is too long"),
            Ok(()) => listing.payload.push(Entry::named(&path)),
        }
    }
    Ok(())
}

fn fits(incident: &IncidentId, path: &str) -> bool {
    ustar::holds(incident.as_str(), path)
}

/// What stands in a folder under some name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Folder,
    File,
    /// A link, a device, a pipe.
    Other,
}

/// What is in a folder, by name; links are not followed. A name that is not UTF-8 is shown with replacement
/// characters, which no name of ours has.
fn folder(path: &Path) -> Result<Vec<(String, Kind)>, PlanError> {
    let read = || {
        let mut all = fs::read_dir(path)?
            .map(|item| {
                let item = item?;
                // Most file systems say it with the name, without a look at the file.
                let kind = match item.file_type()? {
                    kind if kind.is_dir() => Kind::Folder,
                    kind if kind.is_file() => Kind::File,
                    _ => Kind::Other,
                };
                let name = item.file_name().into_string();
                let name = name.unwrap_or_else(|odd| odd.to_string_lossy().into_owned());
                Ok((name, kind))
            })
            .collect::<io::Result<Vec<_>>>()?;
        // Short names here are sorted sooner than long paths later.
        all.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        Ok(all)
    };
    read().map_err(|why| PlanError::Read {
        path: path.to_owned(),
        why,
    })
}

/// Bytes of a file.
fn size(path: &Path) -> Result<u64, PlanError> {
    let found = fs::symlink_metadata(path);
    found.map(|found| found.len()).map_err(|why| PlanError::Read {
        path: path.to_owned(),
        why,
    })
}
