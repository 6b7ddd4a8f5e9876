//! Answers that must not count, each refused for its own reason, and the one that does.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::{BTreeMap, BTreeSet};

use incident::model::effect::{Effect, Zone};
use incident::model::ids::{IncidentId, StepId};
use incident::model::runbook::Touch;
use incident::signoff::{
    AcceptContext, Accepted, Answer, Bound, Decision, Refusal, Request, RequestState, SignedAct, Statement,
    Target, accept, namespace, prove_requester, signing_command,
};
use incident::sshsig::{Revoked, Roster};

use super::keygen::Bench;

pub const NOON: i64 = 1_795_348_800_000;
pub const REAL: &str = "signoff@incident-v1";
const PEOPLE: [&str; 4] = ["ana", "ben", "kim", "eve"];

pub fn statement() -> Statement {
    Statement {
        incident: IncidentId::new("INC-20261122-0314-k7qf").unwrap(),
        request_seq: 41,
        request_hash: "a".repeat(64),
        head_seq: 43,
        head_hash: "b".repeat(64),
        title: "Restore orders beside the damaged database".into(),
        stage: "recover".into(),
        zone: Zone::At,
        rule: "declared.data-restore".into(),
        effects: [Effect::DataRestore].into(),
        nonce: "0123456789abcdef0123456789abcdef".into(),
        requested_ms: NOON - 60_000,
        valid_s: 1800,
        requester: "ana@example.com".into(),
        requester_proven: true,
        unproven: Vec::new(),
        lent: Vec::new(),
        alone_after_s: None,
        people_needed: 1,
        roles_needed: Vec::new(),
        teams_apart: false,
        touch_needed: Touch::None,
        decision: Decision::Approve,
        bound: Bound {
            act_sha256: "c".repeat(64),
            runbook_sha256: "d".repeat(64),
            boundary_sha256: "e".repeat(64),
            baseline: Some("f".repeat(64)),
            acts: vec![SignedAct {
                step: StepId::new("restore-beside").unwrap(),
                kind: "run".into(),
                args: ["/usr/bin/pg_restore", "--dbname", "orders_restored"]
                    .map(str::to_owned)
                    .into(),
                env: vec!["PGHOST".into()],
                parts: Vec::new(),
                targets: vec![Target {
                    kind: "host".into(),
                    value: "db1.internal".into(),
                    sha256: None,
                }],
            }],
        },
    }
}

/// One incident with one open request by Ana, whom Ben or Kim may answer.
pub(super) struct Desk {
    pub bench: Bench,
    pub incident: IncidentId,
    pub requests: Vec<Request>,
    pub roster: String,
    pub acted: BTreeSet<String>,
    pub acted_keys: BTreeSet<String>,
    pub accepted: Vec<Accepted>,
    pub revoked: Revoked,
    /// Another name of somebody's, and who that is.
    pub also: Option<(&'static str, &'static str)>,
    pub now_ms: i64,
}

impl Desk {
    pub fn new() -> Self {
        let bench = Bench::new();
        let mut roster = String::new();
        for name in PEOPLE {
            bench.key(name, &["-t", "ed25519"]);
            if name != "eve" {
                roster += &format!("{} {}\n", address(name), bench.public(name));
            }
        }
        let statement = statement();
        let request = Request {
            now: statement.bound.clone(),
            statement,
            state: RequestState::Open,
        };
        Desk {
            bench,
            incident: IncidentId::new("INC-20261122-0314-k7qf").unwrap(),
            requests: vec![request],
            roster,
            acted: ["ana@example.com".to_owned()].into(),
            acted_keys: BTreeSet::new(),
            accepted: Vec::new(),
            revoked: Revoked::default(),
            also: None,
            now_ms: NOON,
        }
    }

    pub fn file(&self, statement: Option<&[u8]>, signature: &[u8]) -> Result<Accepted, Refusal> {
        let roster = Roster::parse(self.roster.as_bytes()).unwrap();
        let roles = BTreeMap::from([(
            "ben@example.com".to_owned(),
            BTreeSet::from(["on-call".to_owned()]),
        )]);
        let head = |seq| (seq == 43).then(|| "b".repeat(64));
        let ctx = AcceptContext {
            incident: &self.incident,
            requests: &self.requests,
            roster: &roster,
            roles: &roles,
            revoked: &|key| self.revoked.has_key(key),
            human: &|name| match self.also {
                Some((also, first)) if also == name => first.to_owned(),
                _ => name.to_ascii_lowercase(),
            },
            acted: &self.acted,
            acted_keys: &self.acted_keys,
            accepted: &self.accepted,
            head: &head,
            now_ms: self.now_ms,
        };
        accept(&Answer { statement, signature }, &ctx)
    }

