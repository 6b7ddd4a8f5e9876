//! Everything that goes on in a drill by itself, in order of time, and the log of what really happened.

use std::cell::RefCell;
use std::rc::Rc;

use serde::Serialize;

use super::agent::Agent;
use super::clock::{Passing, SimClock};
use super::colleague::Colleague;
use super::entropy::Seeded;
use super::harbor::{Audit, Harbor, Holder, Volume};
use super::host::{Machine, Whose};
use super::scenario::{Inject, Scenario};
use crate::model::time::Moment;
use crate::world::Clock;
use crate::world::host::{Pid, Signal, Signalled};

/// The whole simulated world behind its ports.
pub struct Sim {
    /// What was laid out.
    pub scenario: Scenario,
    /// The platform.
    pub harbor: Harbor,
    /// The host.
    pub machine: Machine,
    /// The agent's mind; its processes are the machine's.
    pub agent: Agent,
    /// The people who can sign, the responder first.
    pub people: Rc<[Colleague]>,
    /// Randomness of latencies.
    pub weather: Seeded,
    /// What happened.
    pub log: Vec<Happened>,
    /// Now.
    pub now: Moment,
    /// Wall time of monotonic zero.
    boot_utc_ms: i64,
    page_us: u64,
    injects: Vec<(u64, Inject)>,
    told: usize,
    cron_us: u64,
}

/// Something that happened in the simulated world.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Happened {
    /// Monotonic microseconds.
    #[serde(skip)]
    pub at_us: u64,
    /// Milliseconds after the page; negative before it.
    pub after_page_ms: i64,
    /// What.
    pub what: What,
}

/// Kinds of things that happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// The agent's processes were started.
    AgentStarted,
    /// The agent read a file.
    AgentRead(String),
    /// The agent wrote this into its transcript.
    AgentSaid(String),
    /// The agent asked the platform for something.
    AgentAsked {
        /// Method and path.
        request: String,
        /// The token it used.
        token: String,
        /// The answer.
        status: u16,
    },
    /// Our side sent a signal.
    Signalled {
        /// First argument of the process.
        program: String,
        /// True where the process was the agent's.
        agents: bool,
    },
    /// Our side changed or removed a file.
    FileChanged(String),
    /// Our side paused a container or let it go on.
    Paused {
        /// Which.
        container: String,
        /// True = paused.
        paused: bool,
    },
    /// Somebody's pager went off.
    Paged(String),
    /// News reached the person.
    Told(Inject),
}

/// The responder's key, below the home folder.
pub const KEY: &str = ".ssh/id_ed25519";

const MINUTE_US: u64 = 60_000_000;

