//! Look, don't touch: what this host, a program, a file or a repository says now.
//!
//! A collector is a table in `tables/`: its items, in the order in which they vanish soonest. One file a
//! source does the looking and returns what became of each item; a hole is a result like any other.
//! Absent from this room: where the bytes go (the engine's [`Sink`] redacts, hashes and keeps them), the
//! journal, and anything that changes what is looked at.

mod backup;
mod command;
mod each;
mod file;
mod fill;
mod get;
mod git;
mod host;
mod names;
mod source;
mod sql;
mod table;
mod tfstate;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use futures_util::StreamExt;
use futures_util::future::{Either, select};
use futures_util::stream;

pub use source::{Item, Taken};
pub use table::{Table, Take, TakeKind, by_name, names};

use crate::model::act::CaptureSpec;
use crate::model::secret::Secret;
use crate::world::World;
use crate::world::spawn::Child;
use source::Source;

/// How many items are looked at together: a hung one must not hold up the rest.
const TOGETHER: usize = 4;

/// How often it is looked whether somebody pressed Ctrl-C.
const GLANCE: Duration = Duration::from_millis(100);

/// Where the bytes of an item go.
pub trait Sink {
    /// Opens a file of the exhibit. Dropping the writer ends the file.
    fn open<'s>(&'s self, name: &str) -> io::Result<Box<dyn Write + 's>>;
}

/// What began just before the time of a capture ran out has this long.
const LAST: Duration = Duration::from_secs(10);

/// How long and how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For each item, while it goes on telling.
    pub deadline: Duration,
    /// For each item without any output; a server is not waited for longer. The deadline, where there is none.
    pub no_progress: Option<Duration>,
    /// For the whole capture: what has not begun by then is skipped.
    pub total: Duration,
    /// Bytes kept of each file.
    pub cap: u64,
    /// Files taken from one folder.
    pub files: usize,
}

impl Limits {
    /// What fits into a quick baseline of a minute.
    pub const QUICK: Limits = Limits {
        deadline: Duration::from_secs(30),
        no_progress: Some(Duration::from_secs(10)),
        total: Duration::from_secs(45),
        cap: 64 << 20,
        files: 10_000,
    };

    /// How long an answer is waited for that comes in one piece.
    fn silence(&self) -> Duration {
        self.no_progress.unwrap_or(self.deadline).min(self.deadline)
    }
}

/// What a capture is handed besides its specification.
#[derive(Clone, Copy)]
pub struct Ctx<'a> {
    /// The way out.
    pub world: &'a World,
    /// How long and how much.
    pub limits: Limits,
    /// Where the bytes go.
    pub sink: &'a dyn Sink,
    /// The whole environment of a `command`; the other collectors make their own.
    pub env: &'a dyn Fn() -> Vec<(String, Secret)>,
    /// Called with every child as soon as it exists.
    pub started: &'a dyn Fn(Child),
    /// How often Ctrl-C had been pressed when it began.
    pub presses: u32,
    /// When it began, microseconds of the clock that only goes forward.
    pub began_us: u64,
}

impl Ctx<'_> {
    /// How long this capture has been going on.
    fn spent(&self) -> Duration {
        Duration::from_micros(self.world.clock.now().mono_us.saturating_sub(self.began_us))
    }

    /// For an item that begins now: it is over soon after the time of the capture is.
    fn item(self) -> Self {
        let left = (self.limits.total + LAST).saturating_sub(self.spent());
        let deadline = self.limits.deadline.min(left);
        Ctx {
            limits: Limits {
                deadline,
                ..self.limits
            },
            ..self
        }
    }

    /// Why nothing more is begun, once the time is over or somebody pressed Ctrl-C.
    fn over(&self) -> Option<&'static str> {
        if self.world.interrupt.count() > self.presses {
            return Some("interrupted");
        }
        (self.spent() >= self.limits.total).then_some("the time for this capture had run out")
    }

    /// Waits for a server, and no longer once somebody presses Ctrl-C: nobody sits out its deadline then.
    ///
    /// An `answer` that is not awaited any more is dropped, and its connection with it.
    async fn answer<T>(&self, answer: impl Future<Output = T>) -> Result<T, Interrupted> {
        let mut answer = pin!(answer);
        while self.world.interrupt.count() <= self.presses {
            let pause = self.world.clock.sleep(GLANCE);
            if let Either::Left((value, _)) = select(answer.as_mut(), pause).await {
                return Ok(value);
            }
        }
        Err(Interrupted)
    }
}

/// Lets the other looks go on: what reads files never waits, and what waits must not be found late.
async fn others() {
    let mut been = false;
    poll_fn(|context| match std::mem::replace(&mut been, true) {
        true => Poll::Ready(()),
        false => {
            context.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}

/// Somebody pressed Ctrl-C while a server was waited for.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("interrupted")]
struct Interrupted;

/// What a specification is read against.
#[derive(Debug, Clone, Default)]
pub struct Scene {
    /// Wall time, milliseconds.
    pub now_ms: i64,
    /// Home of the responder.
    pub home: String,
    /// Where relative paths begin.
    pub here: String,
    /// `linux` or `macos`.
    pub os: &'static str,
}

impl Scene {
    /// Of this world, now.
    pub fn of(world: &World, here: &Path) -> Scene {
        let home = world.host.home().map(|h| h.display().to_string());
        Scene {
            now_ms: world.clock.now().utc_ms,
            home: home.unwrap_or_default(),
            here: here.display().to_string(),
            os: std::env::consts::OS,
        }
    }

    fn path(&self, path: &str) -> PathBuf {
        Path::new(&self.here).join(path)
    }
}

/// Why a specification cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotGiven(pub String);

/// What a capture would look at and touch, without looking.
pub fn plan(spec: &CaptureSpec, scene: &Scene) -> Result<Vec<Item>, NotGiven> {
    Ok(items(spec, scene)?.iter().flat_map(Source::items).collect())
}

/// Looks, and says of each item what became of it, in the order of the plan.
pub async fn run(ctx: Ctx<'_>, spec: &CaptureSpec, scene: &Scene) -> Vec<Taken> {
    let sources = match items(spec, scene) {
        Ok(sources) => sources,
        Err(NotGiven(why)) => vec![Source::Hole(source::Hole {
            name: "capture".to_owned(),
            touches: "nothing".to_owned(),
            why,
        })],
    };
    let taken: Vec<Vec<Taken>> = stream::iter(sources)
        .map(|source| source.take_or_skip(ctx))
        .buffered(TOGETHER)
        .collect()
        .await;
    taken.into_iter().flatten().collect()
}

fn items(spec: &CaptureSpec, scene: &Scene) -> Result<Vec<Source>, NotGiven> {
    Ok(match spec {
        CaptureSpec::Host => fill::sources("host", &BTreeMap::new(), &[], scene)?,
        CaptureSpec::Collector { name, with, changing } => fill::sources(name, with, changing, scene)?,
        CaptureSpec::Command { argv, cwd } => command::items(argv, cwd.as_deref()),
        CaptureSpec::File { path } => vec![Source::Tree {
            path: path.clone(),
            newer_ms: None,
            prefix: None,
        }],
        CaptureSpec::Git { repo } => vec![Source::Git(git::Repository {
            repo: repo.clone(),
            prefix: String::new(),
        })],
    })
}
