//! Which processes are the agent's: what matches, what that started, and what carries its marker.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::known::{self, KNOWN, Known};
use super::programs::PATH;
use super::stamp;
use super::starter::{self, Entry, Starter};
use super::supervised::tool_of;
use crate::model::fact::Fact;
use crate::model::grant::{Tree, TreeRule, Trigger, TriggerKind};
use crate::model::ids::TargetId;
use crate::model::secret::Secret;
use crate::world::host::{Host, HostError, Identity, Pid, Process};
use crate::world::{Files, World};

/// A process of the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The process as it was seen.
    pub process: Process,
    /// Why it counts as the agent's.
    pub why: String,
}

/// One look for one tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// What may be killed, parents before their children.
    pub members: Vec<Member>,
    /// What is the agent's but is left alone, with the reason and the way out.
    pub spared: Vec<Member>,
    /// What the look covered.
    pub scope: String,
    /// True where it covered every user of the whole host.
    pub whole: bool,
    /// What was left alive above the agent and would start it again.
    pub starters: Vec<Fact>,
    /// The agent's own programs at such supervisors, as far as their tools are here.
    pub supervised: Vec<Trigger>,
}

impl Look {
    /// The look as facts. What was spared counts as found: it lives.
    pub fn facts(&self) -> Vec<Fact> {
        let mut facts = vec![Fact::LookedFor {
            found: count(self.members.len() + self.spared.len()),
            scope: self.scope.clone(),
            whole: self.whole,
        }];
        facts.extend(self.spared.iter().map(|m| Fact::Spared { why: m.why.clone() }));
        facts
    }
}

/// A tree with what a look found of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundTree {
    /// What was looked for.
    pub tree: Tree,
    /// What was found.
    pub look: Look,
}

/// Looks for the listed trees and for every known agent nobody listed. Known agents that do not run are left out.
pub fn find(world: &World, listed: &[Tree]) -> Result<Vec<FoundTree>, HostError> {
    let seen = Snapshot::with_scripts(world)?;
    let mut found: Vec<FoundTree> = listed
        .iter()
        .map(|tree| FoundTree {
            tree: tree.clone(),
            look: seen.look(tree, &BTreeSet::new()),
        })
        .collect();
    let covered: BTreeSet<Pid> = found
        .iter()
        .flat_map(|f| f.look.members.iter().chain(&f.look.spared))
        .map(|m| m.process.id)
        .collect();
    for known in KNOWN {
        let Ok(id) = TargetId::new(known.agent) else {
            continue;
        };
        let tree = Tree {
            id,
            agent: known.agent.to_owned(),
            rule: TreeRule::default(),
        };
        let look = seen.look(&tree, &BTreeSet::new());
        let news = look
            .members
            .iter()
            .chain(&look.spared)
            .any(|m| !covered.contains(&m.process.id));
        if news && !listed.iter().any(|l| l.id == tree.id) {
            found.push(FoundTree { tree, look });
        }
    }
    Ok(found)
}

/// Every process of one moment.
pub struct Snapshot<'h> {
    host: &'h dyn Host,
    /// Where scripts are read, to see whether they loop; without it only command lines are.
    files: Option<&'h dyn Files>,
    identity: Identity,
    all: BTreeMap<u32, Seen>,
}

struct Seen {
    process: Process,
    environment: OnceCell<Vec<(String, Secret)>>,
}

impl<'h> Snapshot<'h> {
    /// Lists the processes now; environments are read when a rule asks for them.
    fn take(host: &'h dyn Host) -> Result<Self, HostError> {
        let all = host
            .processes()?
            .into_iter()
            // Neither the dead nor kernel threads, which run no program.
            .filter(|p| !matches!(p.state, 'Z' | 'X' | 'x') && (p.exe.is_some() || !p.argv.is_empty()))
            .map(|process| {
                let seen = Seen {
                    process,
                    environment: OnceCell::new(),
                };
                (seen.process.id.pid, seen)
            })
            .collect();
        Ok(Snapshot {
            host,
            files: None,
            identity: host.identity(),
            all,
        })
    }

    /// The same, and scripts of shells above an agent are read.
    pub fn with_scripts(world: &'h World) -> Result<Self, HostError> {
        let mut seen = Snapshot::take(world.host.as_ref())?;
        seen.files = Some(world.files.as_ref());
        Ok(seen)
    }

