//! Stop, stop again and give back, through the engine and against real servers.

mod anew;
mod ends;
mod own;

use std::time::Duration;

use incident::engine::{Acted, Desk, Engine, EngineError, Written};
use incident::model::act::{Act, CaptureSpec, Stage};
use incident::model::event::Outcome;
use incident::model::fact::{Fact, Proof};
use incident::model::ids::TargetId;
use incident::model::incident::TargetState;
use incident::model::secret::Secret;
use incident::store::Store;
use incident::world::World;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::network_world;
use crate::support::servers::{Bao, Pg};

/// A policy under which giving back needs nobody else: what is tried here is not the gate.
const ALONE: &str =
    "version: 1\nname: alone\nboundary: {inside: [read, credential-change], at: []}\nstages: {}\n";

/// A folder for the record and the files that grants name.
struct Yard {
    folder: TempDir,
    store: Store,
}

impl Yard {
    fn new() -> Yard {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("cases"));
        Yard { folder, store }
    }

    /// Writes a file and gives its path.
    fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// An incident over these grants.
    fn open<'w>(&'w self, world: &'w World, runbook: &str, grants: &str) -> Engine<'w> {
        let access = format!("version: 1\nagents:\n  - name: bot\n    grants:\n{grants}");
        let desk = Desk {
            world,
            store: &self.store,
            spool_folders: Vec::new(),
            who: "ana@example.com".to_owned(),
        };
        let written = Written {
            runbook: Some(("runbook.yaml".to_owned(), runbook.as_bytes().to_vec())),
            access: Some(("access.yaml".to_owned(), access.into_bytes())),
            ..Written::default()
        };
        let engine = desk.open("undo", &written).unwrap();
        assert_eq!(engine.mistakes, [], "the files are as meant");
        engine
    }
}

fn target(name: &str) -> TargetId {
    TargetId::new(name).unwrap()
}

fn state(engine: &Engine<'_>, name: &str) -> TargetState {
    engine.incident().unwrap().stop.targets[&target(name)].clone()
}

/// To contain, by the shortest way.
fn to_contain(engine: &Engine<'_>, yard: &Yard) {
    engine.enter(Stage::Assess).unwrap();
    let path = yard.file("seen", "the shop is up").into();
    engine
        .capture(&CaptureSpec::File { path }, None, "a look")
        .unwrap();
    engine.seal_baseline(Vec::new()).unwrap();
    engine.enter(Stage::Contain).unwrap();
}

fn given(acted: Result<Acted, EngineError>) {
    let acted = acted.unwrap();
    assert_eq!((acted.outcome, acted.why.as_str()), (Outcome::Done, "given back"));
}

fn may_log_in(pg: &Pg, world: &World, role: &str) -> bool {
    let sql = format!("SELECT rolcanlogin FROM pg_roles WHERE rolname = '{role}'");
    pg.run(world, &sql)[0][0].as_deref() == Some("t")
}

