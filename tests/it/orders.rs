//! The incident of `examples/orders`: real servers, a real agent that cron starts, the built program.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use incident::effects::{ActText, ScriptText, detect, script_paths};
use incident::model::act::{Act, Undo};
use incident::model::effect::Effect;
use incident::model::runbook::Runbook;

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/orders")
}

/// The runbook as `up` would write it.
fn runbook() -> Runbook {
    let text = std::fs::read_to_string(example().join("incident/runbook.yaml.in")).unwrap();
    let mut text = text.replace("@SHA256@", &"0".repeat(64));
    for (name, value) in [
        ("@ROOT@", "/srv"),
        ("@PG_PORT@", "5432"),
        ("@TODAY@", "2026-11-20"),
        ("@COUNTS_SQL@", "select count(*) from orders"),
        ("@COUNTS@", "500"),
    ] {
        text = text.replace(name, value);
    }
    assert!(!text.contains("@ROOT") && !text.contains("_SQL@"));
    Runbook::parse("runbook.yaml", &text).unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
}

/// What the detectors see in an argument list of the example.
fn seen(argv: &[String]) -> Vec<Effect> {
    let texts: Vec<(String, Vec<u8>)> = script_paths(argv)
        .into_iter()
        .filter(|path| path.ends_with("maintenance"))
        .map(|path| (path, std::fs::read(example().join("maintenance")).unwrap()))
        .collect();
    let scripts: Vec<ScriptText<'_>> = texts
        .iter()
        .map(|(path, bytes)| ScriptText { path, bytes })
        .collect();
    let act = ActText {
        argv,
        scripts: &scripts,
        stdin: None,
    };
    detect(&act).into_iter().map(|seen| seen.effect).collect()
}

#[test]
fn only_the_swap_of_the_orders_example_needs_a_second_person() {
    let runbook = runbook();
    let policy = &runbook.policy;
    let mut zones = BTreeMap::new();
    for step in &runbook.steps {
        let Act::Run(argv) = &step.act else { continue };
        let mut effects = seen(argv);
        effects.extend(step.effects.iter().flatten());
        let zone = match () {
            () if effects.iter().all(|e| policy.inside.contains(e)) => "inside",
            () if effects
                .iter()
                .all(|e| policy.inside.contains(e) || policy.at.contains(e)) =>
            {
                "at"
            }
            () => "outside",
        };
        assert!(matches!(step.undo, Undo::By(_)), "{} can be taken back", step.id);
        if let Some(check) = &step.verify {
            assert_eq!(seen(&check.run), [Effect::Read], "{}", step.id);
        }
        zones.insert(step.id.to_string(), zone);
    }
    let expected = [
        ("maintenance-page", "inside"),
        ("page-down", "inside"),
        ("restore-beside", "inside"),
        ("room-beside", "inside"),
        ("swap", "at"),
    ];
    assert_eq!(zones, expected.map(|(id, zone)| (id.to_owned(), zone)).into());
}
