//! The adapter `redis` against a real server.

use std::path::Path;
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

/// A Redis server with the users `desk` (everything), `bot` and `weak`, and a default user without password.
pub struct Redis {
    port: u16,
    child: Child,
    folder: TempDir,
}

impl Redis {
    pub fn start(world: &World) -> Option<Redis> {
        let folder = tempfile::tempdir().unwrap();
        let users = "user default on nopass ~* &* +@all\n\
                     user desk on >desk ~* &* +@all\n\
                     user bot on >made-up ~jobs:* &* +@all\n\
                     user weak on >weak ~* &* +@all -acl|setuser\n";
        std::fs::write(folder.path().join("users.acl"), users).unwrap();
        let port = free_port();
        let child = spawn(folder.path(), &["--port", &port.to_string()])?;
        let redis = Redis { port, child, folder };
        redis.wait(world);
        Some(redis)
    }

    fn wait(&self, world: &World) {
        let url = Secret::new(self.url("desk", "desk"));
        let started = Instant::now();
        while world
            .wait(world.sql.open(&url, Duration::from_secs(5)))
            .unwrap()
            .is_err()
        {
            assert!(started.elapsed() < START, "Redis does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it and starts it again with the same files.
    fn restart(&mut self, world: &World) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = spawn(self.folder.path(), &["--port", &self.port.to_string()]).unwrap();
        self.wait(world);
    }

    pub fn url(&self, user: &str, password: &str) -> String {
        format!("redis://{user}:{password}@127.0.0.1:{}", self.port)
    }

    fn session(&self, world: &World, user: &str, password: &str) -> Box<dyn SqlSession> {
        let url = Secret::new(self.url(user, password));
        world
            .wait(world.sql.open(&url, Duration::from_secs(5)))
            .unwrap()
            .unwrap()
    }

    fn run(&self, world: &World, command: &str) -> Rows {
        let session = self.session(world, "desk", "desk");
        world.wait(session.query(command)).unwrap().unwrap()
    }

    fn line(&self, world: &World, user: &str) -> Option<String> {
        let lines = self.run(world, "ACL LIST").concat();
        lines
            .into_iter()
            .flatten()
            .find(|line| line.starts_with(&format!("user {user} ")))
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(folder: &Path, more: &[&str]) -> Option<Child> {
    let Some(program) = in_path("redis-server") else {
        not_tested("Redis (`redis-server`)");
        return None;
    };
    let mut command = server(&program);
    command.args([
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "no",
        "--aclfile",
        "users.acl",
    ]);
    Some(command.args(more).current_dir(folder).spawn().unwrap())
}

#[test]
fn off_alone_leaves_the_connection_and_the_kill_ends_it() {
    let world = network_world();
    let Some(mut redis) = Redis::start(&world) else {
        return;
    };
    let line = redis.line(&world, "bot");
    let mut case = Case::new(&world, "redis", &[("user", "bot")])
        .auth(&redis.url("desk", "desk"))
        .secret("made-up");
    assert!(
        matches!(case.armed().as_slice(), [Fact::Noted { .. }]),
        "{:?}",
        case.armed()
    );
    case.before();
    let cut = case.cut();
    assert_eq!(cut[0], Fact::Accepted { status: 0 });
    for part in ["default needs no password", "run ACL SAVE"] {
        assert!(
            cut.iter()
                .any(|f| matches!(f, Fact::Residual { what, .. } if what.contains(part))),
            "{part}: {cut:?}"
        );
    }
    let seen = case.probe();
    assert!(seen.contains(&Fact::TriedNew { refused: true }), "{seen:?}");
    assert!(
        seen.contains(&Fact::TriedOpen { refused: false }),
        "the old connection lives on: {seen:?}"
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
    assert_eq!(case.cut()[0], Fact::AlreadyDone { status: 0 });

    // What the record warned of is so.
    redis.restart(&world);
    assert!(case.probe().contains(&Fact::TriedNew { refused: false }));
    assert_eq!(case.proof(), Proof::StillLive);

    case.cut();
    let back = case.restore();
    assert_eq!(
        back[..2],
        [Fact::Accepted { status: 0 }, Fact::ReadBack { dead: false }]
    );
    assert_eq!(redis.line(&world, "bot"), line);
}

#[test]
fn a_deleted_user_is_given_back_with_its_password_and_a_changed_one_keeps_the_change() {
    let world = network_world();
    let Some(redis) = Redis::start(&world) else { return };
    let line = redis.line(&world, "bot");
    let mut case = Case::new(&world, "redis", &[("user", "bot")])
        .auth(&redis.url("desk", "desk"))
        .secret("made-up");
    assert_eq!(case.stop(), Proof::Refused, "{:?}", case.facts);
    redis.run(&world, "ACL DELUSER bot");
    assert_eq!(case.cut()[0], Fact::AlreadyDone { status: 0 });
    assert!(case.probe().contains(&Fact::ReadBack { dead: true }));
    case.restore();
    assert_eq!(redis.line(&world, "bot"), line);
    redis.session(&world, "bot", "made-up");

    case.cut();
    redis.run(&world, "ACL SETUSER bot resetpass >rotated");
    let back = case.restore();
    assert!(
        matches!(back.last(), Some(Fact::Noted { text, .. }) if text.contains("changed since")),
        "{back:?}"
    );
    redis.session(&world, "bot", "rotated");
    assert!(
        !case.probe().contains(&Fact::TriedNew { refused: false }),
        "the old password stays dead"
    );
}

#[test]
fn a_misspelt_user_is_not_made_and_a_wrong_password_proves_nothing() {
    let world = network_world();
    let Some(redis) = Redis::start(&world) else { return };
    let mut case = Case::new(&world, "redis", &[("user", "b\"ot off")])
        .auth(&redis.url("desk", "desk"))
        .secret("made-up");
    assert_eq!(error_text(&case.armed()), "there is no such user");
    assert_eq!(case.stop(), Proof::Failed, "{:?}", case.facts);
    assert_eq!(redis.run(&world, "ACL USERS").len(), 4);

    let mut case = Case::new(&world, "redis", &[("user", "bot")])
        .auth(&redis.url("desk", "desk"))
        .secret("wrong");
    assert_eq!(case.stop(), Proof::Confirmed, "{:?}", case.facts);
    assert!(!case.facts.iter().any(|o| matches!(o.fact, Fact::TriedNew { .. })));
}

#[test]
fn a_responder_without_rights_is_told_so_beforehand() {
    let world = network_world();
    let Some(redis) = Redis::start(&world) else { return };
    let mut case = Case::new(&world, "redis", &[("user", "bot")])
        .auth(&redis.url("weak", "weak"))
        .secret("made-up");
    assert!(error_text(&case.armed()).contains("may not run ACL SETUSER"));
    assert_eq!(case.stop(), Proof::StillLive);
    assert!(format!("{:?}", case.facts).contains("NOPERM"));
    let own = Case::new(&world, "redis", &[("user", "desk")]).auth(&redis.url("desk", "desk"));
    assert_eq!(error_text(&own.armed()), "the responder's own login is this user");
}

#[test]
fn encryption_is_checked_and_the_clear_stays_on_this_host() {
    let world = network_world();
    let folder = tempfile::tempdir().unwrap();
    let Some(_bao) = Bao::start_tls(folder.path()) else {
        return;
    };
    std::fs::write(
        folder.path().join("users.acl"),
        "user desk on >desk ~* &* +@all\n",
    )
    .unwrap();
    let port = free_port();
    let tls = ["--port", "0", "--tls-port", &port.to_string()];
    let files = ["--tls-cert-file", "cert.pem", "--tls-key-file", "key.pem"];
    let more: Vec<&str> = [tls, files].concat();
    let more = [
        more,
        vec!["--tls-ca-cert-file", "ca.pem", "--tls-auth-clients", "no"],
    ]
    .concat();
    let Some(mut child) = spawn(folder.path(), &more) else {
        return;
    };
    let started = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(started.elapsed() < START, "Redis does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    let open = |url: String| {
        let url = Secret::new(url);
        let session = world
            .wait(world.sql.open(&url, Duration::from_secs(5)))
            .unwrap()?;
        world.wait(session.query("ACL WHOAMI")).unwrap()
    };
    let stranger = open(format!("rediss://desk:desk@127.0.0.1:{port}"));
    let named = open(format!(
        "rediss://desk:desk@127.0.0.1:{port}?sslrootcert={}",
        folder.path().join("ca.pem").display()
    ));
    let far = open("redis://desk:desk@redis.example.com".to_owned());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        matches!(&stranger, Err(NetError::Connect(text)) if text.contains("UnknownIssuer")),
        "{stranger:?}"
    );
    assert_eq!(named, Ok(vec![vec![Some("desk".to_owned())]]));
    assert!(
        matches!(&far, Err(NetError::Setup(text)) if text.contains("in the clear")),
        "{far:?}"
    );
}
