//! What looks: collects effects, keeps the budgets, and sends each command to its detector.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::model::effect::{Effect, Seen};

use super::places::{Found, Places};
use super::reach::Aim;
use super::words::Word;
use super::{FILE_LIMIT, SCRIPT_LIMIT, ScriptText, shell, tools, wrappers};

/// How deep commands inside commands are followed; deeper is not understood.
const DEPTH: u32 = 12;
/// How many commands are looked at in one act.
const COMMANDS: u32 = 4_000;
/// How many bytes of shell and SQL text are read in one act, nested texts counted each time.
const BYTES: usize = 2 * 1024 * 1024;
/// The longest text of one [`Seen`], in characters.
const TEXT: usize = 200;

/// What a command reads on its standard input.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stdin<'a> {
    /// Exactly these bytes.
    Bytes(&'a [u8]),
    /// Something, or nothing, that nobody has seen.
    Unseen,
}

/// One command: a program and its arguments.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cmd<'c> {
    /// The program's name without its folder, in lower case.
    pub name: &'c str,
    /// The program as it stands in the act.
    pub program: &'c str,
    /// Everything after the program.
    pub args: &'c [Word],
    /// What it is fed.
    pub stdin: Stdin<'c>,
}

impl Cmd<'_> {
    /// The command in one line.
    pub fn text(&self) -> String {
        let words = std::iter::once(self.program).chain(self.args.iter().map(Word::as_str));
        let mut text = String::new();
        for word in words {
            if !text.is_empty() {
                text.push(' ');
            }
            text.extend(word.chars().take(TEXT));
            if text.len() > TEXT * 4 {
                break;
            }
        }
        text
    }

    /// Whether one of the arguments is this word.
    pub fn has(&self, word: &str) -> bool {
        self.args.iter().any(|arg| arg.text == word)
    }
}

/// The collector of one detection.
pub(super) struct Eye<'a> {
    scripts: &'a [ScriptText<'a>],
    seen: BTreeMap<(Effect, String), String>,
    wanted: RefCell<BTreeSet<String>>,
    /// Files that were judged by their contents.
    opened: RefCell<Vec<String>>,
    /// Inside something whose files are not the ones that can be read here.
    far: bool,
    /// The act starts something from another folder, so that a relative path is another file.
    moves: bool,
    /// Last parts of paths that the act itself writes, or may.
    written: BTreeSet<String>,
    /// It may write any file: an archive is unpacked, a tree is copied.
    writes_any: bool,
    depth: u32,
    commands: u32,
    bytes: usize,
    /// How often anything was seen, so that a command that said nothing is noticed.
    sights: u64,
    /// How often anything but a read was seen.
    changes: u64,
    /// What the commands are aimed at, where somebody asks.
    pub aim: Aim<'a>,
    /// Where it was seen, where somebody asks.
    pub places: Option<Places>,
}

