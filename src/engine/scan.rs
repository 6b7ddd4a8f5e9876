//! What the agents found here can reach, sorted: what is cut at once, what is left alone and why, what a person must cut.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::join_all;

use super::{Engine, EngineError, Found, lines};
use crate::access::by_hand::by_hand;
use crate::access::{self, Agent, Eye, Finding, Place, Scan, Variable, Whose};
use crate::local::tree::{FoundTree, Member};
use crate::model::event::{Aim, Event, StopEnded, StopFacts, StopStarted};
use crate::model::fact::{Fact, Observed};
use crate::model::grant::{Grant, Shared, Target};
use crate::model::ids::TargetId;
use crate::model::secret::{Secret, SecretRef};
use crate::providers::{Adapter, Ctx};
use crate::world::host::Process;

/// A secret that could be cut and is not, because others use it too.
#[derive(Debug, Clone, PartialEq)]
pub struct Left {
    /// What it is.
    pub aim: Aim,
    /// Where it was found, in words.
    pub words: String,
    /// Who else uses it.
    pub why: String,
    /// The line that cuts it all the same.
    pub next: String,
}

impl Left {
    fn id(&self) -> &TargetId {
        self.aim.target.id()
    }
}

/// Longest words kept on where something was found, in characters.
const FOUND_BY: usize = 300;
/// Trying one secret takes no longer than this.
const TRY: Duration = Duration::from_secs(5);
/// The file in which users and their homes are listed.
const USERS: &str = "/etc/passwd";