    /// What belongs to the tree. `met` are processes that belonged to it before; they still do.
    pub fn look(&self, tree: &Tree, met: &BTreeSet<Pid>) -> Look {
        let sought = Sought::of(tree);
        let ours = self.identity.pid.pid;
        let above = self.ancestors(ours);
        let mut why: BTreeMap<u32, String> = BTreeMap::new();
        for seen in self.all.values() {
            let reason = if met.contains(&seen.process.id) {
                Some("it was part of the tree before".to_owned())
            } else {
                sought.reason(&seen.process, self.identity.uid, || self.environment(seen))
            };
            if let Some(reason) = reason {
                why.insert(seen.process.id.pid, reason);
            }
        }
        let mut order = self.with_descendants(&mut why, ours);
        // What a member exports, its runaway children inherited; their children come with them.
        for (name, value) in self.session_values(&sought, &order) {
            for seen in self.all.values() {
                let carries = self
                    .environment(seen)
                    .iter()
                    .any(|(n, v)| *n == name && v.expose() == value.expose());
                if carries {
                    why.entry(seen.process.id.pid)
                        .or_insert_with(|| format!("it carries {name} of this tree"));
                }
            }
            order = self.with_descendants(&mut why, ours);
        }
        let (mut starters, mut supervised) = (Vec::new(), Vec::new());
        for (pid, starter) in self.starters(&why, &order, ours) {
            match starter {
                Starter::Own(reason) if !above.contains(&pid) => {
                    why.insert(pid, reason);
                }
                Starter::Own(_) => {
                    let (what, line) = (
                        format!("the loop of process {pid}, in whose terminal this runs"),
                        format!("kill {pid}"),
                    );
                    starters.extend(self.left_alive(pid, what, line));
                }
                Starter::Shared { what, line, entry } => {
                    let trigger = entry.and_then(|entry| self.trigger(&tree.agent, pid, entry));
                    let mut left = self.left_alive(pid, what, line);
                    if let (Some(Fact::Starter { trigger: by, .. }), Some(found)) = (&mut left, &trigger) {
                        *by = Some(found.id.clone());
                    }
                    starters.extend(left);
                    supervised.extend(trigger);
                }
            }
        }
        order = self.with_descendants(&mut why, ours);
        let mut look = Look {
            starters,
            supervised,
            members: Vec::new(),
            spared: Vec::new(),
            whole: self.identity.sees_all,
            scope: self.identity.scope.clone(),
        };
        let closed = self.all.values().filter(|s| !s.process.readable).count();
        if closed > 0 && self.identity.sees_all {
            look.whole = false;
            look.scope = format!("{}, except the environments of {closed}", look.scope);
        }
        for pid in order {
            let (Some(seen), Some(why)) = (self.all.get(&pid), why.get(&pid)) else {
                continue;
            };
            let process = seen.process.clone();
            if pid == 1 {
                let why = format!(
                    "{} is process 1 here and cannot be killed from inside; stop this container from its host",
                    tree.agent
                );
                look.spared.push(Member { process, why });
            } else if above.contains(&pid) {
                // A shell that only stands between the agent and us is not worth a line of its own.
                if sought
                    .reason(&process, self.identity.uid, || self.environment(seen))
                    .is_some()
                {
                    let why = spared_ancestor(&tree.agent, pid);
                    look.spared.push(Member { process, why });
                }
            } else {
                look.members.push(Member {
                    process,
                    why: why.clone(),
                });
            }
        }
        look
    }

    /// What stands above the agent's processes and would start them again.
    fn starters(&self, why: &BTreeMap<u32, String>, order: &[u32], ours: u32) -> Vec<(u32, Starter)> {
        const HEIGHT: usize = 5;
        let mut found: Vec<(u32, Starter)> = Vec::new();
        for root in order.iter().filter_map(|pid| self.all.get(pid)) {
            let variable = |name: &str| {
                let environment = self.environment(root);
                let (_, value) = environment.iter().find(|(n, _)| n == name)?;
                let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
                let value = value.expose();
                let is_name = !value.is_empty() && !value.starts_with('-') && value.chars().all(plain);
                is_name.then(|| value.to_owned())
            };
            let mut at = root.process.ppid;
            for _ in 0..HEIGHT {
                let Some(above) = self
                    .all
                    .get(&at)
                    .filter(|_| at > 1 && at != ours && !why.contains_key(&at))
                else {
                    break;
                };
                let script = |name: &str| self.script(&above.process, name);
                match starter::of(&above.process, variable, script) {
                    Some(starter) if !found.iter().any(|(pid, _)| *pid == at) => found.push((at, starter)),
                    Some(_) => {}
                    None if !starter::is_shell(&above.process) => break,
                    None => {}
                }
                at = above.process.ppid;
            }
        }
        found
    }

    fn script(&self, shell: &Process, name: &str) -> Option<String> {
        const CAP: u64 = 64 << 10;
        let path = shell.cwd.as_deref().unwrap_or(Path::new("/")).join(name);
        String::from_utf8(self.files?.read(&path, CAP).ok()?).ok()
    }

