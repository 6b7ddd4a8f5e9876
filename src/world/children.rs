//! The real half of [`super::spawn`]: programs in sessions of their own, ended with all they started.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use super::Later;
use super::here;
use super::host::{Pid, Signal, Signalled};
use super::interrupt::Interrupt;
use super::jail;
use super::spawn::{Attended, Child, Command, End, Ran, Spawn};
use super::terminal;
use crate::model::secret::Secret;

/// How often deadlines and Ctrl-C are looked at.
const TICK: Duration = Duration::from_millis(50);
/// Time between TERM and KILL.
const GRACE: Duration = Duration::from_secs(2);
/// How long output is still read after the program ended, where something it left holds the pipe.
const DRAIN: Duration = Duration::from_millis(200);
/// How often processes that keep appearing are killed before we give up on them.
const KILL_ROUNDS: u32 = 50;
/// Name of the variable by which descendants are recognised that left the session.
const MARK: &str = "INCIDENT_RUN";

/// Starts real programs.
pub struct RealSpawn {
    interrupt: Box<dyn Interrupt>,
    path: OsString,
    /// Direct children that run now.
    running: RefCell<BTreeSet<u32>>,
    serial: Cell<u64>,
    /// What was started to outlive us.
    detached: RefCell<Vec<std::process::Child>>,
}

impl RealSpawn {
    /// Looks programs up in our own `PATH` and listens to `interrupt`.
    #[allow(
        clippy::disallowed_methods,
        reason = "this is the port through which the environment is read"
    )]
    pub fn new(interrupt: Box<dyn Interrupt>) -> Self {
        here::adopt_orphans();
        RealSpawn {
            interrupt,
            path: std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()),
            running: RefCell::default(),
            serial: Cell::new(0),
            detached: RefCell::default(),
        }
    }
}

impl Spawn for RealSpawn {
    fn run<'a>(
        &'a self,
        command: Command,
        out: &'a mut dyn Write,
        err: &'a mut dyn Write,
        started: &'a mut dyn FnMut(Child),
    ) -> Later<'a, Ran> {
        Box::pin(async move {
            let presses = self.interrupt.count();
            match self.start(&command) {
                Ok((child, mark)) => {
                    let pid = child.id().unwrap_or(0);
                    self.running.borrow_mut().insert(pid);
                    started(Child {
                        pid,
                        starttime: here::started(pid),
                    });
                    let mut run = Running {
                        child,
                        pid,
                        mark,
                        presses,
                    };
                    let ran = self.watch(&mut run, command, out, err).await;
                    self.running.borrow_mut().remove(&pid);
                    ran
                }
                Err(why) => Ran {
                    end: End::NotStarted(why),
                    ms: 0,
                    out_bytes: 0,
                    err_bytes: 0,
                    truncated: false,
                    escapees: 0,
                    left: 0,
                },
            }
        })
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "this is the one place that starts programs"
    )]
    fn detach(&self, argv: &[String], env: Vec<(String, Secret)>) {
        let Some(program) = argv.first().and_then(|name| self.find(name)) else {
            return;
        };
        let mut run = std::process::Command::new(program);
        run.args(argv.iter().skip(1))
            .env_clear()
            .envs(env.iter().map(|(name, value)| (name, value.expose())))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        own_session(&mut run);
        let mut detached = self.detached.borrow_mut();
        // Those that have ended leave no zombie behind for as long as we live.
        detached.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        detached.extend(run.spawn());
    }

    fn at_terminal(&self, argv: &[String], env: &[(String, Secret)], stdin: &[u8]) -> Option<Attended> {
        let program = self.find(argv.first()?)?;
        terminal::run(&program, argv, env, stdin)
    }

    fn find(&self, program: &str) -> Option<PathBuf> {
        if program.contains('/') {
            return std::path::absolute(program).ok().filter(|p| is_program(p));
        }
        std::env::split_paths(&self.path)
            .filter(|folder| folder.is_absolute())
            .map(|folder| folder.join(program))
            .find(|path| is_program(path))
    }
}

/// One program on its way.
struct Running {
    child: tokio::process::Child,
    pid: u32,
    /// What its descendants inherit as [`MARK`].
    mark: String,
    /// How often Ctrl-C had been pressed before it was started.
    presses: u32,
}

