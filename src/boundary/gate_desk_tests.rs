//! The desk of the gate's property: a small world whose record is kept by the real fold, and beside it the
//! books of the oracle. Everything the fold refuses is refused in the books too.

use std::collections::BTreeMap;

use super::gate_commands_tests::{Out, Spec};
use super::gate_oracle_tests::{Asked as Request, Last, Lent, Oracle, Ran, Said};
use super::zone_tests::{act as plain, policy as plain_policy, verified};
use crate::journal::Hash;
use crate::model::act::{Act, CaptureSpec, Lane, Resolved, ResolvedUndo, Stage, Sweep};
use crate::model::effect::{Effect, Seen, Zone};
use crate::model::event::*;
use crate::model::grant::{Target, Tree, TreeRule};
use crate::model::ids::{IncidentId, TargetId};
use crate::model::incident::{At, FoldError, Incident};
use crate::model::runbook::{Lone, Person, Policy};
use crate::model::time::Moment;

pub(super) const PEOPLE: [&str; 4] = [
    "ana@example.com",
    "ben@example.com",
    "kim@vendor.example",
    "on-call@example.com",
];

/// A small world: five steps, a record, two clocks, and the oracle's books.
#[derive(Clone)]
pub(super) struct Desk {
    pub policy: Policy,
    pub specs: Vec<Spec>,
    pub versions: Vec<u32>,
    incident: Option<Incident>,
    pub seq: u64,
    pub now: Moment,
    pub books: Oracle,
}

pub(super) fn runner() -> Runner {
    Runner {
        host: "bastion".into(),
        boot: "boot".into(),
        pid: 1,
        starttime: 1,
    }
}

pub(super) fn opened(policy: Policy) -> Opened {
    Opened {
        id: IncidentId::made(false, 0, [0; 4]),
        drill: false,
        title: "t".into(),
        nonce: "00".into(),
        tool: "0".into(),
        host: "bastion".into(),
        boot: "boot".into(),
        user: PEOPLE[0].into(),
        mono_us: 0,
        pins: BTreeMap::new(),
        base: "/srv".into(),
        policy,
        problems: Vec::new(),
        trust: None,
    }
}

fn signer_key(fingerprint: String) -> SignerKey {
    SignerKey {
        fingerprint,
        algorithm: "ssh-ed25519".into(),
        user_presence: None,
        user_verified: None,
        counter: None,
        authority: None,
    }
}

pub(super) fn tree() -> Target {
    Target::Tree(Tree {
        id: TargetId::new("tree:bot").unwrap(),
        agent: "bot".into(),
        rule: TreeRule::default(),
    })
}

pub(super) fn at<'a>(seq: u64, who: &'a str, line_sha256: &'a dyn std::fmt::Display) -> At<'a> {
    At {
        seq,
        ts: "t",
        who,
        line_sha256,
    }
}

impl Desk {
    pub fn new(policy: Policy, specs: Vec<Spec>) -> Self {
        let open = opened(policy.clone());
        let mut incident = None;
        Incident::apply(&mut incident, &at(0, PEOPLE[0], &"h0"), open.into()).unwrap();
        let mut desk = Desk {
            policy,
            versions: vec![0; specs.len()],
            specs,
            incident,
            seq: 1,
            now: Moment {
                utc_ms: 1_795_312_447_000,
                mono_us: 10_000_000_000,
            },
            books: Oracle::default(),
        };
        desk.books.actors.insert(PEOPLE[0].into());
        let aim = Aim {
            target: tree(),
            window_ms: 0,
            found_by: "access.yaml".into(),
        };
        let mono_us = desk.now.mono_us;
        let started = StopStarted {
            mono_us,
            targets: vec![aim],
            problems: vec![],
        };
        desk.record(PEOPLE[0], started.into());
        desk
    }

    pub fn incident(&self) -> &Incident {
        self.incident.as_ref().unwrap()
    }

    /// Puts on record what can always follow.
    pub fn record(&mut self, who: &str, event: Event) -> u64 {
        self.take(who, event).unwrap()
    }