    fn left_alive(&self, pid: u32, what: String, line: String) -> Option<Fact> {
        let starttime = self.all.get(&pid)?.process.id.starttime;
        Some(Fact::Starter {
            what,
            line,
            pid,
            starttime,
            trigger: None,
        })
    }

    /// The agent's own program at a supervisor, where the supervisor's tool lies in its own `PATH` or ours.
    fn trigger(&self, agent: &str, pid: u32, entry: Entry) -> Option<Trigger> {
        let (seen, files) = (self.all.get(&pid)?, self.files?);
        let environment = self.environment(seen);
        let path = environment.iter().find(|(name, _)| name == "PATH");
        let path = path.map_or("", |(_, value)| value.expose());
        let mut folders = path
            .split(':')
            .chain(PATH.split(':'))
            .filter(|f| f.starts_with('/'));
        let tool = folders.find_map(|folder| {
            let tool = Path::new(folder).join(tool_of(entry.by));
            let is_program = files
                .stat(&tool)
                .is_ok_and(|s| s.is_link || (s.is_file && s.mode & 0o111 != 0));
            is_program.then(|| tool.display().to_string())
        })?;
        let kind = TriggerKind::Supervised {
            by: entry.by,
            entry: entry.entry,
            user: seen.process.user.clone(),
            tool,
            at: entry.at,
        };
        stamp(entry.by.name(), agent, kind)
    }

    /// The parents of members nobody had met: they started the agent again.
    pub fn restarters(&self, look: &Look, met: &BTreeSet<Pid>) -> Vec<&Process> {
        let new = look.members.iter().filter(|m| !met.contains(&m.process.id));
        let parents = new
            .filter_map(|m| self.all.get(&m.process.ppid))
            .map(|seen| &seen.process);
        let member = |p: &Process| look.members.iter().any(|m| m.process.id == p.id);
        let above = self.ancestors(self.identity.pid.pid);
        parents
            .filter(|p| p.id.pid > 1 && !member(p) && !above.contains(&p.id.pid) && p.id != self.identity.pid)
            .collect()
    }

    fn environment<'s>(&self, seen: &'s Seen) -> &'s [(String, Secret)] {
        seen.environment.get_or_init(|| {
            if seen.process.readable {
                self.host.environment(seen.process.id)
            } else {
                Vec::new()
            }
        })
    }

    /// The chain of parents above a process, without it.
    fn ancestors(&self, pid: u32) -> BTreeSet<u32> {
        let mut chain = BTreeSet::new();
        let mut at = pid;
        while let Some(seen) = self.all.get(&at) {
            at = seen.process.ppid;
            if at == 0 || !chain.insert(at) {
                break;
            }
        }
        chain
    }

    /// Adds what the given processes started, and orders all of it parents first. Stops at ourselves:
    /// neither we nor what we run is the agent's. Stops at process 1, which adopts strangers.
    fn with_descendants(&self, why: &mut BTreeMap<u32, String>, ours: u32) -> Vec<u32> {
        let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for seen in self.all.values() {
            children
                .entry(seen.process.ppid)
                .or_default()
                .push(seen.process.id.pid);
        }
        why.remove(&ours);
        let is_root = |pid: u32| {
            self.all
                .get(&pid)
                .is_none_or(|seen| seen.process.ppid <= 1 || !why.contains_key(&seen.process.ppid))
        };
        let mut order: Vec<u32> = why.keys().copied().filter(|pid| is_root(*pid)).collect();
        let mut placed: BTreeSet<u32> = order.iter().copied().collect();
        let mut at = 0;
        while let Some(&pid) = order.get(at) {
            at += 1;
            if pid == 1 {
                continue;
            }
            for &child in children.get(&pid).into_iter().flatten() {
                if child != ours && placed.insert(child) {
                    why.entry(child).or_insert_with(|| format!("started by {pid}"));
                    order.push(child);
                }
            }
        }
        // What we run ourselves may carry a marker, too, where the agent is above us.
        let mine = self.below(ours, &children);
        order.retain(|pid| !mine.contains(pid));
        order
    }

    fn below(&self, top: u32, children: &BTreeMap<u32, Vec<u32>>) -> BTreeSet<u32> {
        let mut all = BTreeSet::new();
        let mut open = vec![top];
        while let Some(pid) = open.pop() {
            for &child in children.get(&pid).into_iter().flatten() {
                if all.insert(child) {
                    open.push(child);
                }
            }
        }
        all
    }

    /// The markers of the rule with the values that members carry.
    fn session_values(&self, sought: &Sought<'_>, members: &[u32]) -> Vec<(String, Secret)> {
        let names = sought.session_names();
        let mut values: Vec<(String, Secret)> = Vec::new();
        if names.is_empty() {
            return values;
        }
        for seen in members.iter().filter_map(|pid| self.all.get(pid)) {
            for (name, value) in self.environment(seen) {
                let known = || {
                    values
                        .iter()
                        .any(|(n, v)| n == name && v.expose() == value.expose())
                };
                if names.contains(&name.as_str()) && !value.is_empty() && !known() {
                    values.push((name.clone(), Secret::joined(&[value.expose()])));
                }
            }
        }
        values
    }
}

