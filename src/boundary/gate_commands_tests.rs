//! What can be told to the desk of the gate's property, and how it is drawn by chance.

use proptest::prelude::*;

use crate::model::act::{Lane, Stage};
use crate::model::effect::Effect;
use crate::model::event::Outcome;

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
pub(super) struct Spec {
    pub kind: u8,
    pub stage: Stage,
    pub lane: Lane,
    pub declared: Option<Vec<Effect>>,
    pub seen: Vec<Effect>,
    pub undo: u8,
    pub backup: u8,
    pub rollback_tested: bool,
    pub tries: u32,
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

pub(super) fn spec() -> impl Strategy<Value = Spec> {
    prop_oneof![1 => any_spec(), 1 => sane_spec()]
}

/// What of a person is taken out.
#[derive(Debug, Clone, Copy)]
pub(super) enum Out {
    Person,
    Key,
    AmongOthers,
}

#[derive(Debug, Clone)]
pub(super) enum Command {
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
    Lend {
        from: usize,
        to: usize,
        role: &'static str,
        in_ms: i64,
        lasts_ms: i64,
    },
    TakeOut(usize, Out),
    /// Asked and signed without Kim, by somebody who was lent her role; then perhaps one of them is taken out.
    StandIn {
        step: usize,
        wait_ms: i64,
        out: Option<(usize, Out)>,
    },
}

pub(super) fn command() -> impl Strategy<Value = Command> {
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
        1 => lend(),
        1 => (0_usize..4, out()).prop_map(|(person, how)| Command::TakeOut(person, how)),
        4 => (0_usize..5, prop::sample::select(&[0_i64, 0, 200_000, 400_000][..]), prop::option::weighted(0.2, (0_usize..4, out())))
            .prop_map(|(step, wait_ms, out)| Command::StandIn { step, wait_ms, out }),
    ]
}

fn out() -> impl Strategy<Value = Out> {
    prop::sample::select(&[Out::Person, Out::Key, Out::AmongOthers][..])
}

fn lend() -> impl Strategy<Value = Command> {
    let (roles, times) = (["external", "on-call"], [-600_000, 0, 600_000]);
    (
        (0_usize..4, 0_usize..4),
        prop::sample::select(roles.to_vec()),
        (
            prop::sample::select(times.to_vec()),
            prop::sample::select(vec![300_000, 3_600_000]),
        ),
    )
        .prop_map(|((from, to), role, (in_ms, lasts_ms))| Command::Lend {
            from,
            to,
            role,
            in_ms,
            lasts_ms,
        })
}
