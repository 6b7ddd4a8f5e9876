//! On which side an act lands, and by which rule.

use std::collections::BTreeMap;

use super::zone_of;
use crate::model::act::{Act, BackupFound, Lane, Manual, Renewal, Resolved, ResolvedUndo, Stage, Sweep};
use crate::model::effect::{Effect, Effects, Seen, Zone};
use crate::model::grant::{Target, Tree, TreeRule};
use crate::model::ids::{StepId, TargetId};
use crate::model::runbook::{Need, Policy, Runbook};
use crate::model::time::Moment;

/// Friday 2026-11-20, 03:14 UTC.
pub(super) const NOW: Moment = Moment {
    utc_ms: 1_795_144_440_000,
    mono_us: 0,
};

/// The boundary of DESIGN 6, without people.
pub(super) fn policy() -> Policy {
    let need = |people| Need::of(people);
    Policy {
        inside: Effects::from([
            Effect::Read,
            Effect::Protect,
            Effect::ServiceRestart,
            Effect::Traffic,
            Effect::DataRestore,
            Effect::ConfigRollback,
        ]),
        at: Effects::from([
            Effect::Deploy,
            Effect::ConfigChange,
            Effect::CredentialChange,
            Effect::SchemaChange,
            Effect::DataWrite,
            Effect::InfraChange,
            Effect::SecurityConfig,
            Effect::BackupChange,
            Effect::OneWay,
        ]),
        need_at: need(1),
        need_outside: need(2),
        lone: None,
        valid_ms: 30 * 60 * 1000,
        people: BTreeMap::new(),
        seal_originals_to: Vec::new(),
        environments: BTreeMap::new(),
        rules: Vec::new(),
        also: None,
    }
}

/// A program that nobody classified and no detector saw anything in.
pub(super) fn act(step: &str) -> Resolved {
    Resolved {
        step: StepId::new(step).unwrap(),
        stage: Stage::Recover,
        lane: Lane::Ordinary,
        title: step.to_owned(),
        act: Act::Run(vec![format!("/opt/{step}")]),
        undoes: false,
        cwd: "/srv".into(),
        env: BTreeMap::new(),
        files: Vec::new(),
        targets: BTreeMap::new(),
        declared: None,
        scope: Default::default(),
        approved: None,
        seen: Vec::new(),
        undo: ResolvedUndo::Unsaid,
        backup: None,
        rollback_tested: None,
        verify: None,
        timeout_ms: 1000,
        tries: 1,
    }
}

/// A new credential for a service, with the rights of one that was cut.
pub(super) fn renewal(step: &str) -> Resolved {
    let target = Target::Tree(Tree {
        id: TargetId::new("bot").unwrap(),
        agent: "bot".into(),
        rule: TreeRule::default(),
    });
    Resolved {
        stage: Stage::Contain,
        act: Act::Renew(Renewal {
            target,
            service: "shop".into(),
            from: None,
        }),
        declared: Some(Effects::from([Effect::CredentialNew])),
        undo: ResolvedUndo::By(vec!["/bin/undo".into()]),
        ..act(step)
    }
}

#[test]
fn a_new_credential_is_inside_where_the_tool_makes_it_and_nowhere_else() {
    let zone = |policy: &Policy, act: &Resolved| zone_of(policy, act, NOW).0;
    let mut shipped = policy();
    assert_eq!(
        zone(&shipped, &renewal("new")),
        Zone::At,
        "an older policy knows it as a credential change"
    );
    shipped.inside.insert(Effect::CredentialNew);
    assert_eq!(zone(&shipped, &renewal("new")), Zone::Inside);
    let declared = Resolved {
        act: Act::Run(vec!["/usr/bin/vault".into(), "token".into(), "create".into()]),
        ..renewal("declared")
    };
    let (zone_of_declared, because) = zone_of(&shipped, &declared, NOW);
    assert_eq!(zone_of_declared, Zone::At);
    assert!(because[0].text.contains("access restore"), "{because:?}");
    let wider = Resolved {
        declared: Some(Effects::from([Effect::CredentialChange])),
        ..renewal("wider")
    };
    assert_eq!(zone(&shipped, &wider), Zone::At);
    shipped.at.clear();
    shipped.inside.remove(&Effect::CredentialNew);
    assert_eq!(zone(&shipped, &renewal("unlisted")), Zone::Outside);
}

pub(super) fn verified() -> BackupFound {
    BackupFound {
        id: "orders-0200".into(),
        path: "/backups/orders-0200.dump".into(),
        expected: "a".repeat(64),
        found: Some("a".repeat(64)),
        test_restore: Some("2026-11-20".into()),
        writable_by: vec!["backup-role".into()],
        agent_can_write: Vec::new(),
    }
}

fn saw(effect: Effect) -> Seen {
    Seen {
        effect,
        text: "words".into(),
        rule: "some.rule".into(),
    }
}

fn zone(act: &Resolved) -> Zone {
    zone_of(&policy(), act, NOW).0
}

fn first_reason(act: &Resolved) -> String {
    let (_, because) = zone_of(&policy(), act, NOW);
    format!("{}: {}", because[0].rule, because[0].text)
}

fn declared(step: &str, effects: &[Effect]) -> Resolved {
    Resolved {
        declared: Some(effects.iter().copied().collect()),
        ..act(step)
    }
}

