//! The Vault tables against a real OpenBao.

use incident::model::fact::{Fact, Proof};
use incident::world::World;
use serde_json::Value;

use super::contract::{Case, error_text};
use crate::support::network_world;
use crate::support::servers::{Bao, Pg};

/// The tables that are run against it here.
pub const TABLES: &[&str] = &[
    "vault-approle",
    "vault-entity",
    "vault-lease",
    "vault-role",
    "vault-self",
    "vault-token",
];

fn token(bao: &Bao, world: &World, by: &str, body: &str) -> (String, String) {
    let (status, made) = bao.ask(world, "POST", "auth/token/create", by, body);
    assert_eq!(status, 200, "{made}");
    let text = |at: &str| made.pointer(at).and_then(Value::as_str).unwrap().to_owned();
    (text("/auth/client_token"), text("/auth/accessor"))
}

fn alive(bao: &Bao, world: &World, token: &str) -> bool {
    bao.ask(world, "GET", "auth/token/lookup-self", token, "").0 == 200
}

#[test]
fn a_revoked_token_is_refused_and_its_children_die_with_it() {
    let world = network_world();
    let Some(bao) = Bao::start(&world) else { return };
    bao.set(
        &world,
        "PUT",
        "sys/policies/acl/maker",
        r#"{"policy": "path \"auth/token/create\" {capabilities = [\"update\"]}"}"#,
    );
    let (parent, accessor) = token(&bao, &world, "root", r#"{"policies": ["maker"]}"#);
    let (child, _) = token(&bao, &world, &parent, "{}");
    let with = [("address", bao.address.as_str()), ("accessor", accessor.as_str())];
    let mut case = Case::new(&world, "vault-token", &with)
        .auth("root")
        .secret(&parent);
    assert!(case.adapter().check(&case.target).is_empty());

    assert_eq!(case.stop(), Proof::Refused, "{:?}", case.facts);
    assert!(case.has(&Fact::Accepted { status: 204 }) && case.has(&Fact::ReadBack { dead: true }));
    assert!(!alive(&bao, &world, &parent) && !alive(&bao, &world, &child));

    assert_eq!(case.cut(), [Fact::AlreadyDone { status: 200 }]);
    assert!(case.probe().contains(&Fact::TriedNew { refused: true }));
}

#[test]
fn without_the_secret_the_record_is_all_there_is() {
    let world = network_world();
    let Some(bao) = Bao::start(&world) else { return };
    let (_, accessor) = token(&bao, &world, "root", "{}");
    let with = [("address", bao.address.as_str()), ("accessor", accessor.as_str())];
    assert_eq!(
        Case::new(&world, "vault-token", &with).auth("root").stop(),
        Proof::Confirmed
    );
}

#[test]
fn a_misspelt_accessor_is_not_a_dead_token() {
    let world = network_world();
    let Some(bao) = Bao::start(&world) else { return };
    let (secret, _) = token(
        &bao,
        &world,
        "root",
        r#"{"policies": ["none"], "no_default_policy": true}"#,
    );
    let with = [("address", bao.address.as_str()), ("accessor", "nosuchaccessor")];
    let mut case = Case::new(&world, "vault-token", &with)
        .auth("root")
        .secret(&secret);
    // The server says "permission denied" to this living token, as it does to a dead one.
    assert_eq!(case.stop(), Proof::Accepted, "{:?}", case.facts);
}

#[test]
fn a_responder_without_rights_cuts_nothing_and_the_armed_check_says_so() {
    let world = network_world();
    let Some(bao) = Bao::start(&world) else { return };
    let (weak, _) = token(&bao, &world, "root", r#"{"policies": ["default"]}"#);
    let (secret, accessor) = token(&bao, &world, "root", "{}");
    let with = [("address", bao.address.as_str()), ("accessor", accessor.as_str())];
    let mut case = Case::new(&world, "vault-token", &with)
        .auth(&weak)
        .secret(&secret);
    assert_eq!(
        error_text(&case.armed()),
        "the responder's credential may not make this cut"
    );
    assert_eq!(case.stop(), Proof::StillLive);
    assert!(alive(&bao, &world, &secret));
    let case = case.auth("root");
    assert!(
        matches!(case.armed().as_slice(), [Fact::Noted { .. }]),
        "{:?}",
        case.armed()
    );
}

#[test]
fn a_token_in_hand_revokes_itself() {
    let world = network_world();
    let Some(bao) = Bao::start(&world) else { return };
    let (secret, _) = token(&bao, &world, "root", "{}");
    let mut case = Case::new(&world, "vault-self", &[("address", &bao.address)]).secret(&secret);
    assert!(
        matches!(case.armed().as_slice(), [Fact::Noted { text, .. }] if text.starts_with("the secret alone may")),
        "{:?}",
        case.armed()
    );
    assert_eq!(case.stop(), Proof::Refused, "{:?}", case.facts);
    assert!(!alive(&bao, &world, &secret));
    assert_eq!(
        error_text(&case.armed()),
        "the secret alone may not make this cut"
    );
}

#[test]
fn a_disabled_entity_is_refused_and_restoring_revives_the_old_token() {
    let world = network_world();
    let Some(bao) = Bao::start(&world) else { return };
    bao.set(&world, "POST", "sys/auth/userpass", r#"{"type": "userpass"}"#);
    bao.set(
        &world,
        "POST",
        "auth/userpass/users/bot",
        r#"{"password": "made-up"}"#,
    );
    let login = bao.set(
        &world,
        "POST",
        "auth/userpass/login/bot",
        r#"{"password": "made-up"}"#,
    );
    let text = |at: &str| login.pointer(at).and_then(Value::as_str).unwrap().to_owned();
    let (secret, entity) = (text("/auth/client_token"), text("/auth/entity_id"));
    let with = [("address", bao.address.as_str()), ("entity", entity.as_str())];
    let mut case = Case::new(&world, "vault-entity", &with)
        .auth("root")
        .secret(&secret);

    assert_eq!(case.stop(), Proof::Refused, "{:?}", case.facts);
    assert!(!alive(&bao, &world, &secret));
    assert_eq!(case.undo.as_deref(), Some(r#"{"disabled":false}"#.as_bytes()));

    assert!(case.adapter().reversible(&case.target));
    let back = case.restore();
    assert!(back.contains(&Fact::Accepted { status: 204 }) && back.contains(&Fact::ReadBack { dead: false }));
    let revived = |f: &Fact| matches!(f, Fact::Residual { what, .. } if what.starts_with("every token"));
    assert!(back.iter().any(revived), "old tokens are named: {back:?}");
    assert!(alive(&bao, &world, &secret));
}

#[test]
fn a_destroyed_secret_id_leaves_its_tokens_and_says_so() {
    let world = network_world();
    let Some(bao) = Bao::start(&world) else { return };
    bao.set(&world, "POST", "sys/auth/approle", r#"{"type": "approle"}"#);
    bao.set(
        &world,
        "POST",
        "auth/approle/role/bot",
        r#"{"token_policies": ["default"]}"#,
    );
    let made = bao.set(&world, "POST", "auth/approle/role/bot/secret-id", "{}");
    let accessor = made
        .pointer("/data/secret_id_accessor")
        .and_then(Value::as_str)
        .unwrap();
    let with = [
        ("address", bao.address.as_str()),
        ("role", "bot"),
        ("accessor", accessor),
    ];
    let mut case = Case::new(&world, "vault-approle", &with).auth("root");
    assert_eq!(case.stop(), Proof::Confirmed, "{:?}", case.facts);
    assert!(
        case.facts
            .iter()
            .any(|o| matches!(&o.fact, Fact::Residual { what, .. } if what.starts_with("tokens")))
    );
    assert!(case.cut().contains(&Fact::AlreadyDone { status: 500 }));
}

#[test]
fn all_secret_ids_of_a_role_are_destroyed_and_none_logs_in() {
    let world = network_world();
    let Some(bao) = Bao::start(&world) else { return };
    bao.set(&world, "POST", "sys/auth/approle", r#"{"type": "approle"}"#);
    let role = r#"{"token_policies": ["default"]}"#;
    bao.set(&world, "POST", "auth/approle/role/bot", role);
    let id = bao.set(&world, "GET", "auth/approle/role/bot/role-id", "");
    let text = |node: &Value, at: &str| node.pointer(at).and_then(Value::as_str).unwrap().to_owned();
    let id = text(&id, "/data/role_id");
    let made: Vec<Value> = (0..3)
        .map(|_| bao.set(&world, "POST", "auth/approle/role/bot/secret-id", "{}"))
        .collect();
    let login = |made: &Value| {
        let secret = text(made, "/data/secret_id");
        let body = format!(r#"{{"role_id": "{id}", "secret_id": "{secret}"}}"#);
        bao.ask(&world, "POST", "auth/approle/login", "", &body).0
    };
    assert_eq!(login(&made[0]), 200);

    let with = [("address", bao.address.as_str()), ("role", "bot")];
    let mut case = Case::new(&world, "vault-role", &with).auth("root");
    assert!(
        matches!(case.armed().as_slice(), [Fact::Noted { .. }]),
        "{:?}",
        case.armed()
    );
    assert_eq!(case.stop(), Proof::Confirmed, "{:?}", case.facts);
    assert!(case.has(&Fact::Ended { count: 3 }));
    assert!(made.iter().all(|made| login(made) == 400));
}

#[test]
fn a_revoked_lease_leaves_its_backend_and_the_database_grant_ends_it() {
    let world = network_world();
    let (Some(bao), Some(pg)) = (Bao::start(&world), Pg::start(&world)) else {
        return;
    };
    bao.set(&world, "POST", "sys/mounts/database", r#"{"type": "database"}"#);
    let config = format!(
        r#"{{"plugin_name": "postgresql-database-plugin", "allowed_roles": "*", "username": "postgres",
            "password": "desk",
            "connection_url": "postgresql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{}/postgres?sslmode=disable"}}"#,
        pg.port
    );
    bao.set(&world, "POST", "database/config/orders", &config);
    let role = r#"{"db_name": "orders", "default_ttl": "1h",
        "creation_statements": "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}';"}"#;
    bao.set(&world, "POST", "database/roles/agent", role);
    let leased = bao.set(&world, "GET", "database/creds/agent", "");
    let text = |at: &str| leased.pointer(at).and_then(Value::as_str).unwrap().to_owned();
    let (user, password) = (text("/data/username"), text("/data/password"));
    let url = pg.url(&user, &password);

    let mut database = Case::new(&world, "postgres", &[("role", &user)])
        .auth(&pg.admin())
        .secret(&url);
    database.before();

    let with = [("address", bao.address.as_str()), ("role", "agent")];
    let mut lease = Case::new(&world, "vault-lease", &with).auth("root");
    assert_eq!(lease.stop(), Proof::Confirmed, "{:?}", lease.facts);
    let roles = pg.run(&world, "SELECT 1 FROM pg_roles WHERE rolname LIKE 'v-%'");
    assert!(roles.is_empty(), "the role is dropped");
    let orphans = "SELECT count(*) FROM pg_stat_activity WHERE usesysid NOT IN (SELECT oid FROM pg_roles)";
    assert_eq!(
        pg.run(&world, orphans)[0][0].as_deref(),
        Some("1"),
        "its backend lives on"
    );
    assert!(
        lease
            .facts
            .iter()
            .any(|o| matches!(o.fact, Fact::Residual { .. })),
        "and the record says so"
    );

    assert!(database.cut().contains(&Fact::AlreadyDone { status: 0 }));
    assert!(database.sessions().contains(&Fact::Ended { count: 1 }));
    assert_eq!(database.sessions(), [Fact::Listed { live: 0 }]);
    let seen = database.probe();
    assert!(seen.contains(&Fact::TriedOpen { refused: true }), "{seen:?}");
    assert!(seen.contains(&Fact::TriedNew { refused: true }), "{seen:?}");
    assert_eq!(database.proof(), Proof::Refused);
    assert_eq!(pg.run(&world, orphans)[0][0].as_deref(), Some("0"));
}
