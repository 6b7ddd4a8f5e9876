//! The process list, read from the system and not from a program an agent could have replaced.

use std::fmt::Write as _;

use super::Ctx;
use super::source::{Item, Taken, keep};
use crate::model::event::ItemStatus;
use crate::model::time::rfc3339;

/// The process list, one line a process, arguments last.
pub(super) fn processes(ctx: Ctx<'_>, item: Item) -> Taken {
    let began = ctx.world.clock.now();
    let all = match ctx.world.host.processes() {
        Ok(all) => all,
        Err(e) => return Taken::hole(item, ItemStatus::Failed, &e.to_string()),
    };
    let who = ctx.world.host.identity();
    let mut text = format!(
        "# {} at {}, boot {}: {}\n# pid parent session user state started-tick executable folder: arguments\n",
        who.host,
        rfc3339(began.utc_ms),
        who.boot,
        who.scope
    );
    let known = |path: &Option<std::path::PathBuf>| {
        path.as_deref()
            .map_or_else(|| "?".to_owned(), |p| p.display().to_string())
    };
    for p in &all {
        let argv: Vec<String> = p.argv.iter().map(|a| a.escape_debug().to_string()).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{} {} {} {} {} {} {} {}: {}",
            p.id.pid,
            p.ppid,
            p.session,
            p.user,
            p.state,
            p.id.starttime,
            known(&p.exe),
            known(&p.cwd),
            argv.join(" ")
        );
    }
    let ms = (ctx.world.clock.now().mono_us - began.mono_us) / 1_000;
    keep(ctx, item, text.as_bytes(), ms)
}
