//! `file`: a file, or a folder and everything below it, as it is. Links are named and not followed.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::names;
use super::source::{Item, Taken};
use super::{Ctx, others};
use crate::model::event::ItemStatus;
use crate::model::time::rfc3339;
use crate::world::files::Stat;

/// Name of the list of everything met, with sizes, owners and times.
const LISTING: &str = "listing.txt";

/// Name of a single file in the exhibit.
pub(super) fn name_of(path: &Path) -> String {
    names::plain(path.file_name().map_or(path, Path::new))
}

/// A file, or everything below a folder, up to the limits.
///
/// With `newer_ms` only what was changed since then; the rest stands in the list alone.
pub(super) async fn tree(
    ctx: Ctx<'_>,
    top: &Path,
    newer_ms: Option<i64>,
    prefix: Option<&str>,
) -> Vec<Taken> {
    let began = ctx.world.clock.now().mono_us;
    let mut taken = Vec::new();
    let mut listing = "# mode owner bytes changed path\n".to_owned();
    let list_name = prefix.map_or_else(|| LISTING.to_owned(), |prefix| format!("{prefix}-{LISTING}"));
    let mut given = BTreeSet::from([list_name.clone()]);
    let mut open: Vec<PathBuf> = vec![top.to_owned()];
    let mut files = 0;
    let mut older = 0;
    let above = top.parent().unwrap_or(Path::new("/"));
    while let Some(path) = open.pop() {
        let below = match prefix {
            Some(prefix) => Path::new(prefix).join(path.strip_prefix(top).unwrap_or(&path)),
            None => path.strip_prefix(above).unwrap_or(&path).to_owned(),
        };
        let name = names::unique(&names::plain(&below), &mut given);
        let item = Item {
            name,
            touches: path.display().to_string(),
        };
        let stat = match ctx.world.files.stat(&path) {
            Ok(stat) => stat,
            Err(e) if path == top && prefix.is_some() && e.kind() == io::ErrorKind::NotFound => {
                return vec![not_here(item)];
            }
            Err(e) => {
                taken.push(failed(item, &e));
                continue;
            }
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            listing,
            "{:04o} {} {} {} {}",
            stat.mode,
            stat.uid,
            stat.len,
            rfc3339(stat.mtime_ms),
            path.display().to_string().escape_debug()
        );
        let spent = Duration::from_micros(ctx.world.clock.now().mono_us - began);
        if stat.is_link {
            taken.push(Taken::hole(
                item,
                ItemStatus::Skipped,
                "a symbolic link, not followed",
            ));
        } else if stat.is_dir {
            match ctx.world.files.list(&path) {
                // Last in is first out: turned round, so that the order is the one of the names.
                Ok(names) => open.extend(names.iter().rev().map(|name| path.join(name))),
                Err(e) => taken.push(failed(item, &e)),
            }
        } else if !stat.is_file {
            taken.push(Taken::hole(
                item,
                ItemStatus::Skipped,
                "neither a file nor a folder",
            ));
        } else if newer_ms.is_some_and(|newer| stat.mtime_ms < newer) {
            older += 1;
        } else if files >= ctx.limits.files {
            let why = format!("only {} files are taken from one folder", ctx.limits.files);
            taken.push(Taken::hole(item, ItemStatus::Skipped, &why));
        } else if let Some(why) = ctx.over() {
            taken.push(Taken::hole(item, ItemStatus::Skipped, why));
        } else if spent >= ctx.limits.deadline {
            taken.push(Taken::hole(
                item,
                ItemStatus::Skipped,
                "the time for this folder had run out",
            ));
        } else {
            files += 1;
            taken.push(copy(ctx, item, &path).await);
        }
    }
    let item = Item {
        name: list_name,
        touches: top.display().to_string(),
    };
    if older > 0 {
        let _ = writeln!(
            listing,
            "# {older} of these were not changed since then and are not taken"
        );
    }
    taken.insert(0, keep(ctx, item, &mut listing.as_bytes()).await);
    taken
}

