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
    assert_eq!(
        case.undo.as_deref(),
        Some(br#"{"login":true,"limit":7,"until":null}"#.as_slice())
    );
    let cut = case.cut();
    assert_eq!(cut[0], Fact::Accepted { status: 0 });
    assert!(
        matches!(&cut[1], Fact::Residual { what, .. } if what.contains("ben")),
        "{cut:?}"
    );
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
    assert_eq!(
        case.undo.as_deref(),
        Some(br#"{"login":true,"limit":7,"until":null}"#.as_slice())
    );
    assert_eq!(
        case.restore(),
        [Fact::Accepted { status: 0 }, Fact::ReadBack { dead: false }]
    );
    let limit = pg.run(
        &world,
        "SELECT rolconnlimit FROM pg_roles WHERE rolname LIKE 'odd%'",
    );
    assert_eq!(limit[0][0].as_deref(), Some("7"));
    assert!(case.probe().contains(&Fact::TriedNew { refused: false }));
}

#[test]
fn prepared_transactions_are_rolled_back_here_and_named_elsewhere() {
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
    assert!(seen.contains(&Fact::Ended { count: 1 }), "{seen:?}");
    assert!(
        seen.iter()
            .any(|f| matches!(f, Fact::InFlight { what } if what.contains("far") && what.contains("other"))),
        "{seen:?}"
    );
    let left = pg.run(&world, "SELECT gid FROM pg_prepared_xacts");
    assert_eq!(left, [[Some("far".to_owned())]]);
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
