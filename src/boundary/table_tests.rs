//! The boundary as a table agrees with the boundary that decides; rules that never decide are named, and no others.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_assert_eq};
use proptest::sample::{select, subsequence};

use super::policy_tests::{aimed, reach};
use super::zone_tests::{NOW, act, renewal, verified};
use super::{idle, matrix, unlisted, unmet, zone_of};
use crate::model::act::{Resolved, ResolvedUndo};
use crate::model::effect::{Effect, Effects, Zone};
use crate::model::reach::{Environment, Kind, Names, Reach};
use crate::model::runbook::{Amount, Need, Period, Policy, Rule, Runbook};
use crate::model::time::Moment;

const HEAD: &str = "version: 1\npeople: {ana@example.com: {}}\nboundary:\n  inside: [read, protect, service-restart, traffic]\n  \
                    at: [deploy, config-change, data-write, schema-change, one-way]\nstages: {}\n";

fn policy(rest: &str) -> Policy {
    let read = Runbook::parse("r.yaml", &format!("{HEAD}{rest}"));
    read.map_err(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        .unwrap()
        .policy
}

fn rules(list: &[&str]) -> Policy {
    let rules: Vec<String> = list
        .iter()
        .map(|rule| format!("  - {{{rule}, reason: r, owner: ana@example.com}}\n"))
        .collect();
    policy(&format!(
        "environments: {{production: {{hosts: [db1], databases: [orders]}}, dev: {{hosts: [d1], databases: [other]}}}}\nrules:\n{}",
        rules.concat()
    ))
}

/// An act of one effect, with every proof there can be, or none.
fn doing(effect: Effect, proven: bool) -> Resolved {
    let bare = match effect {
        Effect::CredentialNew if proven => renewal("x"),
        _ => act("x"),
    };
    Resolved {
        declared: Some(Effects::from([effect])),
        undo: ResolvedUndo::By(vec!["/bin/y".into()]),
        backup: proven.then(verified),
        rollback_tested: proven.then(|| "2026-11-20".into()),
        ..bare
    }
}

#[test]
fn without_rules_the_table_is_what_decides() {
    for effect in Effect::ALL {
        for list in ["inside", "at", "neither"] {
            let mut policy = policy("");
            policy.at.insert(Effect::CredentialChange);
            policy.at.remove(&effect);
            policy.inside.remove(&effect);
            match list {
                "inside" => policy.inside.insert(effect),
                "at" => policy.at.insert(effect),
                _ => false,
            };
            let row = matrix(&policy).into_iter().find(|r| r.effect == effect).unwrap();
            let zone = |proven| zone_of(&policy, &doing(effect, proven), NOW).0;
            let bare = if row.only.is_some() { Zone::At } else { row.zone };
            assert_eq!((zone(false), zone(true)), (bare, row.zone), "{effect} in {list}");
            let rule = match effect {
                Effect::Read => "boundary.reads-are-free".to_owned(),
                Effect::Unknown => "boundary.not-understood".to_owned(),
                Effect::CredentialNew if list == "neither" => "boundary.at".to_owned(),
                _ => format!("boundary.{list}"),
            };
            assert_eq!(row.rule, rule, "{effect} in {list}");
            let forgotten = rule == "boundary.neither";
            assert_eq!(
                unlisted(&policy).contains(&effect),
                forgotten,
                "{effect} in {list}"
            );
        }
    }
    assert_eq!(matrix(&policy("")).len(), Effect::ALL.len());
}

#[test]
fn each_rule_stands_in_the_rows_it_is_about() {
    let policy = rules(&[
        "id: friday, zone: outside, effects: [schema-change], environments: [production], hours: 'Fri 12:00-24:00 Z'",
        "id: big, zone: at, effects: [traffic], targets: {hosts: [db1, db2]}, more-than: {objects: 3}",
        "id: freeze, zone: outside, freeze: {from: 2026-12-20T00:00:00Z, until: 2027-01-02T00:00:00Z}",
    ]);
    let of = |effect: Effect| -> Vec<(String, String)> {
        let row = matrix(&policy).into_iter().find(|r| r.effect == effect).unwrap();
        row.rules.into_iter().map(|r| (r.id, r.when)).collect()
    };
    let freeze = (
        "freeze".into(),
        "2026-12-20T00:00:00.000Z to 2027-01-02T00:00:00.000Z".into(),
    );
    assert_eq!(
        of(Effect::SchemaChange),
        [
            ("friday".into(), "production, Fri 12:00-24:00 Z".into()),
            freeze.clone()
        ]
    );
    assert_eq!(
        of(Effect::Traffic),
        [
            ("big".into(), "host db1 or db2, more than 3 objects".into()),
            freeze
        ]
    );
    assert!(of(Effect::Read).is_empty() && of(Effect::Protect).is_empty() && of(Effect::Unknown).is_empty());
}

#[test]
fn a_rule_that_never_decides_is_named_with_the_reason() {
    let why = |list: &[&str]| {
        let all = idle(&rules(list), NOW.utc_ms);
        all.into_iter()
            .map(|(id, why)| format!("{id}: {why}"))
            .collect::<Vec<_>>()
            .join("; ")
    };
    for (list, words) in [
        (
            &[
                "id: a, zone: at, effects: [traffic], environments: [production]",
                "id: b, zone: outside, effects: [traffic, deploy]",
            ][..],
            "a: `b` holds wherever it does",
        ),
        (
            &[
                "id: a, zone: at, effects: [traffic]",
                "id: b, zone: at, effects: [traffic]",
            ],
            "a: `b` holds",
        ),
        (
            &[
                "id: a, zone: at, effects: [traffic], freeze: {from: 2020-01-01T00:00:00Z, until: 2026-11-20T03:14:00Z}",
            ],
            "a: its freeze is over",
        ),
        (
            &[
                "id: a, zone: outside, effects: [data-write], more-than: {rows: 9}",
                "id: b, zone: outside, effects: [data-write], more-than: {rows: 5}",
            ],
            "a: `b`",
        ),
        (
            &["id: a, zone: at, effects: [backup-change]"],
            "a: what it puts at the boundary is outside it already",
        ),
        (&["id: a, zone: outside, effects: [read]"], "a: looking is free"),
        // What is brought inside beside it is none of its business, or barred all the same.
        (
            &[
                "id: a, zone: at, effects: [backup-change]",
                "id: b, zone: inside, effects: [deploy], environments: [dev]",
            ],
            "a: what it puts at the boundary is outside it already",
        ),
        (
            &[
                "id: a, zone: at, effects: [deploy], environments: [production]",
                "id: b, zone: outside, effects: [deploy], environments: [production]",
                "id: c, zone: inside, effects: [deploy], environments: [dev]",
            ],
            "a: `b` holds",
        ),
        (
            &[
                "id: a, zone: at, effects: [traffic], freeze: {from: 2020-01-01T00:00:00Z, until: 2020-02-01T00:00:00Z}",
            ],
            "a: its freeze is over",
        ),
        (
            &["id: a, zone: inside, effects: [traffic], environments: [dev]"],
            "a: what it brings inside is inside already",
        ),
        (
            &[
                "id: a, zone: inside, effects: [deploy], environments: [dev]",
                "id: b, zone: at, effects: [deploy], environments: [dev]",
            ],
            "a: `b` holds wherever it does, and it is no exception to that",
        ),
    ] {
        let told = why(list);
        assert!(
            told.starts_with(words) && !told.contains("; "),
            "{list:?}: {told}"
        );
    }
    for list in [
        &["id: a, zone: outside, effects: [traffic]"][..],
        &[
            "id: a, zone: outside, effects: [traffic], environments: [production]",
            "id: b, zone: at, effects: [traffic]",
        ],
        &["id: a, zone: inside, effects: [deploy], environments: [dev]"],
        &[
            "id: a, zone: inside, effects: [deploy], environments: [dev]",
            "id: b, zone: outside, effects: [deploy]",
        ],
        &[
            "id: a, zone: at, effects: [traffic], hours: 'Mon 00:00-12:00 Z'",
            "id: b, zone: outside, effects: [traffic], hours: 'Mon 06:00-12:00 Z'",
        ],
        &[
            "id: a, zone: outside, effects: [data-write], more-than: {rows: 5}",
            "id: b, zone: outside, effects: [data-write], more-than: {rows: 9, objects: 2}",
        ],
        &["id: a, zone: at, effects: [deploy]"],
        &["id: a, zone: outside, effects: [read, traffic]"],
        // It bars what is no exception to it, also where it raises nothing.
        &[
            "id: a, zone: at, effects: [backup-change], environments: [production]",
            "id: b, zone: inside, effects: [backup-change], targets: {databases: [orders]}",
        ],
        &[
            "id: a, zone: at, environments: [production]",
            "id: b, zone: outside",
            "id: c, zone: inside, effects: [deploy], targets: {databases: [orders]}",
        ],
        &[
            "id: a, zone: at, effects: [deploy], environments: [production]",
            "id: b, zone: outside, effects: [deploy]",
            "id: c, zone: inside, effects: [deploy], targets: {databases: [orders]}",
        ],
        &["id: a, zone: at, effects: [traffic, backup-change]"],
        &["id: a, zone: inside, effects: [traffic, deploy], environments: [dev]"],
        &[
            "id: a, zone: at, effects: [traffic], freeze: {from: 2026-12-20T00:00:00Z, until: 2027-01-02T00:00:00Z}",
        ],
    ] {
        assert_eq!(why(list), "", "{list:?}");
    }
    let no_map = policy(
        "rules:\n  - {id: a, zone: inside, effects: [deploy], environments: [dev], reason: r, owner: ana@example.com}\n",
    );
    assert!(idle(&no_map, 0)[0].1.contains("nobody drew a map"));
}

/// One of these, or nothing.
fn perhaps<T: Clone + std::fmt::Debug + 'static>(all: &[T]) -> impl Strategy<Value = Option<T>> + use<T> {
    let all: Vec<Option<T>> = all.iter().cloned().map(Some).chain([None]).collect();
    select(all)
}