fn is_program(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

impl RealSpawn {
    #[allow(
        clippy::disallowed_methods,
        reason = "this is the one place that starts programs"
    )]
    fn start(&self, command: &Command) -> Result<(tokio::process::Child, String), String> {
        let name = command.argv.first().ok_or("nothing to run")?;
        let program = self.find(name).ok_or_else(|| format!("no program `{name}`"))?;
        self.serial.set(self.serial.get() + 1);
        let ours = here::myself();
        let mark = format!("{}.{}.{}", ours.pid, ours.starttime, self.serial.get());
        let mut run = tokio::process::Command::new(&program);
        run.args(command.argv.iter().skip(1))
            .env_clear()
            .envs(command.env.iter().map(|(name, value)| (name, value.expose())))
            .env(MARK, &mark)
            .stdin(if command.stdin.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if let Some(cwd) = &command.cwd {
            run.current_dir(cwd);
        }
        own_session(run.as_std_mut());
        run.spawn()
            .map(|child| (child, mark))
            .map_err(|e| format!("cannot start {}: {e}", program.display()))
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "this is the one place that watches programs"
    )]
    async fn watch(
        &self,
        run: &mut Running,
        command: Command,
        out: &mut dyn Write,
        err: &mut dyn Write,
    ) -> Ran {
        let began = Instant::now();
        let child = &mut run.child;
        let mut out = Tap::new(child.stdout.take(), out, command.cap);
        let mut err = Tap::new(child.stderr.take(), err, command.cap);
        let mut feed = std::pin::pin!(feed(child.stdin.take(), command.stdin));
        let mut fed = false;
        let mut last_output = began;
        let mut exit: Option<(io::Result<ExitStatus>, Instant)> = None;
        let ended = loop {
            tokio::select! {
                status = child.wait(), if exit.is_none() => exit = Some((status, Instant::now())),
                () = out.pump(), if out.is_open() => last_output = Instant::now(),
                () = err.pump(), if err.is_open() => last_output = Instant::now(),
                () = &mut feed, if !fed => fed = true,
                () = tokio::time::sleep(TICK) => {}
            }
            if let Some((_, at)) = &exit {
                if !(out.is_open() || err.is_open()) || at.elapsed() >= DRAIN {
                    break None;
                }
            } else if self.interrupt.count() > run.presses {
                break Some(End::Interrupted);
            } else if began.elapsed() >= command.deadline {
                break Some(End::Deadline);
            } else if command
                .no_progress
                .is_some_and(|limit| last_output.elapsed() >= limit)
            {
                break Some(End::NoProgress);
            }
        };
        let mut escapees = 0;
        let mut left = 0;
        let end = if let Some(ours) = ended {
            escapees = self.end(run, &mut out, &mut err).await;
            ours
        } else {
            left = count(self.descendants(run.pid, &run.mark).unwrap_or_default().len());
            match exit {
                Some((Ok(status), _)) => match (status.code(), status.signal()) {
                    (Some(code), _) => End::Exit(code),
                    (None, signal) => End::Signal(signal.unwrap_or(0)),
                },
                Some((Err(e), _)) => End::NotStarted(format!("lost sight of it: {e}")),
                None => End::NotStarted("lost sight of it".to_owned()),
            }
        };
        Ran {
            end,
            ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            out_bytes: out.seen,
            err_bytes: err.seen,
            truncated: out.cut || err.cut,
            escapees,
            left,
        }
    }

    /// TERM, grace, KILL, until nothing of it is left. Returns how many besides the program were ended.
    #[allow(
        clippy::disallowed_methods,
        reason = "this is the one place that ends programs"
    )]
    async fn end(
        &self,
        run: &mut Running,
        out: &mut Tap<'_, tokio::process::ChildStdout>,
        err: &mut Tap<'_, tokio::process::ChildStderr>,
    ) -> u32 {
        let mut met = BTreeSet::new();
        let presses = self.interrupt.count();
        let asked = Instant::now();
        for member in self.descendants(run.pid, &run.mark).unwrap_or_default() {
            met.insert(member);
            here::send(member, Signal::Terminate);
        }
        let mut rounds = 0;
        loop {
            let alive = self.descendants(run.pid, &run.mark);
            // A child we have not waited for is a zombie, not a survivor: `descendants` leaves those out.
            if alive.as_ref().is_some_and(Vec::is_empty) {
                break;
            }
            // What is not shown may live.
            let alive = alive.unwrap_or_default();
            met.extend(alive.iter().copied());
            if asked.elapsed() >= GRACE || self.interrupt.count() > presses {
                rounds += 1;
                for member in &alive {
                    if let Signalled::Refused(_) = here::send(*member, Signal::Kill) {
                        rounds = KILL_ROUNDS;
                    }
                }
                if rounds >= KILL_ROUNDS {
                    break;
                }
            }
            let pause = tokio::time::sleep(TICK / 2);
            tokio::pin!(pause);
            loop {
                tokio::select! {
                    () = &mut pause => break,
                    () = out.pump(), if out.is_open() => {}
                    () = err.pump(), if err.is_open() => {}
                }
            }
        }
        let _ = tokio::time::timeout(DRAIN, run.child.wait()).await;
        for member in &met {
            reap(*member, run.pid);
        }
        count(met.iter().filter(|m| m.pid != run.pid).count())
    }

    /// Everything alive that this child started, itself included: by session, by descent, by the marker
    /// it inherited, and orphans that came to us while nothing else of ours runs. `None` where the system would not tell.
    fn descendants(&self, pid: u32, mark: &str) -> Option<Vec<Pid>> {
        let all = here::everyone()?;
        let ours = std::process::id();
        let running = self.running.borrow();
        let detached: BTreeSet<u32> = self
            .detached
            .borrow()
            .iter()
            .map(std::process::Child::id)
            .collect();
        let adopts = running.len() == 1 && jail::signals_allowed().is_ok();
        let marker = format!("{MARK}={mark}");
        let mut members: BTreeSet<u32> = BTreeSet::from([pid]);
        for seen in &all {
            let id = seen.id.pid;
            let orphan = adopts && seen.ppid == ours && !running.contains(&id) && !detached.contains(&id);
            if seen.session == pid || orphan || seen.carries(marker.as_bytes()) {
                members.insert(id);
            }
        }
        // Children may have smaller numbers than their parents, so go round until nothing is new.
        loop {
            let before = members.len();
            let children = all.iter().filter(|seen| members.contains(&seen.ppid));
            let children: Vec<u32> = children.map(|seen| seen.id.pid).collect();
            members.extend(children);
            if members.len() == before {
                break;
            }
        }
        members.remove(&ours);
        let alive = all
            .iter()
            .filter(|seen| !seen.dead && members.contains(&seen.id.pid));
        Some(alive.map(|seen| seen.id).collect())
    }
}

