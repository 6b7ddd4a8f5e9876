//! What several test modules need: worlds that reach only the loopback network, and real servers on it.

#![allow(dead_code, reason = "each test module takes what it needs")]

pub mod clouds;
pub mod desk;
pub mod kubernetes;
pub mod servers;
pub mod stub;

use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Write;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use incident::model::secret::Secret;
use incident::world::clock::RealClock;
use incident::world::entropy::RealEntropy;
use incident::world::executor::RealExecutor;
use incident::world::files::RealFiles;
use incident::world::host::{HostError, Identity, Pid, Process, Signal, Signalled};
use incident::world::http::RealHttp;
use incident::world::interrupt::RealInterrupt;
use incident::world::secrets::RealSecrets;
use incident::world::spawn::{Child, Command, End, Ran};
use incident::world::sql::RealSql;
use incident::world::{Host, Later, Spawn, World, WorldKind};

/// A world with a real network, clock and secrets, and no processes: it can start, see and signal nothing.
pub fn network_world() -> World {
    World {
        kind: WorldKind::Real,
        clock: Box::new(RealClock::new()),
        entropy: Box::new(RealEntropy),
        http: Box::new(RealHttp::new()),
        sql: Box::new(RealSql),
        spawn: Box::new(Nobody),
        host: Box::new(Nobody),
        files: Box::new(RealFiles),
        secrets: Box::new(RealSecrets::new()),
        interrupt: Box::new(RealInterrupt::never()),
        executor: Box::new(RealExecutor::new().unwrap()),
    }
}

/// A host without processes.
pub struct Nobody;

impl Spawn for Nobody {
    fn run<'a>(
        &'a self,
        _: Command,
        _: &'a mut dyn Write,
        _: &'a mut dyn Write,
        _: &'a mut dyn FnMut(Child),
    ) -> Later<'a, Ran> {
        Box::pin(async {
            Ran {
                end: End::NotStarted("nothing is started in this world".to_owned()),
                ms: 0,
                out_bytes: 0,
                err_bytes: 0,
                truncated: false,
                escapees: 0,
                left: 0,
            }
        })
    }

    fn find(&self, _: &str) -> Option<PathBuf> {
        None
    }
}

impl Host for Nobody {
    fn identity(&self) -> Identity {
        Identity {
            host: "loopback".to_owned(),
            boot: "none".to_owned(),
            user: "nobody".to_owned(),
            uid: 65534,
            pid: Pid { pid: 1, starttime: 0 },
            os: "linux".to_owned(),
            sees_all: false,
            scope: "nothing".to_owned(),
        }
    }
    fn processes(&self) -> Result<Vec<Process>, HostError> {
        Ok(Vec::new())
    }
    fn environment(&self, _: Pid) -> Vec<(String, Secret)> {
        Vec::new()
    }
    fn open_files(&self, _: Pid) -> Vec<String> {
        Vec::new()
    }
    fn signal(&self, _: Pid, _: Signal) -> Signalled {
        Signalled::Gone
    }
    fn env(&self, _: &str) -> Option<String> {
        None
    }
    fn home(&self) -> Option<PathBuf> {
        None
    }
    fn cwd(&self) -> PathBuf {
        PathBuf::from("/")
    }
}

/// Says loudly that something was not tested; fails where CI promised to have it.
pub fn not_tested(what: &str) {
    not_built(what);
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "CI must have {what}: see README, Development"
    );
}

/// Says loudly that something was not tested that is built once and kept, so that not even CI has it everywhere.
///
/// Once a run, and past the harness, which shows nothing that a passing test prints with `eprintln!`.
pub fn not_built(what: &str) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if SAID.lock().unwrap().insert(what.to_owned()) {
        let _ = writeln!(std::io::stderr(), "\nNOT TESTED: {what}");
    }
}

/// What `.ci/contracts` fetched, by the name of its folder.
pub fn contracts(name: &str) -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("INCIDENT_CONTRACTS")?).join(name);
    folder.is_dir().then_some(folder)
}

/// Longest time a server may take to answer, on a machine that has much else to do. Nobody waits that long otherwise.
pub const START: Duration = Duration::from_secs(120);

/// A port of this machine that nobody uses at the moment, and that no outgoing connection is given either: a server
/// that takes seconds to bind would else find it taken by a neighbour's request.
pub fn free_port() -> u16 {
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    let lowest_outgoing = || {
        let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
        range.split_whitespace().next()?.parse::<u16>().ok()
    };
    let ports = 10_000..lowest_outgoing().unwrap_or(32_768).max(12_000);
    // Test programs that run beside each other start at different places.
    let next = NEXT.get_or_init(|| AtomicU16::new(RandomState::new().build_hasher().finish() as u16));
    for _ in 0..ports.len() {
        // OpenBao takes the next one, too.
        let port = ports.start + next.fetch_add(2, Ordering::Relaxed) % (ports.len() as u16 - 1);
        if [port, port + 1]
            .map(|port| TcpListener::bind(("127.0.0.1", port)))
            .iter()
            .all(Result::is_ok)
        {
            return port;
        }
    }
    panic!("no port of {ports:?} is free");
}
