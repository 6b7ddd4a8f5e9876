//! The sweep: every chain starts at once; order matters only inside a chain.
//!
//! A chain is: read secrets, open a session, glance (≤ 500 ms), save the undo, cut, end sessions until a
//! listing is empty twice, probe, and probe again after the provider's window. Chains push facts; one
//! committer writes them in groups, so a slow disk or a slow adapter delays nobody.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::{Either, FutureExt, join_all, select};
use futures_util::stream::{FuturesUnordered, StreamExt};

use super::{Engine, EngineError, lines};
use crate::local::{Keeper, Local};
use crate::model::event::{Aim, Event, StopEnded, StopFacts, StopStarted};
use crate::model::fact::{Fact, Glance, Observed};
use crate::model::grant::{Shared, Target, TriggerKind};
use crate::model::ids::TargetId;
use crate::model::incident::Incident;
use crate::model::secret::{Secret, SecretRef};
use crate::providers::{Adapter, Ctx};
use crate::redact::fingerprint;
use crate::store::Folder;
use crate::world::World;

/// What a sweep came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopReport {
    /// How many targets it aimed at.
    pub targets: usize,
    /// Milliseconds from the start to the first cut; `None` = nothing was there to cut.
    pub first_cut_ms: Option<u64>,
    /// Milliseconds it took.
    pub ms: u64,
    /// True where Ctrl-C ended it early.
    pub interrupted: bool,
}

/// A glance never delays the cut longer than this.
const GLANCE: Duration = Duration::from_millis(500);
/// Reading one secret takes no longer than this.
const SECRET: Duration = Duration::from_secs(2);
/// Opening a session before the cut takes no longer than this.
const OPEN: Duration = Duration::from_millis(500);
/// A trigger that hangs delays the end of sessions no longer than this.
const TRIGGERS: Duration = Duration::from_secs(2);
/// What the responder uses too waits for the rest no longer than this.
const OTHERS: Duration = Duration::from_secs(20);
/// One call of an adapter takes no longer than this.
const CALL: Duration = Duration::from_secs(20);
/// A window that is longer is probed later, by whichever command comes next.
const WINDOW_WAIT: Duration = Duration::from_secs(12);
/// How often facts are written.
const COMMIT: Duration = Duration::from_millis(20);
/// Rounds of ending sessions before it is called still live.
const ROUNDS: u32 = 8;
/// Pause between them.
const ROUND: Duration = Duration::from_millis(150);
/// How long the tree is watched for a return after it is gone.
const WATCH: Duration = Duration::from_millis(1_500);

/// What chains share.
struct Sweep<'e, 'w> {
    engine: &'e Engine<'w>,
    local: Local<'e>,
    facts: RefCell<Vec<StopFacts>>,
    /// The incident as it was when this began.
    before: Rc<Incident>,
    /// What was seen of each target since.
    seen: RefCell<BTreeMap<TargetId, Vec<Observed>>>,
    first_cut_us: Cell<Option<u64>>,
    triggers_left: Cell<usize>,
    others_left: Cell<usize>,
    frozen_left: Cell<usize>,
    full: &'e [TargetId],
}

/// Keeps what the frozen tree gives away, as far as somebody needs it.
struct Kept<'e, 'w> {
    engine: &'e Engine<'w>,
    wanted: Vec<String>,
}

impl Keeper for Kept<'_, '_> {
    fn fingerprint(&self, value: &str) -> String {
        fingerprint(&self.engine.key, value.as_bytes())
    }

    fn scrub(&self, text: &str) -> String {
        self.engine.scrubbed(text)
    }

    fn found(&self, _agent: &str, name: &str, value: Secret) {
        const SECRET_WORDS: [&str; 5] = ["TOKEN", "SECRET", "PASSWORD", "API_KEY", "ACCESS_KEY"];
        let named = SECRET_WORDS.iter().any(|w| name.to_ascii_uppercase().contains(w));
        if self.wanted.iter().any(|w| w == name) || (named && value.expose().len() >= 8) {
            self.engine.world.secrets.hold(name, value);
        }
    }
}

