//! Text to effects: what an act would change, read out of the act itself.
//!
//! Detectors take the text of a resolved act and answer with [`Seen`]s. They can only add effects:
//! what the author of a runbook declared is never taken away here. Whatever no detector understood
//! is [`Effect::Unknown`], with the words and the rule; a list of known read commands keeps reads free.
//!
//! Absent from this room: files, processes, the network, the clock, and any word about zones or
//! permission. It is handed text and hands back text. It must never hang, recurse without a
//! bound or panic, whatever bytes an agent wrote: depth, commands and bytes are budgeted in `eye`.
//!
//! Adding a program is one line in a table under `tools`, or one file there and one line in
//! `tools::TOOLS`.

mod amount;
mod eye;
mod options;
mod paths;
mod places;
mod reach;
mod shell;
mod sql;
mod tools;
mod words;
mod wrappers;

#[cfg(doc)]
use crate::model::effect::Effect;
use std::collections::BTreeSet;

use crate::model::effect::Seen;
use crate::model::reach::Reach;

use eye::{Eye, Stdin};
use places::Places;
use words::Word;

pub use amount::{Amounts, amounts};
pub use places::{Place, Sight, Source};
pub use reach::{Around, Asked};
pub use sql::Dialect;

/// The largest script a detector reads, in bytes; a longer one is not understood.
pub const SCRIPT_LIMIT: usize = 256 * 1024;

/// The largest other file that a detector reads, such as a saved plan, in bytes.
pub const FILE_LIMIT: usize = 4 * 1024 * 1024;

/// The text of one resolved act.
#[derive(Debug, Clone, Copy)]
pub struct ActText<'a> {
    /// Program and arguments, as they will be executed.
    pub argv: &'a [String],
    /// Contents of the files that [`script_paths`] named, as far as they could be read.
    pub scripts: &'a [ScriptText<'a>],
    /// What the program reads on standard input; `None` where it is empty or not known.
    pub stdin: Option<&'a [u8]>,
}

/// The contents of a file that an act runs or feeds to a program.
#[derive(Debug, Clone, Copy)]
pub struct ScriptText<'a> {
    /// The path exactly as it stands in the act.
    pub path: &'a str,
    /// Its bytes; more than [`SCRIPT_LIMIT`] are not read as a text, nor more than [`FILE_LIMIT`] at all.
    pub bytes: &'a [u8],
}

/// Reads the effects out of an act.
///
/// Sorted, without duplicates (one entry for each effect and rule, the first place it was seen),
/// never empty: an act that only reads gives `Read` alone, one not understood gives `Unknown`.
pub fn detect(act: &ActText<'_>) -> Vec<Seen> {
    let words: Vec<Word> = act.argv.iter().map(|arg| Word::fixed(arg)).collect();
    let stdin = act.stdin.map_or(Stdin::Unseen, Stdin::Bytes);
    let mut eye = Eye::new(act.scripts);
    eye.command(&words, &stdin);
    eye.finish()
}

/// The same as [`detect`], each with the commands that led to it and the place where it was seen first.
///
/// Made for people who ask; judging needs none of it.
pub fn explain(act: &ActText<'_>) -> Vec<Sight> {
    let stdin = act.stdin.map_or(Stdin::Unseen, Stdin::Bytes);
    let mut eye = Eye::new(act.scripts);
    eye.places = Some(Places::new(act));
    eye.command(&places::words(act.argv), &stdin);
    let places = eye.places.take();
    let seen = eye.finish();
    places.map(|places| places.explain(seen, act)).unwrap_or_default()
}

/// Reads out of an act what it is aimed at: hosts, clusters, accounts, databases, by the names in it.
pub fn reaches(act: &ActText<'_>, around: Around<'_>) -> BTreeSet<Reach> {
    let words: Vec<Word> = act.argv.iter().map(|arg| Word::fixed(arg)).collect();
    let stdin = act.stdin.map_or(Stdin::Unseen, Stdin::Bytes);
    let mut eye = Eye::new(act.scripts);
    eye.aim = reach::Aim::new(around);
    eye.command(&words, &stdin);
    eye.aim.finish()
}

/// Reads the effects out of SQL text: any number of statements in one dialect.
pub fn detect_sql(sql: &str, dialect: Dialect) -> Vec<Seen> {
    let mut eye = Eye::new(&[]);
    sql::detect(&mut eye, sql, dialect);
    eye.finish()
}

/// Reads the effects out of an HTTP method and address; the body is not looked at.
pub fn detect_http(method: &str, url: &str) -> Vec<Seen> {
    let mut eye = Eye::new(&[]);
    tools::http::request(&mut eye, method, url);
    eye.finish()
}

/// The files whose contents a detector needs for this act, as they stand in it.
///
/// Relative paths are relative to the act's working directory. Files on another machine, behind `ssh` or inside a
/// container, are not named: nobody here can read those, and a local file of the same name says nothing of them.
pub fn script_paths(argv: &[String]) -> Vec<String> {
    let words: Vec<Word> = argv.iter().map(|arg| Word::fixed(arg)).collect();
    let mut eye = Eye::new(&[]);
    eye.command(&words, &Stdin::Unseen);
    eye.wanted()
}

#[cfg(test)]
mod tests;
