//! Properties of the gate over arbitrary command sequences: `judge` against the oracle next door, which
//! keeps its own books. Nothing is appended that `judge` did not let through.

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRunner};

use super::gate_commands_tests::{Command, Out, Spec, command, spec};
use super::gate_desk_tests::{Desk, PEOPLE, policy, runner, tree};
use super::gate_oracle_tests::{Asked as Request, Last, Oracle, Ran, Said};
use super::{Answer, Asked, Refusal, judge};
use crate::model::act::{Act, CaptureSpec, Lane, ResolvedUndo, Stage};
use crate::model::effect::{Effect, Zone};
use crate::model::event::*;
use crate::model::fact::{Fact, Observed};
use crate::model::ids::StepId;

#[path = "gate_small_tests.rs"]
mod small;

impl Desk {
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
        let verdict = judge(self.incident(), &act, asked, self.now);
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
                let mut before = self.books.clone();
                before.out.clear();
                if before.allows(&self.policy, &act, &digest, why, self.now).is_ok() {
                    *tally.refused.entry("TakenOut".into()).or_default() += 1;
                }
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
        let by_loan = |r: &Request| {
            let external = |s: &Said| s.person == PEOPLE[2];
            consumes.contains(&r.seq) && !r.roles.is_empty() && !r.answers.iter().any(external)
        };
        if self.books.asked.iter().any(by_loan) {
            *tally.ran.entry("lent").or_default() += 1;
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
            .take(PEOPLE[who], started.into())
            .map_err(|e| TestCaseError::fail(format!("what judge let through cannot be recorded: {e}")))?;
        let ended = ActEnded {
            act: seq,
            outcome,
            code: None,
            ms: 1,
            exhibit: None,
            why: "x".into(),
        };
        self.record(PEOPLE[who], ended.into());
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
                let capture = self.record(PEOPLE[0], start.into());
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
                    self.record(PEOPLE[0], event.into());
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
                self.record(PEOPLE[0], event.into());
                self.books.still_live = *live;
            }
            Command::Lend {
                from,
                to,
                role,
                in_ms,
                lasts_ms,
            } => self.lend(*from, *to, role, *in_ms, *lasts_ms),
            Command::TakeOut(person, how) => self.take_out(*person, *how),
            Command::StandIn { step, wait_ms, out } => {
                self.prove_all();
                self.lend(2, 1, "external", 100_000, 200_000);
                self.obey(tally, &Command::Wait(*wait_ms))?;
                if self.ask(&[(*step, false)], 0, true).is_some() {
                    [1, 3].into_iter().for_each(|person| self.answer(0, person, true));
                }
                if let Some((person, how)) = out {
                    self.take_out(*person, *how);
                }
                self.run(tally, *step, false, true, 0, Outcome::Done)?;
            }
            Command::Speak(person) => {
                let event = QuestionAnswered {
                    step: StepId::new("q").unwrap(),
                    text: "x".into(),
                };
                self.record(PEOPLE[*person], event.into());
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

/// Sequences in all; the two tests share them, and two cores.
fn sequences() -> u32 {
    let ours = if std::env::var_os("CI").is_some() {
        10_000
    } else {
        2_000
    };
    // PROPTEST_CASES can only raise it.
    Config::default().cases.max(ours)
}

/// Holds the gate against the oracle over half of the sequences, from these places in the walk: 0 is in stop, 1 in
/// assess with the baseline, 2 in contain, 3 in recover under a plan of all steps, and in 4 that plan is half done.
fn holds(starts: &'static [u8], ran: &[&str], refused: &[&str]) {
    let tally = RefCell::new(Tally::default());
    let config = Config {
        failure_persistence: None,
        cases: sequences() / 2,
        // As proptest's own ChaCha is built here, it takes longer than the gate.
        rng_algorithm: RngAlgorithm::XorShift,
        ..Config::default()
    };
    let world = (
        prop::collection::vec(spec(), 5),
        prop::sample::select(starts),
        (1_u32..3, 1_u32..4, any::<bool>(), any::<bool>()),
        prop::collection::vec(command(), 1..40),
    );
    let held = TestRunner::new(config).run(
        &world,
        |(specs, start, (at, outside, external, lone), commands)| {
            let mut desk = Desk::new(policy(at, outside, external, lone), specs);
            let early = [Command::Seal, Command::Enter, Command::Enter, Command::Enter];
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
            commands.iter().try_for_each(|command| desk.obey(&tally, command))
        },
    );
    if let Err(e) = held {
        panic!("{e}");
    }
    let tally = tally.into_inner();
    for kind in ran {
        assert!(
            tally.ran.get(kind).is_some_and(|n| *n >= 20),
            "{kind} hardly ran: {tally:?}"
        );
    }
    for why in refused {
        assert!(
            tally.refused.contains_key(*why),
            "never refused as {why}: {tally:?}"
        );
    }
}

#[test]
fn no_act_at_or_outside_the_boundary_runs_without_its_quorum_and_nothing_else_is_held_up() {
    holds(
        &[0, 1, 2, 2],
        &["read", "early", "inside", "at", "outside"],
        &[
            "InDoubt",
            "BeforeBaseline",
            "NotItsStage",
            "NoCaptureBefore",
            "NoReason",
            "NotForThisLane",
            "Done",
            "NothingToUndo",
            "StillLive",
            "NeedsSignoff",
            "TakenOut",
        ],
    );
}

#[test]
fn in_recover_none_runs_without_its_quorum_or_against_the_plan_and_nothing_else_is_held_up() {
    holds(
        &[3, 4],
        &["read", "inside", "at", "alone", "outside", "planned"],
        &[
            "InDoubt",
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
            "TakenOut",
        ],
    );
}
