//! One thing to look at: a program's output, a file, a folder, or the process list.

use std::io::{self, Write};
use std::path::PathBuf;

use super::each::EachSource;
use super::get::Get;
use super::git::Repository;
use super::sql::Sql;
use super::tfstate::State;
use super::{Ctx, backup, file, host};
use crate::model::event::ItemStatus;
use crate::model::secret::Secret;
use crate::world::Later;
use crate::world::spawn::{Command, End, Ran};

/// What an item is called and what it touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// File name in the exhibit.
    pub name: String,
    /// The program that is run or the path that is read.
    pub touches: String,
}

/// What became of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// File name in the exhibit, or the name of what is missing.
    pub name: String,
    /// Where it came from (command line, path).
    pub source: String,
    /// What became of it.
    pub status: ItemStatus,
    /// Why, where it is not whole; what else is to be known of it, where it is.
    pub why: Option<String>,
    /// Bytes handed to the sink.
    pub bytes: u64,
    /// Milliseconds it took.
    pub ms: u64,
}

impl Taken {
    /// Something that is not there.
    pub(super) fn hole(item: Item, status: ItemStatus, why: &str) -> Self {
        Taken {
            name: item.name,
            source: item.touches,
            status,
            why: Some(why.to_owned()),
            bytes: 0,
            ms: 0,
        }
    }
}

/// One thing to look at.
pub(super) enum Source {
    /// Standard output of a program; its errors go beside it.
    Program(Program),
    /// One file, as it is.
    File {
        /// Name in the exhibit.
        name: String,
        /// Where it lies.
        path: PathBuf,
    },
    /// A file, or a folder with everything below it.
    Tree {
        /// Where it lies.
        path: PathBuf,
        /// Files that were not changed since then are listed, not taken. Milliseconds since the epoch.
        newer_ms: Option<i64>,
        /// What the names in the exhibit begin with; without it, the name of what is taken.
        prefix: Option<String>,
    },
    /// The process list, under this name.
    Processes(String),
    /// Questions to a database.
    Sql(Sql),
    /// One address of a server.
    Get(Get),
    /// A Terraform state.
    State(State),
    /// A git repository.
    Git(Repository),
    /// Copies of data, and who can write them.
    Backups {
        /// Name in the exhibit.
        name: String,
        /// Where they lie.
        paths: Vec<PathBuf>,
    },
    /// The same for each of a list.
    Each(Box<EachSource>),
    /// Something that is not looked at.
    Hole(Hole),
}

/// Something that is left alone.
pub(super) struct Hole {
    /// Its name.
    pub name: String,
    /// What it would have touched.
    pub touches: String,
    /// Why.
    pub why: String,
}

/// A program that only reads.
pub(super) struct Program {
    /// Name of the output in the exhibit.
    pub name: String,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Working directory.
    pub cwd: Option<PathBuf>,
    /// Where its environment comes from.
    pub env: Env,
    /// True where a host may well lack it: then it is skipped, not failed.
    pub optional: bool,
    /// What stands in its output where there was more than it gave.
    pub more: Option<String>,
    /// True where it says nothing before its end: silence is no standstill then.
    pub silent: bool,
}

/// Where a program's environment comes from.
pub(super) enum Env {
    /// From the engine.
    Given,
    /// These, and a plain `PATH` and locale.
    Own(Vec<(String, String)>),
}

impl Source {
    /// What it will look at, one a file; for a list that is not known yet, one for all.
    pub(super) fn items(&self) -> Vec<Item> {
        let (name, touches) = match self {
            Source::Program(program) => (program.name.clone(), program.argv.join(" ")),
            Source::File { name, path } => (name.clone(), path.display().to_string()),
            Source::Tree { path, prefix, .. } => {
                let name = prefix.clone().unwrap_or_else(|| file::name_of(path));
                (name, path.display().to_string())
            }
            Source::Processes(name) => (name.clone(), "/proc".to_owned()),
            Source::Sql(sql) => return sql.items(),
            Source::Get(get) => return vec![get.item()],
            Source::State(state) => return vec![state.item()],
            Source::Git(repository) => return repository.items(),
            Source::Backups { name, paths } => {
                let paths = paths.iter().map(|p| p.display().to_string());
                (name.clone(), paths.collect::<Vec<_>>().join(" "))
            }
            Source::Each(each) => return vec![each.item()],
            Source::Hole(hole) => (hole.name.clone(), format!("nothing: {}", hole.why)),
        };
        vec![Item { name, touches }]
    }