    /// Puts on record what may be refused, and then nothing happened.
    pub fn append(&mut self, who: &str, event: Event) -> Result<u64, FoldError> {
        let before = self.incident.clone();
        let taken = self.take(who, event);
        if taken.is_err() {
            self.incident = before;
        }
        taken
    }

    /// The same, and after a refusal the desk is of no more use.
    pub fn take(&mut self, who: &str, event: Event) -> Result<u64, FoldError> {
        let seq = self.seq;
        let line = Hash::of(&seq.to_be_bytes());
        Incident::apply(&mut self.incident, &at(seq, who, &line), event)?;
        self.seq += 1;
        self.now.mono_us += 1000;
        self.now.utc_ms += 1;
        Ok(seq)
    }

    pub fn act(&self, step: usize, undoes: bool) -> Resolved {
        let spec = &self.specs[step];
        let see = |effect: &Effect| Seen {
            effect: *effect,
            text: "x".into(),
            rule: "x.y".into(),
        };
        let mut backup = verified();
        match spec.backup {
            1 => backup.found = None,
            2 => backup.test_restore = None,
            3 => backup.agent_can_write.push("bot".into()),
            _ => {}
        }
        let forward = Resolved {
            stage: spec.stage,
            lane: if spec.lane == Lane::First && spec.stage != Stage::Contain {
                Lane::Ordinary
            } else {
                spec.lane
            },
            title: format!("version {}", self.versions[step]),
            act: match spec.kind {
                0 => Act::Sweep(Sweep::Revoke),
                1 => Act::Ask("what".into()),
                _ => Act::Run(vec![format!("/opt/s{step}")]),
            },
            declared: spec.declared.as_ref().map(|d| d.iter().copied().collect()),
            seen: spec.seen.iter().map(see).collect(),
            undo: match spec.undo {
                0 => ResolvedUndo::Unsaid,
                1 => ResolvedUndo::Never("gone".into()),
                _ => ResolvedUndo::By(vec!["/opt/undo".into()]),
            },
            backup: (spec.backup > 0).then_some(backup),
            rollback_tested: spec.rollback_tested.then(|| "2026-11-20".into()),
            tries: spec.tries,
            ..plain(&format!("s{step}"))
        };
        if !undoes {
            return forward;
        }
        Resolved {
            undoes: true,
            undo: ResolvedUndo::Never("it is an undo itself".into()),
            ..forward
        }
    }

    pub fn digest(act: &Resolved) -> String {
        Hash::of(&act.canonical()).to_string()
    }

    pub fn seal(&mut self) {
        let start = CaptureStarted {
            name: "host".into(),
            spec: CaptureSpec::Host,
            step: None,
            purpose: "baseline".into(),
            mono_us: 0,
        };
        let capture = self.record(PEOPLE[0], start.into());
        self.end_capture(capture, true);
        let sealed = BaselineSealed {
            captures: vec![capture],
            unknown: vec![],
            mono_us: 0,
        };
        match self.append(PEOPLE[0], sealed.into()) {
            Ok(seq) => assert_eq!(self.books.baseline.replace(seq), None, "sealed twice"),
            Err(_) => assert!(self.books.baseline.is_some()),
        }
    }

    pub fn end_capture(&mut self, capture: u64, worked: bool) {
        let (status, bytes) = match worked {
            true => (ItemStatus::Collected, 7),
            false => (ItemStatus::Failed, 0),
        };
        let item = CaptureItem {
            name: "ps".into(),
            source: "ps".into(),
            status,
            why: None,
            bytes,
            sha256: String::new(),
            redactions: 0,
        };
        let ended = CaptureEnded {
            capture,
            exhibit: format!("{capture:04}-x"),
            items: vec![item],
            ms: 1,
        };
        self.record(PEOPLE[0], ended.into());
    }

    pub fn enter(&mut self) {
        let Some(stage) = self.incident().stage.next() else {
            return;
        };
        let event = StageEntered { stage, mono_us: 0 };
        match self.append(PEOPLE[0], event.into()) {
            Ok(_) => self.books.stage += 1,
            Err(_) => assert!(self.books.baseline.is_none(), "only the baseline stops the walk"),
        }
    }

