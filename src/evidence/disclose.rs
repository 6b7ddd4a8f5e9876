//! A part of a sealed bundle that proves it belongs to the whole, without the rest.
//!
//! The tag manifest, its signature, the seal and the list of evidence are in it whole: what is shown
//! is proven by the seal, and what is withheld is named. A ledger in front says which is which; it
//! follows from what is there and is compared with it, so a part cannot pass for the whole.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use super::manifest::Entry;
use super::plan::Plan;
use super::read::{self, Opened};
use super::seal::seal_namespace;
use super::verify::Fault;
use super::write::{Tar, WriteError, place};
use super::{escape, names, ustar};
use crate::model::ids::IncidentId;
use crate::sshsig::{Roster, Signature};

/// What every part shows: without these nothing in it could be proven.
pub(super) const ALWAYS: [&str; 2] = [names::SEAL, names::MANIFEST];

/// What a part shows of the whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disclosed {
    /// Which incident.
    pub incident: IncidentId,
    /// Names of the files in it.
    pub shown: Vec<String>,
    /// How many files the whole has.
    pub of: usize,
    /// True where the whole is signed.
    pub signed: bool,
}

/// Why there is no part.
#[derive(Debug, thiserror::Error)]
pub enum DiscloseError {
    /// The bundle is damaged.
    #[error("{}: {}", .0.place, .0.why)]
    Damaged(Fault),
    /// It is a part, or an unpacked folder without a name.
    #[error("this is a part of a bundle already; take the whole")]
    Part,
    /// Nothing in it has that name.
    #[error("there is no file or exhibit `{name}` in it; it has {there}")]
    NoSuch {
        /// What was asked for.
        name: String,
        /// Exhibits and files that are there.
        there: String,
    },
    /// Even what every part shows is longer than is to be sent.
    #[error("it would have {needed} bytes, and {cap} are the most that is sent")]
    TooLong {
        /// Bytes.
        needed: u64,
        /// The limit.
        cap: u64,
    },
    /// It could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Writes the part of a bundle (a tar) that holds these files and exhibits. Never replaces a file.
///
/// Only the files that are copied are proven on the way; whoever reads it proves the rest.
pub fn disclose(bundle: &Path, only: &[String], out: &Path) -> Result<Disclosed, DiscloseError> {
    let whole = read::open_tar(bundle).map_err(DiscloseError::Damaged)?;
    let (Some(incident), false) = (whole.top.clone(), whole.withheld.is_some()) else {
        return Err(DiscloseError::Part);
    };
    let shown = chosen(&whole.tags, &whole.payload, only)?;
    let text = ledger(
        &incident,
        whole.signature.is_some(),
        &whole.tags,
        &whole.payload,
        &shown,
    );
    place(out, |file| {
        let mut tar = Tar::new(file, &incident);
        tar.whole(names::DISCLOSURE, text.as_bytes())?;
        tar.whole(names::TAGMANIFEST, &whole.tagmanifest)?;
        if let Some(signature) = &whole.signature {
            tar.whole(names::SIGNATURE, signature)?;
        }
        let listed = whole.tags.iter().chain(&whole.payload);
        for entry in listed.filter(|e| shown.contains(&*e.name)) {
            let from = whole.container.open(entry).map_err(|why| WriteError::Read {
                path: entry.name.to_string(),
                why,
            })?;
            tar.copy(entry, from)?;
        }
        tar.end()
    })?;
    Ok(Disclosed {
        incident,
        of: whole.tags.len() + whole.payload.len(),
        signed: whole.signature.is_some(),
        shown: shown.into_iter().map(str::to_owned).collect(),
    })
}

/// Writes the part of a bundle that was planned and never written whole: what it must hold, and of `wanted` what
/// still fits into `cap` bytes. Names what did not.
pub fn disclose_planned(
    plan: &Plan,
    must: &[String],
    wanted: &[String],
    cap: u64,
    out: &Path,
) -> Result<(Disclosed, Vec<String>), DiscloseError> {
    let incident = &plan.seal.incident;
    let tags: Vec<Entry> = plan.tags.iter().map(|tag| tag.entry.clone()).collect();
    let text_of = |shown: &BTreeSet<&str>| ledger(incident, false, &tags, &plan.payload, shown);
    let len_of = |shown: &BTreeSet<&str>| {
        let listed = tags.iter().chain(&plan.payload);
        let files = listed.filter(|e| shown.contains(&*e.name)).map(|e| e.len);
        let front = [text_of(shown).len() as u64, plan.tagmanifest.len() as u64];
        let members = files
            .chain(front)
            .map(|len| ustar::BLOCK + len + ustar::padding(len));
        members.sum::<u64>() + 2 * ustar::BLOCK
    };
    let mut shown = chosen(&tags, &plan.payload, must)?;
    let needed = len_of(&shown);
    if needed > cap {
        return Err(DiscloseError::TooLong { needed, cap });
    }
    let mut left = Vec::new();
    for name in wanted {
        let mut more = chosen(&tags, &plan.payload, std::slice::from_ref(name))?;
        more.extend(&shown);
        match len_of(&more) > cap {
            true => left.push(name.clone()),
            false => shown = more,
        }
    }
    let text = text_of(&shown);
    place(out, |file| {
        let mut tar = Tar::new(file, incident);
        tar.whole(names::DISCLOSURE, text.as_bytes())?;
        tar.whole(names::TAGMANIFEST, &plan.tagmanifest)?;
        tar.planned(plan, |name| shown.contains(name))
    })?;
    let disclosed = Disclosed {
        incident: incident.clone(),
        of: tags.len() + plan.payload.len(),
        signed: false,
        shown: shown.into_iter().map(str::to_owned).collect(),
    };
    Ok((disclosed, left))
}

/// The names that are asked for, by file or by exhibit.
fn chosen<'a>(
    tags: &'a [Entry],
    payload: &'a [Entry],
    only: &[String],
) -> Result<BTreeSet<&'a str>, DiscloseError> {
    let all = || tags.iter().chain(payload).map(|e| &*e.name);
    let mut shown = BTreeSet::from(ALWAYS);
    for asked in only {
        let name = asked.trim_end_matches('/');
        let exhibit = name.strip_prefix("data/").unwrap_or(name);
        let inside = format!("data/{exhibit}/");
        let before = shown.len();
        shown.extend(all().filter(|file| *file == name || file.starts_with(&inside)));
        if shown.len() == before && !all().any(|file| file == name) {
            let exhibits = payload.iter().filter_map(|e| e.name.split('/').nth(1));
            let tags = tags.iter().map(|e| &*e.name);
            let there: BTreeSet<&str> = exhibits.chain(tags).collect();
            return Err(DiscloseError::NoSuch {
                name: escape(asked),
                there: there.into_iter().collect::<Vec<_>>().join(", "),
            });
        }
    }
    Ok(shown)
}

