//! The adapter `postgres` against a real server.

use std::time::{Duration, Instant};

use incident::model::fact::{Fact, Proof};
use incident::world::World;
use incident::world::sql::SqlSession;
use serde_json::Value;

use super::contract::{Case, error_text};
use crate::support::servers::{Bao, Pg};
use crate::support::{START, network_world};

/// A name that would break out of quotes if it could.
const ROLE: &str = "odd \"bot'; DROP ROLE ben; --";

#[test]
fn no_login_alone_leaves_the_session_and_the_cut_ends_it() {
    let world = network_world();
    let Some(pg) = Pg::start(&world) else { return };
    pg.run(&world, "CREATE ROLE ben LOGIN PASSWORD 'x'");
    pg.run(
        &world,
        "CREATE ROLE \"odd \"\"bot'; DROP ROLE ben; --\" LOGIN PASSWORD 'made-up' CONNECTION LIMIT 7",
    );
    pg.run(&world, "GRANT \"odd \"\"bot'; DROP ROLE ben; --\" TO ben");
    let mut case = Case::new(&world, "postgres", &[("role", ROLE)])
        .auth(&pg.admin())
        .secret("made-up");
    assert!(
        matches!(case.armed().as_slice(), [Fact::Noted { .. }]),
        "{:?}",
        case.armed()
    );

    case.before();
    let undo = case.undo.clone().unwrap();
    let cut = case.cut();
    assert_eq!(cut[0], Fact::Accepted { status: 0 });
    assert!(
        matches!(&cut[1], Fact::Noted { text, .. } if text.starts_with("ben is no longer")),
        "{cut:?}"
    );
    assert_eq!(cut.len(), 2, "ben was the only one who could become it: {cut:?}");
    let seen = case.probe();
    assert!(seen.contains(&Fact::TriedNew { refused: true }), "{seen:?}");
    assert!(
        seen.contains(&Fact::TriedOpen { refused: false }),
        "the old session lives on: {seen:?}"
    );
    assert_eq!(case.proof(), Proof::StillLive);

    assert_eq!(
        case.sessions(),
        [
            Fact::Listed { live: 1 },
            Fact::Ended { count: 1 },
            Fact::Listed { live: 0 }
        ]
    );
    assert!(case.probe().contains(&Fact::TriedOpen { refused: true }));
    assert_eq!(case.proof(), Proof::Refused);

    // A second stop changes nothing and must not save the cut state over the real one.
    case.before();
    assert_eq!(case.undo.as_deref(), Some(undo.as_slice()));
    let back = case.restore();
    assert_eq!(
        back[..2],
        [Fact::Accepted { status: 0 }, Fact::ReadBack { dead: false }]
    );
    assert!(
        matches!(&back[2..], [Fact::Noted { text, .. }] if text.starts_with("as it was")),
        "{back:?}"
    );
    let members = "SELECT m.rolname, g.rolname, a.admin_option FROM pg_auth_members a JOIN pg_roles m ON m.oid = a.member \
                   JOIN pg_roles g ON g.oid = a.grantor WHERE m.rolname = 'ben'";
    let text = |t: &str| Some(t.to_owned());
    assert_eq!(
        pg.run(&world, members),
        [[text("ben"), text("postgres"), text("f")]]
    );
    let limit = pg.run(
        &world,
        "SELECT rolconnlimit FROM pg_roles WHERE rolname LIKE 'odd%'",
    );
    assert_eq!(limit[0][0].as_deref(), Some("7"));
    assert!(case.probe().contains(&Fact::TriedNew { refused: false }));
}

