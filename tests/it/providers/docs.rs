//! What is said of the adapters: the page of the documentation, and that `proved-by` is true.

use std::collections::{BTreeMap, BTreeSet};

use incident::providers::rest::SHIPPED;
use incident::providers::sheet::{Sheet, page};
use incident::providers::{ProvedBy, Registry};

use super::{kubernetes, node, openbao, sdk};

#[test]
fn the_page_of_providers_says_what_the_adapters_say() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/providers.md");
    let made = page(&Registry::shipped());
    if std::env::var_os("INCIDENT_WRITE").is_some() {
        std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/docs")).unwrap();
        std::fs::write(path, &made).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        made == written,
        "docs/providers.md is not what the adapters say: INCIDENT_WRITE=1 cargo test --test it providers::docs"
    );
}

/// A table claims no more than the tests that run in CI: each names the tables it runs. A machine on which
/// the server is not built says so (`NOT TESTED: …`).
#[test]
fn what_proves_a_table_is_what_really_runs() {
    let mut runs: BTreeMap<&str, ProvedBy> = BTreeMap::new();
    runs.extend(openbao::TABLES.iter().map(|t| (*t, ProvedBy::RealServer)));
    runs.extend(kubernetes::TABLES.iter().map(|t| (*t, ProvedBy::RealServer)));
    runs.extend(node::TABLES.iter().map(|t| (*t, ProvedBy::RealServer)));
    runs.extend(sdk::GRANTS.iter().map(|(t, _)| (*t, ProvedBy::Sdk)));
    let registry = Registry::shipped();
    for (file, _) in SHIPPED {
        let name = file.trim_end_matches(".yaml");
        let sheet = Sheet::of(registry.find(name).unwrap());
        let runs = runs.get(name).copied().unwrap_or(ProvedBy::Contract);
        assert_eq!(sheet.about.proved_by, runs, "{name}");
    }
}

#[test]
fn every_table_says_what_it_is_for() {
    let registry = Registry::shipped();
    for sheet in SHIPPED.iter().map(|(file, _)| {
        let name = file.trim_end_matches(".yaml");
        Sheet::of(registry.find(name).unwrap())
    }) {
        let name = &sheet.provider;
        assert!(!sheet.about.kinds.is_empty(), "{name} says no kinds");
        assert!(!sheet.about.permissions.is_empty(), "{name} says no permissions");
        let by_hand = sheet.title.contains("by hand");
        let good = sheet.title.contains("for good") || by_hand || sheet.reversible;
        let ends = ["vault-token", "vault-self", "vault-approle", "vault-lease"];
        assert!(
            good || ends.contains(&name.as_str()),
            "{name} hides that it is for good"
        );
    }
}

/// What a table can have at its top, of what it should have.
fn lacks_of(text: &str) -> Vec<&'static str> {
    let has = |key: &str| {
        text.lines()
            .any(|l| l.strip_prefix(key).is_some_and(|l| l.starts_with(':')))
    };
    let any = |keys: &[&str]| keys.iter().any(|key| has(key));
    let mut lacks = Vec::new();
    lacks.extend((!has("lookup")).then_some("lookup"));
    lacks.extend((!has("use")).then_some("use"));
    lacks.extend((!has("restore")).then_some("restore"));
    lacks.extend((!any(&["sessions", "running", "outlives"])).then_some("lives-on"));
    lacks.extend((has("use") && !has("secret-shapes")).then_some("secret-shapes"));
    // A table that is silent on its check beforehand has no reason that would do.
    lacks.extend((!any(&["armed", "unarmed"])).then_some("armed"));
    lacks
}

#[test]
fn what_a_table_lacks_is_written_down_with_its_reason() {
    let mut written: BTreeSet<String> = BTreeSet::new();
    let (mut what, mut why) = ("", "");
    let lines = include_str!("lacks.txt").lines();
    for line in lines.filter(|l| !l.is_empty() && !l.starts_with('#')) {
        match line.strip_prefix("  ") {
            Some(tables) => written.extend(tables.split(' ').map(|table| format!("{table}: {what}"))),
            None => (what, why) = line.split_once(": ").unwrap(),
        }
        assert!(!why.is_empty());
    }
    let lacking = SHIPPED.iter().flat_map(|(file, text)| {
        let table = file.trim_end_matches(".yaml");
        lacks_of(text)
            .into_iter()
            .map(move |what| format!("{table}: {what}"))
    });
    let lacking: BTreeSet<String> = lacking.collect();
    let unexplained: Vec<_> = lacking.difference(&written).collect();
    let stale: Vec<_> = written.difference(&lacking).collect();
    assert!(
        unexplained.is_empty() && stale.is_empty(),
        "to explain in lacks.txt: {unexplained:?}; no longer lacking: {stale:?}"
    );
}
