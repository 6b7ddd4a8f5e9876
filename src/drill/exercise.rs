//! One drill set up and ready: a `World` that reaches nothing, and the handle on what goes on in it.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::clock::{Passing, SimClock};
use super::colleague::Colleague;
use super::entropy::Seeded;
use super::executor::SimExecutor;
use super::ports::{NoInterrupt, Port, SimSecrets};
use super::scenario::{Inject, Scenario, ScenarioError};
use super::sim::{Shared, Sim, Truth};
use crate::world::{World, WorldKind};

/// A drill at the moment the pager goes off.
pub struct Exercise {
    /// The world to hand to the engine.
    pub world: World,
    /// Its clock: let a person's time pass with [`SimClock::advance`].
    pub clock: SimClock,
    /// What was laid out.
    pub scenario: Scenario,
    /// The people who can sign, the responder first.
    pub people: Vec<Colleague>,
    port: Port,
}

impl Exercise {
    /// Sets up a shipped drill. The same name and seed give the same bytes.
    pub fn new(id: &str, seed: u64) -> Result<Self, ScenarioError> {
        let scenario = Scenario::shipped(id)?;
        let people = Colleague::all(&scenario, seed);
        let sim = Sim::new(scenario.clone(), seed);
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
        Ok(Exercise {
            world,
            clock,
            scenario,
            people,
            port,
        })
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