#[test]
fn prepared_transactions_are_rolled_back_in_every_database() {
    let world = network_world();
    let Some(pg) = Pg::start(&world) else { return };
    pg.run(&world, "CREATE ROLE bot LOGIN PASSWORD 'made-up'");
    pg.run(&world, "CREATE DATABASE other");
    pg.run(&world, "CREATE TABLE t (n int); GRANT INSERT ON t TO bot");
    let bot = pg.session(&world, &pg.url("bot", "made-up"));
    for sql in [
        "BEGIN",
        "INSERT INTO t VALUES (1)",
        "PREPARE TRANSACTION 'it''s late'",
    ] {
        world.wait(bot.query(sql)).unwrap().unwrap();
    }
    let there = pg.url("bot", "made-up").replace("/postgres", "/other");
    let other = pg.session(&world, &there);
    for sql in [
        "BEGIN",
        "CREATE TEMP TABLE x (n int) ON COMMIT DROP",
        "ROLLBACK",
        "BEGIN",
        "SELECT txid_current()",
        "PREPARE TRANSACTION 'far'",
    ] {
        world.wait(other.query(sql)).unwrap().unwrap();
    }
    let mut case = Case::new(&world, "postgres", &[("role", "bot")]).auth(&pg.admin());
    case.before();
    case.cut();
    let seen = case.sessions();
    assert!(
        seen.contains(&Fact::Listed { live: 2 }) && seen.contains(&Fact::Ended { count: 2 }),
        "{seen:?}"
    );
    assert_eq!(
        seen.last(),
        Some(&Fact::Ended { count: 2 }),
        "both transactions: {seen:?}"
    );
    let left = pg.run(&world, "SELECT gid FROM pg_prepared_xacts");
    assert!(left.is_empty(), "{left:?}");
    case.probe();
    assert_eq!(case.proof(), Proof::Confirmed, "nobody tried the password");
}

#[test]
fn a_wrong_password_proves_nothing() {
    let world = network_world();
    let Some(pg) = Pg::start(&world) else { return };
    pg.run(&world, "CREATE ROLE bot LOGIN PASSWORD 'made-up'");
    let mut case = Case::new(&world, "postgres", &[("role", "bot")])
        .auth(&pg.admin())
        .secret("wrong");
    case.before();
    let seen = case.probe();
    assert!(
        !seen.iter().any(|f| matches!(f, Fact::TriedNew { .. })),
        "{seen:?}"
    );
    assert_eq!(case.stop(), Proof::Confirmed);
}

#[test]
fn a_login_without_rights_is_told_so_beforehand() {
    let world = network_world();
    let Some(pg) = Pg::start(&world) else { return };
    pg.run(
        &world,
        "CREATE ROLE weak LOGIN PASSWORD 'x'; CREATE ROLE bot LOGIN PASSWORD 'y'",
    );
    let weak = pg.url("weak", "x");
    let mut case = Case::new(&world, "postgres", &[("role", "bot")])
        .auth(&weak)
        .secret("y");
    assert_eq!(
        error_text(&case.armed()),
        "the responder's login needs CREATEROLE and pg_signal_backend"
    );
    assert_eq!(case.stop(), Proof::StillLive);
    let text = format!("{:?}", case.facts);
    assert!(text.contains("42501"), "{text}");
    let own = Case::new(&world, "postgres", &[("role", "postgres")]).auth(&pg.admin());
    assert_eq!(error_text(&own.armed()), "the responder's own login is this role");
}

#[test]
fn a_prepared_transaction_that_cannot_be_reached_is_named_until_it_is_over() {
    let world = network_world();
    let Some(pg) = Pg::start(&world) else { return };
    pg.run(&world, "CREATE ROLE bot LOGIN PASSWORD 'made-up'");
    pg.run(&world, "CREATE DATABASE other");
    let there = pg.url("bot", "made-up").replace("/postgres", "/other");
    let other = pg.session(&world, &there);
    for sql in ["BEGIN", "SELECT txid_current()", "PREPARE TRANSACTION 'far'"] {
        world.wait(other.query(sql)).unwrap().unwrap();
    }
    pg.run(&world, "ALTER DATABASE other ALLOW_CONNECTIONS false");
    let mut case = Case::new(&world, "postgres", &[("role", "bot")]).auth(&pg.admin());
    case.before();
    case.cut();
    let seen = case.sessions();
    let what = seen.iter().find_map(|f| match f {
        Fact::InFlight { what } => Some(what.clone()),
        _ => None,
    });
    let what = what.unwrap_or_else(|| panic!("{seen:?}"));
    assert!(what.contains("far") && what.contains("other"), "{what}");
    pg.run(&world, "ALTER DATABASE other ALLOW_CONNECTIONS true");
    assert!(case.sessions().contains(&Fact::Over { what }));
}

