//! Journals written in memory, record by record, each folded as it would be.

use std::collections::BTreeMap;

use crate::journal::{Chain, Hash, lines};
use crate::model::act::{CaptureSpec, Lane, ResolvedUndo, Stage};
use crate::model::effect::{Effect, Effects, Zone};
use crate::model::event::*;
use crate::model::fact::{Fact, Observed};
use crate::model::grant::{Grant, Shared, Target, Tree, TreeRule};
use crate::model::ids::{IncidentId, StepId, TargetId};
use crate::model::incident::{At, Incident};
use crate::model::runbook::{Need, Person, Policy};
use crate::model::time::{Moment, rfc3339};
use crate::report::{Entry, Report};

/// 2026-11-22T03:14:00Z.
pub(super) const OPENED_MS: i64 = 1_795_317_240_000;

/// One journal.
#[derive(Default)]
pub(super) struct Book {
    chain: Chain,
    bytes: Vec<u8>,
    incident: Option<Incident>,
}

impl Book {
    /// Writes one event, so many milliseconds after the opening; its number.
    pub fn write(&mut self, at_ms: i64, who: &str, event: impl Into<Event>) -> u64 {
        let event = event.into();
        let ts = rfc3339(OPENED_MS + at_ms);
        let seq = self.chain.next;
        let line = self
            .chain
            .write(&ts, event.kind(), event.version(), event.fields(), who)
            .unwrap();
        let at = At {
            seq,
            ts: &ts,
            who,
            line_sha256: &Hash::of(&line),
        };
        Incident::apply(&mut self.incident, &at, event).unwrap();
        self.bytes.extend(line);
        seq
    }

    pub fn entries(&self) -> Vec<Entry> {
        let mut chain = Chain::default();
        lines(&self.bytes)
            .map(|l| Entry::read(&chain.check_line(l).unwrap()).unwrap())
            .collect()
    }

    pub fn incident(&self) -> &Incident {
        self.incident.as_ref().unwrap()
    }

    pub fn report(&self) -> Report {
        Report::of(&self.entries(), self.incident())
    }
}

pub(super) const ANA: &str = "ana@example.com";
pub(super) const BEN: &str = "ben@example.com";

pub(super) fn us(at_ms: i64) -> u64 {
    u64::try_from(at_ms).unwrap() * 1000 + 5_000_000
}

pub(super) fn step(name: &str) -> StepId {
    StepId::new(name).unwrap()
}

pub(super) fn target(name: &str) -> TargetId {
    TargetId::new(name).unwrap()
}

pub(super) fn opened(title: &str) -> Opened {
    let people = [ANA, BEN, "kim@vendor.example"];
    Opened {
        id: IncidentId::new("INC-20261122-0314-k7qf").unwrap(),
        drill: false,
        title: title.into(),
        nonce: "00".repeat(16),
        tool: "0.1.0".into(),
        host: "bastion".into(),
        boot: "b".into(),
        user: "ana".into(),
        mono_us: us(0),
        pins: BTreeMap::new(),
        base: "/srv/incident".into(),
        policy: Policy {
            inside: Effects::from([Effect::Read, Effect::Traffic]),
            at: Effects::from([Effect::ConfigChange]),
            need_at: Need::of(1),
            need_outside: Need::of(2),
            lone: None,
            valid_ms: 1_800_000,
            people: people.map(|p| (p.to_owned(), Person::default())).into(),
            seal_originals_to: Vec::new(),
            environments: BTreeMap::new(),
            rules: Vec::new(),
            also: None,
        },
        problems: vec!["access.yaml:7: `toekn` is not a key".into()],
        trust: None,
    }
}

pub(super) fn grant(name: &str, shared: Shared) -> Aim {
    Aim {
        target: Target::Grant(Grant {
            id: target(name),
            provider: "vault-token".into(),
            agent: None,
            with: BTreeMap::new(),
            auth: None,
            secret: None,
            shared,
            reaches: vec!["production".into()],
        }),
        window_ms: 1000,
        found_by: "access.yaml".into(),
    }
}

