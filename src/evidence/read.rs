//! A hostile bundle, in a tar or unpacked, made into a list of members. Nothing is ever extracted.
//!
//! Each header must equal the one our writer makes, each name must be the next of the signed lists,
//! and the length must come out exactly: whatever a tar program could misread is refused here.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::hashing::{At, Job, open_regular};
use super::manifest::{self, Entry};
use super::seal::Seal;
use super::verify::Fault;
use super::write::SIGNATURE_CAP;
use super::{disclose, escape, names, ustar};
use crate::journal::Hash;
use crate::model::ids::IncidentId;

/// Largest list or tag file that is read into memory, in bytes.
pub const TAG_CAP: u64 = 64 * 1024 * 1024;
/// Largest list of evidence files, in bytes.
const MANIFEST_CAP: u64 = 256 * 1024 * 1024;
/// Most members.
pub const MEMBERS_CAP: usize = 1_000_000;

/// Where members are.
#[derive(Debug)]
pub enum Container {
    /// In one archive.
    Tar(File),
    /// In a folder.
    Folder(PathBuf),
}

impl Container {
    /// Where a member's bytes are.
    pub fn job<'a>(&'a self, entry: &'a Entry) -> Job<'a> {
        let at = match self {
            Container::Tar(tar) => At::Member {
                tar,
                offset: entry.offset,
            },
            Container::Folder(root) => At::File {
                root,
                name: &entry.name,
            },
        };
        Job { at, len: entry.len }
    }

    /// A member as a stream of its bytes.
    pub fn open(&self, entry: &Entry) -> io::Result<Box<dyn io::Read + '_>> {
        Ok(match self {
            Container::Tar(tar) => Box::new(Member {
                tar,
                at: entry.offset,
                end: entry.offset + entry.len,
            }),
            Container::Folder(root) => Box::new(open_regular(&root.join(&*entry.name))?),
        })
    }

    /// The last bytes of a member, at most this many.
    pub fn end(&self, entry: &Entry, most: u64) -> io::Result<Vec<u8>> {
        let len = entry.len.min(most);
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
        match self {
            Container::Tar(tar) => tar.read_exact_at(&mut bytes, entry.offset + entry.len - len)?,
            Container::Folder(root) => {
                open_regular(&root.join(&*entry.name))?.read_exact_at(&mut bytes, entry.len - len)?;
            }
        }
        Ok(bytes)
    }

    /// A member's bytes, at most `cap` of them, proven to have the listed hash.
    pub fn read(&self, entry: &Entry, cap: u64) -> Result<Vec<u8>, Fault> {
        let bytes = self.bytes(entry, cap)?;
        match Hash::of(&bytes) == entry.sha256 {
            true => Ok(bytes),
            false => Err(Fault::new(&entry.name, "its hash is not the one listed")),
        }
    }

    fn bytes(&self, entry: &Entry, cap: u64) -> Result<Vec<u8>, Fault> {
        let fault = |why: String| Fault::new(&entry.name, why);
        let mut bytes = Vec::new();
        self.open(entry)
            .and_then(|stream| io::Read::read_to_end(&mut io::Read::take(stream, cap + 1), &mut bytes))
            .map_err(|e| fault(format!("cannot be read: {e}")))?;
        match bytes.len() as u64 > cap {
            true => Err(fault(format!("larger than {} KiB", cap / 1024))),
            false => Ok(bytes),
        }
    }
}

struct Member<'a> {
    tar: &'a File,
    at: u64,
    end: u64,
}