/// The sentence for an agent above us.
fn spared_ancestor(agent: &str, pid: u32) -> String {
    format!(
        "{agent} (pid {pid}) runs the terminal this runs in, so it was left alive; in a clean terminal run: incident stop"
    )
}

/// What a tree is recognised by: its own rule, or the table where the rule names nothing.
enum Sought<'t> {
    Rule(&'t TreeRule),
    Known(&'static Known, &'t TreeRule),
    Nothing,
}

impl<'t> Sought<'t> {
    fn of(tree: &'t Tree) -> Self {
        let rule = &tree.rule;
        if !(rule.exe.is_empty() && rule.argv.is_empty() && rule.env.is_empty()) {
            return Sought::Rule(rule);
        }
        match known::by_name(&tree.agent) {
            Some(known) => Sought::Known(known, rule),
            None if rule.cwd.is_empty() && rule.user.is_empty() => Sought::Nothing,
            None => Sought::Rule(rule),
        }
    }

    /// Why the process matches by itself, or `None`.
    fn reason<'e>(
        &self,
        process: &Process,
        our_uid: u32,
        environment: impl Fn() -> &'e [(String, Secret)],
    ) -> Option<String> {
        let marked = |markers: &[&str]| {
            environment()
                .iter()
                .find(|(name, value)| markers.iter().any(|m| is_marker(m, name, value.expose())))
                .map(|(name, _)| format!("it carries {name}"))
        };
        match self {
            Sought::Nothing => None,
            Sought::Known(known, rule) => {
                if !within(rule, process) {
                    return None;
                }
                known.is_it(process).or_else(|| marked(known.markers))
            }
            Sought::Rule(rule) => {
                if !within(rule, process) {
                    return None;
                }
                let mut reasons = Vec::new();
                if !rule.exe.is_empty() {
                    let program = known::programs_of(process).find(|program| {
                        rule.exe.iter().any(|exe| {
                            exe == program || (!exe.contains('/') && exe == known::file_name(program))
                        })
                    })?;
                    reasons.push(format!("it runs {program}"));
                }
                if !rule.argv.is_empty() {
                    let word = rule
                        .argv
                        .iter()
                        .find(|w| process.argv.iter().any(|a| a.contains(*w)))?;
                    reasons.push(format!("its arguments hold {word}"));
                }
                if !rule.env.is_empty() {
                    let markers: Vec<&str> = rule.env.iter().map(String::as_str).collect();
                    reasons.push(marked(&markers)?);
                }
                if reasons.is_empty() && rule.cwd.is_empty() {
                    // All processes of a user, where that user is nobody but the agent.
                    if process.uid == 0 || process.uid == our_uid {
                        return None;
                    }
                    reasons.push(format!("it belongs to {}", process.user));
                } else if reasons.is_empty() {
                    reasons.push("it works in the agent's folder".to_owned());
                }
                Some(reasons.join(", "))
            }
        }
    }

    /// Names of variables that tie runaway children to this tree.
    fn session_names(&self) -> Vec<&str> {
        let names = |markers: &'t [String]| markers.iter().map(|m| marker_name(m)).collect();
        match self {
            Sought::Rule(rule) => names(&rule.env),
            // A known agent's markers match by themselves already.
            Sought::Known(..) | Sought::Nothing => Vec::new(),
        }
    }
}

/// True where user and folder are as the rule asks, or it does not ask.
fn within(rule: &TreeRule, process: &Process) -> bool {
    let user = rule.user.is_empty()
        || rule
            .user
            .iter()
            .any(|u| *u == process.user || *u == process.uid.to_string());
    let cwd = rule.cwd.is_empty()
        || process
            .cwd
            .as_deref()
            .is_some_and(|cwd| rule.cwd.iter().any(|folder| cwd.starts_with(Path::new(folder))));
    user && cwd
}

fn marker_name(marker: &str) -> &str {
    marker.split('=').next().unwrap_or(marker)
}

fn is_marker(marker: &str, name: &str, value: &str) -> bool {
    match marker.split_once('=') {
        Some((n, v)) => n == name && v == value,
        None => marker == name && !value.is_empty(),
    }
}

pub(super) fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// True where there is anything to look for: an empty look proves nothing where nothing was sought.
pub fn says_something(tree: &Tree) -> bool {
    !matches!(Sought::of(tree), Sought::Nothing)
}