    /// Steps of recover as a plan holds them, each once.
    pub fn planned(&self, steps: &[usize]) -> Vec<PlannedStep> {
        let mut planned: Vec<PlannedStep> = Vec::new();
        for act in steps.iter().map(|n| self.act(*n, false)) {
            if act.stage != Stage::Recover || planned.iter().any(|p| p.step == act.step) {
                continue;
            }
            planned.push(PlannedStep {
                act_sha256: Self::digest(&act),
                zone: Oracle::zone(&self.policy, &act),
                step: act.step,
            });
        }
        planned
    }

    /// What a plan that begins does to the books.
    pub fn plan_begins(&mut self, planned: &[PlannedStep]) {
        for step in planned.iter().map(|p| p.step.to_string()) {
            let done = self.books.done(&step);
            match self.books.last.get_mut(&step) {
                Some(Last::Ran(_, tries)) if !done => *tries = 0,
                Some(Last::Skipped(left)) => {
                    let left = *left;
                    self.books.last.remove(&step);
                    if let Some((seq, _)) = left {
                        self.books.last.insert(step, Last::Ran(seq, 0));
                    }
                }
                _ => {}
            }
        }
        let plan = planned.iter().map(|p| (p.step.to_string(), p.act_sha256.clone()));
        self.books.plan = Some(plan.collect());
    }

    pub fn freeze(&mut self, steps: &[usize]) {
        let planned = self.planned(steps);
        let frozen = PlanFrozen {
            steps: planned.clone(),
            digest: format!("d{}", self.seq),
        };
        let frozen = self.append(PEOPLE[0], frozen.into()).is_ok();
        assert_eq!(frozen, self.books.baseline.is_some() && self.books.plan.is_none());
        if frozen {
            self.plan_begins(&planned);
        }
    }

    pub fn amend(&mut self, steps: &[usize]) {
        let planned = self.planned(steps);
        let mut books = self.books.asked.iter().map(|a| a.fell).collect::<Vec<_>>();
        let fell = self.books.plan_is_over();
        let amended = PlanAmended {
            changes: self.incident().plan_changes_to(&planned),
            steps: planned.clone(),
            digest: format!("d{}", self.seq),
            was: self
                .incident()
                .plan
                .as_ref()
                .map_or(String::new(), |p| p.digest.clone()),
            why: "x".into(),
            fell,
        };
        let amended = self.append(PEOPLE[0], amended.into()).is_ok();
        assert_eq!(amended, self.books.plan.is_some() && !self.books.in_doubt());
        match amended {
            true => self.plan_begins(&planned),
            // It did not come to pass, and nothing fell.
            false => {
                for (asked, fell) in self.books.asked.iter_mut().zip(books.drain(..)) {
                    asked.fell = fell;
                }
            }
        }
    }

    pub fn drop_plan(&mut self) {
        let had = self.books.plan.is_some();
        let fell = self.books.plan_is_over();
        let stands = self
            .incident()
            .in_force()
            .into_iter()
            .map(|(_, a)| a.step.clone());
        let event = PlanDropped {
            why: "x".into(),
            stands: stands.collect(),
            fell,
        };
        assert_eq!(self.append(PEOPLE[0], event.into()).is_ok(), had);
        self.books.plan = None;
    }

