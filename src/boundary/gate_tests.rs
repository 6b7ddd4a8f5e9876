//! Properties of the gate over arbitrary command sequences: `judge` against the oracle next door, which
//! keeps its own books. Everything the fold refuses is refused here too, and nothing is appended that
//! `judge` did not let through.

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::gate_oracle_tests::{Asked as Request, Last, Oracle, Ran};
use super::zone_tests::{act as plain, policy as plain_policy, verified};
use super::{Answer, Asked, Refusal, judge};
use crate::journal::Hash;
use crate::model::act::{Act, CaptureSpec, Lane, Resolved, ResolvedUndo, Stage, Sweep};
use crate::model::effect::{Effect, Seen, Zone};
use crate::model::event::*;
use crate::model::fact::{Fact, Observed};
use crate::model::grant::{Target, Tree, TreeRule};
use crate::model::ids::{IncidentId, StepId, TargetId};
use crate::model::incident::{At, FoldError, Incident};
use crate::model::runbook::{Lone, Person, Policy};
use crate::model::time::Moment;

#[path = "gate_small_tests.rs"]
mod small;

const PEOPLE: [&str; 4] = [
    "ana@example.com",
    "ben@example.com",
    "kim@vendor.example",
    "on-call@example.com",
];

/// Effects that make a difference to some gate.
const EFFECTS: [Effect; 10] = [
    Effect::Read,
    Effect::Protect,
    Effect::Traffic,
    Effect::DataRestore,
    Effect::ConfigRollback,
    Effect::ConfigChange,
    Effect::DataWrite,
    Effect::BulkData,
    Effect::BackupChange,
    Effect::Unknown,
];

#[derive(Debug, Clone)]
struct Spec {
    kind: u8,
    stage: Stage,
    lane: Lane,
    declared: Option<Vec<Effect>>,
    seen: Vec<Effect>,
    undo: u8,
    backup: u8,
    rollback_tested: bool,
    tries: u32,
}

fn any_spec() -> impl Strategy<Value = Spec> {
    let effects = |n: std::ops::Range<usize>| prop::collection::vec(prop::sample::select(&EFFECTS[..]), n);
    (
        0_u8..8,
        prop_oneof![
            1 => Just(Stage::Assess),
            3 => Just(Stage::Contain),
            4 => Just(Stage::Recover)
        ],
        prop_oneof![2 => Just(Lane::Ordinary), 1 => Just(Lane::Protect), 1 => Just(Lane::First)],
        prop::option::weighted(0.9, effects(0..3)),
        prop_oneof![2 => effects(0..1), 1 => effects(1..3)],
        0_u8..4,
        0_u8..7,
        any::<bool>(),
        1_u32..3,
    )
        .prop_map(
            |(kind, stage, lane, declared, seen, undo, backup, rollback_tested, tries)| Spec {
                kind,
                stage,
                lane,
                declared,
                seen,
                undo,
                backup,
                rollback_tested,
                tries,
            },
        )
}

/// A step somebody wrote with care: one effect, a way back, a verified backup.
fn sane_spec() -> impl Strategy<Value = Spec> {
    let kinds = [
        (Stage::Assess, Lane::Protect, Effect::Protect),
        (Stage::Contain, Lane::First, Effect::Traffic),
        (Stage::Contain, Lane::First, Effect::DataRestore),
        (Stage::Contain, Lane::Ordinary, Effect::ConfigChange),
        (Stage::Recover, Lane::Ordinary, Effect::DataRestore),
        (Stage::Recover, Lane::Ordinary, Effect::DataWrite),
        (Stage::Recover, Lane::Ordinary, Effect::BulkData),
    ];
    prop::sample::select(kinds.to_vec()).prop_map(|(stage, lane, effect)| Spec {
        kind: 2,
        stage,
        lane,
        declared: Some(vec![effect]),
        seen: Vec::new(),
        undo: 2,
        backup: 4,
        rollback_tested: true,
        tries: 2,
    })
}

fn spec() -> impl Strategy<Value = Spec> {
    prop_oneof![1 => any_spec(), 1 => sane_spec()]
}

