//! Heads of a record that are held elsewhere: the receipts in `anchors/`, and files beside a bundle.
//!
//! A receipt inside a record is checked against it: this incident, a record it has, a request it made.
//! That an authority really signed is proven only with its certificate from outside; what people were
//! shown is theirs to say.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::chain::Journal;
use super::manifest::Entry;
use super::read::Container;
use super::report::{Anchored, Countersigned, Receipt, Signer, SignoffCheck, Vouched};
use super::seal::{Seal, handover_namespace, seal_namespace};
use super::stamp::{REPLY_CAP, Stamp, StampRequest};
use super::verify::Check;
use super::write::SIGNATURE_CAP;
use super::{escape, names};
use crate::journal::{Hash, Head};
use crate::model::event::AnchorKind;
use crate::model::ids::IncidentId;
use crate::model::time::{parse_rfc3339, rfc3339};

/// Largest file with a head line or a request, in bytes.
const SMALL_CAP: u64 = 4096;
/// Most files beside a bundle that are looked at.
const BESIDE_CAP: usize = 100;
/// End of the name of a receipt by whoever took the record over.
const HANDOVER: &str = ".handover.txt";

/// A head line as it lies in `anchors/`.
pub(super) struct HeadFile {
    file: String,
    pub(super) head: Head,
    imprint: Hash,
}

fn in_anchors<'a>(tags: &'a [Entry], end: &'a str) -> impl Iterator<Item = &'a Entry> {
    let ours = move |e: &&Entry| e.name.starts_with("anchors/") && e.name.ends_with(end);
    tags.iter().filter(ours)
}

impl Check {
    /// The head lines that receipts are about.
    pub(super) fn heads(&mut self, container: &Container, tags: &[Entry]) -> Vec<HeadFile> {
        let mut heads = Vec::new();
        for entry in in_anchors(tags, ".head.txt").chain(in_anchors(tags, HANDOVER)) {
            match container.read(entry, SMALL_CAP) {
                Err(fault) => self.report.faults.push(fault),
                // A receipt ends with the head that the receiver was shown.
                Ok(bytes) => match Head::parse(
                    bytes
                        .split_inclusive(|b| *b == b'\n')
                        .next_back()
                        .unwrap_or_default(),
                ) {
                    None => self.fault(&entry.name, "not in the one spelling of a head"),
                    Some(head) => heads.push(HeadFile {
                        file: entry.name.to_string(),
                        head,
                        imprint: Hash::of(&bytes),
                    }),
                },
            }
        }
        heads
    }

    /// Each receipt: of this incident, about a record it has, in answer to a request it made.
    pub(super) fn receipts(
        &mut self,
        container: &Container,
        tags: &[Entry],
        mut heads: Vec<HeadFile>,
        journal: &Journal,
        incident: &IncidentId,
    ) {
        heads.retain(|HeadFile { file, head, .. }| {
            let why = match journal.marks.get(&head.seq) {
                _ if head.incident != incident.as_str() => {
                    format!("it is about another incident, {}", head.incident)
                }
                Some(mark) if mark.hash == head.hash => return true,
                _ => format!("its head is not record {} of this journal", head.seq),
            };
            self.fault(file, why);
            false
        });
        self.handovers(container, tags, &heads, journal, incident);
        let requests: Vec<StampRequest> = in_anchors(tags, ".tsq")
            .filter_map(|entry| StampRequest::parse(&container.read(entry, SMALL_CAP).ok()?))
            .collect();
        for entry in in_anchors(tags, ".tsr") {
            let stamp = container.read(entry, REPLY_CAP).and_then(|bytes| {
                Stamp::parse(&bytes).map_err(|e| super::Fault::new(&entry.name, e.to_string()))
            });
            let stamp = match stamp {
                Ok(stamp) => stamp,
                Err(fault) => {
                    self.report.faults.push(fault);
                    continue;
                }
            };
            let Some(about) = heads.iter().find(|head| head.imprint == stamp.imprint) else {
                self.fault(&entry.name, "it stamps no head of this record");
                continue;
            };
            if !requests.iter().any(|request| stamp.answers(request)) {
                self.fault(&entry.name, "it answers no request of this record");
                continue;
            }
            let unproved = self.unproved(&stamp);
            self.report.receipts.push(Receipt {
                anchor: AnchorKind::TimeStamp,
                seq: about.head.seq,
                code: about.head.code(),
                time: Some(rfc3339(stamp.at_ms)),
                words: String::new(),
                file: entry.name.to_string(),
                about: about.file.clone(),
                unproved,
            });
        }
        for filed in &journal.anchors {
            let file = format!("anchors/{}", filed.file);
            let there = tags.iter().find(|e| *e.name == *file);
            if there.is_none_or(|e| e.sha256.to_string() != filed.sha256) {
                self.fault(&file, "not what the journal says was filed");
            } else if filed.anchor == AnchorKind::Witness
                && let Some(about) = heads.iter().find(|head| head.file == file)
            {
                self.report.receipts.push(Receipt {
                    anchor: AnchorKind::Witness,
                    seq: about.head.seq,
                    code: about.head.code(),
                    time: filed.time.as_deref().map(escape),
                    words: escape(&filed.words),
                    file: file.clone(),
                    about: file,
                    unproved: Some("only those who saw it can say so".to_owned()),
                });
            }
        }
        self.report.receipts.sort_by_key(|r| r.seq);
    }

