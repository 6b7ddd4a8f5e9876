//! The record and its meaning: every kind of event goes there and back, a journal cut at any line still
//! means something, and what cannot follow is refused.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::Incident;
use crate::journal::{Chain, ChainError, Hash};
use crate::model::act::{CaptureSpec, Lane, ResolvedUndo, Stage};
use crate::model::approved::Approved;
use crate::model::effect::{Effect, Effects, Zone};
use crate::model::event::*;
use crate::model::fact::{Fact, Observed};
use crate::model::grant::{Grant, Shared, Target, Tree, TreeRule};
use crate::model::ids::{IncidentId, StepId, TargetId};
use crate::model::recipient::{Recipient, SealKey};
use crate::model::runbook::{Lone, Need, Policy};
use crate::model::secret::SecretRef;

const ANA: &str = "ana@example.com";
const BEN: &str = "ben@example.com";

fn step(name: &str) -> StepId {
    StepId::new(name).unwrap()
}

fn tree() -> TargetId {
    TargetId::new("tree:deploy-bot").unwrap()
}

fn opened() -> Event {
    let need = |people| Need::of(people);
    Opened {
        id: IncidentId::made(false, 0, [0; 4]),
        drill: false,
        title: "orders are gone — \u{202e}x".into(),
        nonce: "0".repeat(32),
        tool: "0.1.0".into(),
        host: "bastion".into(),
        boot: "b".into(),
        user: "ana".into(),
        mono_us: (1 << 53) - 1,
        pins: BTreeMap::from([("runbook.yaml".into(), "0".repeat(64))]),
        base: "/srv".into(),
        policy: Policy {
            inside: Effects::from([Effect::Read]),
            at: Effects::from([Effect::ConfigChange]),
            need_at: need(1),
            need_outside: need(2),
            lone: Some(Lone {
                after_ms: 1,
                valid_ms: 1,
            }),
            valid_ms: 1,
            people: BTreeMap::new(),
            seal_originals_to: vec![Recipient {
                person: "kim@vendor.example".into(),
                key: SealKey::parse("age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj")
                    .unwrap(),
            }],
            environments: BTreeMap::new(),
            rules: Vec::new(),
            also: None,
        },
        problems: vec!["access.yaml:1:1: broken".into()],
        trust: None,
    }
    .into()
}

fn item(name: &str) -> CaptureItem {
    CaptureItem {
        name: name.into(),
        source: "ps".into(),
        status: ItemStatus::Collected,
        why: None,
        bytes: 1,
        sha256: "0".repeat(64),
        redactions: 0,
    }
}

fn capture(name: &str, purpose: &str) -> Event {
    CaptureStarted {
        name: name.into(),
        spec: CaptureSpec::Host,
        step: None,
        purpose: purpose.into(),
        mono_us: 1,
    }
    .into()
}

fn captured(capture: u64) -> Event {
    CaptureEnded {
        capture,
        exhibit: format!("{capture:04}-host"),
        items: vec![item("ps")],
        ms: 1,
    }
    .into()
}

fn started(name: &str, zone: Zone, consumes: Vec<u64>) -> Event {
    ActStarted {
        step: step(name),
        stage: Stage::Recover,
        lane: Lane::Ordinary,
        title: name.into(),
        act_sha256: "act".into(),
        zone,
        effects: Effects::from([Effect::ConfigChange]),
        consumes,
        undoes: false,
        alone: false,
        approved: Some(Approved {
            by: "ben@example.com".into(),
            made: "2026-11-20T10:00:00.000Z".into(),
            until: "2027-05-19T10:00:00.000Z".into(),
            effects: Effects::from([Effect::ConfigChange]),
            sha256: "0".repeat(64),
        }),
        undo: ResolvedUndo::Unsaid,
        why: None,
        runner: Runner {
            host: "bastion".into(),
            boot: "b".into(),
            pid: 7,
            starttime: 9,
        },
        mono_us: 1,
    }
    .into()
}

