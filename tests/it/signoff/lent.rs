//! A role that is lent: what is refused, each for its own reason.

use std::collections::BTreeSet;

use incident::model::ids::IncidentId;
use incident::model::runbook::Runbook;
use incident::signoff::{
    Delegation, DelegationContext, NotDelegated, accept_delegation, delegation_namespace,
};
use incident::sshsig::{Revoked, Roster};

use super::keygen::Bench;

pub const NOON: i64 = 1_795_348_800_000;
const HOUR: i64 = 3_600_000;

/// What is held against a lent role, as it is where everything is well: Ben is `dba` and lends that to Kim.
struct Loan {
    bench: Bench,
    said: Delegation,
    signer: &'static str,
    namespace: &'static str,
    people: String,
    acted: BTreeSet<String>,
    filed: BTreeSet<String>,
    revoked: Revoked,
    bend: fn(&str) -> String,
}

impl Loan {
    fn new() -> Loan {
        let bench = Bench::new();
        for name in ["ana", "ben", "kim", "eve"] {
            bench.key(name, &["-t", "ed25519"]);
        }
        Loan {
            bench,
            said: Delegation {
                incident: None,
                drill: false,
                role: "dba".into(),
                from: "ben@example.com".into(),
                to: "kim@example.com".into(),
                from_ms: NOON - HOUR,
                until_ms: NOON + HOUR,
                nonce: "0123456789abcdef0123456789abcdef".into(),
            },
            signer: "ben",
            namespace: delegation_namespace(false),
            people:
                "ana@example.com: {roles: [on-call]}, ben@example.com: {roles: [dba]}, kim@example.com: {}"
                    .into(),
            acted: ["ana@example.com".to_owned()].into(),
            filed: BTreeSet::new(),
            revoked: Revoked::default(),
            bend: str::to_owned,
        }
    }

    fn comes(&self) -> Result<Delegation, NotDelegated> {
        let runbook = format!(
            "version: 1\npeople: {{{}}}\nboundary: {{inside: [read], at: [deploy]}}\nstages: {{}}\n",
            self.people
        );
        let policy = Runbook::parse("r.yaml", &runbook).unwrap().policy;
        let mut roster = String::new();
        for name in ["ana", "ben", "kim"] {
            roster += &format!("{name}@example.com {}\n", self.bench.public(name));
        }
        let text = self.said.render();
        let signature = self.bench.sign(self.signer, self.namespace, text.as_bytes());
        let ctx = DelegationContext {
            incident: &IncidentId::new("INC-20261122-0314-k7qf").unwrap(),
            roster: &Roster::parse(roster.as_bytes()).unwrap(),
            policy: &policy,
            revoked: &|key| self.revoked.has_key(key),
            acted: &self.acted,
            filed: &self.filed,
            now_ms: NOON,
        };
        accept_delegation((self.bend)(&text).as_bytes(), &signature, &ctx).map(|(lent, _)| lent)
    }
}

#[test]
fn every_abuse_of_a_lent_role_is_refused_for_its_own_reason() {
    let good = Loan::new();
    assert_eq!(good.comes(), Ok(good.said.clone()));
    let mut given = Loan::new();
    given.people = given.people.replace("{roles: [dba]}", "{gives: [dba]}");
    assert!(given.comes().is_ok(), "named as its giver");
    // Whoever gets it stands in one of the two: an authority vouches for who has no line of their own.
    let mut unwritten = Loan::new();
    unwritten.people = unwritten.people.replace(", kim@example.com: {}", "");
    assert!(unwritten.comes().is_ok(), "on the roster only");
    let mut keyless = Loan::new();
    keyless.people += ", eve@example.com: {}";
    keyless.said.to = "eve@example.com".into();
    assert!(keyless.comes().is_ok(), "in the runbook only");
    let mut ends = Loan::new();
    (ends.said.from_ms, ends.said.until_ms) = (NOON, NOON + 31 * 24 * HOUR);
    assert!(ends.comes().is_ok(), "from this moment on, for 31 days");
    type Abuse = (&'static str, fn(&mut Loan));
    let abuses: [Abuse; 18] = [
        ("delegation-namespace", |l| l.namespace = "signoff@incident-v1"),
        ("delegation-namespace", |l| {
            l.namespace = delegation_namespace(true)
        }),
        ("delegation-bad-signature", |l| {
            l.bend = |t| t.replace("kim@", "eve@")
        }),
        ("delegation-bad-signature", |l| {
            l.bend = |t| t.replace("2026-", "2027-")
        }),
        ("not-a-delegation", |l| l.said.nonce = String::new()),
        ("delegation-elsewhere", |l| {
            l.said.incident = IncidentId::new("INC-20261101-0000-aaaa").ok()
        }),
        ("delegation-elsewhere", |l| l.said.drill = true),
        ("delegation-revoked", |l| {
            l.revoked = Revoked::parse(l.bench.public("ben").as_bytes()).unwrap();
        }),
        ("delegation-not-counted", |l| l.signer = "eve"),
        ("delegation-another-signer", |l| l.signer = "kim"),
        // What she was lent herself she does not hold.
        ("delegation-not-theirs", |l| {
            (l.signer, l.said.from, l.said.to) = ("kim", "kim@example.com".into(), "ben@example.com".into());
        }),
        ("delegation-not-theirs", |l| l.said.role = "security".into()),
        ("delegation-to-oneself", |l| l.said.to = "Ben@Example.com".into()),
        ("delegation-not-rostered", |l| {
            l.said.to = "eve@example.com".into()
        }),
        ("delegation-acted", |l| {
            l.acted.insert("BEN@example.com".into());
        }),
        ("delegation-filed-before", |l| {
            l.filed = [l.said.nonce.clone()].into()
        }),
        ("delegation-time", |l| l.said.until_ms = NOON),
        ("delegation-time", |l| l.said.from_ms = NOON + 1),
    ];
    for (reason, abuse) in abuses {
        let mut loan = Loan::new();
        abuse(&mut loan);
        let refused = loan.comes().unwrap_err();
        assert_eq!(refused.name(), reason, "{refused}");
    }
    let mut long = Loan::new();
    long.said.until_ms = NOON + 31 * 24 * HOUR;
    assert_eq!(long.comes().unwrap_err().name(), "delegation-time");
    assert_eq!(delegation_namespace(false), "delegation@incident-v1");
    assert_eq!(delegation_namespace(true), "delegation-drill@incident-v1");
}
