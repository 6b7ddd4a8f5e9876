//! One person alone: at the boundary only, told to everybody, after a delay, and countersigned before the end.

use std::time::Duration;

use incident::boundary::Alone;

use super::*;

const SHIPS: &str = include_str!("../../../runbooks/default.yaml");

/// A step at the boundary and one outside it; whoever is told is told by a program of the drill.
fn runbook(lone: &str, notify: &str) -> String {
    let steps = "
    - id: config
      run: [docker, pause, booking-desk]
      undo: {run: [docker, unpause, booking-desk]}
      effects: [config-change]
    - id: wild
      run: [docker, pause, booking-desk]
      undo: {run: [docker, unpause, booking-desk]}
      effects: [bulk-data]";
    let with = format!("valid: 30m, {lone}{notify}}}");
    acts::runbook(steps, " []").replace("valid: 30m}", &with)
}

const LONE: &str = "lone: {after: 15m, valid: 30m}";
const HEARD: &str = ", notify: [curl, -fsSn, \"https://api.harbor.example/v1/volumes\"]";
const UNHEARD: &str = ", notify: [docker, pause, nothing-of-that-name]";

fn in_contain<'r>(room: &'r Room, lone: &str, notify: &str) -> Engine<'r> {
    let engine = room.open_with(&room.with_runbook(&runbook(lone, notify)));
    room.walk(&engine, |next| matches!(next, Next::Run { .. }));
    engine
}

fn minutes(room: &Room, n: u64) {
    room.drill.clock.advance(Duration::from_secs(60 * n));
}

fn blocked(engine: &Engine<'_>) -> bool {
    matches!(
        refusal(engine.run(&step("config"), None)),
        Refusal::NeedsSignoff { .. }
    )
}

fn ask(room: &Room, engine: &Engine<'_>) -> incident::engine::AskedAlone {
    let key = room.drill.key_path();
    engine
        .ask_alone(&step("config"), "the shop loses orders", None, Some(&key))
        .unwrap()
}

#[test]
fn one_person_alone_waits_out_the_delay_and_is_countersigned_before_the_end() {
    let mut room = Room::new(90);
    let said: Rc<RefCell<Vec<String>>> = Rc::default();
    let log = Rc::clone(&said);
    room.watch(move |command| {
        if let (Some("/usr/bin/curl"), Some(text)) =
            (command.argv.first().map(String::as_str), &command.stdin)
        {
            log.borrow_mut().push(text.expose().to_owned());
        }
    });
    let engine = in_contain(&room, LONE, HEARD);
    let asked = ask(&room, &engine);
    assert!(matches!(asked.stands, Alone::Cooling { .. }), "{asked:?}");
    assert!(
        asked.told.iter().all(|t| t.sent) && asked.told.len() == 1,
        "{asked:?}"
    );
    let told = said.borrow().join("\n");
    assert!(
        told.contains("the shop loses orders") && told.contains("after 15 min"),
        "{told}"
    );
    assert!(
        told.contains("decision: approve") && told.contains("ssh-keygen -Y sign"),
        "{told}"
    );
    assert!(blocked(&engine));
    minutes(&room, 14);
    assert!(blocked(&engine), "the delay is not over");
    minutes(&room, 2);
    let acted = engine.run(&step("config"), None).unwrap();
    let started = events(&case_of(&engine)).into_iter().find_map(|e| match e {
        Event::ActStarted(a) => Some(a),
        _ => None,
    });
    assert!(started.is_some_and(|a| a.alone && a.consumes == [asked.request]));
    // It is on every list, and keeps the incident open.
    let danger = |engine: &Engine<'_>| {
        let now = engine.world().clock.now();
        let all = incident::report::still_dangerous(&engine.incident().unwrap(), now);
        all.into_iter()
            .any(|d| d.severity == incident::report::Severity::Alone)
    };
    assert!(danger(&engine));
    let Err(EngineError::CannotClose(blocks)) = engine.close("over") else {
        panic!("closed without a countersign")
    };
    assert!(
        blocks
            .iter()
            .any(|b| b.to_string().contains("run by one person alone")),
        "{blocks:?}"
    );
    // Whoever ran it does not count; another person who signs the very same text does.
    let text = engine.statement_of(asked.request).unwrap();
    let ana = room.drill.people.iter().find(|p| p.name == ANA).unwrap();
    let own = ana.sign("signoff-drill@incident-v1", text.as_bytes()).unwrap();
    assert!(engine.add_signoff(Some(text.as_bytes()), own.as_bytes()).is_err());
    assert!(danger(&engine));
    let (text, signature) = room.signed_by(BEN, &text);
    engine
        .add_signoff(Some(text.as_bytes()), signature.as_bytes())
        .unwrap();
    assert!(!danger(&engine));
    let incident = engine.incident().unwrap();
    let alone = incident.alone.get(&acted.act).unwrap();
    assert_eq!(
        alone.countersigned.as_ref().map(|(_, who)| who.as_str()),
        Some(BEN)
    );
    let blocks = engine.close_blocks().unwrap();
    assert!(
        !blocks.iter().any(|b| b.to_string().contains("alone")),
        "{blocks:?}"
    );
    // What it allowed is used up: a second time needs a second asking.
    engine.undo(&step("config"), None).unwrap_err();
}

