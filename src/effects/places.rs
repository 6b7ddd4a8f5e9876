//! Where in an act an effect was seen: the texts a detector is in, one inside the other, and the commands in them.
//!
//! Kept only where somebody asks for an explanation. A text inside another is found again by its words: where it
//! stands there as it is, its places are places of the outer text. Where it was put together, unquoted or decoded, the
//! outer place is all there is, and it is marked so.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::model::effect::{Effect, Seen};

use super::eye::{Cmd, Stdin};
use super::shell;
use super::words::Word;
use super::{ActText, ScriptText};

/// Which text of an act a place is in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Program and arguments, joined with single spaces.
    Command,
    /// The contents of a file, by its path as it stands in the act.
    Script(String),
    /// What the program is fed.
    Input,
}

/// A place in the text of an act.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Which text.
    pub source: Source,
    /// First byte and the one behind the last, on borders of characters.
    pub from: usize,
    /// See `from`.
    pub to: usize,
    /// The words stand exactly there; `false` where they were put together, unquoted or decoded from what stands there.
    pub exact: bool,
}

/// One effect, the commands that led to it, and where it was seen first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// What was seen, as [`super::detect`] says it.
    pub seen: Seen,
    /// The commands around it, outermost first: `sudo`, `sh -c`, `psql -c`.
    pub path: Vec<String>,
    /// Where.
    pub place: Place,
}

/// Numbers of the texts that are no script; a script follows by its number.
const COMMAND: usize = 0;
const INPUT: usize = 1;
const SCRIPTS: usize = 2;

/// A place in one of the act's own texts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Found {
    text: usize,
    from: usize,
    to: usize,
    exact: bool,
}

/// A text that is being read.
struct Frame {
    text: String,
    /// Where each character begins, and the end.
    starts: Vec<usize>,
    /// Where the text stands.
    at: Found,
}

impl Frame {
    fn new(text: &str, at: Found) -> Frame {
        let starts = text.char_indices().map(|(at, _)| at);
        Frame {
            starts: starts.chain([text.len()]).collect(),
            text: text.to_owned(),
            at,
        }
    }

    fn bytes(&self, chars: (usize, usize)) -> Range<usize> {
        let of = |n: usize| self.starts.get(n).copied().unwrap_or(self.text.len());
        of(chars.0)..of(chars.1).max(of(chars.0))
    }

    fn place(&self, part: &Range<usize>) -> Found {
        match self.at.exact {
            true => Found {
                from: self.at.from + part.start,
                to: self.at.from + part.end,
                ..self.at
            },
            false => self.at,
        }
    }
}

/// A command that is being looked at, or a part of one.
struct Level {
    /// Its words that stand in the newest text, with their places there.
    words: Vec<(String, Range<usize>)>,
    /// The whole of it.
    here: Range<usize>,
}

/// Follows a detection.
pub(super) struct Places {
    frames: Vec<Frame>,
    levels: Vec<Level>,
    path: Vec<String>,
    /// What commands are fed, and where that stands; innermost last.
    fed: Vec<(Vec<u8>, Found)>,
    first: BTreeMap<(Effect, String), (Vec<String>, Found)>,
}

/// The arguments as one text.
pub(super) fn joined(argv: &[String]) -> String {
    argv.join(" ")
}

/// The arguments as words of that text.
pub(super) fn words(argv: &[String]) -> Vec<Word> {
    let mut from = 0;
    let one = |arg: &String| {
        let to = from + arg.chars().count();
        let word = Word {
            at: Some((from, to)),
            ..Word::fixed(arg)
        };
        from = to + 1;
        word
    };
    argv.iter().map(one).collect()
}

impl Places {
    pub fn new(act: &ActText<'_>) -> Places {
        let text = joined(act.argv);
        let whole = |text: usize, len: usize| Found {
            text,
            from: 0,
            to: len,
            exact: true,
        };
        let level = Level {
            words: Vec::new(),
            here: 0..text.len(),
        };
        let input = act.stdin.map(|bytes| (bytes.to_vec(), whole(INPUT, bytes.len())));
        Places {
            frames: vec![Frame::new(&text, whole(COMMAND, text.len()))],
            levels: vec![level],
            path: Vec::new(),
            fed: input.into_iter().collect(),
            first: BTreeMap::new(),
        }
    }

