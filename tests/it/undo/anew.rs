//! A new credential for a service in the place of one that was cut: against real servers.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use incident::boundary::{Answer, Refusal};
use incident::engine::{Engine, EngineError};
use incident::model::effect::{Effect, Zone};
use incident::model::event::Outcome;
use incident::model::fact::{Fact, Proof};
use incident::world::World;
use serde_json::Value;

use super::{Yard, state, target, text, to_contain};
use crate::providers::contract::Case;
use crate::support::clouds::Aws;
use crate::support::network_world;
use crate::support::servers::{Bao, Pg};
use crate::support::stub::{Stub, say};

/// The boundary that ships.
const SHIPPED: &str = "version: 1\nname: shipped\nboundary:\n  inside: [read, protect, credential-new]\n  at: [credential-change]\nstages: {}\n";

/// Makes one for the service `shop` and gives its secret.
fn made(engine: &Engine<'_>, name: &str, into: &Path) -> String {
    let act = engine.resolve_renewal(&target(name), "shop").unwrap();
    let verdict = engine.judged(&act, None).unwrap();
    assert_eq!(verdict.zone, Zone::Inside, "{verdict:?}");
    let acted = engine.renew(&act, into, None).unwrap();
    assert_eq!(acted.outcome, Outcome::Done, "{}", acted.why);
    assert_eq!(
        std::fs::metadata(into).unwrap().permissions().mode() & 0o777,
        0o600
    );
    std::fs::read_to_string(into).unwrap().trim_end().to_owned()
}

/// The secret is nowhere below the case.
fn nowhere(engine: &Engine<'_>, secret: &str) {
    let mut folders = vec![engine.case_path().unwrap()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path => {
                    let bytes = std::fs::read(&path).unwrap();
                    let found = bytes.windows(secret.len()).any(|w| w == secret.as_bytes());
                    assert!(!found, "{}", path.display());
                    files += 1;
                }
            }
        }
    }
    assert!(files > 3);
}

/// The fact that one was made: its name and fingerprint.
fn on_record(engine: &Engine<'_>, name: &str) -> (String, Option<String>) {
    let facts = state(engine, name).facts;
    let made = facts.iter().find_map(|o| match &o.fact {
        Fact::Renewed {
            name, print, service, ..
        } if service == "shop" => Some((name.clone(), print.clone())),
        _ => None,
    });
    made.unwrap()
}

fn token(bao: &Bao, world: &World, body: &str) -> (String, String) {
    let made = bao.set(world, "POST", "auth/token/create", body);
    (text(&made, "/auth/client_token"), text(&made, "/auth/accessor"))
}

fn token_grant(yard: &Yard, bao: &Bao, (secret, accessor): &(String, String)) -> String {
    format!(
        "      - id: bot\n        provider: vault-token\n        with: {{address: \"{}\", accessor: {accessor}}}\n        \
         auth: {{file: {}}}\n        secret: {{file: {}}}\n",
        bao.address,
        yard.file("root", "root"),
        yard.file("secret", secret)
    )
}

