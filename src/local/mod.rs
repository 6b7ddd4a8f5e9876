//! The agent on this host: its process tree, and what would start it again.
//!
//! [`Local`] treats a tree or a trigger as a provider's adapter treats a grant: `glance` (save what the
//! cut destroys and what an undo needs), `cut`, `probe`, `restore`, each giving facts and never a verdict.
//! Absent from this room: the order of the stop stage, the journal, the terminal, providers' APIs.

pub mod aside;
pub mod at;
pub mod cron;
pub mod freeze;
pub mod known;
mod programs;
pub mod projects;
pub mod starter;
mod startup;
pub mod supervised;
pub mod systemd;
pub mod tree;
mod users;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::journal::Hash;
use crate::model::fact::{Fact, Glance};
use crate::model::grant::{Target, Tree, Trigger, TriggerKind};
use crate::model::ids::TargetId;
use crate::model::secret::Secret;
use crate::redact::Redactor;
use crate::world::host::{Pid, Process};
use crate::world::{Later, World};

/// What the engine does with what a frozen tree gives away.
pub trait Keeper {
    /// A keyed fingerprint of a value, for the record.
    fn fingerprint(&self, value: &str) -> String;
    /// The text without secrets, for the record.
    fn scrub(&self, text: &str) -> String;
    /// A variable of one of the agent's processes, each name and value once. Keep it or let it drop.
    fn found(&self, agent: &str, of: &Process, name: &str, value: Secret);
    /// What an agent's processes held when they were frozen, as text that may hold secrets in arguments, and how
    /// many of them there was no time for. Told again for processes that were met later.
    fn held(&self, agent: &str, text: &str, left_out: usize);
}

/// Everything on this host that is stopped without a provider.
pub struct Local<'a> {
    world: &'a World,
    keeper: &'a dyn Keeper,
    incident: &'a str,
    /// Every process ever seen as part of a tree: a child stays ours when its parent is gone.
    met: RefCell<BTreeMap<TargetId, BTreeSet<Pid>>>,
    /// The trees they are of.
    trees: RefCell<Vec<Tree>>,
}

impl<'a> Local<'a> {
    /// `incident` is the id that tags what is switched off.
    pub fn new(world: &'a World, keeper: &'a dyn Keeper, incident: &'a str) -> Self {
        Local {
            world,
            keeper,
            incident,
            met: RefCell::default(),
            trees: RefCell::default(),
        }
    }

    /// Looks without harm, and saves: a tree is frozen and its volatile facts kept, a trigger's text is undo.
    pub fn glance<'s>(&'s self, target: &'s Target) -> Later<'s, Glance> {
        Box::pin(async move {
            match Switch::of(target) {
                Switch::Tree(tree) => self.glance_tree(tree).await,
                Switch::Cron(tab) => tab.glance(self.world).await,
                Switch::At(jobs) => jobs.glance(self.world).await,
                Switch::Aside(file) => file.glance(self.world).await,
                Switch::Systemd(unit) => unit.glance(self.world).await,
                Switch::Supervised(entry) => entry.glance().await,
                Switch::Elsewhere(fact) => Glance {
                    facts: vec![fact],
                    undo: None,
                },
            }
        })
    }

    /// Cuts: kills the tree, switches the trigger off, then looks again. Safe to repeat.
    pub fn cut<'s>(&'s self, target: &'s Target) -> Later<'s, Vec<Fact>> {
        Box::pin(async move {
            match Switch::of(target) {
                Switch::Tree(tree) => self.cut_tree(tree).await,
                Switch::Cron(tab) => tab.cut(self.world, self.incident).await,
                Switch::At(jobs) => jobs.cut(self.world).await,
                Switch::Aside(file) => file.cut(self.world, self.incident).await,
                Switch::Systemd(unit) => unit.cut(self.world, self.incident).await,
                Switch::Supervised(entry) => {
                    let is_agents = |pid| self.is_agents(pid);
                    entry.cut(self.world, self.incident, is_agents).await
                }
                Switch::Elsewhere(fact) => vec![fact],
            }
        })
    }