pub(super) fn tree(name: &str) -> Aim {
    Aim {
        target: Target::Tree(Tree {
            id: target(name),
            agent: "deploy-bot".into(),
            rule: TreeRule::default(),
        }),
        window_ms: 0,
        found_by: "scan".into(),
    }
}

pub(super) fn stop_facts(name: &str, phase: &str, facts: &[(i64, Fact)]) -> StopFacts {
    let observed = facts.iter().map(|(at, fact)| Observed {
        at_us: us(*at),
        fact: fact.clone(),
    });
    StopFacts {
        target: target(name),
        phase: phase.into(),
        facts: observed.collect(),
    }
}

pub(super) fn act(
    name: &str,
    at_ms: i64,
    stage: Stage,
    zone: Zone,
    effect: Effect,
    consumes: Vec<u64>,
) -> ActStarted {
    ActStarted {
        step: step(name),
        stage,
        lane: Lane::Ordinary,
        title: format!("run {name}"),
        act_sha256: Hash::of(name.as_bytes()).to_string(),
        zone,
        effects: Effects::from([effect]),
        consumes,
        undoes: false,
        alone: false,
        approved: None,
        undo: ResolvedUndo::Unsaid,
        why: None,
        runner: Runner {
            host: "bastion".into(),
            boot: "b".into(),
            pid: 40,
            starttime: 4,
        },
        mono_us: us(at_ms),
    }
}

pub(super) fn ended(act: u64, outcome: Outcome) -> ActEnded {
    ActEnded {
        act,
        outcome,
        code: Some(0),
        ms: 340,
        exhibit: None,
        why: String::new(),
    }
}

pub(super) fn capture(
    book: &mut Book,
    at_ms: i64,
    name: &str,
    purpose: &str,
    items: Vec<CaptureItem>,
) -> u64 {
    let started = CaptureStarted {
        name: name.into(),
        spec: CaptureSpec::Host,
        step: None,
        purpose: purpose.into(),
        mono_us: us(at_ms),
    };
    let seq = book.write(at_ms, ANA, started);
    let exhibit = format!("{seq}-{name}");
    book.write(
        at_ms,
        ANA,
        CaptureEnded {
            capture: seq,
            exhibit,
            items,
            ms: 900,
        },
    );
    seq
}

pub(super) fn item(name: &str, status: ItemStatus, why: Option<&str>) -> CaptureItem {
    CaptureItem {
        name: name.into(),
        source: name.into(),
        status,
        why: why.map(Into::into),
        bytes: 120,
        sha256: Hash::of(name.as_bytes()).to_string(),
        redactions: 1,
    }
}

pub(super) fn key() -> SignerKey {
    SignerKey {
        fingerprint: "SHA256:2kqmx".into(),
        algorithm: "ssh-ed25519".into(),
        user_presence: None,
        user_verified: None,
        counter: None,
        authority: None,
    }
}

/// Opening and stop: a token that is refused, a tree that is gone.
pub(super) fn stopped(title: &str) -> Book {
    let mut book = Book::default();
    book.write(0, ANA, opened(title));
    let aims = vec![grant("agent-token", Shared::No), tree("deploy-bot")];
    book.write(
        100,
        ANA,
        StopStarted {
            mono_us: us(100),
            targets: aims,
            problems: vec![],
        },
    );
    let glance = [(
        110,
        Fact::Noted {
            label: "last used".into(),
            text: "03:12 from 10.0.0.9".into(),
        },
    )];
    book.write(300, ANA, stop_facts("agent-token", "glance", &glance));
    let cut = [(150, Fact::Accepted { status: 204 }), (151, Fact::NoSessions)];
    book.write(300, ANA, stop_facts("agent-token", "cut", &cut));
    let killed = Fact::Killed { count: 3 };
    book.write(300, ANA, stop_facts("deploy-bot", "kill", &[(160, killed)]));
    let gone = Fact::LookedFor {
        found: 0,
        scope: "bastion, every user".into(),
        whole: true,
    };
    book.write(600, ANA, stop_facts("deploy-bot", "kill", &[(400, gone)]));
    let refused = Fact::TriedNew { refused: true };
    book.write(
        600,
        ANA,
        stop_facts("agent-token", "probe", &[(500, refused.clone())]),
    );
    let late = [
        (1200, refused),
        (
            1201,
            Fact::Residual {
                what: "its database lease".into(),
                until_ms: Some(OPENED_MS + 1_560_000),
            },
        ),
    ];
    book.write(
        1300,
        ANA,
        stop_facts("agent-token", "probe after the window", &late),
    );
    let end = StopEnded {
        mono_us: us(1300),
        first_cut_us: Some(us(142)),
        interrupted: false,
    };
    book.write(1300, ANA, end);
    book
}