impl Engine<'_> {
    /// Everything that could be read by the agents that run here, or by us where none does. Cuts nothing.
    pub fn scan(&self) -> Result<Scan, EngineError> {
        self.at_once()?;
        let mut agents = self.agents.take();
        if agents.is_empty() {
            let host = &self.world.host;
            agents.push(Agent {
                name: None,
                uid: host.identity().uid,
                home: host.home(),
                cwds: BTreeSet::from([host.cwd()]),
                variables: Vec::new(),
            });
        }
        self.scanned(&agents)
    }

    fn scanned(&self, agents: &[Agent]) -> Result<Scan, EngineError> {
        let recognise = |value: &str| -> Vec<String> {
            let all = self.registry.recognise(value);
            all.iter().map(|a| a.name().to_owned()).collect()
        };
        let eye = Eye::new(&self.key, &recognise)?;
        let own = self.world.host.home();
        Ok(access::scan(self.world, agents, own.as_deref(), &eye))
    }

    /// Keeps what the processes of these trees carry and where they work, before anything ends them.
    pub(super) fn meet(&self, trees: &[FoundTree]) {
        let mut agents: Vec<Agent> = Vec::new();
        for tree in trees {
            for member in tree.look.members.iter().chain(&tree.look.spared) {
                self.meet_one(&mut agents, &tree.tree.agent, member);
            }
        }
        *self.agents.borrow_mut() = agents;
        self.sorted.borrow_mut().clear();
    }

    /// Keeps a variable that was seen only when the tree was frozen: its process is younger than the look.
    pub(super) fn met_late(&self, agent: &str, process: &Process, name: &str, value: &Secret) {
        let mut agents = self.agents.borrow_mut();
        let known = |v: &Variable| v.name == name && v.value.expose() == value.expose();
        let mut same = agents.iter().filter(|a| a.name.as_deref() == Some(agent));
        if same.any(|a| a.variables.iter().any(known)) {
            return;
        }
        let one = self.slot(&mut agents, agent, process);
        if one.home.is_none() {
            one.home = self.home_of(process.uid, (name == "HOME").then(|| value.expose()));
        }
        one.cwds.extend(process.cwd.clone());
        one.variables.push(Variable {
            name: name.to_owned(),
            value: Secret::joined(&[value.expose()]),
            pid: process.id.pid,
        });
        self.late.set(true);
    }

    /// The agent of this name and user.
    fn slot<'a>(&self, agents: &'a mut Vec<Agent>, name: &str, process: &Process) -> &'a mut Agent {
        let known = |a: &Agent| a.name.as_deref() == Some(name) && a.uid == process.uid;
        let at = agents.iter().position(known).unwrap_or_else(|| {
            agents.push(Agent {
                name: Some(name.to_owned()),
                uid: process.uid,
                home: None,
                cwds: BTreeSet::new(),
                variables: Vec::new(),
            });
            agents.len() - 1
        });
        &mut agents[at]
    }

    fn meet_one(&self, agents: &mut Vec<Agent>, name: &str, member: &Member) {
        let process = &member.process;
        let environment = self.world.host.environment(process.id);
        let agent = self.slot(agents, name, process);
        if agent.home.is_none() {
            let said = environment.iter().find(|(name, _)| name == "HOME");
            agent.home = self.home_of(process.uid, said.map(|(_, home)| home.expose()));
        }
        agent.cwds.extend(process.cwd.clone());
        for (name, value) in environment {
            let known = |v: &Variable| v.name == name && v.value.expose() == value.expose();
            if !agent.variables.iter().any(known) {
                let pid = process.id.pid;
                agent.variables.push(Variable { name, value, pid });
            }
        }
    }

    /// Home of a user. What a process says of it counts only where that user owns the folder: nobody is to
    /// pass somebody else's stores off as its own.
    fn home_of(&self, uid: u32, said: Option<&str>) -> Option<PathBuf> {
        let files = &self.world.files;
        let owned = |home: &PathBuf| files.stat(home).is_ok_and(|s| s.is_dir && s.uid == uid);
        if let Some(home) = said.map(PathBuf::from).filter(owned) {
            return Some(home);
        }
        const CAP: u64 = 4 << 20;
        let users = files.read(Path::new(USERS), CAP).unwrap_or_default();
        let listed = String::from_utf8_lossy(&users).lines().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let is_it = fields.get(2).is_some_and(|id| *id == uid.to_string());
            fields.get(5).filter(|_| is_it).map(PathBuf::from)
        });
        let host = &self.world.host;
        let own = || host.home().filter(|_| host.identity().uid == uid);
        listed.filter(owned).or_else(own)
    }

    /// Adds what the scan finds: at once, left alone, or by hand. Nothing where no agent was seen here.
    pub(super) fn look_for_secrets(&self, found: &mut Found) -> Result<(), EngineError> {
        if self.agents.borrow().is_empty() {
            return Ok(());
        }
        self.late.set(false);
        let scan = self.scanned(&self.agents.borrow())?;
        let mut by_place: BTreeMap<Place, Vec<String>> = BTreeMap::new();
        for finding in scan.findings {
            let news = self.sorted.borrow_mut().insert(finding.fingerprint.clone());
            if !news || self.is_listed(&finding) {
                continue;
            }
            let Some(first) = finding.places.first().cloned() else {
                continue;
            };
            match self.pick(&finding.adapters, None) {
                Pick::One(adapter) if telling(adapter, &finding) => self.sort(found, adapter, finding),
                _ => {
                    // One line a file or process, however many secrets stand there.
                    let place = Place {
                        key: by_hand(&finding.kind).to_owned(),
                        ..first.clone()
                    };
                    let what = format!("{} ({})", finding.looks(), first.key);
                    by_place.entry(place).or_default().push(what);
                }
            }
        }
        for (place, what) in by_place {
            const MOST: usize = 4;
            let more = match what.len().saturating_sub(MOST) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let first = what.iter().take(MOST).cloned().collect::<Vec<_>>().join(", ");
            found
                .readable
                .push(format!("{}: {first}{more}. By hand: {}", place.at, place.key));
        }
        found.unseen.extend(scan.holes);
        Ok(())
    }

    /// True where a grant written in advance reads its secret from that variable of the agent.
    fn is_listed(&self, finding: &Finding) -> bool {
        let listed = |place: &Place| {
            place.whose == Whose::Process
                && self.inventory.targets.iter().any(|target| match target {
                    Target::Grant(g) => g.secret == Some(SecretRef::Process(place.key.clone())),
                    _ => false,
                })
        };
        finding.places.iter().any(listed)
    }

    fn sort(&self, found: &mut Found, adapter: &dyn Adapter, finding: Finding) {
        let mut words = finding.words();
        let Some(first) = finding.places.first().cloned() else {
            return;
        };
        let alone = finding.is_agents_alone();
        let mut places = finding.places.iter();
        let shared = places.find(|p| !alone && !p.whose.is_agents_alone()).cloned();
        let agent = finding.agent.clone();
        let Some(mut aim) = self.held(adapter, finding.value, &finding.near, agent) else {
            return;
        };
        if let Target::Grant(grant) = &aim.target
            && let Some(address) = grant.with.get("address")
        {
            // The agent may have said so: whoever reads this must be able to judge what answered.
            words.push_str(&format!(", asked at {address}"));
        }
        aim.found_by = format!("scan: {words}").chars().take(FOUND_BY).collect();
        match shared {
            None => found.push(aim, words),
            Some(place) => {
                let next = match adapter.by_itself() {
                    // Without an incident there is no key yet, and so no lasting name.
                    true if self.recorder.borrow().is_imagined() => {
                        "incident stop names the line that cuts it all the same".to_owned()
                    }
                    true => format!("to cut it all the same: incident stop --full {}", aim.target.id()),
                    false => format!("by hand: {}", adapter.about().manual),
                };
                let also = place != first;
                found.left.push(Left {
                    why: in_use(&place, also),
                    aim,
                    words,
                    next,
                });
            }
        }
    }

    /// Keeps the secret in memory, and makes a target of it that is named by its fingerprint.
    pub(super) fn held(
        &self,
        adapter: &dyn Adapter,
        secret: Secret,
        near: &BTreeMap<String, String>,
        agent: Option<String>,
    ) -> Option<Aim> {
        let print = crate::redact::fingerprint(&self.key, secret.expose().as_bytes());
        let id = TargetId::new(&format!("{}-{print}", adapter.name())).ok()?;
        self.world.secrets.hold(id.as_str(), secret);
        let grant = Grant {
            secret: Some(SecretRef::Held(id.as_str().to_owned())),
            id,
            provider: adapter.name().to_owned(),
            agent,
            with: self.addressed(adapter, near),
            auth: None,
            shared: Shared::No,
            reaches: Vec::new(),
        };
        Some(Aim {
            target: Target::Grant(grant),
            window_ms: millis(adapter.window()),
            found_by: "responder".to_owned(),
        })
    }

    /// Fills in the server where the adapter has to be told one: from beside the secret, else from our environment.
    fn addressed(&self, adapter: &dyn Adapter, near: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let needed = adapter.about().needs.iter().any(|(key, _)| key == "address");
        let mut with = BTreeMap::new();
        if let Some(address) = near.get("address") {
            with.insert("address".to_owned(), address.clone());
        } else if needed && adapter.name().starts_with("vault") {
            let read = |name: &str| near.get(name).cloned().or_else(|| self.world.host.env(name));
            with.extend(
                read("VAULT_ADDR")
                    .or_else(|| read("BAO_ADDR"))
                    .map(|a| ("address".to_owned(), a)),
            );
        }
        with
    }

    /// The adapter that a secret is handed to: one that needs nothing else, else the only one there is.
    pub(super) fn pick(&self, names: &[String], wanted: Option<&str>) -> Pick<'_> {
        let names: Vec<&str> = match wanted {
            Some(name) => vec![name],
            None => names.iter().map(String::as_str).collect(),
        };
        let all: Vec<&dyn Adapter> = names.iter().filter_map(|n| self.registry.find(n).ok()).collect();
        let alone: Vec<&dyn Adapter> = all.iter().copied().filter(|a| a.by_itself()).collect();
        match (alone.as_slice(), all.as_slice()) {
            ([one], _) | ([], [one]) => Pick::One(*one),
            (_, []) => Pick::Nobody,
            // Trying them one after the other would hand the secret to strangers.
            _ => Pick::Several(all.iter().map(|a| a.name().to_owned()).collect()),
        }
    }

    /// Tries what is left alone, and puts on record what is not refused: it lives until somebody cuts it or
    /// answers for it.
    pub(super) fn leave(&self, left: &[Left]) -> Result<(), EngineError> {
        let tried = join_all(left.iter().map(|one| self.tried(one)));
        let tried = self.world.wait(tried).unwrap_or_default();
        let dead = |facts: &[Fact]| facts.contains(&Fact::TriedNew { refused: true });
        let alive: Vec<(&Left, Vec<Fact>)> = left.iter().zip(tried).filter(|(_, f)| !dead(f)).collect();
        if alive.is_empty() {
            return Ok(());
        }
        let now = self.world.clock.now().mono_us;
        // It belongs to the sweep that has just run.
        let mono_us = self.incident()?.stop.newest_us.unwrap_or(now);
        let groups = lines::lines(alive.iter().map(|(one, _)| one.aim.clone()).collect());
        let mut events: Vec<Event> = groups
            .into_iter()
            .map(|targets| {
                let problems = Vec::new();
                Event::from(StopStarted {
                    mono_us,
                    targets,
                    problems,
                })
            })
            .collect();
        for (one, mut facts) in alive {
            let why = self.scrubbed(&format!("not cut: {}; {}", one.why, one.next));
            facts.push(Fact::Spared { why });
            let facts = facts.into_iter().map(|fact| Observed { at_us: now, fact });
            let told = StopFacts {
                target: one.id().clone(),
                phase: "scan".to_owned(),
                facts: facts.collect(),
            };
            events.push(told.into());
        }
        let ended = StopEnded {
            mono_us: now,
            first_cut_us: None,
            interrupted: false,
        };
        events.push(ended.into());
        self.recorder.borrow_mut().record_at_once(events)?;
        Ok(())
    }

    /// Uses the secret once, changing nothing.
    async fn tried(&self, left: &Left) -> Vec<Fact> {
        let source = SecretRef::Held(left.id().as_str().to_owned());
        let (Some(Ok(adapter)), Ok(secret)) = (
            self.registry.of(&left.aim.target),
            self.world.secrets.read(&source).await,
        ) else {
            return Vec::new();
        };
        let ctx = Ctx {
            world: self.world,
            auth: None,
            secret: Some(&secret),
            open: None,
            saved: None,
            earlier: &[],
            limits: &self.limits,
        };
        let after_ms = millis(TRY);
        let tried = self
            .world
            .timeout(TRY, adapter.probe(ctx, &left.aim.target))
            .await;
        tried.unwrap_or_else(|| vec![Fact::Silent { after_ms }])
    }
}

