//! Tables: GitHub against its recorded shapes, and what is said about a broken one.

use incident::model::fact::{Fact, Proof};
use incident::model::inventory::Inventory;
use incident::providers::Registry;
use serde_json::{Value, json};

use super::contract::Case;
use crate::support::network_world;
use crate::support::stub::{Stub, say};

const TOKEN: &str = "ghp_0123456789abcdefghijABCDEFGHIJ012345";

#[test]
fn github_is_asked_exactly_as_it_documents() {
    let world = network_world();
    let stub = Stub::start(|n, seen| match (seen.method.as_str(), seen.path.as_str()) {
        // Any Authorization header on this call is answered 403 by GitHub.
        ("POST", "/credentials/revoke") if seen.headers.contains_key("authorization") => say(403, "{}"),
        ("POST", "/credentials/revoke") => say(202, ""),
        ("GET", "/user") if n == 0 => say(200, "{}"),
        ("GET", "/user") => say(
            401,
            r#"{"message": "Bad credentials", "documentation_url": "https://docs.github.com/rest"}"#,
        ),
        _ => say(404, r#"{"message": "Not Found"}"#),
    });
    let mut case = Case::new(&world, "github", &[("address", &stub.address())])
        .auth("never-sent")
        .secret(TOKEN);
    case.before();
    assert_eq!(case.cut(), [Fact::Accepted { status: 202 }]);
    assert!(case.probe().contains(&Fact::TriedNew { refused: true }));
    assert_eq!(case.proof(), Proof::Accepted, "the window has not passed");

    let seen = stub.seen();
    let cut = seen.iter().find(|s| s.method == "POST").unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&cut.body).unwrap(),
        json!({"credentials": [TOKEN]})
    );
    assert_eq!(cut.headers["content-type"], "application/json");
    assert_eq!(cut.headers["accept"], "application/vnd.github+json");
    assert!(cut.headers.contains_key("x-github-api-version") && cut.headers.contains_key("user-agent"));
    assert!(!cut.headers.contains_key("authorization"));
    let probe = seen.iter().find(|s| s.method == "GET").unwrap();
    assert_eq!(probe.headers["authorization"], format!("Bearer {TOKEN}"));
    assert!(
        seen.iter().all(|s| !s.path.contains(TOKEN)),
        "a token never stands in an address"
    );
}

#[test]
fn github_without_the_token_is_a_manual_step() {
    let world = network_world();
    let mut case = Case::new(&world, "github", &[]).auth("useless");
    let facts = case.cut();
    assert!(
        matches!(&facts[1], Fact::Manual { how } if how.contains("github.com/settings/tokens")),
        "{facts:?}"
    );
    assert_eq!(case.proof(), Proof::Unprovable);
}

#[test]
fn every_mistake_of_a_table_is_shown_at_once_with_its_place() {
    let broken = r#"name: harbor
title: Harbor
needs: { address: where }
base: "{adress}"
secret-shapes: ["hb_["]
manual: console
cut:
  - call: { method: DELET, path: "keys/{secret}", as: respnder, body: "{not json" }
    ok: [{ status: [2000] }]
  - call: { method: DELETE, path: "/keys/{id}", as: responder }
    okay: []
"#;
    let mistakes = Registry::shipped().add_table("harbor.yaml", broken).unwrap_err();
    let text: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(text.join("\n"));
}

#[test]
fn a_table_cannot_replace_what_ships() {
    let text = include_str!("../../../src/providers/rest/tables/github.yaml");
    let mistakes = Registry::shipped().add_table("access.yaml", text).unwrap_err();
    assert!(mistakes[0].message.contains("already a provider named `github`"));
}

#[test]
fn a_grant_that_lacks_something_is_told_what() {
    let world = network_world();
    let case = Case::new(
        &world,
        "vault-token",
        &[("adress", "x"), ("accessor", "y"), ("ca", "/etc/ca.pem")],
    );
    let said = case.adapter().check(&case.target);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(
        said[0].contains("`address`") && said[1].contains("`adress`"),
        "{said:?}"
    );
}

#[test]
fn a_team_adds_its_own_provider_in_its_access_file() {
    let access = r#"version: 1
agents:
  - name: bot
    grants: [{ id: key, provider: harbor, with: { key: "7" } }]
providers:
  harbor:
    title: Harbor deploy key
    needs: { key: id of the key }
    base: https://api.harbor.example
    hosts: [api.harbor.example]
    responder: { header: Authorization, value: "Bearer {auth}" }
    manual: https://harbor.example/keys
    cut:
      - call: { method: DELETE, path: "/keys/{key}", as: responder }
        ok: [{ status: [204] }]
    lookup:
      call: { method: GET, path: "/keys/{key}", as: responder }
      alive: [{ status: [200], at: /active, any-of: [true] }]
      dead: [{ status: [200], at: /active, any-of: [false] }]
"#;
    let (inventory, mistakes) = Inventory::parse("access.yaml", access);
    assert!(mistakes.is_empty(), "{mistakes:?}");
    let mut registry = Registry::shipped();
    for (name, node) in &inventory.tables {
        registry.add_node("access.yaml", name, node).unwrap();
    }
    let adapter = registry.of(&inventory.targets[0]).unwrap().unwrap();
    assert_eq!(adapter.title(), "Harbor deploy key");
    assert!(adapter.check(&inventory.targets[0]).is_empty());
}