/// The whole walk: a swap that was refused once, signed for by another person, proved, closed.
pub(super) fn whole(title: &str, note: &str) -> Book {
    let mut book = recovered(title, note);
    let closed = Closed {
        unproved: vec!["access that nobody listed: unknown".into()],
        words: "orders are back".into(),
        mono_us: us(90_000),
    };
    book.write(90_000, ANA, closed);
    book
}

/// The same, up to the proof of recovery.
pub(super) fn recovered(title: &str, note: &str) -> Book {
    let mut book = stopped(title);
    book.write(
        2_000,
        ANA,
        StageEntered {
            stage: Stage::Assess,
            mono_us: us(2_000),
        },
    );
    let services = QuestionAnswered {
        step: step("services"),
        text: "checkout: down\nsearch: up".into(),
    };
    book.write(3_000, ANA, services);
    let items = vec![
        item("sockets.txt", ItemStatus::Forbidden, Some("only root may look")),
        item("processes.txt", ItemStatus::Collected, None),
    ];
    let host = capture(&mut book, 4_000, "host", "baseline", items);
    let unknown = vec!["how many orders are lost".into()];
    book.write(
        6_000,
        ANA,
        BaselineSealed {
            captures: vec![host],
            unknown,
            mono_us: us(6_000),
        },
    );
    book.write(6_100, ANA, NoteAdded { text: note.into() });
    book.write(
        7_000,
        ANA,
        StageEntered {
            stage: Stage::Contain,
            mono_us: us(7_000),
        },
    );
    let page = act(
        "maintenance-page",
        8_000,
        Stage::Contain,
        Zone::Inside,
        Effect::Traffic,
        vec![],
    );
    let page = book.write(8_000, ANA, page);
    book.write(8_400, ANA, ended(page, Outcome::Done));
    book.write(
        9_000,
        ANA,
        StageEntered {
            stage: Stage::Recover,
            mono_us: us(9_000),
        },
    );
    let swap = act("swap", 0, Stage::Recover, Zone::At, Effect::ConfigChange, vec![]);
    let planned = PlannedStep {
        step: step("swap"),
        act_sha256: swap.act_sha256.clone(),
        zone: Zone::At,
    };
    book.write(
        9_500,
        ANA,
        PlanFrozen {
            steps: vec![planned],
            digest: "d".into(),
        },
    );
    let request = request(&mut book, 10_000, &swap.act_sha256);
    let reason = "a key that is not in the roster".to_owned();
    let rejected = SignoffRejected {
        request: Some(request),
        reason: "unknown-key".into(),
        text: reason,
    };
    book.write(11_000, ANA, rejected);
    book.write(70_000, ANA, signoff(request, 70_000, true));
    let swap = act(
        "swap",
        75_000,
        Stage::Recover,
        Zone::At,
        Effect::ConfigChange,
        vec![request],
    );
    let swap = book.write(75_000, ANA, swap);
    book.write(76_000, ANA, ended(swap, Outcome::Done));
    let checked = ActChecked {
        act: swap,
        passed: true,
        text: "41222 rows, as in the backup".into(),
        exhibit: None,
    };
    book.write(77_000, ANA, checked);
    book.write(
        77_500,
        ANA,
        DidElsewhere {
            text: "told the status page by hand".into(),
        },
    );
    let probe = ProbeAnswered {
        probe: step("checkout"),
        passed: true,
        text: "200 as expected".into(),
    };
    let probe = book.write(78_000, ANA, probe);
    let items = vec![item("processes.txt", ItemStatus::Collected, None)];
    let after = capture(&mut book, 79_000, "host", "after", items);
    let recovered = Recovered {
        probes: vec![probe],
        captures: vec![after],
        apart: vec![Apart {
            after,
            before: 11,
            agent: 2,
            responders: vec![(24, 1)],
            unknown: 3,
        }],
        mono_us: us(80_000),
    };
    book.write(80_000, ANA, recovered);
    book
}