    /// Looks again, changing nothing.
    pub fn probe<'s>(&'s self, target: &'s Target) -> Later<'s, Vec<Fact>> {
        Box::pin(async move {
            match Switch::of(target) {
                Switch::Tree(tree) => freeze::look_again(self.world, tree, &self.met_of(tree)),
                Switch::Cron(tab) => tab.probe(self.world).await,
                Switch::At(jobs) => jobs.probe(self.world).await,
                Switch::Aside(file) => file.probe(self.world).await,
                Switch::Systemd(unit) => unit.probe(self.world, self.incident).await,
                Switch::Supervised(entry) => entry.probe(self.world).await,
                Switch::Elsewhere(fact) => vec![fact],
            }
        })
    }

    /// Gives a trigger back from what `glance` saved. A killed tree has no way back.
    pub fn restore<'s>(&'s self, target: &'s Target, undo: &'s [u8]) -> Later<'s, Vec<Fact>> {
        Box::pin(async move {
            match Switch::of(target) {
                Switch::Tree(_) => vec![Fact::NotTried {
                    why: "a killed process has no way back".to_owned(),
                }],
                Switch::Cron(tab) => tab.restore(self.world, self.incident, undo).await,
                Switch::At(jobs) => jobs.restore(self.world, undo).await,
                Switch::Aside(file) => file.restore(self.world, self.incident, undo).await,
                Switch::Systemd(unit) => unit.restore(self.world, self.incident, undo).await,
                Switch::Supervised(entry) => entry.restore(self.world, self.incident, undo).await,
                Switch::Elsewhere(fact) => vec![fact],
            }
        })
    }

    /// Watches for the tree's return and gives the last look, at the latest after `span`. A shell that
    /// started it again is the agent's from then on.
    pub fn watch<'s>(&'s self, tree: &'s Tree, span: Duration) -> Later<'s, Vec<Fact>> {
        Box::pin(async move {
            let mut met = self.met_of(tree);
            let mut facts = freeze::watch(self.world, tree, &met, span).await;
            if facts
                .iter()
                .any(|f| matches!(f, Fact::LookedFor { found, .. } if *found > 0))
            {
                let (own, more) = freeze::restarters(self.world, tree, &met);
                met.extend(own);
                self.remember(tree, met);
                facts.extend(more);
            }
            facts
        })
    }

    async fn glance_tree(&self, tree: &Tree) -> Glance {
        let mut met = self.met_of(tree);
        let facts = freeze::freeze_and_look(self.world, tree, &mut met, self.keeper).await;
        self.remember(tree, met);
        Glance { facts, undo: None }
    }

    async fn cut_tree(&self, tree: &Tree) -> Vec<Fact> {
        let mut met = self.met_of(tree);
        let facts = freeze::kill(self.world, tree, &mut met, self.keeper).await;
        self.remember(tree, met);
        facts
    }

    /// True for a process of a tree that was frozen or killed here, or that one of them came back as.
    fn is_agents(&self, pid: u32) -> bool {
        let met = self.met.borrow();
        if met.values().flatten().any(|p| p.pid == pid) {
            return true;
        }
        let Ok(seen) = tree::Snapshot::with_scripts(self.world) else {
            return false;
        };
        self.trees.borrow().iter().any(|tree| {
            let met = met.get(&tree.id).cloned().unwrap_or_default();
            let look = seen.look(tree, &met);
            look.members.iter().any(|m| m.process.id.pid == pid)
        })
    }

    fn met_of(&self, tree: &Tree) -> BTreeSet<Pid> {
        self.met.borrow().get(&tree.id).cloned().unwrap_or_default()
    }

    fn remember(&self, tree: &Tree, met: BTreeSet<Pid>) {
        let mut trees = self.trees.borrow_mut();
        if !trees.contains(tree) {
            trees.push(tree.clone());
        }
        self.met.borrow_mut().insert(tree.id.clone(), met);
    }
}

