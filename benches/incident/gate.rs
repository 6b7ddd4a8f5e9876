//! The gate: the zone of a step, a signed answer, a long plan, and a drill from the page to the score.

use incident::boundary::zone_of;
use incident::drill::{Exercise, Player};
use incident::effects::{ActText, detect};
use incident::engine::{Desk, Engine, Next, Written};
use incident::model::ids::StepId;
use incident::store::Store;
use std::hint::black_box;

use crate::{Table, median_ms, sweep};

pub fn measure(table: &mut Table) {
    zone(table);
    signoff(table);
    plan(table);
    let folder = tempfile::tempdir().unwrap();
    let mut seed = 0;
    let drill = median_ms(5, || {
        seed += 1;
        let store = Store::open(folder.path().join(seed.to_string()));
        let outcome = incident::drill::run("nine-seconds", Player::Careful, seed, &store).unwrap();
        assert_eq!(outcome.sheet.total, 100);
    });
    table.most(
        "an automatic drill, from page to score",
        drill / 1_000.0,
        5.0,
        "s",
        "",
    );
}

/// What an on-call engineer types, wrapped as it is typed.
const ACTS: [&[&str]; 5] = [
    &[
        "psql",
        "-d",
        "orders",
        "-c",
        "begin; update orders set total = 0 where id < 100; drop table old; commit",
    ],
    &[
        "sudo",
        "-u",
        "postgres",
        "sh",
        "-c",
        "pg_dump orders | gzip > /backups/x.gz && rm -f /tmp/old",
    ],
    &[
        "kubectl",
        "-n",
        "shop",
        "exec",
        "deploy/api",
        "--",
        "sh",
        "-c",
        "env | grep DATABASE",
    ],
    &["terraform", "apply", "-auto-approve", "-target=module.db"],
    &[
        "curl",
        "-fsS",
        "-X",
        "POST",
        "https://api.example/v1/volumes/v1/restore",
        "-d",
        "{}",
    ],
];

fn zone(table: &mut Table) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("cases"));
    let drill = Exercise::new("nine-seconds", 1).unwrap();
    let engine = desk(&drill, &store).open("bench", &drill.written()).unwrap();
    let policy = engine.incident().unwrap().opened.policy.clone();
    let act = engine
        .resolve(&StepId::new("bring-bookings-back").unwrap())
        .unwrap();
    const TURNS: usize = 200;
    let now = drill.world.clock.now();
    let ms = median_ms(9, || {
        for turn in 0..TURNS {
            let argv: Vec<String> = ACTS[turn % ACTS.len()].iter().map(|w| (*w).to_owned()).collect();
            let seen = detect(&ActText {
                argv: &argv,
                scripts: &[],
                stdin: None,
            });
            let act = incident::model::act::Resolved { seen, ..act.clone() };
            black_box(zone_of(&policy, &act, now));
        }
    });
    table.most("zone of a step", ms / TURNS as f64, 1.0, "ms", "");
}

fn desk<'d>(drill: &'d Exercise, store: &'d Store) -> Desk<'d> {
    Desk {
        world: &drill.world,
        store,
        spool_folders: Vec::new(),
        who: "ana@example.com".into(),
    }
}

/// Walks as a careful player does until this step is due.
fn walk_to(drill: &Exercise, engine: &Engine<'_>, step: &str) {
    let seat = incident::drill::player::Seat {
        player: Player::Careful,
        drill,
        engine,
    };
    loop {
        let next = engine.next().unwrap();
        drill.thinks(&next);
        if matches!(&next, Next::Run { step: due, .. } if due.as_str() == step) {
            return;
        }
        assert!(seat.does(&next).unwrap());
    }
}

/// An answer that counts, from its bytes to the record: parsed, compared, verified, filed, synced.
fn signoff(table: &mut Table) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("cases"));
    let drill = Exercise::new("nine-seconds", 1).unwrap();
    let engine = desk(&drill, &store).open("bench", &drill.written()).unwrap();
    let step = StepId::new("bring-bookings-back").unwrap();
    walk_to(&drill, &engine, step.as_str());
    let mut answers = Vec::new();
    for _ in 0..6 {
        let issued = engine
            .escalate(std::slice::from_ref(&step), Some(&drill.key_path()))
            .unwrap();
        for reply in drill.answers(&issued.approve).unwrap() {
            answers.push((reply.statement, reply.signature));
        }
    }
    let mut answers = answers.into_iter();
    let ms = median_ms(11, || {
        let (text, signature) = answers.next().unwrap();
        engine
            .add_signoff(Some(text.as_bytes()), signature.as_bytes())
            .unwrap();
    });
    table.most("a signed answer: checked and filed", ms, 5.0, "ms", "");
}

fn plan(table: &mut Table) {
    const STEPS: usize = 500;
    let mut runbook = String::from(
        "version: 1
name: long
boundary:
  inside: [read, protect, service-restart, traffic]
  at: [deploy, config-change, data-write]
escalation: {at: {people: 1}, outside: {people: 2}, valid: 30m}
stages:
  stop: [{revoke: all}]
  contain:
",
    );
    for n in 0..STEPS {
        let argv = [
            "[ls, /srv]",
            "[systemctl, restart, api]",
            "[psql, -d, orders, -c, \"update t set a = 1 where id = 2\"]",
        ];
        let line = format!(
            "    - {{id: s{n}, run: {}, undo: {{run: [ls]}}, effects: [traffic]}}\n",
            argv[n % 3]
        );
        runbook.push_str(&line);
    }
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("cases"));
    let world = sweep::world();
    let desk = Desk {
        world: &world,
        store: &store,
        spool_folders: Vec::new(),
        who: "ana@example.com".into(),
    };
    let written = Written {
        runbook: Some(("runbook.yaml".into(), runbook.into_bytes())),
        ..Written::default()
    };
    let engine = desk.open("bench", &written).unwrap();
    assert!(engine.mistakes.is_empty(), "{:?}", engine.mistakes);
    let mut resolved = 0;
    let ms = median_ms(7, || {
        let rows = engine.plan().unwrap();
        resolved = rows.iter().filter(|r| r.resolved.is_ok()).count();
    });
    assert!(
        resolved >= STEPS / 3,
        "only {resolved} steps could be resolved here"
    );
    table.most(
        "plan of 500 steps",
        ms,
        50.0,
        "ms",
        &format!("{resolved} of them with programs to hash"),
    );
}
