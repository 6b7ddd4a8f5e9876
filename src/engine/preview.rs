//! Looking without an incident: how steps and commands would be judged, what could be cut. Records nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;

use super::desk::{Parsed, base_of};
use super::recorder::Recorder;
use super::resolve::ad_hoc;
use super::{Desk, Engine, EngineError, Found, Written};
use crate::effects::{ActText, amounts, detect};
use crate::model::act::{Act, BackupFound, Resolved, ResolvedUndo};
use crate::model::event::Opened;
use crate::model::examples::{Example, With};
use crate::model::fact::Fact;
use crate::model::grant::{Target, TriggerKind};
use crate::model::ids::IncidentId;
use crate::model::incident::{At, Incident};
use crate::model::inventory::Inventory;
use crate::model::reach::Scope;
use crate::model::secret::{Secret, SecretRef};
use crate::providers::Ctx;

/// One look, or one reading of a credential, takes no longer than this.
const LOOK: Duration = Duration::from_secs(10);

/// Whether a cut would work, as far as that can be seen beforehand.
#[derive(Debug, Clone, PartialEq)]
pub struct Armed {
    /// What would be cut.
    pub target: Target,
    /// What is wrong with how it is written down.
    pub mistakes: Vec<String>,
    /// What was seen.
    pub facts: Vec<Fact>,
}

impl Armed {
    /// `Some(true)`: the cut would be allowed; `Some(false)`: it would not; `None`: nothing tells beforehand.
    pub fn answer(&self) -> Option<bool> {
        let bad = |f: &Fact| matches!(f, Fact::Error { .. } | Fact::Silent { .. });
        let good = |f: &Fact| matches!(f, Fact::Noted { label, .. } if label == "armed");
        match () {
            () if !self.mistakes.is_empty() || self.facts.iter().any(bad) => Some(false),
            () if self.facts.iter().any(good) => Some(true),
            () => None,
        }
    }
}

impl<'w> Desk<'w> {
    /// An engine over the files written in advance, with an incident that exists in memory only.
    pub fn preview(&self, written: &Written) -> Result<Engine<'w>, EngineError> {
        let world = self.world;
        let now = world.clock.now();
        let base = base_of(world, written);
        let force = super::trust::in_force(world, written, &base);
        let written = force.written.as_ref();
        let parsed =
            Parsed::of(written)
                .and(force.problems)
                .approving(written, force.trust.as_ref(), now.utc_ms);
        let identity = world.host.identity();
        let opened = Opened {
            id: IncidentId::made(false, now.utc_ms, [0; 4]),
            drill: false,
            title: "a preview".to_owned(),
            nonce: String::new(),
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            host: identity.host,
            boot: identity.boot,
            user: identity.user,
            mono_us: now.mono_us,
            pins: Default::default(),
            base: base.display().to_string(),
            policy: force.policy.unwrap_or_else(|| parsed.runbook.policy.clone()),
            problems: Vec::new(),
            trust: force.trust,
        };
        let at = At {
            seq: 0,
            ts: &now.rfc3339(),
            who: &self.who,
            line_sha256: &"",
        };
        let mut incident = None;
        Incident::apply(&mut incident, &at, opened.into())?;
        let recorder = Recorder::imagined(world, incident, &self.who);
        let signers = written.signers.as_ref().map(|s| s.1.clone());
        // Fingerprints of this look alone: without a key whoever reads one could try passwords against it.
        let mut key = [0; 32];
        world.entropy.fill(&mut key)?;
        Engine::assembled(world, recorder, parsed, base, signers, key)
    }
}