    pub fn ask(&mut self, list: &[(usize, bool)], who: usize, proven: bool) -> Option<u64> {
        let acts: Vec<Resolved> = list.iter().map(|(n, undo)| self.act(*n, *undo)).collect();
        let zone = acts.iter().map(|a| Oracle::zone(&self.policy, a)).max()?;
        let need = match zone {
            Zone::Inside => return None,
            Zone::At => self.policy.need_at.clone(),
            Zone::Outside => self.policy.need_outside.clone(),
        };
        // As the engine asks: whoever asks has acted, too, and their key speaks for their name.
        self.books.actors.insert(PEOPLE[who].into());
        let key = self.books.key_of(PEOPLE[who]);
        if proven {
            self.books.proven.insert(PEOPLE[who].into(), key.clone());
        }
        let unproven = self.books.unproven();
        let stated = need.people + u32::try_from(unproven.len()).unwrap().max(u32::from(!proven));
        let event = EscalationRequested {
            steps: acts.iter().map(|a| a.step.clone()).collect(),
            acts: acts.iter().map(Self::digest).collect(),
            zone,
            rule: "r".into(),
            need: need.clone(),
            requester: PEOPLE[who].into(),
            proven,
            unproven,
            nonce: "n".into(),
            head_seq: 0,
            head_sha256: "h".into(),
            lone: false,
            baseline: self
                .incident()
                .baseline
                .as_ref()
                .map_or("none".into(), |(_, h)| h.clone()),
        };
        let seq = self.record(PEOPLE[who], event.into());
        let issued = StatementIssued {
            request: seq,
            approve_sha256: "a".into(),
            refuse_sha256: "r".into(),
            file: "f".into(),
            requester_key: proven.then(|| signer_key(key.clone())),
        };
        self.record(PEOPLE[who], issued.into());
        self.books.asked.push(Request {
            seq,
            list: acts
                .iter()
                .map(|a| (a.step.to_string(), Self::digest(a)))
                .collect(),
            zone,
            asked_for: need.people,
            stated,
            roles: need.roles,
            requester: PEOPLE[who].into(),
            requester_key: key,
            baseline: self.books.baseline,
            answers: Vec::new(),
            withdrawn: false,
            fell: false,
            used: 0,
            proven,
            lone: None,
            told: false,
        });
        Some(seq)
    }

    /// Everybody who acted shows by key who they are.
    pub fn prove_all(&mut self) {
        for name in self.books.unproven() {
            let key = self.books.key_of(&name);
            let proven = ResponderProven {
                name: name.clone(),
                person: name.clone(),
                key: signer_key(key.clone()),
                file: "f".into(),
            };
            self.record(&name, proven.into());
            self.books.proven.insert(name, key);
        }
    }

    pub fn alone(&mut self, nth: usize) {
        let Some(at) = self.request(nth) else { return };
        let now = self.now;
        let event = LoneAsked {
            request: self.books.asked[at].seq,
            why: "nobody answers".into(),
            mono_us: now.mono_us,
            utc_ms: now.utc_ms,
        };
        let taken = self.append(PEOPLE[0], event.into()).is_ok();
        let asked = &mut self.books.asked[at];
        let refused = asked.answers.iter().any(|s| !s.approves);
        let open = !asked.withdrawn && !asked.fell && !refused && asked.used < asked.list.len();
        let may = open && asked.lone.is_none() && asked.zone == Zone::At && asked.list.len() == 1;
        assert_eq!(taken, may && self.policy.lone.is_some());
        if taken {
            asked.lone = Some(now);
            self.books.actors.insert(PEOPLE[0].into());
        }
    }

    pub fn tell(&mut self, nth: usize, sent: bool) {
        let Some(at) = self.request(nth) else { return };
        let begun = NoticeBegun {
            request: self.books.asked[at].seq,
            rung: 0,
            name: "everybody".into(),
            who: vec![],
            via: "./page".into(),
            within_ms: 0,
            mono_us: self.now.mono_us,
            utc_ms: self.now.utc_ms,
        };
        let notice = self.record(PEOPLE[0], begun.into());
        let why = "x".into();
        self.record(PEOPLE[0], NoticeEnded { notice, sent, why }.into());
        self.books.asked[at].told |= sent;
    }

    pub fn unreached(&mut self, nth: usize) {
        let Some(at) = self.request(nth) else { return };
        let event = Unreached {
            request: self.books.asked[at].seq,
            words: "no answer by telephone".into(),
        };
        self.record(PEOPLE[0], event.into());
        self.books.asked[at].told = true;
    }

    /// The nth newest request.
    pub fn request(&self, nth: usize) -> Option<usize> {
        self.books.asked.len().checked_sub(nth + 1)
    }