    /// `who` signs this statement for real, and it is filed.
    pub fn signed(&self, who: &str, statement: &Statement) -> Result<Accepted, Refusal> {
        let text = statement.render();
        let signature = self.bench.sign(who, REAL, text.as_bytes());
        self.file(Some(text.as_bytes()), &signature)
    }

    /// Ben signs the open request's statement, changed by `change`.
    pub fn changed(&self, change: impl FnOnce(&mut Statement)) -> Result<Accepted, Refusal> {
        let mut statement = statement();
        change(&mut statement);
        self.signed("ben", &statement)
    }
}

fn address(name: &str) -> String {
    match name {
        "kim" => "kim@vendor.example".into(),
        other => format!("{other}@example.com"),
    }
}

fn told(answer: Result<Accepted, Refusal>) -> String {
    match answer {
        Ok(accepted) => format!("accepted: {}", accepted.person),
        Err(refusal) => {
            // Keys are made anew each time.
            let words: Vec<String> = refusal
                .to_string()
                .split(' ')
                .map(|w| {
                    if w.starts_with("SHA256:") {
                        "SHA256:…".into()
                    } else {
                        w.to_owned()
                    }
                })
                .collect();
            format!("{}\n  {}", words.join(" "), refusal.remedy())
        }
    }
}

#[test]
fn a_clean_answer_counts_and_plain_tools_agree() {
    let desk = Desk::new();
    let text = statement().render();
    let signature = desk.bench.sign("ben", REAL, text.as_bytes());
    let accepted = desk.file(Some(text.as_bytes()), &signature).unwrap();
    assert!(
        desk.bench
            .verifies(&desk.roster, "ben@example.com", REAL, &signature, text.as_bytes())
    );
    assert_eq!(
        (accepted.person.as_str(), accepted.request_seq),
        ("ben@example.com", 41)
    );
    assert_eq!(accepted.expires_ms, NOON + 1_800_000);
    assert!(accepted.roles.contains("on-call"));
    // The signature alone is enough: the text is ours.
    assert_eq!(desk.file(None, &signature), Ok(accepted.clone()));
    assert_eq!(
        signing_command(false, "00000041.approve.txt"),
        "ssh-keygen -Y sign -f ~/.ssh/id_ed25519 -n signoff@incident-v1 00000041.approve.txt"
    );
}

#[test]
fn anyone_on_the_roster_may_refuse() {
    let desk = Desk::new();
    let no = statement().for_decision(Decision::Refuse);
    for who in ["ana", "ben", "kim"] {
        assert_eq!(desk.signed(who, &no).unwrap().decision, Decision::Refuse, "{who}");
    }
    assert!(matches!(desk.signed("eve", &no), Err(Refusal::NotCounted(_))));
}