impl Sim {
    /// The world of this scenario and seed, two minutes before the first deletion.
    pub fn new(scenario: Scenario, seed: u64) -> Self {
        let seeded = Seeded::new(seed, "world");
        let shift_ms = i64::try_from(seeded.below(7_200_000)).unwrap_or(0);
        let first_ms = scenario.first_deletion_ms() + shift_ms;
        let first_us = (40_000 + seeded.below(4_000_000)) * 1_000_000;
        let lead_us = 2 * MINUTE_US;
        let now = Moment {
            utc_ms: first_ms - 120_000,
            mono_us: first_us - lead_us,
        };
        let harbor = Harbor::new(&scenario.platform, |id| {
            let kind = if id == "tok-staging" { "env" } else { "acct" };
            format!("hbr_{kind}_{}", seeded.hex(20))
        });
        let mut machine = Machine::new(&scenario.host, &seeded, now);
        let fill = |text: &str| {
            scenario.platform.tokens.keys().fold(text.to_owned(), |text, id| {
                text.replace(&format!("{{secret:{id}}}"), harbor.secret_of(id))
            })
        };
        let user = &scenario.host.agent_user;
        for (path, text) in &scenario.host.files {
            machine.write(path.as_ref(), fill(text).into_bytes(), user, 0o644, now);
        }
        let crontab = format!("{}\n", scenario.host.crontab);
        machine.write(&Machine::crontab(user), crontab.into_bytes(), user, 0o600, now);
        machine.set_env("HARBOR_TOKEN", harbor.secret_of(&scenario.responder_token()));
        let key = b"a key that is good for this drill and nothing else\n".to_vec();
        machine.write(
            &machine.home().join(KEY),
            key,
            &scenario.host.responder,
            0o600,
            now,
        );
        let env = scenario.agent.environment.iter();
        let env = env.map(|(name, value)| (name.clone(), fill(value))).collect();
        let jitter = |at: i64| match at > 0 {
            true => {
                at - scenario.jitter.0
                    + i64::try_from(seeded.below(2 * scenario.jitter.us() / 1_000)).unwrap_or(0)
            }
            false => at,
        };
        let place = |at: i64| first_us.saturating_add_signed(at * 1_000);
        let agent = Agent::new(
            &scenario,
            env,
            |at| place(jitter(at.0)),
            Seeded::new(seed, "agent"),
        );
        let injects = scenario
            .injects
            .iter()
            .map(|i| (place(i.at.0), i.clone()))
            .collect();
        // Cron wakes on the wall clock's full minutes.
        let past_ms = u64::try_from(now.utc_ms.rem_euclid(60_000)).unwrap_or(0);
        let mut sim = Sim {
            boot_utc_ms: now.utc_ms - i64::try_from(now.mono_us / 1_000).unwrap_or(0),
            page_us: place(scenario.page.0),
            cron_us: now.mono_us + MINUTE_US - past_ms * 1_000,
            people: Colleague::all(&scenario, seed).into(),
            weather: Seeded::new(seed, "weather"),
            log: Vec::new(),
            told: 0,
            scenario,
            harbor,
            machine,
            agent,
            now,
            injects,
        };
        Agent::start(&mut sim);
        sim
    }

    /// When the pager goes off, in monotonic microseconds.
    pub fn page_us(&self) -> u64 {
        self.page_us
    }

    /// Writes down what happened.
    pub fn note(&mut self, what: What) {
        let after_us = i128::from(self.now.mono_us) - i128::from(self.page_us);
        self.log.push(Happened {
            at_us: self.now.mono_us,
            after_page_ms: i64::try_from(after_us / 1_000).unwrap_or(0),
            what,
        });
    }

    /// Our side sends a signal.
    pub fn signal(&mut self, pid: Pid, signal: Signal) -> Signalled {
        let program = self.machine.processes().into_iter().find(|p| p.id == pid);
        let program = program
            .and_then(|p| p.argv.into_iter().next())
            .unwrap_or_default();
        let agents = self.machine.whose(pid) == Some(Whose::Agent);
        let outcome = self.machine.signal(pid, signal);
        if outcome == Signalled::Sent {
            self.note(What::Signalled { program, agents });
        }
        outcome
    }

    /// True where the agent runs and thinks.
    pub fn agent_acts(&self) -> bool {
        let plan = &self.scenario.agent;
        plan.processes
            .get(plan.brain)
            .is_some_and(|argv| self.machine.acts(argv))
    }

    /// True where something will start the agent again.
    pub fn trigger_armed(&self) -> bool {
        let marks = &self.scenario.host.crontab_marks;
        let path = Machine::crontab(&self.scenario.host.agent_user);
        let table = self.machine.read(&path, 1 << 20).unwrap_or_default();
        String::from_utf8_lossy(&table)
            .lines()
            .any(|line| !line.trim_start().starts_with('#') && line.contains(marks.as_str()))
    }

    /// News since it was last asked for.
    pub fn news(&mut self) -> Vec<Inject> {
        let news = self.log.iter().filter_map(|h| match &h.what {
            What::Told(inject) => Some(inject.clone()),
            _ => None,
        });
        let news: Vec<Inject> = news.skip(self.told).collect();
        self.told += news.len();
        news
    }

    fn next_due(&self) -> u64 {
        let inject = self.injects.first().map(|(due, _)| *due);
        let agent = self.agent.due().filter(|_| self.agent_acts());
        [self.harbor.next_due(), inject, agent]
            .into_iter()
            .flatten()
            .fold(self.cron_us, u64::min)
    }