impl io::Read for Member<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let want = buf.len().min(left);
        let n = self.tar.read_at(&mut buf[..want], self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

/// A bundle whose members are known. Their contents have not been hashed yet.
#[derive(Debug)]
pub struct Opened {
    /// Where the members are.
    pub container: Container,
    /// The top folder, where there is one.
    pub top: Option<IncidentId>,
    /// The signed bytes.
    pub tagmanifest: Vec<u8>,
    /// The signature, where there is one.
    pub signature: Option<Vec<u8>>,
    /// Tag files, in order.
    pub tags: Vec<Entry>,
    /// Evidence files, in order.
    pub payload: Vec<Entry>,
    /// In a part of a bundle: names of the files that are not there. `None` = it is whole.
    pub withheld: Option<Vec<String>>,
}

impl Opened {
    /// The tag file of this name.
    pub fn tag(&self, name: &str) -> Option<&Entry> {
        self.tags.iter().find(|e| *e.name == *name)
    }

    /// Makes a part of it: `text` must be what follows from the lists and from what is shown.
    fn keep_shown(&mut self, text: &[u8], shown: &BTreeSet<&str>) -> Result<(), Fault> {
        let signed = self.signature.is_some();
        let incident = match &self.top {
            Some(top) => Some(top.clone()),
            // Of a folder the seal says it; the seal is checked against the lists later.
            None => self.sealed_incident(),
        };
        let follows = incident.map(|id| disclose::ledger(&id, signed, &self.tags, &self.payload, shown));
        if follows.is_none_or(|follows| follows.as_bytes() != text) {
            let why = "it does not say what is here and what is withheld";
            return Err(Fault::new(names::DISCLOSURE, why));
        }
        let mut withheld = Vec::new();
        for list in [&mut self.tags, &mut self.payload] {
            list.retain(|entry| {
                let here = shown.contains(&*entry.name);
                if !here {
                    withheld.push(entry.name.to_string());
                }
                here
            });
        }
        self.withheld = Some(withheld);
        Ok(())
    }

    fn sealed_incident(&self) -> Option<IncidentId> {
        let seal = self.container.read(self.tag(names::SEAL)?, TAG_CAP).ok()?;
        Some(Seal::parse(&seal).ok()?.incident)
    }
}

/// Opens a tar, checking every header.
pub fn open_tar(path: &Path) -> Result<Opened, Fault> {
    let whole = |e: io::Error| Fault::new("the bundle", format!("cannot be read: {e}"));
    let file = File::open(path).map_err(whole)?;
    let len = file.metadata().map_err(whole)?.len();
    let mut walk = Walk {
        file,
        len,
        at: 0,
        top: None,
        count: 0,
    };
    let part = walk.find_top()?;

    let mut lists = Lists::default();
    let disclosure = match part {
        false => None,
        true => {
            let member = walk.member(names::DISCLOSURE, &lists)?;
            Some(walk.bytes(&member, MANIFEST_CAP)?)
        }
    };
    let shown = disclosure.as_deref().map(shown).transpose()?;
    let is_here = |name: &str| shown.as_ref().is_none_or(|shown| shown.contains(name));
    let list = walk.member(names::TAGMANIFEST, &lists)?;
    let tagmanifest = walk.bytes(&list, TAG_CAP)?;
    let signature = match walk.is_next(names::SIGNATURE) {
        false => None,
        true => {
            let member = walk.member(names::SIGNATURE, &lists)?;
            Some(walk.bytes(&member, SIGNATURE_CAP)?)
        }
    };
    lists.tags = read_list(names::TAGMANIFEST, &tagmanifest, names::check_tag)?;
    require(&lists.tags)?;
    for n in 0..lists.tags.len() {
        let name = lists.tags[n].name.clone();
        if !is_here(&name) {
            continue;
        }
        let found = walk.member(&name, &lists)?;
        if *name == *names::MANIFEST {
            lists.payload = read_manifest(&lists.tags[n], &walk.bytes(&found, MANIFEST_CAP)?)?;
        }
        lists.tags[n].len = found.len;
        lists.tags[n].offset = found.offset;
        lists.done += 1;
    }
    for n in 0..lists.payload.len() {
        let name = lists.payload[n].name.clone();
        if !is_here(&name) {
            continue;
        }
        let found = walk.member(&name, &lists)?;
        lists.payload[n].len = found.len;
        lists.payload[n].offset = found.offset;
        lists.done += 1;
    }
    walk.end(&lists)?;
    let mut opened = Opened {
        container: Container::Tar(walk.file),
        top: walk.top,
        tagmanifest,
        signature,
        tags: lists.tags,
        payload: lists.payload,
        withheld: None,
    };
    if let (Some(text), Some(shown)) = (&disclosure, &shown) {
        opened.keep_shown(text, shown)?;
    }
    Ok(opened)
}

/// Opens an unpacked bundle; the files in it must be exactly the listed ones.
pub fn open_folder(root: &Path) -> Result<Opened, Fault> {
    let container = Container::Folder(root.to_owned());
    let tagmanifest = container.bytes(&Entry::named(names::TAGMANIFEST), TAG_CAP)?;
    let signature = match fs::symlink_metadata(root.join(names::SIGNATURE)) {
        Ok(_) => Some(container.bytes(&Entry::named(names::SIGNATURE), SIGNATURE_CAP)?),
        Err(_) => None,
    };
    let tags = read_list(names::TAGMANIFEST, &tagmanifest, names::check_tag)?;
    require(&tags)?;
    let text = container.bytes(&Entry::named(names::MANIFEST), MANIFEST_CAP)?;
    let mut payload = Vec::new();
    for listed in tags.iter().filter(|e| *e.name == *names::MANIFEST) {
        payload = read_manifest(listed, &text)?;
    }

    let mut opened = Opened {
        container,
        top: None,
        tagmanifest,
        signature,
        tags,
        payload,
        withheld: None,
    };
    let part = fs::symlink_metadata(root.join(names::DISCLOSURE)).is_ok();
    if part {
        let text = opened
            .container
            .bytes(&Entry::named(names::DISCLOSURE), MANIFEST_CAP)?;
        opened.keep_shown(&text, &shown(&text)?)?;
    }
    let here = opened.tags.iter().chain(&opened.payload);
    let mut listed: BTreeSet<&str> = here.map(|e| &*e.name).collect();
    listed.insert(names::TAGMANIFEST);
    listed.insert(names::SIGNATURE);
    if part {
        listed.insert(names::DISCLOSURE);
    }
    only_listed(root, "", &listed)?;
    for entry in opened.tags.iter_mut().chain(&mut opened.payload) {
        let meta = fs::symlink_metadata(root.join(&*entry.name))
            .map_err(|_| Fault::new(&entry.name, "listed, but not there"))?;
        entry.len = meta.len();
    }
    Ok(opened)
}

/// What a part of a bundle says is in it.
fn shown(text: &[u8]) -> Result<BTreeSet<&str>, Fault> {
    disclose::shown(text).map_err(|why| Fault::new(names::DISCLOSURE, why))
}

/// Refuses files that no list names, and everything that is neither a file nor a folder.
fn only_listed(root: &Path, below: &str, listed: &BTreeSet<&str>) -> Result<(), Fault> {
    let fault = |e: io::Error| Fault::new(below, format!("cannot be read: {e}"));
    let mut items = fs::read_dir(root.join(below))
        .and_then(Iterator::collect::<io::Result<Vec<_>>>)
        .map_err(fault)?;
    items.sort_by_key(fs::DirEntry::file_name);
    for item in items {
        let name = item.file_name().to_string_lossy().into_owned();
        let path = match below {
            "" => name,
            _ => format!("{below}/{name}"),
        };
        let kind = item.file_type().map_err(fault)?;
        if kind.is_dir() {
            only_listed(root, &path, listed)?;
        } else if !listed.contains(path.as_str()) {
            return Err(Fault::new(&path, "in no manifest"));
        } else if !kind.is_file() {
            return Err(Fault::new(
                &path,
                "a link, a device or a pipe, not a regular file",
            ));
        }
    }
    Ok(())
}

fn read_list(
    name: &str,
    text: &[u8],
    rule: fn(&str) -> Result<(), &'static str>,
) -> Result<Vec<Entry>, Fault> {
    let entries = manifest::parse(text, rule).map_err(|why| Fault::new(name, why))?;
    match entries.len() > MEMBERS_CAP {
        true => Err(Fault::new(name, "more than a million members")),
        false => Ok(entries),
    }
}

/// Reads the list of evidence files, if it is the one that the tag manifest means.
fn read_manifest(listed: &Entry, text: &[u8]) -> Result<Vec<Entry>, Fault> {
    match Hash::of(text) == listed.sha256 {
        true => read_list(names::MANIFEST, text, names::check_payload),
        false => Err(Fault::new(names::MANIFEST, "its hash is not the one listed")),
    }
}

fn require(tags: &[Entry]) -> Result<(), Fault> {
    let missing = names::REQUIRED
        .iter()
        .find(|name| !tags.iter().any(|e| *e.name == ***name));
    match missing {
        Some(name) => Err(Fault::new(names::TAGMANIFEST, format!("`{name}` is not listed"))),
        None => Ok(()),
    }
}

/// The lists as far as they are read, and how many of their members have been met.
#[derive(Default)]
struct Lists {
    tags: Vec<Entry>,
    payload: Vec<Entry>,
    done: usize,
}

impl Lists {
    /// Says what is wrong with a well-made member that is not the next one.
    fn why_here(&self, found: &str) -> &'static str {
        let met_first = found == names::TAGMANIFEST || found == names::SIGNATURE;
        match self
            .tags
            .iter()
            .chain(&self.payload)
            .position(|e| *e.name == *found)
        {
            Some(n) if n < self.done => "appears a second time",
            Some(_) => "stands in the wrong place, or what should stand before it is missing",
            None if met_first => "appears a second time, or in the wrong place",
            None => "is in no manifest",
        }
    }
}