const MINUTE: i64 = 60_000;

/// A rule that a runbook may hold.
fn rule() -> impl Strategy<Value = Rule> {
    let effects = [
        Effect::Read,
        Effect::Traffic,
        Effect::Deploy,
        Effect::BackupChange,
    ];
    let period = |from, until| Period {
        from_ms: NOW.utc_ms + from * MINUTE,
        until_ms: NOW.utc_ms + until * MINUTE,
    };
    let freezes = [period(-60, 0), period(-60, 1), period(-60, 60), period(30, 60)];
    (
        select(vec![Zone::Inside, Zone::At, Zone::Outside]),
        subsequence(effects.to_vec(), 0..3),
        subsequence(vec![Environment::Production, Environment::Dev], 0..2),
        perhaps(&["orders", "ord*", "other"]),
        perhaps(&[5, 9]),
        perhaps(&["Fri 00:00-12:00 Z", "Fri 03:00-04:00 Z"]),
        perhaps(&freezes),
    )
        .prop_map(|(zone, effects, environments, name, rows, hours, freeze)| Rule {
            id: String::new(),
            zone,
            effects: effects.into_iter().collect(),
            environments: environments.into_iter().collect(),
            targets: name.map_or(Names::new(), |n| {
                Names::from([(Kind::Database, BTreeSet::from([n.to_owned()]))])
            }),
            amount: rows.map(|n| Amount {
                rows: Some(n),
                objects: None,
            }),
            hours: hours.map(|h| h.parse().unwrap()),
            freeze,
            reason: "r".into(),
            owner: "ana@example.com".into(),
        })
        .prop_filter("a rule inside is narrow, and no freeze", |r| {
            r.zone != Zone::Inside || !r.effects.is_empty() && r.freeze.is_none()
        })
}