fn ended(act: u64, outcome: Outcome) -> Event {
    ActEnded {
        act,
        outcome,
        code: None,
        ms: 1,
        exhibit: None,
        why: "ended".into(),
    }
    .into()
}

fn signed(request: u64, person: &str, key: &str, approves: bool) -> Event {
    SignoffFiled {
        request,
        person: person.into(),
        key: SignerKey {
            fingerprint: key.into(),
            algorithm: "ssh-ed25519".into(),
            user_presence: Some(true),
            user_verified: None,
            counter: Some(3),
            authority: None,
        },
        approves,
        file: "f".into(),
        mono_us: 1,
        utc_ms: -1,
    }
    .into()
}

fn request(name: &str) -> Event {
    EscalationRequested {
        steps: vec![step(name)],
        acts: vec!["act".into()],
        zone: Zone::At,
        rule: "boundary.at".into(),
        need: Need {
            people: 1,
            roles: BTreeSet::from(["on-call".into()]),
            ..Need::default()
        },
        requester: ANA.into(),
        proven: true,
        unproven: vec!["root".into()],
        nonce: "0".into(),
        head_seq: 1,
        head_sha256: "h".into(),
        baseline: "none".into(),
        lone: false,
    }
    .into()
}

fn issued(request: u64) -> Event {
    StatementIssued {
        request,
        approve_sha256: "a".into(),
        refuse_sha256: "r".into(),
        file: "f".into(),
        requester_key: None,
    }
    .into()
}

fn note(text: &str) -> Event {
    NoteAdded { text: text.into() }.into()
}

fn enter(stage: Stage) -> Event {
    StageEntered { stage, mono_us: 1 }.into()
}