/// The position in an archive.
struct Walk {
    file: File,
    len: u64,
    at: u64,
    top: Option<IncidentId>,
    count: usize,
}

impl Walk {
    fn fault(&self, why: impl Into<String>) -> Fault {
        Fault::new(&format!("the bundle, byte {}", self.at), why)
    }

    fn block(&self) -> Result<ustar::Header, Fault> {
        let mut block = [0; ustar::BLOCK as usize];
        self.file
            .read_exact_at(&mut block, self.at)
            .map_err(|e| match e.kind() {
                io::ErrorKind::UnexpectedEof => self.fault(format!("cut off: it has {} bytes", self.len)),
                _ => self.fault(format!("cannot be read: {e}")),
            })?;
        Ok(block)
    }

    /// The top folder is an incident's id, by the name of the first member. True for a part of a bundle.
    fn find_top(&mut self) -> Result<bool, Fault> {
        let block = self.block()?;
        let name = ustar::name(&block);
        let part = name.ends_with(names::DISCLOSURE);
        let first = if part {
            names::DISCLOSURE
        } else {
            names::TAGMANIFEST
        };
        let top = name
            .strip_suffix(first)
            .and_then(|top| top.strip_suffix('/'))
            .and_then(|top| IncidentId::new(top).ok());
        let Some(top) = top else {
            let wanted = format!("INC-…/{}", names::TAGMANIFEST);
            let why = match ustar::not(&block, &wanted) {
                ustar::Not::Elsewhere(name) => {
                    format!("not a bundle: it begins with `{}`, not `{wanted}`", escape(&name))
                }
                ustar::Not::Ours(why) => format!("not a bundle: {why}"),
            };
            return Err(self.fault(why));
        };
        self.top = Some(top);
        Ok(part)
    }