impl<'a> Eye<'a> {
    pub fn new(scripts: &'a [ScriptText<'a>]) -> Eye<'a> {
        Eye {
            scripts,
            seen: BTreeMap::new(),
            wanted: RefCell::new(BTreeSet::new()),
            opened: RefCell::new(Vec::new()),
            far: false,
            moves: false,
            written: BTreeSet::new(),
            writes_any: false,
            depth: 0,
            commands: 0,
            bytes: 0,
            sights: 0,
            changes: 0,
            aim: Aim::default(),
            places: None,
        }
    }

    /// Notes one effect with the words it was read from and the rule that read it.
    pub fn see(&mut self, effect: Effect, text: &str, rule: &str) {
        self.sights += 1;
        self.changes += u64::from(effect != Effect::Read);
        if let Some(places) = &mut self.places {
            places.see(effect, rule);
        }
        self.seen
            .entry((effect, rule.to_owned()))
            .or_insert_with(|| plain(text));
    }

    /// Notes several effects of one rule.
    pub fn see_all(&mut self, effects: &[Effect], text: &str, rule: &str) {
        for effect in effects {
            self.see(*effect, text, rule);
        }
    }

    /// Notes that something was not understood.
    pub fn unknown(&mut self, text: &str, rule: &str) {
        self.see(Effect::Unknown, text, rule);
    }

    /// Says how often anything has been seen so far.
    pub fn sights(&self) -> u64 {
        self.sights
    }

    /// Runs `look` one level deeper, unless that is too deep.
    pub fn deeper(&mut self, text: &str, look: impl FnOnce(&mut Self)) {
        if self.depth >= DEPTH {
            return self.unknown(text, "shell.too-deep");
        }
        self.depth += 1;
        look(self);
        self.depth -= 1;
    }

    /// Takes `text` out of the byte budget; false where it is used up.
    pub fn afford(&mut self, text: &str) -> bool {
        self.bytes = self.bytes.saturating_add(text.len());
        let affordable = self.bytes <= BYTES && text.len() <= SCRIPT_LIMIT;
        if !affordable {
            self.unknown(text, "text.too-long");
        }
        affordable
    }

    /// The text of a file named in the act; asked for, and noted as wanted.
    pub fn script(&self, path: &str) -> Option<&'a [u8]> {
        self.file(path).filter(|bytes| bytes.len() <= SCRIPT_LIMIT)
    }

    /// The contents of a file named in the act; asked for, and noted as wanted.
    pub fn file(&self, path: &str) -> Option<&'a [u8]> {
        // What `~` is, only a shell knows.
        if self.far || path.starts_with('~') {
            return None;
        }
        self.wanted.borrow_mut().insert(path.to_owned());
        let script = self.scripts.iter().find(|script| script.path == path)?;
        self.opened.borrow_mut().push(path.to_owned());
        (script.bytes.len() <= FILE_LIMIT).then_some(script.bytes)
    }

    /// Looks at something that runs elsewhere: behind `ssh`, in a container, under another root. A file there is not
    /// the one of the same name here.
    pub fn elsewhere(&mut self, look: impl FnOnce(&mut Self)) {
        let outer = std::mem::replace(&mut self.far, true);
        look(self);
        self.far = outer;
    }

    /// Notes that the act goes to another folder.
    pub fn moves(&mut self) {
        self.moves = true;
    }

    /// Notes a file that the act writes.
    pub fn writes(&mut self, path: &str) {
        let last = path.rsplit(['/', '=', ':']).next().unwrap_or_default();
        self.written.insert(last.to_owned());
    }

    /// Notes what a command that runs no other one may have written: whatever it names, but what it only read.
    fn wrote(&mut self, words: &[Word], opened: usize) {
        const ANY: [&str; 18] = [
            "git", "hg", "svn", "tar", "gtar", "bsdtar", "unzip", "rsync", "scp", "cp", "mv", "ln",
            "install", "patch", "cpio", "wget", "aws", "gsutil",
        ];
        let read: Vec<String> = self.opened.borrow().iter().skip(opened).cloned().collect();
        let Some((first, args)) = words.split_first() else {
            return;
        };
        let name = first.text.rsplit('/').next().unwrap_or_default();
        self.writes_any |= ANY.contains(&name) && read.is_empty();
        for arg in args.iter().filter(|arg| !read.contains(&arg.text)) {
            self.writes(&arg.text);
        }
    }

    /// Notes where a file that was judged by its contents may be another one when it runs.
    fn doubt_files(&mut self) {
        let opened = self.opened.take();
        let last = |path: &String| path.rsplit('/').next().unwrap_or_default().to_owned();
        if let Some(path) = opened.iter().find(|path| !path.starts_with('/') && self.moves) {
            self.unknown(path, "script.in-another-folder");
        }
        if let Some(path) = opened
            .iter()
            .find(|path| self.writes_any || self.written.contains(&last(path)))
        {
            self.unknown(path, "script.written-by-the-act");
        }
    }

    /// Looks at one command: what it changes, and where.
    pub fn command(&mut self, words: &[Word], stdin: &Stdin<'_>) {
        let outer = self.aim.enter(words);
        let (before, commands, opened) = (self.changes, self.commands, self.opened.borrow().len());
        self.among(words, |eye| eye.effects(words, stdin));
        if self.changes != before && self.commands == commands + 1 {
            self.wrote(words, opened);
        }
        self.aim.leave(outer, words, self.changes != before);
    }

    /// Whatever `look` sees stands in these words of the text at hand.
    pub fn among(&mut self, words: &[Word], look: impl FnOnce(&mut Self)) {
        if let Some(places) = &mut self.places {
            places.enter(words);
        }
        look(self);
        if let Some(places) = &mut self.places {
            places.leave();
        }
    }

    /// Whatever `look` sees stands in these bytes of the text at hand; anywhere in it where they are not known.
    pub fn part(&mut self, part: Option<Range<usize>>, look: impl FnOnce(&mut Self)) {
        match (&mut self.places, part) {
            (Some(places), Some(part)) => places.enter_part(part),
            _ => return look(self),
        }
        look(self);
        if let Some(places) = &mut self.places {
            places.leave();
        }
    }

    /// Whatever `look` sees stands in this text, which was read off the words at hand.
    pub fn reading(&mut self, text: &str, look: impl FnOnce(&mut Self)) {
        let scripts = self.scripts;
        if let Some(places) = &mut self.places {
            places.enter_text(text, scripts);
        }
        look(self);
        if let Some(places) = &mut self.places {
            places.leave_text();
        }
    }

    /// What `look` sees a command being fed stands there.
    pub fn fed(&mut self, bytes: Option<&[u8]>, at: Option<Found>, look: impl FnOnce(&mut Self)) {
        let before = self.places.as_mut().map(|places| places.feed(bytes, at));
        look(self);
        if let (Some(places), Some(before)) = (&mut self.places, before) {
            places.forget_fed(before);
        }
    }

    /// Where a text stands that was read off these words, where somebody asks.
    pub fn find(&mut self, text: &[u8], words: &[Word]) -> Option<Found> {
        let scripts = self.scripts;
        let places = self.places.as_mut()?;
        let text = std::str::from_utf8(text).ok()?;
        places.enter(words);
        let found = places.find(text, scripts);
        places.leave();
        Some(found)
    }

    fn effects(&mut self, words: &[Word], stdin: &Stdin<'_>) {
        let Some((first, args)) = words.split_first() else {
            return self.unknown("", "act.empty");
        };
        self.commands += 1;
        let before = self.sights;
        let name = first
            .text
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        let cmd = Cmd {
            name: &name,
            program: &first.text,
            args,
            stdin: *stdin,
        };
        let text = cmd.text();
        if self.commands > COMMANDS {
            return self.unknown(&text, "shell.too-many-commands");
        }
        if let Some(places) = &mut self.places {
            places.enter_command(&cmd);
        }
        self.look(first, &cmd, &text);
        if self.sights == before {
            self.unknown(&text, "program.not-known");
        }
        if let Some(places) = &mut self.places {
            places.leave_command();
        }
    }

    fn look(&mut self, first: &Word, cmd: &Cmd<'_>, text: &str) {
        let name = cmd.name;
        if !first.fixed {
            self.unknown(text, "shell.command-not-fixed");
        }
        let known = wrappers::is_wrapper(name) || tools::is_known(name);
        if !usual(&first.text) {
            match self.script(&first.text) {
                Some(bytes) => return self.deeper(text, |eye| shell::script_file(eye, cmd, bytes)),
                None if known => self.unknown(text, "program.unusual-place"),
                None => {}
            }
        } else if !known
            && first.text.contains('/')
            && let Some(bytes) = self.script(&first.text)
        {
            return self.deeper(text, |eye| shell::script_file(eye, cmd, bytes));
        }
        self.deeper(text, |eye| {
            if !wrappers::unwrap(eye, cmd) {
                tools::look(eye, cmd);
            }
        });
    }

    /// The result: `Read` only where nothing else was seen.
    pub fn finish(mut self) -> Vec<Seen> {
        self.doubt_files();
        if self.seen.is_empty() {
            self.unknown("", "act.empty");
        }
        let only_reads = self.seen.keys().all(|(effect, _)| *effect == Effect::Read);
        let mut seen: Vec<Seen> = self
            .seen
            .into_iter()
            .filter(|((effect, _), _)| only_reads || *effect != Effect::Read)
            .map(|((effect, rule), text)| Seen { effect, text, rule })
            .collect();
        seen.sort();
        seen
    }

    /// The files this act's detection asked for.
    pub fn wanted(self) -> Vec<String> {
        self.wanted.into_inner().into_iter().collect()
    }
}