/// A whole incident in which every kind of event occurs. Its place in the list is its `seq`.
fn story() -> Vec<Event> {
    let aim = Aim {
        target: Target::Tree(Tree {
            id: tree(),
            agent: "deploy-bot".into(),
            rule: TreeRule::default(),
        }),
        window_ms: 0,
        found_by: "scan".into(),
    };
    let found = Observed {
        at_us: 5,
        fact: Fact::LookedFor {
            found: 0,
            scope: "host".into(),
            whole: true,
        },
    };
    let mut events: Vec<Event> = vec![
        opened(),
        StopStarted {
            mono_us: 1,
            targets: vec![aim],
            problems: vec!["one".into()],
        }
        .into(),
        StopFacts {
            target: tree(),
            phase: "look".into(),
            facts: vec![found],
        }
        .into(),
        StopEnded {
            mono_us: 2,
            first_cut_us: Some(1),
            interrupted: false,
        }
        .into(),
        TargetAnswered {
            target: tree(),
            words: "I looked".into(),
        }
        .into(),
        enter(Stage::Assess),
        capture("host", "baseline"), // 6
        captured(6),
        QuestionAnswered {
            step: step("damage"),
            text: "orders".into(),
        }
        .into(),
        BaselineSealed {
            captures: vec![6],
            unknown: vec!["which customers".into()],
            mono_us: 1,
        }
        .into(),
        enter(Stage::Contain), // 10
        FileAttached {
            exhibit: "0011-attached".into(),
            from: "/tmp/x.png".into(),
            items: vec![item("x.png")],
        }
        .into(),
        DidElsewhere {
            text: "paused the CI job".into(),
        }
        .into(),
        StepSkipped {
            step: step("page"),
            why: "it is up".into(),
        }
        .into(),
        enter(Stage::Recover),
        PlanFrozen {
            steps: vec![PlannedStep {
                step: step("swap"),
                act_sha256: "act".into(),
                zone: Zone::At,
            }],
            digest: "d".into(),
        }
        .into(),
        PlanDropped {
            why: "other order".into(),
            stands: vec![],
            fell: vec![],
        }
        .into(),
        request("swap"), // 17
        issued(17),
        EscalationWithdrawn {
            request: 17,
            why: "asked again".into(),
        }
        .into(),
        request("swap"), // 20
        issued(20),
        SignoffRejected {
            request: None,
            reason: "roster".into(),
            text: "nobody knows this key".into(),
        }
        .into(),
        signed(20, BEN, "SHA256:b", true),
        started("swap", Zone::At, vec![20]), // 24
        ActChild {
            act: 24,
            pid: 8,
            starttime: 10,
        }
        .into(),
        ended(24, Outcome::InDoubt),
        ActChecked {
            act: 24,
            passed: true,
            text: "it is there".into(),
            exhibit: None,
        }
        .into(),
        ProbeAnswered {
            probe: step("shop"),
            passed: true,
            text: "200".into(),
        }
        .into(), // 28
        capture("host", "after"), // 29
        captured(29),
        ExhibitFiled {
            of: 29,
            exhibit: "0029-host".into(),
            items: vec![item("more")],
        }
        .into(),
        Recovered {
            probes: vec![28],
            captures: vec![29],
            apart: vec![Apart {
                after: 29,
                before: 11,
                agent: 1,
                responders: vec![(24, 2)],
                unknown: 3,
            }],
            mono_us: 1,
        }
        .into(),
        JournalRecovered {
            bytes: 3,
            sha256: "0".into(),
            file: "torn/1".into(),
        }
        .into(),
        JournalContinued {
            damaged: "journal.1".into(),
            sha256: "0".into(),
            len: 1,
            good: 1,
            at: 0,
            why: "link".into(),
        }
        .into(),
        SpoolAbsorbed {
            head: "h".into(),
            place: "/tmp".into(),
            records: 2,
        }
        .into(),
        SignerEnrolled {
            person: "dan@example.com".into(),
            line: "dan@example.com ssh-ed25519 AAAA".into(),
            words: "read out over the telephone".into(),
        }
        .into(),
        request("late"), // 37
        issued(37),
        NoticeBegun {
            request: 37,
            rung: 1,
            name: "colleague".into(),
            who: vec![BEN.into()],
            via: "./page".into(),
            within_ms: 600_000,
            mono_us: 1,
            utc_ms: -1,
        }
        .into(),
        NoticeEnded {
            notice: 39,
            sent: true,
            why: "the program took it".into(),
        }
        .into(),
        Unreached {
            request: 37,
            words: "no answer".into(),
        }
        .into(),
        LoneAsked {
            request: 37,
            why: "the shop is down".into(),
            mono_us: 1,
            utc_ms: -1,
        }
        .into(),
        PlanFrozen {
            steps: vec![],
            digest: "d".into(),
        }
        .into(),
        PlanAmended {
            steps: vec![PlannedStep {
                step: step("late"),
                act_sha256: "act".into(),
                zone: Zone::At,
            }],
            digest: "e".into(),
            was: "d".into(),
            why: "one more".into(),
            changes: vec![PlanChange {
                step: step("late"),
                change: StepChange::Added,
                parts: vec!["act".into()],
            }],
            fell: vec![],
        }
        .into(),
        DelegationFiled {
            role: "on-call".into(),
            from: "kim@vendor.example".into(),
            to: BEN.into(),
            from_ms: -1,
            until_ms: 9,
            nonce: "0".into(),
            key: SignerKey {
                fingerprint: "SHA256:k".into(),
                algorithm: "ssh-ed25519-cert-v01@openssh.com".into(),
                user_presence: None,
                user_verified: None,
                counter: None,
                authority: Some("SHA256:ca".into()),
            },
            file: "00000010.a.delegation".into(),
            mono_us: 1,
            utc_ms: -1,
        }
        .into(),
        SliceCut {
            request: 37,
            rung: 1,
            name: "colleague".into(),
            who: vec![BEN.into()],
            shown: vec!["signoffs/00000037.txt".into()],
            left: vec!["host (never captured)".into()],
            bytes: 1,
            sha256: "0".into(),
            file: "tmp/slice.tar".into(),
        }
        .into(),
        SignerRevoked {
            subject: "SHA256:stolen".into(),
            keys: vec!["SHA256:stolen".into()],
            why: "its owner says so".into(),
        }
        .into(),
        ResponderProven {
            name: ANA.into(),
            person: ANA.into(),
            key: SignerKey {
                fingerprint: "SHA256:a".into(),
                algorithm: "ssh-ed25519".into(),
                user_presence: None,
                user_verified: None,
                counter: None,
                authority: None,
            },
            file: "00000010.a.claim".into(),
        }
        .into(),
        Closed {
            unproved: vec!["github".into()],
            words: "done".into(),
            mono_us: 1,
        }
        .into(),
        BundleSealed {
            by: ANA.into(),
            signed: true,
        }
        .into(),
        note("filed"),
        AnchorRequested {
            head_seq: 1,
            head_sha256: "h".into(),
            nonce: "n".into(),
            file: "00000002.tsq".into(),
            sha256: "0".into(),
        }
        .into(),
        AnchorFiled {
            anchor: AnchorKind::Witness,
            head_seq: 1,
            head_sha256: "h".into(),
            time: None,
            words: "pasted in #incident at 03:40".into(),
            request: None,
            file: "00000002.head.txt".into(),
            sha256: "0".into(),
        }
        .into(),
        CustodyBegan {
            host: "bastion".into(),
            boot: "b".into(),
            user: "ana".into(),
            tool: "0.1.0".into(),
            program_sha256: "0".into(),
            mono_us: 1,
        }
        .into(),
        ClockOffset {
            source: "chrony".into(),
            offset_ms: -3,
            uncertainty_ms: 20,
            mono_us: 1,
        }
        .into(),
        CustodyHanded {
            to: BEN.into(),
            head_seq: 1,
            head_sha256: "h".into(),
            key: None,
            file: None,
        }
        .into(),
        MirrorChosen {
            place: "ssh://ana@vault/srv".into(),
        }
        .into(),
        MirrorAcked {
            place: "ssh://ana@vault/srv".into(),
            folder: "journal".into(),
            there: 3,
            behind: 1,
            why: "connection refused".into(),
        }
        .into(),
        MirrorEnded {
            place: "ssh://ana@vault/srv".into(),
            folder: "journal".into(),
            there: 3,
            behind: 2,
        }
        .into(),
    ];
    let window = u64::try_from(events.len()).unwrap();
    events.push(
        WindowSeen {
            what: "undelete of vol-7".into(),
            closes_ms: 1_000,
            hold: "incident run hold".into(),
        }
        .into(),
    );
    events.push(
        WindowOver {
            window,
            text: "held".into(),
        }
        .into(),
    );
    events
}

