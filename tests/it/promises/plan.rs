//! The discipline of a plan: changed and given up on record, one step at a time, a failure decided about
//! before anything else runs, and taken back in reverse.

use incident::model::event::StepChange;
use incident::model::incident::Stand;

use super::*;

/// Three steps inside the boundary, of which the second fails, and one at it.
const STEPS: &str = "
    - id: pause
      run: [docker, pause, booking-desk]
      undo: {run: [docker, unpause, booking-desk]}
      effects: [traffic]
    - id: broken
      run: [docker, pause, nothing-of-that-name]
      undo: {run: [docker, unpause, booking-desk]}
      effects: [traffic]
      tries: 2
    - id: again
      run: [docker, pause, booking-desk]
      undo: {run: [docker, unpause, booking-desk]}
      effects: [traffic]
    - id: rotate
      run: [harborctl, variables, rotate, PAYMENT_KEY]
      undo: {never: the old value is gone}
      effects: [credential-change]";

fn at_the_plan(room: &Room) -> Engine<'_> {
    let engine = room.open_with(&room.with_runbook(&acts::runbook(" []", STEPS)));
    room.walk(&engine, |next| matches!(next, Next::Freeze(_)));
    engine
}

fn steps(names: &[&str]) -> Vec<StepId> {
    names.iter().map(|n| step(n)).collect()
}

fn stand(engine: &Engine<'_>, name: &str) -> Stand {
    engine.incident().unwrap().stand(&step(name))
}

#[test]
fn a_failed_step_holds_the_plan_up_until_somebody_decided_about_it() {
    let room = Room::new(80);
    let engine = at_the_plan(&room);
    engine.freeze(&steps(&["pause", "broken", "again"])).unwrap();
    engine.run(&step("pause"), None).unwrap();
    for tries in 1..=2 {
        assert_eq!(engine.run(&step("broken"), None).unwrap().code, Some(1));
        let incident = engine.incident().unwrap();
        let failure = incident.plan_failure().unwrap();
        assert_eq!((failure.step.as_str(), failure.tries), ("broken", tries));
        assert!(failure.why.contains("code 1"), "{}", failure.why);
        assert!(matches!(
            refusal(engine.run(&step("again"), None)),
            Refusal::NotNext { next } if next == "broken"
        ));
    }
    assert_eq!(
        refusal(engine.run(&step("broken"), None)),
        Refusal::TriesUsed { tries: 2 }
    );
    // The walk says so, and offers what can be decided.
    let Next::Failed { step: due, again, .. } = engine.next().unwrap() else {
        panic!("{:?}", engine.next());
    };
    assert_eq!(due.as_str(), "broken");
    assert!(matches!(
        again.unwrap().answer,
        Answer::Refused(Refusal::TriesUsed { .. })
    ));
    // Changed with a reason, the plan lets it be tried anew; without one it is not changed.
    let same = engine.plan_steps().unwrap();
    assert!(matches!(engine.amend(&same, " "), Err(EngineError::NoWords(_))));
    assert!(
        engine
            .amend(&same, "the disk has room again")
            .unwrap()
            .changes
            .is_empty()
    );
    assert_eq!(engine.run(&step("broken"), None).unwrap().code, Some(1));
    // Left out with a reason, it lets the rest pass, and can still be taken back.
    engine
        .skip(&step("broken"), "the service is down for good")
        .unwrap();
    assert_eq!(stand(&engine, "broken"), Stand::LeftHalf);
    assert_eq!(refusal(engine.run(&step("broken"), None)), Refusal::Skipped);
    engine.undo(&step("broken"), None).unwrap();
    assert_eq!(stand(&engine, "broken"), Stand::Undone);
}

#[test]
fn what_recover_did_is_taken_back_in_reverse() {
    let room = Room::new(81);
    let engine = at_the_plan(&room);
    engine.freeze(&steps(&["pause", "broken", "again"])).unwrap();
    engine.run(&step("pause"), None).unwrap();
    engine.run(&step("broken"), None).unwrap();
    let newest = |newest: &str| Refusal::NotNewest {
        newest: newest.to_owned(),
    };
    // What failed may have half happened, so it goes first.
    assert_eq!(refusal(engine.undo(&step("pause"), None)), newest("broken"));
    let told = engine.drop_plan("the copy is not good").unwrap();
    let stands = [(step("broken"), Stand::Failed), (step("pause"), Stand::Done)];
    assert_eq!(told.stands, stands);
    assert!(matches!(engine.drop_plan("twice"), Err(EngineError::NoPlan)));
    let mut back = Vec::new();
    while let Some(next) = engine.take_back().unwrap().next {
        engine.undo(&next, Some("the plan was given up")).unwrap();
        back.push(next.to_string());
    }
    assert_eq!(back, ["broken", "pause"]);
    assert_eq!(refusal(engine.undo(&step("pause"), None)), Refusal::NothingToUndo);
    // And then another plan may be fixed.
    engine.freeze(&steps(&["again"])).unwrap();
    assert!(matches!(
        engine.freeze(&steps(&["again"])),
        Err(EngineError::PlanInForce(_))
    ));
}