    /// What people signed who took the record over.
    fn handovers(
        &mut self,
        container: &Container,
        tags: &[Entry],
        heads: &[HeadFile],
        journal: &Journal,
        incident: &IncidentId,
    ) {
        for HeadFile { file, head, .. } in heads.iter().filter(|h| h.file.ends_with(HANDOVER)) {
            let sig = format!("{file}.sig");
            let find = |name: &str| tags.iter().find(|e| *e.name == *name);
            let (Some(text), Some(signature)) = (find(file), find(&sig)) else {
                self.fault(&sig, "not there");
                continue;
            };
            let signed = container.read(text, SMALL_CAP);
            let signed = signed.and_then(|text| Ok((text, container.read(signature, SIGNATURE_CAP)?)));
            let signer = match signed {
                Err(fault) => Err(fault.why),
                Ok((text, armored)) => {
                    let at = journal
                        .marks
                        .get(&head.seq)
                        .and_then(|mark| parse_rfc3339(&mark.ts));
                    self.signer(
                        &armored,
                        &text,
                        handover_namespace(incident),
                        at.unwrap_or_default(),
                    )
                }
            };
            match signer {
                Err(why) => self.fault(&sig, why),
                Ok(signer) => self.report.signoffs.push(SignoffCheck {
                    file: file.clone(),
                    signer,
                    head_seq: head.seq,
                }),
            }
        }
    }

    fn unproved(&self, stamp: &Stamp) -> Option<String> {
        let Some(authority) = &self.authority else {
            return Some("no certificate of the authority was handed in".to_owned());
        };
        match stamp.signed_by(authority) {
            Ok(Ok(())) => None,
            Ok(Err(why)) => Some(why.to_owned()),
            Err(why) => Some(why.to_string()),
        }
    }

    /// What lies beside a bundle, and what was named: signatures by others, and a time stamp of the seal.
    ///
    /// They are no part of the bundle, so a bad one does not change it; it only does not count.
    pub(super) fn beside(&mut self, input: &Path, named: &[PathBuf], tagmanifest: &[u8], seal: &Seal) {
        let found = beside(input).into_iter().map(|path| (path, false));
        let named = named.iter().map(|path| (path.clone(), true));
        let mut seen: Vec<PathBuf> = Vec::new();
        for (path, named) in named.chain(found) {
            let real = path.canonicalize().unwrap_or_else(|_| path.clone());
            if seen.contains(&real) {
                continue;
            }
            seen.push(real);
            let name = path.file_name().unwrap_or(path.as_os_str());
            let name = escape(&name.to_string_lossy());
            if path.extension().is_some_and(|end| end == "tsr") {
                self.seal_stamp(&path, name, tagmanifest, seal);
                continue;
            }
            let signer = read(&path, SIGNATURE_CAP).and_then(|armored| {
                let at_ms = parse_rfc3339(&seal.sealed_at).unwrap_or_default();
                self.signer(&armored, tagmanifest, seal_namespace(&seal.incident), at_ms)
            });
            let named_by_pins = |s: &Signer| self.pinned.is_some() && s.principal.is_some();
            self.report.countersigned.push(Countersigned {
                file: name,
                named,
                wrong: signer.as_ref().err().map(|why| escape(why)),
                counts: signer.as_ref().is_ok_and(named_by_pins),
                signer: signer.ok(),
            });
        }
    }