#[test]
fn a_new_token_has_the_old_ones_policies_and_outlives_the_next_stop() {
    let world = network_world();
    let Some(bao) = Bao::start(&world) else { return };
    let rules = r#"{"policy": "path \"secret/data/shop\" {capabilities = [\"read\"]}"}"#;
    bao.set(&world, "PUT", "sys/policies/acl/reader", rules);
    bao.set(&world, "PUT", "sys/policies/acl/other", rules);
    let old = token(&bao, &world, r#"{"policies": ["reader"], "ttl": "2h"}"#);
    let yard = Yard::new();
    let engine = yard.open(&world, SHIPPED, &token_grant(&yard, &bao, &old));
    assert!(
        engine.resolve_renewal(&target("bot"), "shop").is_err(),
        "nothing is cut yet"
    );
    engine.stop(&[]).unwrap();
    let into = yard.folder.path().join("shop-token");
    let act = engine.resolve_renewal(&target("bot"), "shop").unwrap();
    assert_eq!(act.targets["rights"], r#"the policies ["default","reader"]"#);
    let Err(EngineError::Blocked { verdict, .. }) = engine.renew(&act, &into, None) else {
        panic!()
    };
    assert_eq!(verdict.answer, Answer::Refused(Refusal::BeforeBaseline));
    assert!(!into.exists(), "nothing is left of an attempt that was refused");

    to_contain(&engine, &yard);
    let before = engine.head();
    std::fs::write(&into, "mine").unwrap();
    assert!(matches!(
        engine.renew(&act, &into, None),
        Err(EngineError::File { .. })
    ));
    assert_eq!(std::fs::read_to_string(&into).unwrap(), "mine");
    assert_eq!(engine.head(), before, "nothing was begun");
    std::fs::remove_file(&into).unwrap();

    let new = made(&engine, "bot", &into);
    let look = |token: &str| bao.ask(&world, "GET", "auth/token/lookup-self", token, "");
    let (name, print) = on_record(&engine, "bot");
    let body = format!(r#"{{"accessor": "{name}"}}"#);
    let seen = bao.set(&world, "POST", "auth/token/lookup-accessor", &body);
    assert_eq!(
        seen.pointer("/data/policies"),
        Some(&serde_json::json!(["default", "reader"]))
    );
    assert_eq!(seen.pointer("/data/orphan"), Some(&Value::Bool(true)));
    assert_eq!(seen.pointer("/data/creation_ttl"), Some(&Value::from(7200)));
    let reads = |token: &str| bao.ask(&world, "GET", "secret/data/shop", token, "").0;
    assert_eq!(
        (reads(&new), reads(&old.0)),
        (404, 403),
        "one is let in and finds nothing, one is not"
    );
    assert!(print.is_some_and(|p| !p.contains(&new)) && look(&old.0).0 == 403);
    nowhere(&engine, &new);

    engine.stop(&[]).unwrap();
    assert_eq!(reads(&new), 404, "it is the service's, and no stop takes it");
    let bot = state(&engine, "bot");
    assert_eq!(
        bot.proof(),
        Proof::Refused,
        "of the old one the record says what it said: {:?}",
        bot.facts
    );
    let again = engine.resolve_renewal(&target("bot"), "shop").unwrap();
    assert_eq!(again.step.as_str(), "new-bot:shop.2");
    assert_eq!(engine.resolve(&again.step).unwrap(), again);
}

#[test]
fn what_a_root_token_or_a_bound_one_might_do_is_not_made_anew_alone() {
    let world = network_world();
    let Some(bao) = Bao::start(&world) else { return };
    let role = r#"{"allowed_policies": "reader", "token_bound_cidrs": "127.0.0.0/8", "orphan": true}"#;
    bao.set(&world, "POST", "auth/token/roles/near", role);
    let near = bao.set(&world, "POST", "auth/token/create/near", "{}");
    let near = (text(&near, "/auth/client_token"), text(&near, "/auth/accessor"));
    for (old, why) in [
        (token(&bao, &world, "{}"), "root token"),
        (near, "bound to addresses"),
    ] {
        let yard = Yard::new();
        let engine = yard.open(&world, SHIPPED, &token_grant(&yard, &bao, &old));
        engine.stop(&[]).unwrap();
        to_contain(&engine, &yard);
        let act = engine.resolve_renewal(&target("bot"), "shop").unwrap();
        assert!(act.targets["rights"].contains(why), "{:?}", act.targets);
        assert!(act.effects().contains(&Effect::CredentialChange));
        assert_eq!(
            engine.resolve(&act.step).unwrap(),
            act,
            "an escalation finds it by its step"
        );
        let into = yard.folder.path().join("new");
        assert!(engine.renew(&act, &into, None).is_err() && !into.exists());
        let Err(EngineError::Blocked { verdict, .. }) = engine.renewed_by_hand(&act, "made one") else {
            panic!()
        };
        assert_eq!(verdict.zone, Zone::At);
    }
}

#[test]
fn a_token_that_came_with_more_than_was_asked_for_is_revoked_at_once() {
    let stub = Stub::start(|_, seen| match seen.path.as_str() {
        "/v1/auth/token/create-orphan" => say(
            200,
            r#"{"auth": {"client_token": "made-up", "accessor": "fresh", "policies": ["reader", "admin"]}}"#,
        ),
        _ => say(204, ""),
    });
    let world = network_world();
    let with = [("address", &*stub.address()), ("accessor", "old")].map(|(k, v)| (k, v.to_owned()));
    let with: Vec<(&str, &str)> = with.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let case = Case::new(&world, "vault-token", &with).auth("root");
    let saved = br#"{"policies": ["reader"]}"#;
    let made = world.wait(case.adapter().renew(case.ctx(), &case.target, saved, "shop"));
    let Err(facts) = made.unwrap() else { panic!() };
    let said = format!("{facts:?}");
    assert!(
        said.contains("admin") && said.contains("fresh was revoked at once"),
        "{said}"
    );
    assert!(!said.contains("made-up"), "{said}");
    let last = stub.seen().pop().unwrap();
    assert_eq!(last.path, "/v1/auth/token/revoke-accessor");
    assert!(last.body.contains("fresh"), "{}", last.body);
}

#[test]
fn a_new_secret_id_logs_in_where_the_old_one_is_refused() {
    let world = network_world();
    let Some(bao) = Bao::start(&world) else { return };
    bao.set(&world, "POST", "sys/auth/approle", r#"{"type": "approle"}"#);
    bao.set(
        &world,
        "POST",
        "auth/approle/role/bot",
        r#"{"token_policies": ["default"]}"#,
    );
    let id = bao.set(&world, "GET", "auth/approle/role/bot/role-id", "");
    let old = bao.set(&world, "POST", "auth/approle/role/bot/secret-id", "{}");
    let yard = Yard::new();
    let grants = format!(
        "      - id: bot\n        provider: vault-approle\n        with: {{address: \"{}\", role: bot, accessor: {}}}\n        \
         auth: {{file: {}}}\n",
        bao.address,
        text(&old, "/data/secret_id_accessor"),
        yard.file("root", "root")
    );
    let engine = yard.open(&world, SHIPPED, &grants);
    engine.stop(&[]).unwrap();
    to_contain(&engine, &yard);
    let new = made(&engine, "bot", &yard.folder.path().join("secret-id"));
    let login = |secret: &str| {
        let body = format!(
            r#"{{"role_id": "{}", "secret_id": "{secret}"}}"#,
            text(&id, "/data/role_id")
        );
        bao.ask(&world, "POST", "auth/approle/login", "", &body).0
    };
    assert_eq!((login(&new), login(&text(&old, "/data/secret_id"))), (200, 400));
    nowhere(&engine, &new);
}

#[test]
fn a_new_login_may_what_the_old_role_might_and_no_stop_takes_it_for_the_agents() {
    let world = network_world();
    let Some(pg) = Pg::start(&world) else { return };
    pg.run(
        &world,
        "CREATE ROLE \"shop-bot\" LOGIN CREATEDB PASSWORD 'made-up'; CREATE TABLE orders (id int); CREATE TABLE wages (id int); \
         GRANT SELECT ON orders TO \"shop-bot\"",
    );
    let yard = Yard::new();
    let grants = format!(
        "      - id: bot\n        provider: postgres\n        with: {{roles: \"shop*\"}}\n        auth: {{file: {}}}\n        \
         secret: {{file: {}}}\n",
        yard.file("auth", &pg.admin()),
        yard.file("secret", &pg.url("shop-bot", "made-up"))
    );
    let engine = yard.open(&world, SHIPPED, &grants);
    engine.stop(&[]).unwrap();
    to_contain(&engine, &yard);
    let new = made(&engine, "bot", &yard.folder.path().join("url"));
    let may = |sql: &str| {
        let session = pg.session(&world, &new);
        world.wait(session.query(sql)).unwrap().is_ok()
    };
    assert!(may("SELECT count(*) FROM orders"));
    assert!(!may("SELECT count(*) FROM wages") && !may("CREATE DATABASE more"));
    let open = pg.session(&world, &new);
    let (name, _) = on_record(&engine, "bot");
    assert!(
        name.starts_with("shop-"),
        "its name even fits the pattern of the grant: {name}"
    );

    engine.stop(&[]).unwrap();
    assert!(
        world.wait(open.query("SELECT 1")).unwrap().is_ok(),
        "its session is not ended"
    );
    assert!(may("SELECT count(*) FROM orders"), "nor its membership taken");
    let bot = state(&engine, "bot");
    assert_eq!(bot.proof(), Proof::Refused, "{:?}", bot.facts);
    let password = url::Url::parse(&new).unwrap().password().unwrap().to_owned();
    nowhere(&engine, &password);
}

#[test]
fn a_new_access_key_works_beside_the_inactive_one() {
    let world = network_world();
    let Some(aws) = Aws::seaweed() else { return };
    let old = aws.user("bot", "s3:*");
    let yard = Yard::new();
    let grants = format!(
        "      - id: bot\n        provider: aws-key\n        with: {{endpoint: \"{}\", user: bot, key: {}}}\n        \
         auth: {{file: {}}}\n        secret: {{file: {}}}\n",
        aws.endpoint,
        old.0,
        yard.file("root", &format!("{}:{}", aws.root.0, aws.root.1)),
        yard.file("secret", &format!("{}:{}", old.0, old.1))
    );
    let engine = yard.open(&world, SHIPPED, &grants);
    engine.stop(&[]).unwrap();
    to_contain(&engine, &yard);
    let profile = made(&engine, "bot", &yard.folder.path().join("credentials"));
    let value = |name: &str| {
        let line = profile
            .lines()
            .find_map(|l| l.strip_prefix(name)?.strip_prefix(" = "));
        line.unwrap().to_owned()
    };
    let (key, secret) = (value("aws_access_key_id"), value("aws_secret_access_key"));
    assert_eq!(on_record(&engine, "bot").0, key);
    let list = "b.client('s3').list_buckets()";
    assert!(aws.boto((&key, &secret, None), list).is_ok());
    assert!(aws.boto((&old.0, &old.1, None), list).is_err());
    nowhere(&engine, &secret);

    engine.stop(&[]).unwrap();
    assert_eq!(
        (
            aws.status("bot", &key).as_str(),
            aws.status("bot", &old.0).as_str()
        ),
        ("Active", "Inactive")
    );
    let bot = state(&engine, "bot");
    let named = |f: &Fact| matches!(f, Fact::Residual { what, .. } if what.contains(&key));
    assert!(
        !bot.facts.iter().any(|o| named(&o.fact)),
        "the service's key is not held against the agent"
    );
}

#[test]
fn what_the_tool_cannot_make_a_person_makes_behind_the_same_gate() {
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
    let yard = Yard::new();
    let grants = format!(
        "      - id: bot\n        provider: vault-entity\n        with: {{address: \"{}\", entity: {}}}\n        \
         auth: {{file: {}}}\n",
        bao.address,
        text(&login, "/auth/entity_id"),
        yard.file("root", "root")
    );
    let engine = yard.open(&world, SHIPPED, &grants);
    engine.stop(&[]).unwrap();
    let by_hand = |engine: &Engine<'_>| {
        let act = engine.resolve_renewal(&target("bot"), "shop").unwrap();
        assert!(act.targets["by hand"].contains("for shop"), "{:?}", act.targets);
        assert!(engine.renew(&act, &PathBuf::from("new"), None).is_err());
        engine.renewed_by_hand(&act, "entity shop, made in the console")
    };
    assert!(
        matches!(by_hand(&engine), Err(EngineError::Blocked { .. })),
        "not before the baseline"
    );
    to_contain(&engine, &yard);
    let acted = by_hand(&engine).unwrap();
    assert!(acted.why.contains("made by hand for shop"), "{}", acted.why);
    let (name, print) = on_record(&engine, "bot");
    assert_eq!((name.as_str(), print), ("entity shop, made in the console", None));
}
