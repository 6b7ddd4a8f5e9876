//! When a rule holds, one condition at a time. What is not known counts against the act.

use super::policy_tests::{MAP, aimed, reach, written};
use super::rules::narrower;
use super::zone_of;
use super::zone_tests::NOW;
use crate::model::act::Resolved;
use crate::model::effect::{Effect, Zone};
use crate::model::reach::{Environment, HERE, Kind, Reach};
use crate::model::runbook::{Policy, Rule};

/// Lines of `rules:`, one for each of these.
fn lines(rules: &[&str]) -> String {
    let line =
        |(n, rule): (usize, &&str)| format!("  - {{id: r{n}, {rule}, reason: r, owner: ana@example.com}}\n");
    let lines: String = rules.iter().enumerate().map(line).collect();
    format!("rules:\n{lines}")
}

fn one(rule: &str) -> Policy {
    written(&lines(&[rule]))
}

fn zone(policy: &Policy, act: &Resolved) -> Zone {
    zone_of(policy, act, NOW).0
}

fn open(kind: Kind) -> Reach {
    Reach { kind, name: None }
}

#[test]
fn a_rule_that_raises_holds_wherever_a_name_may_be_meant() {
    let policy = one("zone: outside, effects: [traffic], targets: {databases: [orders], hosts: [bastion1]}");
    let at = |reaches: &[Reach]| zone(&policy, &aimed(&[Effect::Traffic], reaches));
    assert_eq!(at(&[reach(Kind::Host, "db1")]), Zone::Inside);
    assert_eq!(at(&[reach(Kind::Database, "orders")]), Zone::Outside);
    assert_eq!(
        at(&[reach(Kind::Host, "db1"), reach(Kind::Database, "orders")]),
        Zone::Outside,
        "one of its names is enough"
    );
    assert_eq!(at(&[]), Zone::Outside, "nobody knows what it is aimed at");
    assert_eq!(at(&[open(Kind::Database)]), Zone::Outside, "some database");
    assert_eq!(at(&[open(Kind::Context)]), Zone::Inside, "no database");
    assert_eq!(
        at(&[reach(Kind::Host, HERE)]),
        Zone::Outside,
        "this host by its name"
    );
}

#[test]
fn an_amount_that_may_be_too_much_is_too_much_and_as_much_as_is_allowed_is_not() {
    let rows = one("zone: outside, effects: [data-write], more-than: {rows: 10}");
    let objects = one("zone: outside, effects: [data-write], more-than: {objects: 10}");
    for (known, expected) in [
        (Some(10), Zone::At),
        (Some(11), Zone::Outside),
        (None, Zone::Outside),
    ] {
        let mut act = aimed(&[Effect::DataWrite], &[]);
        act.scope.rows = known;
        assert_eq!(zone(&rows, &act), expected, "{known:?} rows");
        (act.scope.rows, act.scope.objects) = (None, known);
        assert_eq!(zone(&objects, &act), expected, "{known:?} objects");
    }
}

#[test]
fn a_rule_that_raises_lowers_nothing_and_is_named_where_it_agrees() {
    let mut policy = one("zone: at, effects: [deploy]");
    let act = aimed(&[Effect::Deploy], &[]);
    let (zone, because) = zone_of(&policy, &act, NOW);
    assert_eq!((zone, because[0].rule.as_str()), (Zone::At, "rules.r0"));
    policy.at.remove(&Effect::Deploy);
    assert_eq!(zone_of(&policy, &act, NOW).0, Zone::Outside);
}

#[test]
fn a_rule_inside_holds_only_where_every_name_is_surely_meant() {
    let policy = one("zone: inside, effects: [data-write], targets: {databases: [scratch]}");
    let at = |reaches: &[Reach]| zone(&policy, &aimed(&[Effect::DataWrite], reaches));
    let scratch = || reach(Kind::Database, "scratch");
    assert_eq!(at(&[scratch()]), Zone::Inside);
    assert_eq!(at(&[scratch(), reach(Kind::Database, "orders")]), Zone::At);
    assert_eq!(at(&[scratch(), open(Kind::Database)]), Zone::At);
    assert_eq!(at(&[open(Kind::Database)]), Zone::At);
    assert_eq!(at(&[]), Zone::At);
    // Where nobody drew a map, the author's word brings nothing inside.
    let dev = "zone: inside, effects: [data-write], environments: [dev]";
    let mut act = aimed(&[Effect::DataWrite], &[]);
    act.scope.environment = Some(Environment::Dev);
    assert_eq!(zone(&one(dev), &act), Zone::At);
    assert_eq!(
        zone(&written(&(MAP.to_owned() + &lines(&[dev]))), &act),
        Zone::Inside
    );
    // Nor does a map of one of two places.
    act.scope.reaches.insert(reach(Kind::Host, "db1"));
    assert_eq!(zone(&written(&(MAP.to_owned() + &lines(&[dev]))), &act), Zone::At);
}

