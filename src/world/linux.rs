//! The real half of [`super::host`]: `/proc`, pidfds, and an honest word on how much of them we see.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use procfs::process::{FDTarget, Process as Proc, all_processes};
use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};

use super::host::{Host, HostError, Identity, Pid, Process, Signal, Signalled};
use super::{jail, proc};
use crate::model::secret::Secret;

/// Longest environment, and longest list of arguments, that is read of one process, in bytes.
const ENVIRON_CAP: u64 = 2 << 20;
/// Longest table of the kernel that is read, in bytes.
const TABLE_CAP: u64 = 64 << 20;
/// Most open files told of one process.
const OPEN_FILES_CAP: usize = 1_000;
/// How long a socket table may be reused while many processes are looked at in a row.
const SOCKETS_AGE: Duration = Duration::from_millis(500);
/// `CAP_SYS_PTRACE` in `CapEff`: without it other users' environments stay closed even to root.
const CAP_SYS_PTRACE: u64 = 1 << 19;
/// Inode of the first user namespace of a kernel (`USER_NS_INIT_INO` in `linux/nsfs.h`).
const FIRST_USER_NAMESPACE: u64 = 0xEFFF_FFFD;

type Sockets = HashMap<u64, String>;

/// This machine.
#[derive(Default)]
pub struct RealHost {
    /// Socket tables by network namespace, with the moment they were read.
    sockets: RefCell<HashMap<u64, (Instant, Sockets)>>,
}

impl RealHost {
    /// Looks at nothing yet.
    pub fn new() -> Self {
        RealHost::default()
    }
}

impl Host for RealHost {
    fn identity(&self) -> Identity {
        let uid = rustix::process::geteuid().as_raw();
        let user = user_name(&users(), uid);
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let (sees_all, scope) = sight(&host, &user);
        Identity {
            boot: fs::read_to_string("/proc/sys/kernel/random/boot_id")
                .map(|text| text.trim().to_owned())
                .unwrap_or_default(),
            pid: myself(),
            os: std::env::consts::OS.to_owned(),
            host,
            user,
            uid,
            sees_all,
            scope,
        }
    }

    fn processes(&self) -> Result<Vec<Process>, HostError> {
        let users = users();
        let all = all_processes().map_err(|e| HostError {
            doing: "list processes",
            why: e.to_string(),
        })?;
        // A process that ends while we read it simply is not in the list.
        Ok(all.flatten().filter_map(|p| describe(&p, &users)).collect())
    }

    fn environment(&self, pid: Pid) -> Vec<(String, Secret)> {
        let Some(proc) = exactly(pid) else {
            return Vec::new();
        };
        let Ok(file) = proc.open_relative("environ") else {
            return Vec::new();
        };
        let mut bytes = zeroize::Zeroizing::new(Vec::new());
        if io::Read::read_to_end(&mut io::Read::take(file, ENVIRON_CAP), &mut bytes).is_err() {
            return Vec::new();
        }
        bytes
            .split(|b| *b == 0)
            .filter_map(|entry| {
                let eq = entry.iter().position(|b| *b == b'=')?;
                let name = String::from_utf8_lossy(entry.get(..eq)?).into_owned();
                let value = String::from_utf8_lossy(entry.get(eq + 1..)?).into_owned();
                Some((name, Secret::new(value)))
            })
            .collect()
    }

    fn open_files(&self, pid: Pid) -> Vec<String> {
        let Some(proc) = exactly(pid) else {
            return Vec::new();
        };
        let Ok(entries) = fs::read_dir(format!("/proc/{}/fd", proc.pid())) else {
            return Vec::new();
        };
        let links: Vec<PathBuf> = entries
            .flatten()
            .take(OPEN_FILES_CAP)
            .filter_map(|entry| fs::read_link(entry.path()).ok())
            .collect();
        if exactly(pid).is_none() {
            // Its number may be another's by now.
            return Vec::new();
        }
        let mut open: Vec<String> = links
            .into_iter()
            .filter_map(|link| match proc::opened(link) {
                FDTarget::Path(path) => Some(path.display().to_string()),
                FDTarget::Socket(inode) => Some(self.socket(&proc, inode)),
                FDTarget::MemFD(name) => Some(format!("memfd {name}")),
                FDTarget::Pipe(_) | FDTarget::AnonInode(_) => None,
                other => Some(format!("{other:?}")),
            })
            .collect();
        open.sort();
        open.dedup();
        open
    }