#[test]
fn a_pattern_means_its_roles_and_never_the_responders_own() {
    let world = network_world();
    let Some(pg) = Pg::start(&world) else { return };
    pg.run(
        &world,
        "CREATE ROLE \"v-agent-1\" LOGIN PASSWORD 'x'; CREATE ROLE \"v-agent-2\" LOGIN PASSWORD 'x'; \
         CREATE ROLE \"v-desk\" SUPERUSER LOGIN PASSWORD 'desk'; CREATE ROLE web LOGIN PASSWORD 'x'",
    );
    let desk = pg.url("v-desk", "desk");
    let (first, second, web) = (
        pg.session(&world, &pg.url("v-agent-1", "x")),
        pg.session(&world, &pg.url("v-agent-2", "x")),
        pg.session(&world, &pg.url("web", "x")),
    );
    let mut case = Case::new(&world, "postgres", &[("roles", "v-*, nobody")]).auth(&desk);
    case.before();
    case.cut();
    // A role that is dropped before its backend is ended keeps its OID in the list of backends.
    pg.run(&world, "DROP ROLE \"v-agent-1\"");
    assert_eq!(
        case.sessions(),
        [
            Fact::Listed { live: 2 },
            Fact::Ended { count: 2 },
            Fact::Listed { live: 0 }
        ]
    );
    assert!(case.probe().contains(&Fact::ReadBack { dead: true }));
    for (session, dead) in [(&first, true), (&second, true), (&web, false)] {
        assert_eq!(world.wait(session.query("SELECT 1")).unwrap().is_err(), dead);
    }
    assert_eq!(
        pg.run(
            &world,
            "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'v-desk'"
        )[0][0]
            .as_deref(),
        Some("t")
    );
    let back = case.restore();
    assert!(
        back.iter().any(|f| matches!(f, Fact::Error { text, .. } if text.contains("v-agent-1") && text.contains("dropped"))),
        "{back:?}"
    );
    let logins = "SELECT rolname FROM pg_roles WHERE rolcanlogin AND rolname LIKE 'v-agent-%'";
    assert_eq!(pg.run(&world, logins), [[Some("v-agent-2".to_owned())]]);
}

#[test]
fn who_may_administer_the_role_and_what_it_leaves_is_named() {
    let world = network_world();
    let Some(pg) = Pg::start(&world) else { return };
    pg.run(
        &world,
        "CREATE ROLE bot LOGIN REPLICATION PASSWORD 'x'; CREATE ROLE chief LOGIN; GRANT bot TO chief WITH ADMIN OPTION; \
         CREATE FOREIGN DATA WRAPPER wrapper; CREATE SERVER far FOREIGN DATA WRAPPER wrapper; \
         CREATE USER MAPPING FOR bot SERVER far OPTIONS (user 'bot', password 'there'); \
         SELECT pg_create_physical_replication_slot('agents')",
    );
    let mut case = Case::new(&world, "postgres", &[("role", "bot")]).auth(&pg.admin());
    case.before();
    let cut = case.cut();
    for part in [
        "chief is a member of bot",
        "replication slot agents",
        "user mapping for server far",
    ] {
        assert!(
            cut.iter()
                .any(|f| matches!(f, Fact::Residual { what, .. } if what.contains(part))),
            "{part}: {cut:?}"
        );
    }
    let members = pg.run(
        &world,
        "SELECT count(*) FROM pg_auth_members WHERE roleid = 'bot'::regrole",
    );
    assert_eq!(
        members[0][0].as_deref(),
        Some("1"),
        "who administers the role keeps it"
    );
}

