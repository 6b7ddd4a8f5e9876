//! Promise 2 again, from its other end: cut anywhere, the record resumes to the same end.

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
