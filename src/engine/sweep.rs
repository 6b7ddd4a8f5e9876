//! One sweep's chains: they start at once, and order matters only inside a chain.
//!
//! A chain is: read secrets, open a session, glance (≤ 500 ms), save the undo, cut, end sessions until a
//! listing is empty twice, probe, and probe again after the provider's window. Chains push facts; one
//! committer writes them in groups, so a slow disk or a slow adapter delays nobody.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::{Either, FutureExt, join, select};
use futures_util::stream::{FuturesUnordered, StreamExt};

use super::shared::SortedOut;
use super::turns::{FEEDS, OTHERS, Part, TRIGGERS, Turns, is_responders};
use super::{Engine, EngineError, lines};
use crate::journal::Hash;
use crate::local::{Keeper, Local};
use crate::model::event::{Aim, Event, StopFacts};
use crate::model::fact::{Fact, Glance, Observed, TargetKind, proof};
use crate::model::grant::{Shared, Target, TriggerKind};
use crate::model::ids::{IncidentId, TargetId};
use crate::model::secret::{Secret, SecretRef};
use crate::providers::{Adapter, Ctx};
use crate::redact::fingerprint;
use crate::store::Folder;
use crate::world::World;
use crate::world::host::Process;

/// A glance never delays the cut longer than this.
const GLANCE: Duration = Duration::from_millis(500);
/// Reading one secret takes no longer than this.
const SECRET: Duration = Duration::from_secs(2);
/// Opening a session before the cut takes no longer than this.
const OPEN: Duration = Duration::from_millis(500);
/// One call of an adapter takes no longer than this.
const CALL: Duration = Duration::from_secs(20);
/// A window that is longer is probed later, by whichever command comes next.
const WINDOW_WAIT: Duration = Duration::from_secs(12);
/// How often facts are written.
const COMMIT: Duration = Duration::from_millis(40);
/// Rounds of ending sessions before it is called still live.
const ROUNDS: u32 = 8;
/// Pause between them.
const ROUND: Duration = Duration::from_millis(150);
/// How long the tree is watched for a return after it is gone.
const WATCH: Duration = Duration::from_millis(1_500);

/// Facts of each target, oldest first.
pub(super) type Seen = BTreeMap<TargetId, Vec<Observed>>;

/// What chains share.
pub(super) struct Sweep<'e, 'w> {
    engine: &'e Engine<'w>,
    local: Local<'e>,
    /// What waits to be written.
    facts: RefCell<Vec<StopFacts>>,
    /// Every fact of each target so far, recorded or waiting to be.
    seen: RefCell<Seen>,
    first_cut_us: Cell<Option<u64>>,
    turns: Turns,
    sorted: &'e SortedOut,
    full: &'e [TargetId],
}

/// Keeps what the frozen tree gives away, as far as somebody needs it.
pub(super) struct Kept<'e, 'w> {
    engine: &'e Engine<'w>,
    wanted: Vec<String>,
}

impl<'e, 'w> Kept<'e, 'w> {
    /// Keeps the variables that these targets are to be read from.
    pub(super) fn wanted_by(engine: &'e Engine<'w>, aims: &[Aim]) -> Self {
        Kept {
            engine,
            wanted: wanted(aims),
        }
    }
}

impl Keeper for Kept<'_, '_> {
    fn fingerprint(&self, value: &str) -> String {
        fingerprint(&self.engine.key, value.as_bytes())
    }

    fn scrub(&self, text: &str) -> String {
        self.engine.scrubbed(text)
    }

    fn found(&self, agent: &str, of: &Process, name: &str, value: Secret) {
        self.engine.met_late(agent, of, name, &value);
        const SECRET_WORDS: [&str; 5] = ["TOKEN", "SECRET", "PASSWORD", "API_KEY", "ACCESS_KEY"];
        let named = SECRET_WORDS.iter().any(|w| name.to_ascii_uppercase().contains(w));
        if self.wanted.iter().any(|w| w == name) || (named && value.expose().len() >= 8) {
            self.engine.world.secrets.hold(name, value);
        }
    }

    fn held(&self, agent: &str, text: &str, left_out: usize) {
        self.engine.hold_back(agent, text, left_out);
    }
}

impl<'e, 'w> Sweep<'e, 'w> {
    /// A sweep over these targets, of which nothing has begun; `seen` is what the record knows of them.
    pub(super) fn new(
        engine: &'e Engine<'w>,
        kept: &'e Kept<'e, 'w>,
        incident: &'e IncidentId,
        seen: Seen,
        sorted: &'e SortedOut,
        full: &'e [TargetId],
    ) -> Self {
        let aims = &sorted.aims;
        Sweep {
            engine,
            local: Local::new(engine.world, kept, incident.as_str()),
            facts: RefCell::default(),
            seen: RefCell::new(seen),
            first_cut_us: Cell::new(None),
            turns: Turns::of(aims),
            sorted,
            full,
        }
    }

