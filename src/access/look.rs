//! Reading with limits: so much time, so many files, so many bytes, no links, no pipes.

use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use super::eye::Seen;
use super::{Eye, Finding, Place, Scan, Whose};
use crate::world::World;

/// How long a scan may take.
const TIME: Duration = Duration::from_secs(2);
/// Most files that are read.
const FILES: usize = 400;
/// Longest file that is read, in bytes; stores of secrets are smaller, histories are not.
const FILE_CAP: u64 = 4 << 20;
/// Most bytes that are read altogether.
const BYTES: u64 = 32 << 20;
/// Most secrets that are kept.
const FINDINGS: usize = 500;

/// How a file holds its secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// JSON; read line by line where it is not quite.
    Json,
    /// One `name = value`, `name: value` or record a line.
    Lines,
    /// Nothing but one secret.
    Whole,
}

/// One scan under way.
pub(super) struct Look<'a> {
    pub world: &'a World,
    eye: &'a Eye<'a>,
    scan: Scan,
    began_us: u64,
    files: usize,
    bytes: u64,
    /// True where only places of what was found already are of interest.
    only_known: bool,
    ended: bool,
}

impl<'a> Look<'a> {
    pub fn new(world: &'a World, eye: &'a Eye<'a>) -> Self {
        Look {
            world,
            eye,
            scan: Scan::default(),
            began_us: world.clock.now().mono_us,
            files: 0,
            bytes: 0,
            only_known: false,
            ended: false,
        }
    }

    /// Looks for further places of what was found, and adds nothing new.
    pub fn only_known(&mut self, look: impl FnOnce(&mut Self)) {
        self.only_known = true;
        look(self);
        self.only_known = false;
    }

    /// What it came to: what can be cut first, then by kind.
    pub fn done(mut self) -> Scan {
        for finding in &mut self.scan.findings {
            finding.places.sort();
        }
        self.scan.findings.sort_by(|a, b| {
            let rank = |f: &Finding| {
                (
                    !f.is_agents_alone(),
                    f.adapters.is_empty(),
                    f.places.first().cloned(),
                )
            };
            rank(a).cmp(&rank(b))
        });
        self.scan
    }

    /// Something that was not looked at, and why.
    pub fn hole(&mut self, text: String) {
        if !self.only_known && !self.scan.holes.contains(&text) {
            self.scan.holes.push(text);
        }
    }

    /// Every secret in one text: `raw` is what is read, `key` the name it stands under.
    pub fn text(&mut self, whose: Whose, at: &str, key: &str, raw: &str, agent: Option<&str>) {
        let seen = self.eye.see(raw);
        self.keep(seen, whose, at, key, agent);
    }

    fn keep(&mut self, all: Vec<Seen>, whose: Whose, at: &str, key: &str, agent: Option<&str>) {
        let key = match self.eye.names_a_secret(key, &all) {
            true => key
                .rsplit_once(", ")
                .map_or("a name that looks like a secret", |(_, line)| line),
            false => key,
        };
        for seen in all {
            let fingerprint = self.eye.fingerprint(seen.value.expose());
            let place = Place {
                whose,
                at: at.to_owned(),
                key: key.to_owned(),
            };
            if let Some(known) = self
                .scan
                .findings
                .iter_mut()
                .find(|f| f.fingerprint == fingerprint)
            {
                if !known.places.contains(&place) {
                    known.places.push(place);
                }
                continue;
            }
            if self.only_known {
                continue;
            }
            if self.scan.findings.len() >= FINDINGS {
                return self.end(format!("more than {FINDINGS} secrets"));
            }
            self.scan.findings.push(Finding {
                places: vec![place],
                agent: agent.map(str::to_owned),
                adapters: seen.adapters,
                kind: seen.kind,
                last4: Eye::last4(seen.value.expose()),
                fingerprint,
                near: Default::default(),
                value: seen.value,
            });
        }
    }

    /// Findings so far, for what only their source knows of them.
    pub fn findings(&mut self) -> &mut [Finding] {
        &mut self.scan.findings
    }

    /// Every secret in a file that may not be there. Below `top` no link is followed.
    pub fn file(&mut self, top: &Path, name: &Path, format: Format, whose: Whose, agent: Option<&str>) {
        if self.spent() {
            return;
        }
        let path = top.join(name);
        let at = path.display().to_string();
        let text = match self.read(top, name) {
            Ok(Some(text)) => text,
            Ok(None) => return,
            Err(e) => return self.hole(format!("{at} was not looked at: {e}")),
        };
        match format {
            Format::Whole => {
                let key = name.file_name().unwrap_or_default().to_string_lossy();
                // A store of one token has no name in it; its own is telling enough.
                let raw = Zeroizing::new(match text.trim().contains('\n') {
                    true => text.to_string(),
                    false => format!("token={}", text.trim()),
                });
                self.text(whose, &at, &key, &raw, agent);
            }
            Format::Json => match serde_json::from_str::<serde_json::Value>(&text) {
                Ok(value) => self.json(&value, &mut Vec::new(), &at, whose, agent),
                // Comments and trailing commas: a line is read as well.
                Err(_) => self.lines(&text, &at, whose, agent),
            },
            Format::Lines => self.lines(&text, &at, whose, agent),
        }
    }

