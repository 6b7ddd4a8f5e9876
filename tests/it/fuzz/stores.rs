//! Readers of what tools and agents keep on a host: the scan of day 0 meets whatever the agent left there.

use std::collections::BTreeSet;

use incident::access::{Agent, Eye, scan};

use super::mutant::Mutant;
use super::{as_is, feed};
use crate::support::network_world;

/// One of each format; a program's own path decides how a file is read.
const FILES: [&str; 16] = [
    ".aws/credentials",
    ".config/gh/hosts.yml",
    ".docker/config.json",
    ".npmrc",
    ".netrc",
    ".git-credentials",
    ".pgpass",
    ".my.cnf",
    ".kube/config",
    ".cargo/credentials.toml",
    ".codex/auth.json",
    ".claude.json",
    ".vault-token",
    "shop/.env",
    "shop/.mcp.json",
    "shop/terraform.tfstate",
];

#[test]
#[ignore = "runs in a process of its own"]
fn credential_stores() {
    let world = network_world();
    let folder = tempfile::tempdir().unwrap();
    let (home, shop) = (folder.path().to_owned(), folder.path().join("shop"));
    for file in FILES {
        std::fs::create_dir_all(home.join(file).parent().unwrap()).unwrap();
    }
    let agents = [Agent {
        name: Some("claude-code".to_owned()),
        uid: 1000,
        home: Some(home.clone()),
        cwds: BTreeSet::from([shop]),
        variables: Vec::new(),
    }];
    let token = format!("ghp_{}", "q7Rk20xYzT4Ab".repeat(3));
    let seeds = [
        format!("[default]\naws_access_key_id = AKIAQ7RK20XYZT4ABCDE\naws_secret_access_key = {token}\n"),
        format!("github.com:\n  user: ana\n  oauth_token: {token}\n"),
        format!(
            "{{\"auths\":{{\"r.example\":{{\"auth\":\"{token}\"}}}},\"tokens\":{{\"id_token\":\"{token}\"}}}}"
        ),
        format!(
            "{{\"mcpServers\":{{\"db\":{{\"command\":\"npx\",\"args\":[\"--token\",\"{token}\"],\"env\":{{\"SHOP_TOKEN\":\"{token}\"}}}}}}}}"
        ),
        format!("//registry.npmjs.org/:_authToken={token}\n"),
        format!("machine api.example login ana password {token}\nmachine b\nlogin c\npassword d\n"),
        format!("https://ana:{token}@git.example\n"),
        // A name that is a secret itself.
        format!("a\n{token}SHOP_TOKEN={token}\n"),
        format!("db.example:5432:orders:ana:{token}\n"),
        format!("[client]\nuser=ana\npassword={token}\n"),
        format!("[registry]\ntoken = \"{token}\"\n"),
        format!("users:\n- name: a\n  user: {{token: {token}, exec: {{command: aws, args: [eks]}}}}\n"),
        format!("export SHOP_TOKEN='{token}'\nA=\"b\\nc\"\n"),
        format!(
            "{{\"version\":4,\"resources\":[{{\"type\":\"t\",\"name\":\"n\",\"instances\":[{{\"attributes\":{{\"token\":\"{token}\"}}}}]}}]}}"
        ),
    ];
    let words = [
        token.as_str(),
        "{\"",
        "\":{\"",
        "[[",
        "- &a ",
        "*a",
        "!!binary ",
        "<<: *a",
        "\"\"\"",
        "macdef ",
        "\\u0000",
        "${",
        "= ",
    ];
    let mutant = Mutant::new(seeds, &words);
    let (key, mut found) = ([7; 32], 0);
    let adapters = |_: &str| Vec::new();
    let eye = Eye::new(&key, &adapters).unwrap();
    feed("credential stores", &mutant, as_is, |input| {
        for file in FILES {
            std::fs::write(home.join(file), input).unwrap();
        }
        let seen = scan(&world, &agents, None, &eye);
        found += seen.findings.len();
        // A value is shown by its kind and its end only.
        assert!(
            seen.findings.iter().all(|f| !f.words().contains(&token)),
            "{seen:?}"
        );
    });
    assert!(found > 0);
}
