//! `.env` files, from where the agent works upward.

use std::collections::BTreeSet;
use std::path::Path;

use super::look::{Format, Look};
use super::{Agent, Whose};

/// Most folders upward from one working folder.
const DEPTH: usize = 8;
/// Most such files in one folder.
const MOST: usize = 16;

pub(super) fn look(look: &mut Look<'_>, agent: &Agent) {
    for folder in upward(agent).into_iter().chain(agent.home.as_deref()) {
        let here = look.list(folder, Path::new(""), 4_096);
        let named = here.into_iter().filter(|name| {
            name.to_str()
                .is_some_and(|n| n == ".env" || n.starts_with(".env."))
        });
        for name in named.take(MOST) {
            look.file(
                folder,
                &name,
                Format::Lines,
                Whose::Project,
                agent.name.as_deref(),
            );
        }
    }
}

/// The folders an agent works in and those above them, up to its home: what stands there is its own, or its tools'.
pub(super) fn upward(agent: &Agent) -> BTreeSet<&Path> {
    let home = agent.home.as_deref();
    let chains = agent.cwds.iter().flat_map(|cwd| {
        let above = cwd.ancestors().take(DEPTH);
        above.take_while(move |folder| home.is_none_or(|home| !home.starts_with(folder)))
    });
    chains.collect()
}
