//! The corpus reckons zones as the shipped boundary does.

use std::collections::BTreeMap;

use incident::boundary::zone_of;
use incident::model::act::{Act, Lane, Resolved, ResolvedUndo, Stage};
use incident::model::effect::{Effect, Effects, Seen};
use incident::model::ids::StepId;
use incident::model::runbook::Runbook;
use incident::model::time::Moment;

#[test]
fn the_corpus_reckons_as_the_shipped_boundary() {
    let policy = Runbook::parse("default.yaml", include_str!("../../../runbooks/default.yaml"))
        .unwrap()
        .policy;
    let now = Moment {
        utc_ms: 0,
        mono_us: 0,
    };
    for effect in Effect::ALL {
        let act = Resolved {
            step: StepId::new("x").unwrap(),
            stage: Stage::Recover,
            lane: Lane::Ordinary,
            title: "x".into(),
            act: Act::Run(vec!["/bin/x".into()]),
            undoes: false,
            cwd: "/".into(),
            env: BTreeMap::new(),
            files: Vec::new(),
            targets: BTreeMap::new(),
            scope: Default::default(),
            approved: None,
            declared: Some(Effects::new()),
            seen: vec![Seen {
                effect,
                text: "x".into(),
                rule: "x".into(),
            }],
            undo: ResolvedUndo::Unsaid,
            backup: None,
            rollback_tested: None,
            verify: None,
            timeout_ms: 1,
            tries: 1,
        };
        assert_eq!(
            zone_of(&policy, &act, now).0,
            super::corpus::zone_of(effect),
            "{effect}"
        );
    }
}
