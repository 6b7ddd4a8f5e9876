//! Readers of what lies beside an act: what it would apply, and what says where it goes.

use incident::effects::{ActText, ScriptText, detect};
use incident::engine::{Desk, Written};
use incident::store::Store;

use super::machine::Shared;
use super::mutant::Mutant;
use super::texts::worst;
use super::{as_is, feed};
use crate::effects::places::sound;

/// Saved plans, manifests and configurations: what is applied is never a read, whatever the file beside it says.
#[test]
#[ignore = "runs in a process of its own"]
fn files_beside_acts() {
    let seeds: [&[u8]; 6] = [
        include_bytes!("../effects/plans/creates.tfplan"),
        include_bytes!("../effects/plans/destroys.tfplan"),
        include_bytes!("../effects/plans/provisions.tfplan"),
        b"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {a: [{command: [x]}]}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: db}\n",
        b"{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"x\"}}]}",
        b"apiVersion: v1\nkind: Config\nusers: [{name: a, user: {token: x}}]\n",
    ];
    let words = [
        "PK\u{1}\u{2}",
        "PK\u{3}\u{4}",
        "PK\u{5}\u{6}",
        "tfplan",
        "\n---\n",
        "kind: Secret\n",
        "exec: ",
    ];
    let acts = [
        "terraform apply f",
        "kubectl apply -f f",
        "kubectl delete -f f",
        "psql -f f",
        "sh f",
        "python3 f",
        "kubectl --kubeconfig f get pods",
    ];
    feed("files beside acts", &Mutant::new(seeds, &words), as_is, |input| {
        for (n, act) in acts.iter().enumerate() {
            let argv: Vec<String> = act.split(' ').map(str::to_owned).collect();
            let scripts = [ScriptText {
                path: "f",
                bytes: input,
            }];
            let act = ActText {
                argv: &argv,
                scripts: &scripts,
                stdin: None,
            };
            sound(&act);
            assert!(n > 2 || worst(&detect(&act)) > 1, "{argv:?}");
        }
    });
}

/// What a configuration beside an act says of where it goes: nowhere but where that name stands there.
#[test]
#[ignore = "runs in a process of its own"]
fn surroundings() {
    let seeds = [
        "apiVersion: v1\nkind: Config\ncurrent-context: staging-eu\ncontexts: []\n",
        "current-context: \"prod-eu\" # staging-eu\n",
        "[core]\n\tbare = false\n[remote \"origin\"]\n\turl = git@git.example:shop/staging.git\n\tfetch = +refs/heads/*\n",
        "[remote \"origin\"]\n\turl = a\n\tpushurl = git@git.example:shop/staging.git\n[url \"x\"]\n\tinsteadOf = y\n",
    ];
    let words = [
        "current-context: ",
        "staging-eu",
        "prod-eu",
        "[remote \"origin\"]\n",
        "url = git@git.example:shop/prod.git\n",
        "pushurl = ",
        "[include]\n",
        "---\n",
        "\r\n",
    ];
    let machine = Shared::default();
    let world = machine.world();
    let cases = tempfile::tempdir().unwrap();
    let desk = Desk {
        world: &world,
        store: &Store::open(cases.path().to_owned()),
        spool_folders: Vec::new(),
        who: "ana@example.com".to_owned(),
    };
    let engine = desk.preview(&Written::default()).unwrap();
    let acts = [
        (
            "kubectl --kubeconfig /srv/config rollout restart deploy web",
            "current-context:",
            "staging-eu",
        ),
        (
            "git -C /srv push origin main",
            "url",
            "git@git.example:shop/staging.git",
        ),
    ];
    let mut there = [0, 0];
    feed("surroundings", &Mutant::new(seeds, &words), as_is, |input| {
        machine.fill(["/srv/config", "/srv/.git/config"], input);
        let text = String::from_utf8_lossy(input);
        for (n, (act, key, name)) in acts.iter().enumerate() {
            let argv: Vec<String> = act.split(' ').map(str::to_owned).collect();
            let reaches = engine.by_words(&argv).unwrap().scope.reaches;
            if reaches.iter().any(|reach| reach.name.as_deref() == Some(name)) {
                there[n] += 1;
                let says = |line: &str| line.contains(key) && line.contains(name);
                assert!(text.lines().any(says), "{argv:?}: {reaches:?}");
            }
        }
    });
    assert!(there.iter().all(|n| *n > 0), "{there:?}");
}
