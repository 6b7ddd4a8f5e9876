//! Where an act stands on the map of environments that a team wrote in advance.

use std::collections::BTreeSet;

use crate::model::act::{Act, Resolved};
use crate::model::effect::Effect;
use crate::model::reach::{Environment, HERE, Reach, names};
use crate::model::runbook::Policy;

/// Where an act stands.
pub(super) struct Standing {
    /// Every environment that one of its names, or its author, puts it into.
    pub environments: BTreeSet<Environment>,
    /// Why nobody can say where it is aimed, and what to add; `None` where it is known, or nobody drew a map.
    pub unmapped: Option<String>,
    /// True where a map says it of every name: nothing less brings an act inside.
    pub known: bool,
    /// True where a whole place of backups is in it, and not only a store or a path.
    backups_place: bool,
}

impl Standing {
    pub fn of(policy: &Policy, act: &Resolved) -> Standing {
        let mut standing = Standing {
            environments: act.scope.environment.into_iter().collect(),
            unmapped: None,
            known: false,
            backups_place: act.scope.environment == Some(Environment::Backups),
        };
        // What the tool gives back or makes anew belongs to a grant that is on record by name.
        if policy.environments.is_empty() || matches!(act.act, Act::Restore(_) | Act::Renew(_)) {
            return standing;
        }
        let here = act.targets.get("host").map_or("", String::as_str);
        for reach in &act.scope.reaches {
            let mut found = false;
            for (environment, listed) in &policy.environments {
                if names(listed, reach, here) {
                    found = true;
                    standing.environments.insert(*environment);
                    standing.backups_place |= *environment == Environment::Backups && reach.kind.is_place();
                }
            }
            if !found && reach.kind.is_place() {
                standing.lost(reach, act, here);
            }
        }
        if act.scope.reaches.is_empty() && act.scope.environment.is_none() {
            let why = "nobody wrote down where it is done: write `environment:` in the step";
            standing.unmapped.get_or_insert_with(|| why.to_owned());
        }
        standing.known = standing.unmapped.is_none();
        standing
    }

    /// A name that no environment has. The author's word stands only for what has no name in the act.
    fn lost(&mut self, reach: &Reach, act: &Resolved, here: &str) {
        let said = act.scope.environment.is_some();
        let kind = reach.kind;
        let why = match reach.name.as_deref() {
            None | Some(HERE) if said => return,
            None => format!(
                "its words do not say which {} it is aimed at: name it there, or write `environment:` in the step",
                kind.word()
            ),
            Some(HERE) => format!(
                "it runs on this host ({here}), which belongs to no environment: add it to `hosts:` of one under \
                 `environments:`, or write `environment:` in the step"
            ),
            Some(name) => format!(
                "{} `{name}` belongs to no environment: add it to `{}:` of one under `environments:`",
                kind.word(),
                kind.key()
            ),
        };
        self.unmapped.get_or_insert(why);
    }

    /// True where this effect changes the copies that production is restored from.
    ///
    /// Restoring reads a store of backups, and looking or protecting harms none.
    pub fn harms_backups(&self, effect: Effect) -> bool {
        match effect {
            Effect::Read | Effect::Protect | Effect::ServiceRestart | Effect::Traffic => false,
            Effect::DataRestore => self.backups_place,
            _ => self.environments.contains(&Environment::Backups),
        }
    }
}
