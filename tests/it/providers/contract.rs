//! The order in which an adapter is used, and what its facts then allow to be said.

use std::collections::BTreeMap;

use incident::model::fact::{Fact, Observed, Proof, TargetKind, proof};
use incident::model::grant::{Grant, Shared, Target};
use incident::model::ids::TargetId;
use incident::model::secret::Secret;
use incident::providers::{Adapter, Ctx, Limits, OpenSession, Registry};
use incident::world::World;

/// One grant and the credentials around it.
pub struct Case<'w> {
    pub world: &'w World,
    pub registry: Registry,
    pub limits: Limits,
    pub target: Target,
    pub auth: Option<Secret>,
    pub secret: Option<Secret>,
    pub facts: Vec<Observed>,
    pub undo: Option<Vec<u8>>,
    pub session: Option<OpenSession>,
}

impl<'w> Case<'w> {
    pub fn new(world: &'w World, provider: &str, with: &[(&str, &str)]) -> Self {
        let target = Target::Grant(Grant {
            id: TargetId::new("grant").unwrap(),
            provider: provider.to_owned(),
            agent: None,
            with: with
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect::<BTreeMap<_, _>>(),
            auth: None,
            secret: None,
            shared: Shared::No,
            reaches: Vec::new(),
        });
        Case {
            world,
            registry: Registry::shipped(),
            limits: Limits::new(),
            target,
            auth: None,
            secret: None,
            facts: Vec::new(),
            undo: None,
            session: None,
        }
    }

    pub fn table(mut self, text: &str) -> Self {
        if let Err(mistakes) = self.registry.add_table("team.yaml", text) {
            panic!("{mistakes:?}");
        }
        self
    }

    pub fn auth(mut self, value: &str) -> Self {
        self.auth = Some(Secret::new(value.to_owned()));
        self
    }

    pub fn secret(mut self, value: &str) -> Self {
        self.secret = Some(Secret::new(value.to_owned()));
        self
    }

    pub fn adapter(&self) -> &dyn Adapter {
        self.registry.of(&self.target).unwrap().unwrap()
    }

    pub fn ctx(&self) -> Ctx<'_> {
        Ctx {
            world: self.world,
            auth: self.auth.as_ref(),
            secret: self.secret.as_ref(),
            open: self.session.as_ref(),
            saved: self.undo.as_deref(),
            earlier: &self.facts,
            limits: &self.limits,
        }
    }

    fn file(&mut self, facts: Vec<Fact>) -> Vec<Fact> {
        let at_us = self.world.clock.now().mono_us;
        self.facts.extend(facts.iter().map(|fact| Observed {
            at_us,
            fact: fact.clone(),
        }));
        facts
    }

    pub fn before(&mut self) -> Vec<Fact> {
        let opened = self
            .world
            .wait(self.adapter().open(self.ctx(), &self.target))
            .unwrap();
        let mut facts = self.file(opened.facts);
        self.session = opened.session;
        let glance = self
            .world
            .wait(self.adapter().glance(self.ctx(), &self.target))
            .unwrap();
        self.undo = glance.undo.or(self.undo.take());
        facts.extend(self.file(glance.facts));
        facts
    }

    pub fn cut(&mut self) -> Vec<Fact> {
        let facts = self
            .world
            .wait(self.adapter().cut(self.ctx(), &self.target))
            .unwrap();
        self.file(facts)
    }

    pub fn sessions(&mut self) -> Vec<Fact> {
        let facts = self
            .world
            .wait(self.adapter().sessions(self.ctx(), &self.target))
            .unwrap();
        self.file(facts)
    }

    pub fn probe(&mut self) -> Vec<Fact> {
        let facts = self
            .world
            .wait(self.adapter().probe(self.ctx(), &self.target))
            .unwrap();
        self.file(facts)
    }

    pub fn restore(&mut self) -> Vec<Fact> {
        let undo = self.undo.clone().unwrap();
        let facts = self
            .world
            .wait(self.adapter().restore(self.ctx(), &self.target, &undo))
            .unwrap();
        self.file(facts)
    }

    pub fn armed(&self) -> Vec<Fact> {
        self.world
            .wait(self.adapter().armed(self.ctx(), &self.target))
            .unwrap()
    }

    /// Everything in order, with the second probe after the window.
    pub fn stop(&mut self) -> Proof {
        self.before();
        self.after()
    }

    /// What comes after the look before the cut.
    pub fn after(&mut self) -> Proof {
        self.cut();
        let mut empty = 0;
        for _ in 0..6 {
            let seen = self.sessions();
            let last = seen.iter().rev().find_map(|f| match f {
                Fact::Listed { live } => Some(*live),
                _ => None,
            });
            empty = if last.unwrap_or(0) == 0 { empty + 1 } else { 0 };
            if empty == 2 {
                break;
            }
        }
        self.probe();
        let window = self.adapter().window();
        if !window.is_zero() {
            self.world.wait(self.world.clock.sleep(window)).unwrap();
            self.probe();
        }
        self.proof()
    }

    pub fn proof(&self) -> Proof {
        proof(TargetKind::Grant, &self.facts, self.adapter().window())
    }

    pub fn has(&self, wanted: &Fact) -> bool {
        self.facts.iter().any(|o| o.fact == *wanted)
    }
}

/// The one text of an error fact.
pub fn error_text(facts: &[Fact]) -> &str {
    facts
        .iter()
        .find_map(|f| match f {
            Fact::Error { text, .. } => Some(text.as_str()),
            _ => None,
        })
        .unwrap_or_else(|| panic!("no error in {facts:?}"))
}
