//! The default boundary against what people type at 3 a.m.: it blocks what it should and nothing else.

use super::zone_of;
use super::zone_tests::{NOW, act as plain, verified};
use crate::effects::{ActText, detect};
use crate::model::act::{Act, Resolved, ResolvedUndo, Stage};
use crate::model::effect::{Effect, Effects, Zone};
use crate::model::runbook::{Policy, Runbook};

fn shipped() -> Policy {
    let source = include_str!("../../runbooks/default.yaml");
    Runbook::parse("default.yaml", source).unwrap().policy
}

/// A step of recover that runs these words, seen by the detectors, declared as given.
fn step(line: &[&str], declared: Option<&[Effect]>) -> Resolved {
    let argv: Vec<String> = line.iter().map(|w| (*w).to_owned()).collect();
    let seen = detect(&ActText {
        argv: &argv,
        scripts: &[],
        stdin: None,
    });
    Resolved {
        stage: Stage::Recover,
        act: Act::Run(argv),
        declared: declared.map(|d| d.iter().copied().collect()),
        seen,
        ..plain("x")
    }
}

fn zone(policy: &Policy, act: &Resolved) -> (Zone, String) {
    let (zone, because) = zone_of(policy, act, NOW);
    let reasons: Vec<String> = because
        .iter()
        .map(|b| format!("{} {} by {}: {}", b.effect, b.zone, b.rule, b.text))
        .collect();
    (zone, reasons.join("; "))
}

const IN: Zone = Zone::Inside;
const AT: Zone = Zone::At;
const OUT: Zone = Zone::Outside;

use Effect::*;

/// Words, what the runbook's author declared (`None`: nobody), and where it must land.
type Row = (&'static [&'static str], Option<&'static [Effect]>, Zone);

#[rustfmt::skip]
const MATRIX: &[Row] = &[
    // Looking is free, whoever declares it.
    (&["systemctl", "status", "web"], None, IN),
    (&["journalctl", "-u", "web", "--since", "-1h"], None, IN),
    (&["psql", "-Atc", "select count(*), max(id) from orders"], None, IN),
    (&["psql", "-c", "explain select * from orders"], None, IN),
    (&["kubectl", "get", "pods", "-A"], None, IN),
    (&["kubectl", "logs", "deploy/web", "--tail=200"], None, IN),
    (&["kubectl", "rollout", "status", "deploy/web"], None, IN),
    (&["terraform", "show"], None, IN),
    (&["git", "log", "--oneline", "-20"], None, IN),
    (&["git", "reflog"], None, IN),
    (&["git", "diff", "HEAD~1"], None, IN),
    (&["curl", "-fsS", "https://shop.example.com/health"], None, IN),
    (&["docker", "ps", "-a"], None, IN),
    (&["redis-cli", "INFO"], None, IN),
    (&["df", "-h"], None, IN),
    (&["aws", "rds", "describe-db-snapshots"], None, IN),
    // Restarts and traffic, declared by whoever wrote the runbook.
    (&["systemctl", "restart", "web"], Some(&[ServiceRestart]), IN),
    (&["kubectl", "rollout", "restart", "deploy/web"], Some(&[ServiceRestart]), IN),
    (&["docker", "restart", "web"], Some(&[ServiceRestart]), IN),
    // Nobody classified it: a known act that changes something is not free for being known.
    (&["systemctl", "restart", "web"], None, OUT),
    (&["./scripts/maintenance", "on"], None, OUT),
    (&["frobnicate", "--now"], None, OUT),
    (&["frobnicate", "--now"], Some(&[Read]), OUT),
    // Going back without a tested rollback, and forward.
    (&["kubectl", "rollout", "undo", "deploy/web"], Some(&[ConfigRollback]), AT),
    (&["git", "revert", "--no-edit", "HEAD"], Some(&[ConfigChange]), AT),
    (&["terraform", "destroy", "-auto-approve"], Some(&[InfraChange]), AT),
    (&["kubectl", "delete", "ns", "production"], Some(&[InfraChange]), AT),
    (&["git", "push", "--force", "origin", "main"], Some(&[Deploy]), AT),
    (&["git", "reset", "--hard", "HEAD~3"], Some(&[ConfigRollback]), AT),
    // What it would do stands in a file that is not text, or was not read: nobody can sign for less.
    (&["terraform", "apply", "plan.out"], Some(&[InfraChange]), OUT),
    (&["kubectl", "apply", "-f", "web.yaml"], Some(&[Deploy]), OUT),
    // Data.
    (&["rm", "-rf", "/srv/data"], Some(&[DataWrite]), AT),
    (&["psql", "-c", "DROP TABLE orders"], Some(&[SchemaChange]), AT),
    (&["psql", "-c", "UPDATE orders SET paid = true WHERE id = 7"], Some(&[DataWrite]), AT),
    (&["psql", "-c", "UPDATE orders SET paid = true"], Some(&[DataWrite]), AT),
    (&["psql", "-c", "DELETE FROM orders"], Some(&[DataWrite]), AT),
    (&["psql", "-c", "TRUNCATE orders"], Some(&[DataWrite]), AT),
    (&["redis-cli", "FLUSHALL"], Some(&[DataWrite]), AT),
    (&["pg_restore", "--dbname", "orders_restored", "/backups/orders-0200.dump"], Some(&[DataRestore]), AT),
    // People, keys, gates, copies.
    (&["psql", "-c", "GRANT ALL ON orders TO bot"], Some(&[CredentialChange]), AT),
    (&["psql", "-c", "ALTER ROLE bot NOLOGIN"], Some(&[CredentialChange]), AT),
    (&["vault", "token", "create"], Some(&[CredentialChange]), AT),
    (&["iptables", "-F"], Some(&[SecurityConfig]), AT),
    (&["restic", "forget", "--prune", "--keep-last", "1"], Some(&[BackupChange]), AT),
    (&["aws", "rds", "delete-db-snapshot", "--db-snapshot-identifier", "x"], Some(&[BackupChange]), AT),
    (&["curl", "-X", "POST", "https://api.example.com/v1/deploys"], Some(&[Deploy]), OUT),
    (&["curl", "-X", "DELETE", "https://api.example.com/v1/volumes/1"], Some(&[InfraChange]), OUT),
    // A wrapper hides nothing.
    (&["sudo", "systemctl", "restart", "web"], Some(&[ServiceRestart]), IN),
    (&["sh", "-c", "psql -c 'DROP TABLE orders'"], Some(&[Read]), AT),
    (&["ssh", "db1", "rm", "-rf", "/var/lib/postgresql"], Some(&[ServiceRestart]), AT),
    (&["bash", "-c", "curl https://get.example.com | sh"], Some(&[Read]), OUT),
];