/// Everything on this host that would start a known agent again, and what could not be looked at.
///
/// `work` is where agents were seen to work.
pub async fn find_triggers(world: &World, work: &[projects::Work]) -> (Vec<Trigger>, Vec<String>) {
    let (mut found, mut unread) = cron::find(world).await;
    let (jobs, more) = at::find(world).await;
    found.extend(jobs);
    unread.extend(more);
    let (units, more) = systemd::find(world, None);
    found.extend(units);
    unread.extend(more);
    found.extend(projects::find(world, work));
    found.extend(startup::find(world));
    (found, unread)
}

/// A trigger that was found, named by what it is: it has the same name in every look.
fn stamp(what: &str, agent: &str, kind: TriggerKind) -> Option<Trigger> {
    let text = serde_json::to_string(&kind).ok()?;
    let hash = Hash::of(text.as_bytes()).to_string();
    let id = TargetId::new(&format!("{what}-{agent}-{}", hash.get(..6)?)).ok()?;
    Some(Trigger {
        id,
        agent: Some(agent.to_owned()),
        kind,
    })
}

/// The longest part of a line that holds no secret, best one that calls an agent: what goes on record, and
/// by what the line is known again.
fn telling(line: &str) -> String {
    let Ok(redactor) = Redactor::new([0; 32], &[]) else {
        return String::new();
    };
    let (_, receipts) = redactor.redact(line.as_bytes());
    let whole = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let (mut parts, mut from) = (Vec::new(), 0);
    for receipt in receipts {
        let at = whole(receipt.offset);
        parts.extend(line.get(from..at));
        from = at.saturating_add(whole(receipt.len));
    }
    parts.extend(line.get(from..));
    let best = parts.into_iter().map(str::trim);
    let best = best.max_by_key(|part| (known::called_in(part).is_some(), part.len()));
    best.unwrap_or_default().to_owned()
}

/// What a target is on this host.
enum Switch<'t> {
    Tree(&'t Tree),
    Cron(cron::Tab<'t>),
    At(at::Jobs<'t>),
    Aside(aside::Aside<'t>),
    Systemd(systemd::Unit<'t>),
    Supervised(supervised::Entry<'t>),
    /// Nothing here can cut it; the fact says who can.
    Elsewhere(Fact),
}

impl<'t> Switch<'t> {
    fn of(target: &'t Target) -> Self {
        let provider = || {
            Switch::Elsewhere(Fact::NotTried {
                why: "it is not on this host: its provider's adapter cuts it".to_owned(),
            })
        };
        match target {
            Target::Tree(tree) => Switch::Tree(tree),
            Target::Grant(_) => provider(),
            Target::Trigger(trigger) => match &trigger.kind {
                TriggerKind::Cron { user, contains } => Switch::Cron(cron::Tab::of_user(user, contains)),
                TriggerKind::CronFile { path, contains } => Switch::Cron(cron::Tab::file(path, contains)),
                TriggerKind::At { user, contains } => Switch::At(at::Jobs::of_user(user, contains)),
                TriggerKind::Script { path } => Switch::Aside(aside::Aside::script(path)),
                TriggerKind::File { path } => Switch::Aside(aside::Aside::file(path)),
                TriggerKind::Systemd { unit, root, user, of } => {
                    Switch::Systemd(systemd::Unit::new(unit, root.as_deref(), *user, of.as_deref()))
                }
                TriggerKind::StartUp { path, contains } => Switch::Cron(cron::Tab::start_up(path, contains)),
                TriggerKind::Supervised {
                    by,
                    entry,
                    user,
                    tool,
                    at,
                } => Switch::Supervised(supervised::Entry {
                    by: *by,
                    entry,
                    user,
                    tool,
                    at: at.as_deref(),
                }),
                TriggerKind::Manual { how } => Switch::Elsewhere(Fact::Manual { how: how.clone() }),
                TriggerKind::Provider { .. } => provider(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_known_again_by_what_holds_no_secret() {
        for (line, part) in [
            ("0 3 * * * claude -p tidy", "0 3 * * * claude -p tidy"),
            (
                "* * * * * API_TOKEN=r9Um-crontab-4Jg3kW6b claude -p 'tidy up'",
                "claude -p 'tidy up'",
            ),
        ] {
            assert_eq!(telling(line), part);
            assert!(line.contains(part));
        }
    }
}
