//! The agent on this host: its process tree, cron lines and systemd units.
//!
//! [`Local`] treats a tree or a trigger as a provider's adapter treats a grant: `glance` (save what the
//! cut destroys and what an undo needs), `cut`, `probe`, `restore`, each giving facts and never a verdict.
//! Absent from this room: the order of the stop stage, the journal, the terminal, providers' APIs.

pub mod cron;
pub mod freeze;
pub mod known;
mod programs;
pub mod systemd;
pub mod tree;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::fact::{Fact, Glance};
use crate::model::grant::{Target, Tree, Trigger, TriggerKind};
use crate::model::ids::TargetId;
use crate::model::secret::Secret;
use crate::world::host::Pid;
use crate::world::{Later, World};

/// What the engine does with what a frozen tree gives away.
pub trait Keeper {
    /// A keyed fingerprint of a value, for the record.
    fn fingerprint(&self, value: &str) -> String;
    /// The text without secrets, for the record.
    fn scrub(&self, text: &str) -> String;
    /// A variable of the agent's processes, each name and value once. Keep it or let it drop.
    fn found(&self, agent: &str, name: &str, value: Secret);
}

/// Everything on this host that is stopped without a provider.
pub struct Local<'a> {
    world: &'a World,
    keeper: &'a dyn Keeper,
    incident: &'a str,
    /// Every process ever seen as part of a tree: a child stays ours when its parent is gone.
    met: RefCell<BTreeMap<TargetId, BTreeSet<Pid>>>,
}

impl<'a> Local<'a> {
    /// `incident` is the id that tags what is switched off.
    pub fn new(world: &'a World, keeper: &'a dyn Keeper, incident: &'a str) -> Self {
        Local {
            world,
            keeper,
            incident,
            met: RefCell::default(),
        }
    }

    /// Looks without harm, and saves: a tree is frozen and its volatile facts kept, a trigger's text is undo.
    pub fn glance<'s>(&'s self, target: &'s Target) -> Later<'s, Glance> {
        Box::pin(async move {
            match target {
                Target::Tree(tree) => self.glance_tree(tree).await,
                Target::Trigger(trigger) => match &trigger.kind {
                    TriggerKind::Cron { user, contains } => {
                        cron::Tab::of_user(user, contains).glance(self.world).await
                    }
                    TriggerKind::CronFile { path, contains } => {
                        cron::Tab::file(path, contains).glance(self.world).await
                    }
                    TriggerKind::Systemd { unit, root, user } => {
                        systemd::Unit::new(unit, root.as_deref(), *user)
                            .glance(self.world)
                            .await
                    }
                    TriggerKind::Provider { .. } | TriggerKind::Manual { .. } => Glance {
                        facts: elsewhere(trigger),
                        undo: None,
                    },
                },
                Target::Grant(_) => Glance {
                    facts: not_local(),
                    undo: None,
                },
            }
        })
    }

    /// Cuts: kills the tree, switches the trigger off, then looks again. Safe to repeat.
    pub fn cut<'s>(&'s self, target: &'s Target) -> Later<'s, Vec<Fact>> {
        Box::pin(async move {
            match target {
                Target::Tree(tree) => {
                    let mut met = self.met_of(tree);
                    let facts = freeze::kill(self.world, tree, &mut met).await;
                    self.remember(tree, met);
                    facts
                }
                Target::Trigger(trigger) => match &trigger.kind {
                    TriggerKind::Cron { user, contains } => {
                        cron::Tab::of_user(user, contains)
                            .cut(self.world, self.incident)
                            .await
                    }
                    TriggerKind::CronFile { path, contains } => {
                        cron::Tab::file(path, contains)
                            .cut(self.world, self.incident)
                            .await
                    }
                    TriggerKind::Systemd { unit, root, user } => {
                        systemd::Unit::new(unit, root.as_deref(), *user)
                            .cut(self.world, self.incident)
                            .await
                    }
                    TriggerKind::Provider { .. } | TriggerKind::Manual { .. } => elsewhere(trigger),
                },
                Target::Grant(_) => not_local(),
            }
        })
    }

    /// Looks again, changing nothing.
    pub fn probe<'s>(&'s self, target: &'s Target) -> Later<'s, Vec<Fact>> {
        Box::pin(async move {
            match target {
                Target::Tree(tree) => freeze::look_again(self.world, tree, &self.met_of(tree)),
                Target::Trigger(trigger) => match &trigger.kind {
                    TriggerKind::Cron { user, contains } => {
                        cron::Tab::of_user(user, contains).probe(self.world).await
                    }
                    TriggerKind::CronFile { path, contains } => {
                        cron::Tab::file(path, contains).probe(self.world).await
                    }
                    TriggerKind::Systemd { unit, root, user } => {
                        systemd::Unit::new(unit, root.as_deref(), *user)
                            .probe(self.world, self.incident)
                            .await
                    }
                    TriggerKind::Provider { .. } | TriggerKind::Manual { .. } => elsewhere(trigger),
                },
                Target::Grant(_) => not_local(),
            }
        })
    }

    /// Watches for the tree's return and gives the last look, at the latest after `span`.
    pub fn watch<'s>(&'s self, tree: &'s Tree, span: Duration) -> Later<'s, Vec<Fact>> {
        Box::pin(async move { freeze::watch(self.world, tree, &self.met_of(tree), span).await })
    }

    /// Gives a trigger back from what `glance` saved. A killed tree has no way back.
    pub fn restore<'s>(&'s self, target: &'s Target, undo: &'s [u8]) -> Later<'s, Vec<Fact>> {
        Box::pin(async move {
            match target {
                Target::Trigger(trigger) => match &trigger.kind {
                    TriggerKind::Cron { user, contains } => {
                        cron::Tab::of_user(user, contains)
                            .restore(self.world, self.incident, undo)
                            .await
                    }
                    TriggerKind::CronFile { path, contains } => {
                        cron::Tab::file(path, contains)
                            .restore(self.world, self.incident, undo)
                            .await
                    }
                    TriggerKind::Systemd { unit, root, user } => {
                        systemd::Unit::new(unit, root.as_deref(), *user)
                            .restore(self.world, self.incident, undo)
                            .await
                    }
                    TriggerKind::Provider { .. } | TriggerKind::Manual { .. } => elsewhere(trigger),
                },
                Target::Tree(_) => vec![Fact::NotTried {
                    why: "a killed process has no way back".to_owned(),
                }],
                Target::Grant(_) => not_local(),
            }
        })
    }

    async fn glance_tree(&self, tree: &Tree) -> Glance {
        let mut met = self.met_of(tree);
        let facts = freeze::freeze_and_look(self.world, tree, &mut met, self.keeper).await;
        self.remember(tree, met);
        Glance { facts, undo: None }
    }

    fn met_of(&self, tree: &Tree) -> BTreeSet<Pid> {
        self.met.borrow().get(&tree.id).cloned().unwrap_or_default()
    }

    fn remember(&self, tree: &Tree, met: BTreeSet<Pid>) {
        self.met.borrow_mut().insert(tree.id.clone(), met);
    }
}

fn elsewhere(trigger: &Trigger) -> Vec<Fact> {
    match &trigger.kind {
        TriggerKind::Manual { how } => vec![Fact::Manual { how: how.clone() }],
        _ => not_local(),
    }
}

fn not_local() -> Vec<Fact> {
    vec![Fact::NotTried {
        why: "it is not on this host: its provider's adapter cuts it".to_owned(),
    }]
}
