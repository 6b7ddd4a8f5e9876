//! What the commands of an act are aimed at, read off the same words as their effects.
//!
//! Only commands that change something count, unless none does. What a wrapper runs is aimed from where the
//! wrapper put it: behind `ssh db1` this host is `db1`. A name that only the run will know is kept as open.

mod readers;

use std::collections::BTreeSet;

use crate::model::reach::{HERE, Kind, Reach, host_of};

use super::words::Word;
use super::wrappers;
use readers::READERS;

/// What surrounds an act and decides where it goes: variables it is given, and a few files. `None` where there is no
/// such thing, an empty text where nobody can say what it is.
pub type Around<'a> = &'a dyn Fn(Asked<'_>) -> Option<String>;

/// One question about the surroundings of an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked<'a> {
    /// The value of a variable that the act is given.
    Variable(&'a str),
    /// Where it starts, absolute.
    Folder,
    /// The current context of the cluster's configuration at this place, or at its usual one.
    Context(Option<&'a str>),
    /// The address of a repository's remote: folder and name.
    Remote(&'a str, &'a str),
}

/// Collects the names.
#[derive(Default)]
pub(super) struct Aim<'a> {
    around: Option<Around<'a>>,
    /// Where the command at hand runs; `None` inside a container or pod, whose own place is noted.
    at: Option<Option<String>>,
    /// Variables that the act itself sets: nobody knows to what.
    set: BTreeSet<String>,
    looked: BTreeSet<Reach>,
    changed: BTreeSet<Reach>,
}

impl<'a> Aim<'a> {
    pub fn new(around: Around<'a>) -> Aim<'a> {
        Aim {
            around: Some(around),
            at: Some(Some(HERE.to_owned())),
            ..Aim::default()
        }
    }

    /// A variable gets another value in the act itself.
    pub fn set(&mut self, name: &str) {
        if self.around.is_some() {
            self.set.insert(name.to_owned());
        }
    }

    /// Moves to where this command runs what is inside it; hand the answer to [`Aim::leave`].
    pub fn enter(&mut self, words: &[Word]) -> Option<Option<String>> {
        let outer = self.at.clone();
        let Some((first, args)) = words.split_first().filter(|_| self.around.is_some()) else {
            return outer;
        };
        match program(first).as_str() {
            "ssh" => self.at = Some(destination(args)),
            "kubectl" | "oc"
                if args
                    .iter()
                    .any(|a| a.text == "exec" || a.text == "run" || a.text == "debug") =>
            {
                self.at = None;
            }
            _ => {}
        }
        outer
    }

    /// Back to where the command itself runs, with what it is aimed at.
    pub fn leave(&mut self, outer: Option<Option<String>>, words: &[Word], changes: bool) {
        self.at = outer;
        let (Some(around), Some((first, args))) = (self.around, words.split_first()) else {
            return;
        };
        let name = program(first);
        let text = matches!(name.as_str(), "sh" | "bash" | "dash" | "zsh" | "ksh")
            && args
                .iter()
                .any(|a| a.text.starts_with('-') && a.text.contains('c'));
        let passes_on = text || wrappers::is_wrapper(&name) && name != "ssh" && !name.ends_with("sh");
        if passes_on {
            return;
        }
        let mut names = Names {
            args,
            at: self.at.as_ref(),
            around,
            set: &self.set,
            found: Vec::new(),
        };
        let reader = READERS
            .iter()
            .find(|(list, _)| first.fixed && list.split_whitespace().any(|known| known == name));
        match reader {
            Some((_, read)) => read(&mut names),
            None => names.here(),
        }
        let found = names.found;
        if changes {
            self.changed.extend(found);
        } else {
            self.looked.extend(found);
        }
    }

    /// What the act is aimed at.
    pub fn finish(self) -> BTreeSet<Reach> {
        match self.changed.is_empty() {
            true => self.looked,
            false => self.changed,
        }
    }
}

fn program(first: &Word) -> String {
    first
        .text
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase()
}

/// Where `ssh` goes; `None` where that cannot be read.
fn destination(args: &[Word]) -> Option<String> {
    const VALUED: &str = "BbcDEeFIiJLlmOopQRSWw";
    // Another configuration, or a host name given as an option, may mean any host.
    let elsewhere = |arg: &Word| {
        let text = arg.text.to_ascii_lowercase();
        arg.text.starts_with("-F") || text.contains("hostname") || text.contains("proxy")
    };
    if args.iter().any(elsewhere) {
        return None;
    }
    let mut at = 0;
    while let Some(arg) = args.get(at).filter(|a| a.text.starts_with('-')) {
        let takes = arg.text.char_indices().skip(1).find(|(_, c)| VALUED.contains(*c));
        let next = takes.is_some_and(|(n, _)| n + 1 == arg.text.len());
        at += 1 + usize::from(next);
    }
    let word = args.get(at).filter(|w| w.fixed)?;
    Some(host_of(&word.text).to_owned()).filter(|host| !host.is_empty())
}

/// The names in one command.
struct Names<'w, 'a> {
    args: &'w [Word],
    at: Option<&'w Option<String>>,
    around: Around<'a>,
    set: &'w BTreeSet<String>,
    found: Vec<Reach>,
}

/// What an option was given: nothing readable, or this.
type Value = Option<String>;

impl Names<'_, '_> {
    fn add(&mut self, kind: Kind, name: Value) {
        self.found.push(Reach { kind, name });
    }

    fn open(&mut self, kind: Kind) {
        self.add(kind, None);
    }

    /// Where the command itself runs. Inside a container nothing is added: the container's place is noted.
    fn here(&mut self) {
        if let Some(at) = self.at {
            self.add(Kind::Host, at.clone());
        }
    }

    /// A server by name; a socket, and this host's own names, are where the command runs.
    fn host(&mut self, name: Value) {
        let Some(name) = name else {
            return self.open(Kind::Host);
        };
        for one in name.split(',') {
            match one {
                "localhost" | "127.0.0.1" | "::1" | "[::1]" | "" => self.here(),
                socket if socket.starts_with('/') => self.here(),
                host => self.add(Kind::Host, Some(host_of(host).to_owned())),
            }
        }
    }

    /// The value of a variable: outer `None` = not set, inner `None` = set by the act itself.
    fn variable(&self, name: &str) -> Option<Value> {
        if self.set.contains(name) {
            return Some(None);
        }
        let value = (self.around)(Asked::Variable(name))?;
        Some(Some(value).filter(|value| !value.is_empty()))
    }

    /// What the first of these options was given: outer `None` = it is not there.
    fn option(&self, names: &[&str]) -> Option<Value> {
        self.option_among(names, "")
    }

    /// The same where letters may stand in a cluster; `valued` are those that take a value.
    fn option_among(&self, names: &[&str], valued: &str) -> Option<Value> {
        let mut last = None;
        for (n, arg) in self.args.iter().enumerate() {
            let text = arg.text.as_str();
            let next = || Some(self.args.get(n + 1).filter(|w| w.fixed).map(|w| w.text.clone()));
            let own = |value: &str| Some(arg.fixed.then(|| value.to_owned()));
            for name in names {
                match text.strip_prefix(name) {
                    Some("") => last = next().or(last),
                    Some(rest) if name.starts_with("--") => {
                        if let Some(value) = rest.strip_prefix('=') {
                            last = own(value);
                        }
                    }
                    Some(rest) => last = own(rest.strip_prefix('=').unwrap_or(rest)),
                    None => {
                        let Some(letter) = name.strip_prefix('-').filter(|l| l.len() == 1) else {
                            continue;
                        };
                        let cluster = text
                            .strip_prefix('-')
                            .filter(|c| !c.starts_with('-'))
                            .unwrap_or("");
                        let at = cluster.find(letter);
                        let clear =
                            |at: usize| !cluster.get(..at).unwrap_or("").contains(|c| valued.contains(c));
                        if let Some(at) = at.filter(|at| !valued.is_empty() && clear(*at)) {
                            let rest = cluster.get(at + 1..).unwrap_or("");
                            last = if rest.is_empty() { next() } else { own(rest) };
                        }
                    }
                }
            }
        }
        last
    }

    /// Words that are no options and no values of these.
    fn operands(&self, valued: &[&str]) -> Vec<&Word> {
        self.operands_among(valued, "")
    }

    /// The same where letters may stand in a cluster, as in [`Names::option_among`].
    fn operands_among(&self, valued: &[&str], letters: &str) -> Vec<&Word> {
        let mut all = Vec::new();
        let mut at = 0;
        while let Some(arg) = self.args.get(at) {
            if arg.text.starts_with('-') && arg.text.len() > 1 {
                let cluster = arg
                    .text
                    .strip_prefix('-')
                    .filter(|c| !c.starts_with('-'))
                    .unwrap_or("");
                let first = cluster.find(|c| letters.contains(c));
                let takes_next = first.is_some_and(|n| n + 1 == cluster.len());
                at += usize::from(takes_next || valued.contains(&arg.text.as_str()));
            } else {
                all.push(arg);
            }
            at += 1;
        }
        all
    }

    /// One name from an option, a variable, or what the program takes where neither is given.
    fn by_option(&mut self, kind: Kind, options: &[&str], variables: &[&str], usual: Option<&str>) {
        let given = self
            .option(options)
            .or_else(|| variables.iter().find_map(|v| self.variable(v)));
        self.add(kind, given.unwrap_or_else(|| usual.map(str::to_owned)));
    }

    fn ssh(&mut self) {
        let to = destination(self.args);
        self.host(to);
    }

    /// A repository of backups, and where the program runs.
    fn store(&mut self, options: &[&str], variable: &str) {
        self.here();
        let given = self.option(options).or_else(|| self.variable(variable)).flatten();
        let operand = || {
            let words = self.operands(options);
            let repository = words
                .iter()
                .find(|w| w.text.contains("::") || w.text.contains('/'));
            repository.map(|w| w.text.split("::").next().unwrap_or_default().to_owned())
        };
        let store = given.or_else(operand);
        self.add(Kind::Store, store);
    }

    /// Files that are written: every operand, or the last alone.
    fn paths(&mut self, last: bool) {
        self.here();
        let from = self
            .variable("PWD")
            .flatten()
            .or_else(|| (self.around)(Asked::Folder));
        let words = self.operands(&["-t", "--target-directory", "-m", "-o", "-g", "-s", "--size"]);
        let skip = if last { words.len().saturating_sub(1) } else { 0 };
        let paths: Vec<Value> = words
            .into_iter()
            .skip(skip)
            .map(|w| {
                let text = w.text.strip_prefix("of=").unwrap_or(&w.text);
                w.fixed.then(|| absolute(from.as_deref(), text)).flatten()
            })
            .collect();
        for path in paths {
            self.add(Kind::Path, path);
        }
    }

    /// A database on its server; `None` where the program picks one by itself.
    fn database(&mut self, host: Value, name: Value) {
        self.host(host.clone());
        let server = match host.as_deref() {
            Some("localhost" | "127.0.0.1" | "::1" | "") => self.at.cloned().flatten(),
            Some(socket) if socket.starts_with('/') => self.at.cloned().flatten(),
            _ => host,
        };
        let name = server.and_then(|server| Some(format!("{server}/{}", name?)));
        self.add(Kind::Database, name);
    }
}

/// The path without `.` and `..`, from `folder` where it is relative.
fn absolute(folder: Option<&str>, path: &str) -> Option<String> {
    let whole = match path.starts_with('/') {
        true => path.to_owned(),
        false => format!("{}/{path}", folder?),
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    Some(format!("/{}", parts.join("/")))
}

#[cfg(test)]
mod tests;
