//! The map of environments and the rules beside the two lists, case by case and over arbitrary policies.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::zone_tests::{NOW, act as plain, policy as plain_policy, verified};
use super::{stricter, zone_of};
use crate::model::act::{Act, Manual, Resolved, ResolvedUndo};
use crate::model::approved::Approved;
use crate::model::effect::{Effect, Effects, Seen, Zone};
use crate::model::reach::{Environment, HERE, Kind, Names, Reach, Scope};
use crate::model::runbook::{Amount, Period, Policy, Rule, Runbook};
use crate::model::time::{Moment, parse_rfc3339};

pub(super) fn reach(kind: Kind, name: &str) -> Reach {
    Reach {
        kind,
        name: Some(name.to_owned()),
    }
}

/// An act with these effects, aimed at these names, from a host called `bastion1`.
pub(super) fn aimed(effects: &[Effect], reaches: &[Reach]) -> Resolved {
    Resolved {
        declared: Some(effects.iter().copied().collect()),
        targets: BTreeMap::from([("host".into(), "bastion1".into())]),
        scope: Scope {
            reaches: reaches.iter().cloned().collect(),
            ..Scope::default()
        },
        ..plain("x")
    }
}

/// The policy of a runbook with these lines in it.
pub(super) fn written(lines: &str) -> Policy {
    let source = format!(
        "version: 1\npeople: {{ana@example.com: {{}}}}\nboundary:\n  inside: [read, protect, service-restart, traffic, \
         data-restore, config-rollback]\n  at: [deploy, config-change, credential-change, schema-change, data-write, \
         bulk-data, infra-change, security-config, backup-change, one-way]\n{lines}\nstages: {{}}\n"
    );
    Runbook::parse("r.yaml", &source)
        .unwrap_or_else(|e| panic!("{e:?}"))
        .policy
}