#[derive(Debug, Clone)]
enum Command {
    Seal,
    Picture {
        step: usize,
        worked: bool,
    },
    Enter,
    Freeze(Vec<usize>),
    Amend(Vec<usize>),
    DropPlan,
    Ask {
        list: Vec<(usize, bool)>,
        who: usize,
        proven: bool,
    },
    Answer {
        request: usize,
        person: usize,
        approves: bool,
    },
    Withdraw(usize),
    /// One person asks to act alone on the nth newest request.
    Alone(usize),
    /// Somebody is told of it, or not.
    Tell {
        request: usize,
        sent: bool,
    },
    Unreached(usize),
    /// Asked, told, waited for, and then run by one person.
    Brave {
        step: usize,
        undo: bool,
        wait_ms: i64,
    },
    Wait(i64),
    Clock(i64),
    Run {
        step: usize,
        undo: bool,
        why: bool,
        who: usize,
        outcome: Outcome,
    },
    /// Ask, let everybody sign, run: the way it goes when all goes well.
    Escort {
        step: usize,
        undo: bool,
        stale: bool,
    },
    /// Planned, signed and run, and it fails, again and again.
    Insist(usize),
    /// A picture, then the act, with a reason: the way of the early lanes.
    Hurry(usize),
    Change(usize),
    Settle(bool),
    Skip(usize),
    Live(bool),
    Speak(usize),
    Prove,
}

fn command() -> impl Strategy<Value = Command> {
    let outcome = prop_oneof![
        6 => Just(Outcome::Done),
        2 => Just(Outcome::Failed),
        1 => Just(Outcome::InDoubt)
    ];
    let who = || prop_oneof![5 => Just(0_usize), 1 => Just(1)];
    prop_oneof![
        1 => Just(Command::Seal),
        3 => (0_usize..5, prop::bool::weighted(0.8)).prop_map(|(step, worked)| Command::Picture { step, worked }),
        2 => Just(Command::Enter),
        2 => prop::collection::vec(0_usize..5, 0..4).prop_map(Command::Freeze),
        1 => prop::collection::vec(0_usize..5, 0..4).prop_map(Command::Amend),
        1 => Just(Command::DropPlan),
        5 => (prop::collection::vec((0_usize..5, prop::bool::weighted(0.2)), 1..3), who(), prop::bool::weighted(0.7))
            .prop_map(|(list, who, proven)| Command::Ask { list, who, proven }),
        10 => (0_usize..3, 0_usize..4, prop::bool::weighted(0.9))
            .prop_map(|(request, person, approves)| Command::Answer { request, person, approves }),
        1 => (0_usize..3).prop_map(Command::Withdraw),
        1 => (0_usize..3).prop_map(Command::Alone),
        1 => (0_usize..3, any::<bool>()).prop_map(|(request, sent)| Command::Tell { request, sent }),
        1 => (0_usize..3).prop_map(Command::Unreached),
        4 => (0_usize..5, prop::bool::weighted(0.2), prop::sample::select(&[899_000_i64, 901_000, 2_699_000, 2_701_000][..]))
            .prop_map(|(step, undo, wait_ms)| Command::Brave { step, undo, wait_ms }),
        2 => prop::sample::select(&[1_000_i64, 1_199_000, 1_800_000, 1_860_000][..]).prop_map(Command::Wait),
        1 => prop::sample::select(&[-7_200_000_i64, 7_200_000][..]).prop_map(Command::Clock),
        14 => (0_usize..5, prop::bool::weighted(0.2), prop::bool::weighted(0.8), who(), outcome)
            .prop_map(|(step, undo, why, who, outcome)| Command::Run { step, undo, why, who, outcome }),
        4 => (0_usize..5, prop::bool::weighted(0.15), prop::bool::weighted(0.2)).prop_map(|(step, undo, stale)| Command::Escort { step, undo, stale }),
        3 => (0_usize..5).prop_map(Command::Hurry),
        3 => (0_usize..5).prop_map(Command::Insist),
        1 => (0_usize..5).prop_map(Command::Change),
        2 => any::<bool>().prop_map(Command::Settle),
        1 => (0_usize..5).prop_map(Command::Skip),
        2 => prop::bool::weighted(0.4).prop_map(Command::Live),
        1 => (1_usize..4).prop_map(Command::Speak),
        1 => Just(Command::Prove),
    ]
}