impl<'w> Engine<'w> {
    /// Cuts everything that is listed and found, and proves it. Can be entered again from any stage.
    ///
    /// `full` names grants that production uses too and that are to be cut all the same.
    pub fn stop(&self, full: &[TargetId]) -> Result<StopReport, EngineError> {
        if let Some(found) = self.discovered.borrow_mut().take() {
            return self.sweep(found.aims, found.problems, full);
        }
        // Nobody has looked yet: what is known at once is cut at once, and what a slower look finds
        // is cut right after, together with whatever it restarted.
        let mut found = self.at_once()?;
        let known = found.aims.len();
        let problems = std::mem::take(&mut found.problems);
        let first = self.sweep(found.aims.clone(), problems, full)?;
        self.look_for_triggers(&mut found);
        if first.interrupted || (found.aims.len() == known && found.problems.is_empty()) {
            return Ok(first);
        }
        let late = found.aims.split_off(known);
        let trees = found
            .aims
            .into_iter()
            .filter(|a| matches!(a.target, Target::Tree(_)));
        let second = self.sweep(late.into_iter().chain(trees).collect(), found.problems, full)?;
        Ok(StopReport {
            targets: first.targets + second.targets,
            first_cut_ms: first.first_cut_ms.or(second.first_cut_ms),
            ms: first.ms + second.ms,
            interrupted: second.interrupted,
        })
    }

    /// Cuts these targets. What earlier sweeps aimed at and this one does not is probed again.
    pub fn sweep(
        &self,
        aims: Vec<Aim>,
        problems: Vec<String>,
        full: &[TargetId],
    ) -> Result<StopReport, EngineError> {
        let start = self.world.clock.now().mono_us;
        let (aims, too_long): (Vec<Aim>, Vec<Aim>) = aims.into_iter().partition(|aim| !lines::too_long(aim));
        let left_out = too_long
            .iter()
            .map(|aim| format!("{}: too long for the record; cut it by hand", aim.target.id()));
        let problems = left_out.chain(problems).map(|p| self.scrubbed(&p)).collect();
        let mut problems = lines::first_words(problems);
        let started = lines::lines(aims.clone()).into_iter().map(|targets| {
            let part = StopStarted {
                mono_us: start,
                targets,
                problems: std::mem::take(&mut problems),
            };
            part.into()
        });
        let started = started.collect();
        self.recorder.borrow_mut().record_at_once(started)?;
        let incident = self.incident()?;
        let kept = Kept {
            engine: self,
            wanted: wanted(&aims),
        };
        let count = |pick: &dyn Fn(&Target) -> bool| aims.iter().filter(|a| pick(&a.target)).count();
        let sweep = Sweep {
            engine: self,
            local: Local::new(self.world, &kept, incident.id().as_str()),
            facts: RefCell::default(),
            before: Rc::clone(&incident),
            seen: RefCell::default(),
            first_cut_us: Cell::new(None),
            triggers_left: Cell::new(count(&|t| matches!(t, Target::Trigger(_)))),
            others_left: Cell::new(count(&|t| !is_responders(t))),
            frozen_left: Cell::new(count(&|t| matches!(t, Target::Tree(_)))),
            full,
        };
        let interrupted = self.world.wait(sweep.run(&aims)).unwrap_or(true);
        sweep.commit()?;
        let end = self.world.clock.now().mono_us;
        let first_cut_us = sweep.first_cut_us.get();
        let ended = StopEnded {
            mono_us: end,
            first_cut_us,
            interrupted,
        };
        self.recorder.borrow_mut().record_at_once(vec![ended.into()])?;
        Ok(StopReport {
            targets: aims.len(),
            first_cut_ms: first_cut_us.map(|at| at.saturating_sub(start) / 1000),
            ms: end.saturating_sub(start) / 1000,
            interrupted,
        })
    }