#[test]
fn a_changed_plan_says_what_changed_and_which_signatures_fell() {
    let room = Room::new(82);
    let engine = at_the_plan(&room);
    engine.freeze(&steps(&["rotate", "pause"])).unwrap();
    let issued = engine
        .escalate(&steps(&["rotate"]), Some(&room.drill.key_path()))
        .unwrap();
    room.sign(&engine, &issued, &[BEN]);
    let told = engine
        .amend(&steps(&["again", "pause", "rotate"]), "the key comes last")
        .unwrap();
    let changes: Vec<(&str, StepChange)> = told.changes.iter().map(|c| (c.step.as_str(), c.change)).collect();
    let expected = [
        ("again", StepChange::Added),
        ("pause", StepChange::Moved),
        ("rotate", StepChange::Moved),
    ];
    assert_eq!(changes, expected);
    let fell = [(issued.request, steps(&["rotate"]), vec![BEN.to_owned()])];
    assert_eq!(told.fell, fell);
    // It waits for nobody any more, and a late answer does not count.
    assert!(engine.pending().unwrap().is_empty());
    let (text, signature) = room.signed_by(KIM, &issued.approve);
    let late = engine.add_signoff(Some(text.as_bytes()), signature.as_bytes());
    assert!(late.is_err(), "{late:?}");
    engine.run(&step("again"), None).unwrap();
    engine.run(&step("pause"), None).unwrap();
    assert!(matches!(
        refusal(engine.run(&step("rotate"), None)),
        Refusal::NeedsSignoff { request: None, .. }
    ));
    let issued = engine
        .escalate(&steps(&["rotate"]), Some(&room.drill.key_path()))
        .unwrap();
    room.sign(&engine, &issued, &[BEN]);
    // To leave a step out is another plan than the one that was signed for.
    engine
        .amend(&steps(&["again", "pause", "broken", "rotate"]), "one more")
        .unwrap();
    let issued = engine
        .escalate(&steps(&["rotate"]), Some(&room.drill.key_path()))
        .unwrap();
    room.sign(&engine, &issued, &[BEN]);
    engine.skip(&step("broken"), "not needed").unwrap();
    assert!(matches!(
        refusal(engine.run(&step("rotate"), None)),
        Refusal::NeedsSignoff { request: None, .. }
    ));
    let told: Vec<String> = records(&case_of(&engine))
        .iter()
        .map(|r| r.kind.clone())
        .filter(|k| k.starts_with("plan."))
        .collect();
    assert_eq!(told, ["plan.frozen", "plan.amended", "plan.amended"]);
}

#[test]
fn an_act_that_is_not_what_was_frozen_shows_in_which_part() {
    let mut room = Room::new(83);
    let changed: Rc<RefCell<bool>> = Rc::default();
    let files = &mut room.drill.world.files;
    let inner = std::mem::replace(files, Box::new(incident::world::files::RealFiles));
    *files = Box::new(people::Swapped {
        inner,
        path: PathBuf::from("/usr/bin/docker"),
        swapped: Rc::clone(&changed),
    });
    let engine = at_the_plan(&room);
    engine.freeze(&steps(&["pause", "again"])).unwrap();
    engine.run(&step("pause"), None).unwrap();
    *changed.borrow_mut() = true;
    assert_eq!(
        refusal(engine.run(&step("again"), None)),
        Refusal::ChangedSincePlan
    );
    let told = engine
        .amend(&engine.plan_steps().unwrap(), "docker was updated")
        .unwrap();
    // What is done stays as it was frozen.
    assert_eq!(told.changes.len(), 1, "{told:?}");
    assert_eq!(told.changes[0].change, StepChange::Changed);
    assert_eq!(told.changes[0].parts, ["files"]);
    engine.run(&step("again"), None).unwrap();
}