    /// Looks, unless there is no time left or somebody pressed Ctrl-C.
    pub(super) async fn take_or_skip(self, ctx: Ctx<'_>) -> Vec<Taken> {
        match ctx.over() {
            Some(why) => {
                let items = self.items().into_iter();
                items
                    .map(|item| Taken::hole(item, ItemStatus::Skipped, why))
                    .collect()
            }
            None => self.take(ctx.item()).await,
        }
    }

    /// Looks. Boxed, because a list holds further sources.
    pub(super) fn take<'a>(self, ctx: Ctx<'a>) -> Later<'a, Vec<Taken>> {
        Box::pin(async move {
            let only = |source: &Source| {
                let first = source.items().into_iter().next();
                first.unwrap_or(Item {
                    name: String::new(),
                    touches: String::new(),
                })
            };
            match self {
                Source::Program(program) => run(ctx, program).await,
                Source::File { ref path, .. } => vec![file::named(ctx, only(&self), path).await],
                Source::Tree {
                    path,
                    newer_ms,
                    prefix,
                } => file::tree(ctx, &path, newer_ms, prefix.as_deref()).await,
                Source::Processes(_) => vec![host::processes(ctx, only(&self))],
                Source::Sql(sql) => sql.take(ctx).await,
                Source::Get(get) => get.take(ctx).await,
                Source::State(state) => vec![state.take(ctx).await],
                Source::Git(repository) => repository.take(ctx).await,
                Source::Backups { ref paths, .. } => vec![backup::take(ctx, only(&self), paths)],
                Source::Each(each) => each.take(ctx).await,
                Source::Hole(hole) => {
                    let item = Item {
                        name: hole.name,
                        touches: hole.touches,
                    };
                    vec![Taken::hole(item, Hole::STATUS, &hole.why)]
                }
            }
        })
    }
}

async fn run(ctx: Ctx<'_>, program: Program) -> Vec<Taken> {
    let source = program.argv.join(" ");
    let item = Item {
        name: program.name.clone(),
        touches: source.clone(),
    };
    let mut out = match ctx.sink.open(&program.name) {
        Ok(out) => out,
        Err(e) => {
            return vec![Taken::hole(
                item,
                ItemStatus::Failed,
                &format!("cannot be kept: {e}"),
            )];
        }
    };
    let errors = format!("{}.stderr", program.name);
    let mut err = OnDemand {
        open: || ctx.sink.open(&errors),
        file: None,
    };
    let env = match program.env {
        Env::Given => (ctx.env)(),
        Env::Own(own) => plain(own),
    };
    let command = Command {
        argv: program.argv,
        cwd: program.cwd,
        env,
        stdin: None,
        deadline: ctx.limits.deadline,
        no_progress: ctx.limits.no_progress.filter(|_| !program.silent),
        cap: ctx.limits.cap,
    };
    let mut started = |child| (ctx.started)(child);
    let mut out = Watched {
        to: &mut *out,
        word: program.more.as_deref().unwrap_or_default().as_bytes(),
        tail: Vec::new(),
        seen: false,
    };
    let ran = ctx
        .world
        .spawn
        .run(command, &mut out, &mut err, &mut started)
        .await;
    let (status, why) = match word(&ran, program.optional) {
        (ItemStatus::Collected, _) if out.seen => {
            let why = "it gave only the first part: there is more".to_owned();
            (ItemStatus::Truncated, Some(why))
        }
        other => other,
    };
    let mut taken = vec![Taken {
        name: program.name,
        source: source.clone(),
        status,
        why,
        bytes: ran.out_bytes.min(ctx.limits.cap),
        ms: ran.ms,
    }];
    if err.file.is_some() {
        let cut = ran.err_bytes > ctx.limits.cap;
        taken.push(Taken {
            name: errors.clone(),
            source,
            status: if cut {
                ItemStatus::Truncated
            } else {
                ItemStatus::Collected
            },
            why: cut.then(|| format!("{} bytes in all", ran.err_bytes)),
            bytes: ran.err_bytes.min(ctx.limits.cap),
            ms: ran.ms,
        });
    }
    taken
}

/// Keeps a text that was made here, up to the cap.
pub(super) fn keep(ctx: Ctx<'_>, item: Item, text: &[u8], ms: u64) -> Taken {
    let cap = usize::try_from(ctx.limits.cap).unwrap_or(usize::MAX);
    let kept = text.get(..cap).unwrap_or(text);
    let written = ctx.sink.open(&item.name).and_then(|mut out| {
        out.write_all(kept)?;
        out.flush()
    });
    if let Err(e) = written {
        return Taken::hole(item, ItemStatus::Failed, &format!("cannot be kept: {e}"));
    }
    let cut = kept.len() < text.len();
    Taken {
        name: item.name,
        source: item.touches,
        status: match cut {
            true => ItemStatus::Truncated,
            false => ItemStatus::Collected,
        },
        why: cut.then(|| format!("{} bytes in all", text.len())),
        bytes: u64::try_from(kept.len()).unwrap_or(u64::MAX),
        ms,
    }
}