/// Acts of one effect at some moments, wherever one of these rules could matter.
fn situations() -> Vec<(Resolved, Moment)> {
    let mut all = Vec::new();
    for effect in [
        Effect::Read,
        Effect::Traffic,
        Effect::Deploy,
        Effect::BackupChange,
    ] {
        for environment in [Environment::Production, Environment::Dev] {
            for names in [&[][..], &["orders"], &["other"], &["orders", "other"]] {
                for rows in [None, Some(5), Some(7), Some(10)] {
                    for minutes in [0, 40, 180, 24 * 60] {
                        let names: Vec<Reach> = names.iter().map(|n| reach(Kind::Database, n)).collect();
                        let mut one = aimed(&[effect], &names);
                        one.undo = ResolvedUndo::By(vec!["/bin/y".into()]);
                        (one.scope.environment, one.scope.rows) = (Some(environment), rows);
                        all.push((
                            one,
                            Moment {
                                utc_ms: NOW.utc_ms + minutes * MINUTE,
                                mono_us: 0,
                            },
                        ));
                    }
                }
            }
        }
    }
    all
}

proptest::proptest! {
    /// Whoever takes out a rule that is named as idle must find every act where it was.
    #[test]
    fn a_rule_that_is_named_changes_no_zone(made in vec(rule(), 1..4), mapped in any::<bool>()) {
        let mut with = rules(&[]);
        if !mapped {
            with.environments.clear();
        }
        with.rules = made;
        for (n, rule) in with.rules.iter_mut().enumerate() {
            rule.id = n.to_string();
        }
        for (id, why) in idle(&with, NOW.utc_ms) {
            let mut without = with.clone();
            without.rules.retain(|r| r.id != id);
            for (one, now) in situations() {
                let zone = |policy: &Policy| zone_of(policy, &one, now).0;
                prop_assert_eq!(zone(&with), zone(&without), "{}: {}: {:?}", id, why, one.scope);
            }
        }
    }
}

