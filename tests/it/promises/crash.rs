//! Promise 2 again, from its other end: cut anywhere, the record resumes to the same end.

use std::os::unix::fs::PermissionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use incident::drill::harbor::VolumeState;
use incident::engine::DoubtAbout;
use incident::model::incident::StepState;

use super::*;

/// What became of everything the runbook asks for.
#[derive(Debug, PartialEq, Eq)]
struct End {
    steps: Vec<(String, &'static str)>,
    answers: Vec<String>,
    dead: Vec<String>,
    sealed: bool,
    recovered: bool,
    closed: bool,
    unhealthy: Vec<String>,
}

/// A careful person who looks when nobody knows whether an act happened.
fn on_to_the_end(room: &Room, engine: &Engine<'_>) -> End {
    for _ in 0..200 {
        let next = engine.next().unwrap();
        room.drill.thinks(&next);
        match &next {
            Next::Settle(doubt) => {
                engine
                    .settle(doubt.act, happened(room, doubt), "looked at the platform")
                    .unwrap();
            }
            Next::Closed => return end(room, engine),
            Next::Close => {
                // Requests that nobody waits for any more.
                for pending in engine.pending().unwrap() {
                    engine
                        .withdraw(pending.request, "asked again after the crash")
                        .unwrap();
                }
                room.seat(engine).does(&next).unwrap();
            }
            _ => {
                room.seat(engine).does(&next).unwrap();
            }
        }
    }
    panic!("never closed: {:?}", engine.next());
}

fn happened(room: &Room, doubt: &DoubtAbout) -> bool {
    let truth = room.drill.truth();
    let paused = truth.log.iter().rev().find_map(|h| match &h.what {
        incident::drill::sim::What::Paused { paused, .. } => Some(*paused),
        _ => None,
    });
    match doubt.step.as_str() {
        "pause-booking-desk" => paused == Some(!doubt.title.starts_with("undo")),
        "bring-bookings-back" => truth
            .volumes
            .iter()
            .any(|v| v.name == "bookings" && v.environment == "production" && v.state == VolumeState::Live),
        other => panic!("nobody should doubt `{other}`"),
    }
}

fn end(room: &Room, engine: &Engine<'_>) -> End {
    let incident = engine.incident().unwrap();
    let word = |id: &StepId| match incident.steps.get(id) {
        Some(StepState::Skipped { .. }) => "skipped",
        Some(StepState::Undone { .. }) => "undone",
        Some(StepState::Tried { .. }) if incident.step_done(id) => "done",
        Some(StepState::Tried { .. }) => "tried",
        None => "",
    };
    End {
        steps: engine
            .runbook()
            .steps
            .iter()
            .map(|s| (s.id.to_string(), word(&s.id)))
            .collect(),
        answers: incident.answers.keys().map(ToString::to_string).collect(),
        dead: incident
            .stop
            .targets
            .iter()
            .filter(|(_, t)| t.proof().is_dead())
            .map(|(id, _)| id.to_string())
            .collect(),
        sealed: incident.baseline.is_some(),
        recovered: incident.recovered_us.is_some(),
        closed: incident.closed_ts.is_some(),
        unhealthy: room.drill.truth().unhealthy,
    }
}

#[test]
fn the_journal_cut_at_every_line_resumes_to_the_same_end() {
    const SEED: u64 = 2;
    let whole = {
        let room = Room::new(SEED);
        let engine = room.open();
        let end = on_to_the_end(&room, &engine);
        (records(&case_of(&engine)).len(), end)
    };
    assert!(whole.0 > 50 && whole.1.recovered && whole.1.closed, "{whole:?}");
    let mut doubts = 0;
    for kept in 1..whole.0 as u64 {
        let room = Room::new(SEED);
        let case = RefCell::new(None);
        // The program ends the moment this line is on disk; the world around it goes on.
        let crash = catch_unwind(AssertUnwindSafe(|| {
            let engine = room.open();
            *case.borrow_mut() = Some(case_of(&engine));
            engine.listen(Box::new(move |told| {
                if told.seq + 1 >= kept {
                    resume_unwind(Box::new(kept));
                }
            }));
            on_to_the_end(&room, &engine)
        }));
        if kept > 1 {
            assert!(crash.is_err(), "line {kept} was never written");
        }
        let case = case.into_inner().unwrap();
        let lines: Vec<u8> = journal(&case)
            .split_inclusive(|b| *b == b'\n')
            .take(usize::try_from(kept).unwrap())
            .flatten()
            .copied()
            .collect();
        fs::write(case.join("journal.jsonl"), lines).unwrap();
        let id = IncidentId::new(case.file_name().unwrap().to_str().unwrap()).unwrap();
        let engine = room.resume(ANA, &id);
        assert_eq!(engine.incident().unwrap().records, kept);
        doubts += usize::from(matches!(engine.next().unwrap(), Next::Settle(_)));
        assert_eq!(
            on_to_the_end(&room, &engine),
            whole.1,
            "cut after line {kept} of {}",
            whole.0
        );
    }
    assert!(doubts >= 6, "acts were cut in the middle, too: {doubts}");
}

/// A plan of which every part runs anywhere, slow enough to be killed in the middle.
const SLOW: &str = r#"version: 1
name: slow
people:
  ana@example.com: {roles: [on-call]}
boundary:
  inside: [read, protect, service-restart, traffic]
  at: [config-change, one-way]
escalation: {at: {people: 1}, outside: {people: 2}, valid: 30m}
stages:
  stop: [{revoke: all}, {kill: agents}, {disable: triggers}]
  assess:
    - {id: log, capture: {file: shop.log}}
    - {id: damage, ask: What is broken?}
  contain:
    - id: page-on
      run: [sleep, "0.2"]
      effects: [traffic]
      undo: {run: [sleep, "0"]}
    - id: swap
      manual: {what: Point the shop at the copy., see: The shop reads the copy.}
      effects: [config-change]
      undo: {manual: Point it back.}
"#;

/// What a person who reads the record would type next; `None` at the end.
fn due(incident: Option<&incident::model::incident::Incident>) -> Option<Vec<String>> {
    let words = |w: &[&str]| Some(w.iter().map(|w| (*w).to_owned()).collect());
    let Some(incident) = incident else {
        return words(&["start", "--yes"]);
    };
    if incident.closed_ts.is_some() {
        return None;
    }
    if let Some((act, _)) = incident.in_doubt().next() {
        return words(&["settle", &act.to_string(), "--did-not", "nothing sleeps here"]);
    }
    let looked = incident.captures.values().any(|c| c.exhibit.is_some());
    let (answered, sealed) = (!incident.answers.is_empty(), incident.baseline.is_some());
    let stage = incident.stage.word();
    match (stage, looked, answered, sealed) {
        ("stop", ..) | (_, false, ..) => words(&["resume"]),
        (_, _, false, _) => words(&["answer", "damage", "the orders are gone"]),
        (_, _, _, false) => words(&["seal"]),
        ("assess", ..) => words(&["enter", "contain"]),
        _ if !incident.step_done(&step("page-on")) => words(&["run", "page-on"]),
        _ if !incident.steps.contains_key(&step("swap")) => words(&["skip", "swap", "not today"]),
        _ => match incident
            .stop
            .targets
            .iter()
            .find(|(_, t)| !t.proof().is_dead() && t.answered.is_none())
        {
            Some((id, _)) => words(&["answer", id.as_str(), "it ran nowhere but here"]),
            None => words(&["close", "over"]),
        },
    }
}

/// When the next command is killed.
struct Luck {
    kills: u32,
    seed: u64,
    /// Milliseconds within which it is; fewer where commands end before it.
    within: u64,
}

impl Luck {
    const KILLS: u32 = 20;

