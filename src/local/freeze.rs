//! Ending a tree: freeze, keep what dies with it, kill, look again, watch for its return.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use super::Keeper;
use super::starter::is_shell;
use super::tree::{Look, Member, Snapshot, count, says_something};
use crate::model::fact::Fact;
use crate::model::grant::Tree;
use crate::world::World;
use crate::world::host::{HostError, Pid, Signal, Signalled};

/// Longest time spent on freezing a tree that keeps forking, and on killing it.
const PATIENCE: Duration = Duration::from_millis(1_000);
/// Longest time spent on facts that die with the tree. Source: the stop table of the design.
const VOLATILE: Duration = Duration::from_secs(2);
/// Pause between two looks at processes that need a moment to stop or to die.
const PAUSE: Duration = Duration::from_millis(5);
/// Pause between two looks while watching for a return.
const WATCH: Duration = Duration::from_millis(250);

/// Freezes the tree and keeps its volatile facts. Kills nothing.
pub async fn freeze_and_look(
    world: &World,
    tree: &Tree,
    met: &mut BTreeSet<Pid>,
    keeper: &dyn Keeper,
) -> Vec<Fact> {
    if let Some(nothing) = nothing_sought(tree) {
        return nothing;
    }
    match freeze(world, tree, met).await {
        Ok((look, mut facts)) => {
            facts.extend(volatile(world, tree, &look, keeper));
            facts
        }
        Err(error) => vec![failed(&error)],
    }
}

/// Freezes, kills and looks again, until nothing is found or patience ends. Safe to repeat.
///
/// What was not there when it was frozen before gives its environment away first.
pub async fn kill(world: &World, tree: &Tree, met: &mut BTreeSet<Pid>, keeper: &dyn Keeper) -> Vec<Fact> {
    if let Some(nothing) = nothing_sought(tree) {
        return nothing;
    }
    let began = world.clock.now().mono_us;
    let ms = || (world.clock.now().mono_us - began) / 1_000;
    let before = met.clone();
    let (mut look, mut facts) = match freeze(world, tree, met).await {
        Ok(frozen) => frozen,
        Err(error) => return vec![failed(&error)],
    };
    let frozen_ms = ms();
    let late: Vec<&Member> = look
        .members
        .iter()
        .filter(|m| !before.contains(&m.process.id))
        .collect();
    let variables = Variables::default().read(world, &tree.agent, late.iter().copied(), keeper);
    hand_over(world, tree, &late, &variables, keeper);
    facts.extend(variables.facts());
    let mut shot: BTreeSet<Pid> = BTreeSet::new();
    let mut refused: BTreeMap<Pid, String> = BTreeMap::new();
    loop {
        for member in &look.members {
            match world.host.signal(member.process.id, Signal::Kill) {
                Signalled::Sent => {
                    shot.insert(member.process.id);
                }
                Signalled::Gone => {}
                Signalled::Refused(why) => {
                    refused.insert(member.process.id, why);
                }
            }
        }
        look = match look_now(world, tree, met) {
            Ok(look) => look,
            Err(error) => {
                facts.push(failed(&error));
                return facts;
            }
        };
        let hopeless = look.members.iter().all(|m| refused.contains_key(&m.process.id));
        if hopeless || ms() > u64::try_from(PATIENCE.as_millis()).unwrap_or(0) + frozen_ms {
            break;
        }
        world.clock.sleep(PAUSE).await;
    }
    for member in &look.members {
        shot.remove(&member.process.id);
    }
    facts.push(Fact::Killed {
        count: count(shot.len()),
    });
    facts.extend(refused.iter().map(|(pid, why)| Fact::Error {
        status: 0,
        text: format!("kill {}: {why}", pid.pid),
    }));
    facts.push(noted(
        "timing",
        format!(
            "frozen after {frozen_ms} ms, killed and looked for after {} ms",
            ms()
        ),
    ));
    facts.extend(look.facts());
    facts
}

/// One more look, changing nothing.
pub fn look_again(world: &World, tree: &Tree, met: &BTreeSet<Pid>) -> Vec<Fact> {
    if let Some(nothing) = nothing_sought(tree) {
        return nothing;
    }
    match Snapshot::with_scripts(world) {
        Ok(seen) => {
            let look = seen.look(tree, met);
            let mut facts = look.facts();
            facts.extend(look.starters.iter().cloned());
            // Without arguments: they could hold secrets, and nobody scrubs a watch.
            facts.extend(look.members.iter().map(|m| {
                let (id, parent) = (m.process.id.pid, m.process.ppid);
                noted("alive", format!("process {id}, started by {parent}: {}", m.why))
            }));
            facts
        }
        Err(error) => vec![failed(&error)],
    }
}