/// Which adapter a secret is handed to.
pub(super) enum Pick<'e> {
    One(&'e dyn Adapter),
    Several(Vec<String>),
    Nobody,
}

/// True where the shape alone says whose secret it is: a shape without a beginning of its own fits
/// many a word, and a secret must not be sent to the wrong provider.
fn telling(adapter: &dyn Adapter, finding: &Finding) -> bool {
    const LITERALS: usize = 3;
    let begins = |shape: &str| {
        let body = shape.trim_start_matches(['^', '(', '?', ':']);
        let literal = |c: &char| c.is_ascii_alphanumeric() || "_-".contains(*c);
        body.chars().take_while(literal).count() >= LITERALS
    };
    let value = finding.value.expose();
    Eye::is_telling(&finding.kind)
        || adapter
            .shapes()
            .iter()
            .any(|s| s.is_match(value) && begins(s.as_str()))
}

/// Who else uses what stands in this place; the place itself where it was not named before.
fn in_use(place: &Place, also: bool) -> String {
    let who = match place.whose {
        Whose::Responder => "you use it too",
        Whose::Tool => "whoever works in that home uses it too",
        Whose::Project => "production or your colleagues may use it",
        Whose::Transcript => "it passed through a transcript, so nobody knows who else uses it",
        Whose::OtherAgent | Whose::Process | Whose::Agent => {
            "it belongs to an agent that was not seen to run here"
        }
    };
    match also {
        true => format!("{who} ({} in {})", place.key, place.at),
        false => who.to_owned(),
    }
}

pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl Found {
    /// Takes those that are to be cut although others use them too.
    pub(super) fn take(&mut self, full: &[TargetId]) {
        let (cut, left) = std::mem::take(&mut self.left)
            .into_iter()
            .partition(|l| full.contains(l.id()));
        self.left = left;
        let cut: Vec<Left> = cut;
        for one in cut {
            self.push(one.aim, one.words);
        }
    }
}