fn who(event: &Event) -> &'static str {
    match event {
        Event::SignoffFiled(_) => "filer",
        _ => ANA,
    }
}

fn journal(events: &[Event]) -> Vec<Vec<u8>> {
    let mut chain = Chain::default();
    let write = |e: &Event| {
        chain
            .write(
                "2026-11-22T03:14:07.120Z",
                e.kind(),
                e.version(),
                e.fields(),
                who(e),
            )
            .unwrap()
    };
    events.iter().map(write).collect()
}

/// Reads and folds lines as the store does: chain first, then meaning.
fn read(lines: &[Vec<u8>]) -> Result<Option<Incident>, String> {
    let mut chain = Chain::default();
    let mut incident = None;
    for line in lines {
        let record = chain.check(line).map_err(|e: ChainError| e.to_string())?;
        let event = Event::decode(&record.kind, record.v, &record.what).map_err(|e| e.to_string())?;
        let at = super::At {
            seq: record.seq,
            ts: &record.ts,
            who: &record.who,
            line_sha256: &Hash::of(line),
        };
        Incident::apply(&mut incident, &at, event).map_err(|e| e.to_string())?;
    }
    Ok(incident)
}

#[test]
fn every_kind_of_event_goes_there_and_back() {
    let source = include_str!("../event.rs");
    let written: BTreeSet<&str> = source
        .lines()
        .filter_map(|l| l.split_once(" = \"")?.1.split_once("\" v "))
        .map(|(kind, _)| kind)
        .collect();
    let told: BTreeSet<&str> = story().iter().map(Event::kind).collect();
    assert_eq!(told, written, "the story must hold every kind");
    let lines = journal(&story());
    let mut chain = Chain::default();
    for (event, line) in story().iter().zip(&lines) {
        let record = chain.check(line).unwrap();
        let back = Event::decode(&record.kind, record.v, &record.what);
        assert_eq!(back.as_ref(), Ok(event));
    }
}

