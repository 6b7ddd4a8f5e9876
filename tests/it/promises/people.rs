//! Promise 6: a sign-off is for one act, consumed once, by another person, and any change voids it.

use incident::model::act::{Resolved, Stage};
use incident::model::runbook::Runbook;

use super::*;

const ROTATE: &str = "rotate-payment-key";
const RESTORE: &str = "bring-bookings-back";

/// A room at the point where the walk has just come to recover, with a plan of these steps.
fn at_recover(seed: u64, steps: &[&str]) -> (Room, IncidentId) {
    let room = Room::new(seed);
    let engine = room.open();
    room.walk(&engine, |next| matches!(next, Next::Freeze(_)));
    let steps: Vec<StepId> = steps.iter().map(|s| step(s)).collect();
    engine.freeze(&steps).unwrap();
    let id = engine.incident().unwrap().id().clone();
    drop(engine);
    (room, id)
}

fn needs_signoff(refused: &Refusal) -> bool {
    matches!(refused, Refusal::NeedsSignoff { .. })
}

fn asked(room: &Room, engine: &Engine<'_>, name: &str) -> Issued {
    engine
        .escalate(&[step(name)], Some(&room.drill.key_path()))
        .unwrap()
}

#[test]
fn promise_06_a_signoff_is_used_up_by_one_act() {
    let (room, id) = at_recover(60, &[RESTORE, ROTATE]);
    let engine = room.resume(ANA, &id);
    assert!(needs_signoff(&refusal(engine.run(&step(RESTORE), None))));
    let issued = asked(&room, &engine, RESTORE);
    room.sign(&engine, &issued, &[BEN]);
    assert!(
        needs_signoff(&refusal(engine.run(&step(RESTORE), None))),
        "one of two"
    );
    room.sign(&engine, &issued, &[KIM]);
    engine.run(&step(RESTORE), None).unwrap();
    // It is good for nothing else, and not again after the act was taken for undone.
    assert!(needs_signoff(&refusal(engine.run(&step(ROTATE), None))));
    let (text, signature) = room.signed_by(BEN, &issued.approve);
    let again = engine.add_signoff(Some(text.as_bytes()), signature.as_bytes());
    assert!(matches!(again, Err(EngineError::Signoff(_))), "{again:?}");
    let started: Vec<Vec<u64>> = events(&case_of(&engine))
        .into_iter()
        .filter_map(|e| match e {
            Event::ActStarted(a) if !a.consumes.is_empty() => Some(a.consumes),
            _ => None,
        })
        .collect();
    assert_eq!(started, [[issued.request]]);
}

#[test]
fn promise_06_an_act_that_failed_has_used_its_signoff_too() {
    let mut room = Room::new(61);
    // The platform takes no restore for now: the program runs, and fails.
    let runbook = room.drill.scenario.runbook().unwrap().replace(
        "run: [harborctl, volumes, restore, vol-bookings]",
        "run: [harborctl, volumes, restore, vol-nothing]",
    );
    let runbook = runbook.replace(
        "      effects: [data-restore]\n",
        "      effects: [data-restore]\n      tries: 3\n",
    );
    Runbook::parse("runbook.yaml", &runbook).unwrap();
    room.drill.scenario.bait.clear();
    let engine = room.open_with(&room.with_runbook(&runbook));
    room.walk_to(&engine, RESTORE);
    let issued = asked(&room, &engine, RESTORE);
    room.sign(&engine, &issued, &[BEN, KIM]);
    let acted = engine.run(&step(RESTORE), None).unwrap();
    assert_eq!(acted.code, Some(1));
    assert!(needs_signoff(&refusal(engine.run(&step(RESTORE), None))));
}