/// Looks again and again: until the tree is back, or `span` has passed. Says who started it.
pub async fn watch(world: &World, tree: &Tree, met: &BTreeSet<Pid>, span: Duration) -> Vec<Fact> {
    let began = world.clock.now().mono_us;
    loop {
        let passed = Duration::from_micros(world.clock.now().mono_us - began);
        let facts = look_again(world, tree, met);
        let quiet = matches!(facts.first(), Some(Fact::LookedFor { found: 0, .. }));
        if !quiet || passed >= span || world.interrupt.count() > 0 {
            return facts;
        }
        world.clock.sleep(WATCH.min(span - passed)).await;
    }
}

/// Who started the tree again: shells that go with it from now on, and in words what must not be killed.
pub fn restarters(world: &World, tree: &Tree, met: &BTreeSet<Pid>) -> (Vec<Pid>, Vec<Fact>) {
    let Ok(seen) = Snapshot::with_scripts(world) else {
        return (Vec::new(), Vec::new());
    };
    let look = seen.look(tree, met);
    let (own, other): (Vec<_>, Vec<_>) = seen.restarters(&look, met).into_iter().partition(|p| is_shell(p));
    let mut facts: Vec<Fact> = own
        .iter()
        .map(|p| {
            noted(
                "starter",
                format!("process {} started it again and goes with it", p.id.pid),
            )
        })
        .collect();
    let known = |pid: u32| {
        look.starters
            .iter()
            .any(|f| matches!(f, Fact::Starter { pid: p, .. } if *p == pid))
    };
    facts.extend(other.iter().filter(|p| !known(p.id.pid)).map(|p| Fact::Starter {
        what: format!(
            "{} (pid {}, of {})",
            p.argv.first().map_or("?", String::as_str),
            p.id.pid,
            p.user
        ),
        line: format!("kill {}, if nothing else needs it", p.id.pid),
        pid: p.id.pid,
        starttime: p.id.starttime,
        trigger: None,
    }));
    (own.iter().map(|p| p.id).collect(), facts)
}

/// SIGSTOP, parents first, again and again until a look finds nobody new and nobody running.
async fn freeze(world: &World, tree: &Tree, met: &mut BTreeSet<Pid>) -> Result<(Look, Vec<Fact>), HostError> {
    let began = world.clock.now().mono_us;
    let mut refused: BTreeMap<Pid, String> = BTreeMap::new();
    loop {
        let look = look_now(world, tree, met)?;
        let running: Vec<Pid> = look
            .members
            .iter()
            .filter(|m| !is_stopped(m) && !refused.contains_key(&m.process.id))
            .map(|m| m.process.id)
            .collect();
        let spent = Duration::from_micros(world.clock.now().mono_us - began);
        if running.is_empty() || spent >= PATIENCE {
            let mut facts = vec![Fact::Frozen {
                count: count(look.members.iter().filter(|m| is_stopped(m)).count()),
            }];
            facts.extend(look.starters.iter().cloned());
            facts.extend(refused.iter().map(|(pid, why)| Fact::Error {
                status: 0,
                text: format!("stop {}: {why}", pid.pid),
            }));
            facts.extend(
                running
                    .iter()
                    .map(|pid| noted("not-frozen", format!("process {} did not stop in time", pid.pid))),
            );
            return Ok((look, facts));
        }
        for pid in running {
            if let Signalled::Refused(why) = world.host.signal(pid, Signal::Stop) {
                refused.insert(pid, why);
            }
        }
        world.clock.sleep(PAUSE).await;
    }
}

fn is_stopped(member: &Member) -> bool {
    matches!(member.process.state, 'T' | 't')
}

fn look_now(world: &World, tree: &Tree, met: &mut BTreeSet<Pid>) -> Result<Look, HostError> {
    let look = Snapshot::with_scripts(world)?.look(tree, met);
    met.extend(look.members.iter().map(|m| m.process.id));
    Ok(look)
}

