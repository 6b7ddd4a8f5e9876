//! 1,000 grants over eight servers of this machine, each answer 50 ms late, 64 under way to a server.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use incident::engine::{Desk, Written};
use incident::model::event::Aim;
use incident::model::fact::Proof;
use incident::model::grant::{Grant, Shared, Target};
use incident::model::ids::TargetId;
use incident::model::secret::Secret;
use incident::store::Store;
use incident::world::clock::RealClock;
use incident::world::entropy::RealEntropy;
use incident::world::executor::RealExecutor;
use incident::world::files::RealFiles;
use incident::world::host::{HostError, Identity, Pid, Process, Signal, Signalled};
use incident::world::http::RealHttp;
use incident::world::interrupt::RealInterrupt;
use incident::world::secrets::RealSecrets;
use incident::world::spawn::{Child as Started, End, Ran};
use incident::world::sql::RealSql;
use incident::world::{Host, Later, Spawn, World, WorldKind};
use tokio::net::{TcpListener, TcpStream};

use crate::{Table, again, median};

const HOSTS: usize = 8;
const GRANTS: usize = 1_000;
const IN_FLIGHT: usize = 64;
const LATENCY: Duration = Duration::from_millis(50);
/// Requests a grant takes in turn: the look before the cut, the cut, the look after it.
const TURNS: usize = 3;

const TABLE: &str = r#"
version: 1
providers:
  shop:
    title: Token of a shop
    needs: {address: address of the server, token: id of the token}
    base: "{address}"
    hosts: ["{address}"]
    in-flight: 64
    window: 0s
    manual: revoke it in the shop
    cut:
      - call: {method: DELETE, path: "/tokens/{token}", as: nobody, repeatable: true}
        ok: [{status: [204]}]
    lookup:
      call: {method: GET, path: "/tokens/{token}", as: nobody}
      alive: [{status: [200], at: /active, any-of: [true]}]
      dead: [{status: [200], at: /active, any-of: [false]}]
"#;

/// Both processes read the same clock.
fn now_us() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1_000
}

/// What one sweep came to.
struct Swept {
    took_ms: f64,
    first_ms: f64,
    last_ms: f64,
    rss_mib: f64,
}

pub fn measure(table: &mut Table) {
    const SWEEPS: usize = 11;
    let all: Vec<Swept> = (0..SWEEPS).map(|_| once()).collect();
    let figure = |pick: fn(&Swept) -> f64| median(all.iter().map(pick).collect());
    let took_ms = figure(|s| s.took_ms);
    let waves = (GRANTS * TURNS).div_ceil(HOSTS).div_ceil(IN_FLIGHT);
    let limit_ms = (waves.max(TURNS) as f64) * LATENCY.as_secs_f64() * 1_000.0;
    let limit = format!("arithmetic limit {limit_ms:.0} ms for {TURNS} requests a grant");
    table.most(
        "1,000 grants, 8 hosts: the whole sweep",
        took_ms,
        1.3 * limit_ms,
        "ms",
        &limit,
    );
    table.most(
        "  first revoke on the wire",
        figure(|s| s.first_ms),
        100.0,
        "ms",
        "after a look of 50 ms at each",
    );
    table.most(
        "  last revoke on the wire",
        figure(|s| s.last_ms),
        250.0,
        "ms",
        "",
    );
    table.most(
        "  peak memory of the sweep",
        figure(|s| s.rss_mib),
        64.0,
        "MiB",
        "",
    );
    match rivals() {
        Some((script_ms, xargs_ms)) => {
            let rival = format!("a script with curl, revoke only: {:.0} s", script_ms / 1_000.0);
            table.least(
                "  times faster than a script",
                script_ms / took_ms,
                10.0,
                "x",
                &rival,
            );
            let rival = format!("xargs -P 64 curl, revoke only: {xargs_ms:.0} ms");
            table.told("  times faster than xargs", xargs_ms / took_ms, "x", &rival);
        }
        None => println!("NOT COMPARED: a script, xargs (there is no curl)"),
    }
}

