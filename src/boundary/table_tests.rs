//! The boundary as a table agrees with the boundary that decides; rules that never decide are named, and no others.

use std::collections::BTreeSet;

use super::zone_tests::{NOW, act};
use super::{Row, idle, matrix, unlisted, unmet, zone_of};
use crate::model::act::{Act, ResolvedUndo};
use crate::model::effect::{Effect, Effects, Zone};
use crate::model::runbook::{Need, Policy, Runbook};

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
        "environments: {{production: {{hosts: [db1]}}, dev: {{hosts: [d1]}}}}\nrules:\n{}",
        rules.concat()
    ))
}

#[test]
fn without_rules_the_table_is_what_decides() {
    let policy = policy("");
    let rows = matrix(&policy);
    assert_eq!(rows.len(), Effect::ALL.len());
    for Row {
        effect,
        zone,
        rule,
        only,
        ..
    } in rows
    {
        let mut one = act("x");
        one.act = Act::Run(vec!["/bin/x".into()]);
        one.declared = Some(Effects::from([effect]));
        one.undo = ResolvedUndo::By(vec!["/bin/y".into()]);
        let (found, because) = zone_of(&policy, &one, NOW);
        if only.is_none() {
            assert_eq!(zone, found, "{effect}: {because:?}");
        }
        assert_eq!(
            rule == "boundary.neither",
            unlisted(&policy).contains(&effect),
            "{effect}"
        );
    }
    assert!(unlisted(&policy).contains(&Effect::BackupChange));
    assert!(!unlisted(&policy).contains(&Effect::Unknown));
}

#[test]
fn each_rule_stands_in_the_rows_it_is_about() {
    let policy = rules(&[
        "id: friday, zone: outside, effects: [schema-change], environments: [production], hours: 'Fri 12:00-24:00 Z'",
        "id: big, zone: at, effects: [traffic], more-than: {objects: 3}",
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
        [("big".into(), "more than 3 objects".into()), freeze]
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
        assert!(told.contains(words), "{list:?}: {told}");
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
    ] {
        assert_eq!(why(list), "", "{list:?}");
    }
    let no_map = policy(
        "rules:\n  - {id: a, zone: inside, effects: [deploy], environments: [dev], reason: r, owner: ana@example.com}\n",
    );
    assert!(idle(&no_map, 0)[0].1.contains("nobody drew a map"));
}

#[test]
fn a_rule_that_is_named_changes_no_zone() {
    let list = [
        "id: a, zone: at, effects: [traffic], environments: [production]",
        "id: b, zone: outside, effects: [traffic, deploy]",
        "id: c, zone: at, effects: [backup-change]",
        "id: d, zone: inside, effects: [deploy], environments: [dev]",
    ];
    let with = rules(&list);
    let named: BTreeSet<String> = idle(&with, NOW.utc_ms).into_iter().map(|(id, _)| id).collect();
    assert_eq!(named, BTreeSet::from(["a".to_owned(), "c".to_owned()]));
    let mut without = with.clone();
    without.rules.retain(|r| !named.contains(&r.id));
    for effect in Effect::ALL {
        for environment in crate::model::reach::Environment::ALL {
            let mut one = act("x");
            one.declared = Some(Effects::from([effect]));
            one.scope.environment = Some(environment);
            let zone = |policy: &Policy| zone_of(policy, &one, NOW).0;
            assert_eq!(zone(&with), zone(&without), "{effect} in {environment}");
        }
    }
}

#[test]
fn hours_without_a_quorum_are_told_and_only_those() {
    let people = "people:\n  ana@example.com: {hours: 'Mon-Fri 08:00-20:00 Z'}\n  ben@example.com: {hours: 'Mon-Sun 18:00-06:00 Z'}\n  \
                  kim@vendor.example: {roles: [dba], hours: '00:00-24:00 Z'}\n";
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
    assert_eq!(two[0], (6 * hour, 8 * hour), "Monday 06:00 to 08:00: only kim");
    assert_eq!(
        two.last(),
        Some(&((6 * 24 + 6) * hour, (6 * 24 + 18) * hour)),
        "Sunday by day"
    );
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
    let alone = stretches(&Need::of(1), &night, false);
    assert_eq!(alone.last(), Some(&((4 * 24 + 20) * hour, 8 * hour)));
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