/// The text of `DISCLOSURE.txt`, which follows from the lists and from what is shown.
pub(super) fn ledger(
    incident: &IncidentId,
    signed: bool,
    tags: &[Entry],
    payload: &[Entry],
    shown: &BTreeSet<&str>,
) -> String {
    let all = || tags.iter().chain(payload).map(|e| &*e.name);
    let (of, here) = (all().count(), all().filter(|name| shown.contains(name)).count());
    let mut text = format!(
        "incident-disclosure v1\nincident: {incident}\nfiles: {here} of {of} shown, {} withheld\n\n\
         This is a PART of a sealed bundle. Each file in it is proven to belong to the whole, in this folder:\n",
        of - here
    );
    if signed {
        let _ = writeln!(
            text,
            "  ssh-keygen -Y check-novalidate -n {} -s {}.sig < {}",
            seal_namespace(incident),
            names::TAGMANIFEST,
            names::TAGMANIFEST
        );
    } else {
        text += "  NOBODY SIGNED the whole: that it is of this incident is the word of whoever sent it. Compare the SHA-256 of\n  \
                 this file with the one they read to you, or ask for a part of a signed bundle.\n";
    }
    let _ = writeln!(
        text,
        "  sha256sum --ignore-missing --strict -c {} {}\n",
        names::TAGMANIFEST,
        names::MANIFEST
    );
    for name in all() {
        let word = if shown.contains(name) { "shown" } else { "withheld" };
        let _ = writeln!(text, "{word:<9} {name}");
    }
    text
}

/// The names that a ledger says are shown; believed only once [`ledger`] says the same.
pub(super) fn shown(text: &[u8]) -> Result<BTreeSet<&str>, &'static str> {
    let text = std::str::from_utf8(text).map_err(|_| "not UTF-8")?;
    let shown: BTreeSet<&str> = text
        .lines()
        .filter_map(|l| l.strip_prefix("shown     "))
        .collect();
    match ALWAYS.iter().all(|name| shown.contains(name)) {
        true => Ok(shown),
        false => Err("the seal or the list of evidence is not shown"),
    }
}

/// The bytes that the seal of a bundle is over: what a countersignature signs.
pub fn to_countersign(bundle: &Path) -> Result<Vec<u8>, Fault> {
    Ok(open(bundle)?.tagmanifest)
}

/// Whose signature over a bundle this is, as part of a file name: by the bundle's own roster, else the key's print.
pub fn signer_name(bundle: &Path, signature: &[u8]) -> String {
    let Ok(parsed) = Signature::parse(signature) else {
        return "unknown".to_owned();
    };
    let print = parsed.fingerprint();
    let named = open(bundle).ok().and_then(|bundle| {
        let roster = bundle
            .container
            .read(bundle.tag(names::ROSTER)?, read::TAG_CAP)
            .ok()?;
        let roster = Roster::parse(&roster).ok()?;
        let line = roster
            .entries()
            .iter()
            .find(|e| e.fingerprint == print && !e.wildcard)?;
        line.principals.first().cloned()
    });
    let plain = |c: char| c.is_ascii_alphanumeric() || "@._-+".contains(c);
    named
        .unwrap_or(print)
        .chars()
        .map(|c| if plain(c) { c } else { '-' })
        .take(100)
        .collect()
}

fn open(bundle: &Path) -> Result<Opened, Fault> {
    match bundle.is_dir() {
        true => read::open_folder(bundle),
        false => read::open_tar(bundle),
    }
}
