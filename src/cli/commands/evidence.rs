//! `evidence`: what is in a bundle or a case, read without unpacking it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use regex::bytes::Regex;
use serde_json::json;

use crate::cli::ui::{Tone, Ui, styled};
use crate::cli::{App, CliError, Exit};
use crate::evidence::{self, Entry, Fault, Hit, Kind, Row, Shelf, ShelfError, escape, escape_bytes};
use crate::report::words::count;

/// Arguments of `evidence`.
#[derive(clap::Args)]
#[command(
    after_help = "Nothing is unpacked, and what is shown is escaped. A file is held to the hash that the list in the \
bundle (or the journal of the case) gives; `incident verify` proves that list. A damaged one ends 10."
)]
pub struct EvidenceArgs {
    #[command(subcommand)]
    ask: Ask,
}

/// What is asked.
#[derive(clap::Subcommand)]
enum Ask {
    /// List what was collected and what was not; with NAME, show that file, escaped for the terminal
    Show {
        /// A file, as the list names it
        name: Option<String>,
        #[command(flatten)]
        of: Of,
        /// The file's bytes as they are; only into a pipe or a file
        #[arg(long, requires = "name")]
        raw: bool,
    },
    /// Write one file out, if its hash agrees; never replaces anything
    Extract {
        /// The file, as the list names it
        name: String,
        /// Where it goes
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
        #[command(flatten)]
        of: Of,
    },
    /// Search every evidence file, line by line
    #[command(
        after_help = "The pattern is a regular expression in the syntax of the Rust crate regex; (?i) at its beginning \
ignores case. It takes linear time, whatever the pattern. Nothing found ends 0, like something found: `--json` counts."
    )]
    Grep {
        /// What to look for
        pattern: String,
        #[command(flatten)]
        of: Of,
    },
}

/// Which record is read.
#[derive(clap::Args)]
struct Of {
    /// A bundle, the folder it was unpacked into, a case folder, or the id of an incident kept here
    #[arg(long = "in", value_name = "PATH")]
    path: Option<PathBuf>,
}

/// Bytes shown of a line before and after the beginning of a match.
const BEFORE: usize = 80;
const AFTER: usize = 240;

/// Lists, shows, extracts or searches.
pub fn run(app: &App, args: &EvidenceArgs) -> Result<Exit, CliError> {
    let (Ask::Show { of, .. } | Ask::Extract { of, .. } | Ask::Grep { of, .. }) = &args.ask;
    // Whoever was handed a bundle names it first; nothing that was collected is called like a file that lies here.
    let bundle = match &args.ask {
        Ask::Show { name: Some(name), .. } if of.path.is_none() && name.ends_with(".tar") => {
            let here = super::verify::here(app, Path::new(name));
            let is_file = app.world.files.stat(&here).is_ok_and(|s| s.is_file);
            is_file.then(|| PathBuf::from(name))
        }
        _ => None,
    };
    let named = bundle.as_deref().or(of.path.as_deref());
    let path = match named {
        Some(path) => super::verify::here(app, path),
        None => app.store.root().join(app.which_any()?.as_str()),
    };
    let desk = Reading {
        ui: &app.ui,
        shelf: &Shelf::open(&path).map_err(|e| cannot(e, &path))?,
        path: &path,
        named,
    };
    match &args.ask {
        Ask::Show { .. } if bundle.is_some() => desk.list(),
        Ask::Show { name: None, .. } => desk.list(),
        Ask::Show {
            name: Some(name),
            raw,
            ..
        } => desk.show(name, *raw),
        Ask::Extract { name, output, .. } => {
            let output = app.world.host.cwd().join(output);
            super::new_file(app, &output)?;
            desk.extract(name, &output)
        }
        Ask::Grep { pattern, .. } => desk.grep(pattern),
    }
}

/// What went wrong, and how to go on.
fn cannot(error: ShelfError, path: &Path) -> CliError {
    let message = error.to_string();
    match error {
        ShelfError::Input(_) => CliError::new(Exit::Usage, message).hint(
            "Name a bundle, its unpacked folder, or a case folder; `incident list` shows what is kept here",
        ),
        ShelfError::Damaged(fault) => damaged(&fault, path),
        ShelfError::NoFile(_) | ShelfError::Withheld(_) | ShelfError::NotKept { .. } => {
            CliError::new(Exit::Usage, message).hint("`incident evidence show` lists what is in it")
        }
        ShelfError::Write { .. } => CliError::new(Exit::Failed, message).stands("nothing was written"),
    }
}

