//! Where copies lie, how old and large they are, and who could write or replace them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::Ctx;
use super::source::{Item, Taken, keep};
use crate::model::event::ItemStatus;
use crate::model::time::rfc3339;
use crate::world::files::Stat;

/// Files of one folder that are listed, newest first.
const FILES: usize = 200;

/// What each path is and who can change it, with every folder above it: who can write one of those can put
/// something else in its place.
pub(super) fn take(ctx: Ctx<'_>, item: Item, paths: &[PathBuf]) -> Taken {
    let began = ctx.world.clock.now().mono_us;
    let users = names(ctx, "/etc/passwd");
    let groups = names(ctx, "/etc/group");
    let mut text = String::new();
    let mut missing = Vec::new();
    for path in paths {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", shown(path));
        match ctx.world.files.stat(path) {
            Ok(stat) => {
                let _ = writeln!(text, "  {}", facts(&stat, &users, &groups, false));
                if stat.is_dir {
                    listing(ctx, path, &mut text);
                }
            }
            Err(e) => {
                let _ = writeln!(text, "  not seen: {e}");
                missing.push(format!("{}: {e}", path.display()));
            }
        }
        for above in path.ancestors().skip(1) {
            let told = match ctx.world.files.stat(above) {
                Ok(stat) => facts(&stat, &users, &groups, true),
                Err(e) => format!("not seen: {e}"),
            };
            let _ = writeln!(text, "  in {}: {told}", shown(above));
        }
    }
    let ms = (ctx.world.clock.now().mono_us - began) / 1_000;
    let taken = keep(ctx, item, text.as_bytes(), ms);
    if missing.is_empty() || taken.status != ItemStatus::Collected {
        return taken;
    }
    Taken {
        status: ItemStatus::Failed,
        why: Some(format!("{}; the rest is kept", missing.join("; "))),
        ..taken
    }
}

fn facts(stat: &Stat, users: &[(u32, String)], groups: &[(u32, String)], folder: bool) -> String {
    let kind = match (stat.is_dir, stat.is_link) {
        (_, true) => "a symbolic link",
        (true, _) => "a folder",
        _ => "a file",
    };
    let size = match stat.is_dir {
        true => String::new(),
        false => format!(", {} bytes", stat.len),
    };
    let name = |all: &[(u32, String)], id: u32| -> String {
        let found = all.iter().find(|(i, _)| *i == id);
        found.map_or_else(|| id.to_string(), |(_, name)| name.clone())
    };
    let mut writers = vec!["root".to_owned()];
    let owner = name(users, stat.uid);
    // The owner can always give himself the right back.
    if owner != "root" {
        writers.push(owner);
    }
    if stat.mode & 0o020 != 0 && stat.gid != 0 {
        writers.push(format!("group {}", name(groups, stat.gid)));
    }
    if stat.mode & 0o002 != 0 {
        writers.push("everybody".to_owned());
    }
    let verb = match (folder, stat.mode & 0o1000 != 0) {
        (false, _) => "writable by",
        (true, false) => "entries replaceable by",
        (true, true) => "entries replaceable by their owners and (sticky) addable by",
    };
    format!(
        "{kind}{size}, changed {}, mode {:04o}, {verb} {}",
        rfc3339(stat.mtime_ms),
        stat.mode,
        writers.join(", ")
    )
}

fn listing(ctx: Ctx<'_>, folder: &Path, text: &mut String) {
    let names = match ctx.world.files.list(folder) {
        Ok(names) => names,
        Err(e) => {
            let _ = writeln!(text, "  its entries are not seen: {e}");
            return;
        }
    };
    let stats = names
        .iter()
        .filter_map(|n| Some((n, ctx.world.files.stat(&folder.join(n)).ok()?)));
    let mut stats: Vec<_> = stats.collect();
    stats.sort_by_key(|(_, stat)| std::cmp::Reverse(stat.mtime_ms));
    for (name, stat) in stats.iter().take(FILES) {
        let _ = writeln!(
            text,
            "  - {} {} bytes, changed {}, mode {:04o}, owner {}",
            shown(name),
            stat.len,
            rfc3339(stat.mtime_ms),
            stat.mode,
            stat.uid
        );
    }
    if stats.len() > FILES {
        let _ = writeln!(text, "  - and {} older ones", stats.len() - FILES);
    }
}

/// Numbers and names, from a file in the form of `/etc/passwd` or `/etc/group`.
fn names(ctx: Ctx<'_>, path: &str) -> Vec<(u32, String)> {
    let bytes = ctx.world.files.read(Path::new(path), 4 << 20).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let line = |line: &str| {
        let mut parts = line.split(':');
        let name = parts.next()?.to_owned();
        Some((parts.nth(1)?.parse().ok()?, name))
    };
    text.lines().filter_map(line).collect()
}

fn shown(path: &Path) -> String {
    path.display().to_string().escape_debug().to_string()
}
