//! Promise 7, nothing is edited or deleted; promise 11, a drill's record never passes for a real one;
//! promise 12, the same journal gives the same report.

use incident::drill::exercise::Reply;
use incident::engine::fold_case;
use incident::model::act::Stage;
use incident::report::{Entry, Report, markdown, timeline};
use incident::world::WorldKind;

use super::*;

#[test]
fn promise_07_the_journal_only_grows_and_the_state_is_its_fold() {
    for player in [Player::Careful, Player::Hasty] {
        let room = Room::new(40);
        let engine = room.open();
        let (case, id) = (case_of(&engine), engine.incident().unwrap().id().clone());
        let mut before = journal(&case);
        let mut commands = 0;
        let mut check = |what: &str| {
            let after = journal(&case);
            assert!(after.starts_with(&before), "{what} edited the journal");
            before = after;
            // Another reader, with nothing but the bytes, sees the same incident.
            let (folded, _) = fold_case(&room.store.open_case(&id).unwrap()).unwrap().unwrap();
            assert_eq!(folded, *engine.incident().unwrap(), "after {what}");
            commands += 1;
        };
        let seat = Seat {
            player,
            drill: &room.drill,
            engine: &engine,
        };
        seat.sits_down();
        loop {
            let next = engine.next().unwrap();
            room.drill.thinks(&next);
            // Whatever is due, somebody may also try what is not.
            let _ = engine.run(&step("bring-bookings-back"), Some("at once"));
            let _ = engine.undo(&step("pause-booking-desk"), None);
            let _ = engine.enter(Stage::Recover);
            let _ = engine.add_signoff(None, b"no signature");
            if next == Next::Stop {
                assert!(engine.close("enough").is_err());
            }
            check("what is not due");
            engine.note("looked around").unwrap();
            check("note");
            if !seat.does(&next).unwrap() {
                break;
            }
            check(&format!("{next:?}"));
        }
        assert!(commands > 40, "{commands}");
    }
}

#[test]
fn promise_07_what_was_done_elsewhere_is_never_refused() {
    let room = Room::new(41);
    let engine = room.open();
    let mut told = 0;
    loop {
        let next = engine.next().unwrap();
        room.drill.thinks(&next);
        engine
            .did(&format!("turned it off and on again, {told}"))
            .unwrap();
        told += 1;
        if next == Next::Closed || !room.seat(&engine).does(&next).unwrap() {
            break;
        }
    }
    assert_eq!(engine.next().unwrap(), Next::Closed);
    engine.did("and once more when all was over").unwrap();
    let kept = records(&case_of(&engine));
    let kept = kept.iter().filter(|r| r.kind == "did.recorded").count();
    assert_eq!(kept, told + 1);
    let entries = entries(&room, &engine);
    let text = markdown(&Report::of(&entries, &engine.incident().unwrap())).unwrap();
    assert!(
        text.contains("and once more when all was over"),
        "shown as such for ever"
    );
}

fn entries(room: &Room, engine: &Engine<'_>) -> Vec<Entry> {
    let case = room.store.open_case(engine.incident().unwrap().id()).unwrap();
    let mut entries = Vec::new();
    case.read(|line| entries.push(Entry::read(line).unwrap()))
        .unwrap();
    entries
}

#[test]
fn promise_11_the_record_of_a_drill_cannot_pass_for_a_real_one() {
    let mut room = Room::new(42);
    let engine = room.open();
    let opened = engine.incident().unwrap().opened.clone();
    assert!(opened.drill && opened.id.as_str().starts_with("DRILL-"));
    room.walk_to(&engine, "bring-bookings-back");
    let issued = engine
        .escalate(&[step("bring-bookings-back")], Some(&room.drill.key_path()))
        .unwrap();
    assert!(issued.approve.lines().any(|l| l == "drill: yes"));
    assert!(
        issued.command.contains("signoff-drill@incident-v1"),
        "{}",
        issued.command
    );
    // An approval made for real incidents counts for nothing in a drill, whoever signed it.
    for person in room.drill.people.iter().skip(1) {
        let real = person
            .sign("signoff@incident-v1", issued.approve.as_bytes())
            .unwrap();
        let refused = engine.add_signoff(Some(issued.approve.as_bytes()), real.as_bytes());
        assert!(matches!(refused, Err(EngineError::Signoff(_))), "{}", person.name);
    }
    let Reply {
        statement, signature, ..
    } = room.drill.answers(&issued.approve).unwrap().remove(0);
    engine
        .add_signoff(Some(statement.as_bytes()), signature.as_bytes())
        .unwrap();
    let text = markdown(&Report::of(&entries(&room, &engine), &engine.incident().unwrap())).unwrap();
    assert!(text.contains("record of a drill"));
    // Renamed, it is not taken up; and the tool that reaches the real world does not take it up at all.
    let (case, id) = (case_of(&engine), engine.incident().unwrap().id().clone());
    drop(engine);
    let renamed = IncidentId::new(&id.as_str().replace("DRILL-", "INC-")).unwrap();
    copied(&case, &case.with_file_name(renamed.as_str()));
    assert!(room.desk(ANA).resume(&renamed).is_err());
    room.drill.world.kind = WorldKind::Real;
    assert!(room.desk(ANA).resume(&id).is_err());
    assert!(room.desk(ANA).resume(&renamed).is_err());
}

#[test]
fn promise_12_the_same_journal_gives_the_same_report_byte_for_byte() {
    let room = Room::new(43);
    let engine = room.open();
    room.walk(&engine, |next| matches!(next, Next::Closed));
    let told = |store: &Store, id: &IncidentId| {
        let case = store.open_case(id).unwrap();
        let mut entries = Vec::new();
        case.read(|line| entries.push(Entry::read(line).unwrap()))
            .unwrap();
        let (incident, _) = fold_case(&case).unwrap().unwrap();
        let report = Report::of(&entries, &incident);
        (
            markdown(&report).unwrap(),
            report.json().unwrap(),
            format!("{:?}", timeline(&entries)),
        )
    };
    let id = engine.incident().unwrap().id().clone();
    let first = told(&room.store, &id);
    assert!(first.0.len() > 2_000 && first.1.len() > 2_000);
    // Another folder, a later day, nothing there but the journal.
    let other = room.folder.path().join("elsewhere");
    fs::create_dir(&other).unwrap();
    copied(&case_of(&engine), &other.join(id.as_str()));
    fs::remove_dir_all(other.join(id.as_str()).join("data")).unwrap();
    room.drill
        .clock
        .advance(std::time::Duration::from_secs(400 * 24 * 3600));
    assert_eq!(told(&Store::open(other), &id), first);
    engine.did("one more thing").unwrap();
    assert_ne!(
        told(&room.store, &id).0,
        first.0,
        "another journal gives another report"
    );
}
