//! The record: `status` on a long one, the rate of appending, and how fast the program is there at all.

use std::fs::File;
use std::io::Write;
use std::process::Command;
use std::time::Instant;

use incident::engine::{Desk, Written};
use incident::model::event::{Aim, DidElsewhere, Event, NoteAdded, StopEnded, StopFacts, StopStarted};
use incident::model::fact::{Fact, Observed};
use incident::model::grant::{Grant, Shared, Target};
use incident::model::ids::TargetId;
use incident::store::{Draft, Store};

use crate::{Table, incident, median, median_ms, sweep};

const TS: &str = "2026-11-22T03:14:07.120Z";
const RECORDS: usize = 100_000;

pub fn measure(table: &mut Table) {
    let home = tempfile::tempdir().unwrap();
    let help = median_ms(41, || {
        let out = incident(home.path()).arg("--help").output().unwrap();
        assert!(out.status.success() && out.stdout.len() > 500);
    });
    let nothing = median_ms(41, || {
        assert!(Command::new("/bin/true").status().unwrap().success());
    });
    table.most(
        "incident --help, cold",
        help,
        10.0,
        "ms",
        &format!("/bin/true: {nothing:.2} ms"),
    );
    long(table);
    appends(table);
}

/// A case of 100,000 records, as long as no incident will be.
fn long(table: &mut Table) {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path().join("cases"));
    let world = sweep::world();
    let desk = Desk {
        world: &world,
        store: &store,
        spool_folders: Vec::new(),
        who: "ana@example.com".into(),
    };
    let engine = desk.open("bench", &Written::default()).unwrap();
    let id = engine.incident().unwrap().id().clone();
    drop(engine);
    let case = store.open_case(&id).unwrap();
    let mut locked = case.lock(|_| false).unwrap();
    locked.read(|_| {}).unwrap();
    let mut written = 1;
    for group in events().chunks(1_000) {
        written += locked
            .append_group(group.iter().map(draft).collect())
            .unwrap()
            .len();
    }
    drop(locked);
    assert_eq!(written, RECORDS);
    let journal = case.path().join("journal.jsonl");
    let mib = std::fs::metadata(&journal).unwrap().len() as f64 / f64::from(1 << 20);
    let status = median_ms(7, || {
        let out = incident(home.path())
            .arg("--store")
            .arg(store.root())
            .args(["status", "--json"])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(
            text.contains(id.as_str()),
            "{text} {}",
            String::from_utf8_lossy(&out.stderr)
        );
    });
    let sum = median_ms(7, || {
        let out = std::process::Command::new("sha256sum")
            .arg(&journal)
            .output()
            .unwrap();
        assert!(out.status.success());
    });
    let rival = format!("sha256sum of its {mib:.0} MiB: {sum:.0} ms");
    table.most("status, 100,000 records", status, 100.0, "ms", &rival);
    let engine = desk.resume(&id).unwrap();
    let note = median_ms(15, || {
        engine.note("one more").unwrap();
    });
    table.told("  one more record after them, checked and synced", note, "ms", "");
}

fn draft(event: &Event) -> Draft {
    Draft {
        ts: TS.into(),
        kind: event.kind().into(),
        v: event.version(),
        what: event.text(),
        who: "ana@example.com".into(),
    }
}