/// What a program that only reads says, whole and in memory; or what became of it.
pub(super) async fn output(
    ctx: Ctx<'_>,
    argv: &[String],
    env: Vec<(String, Secret)>,
    cap: u64,
) -> Result<Vec<u8>, (ItemStatus, String)> {
    let command = Command {
        argv: argv.to_vec(),
        cwd: None,
        env,
        stdin: None,
        deadline: ctx.limits.deadline,
        no_progress: ctx.limits.no_progress,
        cap,
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut started = |child| (ctx.started)(child);
    let ran = ctx
        .world
        .spawn
        .run(command, &mut out, &mut err, &mut started)
        .await;
    match word(&ran, true) {
        (ItemStatus::Collected, _) => Ok(out),
        _ if ran.end == End::Interrupted => Err((ItemStatus::Failed, "interrupted".to_owned())),
        (ItemStatus::Truncated, _) => Err((ItemStatus::Failed, format!("it is longer than {cap} bytes"))),
        (status, why) => {
            let said: String = String::from_utf8_lossy(&err).trim().chars().take(200).collect();
            let why = match (said.is_empty(), &ran.end) {
                (false, _) => said,
                // Nothing of it is kept here.
                (true, End::Exit(code)) => format!("exit code {code}, without a word"),
                (true, _) => why.unwrap_or_default(),
            };
            Err((status, why))
        }
    }
}

/// A fixed `PATH` and locale, and nothing of the responder's.
pub(super) fn plain(own: Vec<(String, String)>) -> Vec<(String, Secret)> {
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    [("PATH", path), ("LC_ALL", "C"), ("TZ", "UTC")]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .chain(own)
        .map(|(name, value)| (name, Secret::new(value)))
        .collect()
}

fn word(ran: &Ran, optional: bool) -> (ItemStatus, Option<String>) {
    let (status, why) = match &ran.end {
        End::Exit(0) if ran.truncated => (
            ItemStatus::Truncated,
            format!("{} bytes in all", ran.out_bytes.max(ran.err_bytes)),
        ),
        End::Exit(0) => return (ItemStatus::Collected, None),
        End::Exit(code) => (
            ItemStatus::Failed,
            format!("exit code {code}; what it wrote is kept"),
        ),
        End::Signal(signal) => (ItemStatus::Failed, format!("ended by signal {signal}")),
        End::Deadline => (ItemStatus::TimedOut, format!("not done after {} ms", ran.ms)),
        End::NoProgress => (
            ItemStatus::TimedOut,
            format!("no output for too long, ended after {} ms", ran.ms),
        ),
        End::Interrupted if ran.out_bytes > 0 => (
            ItemStatus::Truncated,
            "interrupted; the beginning is kept".to_owned(),
        ),
        End::Interrupted => (ItemStatus::Failed, "interrupted".to_owned()),
        End::NotStarted(why) if optional => (ItemStatus::Skipped, why.clone()),
        End::NotStarted(why) => (ItemStatus::Failed, why.clone()),
    };
    (status, Some(why))
}

/// A way to a file on which a word is looked for; none, where it is empty.
struct Watched<'s> {
    to: &'s mut dyn Write,
    word: &'s [u8],
    /// What the next bytes may go on with.
    tail: Vec<u8>,
    seen: bool,
}

impl Write for Watched<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        if !self.word.is_empty() && !self.seen {
            self.tail
                .extend_from_slice(bytes.get(..written).unwrap_or_default());
            self.seen = self.tail.windows(self.word.len()).any(|at| at == self.word);
            let past = self.tail.len().saturating_sub(self.word.len() - 1);
            self.tail.drain(..past);
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// A file that exists only once something is written to it.
struct OnDemand<'s, F> {
    open: F,
    file: Option<Box<dyn Write + 's>>,
}

impl<'s, F: FnMut() -> io::Result<Box<dyn Write + 's>>> Write for OnDemand<'s, F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        if self.file.is_none() {
            self.file = Some((self.open)()?);
        }
        match &mut self.file {
            Some(file) => file.write(bytes),
            None => Ok(0),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), |file| file.flush())
    }
}
