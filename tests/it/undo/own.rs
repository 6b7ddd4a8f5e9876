//! What the responder's own access hangs on is found out, cuts the rest, and is cut last, never skipped.

use incident::engine::Engine;
use incident::model::fact::{Fact, Proof};
use incident::model::secret::Secret;

use super::{ALONE, Yard, leasing, state, text};
use crate::support::network_world;
use crate::support::servers::{Bao, Pg};

/// It was spared with these words, and cut after everything was seen of the others.
fn is_last(engine: &Engine<'_>, own: &str, why: &str, others: &[&str]) {
    let facts = state(engine, own).facts;
    let spared = facts.iter().find_map(|o| match &o.fact {
        Fact::Spared { why } => Some((o.at_us, why.clone())),
        _ => None,
    });
    let (spared, said) = spared.unwrap_or_else(|| panic!("{own} was not spared: {facts:?}"));
    assert!(said.contains(why), "{said}");
    let asked = |f: &Fact| matches!(f, Fact::Accepted { .. } | Fact::Error { status: 403, .. });
    let taken = facts.iter().find(|o| asked(&o.fact));
    let taken = taken
        .unwrap_or_else(|| panic!("{own} was skipped: {facts:?}"))
        .at_us;
    assert!(spared < taken);
    for other in others {
        let seen = state(engine, other).facts;
        assert!(state(engine, other).proof().is_dead(), "{other}: {seen:?}");
        assert!(
            seen.iter().all(|o| o.at_us <= taken),
            "{other} was looked at to its end before {own} was cut"
        );
    }
}

fn vault_grant(id: &str, bao: &Bao, provider: &str, with: &str, auth: &str) -> String {
    format!(
        "      - id: {id}\n        provider: {provider}\n        with: {{address: \"{}\", {with}}}\n        auth: {{file: {auth}}}\n",
        bao.address
    )
}

#[test]
fn the_responders_own_token_is_known_by_the_accessor_the_provider_tells() {
    let world = network_world();
    let Some(bao) = Bao::start(&world) else { return };
    let token = || {
        let made = bao.set(&world, "POST", "auth/token/create", "{}");
        (text(&made, "/auth/client_token"), text(&made, "/auth/accessor"))
    };
    let (mine, agents) = (token(), token());
    let yard = Yard::new();
    let auth = yard.file("mine", &mine.0);
    // The record names an accessor only: no secret is there to be compared.
    let grants = [("a-mine", &mine.1), ("bot", &agents.1)]
        .map(|(id, accessor)| vault_grant(id, &bao, "vault-token", &format!("accessor: {accessor}"), &auth));
    let engine = yard.open(&world, ALONE, &grants.concat());
    engine.stop(&[]).unwrap();
    is_last(&engine, "a-mine", "your own credential is of it", &["bot"]);
    let alive = |token: &str| bao.ask(&world, "GET", "auth/token/lookup-self", token, "").0 == 200;
    assert!(!alive(&mine.0) && !alive(&agents.0));
}