    /// Probes what is due: cut, its window over, and not probed since. Every command may call it.
    pub fn due_probes(&self) -> Result<usize, EngineError> {
        let incident = self.incident()?;
        let now = self.world.clock.now().mono_us;
        let due: Vec<Aim> = incident
            .stop
            .targets
            .values()
            .filter(|t| {
                let settled = t.settles_us().is_some_and(|at| at <= now);
                let probed = t
                    .settles_us()
                    .is_some_and(|at| t.facts.iter().any(|o| o.at_us >= at && is_look(&o.fact)));
                settled && !probed
            })
            .map(|t| t.aim.clone())
            .collect();
        self.probe(&due)?;
        Ok(due.len())
    }

    /// Looks at every target again, cutting nothing: respawned processes, revived tokens, re-enabled triggers.
    pub fn look_again(&self) -> Result<usize, EngineError> {
        let aims: Vec<Aim> = self
            .incident()?
            .stop
            .targets
            .values()
            .map(|t| t.aim.clone())
            .collect();
        self.probe(&aims)?;
        Ok(aims.len())
    }

    fn probe(&self, aims: &[Aim]) -> Result<(), EngineError> {
        if aims.is_empty() {
            return Ok(());
        }
        let incident = self.incident()?;
        let kept = Kept {
            engine: self,
            wanted: Vec::new(),
        };
        let sweep = Sweep {
            engine: self,
            local: Local::new(self.world, &kept, incident.id().as_str()),
            facts: RefCell::default(),
            before: Rc::clone(&incident),
            seen: RefCell::default(),
            first_cut_us: Cell::new(None),
            triggers_left: Cell::new(0),
            others_left: Cell::new(0),
            frozen_left: Cell::new(0),
            full: &[],
        };
        self.world
            .wait(join_all(aims.iter().map(|aim| sweep.probe_only(aim))));
        sweep.commit()
    }
}

