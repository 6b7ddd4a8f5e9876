//! Whose doing a change is, outside a drill: a process of the agent, an act of a responder, and somebody unseen each
//! change the same shop, and the built program tells them apart only where the record shows it.

use serde_json::{Value, json};

use crate::support::desk::{Desk, PROGRAM};

const RUNBOOK: &str = "version: 1\nname: shop\npeople: {ana@example.com: {roles: [on-call]}}\n\
    boundary: {inside: [read, protect, traffic, data-write], at: [config-change, one-way]}\nstages:\n\
    \x20 stop: [{revoke: all}, {kill: agents}, {disable: triggers}]\n  assess:\n\
    \x20   - {id: volumes, capture: {file: live}}\n    - {id: audit, capture: {file: audit.log}}\n  contain:\n\
    \x20   - id: bring-back\n      run: [cp, saved/vol-orders.json, live/vol-orders.json]\n      effects: [data-write]\n\
    \x20     undo: {run: [cp, saved/vol-orders.gone, live/vol-orders.json]}\n";

/// Nobody can be asked about this grant here; its name is what the shop's own log calls the agent.
const ACCESS: &str = "version: 1\nagents:\n  - name: bot\n    host: local\n    grants:\n\
    \x20     - {id: volumes, provider: postgres, with: {role: tok-bot-7}, auth: {env: NOT_SET}}\n";

/// The shop writes down whose token asked for what.
const SHOP: &str = "#!/bin/sh\necho \"$(date -u +%Y-%m-%dT%H:%M:%S.%3NZ) by=$1 $2\" >> audit.log\n";

/// What the agent does, until it is killed.
const AGENT: &str = "cp saved/vol-orders.gone live/vol-orders.json\nsh ./shop tok-bot-7 'deleted vol-orders'\n: > done\n\
    while :; do sleep 1; done\n";

/// The incident, in one PID namespace: the agent's process lives when it begins.
const RESPONSE: &str = "cp /bin/sh bin/claude && CLAUDECODE=1 bin/claude agent.sh & \n\
    n=0; until [ -e done ]; do n=$((n+1)); [ $n -lt 1200 ] || exit 98; sleep 0.1; done\n\
    $I start --yes; for p in /proc/[0-9]*/exe; do case $(readlink $p) in */claude) exit 97;; esac; done\n\
    $I seal && $I enter contain && $I run bring-back || exit 96\n\
    sh ./shop night-job 'compacted vol-stock'; sh ./shop tok-bot-7 'listed vol-orders'\n\
    cp saved/vol-stock.json live/vol-stock.json\n\
    $I capture volumes && $I capture audit || exit 95\n";

#[test]
fn the_agents_the_responders_and_nobodys_changes_are_told_apart_on_a_real_host() {
    let Some(desk) = Desk::new() else { return };
    for (name, text) in [
        ("incident/runbook.yaml", RUNBOOK),
        ("incident/access.yaml", ACCESS),
        ("shop", SHOP),
        ("agent.sh", AGENT),
        ("bin/about", "the agent's program lies here\n"),
        (
            "live/vol-orders.json",
            "{\"id\":\"vol-orders\",\"state\":\"live\"}\n",
        ),
        (
            "saved/vol-orders.json",
            "{\"id\":\"vol-orders\",\"state\":\"live\"}\n",
        ),
        (
            "saved/vol-orders.gone",
            "{\"id\":\"vol-orders\",\"state\":\"deleted\"}\n",
        ),
        ("live/vol-stock.json", "{\"id\":\"vol-stock\",\"rows\":7}\n"),
        ("saved/vol-stock.json", "{\"id\":\"vol-stock\",\"rows\":6}\n"),
    ] {
        desk.file(name, text);
    }
    let script = format!("I={PROGRAM}\n{RESPONSE}");
    let out = desk.jailed("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(out.status.code(), Some(0), "{}", desk.told(&out));

    let records: Vec<Value> = desk
        .journal()
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let all = |kind: &str, key: &str, value: &str| -> Vec<u64> {
        let is_it = |r: &&Value| r["type"] == kind && r["what"][key] == value;
        records
            .iter()
            .filter(is_it)
            .map(|r| r["seq"].as_u64().unwrap())
            .collect()
    };
    let act = all("act.started", "step", "bring-back");
    let looked = |name: &str| {
        let seqs = all("capture.started", "name", name);
        let [before, after] = seqs[..] else {
            panic!("{seqs:?}")
        };
        let out = desk.run(&["compare", &before.to_string(), &after.to_string(), "--json"]);
        let told: Value =
            serde_json::from_slice(&out.stdout).unwrap_or_else(|_| panic!("{}", desk.told(&out)));
        told["compared"][0].clone()
    };
    let lines = |look: &Value, words: &str| -> Vec<(String, Value)> {
        let all = look["lines"].as_array().unwrap().iter();
        let with = all.filter(|l| format!("{} {}", l["file"], l["text"]).contains(words));
        with.map(|l| (l["whose"].as_str().unwrap().to_owned(), l.clone()))
            .collect()
    };
    let only = |look: &Value, words: &str, whose: &str| {
        let found = lines(look, words);
        assert!(!found.is_empty(), "{words}: {look}");
        assert!(found.iter().all(|(w, _)| w == whose), "{words}, {whose}: {look}");
        found
    };

    // The shop's log: what the agent's token did before the stop is the agent's, though it stood there before, too.
    let audit = looked("audit");
    let agents = only(&audit, "deleted vol-orders", "agent");
    assert_eq!(agents[0].1["names"], "tok-bot-7");
    assert_eq!(audit["apart"]["agent"], 1, "{audit}");
    // The same token after the stop may be anybody's, and a name nobody listed is nobody's.
    only(&audit, "listed vol-orders", "unknown");
    only(&audit, "compacted vol-stock", "unknown");

    // The volumes: what the act was for is the responders', by its number; what changed beside it is not.
    let volumes = looked("volumes");
    for (_, line) in only(&volumes, "live-vol-orders.json", "responders") {
        assert_eq!(line["acts"], json!(act), "{line}");
    }
    only(&volumes, "live-vol-stock.json", "unknown");
    assert_eq!(volumes["apart"]["agent"], 0, "{volumes}");
    assert!(volumes["apart"]["unknown"].as_u64() > Some(0), "{volumes}");

    // People read the same.
    let seqs = all("capture.started", "name", "audit");
    let told = desk.incident(&["compare", &seqs[0].to_string(), &seqs[1].to_string(), "--lines"]);
    assert!(told.contains("its access at work before the stop"), "{told}");
}