#[test]
fn hours_without_a_quorum_are_told_and_only_those() {
    let people = "people:\n  ana@example.com: {hours: 'Mon-Fri 08:00-20:00 Z'}\n  ben@example.com: {hours: 'Mon-Sun 18:00-06:00 Z'}\n  \
                  kim@vendor.example: {roles: [dba]}\n";
    let text = HEAD.replace("people: {ana@example.com: {}}\n", people);
    let policy = Runbook::parse("r.yaml", &text).unwrap().policy;
    let all: BTreeSet<String> = policy.people.keys().cloned().collect();
    let stretches = |need: &Need, signers: &BTreeSet<String>, acting| -> Vec<(i64, i64)> {
        unmet(&policy, need, signers, acting)
            .iter()
            .map(|s| (s.from, s.until))
            .collect()
    };
    let hour = 60;
    assert!(stretches(&Need::of(1), &all, false).is_empty());
    let two = stretches(&Need::of(2), &all, false);
    // Mornings before 08:00, with only Kim there, and the weekend by day.
    let early = (0..5).map(|day| (day * 24 + 6, day * 24 + 8));
    let weekend = (5..7).map(|day| (day * 24 + 6, day * 24 + 18));
    let alone: Vec<(i64, i64)> = early.chain(weekend).map(|(a, b)| (a * hour, b * hour)).collect();
    assert_eq!(two, alone);
    // Whoever acts does not count.
    assert!(stretches(&Need::of(1), &all, true).contains(&(6 * hour, 8 * hour)));
    // Nobody has a key: never, and that is one stretch.
    assert_eq!(
        stretches(&Need::of(1), &BTreeSet::new(), false),
        [(0, 7 * 24 * hour)]
    );
    let dba = Need {
        roles: BTreeSet::from(["dba".to_owned()]),
        ..Need::of(1)
    };
    let others: BTreeSet<String> = all.iter().filter(|w| !w.starts_with("kim")).cloned().collect();
    assert!(stretches(&dba, &all, false).is_empty());
    assert_eq!(stretches(&dba, &others, false), [(0, 7 * 24 * hour)]);
    // Over Sunday midnight it is one stretch.
    let night: BTreeSet<String> = BTreeSet::from(["ana@example.com".to_owned()]);
    let nights = (0..4).map(|day| (day * 24 + 20, day * 24 + 32));
    let nights = nights
        .chain([(4 * 24 + 20, 8)])
        .map(|(a, b)| (a * hour, b * hour));
    assert_eq!(stretches(&Need::of(1), &night, false), nights.collect::<Vec<_>>());
}

#[test]
fn roles_need_a_person_each_and_of_different_teams_where_that_is_asked() {
    let text = HEAD.replace(
        "people: {ana@example.com: {}}\n",
        "people:\n  ana@example.com: {roles: [dba, security], team: red}\n  ben@example.com: {roles: [dba], team: red}\n  \
         cat@example.com: {roles: [dba], team: blue}\n  dan@example.com: {roles: [dba]}\n",
    );
    let policy = Runbook::parse("r.yaml", &text).unwrap().policy;
    let never = |roles: &[&str], teams_apart, names: &[&str], acting| {
        let need = Need {
            roles: roles.iter().map(|r| (*r).to_owned()).collect(),
            teams_apart,
            ..Need::of(1)
        };
        let signers = names.iter().map(|n| format!("{n}@example.com")).collect();
        !unmet(&policy, &need, &signers, acting).is_empty()
    };
    let both = ["dba", "security"];
    assert!(never(&both, false, &["ana"], false), "one person fills one role");
    assert!(!never(&both, false, &["ana", "ben"], false));
    assert!(never(&both, true, &["ana", "ben"], false), "of one team");
    assert!(!never(&both, true, &["ana", "cat"], false));
    assert!(
        never(&both, true, &["ana", "dan"], false),
        "nobody knows his team"
    );
    assert!(!never(&both, true, &["ana", "ben", "cat"], false));
    // Whoever acts does not count, and it may be the only one with the role.
    assert!(never(&["security"], false, &["ana", "ben"], true));
    assert!(!never(&["dba"], false, &["ana", "ben"], true));
    assert!(never(&["dba"], false, &["ana"], true));
}

#[test]
fn the_shipped_boundary_forgets_nothing() {
    let shipped = Runbook::parse("default.yaml", include_str!("../../runbooks/default.yaml")).unwrap();
    assert_eq!(unlisted(&shipped.policy), []);
    assert!(idle(&shipped.policy, NOW.utc_ms).is_empty());
    assert_eq!(
        matrix(&shipped.policy)
            .iter()
            .filter(|r| r.zone == Zone::Outside)
            .count(),
        1
    );
}