pub(super) fn request(book: &mut Book, at_ms: i64, act_sha256: &str) -> u64 {
    let asked = EscalationRequested {
        steps: vec![step("swap")],
        acts: vec![act_sha256.to_owned()],
        zone: Zone::At,
        rule: "config-change".into(),
        need: Need::of(1),
        requester: ANA.into(),
        proven: true,
        unproven: Vec::new(),
        nonce: "11".repeat(16),
        head_seq: 3,
        head_sha256: "0".repeat(64),
        baseline: "none".into(),
        lone: false,
    };
    let request = book.write(at_ms, ANA, asked);
    let issued = StatementIssued {
        request,
        approve_sha256: "a".into(),
        refuse_sha256: "b".into(),
        file: format!("{request}.approve.txt"),
        requester_key: Some(key()),
    };
    book.write(at_ms, ANA, issued);
    request
}

pub(super) fn signoff(request: u64, at_ms: i64, approves: bool) -> SignoffFiled {
    SignoffFiled {
        request,
        person: BEN.into(),
        key: key(),
        approves,
        file: format!("{request}.1.sig"),
        mono_us: us(at_ms),
        utc_ms: OPENED_MS + at_ms,
    }
}

pub(super) fn now(at_ms: i64) -> Moment {
    Moment {
        utc_ms: OPENED_MS + at_ms,
        mono_us: us(at_ms),
    }
}

/// A stop that left something of every kind behind.
pub(super) fn dangerous() -> Book {
    let mut book = Book::default();
    book.write(0, ANA, opened("The orders table is gone"));
    let aims = vec![
        grant("ci-key", Shared::Production),
        grant("cloud", Shared::No),
        grant("lease", Shared::No),
        grant("saas", Shared::No),
        tree("deploy-bot"),
    ];
    book.write(
        100,
        ANA,
        StopStarted {
            mono_us: us(100),
            targets: aims,
            problems: vec![],
        },
    );
    let spared = Fact::Spared {
        why: "production uses it".into(),
    };
    book.write(200, ANA, stop_facts("ci-key", "cut", &[(200, spared)]));
    let window = Fact::Window {
        what: "undelete of orders-volume".into(),
        closes_ms: OPENED_MS + 3_000_000,
        hold: "incident run hold-volume".into(),
    };
    let cloud = [
        (150, Fact::Silent { after_ms: 15_000 }),
        (
            160,
            Fact::InFlight {
                what: "volume delete".into(),
            },
        ),
        (170, window),
    ];
    book.write(200, ANA, stop_facts("cloud", "cut", &cloud));
    let until_ms = Some(OPENED_MS + 1_560_000);
    let lease = [
        (150, Fact::Accepted { status: 202 }),
        (
            160,
            Fact::Residual {
                what: "database lease".into(),
                until_ms,
            },
        ),
        (
            170,
            Fact::Residual {
                what: "cached login".into(),
                until_ms: Some(OPENED_MS + 500),
            },
        ),
    ];
    book.write(200, ANA, stop_facts("lease", "cut", &lease));
    let manual = Fact::Manual {
        how: "Settings, API keys, Revoke".into(),
    };
    book.write(200, ANA, stop_facts("saas", "cut", &[(150, manual)]));
    let near = Fact::LookedFor {
        found: 0,
        scope: "uid 1000".into(),
        whole: false,
    };
    book.write(200, ANA, stop_facts("deploy-bot", "kill", &[(150, near)]));
    book.write(
        300,
        ANA,
        StopEnded {
            mono_us: us(300),
            first_cut_us: Some(us(110)),
            interrupted: false,
        },
    );
    book
}
