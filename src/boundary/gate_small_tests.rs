//! Every order of the few commands that decide over one act, tried out whole: no chance, no gaps up to their length.

use super::*;

/// The act is run, by Ana, and comes out well.
fn done() -> Command {
    Command::Run {
        step: 0,
        undo: false,
        why: true,
        who: 0,
        outcome: Outcome::Done,
    }
}

/// What can happen around one act that needs people; Ana asks and runs, Ben and Kim may sign.
fn commands() -> Vec<Command> {
    let ask = |proven| Command::Ask {
        list: vec![(0, false)],
        who: 0,
        proven,
    };
    let answer = |person, approves| Command::Answer {
        request: 0,
        person,
        approves,
    };
    vec![
        ask(true),
        ask(false),
        answer(1, true),
        answer(1, false),
        answer(2, true),
        Command::Speak(1),
        Command::Prove,
        Command::Withdraw(0),
        Command::Wait(1_860_000),
        Command::Change(0),
        Command::TakeOut(1, Out::Key),
        done(),
    ]
}

/// A desk in contain, with one step of this effect.
fn desk(effect: Effect, at: u32, outside: u32, external: bool) -> Desk {
    let spec = Spec {
        kind: 2,
        stage: Stage::Contain,
        lane: Lane::Ordinary,
        declared: Some(vec![effect]),
        seen: Vec::new(),
        undo: 2,
        backup: 0,
        rollback_tested: false,
        tries: 2,
    };
    let mut desk = Desk::new(policy(at, outside, external, false), vec![spec]);
    let tally = RefCell::default();
    for command in [Command::Seal, Command::Enter, Command::Enter] {
        desk.obey(&tally, &command).unwrap();
    }
    desk
}

/// Obeys every order of commands of this length; how many there were.
fn every(
    desk: &Desk,
    tally: &RefCell<Tally>,
    commands: &[Command],
    length: usize,
    so_far: &mut Vec<usize>,
) -> u64 {
    if length == 0 {
        return 1;
    }
    let mut orders = 0;
    for (n, command) in commands.iter().enumerate() {
        let mut next = desk.clone();
        so_far.push(n);
        if let Err(e) = next.obey(tally, command) {
            let order: Vec<&Command> = so_far.iter().filter_map(|n| commands.get(*n)).collect();
            panic!("{e}\nafter {order:?}");
        }
        orders += every(&next, tally, commands, length - 1, so_far);
        so_far.pop();
    }
    orders
}

#[test]
fn every_short_order_of_commands_keeps_the_gate_shut_without_its_people() {
    for (effect, kind, length) in [(Effect::ConfigChange, "at", 4), (Effect::BulkData, "outside", 4)] {
        let desk = desk(effect, 1, 1, false);
        let tally = RefCell::default();
        let commands = commands();
        let orders = every(&desk, &tally, &commands, length, &mut Vec::new());
        assert_eq!(
            orders,
            u64::try_from(commands.len().pow(u32::try_from(length).unwrap())).unwrap()
        );
        let tally = tally.into_inner();
        // It ran where a proved request was signed, and in many more orders it was held up.
        let (ran, held) = (
            tally.ran.get(kind).copied(),
            tally.refused.get("NeedsSignoff").copied(),
        );
        assert!(
            ran.is_some_and(|n| n >= 4) && held.is_some_and(|n| n > 1000),
            "{tally:?}"
        );
    }
}

#[test]
fn every_short_order_of_commands_counts_a_lent_role_only_while_it_is_lent() {
    // Kim alone is `external`, which the rule asks for, and lends it to Ben for five minutes from then on.
    let desk = desk(Effect::BulkData, 1, 1, true);
    let commands = [
        Command::Ask {
            list: vec![(0, false)],
            who: 0,
            proven: true,
        },
        Command::Lend {
            from: 2,
            to: 1,
            role: "external",
            in_ms: -60_000,
            lasts_ms: 360_000,
        },
        Command::Answer {
            request: 0,
            person: 1,
            approves: true,
        },
        Command::Speak(2),
        Command::TakeOut(2, Out::Key),
        Command::Wait(301_000),
        done(),
    ];
    let tally = RefCell::default();
    every(&desk, &tally, &commands, 5, &mut Vec::new());
    let tally = tally.into_inner();
    let (lent, out) = (
        tally.ran.get("lent").copied(),
        tally.refused.get("TakenOut").copied(),
    );
    assert!(
        lent.is_some_and(|n| n >= 10) && out.is_some_and(|n| n >= 1),
        "{tally:?}"
    );
}
