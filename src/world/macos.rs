//! The real half of [`super::host`] where there is no `/proc`: macOS, by the `sysinfo` crate and `lsof`.
//!
//! What is weaker than on Linux is said in [`Identity::scope`], or here: a start time has seconds, a signal goes by
//! number right after the start time was checked, and orphans of what we started go to `launchd`.

use std::cell::OnceCell;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use sysinfo::{ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System, UpdateKind, Users};

use super::host::{Host, HostError, Identity, Pid, Process, Signal, Signalled};
use super::jail;
use crate::model::secret::Secret;

/// Most open files told of one process.
const OPEN_FILES_CAP: usize = 1_000;
/// Bytes read of what a tool of the system says.
const SAID_CAP: u64 = 1 << 20;
/// How long a tool of the system is waited for; `lsof` may hang on a dead network disk.
const PATIENCE: Duration = Duration::from_secs(2);

/// This machine. Who we are and who has which name is asked once: a directory of a company may take its time.
#[derive(Default)]
pub struct RealHost {
    identity: OnceCell<Identity>,
    users: OnceCell<Users>,
}

impl RealHost {
    /// Looks at nothing yet.
    pub fn new() -> Self {
        RealHost::default()
    }
}

impl Host for RealHost {
    fn identity(&self) -> Identity {
        self.identity.get_or_init(|| self.who()).clone()
    }

    fn processes(&self) -> Result<Vec<Process>, HostError> {
        let whole = ProcessRefreshKind::nothing()
            .with_user(UpdateKind::Always)
            .with_exe(UpdateKind::Always)
            .with_cmd(UpdateKind::Always)
            .with_cwd(UpdateKind::Always)
            .with_environ(UpdateKind::Always);
        let seen = look(ProcessesToUpdate::All, whole);
        // Not even ourselves: an empty list would read as nothing running.
        if seen.process(ourselves()).is_none() {
            return Err(HostError {
                doing: "list processes",
                why: "the system does not show them".to_owned(),
            });
        }
        let users = self.users();
        Ok(seen.processes().values().map(|p| describe(p, users)).collect())
    }

    fn environment(&self, pid: Pid) -> Vec<(String, Secret)> {
        let only = sysinfo::Pid::from_u32(pid.pid);
        let seen = look(
            ProcessesToUpdate::Some(&[only]),
            ProcessRefreshKind::nothing().with_environ(UpdateKind::Always),
        );
        let Some(process) = seen.process(only).filter(|p| p.start_time() == pid.starttime) else {
            return Vec::new();
        };
        let entries = process.environ().iter().map(|entry| entry.to_string_lossy());
        entries
            .filter_map(|entry| {
                let (name, value) = entry.split_once('=')?;
                Some((name.to_owned(), Secret::new(value.to_owned())))
            })
            .collect()
    }

    fn open_files(&self, pid: Pid) -> Vec<String> {
        self.listed(pid).into_iter().filter_map(Open::in_words).collect()
    }

    fn mapped_files(&self, pid: Pid) -> Vec<String> {
        let mapped = self.listed(pid).into_iter().filter(Open::is_mapped);
        mapped.map(|open| open.name).collect()
    }

    fn signal(&self, pid: Pid, signal: Signal) -> Signalled {
        match jail::signals_allowed() {
            Ok(()) => send(pid, signal),
            Err(why) => Signalled::Refused(why.to_owned()),
        }
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "this is the port through which the environment is read"
    )]
    fn env(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn home(&self) -> Option<PathBuf> {
        etcetera::home_dir().ok()
    }

    fn cwd(&self) -> PathBuf {
        std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"))
    }

    fn program(&self) -> Option<PathBuf> {
        std::env::current_exe().ok().filter(|path| path.is_file())
    }
}

impl RealHost {
    fn users(&self) -> &Users {
        self.users.get_or_init(Users::new_with_refreshed_list)
    }

    fn who(&self) -> Identity {
        let uid = rustix::process::geteuid().as_raw();
        let user = user_name(self.users(), uid);
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let scope = match uid {
            0 => format!("all processes of all users on {host}, the system's own without their environment"),
            _ => format!("processes of {user} on {host}; of those of other users only some"),
        };
        let boot = said("/usr/sbin/sysctl", &["-n", "kern.bootsessionuuid"]);
        Identity {
            boot: boot.trim().to_owned(),
            pid: myself(),
            os: std::env::consts::OS.to_owned(),
            host,
            user,
            uid,
            // What hides behind a program of the system shows its environment to nobody, not even to root.
            sees_all: false,
            scope,
        }
    }