#[test]
fn what_a_sweep_writes_thousands_of_stands_in_canonical_order() {
    let grant = Target::Grant(Grant {
        agent: Some("bot".into()),
        auth: Some(SecretRef::Env("A".into())),
        id: TargetId::new("token").unwrap(),
        provider: "shop".into(),
        reaches: vec!["production".into()],
        secret: Some(SecretRef::Env("B".into())),
        shared: Shared::Production,
        with: BTreeMap::from([("b".into(), "1".into()), ("a".into(), "2".into())]),
    });
    let started: Event = StopStarted {
        mono_us: 1,
        problems: vec!["one".into()],
        targets: vec![Aim {
            found_by: "access.yaml".into(),
            target: grant,
            window_ms: 3,
        }],
    }
    .into();
    let facts = story().into_iter().filter(|e| matches!(e, Event::StopFacts(_)));
    for event in facts.chain([started]) {
        assert_eq!(event.text(), event.fields().to_string());
    }
}

#[test]
fn what_is_surely_taken_is_taken() {
    let all = story();
    let (mut incident, mut sure) = (None, BTreeSet::new());
    for (seq, event) in (0..).zip(all.clone()) {
        let at = super::At {
            seq,
            ts: "2026-11-22T03:14:07.120Z",
            who: who(&event),
            line_sha256: &"",
        };
        Incident::apply(&mut incident, &at, event).unwrap();
        for next in &all {
            let known = incident.as_ref().unwrap();
            if known.surely_takes(std::slice::from_ref(next)) {
                sure.insert(next.kind());
                assert_eq!(
                    Incident::apply(&mut Some(known.clone()), &at, next.clone()),
                    Ok(())
                );
            }
        }
    }
    assert_eq!(sure, BTreeSet::from(["stop.started", "stop.facts", "stop.ended"]));
    let closed = incident.filter(|i| i.closed_ts.is_some()).unwrap();
    let ended = all.iter().find(|e| matches!(e, Event::StopEnded(_))).unwrap();
    assert!(!closed.surely_takes(std::slice::from_ref(ended)));
}

#[test]
fn what_this_program_does_not_know_is_an_error() {
    for event in story() {
        let (kind, v, what) = (event.kind(), event.version(), event.fields());
        let unknown = |kind: &str, v| EventError::Unknown { kind: kind.into(), v };
        assert_eq!(Event::decode(kind, v + 1, &what), Err(unknown(kind, v + 1)));
        assert_eq!(Event::decode(kind, 0, &what), Err(unknown(kind, 0)));
        let Value::Object(fields) = &what else {
            panic!("{kind} is no object")
        };
        let wrong = |fields: serde_json::Map<String, Value>, how: String| {
            let read = Event::decode(kind, v, &Value::Object(fields));
            assert!(
                matches!(read, Err(EventError::Fields { .. })),
                "{kind} {how}: {read:?}"
            );
        };
        let mut more = fields.clone();
        more.insert("comment".into(), json!("x"));
        wrong(more, "with a field more".into());
        for (name, value) in fields {
            let mut other = fields.clone();
            other.insert(name.clone(), json!({"neither": ["text", 0]}));
            wrong(other, format!("with another kind of `{name}`"));
            if !value.is_null() && !optional(kind, name) {
                let mut fewer = fields.clone();
                fewer.remove(name);
                wrong(fewer, format!("without `{name}`"));
            }
        }
    }
    assert!(matches!(
        Event::decode("incident.deleted", 1, &json!({})),
        Err(EventError::Unknown { .. })
    ));
}

/// Fields that may be missing because nothing was there to say.
fn optional(kind: &str, name: &str) -> bool {
    matches!(
        (kind, name),
        ("stop.ended", "first_cut_us")
            | ("incident.opened", "trust")
            | ("act.started", "approved")
            | ("incident.recovered", "apart")
    )
}