#[test]
fn the_responders_own_entity_is_tried_last() {
    let world = network_world();
    let Some(bao) = Bao::start(&world) else { return };
    bao.set(
        &world,
        "PUT",
        "sys/policies/acl/on-call",
        r#"{"policy": "path \"*\" {capabilities = [\"sudo\", \"read\", \"create\", \"update\", \"list\"]}"}"#,
    );
    bao.set(&world, "POST", "sys/auth/userpass", r#"{"type": "userpass"}"#);
    let user = r#"{"password": "made-up", "token_policies": ["on-call"]}"#;
    bao.set(&world, "POST", "auth/userpass/users/ana", user);
    let mine = bao.set(
        &world,
        "POST",
        "auth/userpass/login/ana",
        r#"{"password": "made-up"}"#,
    );
    let agents = bao.set(&world, "POST", "auth/token/create", "{}");
    let yard = Yard::new();
    let auth = yard.file("mine", &text(&mine, "/auth/client_token"));
    let entity = format!("entity: {}", text(&mine, "/auth/entity_id"));
    let grants = [
        vault_grant("a-team", &bao, "vault-entity", &entity, &auth),
        vault_grant(
            "bot",
            &bao,
            "vault-token",
            &format!("accessor: {}", text(&agents, "/auth/accessor")),
            &auth,
        ),
    ];
    let engine = yard.open(&world, ALONE, &grants.concat());
    engine.stop(&[]).unwrap();
    is_last(&engine, "a-team", "your own credential is of it", &["bot"]);
    // OpenBao lets nobody disable the entity they are: tried all the same, and not called cut.
    let team = state(&engine, "a-team");
    assert_eq!(team.proof(), Proof::StillLive, "{:?}", team.facts);
}

#[test]
fn the_login_behind_the_responders_connection_is_cut_last() {
    let world = network_world();
    let Some(pg) = Pg::start(&world) else { return };
    pg.run(
        &world,
        "CREATE ROLE oncall SUPERUSER LOGIN PASSWORD 'made-up'; CREATE ROLE bot LOGIN PASSWORD 'made-up'",
    );
    let yard = Yard::new();
    let auth = yard.file("auth", &pg.url("oncall", "made-up"));
    let grant = |id: &str, roles: &str| {
        format!(
            "      - id: {id}\n        provider: postgres\n        with: {{roles: \"{roles}\"}}\n        auth: {{file: {auth}}}\n"
        )
    };
    let grants = [grant("a-shared", "batch, oncall"), grant("bot", "bot")].concat();
    let engine = yard.open(&world, ALONE, &grants);
    engine.stop(&[]).unwrap();
    is_last(&engine, "a-shared", "logs in as oncall", &["bot"]);
    let sql = "SELECT rolcanlogin FROM pg_roles WHERE rolname IN ('bot', 'oncall')";
    let rows = pg.run(&world, sql);
    assert!(
        rows.len() == 2 && rows.iter().all(|r| r[0].as_deref() == Some("f")),
        "{rows:?}"
    );
}

#[test]
fn the_lease_behind_the_responders_connection_is_revoked_last() {
    let world = network_world();
    let (Some(bao), Some(pg)) = (Bao::start(&world), Pg::start(&world)) else {
        return;
    };
    pg.run(
        &world,
        "CREATE TABLE log (line text); CREATE ROLE bot LOGIN PASSWORD 'made-up'",
    );
    leasing(&bao, &pg, &world);
    let leased = bao.set(&world, "GET", "database/creds/agent", "");
    let user = text(&leased, "/data/username");
    pg.run(&world, &format!("ALTER ROLE \"{user}\" SUPERUSER"));
    let yard = Yard::new();
    let auth = yard.file("auth", &pg.url(&user, &text(&leased, "/data/password")));
    let root = yard.file("root", "root");
    let grants = [
        vault_grant("a-lease", &bao, "vault-lease", "role: agent", &root),
        format!(
            "      - id: bot\n        provider: postgres\n        with: {{role: bot}}\n        auth: {{file: {auth}}}\n"
        ),
    ];
    let engine = yard.open(&world, ALONE, &grants.concat());
    engine.stop(&[]).unwrap();
    is_last(&engine, "a-lease", "a login leased under this role", &["bot"]);
    assert_eq!(state(&engine, "a-lease").proof(), Proof::Confirmed);
}

#[test]
fn what_a_frozen_process_of_the_agent_turns_out_to_hold_is_cut_last_too() {
    let world = network_world();
    let Some(bao) = Bao::start(&world) else { return };
    let made = bao.set(&world, "POST", "auth/token/create", "{}");
    let mine = text(&made, "/auth/client_token");
    let agents = bao.set(&world, "POST", "auth/token/create", "{}");
    let yard = Yard::new();
    let auth = yard.file("mine", &mine);
    // What the freeze finds in a process is held like this; before it nobody can know.
    world.secrets.hold("VAULT_TOKEN", Secret::new(mine.clone()));
    let grants = [
        format!(
            "      - id: a-found\n        provider: vault-self\n        with: {{address: \"{}\"}}\n        secret: {{process: VAULT_TOKEN}}\n",
            bao.address
        ),
        vault_grant(
            "bot",
            &bao,
            "vault-token",
            &format!("accessor: {}", text(&agents, "/auth/accessor")),
            &auth,
        ),
    ];
    let engine = yard.open(&world, ALONE, &grants.concat());
    engine.stop(&[]).unwrap();
    is_last(
        &engine,
        "a-found",
        "the agent's process holds the very credential",
        &["bot"],
    );
    assert_eq!(state(&engine, "a-found").proof(), Proof::Refused);
}
