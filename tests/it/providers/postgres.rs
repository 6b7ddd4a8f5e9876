//! The adapter `postgres` against a real server.

use incident::model::fact::{Fact, Proof};

use super::contract::{Case, error_text};
use crate::support::network_world;
use crate::support::servers::Pg;

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
         CREATE EXTENSION postgres_fdw; CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw; \
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
