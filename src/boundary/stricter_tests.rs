//! What was trusted and what was found, field by field: the stricter of the two, whichever of them it is.

use std::collections::BTreeSet;

use super::policy_tests::{MAP, aimed, reach, written};
use super::zone_tests::{NOW, policy};
use super::{stricter, zone_of};
use crate::model::effect::{Effect, Zone};
use crate::model::reach::Kind;
use crate::model::runbook::{Lone, Need, Person, Policy, Touch};

fn roles(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

/// A `dba` of one team, and somebody of another who may lend `owner` and hold none.
fn team() -> Policy {
    let mut policy = policy();
    let of = |team: &str| Person {
        team: Some(team.into()),
        ..Person::default()
    };
    let ben = Person {
        roles: roles(&["dba", "security"]),
        ..of("data")
    };
    let kim = Person {
        gives: roles(&["owner"]),
        ..of("shop")
    };
    policy.people.insert("ben@example.com".into(), ben);
    policy.people.insert("kim@vendor.example".into(), kim);
    policy
}

/// The policy with something changed in it.
fn with(change: impl FnOnce(&mut Policy)) -> Policy {
    let mut policy = team();
    change(&mut policy);
    policy
}

#[test]
fn who_must_sign_is_the_more_of_both_at_the_boundary_and_outside() {
    let asks = |people, names: &[&str], teams_apart, touch| Need {
        people,
        roles: roles(names),
        teams_apart,
        touch,
    };
    let plain = asks(1, &[], false, Touch::None);
    for (a, b, both) in [
        (
            plain.clone(),
            asks(2, &[], false, Touch::None),
            asks(2, &[], false, Touch::None),
        ),
        (
            plain.clone(),
            asks(1, &["dba"], false, Touch::None),
            asks(1, &["dba"], false, Touch::None),
        ),
        (
            asks(1, &["dba"], false, Touch::None),
            asks(1, &["owner"], false, Touch::None),
            asks(1, &["dba", "owner"], false, Touch::None),
        ),
        (
            plain.clone(),
            asks(1, &[], true, Touch::None),
            asks(1, &[], true, Touch::None),
        ),
        (
            plain.clone(),
            asks(1, &[], false, Touch::Present),
            asks(1, &[], false, Touch::Present),
        ),
        (
            asks(1, &[], false, Touch::Verified),
            asks(1, &[], false, Touch::Present),
            asks(1, &[], false, Touch::Verified),
        ),
        // Each in what it is the stricter in.
        (
            asks(3, &["security"], false, Touch::Present),
            asks(2, &["dba"], true, Touch::None),
            asks(3, &["dba", "security"], true, Touch::Present),
        ),
        (plain.clone(), plain.clone(), plain),
    ] {
        let at = |need: &Need| with(|p| p.need_at = need.clone());
        let outside = |need: &Need| with(|p| p.need_outside = need.clone());
        for (one, other) in [(&a, &b), (&b, &a)] {
            let joined = stricter(&at(one), &at(other));
            assert_eq!((joined.need_at, joined.need_outside), (both.clone(), Need::of(2)));
            let joined = stricter(&outside(one), &outside(other));
            assert_eq!((joined.need_at, joined.need_outside), (Need::of(1), both.clone()));
        }
    }
}

#[test]
fn what_was_found_asks_nothing_that_those_who_are_trusted_could_never_meet() {
    let found = with(|p| {
        p.need_at.roles = roles(&["dba", "nobody"]);
        p.need_at.teams_apart = true;
        let zed = Person {
            roles: roles(&["nobody"]),
            ..Person::default()
        };
        p.people.insert("zed@example.com".into(), zed);
    });
    let joined = stricter(&team(), &found);
    assert_eq!(
        (joined.need_at.roles, joined.need_at.teams_apart),
        (roles(&["dba"]), true)
    );
    assert_eq!(joined.people, team().people, "nobody signs whom nobody trusted");
    let one_team = with(|p| {
        p.people
            .values_mut()
            .for_each(|who| who.team = Some("data".into()))
    });
    assert!(!stricter(&one_team, &found).need_at.teams_apart);
    // What was trusted stands, whether it can be met or not.
    assert_eq!(stricter(&found, &team()).need_at, found.need_at);
    let mut apart = one_team.clone();
    apart.need_at.teams_apart = true;
    assert!(stricter(&apart, &one_team).need_at.teams_apart);
}

#[test]
fn signatures_last_as_long_as_the_shorter_of_both() {
    let valid = |ms| with(|p| p.valid_ms = ms);
    for (a, b) in [(1, 2), (2, 1), (1, 1)] {
        assert_eq!(stricter(&valid(a), &valid(b)).valid_ms, 1, "{a} {b}");
    }
}

#[test]
fn one_alone_acts_where_both_allow_it_after_the_longer_delay_for_the_shorter_time() {
    let lone = |times: Option<(u64, u64)>| {
        with(|p| p.lone = times.map(|(after_ms, valid_ms)| Lone { after_ms, valid_ms }))
    };
    for (a, b, both) in [
        (None, None, None),
        (Some((5, 5)), None, None),
        (Some((5, 5)), Some((6, 6)), Some((6, 5))),
        (Some((5, 6)), Some((6, 5)), Some((6, 5))),
    ] {
        assert_eq!(stricter(&lone(a), &lone(b)).lone, lone(both).lone, "{a:?} {b:?}");
        assert_eq!(stricter(&lone(b), &lone(a)).lone, lone(both).lone, "{b:?} {a:?}");
    }
}

#[test]
fn an_act_lands_where_the_stricter_of_both_puts_it_by_list_map_or_rule() {
    let rule = |zone| {
        format!("rules: [{{id: r, zone: {zone}, effects: [traffic], reason: r, owner: ana@example.com}}]")
    };
    let zone =
        |policy: &Policy, effect| zone_of(policy, &aimed(&[effect], &[reach(Kind::Host, "db9")]), NOW).0;
    let lists = |change: fn(&mut Policy)| with(change);
    for (what, looser, tighter, effect, before, after) in [
        (
            "inside",
            team(),
            lists(|p| assert!(p.inside.remove(&Effect::Traffic))),
            Effect::Traffic,
            Zone::Inside,
            Zone::Outside,
        ),
        (
            "at",
            team(),
            lists(|p| assert!(p.at.remove(&Effect::Deploy))),
            Effect::Deploy,
            Zone::At,
            Zone::Outside,
        ),
        (
            "environments",
            written(""),
            written(MAP),
            Effect::Traffic,
            Zone::Inside,
            Zone::Outside,
        ),
        (
            "a rule",
            written(""),
            written(&rule("at")),
            Effect::Traffic,
            Zone::Inside,
            Zone::At,
        ),
        (
            "two rules",
            written(&rule("at")),
            written(&rule("outside")),
            Effect::Traffic,
            Zone::At,
            Zone::Outside,
        ),
    ] {
        assert_eq!(
            (zone(&looser, effect), zone(&tighter, effect)),
            (before, after),
            "{what}"
        );
        assert_eq!(
            zone(&stricter(&looser, &tighter), effect),
            after,
            "{what} as found"
        );
        assert_eq!(
            zone(&stricter(&tighter, &looser), effect),
            after,
            "{what} as trusted"
        );
    }
}