/// Everything after the first record: 200 targets looked at over and over, and people who write.
fn events() -> Vec<Event> {
    const TARGETS: usize = 200;
    let name = |n: usize| TargetId::new(&format!("grant-{}", n % TARGETS)).unwrap();
    let targets = (0..TARGETS).map(|n| Aim {
        target: Target::Grant(Grant {
            id: name(n),
            provider: "github".into(),
            agent: None,
            with: Default::default(),
            auth: None,
            secret: None,
            shared: Shared::No,
            reaches: Vec::new(),
        }),
        window_ms: 0,
        found_by: "access.yaml".into(),
    });
    let mut all: Vec<Event> = vec![
        StopStarted {
            mono_us: 1,
            targets: targets.collect(),
            problems: Vec::new(),
        }
        .into(),
    ];
    let fact = |n: usize| match n / TARGETS {
        0 => Fact::Accepted { status: 204 },
        _ => Fact::ReadBack { dead: true },
    };
    for n in 0..RECORDS - 3 {
        let at_us = n as u64 + 2;
        all.push(match n % 10 {
            7 => NoteAdded {
                text: format!("note {n}: the queue is draining, the page is up, nobody has complained since"),
            }
            .into(),
            8 => DidElsewhere {
                text: format!("restarted worker {n} by hand from its own console"),
            }
            .into(),
            _ => StopFacts {
                target: name(n),
                phase: "look".into(),
                facts: vec![Observed { at_us, fact: fact(n) }],
            }
            .into(),
        });
    }
    all.push(
        StopEnded {
            mono_us: RECORDS as u64,
            first_cut_us: Some(2),
            interrupted: false,
        }
        .into(),
    );
    all
}

/// Rows of the same length by SQLite, one a commit, as durable as it goes; says how many a second.
const SQLITE: &str = r#"
import sqlite3, sys, time
path, many, long = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
db = sqlite3.connect(path, isolation_level=None)
db.execute("pragma journal_mode=wal")
db.execute("pragma synchronous=full")
db.execute("create table if not exists record (line text)")
line = "x" * long
began = time.perf_counter()
for _ in range(many):
    db.execute("insert into record values (?)", (line,))
print(many / (time.perf_counter() - began))
"#;

/// The same lines by the store, by a bare loop of write and fdatasync, and by SQLite, turn about.
fn appends(table: &mut Table) {
    const ROUNDS: usize = 15;
    const EACH: usize = 60;
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("cases"));
    let id = incident::model::ids::IncidentId::new("INC-20261122-0314-k7qf").unwrap();
    let case = store.create_case(&id, &[7; 32]).unwrap();
    let note = Event::from(NoteAdded {
        text: "x".repeat(160),
    });
    let mut bare = File::create(folder.path().join("bare")).unwrap();
    let mut locked = case.lock(|_| false).unwrap();
    locked.read(|_| {}).unwrap();
    locked.append(draft(&note)).unwrap();
    let line = std::fs::read(case.path().join("journal.jsonl")).unwrap();
    let database = folder.path().join("rows");
    let sqlite = || {
        let out = Command::new("python3")
            .args(["-c", SQLITE])
            .arg(&database)
            .args([EACH.to_string(), line.len().to_string()])
            .output();
        let out = out.ok().filter(|out| out.status.success())?;
        String::from_utf8_lossy(&out.stdout).trim().parse::<f64>().ok()
    };
    let (mut ours, mut theirs, mut grouped, mut rows) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let rate = |began: Instant| EACH as f64 / began.elapsed().as_secs_f64();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        for _ in 0..EACH {
            bare.write_all(&line).unwrap();
            bare.sync_data().unwrap();
        }
        theirs.push(rate(began));
        let began = Instant::now();
        for _ in 0..EACH {
            locked.append(draft(&note)).unwrap();
        }
        ours.push(rate(began));
        let began = Instant::now();
        for _ in 0..EACH / 10 {
            locked.append_group(vec![draft(&note); 10]).unwrap();
        }
        grouped.push(rate(began));
        rows.extend(sqlite());
    }
    let (ours, theirs, grouped) = (median(ours), median(theirs), median(grouped));
    let rival = format!("write and fdatasync: {theirs:.0} a second, ours {ours:.0}");
    table.least(
        "durable appends against a bare loop (G5)",
        ours / theirs,
        0.9,
        "x",
        &rival,
    );
    match rows.len() == ROUNDS {
        true => {
            let rows = median(rows);
            let rival = format!("SQLite, WAL and synchronous=full: {rows:.0} a second");
            table.least(
                "  against SQLite, one a commit (G5b)",
                ours / rows,
                1.1,
                "x",
                &rival,
            );
        }
        false => println!("NOT COMPARED: SQLite (python3 with its sqlite3 cannot be run)"),
    }
    table.least(
        "  in groups of ten against one by one (G5c)",
        grouped / ours,
        2.0,
        "x",
        "",
    );
}