#[test]
fn what_two_sweeps_took_is_given_back_together_and_every_saved_file_is_checked() {
    let world = network_world();
    let Some(pg) = Pg::start(&world) else { return };
    let yard = Yard::new();
    let auth = yard.file("auth", &pg.admin());
    pg.run(
        &world,
        "CREATE ROLE \"bot-1\" LOGIN PASSWORD 'made-up' CONNECTION LIMIT 3",
    );
    let grants = format!(
        "      - id: bots\n        provider: postgres\n        with: {{roles: \"bot-*\"}}\n        auth: {{file: {auth}}}\n"
    );
    let engine = yard.open(&world, ALONE, &grants);
    engine.stop(&[]).unwrap();
    // The agent, or somebody for it, makes another login; the next sweep takes it.
    pg.run(
        &world,
        "CREATE ROLE \"bot-2\" LOGIN PASSWORD 'made-up' CONNECTION LIMIT 4",
    );
    engine.stop(&[]).unwrap();
    assert!(!may_log_in(&pg, &world, "bot-1") && !may_log_in(&pg, &world, "bot-2"));
    to_contain(&engine, &yard);

    let act = engine.resolve_restore(&target("bots")).unwrap();
    let Act::Restore(back) = &act.act else {
        panic!("{act:?}")
    };
    assert_eq!(back.saved.len(), 2, "one file a sweep, oldest first");
    let newer = engine.case_path().unwrap().join("undo").join(&back.saved[1].file);
    let kept = std::fs::read(&newer).unwrap();
    std::fs::write(&newer, "{}").unwrap();
    let Err(EngineError::Unresolved { why, .. }) = engine.restore(&target("bots"), None) else {
        panic!()
    };
    assert!(why.contains("is not what was saved"), "{why}");
    assert!(!may_log_in(&pg, &world, "bot-1"), "all of it or nothing");

    std::fs::write(&newer, kept).unwrap();
    given(engine.restore(&target("bots"), None));
    let limits = "SELECT rolcanlogin, rolconnlimit FROM pg_roles WHERE rolname LIKE 'bot-%' ORDER BY rolname";
    let rows = pg.run(&world, limits);
    let limits: Vec<_> = rows.iter().map(|r| (r[0].as_deref(), r[1].as_deref())).collect();
    assert_eq!(limits, [(Some("t"), Some("3")), (Some("t"), Some("4"))]);
}

#[test]
fn a_second_stop_takes_no_proof_away() {
    let world = network_world();
    let Some(pg) = Pg::start(&world) else { return };
    let yard = Yard::new();
    let (auth, secret) = (
        yard.file("auth", &pg.admin()),
        yard.file("secret", &pg.url("bot", "made-up")),
    );
    pg.run(&world, "CREATE ROLE bot LOGIN PASSWORD 'made-up'");
    let grants = format!(
        "      - id: bot\n        provider: postgres\n        with: {{role: bot}}\n        auth: {{file: {auth}}}\n        \
         secret: {{file: {secret}}}\n"
    );
    let engine = yard.open(&world, ALONE, &grants);
    engine.stop(&[]).unwrap();
    assert_eq!(state(&engine, "bot").proof(), Proof::Refused);
    engine.stop(&[]).unwrap();
    let twice = state(&engine, "bot");
    assert_eq!(twice.proof(), Proof::Refused, "{:?}", twice.facts);

    // Given back and cut again, it is proved anew: the old session's end is no word on what came since.
    to_contain(&engine, &yard);
    given(engine.restore(&target("bot"), None));
    assert_eq!(state(&engine, "bot").proof(), Proof::StillLive);
    engine.stop(&[]).unwrap();
    let again = state(&engine, "bot");
    assert_eq!(again.proof(), Proof::Refused, "{:?}", again.facts);
    let tried = |o: &&incident::model::fact::Observed| o.fact == Fact::TriedOpen { refused: true };
    assert_eq!(again.facts.iter().filter(tried).count(), 2);
}

/// A database engine in OpenBao whose role `agent` leases logins in this PostgreSQL.
fn leasing(bao: &Bao, pg: &Pg, world: &World) {
    bao.set(world, "POST", "sys/mounts/database", r#"{"type": "database"}"#);
    let config = format!(
        r#"{{"plugin_name": "postgresql-database-plugin", "allowed_roles": "*", "username": "postgres",
            "password": "desk",
            "connection_url": "postgresql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{}/postgres?sslmode=disable"}}"#,
        pg.port
    );
    bao.set(world, "POST", "database/config/orders", &config);
    let role = r#"{"db_name": "orders", "default_ttl": "1h",
        "creation_statements": "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}'; GRANT INSERT ON log TO \"{{name}}\";",
        "revocation_statements": "REVOKE ALL ON log FROM \"{{name}}\"; DROP ROLE \"{{name}}\";"}"#;
    bao.set(world, "POST", "database/roles/agent", role);
}

fn text(made: &Value, at: &str) -> String {
    made.pointer(at).and_then(Value::as_str).unwrap().to_owned()
}

/// Runs one statement in a world of its own, as the agent would, and says whether it was carried out.
fn elsewhere(url: String, sql: &'static str) -> std::thread::JoinHandle<bool> {
    std::thread::spawn(move || {
        let world = network_world();
        let asked = async {
            let session = world
                .sql
                .open(&Secret::new(url), Duration::from_secs(10))
                .await
                .unwrap();
            session.query(sql).await.is_ok()
        };
        world.wait(asked).unwrap()
    })
}

