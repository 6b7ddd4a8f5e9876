//! The adapters `mysql` and `mysql-event` against a real MariaDB.

use std::process::Child;
use std::time::{Duration, Instant};

use incident::model::fact::{Fact, Proof};
use incident::model::secret::Secret;
use incident::world::sql::{Rows, SqlSession};
use incident::world::{NetError, World};
use tempfile::TempDir;

use super::contract::{Case, error_text};
use crate::support::servers::{Bao, in_path, server};
use crate::support::{START, free_port, network_world, not_tested};

/// A MariaDB server with the logins `root` (at its socket) and `desk`, password `desk`.
pub struct Maria {
    port: u16,
    child: Child,
    folder: TempDir,
}

impl Maria {
    pub fn start(world: &World, more: &[String]) -> Option<Maria> {
        let programs = in_path("mariadb-install-db").zip(in_path("mariadbd").or_else(|| {
            let debian = std::path::PathBuf::from("/usr/sbin/mariadbd");
            debian.is_file().then_some(debian)
        }));
        let Some((install, mariadbd)) = programs else {
            not_tested("MariaDB (`mariadb-install-db` and `mariadbd`)");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let data = format!("--datadir={}", folder.path().join("data").display());
        let root = rustix::process::geteuid().is_root().then_some("--user=root");
        let made = server(&install)
            .args([
                "--no-defaults",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ])
            .arg(&data)
            .args(root)
            .env("TMPDIR", folder.path())
            .current_dir(folder.path())
            .status()
            .unwrap();
        assert!(made.success(), "mariadb-install-db failed");
        let port = free_port();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let child = server(&mariadbd)
            .args([
                "--no-defaults",
                "--bind-address=127.0.0.1",
                "--skip-name-resolve",
                "--event-scheduler=ON",
            ])
            .args([&data, &format!("--port={port}"), &format!("--socket={}", at("s"))])
            .args([
                format!("--pid-file={}", at("pid")),
                "--innodb-flush-log-at-trx-commit=0".to_owned(),
            ])
            .args(root)
            .args(more)
            // One that starts clears away what others are just working with where they share this.
            .env("TMPDIR", folder.path())
            .current_dir(folder.path())
            .spawn()
            .unwrap();
        let maria = Maria { port, child, folder };
        let url = Secret::new(maria.root());
        let started = Instant::now();
        while world
            .wait(world.sql.open(&url, Duration::from_secs(5)))
            .unwrap()
            .is_err()
        {
            assert!(started.elapsed() < START, "MariaDB does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        maria.run(
            world,
            "CREATE USER desk@'%' IDENTIFIED BY 'desk'; GRANT ALL ON *.* TO desk@'%'",
        );
        Some(maria)
    }

    /// The socket's URL, as root.
    pub fn root(&self) -> String {
        format!(
            "mysql://root@localhost?socket={}",
            self.folder.path().join("s").display()
        )
    }

    pub fn url(&self, user: &str, password: &str) -> String {
        format!("mysql://{user}:{password}@127.0.0.1:{}", self.port)
    }

    fn session(&self, world: &World, url: &str) -> Box<dyn SqlSession> {
        let url = Secret::new(url.to_owned());
        world
            .wait(world.sql.open(&url, Duration::from_secs(10)))
            .unwrap()
            .unwrap()
    }

    pub fn run(&self, world: &World, sql: &str) -> Rows {
        let session = self.session(world, &self.root());
        world.wait(session.query(sql)).unwrap().unwrap()
    }
}

impl Drop for Maria {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_lock_leaves_connection_and_event_and_each_is_ended_by_its_own_adapter() {
    let world = network_world();
    let Some(maria) = Maria::start(&world, &[]) else {
        return;
    };
    // A name that would break out of its quotes if it could, on two hosts.
    maria.run(
        &world,
        "SET sql_mode = ''; CREATE DATABASE orders; CREATE TABLE orders.t (n INT AUTO_INCREMENT PRIMARY KEY); \
         CREATE USER 'b\\'ot'@'%' IDENTIFIED BY 'made-up', 'b\\'ot'@'10.0.0.%' IDENTIFIED BY 'other'; \
         GRANT ALL ON orders.* TO 'b\\'ot'@'%'; \
         CREATE DEFINER = 'b\\'ot'@'%' EVENT orders.`ti``ck` ON SCHEDULE EVERY 1 SECOND DO INSERT INTO orders.t VALUES ()",
    );
    let desk = maria.url("desk", "desk");
    let mut case = Case::new(&world, "mysql", &[("user", "b'ot")])
        .auth(&desk)
        .secret("made-up");
    assert!(
        matches!(case.armed().as_slice(), [Fact::Noted { .. }]),
        "{:?}",
        case.armed()
    );
    case.before();
    assert_eq!(
        case.undo.as_deref(),
        Some(br#"{"accounts":[["b'ot","%"],["b'ot","10.0.0.%"]]}"#.as_slice())
    );
    let cut = case.cut();
    assert_eq!(
        cut[..2],
        [Fact::Accepted { status: 0 }, Fact::Accepted { status: 0 }]
    );
    assert!(
        matches!(&cut[2..], [Fact::Residual { what, .. }] if what.contains("ti`ck") && what.contains("mysql-event")),
        "{cut:?}"
    );
    let seen = case.probe();
    assert!(seen.contains(&Fact::TriedNew { refused: true }), "{seen:?}");
    assert!(
        seen.contains(&Fact::TriedOpen { refused: false }),
        "the old connection lives on: {seen:?}"
    );
    assert_eq!(case.proof(), Proof::StillLive);
    let seen = case.sessions();
    assert!(
        matches!(seen.first(), Some(Fact::Listed { live: 1.. })),
        "{seen:?}"
    );
    assert!(case.probe().contains(&Fact::TriedOpen { refused: true }));

    let count = || maria.run(&world, "SELECT COUNT(*) FROM orders.t")[0][0].clone();
    let (before, started) = (count(), Instant::now());
    while count() == before {
        assert!(
            started.elapsed() < START,
            "the event of the locked definer does not fire"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut event = Case::new(&world, "mysql-event", &[("user", "b'ot")]).auth(&desk);
    assert!(
        matches!(event.armed().as_slice(), [Fact::Noted { .. }]),
        "{:?}",
        event.armed()
    );
    assert_eq!(event.stop(), Proof::Confirmed, "{:?}", event.facts);
    let (before, started) = (count(), Instant::now());
    while started.elapsed() < Duration::from_millis(2500) {
        assert_eq!(count(), before, "it fired once more");
        std::thread::sleep(Duration::from_millis(100));
    }
    let events = "SELECT DEFINER, STATUS FROM information_schema.EVENTS";
    let is = |status: &str| [[Some("b'ot@%".to_owned()), Some(status.to_owned())]];
    assert_eq!(maria.run(&world, events), is("DISABLED"));
    assert_eq!(event.cut(), [Fact::AlreadyDone { status: 0 }]);

    assert_eq!(case.proof(), Proof::Refused, "{:?}", case.facts);
    assert_eq!(case.sessions(), [Fact::Listed { live: 0 }]);
    assert!(case.cut().contains(&Fact::AlreadyDone { status: 0 }));

    assert_eq!(
        case.restore(),
        [
            Fact::Accepted { status: 0 },
            Fact::Accepted { status: 0 },
            Fact::ReadBack { dead: false }
        ]
    );
    assert!(case.probe().contains(&Fact::TriedNew { refused: false }));
    let back = event.restore();
    assert!(
        matches!(back.last(), Some(Fact::Noted { text, .. }) if text.contains("with its definer")),
        "{back:?}"
    );
    assert_eq!(maria.run(&world, events), is("ENABLED"));
}

#[test]
fn a_pattern_spares_others_and_dropped_users_keep_their_connection_until_it_is_killed() {
    let world = network_world();
    let Some(maria) = Maria::start(&world, &[]) else {
        return;
    };
    maria.run(
        &world,
        "CREATE USER 'v-agent-1'@'%' IDENTIFIED BY 'x', 'v-agent-2'@'%' IDENTIFIED BY 'x', \
         'v-desk'@'%' IDENTIFIED BY 'x', web@'%' IDENTIFIED BY 'x', weak@'%' IDENTIFIED BY 'x'; \
         GRANT ALL ON *.* TO 'v-desk'@'%'; GRANT SELECT ON mysql.* TO weak@'%'; CREATE ROLE `v-role`",
    );
    let open = |user: &str| maria.session(&world, &maria.url(user, "x"));
    let (first, second, web) = (open("v-agent-1"), open("v-agent-2"), open("web"));
    let mut case = Case::new(&world, "mysql", &[("users", "v-*")]).auth(&maria.url("v-desk", "x"));
    case.before();
    case.cut();
    maria.run(&world, "DROP USER 'v-agent-1'@'%'");
    assert_eq!(
        case.sessions(),
        [
            Fact::Listed { live: 2 },
            Fact::Ended { count: 2 },
            Fact::Listed { live: 0 }
        ]
    );
    for (session, dead) in [(&first, true), (&second, true), (&web, false)] {
        let answer = world.wait(session.query("SELECT 1")).unwrap();
        assert_eq!(matches!(answer, Err(NetError::Lost(_))), dead, "{answer:?}");
    }
    case.probe();
    assert_eq!(case.proof(), Proof::Confirmed);

    let mut weak = Case::new(&world, "mysql", &[("user", "web")]).auth(&maria.url("weak", "x"));
    assert!(error_text(&weak.armed()).contains("needs CREATE USER, PROCESS"));
    let seen = weak.sessions();
    assert!(
        matches!(seen.as_slice(), [Fact::NotTried { why }] if why.contains("lacks PROCESS")),
        "a list of one's own connections is not a list: {seen:?}"
    );
    weak.before();
    weak.cut();
    weak.probe();
    assert_eq!(weak.proof(), Proof::StillLive, "{:?}", weak.facts);
    let own = Case::new(&world, "mysql", &[("user", "v-desk")]).auth(&maria.url("v-desk", "x"));
    assert_eq!(error_text(&own.armed()), "the responder's own login is this user");
    let mut nobody = Case::new(&world, "mysql", &[("user", "nobody")]).auth(&maria.url("desk", "desk"));
    assert_eq!(nobody.stop(), Proof::Failed, "{:?}", nobody.facts);
}

#[test]
fn encryption_is_checked_against_the_authority_that_is_named() {
    let world = network_world();
    let folder = tempfile::tempdir().unwrap();
    let Some(_bao) = Bao::start_tls(folder.path()) else {
        return;
    };
    let at = |name: &str| folder.path().join(name).display().to_string();
    let files = [
        format!("--ssl-ca={}", at("ca.pem")),
        format!("--ssl-cert={}", at("cert.pem")),
        format!("--ssl-key={}", at("key.pem")),
    ];
    let Some(maria) = Maria::start(&world, &files) else {
        return;
    };
    let open = |rest: &str| {
        let url = Secret::new(format!("{}?{rest}", maria.url("desk", "desk")));
        let session = world
            .wait(world.sql.open(&url, Duration::from_secs(5)))
            .unwrap()?;
        world
            .wait(session.query("SHOW STATUS LIKE 'Ssl_cipher'"))
            .unwrap()
    };
    let stranger = open("sslmode=require").unwrap_err();
    assert!(stranger.to_string().contains("UnknownIssuer"), "{stranger:?}");
    let rows = open(&format!("sslmode=verify-full&sslrootcert={}", at("ca.pem"))).unwrap();
    assert!(
        rows[0][1].as_deref().is_some_and(|cipher| !cipher.is_empty()),
        "{rows:?}"
    );
    let clear = open("sslmode=prefer").unwrap();
    assert_eq!(clear[0][1].as_deref(), Some(""));
}
