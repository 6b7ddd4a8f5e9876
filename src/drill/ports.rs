//! The ports of a drill world: every one of them ends in this process's own memory.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;

use super::clock::SimClock;
use super::sim::{Shared, Sim, What};
use crate::model::secret::{Secret, SecretRef};
use crate::world::files::Stat;
use crate::world::host::{HostError, Identity, Pid, Process, Signal, Signalled};
use crate::world::http::{HttpRequest, HttpResponse};
use crate::world::secrets::SecretError;
use crate::world::sql::SqlSession;
use crate::world::{Clock, Files, Host, Http, Interrupt, Later, NetError, Secrets, Sql};

/// What every port holds: the world and its clock.
#[derive(Clone)]
pub struct Port {
    /// The world.
    pub world: Rc<Shared>,
    /// Its clock.
    pub clock: SimClock,
}

impl Port {
    /// Works on the world as it is now.
    pub fn with<T>(&self, work: impl FnOnce(&mut Sim) -> T) -> T {
        self.world.with(&self.clock, work)
    }

    /// One way over the network: 15 to 45 ms, by the seed.
    fn trip(&self) -> Duration {
        Duration::from_millis(15 + self.with(|sim| sim.weather.below(30)))
    }

    /// Asks the platform, there and back.
    pub async fn ask(&self, secret: Option<&str>, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let (there, back) = (self.trip(), self.trip());
        self.clock.sleep(there).await;
        let answer = self.with(|sim| {
            let now = sim.now;
            sim.harbor.handle(now, secret, method, path, body)
        });
        self.clock.sleep(back).await;
        answer
    }
}

impl Http for Port {
    fn send(&self, request: HttpRequest) -> Later<'_, Result<HttpResponse, NetError>> {
        Box::pin(async move {
            let url = url::Url::parse(&request.url).map_err(|e| NetError::Setup(e.to_string()))?;
            let host = url.host_str().unwrap_or_default().to_owned();
            if url.scheme() != "https" || self.with(|sim| sim.harbor.host() != host) {
                return Err(NetError::Connect(format!("there is no {host} in this drill")));
            }
            let header = |name: &str| {
                let mut found = request
                    .headers
                    .iter()
                    .filter(|(n, _)| n.eq_ignore_ascii_case(name));
                found.next().map(|(_, value)| value.expose())
            };
            let secret = header("authorization").and_then(|v| v.strip_prefix("Bearer "));
            let body = request.body.as_ref().map_or("null", |b| b.expose());
            let body = serde_json::from_str(body).unwrap_or(Value::Null);
            let answer = self.ask(secret, &request.method, url.path(), &body);
            let limit = self.clock.sleep(request.deadline);
            let answered = futures_util::future::select(Box::pin(answer), limit).await;
            let futures_util::future::Either::Left(((status, value), _)) = answered else {
                return Err(NetError::Silent(request.deadline));
            };
            let body = match value {
                Value::Null => Vec::new(),
                value => value.to_string().into_bytes(),
            };
            Ok(HttpResponse {
                status,
                headers: vec![("content-type".into(), "application/json".into())],
                body,
            })
        })
    }
}

impl Sql for Port {
    fn open<'a>(&'a self, _: &'a Secret, _: Duration) -> Later<'a, Result<Box<dyn SqlSession>, NetError>> {
        Box::pin(async { Err(NetError::Connect("no database listens in this drill".into())) })
    }
}

impl Host for Port {
    fn identity(&self) -> Identity {
        self.with(|sim| sim.machine.identity())
    }

    fn processes(&self) -> Result<Vec<Process>, HostError> {
        Ok(self.with(|sim| sim.machine.processes()))
    }

    fn environment(&self, pid: Pid) -> Vec<(String, Secret)> {
        let plain = self.with(|sim| sim.machine.environment(pid));
        plain.into_iter().map(|(n, v)| (n, Secret::new(v))).collect()
    }

    fn open_files(&self, pid: Pid) -> Vec<String> {
        self.with(|sim| sim.machine.open_files(pid))
    }

