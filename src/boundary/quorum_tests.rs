//! Who counts, one rule at a time. The rules together are the business of the gate's property.

use std::collections::BTreeSet;

use super::gate_desk_tests::{at, opened};
use super::judge::{Answer, Refusal};
use super::quorum::quorum;
use super::zone_tests::{act, policy};
use crate::journal::Hash;
use crate::model::act::Resolved;
use crate::model::effect::Zone;
use crate::model::event::{DelegationFiled, EscalationRequested, SignerKey, SignerRevoked, StatementIssued};
use crate::model::incident::{Incident, Proven, ProvenBy, RequestState, SignoffState};
use crate::model::runbook::{Need, Person, Touch};
use crate::model::time::Moment;

pub(super) const ANA: &str = "ana@example.com";
pub(super) const BEN: &str = "ben@example.com";
pub(super) const KIM: &str = "kim@vendor.example";

/// A plain key of this fingerprint.
fn key_of(print: &str) -> SignerKey {
    SignerKey {
        fingerprint: print.into(),
        algorithm: "x".into(),
        user_presence: None,
        user_verified: None,
        counter: None,
        authority: None,
    }
}

/// An incident of Ana's, proved to be hers, in which she asked for one act.
pub(super) struct Case {
    pub incident: Incident,
    pub act: Resolved,
}

impl Case {
    pub fn new(need: Need) -> Case {
        let mut policy = policy();
        for (name, role, team) in [
            (ANA, "on-call", "shop"),
            (BEN, "dba", "data"),
            (KIM, "security", "data"),
        ] {
            let person = Person {
                roles: [role.to_owned()].into(),
                team: Some(team.into()),
                ..Person::default()
            };
            policy.people.insert(name.into(), person);
        }
        let mut incident = None;
        let mut open = opened(policy);
        open.user = "root".into();
        Incident::apply(&mut incident, &at(0, ANA, &"h0"), open.into()).unwrap();
        let mut case = Case {
            incident: incident.unwrap(),
            act: act("swap"),
        };
        let by = ProvenBy::Request(10);
        let (person, key) = (ANA.into(), key_of("SHA256:ana"));
        case.incident
            .proven
            .insert(ANA.into(), Proven { person, key, by });
        case.ask(10, need);
        case
    }

    pub fn ask(&mut self, seq: u64, need: Need) {
        let asked = EscalationRequested {
            steps: vec![self.act.step.clone()],
            acts: vec![Hash::of(&self.act.canonical()).to_string()],
            zone: Zone::Outside,
            rule: "r".into(),
            need,
            requester: ANA.into(),
            proven: true,
            unproven: Vec::new(),
            nonce: "n".into(),
            head_seq: 0,
            head_sha256: "h".into(),
            baseline: "none".into(),
            lone: false,
        };
        let request = RequestState {
            asked,
            asked_as: ANA.into(),
            line_sha256: "l".into(),
            ts: "t".into(),
            statement: Some(StatementIssued {
                request: seq,
                approve_sha256: "a".into(),
                refuse_sha256: "r".into(),
                file: "f".into(),
                requester_key: None,
            }),
            signoffs: Vec::new(),
            withdrawn: None,
            used: 0,
            fell: None,
            lone: None,
            unreached: None,
        };
        self.incident.requests.insert(seq, request);
    }

    pub fn signs(
        &mut self,
        seq: u64,
        person: &str,
        key: &str,
        flags: (Option<bool>, Option<bool>),
        approves: bool,
    ) {
        let signoff = SignoffState {
            seq: seq + 1,
            person: person.into(),
            key: SignerKey {
                user_presence: flags.0,
                user_verified: flags.1,
                ..key_of(key)
            },
            approves,
            utc_ms: 0,
            mono_us: 0,
        };
        self.incident
            .requests
            .get_mut(&seq)
            .unwrap()
            .signoffs
            .push(signoff);
    }

    pub fn approve(&mut self, person: &str) {
        self.signs(10, person, &format!("SHA256:{person}"), (None, None), true);
    }

    fn takes_out(&mut self, subject: &str) {
        let revoked = SignerRevoked {
            subject: subject.into(),
            keys: vec![],
            why: "stolen".into(),
        };
        let mut incident = Some(self.incident.clone());
        Incident::apply(&mut incident, &at(50, ANA, &"h"), revoked.into()).unwrap();
        self.incident = incident.unwrap();
    }