    /// Into these words of the newest text.
    pub fn enter(&mut self, words: &[Word]) {
        let Some(frame) = self.frames.last() else { return };
        let words: Vec<(String, Range<usize>)> = words
            .iter()
            .filter_map(|word| Some((word.text.clone(), frame.bytes(word.at?))))
            .collect();
        let spans = || words.iter().map(|(_, span)| span);
        let here = match (spans().map(|s| s.start).min(), spans().map(|s| s.end).max()) {
            (Some(from), Some(to)) => from..to,
            _ => self.here(),
        };
        self.levels.push(Level { words, here });
    }

    /// Into this part of the newest text, in bytes.
    pub fn enter_part(&mut self, here: Range<usize>) {
        let words = Vec::new();
        self.levels.push(Level { words, here });
    }

    /// Out of what was entered last.
    pub fn leave(&mut self) {
        self.levels.pop();
    }

    pub fn enter_command(&mut self, cmd: &Cmd<'_>) {
        self.path.push(label(cmd));
    }

    pub fn leave_command(&mut self) {
        self.path.pop();
    }

    fn here(&self) -> Range<usize> {
        self.levels.last().map_or(0..0, |level| level.here.clone())
    }

    /// Into a text that was read off the command at hand.
    pub fn enter_text(&mut self, text: &str, scripts: &[ScriptText<'_>]) {
        let at = self.find(text, scripts);
        self.frames.push(Frame::new(text, at));
        self.enter_part(0..text.len());
    }

    pub fn leave_text(&mut self) {
        self.levels.pop();
        self.frames.pop();
    }

    /// What the next command is fed, as far as it is known where that stands; answers how much to forget later.
    pub fn feed(&mut self, bytes: Option<&[u8]>, at: Option<Found>) -> usize {
        let before = self.fed.len();
        if let (Some(bytes), Some(at)) = (bytes, at) {
            self.fed.push((bytes.to_vec(), at));
        }
        before
    }

    pub fn forget_fed(&mut self, before: usize) {
        self.fed.truncate(before);
    }

    /// Where a text stands that was read off the command at hand: exactly, or what it was made of.
    pub fn find(&self, text: &str, scripts: &[ScriptText<'_>]) -> Found {
        let outside = Found {
            text: COMMAND,
            from: 0,
            to: 0,
            exact: false,
        };
        let (Some(frame), Some(level)) = (self.frames.last(), self.levels.last()) else {
            return outside;
        };
        if let Some(found) = script_part(text, scripts) {
            return found;
        }
        let inexact = |part: &Range<usize>| Found {
            exact: false,
            ..frame.place(part)
        };
        let raw = |part: &Range<usize>| frame.text.get(part.clone()).unwrap_or_default();
        let within = |part: &Range<usize>| match only(raw(part), text) {
            Some(at) => frame.place(&(part.start + at..part.start + at + text.len())),
            None => inexact(part),
        };
        if raw(&level.here) == text || blanked(raw(&level.here), text) {
            return frame.place(&level.here);
        }
        if text.trim().is_empty() {
            return inexact(&level.here);
        }
        let fed = || {
            let feeds = self.fed.iter().rev();
            let mut same = feeds.filter(|(bytes, _)| bytes == text.as_bytes());
            same.next().map(|(_, at)| *at)
        };
        let mut equal = level.words.iter().filter(|(word, _)| word == text);
        match (equal.next(), equal.next()) {
            (Some((_, part)), None) => return within(part),
            (Some(_), Some(_)) => return inexact(&level.here),
            _ => {}
        }
        if let Some(found) = fed() {
            return found;
        }
        if let Some(part) = tail(&level.words, text) {
            return within(&part);
        }
        let mut holding = level.words.iter().filter(|(word, _)| only(word, text).is_some());
        match (holding.next(), holding.next(), level.words.is_empty()) {
            (Some((_, part)), None, _) => within(part),
            (None, _, true) => within(&level.here),
            _ => inexact(&level.here),
        }
    }

    /// Notes where something was seen for the first time.
    pub fn see(&mut self, effect: Effect, rule: &str) {
        let Some(frame) = self.frames.last() else { return };
        let at = frame.place(&self.here());
        let key = (effect, rule.to_owned());
        self.first.entry(key).or_insert_with(|| (self.path.clone(), at));
    }

    /// What was seen, with its places.
    pub fn explain(self, seen: Vec<Seen>, act: &ActText<'_>) -> Vec<Sight> {
        let whole = joined(act.argv);
        let nowhere = Found {
            text: COMMAND,
            from: 0,
            to: whole.len(),
            exact: false,
        };
        let explain = |seen: Seen| {
            let first = self.first.get(&(seen.effect, seen.rule.clone()));
            let (path, at) = first.cloned().unwrap_or((Vec::new(), nowhere));
            let script = at.text.checked_sub(SCRIPTS).and_then(|n| act.scripts.get(n));
            let (source, bytes) = match (at.text, script) {
                (_, Some(script)) => (Source::Script(script.path.to_owned()), script.bytes),
                (INPUT, _) => (Source::Input, act.stdin.unwrap_or_default()),
                _ => (Source::Command, whole.as_bytes()),
            };
            // A place off the text, or inside a character, would be a mistake made here: widened, never shown wrong.
            let text = std::str::from_utf8(bytes).unwrap_or_default();
            let sound = text.is_char_boundary(at.from) && text.is_char_boundary(at.to) && at.from <= at.to;
            let place = match sound {
                true => Place {
                    source,
                    from: at.from,
                    to: at.to,
                    exact: at.exact,
                },
                false => Place {
                    source,
                    from: 0,
                    to: text.len(),
                    exact: false,
                },
            };
            Sight { seen, path, place }
        };
        seen.into_iter().map(explain).collect()
    }
}

/// Where `part` stands in `whole`, if it stands there once.
fn only(whole: &str, part: &str) -> Option<usize> {
    let first = whole.find(part)?;
    let again = whole.get(first..)?.char_indices().nth(1);
    let more = again.and_then(|(next, _)| whole.get(first + next..)?.find(part));
    more.is_none().then_some(first)
}

/// Whether `text` is `whole` with parts of it blanked out: every byte stands where it stood.
fn blanked(whole: &str, text: &str) -> bool {
    let pairs = || whole.bytes().zip(text.bytes());
    whole.len() == text.len()
        && pairs().all(|(was, is)| was == is || matches!(is, b' ' | b'\n' | b';'))
        && pairs().any(|(was, is)| was == is && !is.is_ascii_whitespace())
}

/// The last words of a command, where joined they are this text.
fn tail(words: &[(String, Range<usize>)], text: &str) -> Option<Range<usize>> {
    let mut long = 0;
    for (at, (word, span)) in words.iter().enumerate().rev() {
        long += word.len();
        if long == text.len() {
            let rest: Vec<&str> = words.get(at..)?.iter().map(|(word, _)| word.as_str()).collect();
            return (rest.join(" ") == text).then_some(span.start..words.last()?.1.end);
        }
        long += 1;
    }
    None
}

/// The place of a text that is a part of a script itself, and no copy of it.
fn script_part(text: &str, scripts: &[ScriptText<'_>]) -> Option<Found> {
    let at = text.as_ptr() as usize;
    scripts.iter().enumerate().find_map(|(n, script)| {
        let from = at.checked_sub(script.bytes.as_ptr() as usize)?;
        let to = from + text.len();
        (to <= script.bytes.len() && !text.is_empty()).then_some(Found {
            text: SCRIPTS + n,
            from,
            to,
            exact: true,
        })
    })
}

/// A command in a word or two.
fn label(cmd: &Cmd<'_>) -> String {
    let short: String = cmd.name.chars().take(40).collect();
    let has = |wanted: &[&str]| {
        let mut args = cmd.args.iter().map(Word::as_str);
        args.find(|arg| wanted.contains(arg)).map(str::to_owned)
    };
    let more = match cmd.name {
        "kubectl" | "oc" | "docker" | "podman" | "nerdctl" => has(&["exec", "run", "debug"]),
        "find" => has(&["-exec", "-execdir", "-delete", "-ok"]),
        "psql" | "su" | "runuser" | "flock" | "script" => text_option(cmd),
        name if shell::is_shell(name) => text_option(cmd),
        "mysql" | "mariadb" => has(&["-e", "--execute"]),
        _ => None,
    };
    let fed = more.is_none() && matches!(cmd.stdin, Stdin::Bytes(_)) && shell::is_shell(cmd.name);
    match more {
        Some(more) => format!("{short} {more}"),
        None if fed => format!("{short} <"),
        None => short,
    }
}

/// `-c`, where an option such as `-lc` or `--command` says that a text follows.
fn text_option(cmd: &Cmd<'_>) -> Option<String> {
    let says = |arg: &Word| {
        arg.text.starts_with("--command")
            || arg.text.starts_with('-') && !arg.text.starts_with("--") && arg.text.contains('c')
    };
    cmd.args.iter().any(says).then(|| "-c".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::explain;

    /// `RULE PATH: the words at the place`, with `~` in front where they were made of what stands there.
    fn told(argv: &[&str], scripts: &[ScriptText<'_>], rule: &str) -> String {
        let argv: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
        let act = ActText {
            argv: &argv,
            scripts,
            stdin: None,
        };
        let sights = explain(&act);
        let sight = sights.iter().find(|s| s.seen.rule == rule);
        let Some(Sight { path, place, .. }) = sight else {
            return format!("{rule} is not among {sights:?}");
        };
        let joined = joined(&argv);
        let text = match &place.source {
            Source::Script(path) => {
                std::str::from_utf8(scripts.iter().find(|s| s.path == path).unwrap().bytes).unwrap()
            }
            _ => &joined,
        };
        let inexact = if place.exact { "" } else { "~" };
        format!("{}: {inexact}{}", path.join(" › "), &text[place.from..place.to])
    }

    #[test]
    fn the_words_are_shown_where_they_stand() {
        let sh = |text| told(&["sh", "-c", text], &[], "sql.drop-table");
        assert_eq!(
            sh("ls; sudo psql -c 'select 1; drop table x;' | cat"),
            "sh -c › sudo › psql -c: drop table x"
        );
        assert_eq!(
            sh("psql <<E\nselect 1;\ndrop  table x;\nE"),
            "sh -c › psql: drop  table x"
        );
        assert_eq!(sh("echo 'drop table x' | psql"), "sh -c › psql: drop table x");
        assert_eq!(sh("psql <<< 'drop table x'"), "sh -c › psql: drop table x");
        assert_eq!(
            sh("psql <<E\nselect 'é'; \\d x é\n drop table x\nE"),
            "sh -c › psql: drop table x"
        );
        assert_eq!(
            told(
                &["sudo", "ssh", "db1", "psql", "-c", "'drop table \"ü\"'"],
                &[],
                "sql.drop-table"
            ),
            "sudo › ssh › psql -c: drop table \"ü\""
        );
        assert_eq!(
            told(
                &["sh", "-c", "ls\nsudo rm -rf /srv; date"],
                &[],
                "files.rm-recursive"
            ),
            "sh -c › sudo › rm: rm -rf /srv"
        );
        assert_eq!(
            told(&["sh", "-c", "echo a > /etc/x; ls"], &[], "shell.redirect"),
            "sh -c: /etc/x"
        );
        assert_eq!(
            told(&["sh", "-c", "ls $(ls; rm -rf x) y"], &[], "files.rm-recursive"),
            "sh -c › rm: rm -rf x"
        );
    }

    #[test]
    fn what_was_put_together_is_shown_as_such() {
        let sh = |text| told(&["sh", "-c", text], &[], "files.rm-recursive");
        assert_eq!(sh("r''m -rf x"), "sh -c › rm: r''m -rf x");
        assert_eq!(
            sh("date; sh -c 'r'\"m -rf x\""),
            "sh -c › sh -c › rm: ~'r'\"m -rf x\""
        );
        assert_eq!(sh("date; eval rm \"-rf\" x"), "sh -c › rm: ~rm \"-rf\" x");
        assert_eq!(
            sh("su 'rm -rf x' -c 'rm -rf x'"),
            "sh -c › su -c › rm: ~su 'rm -rf x' -c 'rm -rf x'"
        );
    }

    #[test]
    fn a_script_is_shown_by_its_own_lines() {
        let scripts = [
            ScriptText {
                path: "fix.sh",
                bytes: b"#!/bin/sh\nset -e\npsql -f fix.sql\n",
            },
            ScriptText {
                path: "fix.sql",
                bytes: b"-- tidy\n\\timing\ndrop table x;\n",
            },
        ];
        assert_eq!(
            told(&["sh", "fix.sh"], &scripts, "sql.drop-table"),
            "sh › psql: drop table x"
        );
        assert_eq!(
            told(&["psql", "-f", "fix.sql"], &scripts, "sql.drop-table"),
            "psql: drop table x"
        );
    }
}