#[test]
fn jobs_of_a_role_are_switched_off_their_runs_ended_and_given_back() {
    let world = network_world();
    let Some(mut pg) = Pg::start_cron(&world) else {
        return;
    };
    pg.run(
        &world,
        "CREATE EXTENSION pg_cron; CREATE ROLE bot LOGIN PASSWORD 'x'; CREATE ROLE weak LOGIN PASSWORD 'x'; \
         CREATE ROLE web LOGIN PASSWORD 'x'; GRANT USAGE ON SCHEMA cron TO bot, weak, web",
    );
    for (role, jobs) in [
        (
            "bot",
            "SELECT cron.schedule('long', '@reboot', 'SELECT pg_sleep(600)'), cron.schedule('nightly', '0 3 * * *', 'SELECT 1')",
        ),
        ("web", "SELECT cron.schedule('report', '0 4 * * *', 'SELECT 1')"),
    ] {
        let session = pg.session(&world, &pg.url(role, "x"));
        world.wait(session.query(jobs)).unwrap().unwrap();
    }
    // What is due at the start runs at once.
    pg.restart(&world);
    let started = Instant::now();
    let running = "SELECT 1 FROM pg_stat_activity WHERE usename = 'bot' AND query LIKE '%pg_sleep%'";
    while pg.run(&world, running).is_empty() {
        assert!(started.elapsed() < START, "the job does not run");
        std::thread::sleep(Duration::from_millis(100));
    }
    // The jobs stand in another database than the one the responder's address names.
    pg.run(&world, "CREATE DATABASE orders");
    let desk = format!("{}/orders", pg.admin().trim_end_matches("/postgres"));
    let mut case = Case::new(&world, "postgres-cron", &[("role", "bot")]).auth(&desk);
    assert!(
        matches!(case.armed().as_slice(), [Fact::Noted { .. }]),
        "{:?}",
        case.armed()
    );
    case.before();
    assert_eq!(
        case.cut(),
        [Fact::Accepted { status: 0 }, Fact::Accepted { status: 0 }]
    );
    assert_eq!(
        case.sessions(),
        [
            Fact::Listed { live: 1 },
            Fact::Ended { count: 1 },
            Fact::Listed { live: 0 }
        ]
    );
    assert_eq!(case.probe(), [Fact::ReadBack { dead: true }]);
    assert_eq!(case.proof(), Proof::Confirmed);
    let active = "SELECT jobname FROM cron.job WHERE active ORDER BY 1";
    let named = |names: &[&str]| -> Vec<Vec<Option<String>>> {
        names.iter().map(|n| vec![Some((*n).to_owned())]).collect()
    };
    assert_eq!(pg.run(&world, active), named(&["report"]));
    assert_eq!(case.cut(), [Fact::AlreadyDone { status: 0 }]);
    case.before();
    assert!(case.restore().contains(&Fact::ReadBack { dead: false }));
    assert_eq!(pg.run(&world, active), named(&["long", "nightly", "report"]));

    // The grant says that cutting the login leaves the jobs scheduled.
    let mut login = Case::new(&world, "postgres", &[("role", "bot")]).auth(&pg.admin());
    login.before();
    let cut = login.cut();
    let said = |f: &&Fact| matches!(f, Fact::Revives { what, .. } if what.contains("postgres-cron"));
    assert_eq!(cut.iter().filter(said).count(), 2, "{cut:?}");

    // Who sees no jobs has not seen that there are none.
    let mut weak = Case::new(&world, "postgres-cron", &[("job", "report")]).auth(&pg.url("weak", "x"));
    assert_eq!(
        error_text(&weak.armed()),
        "no such job is visible to the responder's login"
    );
    assert_eq!(weak.stop(), Proof::Failed, "{:?}", weak.facts);
}