    fn mapped_files(&self, pid: Pid) -> Vec<String> {
        let maps = exactly(pid).and_then(|proc| read(&proc, "maps", TABLE_CAP));
        let mut files = proc::mapped(&maps.unwrap_or_default());
        files.truncate(OPEN_FILES_CAP);
        files
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
    /// A socket in words: `tcp 10.0.0.5:5432`, `tcp listening on 127.0.0.1:8200`, `socket 4711`.
    #[allow(
        clippy::disallowed_methods,
        reason = "the age of a cached table, seen by nobody outside"
    )]
    fn socket(&self, proc: &Proc, inode: u64) -> String {
        let namespace = fs::metadata(format!("/proc/{}/ns/net", proc.pid())).map_or(0, |m| m.ino());
        let mut tables = self.sockets.borrow_mut();
        let fresh = tables
            .get(&namespace)
            .is_some_and(|(read, _)| read.elapsed() < SOCKETS_AGE);
        if !fresh {
            tables.insert(namespace, (Instant::now(), sockets_of(proc)));
        }
        tables
            .get(&namespace)
            .and_then(|(_, table)| table.get(&inode).cloned())
            .unwrap_or_else(|| format!("socket {inode}"))
    }
}

/// Sends a signal to exactly this process. The caller has asked [`jail::signals_allowed`], or signals
/// only what it started itself.
pub(super) fn send(pid: Pid, signal: Signal) -> Signalled {
    let refused = |e: io::Error| Signalled::Refused(e.to_string());
    if pid.pid <= 1 || pid.pid == std::process::id() {
        return Signalled::Refused("never init, never ourselves".to_owned());
    }
    let Some(raw) = i32::try_from(pid.pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw)
    else {
        return Signalled::Gone;
    };
    if myself().pid != std::process::id() {
        return Signalled::Refused("/proc shows another PID namespace than ours".to_owned());
    }
    // The handle first, the start time second: a number reused in between shows in the start time.
    let handle = match pidfd_open(raw, PidfdFlags::empty()) {
        Ok(handle) => handle,
        Err(rustix::io::Errno::SRCH) => return Signalled::Gone,
        Err(e) => return refused(e.into()),
    };
    if exactly(pid).is_none_or(|p| p.stat().is_ok_and(|s| is_dead(s.state))) {
        return Signalled::Gone;
    }
    let signal = match signal {
        Signal::Stop => rustix::process::Signal::STOP,
        Signal::Continue => rustix::process::Signal::CONT,
        Signal::Terminate => rustix::process::Signal::TERM,
        Signal::Kill => rustix::process::Signal::KILL,
    };
    match pidfd_send_signal(handle, signal) {
        Ok(()) => Signalled::Sent,
        Err(rustix::io::Errno::SRCH) => Signalled::Gone,
        Err(e) => refused(e.into()),
    }
}

/// Orphans of our children come to us instead of to init, so that none gets lost.
pub(super) fn adopt_orphans() {
    // Without it (an old kernel) an orphan that shed session and marker is missed; nothing else changes.
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}

/// Start time of a process; 0 where it is gone already.
pub(super) fn started(pid: u32) -> u64 {
    let proc = i32::try_from(pid).ok().and_then(|pid| Proc::new(pid).ok());
    proc.and_then(|p| p.stat().ok()).map_or(0, |stat| stat.starttime)
}

/// As much of a process as tells whose descendant it is.
pub(super) struct Seen {
    pub id: Pid,
    pub ppid: u32,
    pub session: u32,
    pub dead: bool,
    proc: Proc,
}

impl Seen {
    /// True where the process inherited this entry of its environment.
    pub fn carries(&self, marker: &[u8]) -> bool {
        let mut bytes = Vec::new();
        self.proc
            .open_relative("environ")
            .is_ok_and(|mut file| io::Read::read_to_end(&mut file, &mut bytes).is_ok())
            && bytes.split(|b| *b == 0).any(|entry| entry == marker)
    }
}

/// Every process there is; `None` where the system would not tell.
pub(super) fn everyone() -> Option<Vec<Seen>> {
    let see = |proc: Proc| {
        let stat = proc.stat().ok()?;
        Some(Seen {
            id: Pid {
                pid: u32::try_from(stat.pid).ok()?,
                starttime: stat.starttime,
            },
            ppid: u32::try_from(stat.ppid).unwrap_or(0),
            session: u32::try_from(stat.session).unwrap_or(0),
            dead: is_dead(stat.state),
            proc,
        })
    };
    Some(all_processes().ok()?.flatten().filter_map(see).collect())
}

/// A zombie or a process past that: it runs no more code.
fn is_dead(state: char) -> bool {
    matches!(state, 'Z' | 'X' | 'x')
}