#[test]
fn a_refusal_during_the_delay_ends_it_for_the_step() {
    let room = Room::new(91);
    let engine = in_contain(&room, LONE, HEARD);
    let asked = ask(&room, &engine);
    let refuse = asked.issued.unwrap().refuse;
    let kim = room.drill.people.iter().find(|p| p.name == KIM).unwrap();
    let signature = kim.sign("signoff-drill@incident-v1", refuse.as_bytes()).unwrap();
    engine
        .add_signoff(Some(refuse.as_bytes()), signature.as_bytes())
        .unwrap();
    minutes(&room, 16);
    assert!(blocked(&engine));
    // Asked for again, it is the same wish.
    let again = ask(&room, &engine);
    assert!(
        matches!(&again.stands, Alone::Refused { by } if by == KIM),
        "{again:?}"
    );
    minutes(&room, 16);
    assert!(blocked(&engine));
}

#[test]
fn alone_is_never_outside_never_unheard_never_for_ever_and_only_where_it_is_written() {
    let room = Room::new(92);
    let engine = in_contain(&room, LONE, UNHEARD);
    let key = room.drill.key_path();
    let outside = engine.ask_alone(&step("wild"), "why", None, Some(&key));
    assert!(
        matches!(outside, Err(EngineError::Alone(Alone::Outside))),
        "{outside:?}"
    );
    let unproven = engine.ask_alone(&step("config"), "why", None, None);
    assert!(
        matches!(unproven, Err(EngineError::Alone(Alone::Unproven))),
        "{unproven:?}"
    );
    let asked = ask(&room, &engine);
    assert!(asked.told.iter().all(|t| !t.sent), "{asked:?}");
    minutes(&room, 16);
    assert_eq!(engine.alone(asked.request).unwrap(), Alone::NobodyTold);
    assert!(blocked(&engine));
    assert!(matches!(
        engine.unreached(asked.request, ""),
        Err(EngineError::NoWords(_))
    ));
    engine
        .unreached(asked.request, "called ben and kim twice each, no answer")
        .unwrap();
    assert!(matches!(
        engine.alone(asked.request).unwrap(),
        Alone::Ready { .. }
    ));
    minutes(&room, 30);
    assert_eq!(engine.alone(asked.request).unwrap(), Alone::Expired);
    assert!(blocked(&engine));
    drop(engine);

    let room = Room::new(93);
    let engine = in_contain(&room, "notify: []", "");
    let asked = engine.ask_alone(
        &step("config"),
        "why",
        Some("nobody"),
        Some(&room.drill.key_path()),
    );
    assert!(
        matches!(asked, Err(EngineError::Alone(Alone::NotAllowed))),
        "{asked:?}"
    );
    // Nor does what ships allow it: an agent with patience would have nothing else to wait for.
    let ships = incident::model::runbook::Runbook::parse("default.yaml", SHIPS).unwrap();
    assert_eq!(ships.policy.lone, None);
}

