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
                // Git does not mind how a key is written.
                let says = |line: &str| line.to_ascii_lowercase().contains(key) && line.contains(name);
                assert!(text.lines().any(says), "{argv:?}: {reaches:?}");
            }
        }
    });
    assert!(there.iter().all(|n| *n > 0), "{there:?}");
}

/// What git reads as another address, or as one more, is no address here: whoever can write the file chose its spelling.
#[test]
fn a_remote_that_is_spelt_for_two_readers_is_nobodys() {
    const OWN: &str =
        "[core]\n\tbare = false\n[remote \"origin\"]\n\turl = git@git.example:shop/staging.git\n";
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
    let goes_to = |files: &[(&str, String)]| {
        machine.0.borrow_mut().files.clear();
        for (path, text) in files {
            machine.fill([path], text.as_bytes());
        }
        let argv = ["git", "-C", "/srv", "push", "origin", "main"].map(str::to_owned);
        let reaches = engine.by_words(&argv).unwrap().scope.reaches;
        let staging = |name: &Option<String>| name.as_deref() == Some("git@git.example:shop/staging.git");
        reaches.iter().any(|reach| staging(&reach.name))
    };
    let own = "/srv/.git/config";
    assert!(goes_to(&[(own, OWN.to_owned())]));
    assert!(goes_to(&[
        (own, OWN.to_owned()),
        ("/etc/gitconfig", "[user]\nname = x\n".to_owned())
    ]));
    for more in [
        "[Remote \"origin\"]\n\turl = git@git.example:shop/prod.git\n",
        "[remote \"origin\"] url = git@git.example:shop/prod.git\n",
        "[remote.origin]\n\turl = git@git.example:shop/prod.git\n",
        "[remote \"orig\\in\"]\n\turl = git@git.example:shop/prod.git\n",
        "[remote \"origin\"]\n\tpushUrl = git@git.example:shop/prod.git\n",
        "[url \"git@evil\"]\n\tinsteadOf = git@git\n",
        "[extensions]\n\tworktreeConfig = true\n",
    ] {
        assert!(!goes_to(&[(own, format!("{OWN}{more}"))]), "{more}");
        assert!(!goes_to(&[(own, format!("{more}{OWN}"))]), "{more}");
    }
    let hidden = OWN.replace("\turl", "\tfetch = x \\\n\turl");
    assert!(!goes_to(&[(own, hidden)]));
    for other in [
        "[url \"x\"]\n\tinsteadOf = y\n",
        "[remote \"origin\"]\n\tpushurl = z\n",
    ] {
        let files = [(own, OWN.to_owned()), ("/etc/gitconfig", other.to_owned())];
        assert!(!goes_to(&files), "{other}");
    }
    // A worktree keeps its configuration elsewhere: that of the folder above is another's.
    let files = [
        ("/.git/config", OWN.to_owned()),
        ("/srv/.git", "gitdir: /elsewhere\n".to_owned()),
    ];
    assert!(!goes_to(&files));
}