#[test]
fn a_journal_cut_at_any_line_still_means_something() {
    let events = story();
    let lines = journal(&events);
    assert_eq!(read(&[]), Ok(None));
    let whole = read(&lines).unwrap().unwrap();
    assert!(whole.closed_ts.is_some());
    let mut before: Option<Incident> = None;
    for kept in 1..=lines.len() {
        let now = read(&lines[..kept]).unwrap().unwrap();
        assert_eq!(now.records, kept as u64);
        if let Some(before) = before {
            assert!(now.stage >= before.stage && now.actors.is_superset(&before.actors));
            assert!(
                before.baseline.is_none() || now.baseline == before.baseline,
                "line {kept}"
            );
            assert!(now.acts.len() >= before.acts.len() && now.captures.len() >= before.captures.len());
            assert!(
                now.requests
                    .keys()
                    .collect::<BTreeSet<_>>()
                    .is_superset(&before.requests.keys().collect())
            );
        }
        // A crash right after the intent leaves a question, and the answer settles it.
        match kept {
            25..=27 => assert_eq!(
                now.in_doubt().map(|(seq, _)| seq).collect::<Vec<_>>(),
                [24],
                "{kept}"
            ),
            _ => assert_eq!(now.in_doubt().count(), 0, "line {kept}"),
        }
        assert_eq!(now.step_done(&step("swap")), kept > 27);
        // What was folded up to here and then went on ends where the whole does.
        let mut resumed = Some(now.clone());
        for (n, event) in events.iter().enumerate().skip(kept) {
            let at = super::At {
                seq: n as u64,
                ts: "2026-11-22T03:14:07.120Z",
                who: who(event),
                line_sha256: &Hash::of(&lines[n]),
            };
            Incident::apply(&mut resumed, &at, event.clone()).unwrap();
        }
        assert_eq!(resumed.as_ref(), Some(&whole), "cut after line {kept}");
        before = Some(now);
    }
}

#[test]
fn a_line_cut_lost_doubled_or_moved_is_noticed() {
    let lines = journal(&story());
    for (n, line) in lines.iter().enumerate() {
        for keep in [0, 1, line.len() / 2, line.len() - 1] {
            let mut torn = lines[..n].to_vec();
            torn.push(line[..keep].to_vec());
            assert!(read(&torn).is_err(), "line {n} cut to {keep} bytes");
        }
        let mut lost = lines.clone();
        lost.remove(n);
        let mut doubled = lines.clone();
        doubled.insert(n, line.clone());
        let mut changed = lines.clone();
        let at = line.windows(5).position(|w| w == b"\"who\"").unwrap() + 8;
        changed[n][at] ^= 1;
        // The last line is what a chain alone cannot miss: only a head held elsewhere tells.
        let last = n + 1 == lines.len();
        assert_eq!(read(&lost).is_err(), !last, "lost {n}");
        assert!(read(&doubled).is_err(), "doubled {n}");
        assert_eq!(read(&changed).is_err(), !last, "changed {n}");
        if !last {
            let mut moved = lines.clone();
            moved.swap(n, n + 1);
            assert!(read(&moved).is_err(), "moved {n}");
        }
    }
}