    fn seal_stamp(&mut self, path: &Path, name: String, tagmanifest: &[u8], seal: &Seal) {
        let stamp = read(path, REPLY_CAP)
            .and_then(|bytes| Stamp::parse(&bytes).map_err(|e| e.to_string()))
            .and_then(|stamp| match stamp.imprint == Hash::of(tagmanifest) {
                true => Ok(stamp),
                false => Err(format!(
                    "it does not stamp the {} of this bundle",
                    names::TAGMANIFEST
                )),
            });
        match stamp {
            Err(why) => self
                .report
                .notes
                .push(format!("{name} does not count: {}", escape(&why))),
            Ok(stamp) => {
                let unproved = self.unproved(&stamp);
                self.report.receipts.push(Receipt {
                    anchor: AnchorKind::TimeStamp,
                    seq: seal.records.saturating_sub(1),
                    code: seal.head.short(),
                    time: Some(rfc3339(stamp.at_ms)),
                    words: String::new(),
                    file: name,
                    about: names::TAGMANIFEST.to_owned(),
                    unproved,
                });
            }
        }
    }

    /// What the newest proof from outside covers: a seal everything, a sign-off or a time stamp the head it names.
    pub(super) fn anchor(&mut self, journal: &Journal) {
        if !self.report.faults.is_empty() {
            return;
        }
        let by = |signer: &Signer| {
            let who = signer.principal.as_deref();
            who.unwrap_or(&signer.fingerprint).to_owned()
        };
        let last = journal.chain.next.checked_sub(1);
        let mut all: Vec<Anchored> = Vec::new();
        for receipt in self.report.receipts.iter().filter(|r| r.unproved.is_none()) {
            all.push(Anchored {
                seq: receipt.seq,
                by: format!("a time stamp of {}", receipt.time.as_deref().unwrap_or_default()),
            });
        }
        if self.pinned.is_some() {
            let signoffs = self.report.signoffs.iter();
            all.extend(
                signoffs
                    .filter(|s| s.signer.principal.is_some())
                    .map(|s| Anchored {
                        seq: s.head_seq,
                        by: match s.file.ends_with(HANDOVER) {
                            true => format!("the hand-over receipt of {}", by(&s.signer)),
                            false => format!("the sign-off of {}", by(&s.signer)),
                        },
                    }),
            );
            let others = self.report.countersigned.iter().filter(|c| c.counts);
            let others = others.filter_map(|c| c.signer.as_ref());
            all.extend(others.zip(last).map(|(signer, seq)| Anchored {
                seq,
                by: format!("the signature of {}", by(signer)),
            }));
            if let (Vouched::Pinned(signer), Some(seq)) = (&self.report.vouched, last) {
                all.push(Anchored {
                    seq,
                    by: format!("the seal of {}", by(signer)),
                });
            }
        }
        // The last of those that reach as far.
        let anchored = all.into_iter().max_by_key(|a| a.seq);
        if let Some(journal) = self.report.journal.as_mut() {
            let covered = anchored.as_ref().map_or(0, |a| a.seq + 1);
            journal.unanchored = journal.records.saturating_sub(covered);
            journal.anchored = anchored;
        }
    }
}

/// `<bundle>.….sig`, `<bundle>.tsr` and `<bundle>.….tsr`, in the order of their names.
fn beside(input: &Path) -> Vec<PathBuf> {
    let Ok(path) = input.canonicalize() else {
        return Vec::new();
    };
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str())) else {
        return Vec::new();
    };
    let start = format!("{name}.");
    let ours = |path: &PathBuf| {
        let name = path.file_name().and_then(|n| n.to_str());
        name.is_some_and(|n| n.starts_with(&start) && (n.ends_with(".sig") || n.ends_with(".tsr")))
    };
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = files.map(|file| file.path()).filter(ours).collect();
    files.sort();
    files.truncate(BESIDE_CAP);
    files
}

/// A whole file of at most `cap` bytes.
fn read(path: &Path, cap: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let unreadable = |e: std::io::Error| format!("cannot be read: {e}");
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err("not a regular file".to_owned());
    }
    let file = File::open(path).map_err(unreadable)?;
    file.take(cap + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    match bytes.len() as u64 > cap {
        true => Err(format!("larger than {} KiB", cap / 1024)),
        false => Ok(bytes),
    }
}