#[test]
fn a_rule_is_narrower_only_where_it_can_hold_nowhere_else() {
    let write = "effects: [data-write]";
    let nights = "hours: '00:00-06:00 Z'";
    for (rule, wider, expected) in [
        ("environments: [dev]", "effects: [data-write]", true),
        ("environments: [dev]", "effects: [data-write, deploy]", true),
        ("environments: [dev]", "effects: [deploy]", false),
        ("environments: [dev]", "environments: [dev, staging]", true),
        (
            "environments: [dev, production]",
            "environments: [dev, staging]",
            false,
        ),
        ("targets: {databases: [a]}", "environments: [dev]", false),
        ("environments: [dev]", "targets: {databases: [a]}", false),
        ("targets: {databases: [a]}", "targets: {databases: [a, b]}", true),
        (
            "targets: {databases: [a, c]}",
            "targets: {databases: [a, b]}",
            false,
        ),
        ("targets: {databases: [a]}", "targets: {hosts: [a]}", false),
        (
            "targets: {databases: [a], hosts: [h]}",
            "targets: {databases: [a]}",
            false,
        ),
        (
            "targets: {databases: [a-1]}",
            "targets: {databases: ['a-*']}",
            true,
        ),
        (
            "targets: {databases: [b-1]}",
            "targets: {databases: ['a-*']}",
            false,
        ),
        // Whether one pattern lies within another is not worked out.
        (
            "targets: {databases: ['a-1*']}",
            "targets: {databases: ['a-*']}",
            false,
        ),
        ("environments: [dev]", nights, false),
        ("environments: [dev], hours: '00:00-06:00 Z'", nights, true),
        ("environments: [dev], hours: '00:00-07:00 Z'", nights, false),
        (
            "environments: [dev]",
            "effects: [data-write], more-than: {rows: 1}",
            false,
        ),
        (
            "environments: [dev]",
            "freeze: {from: 2026-11-20T00:00:00Z, until: 2026-11-21T00:00:00Z}",
            false,
        ),
        // The same says no more.
        (
            "environments: [dev]",
            "effects: [data-write], environments: [dev]",
            false,
        ),
    ] {
        let both = [
            format!("zone: at, {write}, {rule}"),
            format!("zone: outside, {wider}"),
        ];
        let policy = written(&lines(&[both[0].as_str(), both[1].as_str()]));
        let [rule_of, wider_of]: &[Rule; 2] = policy.rules.as_slice().try_into().unwrap();
        assert_eq!(narrower(rule_of, wider_of), expected, "{rule} within {wider}");
    }
}

#[test]
fn no_rule_brings_inside_what_lacks_its_proof_or_never_can_be() {
    let mut policy = one("zone: at, effects: [deploy]");
    policy.rules[0].zone = Zone::Inside;
    let mut ruled = |effect| {
        policy.rules[0].effects = [effect].into();
        zone(&policy, &aimed(&[effect], &[]))
    };
    assert_eq!(ruled(Effect::DataWrite), Zone::Inside);
    for effect in [Effect::DataRestore, Effect::ConfigRollback, Effect::CredentialNew] {
        assert_eq!(ruled(effect), Zone::At, "{effect} without its proof");
    }
    for effect in [Effect::Unknown, Effect::OneWay, Effect::BulkData] {
        assert_ne!(ruled(effect), Zone::Inside, "{effect}");
    }
}

#[test]
fn whoever_restarts_or_looks_at_a_place_of_backups_changes_no_copy() {
    let policy = written(MAP);
    let at_backups = |effect| zone(&policy, &aimed(&[effect], &[reach(Kind::Host, "backup1")]));
    for effect in [
        Effect::Read,
        Effect::Protect,
        Effect::ServiceRestart,
        Effect::Traffic,
    ] {
        assert_eq!(at_backups(effect), Zone::Inside, "{effect}");
    }
    assert_eq!(at_backups(Effect::ConfigRollback), Zone::At);
}