/// Milliseconds that 1,000 revocations take a script, and `xargs -P 64`. Neither looks before or after.
fn rivals() -> Option<(f64, f64)> {
    // A whole loop takes a minute.
    const SAMPLE: usize = 20;
    let servers = Servers::start();
    let url = |n: usize| format!("{}/sample/{n}\n", servers.address(n));
    let timed = |program: &str, args: &[&str], count: usize| {
        let urls: String = (0..count).map(url).collect();
        let began = Instant::now();
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .ok()?;
        child.stdin.take()?.write_all(urls.as_bytes()).ok()?;
        let done = child.wait().ok()?.success();
        done.then(|| began.elapsed().as_secs_f64() * 1_000.0)
    };
    let script = "while read -r url; do curl -fsS -X DELETE \"$url\" || exit 1; done";
    let script = timed("sh", &["-c", script], SAMPLE)?;
    let xargs = timed(
        "xargs",
        &["-P", "64", "-n", "1", "curl", "-fsS", "-X", "DELETE"],
        GRANTS,
    )?;
    servers.stop();
    Some((script * (GRANTS / SAMPLE) as f64, xargs))
}

/// The servers, in a process of their own.
struct Servers {
    child: Child,
    said: BufReader<ChildStdout>,
    ports: Vec<String>,
}

impl Servers {
    fn start() -> Self {
        let mut child = again("serving")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        let ports = line.split_whitespace().map(str::to_owned).collect();
        Servers { child, said, ports }
    }

    fn address(&self, n: usize) -> String {
        format!("http://127.0.0.1:{}", self.ports[n % self.ports.len()])
    }

    /// When each cut came, in microseconds, in order.
    fn stop(mut self) -> Vec<f64> {
        drop(self.child.stdin.take());
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        self.child.wait().unwrap();
        let mut cuts: Vec<f64> = line.split_whitespace().map(|n| n.parse().unwrap()).collect();
        cuts.sort_by(f64::total_cmp);
        cuts
    }
}

/// Starts the servers and one sweep, and reads what both saw.
fn once() -> Swept {
    let servers = Servers::start();
    let out = again("sweeping")
        .args(&servers.ports)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{text}");
    let told: Vec<f64> = text.split_whitespace().map(|n| n.parse().unwrap()).collect();
    let (began, took_ms, rss_kib) = (told[0], told[1], told[2]);
    let cuts = servers.stop();
    assert_eq!(cuts.len(), GRANTS, "every grant was cut once");
    let ms = |at: f64| (at - began) / 1_000.0;
    Swept {
        took_ms,
        first_ms: ms(cuts[0]),
        last_ms: ms(cuts[GRANTS - 1]),
        rss_mib: rss_kib / 1024.0,
    }
}

/// The sweep itself, in a process of its own so that its memory is its own.
pub fn worker(ports: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("cases"));
    let world = world();
    let desk = Desk {
        world: &world,
        store: &store,
        spool_folders: Vec::new(),
        who: "ana@example.com".into(),
    };
    let written = Written {
        access: Some(("access.yaml".into(), TABLE.into())),
        ..Written::default()
    };
    let engine = desk.open("bench", &written).unwrap();
    assert!(engine.mistakes.is_empty(), "{:?}", engine.mistakes);
    let address = |n: usize| format!("http://127.0.0.1:{}", ports[n % ports.len()]);
    let aims = (0..GRANTS).map(|n| aim(n, address(n))).collect();
    let began = now_us();
    let report = engine.sweep(aims, Vec::new(), &[]).unwrap();
    let took_ms = (now_us() - began) as f64 / 1_000.0;
    let incident = engine.incident().unwrap();
    assert!(report.targets == GRANTS && incident.stop.targets.len() == GRANTS);
    let dead = incident
        .stop
        .targets
        .values()
        .filter(|t| t.proof() == Proof::Confirmed)
        .count();
    assert_eq!(dead, GRANTS, "each is proved by the look after it");

    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
    println!("{began} {took_ms} {}", peak.trim().trim_end_matches(" kB"));
}

fn aim(n: usize, address: String) -> Aim {
    let with = [("address", address), ("token", format!("t{n}"))];
    Aim {
        target: Target::Grant(Grant {
            id: TargetId::new(&format!("grant-{n}")).unwrap(),
            provider: "shop".into(),
            agent: None,
            with: with
                .map(|(k, v)| (k.to_owned(), v))
                .into_iter()
                .collect::<BTreeMap<_, _>>(),
            auth: None,
            secret: None,
            shared: Shared::No,
            reaches: Vec::new(),
        }),
        window_ms: 0,
        found_by: "access.yaml".into(),
    }
}