/// Our own process. Its id is 0 where `/proc` does not show us.
pub(super) fn myself() -> Pid {
    Proc::myself()
        .and_then(|p| p.stat())
        .ok()
        .and_then(|s| u32::try_from(s.pid).ok().map(|pid| (pid, s.starttime)))
        .map_or(Pid { pid: 0, starttime: 0 }, |(pid, starttime)| Pid {
            pid,
            starttime,
        })
}

/// The process of this id and start time, if it still exists.
fn exactly(pid: Pid) -> Option<Proc> {
    let proc = Proc::new(i32::try_from(pid.pid).ok()?).ok()?;
    (proc.stat().ok()?.starttime == pid.starttime).then_some(proc)
}

fn describe(proc: &Proc, users: &HashMap<u32, String>) -> Option<Process> {
    let stat = proc.stat().ok()?;
    // Only this line is parsed: a look at many processes must be quick.
    let uid = proc::real_uid(&read(proc, "status", ENVIRON_CAP)?)?;
    Some(Process {
        id: Pid {
            pid: u32::try_from(stat.pid).ok()?,
            starttime: stat.starttime,
        },
        ppid: u32::try_from(stat.ppid).unwrap_or(0),
        session: u32::try_from(stat.session).unwrap_or(0),
        uid,
        user: user_name(users, uid),
        state: stat.state,
        exe: proc.exe().ok(),
        argv: proc::words(&read(proc, "cmdline", ENVIRON_CAP).unwrap_or_default()),
        cwd: proc.cwd().ok(),
        // Opening is what the kernel checks; nothing is read.
        readable: proc.open_relative("environ").is_ok(),
    })
}

/// A file of the process's folder, as far as it may be read.
fn read(proc: &Proc, file: &str, cap: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = proc.open_relative(file).ok()?;
    io::Read::read_to_end(&mut io::Read::take(file, cap), &mut bytes).ok()?;
    Some(bytes)
}

/// Names in `/etc/passwd`, by user id.
fn users() -> HashMap<u32, String> {
    String::from_utf8_lossy(&fs::read("/etc/passwd").unwrap_or_default())
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            let uid = fields.nth(1)?.parse().ok()?;
            Some((uid, name.to_owned()))
        })
        .collect()
}

fn user_name(users: &HashMap<u32, String>, uid: u32) -> String {
    users.get(&uid).cloned().unwrap_or_else(|| uid.to_string())
}

/// Whether we see every process of the whole host with its environment, and in words what we see.
fn sight(host: &str, user: &str) -> (bool, String) {
    if myself().pid != std::process::id() {
        return (
            false,
            format!("nothing for certain: /proc on {host} belongs to another PID namespace"),
        );
    }
    if !jail::in_first_pid_namespace() {
        return (
            false,
            format!("the PID namespace of this container on {host}, as {user}"),
        );
    }
    let first_user_namespace =
        fs::metadata("/proc/self/ns/user").is_ok_and(|m| m.ino() == FIRST_USER_NAMESPACE);
    let reads_all = Proc::myself()
        .and_then(|p| p.status())
        .is_ok_and(|s| s.capeff & CAP_SYS_PTRACE != 0);
    if first_user_namespace && reads_all {
        return (true, format!("all processes of all users on {host}"));
    }
    let hides = fs::read_to_string("/proc/self/mountinfo")
        .unwrap_or_default()
        .lines()
        .any(|line| line.contains(" /proc ") && line.contains("hidepid=") && !line.contains("hidepid=0"));
    let rest = if hides {
        "those of other users are hidden"
    } else {
        "of those of other users only their arguments"
    };
    (false, format!("processes of {user} on {host}; {rest}"))
}

/// Every socket of the process's network namespace, by inode.
fn sockets_of(proc: &Proc) -> Sockets {
    let mut all = Sockets::new();
    for (name, table) in [("tcp", proc.tcp()), ("tcp", proc.tcp6())] {
        for entry in table.unwrap_or_default() {
            let words = if entry.state == procfs::net::TcpState::Listen {
                format!("{name} listening on {}", entry.local_address)
            } else {
                format!("{name} {}", entry.remote_address)
            };
            all.insert(entry.inode, words);
        }
    }
    for (name, table) in [("udp", proc.udp()), ("udp", proc.udp6())] {
        for entry in table.unwrap_or_default() {
            all.insert(entry.inode, format!("{name} {}", entry.remote_address));
        }
    }
    let table = read(proc, "net/unix", TABLE_CAP).unwrap_or_default();
    all.extend(proc::unix_sockets(&table).map(|(inode, path)| (inode, format!("unix {path}"))));
    all
}