#[test]
fn what_is_no_signature_of_this_statement() {
    let desk = Desk::new();
    let text = statement().render();
    let bytes = text.as_bytes();
    let sign = |namespace: &str, text: &[u8]| desk.bench.sign("ben", namespace, text);
    let hello = b"I approve whatever Ana wants\n";
    let undecided = text.replace("decision: approve\n", "");
    let dos = text.replace('\n', "\r\n");
    let moved = text.replace("db1", "db2");
    let said = [
        desk.file(Some(bytes), b"LGTM, go ahead"),
        desk.file(Some(bytes), &sign("git", bytes)),
        desk.file(Some(bytes), &sign(namespace(true), bytes)),
        desk.file(Some(moved.as_bytes()), &sign(REAL, bytes)),
        desk.file(None, &sign(REAL, b"something else")),
        desk.file(Some(hello), &sign(REAL, hello)),
        desk.file(Some(undecided.as_bytes()), &sign(REAL, undecided.as_bytes())),
        desk.file(Some(dos.as_bytes()), &sign(REAL, dos.as_bytes())),
    ]
    .map(told);
    insta::assert_snapshot!(said.join("\n"), @r#"
    the answer is not signed: this is no SSH signature: it does not start with `-----BEGIN SSH SIGNATURE-----` and end with `-----END SSH SIGNATURE-----`
      Sign the statement's file with the printed `ssh-keygen -Y sign` line and file what it writes.
    the signature was made for `git`, not for `signoff@incident-v1`
      Sign again with the printed line; its `-n` must stay as it is.
    a drill's signature counts in no real incident
      Ask for a sign-off of this incident with `incident escalate STEP`.
    the signature does not fit the statement: the text was changed, or another text was signed
      Send the file again as an attachment and sign it unchanged.
    the signature does not fit the statement: the text was changed, or another text was signed
      Send the file again as an attachment and sign it unchanged.
    what was signed is no statement of this tool: line 1: `incident-signoff v1` expected
      Send the file again as an attachment and sign it unchanged.
    the statement says neither `decision: approve` nor `decision: refuse`
      Sign one of the two files that were offered, approve or refuse.
    what was signed is no statement of this tool: line 1: not written as this tool writes it
      Send the file again as an attachment and sign it unchanged.
    "#);
}

#[test]
fn who_does_not_count() {
    let mut said = Vec::new();
    let mut desk = Desk::new();
    said.push(told(desk.signed("ana", &statement())));
    said.push(told(desk.signed("eve", &statement())));
    desk.acted.insert("Ben@example.com".into());
    said.push(told(desk.signed("ben", &statement())));
    desk.acted.clear();
    let ben = Roster::parse(desk.roster.as_bytes()).unwrap().entries()[1]
        .fingerprint
        .clone();
    desk.acted_keys.insert(ben);
    said.push(told(desk.signed("ben", &statement())));

    // A second key of the requester, and a second answer of one person by another key of theirs.
    let mut desk = Desk::new();
    desk.roster += &format!("Ana@example.com {}\n", desk.bench.public("eve"));
    said.push(told(desk.signed("eve", &statement())));
    let mut desk = Desk::new();
    desk.accepted.push(desk.signed("ben", &statement()).unwrap());
    said.push(told(desk.signed("ben", &statement())));
    desk.roster += &format!("ben@example.com {}\n", desk.bench.public("eve"));
    said.push(told(desk.signed("eve", &statement())));
    desk.now_ms += 1_800_001;
    said.push(told(desk.signed("eve", &statement())));

    // Rosters that would let one person be two, or anyone be anyone.
    for line in [
        "*@example.com ",
        "team@example.com cert-authority ",
        "eve@example.com,ben@example.com ",
    ] {
        let mut desk = Desk::new();
        desk.roster += &format!("{line}{}\n", desk.bench.public("eve"));
        said.push(told(desk.signed("eve", &statement())));
    }
    let mut desk = Desk::new();
    desk.roster += &format!("ben.too@example.com {}\n", desk.bench.public("ben"));
    said.push(told(desk.signed("ben", &statement())));
    for options in [
        "namespaces=\"git\"",
        "valid-before=\"20261121Z\"",
        "valid-after=\"20261123Z\"",
    ] {
        let mut desk = Desk::new();
        desk.roster += &format!("eve@example.com {options} {}\n", desk.bench.public("eve"));
        said.push(told(desk.signed("eve", &statement())));
    }
    insta::assert_snapshot!(said.join("\n"), @r#"
    ana@example.com asked for this and cannot approve it
      Ask another person on the roster who has no part in this response.
    no line of the roster has the key SHA256:…
      Ask somebody on the roster; who signs is decided before an incident, in `allowed_signers`.
    ben@example.com has acted in this incident and does not count for its quorum
      Ask another person on the roster who has no part in this response.
    ben@example.com has acted in this incident and does not count for its quorum
      Ask another person on the roster who has no part in this response.
    Ana@example.com asked for this and cannot approve it
      Ask another person on the roster who has no part in this response.
    ben@example.com has already approved request 41; people are counted, not signatures
      Ask another person on the roster who has no part in this response.
    ben@example.com has already approved request 41; people are counted, not signatures
      Ask another person on the roster who has no part in this response.
    the approval of ben@example.com expired at 2026-11-22T12:30:00.000Z
      Ask again with `incident escalate STEP`; each request is good for one run.
    line 4 of the roster names `*@example.com`, which is a pattern and no person
      Ask somebody whose own key stands on the roster under one plain name.
    line 4 of the roster is a certificate authority; it may vouch for keys, but is nobody's own key
      Ask somebody whose own key stands on the roster under one plain name.
    the roster has this key under several names (ben@example.com, eve@example.com)
      Ask somebody else; after the incident give each key one name.
    the roster has this key under several names (ben.too@example.com, ben@example.com)
      Ask somebody else; after the incident give each key one name.
    line 4 of the roster allows this key for `git` only, not for `signoff@incident-v1`
      Ask somebody else, or sign with a key the roster allows for sign-offs.
    line 4 of the roster made this key valid only until 2026-11-21T00:00:00.000Z
      Ask somebody whose key is valid today.
    line 4 of the roster makes this key valid only from 2026-11-23T00:00:00.000Z
      Ask somebody whose key is valid today.
    "#);
}

#[test]
fn one_human_by_two_names_is_one_and_two_people_are_two() {
    let mut desk = Desk::new();
    desk.roster += &format!("root@laptop {}\n", desk.bench.public("eve"));
    desk.also = Some(("root@laptop", "ana@example.com"));
    let own = desk.signed("eve", &statement());
    assert!(matches!(own, Err(Refusal::OwnRequest { .. })), "{own:?}");
    let acted = desk.acted.clone();
    desk.acted = ["kim@vendor.example".to_owned()].into();
    desk.also = Some(("root@laptop", "kim@vendor.example"));
    let took_part = desk.signed("eve", &statement());
    assert!(matches!(took_part, Err(Refusal::Acted { .. })), "{took_part:?}");

    desk.acted = acted;
    desk.also = Some(("root@laptop", "ben@example.com"));
    let first = desk.signed("ben", &statement()).unwrap();
    desk.now_ms = first.expires_ms;
    desk.accepted.push(first);
    let again = desk.signed("eve", &statement());
    assert!(matches!(again, Err(Refusal::SecondAnswer { .. })), "{again:?}");
    assert_eq!(
        desk.signed("kim", &statement()).unwrap().person,
        "kim@vendor.example"
    );
}

#[test]
fn what_was_signed_is_not_what_was_asked() {
    let desk = Desk::new();
    let id = |text: &str| IncidentId::new(text).unwrap();
    let swap = StepId::new("swap").unwrap();
    let zeros = || "0".repeat(64);
    let said = [
        desk.changed(|s| s.incident = id("INC-20261101-0000-aaaa")),
        desk.changed(|s| s.request_seq = 12),
        desk.changed(|s| s.request_hash = zeros()),
        desk.changed(|s| s.bound.acts[0].step = swap),
        desk.changed(|s| s.bound.acts[0].args[2] = "orders".into()),
        desk.changed(|s| s.bound.act_sha256 = zeros()),
        desk.changed(|s| s.bound.acts[0].targets[0].value = "db2.internal".into()),
        desk.changed(|s| s.bound.runbook_sha256 = zeros()),
        desk.changed(|s| s.bound.boundary_sha256 = zeros()),
        desk.changed(|s| s.bound.baseline = None),
        desk.changed(|s| s.head_hash = zeros()),
        desk.changed(|s| s.valid_s = 999_999),
        desk.changed(|s| s.people_needed = 0),
        desk.changed(|s| s.nonce = "f".repeat(32)),
        desk.changed(|s| s.title = "Harmless".into()),
    ]
    .map(told);
    insta::assert_snapshot!(said.join("\n"), @r#"
    the statement is for INC-20261101-0000-aaaa, this is INC-20261122-0314-k7qf
      Ask for a sign-off of this incident with `incident escalate STEP`.
    this journal has no request 12 with that hash
      Check that this is the right case folder; else ask again with `incident escalate STEP`.
    this journal has no request 41 with that hash
      Check that this is the right case folder; else ask again with `incident escalate STEP`.
    the step in the signed statement is not the one that was asked for
      Ask again with `incident escalate STEP`, so that what is signed is what runs.
    the act in the signed statement is not the one that was asked for
      Ask again with `incident escalate STEP`, so that what is signed is what runs.
    the act in the signed statement is not the one that was asked for
      Ask again with `incident escalate STEP`, so that what is signed is what runs.
    the target in the signed statement is not the one that was asked for
      Ask again with `incident escalate STEP`, so that what is signed is what runs.
    the runbook in the signed statement is not the one that was asked for
      Ask again with `incident escalate STEP`, so that what is signed is what runs.
    the boundary in the signed statement is not the one that was asked for
      Ask again with `incident escalate STEP`, so that what is signed is what runs.
    the baseline in the signed statement is not the one that was asked for
      Ask again with `incident escalate STEP`, so that what is signed is what runs.
    record 43 of this journal does not have the hash that the statement names
      Check that this is the right case folder; else ask again with `incident escalate STEP`.
    line `valid-for-s: 999999` differs from the statement that was issued
      Send the file again as an attachment and sign it unchanged.
    line `people-needed: 0` differs from the statement that was issued
      Send the file again as an attachment and sign it unchanged.
    line `nonce: ffffffffffffffffffffffffffffffff` differs from the statement that was issued
      Send the file again as an attachment and sign it unchanged.
    line `title: "Harmless"` differs from the statement that was issued
      Send the file again as an attachment and sign it unchanged.
    "#);
}

#[test]
fn what_was_asked_no_longer_stands() {
    let mut said = Vec::new();
    for state in [
        RequestState::Withdrawn,
        RequestState::Consumed,
        RequestState::Refused("kim@vendor.example".into()),
    ] {
        let mut desk = Desk::new();
        desk.requests[0].state = state;
        said.push(told(desk.signed("ben", &statement())));
    }
    let mut desk = Desk::new();
    desk.requests[0].now.acts[0].args.push("--clean".into());
    said.push(told(desk.signed("ben", &statement())));
    desk.requests[0].now = statement().bound;
    desk.requests[0].now.baseline = Some("0".repeat(64));
    said.push(told(desk.signed("ben", &statement())));

    let no = statement().for_decision(Decision::Refuse);
    assert!(
        desk.signed("ben", &no).is_ok(),
        "what changed can still be refused"
    );

    // The same one-time number under another request.
    let mut desk = Desk::new();
    let mut earlier = desk.signed("kim", &statement()).unwrap();
    earlier.request_seq = 30;
    desk.accepted.push(earlier);
    said.push(told(desk.signed("ben", &statement())));
    insta::assert_snapshot!(said.join("\n"), @r#"
    request 41 was withdrawn
      Ask again with `incident escalate STEP`; each request is good for one run.
    request 41 has been used up: what it allowed was run once
      Ask again with `incident escalate STEP`; each request is good for one run.
    request 41 was refused by kim@vendor.example
      Talk to whoever refused; then ask again with a changed act.
    the act has changed since the request was made
      Ask again with `incident escalate STEP`, so that what is signed is what runs.
    the baseline has changed since the request was made
      Ask again with `incident escalate STEP`, so that what is signed is what runs.
    the statement's nonce belongs to another answer, which was filed before
      Ask again with `incident escalate STEP`; each request is good for one run.
    "#);
}

#[test]
fn a_real_signature_counts_in_no_drill() {
    let mut desk = Desk::new();
    desk.incident = IncidentId::new("DRILL-20261122-0314-k7qf").unwrap();
    let refused = desk.signed("ben", &statement()).unwrap_err();
    assert_eq!(
        refused,
        Refusal::Drill {
            incident_is_drill: true
        }
    );

    let drill = Statement {
        incident: desk.incident.clone(),
        ..statement()
    };
    desk.requests[0].statement = drill.clone();
    let text = drill.render();
    assert!(text.contains("\ndrill: yes\n"));
    let signature = desk.bench.sign("ben", namespace(true), text.as_bytes());
    assert!(desk.file(Some(text.as_bytes()), &signature).is_ok());
}

#[test]
fn touch_pin_and_counter_are_asked_of_the_device() {
    if !Bench::has_fido() {
        return;
    }
    let mut desk = Desk::new();
    for (name, option) in [
        ("cold", "no-touch-required"),
        ("warm", "resident"),
        ("pin", "verify-required"),
    ] {
        desk.bench.key(name, &["-t", "ed25519-sk", "-O", option]);
        desk.roster += &format!("{name}@example.com {}\n", desk.bench.public(name));
    }
    let mut said = Vec::new();
    for (touch, word) in [(Touch::Present, "touch"), (Touch::Verified, "PIN")] {
        desk.requests[0].statement.touch_needed = touch;
        for who in ["ben", "cold", "warm", "pin"] {
            let asked = desk.requests[0].statement.clone();
            said.push(format!("[{word}] {who}: {}", told(desk.signed(who, &asked))));
        }
    }
    let asked = desk.requests[0].statement.clone();
    let mut before = desk.signed("pin", &asked).unwrap();
    before.request_seq = 30;
    before.nonce = "f".repeat(32);
    // Devices that count nothing always say the same.
    desk.accepted.push(before.clone());
    assert!(desk.signed("pin", &asked).is_ok());
    before.key.counter = before.key.counter.map(|c| c + 1);
    // Another device counts for itself.
    let mut other = before.clone();
    other.key.fingerprint = "SHA256:other".into();
    desk.accepted = vec![other];
    assert!(desk.signed("pin", &asked).is_ok());
    desk.accepted.push(before);
    assert!(matches!(
        desk.signed("pin", &asked),
        Err(Refusal::CounterFell { .. })
    ));
    insta::assert_snapshot!(said.join("\n"), @r#"
    [touch] ben: the key SHA256:… cannot show that somebody touched it
      Sign with a FIDO key (`ed25519-sk`) of the roster and touch it.
    [touch] cold: the key SHA256:… was not touched when it signed
      Sign with a FIDO key (`ed25519-sk`) of the roster and touch it.
    [touch] warm: accepted: warm@example.com
    [touch] pin: accepted: pin@example.com
    [PIN] ben: the key SHA256:… cannot show that somebody touched it
      Sign with a FIDO key (`ed25519-sk`) of the roster and touch it.
    [PIN] cold: the key SHA256:… was not touched when it signed
      Sign with a FIDO key (`ed25519-sk`) of the roster and touch it.
    [PIN] warm: the key SHA256:… did not ask for its PIN when it signed
      Sign with a FIDO key made with `-O verify-required`, and give its PIN.
    [PIN] pin: accepted: pin@example.com
    "#);
}

#[test]
fn what_reaches_the_ssh_agent_signs_but_touches_nothing() {
    let mut desk = Desk::new();
    for (touch, counts) in [
        // Without such a rule nothing tells it from the person.
        (Touch::None, true),
        (Touch::Present, false),
        (Touch::Verified, false),
    ] {
        desk.requests[0].statement.touch_needed = touch;
        let text = desk.requests[0].statement.render();
        let signature = desk.bench.sign_by_agent("ben", REAL, text.as_bytes());
        let answer = desk.file(Some(text.as_bytes()), &signature);
        match counts {
            true => assert!(answer.is_ok(), "{answer:?}"),
            false => assert!(matches!(answer, Err(Refusal::NotTouched { .. })), "{answer:?}"),
        }
    }
}

#[test]
fn a_requester_is_proven_by_their_own_key_and_that_approves_nothing() {
    let desk = Desk::new();
    let roster = Roster::parse(desk.roster.as_bytes()).unwrap();
    let text = statement().render();
    let mine = desk.bench.sign("ana", "request@incident-v1", text.as_bytes());
    assert!(prove_requester(&statement(), &mine, &roster, NOON).is_ok());
    assert!(matches!(desk.file(None, &mine), Err(Refusal::Namespace { .. })));
    let theirs = desk.bench.sign("ben", "request@incident-v1", text.as_bytes());
    assert!(matches!(
        prove_requester(&statement(), &theirs, &roster, NOON),
        Err(Refusal::Altered { .. })
    ));
    let other = desk.bench.sign("ana", "request@incident-v1", b"something else");
    assert_eq!(
        prove_requester(&statement(), &other, &roster, NOON),
        Err(Refusal::BadSignature)
    );
    let approval = desk.bench.sign("ana", REAL, text.as_bytes());
    assert!(matches!(
        prove_requester(&statement(), &approval, &roster, NOON),
        Err(Refusal::Namespace { .. })
    ));
}
