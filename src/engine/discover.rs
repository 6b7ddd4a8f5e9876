//! What is there to stop: what was written in advance, and what two seconds of looking find here.

use std::time::Duration;

use super::scan::millis;
use super::{Engine, EngineError, Left};
use crate::access::Agent;
use crate::local::projects::Work;
use crate::local::tree;
use crate::model::event::Aim;
use crate::model::grant::{Grant, Target, Tree, TriggerKind};
use crate::model::secret::SecretRef;

/// What would be stopped, and what could not be looked at.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Found {
    /// What would be stopped, listed first, then found.
    pub aims: Vec<Aim>,
    /// What each found thing is, in words, in the order of `aims`.
    pub words: Vec<String>,
    /// What could be cut and is left alone, because others use it too.
    pub left: Vec<Left>,
    /// What the agents could read and only a person can cut, a line a place.
    pub readable: Vec<String>,
    /// Where the agents' secrets could be and nobody looked, and why.
    pub unseen: Vec<String>,
    /// What could not be used or looked at, and why.
    pub problems: Vec<String>,
}

/// How long the look may take.
const LOOK: Duration = Duration::from_secs(2);

impl Engine<'_> {
    /// Looks, changing nothing. The next sweep takes what this found.
    pub fn discover(&self) -> Result<Found, EngineError> {
        let mut found = self.at_once()?;
        self.look_further(&mut found);
        *self.discovered.borrow_mut() = Some(found.clone());
        Ok(found)
    }

    /// What can be known without waiting for any program: what is listed, and processes here.
    pub(super) fn at_once(&self) -> Result<Found, EngineError> {
        let mut found = Found::default();
        found
            .problems
            .extend(self.mistakes.iter().map(ToString::to_string));
        for target in &self.inventory.targets {
            let window = match self.registry.of(target) {
                Some(Ok(adapter)) => {
                    found.problems.extend(
                        adapter
                            .check(target)
                            .iter()
                            .map(|p| format!("{}: {p}", target.id())),
                    );
                    adapter.window()
                }
                Some(Err(e)) => {
                    found.problems.push(format!("{}: {e}", target.id()));
                    Duration::ZERO
                }
                None => Duration::ZERO,
            };
            found.add(target.clone(), window, "access.yaml", words_of(target));
        }
        self.look_for_trees(&mut found);
        Ok(found)
    }

    fn look_for_trees(&self, found: &mut Found) {
        let listed: Vec<Tree> = self
            .inventory
            .targets
            .iter()
            .filter_map(|t| match t {
                Target::Tree(tree) => Some(tree.clone()),
                _ => None,
            })
            .collect();
        match tree::find(self.world, &listed) {
            Err(e) => found.problems.push(e.to_string()),
            Ok(trees) => {
                self.meet(&trees);
                for mut seen in trees {
                    let supervised = std::mem::take(&mut seen.look.supervised);
                    let words = tree_words(&seen);
                    let id = seen.tree.id.clone();
                    match found.aims.iter().position(|a| *a.target.id() == id) {
                        Some(at) => {
                            if let Some(slot) = found.words.get_mut(at) {
                                *slot = words;
                            }
                        }
                        None => found.add(Target::Tree(seen.tree), Duration::ZERO, "scan", words),
                    }
                    for trigger in supervised {
                        let target = Target::Trigger(trigger);
                        let words = words_of(&target);
                        found.add(target, Duration::ZERO, "scan", words);
                    }
                }
            }
        }
    }

    /// What takes a moment to find: what starts agents again, and what they can reach. Two seconds each.
    pub(super) fn look_further(&self, found: &mut Found) {
        self.look_for_triggers(found);
        if let Err(e) = self.look_for_secrets(found) {
            found.problems.push(e.to_string());
        }
    }

    /// What on this host calls a known agent; reading it may take two seconds.
    pub(super) fn look_for_triggers(&self, found: &mut Found) {
        let work: Vec<Work> = self.agents.borrow().iter().filter_map(working).collect();
        let look = crate::local::find_triggers(self.world, &work);
        let looks = self.world.wait(self.world.timeout(LOOK, look));
        match looks.flatten() {
            None => found
                .problems
                .push("looking for what starts agents took longer than 2 s".into()),
            Some((triggers, problems)) => {
                for trigger in triggers {
                    let target = Target::Trigger(trigger);
                    let words = words_of(&target);
                    found.add(target, Duration::ZERO, "scan", words);
                }
                found.problems.extend(problems);
            }
        }
    }
}