impl<'w> Sweep<'_, 'w> {
    fn world(&self) -> &'w World {
        self.engine.world
    }

    /// Runs all chains to their end; true where Ctrl-C came first.
    async fn run(&self, aims: &[Aim]) -> bool {
        let chains = self.all_chains(aims);
        let committer = async {
            loop {
                self.world().clock.sleep(COMMIT).await;
                // What cannot be written now is tried again at the end, and spooled by then.
                let _ = self.commit();
                if self.world().interrupt.count() > 0 {
                    return;
                }
            }
        };
        let (chains, committer) = (std::pin::pin!(chains), std::pin::pin!(committer));
        matches!(select(chains, committer).await, Either::Right(_))
    }

    /// All chains side by side. They set out in groups: what the first have sent goes out before a
    /// thousand others are begun.
    async fn all_chains(&self, aims: &[Aim]) {
        const GROUP: usize = 16;
        let mut under_way = FuturesUnordered::new();
        for group in aims.chunks(GROUP) {
            under_way.extend(group.iter().map(|aim| self.chain(aim)));
            // One step each, then the network has its turn.
            while let Some(Some(())) = under_way.next().now_or_never() {}
            a_turn().await;
        }
        while under_way.next().await.is_some() {}
    }

    /// Writes what chains have pushed since the last time.
    fn commit(&self) -> Result<(), EngineError> {
        let facts = std::mem::take(&mut *self.facts.borrow_mut());
        if facts.is_empty() {
            return Ok(());
        }
        let events = facts.iter().cloned().map(Event::from).collect();
        let written = self.engine.recorder.borrow_mut().record_at_once(events);
        if written.is_err() {
            // Keep them for the next try, before what came since.
            let mut queue = self.facts.borrow_mut();
            let newer = std::mem::replace(&mut *queue, facts);
            queue.extend(newer);
        }
        written.map(|_| ())
    }

    fn push(&self, id: &TargetId, phase: &str, facts: Vec<Fact>) {
        if facts.is_empty() {
            return;
        }
        let at_us = self.world().clock.now().mono_us;
        let seen = |fact| match lines::too_long(&fact) {
            true => Fact::Error {
                status: 0,
                text: "what was seen is too long for the record".into(),
            },
            false => fact,
        };
        let facts = facts.into_iter().map(seen);
        let facts: Vec<Observed> = facts.map(|fact| Observed { at_us, fact }).collect();
        let mut seen_so_far = self.seen.borrow_mut();
        seen_so_far
            .entry(id.clone())
            .or_default()
            .extend(facts.iter().cloned());
        for facts in lines::lines(facts) {
            self.facts.borrow_mut().push(StopFacts {
                target: id.clone(),
                phase: phase.to_owned(),
                facts,
            });
        }
    }

    /// Every fact of this target so far, recorded or waiting to be.
    fn earlier(&self, id: &TargetId) -> Vec<Observed> {
        let before = self.before.stop.targets.get(id);
        let mut all = before.map(|t| t.facts.clone()).unwrap_or_default();
        all.extend(self.seen.borrow().get(id).into_iter().flatten().cloned());
        all
    }

    fn cut_begins(&self) {
        if self.first_cut_us.get().is_none() {
            self.first_cut_us.set(Some(self.world().clock.now().mono_us));
        }
    }

    async fn chain(&self, aim: &Aim) {
        match &aim.target {
            Target::Tree(_) => self.tree(aim).await,
            Target::Trigger(trigger) if !matches!(trigger.kind, TriggerKind::Provider { .. }) => {
                self.local_trigger(aim).await;
            }
            Target::Trigger(_) | Target::Grant(_) => self.provider(aim).await,
        }
    }

    async fn tree(&self, aim: &Aim) {
        let id = aim.target.id();
        let glance = self.local.glance(&aim.target).await;
        self.push(id, "freeze", glance.facts);
        self.frozen_left.set(self.frozen_left.get().saturating_sub(1));
        self.cut_begins();
        let facts = self.local.cut(&aim.target).await;
        self.push(id, "kill", facts);
        self.others_left.set(self.others_left.get().saturating_sub(1));
        self.wait_for(&self.triggers_left, TRIGGERS).await;
        if let Target::Tree(tree) = &aim.target {
            let facts = self.local.watch(tree, WATCH).await;
            let back = facts
                .iter()
                .any(|f| matches!(f, Fact::LookedFor { found, .. } if *found > 0));
            self.push(id, "watch", facts);
            if back {
                let facts = self.local.cut(&aim.target).await;
                self.push(id, "kill again", facts);
            }
        }
    }

    async fn local_trigger(&self, aim: &Aim) {
        let id = aim.target.id();
        let glance = self.within(GLANCE, self.local.glance(&aim.target)).await;
        self.keep_undo(id, glance);
        self.cut_begins();
        let facts = self.call(self.local.cut(&aim.target)).await;
        self.push(id, "cut", facts);
        self.triggers_left.set(self.triggers_left.get().saturating_sub(1));
        self.others_left.set(self.others_left.get().saturating_sub(1));
        let facts = self.call(self.local.probe(&aim.target)).await;
        self.push(id, "probe", facts);
    }

    async fn provider(&self, aim: &Aim) {
        let id = aim.target.id();
        let is_trigger = matches!(aim.target, Target::Trigger(_));
        let responders = is_responders(&aim.target);
        match self.engine.registry.of(&aim.target) {
            Some(Ok(adapter)) => self.provider_chain(aim, adapter).await,
            Some(Err(e)) => self.push(
                id,
                "cut",
                vec![Fact::Error {
                    status: 0,
                    text: e.to_string(),
                }],
            ),
            None => {}
        }
        if is_trigger {
            self.triggers_left.set(self.triggers_left.get().saturating_sub(1));
        }
        if !responders {
            self.others_left.set(self.others_left.get().saturating_sub(1));
        }
    }

    async fn provider_chain(&self, aim: &Aim, adapter: &dyn Adapter) {
        let id = aim.target.id();
        if is_responders(&aim.target) {
            self.wait_for(&self.others_left, OTHERS).await;
        }
        let (auth, secret) = self.secrets(aim).await;
        let earlier = self.earlier(id);
        let mut ctx = Ctx {
            world: self.world(),
            auth: auth.as_ref(),
            secret: secret.as_ref(),
            open: None,
            saved: None,
            earlier: &earlier,
            limits: &self.engine.limits,
        };
        // Opening and glancing share one short wait: neither may hold the cut up.
        let opened = self.within(OPEN, adapter.open(ctx, &aim.target)).await;
        let (session, facts) = opened.map_or((None, Vec::new()), |o| (o.session, o.facts));
        self.push(id, "before", facts);
        ctx.open = session.as_ref();
        let glance = self.within(GLANCE, adapter.glance(ctx, &aim.target)).await;
        let saved = self.keep_undo(id, glance);
        ctx.saved = saved.as_deref();
        let shared = match &aim.target {
            Target::Grant(grant) => grant.shared,
            _ => Shared::No,
        };
        self.cut_begins();
        if shared == Shared::Production && !self.full.contains(id) {
            let facts = self.call(adapter.sessions(ctx, &aim.target)).await;
            self.push(id, "sessions", facts);
            let why = format!(
                "production uses it too: only its sessions were cut; to cut it whole: incident stop --full {id}"
            );
            self.push(id, "cut", vec![Fact::Spared { why }]);
            return;
        }
        let facts = self.call(adapter.cut(ctx, &aim.target)).await;
        self.push(id, "cut", facts);
        let cut_us = self.world().clock.now().mono_us;
        if matches!(aim.target, Target::Grant(_)) {
            self.wait_for(&self.triggers_left, TRIGGERS).await;
        }
        self.end_sessions(aim, adapter, ctx).await;
        let earlier = self.earlier(id);
        let ctx = Ctx {
            earlier: &earlier,
            ..ctx
        };
        let facts = self.call(adapter.probe(ctx, &aim.target)).await;
        self.push(id, "probe", facts);
        let window = Duration::from_millis(aim.window_ms);
        if window.is_zero() || window > WINDOW_WAIT {
            return;
        }
        let since = Duration::from_micros(self.world().clock.now().mono_us.saturating_sub(cut_us));
        self.world()
            .clock
            .sleep(window.saturating_sub(since) + Duration::from_millis(20))
            .await;
        let earlier = self.earlier(id);
        let ctx = Ctx {
            earlier: &earlier,
            ..ctx
        };
        let facts = self.call(adapter.probe(ctx, &aim.target)).await;
        self.push(id, "probe after the window", facts);
    }

    /// Ends derived sessions until a listing is empty twice running.
    async fn end_sessions(&self, aim: &Aim, adapter: &dyn Adapter, ctx: Ctx<'_>) {
        let mut empty = 0;
        for round in 0..ROUNDS {
            if round > 0 {
                self.world().clock.sleep(ROUND).await;
            }
            let facts = self.call(adapter.sessions(ctx, &aim.target)).await;
            let listed = facts.iter().rev().find_map(|f| match f {
                Fact::Listed { live } => Some(*live),
                _ => None,
            });
            self.push(aim.target.id(), "sessions", facts);
            match listed {
                Some(0) => empty += 1,
                Some(_) => empty = 0,
                // Nothing can be listed for this kind: once is enough.
                None => return,
            }
            if empty >= 2 {
                return;
            }
        }
    }

    async fn probe_only(&self, aim: &Aim) {
        let id = aim.target.id();
        let facts = match self.engine.registry.of(&aim.target) {
            Some(Ok(adapter)) => {
                let (auth, secret) = self.secrets(aim).await;
                let earlier = self.earlier(id);
                let ctx = Ctx {
                    world: self.world(),
                    auth: auth.as_ref(),
                    secret: secret.as_ref(),
                    open: None,
                    saved: None,
                    earlier: &earlier,
                    limits: &self.engine.limits,
                };
                self.call(adapter.probe(ctx, &aim.target)).await
            }
            Some(Err(e)) => vec![Fact::Error {
                status: 0,
                text: e.to_string(),
            }],
            None => self.call(self.local.probe(&aim.target)).await,
        };
        self.push(id, "look", facts);
    }

    /// The responder's credential and the agent's own secret, as far as they can be read.
    async fn secrets(&self, aim: &Aim) -> (Option<Secret>, Option<Secret>) {
        let (auth, secret) = match &aim.target {
            Target::Grant(grant) => (grant.auth.as_ref(), grant.secret.as_ref()),
            Target::Trigger(trigger) => match &trigger.kind {
                TriggerKind::Provider { auth, .. } => (auth.as_ref(), None),
                _ => (None, None),
            },
            Target::Tree(_) => (None, None),
        };
        if matches!(secret, Some(SecretRef::Process(_))) {
            self.wait_for(&self.frozen_left, GLANCE).await;
        }
        (self.secret(aim, auth).await, self.secret(aim, secret).await)
    }

    async fn secret(&self, aim: &Aim, source: Option<&SecretRef>) -> Option<Secret> {
        let source = source?;
        match self
            .world()
            .timeout(SECRET, self.world().secrets.read(source))
            .await
        {
            Some(Ok(secret)) => Some(secret),
            Some(Err(e)) => {
                self.push(
                    aim.target.id(),
                    "secret",
                    vec![Fact::NotTried { why: e.to_string() }],
                );
                None
            }
            None => {
                let why = format!("reading the secret from {source} took longer than 2 s");
                self.push(aim.target.id(), "secret", vec![Fact::NotTried { why }]);
                None
            }
        }
    }

    /// Puts away what an undo needs, and hands it on.
    fn keep_undo(&self, id: &TargetId, glance: Option<Glance>) -> Option<Vec<u8>> {
        let Some(glance) = glance else {
            let why =
                "looking before the cut took longer than 500 ms; nothing was saved for an undo".to_owned();
            self.push(id, "glance", vec![Fact::NotTried { why }]);
            return None;
        };
        self.push(id, "glance", glance.facts);
        let undo = glance.undo?;
        let name = format!(
            "{}.{}",
            super::act::file_name(id.as_str()),
            self.world().clock.now().mono_us
        );
        if let Err(e) = self
            .engine
            .with_case(|case| case.write_once(Folder::Undo, &name, &undo))
        {
            let text = format!("what would undo this cut could not be saved ({e}); the cut goes on");
            self.push(id, "glance", vec![Fact::Error { status: 0, text }]);
        }
        Some(undo)
    }

    /// One call of an adapter, with a limit of its own.
    async fn call(&self, call: impl Future<Output = Vec<Fact>>) -> Vec<Fact> {
        match self.within(CALL, call).await {
            Some(facts) => facts,
            None => vec![Fact::Silent {
                after_ms: u64::try_from(CALL.as_millis()).unwrap_or(u64::MAX),
            }],
        }
    }

    async fn within<T>(&self, limit: Duration, call: impl Future<Output = T>) -> Option<T> {
        self.world().timeout(limit, call).await
    }

    /// Waits until the counter is at zero, or the limit has passed.
    async fn wait_for(&self, left: &Cell<usize>, limit: Duration) {
        const STEP: Duration = Duration::from_millis(10);
        let mut waited = Duration::ZERO;
        while left.get() > 0 && waited < limit {
            self.world().clock.sleep(STEP).await;
            waited += STEP;
        }
    }
}

/// Lets everything else that is ready go first, once.
async fn a_turn() {
    let mut waited = false;
    poll_fn(|context| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

fn is_responders(target: &Target) -> bool {
    matches!(target, Target::Grant(g) if g.shared == Shared::Responder)
}

fn is_look(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::ReadBack { .. }
            | Fact::TriedNew { .. }
            | Fact::TriedOpen { .. }
            | Fact::LookedFor { .. }
            | Fact::NotTried { .. }
    )
}

/// Names of variables that grants want to read from the agent's processes.
fn wanted(aims: &[Aim]) -> Vec<String> {
    let of = |source: &Option<SecretRef>| match source {
        Some(SecretRef::Process(name)) => Some(name.clone()),
        _ => None,
    };
    aims.iter()
        .filter_map(|a| match &a.target {
            Target::Grant(g) => of(&g.secret).or_else(|| of(&g.auth)),
            _ => None,
        })
        .collect()
}
