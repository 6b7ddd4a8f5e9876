//! Where copies lie, how old and large they are, and who could write or replace them.

use std::collections::BTreeSet;
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
    let names = Names::read(ctx);
    let mut text = String::new();
    let mut missing = Vec::new();
    for path in paths {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", shown(path));
        match ctx.world.files.stat(path) {
            Ok(stat) => {
                let _ = writeln!(text, "  {}", facts(ctx, path, &stat, &names, false));
                if stat.is_dir {
                    listing(ctx, path, &names, &mut text);
                }
            }
            Err(e) => {
                let _ = writeln!(text, "  not seen: {e}");
                missing.push(format!("{}: {e}", path.display()));
            }
        }
        for above in path.ancestors().skip(1) {
            let told = match ctx.world.files.stat(above) {
                Ok(stat) => facts(ctx, above, &stat, &names, true),
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

fn facts(ctx: Ctx<'_>, path: &Path, stat: &Stat, names: &Names, folder: bool) -> String {
    let kind = match (stat.is_dir, stat.is_link) {
        (_, true) => "a symbolic link",
        (true, _) => "a folder",
        _ => "a file",
    };
    let size = match stat.is_dir {
        true => String::new(),
        false => format!(", {} bytes", stat.len),
    };
    let verb = match (folder, stat.mode & 0o1000 != 0) {
        (false, _) => "writable by",
        (true, false) => "entries replaceable by",
        (true, true) => "entries replaceable by their owners and (sticky) addable by",
    };
    format!(
        "{kind}{size}, changed {}, mode {:04o}, {verb} {}",
        rfc3339(stat.mtime_ms),
        stat.mode,
        names.writers(stat, &ctx.world.files.access_list(path)).join(", ")
    )
}

/// The users and groups of this host.
struct Names {
    /// Number, name, main group.
    users: Vec<(u32, String, u32)>,
    /// Number, name, and whom it names as members.
    groups: Vec<(u32, String, Vec<String>)>,
}

/// What an entry of an access list is for.
const ACL_USER: u16 = 0x02;
const ACL_OWN_GROUP: u16 = 0x04;
const ACL_GROUP: u16 = 0x08;
const ACL_MASK: u16 = 0x10;

impl Names {
    fn read(ctx: Ctx<'_>) -> Names {
        let lines = |path: &str| {
            let bytes = ctx.world.files.read(Path::new(path), 4 << 20).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let cells = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
            text.lines().map(cells).collect::<Vec<_>>()
        };
        let users = lines("/etc/passwd").into_iter().filter_map(|cells| {
            let number = |at: usize| cells.get(at)?.parse().ok();
            Some((number(2)?, cells.first()?.clone(), number(3)?))
        });
        let groups = lines("/etc/group").into_iter().filter_map(|cells| {
            let members = cells.get(3)?.split(',').filter(|m| !m.is_empty());
            let members = members.map(str::to_owned).collect();
            Some((cells.get(2)?.parse().ok()?, cells.first()?.clone(), members))
        });
        Names {
            users: users.collect(),
            groups: groups.collect(),
        }
    }

    fn user(&self, id: u32) -> String {
        let found = self.users.iter().find(|(i, ..)| *i == id);
        found.map_or_else(|| id.to_string(), |(_, name, _)| name.clone())
    }

    /// Everybody known to be in a group: a file that it can write, they can.
    fn members(&self, id: u32) -> Vec<&str> {
        let named = self
            .groups
            .iter()
            .filter(|(i, ..)| *i == id)
            .flat_map(|(.., m)| m);
        let main = self.users.iter().filter(|(.., group)| *group == id);
        let all = named.chain(main.map(|(_, name, _)| name));
        all.map(String::as_str)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    }

    fn group(&self, id: u32) -> String {
        let found = self.groups.iter().find(|(i, ..)| *i == id);
        let name = found.map_or_else(|| id.to_string(), |(_, name, _)| name.clone());
        match self.members(id).join(" ") {
            none if none.is_empty() => format!("group {name}"),
            members => format!("group {name} ({members})"),
        }
    }

    /// Everybody who can write it. Root and the owner always can: an owner gives the right back to themselves.
    fn writers(&self, stat: &Stat, access_list: &[u8]) -> Vec<String> {
        let mut writers = vec!["root".to_owned(), self.user(stat.uid)];
        let mut own_group = stat.mode & 0o020 != 0;
        // Two bytes each for whom it is and what they may, four for their number; before all of them a version.
        let entries = access_list.get(4..).unwrap_or_default().chunks_exact(8);
        let entries: Vec<(u16, u16, u32)> = entries
            .map(|e| {
                let id = u32::from_le_bytes([e[4], e[5], e[6], e[7]]);
                (
                    u16::from_le_bytes([e[0], e[1]]),
                    u16::from_le_bytes([e[2], e[3]]),
                    id,
                )
            })
            .collect();
        let mask = entries.iter().find(|(tag, ..)| *tag == ACL_MASK);
        let mask = mask.map_or(0o7, |(_, may, _)| *may);
        for (tag, may, id) in entries {
            let writes = may & mask & 0o2 != 0;
            match tag {
                ACL_USER if writes => writers.push(self.user(id)),
                ACL_GROUP if writes => writers.push(self.group(id)),
                // With a list the group's bits of the mode are its mask.
                ACL_OWN_GROUP => own_group = writes,
                _ => {}
            }
        }
        // In root's own group there is mostly nobody else.
        if own_group && (stat.gid != 0 || self.members(0) != ["root"]) {
            writers.push(self.group(stat.gid));
        }
        if stat.mode & 0o002 != 0 {
            writers.push("everybody".to_owned());
        }
        let mut told = Vec::new();
        writers.retain(|writer| {
            let new = !told.contains(writer);
            told.push(writer.clone());
            new
        });
        writers
    }
}

fn listing(ctx: Ctx<'_>, folder: &Path, users: &Names, text: &mut String) {
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
            "  - {} {} bytes, changed {}, mode {:04o}, writable by {}",
            shown(name),
            stat.len,
            rfc3339(stat.mtime_ms),
            stat.mode,
            users
                .writers(stat, &ctx.world.files.access_list(&folder.join(name)))
                .join(", ")
        );
    }
    if stats.len() > FILES {
        let _ = writeln!(text, "  - and {} older ones", stats.len() - FILES);
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string().escape_debug().to_string()
}