    /// What `lsof` lists of exactly this process, each thing once.
    fn listed(&self, pid: Pid) -> Vec<Open> {
        let number = pid.pid.to_string();
        let text = said("lsof", &["-nPwb", "-F", "ftPTn", "-a", "-p", &number]);
        if started(pid.pid) != pid.starttime {
            // Its number may be another's by now.
            return Vec::new();
        }
        let mut open = opened(&text);
        open.sort();
        open.dedup();
        open.truncate(OPEN_FILES_CAP);
        open
    }
}

/// One line group of `lsof -F`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Open {
    /// Descriptor: a number, or a word such as `cwd`, `txt`, `mem`.
    descriptor: String,
    kind: String,
    protocol: String,
    listens: bool,
    name: String,
}

impl Open {
    fn is_mapped(&self) -> bool {
        matches!(self.descriptor.as_str(), "txt" | "mem")
    }

    /// `/srv/x`, `tcp 10.0.0.5:5432`, `tcp listening on 127.0.0.1:8200`; pipes and the like say nothing.
    fn in_words(self) -> Option<String> {
        let is_number = self.descriptor.starts_with(|c: char| c.is_ascii_digit());
        match self.kind.as_str() {
            _ if !is_number => None,
            "IPv4" | "IPv6" => {
                let protocol = self.protocol.to_ascii_lowercase();
                let far = self.name.split_once("->").map(|(_, far)| far.to_owned());
                Some(match far {
                    Some(far) => format!("{protocol} {far}"),
                    None if self.listens => format!("{protocol} listening on {}", self.name),
                    None => format!("{protocol} {}", self.name),
                })
            }
            "unix" => Some(format!("unix {}", self.name)),
            "REG" | "DIR" | "CHR" | "VREG" | "VDIR" => Some(self.name),
            _ => None,
        }
    }
}

/// Reads the fields: `f` begins a thing, the others say more of it.
fn opened(text: &str) -> Vec<Open> {
    let mut all: Vec<Open> = Vec::new();
    for line in text.lines() {
        let Some(field) = line.chars().next() else {
            continue;
        };
        let value = line.get(field.len_utf8()..).unwrap_or_default();
        if field == 'f' {
            all.push(Open {
                descriptor: value.to_owned(),
                ..Open::default()
            });
        }
        let Some(open) = all.last_mut() else { continue };
        match field {
            't' => value.clone_into(&mut open.kind),
            'P' => value.clone_into(&mut open.protocol),
            'T' => open.listens |= value == "ST=LISTEN",
            'n' => value.clone_into(&mut open.name),
            _ => {}
        }
    }
    all
}