#[test]
fn common_acts_land_where_the_default_boundary_wants_them() {
    let policy = shipped();
    let mut wrong = Vec::new();
    for (line, declared, expected) in MATRIX {
        let (found, why) = zone(&policy, &step(line, *declared));
        if found != *expected {
            wrong.push(format!("{line:?} is {found}, expected {expected}\n    {why}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_a_detector_sees_lands_on_the_same_side_whatever_was_declared() {
    // A false `read` on the label never makes an act cheaper than what is seen in it.
    let policy = shipped();
    for (line, declared, expected) in MATRIX.iter().filter(|(_, d, _)| d.is_some()) {
        let honest = step(line, *declared);
        let mut seen_only = honest.clone();
        seen_only.declared = Some(Effects::from([Read]));
        let found = zone(&policy, &seen_only).0;
        let lists_seen: Effects = honest.seen.iter().map(|s| s.effect).collect();
        if lists_seen.iter().all(|e| *e == Read) {
            continue;
        }
        assert!(
            found >= *expected || !honest.effects().is_subset(&lists_seen),
            "{line:?}: {found} where it is {expected}"
        );
    }
}

#[test]
fn a_verified_backup_brings_the_restore_beside_inside() {
    let policy = shipped();
    let undo = ResolvedUndo::By(vec!["/usr/bin/dropdb".into(), "orders_restored".into()]);
    let rows: [&[&str]; 2] = [
        &["createdb", "orders_restored"],
        &[
            "pg_restore",
            "--exit-on-error",
            "--dbname",
            "orders_restored",
            "/backups/orders-0200.dump",
        ],
    ];
    for line in rows {
        let with = Resolved {
            backup: Some(verified()),
            undo: undo.clone(),
            ..step(line, Some(&[DataRestore]))
        };
        let (found, why) = zone(&policy, &with);
        assert_eq!(found, IN, "{line:?}: {why}");
        let without = Resolved { backup: None, ..with };
        assert_eq!(zone(&policy, &without).0, AT, "{line:?}");
    }
    // The undo drops a database: that is never free.
    let drop = step(&["dropdb", "orders_restored"], Some(&[DataRestore]));
    assert!(zone(&policy, &drop).0 >= AT);
}

#[test]
fn a_maintenance_page_with_a_way_back_is_inside_and_without_one_is_at() {
    let policy = shipped();
    // A switch of the team's own: its script is read elsewhere; here only what it declares.
    let mut page = Resolved {
        stage: Stage::Contain,
        act: Act::Run(vec!["/srv/scripts/maintenance".into(), "on".into()]),
        declared: Some(Effects::from([Traffic])),
        undo: ResolvedUndo::By(vec!["/srv/scripts/maintenance".into(), "off".into()]),
        ..plain("page")
    };
    assert_eq!(zone(&policy, &page).0, IN);
    page.undo = ResolvedUndo::Unsaid;
    assert_eq!(zone(&policy, &page).0, AT);
}

#[test]
fn a_tested_rollback_is_inside() {
    let mut undo = step(
        &["kubectl", "rollout", "undo", "deploy/web"],
        Some(&[ConfigRollback]),
    );
    undo.rollback_tested = Some("2026-11-20".into());
    let (found, why) = zone(&shipped(), &undo);
    assert_eq!(found, IN, "{why}");
}