/// An answer that goes out when its time has come.
type Due = (Instant, Arc<TcpStream>, String);

/// Eight servers on one thread, and one that answers. Prints their ports; at the end of its input, when each cut came.
pub fn serve() {
    let cuts: Arc<Mutex<Vec<u64>>> = Arc::default();
    let seen = Arc::clone(&cuts);
    let (later, due) = std::sync::mpsc::channel::<Due>();
    // All are equally late, so they go out as they came in. A timer of the runtime counts in whole milliseconds, and
    // would make every answer one more late.
    std::thread::spawn(move || {
        for (at, stream, text) in due {
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            // What fits a socket's buffer is taken at once, or the connection is gone.
            let _ = stream.try_write(text.as_bytes());
        }
    });
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut ports = String::new();
            for _ in 0..HOSTS {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                ports.push_str(&format!("{} ", listener.local_addr().unwrap().port()));
                tokio::spawn(accept(listener, Arc::clone(&seen), later.clone()));
            }
            println!("{ports}");
            std::io::stdout().flush().unwrap();
            std::future::pending::<()>().await;
        });
    });
    std::io::stdin().lines().for_each(drop);
    let all: Vec<String> = cuts.lock().unwrap().iter().map(u64::to_string).collect();
    println!("{}", all.join(" "));
}

async fn accept(listener: TcpListener, cuts: Arc<Mutex<Vec<u64>>>, later: Sender<Due>) {
    let dead: Arc<Mutex<std::collections::HashSet<String>>> = Arc::default();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(answer(
            stream,
            Arc::clone(&cuts),
            Arc::clone(&dead),
            later.clone(),
        ));
    }
}

async fn answer(
    stream: TcpStream,
    cuts: Arc<Mutex<Vec<u64>>>,
    dead: Arc<Mutex<std::collections::HashSet<String>>>,
    later: Sender<Due>,
) {
    let stream = Arc::new(stream);
    let (mut held, mut buffer) = (Vec::new(), [0_u8; 4096]);
    loop {
        let end = held.windows(4).position(|w| w == b"\r\n\r\n");
        let Some(end) = end else {
            stream.readable().await.unwrap();
            match stream.try_read(&mut buffer) {
                Ok(n) if n > 0 => held.extend_from_slice(&buffer[..n]),
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                _ => return,
            }
            continue;
        };
        let came = Instant::now();
        let head = String::from_utf8_lossy(&held[..end]).into_owned();
        held.drain(..end + 4);
        let mut words = head.split_whitespace();
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let text = if method == "DELETE" {
            if path.starts_with("/tokens/") {
                cuts.lock().unwrap().push(now_us());
                dead.lock().unwrap().insert(path.to_owned());
            }
            "HTTP/1.1 204 No Content\r\n\r\n".to_owned()
        } else {
            let active = !dead.lock().unwrap().contains(path);
            let body = format!("{{\"active\":{active}}}");
            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        };
        if later.send((came + LATENCY, Arc::clone(&stream), text)).is_err() {
            return;
        }
    }
}

/// A real clock, network and disk; no host, no programs.
pub fn world() -> World {
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

/// A host without processes, which finds programs and runs none.
pub struct Nobody;

impl Spawn for Nobody {
    fn run<'a>(
        &'a self,
        _: incident::world::spawn::Command,
        _: &'a mut dyn Write,
        _: &'a mut dyn Write,
        _: &'a mut dyn FnMut(Started),
    ) -> Later<'a, Ran> {
        Box::pin(async {
            Ran {
                end: End::NotStarted("nothing is started in a bench".into()),
                ms: 0,
                out_bytes: 0,
                err_bytes: 0,
                truncated: false,
                escapees: 0,
                left: 0,
            }
        })
    }
    fn find(&self, program: &str) -> Option<PathBuf> {
        let path = PathBuf::from("/usr/bin").join(program);
        path.exists().then_some(path)
    }
}

impl Host for Nobody {
    fn identity(&self) -> Identity {
        Identity {
            host: "bench".into(),
            boot: "none".into(),
            user: "ana".into(),
            uid: 1000,
            pid: Pid { pid: 1, starttime: 0 },
            os: "linux".into(),
            sees_all: false,
            scope: "nothing".into(),
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
        PathBuf::from("/tmp")
    }
}