#[test]
fn promise_06_whoever_acted_or_asked_does_not_count() {
    let (room, id) = at_recover(62, &[RESTORE]);
    // Ben takes the keyboard once.
    let ben = room.resume(BEN, &id);
    ben.skip(&step(ROTATE), "not needed").unwrap();
    ben.undo(&step("pause-booking-desk"), None).unwrap();
    drop(ben);
    let engine = room.resume(ANA, &id);
    let issued = asked(&room, &engine, RESTORE);
    for who in [ANA, BEN] {
        let person = room.drill.people.iter().find(|p| p.name == who).unwrap();
        let signature = person
            .sign("signoff-drill@incident-v1", issued.approve.as_bytes())
            .unwrap();
        let refused = engine.add_signoff(Some(issued.approve.as_bytes()), signature.as_bytes());
        assert!(
            matches!(refused, Err(EngineError::Signoff(_))),
            "{who}: {refused:?}"
        );
    }
    room.sign(&engine, &issued, &[KIM]);
    let refused = refusal(engine.run(&step(RESTORE), None));
    let Refusal::NeedsSignoff { have, .. } = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(have, [KIM]);
}

#[test]
fn promise_06_two_signatures_of_one_person_are_one() {
    let (room, id) = at_recover(63, &[RESTORE]);
    let engine = room.resume(ANA, &id);
    let issued = asked(&room, &engine, RESTORE);
    room.sign(&engine, &issued, &[KIM]);
    let (text, signature) = room.signed_by(KIM, &issued.approve);
    let again = engine.add_signoff(Some(text.as_bytes()), signature.as_bytes());
    assert!(matches!(again, Err(EngineError::Signoff(_))), "{again:?}");
    assert!(needs_signoff(&refusal(engine.run(&step(RESTORE), None))));
}

#[test]
fn promise_06_an_altered_statement_is_not_what_was_signed() {
    let (room, id) = at_recover(64, &[RESTORE]);
    let engine = room.resume(ANA, &id);
    let issued = asked(&room, &engine, RESTORE);
    assert!(issued.approve.contains("vol-bookings"));
    let other = issued.approve.replace("vol-bookings", "vol-archive");
    let (_, signature) = room.signed_by(BEN, &issued.approve);
    let (signed_text, signed) = room.signed_by(BEN, &other);
    for (text, signature) in [(&other, &signature), (&signed_text, &signed)] {
        let refused = engine.add_signoff(Some(text.as_bytes()), signature.as_bytes());
        assert!(matches!(refused, Err(EngineError::Signoff(_))), "{refused:?}");
    }
}