fn lease(world: &World, bao: &Bao) -> (String, String) {
    let leased = bao.set(world, "GET", "database/creds/agent", "");
    let text = |at: &str| leased.pointer(at).and_then(Value::as_str).unwrap().to_owned();
    (text("/data/username"), text("/data/password"))
}

/// A statement of two seconds, in a thread of its own; true where it was carried out.
fn slow_insert(pg: &Pg, user: &str, password: &str) -> std::thread::JoinHandle<bool> {
    let url = pg.url(user, password);
    let (up, ready) = std::sync::mpsc::channel();
    let running = std::thread::spawn(move || {
        let world = network_world();
        let url = incident::model::secret::Secret::new(url);
        let session = world
            .wait(world.sql.open(&url, Duration::from_secs(10)))
            .unwrap()
            .unwrap();
        up.send(()).unwrap();
        let sql =
            "INSERT INTO t SELECT n FROM generate_series(1, 40) n, LATERAL pg_sleep(0.05 * (n > 0)::int)";
        world.wait(session.query(sql)).unwrap().is_ok()
    });
    ready.recv().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    running
}

#[test]
fn a_running_statement_ends_with_its_backend_and_not_with_its_lease() {
    let world = network_world();
    let (Some(bao), Some(pg)) = (Bao::start(&world), Pg::start(&world)) else {
        return;
    };
    pg.run(&world, "CREATE TABLE t (n int)");
    bao.set(&world, "POST", "sys/mounts/database", r#"{"type": "database"}"#);
    let config = format!(
        r#"{{"plugin_name": "postgresql-database-plugin", "allowed_roles": "*", "username": "postgres",
            "password": "desk",
            "connection_url": "postgresql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{}/postgres?sslmode=disable"}}"#,
        pg.port
    );
    bao.set(&world, "POST", "database/config/orders", &config);
    let role = r#"{"db_name": "orders", "default_ttl": "1h",
        "creation_statements": "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}'; GRANT INSERT ON t TO \"{{name}}\";"}"#;
    bao.set(&world, "POST", "database/roles/agent", role);
    let with = [("address", bao.address.as_str()), ("role", "agent")];
    let count = || pg.run(&world, "SELECT count(*) FROM t")[0][0].clone().unwrap();

    let (user, password) = lease(&world, &bao);
    let statement = slow_insert(&pg, &user, &password);
    let mut first = Case::new(&world, "vault-lease", &with).auth("root");
    assert_eq!(first.stop(), Proof::Confirmed, "{:?}", first.facts);
    assert!(
        !statement.is_finished(),
        "the role is dropped and its statement runs on"
    );
    assert!(statement.join().unwrap());
    assert_eq!(count(), "40", "and was committed");

    let (user, password) = lease(&world, &bao);
    let statement = slow_insert(&pg, &user, &password);
    let mut backends = Case::new(&world, "postgres", &[("roles", "v-*-agent-*")])
        .auth(&pg.admin())
        .secret(&pg.url(&user, &password));
    assert_eq!(backends.stop(), Proof::Refused, "{:?}", backends.facts);
    assert!(!statement.join().unwrap());
    assert_eq!(
        Case::new(&world, "vault-lease", &with).auth("root").stop(),
        Proof::Confirmed
    );
    assert_eq!(count(), "40", "nothing of the second statement is there");
    assert!(
        backends.probe().contains(&Fact::ReadBack { dead: true }),
        "also when the role is gone"
    );
}