    fn world(&self) -> &'w World {
        self.engine.world
    }

    /// Runs all chains to their end; true where Ctrl-C came first.
    pub(super) async fn run(&self) -> bool {
        let chains = self.all_chains(&self.sorted.aims);
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
    pub(super) fn commit(&self) -> Result<(), EngineError> {
        self.commit_with(None)
    }

    /// Writes what chains have pushed since the last time, and this after it.
    pub(super) fn commit_with(&self, last: Option<Event>) -> Result<(), EngineError> {
        let mut waiting = self.facts.borrow_mut();
        let mut events: Vec<Event> = waiting.drain(..).map(Event::from).chain(last).collect();
        if events.is_empty() {
            return Ok(());
        }
        let written = self.engine.recorder.borrow_mut().record_off(&mut events);
        // What was not written waits on.
        waiting.extend(events.into_iter().filter_map(|event| match event {
            Event::StopFacts(facts) => Some(facts),
            _ => None,
        }));
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
        let mut seen = self.seen.borrow_mut();
        match seen.get_mut(id) {
            Some(seen) => seen.extend_from_slice(&facts),
            None => drop(seen.insert(id.clone(), facts.clone())),
        }
        for facts in lines::lines(facts) {
            let told = StopFacts {
                target: id.clone(),
                phase: phase.to_owned(),
                facts,
            };
            self.facts.borrow_mut().push(told);
        }
    }

    /// Every fact of this target so far.
    fn earlier(&self, id: &TargetId) -> Vec<Observed> {
        self.seen.borrow().get(id).cloned().unwrap_or_default()
    }

    /// When the first cut left this program, monotonic microseconds.
    pub(super) fn first_cut_us(&self) -> Option<u64> {
        self.first_cut_us.get()
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
        let (mut frozen, mut other) = (self.turns.frozen.part(true), self.turns.others.part(true));
        let glance = self.local.glance(&aim.target).await;
        self.push(id, "freeze", glance.facts);
        frozen.done();
        self.cut_begins();
        let facts = self.local.cut(&aim.target).await;
        self.push(id, "kill", facts);
        other.done();
        self.wait_for(|| self.turns.triggers.none(), TRIGGERS).await;
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
        self.wait_for(|| self.turns.triggers.none(), TRIGGERS).await;
        self.push(id, "watch", self.starters_over(id));
    }

    async fn local_trigger(&self, aim: &Aim) {
        let id = aim.target.id();
        let (mut trigger, _other) = (self.turns.triggers.part(true), self.turns.others.part(true));
        let glance = self.within(GLANCE, self.local.glance(&aim.target)).await;
        self.keep_undo(id, glance);
        self.cut_begins();
        let facts = self.call(self.local.cut(&aim.target)).await;
        self.push(id, "cut", facts);
        trigger.done();
        let facts = self.call(self.local.probe(&aim.target)).await;
        self.push(id, "probe", facts);
    }

    async fn provider(&self, aim: &Aim) {
        let mut trigger = self.turns.triggers.part(matches!(aim.target, Target::Trigger(_)));
        let mut other = self.turns.others.part(!is_responders(&aim.target));
        match self.engine.registry.of(&aim.target) {
            Some(Ok(adapter)) => {
                let place = self.sorted.last.iter().position(|(id, _)| id == aim.target.id());
                if let Some((place, (_, why))) = place.and_then(|n| Some((n, self.sorted.last.get(n)?))) {
                    self.spare(aim, adapter, why);
                    let turn = || self.turns.others.none() && self.turns.last_done.get() >= place;
                    self.wait_for(turn, OTHERS).await;
                }
                self.provider_chain(aim, adapter, &mut trigger, &mut other).await;
                self.turns.reach(aim.target.id());
                if place.is_some() {
                    self.turns.last_done.set(self.turns.last_done.get() + 1);
                }
            }
            Some(Err(e)) => {
                let (status, text) = (0, e.to_string());
                self.push(aim.target.id(), "cut", vec![Fact::Error { status, text }]);
            }
            None => {}
        }
    }

    /// Says that the responder uses it, too, and what is left to them when it is cut.
    fn spare(&self, aim: &Aim, adapter: &dyn Adapter, why: &str) {
        let why = format!(
            "you use it too ({why}): it cuts the rest and is cut last; your way in is then another login, for: {}",
            adapter.about().manual
        );
        self.push(aim.target.id(), "last", vec![Fact::Spared { why }]);
    }

    async fn provider_chain(
        &self,
        aim: &Aim,
        adapter: &dyn Adapter,
        trigger: &mut Part<'_>,
        other: &mut Part<'_>,
    ) {
        let id = aim.target.id();
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
        let opening = self.within(OPEN, adapter.open(ctx, &aim.target));
        let asking = self.within(OPEN, adapter.own(ctx, &aim.target));
        let (opened, own) = join(opening, asking).await;
        let held = "the agent's process holds the very credential that cuts the rest";
        let held = self.is_a_key(secret.as_ref()).then(|| held.to_owned());
        if let Some(why) = held.or(own.flatten()).filter(|_| !is_responders(&aim.target)) {
            self.spare(aim, adapter, &why);
            other.done();
            self.wait_for(|| self.turns.others.none(), OTHERS).await;
        }
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
        if !adapter.reversible(&aim.target) {
            let (label, text) = ("one-way".to_owned(), "this cut cannot be taken back".to_owned());
            self.push(id, "cut", vec![Fact::Noted { label, text }]);
        }
        // A login that is dropped keeps its sessions, and what they run now is committed: they end first.
        let feeds = self.sorted.feeds(id);
        self.wait_for(|| self.turns.reached(&feeds), FEEDS).await;
        let facts = self.call(adapter.cut(ctx, &aim.target)).await;
        self.push(id, "cut", facts);
        trigger.done();
        let cut_us = self.world().clock.now().mono_us;
        if !feeds.is_empty() {
            self.turns.reach(id);
        }
        if matches!(aim.target, Target::Grant(_)) {
            self.wait_for(|| self.turns.triggers.none(), TRIGGERS).await;
        }
        let earlier = self.earlier(id);
        let ctx = Ctx {
            earlier: &earlier,
            ..ctx
        };
        let ended = self.end_sessions(aim, adapter, ctx).await;
        let fed_by = self.sorted.fed_by(id);
        if ended && !fed_by.is_empty() {
            // What was leased until the very end is looked for once nothing can be leased any more.
            self.turns.reach(id);
            self.wait_for(|| self.turns.reached(&fed_by), FEEDS).await;
            self.end_sessions(aim, adapter, ctx).await;
        }
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

    /// True where this is a credential with which something else is cut.
    fn is_a_key(&self, secret: Option<&Secret>) -> bool {
        let print = |s: &Secret| fingerprint(&self.engine.key, s.expose().as_bytes());
        !self.sorted.keys.is_empty() && secret.is_some_and(|s| self.sorted.keys.contains(&print(s)))
    }

    /// Ends derived sessions until a listing is empty twice running; true where it came to that.
    async fn end_sessions(&self, aim: &Aim, adapter: &dyn Adapter, ctx: Ctx<'_>) -> bool {
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
                None => return false,
            }
            if empty >= 2 {
                return true;
            }
        }
        false
    }

    pub(super) async fn probe_only(&self, aim: &Aim, list: bool) {
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
                if list {
                    let facts = self.call(adapter.listed(ctx, &aim.target)).await;
                    self.push(id, "look", facts);
                }
                self.call(adapter.probe(ctx, &aim.target)).await
            }
            Some(Err(e)) => vec![Fact::Error {
                status: 0,
                text: e.to_string(),
            }],
            None => self.call(self.local.probe(&aim.target)).await,
        };
        self.push(id, "look", facts);
        self.push(id, "look", self.starters_over(id));
    }

    /// What could start this tree again and is gone now.
    fn starters_over(&self, id: &TargetId) -> Vec<Fact> {
        let mut open: BTreeMap<String, (u32, u64, Option<TargetId>)> = BTreeMap::new();
        for observed in self.earlier(id) {
            match observed.fact {
                Fact::Starter {
                    what,
                    pid,
                    starttime,
                    trigger,
                    ..
                } => {
                    open.insert(what, (pid, starttime, trigger));
                }
                Fact::Over { what } => {
                    open.remove(&what);
                }
                _ => {}
            }
        }
        let all = match open.is_empty() {
            true => return Vec::new(),
            false => self.world().host.processes(),
        };
        let Ok(all) = all else { return Vec::new() };
        let lives = |pid: u32, start: u64| all.iter().any(|p| (p.id.pid, p.id.starttime) == (pid, start));
        let kept = |by: &Option<TargetId>| {
            let facts = by.as_ref().map(|id| self.earlier(id)).unwrap_or_default();
            proof(TargetKind::Trigger, &facts, Duration::ZERO).is_dead()
        };
        let over = open
            .into_iter()
            .filter(|(_, (pid, start, by))| !lives(*pid, *start) || kept(by));
        over.map(|(what, _)| Fact::Over { what }).collect()
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
            self.wait_for(|| self.turns.frozen.none(), GLANCE).await;
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
        let file = format!(
            "{}.{}",
            super::act::file_name(id.as_str()),
            self.world().clock.now().mono_us
        );
        let kept = self
            .engine
            .with_case(|case| case.write_once(Folder::Undo, &file, &undo));
        let fact = match kept {
            Ok(_) => Fact::Saved {
                file,
                sha256: Hash::of(&undo).to_string(),
            },
            Err(e) => Fact::Error {
                status: 0,
                text: format!("what would undo this cut could not be saved ({e}); the cut goes on"),
            },
        };
        self.push(id, "glance", vec![fact]);
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

    /// Waits until it is so, or the limit has passed.
    async fn wait_for(&self, so: impl Fn() -> bool, limit: Duration) {
        const STEP: Duration = Duration::from_millis(10);
        let mut waited = Duration::ZERO;
        while !so() && waited < limit {
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