#[test]
fn with_an_empty_roster_somebody_enrolled_on_the_day_countersigns_and_nothing_more() {
    let room = Room::new(94);
    let runbook = runbook(LONE, HEARD);
    let people = runbook.find("people:").unwrap()..runbook.find("boundary:").unwrap();
    let runbook = runbook.replace(&runbook[people], "");
    let mut written = room.with_runbook(&runbook);
    written.signers = None;
    let engine = room.open_with(&written);
    room.walk(&engine, |next| matches!(next, Next::Run { .. }));
    let asked = engine
        .ask_alone(&step("config"), "the shop loses orders", None, None)
        .unwrap();
    let ben = room.drill.people.iter().find(|p| p.name == BEN).unwrap();
    let key: Vec<String> = ben.roster_line().split(' ').skip(2).map(str::to_owned).collect();
    let key = key.join(" ");
    assert!(engine.enrol(BEN, "not a key", "he read it out").is_err());
    engine
        .enrol(BEN, &key, "he read its fingerprint out over the telephone")
        .unwrap();
    // He is no quorum of anybody's making.
    let statement = engine.statement_of(asked.request).unwrap();
    let (text, signature) = room.signed_by(BEN, &statement);
    let file = |engine: &Engine<'_>| engine.add_signoff(Some(text.as_bytes()), signature.as_bytes());
    let early = file(&engine);
    assert!(matches!(early, Err(EngineError::OutOfOrder(_))), "{early:?}");
    minutes(&room, 16);
    engine.run(&step("config"), None).unwrap();
    file(&engine).unwrap();
    assert!(engine.incident().unwrap().not_countersigned().next().is_none());
    let told: String = incident::report::brief(
        &engine.incident().unwrap(),
        &engine.head().unwrap().1,
        &incident::report::Due {
            what: "x".into(),
            command: "y".into(),
        },
        engine.world().clock.now(),
    )
    .join("\n");
    assert!(
        told.contains("run by one person alone") && told.contains("enrolled on the day"),
        "{told}"
    );
}

#[test]
fn a_delay_that_the_record_says_began_earlier_lets_nothing_run() {
    let room = Room::new(97);
    let engine = in_contain(&room, LONE, HEARD);
    let before = engine.world().clock.now();
    minutes(&room, 20);
    // Asked for as usual and just now, proved by key. Whoever can write the record adds that it was to run alone,
    // that this was asked for twenty minutes ago, and that nobody could be reached.
    let asked = engine
        .escalate(&[step("config")], Some(&room.drill.key_path()))
        .unwrap();
    let path = case_of(&engine).join("journal.jsonl");
    let mut journal = fs::read(&path).unwrap();
    let mut chain = incident::journal::Chain::default();
    for line in journal.clone().split_inclusive(|b| *b == b'\n') {
        chain.check(line).unwrap();
    }
    let ts = "2026-11-22T03:14:07.120Z";
    let request = asked.request;
    let lone = serde_json::json!({
        "request": request, "why": "x", "mono_us": before.mono_us, "utc_ms": before.utc_ms,
    });
    let unreached = serde_json::json!({ "request": request, "words": "x" });
    journal.extend(chain.write(ts, "lone.asked", 1, lone, ANA).unwrap());
    journal.extend(
        chain
            .write(ts, "escalation.unreached", 1, unreached, ANA)
            .unwrap(),
    );
    fs::write(&path, journal).unwrap();
    let id = engine.incident().unwrap().id().clone();
    drop(engine);
    let engine = room.resume(ANA, &id);
    assert!(
        matches!(engine.alone(request).unwrap(), Alone::Ready { .. }),
        "the record says so"
    );
    let refused = engine.run(&step("config"), None).unwrap_err();
    assert!(
        matches!(&refused, EngineError::NotSigned(why) if why.contains("was not asked for like that")),
        "{refused}"
    );
    // Asked for alone and signed like that, the delay counts from what was signed, whatever stands beside it.
    let asked = ask(&room, &engine);
    let text = engine.statement_of(asked.request).unwrap();
    assert!(text.contains("\nalone-after-s: 900\n"), "{text}");
    minutes(&room, 16);
    engine.run(&step("config"), None).unwrap();
}