#[test]
fn promise_06_a_change_of_the_plan_voids_it_and_words_do_not() {
    type Change = fn(&Room, &Engine<'_>);
    let changes: [(&str, Change); 4] = [
        ("the plan", |_, engine| {
            engine
                .amend(&[step(ROTATE), step(RESTORE)], "the key first")
                .unwrap();
        }),
        ("the same plan, to be tried again", |_, engine| {
            engine.amend(&[step(RESTORE)], "once more").unwrap();
        }),
        ("the order of the plan", |_, engine| {
            engine.drop_plan("another order").unwrap();
            engine.freeze(&[step(ROTATE), step(RESTORE)]).unwrap();
        }),
        ("nothing", |_, engine| {
            // What never voids: words, another look, stop entered again.
            engine.note("ben has signed").unwrap();
            engine.capture_step(&step("harbor-volumes"), "addendum").unwrap();
            engine.stop(&[]).unwrap();
            let again = engine.seal_baseline(vec!["one more thing".to_owned()]);
            assert!(
                matches!(again, Err(EngineError::OutOfOrder(_))),
                "a baseline is sealed once"
            );
        }),
    ];
    for (what, change) in changes {
        let (room, id) = at_recover(65, &[RESTORE]);
        let engine = room.resume(ANA, &id);
        let issued = asked(&room, &engine, RESTORE);
        room.sign(&engine, &issued, &[BEN, KIM]);
        change(&room, &engine);
        let ran = engine.run(&step(RESTORE), None);
        assert_eq!(ran.is_ok(), what == "nothing", "{what} changed: {ran:?}");
        assert_eq!(
            room.drill.truth().unhealthy.contains(&"bookings-api".to_owned()),
            ran.is_err()
        );
    }
}

/// The files of the host, one of them changed after it was signed for.
pub(super) struct Swapped {
    pub inner: Box<dyn incident::world::Files>,
    pub path: PathBuf,
    pub swapped: Rc<RefCell<bool>>,
}

impl incident::world::Files for Swapped {
    fn read(&self, path: &Path, cap: u64) -> std::io::Result<Vec<u8>> {
        if path == self.path && *self.swapped.borrow() {
            return Ok(b"another program".to_vec());
        }
        self.inner.read(path, cap)
    }
    fn open(&self, path: &Path) -> std::io::Result<Box<dyn std::io::Read>> {
        if path == self.path && *self.swapped.borrow() {
            return Ok(Box::new(&b"another program"[..]));
        }
        self.inner.open(path)
    }
    fn list(&self, path: &Path) -> std::io::Result<Vec<PathBuf>> {
        self.inner.list(path)
    }
    fn stat(&self, path: &Path) -> std::io::Result<incident::world::files::Stat> {
        self.inner.stat(path)
    }
    fn create(&self, path: &Path, mode: u32) -> std::io::Result<()> {
        self.inner.create(path, mode)
    }
    fn replace(&self, path: &Path, bytes: &[u8], mode: u32) -> std::io::Result<()> {
        self.inner.replace(path, bytes, mode)
    }
    fn remove(&self, path: &Path) -> std::io::Result<()> {
        self.inner.remove(path)
    }
}

#[test]
fn promise_06_a_program_changed_after_the_signature_does_not_run() {
    let mut room = Room::new(66);
    let swapped: Rc<RefCell<bool>> = Rc::default();
    let files = &mut room.drill.world.files;
    let inner = std::mem::replace(files, Box::new(incident::world::files::RealFiles));
    *files = Box::new(Swapped {
        inner,
        path: PathBuf::from("/usr/bin/harborctl"),
        swapped: Rc::clone(&swapped),
    });
    let engine = room.open();
    room.walk_to(&engine, RESTORE);
    let issued = asked(&room, &engine, RESTORE);
    room.sign(&engine, &issued, &[BEN]);
    *swapped.borrow_mut() = true;
    // The next answer is refused, for it is about what no longer runs; and the act is refused, too.
    let (text, signature) = room.signed_by(KIM, &issued.approve);
    let stale = engine.add_signoff(Some(text.as_bytes()), signature.as_bytes());
    assert!(matches!(stale, Err(EngineError::Signoff(_))), "{stale:?}");
    assert!(engine.run(&step(RESTORE), None).is_err());
    *swapped.borrow_mut() = false;
    engine
        .add_signoff(Some(text.as_bytes()), signature.as_bytes())
        .unwrap();
    *swapped.borrow_mut() = true;
    assert!(engine.run(&step(RESTORE), None).is_err());
    // Another process has seen nothing of it before, and says the same.
    let id = engine.incident().unwrap().id().clone();
    let refused = refusal(room.resume(ANA, &id).run(&step(RESTORE), None));
    assert_eq!(refused, Refusal::ChangedSincePlan);
    assert!(
        !records(&case_of(&engine))
            .iter()
            .any(|r| r.what["step"] == RESTORE && r.kind == "act.started")
    );
}

#[test]
fn promise_06_a_signature_runs_out() {
    let (room, id) = at_recover(67, &[RESTORE]);
    let engine = room.resume(ANA, &id);
    let issued = asked(&room, &engine, RESTORE);
    room.sign(&engine, &issued, &[BEN, KIM]);
    room.drill.clock.advance(std::time::Duration::from_secs(31 * 60));
    let refused = refusal(engine.run(&step(RESTORE), None));
    assert!(
        matches!(refused, Refusal::NeedsSignoff { expired: true, .. }),
        "{refused:?}"
    );
    let act: Resolved = engine.resolve(&step(RESTORE)).unwrap();
    assert_eq!(act.stage, Stage::Recover);
}