#[test]
fn the_sessions_of_a_leased_login_end_before_the_lease_and_none_is_orphaned() {
    let world = network_world();
    let (Some(bao), Some(pg)) = (Bao::start(&world), Pg::start(&world)) else {
        return;
    };
    pg.run(&world, "CREATE TABLE log (line text)");
    leasing(&bao, &pg, &world);
    let leased = bao.set(&world, "GET", "database/creds/agent", "");
    let url = pg.url(&text(&leased, "/data/username"), &text(&leased, "/data/password"));
    let yard = Yard::new();
    let (root, auth, secret) = (
        yard.file("root", "root"),
        yard.file("auth", &pg.admin()),
        yard.file("secret", &url),
    );
    let grants = format!(
        "      - id: lease\n        provider: vault-lease\n        with: {{address: \"{}\", role: agent}}\n        \
         auth: {{file: {root}}}\n      - id: logins\n        provider: postgres\n        with: {{roles: \"v-*-agent-*\"}}\n        \
         auth: {{file: {auth}}}\n        secret: {{file: {secret}}}\n",
        bao.address
    );
    // What runs when its login is dropped runs to its end and is committed; this would be.
    let sql = "INSERT INTO log SELECT pg_sleep(4)::text";
    let agent = elsewhere(url, sql);
    let running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'INSERT INTO log%' AND pid <> pg_backend_pid()";
    for _ in 0..300 {
        if pg.run(&world, running)[0][0].as_deref() == Some("1") {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let engine = yard.open(&world, ALONE, &grants);
    engine.stop(&[]).unwrap();
    assert!(!agent.join().unwrap(), "its statement was ended");
    assert_eq!(
        pg.run(&world, "SELECT count(*) FROM log")[0][0].as_deref(),
        Some("0")
    );
    let orphans = "SELECT count(*) FROM pg_stat_activity WHERE usesysid NOT IN (SELECT oid FROM pg_roles)";
    assert_eq!(pg.run(&world, orphans)[0][0].as_deref(), Some("0"));

    let (lease, logins) = (state(&engine, "lease"), state(&engine, "logins"));
    assert_eq!(lease.proof(), Proof::Confirmed, "{:?}", lease.facts);
    assert_eq!(logins.proof(), Proof::Refused, "{:?}", logins.facts);
    let revoked = |o: &&incident::model::fact::Observed| matches!(o.fact, Fact::Accepted { .. });
    let revoked = lease.facts.iter().find(revoked).unwrap().at_us;
    let empty: Vec<u64> = logins
        .facts
        .iter()
        .filter(|o| o.fact == Fact::Listed { live: 0 })
        .map(|o| o.at_us)
        .collect();
    assert!(empty[0] < revoked, "the sessions ended first");
    assert!(
        empty.iter().filter(|at| **at > revoked).count() >= 2,
        "and were looked for again, twice, once nothing could be leased any more"
    );
}

#[test]
fn a_database_that_hangs_holds_its_lease_up_for_two_seconds_and_no_longer() {
    let world = network_world();
    let Some(bao) = Bao::start(&world) else { return };
    bao.set(&world, "POST", "sys/mounts/database", r#"{"type": "database"}"#);
    // Takes connections and says no word, for a while.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = mute.local_addr().unwrap();
    let gone = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(4));
        drop(mute);
    });
    let yard = Yard::new();
    let (root, auth) = (
        yard.file("root", "root"),
        yard.file("auth", &format!("postgres://x:y@{address}/z")),
    );
    let grants = format!(
        "      - id: lease\n        provider: vault-lease\n        with: {{address: \"{}\", role: agent}}\n        \
         auth: {{file: {root}}}\n      - id: logins\n        provider: postgres\n        with: {{roles: \"v-*-agent-*\"}}\n        \
         auth: {{file: {auth}}}\n",
        bao.address
    );
    let engine = yard.open(&world, ALONE, &grants);
    engine.stop(&[]).unwrap();
    gone.join().unwrap();
    let incident = engine.incident().unwrap();
    let began = incident.stop.started_us.unwrap();
    let lease = state(&engine, "lease");
    let taken = lease
        .facts
        .iter()
        .find(|o| matches!(o.fact, Fact::Accepted { .. }));
    let waited = taken.unwrap().at_us - began;
    assert!((2_000_000..4_000_000).contains(&waited), "{waited} µs");
}

