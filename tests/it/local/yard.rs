//! A real world to test in: this machine's host, programs and files; no network.

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use incident::model::secret::{Secret, SecretRef};
use incident::world::clock::RealClock;
use incident::world::entropy::RealEntropy;
use incident::world::files::RealFiles;
use incident::world::host::{Host, RealHost};
use incident::world::http::{Http, HttpRequest, HttpResponse};
use incident::world::secrets::{SecretError, Secrets};
use incident::world::spawn::{Command, RealSpawn};
use incident::world::sql::{Sql, SqlSession};
use incident::world::{Executor, Interrupt, Later, NetError, World, WorldKind};

/// Ctrl-C at the press of a test.
#[derive(Clone, Default)]
pub struct Keys(pub Rc<Cell<u32>>);
impl Interrupt for Keys {
    fn count(&self) -> u32 {
        self.0.get()
    }
}

struct Tokio;
impl Executor for Tokio {
    fn block_on(&self, future: Later<'_, ()>) {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(future);
    }
}

struct Nothing;
impl Http for Nothing {
    fn send(&self, _: HttpRequest) -> Later<'_, Result<HttpResponse, NetError>> {
        Box::pin(async { Err(NetError::Setup("no network in this test".into())) })
    }
}
impl Sql for Nothing {
    fn open<'a>(&'a self, _: &'a Secret, _: Duration) -> Later<'a, Result<Box<dyn SqlSession>, NetError>> {
        Box::pin(async { Err(NetError::Setup("no database in this test".into())) })
    }
}
impl Secrets for Nothing {
    fn read<'a>(&'a self, from: &'a SecretRef) -> Later<'a, Result<Secret, SecretError>> {
        let from = from.to_string();
        Box::pin(async {
            Err(SecretError {
                from,
                why: "none in this test".into(),
            })
        })
    }
    fn hold(&self, _: &str, _: Secret) {}
    fn known(&self, _: &mut dyn FnMut(&str)) {}
}

/// Which half of the host port a jail is about.
pub const HALF: &str = "INCIDENT_TEST_HALF";

fn host() -> Box<dyn Host> {
    match std::env::var(HALF).as_deref() {
        Ok("macos") => Box::new(super::other_half::RealHost::new()),
        _ => Box::new(RealHost::new()),
    }
}

/// The real host, programs and files.
pub fn world(keys: &Keys) -> World {
    World {
        kind: WorldKind::Real,
        clock: Box::new(RealClock::new()),
        entropy: Box::new(RealEntropy),
        http: Box::new(Nothing),
        sql: Box::new(Nothing),
        spawn: Box::new(RealSpawn::new(Box::new(keys.clone()))),
        host: host(),
        files: Box::new(RealFiles),
        secrets: Box::new(Nothing),
        interrupt: Box::new(keys.clone()),
        executor: Box::new(Tokio),
    }
}

/// A shell script as a command, ten seconds at most.
pub fn sh(script: &str) -> Command {
    Command {
        argv: vec!["/bin/sh".into(), "-c".into(), script.into()],
        cwd: None,
        env: vec![("PATH".into(), Secret::new("/usr/bin:/bin".into()))],
        stdin: None,
        deadline: Duration::from_secs(10),
        no_progress: None,
        cap: 1 << 20,
    }
}

/// Waits until a file is there.
pub fn appears(path: &Path) {
    for _ in 0..500 {
        if path.exists() {
            return;
        }
        pause(10);
    }
    panic!("{} never appeared", path.display());
}

pub fn pause(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

/// Puts a script where Claude Code's own would lie, in the made-up home.
pub fn agent_script(body: &str) -> String {
    let home = std::env::var("HOME").unwrap();
    let folder = format!("{home}/node_modules/@anthropic-ai/claude-code");
    std::fs::create_dir_all(&folder).unwrap();
    let script = format!("{folder}/cli.js");
    std::fs::write(&script, body).unwrap();
    script
}

/// Starts `node SCRIPT` (a shell in truth) in a session of its own and waits until it wrote `up`.
pub fn start_agent(script: &str) {
    let up = format!("{script}.up");
    let _ = std::fs::remove_file(&up);
    let line = format!("exec -a node bash {script}");
    let started = std::process::Command::new("setsid")
        .args(["-f", "bash", "-c", &line])
        .stdout(std::process::Stdio::null())
        .status();
    assert!(started.unwrap().success());
    appears(Path::new(&up));
    settle();
}

/// Waits until nobody starts or ends for a moment: programs between fork and exec still look like another.
fn settle() {
    let host = RealHost::new();
    let names = || -> Vec<_> {
        let all = host.processes().unwrap();
        all.into_iter()
            .filter(|p| p.state != 'Z')
            .map(|p| (p.id, p.argv))
            .collect()
    };
    let (mut before, mut quiet) = (names(), 0);
    for _ in 0..40 {
        pause(50);
        let now = names();
        quiet = if now == before { quiet + 1 } else { 0 };
        before = now;
        if quiet == 4 {
            return;
        }
    }
}
