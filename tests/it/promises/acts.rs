//! Promise 2, record, act, record; promise 4, in assess only reads run; promise 5, the boundary.

use incident::boundary::zone_of;
use incident::effects::{ActText, detect};
use incident::engine::DoubtAbout;
use incident::model::act::Stage;
use incident::model::effect::{Effect, Zone};

use super::*;

/// A runbook over the drill's programs; `{contain}` and `{recover}` are filled in.
pub(super) fn runbook(contain: &str, recover: &str) -> String {
    format!(
        "version: 1
name: gates
people:
  ana@example.com: {{roles: [on-call]}}
  ben@example.com: {{roles: [on-call]}}
  kim@vendor.example: {{roles: [external]}}
boundary:
  inside: [read, protect, service-restart, traffic, data-restore, config-rollback]
  at: [deploy, config-change, credential-change, schema-change, data-write, infra-change, security-config, backup-change, one-way]
escalation: {{at: {{people: 1}}, outside: {{people: 2}}, valid: 30m}}
stages:
  stop: [{{revoke: all}}, {{kill: agents}}, {{disable: triggers}}]
  assess:
    - {{id: volumes, capture: {{command: [curl, -fsSn, \"https://api.harbor.example/v1/volumes\"]}}}}
  contain:{contain}
  recover:{recover}
"
    )
}

const PAUSE: &str = "
    - id: pause
      lane: first
      run: [docker, pause, booking-desk]
      undo: {run: [docker, unpause, booking-desk]}
      effects: [traffic]";

fn log() -> Rc<RefCell<Vec<Vec<String>>>> {
    Rc::default()
}

#[test]
fn promise_02_the_line_is_on_disk_before_the_program_exists() {
    let mut room = Room::new(20);
    let place: Place = Rc::default();
    let seen: Rc<RefCell<Vec<(String, bool)>>> = Rc::default();
    let (at, log) = (Rc::clone(&place), Rc::clone(&seen));
    room.watch(move |command| {
        if let Some(case) = at.borrow().as_ref() {
            // What a reader who knows nothing of this process finds on the disk.
            let open = records(case)
                .into_iter()
                .rev()
                .find(|r| r.kind.starts_with("act."));
            let open = open.is_some_and(|r| r.kind == "act.started");
            log.borrow_mut().push((command.argv.join(" "), open));
        }
    });
    let engine = room.open();
    *place.borrow_mut() = Some(case_of(&engine));
    room.walk(&engine, |next| matches!(next, Next::Closed));
    let acts = ["docker pause", "volumes restore", "docker unpause"];
    for act in acts {
        let runs: Vec<bool> = seen
            .borrow()
            .iter()
            .filter(|(argv, _)| argv.contains(act))
            .map(|(_, open)| *open)
            .collect();
        assert_eq!(runs, [true], "{act}");
    }
}

#[test]
fn promise_02_a_crash_in_the_middle_leaves_a_question() {
    let mut room = Room::new(21);
    let place: Place = Rc::default();
    let (at, to) = (Rc::clone(&place), room.folder.path().join("crashed"));
    fs::create_dir(&to).unwrap();
    let crashed = to.clone();
    room.watch(move |command| {
        if let Some(case) = at
            .borrow()
            .as_ref()
            .filter(|_| command.argv.iter().any(|a| a == "pause"))
        {
            copied(case, &crashed.join(case.file_name().unwrap()));
        }
    });
    let engine = room.open();
    *place.borrow_mut() = Some(case_of(&engine));
    room.walk_to(&engine, "pause-booking-desk");
    engine.run(&step("pause-booking-desk"), None).unwrap();
    let id = engine.incident().unwrap().id().clone();
    let desk = Desk {
        store: &Store::open(to),
        ..room.desk(BEN)
    };
    let found = desk.resume(&id).unwrap();
    let Next::Settle(DoubtAbout { act, step: due, .. }) = found.next().unwrap() else {
        panic!("not asked about it: {:?}", found.next());
    };
    assert_eq!(due.as_str(), "pause-booking-desk");
    assert_eq!(found.incident().unwrap().in_doubt().count(), 1);
    // Until somebody looked, nothing else changes anything, and the end is not in reach.
    let rotate = ["harborctl", "variables", "rotate", "PAYMENT_KEY"].map(str::to_owned);
    let refused = refusal(found.perform_ad_hoc(&rotate, None));
    assert!(matches!(refused, Refusal::InDoubt { .. }), "{refused:?}");
    assert!(matches!(found.close("done"), Err(EngineError::CannotClose(_))));
    found.settle(act, true, "docker ps says paused").unwrap();
    assert!(!matches!(found.next().unwrap(), Next::Settle(_)));
}

#[test]
fn promise_02_without_a_durable_line_nothing_runs() {
    let by_hand = "\n    - {id: page, manual: {what: Put the page up., see: it is up}, undo: {never: no need}, effects: [traffic]}";
    let mut room = Room::new(22);
    let log: Rc<RefCell<Vec<String>>> = Rc::default();
    let seen = Rc::clone(&log);
    room.watch(move |command| seen.borrow_mut().push(command.argv.join(" ")));
    let steps = by_hand.replace("never: no need", "manual: {what: Take it down.}") + PAUSE;
    let engine = room.open_with(&room.with_runbook(&runbook(&steps, " []")));
    room.walk(&engine, |next| matches!(next, Next::Manual { .. }));
    let case = case_of(&engine);
    let before = journal(&case);
    // The journal can no longer be locked; the rest of the folder can still be written.
    fs::rename(case.join("lock"), case.join("lock.gone")).unwrap();
    fs::create_dir(case.join("lock")).unwrap();
    log.borrow_mut().clear();
    assert!(engine.done(&step("page"), "it is up").is_err());
    assert!(engine.run(&step("pause"), None).is_err());
    // Words still find a place, but acts do not follow them there.
    engine.did("paused it in the console").unwrap();
    assert!(engine.done(&step("page"), "it is up").is_err());
    assert!(engine.run(&step("pause"), None).is_err());
    assert!(log.borrow().is_empty(), "no program was started: {log:?}");
    assert!(engine.incident().unwrap().acts.is_empty());
    assert_eq!(journal(&case), before);
    // Stop goes on all the same.
    engine.stop(&[]).unwrap();
    assert!(!log.borrow().is_empty());
}

#[test]
fn promise_04_in_assess_nothing_runs_but_reads() {
    let mut room = Room::new(23);
    let place: Place = Rc::default();
    let log = log();
    let (at, seen) = (Rc::clone(&place), Rc::clone(&log));
    room.watch(move |command| {
        let Some(case) = at.borrow().clone() else { return };
        let all = records(&case);
        let assess = all.iter().any(|r| r.kind == "stage.entered");
        let sealed = all.iter().any(|r| r.kind == "baseline.sealed");
        if assess && !sealed {
            seen.borrow_mut().push(command.argv.clone());
        }
    });
    let engine = room.open();
    *place.borrow_mut() = Some(case_of(&engine));
    room.walk(&engine, |next| matches!(next, Next::Seal));
    // Whatever somebody tries meanwhile: a step of a later stage, and an act nobody foresaw.
    for later in ["pause-booking-desk", "bring-bookings-back", "rotate-payment-key"] {
        let refused = refusal(engine.run(&step(later), Some("it burns")));
        assert_eq!(refused, Refusal::BeforeBaseline, "{later}");
    }
    for argv in [
        &["docker", "pause", "booking-desk"][..],
        &["psql", "-d", "bookings", "-c", "delete from bookings"],
    ] {
        let argv: Vec<String> = argv.iter().map(|a| (*a).to_owned()).collect();
        assert_eq!(
            refusal(engine.perform_ad_hoc(&argv, None)),
            Refusal::BeforeBaseline
        );
    }
    let look = ["docker", "ps"].map(str::to_owned);
    engine.perform_ad_hoc(&look, None).unwrap();
    room.walk(&engine, |next| matches!(next, Next::Enter(Stage::Contain)));
    let log = log.borrow();
    assert!(log.len() >= 4, "the looks of the runbook ran: {log:?}");
    for argv in log.iter() {
        let act = ActText {
            argv,
            scripts: &[],
            stdin: None,
        };
        assert!(detect(&act).iter().all(|s| s.effect == Effect::Read), "{argv:?}");
    }
}

#[test]
fn promise_04_before_the_baseline_the_two_lanes_need_a_reason_and_a_picture() {
    let hold = "
    - id: hold
      lane: protect
      manual: {what: Hold the volume photos., see: it says held}
      effects: [protect]";
    let room = Room::new(24);
    let engine = room.open_with(&room.with_runbook(&runbook(&(hold.to_owned() + PAUSE), " []")));
    engine.stop(&[]).unwrap();
    engine.enter(Stage::Assess).unwrap();
    assert_eq!(refusal(engine.run(&step("pause"), None)), Refusal::NoReason);
    assert_eq!(refusal(engine.run(&step("pause"), Some(" "))), Refusal::NoReason);
    engine.run(&step("pause"), Some("it sells flats twice")).unwrap();
    engine.done(&step("hold"), "held, the console says so").unwrap();
    let all = events(&case_of(&engine));
    let place = |wanted: &dyn Fn(&Event) -> bool| all.iter().position(wanted);
    for name in ["pause", "hold"] {
        let picture =
            place(&|e| matches!(e, Event::CaptureStarted(c) if c.purpose == format!("before {name}")));
        let ended = all.iter().any(|e| matches!(e, Event::CaptureEnded(c) if Some(c.capture as usize) == picture && !c.items.is_empty()));
        let act = place(&|e| matches!(e, Event::ActStarted(a) if a.step.as_str() == name && a.why.is_some()));
        assert!(
            ended && picture.is_some() && picture < act,
            "{name}: {picture:?} {act:?}"
        );
    }
    assert!(engine.incident().unwrap().baseline.is_none());
}

#[test]
fn promise_04_recover_never_starts_before_the_baseline() {
    let room = Room::new(25);
    let engine = room.open();
    engine.stop(&[]).unwrap();
    engine.enter(Stage::Assess).unwrap();
    for stage in [Stage::Contain, Stage::Recover] {
        assert!(
            matches!(engine.enter(stage), Err(EngineError::OutOfOrder(_))),
            "{stage}"
        );
    }
    assert!(matches!(
        engine.freeze(&[step("bring-bookings-back")]),
        Err(EngineError::OutOfOrder(_))
    ));
    let refused = refusal(engine.run(&step("bring-bookings-back"), Some("now")));
    assert_eq!(refused, Refusal::BeforeBaseline);
}

#[test]
fn promise_05_the_zone_is_the_worst_of_what_is_declared_and_what_is_seen() {
    let steps = r#"
    - {id: honest, run: [docker, pause, booking-desk], undo: {run: [docker, unpause, booking-desk]}, effects: [traffic]}
    - {id: belittled, run: [psql, -d, bookings, -c, "drop table bookings"], undo: {never: it is gone}, effects: [read]}
    - {id: overstated, run: [docker, ps], undo: {run: [docker, ps]}, effects: [schema-change]}
    - {id: unsaid, run: [harborctl, volumes, list], undo: {run: [harborctl, volumes, list]}}"#;
    let room = Room::new(26);
    let engine = room.open_with(&room.with_runbook(&runbook(steps, " []")));
    let policy = engine.incident().unwrap().opened.policy.clone();
    let now = engine.world().clock.now();
    let zone = |name: &str| zone_of(&policy, &engine.resolve(&step(name)).unwrap(), now).0;
    assert_eq!(zone("honest"), Zone::Inside);
    assert_eq!(
        zone("belittled"),
        Zone::Outside,
        "the program drops a table, whatever the author says"
    );
    assert_eq!(zone("overstated"), Zone::At, "the author knows more than the eye");
    assert_eq!(zone("unsaid"), Zone::Outside, "nobody classified it");
    let odd = ["harborctl", "volumes", "list"].map(str::to_owned);
    assert_eq!(
        zone_of(&policy, &engine.resolve_ad_hoc(&odd).unwrap(), now).0,
        Zone::Outside
    );
}

#[test]
fn promise_05_the_policy_is_the_one_pinned_when_the_incident_opened() {
    let room = Room::new(27);
    let repo = room.folder.path().join("incident");
    fs::create_dir(&repo).unwrap();
    let strict = runbook(PAUSE, " []").replace("      lane: first\n", "");
    let lax = strict
        .replace("at: [deploy,", "at: [unknown, bulk-data, deploy,")
        .replace("people: 2", "people: 1");
    assert!(lax != strict);
    fs::write(repo.join("runbook.yaml"), &strict).unwrap();
    let written = Written {
        folder: Some(repo.clone()),
        ..room.with_runbook(&strict)
    };
    let engine = room.open_with(&written);
    let id = engine.incident().unwrap().id().clone();
    let before = engine.incident().unwrap().opened.policy.clone();
    drop(engine);
    // Whoever can write the repository afterwards changes nothing here.
    fs::write(repo.join("runbook.yaml"), &lax).unwrap();
    let engine = room.resume(ANA, &id);
    assert_eq!(engine.incident().unwrap().opened.policy, before);
    assert_eq!(engine.runbook().policy, before);
    let case = case_of(&engine);
    drop(engine);
    // And whoever can write the case is noticed.
    for name in ["runbook.yaml", "access.yaml", "allowed_signers"] {
        let file = case.join(name);
        let kept = fs::read(&file).unwrap();
        fs::remove_file(&file).unwrap();
        fs::write(&file, [&kept[..], b"\n# one more line\n"].concat()).unwrap();
        let refused = room.desk(ANA).resume(&id).map(|_| ());
        assert!(
            matches!(refused, Err(EngineError::PinChanged { file }) if file == name),
            "{name}: {refused:?}"
        );
        fs::write(&file, kept).unwrap();
    }
    room.resume(ANA, &id);
}

#[test]
fn promise_02_an_undo_that_failed_is_not_called_undone() {
    let steps = PAUSE.replace("unpause, booking-desk", "unpause, nowhere");
    let room = Room::new(28);
    let engine = room.open_with(&room.with_runbook(&runbook(&steps, " []")));
    room.walk(&engine, |next| matches!(next, Next::Run { .. }));
    engine.run(&step("pause"), None).unwrap();
    assert_eq!(engine.undo(&step("pause"), None).unwrap().code, Some(1));
    let state = |name: &str| {
        let rows = engine.plan().unwrap();
        rows.iter().find(|r| r.step.id == step(name)).unwrap().state
    };
    assert_eq!(
        state("pause"),
        "taking it back failed",
        "the container is paused still"
    );
    assert!(matches!(engine.next().unwrap(), Next::Failed { .. }));
    assert_eq!(
        engine.undo(&step("pause"), None).unwrap().code,
        Some(1),
        "it may be tried again"
    );
}