    /// Does everything that is due right now.
    fn happen(&mut self) {
        let now_us = self.now.mono_us;
        self.harbor.run_due(self.now);
        if self.agent_acts() && self.agent.due().is_some_and(|due| due <= now_us) {
            Agent::step(self);
        }
        if self.cron_us <= now_us {
            self.cron_us += MINUTE_US;
            if self.trigger_armed() && self.machine.cron_runs() && !self.machine.agent_exists() {
                Agent::start(self);
            }
        }
        while self.injects.first().is_some_and(|(due, _)| *due <= now_us) {
            let (_, inject) = self.injects.remove(0);
            if !inject.while_agent_runs || self.agent_acts() {
                self.note(What::Told(inject));
            }
        }
    }

    /// What really happened, for the score.
    pub fn truth(&self) -> Truth {
        let live = self.harbor.live_tokens(Holder::Agent, self.now);
        Truth {
            page_us: self.page_us,
            end_us: self.now.mono_us,
            log: self.log.clone(),
            audit: self.harbor.audit().to_vec(),
            live_tokens: live.into_iter().map(str::to_owned).collect(),
            bystander_tokens: self.tokens_of(Holder::Bystander),
            agent_tokens: self.scenario.agent.tokens.clone(),
            agent_exists: self.machine.agent_exists(),
            trigger_armed: self.trigger_armed(),
            volumes: self.harbor.volumes().values().cloned().collect(),
            unhealthy: self.unhealthy(),
        }
    }

    fn tokens_of(&self, holder: Holder) -> Vec<String> {
        let tokens = self.scenario.platform.tokens.iter();
        let mine = tokens.filter(|(_, t)| t.holder == holder);
        mine.map(|(id, _)| id.clone()).collect()
    }

    fn unhealthy(&self) -> Vec<String> {
        let wanted = self.scenario.goal.healthy.iter();
        let works = |name: &str| match self.scenario.platform.services.contains_key(name) {
            true => self.harbor.healthy(name),
            false => !self.machine.paused(name),
        };
        wanted.filter(|name| !works(name)).cloned().collect()
    }
}

/// The simulated world's own account of a drill, taken at its end. The score reads this and the record.
#[derive(Debug, Clone)]
pub struct Truth {
    /// When the pager went off, in monotonic microseconds.
    pub page_us: u64,
    /// When the drill ended.
    pub end_us: u64,
    /// What happened.
    pub log: Vec<Happened>,
    /// The platform's audit log.
    pub audit: Vec<Audit>,
    /// Tokens of the agent that still work.
    pub live_tokens: Vec<String>,
    /// Tokens of those who have no part in it.
    pub bystander_tokens: Vec<String>,
    /// Tokens the agent knew.
    pub agent_tokens: Vec<String>,
    /// True where a process of the agent still runs.
    pub agent_exists: bool,
    /// True where something would start it again.
    pub trigger_armed: bool,
    /// Volumes as they ended.
    pub volumes: Vec<Volume>,
    /// Services and containers of the goal that do not work.
    pub unhealthy: Vec<String>,
}

/// The world in the one place all its ports share.
pub struct Shared(pub RefCell<Sim>);

impl Shared {
    /// Works on the world as it is at the clock's moment.
    pub fn with<T>(&self, clock: &SimClock, work: impl FnOnce(&mut Sim) -> T) -> T {
        let mut sim = self.0.borrow_mut();
        sim.now = clock.now();
        work(&mut sim)
    }
}

impl Passing for Shared {
    fn pass(&self, until: Moment) {
        let mut sim = self.0.borrow_mut();
        loop {
            let due = sim.next_due().max(sim.now.mono_us);
            if due > until.mono_us {
                sim.now = until;
                return;
            }
            sim.now = Moment {
                mono_us: due,
                utc_ms: sim.boot_utc_ms + i64::try_from(due / 1_000).unwrap_or(0),
            };
            sim.happen();
        }
    }
}