    fn mapped_files(&self, pid: Pid) -> Vec<String> {
        self.with(|sim| sim.machine.mapped_files(pid))
    }

    fn signal(&self, pid: Pid, signal: Signal) -> Signalled {
        self.with(|sim| sim.signal(pid, signal))
    }

    fn env(&self, name: &str) -> Option<String> {
        self.with(|sim| sim.machine.env(name))
    }

    fn home(&self) -> Option<PathBuf> {
        Some(self.with(|sim| sim.machine.home()))
    }

    fn cwd(&self) -> PathBuf {
        self.with(|sim| sim.machine.home())
    }
}

impl Files for Port {
    fn read(&self, path: &Path, cap: u64) -> io::Result<Vec<u8>> {
        self.with(|sim| sim.machine.read(path, cap))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Read>> {
        let bytes = self.with(|sim| sim.machine.read(path, u64::MAX))?;
        Ok(Box::new(Cursor::new(bytes)))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        self.with(|sim| sim.machine.list(path))
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        self.with(|sim| sim.machine.stat(path))
    }

    fn replace(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        self.with(|sim| {
            let now = sim.now;
            sim.machine.write(path, bytes.to_vec(), "root", mode, now);
            sim.note(What::FileChanged(path.display().to_string()));
        });
        Ok(())
    }

    fn create(&self, path: &Path, mode: u32) -> io::Result<()> {
        match self.stat(path) {
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(_) => self.replace(path, b"", mode),
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.with(|sim| {
            sim.machine.remove(path)?;
            sim.note(What::FileChanged(path.display().to_string()));
            Ok(())
        })
    }
}

/// Secrets of the simulated responder.
pub struct SimSecrets {
    port: Port,
    held: RefCell<BTreeMap<String, Secret>>,
    seen: RefCell<Vec<Secret>>,
}

impl SimSecrets {
    /// Nothing is read yet.
    pub fn new(port: Port) -> Self {
        SimSecrets {
            port,
            held: RefCell::default(),
            seen: RefCell::default(),
        }
    }

    fn find(&self, from: &SecretRef) -> Result<String, String> {
        let held = |name: &str| self.held.borrow().get(name).map(|s| s.expose().to_owned());
        let text = match from {
            SecretRef::Env(name) => self.port.env(name).ok_or("it is not set")?,
            SecretRef::File(path) => {
                let bytes = self.port.read(path, 64 << 10).map_err(|e| e.to_string())?;
                String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text")?
            }
            SecretRef::Command(_) => return Err("no program prints secrets in a drill".into()),
            SecretRef::Process(name) => held(name).ok_or("no frozen process holds it")?,
            SecretRef::Held(name) => held(name).ok_or("it was not found or given in this run")?,
        };
        Ok(text.trim_end_matches(['\n', '\r']).to_owned())
    }
}

impl Secrets for SimSecrets {
    fn read<'a>(&'a self, from: &'a SecretRef) -> Later<'a, Result<Secret, SecretError>> {
        Box::pin(async move {
            let value = self.find(from).map_err(|why| SecretError {
                from: from.to_string(),
                why,
            })?;
            let mut seen = self.seen.borrow_mut();
            if !seen.iter().any(|s| s.expose() == value) {
                seen.push(Secret::new(value.clone()));
            }
            Ok(Secret::new(value))
        })
    }

    fn hold(&self, name: &str, value: Secret) {
        self.held.borrow_mut().insert(name.to_owned(), value);
    }

    fn known(&self, each: &mut dyn FnMut(&str)) {
        self.held.borrow().values().for_each(|s| each(s.expose()));
        self.seen.borrow().iter().for_each(|s| each(s.expose()));
    }
}

/// Nobody presses Ctrl-C in a simulated world; in an interactive drill the person quits at a prompt.
pub struct NoInterrupt;

impl Interrupt for NoInterrupt {
    fn count(&self) -> u32 {
        0
    }
}