impl Engine<'_> {
    /// What `incident do -- ARGV…` would be judged by where the program is not on this host: its words alone.
    pub fn by_words(&self, argv: &[String]) -> Result<Resolved, EngineError> {
        let step = ad_hoc(&*self.incident()?, argv, self.world.host.cwd())?;
        let text = ActText {
            argv,
            scripts: &[],
            stdin: None,
        };
        let amounts = amounts(&text);
        Ok(Resolved {
            step: step.id,
            stage: step.stage,
            lane: step.lane,
            title: step.title,
            act: Act::Run(argv.to_vec()),
            undoes: false,
            cwd: self.world.host.cwd().display().to_string(),
            env: Default::default(),
            files: Vec::new(),
            targets: BTreeMap::from([("host".to_owned(), self.world.host.identity().host)]),
            scope: Scope {
                reaches: self.reaches(&text, &self.world.host.cwd().display().to_string(), &step.env),
                rows: amounts.rows,
                objects: amounts.objects,
                environment: None,
            },
            approved: None,
            declared: None,
            seen: detect(&text),
            undo: ResolvedUndo::Unsaid,
            backup: None,
            rollback_tested: None,
            verify: None,
            timeout_ms: step.timeout_ms,
            tries: step.tries,
        })
    }

    /// An example as it would be judged, by its words alone: no script is read, nothing runs.
    pub fn example(&self, example: &Example) -> Result<Resolved, EngineError> {
        let mut act = self.by_words(&example.argv)?;
        act.stage = example.stage;
        act.declared.clone_from(&example.effects);
        act.env.clone_from(&example.env);
        let text = ActText {
            argv: &example.argv,
            scripts: &[],
            stdin: None,
        };
        act.scope.reaches = self.reaches(&text, &act.cwd, &act.env);
        act.scope.environment = example.environment;
        if example.with.contains(&With::Undo) {
            act.undo = ResolvedUndo::By(example.argv.clone());
        }
        if example.with.contains(&With::TestedRollback) {
            act.rollback_tested = Some("on the day of this example".into());
        }
        if example.with.contains(&With::VerifiedBackup) {
            let hash = "0".repeat(64);
            act.backup = Some(BackupFound {
                id: "example".into(),
                path: "example".into(),
                expected: hash.clone(),
                found: Some(hash),
                test_restore: Some("on the day of this example".into()),
                writable_by: vec!["nobody".into()],
                agent_can_write: Vec::new(),
            });
        }
        Ok(act)
    }

    /// What is written in advance about agents.
    pub fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// Asks every adapter whether its cut would be allowed, changing nothing.
    pub fn armed(&self, found: &Found) -> Vec<Armed> {
        let asked = found.aims.iter().map(|aim| self.armed_one(&aim.target));
        self.world.wait(join_all(asked)).unwrap_or_default()
    }

    async fn armed_one(&self, target: &Target) -> Armed {
        let mut armed = Armed {
            target: target.clone(),
            mistakes: Vec::new(),
            facts: Vec::new(),
        };
        let adapter = match self.registry.of(target) {
            Some(Ok(adapter)) => adapter,
            Some(Err(e)) => {
                armed.mistakes.push(e.to_string());
                return armed;
            }
            None => {
                armed.facts.push(self.local_arm(target));
                return armed;
            }
        };
        armed.mistakes = adapter.check(target);
        let (auth, secret) = match target {
            Target::Grant(grant) => (grant.auth.as_ref(), grant.secret.as_ref()),
            Target::Trigger(trigger) => match &trigger.kind {
                TriggerKind::Provider { auth, .. } => (auth.as_ref(), None),
                _ => (None, None),
            },
            Target::Tree(_) => (None, None),
        };
        let auth = self.read_now(auth, &mut armed.facts).await;
        let secret = self.read_now(secret, &mut armed.facts).await;
        let ctx = Ctx {
            world: self.world,
            auth: auth.as_ref(),
            secret: secret.as_ref(),
            open: None,
            saved: None,
            earlier: &[],
            limits: &self.limits,
        };
        let after_ms = u64::try_from(LOOK.as_millis()).unwrap_or(u64::MAX);
        let seen = self.world.timeout(LOOK, adapter.armed(ctx, target)).await;
        armed
            .facts
            .extend(seen.unwrap_or_else(|| vec![Fact::Silent { after_ms }]));
        armed
    }

    async fn read_now(&self, source: Option<&SecretRef>, facts: &mut Vec<Fact>) -> Option<Secret> {
        let source = source?;
        if matches!(source, SecretRef::Process(_)) {
            let why = format!("{source} can be read only while the agent is frozen");
            facts.push(Fact::NotTried { why });
            return None;
        }
        let error = |text| Fact::Error { status: 0, text };
        match self.world.timeout(LOOK, self.world.secrets.read(source)).await {
            Some(Ok(secret)) => return Some(secret),
            Some(Err(e)) => facts.push(error(e.to_string())),
            None => facts.push(error(format!("reading {source} takes longer than 10 s"))),
        }
        None
    }

    /// What is stopped on this host needs only the right user.
    fn local_arm(&self, target: &Target) -> Fact {
        let identity = self.world.host.identity();
        let noted = |text: String| Fact::Noted {
            label: "armed".to_owned(),
            text,
        };
        match target {
            Target::Trigger(trigger) => match &trigger.kind {
                TriggerKind::Manual { how } => Fact::Manual { how: how.clone() },
                _ if identity.uid == 0 => noted("root may switch it off on this host".to_owned()),
                _ => Fact::NotTried {
                    why: format!("{} is not root; nothing tells beforehand", identity.user),
                },
            },
            _ if identity.uid == 0 => noted(format!("root may end its processes here ({})", identity.scope)),
            _ => Fact::NotTried {
                why: format!(
                    "{} may end only its own processes ({})",
                    identity.user, identity.scope
                ),
            },
        }
    }
}