/// Gives the child a session of its own, so that it has no terminal to ask on and one number to find it by.
#[allow(unsafe_code, reason = "the one way to call setsid between fork and exec")]
fn own_session(run: &mut std::process::Command) {
    use std::os::unix::process::CommandExt;

    // SAFETY: between fork and exec only setsid(2) is called; it is async-signal-safe and allocates nothing.
    unsafe {
        run.pre_exec(|| rustix::process::setsid().map(drop).map_err(io::Error::from));
    }
}

/// Takes the exit status of an orphan that came to us; tokio takes that of the program itself.
fn reap(member: Pid, program: u32) {
    let raw = i32::try_from(member.pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    if member.pid != program && raw.is_some() {
        let _ = rustix::process::waitpid(raw, rustix::process::WaitOptions::NOHANG);
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Hands bytes to the program's input and closes it.
async fn feed(stdin: Option<tokio::process::ChildStdin>, bytes: Option<crate::model::secret::Secret>) {
    if let (Some(mut stdin), Some(bytes)) = (stdin, bytes) {
        // A program that does not read its input is none of our business.
        let _ = stdin.write_all(bytes.expose().as_bytes()).await;
    }
}

/// One output stream on its way to a writer.
struct Tap<'a, R> {
    from: Option<R>,
    to: &'a mut dyn Write,
    room: u64,
    seen: u64,
    cut: bool,
    buffer: Vec<u8>,
}

impl<'a, R: AsyncRead + Unpin> Tap<'a, R> {
    fn new(from: Option<R>, to: &'a mut dyn Write, cap: u64) -> Self {
        Tap {
            from,
            to,
            room: cap,
            seen: 0,
            cut: false,
            buffer: vec![0; 64 << 10],
        }
    }

    fn is_open(&self) -> bool {
        self.from.is_some()
    }

    /// Moves what is there. Cancelling it loses nothing: a read either happened or did not.
    async fn pump(&mut self) {
        let Some(from) = &mut self.from else {
            return;
        };
        let read = match from.read(&mut self.buffer).await {
            Ok(0) | Err(_) => {
                self.from = None;
                return;
            }
            Ok(read) => read,
        };
        self.seen += u64::try_from(read).unwrap_or(0);
        let keep = usize::try_from(self.room).map_or(read, |room| room.min(read));
        self.cut |= keep < read;
        let kept = self.buffer.get(..keep).unwrap_or_default();
        if self.to.write_all(kept).is_err() {
            // A writer that fails keeps nothing more; what it has stays cut off here.
            self.cut = true;
            self.room = 0;
        } else {
            self.room -= u64::try_from(keep).unwrap_or(0);
        }
    }
}