/// Whether a program stands where programs stand: a lower-case name, alone or in a system folder.
///
/// `/tmp/x/ls` may be anything, and `/BIN/RM` runs on a file system that ignores case.
pub(super) fn usual(path: &str) -> bool {
    const FOLDERS: [&str; 9] = [
        "/bin/",
        "/sbin/",
        "/usr/bin/",
        "/usr/sbin/",
        "/usr/local/bin/",
        "/usr/local/sbin/",
        "/opt/homebrew/bin/",
        "/snap/bin/",
        "/usr/lib/postgresql/",
    ];
    let named = !path.contains('/');
    let placed = FOLDERS.iter().any(|folder| path.starts_with(folder))
        && !path.contains("/../")
        && !path.contains("/./")
        && (!path.starts_with("/usr/lib/postgresql/") || path.contains("/bin/"));
    (named || placed) && !path.bytes().any(|b| b.is_ascii_uppercase())
}

/// At most [`TEXT`] characters, with what could steer a terminal or reorder a line written out.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut left = TEXT;
    for c in text.trim().chars() {
        let steers = c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        let shown = if c == '\n' || c == '\t' {
            " ".to_owned()
        } else if steers {
            c.escape_unicode().to_string()
        } else {
            c.to_string()
        };
        let wide = shown.chars().count();
        if wide > left {
            break;
        }
        left -= wide;
        out.push_str(&shown);
    }
    out
}
