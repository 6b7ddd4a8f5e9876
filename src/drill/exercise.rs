//! One drill set up and ready: a `World` that reaches nothing, and the handle on what goes on in it.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::clock::{Passing, SimClock};
use super::colleague::{CannotSign, Colleague};
use super::entropy::Seeded;
use super::executor::SimExecutor;
use super::player::pace;
use super::ports::{NoInterrupt, Port, SimSecrets};
use super::scenario::{Inject, Scenario, ScenarioError};
use super::sim::{KEY, Shared, Sim, Truth, What};
use crate::engine::{Next, Written};
use crate::world::{Clock, World, WorldKind};

/// A drill at the moment the pager goes off.
pub struct Exercise {
    /// The world to hand to the engine.
    pub world: World,
    /// Its clock: let a person's time pass with [`SimClock::advance`].
    pub clock: SimClock,
    /// What was laid out.
    pub scenario: Scenario,
    /// The people who can sign, the responder first.
    pub people: Rc<[Colleague]>,
    port: Port,
}

/// An answer on its way.
pub struct Reply {
    /// Who answers.
    pub who: String,
    /// How long after the answer before it this one comes.
    pub after: Duration,
    /// The text that was signed.
    pub statement: String,
    /// Its signature.
    pub signature: String,
}

impl Exercise {
    /// Sets up a shipped drill. The same name and seed give the same bytes.
    pub fn new(id: &str, seed: u64) -> Result<Self, ScenarioError> {
        Ok(Exercise::of(Scenario::shipped(id)?, seed))
    }

    /// Sets up any scenario.
    pub fn of(scenario: Scenario, seed: u64) -> Self {
        let sim = Sim::new(scenario.clone(), seed);
        let people = Rc::clone(&sim.people);
        let (begin, page_us) = (sim.now, sim.page_us());
        let shared = Rc::new(Shared(RefCell::new(sim)));
        let clock = SimClock::new(begin);
        let passing: Rc<dyn Passing> = shared.clone();
        clock.carry(Rc::downgrade(&passing));
        // What happened before the page happened to this very world, not to a copy of it.
        clock.advance(Duration::from_micros(page_us - begin.mono_us));
        let port = Port {
            world: shared,
            clock: clock.clone(),
        };
        let world = World {
            kind: WorldKind::Drill,
            clock: Box::new(clock.clone()),
            entropy: Box::new(Seeded::new(seed, "world port")),
            http: Box::new(port.clone()),
            sql: Box::new(port.clone()),
            spawn: Box::new(port.clone()),
            host: Box::new(port.clone()),
            files: Box::new(port.clone()),
            secrets: Box::new(SimSecrets::new(port.clone())),
            interrupt: Box::new(NoInterrupt),
            executor: Box::new(SimExecutor::new(clock.clone())),
        };
        Exercise {
            world,
            clock,
            scenario,
            people,
            port,
        }
    }

    /// The files this team wrote in advance.
    pub fn written(&self) -> Written {
        let file = |name: &str, text: String| Some((format!("{name} of the drill"), text.into_bytes()));
        let roster: String = self.people.iter().map(Colleague::roster_line).collect();
        Written {
            folder: None,
            runbook: file(
                "runbook.yaml",
                self.scenario.runbook().unwrap_or_default().to_owned(),
            ),
            access: file(
                "access.yaml",
                self.scenario.access().unwrap_or_default().to_owned(),
            ),
            signers: file("allowed_signers", roster),
            trust: None,
            revoked: None,
            approvals: Vec::new(),
            approvals_left: 0,
            trusted_before: None,
        }
    }

    /// The made-up secret of a token, so that tests can look for it where it must not be.
    pub fn secret_of(&self, token: &str) -> String {
        self.sim(|sim| sim.harbor.secret_of(token).to_owned())
    }

    /// Where the responder's key lies on the simulated host.
    pub fn key_path(&self) -> String {
        let home = self.sim(|sim| sim.machine.home());
        home.join(KEY).display().to_string()
    }

    /// What everybody but the responder sends back who heard of this and was asked to sign it, the quickest first.
    pub fn answers(&self, statement: &str) -> Result<Vec<Reply>, CannotSign> {
        let now = Duration::from_micros(self.clock.now().mono_us);
        let due = |person: &Colleague| Some(self.heard(person)? + person.answers_after);
        let others = self.people.iter().skip(1);
        let mut others: Vec<(Duration, &Colleague)> = others.filter_map(|p| Some((due(p)?, p))).collect();
        others.sort_by_key(|(due, _)| *due);
        let mut before = now;
        let mut replies = Vec::new();
        for (due, person) in others {
            if let Some(answer) = person.answer(statement)? {
                replies.push(Reply {
                    who: person.name.clone(),
                    after: due.saturating_sub(before),
                    statement: answer.statement,
                    signature: answer.signature,
                });
                before = before.max(due);
            }
        }
        Ok(replies)
    }

    /// When somebody heard that they are asked, on the monotonic clock; `None` = not yet.
    fn heard(&self, person: &Colleague) -> Option<Duration> {
        if !self.scenario.by_pager {
            return Some(Duration::from_micros(self.clock.now().mono_us));
        }
        let paged = |sim: &mut Sim| {
            let mut log = sim.log.iter();
            log.find(|h| h.what == What::Paged(person.name.clone()))
                .map(|h| h.at_us)
        };
        self.sim(paged).map(Duration::from_micros)
    }

    /// Lets the time pass that a person needs at this point of the walk, and gives the news of it.
    pub fn thinks(&self, next: &Next) -> Vec<Inject> {
        self.clock.advance(pace(next));
        self.news()
    }

    /// News that reached the person since it was last asked for.
    pub fn news(&self) -> Vec<Inject> {
        self.sim(Sim::news)
    }

    /// Works on the simulated world as it is now.
    pub(super) fn sim<T>(&self, work: impl FnOnce(&mut Sim) -> T) -> T {
        self.port.with(work)
    }

    /// What really happened up to now.
    pub fn truth(&self) -> Truth {
        self.sim(|sim| sim.truth())
    }
}