/// One file that a table names, up to the cap.
pub(super) async fn named(ctx: Ctx<'_>, item: Item, path: &Path) -> Taken {
    match ctx.world.files.stat(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => not_here(item),
        _ => copy(ctx, item, path).await,
    }
}

/// What a table looks for on every host, and what need not be on this one.
fn not_here(item: Item) -> Taken {
    Taken::hole(item, ItemStatus::Skipped, "there is none here")
}

/// A file as it was while it was read; whether it changed meanwhile stands beside it.
async fn copy(ctx: Ctx<'_>, item: Item, path: &Path) -> Taken {
    let before = ctx.world.files.stat(path);
    let mut file = match ctx.world.files.open(path) {
        Ok(file) => file,
        Err(e) => return failed(item, &e),
    };
    let taken = keep(ctx, item, &mut file).await;
    match (before, ctx.world.files.stat(path)) {
        (Ok(before), Ok(after)) if taken.why.is_none() => Taken {
            why: changed(&before, &after),
            ..taken
        },
        (Ok(_), Err(e)) if taken.why.is_none() => Taken {
            why: Some(format!("it was moved or removed while it was read: {e}")),
            ..taken
        },
        _ => taken,
    }
}

/// How a file changed between two looks. What has no length is made when it is read, as in `/proc`.
fn changed(before: &Stat, after: &Stat) -> Option<String> {
    if after.len == 0 && before.len == 0 || (before.len, before.mtime_ms) == (after.len, after.mtime_ms) {
        return None;
    }
    Some(format!(
        "it changed while it was read: {} bytes of {} before, {} bytes of {} after",
        before.len,
        rfc3339(before.mtime_ms),
        after.len,
        rfc3339(after.mtime_ms)
    ))
}

async fn keep(ctx: Ctx<'_>, item: Item, from: &mut dyn Read) -> Taken {
    let began = ctx.world.clock.now().mono_us;
    let mut out = match ctx.sink.open(&item.name) {
        Ok(out) => out,
        Err(e) => return Taken::hole(item, ItemStatus::Failed, &format!("cannot be kept: {e}")),
    };
    let mut buffer = vec![0; 64 << 10];
    let mut bytes: u64 = 0;
    let (status, why) = loop {
        others().await;
        let room = ctx.limits.cap.saturating_sub(bytes);
        let read = match from.read(&mut buffer) {
            Ok(0) => break (ItemStatus::Collected, None),
            Ok(read) => read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => break (ItemStatus::Failed, Some(format!("broke off while reading: {e}"))),
        };
        let kept = usize::try_from(room).map_or(read, |room| room.min(read));
        if let Err(e) = out.write_all(buffer.get(..kept).unwrap_or_default()) {
            break (ItemStatus::Failed, Some(format!("cannot be kept: {e}")));
        }
        bytes += u64::try_from(kept).unwrap_or(0);
        if kept < read {
            break (
                ItemStatus::Truncated,
                Some(format!("longer than {} bytes", ctx.limits.cap)),
            );
        }
        if ctx.world.interrupt.count() > ctx.presses {
            let why = "interrupted; the beginning is kept".to_owned();
            break (ItemStatus::Truncated, Some(why));
        }
        let spent = Duration::from_micros(ctx.world.clock.now().mono_us - began);
        if spent >= ctx.limits.deadline {
            let why = format!("not done after {} ms", spent.as_millis());
            break (ItemStatus::TimedOut, Some(why));
        }
    };
    let flushed = out.flush();
    let (status, why) = match flushed {
        Err(e) => (ItemStatus::Failed, Some(format!("cannot be kept: {e}"))),
        Ok(()) => (status, why),
    };
    Taken {
        name: item.name,
        source: item.touches,
        status,
        why,
        bytes,
        ms: (ctx.world.clock.now().mono_us - began) / 1_000,
    }
}

fn failed(item: Item, error: &io::Error) -> Taken {
    let status = if error.kind() == io::ErrorKind::PermissionDenied {
        ItemStatus::Forbidden
    } else {
        ItemStatus::Failed
    };
    Taken::hole(item, status, &error.to_string())
}
