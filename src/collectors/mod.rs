//! Look, don't touch: what this host, a program, a file or a repository says now.
//!
//! One file a source. A collector knows its items, in the order in which they vanish soonest, and
//! returns what became of each; a hole is a result like any other.
//! Absent from this room: where the bytes go (the engine's [`Sink`] redacts, hashes and keeps them), the
//! journal, and anything that changes what is looked at.

mod command;
mod file;
mod git;
mod host;
mod names;
mod source;

use std::io::{self, Write};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;

pub use source::{Item, Taken};

use crate::model::act::CaptureSpec;
use crate::model::event::ItemStatus;
use crate::model::secret::Secret;
use crate::world::World;
use crate::world::spawn::Child;
use source::Source;

/// How many items are looked at together: a hung one must not hold up the rest.
const TOGETHER: usize = 4;

/// Where the bytes of an item go.
pub trait Sink {
    /// Opens a file of the exhibit. Dropping the writer ends the file.
    fn open<'s>(&'s self, name: &str) -> io::Result<Box<dyn Write + 's>>;
}

/// How long and how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For each item.
    pub deadline: Duration,
    /// For each item without any output.
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
        deadline: Duration::from_secs(10),
        no_progress: None,
        total: Duration::from_secs(45),
        cap: 64 << 20,
        files: 10_000,
    };
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
}

/// What a capture would look at and touch, without looking.
pub fn plan(spec: &CaptureSpec) -> Vec<Item> {
    items(spec).iter().map(Source::item).collect()
}

/// Looks, and says of each item what became of it, in the order of the plan.
pub async fn run(ctx: Ctx<'_>, spec: &CaptureSpec) -> Vec<Taken> {
    let began = ctx.world.clock.now().mono_us;
    let presses = ctx.world.interrupt.count();
    let items = match spec {
        CaptureSpec::Git { repo } => match git::tame(ctx.world, repo).await {
            Ok(overrides) => git::items(repo, &overrides),
            Err(why) => {
                let taken = |item: Item| Taken::hole(item, ItemStatus::Failed, &why);
                return plan(spec).into_iter().map(taken).collect();
            }
        },
        spec => items(spec),
    };
    let taken: Vec<Vec<Taken>> = stream::iter(items)
        .map(|item| async move {
            let spent = Duration::from_micros(ctx.world.clock.now().mono_us - began);
            if ctx.world.interrupt.count() > presses {
                return vec![Taken::hole(item.item(), ItemStatus::Skipped, "interrupted")];
            }
            if spent >= ctx.limits.total {
                let why = "the time for this capture had run out";
                return vec![Taken::hole(item.item(), ItemStatus::Skipped, why)];
            }
            item.take(ctx).await
        })
        .buffered(TOGETHER)
        .collect()
        .await;
    taken.into_iter().flatten().collect()
}

fn items(spec: &CaptureSpec) -> Vec<Source> {
    match spec {
        CaptureSpec::Host => host::items(),
        CaptureSpec::Command { argv, cwd } => command::items(argv, cwd.as_deref()),
        CaptureSpec::File { path } => vec![Source::Tree(path.clone())],
        CaptureSpec::Git { repo } => git::items(repo, &[]),
    }
}