/// The story so far, and an event that cannot follow it.
#[test]
fn what_cannot_follow_is_refused_and_says_why() {
    let told = |upto: usize| story()[..upto].to_vec();
    let with = |upto: usize, more: Vec<Event>| {
        let mut all = told(upto);
        all.extend(more);
        all
    };
    let recovered = |probes, captures| {
        Event::from(Recovered {
            probes,
            captures,
            apart: Vec::new(),
            mono_us: 1,
        })
    };
    let seal = |captures| {
        Event::from(BaselineSealed {
            captures,
            unknown: vec![],
            mono_us: 1,
        })
    };
    let skip = Event::from(StepSkipped {
        step: step("swap"),
        why: "x".into(),
    });
    let cases: Vec<(Vec<Event>, Event, &str)> = vec![
        (vec![], note("first"), "no incident was opened"),
        (told(1), opened(), "the incident is open already"),
        (told(1), enter(Stage::Contain), "contain does not follow stop"),
        (told(6), enter(Stage::Contain), "before the baseline is sealed"),
        (told(6), enter(Stage::Assess), "the walk is in assess already"),
        (
            told(1),
            StopFacts {
                target: tree(),
                phase: "x".into(),
                facts: vec![],
            }
            .into(),
            "no sweep ever aimed",
        ),
        (
            told(1),
            StopEnded {
                mono_us: 1,
                first_cut_us: None,
                interrupted: true,
            }
            .into(),
            "no sweep was started",
        ),
        (told(6), seal(vec![]), "nothing to seal"),
        (told(7), seal(vec![6]), "nothing to seal"),
        (told(10), seal(vec![6]), "is an addendum"),
        (told(8), captured(6), "capture 6 is over"),
        (told(8), captured(99), "there is no capture 99"),
        (
            told(6),
            PlanFrozen {
                steps: vec![],
                digest: "d".into(),
            }
            .into(),
            "there is no baseline",
        ),
        (
            told(15),
            started("swap", Zone::At, vec![]),
            "uses a sign-off, and none is named",
        ),
        (
            told(15),
            started("swap", Zone::Outside, vec![]),
            "uses a sign-off, and none is named",
        ),
        (
            told(15),
            started("swap", Zone::At, vec![3]),
            "there is no request 3",
        ),
        (
            told(20),
            started("swap", Zone::At, vec![17]),
            "used up, refused, withdrawn",
        ),
        (
            told(24),
            started("other", Zone::At, vec![20]),
            "not for this act of `other`",
        ),
        (
            with(
                24,
                vec![started("swap", Zone::At, vec![20]), ended(24, Outcome::Done)],
            ),
            started("swap", Zone::At, vec![20]),
            "used up",
        ),
        (
            told(25),
            started("note", Zone::Inside, vec![]),
            "act 24 is still open",
        ),
        (told(25), skip.clone(), "has no known outcome"),
        (told(27), skip.clone(), "has no known outcome"),
        (told(28), skip, "step `swap` is done"),
        (told(27), ended(24, Outcome::Done), "act 24 is over"),
        (
            told(25),
            ActChecked {
                act: 24,
                passed: true,
                text: "x".into(),
                exhibit: None,
            }
            .into(),
            "act 24 is not over",
        ),
        (
            told(22),
            signed(20, ANA, "SHA256:a", true),
            "acted in this incident",
        ),
        (
            told(24),
            signed(20, BEN, "SHA256:other", true),
            "has answered request 20",
        ),
        (
            told(24),
            signed(20, "kim@vendor.example", "SHA256:b", true),
            "has answered request 20",
        ),
        (told(20), signed(17, BEN, "SHA256:b", true), "takes no answers"),
        (told(18), signed(17, BEN, "SHA256:b", true), "takes no answers"),
        (
            with(23, vec![signed(20, BEN, "SHA256:b", false)]),
            started("swap", Zone::At, vec![20]),
            "used up, refused",
        ),
        (told(22), issued(20), "request 20 has its statement"),
        (told(32), recovered(vec![], vec![29]), "without a probe"),
        (told(32), recovered(vec![28], vec![6]), "was not captured"),
        (
            told(32),
            recovered(vec![27], vec![29]),
            "record 27 is not a probe",
        ),
        (
            with(
                31,
                vec![started("late", Zone::Inside, vec![]), ended(31, Outcome::Done)],
            ),
            recovered(vec![28], vec![29]),
            "after the last act",
        ),
        (
            told(50),
            started("late", Zone::Inside, vec![]),
            "the incident is closed",
        ),
    ];
    for (before, event, words) in cases {
        let mut all = before;
        let at = all.len();
        all.push(event);
        let refused = read(&journal(&all)).unwrap_err();
        assert!(
            refused.starts_with(&format!("record {at}: ")) && refused.contains(words),
            "{words}: {refused}"
        );
    }
}