    fn full(&self, name: &str) -> String {
        let top = self.top.as_ref().map_or("", IncidentId::as_str);
        format!("{top}/{name}")
    }

    fn is_next(&self, name: &str) -> bool {
        self.block()
            .is_ok_and(|block| ustar::name(&block) == self.full(name))
    }

    /// Takes the next member, which must be `name`.
    fn member(&mut self, name: &str, lists: &Lists) -> Result<Entry, Fault> {
        let block = self.block()?;
        let full = self.full(name);
        let size = ustar::size(&block).filter(|size| ustar::header(&full, *size) == Some(block));
        let Some(size) = size else {
            return Err(self.not(&block, &full, lists));
        };
        self.count += 1;
        if self.at.saturating_add(ustar::span(size)) > self.len {
            let why = format!("cut off inside `{name}`: the archive has {} bytes", self.len);
            return Err(self.fault(why));
        }
        let offset = self.at + ustar::BLOCK;
        self.at += ustar::span(size);
        Ok(Entry {
            name: name.into(),
            sha256: Hash::ZERO,
            len: size,
            offset,
        })
    }

    fn not(&self, block: &ustar::Header, wanted: &str, lists: &Lists) -> Fault {
        self.fault(match ustar::not(block, wanted) {
            ustar::Not::Ours(why) => why,
            ustar::Not::Elsewhere(name) => {
                let prefix = self.full("");
                let why = name
                    .strip_prefix(&prefix)
                    .map_or("is in no manifest", |name| lists.why_here(name));
                format!("`{}` {why}", escape(&name))
            }
        })
    }

    fn bytes(&self, entry: &Entry, cap: u64) -> Result<Vec<u8>, Fault> {
        if entry.len > cap {
            return Err(Fault::new(&entry.name, format!("larger than {} KiB", cap / 1024)));
        }
        let padded = usize::try_from(entry.len + ustar::padding(entry.len)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; padded];
        self.file
            .read_exact_at(&mut bytes, entry.offset)
            .map_err(|e| Fault::new(&entry.name, format!("cannot be read: {e}")))?;
        let padding = bytes.split_off(usize::try_from(entry.len).unwrap_or(padded));
        match padding.iter().all(|b| *b == 0) {
            true => Ok(bytes),
            false => Err(Fault::new(&entry.name, "the padding after it is not zero")),
        }
    }

    /// Two blocks of zeros, and nothing after them.
    fn end(&mut self, lists: &Lists) -> Result<(), Fault> {
        for _ in 0..2 {
            let block = self.block()?;
            if block.iter().any(|b| *b != 0) {
                return Err(self.not(&block, "", lists));
            }
            self.at += ustar::BLOCK;
        }
        match self.len - self.at {
            0 => Ok(()),
            more => Err(self.fault(format!("{more} bytes follow after the end of the archive"))),
        }
    }
}