/// A small world: five steps, a record, two clocks, and the oracle's books.
#[derive(Clone)]
struct Desk {
    policy: Policy,
    specs: Vec<Spec>,
    versions: Vec<u32>,
    incident: Incident,
    seq: u64,
    now: Moment,
    books: Oracle,
}

fn runner() -> Runner {
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

fn signer_key(person: &str) -> SignerKey {
    SignerKey {
        fingerprint: format!("SHA256:{person}"),
        algorithm: "ssh-ed25519".into(),
        user_presence: None,
        user_verified: None,
        counter: None,
    }
}

fn tree() -> Target {
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
    fn new(policy: Policy, specs: Vec<Spec>) -> Self {
        let open = opened(policy.clone());
        let mut incident = None;
        Incident::apply(&mut incident, &at(0, PEOPLE[0], &"h0"), open.into()).unwrap();
        let mut desk = Desk {
            policy,
            versions: vec![0; specs.len()],
            specs,
            incident: incident.unwrap(),
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
        desk.append(PEOPLE[0], started.into()).unwrap();
        desk
    }

    fn append(&mut self, who: &str, event: Event) -> Result<u64, FoldError> {
        let seq = self.seq;
        let line = Hash::of(format!("line {seq}").as_bytes());
        let mut next = Some(self.incident.clone());
        Incident::apply(&mut next, &at(seq, who, &line), event)?;
        self.incident = next.unwrap();
        self.seq += 1;
        self.now.mono_us += 1000;
        self.now.utc_ms += 1;
        Ok(seq)
    }

    fn act(&self, step: usize, undoes: bool) -> Resolved {
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

    fn digest(act: &Resolved) -> String {
        Hash::of(&act.canonical()).to_string()
    }

    fn seal(&mut self) {
        let start = CaptureStarted {
            name: "host".into(),
            spec: CaptureSpec::Host,
            step: None,
            purpose: "baseline".into(),
            mono_us: 0,
        };
        let capture = self.append(PEOPLE[0], start.into()).unwrap();
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

    fn end_capture(&mut self, capture: u64, worked: bool) {
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
        self.append(PEOPLE[0], ended.into()).unwrap();
    }

    fn enter(&mut self) {
        let Some(stage) = self.incident.stage.next() else {
            return;
        };
        let event = StageEntered { stage, mono_us: 0 };
        match self.append(PEOPLE[0], event.into()) {
            Ok(_) => self.books.stage += 1,
            Err(_) => assert!(self.books.baseline.is_none(), "only the baseline stops the walk"),
        }
    }

    /// Steps of recover as a plan holds them, each once.
    fn planned(&self, steps: &[usize]) -> Vec<PlannedStep> {
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
    fn plan_begins(&mut self, planned: &[PlannedStep]) {
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

    fn freeze(&mut self, steps: &[usize]) {
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

    fn amend(&mut self, steps: &[usize]) {
        let planned = self.planned(steps);
        let mut books = self.books.asked.iter().map(|a| a.fell).collect::<Vec<_>>();
        let fell = self.books.plan_is_over();
        let amended = PlanAmended {
            changes: self.incident.plan_changes_to(&planned),
            steps: planned.clone(),
            digest: format!("d{}", self.seq),
            was: self
                .incident
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

    fn drop_plan(&mut self) {
        let had = self.books.plan.is_some();
        let fell = self.books.plan_is_over();
        let stands = self.incident.in_force().into_iter().map(|(_, a)| a.step.clone());
        let event = PlanDropped {
            why: "x".into(),
            stands: stands.collect(),
            fell,
        };
        assert_eq!(self.append(PEOPLE[0], event.into()).is_ok(), had);
        self.books.plan = None;
    }

    fn ask(&mut self, list: &[(usize, bool)], who: usize, proven: bool) -> Option<u64> {
        let acts: Vec<Resolved> = list.iter().map(|(n, undo)| self.act(*n, *undo)).collect();
        let zone = acts.iter().map(|a| Oracle::zone(&self.policy, a)).max()?;
        let need = match zone {
            Zone::Inside => return None,
            Zone::At => self.policy.need_at.clone(),
            Zone::Outside => self.policy.need_outside.clone(),
        };
        // As the engine asks: whoever asks has acted, too, and their key speaks for their name.
        self.books.actors.insert(PEOPLE[who].into());
        if proven {
            self.books.proven.insert(PEOPLE[who].into());
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
            baseline: self
                .incident
                .baseline
                .as_ref()
                .map_or("none".into(), |(_, h)| h.clone()),
            lone: false,
        };
        let seq = self.append(PEOPLE[who], event.into()).unwrap();
        let issued = StatementIssued {
            request: seq,
            approve_sha256: "a".into(),
            refuse_sha256: "r".into(),
            file: "f".into(),
            requester_key: proven.then(|| signer_key(PEOPLE[who])),
        };
        self.append(PEOPLE[who], issued.into()).unwrap();
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
    fn prove_all(&mut self) {
        for name in self.books.unproven() {
            let proven = ResponderProven {
                name: name.clone(),
                person: name.clone(),
                key: signer_key(&name),
                file: "f".into(),
            };
            self.append(&name, proven.into()).unwrap();
            self.books.proven.insert(name);
        }
    }

    fn alone(&mut self, nth: usize) {
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
        let refused = asked.answers.iter().any(|(_, approves, _)| !approves);
        let open = !asked.withdrawn && !asked.fell && !refused && asked.used < asked.list.len();
        let may = open && asked.lone.is_none() && asked.zone == Zone::At && asked.list.len() == 1;
        assert_eq!(taken, may && self.policy.lone.is_some());
        if taken {
            asked.lone = Some(now);
            self.books.actors.insert(PEOPLE[0].into());
        }
    }

    fn tell(&mut self, nth: usize, sent: bool) {
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
        let notice = self.append(PEOPLE[0], begun.into()).unwrap();
        let why = "x".into();
        self.append(PEOPLE[0], NoticeEnded { notice, sent, why }.into())
            .unwrap();
        self.books.asked[at].told |= sent;
    }

    fn unreached(&mut self, nth: usize) {
        let Some(at) = self.request(nth) else { return };
        let event = Unreached {
            request: self.books.asked[at].seq,
            words: "no answer by telephone".into(),
        };
        self.append(PEOPLE[0], event.into()).unwrap();
        self.books.asked[at].told = true;
    }

    /// The nth newest request.
    fn request(&self, nth: usize) -> Option<usize> {
        self.books.asked.len().checked_sub(nth + 1)
    }

    fn answer(&mut self, nth: usize, person: usize, approves: bool) {
        let Some(at) = self.request(nth) else { return };
        let person = PEOPLE[person];
        let filed = SignoffFiled {
            request: self.books.asked[at].seq,
            person: person.into(),
            key: signer_key(person),
            approves,
            file: "f".into(),
            mono_us: self.now.mono_us,
            utc_ms: self.now.utc_ms,
        };
        let at_filing = self.now;
        if self.append("filer", filed.into()).is_ok() {
            assert!(
                !approves || !self.books.actors.contains(person),
                "an actor's approval was taken"
            );
            self.books.asked[at]
                .answers
                .push((person.into(), approves, at_filing));
        }
    }

    fn settle(&mut self, passed: bool) {
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
        self.append(PEOPLE[0], checked.into()).unwrap();
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

    fn run(
        &mut self,
        tally: &RefCell<Tally>,
        step: usize,
        undoes: bool,
        why: bool,
        who: usize,
        outcome: Outcome,
    ) -> Result<(), TestCaseError> {
        let act = self.act(step, undoes);
        let digest = Self::digest(&act);
        let asked = Asked {
            why: why.then_some("users see errors"),
        };
        let verdict = judge(&self.incident, &act, asked, self.now);
        let allowed = self.books.allows(&self.policy, &act, &digest, why, self.now);
        let effects = Oracle::effects(&act);
        let sweep = matches!(act.act, Act::Sweep(_));
        if !sweep {
            prop_assert_eq!(
                verdict.zone,
                Oracle::zone(&self.policy, &act),
                "zone of {:?}",
                act
            );
        }
        let mut tally = tally.borrow_mut();
        let (consumes, alone) = match (&verdict.answer, &allowed) {
            (Answer::Go { consumes, alone }, Ok(pass)) if pass.any.is_empty() => {
                prop_assert!(consumes.is_empty(), "a sign-off was used up for nothing");
                prop_assert!(!alone, "nobody was needed, and it is called an act alone");
                (consumes.clone(), false)
            }
            (Answer::Go { consumes, alone }, Ok(pass)) => {
                prop_assert_eq!(consumes.len(), 1);
                prop_assert!(pass.any.contains(&consumes[0]), "{:?} of {:?}", consumes, pass);
                prop_assert_eq!(*alone, pass.alone);
                prop_assert!(!alone || verdict.zone == Zone::At, "alone outside: {:?}", act);
                (consumes.clone(), *alone)
            }
            (Answer::Refused(refusal), Err(_)) => {
                prop_assert!(!sweep, "a sweep was refused");
                *tally.refused.entry(name(refusal)).or_default() += 1;
                return Ok(());
            }
            (Answer::Go { .. }, Err(why)) => {
                return Err(TestCaseError::fail(format!("it ran although: {why}; {act:?}")));
            }
            (Answer::Refused(refusal), Ok(_)) => {
                return Err(TestCaseError::fail(format!(
                    "refused ({refusal}) for no reason: {act:?}"
                )));
            }
        };
        if sweep || matches!(act.act, Act::Ask(_)) {
            return Ok(());
        }
        let reads = effects.iter().all(|e| *e == Effect::Read);
        let kind = match verdict.zone {
            _ if reads => "read",
            _ if self.books.baseline.is_none() => "early",
            Zone::Inside => "inside",
            Zone::At if alone => "alone",
            Zone::At => "at",
            Zone::Outside => "outside",
        };
        *tally.ran.entry(kind).or_default() += 1;
        if act.stage == Stage::Recover && !reads && !undoes {
            *tally.ran.entry("planned").or_default() += 1;
        }
        let started = ActStarted {
            step: act.step.clone(),
            stage: act.stage,
            lane: act.lane,
            title: act.title.clone(),
            act_sha256: digest,
            zone: verdict.zone,
            effects: act.effects(),
            consumes: consumes.clone(),
            undoes,
            alone,
            approved: act.approved.clone(),
            undo: act.undo.clone(),
            why: None,
            runner: runner(),
            mono_us: self.now.mono_us,
        };
        let seq = self
            .append(PEOPLE[who], started.into())
            .map_err(|e| TestCaseError::fail(format!("what judge let through cannot be recorded: {e}")))?;
        let ended = ActEnded {
            act: seq,
            outcome,
            code: None,
            ms: 1,
            exhibit: None,
            why: "x".into(),
        };
        self.append(PEOPLE[who], ended.into()).unwrap();
        let step = act.step.to_string();
        for request in self.books.asked.iter_mut().filter(|r| consumes.contains(&r.seq)) {
            request.used += 1;
        }
        self.books.actors.insert(PEOPLE[who].into());
        let takes_back = undoes.then(|| self.books.left(&step)).flatten();
        self.books.ran.push(Ran {
            seq,
            step: step.clone(),
            recover: act.stage == Stage::Recover,
            way_back: matches!(act.undo, ResolvedUndo::By(_)),
            takes_back,
            outcome,
            settled: None,
        });
        let last = match (undoes, self.books.last.get(&step)) {
            (true, _) => Last::Undone(seq),
            (false, Some(Last::Ran(_, tries))) => Last::Ran(seq, tries + 1),
            (false, _) => Last::Ran(seq, 1),
        };
        self.books.last.insert(step, last);
        Ok(())
    }

    fn obey(&mut self, tally: &RefCell<Tally>, command: &Command) -> Result<(), TestCaseError> {
        match command {
            Command::Seal => self.seal(),
            Command::Picture { step, worked } => {
                let start = CaptureStarted {
                    name: "host".into(),
                    spec: CaptureSpec::Host,
                    step: None,
                    purpose: format!("before s{step}"),
                    mono_us: 0,
                };
                let capture = self.append(PEOPLE[0], start.into()).unwrap();
                self.end_capture(capture, *worked);
                if *worked {
                    self.books.pictured.insert(format!("s{step}"));
                }
            }
            Command::Enter => self.enter(),
            Command::Freeze(steps) => self.freeze(steps),
            Command::Amend(steps) => self.amend(steps),
            Command::DropPlan => self.drop_plan(),
            Command::Ask { list, who, proven } => {
                self.ask(list, *who, *proven);
            }
            Command::Answer {
                request,
                person,
                approves,
            } => self.answer(*request, *person, *approves),
            Command::Withdraw(nth) => {
                if let Some(at) = self.request(*nth) {
                    let event = EscalationWithdrawn {
                        request: self.books.asked[at].seq,
                        why: "x".into(),
                    };
                    self.append(PEOPLE[0], event.into()).unwrap();
                    self.books.asked[at].withdrawn = true;
                }
            }
            Command::Alone(nth) => self.alone(*nth),
            Command::Tell { request, sent } => self.tell(*request, *sent),
            Command::Unreached(nth) => self.unreached(*nth),
            Command::Brave { step, undo, wait_ms } => {
                if self.ask(&[(*step, *undo)], 0, true).is_some() {
                    self.alone(0);
                    self.tell(0, true);
                    self.obey(tally, &Command::Wait(*wait_ms))?;
                }
                self.run(tally, *step, *undo, true, 0, Outcome::Done)?;
            }
            Command::Wait(ms) => {
                self.now.utc_ms += ms;
                self.now.mono_us += u64::try_from(*ms).unwrap() * 1000;
            }
            Command::Clock(ms) => self.now.utc_ms += ms,
            Command::Run {
                step,
                undo,
                why,
                who,
                outcome,
            } => self.run(tally, *step, *undo, *why, *who, *outcome)?,
            Command::Prove => self.prove_all(),
            Command::Escort { step, undo, stale } => {
                self.prove_all();
                if self.ask(&[(*step, *undo)], 0, true).is_some() {
                    (1..4).for_each(|person| self.answer(0, person, true));
                }
                if *stale {
                    // The signatures run out while somebody sets the wall clock back.
                    self.obey(tally, &Command::Clock(-7_200_000))?;
                    self.obey(tally, &Command::Wait(1_860_000))?;
                }
                self.run(tally, *step, *undo, true, 0, Outcome::Done)?;
            }
            Command::Insist(step) => {
                match self.books.plan.is_some() {
                    true => self.amend(&[*step]),
                    false => self.freeze(&[*step]),
                }
                for _ in 0..3 {
                    if self.ask(&[(*step, false)], 0, true).is_some() {
                        (1..4).for_each(|person| self.answer(0, person, true));
                    }
                    self.run(tally, *step, false, true, 0, Outcome::Failed)?;
                }
            }
            Command::Hurry(step) => {
                let picture = Command::Picture {
                    step: *step,
                    worked: true,
                };
                self.obey(tally, &picture)?;
                self.run(tally, *step, false, true, 0, Outcome::Done)?;
            }
            Command::Change(step) => self.versions[*step] += 1,
            Command::Settle(passed) => self.settle(*passed),
            Command::Skip(step) => {
                let id = format!("s{step}");
                let event = StepSkipped {
                    step: StepId::new(&id).unwrap(),
                    why: "x".into(),
                };
                let open = |r: &Ran| r.step == id && r.outcome == Outcome::InDoubt && r.settled.is_none();
                let must_not = self.books.done(&id) || self.books.ran.iter().any(open);
                let skipped = self.append(PEOPLE[0], event.into()).is_ok();
                prop_assert_eq!(skipped, !must_not);
                if skipped {
                    if self.books.plan.iter().flatten().any(|(step, _)| *step == id) {
                        self.books.plan_is_over();
                    }
                    let left = self.books.left(&id).filter(|(seq, _)| self.books.happened(*seq));
                    self.books.last.insert(id, Last::Skipped(left));
                }
            }
            Command::Live(live) => {
                let fact = Fact::LookedFor {
                    found: u32::from(*live),
                    scope: "host".into(),
                    whole: true,
                };
                let event = StopFacts {
                    target: tree().id().clone(),
                    phase: "look".into(),
                    facts: vec![Observed {
                        at_us: self.now.mono_us,
                        fact,
                    }],
                };
                self.append(PEOPLE[0], event.into()).unwrap();
                self.books.still_live = *live;
            }
            Command::Speak(person) => {
                let event = QuestionAnswered {
                    step: StepId::new("q").unwrap(),
                    text: "x".into(),
                };
                self.append(PEOPLE[*person], event.into()).unwrap();
                self.books.actors.insert(PEOPLE[*person].into());
            }
        }
        Ok(())
    }
}

/// What happened over all cases, so that a property over nothing cannot pass.
#[derive(Debug, Default)]
struct Tally {
    ran: BTreeMap<&'static str, u32>,
    refused: BTreeMap<String, u32>,
}

fn name(refusal: &Refusal) -> String {
    let text = format!("{refusal:?}");
    text.split([' ', '{', '(']).next().unwrap_or("").to_owned()
}

fn policy(at: u32, outside: u32, external: bool, lone: bool) -> Policy {
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

#[test]
fn no_act_at_or_outside_the_boundary_runs_without_its_quorum_and_nothing_else_is_held_up() {
    let tally = RefCell::new(Tally::default());
    let mut config = Config {
        failure_persistence: None,
        ..Config::default()
    };
    // PROPTEST_CASES can only raise it.
    config.cases = config.cases.max(2_000);
    let world = (
        prop::collection::vec(spec(), 5),
        0_u8..5,
        (1_u32..3, 1_u32..4, any::<bool>(), any::<bool>()),
        prop::collection::vec(command(), 1..40),
    );
    let mut runner = TestRunner::new(config);
    let held = runner.run(
        &world,
        |(specs, start, (at, outside, external, lone), commands)| {
            let mut desk = Desk::new(policy(at, outside, external, lone), specs);
            let early: &[Command] = &[Command::Seal, Command::Enter, Command::Enter, Command::Enter];
            let far = usize::from(start.min(3));
            for command in &early[..far + usize::from(far > 0)] {
                desk.obey(&tally, command)?;
            }
            if far == 3 {
                desk.obey(&tally, &Command::Freeze(vec![0, 1, 2, 3, 4]))?;
            }
            if start == 4 {
                // Some of the plan is done, and somebody begins to take it back at the wrong end.
                for (step, undo) in [(0, false), (1, false), (0, true)] {
                    let stale = false;
                    desk.obey(&tally, &Command::Escort { step, undo, stale })?;
                }
            }
            for command in &commands {
                desk.obey(&tally, command)?;
            }
            Ok(())
        },
    );
    if let Err(e) = held {
        panic!("{e}");
    }
    let tally = tally.into_inner();
    for kind in ["read", "early", "inside", "at", "alone", "outside", "planned"] {
        assert!(
            tally.ran.get(kind).is_some_and(|n| *n >= 20),
            "{kind} hardly ran: {tally:?}"
        );
    }
    for why in [
        "InDoubt",
        "BeforeBaseline",
        "NotItsStage",
        "NoCaptureBefore",
        "NoReason",
        "NotForThisLane",
        "NoPlan",
        "NotInPlan",
        "NotNext",
        "ChangedSincePlan",
        "Done",
        "TriesUsed",
        "Skipped",
        "NotNewest",
        "NothingToUndo",
        "StillLive",
        "NeedsSignoff",
    ] {
        assert!(
            tally.refused.contains_key(why),
            "never refused as {why}: {tally:?}"
        );
    }
}
