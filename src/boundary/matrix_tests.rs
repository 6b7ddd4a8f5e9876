//! The default boundary against what people type at 3 a.m.: it blocks what it should and nothing else.

use super::zone_of;
use super::zone_tests::{NOW, act as plain, verified};
use crate::effects::{ActText, detect};
use crate::model::act::{Act, Resolved, ResolvedUndo, Stage};
use crate::model::effect::{Effect, Effects, Zone};
use crate::model::examples::{Example, With};
use crate::model::runbook::{Policy, Runbook};

fn shipped() -> Policy {
    let source = include_str!("../../runbooks/default.yaml");
    Runbook::parse("default.yaml", source).unwrap().policy
}

/// The one list of examples: the file that `incident init` writes, and that `incident boundary test` judges.
fn examples() -> Vec<Example> {
    let source = include_str!("../../runbooks/init/boundary-tests.yaml");
    Example::parse("boundary-tests.yaml", source).unwrap()
}

/// An example as a step, seen by the detectors, declared as it says.
fn step(example: &Example) -> Resolved {
    let argv = example.argv.clone();
    let seen = detect(&ActText {
        argv: &argv,
        scripts: &[],
        stdin: None,
    });
    let with = |what| example.with.contains(&what);
    Resolved {
        stage: example.stage,
        undo: match with(With::Undo) {
            true => ResolvedUndo::By(argv.clone()),
            false => ResolvedUndo::Unsaid,
        },
        act: Act::Run(argv),
        declared: example.effects.clone(),
        seen,
        backup: with(With::VerifiedBackup).then(verified),
        rollback_tested: with(With::TestedRollback).then(|| "2026-11-20".into()),
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

#[test]
fn common_acts_land_where_the_default_boundary_wants_them() {
    let policy = shipped();
    let mut wrong = Vec::new();
    let examples = examples();
    for zone in [IN, AT, OUT] {
        assert!(examples.iter().filter(|e| e.zone == zone).count() > 5, "{zone}");
    }
    for example in &examples {
        let (found, why) = zone(&policy, &step(example));
        if found != example.zone {
            let (line, expected) = (&example.argv, example.zone);
            wrong.push(format!("{line:?} is {found}, expected {expected}\n    {why}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_a_detector_sees_lands_on_the_same_side_whatever_was_declared() {
    // A false `read` on the label never makes an act cheaper than what is seen in it.
    let policy = shipped();
    for example in examples().iter().filter(|e| e.effects.is_some()) {
        let honest = step(example);
        let mut seen_only = honest.clone();
        seen_only.declared = Some(Effects::from([Effect::Read]));
        let found = zone(&policy, &seen_only).0;
        let lists_seen: Effects = honest.seen.iter().map(|s| s.effect).collect();
        if lists_seen.iter().all(|e| *e == Effect::Read) {
            continue;
        }
        assert!(
            found >= example.zone || !honest.effects().is_subset(&lists_seen),
            "{:?}: {found} where it is {}",
            example.argv,
            example.zone
        );
    }
}

#[test]
fn a_maintenance_page_with_a_way_back_is_inside_and_without_one_is_at() {
    let policy = shipped();
    // A switch of the team's own: its script is read elsewhere; here only what it declares.
    let mut page = Resolved {
        stage: Stage::Contain,
        act: Act::Run(vec!["/srv/scripts/maintenance".into(), "on".into()]),
        declared: Some(Effects::from([Effect::Traffic])),
        undo: ResolvedUndo::By(vec!["/srv/scripts/maintenance".into(), "off".into()]),
        ..plain("page")
    };
    assert_eq!(zone(&policy, &page).0, IN);
    page.undo = ResolvedUndo::Unsaid;
    assert_eq!(zone(&policy, &page).0, AT);
}