/// What a tool of the system prints; nothing where it does not end in time.
#[allow(
    clippy::disallowed_methods,
    reason = "the system has no other word for it, and this is the port through which it is asked"
)]
fn said(program: &str, args: &[&str]) -> String {
    let ask = || -> std::io::Result<String> {
        // Into a file: a pipe that nobody empties would hold the tool up.
        let mut out: File = tempfile::tempfile()?;
        let mut child = std::process::Command::new(program)
            .args(args)
            .env_clear()
            .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(Stdio::null())
            .spawn()?;
        let began = Instant::now();
        while child.try_wait()?.is_none() {
            if began.elapsed() >= PATIENCE {
                child.kill()?;
                child.wait()?;
                return Ok(String::new());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let mut bytes = Vec::new();
        out.rewind()?;
        out.take(SAID_CAP).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    ask().unwrap_or_default()
}

fn look(which: ProcessesToUpdate<'_>, what: ProcessRefreshKind) -> System {
    let mut system = System::new();
    system.refresh_processes_specifics(which, true, what.without_tasks());
    system
}

/// One process, no more of it than its numbers.
fn glance<T>(pid: u32, of: impl FnOnce(&sysinfo::Process) -> T) -> Option<T> {
    let only = sysinfo::Pid::from_u32(pid);
    let seen = look(ProcessesToUpdate::Some(&[only]), ProcessRefreshKind::nothing());
    seen.process(only).map(of)
}

fn describe(process: &sysinfo::Process, users: &Users) -> Process {
    let uid = process.user_id().map_or(u32::MAX, |uid| **uid);
    let text = |word: &std::ffi::OsString| word.to_string_lossy().into_owned();
    Process {
        id: id_of(process),
        ppid: process.parent().map_or(0, sysinfo::Pid::as_u32),
        session: process.session_id().map_or(0, sysinfo::Pid::as_u32),
        uid,
        user: user_name(users, uid),
        state: letter(process.status()),
        exe: process.exe().map(PathBuf::from),
        argv: process.cmd().iter().filter(|w| !w.is_empty()).map(text).collect(),
        cwd: process.cwd().map(PathBuf::from),
        readable: !process.environ().is_empty(),
    }
}

fn id_of(process: &sysinfo::Process) -> Pid {
    Pid {
        pid: process.pid().as_u32(),
        starttime: process.start_time(),
    }
}

/// The letter that `ps` shows.
fn letter(status: ProcessStatus) -> char {
    match status {
        ProcessStatus::Run => 'R',
        ProcessStatus::Stop | ProcessStatus::Tracing => 'T',
        ProcessStatus::Zombie => 'Z',
        ProcessStatus::Idle => 'I',
        _ => 'S',
    }
}

fn user_name(users: &Users, uid: u32) -> String {
    let known = users.iter().find(|user| **user.id() == uid);
    known.map_or_else(|| uid.to_string(), |user| user.name().to_owned())
}

fn ourselves() -> sysinfo::Pid {
    sysinfo::Pid::from_u32(std::process::id())
}

/// Our own process. Its id is 0 where the system does not show us.
pub(super) fn myself() -> Pid {
    glance(std::process::id(), id_of).unwrap_or(Pid { pid: 0, starttime: 0 })
}

/// Start time of a process; 0 where it is gone already.
pub(super) fn started(pid: u32) -> u64 {
    glance(pid, sysinfo::Process::start_time).unwrap_or(0)
}

/// Here orphans go to `launchd`, whatever we say: one that shed session and marker is missed.
pub(super) fn adopt_orphans() {}

/// Sends a signal to exactly this process. The caller has asked [`jail::signals_allowed`], or signals
/// only what it started itself.
pub(super) fn send(pid: Pid, signal: Signal) -> Signalled {
    if pid.pid <= 1 || pid.pid == std::process::id() {
        return Signalled::Refused("never init, never ourselves".to_owned());
    }
    let number = i32::try_from(pid.pid).ok();
    let Some(number) = number.and_then(rustix::process::Pid::from_raw) else {
        return Signalled::Gone;
    };
    let alive = |p: &sysinfo::Process| p.start_time() == pid.starttime && p.status() != ProcessStatus::Zombie;
    if !glance(pid.pid, alive).unwrap_or(false) {
        return Signalled::Gone;
    }
    let signal = match signal {
        Signal::Stop => rustix::process::Signal::STOP,
        Signal::Continue => rustix::process::Signal::CONT,
        Signal::Terminate => rustix::process::Signal::TERM,
        Signal::Kill => rustix::process::Signal::KILL,
    };
    match rustix::process::kill_process(number, signal) {
        Ok(()) => Signalled::Sent,
        Err(rustix::io::Errno::SRCH) => Signalled::Gone,
        Err(e) => Signalled::Refused(std::io::Error::from(e).to_string()),
    }
}

/// As much of a process as tells whose descendant it is.
pub(super) struct Seen {
    pub id: Pid,
    pub ppid: u32,
    pub session: u32,
    pub dead: bool,
    environ: Vec<std::ffi::OsString>,
}

impl Seen {
    /// True where the process inherited this entry of its environment.
    pub fn carries(&self, marker: &[u8]) -> bool {
        self.environ
            .iter()
            .any(|entry| entry.as_encoded_bytes() == marker)
    }
}

/// Every process there is; none where the system would not tell.
pub(super) fn everyone() -> Vec<Seen> {
    let what = ProcessRefreshKind::nothing().with_environ(UpdateKind::Always);
    let seen = look(ProcessesToUpdate::All, what);
    let see = |p: &sysinfo::Process| Seen {
        id: id_of(p),
        ppid: p.parent().map_or(0, sysinfo::Pid::as_u32),
        session: p.session_id().map_or(0, sysinfo::Pid::as_u32),
        dead: p.status() == ProcessStatus::Zombie,
        environ: p.environ().to_vec(),
    };
    seen.processes().values().map(see).collect()
}