/// A login of an entity in OpenBao whose tokens live this long: token and entity.
fn entity(bao: &Bao, world: &World, ttl: &str) -> (String, String) {
    bao.set(world, "POST", "sys/auth/userpass", r#"{"type": "userpass"}"#);
    let user = format!(r#"{{"password": "made-up", "token_ttl": "{ttl}", "token_max_ttl": "{ttl}"}}"#);
    bao.set(world, "POST", "auth/userpass/users/bot", &user);
    let login = bao.set(
        world,
        "POST",
        "auth/userpass/login/bot",
        r#"{"password": "made-up"}"#,
    );
    (
        text(&login, "/auth/client_token"),
        text(&login, "/auth/entity_id"),
    )
}

#[test]
fn what_would_revive_an_old_token_waits_until_that_has_ended() {
    let world = network_world();
    let Some(bao) = Bao::start(&world) else { return };
    let (token, entity) = entity(&bao, &world, "10s");
    let yard = Yard::new();
    let grants = format!(
        "      - id: bot\n        provider: vault-entity\n        with: {{address: \"{}\", entity: {entity}}}\n        \
         auth: {{file: {}}}\n        secret: {{file: {}}}\n",
        bao.address,
        yard.file("root", "root"),
        yard.file("secret", &token)
    );
    let engine = yard.open(&world, ALONE, &grants);
    engine.stop(&[]).unwrap();
    to_contain(&engine, &yard);
    let until = state(&engine, "bot").facts.iter().find_map(|o| match &o.fact {
        Fact::Revives { until_ms, .. } => *until_ms,
        _ => None,
    });
    let until = until.expect("the provider said when it ends");
    let Err(EngineError::Unresolved { why, .. }) = engine.restore(&target("bot"), None) else {
        panic!("the agent's token would live again")
    };
    let when = incident::model::time::rfc3339(until);
    assert!(
        why.contains(&format!("until {when}")) && why.contains("--new --for"),
        "{why}"
    );
    let left = until - world.clock.now().utc_ms;
    assert!((0..10_000).contains(&left), "{left} ms");
    std::thread::sleep(Duration::from_millis(left.unsigned_abs() + 50));
    given(engine.restore(&target("bot"), None));
    assert_eq!(
        bao.ask(&world, "GET", "auth/token/lookup-self", &token, "").0,
        403
    );
    let again = bao.ask(
        &world,
        "POST",
        "auth/userpass/login/bot",
        "",
        r#"{"password": "made-up"}"#,
    );
    assert_eq!(again.0, 200, "the entity is back");
}

#[test]
fn what_nobody_knows_the_end_of_is_told_to_whoever_signs() {
    let world = network_world();
    let Some(bao) = Bao::start(&world) else { return };
    let (token, entity) = entity(&bao, &world, "1h");
    let yard = Yard::new();
    // Without the agent's own secret at hand nothing says when it ends.
    let grants = format!(
        "      - id: bot\n        provider: vault-entity\n        with: {{address: \"{}\", entity: {entity}}}\n        \
         auth: {{file: {}}}\n",
        bao.address,
        yard.file("root", "root")
    );
    let engine = yard.open(&world, ALONE, &grants);
    engine.stop(&[]).unwrap();
    to_contain(&engine, &yard);
    let act = engine.resolve_restore(&target("bot")).unwrap();
    assert_eq!(
        act.targets["revives"],
        "every token of the entity that has not expired"
    );
    given(engine.restore(&target("bot"), None));
    assert_eq!(
        bao.ask(&world, "GET", "auth/token/lookup-self", &token, "").0,
        200,
        "and so it does"
    );
}