/// What dies with the processes: who they are, what they hold open, which variables they carry.
fn volatile(world: &World, tree: &Tree, look: &Look, keeper: &dyn Keeper) -> Vec<Fact> {
    let variables = Variables::default().read(world, &tree.agent, look.members.iter(), keeper);
    let members: Vec<&Member> = look.members.iter().collect();
    hand_over(world, tree, &members, &variables, keeper);
    let open = look.members.iter().take(variables.looked).map(|m| {
        let pid = m.process.id;
        (pid.pid, world.host.open_files(pid))
    });
    let open: Vec<_> = open.filter(|(_, files)| !files.is_empty()).collect();
    // Scrubbed only now, when every value is known that could stand in an argument.
    let mut facts: Vec<Fact> = look
        .members
        .iter()
        .map(|m| noted("process", keeper.scrub(&in_words(m))))
        .collect();
    facts.extend(
        open.iter()
            .map(|(pid, files)| noted("open", keeper.scrub(&format!("{pid}: {}", files.join(", "))))),
    );
    let looked = variables.looked;
    facts.extend(variables.facts());
    if looked < look.members.len() {
        facts.push(noted(
            "cut-short",
            format!(
                "open files and variables of {looked} of {} processes only",
                look.members.len()
            ),
        ));
    }
    facts
}

/// Hands over what these processes hold, for the evidence: the facts tell only its beginning.
fn hand_over(world: &World, tree: &Tree, members: &[&Member], variables: &Variables, keeper: &dyn Keeper) {
    let mut text = String::new();
    for member in members.iter().take(variables.looked) {
        let p = &member.process;
        let exe = p.exe.as_deref().map_or("?".into(), |exe| exe.to_string_lossy());
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "process {}\nstate {}, executable {exe}",
            in_words(member),
            p.state
        );
        let names = variables.names.get(&p.id).cloned().unwrap_or_default();
        for (what, lines) in [
            ("open files and sockets", world.host.open_files(p.id)),
            ("mapped files", world.host.mapped_files(p.id)),
            ("names of variables", names),
        ] {
            let _ = writeln!(
                text,
                "{what}:{}",
                if lines.is_empty() { " none seen" } else { "" }
            );
            lines
                .iter()
                .for_each(|line| text.push_str(&format!("  {line}\n")));
        }
        text.push('\n');
    }
    if !members.is_empty() {
        keeper.held(&tree.agent, &text, members.len() - variables.looked);
    }
}

/// Variables of processes: each name with the fingerprints of its values.
#[derive(Default)]
struct Variables {
    prints: BTreeMap<String, BTreeSet<String>>,
    /// The names that each process carries.
    names: BTreeMap<Pid, Vec<String>>,
    /// How many processes were looked at before the time was over.
    looked: usize,
}

impl Variables {
    fn read<'m>(
        mut self,
        world: &World,
        agent: &str,
        members: impl Iterator<Item = &'m Member>,
        keeper: &dyn Keeper,
    ) -> Self {
        let began = world.clock.now().mono_us;
        for member in members {
            for (name, value) in world.host.environment(member.process.id) {
                let print = keeper.fingerprint(value.expose());
                self.names
                    .entry(member.process.id)
                    .or_default()
                    .push(name.clone());
                if self.prints.entry(name.clone()).or_default().insert(print) {
                    keeper.found(agent, &member.process, &name, value);
                }
            }
            self.looked += 1;
            if Duration::from_micros(world.clock.now().mono_us - began) >= VOLATILE {
                break;
            }
        }
        self
    }

    fn facts(&self) -> Vec<Fact> {
        let fact = |(name, prints): (&String, &BTreeSet<String>)| {
            let prints: Vec<&str> = prints.iter().map(String::as_str).collect();
            noted("env", format!("{name} {}", prints.join(" ")))
        };
        self.prints.iter().map(fact).collect()
    }
}

fn in_words(member: &Member) -> String {
    let p = &member.process;
    let cwd = p
        .cwd
        .as_deref()
        .map_or_else(|| "?".into(), |cwd| cwd.display().to_string());
    format!(
        "{} of {} (parent {}, session {}, started at tick {}) in {cwd}: {} [{}]",
        p.id.pid,
        p.user,
        p.ppid,
        p.session,
        p.id.starttime,
        p.argv.join(" "),
        member.why
    )
}

fn nothing_sought(tree: &Tree) -> Option<Vec<Fact>> {
    (!says_something(tree)).then(|| {
        vec![Fact::NotTried {
            why: format!("the rule for {} names nothing to look for", tree.agent),
        }]
    })
}

fn noted(label: &str, text: String) -> Fact {
    Fact::Noted {
        label: label.to_owned(),
        text,
    }
}

fn failed(error: &HostError) -> Fact {
    Fact::Error {
        status: 0,
        text: error.to_string(),
    }
}