fn mistakes(lines: &str) -> String {
    let source = format!(
        "version: 1\npeople: {{ana@example.com: {{}}}}\nboundary: {{inside: [read]}}\n{lines}\nstages: {{}}\n"
    );
    let found = Runbook::parse("r.yaml", &source).unwrap_err();
    found
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

fn first(policy: &Policy, act: &Resolved) -> (Zone, String, String) {
    at(policy, act, NOW)
}

fn at(policy: &Policy, act: &Resolved, now: Moment) -> (Zone, String, String) {
    let (zone, because) = zone_of(policy, act, now);
    (zone, because[0].rule.clone(), because[0].text.clone())
}

fn moment(text: &str) -> Moment {
    Moment {
        utc_ms: parse_rfc3339(text).unwrap(),
        mono_us: 0,
    }
}

pub(super) const MAP: &str = "environments:
  production: {hosts: [db1, '*.prod.example.com'], contexts: [prod-eu], databases: [orders]}
  staging: {hosts: [db1-staging], contexts: [staging-eu]}
  dev: {hosts: [localhost]}
  backups: {hosts: [backup1], stores: ['s3://acme-backups*'], paths: ['/backups/*']}
";

#[test]
fn what_no_environment_has_is_outside_and_the_reason_says_what_to_add() {
    let policy = written(MAP);
    let restart = |reach| aimed(&[Effect::ServiceRestart], &[reach]);
    assert_eq!(first(&policy, &restart(reach(Kind::Host, "DB1"))).0, Zone::Inside);
    assert_eq!(
        first(&policy, &restart(reach(Kind::Host, "a.prod.example.com"))).0,
        Zone::Inside
    );
    let (zone, rule, why) = first(&policy, &restart(reach(Kind::Host, "db9")));
    assert_eq!((zone, rule.as_str()), (Zone::Outside, "environments.unmapped"));
    assert_eq!(
        why,
        "host `db9` belongs to no environment: add it to `hosts:` of one under `environments:`"
    );
    let open = Reach {
        kind: Kind::Context,
        name: None,
    };
    let (zone, _, why) = first(&policy, &restart(open.clone()));
    assert_eq!(zone, Zone::Outside);
    assert!(why.contains("do not say which context"), "{why}");
    // One name that is known does not vouch for another.
    let two = aimed(
        &[Effect::ServiceRestart],
        &[reach(Kind::Host, "db1"), reach(Kind::Context, "other")],
    );
    assert_eq!(first(&policy, &two).0, Zone::Outside);
    // A database says more about its host; it does not stand for it.
    let there = aimed(
        &[Effect::DataWrite],
        &[reach(Kind::Host, "db9"), reach(Kind::Database, "orders")],
    );
    assert_eq!(first(&policy, &there).0, Zone::Outside);
    // Without a map nothing changes.
    assert_eq!(
        first(&plain_policy(), &restart(reach(Kind::Host, "db9"))).0,
        Zone::Inside
    );
    assert_eq!(first(&plain_policy(), &restart(open)).0, Zone::Inside);
}

#[test]
fn looking_is_free_wherever_it_looks() {
    let look = Resolved {
        seen: vec![Seen {
            effect: Effect::Read,
            text: "ls".into(),
            rule: "r".into(),
        }],
        declared: None,
        ..aimed(&[], &[reach(Kind::Host, "nowhere")])
    };
    assert_eq!(first(&written(MAP), &look).0, Zone::Inside);
}

#[test]
fn the_authors_word_stands_only_for_what_has_no_name() {
    let policy = written(MAP);
    let said = |mut act: Resolved, environment| {
        act.scope.environment = Some(environment);
        first(&policy, &act).0
    };
    let by_hand = Resolved {
        act: Act::Manual(Manual {
            what: "Put the page up".into(),
            place: None,
            see: None,
        }),
        ..aimed(&[Effect::Traffic], &[])
    };
    let (zone, _, why) = first(&policy, &by_hand);
    assert_eq!(zone, Zone::Outside);
    assert!(why.contains("write `environment:` in the step"), "{why}");
    assert_eq!(said(by_hand, Environment::Production), Zone::Inside);
    let mut elsewhere = written(MAP);
    elsewhere.environments.remove(&Environment::Dev);
    let here = aimed(&[Effect::Traffic], &[reach(Kind::Host, HERE)]);
    let (zone, _, why) = first(&elsewhere, &here);
    assert_eq!(zone, Zone::Outside);
    assert!(why.contains("this host (bastion1)"), "{why}");
    assert_eq!(said(here, Environment::Production), Zone::Inside);
    let named = aimed(&[Effect::Traffic], &[reach(Kind::Host, "db9")]);
    assert_eq!(
        said(named, Environment::Dev),
        Zone::Outside,
        "a name is a name, whatever the label says"
    );
}

#[test]
fn what_changes_the_copies_is_a_change_of_backups_by_identity() {
    let policy = written(MAP);
    let write = aimed(
        &[Effect::ServiceRestart, Effect::Deploy],
        &[reach(Kind::Host, "backup1")],
    );
    let (zone, because) = zone_of(&policy, &write, NOW);
    assert_eq!(zone, Zone::At);
    assert!(
        because
            .iter()
            .any(|b| b.rule == "environments.backups" && b.effect == Effect::BackupChange),
        "{because:?}"
    );
    let mut strict = policy.clone();
    strict.at.remove(&Effect::BackupChange);
    let removed = aimed(
        &[Effect::DataWrite],
        &[
            reach(Kind::Host, "db1"),
            reach(Kind::Path, "/backups/orders.dump"),
        ],
    );
    assert_eq!(first(&policy, &removed).0, Zone::At);
    assert_eq!(first(&strict, &removed).0, Zone::Outside);
    // The same write in production is not one on its copies, and restoring from them harms none.
    assert_eq!(
        first(&strict, &aimed(&[Effect::DataWrite], &[reach(Kind::Host, "db1")])).0,
        Zone::At
    );
    let mut restore = aimed(
        &[Effect::DataRestore],
        &[
            reach(Kind::Host, "db1"),
            reach(Kind::Store, "s3://acme-backups/orders"),
        ],
    );
    restore.backup = Some(verified());
    assert_eq!(first(&strict, &restore).0, Zone::Inside);
    restore.scope.reaches.insert(reach(Kind::Host, "backup1"));
    assert_eq!(
        first(&strict, &restore).0,
        Zone::Outside,
        "restoring over the host of the copies"
    );
    assert!(
        mistakes("environments: {production: {hosts: [db1]}, backups: {hosts: [db1]}}")
            .contains("both `production` and `backups`")
    );
}

#[test]
fn the_strictest_rule_that_holds_wins_and_is_named() {
    let policy = written(&format!(
        "{MAP}rules:
  - {{id: friday, zone: outside, effects: [schema-change], environments: [production], hours: 'Fri 12:00-24:00 Z', reason: Nobody is here on Saturday., owner: ana@example.com}}
  - {{id: no-traffic-switch, zone: at, effects: [traffic], targets: {{hosts: ['db1*']}}, reason: It takes the shop down., owner: ana@example.com}}
  - {{id: christmas, zone: outside, environments: [production], freeze: {{from: 2026-12-20T00:00:00Z, until: 2027-01-02T00:00:00Z}}, reason: Half the people are away., owner: ana@example.com}}
"
    ));
    let schema = |host| aimed(&[Effect::SchemaChange], &[reach(Kind::Host, host)]);
    let noon = moment("2026-11-20T12:00:00Z");
    assert_eq!(first(&policy, &schema("db1")).0, Zone::At);
    assert_eq!(
        at(&policy, &schema("db1"), noon),
        (
            Zone::Outside,
            "rules.friday".into(),
            "Nobody is here on Saturday. (ana@example.com)".into()
        )
    );
    assert_eq!(at(&policy, &schema("db1-staging"), noon).0, Zone::At);
    let traffic = aimed(&[Effect::Traffic], &[reach(Kind::Host, "db1")]);
    assert_eq!(first(&policy, &traffic).1, "rules.no-traffic-switch");
    let frozen = moment("2026-12-24T03:00:00Z");
    assert_eq!(at(&policy, &traffic, frozen).1, "rules.christmas");
    assert_eq!(at(&policy, &traffic, moment("2027-01-02T00:00:00Z")).0, Zone::At);
    // What keeps copies from dying is not frozen unless a rule names it.
    let hold = aimed(&[Effect::Protect], &[reach(Kind::Host, "db1")]);
    assert_eq!(at(&policy, &hold, frozen).0, Zone::Inside);
    // Nobody knows where a step by hand is done: every rule about a place may be about it.
    let mut unknown = policy.clone();
    unknown.environments.clear();
    assert_eq!(at(&unknown, &schema("db1-staging"), noon).0, Zone::Outside);
}

#[test]
fn only_an_explicit_narrower_rule_brings_an_act_inside() {
    let inside = "{id: scratch, zone: inside, effects: [data-write], environments: [dev], at-most: {rows: 100}, reason: Nobody else uses it., owner: ana@example.com}";
    let policy = |more: &str| written(&format!("{MAP}rules:\n  - {inside}\n{more}"));
    let write = |host: &str, rows| {
        let mut act = aimed(&[Effect::DataWrite], &[reach(Kind::Host, host)]);
        act.scope.rows = rows;
        act
    };
    let alone = policy("");
    assert_eq!(
        first(&alone, &write(HERE, Some(100))),
        (
            Zone::Inside,
            "rules.scratch".into(),
            "Nobody else uses it. (ana@example.com)".into()
        )
    );
    assert_eq!(first(&alone, &write(HERE, Some(101))).0, Zone::At);
    assert_eq!(
        first(&alone, &write(HERE, None)).0,
        Zone::At,
        "an amount nobody can read is too much"
    );
    assert_eq!(first(&alone, &write("db1", Some(1))).0, Zone::At);
    assert_eq!(
        first(&alone, &write("db9", Some(1))).0,
        Zone::Outside,
        "unmapped stays outside"
    );
    let both = aimed(
        &[Effect::DataWrite],
        &[reach(Kind::Host, HERE), reach(Kind::Host, "db1")],
    );
    assert_eq!(first(&alone, &both).0, Zone::At);
    let also = Resolved {
        declared: Some(Effects::from([Effect::DataWrite, Effect::SchemaChange])),
        ..write(HERE, Some(1))
    };
    assert_eq!(first(&alone, &also).0, Zone::At, "it is for one effect only");
    let wide = "  - {id: wide, zone: outside, effects: [data-write], reason: r, owner: ana@example.com}\n";
    assert_eq!(
        first(&policy(wide), &write(HERE, Some(1))).0,
        Zone::Inside,
        "it is narrower than that rule"
    );
    for wins in [
        "  - {id: same, zone: outside, effects: [data-write], targets: {hosts: [localhost]}, reason: r, owner: ana@example.com}\n",
        "  - {id: big, zone: at, effects: [data-write], more-than: {rows: 0}, reason: r, owner: ana@example.com}\n",
        "  - {id: nights, zone: at, hours: '00:00-06:00 Z', reason: r, owner: ana@example.com}\n",
        "  - {id: freeze, zone: at, freeze: {from: 2026-11-20T00:00:00Z, until: 2026-11-21T00:00:00Z}, reason: r, owner: ana@example.com}\n",
    ] {
        assert!(
            first(&policy(wins), &write(HERE, Some(1))).0 > Zone::Inside,
            "{wins}"
        );
    }
    for (line, words) in [
        (
            "{id: a, zone: inside, effects: [data-write], reason: r, owner: ana@example.com}",
            "must be narrower",
        ),
        (
            "{id: a, zone: inside, environments: [dev], reason: r, owner: ana@example.com}",
            "must be narrower",
        ),
        (
            "{id: a, zone: inside, effects: [bulk-data], environments: [dev], reason: r, owner: ana@example.com}",
            "can never be inside",
        ),
        (
            "{id: a, zone: inside, effects: [data-write], more-than: {rows: 1}, reason: r, owner: ana@example.com}",
            "belongs to a rule that raises",
        ),
        (
            "{id: a, zone: outside, effects: [data-write], owner: ana@example.com}",
            "has no `reason`",
        ),
        (
            "{id: a, zone: outside, effects: [data-write], reason: r}",
            "has no `owner`",
        ),
        (
            "{id: a, zone: outside, reason: r, owner: eve@example.com}",
            "is nobody here",
        ),
        (
            "{id: a, zone: outside, more-than: {rows: 1}, reason: r, owner: ana@example.com}",
            "of which `effects`",
        ),
        (
            "{id: a, zone: outside, targets: {}, reason: r, owner: ana@example.com}",
            "is empty",
        ),
        (
            "{id: a, zone: outside, hours: 9-17, reason: r, owner: ana@example.com}",
            "names no hours",
        ),
    ] {
        let found = mistakes(&format!("rules: [{line}]"));
        assert!(found.contains(words), "{words:?} is not in\n{found}");
    }
}

#[test]
fn an_approval_discharges_what_nobody_understood_and_nothing_else() {
    let policy = plain_policy();
    let saw = |effect| Seen {
        effect,
        text: "w".into(),
        rule: "r".into(),
    };
    let dark = Resolved {
        declared: None,
        seen: vec![saw(Effect::Unknown)],
        ..aimed(&[], &[])
    };
    let approved = |effects: &[Effect]| {
        Some(Approved {
            by: "ana@example.com".into(),
            made: "2026-11-20T10:00:00.000Z".into(),
            until: "2027-05-19T10:00:00.000Z".into(),
            effects: effects.iter().copied().collect(),
            sha256: "0".repeat(64),
        })
    };
    assert_eq!(first(&policy, &dark).0, Zone::Outside);
    let known = Resolved {
        approved: approved(&[Effect::ServiceRestart]),
        ..dark.clone()
    };
    assert_eq!(first(&policy, &known).0, Zone::Inside);
    let seen = Resolved {
        seen: vec![saw(Effect::Unknown), saw(Effect::SchemaChange)],
        ..known.clone()
    };
    assert_eq!(
        first(&policy, &seen).0,
        Zone::At,
        "what is seen counts all the same"
    );
    assert_eq!(
        first(
            &written(MAP),
            &Resolved {
                scope: Scope {
                    reaches: [reach(Kind::Host, "db9")].into(),
                    ..Scope::default()
                },
                ..known
            }
        )
        .0,
        Zone::Outside
    );
    let nothing = Resolved {
        approved: approved(&[]),
        ..dark
    };
    assert_eq!(first(&policy, &nothing).0, Zone::Outside);
}

const NAMES: [(Kind, &str); 5] = [
    (Kind::Host, "db1"),
    (Kind::Host, HERE),
    (Kind::Context, "prod"),
    (Kind::Database, "orders"),
    (Kind::Path, "/backups/x"),
];

fn any_effects(range: std::ops::Range<usize>) -> impl Strategy<Value = Effects> {
    prop::collection::btree_set(prop::sample::select(&Effect::ALL[..]), range)
}

fn any_environments() -> impl Strategy<Value = BTreeSet<Environment>> {
    prop::collection::btree_set(prop::sample::select(&Environment::ALL[..]), 0..3)
}

fn any_names() -> impl Strategy<Value = Names> {
    prop::collection::vec(prop::sample::select(&NAMES[..]), 0..3).prop_map(|all| {
        let mut names = Names::new();
        for (kind, name) in all {
            names.entry(kind).or_default().insert(name.to_owned());
        }
        names
    })
}

fn any_rule() -> impl Strategy<Value = Rule> {
    (
        prop::sample::select(&[Zone::Inside, Zone::At, Zone::Outside][..]),
        any_effects(0..4),
        any_environments(),
        any_names(),
        prop::option::of((0_u64..4, prop::bool::ANY)),
        prop::option::of(prop::sample::select(&["00:00-06:00 Z", "Sat 00:00-24:00 Z"][..])),
        prop::bool::weighted(0.2),
    )
        .prop_map(
            |(zone, effects, environments, targets, amount, hours, freeze)| Rule {
                id: "r".into(),
                zone,
                effects,
                environments,
                targets,
                amount: amount.map(|(n, rows)| Amount {
                    rows: rows.then_some(n),
                    objects: (!rows).then_some(n),
                }),
                hours: hours.map(|h| h.parse().unwrap()),
                freeze: (freeze && zone != Zone::Inside).then_some(Period {
                    from_ms: 0,
                    until_ms: i64::MAX,
                }),
                reason: "r".into(),
                owner: "o".into(),
            },
        )
}

fn any_act() -> impl Strategy<Value = Resolved> {
    (
        prop::option::weighted(0.8, any_effects(0..3)),
        any_effects(0..3),
        prop::collection::btree_set(
            (prop::sample::select(&NAMES[..]), prop::bool::weighted(0.9)).prop_map(|((kind, name), said)| {
                Reach {
                    kind,
                    name: said.then(|| name.to_owned()),
                }
            }),
            0..3,
        ),
        prop::option::of(prop::sample::select(&Environment::ALL[..])),
        (prop::option::of(0_u64..5), prop::option::of(0_u64..5)),
        (prop::bool::ANY, prop::bool::ANY, prop::bool::ANY),
    )
        .prop_map(
            |(declared, seen, reaches, environment, (rows, objects), (backup, tested, undo))| Resolved {
                declared,
                seen: seen
                    .into_iter()
                    .map(|effect| Seen {
                        effect,
                        text: "w".into(),
                        rule: "s".into(),
                    })
                    .collect(),
                scope: Scope {
                    reaches,
                    environment,
                    rows,
                    objects,
                },
                backup: backup.then(verified),
                rollback_tested: tested.then(|| "2026-11-20".into()),
                undo: if undo {
                    ResolvedUndo::By(vec!["/u".into()])
                } else {
                    ResolvedUndo::Unsaid
                },
                targets: BTreeMap::from([("host".into(), "bastion1".into())]),
                ..plain("x")
            },
        )
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let map = prop::collection::btree_map(prop::sample::select(&Environment::ALL[..]), any_names(), 0..3);
    (map, prop::collection::vec(any_rule(), 0..3), any_effects(0..6)).prop_map(
        |(environments, rules, inside)| {
            let mut policy = plain_policy();
            policy.inside = inside;
            policy.at = policy.at.difference(&policy.inside).copied().collect();
            Policy {
                environments,
                rules,
                ..policy
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn adding_a_rule_a_map_or_an_approval_lowers_a_zone_only_in_the_two_documented_ways(
        policy in any_policy(),
        act in any_act(),
        rule in any_rule(),
        place in 0_usize..4,
        approved in any_effects(1..3),
        other in any_policy(),
    ) {
        let zone = |policy: &Policy, act: &Resolved| zone_of(policy, act, NOW);
        let (before, because) = zone(&policy, &act);

        // A map where there was none: what an act is aimed at may become a reason, never an excuse.
        let mut blank = policy.clone();
        blank.environments.clear();
        blank.rules.retain(|r| r.zone == Zone::Inside || r.environments.is_empty());
        let mut mapped = blank.clone();
        mapped.environments.clone_from(&policy.environments);
        mapped.rules.retain(|r| r.zone != Zone::Inside);
        blank.rules.clone_from(&mapped.rules);
        prop_assert!(zone(&mapped, &act).0 >= zone(&blank, &act).0);

        // One rule more, anywhere among the others.
        let mut more = policy.clone();
        more.rules.insert(place.min(more.rules.len()), rule.clone());
        let (after, reasons) = zone(&more, &act);
        if rule.zone != Zone::Inside {
            prop_assert!(after >= before, "{rule:?}");
        }
        if after < before {
            for old in because.iter().filter(|b| b.zone > after) {
                prop_assert!(rule.effects.contains(&old.effect), "{old:?} by {rule:?}");
                let never = [Effect::Unknown, Effect::OneWay, Effect::BulkData];
                prop_assert!(!never.contains(&old.effect));
                prop_assert!(old.rule != "environments.unmapped");
                prop_assert!(reasons.iter().any(|r| r.effect == old.effect && r.rule == "rules.r" && r.zone == Zone::Inside));
            }
        }

        // An approval: only `unknown` goes, and what is declared with it counts.
        let word = Approved {
            by: String::new(),
            made: String::new(),
            until: String::new(),
            effects: approved.clone(),
            sha256: String::new(),
        };
        let with = Resolved { approved: Some(word), ..act.clone() };
        if !act.effects().contains(&Effect::Unknown) {
            prop_assert!(zone(&policy, &with).0 >= before);
        }
        let without: Effects = act.effects().into_iter().filter(|e| *e != Effect::Unknown && *e != Effect::Read).collect();
        prop_assert!(with.effects().is_superset(&without));

        // Found and trusted together: no act stands better than under either.
        let both = stricter(&more, &other);
        prop_assert!(zone(&both, &act).0 >= after.max(zone(&other, &act).0));
        prop_assert_eq!(zone(&stricter(&policy, &policy), &act).0, before);

        // The order of rules is no rule.
        let mut turned = more.clone();
        turned.rules.reverse();
        prop_assert_eq!(zone(&turned, &act).0, after);
    }
}