    pub fn people(&mut self, name: &str, change: impl FnOnce(&mut Person)) {
        change(self.incident.opened.policy.people.get_mut(name).unwrap());
    }

    fn answer(&self) -> Answer {
        let now = Moment {
            utc_ms: 1,
            mono_us: 1,
        };
        quorum(&self.incident, &self.act, Zone::Outside, now)
    }

    pub fn goes(&self) -> bool {
        matches!(self.answer(), Answer::Go { .. })
    }

    fn refused(&self) -> (u32, Vec<String>, Option<String>, Vec<String>) {
        match self.answer() {
            Answer::Refused(Refusal::NeedsSignoff {
                need,
                have,
                refused_by,
                unproven,
                ..
            }) => (need.people, have, refused_by, unproven),
            other => panic!("{other:?}"),
        }
    }
}

fn roles(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

#[test]
fn whoever_acted_under_a_name_that_no_key_proves_may_be_a_signer_so_one_more_signs() {
    let mut case = Case::new(Need::of(1));
    case.approve(BEN);
    assert!(case.goes());
    // Somebody ran a step as `zed`, after Ben had signed. It may have been Ben.
    case.incident.acted_as.insert("zed".into());
    assert_eq!(case.refused(), (2, vec![BEN.into()], None, vec!["zed".into()]));
    case.approve(KIM);
    assert!(case.goes());
    let mut case = Case::new(Need::of(1));
    case.approve(BEN);
    case.incident.acted_as.insert("zed".into());
    let zed = Proven {
        person: KIM.into(),
        key: key_of("SHA256:k"),
        by: ProvenBy::Claim {
            file: "f".into(),
            ts: "t".into(),
        },
    };
    case.incident.proven.insert("zed".into(), zed);
    assert!(case.goes());
}

#[test]
fn a_refusal_binds_the_act_until_whoever_refused_approves_it() {
    let mut case = Case::new(Need::of(1));
    case.signs(10, BEN, "SHA256:b", (None, None), false);
    case.ask(20, Need::of(1));
    case.signs(20, KIM, "SHA256:k", (None, None), true);
    assert_eq!(case.refused(), (1, vec![KIM.into()], Some(BEN.into()), vec![]));
    // The same act under another name is the same act; another act is not.
    case.act.step = act("do-7").step;
    case.ask(30, Need::of(1));
    case.signs(30, KIM, "SHA256:k", (None, None), true);
    assert!(!case.goes());
    let before = case.act.clone();
    case.act.title = "something else".into();
    case.ask(40, Need::of(1));
    case.signs(40, KIM, "SHA256:k", (None, None), true);
    assert!(case.goes());
    case.act = before;
    case.signs(30, BEN, "SHA256:b", (None, None), true);
    assert!(case.goes());
    // Who asked may change their mind.
    let mut case = Case::new(Need::of(1));
    case.signs(10, ANA, "SHA256:a", (None, None), false);
    case.ask(20, Need::of(1));
    case.signs(20, BEN, "SHA256:b", (None, None), true);
    assert!(case.goes());
}

#[test]
fn one_human_is_counted_once_by_name_and_by_key() {
    let mut case = Case::new(Need::of(2));
    case.people(BEN, |ben| assert!(ben.also.insert("ben@vendor.example".into())));
    case.approve(BEN);
    case.approve("ben@vendor.example");
    case.approve("Ben@Example.com");
    assert_eq!(case.refused().1, [BEN]);
    case.signs(
        10,
        "zed@example.com",
        &format!("SHA256:{BEN}"),
        (None, None),
        true,
    );
    assert_eq!(case.refused().1, [BEN], "one key under two names");
    // And whoever acted under one of their names has acted.
    case.approve(KIM);
    assert!(case.goes());
    case.incident.actors.insert("BEN@vendor.example".into());
    assert_eq!(case.refused().1, [KIM]);
    case.people(ANA, |ana| assert!(ana.also.insert("ana@vendor.example".into())));
    case.approve("ana@vendor.example");
    assert_eq!(case.refused().1, [KIM], "the requester under another name");
}

#[test]
fn each_role_takes_a_person_of_its_own_and_a_team_where_that_is_asked() {
    let two = |apart| Need {
        roles: roles(&["dba", "security"]),
        teams_apart: apart,
        ..Need::of(1)
    };
    let mut case = Case::new(two(false));
    case.people(BEN, |ben| assert!(ben.roles.insert("security".into())));
    case.approve(BEN);
    assert!(!case.goes(), "one person in two roles");
    case.approve(KIM);
    assert!(case.goes());
    let mut case = Case::new(two(true));
    case.approve(BEN);
    case.approve(KIM);
    assert!(!case.goes(), "both of the data team");
    case.people(KIM, |kim| kim.team = None);
    assert!(!case.goes(), "no team is no other team");
    case.people(KIM, |kim| kim.team = Some("security".into()));
    assert!(case.goes());
    // Whom to seat where is found, in whatever order they signed.
    let mut case = Case::new(two(false));
    case.people(KIM, |kim| kim.roles = roles(&["dba", "security"]));
    case.approve(KIM);
    case.approve(BEN);
    assert!(case.goes());
}

#[test]
fn a_touch_and_a_pin_are_counted_only_where_the_key_says_so() {
    for (touch, flags, goes) in [
        (Touch::Present, (None, None), false),
        (Touch::Present, (Some(false), Some(false)), false),
        (Touch::Present, (Some(true), Some(false)), true),
        (Touch::Verified, (Some(true), Some(false)), false),
        (Touch::Verified, (Some(true), None), false),
        (Touch::Verified, (Some(false), Some(true)), false),
        (Touch::Verified, (Some(true), Some(true)), true),
        (Touch::None, (None, None), true),
    ] {
        let mut case = Case::new(Need { touch, ..Need::of(1) });
        case.signs(10, BEN, "SHA256:b", flags, true);
        assert_eq!(case.goes(), goes, "{touch:?} {flags:?}");
    }
}

#[test]
fn what_is_taken_out_counts_no_more_and_a_refusal_stays() {
    for subject in ["SHA256:ben@example.com", "SHA256:ca", BEN, "Ben@Example.com"] {
        let mut case = Case::new(Need::of(1));
        case.approve(BEN);
        case.incident.requests.get_mut(&10).unwrap().signoffs[0]
            .key
            .authority = Some("SHA256:ca".into());
        assert!(case.goes());
        case.takes_out(subject);
        assert_eq!(case.refused(), (1, vec![], None, vec![]), "{subject}");
        case.approve(KIM);
        assert!(case.goes(), "{subject}");
    }
    // A no is no weaker for the loss of its key: taking somebody out lets nothing run.
    let mut case = Case::new(Need::of(1));
    case.signs(10, BEN, "SHA256:b", (None, None), false);
    case.ask(20, Need::of(1));
    case.signs(20, KIM, "SHA256:k", (None, None), true);
    case.takes_out(BEN);
    assert_eq!(case.refused().2, Some(BEN.into()));
}

#[test]
fn what_a_stolen_key_asked_for_or_proved_takes_one_more() {
    let mut case = Case::new(Need::of(1));
    case.approve(BEN);
    case.takes_out("SHA256:ana");
    assert_eq!(case.refused(), (2, vec![BEN.into()], None, vec![ANA.into()]));
    // Proved anew by another key, the name is known again; who asked is not.
    let mut case = Case::new(Need::of(1));
    let asked = case.incident.requests.get_mut(&10).unwrap();
    asked.statement.as_mut().unwrap().requester_key = Some(key_of("SHA256:ana"));
    case.approve(BEN);
    assert!(case.goes());
    case.takes_out("SHA256:ana");
    let ana = case.incident.proven.get_mut(ANA).unwrap();
    ana.key = key_of("SHA256:ana-2");
    assert_eq!(case.refused(), (2, vec![BEN.into()], None, vec![]));
    case.approve(KIM);
    assert!(case.goes());
    // The same where an authority said whose key it was, and that was taken out.
    let mut case = Case::new(Need::of(1));
    case.incident.proven.get_mut(ANA).unwrap().key.authority = Some("SHA256:ca".into());
    case.approve(BEN);
    assert!(case.goes());
    case.takes_out("SHA256:ca");
    assert_eq!(case.refused(), (2, vec![BEN.into()], None, vec![ANA.into()]));
}

impl Case {
    /// Ben's role, lent to somebody at `seq` until `until_ms`.
    fn lends(&mut self, seq: u64, from: &str, to: &str, until_ms: i64) -> Result<(), String> {
        let filed = DelegationFiled {
            role: "dba".into(),
            from: from.into(),
            to: to.into(),
            from_ms: 0,
            until_ms,
            nonce: format!("{seq} {from}"),
            key: key_of(&format!("SHA256:{from}")),
            file: "f".into(),
            mono_us: 0,
            utc_ms: 0,
        };
        let mut incident = Some(self.incident.clone());
        Incident::apply(&mut incident, &at(seq, ANA, &"h"), filed.into()).map_err(|e| e.to_string())?;
        self.incident = incident.unwrap();
        Ok(())
    }
}

const DAN: &str = "dan@example.com";

/// A case that asks for a `dba`, which Ben is and Kim is not.
fn for_a_dba() -> Case {
    let mut case = Case::new(Need {
        roles: roles(&["dba"]),
        ..Need::of(1)
    });
    let dan = Person::default();
    case.incident.opened.policy.people.insert(DAN.into(), dan);
    case
}

#[test]
fn a_lent_role_counts_for_what_is_signed_while_it_lasts() {
    let mut case = for_a_dba();
    case.approve(KIM);
    assert!(!case.goes());
    // Kim's approval is record 11. What is lent afterwards does not reach back.
    case.lends(30, BEN, KIM, 9_000).unwrap();
    assert!(!case.goes());
    for (filed, until_ms, goes) in [(5, 9_000, true), (5, 1, true), (5, 0, false), (11, 9_000, false)] {
        let mut case = for_a_dba();
        case.lends(filed, BEN, KIM, until_ms).unwrap();
        case.approve(KIM);
        assert_eq!(case.goes(), goes, "{filed} {until_ms}");
    }
    // A clock set back makes nothing younger: what ran on since it was filed counts, too.
    let mut case = for_a_dba();
    case.lends(5, BEN, KIM, 9_000).unwrap();
    case.approve(KIM);
    let signoff = &mut case.incident.requests.get_mut(&10).unwrap().signoffs[0];
    signoff.mono_us = 9_000_000;
    assert!(!case.goes());
    // Another role than the one that was lent is not held.
    let mut case = for_a_dba();
    case.incident.requests.get_mut(&10).unwrap().asked.need.roles = roles(&["owner"]);
    case.lends(5, BEN, KIM, 9_000).unwrap();
    case.approve(KIM);
    assert!(!case.goes());
}

#[test]
fn a_lent_role_is_not_lent_on_and_falls_with_its_giver() {
    // Kim got it from Ben, and lends it on to Dan.
    let mut case = for_a_dba();
    case.lends(5, BEN, KIM, 9_000).unwrap();
    case.lends(6, KIM, DAN, 9_000).unwrap();
    case.approve(DAN);
    assert!(!case.goes());
    case.approve(KIM);
    assert!(case.goes());
    // Whom the runbook names as its giver need not hold it.
    let mut case = for_a_dba();
    case.people(KIM, |kim| kim.gives = roles(&["dba"]));
    case.lends(6, KIM, DAN, 9_000).unwrap();
    case.approve(DAN);
    assert!(case.goes());
    // The giver acts afterwards, or is taken out.
    let lent = || {
        let mut case = for_a_dba();
        case.lends(5, BEN, KIM, 9_000).unwrap();
        case.approve(KIM);
        assert!(case.goes());
        case
    };
    let mut case = lent();
    case.incident.actors.insert("Ben@Example.com".into());
    assert!(!case.goes());
    let mut case = lent();
    case.takes_out(BEN);
    assert!(!case.goes());
    let mut case = lent();
    case.takes_out(KIM);
    assert!(!case.goes());
    // Nobody signs in the place of one who is there.
    let mut case = for_a_dba();
    case.people(BEN, |ben| ben.roles = roles(&["dba", "security"]));
    case.people(KIM, |kim| kim.roles = roles(&[]));
    case.incident.requests.get_mut(&10).unwrap().asked.need.roles = roles(&["dba", "security"]);
    case.lends(5, BEN, KIM, 9_000).unwrap();
    case.approve(BEN);
    case.approve(KIM);
    assert!(!case.goes());
}

#[test]
fn a_lent_role_makes_nobody_count_who_does_not_and_changes_no_team() {
    // Whoever acted stays out, whatever they were lent; the giver stays one person.
    let mut case = for_a_dba();
    case.lends(5, BEN, KIM, 9_000).unwrap();
    case.incident.actors.insert(KIM.into());
    case.approve(KIM);
    assert!(!case.goes());
    let mut case = for_a_dba();
    assert!(case.lends(5, BEN, BEN, 9_000).is_err());
    case.people(BEN, |ben| ben.also = roles(&["ben@vendor.example"]));
    assert!(case.lends(5, BEN, "Ben@vendor.example", 9_000).is_err());
    assert!(case.lends(5, ANA, KIM, 9_000).is_err(), "she acted");
    case.lends(5, BEN, KIM, 9_000).unwrap();
    assert!(case.lends(6, BEN, KIM, 9_000).is_ok());
    assert!(case.lends(6, BEN, KIM, 9_000).is_err(), "filed before");
    // Of Ben's team and Kim's: with his role lent to her, both seats are of one team.
    let mut case = for_a_dba();
    case.incident.requests.get_mut(&10).unwrap().asked.need = Need {
        roles: roles(&["dba", "security"]),
        teams_apart: true,
        ..Need::of(2)
    };
    case.people(DAN, |dan| {
        dan.team = Some("data".into());
        dan.roles = roles(&["security"]);
    });
    case.lends(5, BEN, KIM, 9_000).unwrap();
    case.approve(KIM);
    case.approve(DAN);
    assert!(!case.goes());
    case.people(DAN, |dan| dan.team = Some("shop".into()));
    assert!(case.goes());
}

#[test]
fn everybody_who_refused_is_heard_and_every_act_of_a_list_is_refused() {
    let mut case = Case::new(Need::of(1));
    case.signs(10, BEN, "SHA256:b", (None, None), false);
    case.ask(20, Need::of(1));
    case.signs(20, KIM, "SHA256:k", (None, None), false);
    case.ask(30, Need::of(1));
    case.signs(30, BEN, "SHA256:b", (None, None), true);
    assert_eq!(case.refused().2, Some(KIM.into()));
    case.signs(30, KIM, "SHA256:k", (None, None), true);
    assert!(case.goes());
    // One of two acts on a list that was refused is refused.
    let mut case = Case::new(Need::of(1));
    case.signs(10, BEN, "SHA256:b", (None, None), false);
    let list = &mut case.incident.requests.get_mut(&10).unwrap().asked;
    list.steps.insert(0, act("other").step);
    list.acts.insert(0, "0".repeat(64));
    case.ask(20, Need::of(1));
    case.signs(20, KIM, "SHA256:k", (None, None), true);
    assert_eq!(case.refused().2, Some(BEN.into()));
}

#[test]
fn whoever_is_not_in_the_runbook_holds_no_role() {
    let mut case = Case::new(Need {
        roles: roles(&["dba"]),
        ..Need::of(1)
    });
    case.approve("zed@example.com");
    assert!(!case.goes());
    case.approve(BEN);
    assert!(case.goes());
}

#[test]
fn a_refusal_names_who_is_needed_and_whether_signatures_ran_out() {
    let told = |case: &Case, zone| {
        let now = Moment {
            utc_ms: 1_800_001,
            mono_us: 1,
        };
        match quorum(&case.incident, &case.act, zone, now) {
            Answer::Refused(Refusal::NeedsSignoff { need, expired, .. }) => (need.people, expired),
            other => panic!("{other:?}"),
        }
    };
    let mut case = Case::new(Need::of(1));
    assert_eq!(told(&case, Zone::Outside), (1, false));
    case.approve(BEN);
    assert_eq!(told(&case, Zone::Outside), (1, true));
    case.incident.requests.clear();
    assert_eq!(told(&case, Zone::Outside), (2, false));
    assert_eq!(told(&case, Zone::At), (1, false));
}