    pub fn answer(&mut self, nth: usize, person: usize, approves: bool) {
        let Some(at) = self.request(nth) else { return };
        let person = PEOPLE[person];
        let key = self.books.key_of(person);
        let filed = SignoffFiled {
            request: self.books.asked[at].seq,
            person: person.into(),
            key: signer_key(key.clone()),
            approves,
            file: "f".into(),
            mono_us: self.now.mono_us,
            utc_ms: self.now.utc_ms,
        };
        let at_filing = self.now;
        if let Ok(seq) = self.append("filer", filed.into()) {
            assert!(
                !approves || !self.books.actors.contains(person),
                "an actor's approval was taken"
            );
            assert!(
                !self.books.is_out(person, &key),
                "an answer was taken of somebody taken out"
            );
            self.books.asked[at].answers.push(Said {
                seq,
                person: person.into(),
                key,
                approves,
                at: at_filing,
            });
        }
    }

    /// Somebody lends a role from so many milliseconds on, for so many.
    pub fn lend(&mut self, from: usize, to: usize, role: &'static str, in_ms: i64, lasts_ms: i64) {
        let (from, to, now) = (PEOPLE[from], PEOPLE[to], self.now);
        let key = self.books.key_of(from);
        let (from_ms, until_ms) = (now.utc_ms + in_ms, now.utc_ms + in_ms + lasts_ms);
        let filed = DelegationFiled {
            role: role.into(),
            from: from.into(),
            to: to.into(),
            from_ms,
            until_ms,
            nonce: format!("n{}", self.seq),
            key: signer_key(key.clone()),
            file: "f".into(),
            mono_us: now.mono_us,
            utc_ms: now.utc_ms,
        };
        let taken = self.append("filer", filed.into());
        assert_eq!(taken.is_ok(), from != to && !self.books.actors.contains(from));
        if let Ok(seq) = taken {
            self.books.lent.push(Lent {
                seq,
                role,
                from: from.into(),
                to: to.into(),
                from_ms,
                until_ms,
                key,
                at: now,
            });
        }
    }

    /// A person counts no more, or only the key they sign with, by itself or beside another name.
    pub fn take_out(&mut self, person: usize, how: Out) {
        let key = self.books.key_of(PEOPLE[person]);
        let (subject, keys) = match how {
            Out::Person => (PEOPLE[person].to_owned(), Vec::new()),
            Out::Key => (key, Vec::new()),
            Out::AmongOthers => ("SHA256:another".to_owned(), vec![key]),
        };
        self.books.out.extend(keys.iter().chain([&subject]).cloned());
        let revoked = SignerRevoked {
            subject,
            keys,
            why: "stolen".into(),
        };
        self.record(PEOPLE[0], revoked.into());
    }

    pub fn settle(&mut self, passed: bool) {
        let Some(at) = self
            .books
            .ran
            .iter()
            .position(|r| r.outcome == Outcome::InDoubt && r.settled.is_none())
        else {
            return;
        };
        let checked = ActChecked {
            act: self.books.ran[at].seq,
            passed,
            text: "looked".into(),
            exhibit: None,
        };
        self.record(PEOPLE[0], checked.into());
        self.books.ran[at].settled = Some(passed);
        let step = self.books.ran[at].step.clone();
        // What somebody saw not to have happened was no try.
        if let (false, Some(Last::Ran(_, tries))) = (passed, self.books.last.get_mut(&step)) {
            *tries = tries.saturating_sub(1);
        }
        // And what was not taken back is in force still.
        let Ran { seq, takes_back, .. } = self.books.ran[at];
        if let (false, Some(forward), Some(Last::Undone(undo))) =
            (passed, takes_back, self.books.last.get(&step))
            && *undo == seq
        {
            self.books.last.insert(step, Last::Ran(forward.0, forward.1));
        }
    }
}

pub(super) fn policy(at: u32, outside: u32, external: bool, lone: bool) -> Policy {
    let mut policy = plain_policy();
    policy.lone = lone.then_some(Lone {
        after_ms: 900_000,
        valid_ms: 1_800_000,
    });
    policy.need_at.people = at;
    policy.need_outside.people = outside;
    if external {
        policy.need_outside.roles.insert("external".into());
    }
    for person in PEOPLE {
        let role = if person.ends_with(".example") {
            "external"
        } else {
            "on-call"
        };
        let person_of = Person {
            roles: [role.to_owned()].into(),
            ..Person::default()
        };
        policy.people.insert(person.into(), person_of);
    }
    policy
}