#[test]
fn a_session_whose_role_was_dropped_before_anybody_looked_is_ended_or_named() {
    let world = network_world();
    let Some(pg) = Pg::start(&world) else { return };
    pg.run(
        &world,
        "CREATE ROLE \"v-agent-1\" LOGIN PASSWORD 'x'; CREATE ROLE \"v-agent-2\" LOGIN PASSWORD 'x'",
    );
    let first = pg.session(&world, &pg.url("v-agent-1", "x"));
    let second = pg.session(&world, &pg.url("v-agent-2", "x"));
    let ended = |session: &dyn SqlSession| world.wait(session.query("SELECT 1")).unwrap().is_err();
    pg.run(&world, "DROP ROLE \"v-agent-1\"");
    let mut case = Case::new(&world, "postgres", &[("roles", "v-agent-*")]).auth(&pg.admin());
    case.before();
    let cut = case.cut();
    assert!(
        cut.iter()
            .any(|f| matches!(f, Fact::Residual { what, .. } if what.contains("no longer exist"))),
        "{cut:?}"
    );
    case.sessions();
    assert!(
        ended(&*second) && !ended(&*first),
        "it may be anybody's while others of these names are known"
    );

    // Where none of the names was ever seen, every such session may be the one.
    pg.run(&world, "DROP ROLE \"v-agent-2\"");
    let mut late = Case::new(&world, "postgres", &[("roles", "v-agent-*")]).auth(&pg.admin());
    late.before();
    late.cut();
    let seen = late.sessions();
    assert!(seen.contains(&Fact::Ended { count: 1 }), "{seen:?}");
    assert!(
        seen.iter()
            .any(|f| matches!(f, Fact::Noted { text, .. } if text.contains("no longer exists")))
    );
    assert!(ended(&*first));
}

#[test]
fn from_version_16_on_a_membership_comes_back_with_its_options() {
    let world = network_world();
    let Some(pg) = Pg::start_new(&world) else { return };
    pg.run(
        &world,
        "CREATE ROLE desk LOGIN CREATEROLE PASSWORD 'desk'; GRANT pg_signal_backend TO desk; \
         CREATE ROLE other LOGIN CREATEROLE PASSWORD 'other'",
    );
    let desk = pg.url("desk", "desk");
    let maker = pg.session(&world, &desk);
    for sql in [
        "CREATE ROLE bot LOGIN PASSWORD 'made-up'; CREATE ROLE ben LOGIN",
        "GRANT bot TO ben WITH INHERIT FALSE, SET TRUE",
        "GRANT bot TO other WITH ADMIN TRUE",
    ] {
        world.wait(maker.query(sql)).unwrap().unwrap();
    }
    let edges = "SELECT member::regrole, grantor::regrole, admin_option, inherit_option, set_option \
                 FROM pg_auth_members WHERE roleid = 'bot'::regrole ORDER BY 1, 2";
    let before = pg.run(&world, edges);
    assert_eq!(before.len(), 3, "{before:?}");
    let mut case = Case::new(&world, "postgres", &[("role", "bot")])
        .auth(&desk)
        .secret("made-up");
    assert!(
        matches!(case.armed().as_slice(), [Fact::Noted { .. }]),
        "{:?}",
        case.armed()
    );
    assert_eq!(case.stop(), Proof::Refused, "{:?}", case.facts);
    assert_eq!(pg.run(&world, edges).len(), 2, "ben cannot become it");
    assert!(
        case.facts
            .iter()
            .any(|o| matches!(&o.fact, Fact::Residual { what, .. } if what.starts_with("other"))),
        "{:?}",
        case.facts
    );
    let back = case.restore();
    assert!(back.contains(&Fact::ReadBack { dead: false }), "{back:?}");
    assert!(!back.iter().any(|f| matches!(f, Fact::Error { .. })), "{back:?}");
    assert_eq!(pg.run(&world, edges), before);

    // CREATEROLE alone may alter nobody there.
    let weak = Case::new(&world, "postgres", &[("role", "ben")]).auth(&pg.url("other", "other"));
    assert!(error_text(&weak.armed()).contains("needs CREATEROLE"));
}