    fn lines(&mut self, text: &str, at: &str, whose: Whose, agent: Option<&str>) {
        for (n, line) in (1..).zip(text.lines()) {
            if self.spent() {
                return;
            }
            let key = match name_in(line) {
                Some(name) => format!("{name}, line {n}"),
                None => format!("line {n}"),
            };
            self.text(whose, at, &key, line, agent);
        }
    }

    fn json(
        &mut self,
        value: &serde_json::Value,
        path: &mut Vec<String>,
        at: &str,
        whose: Whose,
        agent: Option<&str>,
    ) {
        use serde_json::Value;
        match value {
            Value::String(text) if !self.spent() => {
                // In a list the value stands alone; in a mapping its name may be what tells.
                let name = path.last().map(String::as_str).unwrap_or_default();
                let raw = Zeroizing::new(match name.parse::<usize>() {
                    Ok(_) => text.clone(),
                    Err(_) => format!("{name}={text}"),
                });
                self.text(whose, at, &path.join("."), &raw, agent);
            }
            Value::Array(items) => {
                for (n, item) in items.iter().enumerate() {
                    path.push(n.to_string());
                    self.json(item, path, at, whose, agent);
                    path.pop();
                }
            }
            Value::Object(entries) => {
                for (name, item) in entries {
                    path.push(name.clone());
                    self.json(item, path, at, whose, agent);
                    path.pop();
                }
            }
            _ => {}
        }
    }

    /// What shapes alone know in the last `most` bytes of a file, newest first, while there is time. How many
    /// bytes were looked at; `None` where there is no such file.
    pub fn tail(
        &mut self,
        (top, name): (&Path, &Path),
        most: u64,
        also: &[&str],
        (whose, key, agent): (Whose, &str, Option<&str>),
    ) -> Option<u64> {
        /// So much is looked at between two looks at the clock.
        const PART: usize = 256 << 10;
        /// A secret that two parts cut is whole in one of them.
        const OVERLAP: usize = 8 << 10;
        let path = top.join(name);
        let at = path.display().to_string();
        let bytes = match self.end_of(top, name, most) {
            Ok(bytes) => bytes?,
            Err(e) => {
                self.hole(format!("{at} was not looked at: {e}"));
                return None;
            }
        };
        self.files += 1;
        let (mut end, mut looked) = (bytes.len(), 0);
        while end > 0 && !self.spent() {
            let from = end.saturating_sub(PART);
            let part = bytes
                .get(from..(end + OVERLAP).min(bytes.len()))
                .unwrap_or_default();
            let part = plain(part);
            let seen = self.eye.shapes(&part, also);
            self.keep(seen, whose, &at, key, agent);
            looked += u64::try_from(end - from).unwrap_or(0);
            end = from;
        }
        Some(looked)
    }

    fn end_of(&self, top: &Path, name: &Path, most: u64) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        if !self.real(top, name)? {
            return Ok(None);
        }
        let path = top.join(name);
        let stat = self.world.files.stat(&path)?;
        if !stat.is_file {
            return Err(io::Error::other("it is not a regular file"));
        }
        let mut bytes = Zeroizing::new(Vec::new());
        let file = self.world.files.open_from(&path, stat.len.saturating_sub(most))?;
        file.take(most).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Files below a folder whose names end so, newest first; no link is followed. Second: false where there
    /// are more.
    pub fn below(&mut self, top: &Path, folder: &Path, ends: &[&str]) -> (Vec<PathBuf>, bool) {
        const ENTRIES: usize = 4_000;
        const DEPTH: usize = 6;
        let mut open = vec![(folder.to_owned(), 0)];
        let (mut found, mut entries) = (Vec::new(), 0);
        while let Some((folder, depth)) = open.pop() {
            for name in self.list(top, &folder, ENTRIES) {
                entries += 1;
                if entries > ENTRIES || self.spent() {
                    return (newest(found), false);
                }
                let name = folder.join(name);
                let Ok(stat) = self.world.files.stat(&top.join(&name)) else {
                    continue;
                };
                let text = name.to_str().unwrap_or_default();
                let named_so = ends.iter().any(|end| text.ends_with(end));
                if stat.is_dir && depth < DEPTH {
                    open.push((name, depth + 1));
                } else if stat.is_file && stat.len > 0 && named_so {
                    found.push((stat.mtime_ms, name));
                }
            }
        }
        (newest(found), true)
    }