#[test]
fn a_restore_is_inside_only_from_a_verified_backup() {
    let restore = |backup| Resolved {
        backup,
        ..declared("restore", &[Effect::DataRestore])
    };
    assert_eq!(zone(&restore(Some(verified()))), Zone::Inside);
    let without = restore(None);
    assert_eq!(zone(&without), Zone::At);
    assert_eq!(
        first_reason(&without),
        "boundary.data-restore: it names no verified backup (`needs: {backup: …}`)"
    );
    type Spoil = fn(&mut BackupFound);
    let doubts: [(Spoil, &str); 5] = [
        (|b| b.found = None, "cannot be read"),
        (|b| b.found = Some("b".repeat(64)), "another SHA-256"),
        (|b| b.test_restore = None, "no test restore"),
        (
            |b| b.agent_can_write.push("deploy-bot".into()),
            "by the agent (deploy-bot)",
        ),
        (|b| b.writable_by.clear(), "nobody wrote down who can write"),
    ];
    for (spoil, words) in doubts {
        let mut backup = verified();
        spoil(&mut backup);
        let act = restore(Some(backup));
        assert_eq!(zone(&act), Zone::At, "{words}");
        let reason = first_reason(&act);
        assert!(reason.contains(words), "{words:?} is not in {reason:?}");
    }
}

#[test]
fn a_rollback_is_inside_only_where_it_was_tested() {
    let mut rollback = declared("rollback", &[Effect::ConfigRollback]);
    assert_eq!(zone(&rollback), Zone::At);
    rollback.rollback_tested = Some("2026-11-20".into());
    assert_eq!(zone(&rollback), Zone::Inside);
}

#[test]
fn containing_without_a_way_back_is_one_way() {
    let mut page = Resolved {
        stage: Stage::Contain,
        ..declared("page", &[Effect::Traffic])
    };
    for stuck in [ResolvedUndo::Unsaid, ResolvedUndo::Never("gone".into())] {
        page.undo = stuck;
        assert!(page.effects().contains(&Effect::OneWay));
        assert_eq!(zone(&page), Zone::At);
    }
    page.undo = ResolvedUndo::By(vec!["/opt/page".into(), "off".into()]);
    assert_eq!(zone(&page), Zone::Inside);
    // In recover a plan is shown whole and signed where needed; contain is for what can be taken back.
    page.undo = ResolvedUndo::Unsaid;
    page.stage = Stage::Recover;
    assert_eq!(zone(&page), Zone::Inside);
}

#[test]
fn what_nobody_understood_is_outside_whatever_a_policy_says() {
    let mut generous = policy();
    generous.inside = Effects::from(Effect::ALL);
    generous.at = Effects::from([Effect::Unknown]);
    let dark = Resolved {
        seen: vec![saw(Effect::Unknown)],
        ..declared("dark", &[Effect::Read])
    };
    for act in [act("nobody-classified"), declared("says-nothing", &[]), dark] {
        assert_eq!(zone_of(&generous, &act, NOW).0, Zone::Outside, "{}", act.step);
    }
    for (list, other) in [("inside", "at"), ("at", "inside")] {
        let source =
            format!("version: 1\nboundary: {{{list}: [read, unknown], {other}: []}}\nstages: {{}}\n");
        let mistakes = Runbook::parse("r.yaml", &source).unwrap_err();
        assert!(
            mistakes
                .iter()
                .any(|d| d.message.contains("`unknown` can never be")),
            "{mistakes:?}"
        );
    }
}

#[test]
fn one_way_and_bulk_are_never_inside() {
    let mut generous = policy();
    generous.inside = Effects::from(Effect::ALL);
    for effect in [Effect::OneWay, Effect::BulkData] {
        assert_eq!(
            zone_of(&generous, &declared("x", &[effect]), NOW).0,
            Zone::At,
            "{effect}"
        );
    }
    assert_eq!(
        zone(&declared("bulk", &[Effect::BulkData])),
        Zone::Outside,
        "in no list is outside"
    );
}

#[test]
fn a_step_by_hand_is_outside_until_somebody_classifies_it() {
    let by_hand = Act::Manual(Manual {
        what: "Restart the database in the console".into(),
        place: None,
        see: None,
    });
    let mut act = Resolved {
        act: by_hand,
        ..act("by-hand")
    };
    assert_eq!(zone(&act), Zone::Outside);
    assert!(first_reason(&act).starts_with("boundary.unclassified"));
    act.declared = Some(Effects::from([Effect::ServiceRestart]));
    assert_eq!(zone(&act), Zone::Inside);
}

#[test]
fn the_worst_of_declared_and_seen_counts() {
    let act = Resolved {
        seen: vec![saw(Effect::SchemaChange)],
        ..declared("harmless", &[Effect::Read])
    };
    assert_eq!(zone(&act), Zone::At);
    assert_eq!(first_reason(&act), "some.rule: words");
    let act = Resolved {
        seen: vec![saw(Effect::Read)],
        ..declared("careful", &[Effect::Deploy])
    };
    assert_eq!(
        zone(&act),
        Zone::At,
        "an author who says more than is seen is believed"
    );
}

#[test]
fn taking_a_protection_away_does_not_protect() {
    let release = Resolved {
        lane: Lane::Protect,
        undoes: true,
        ..declared("release-hold", &[Effect::Protect])
    };
    assert_eq!(release.effects(), Effects::from([Effect::BackupChange]));
    assert_eq!(zone(&release), Zone::At);
}

#[test]
fn a_sweep_is_inside_whatever_the_policy_says() {
    let mut strict = policy();
    (strict.inside, strict.at) = (Effects::new(), Effects::new());
    for sweep in [Sweep::Revoke, Sweep::Kill, Sweep::Disable] {
        let act = Resolved {
            stage: Stage::Stop,
            act: Act::Sweep(sweep),
            ..act("stop-1")
        };
        assert_eq!(zone_of(&strict, &act, NOW).0, Zone::Inside);
    }
}