/// Where an agent works.
fn working(agent: &Agent) -> Option<Work> {
    Some(Work {
        agent: agent.name.clone()?,
        home: agent.home.clone(),
        cwds: agent.cwds.clone(),
    })
}

impl Found {
    fn add(&mut self, target: Target, window: Duration, found_by: &str, words: String) {
        let aim = Aim {
            target,
            window_ms: millis(window),
            found_by: found_by.to_owned(),
        };
        self.push(aim, words);
    }

    /// Adds what is not there yet.
    pub(super) fn push(&mut self, aim: Aim, words: String) {
        let known = |a: &Aim| a.target.id() == aim.target.id() || same(&a.target, &aim.target);
        if !self.aims.iter().any(known) {
            self.aims.push(aim);
            self.words.push(words);
        }
    }

    /// Everything that could not be used and what only a person can cut, for the record.
    pub(super) fn told(&mut self) -> Vec<String> {
        let readable = self.readable.iter().map(|r| format!("readable: {r}"));
        std::mem::take(&mut self.problems)
            .into_iter()
            .chain(readable)
            .collect()
    }
}

/// True where two targets are one thing under two names.
fn same(a: &Target, b: &Target) -> bool {
    match (a, b) {
        (Target::Grant(a), Target::Grant(b)) => {
            let held = |g: &Grant| matches!(g.secret, Some(SecretRef::Held(_)));
            // Two tokens of one server are two: those are told apart by their fingerprints, in their names.
            a.provider == b.provider && a.with == b.with && !a.with.is_empty() && !held(a) && !held(b)
        }
        (Target::Trigger(a), Target::Trigger(b)) => same_trigger(&a.kind, &b.kind),
        (Target::Tree(a), Target::Tree(b)) => a.rule == b.rule,
        _ => false,
    }
}

/// True where two rules mean the same lines: one text holds the other, in one table.
fn same_trigger(a: &TriggerKind, b: &TriggerKind) -> bool {
    let overlap = |a: &str, b: &str| a.contains(b) || b.contains(a);
    match (a, b) {
        (TriggerKind::CronFile { path: p, contains: x }, TriggerKind::CronFile { path: q, contains: y }) => {
            p == q && overlap(x, y)
        }
        (TriggerKind::Cron { user: u, contains: x }, TriggerKind::Cron { user: v, contains: y }) => {
            u == v && overlap(x, y)
        }
        (a, b) => a == b,
    }
}

fn tree_words(found: &tree::FoundTree) -> String {
    let count = match found.look.members.len() {
        0 => "nothing running here now".to_owned(),
        1 => "1 process".to_owned(),
        n => format!("{n} processes"),
    };
    let pids: Vec<String> = found
        .look
        .members
        .iter()
        .take(6)
        .map(|m| m.process.id.pid.to_string())
        .collect();
    let spared = match found.look.spared.first() {
        Some(member) => format!("; left alone: {} ({})", member.process.id.pid, member.why),
        None => String::new(),
    };
    let list = if pids.is_empty() {
        String::new()
    } else {
        format!(" ({})", pids.join(", "))
    };
    format!("{}: {count}{list}{spared}", found.tree.agent)
}

fn words_of(target: &Target) -> String {
    match target {
        Target::Grant(g) => {
            let with: Vec<String> = g.with.iter().map(|(k, v)| format!("{k} {v}")).collect();
            format!("{} {}", g.provider, with.join(", "))
        }
        Target::Tree(t) => format!("processes of {}", t.agent),
        Target::Trigger(t) => t.kind.words(),
    }
}