    /// Names in a folder, at most so many; none where there is no such folder.
    pub fn list(&mut self, top: &Path, folder: &Path, most: usize) -> Vec<PathBuf> {
        let path = top.join(folder);
        match self.real(top, folder) {
            Ok(true) => {}
            Ok(false) => return Vec::new(),
            Err(e) => {
                self.hole(format!("{} was not looked at: {e}", path.display()));
                return Vec::new();
            }
        }
        match self.world.files.list(&path) {
            Ok(names) => names.into_iter().take(most).collect(),
            Err(e) if is_absent(&e) => Vec::new(),
            Err(e) => {
                self.hole(format!("{} was not looked at: {e}", path.display()));
                Vec::new()
            }
        }
    }

    /// The text of a file; `None` where there is none.
    fn read(&mut self, top: &Path, name: &Path) -> io::Result<Option<Zeroizing<String>>> {
        if !self.real(top, name)? {
            return Ok(None);
        }
        let path = top.join(name);
        let stat = self.world.files.stat(&path)?;
        if !stat.is_file {
            return Err(io::Error::other("it is not a regular file"));
        }
        if stat.len > FILE_CAP {
            return Err(io::Error::other(format!(
                "it is longer than {} MiB",
                FILE_CAP >> 20
            )));
        }
        self.files += 1;
        let mut bytes = Zeroizing::new(Vec::new());
        let file = self.world.files.open(&path)?;
        file.take(FILE_CAP).read_to_end(&mut bytes)?;
        self.bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Ok(Some(Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned())))
    }

    /// True where the path is there; an error where a part of it below `top` is a link.
    fn real(&self, top: &Path, name: &Path) -> io::Result<bool> {
        let mut path = top.to_owned();
        for part in name.components() {
            let Component::Normal(part) = part else { continue };
            path.push(part);
            match self.world.files.stat(&path) {
                Ok(stat) if stat.is_link => return Err(io::Error::other("a symbolic link, not followed")),
                Ok(_) => {}
                Err(e) if is_absent(&e) => return Ok(false),
                Err(e) => return Err(e),
            }
        }
        Ok(true)
    }

    /// True where a limit is reached; says so once.
    pub fn spent(&mut self) -> bool {
        let passed = self.world.clock.now().mono_us.saturating_sub(self.began_us);
        if Duration::from_micros(passed) >= TIME {
            self.end(format!("it took longer than {} s", TIME.as_secs()));
        } else if self.files >= FILES {
            self.end(format!("there are more than {FILES} files"));
        } else if self.bytes >= BYTES {
            self.end(format!("there are more than {} MiB", BYTES >> 20));
        }
        self.ended
    }

    fn end(&mut self, why: String) {
        if !self.ended {
            self.ended = true;
            self.scan.holes.push(format!("the scan ended early: {why}"));
        }
    }
}

fn newest(mut found: Vec<(i64, PathBuf)>) -> Vec<PathBuf> {
    found.sort();
    found.into_iter().rev().map(|(_, name)| name).collect()
}

/// Bytes with the line ends, tabs and quotes that JSON spells out, at whatever depth, as such: a token that
/// begins a line must not be read as part of the word before it.
fn plain(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(bytes.len()));
    let mut rest = bytes.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        while rest.next_if(|b| *b == b'\\').is_some() {}
        match rest.next() {
            Some(b'n' | b'r') => out.push(b'\n'),
            Some(b't') => out.push(b'\t'),
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

/// The name a line gives its value, where it gives it one.
fn name_in(line: &str) -> Option<&str> {
    let line = line
        .trim_start()
        .trim_start_matches("- ")
        .trim_start_matches("export ");
    let end = line.find(['=', ':'])?;
    let name = line.get(..end)?.trim().trim_matches(['"', '\'']);
    let sign = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let is_name = !name.is_empty() && name.len() <= 64 && name.chars().all(sign);
    // `https://…` is an address without a name.
    (is_name && !line.get(end..)?.starts_with("://")).then_some(name)
}

fn is_absent(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_json_spells_out_is_read_as_it_was_written() {
        let text = br#"{"a":"x\nAKIA \\\\\"q\\\\\" \t1"}"#;
        assert_eq!(plain(text).as_slice(), b"{\"a\":\"x\nAKIA \"q\" \t1\"}");
    }

    #[test]
    fn a_line_is_known_by_its_name() {
        for (line, name) in [
            ("    oauth_token: gho_x", Some("oauth_token")),
            ("export DATABASE_URL=postgres://a:b@c/d", Some("DATABASE_URL")),
            ("\"apiKey\": \"x\",", Some("apiKey")),
            ("https://ana:x@git.example", None),
            ("//registry.npmjs.org/:_authToken=x", None),
            ("machine db login ana password x", None),
        ] {
            assert_eq!(name_in(line), name, "{line}");
        }
    }
}