fn damaged(fault: &Fault, path: &Path) -> CliError {
    CliError::new(
        Exit::Broken,
        format!("{} is damaged: {}: {}", path.display(), fault.place, fault.why),
    )
    .hint(format!("`incident verify {}` names what changed", path.display()))
}

/// One record that is read.
struct Reading<'a> {
    ui: &'a Ui,
    shelf: &'a Shelf,
    path: &'a Path,
    /// The path as it was named, for commands to paste.
    named: Option<&'a Path>,
}

impl Reading<'_> {
    fn title(&self) -> String {
        let kind = match self.shelf.kind {
            Kind::Bundle => "bundle",
            Kind::UnpackedBundle => "unpacked bundle",
            Kind::Case => "case folder",
            Kind::Part => "part of a bundle",
        };
        let id = self.shelf.incident.as_ref();
        let id = id.map_or("no incident that can be read", |id| id.as_str());
        let files = self.shelf.files();
        let bytes: u64 = files.iter().map(|file| file.len).sum();
        format!(
            "{id} ({kind}, {}, {bytes} bytes)",
            count(files.len(), "evidence file")
        )
    }

    /// How the last line of a damaged record reads, and how it ends.
    fn end(&self) -> Exit {
        let Some(fault) = &self.shelf.damaged else {
            return Exit::Done;
        };
        self.ui.error(&damaged(fault, self.path));
        Exit::Broken
    }

    /// Every row of the ledger, as it is read.
    fn list(&self) -> Result<Exit, CliError> {
        let (ui, shelf) = (self.ui, self.shelf);
        if !ui.json {
            ui.tone(Tone::Head, &self.title());
        }
        let mut named = vec![false; shelf.files().len()];
        let mut became: BTreeMap<&str, u64> = BTreeMap::new();
        for row in shelf.rows().map_err(|fault| damaged(&fault, self.path))? {
            let row = row.map_err(|e| damaged_journal(&e, self.path))?;
            *became.entry(row.status.word()).or_default() += 1;
            let file = shelf.file_of(&row);
            if let Some(named) = file.and_then(|n| named.get_mut(n)) {
                *named = true;
            }
            self.row(&row, file.is_some());
        }
        let unnamed: Vec<&Entry> = shelf
            .files()
            .iter()
            .zip(&named)
            .filter(|(_, named)| !**named)
            .map(|(file, _)| file)
            .collect();
        let holes = shelf.ledger.holes();
        if ui.json {
            let names = |files: &[&Entry]| files.iter().map(|f| f.name.to_string()).collect::<Vec<_>>();
            let exit = if shelf.damaged.is_some() {
                Exit::Broken
            } else {
                Exit::Done
            };
            ui.value(&json!({ "result": {
                "incident": shelf.incident.as_ref().map(ToString::to_string), "kind": shelf.kind,
                "files": shelf.files().len(), "became": became, "no_record_of": names(&unnamed),
                "beside": names(&shelf.beside().iter().collect::<Vec<_>>()), "holes": holes,
                "damaged": shelf.damaged, "withheld": shelf.withheld(),
            }, "exit": exit.code() }));
            return Ok(exit);
        }
        for file in unnamed {
            let text = format!("{} ({} bytes)", escape(&file.name), file.len);
            match shelf.has_journal() {
                true => {
                    let text = format!("{text}: no record says where it comes from");
                    ui.hanging(Tone::Warn, "  unknown    ", &text);
                }
                false => ui.hanging(Tone::Plain, "  shown      ", &text),
            }
        }
        let unfinished = [
            ("was begun and never ended", &shelf.ledger.unfinished),
            ("cannot be read by this version", &shelf.ledger.unreadable),
        ];
        for (what, records) in unfinished {
            for seq in records {
                ui.tone(
                    Tone::Warn,
                    &format!("  unknown    the capture in record {seq} {what}"),
                );
            }
        }
        let beside: Vec<&str> = shelf.beside().iter().map(|e| &*e.name).collect();
        if !beside.is_empty() {
            ui.hanging(Tone::Dim, "  also in it ", &escape(&beside.join(", ")));
        }
        if !shelf.withheld().is_empty() {
            ui.hanging(Tone::Warn, "  withheld   ", &escape(&shelf.withheld().join(", ")));
        }
        let sums: Vec<String> = became.iter().map(|(word, n)| format!("{n} {word}")).collect();
        match sums.is_empty() {
            true if !shelf.has_journal() => {
                ui.line("The journal is withheld: what became of what stands in the whole bundle.");
            }
            true => ui.line("Nothing was looked at: no record speaks of evidence."),
            false => ui.line(&format!("{}.", sums.join(", "))),
        }
        if let Some(file) = shelf.files().first() {
            ui.line(&format!(
                "  next: incident evidence show {}{}",
                escape(&file.name),
                self.of()
            ));
        }
        Ok(self.end())
    }

    /// How this record is named on the command line.
    fn of(&self) -> String {
        let named = self.named.map(|path| format!(" --in {}", path.display()));
        named.unwrap_or_default()
    }

    fn row(&self, row: &Row, kept: bool) {
        let name = format!("data/{}/{}", row.exhibit, row.name);
        if self.ui.json {
            self.ui
                .value(&json!({ "row": row, "file": kept.then_some(name) }));
            return;
        }
        let mut text = name;
        match kept {
            true => text += &format!(" ({} bytes), from {}", row.bytes, row.source),
            false => text += &format!(", from {}", row.source),
        }
        if row.redactions > 0 {
            let secrets = count(usize::try_from(row.redactions).unwrap_or(usize::MAX), "secret");
            text += &format!("; {secrets} taken out");
        }
        if !row.why.is_empty() {
            text += &format!(": {}", row.why);
        }
        let whole = !row.status.is_hole();
        if whole && !kept {
            text += ": not in it";
        }
        let tone = if whole && kept { Tone::Plain } else { Tone::Warn };
        self.ui
            .hanging(tone, &format!("  {:<10} ", row.status.word()), &escape(&text));
    }

    fn find(&self, name: &str) -> Result<&Entry, CliError> {
        self.shelf.find(name).map_err(|e| cannot(e, self.path))
    }

    /// A file, proved first. One that is not what is listed is shown with that said, and never raw.
    fn show(&self, name: &str, raw: bool) -> Result<Exit, CliError> {
        let file = self.find(name)?;
        if raw && self.ui.at_terminal() {
            return Err(CliError::new(
                Exit::Usage,
                "bytes that are not escaped could take over this terminal",
            )
            .hint("Send them into a pipe, or write them out with `incident evidence extract`"));
        }
        let read = || self.shelf.read(file).map_err(|fault| damaged(&fault, self.path));
        let fault = read()?.agrees().err();
        if self.ui.json {
            let exit = if fault.is_some() { Exit::Broken } else { Exit::Done };
            self.ui.value(&json!({
                "file": file.name, "bytes": file.len, "sha256": file.sha256, "fault": fault, "exit": exit.code(),
            }));
            return Ok(exit);
        }
        if let Some(fault) = &fault {
            let error = damaged(fault, self.path);
            if raw {
                return Err(error.stands("nothing was shown"));
            }
            self.ui.error(&error);
        }
        let mut bytes = read()?;
        self.ui
            .pieces(|out| match raw {
                true => std::io::copy(&mut bytes, out).map(drop),
                false => evidence::show(&mut bytes, out),
            })
            .map_err(|e| CliError::new(Exit::Failed, format!("{name} was shown in part only: {e}")))?;
        // What was shown is what was read this time.
        match (fault, bytes.agrees()) {
            (Some(_), _) => Ok(Exit::Broken),
            (None, Err(fault)) => Err(damaged(&fault, self.path)),
            (None, Ok(())) => Ok(Exit::Done),
        }
    }

    fn extract(&self, name: &str, to: &Path) -> Result<Exit, CliError> {
        let file = self.find(name)?;
        self.shelf
            .extract(file, to)
            .map_err(|e| cannot(e, self.path).stands(format!("{} was not written", to.display())))?;
        if self.ui.json {
            self.ui.value(&json!({ "extracted": {
                "file": file.name, "bytes": file.len, "sha256": file.sha256, "path": to,
            }, "exit": Exit::Done.code() }));
            return Ok(Exit::Done);
        }
        self.ui.tone(
            Tone::Good,
            &format!(
                "{} ({} bytes) is written to {}.",
                file.name,
                file.len,
                to.display()
            ),
        );
        self.ui.line(&format!(
            "  sha256  {}, as listed; verify proves the list",
            file.sha256
        ));
        self.ui
            .line(&format!("  next: incident verify {}", self.path.display()));
        Ok(Exit::Done)
    }

    fn grep(&self, pattern: &str) -> Result<Exit, CliError> {
        let pattern = Regex::new(pattern).map_err(|e| {
            let text = e.to_string();
            let why = text
                .lines()
                .last()
                .unwrap_or_default()
                .trim_start_matches("error: ");
            CliError::new(Exit::Usage, "the pattern is no regular expression")
                .because(why)
                .hint("A backslash before it makes a sign stand for itself: `\\(`")
        })?;
        let (ui, shelf) = (self.ui, self.shelf);
        let (mut lines, mut matched, mut bytes) = (0, 0usize, 0);
        let mut faults = Vec::new();
        for file in shelf.files() {
            bytes += file.len;
            let searched = shelf.read(file).and_then(|mut reading| {
                let searched = evidence::search(&mut reading, &pattern, &mut |hit, binary| {
                    self.hit(file, hit, binary)
                })
                .map_err(|e| Fault {
                    place: escape(&file.name),
                    why: format!("cannot be read: {e}"),
                })?;
                reading.agrees().map(|()| searched)
            });
            match searched {
                Ok(searched) => {
                    lines += searched.lines;
                    matched += usize::from(searched.lines > 0);
                    self.searched(file, &searched);
                }
                Err(fault) => faults.push(fault),
            }
        }
        faults.extend(shelf.damaged.clone());
        let holes = shelf.ledger.holes().len();
        let exit = if faults.is_empty() {
            Exit::Done
        } else {
            Exit::Broken
        };
        if ui.json {
            ui.value(&json!({ "result": {
                "lines": lines, "files": matched, "searched": shelf.files().len(), "bytes": bytes,
                "not_collected": holes, "withheld": shelf.withheld().len(), "faults": faults,
            }, "exit": exit.code() }));
            return Ok(exit);
        }
        let found = count(usize::try_from(lines).unwrap_or(usize::MAX), "line");
        ui.aside(&format!(
            "{found} in {}; {} searched, {bytes} bytes.",
            count(matched, "file"),
            count(shelf.files().len(), "file"),
        ));
        if holes > 0 {
            let text = format!(
                "Not collected whole, and so not searched: {holes}; `incident evidence show{}` names them.",
                self.of()
            );
            ui.aside(&styled(Tone::Warn, &text));
        }
        if !shelf.withheld().is_empty() {
            let text = format!(
                "Withheld in this part, and so not searched: {}.",
                count(shelf.withheld().len(), "file")
            );
            ui.aside(&styled(Tone::Warn, &text));
        }
        for fault in &faults {
            ui.error(&damaged(fault, self.path));
        }
        Ok(exit)
    }

    fn hit(&self, file: &Entry, hit: &Hit<'_>, binary: bool) {
        if self.ui.json {
            let text = (!binary).then(|| escape_bytes(around(hit)));
            self.ui.value(&json!({ "file": file.name, "line": hit.line, "byte": hit.byte, "text": text, "binary": binary }));
        } else if !binary {
            let text = escape_bytes(around(hit));
            self.ui
                .line(&format!("{}:{}: {text}", escape(&file.name), hit.line));
        }
    }

    /// What is said of a file once it was searched.
    fn searched(&self, file: &Entry, searched: &evidence::Searched) {
        if searched.binary && searched.lines > 0 && !self.ui.json {
            self.ui.line(&format!(
                "{}: binary, with {} (UTF-16 is not read as text)",
                escape(&file.name),
                count(
                    usize::try_from(searched.lines).unwrap_or(usize::MAX),
                    "matching line"
                )
            ));
        }
        if let Some(line) = searched.pieces {
            self.ui.aside(&styled(
                Tone::Warn,
                &format!(
                    "{}:{line}: longer than 1 MiB, searched in pieces that overlap by 64 KiB",
                    escape(&file.name)
                ),
            ));
        }
    }
}

fn damaged_journal(why: &std::io::Error, path: &Path) -> CliError {
    let fault = Fault {
        place: "journal.jsonl".to_owned(),
        why: format!("cannot be read: {why}"),
    };
    damaged(&fault, path)
}

/// The part of a line around its match.
fn around<'a>(hit: &Hit<'a>) -> &'a [u8] {
    let from = hit.at.saturating_sub(BEFORE);
    &hit.text[from..hit.text.len().min(hit.at + AFTER)]
}