    /// Anything from before it began to after it ended.
    fn moment(&mut self) -> std::time::Duration {
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        std::time::Duration::from_millis(3 + (self.seed >> 33) % self.within)
    }

    fn killed(&mut self, killed: bool) {
        self.kills += u32::from(killed);
        self.within = match killed {
            true => (self.within * 5 / 4 + 1).min(260),
            false => (self.within * 3 / 4).max(4),
        };
    }
}

#[test]
fn the_program_killed_at_twenty_moments_goes_on_each_time() {
    let mut luck = Luck {
        kills: 0,
        seed: 7,
        within: 260,
    };
    // A quick machine is at the end of an incident before it was killed so often.
    for _ in 0..20 {
        let Some(desk) = crate::support::desk::Desk::new() else {
            return;
        };
        goes_on(&desk, &mut luck);
        if luck.kills == Luck::KILLS {
            return;
        }
    }
    panic!("killed {} times", luck.kills);
}

/// One incident to its end, killed on the way.
fn goes_on(desk: &crate::support::desk::Desk, luck: &mut Luck) {
    use crate::support::desk::PROGRAM;
    desk.file("incident/runbook.yaml", SLOW);
    desk.file("shop.log", "DROP TABLE orders\n");
    let store = Store::open(desk.home().join(".local/share/incident"));
    let read = || {
        let mut cases = store.list().unwrap();
        // A folder that was made and never written to is no incident, and nobody is asked about it.
        cases.retain(|case| case.begun);
        assert!(
            cases.len() <= 1,
            "one incident, taken up again and again: {cases:?}"
        );
        let case = store.open_case(&cases.first()?.id).unwrap();
        let (incident, _) = incident::engine::fold_case(&case).unwrap()?;
        Some((incident, journal(case.path())))
    };
    let mut commands = 0;
    let mut before: Vec<u8> = Vec::new();
    loop {
        let now = read();
        if let Some((_, bytes)) = &now {
            let whole = before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
            assert!(
                bytes.starts_with(&before[..whole]),
                "what was on disk is still there"
            );
            before.clone_from(bytes);
        }
        let Some(args) = due(now.as_ref().map(|(incident, _)| incident)) else {
            break;
        };
        commands += 1;
        assert!(commands < 200, "it does not get on: {args:?}");
        let mut command = desk.jailed(PROGRAM);
        command.args(&args).stdin(std::process::Stdio::null());
        if luck.kills == Luck::KILLS {
            let out = command.output().unwrap();
            let code = out.status.code();
            assert!(
                !matches!(code, None | Some(1 | 2 | 10)),
                "{args:?}: {}",
                desk.told(&out)
            );
            continue;
        }
        let mut child = command
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(luck.moment());
        luck.killed(child.try_wait().unwrap().is_none());
        // SIGKILL for the jail is SIGKILL for everything in it.
        let _ = child.kill();
        child.wait().unwrap();
    }
    let (incident, _) = read().unwrap();
    assert!(incident.step_done(&step("page-on")) && incident.baseline.is_some());
    let forward = incident.acts.values().filter(|a| a.is_done()).count();
    assert_eq!(forward, 1, "done once, however often it was begun");
}

#[test]
fn a_start_killed_before_its_first_record_stands_in_nobodys_way() {
    use crate::support::desk::Desk;
    let Some(desk) = Desk::new() else { return };
    desk.run(&["start", "--yes"]);
    let store = desk.home().join(".local/share/incident");
    let case = Store::open(store.clone()).list().unwrap().remove(0);
    let other = store.join("INC-20261122-0314-k7qf");
    for name in ["data", "undo", "signoffs"] {
        fs::create_dir_all(other.join(name)).unwrap();
    }
    fs::write(other.join("journal.jsonl"), "").unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o700)).unwrap();
    let said = |args: &[&str]| {
        let out = desk.run(args);
        String::from_utf8([out.stdout, out.stderr].concat()).unwrap()
    };
    assert!(
        said(&["status"]).contains(case.id.as_str()),
        "{}",
        said(&["status"])
    );
    let list = said(&["list"]);
    assert!(list.contains("empty   INC-20261122-0314-k7qf"), "{list}");
    // Evidence without a record is no such start: somebody took the record away.
    fs::create_dir(other.join("data/0005-host")).unwrap();
    let both = said(&["status"]);
    assert!(both.contains("several incidents are open"), "{both}");
}
