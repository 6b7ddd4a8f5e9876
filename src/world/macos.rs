//! The real half of [`super::host`] where there is no `/proc`: macOS, by the `sysinfo` crate, `lsof`, `ps` and `id`.
//!
//! What is weaker than on Linux is said in [`Identity::scope`], or here: a start time has seconds, a signal goes by
//! number right after the start time was checked, orphans of what we started go to `launchd`, and what `sysinfo` read of
//! environments is not wiped from memory. What the system does not show is never taken for gone.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use sysinfo::{ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System, UpdateKind};

use super::host::{Host, HostError, Identity, Pid, Process, Signal, Signalled};
use super::jail;
use crate::model::secret::Secret;

/// Most open files told of one process.
const OPEN_FILES_CAP: usize = 1_000;
/// Bytes read of what a tool of the system says.
const SAID_CAP: u64 = 1 << 20;
/// How long a tool of the system is waited for; `lsof` may hang on a dead network disk.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a list of open files may be used for the next question about the same process.
const LISTED_AGE: Duration = Duration::from_millis(500);
/// How often the system is asked again that did not even show ourselves: it leaves everything out where many are born.
const LOOKS: usize = 20;

/// This machine. Who we are and who has which name is asked once: a directory of a company may take its time.
#[derive(Default)]
pub struct RealHost {
    identity: OnceCell<Identity>,
    users: RefCell<HashMap<u32, String>>,
    /// What was listed last, of whom, and when.
    listed: RefCell<Option<(Pid, Instant, Vec<Open>)>>,
    /// True once `lsof` did not answer: it would hold up everything else, process by process.
    unanswered: Cell<bool>,
}

impl RealHost {
    /// Looks at nothing yet.
    pub fn new() -> Self {
        RealHost::default()
    }
}

impl Host for RealHost {
    fn identity(&self) -> Identity {
        if let Some(known) = self.identity.get() {
            return known.clone();
        }
        let who = self.who();
        match who.pid.starttime {
            // Asked again the next time: it was not shown.
            0 => who,
            _ => self.identity.get_or_init(|| who).clone(),
        }
    }

    fn processes(&self) -> Result<Vec<Process>, HostError> {
        let whole = ProcessRefreshKind::nothing()
            .with_user(UpdateKind::Always)
            .with_exe(UpdateKind::Always)
            .with_cmd(UpdateKind::Always)
            .with_cwd(UpdateKind::Always)
            .with_environ(UpdateKind::Always);
        let Some(seen) = look(ProcessesToUpdate::All, whole) else {
            return Err(HostError {
                doing: "list processes",
                why: "the system does not show them".to_owned(),
            });
        };
        let all = seen.processes().values();
        let mut all: Vec<Process> = all.map(|p| self.describe(p)).collect();
        // Of other people's only root is shown more than a number; `ps` may always look.
        if all.iter().any(|p| p.id.starttime == 0) {
            let told = family(&said("ps", &["-axo", "pid=,ppid=,uid="]).unwrap_or_default());
            for process in all.iter_mut().filter(|p| p.id.starttime == 0) {
                if let Some((ppid, uid)) = told.get(&process.id.pid) {
                    (process.ppid, process.uid, process.user) = (*ppid, *uid, self.user(*uid));
                }
            }
        }
        Ok(all)
    }

    fn environment(&self, pid: Pid) -> Vec<(String, Secret)> {
        let what = ProcessRefreshKind::nothing()
            .with_cmd(UpdateKind::Always)
            .with_environ(UpdateKind::Always);
        let read = |p: &sysinfo::Process| match p.start_time() == pid.starttime {
            true => entries(p).filter_map(entry_of).collect(),
            false => Vec::new(),
        };
        glance(pid.pid, what, read).flatten().unwrap_or_default()
    }

    fn open_files(&self, pid: Pid) -> Vec<String> {
        match self.listed(pid) {
            Some(open) => in_order(open.into_iter().filter_map(Open::in_words)),
            None => vec!["unknown: lsof does not answer".to_owned()],
        }
    }

    fn mapped_files(&self, pid: Pid) -> Vec<String> {
        let open = self.listed(pid).unwrap_or_default().into_iter();
        in_order(open.filter(Open::is_mapped).map(|open| open.name))
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
    fn user(&self, uid: u32) -> String {
        let mut users = self.users.borrow_mut();
        let ask = || {
            let number = uid.to_string();
            let name = said("id", &["-un", &number]).unwrap_or_default();
            Some(name.trim().to_owned())
                .filter(|name| !name.is_empty())
                .unwrap_or(number)
        };
        users.entry(uid).or_insert_with(ask).clone()
    }

    fn describe(&self, process: &sysinfo::Process) -> Process {
        let uid = process.user_id().map(|uid| **uid);
        let text = |word: &OsString| word.to_string_lossy().into_owned();
        Process {
            id: id_of(process),
            ppid: process.parent().map_or(0, sysinfo::Pid::as_u32),
            session: process.session_id().map_or(0, sysinfo::Pid::as_u32),
            uid: uid.unwrap_or(u32::MAX),
            user: uid.map_or_else(|| "?".to_owned(), |uid| self.user(uid)),
            state: letter(process.status()),
            exe: process.exe().map(PathBuf::from),
            argv: process.cmd().iter().map(text).collect(),
            cwd: process.cwd().map(PathBuf::from),
            readable: !process.environ().is_empty(),
        }
    }

    fn who(&self) -> Identity {
        let uid = rustix::process::geteuid().as_raw();
        let user = self.user(uid);
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let scope = match uid {
            0 => format!("all processes of all users on {host}, the system's own without their environment"),
            _ => format!("processes of {user} on {host}; of those of other users little more than a number"),
        };
        let boot = said("sysctl", &["-n", "kern.bootsessionuuid"]).unwrap_or_default();
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

    /// What `lsof` lists of exactly this process; `None` where it does not answer.
    #[allow(
        clippy::disallowed_methods,
        reason = "the age of a kept list, seen by nobody outside"
    )]
    fn listed(&self, pid: Pid) -> Option<Vec<Open>> {
        if let Some((of, at, open)) = &*self.listed.borrow()
            && (*of, at.elapsed() < LISTED_AGE) == (pid, true)
        {
            return Some(open.clone());
        }
        if self.unanswered.get() {
            return None;
        }
        let number = pid.pid.to_string();
        let Some(text) = said("lsof", &["-nPwb", "-F", "ftPTn", "-a", "-p", &number]) else {
            self.unanswered.set(true);
            return None;
        };
        // Otherwise its number may be another's by now.
        let open = match started(pid.pid) == pid.starttime {
            true => opened(&text),
            false => Vec::new(),
        };
        *self.listed.borrow_mut() = Some((pid, Instant::now(), open.clone()));
        Some(open)
    }
}

/// Each once, in order, no more than may be told.
fn in_order(words: impl Iterator<Item = String>) -> Vec<String> {
    let mut words: Vec<String> = words.collect();
    words.sort();
    words.dedup();
    words.truncate(OPEN_FILES_CAP);
    words
}

/// Parent and user of each process, out of three columns of `ps`.
fn family(text: &str) -> HashMap<u32, (u32, u32)> {
    let row = |line: &str| {
        let mut fields = line.split_whitespace().map(str::parse);
        let [pid, ppid, uid] = [fields.next()?.ok()?, fields.next()?.ok()?, fields.next()?.ok()?];
        Some((pid, (ppid, uid)))
    };
    text.lines().filter_map(row).collect()
}

/// One line group of `lsof -F`.
#[derive(Debug, Clone, Default)]
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

/// What a tool of the system prints; `None` where there is none, or it does not end in time.
#[allow(
    clippy::disallowed_methods,
    reason = "the system has no other word for it, and this is the port through which it is asked"
)]
fn said(program: &str, args: &[&str]) -> Option<String> {
    // Into a file: a pipe that nobody empties would hold the tool up.
    let mut out: File = tempfile::tempfile().ok()?;
    let mut child = std::process::Command::new(program)
        .args(args)
        .env_clear()
        .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
        .stdin(Stdio::null())
        .stdout(out.try_clone().ok()?)
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let began = Instant::now();
    while child.try_wait().ok()?.is_none() {
        if began.elapsed() >= PATIENCE {
            // Not waited for: what hangs in the kernel does not end by this.
            let _ = child.kill();
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut bytes = Vec::new();
    out.rewind().ok()?;
    out.take(SAID_CAP).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// What the system shows; `None` where that does not hold ourselves, and so is nothing to go by.
fn look(which: ProcessesToUpdate<'_>, what: ProcessRefreshKind) -> Option<System> {
    let ours = ourselves();
    let mut system = System::new();
    for _ in 0..LOOKS {
        system.refresh_processes_specifics(which, true, what.without_tasks());
        if system.process(ours).is_some() {
            return Some(system);
        }
    }
    None
}

/// One process; the outer `None` where the system shows nothing, the inner where it does not show this one.
fn glance<T>(
    pid: u32,
    what: ProcessRefreshKind,
    of: impl FnOnce(&sysinfo::Process) -> T,
) -> Option<Option<T>> {
    let only = sysinfo::Pid::from_u32(pid);
    let seen = look(ProcessesToUpdate::Some(&[only, ourselves()]), what)?;
    Some(seen.process(only).map(of))
}

/// The environment, and what of it `sysinfo` takes for arguments: as many entries as there were empty arguments.
fn entries(process: &sysinfo::Process) -> impl Iterator<Item = &OsString> {
    let shifted = process.cmd().iter().rev();
    let shifted = shifted.take_while(|word| entry_of(word).is_some());
    shifted.chain(process.environ())
}

fn entry_of(entry: &OsString) -> Option<(String, Secret)> {
    let entry = entry.to_string_lossy();
    let (name, value) = entry.split_once('=')?;
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_name.then(|| (name.to_owned(), Secret::new(value.to_owned())))
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
        ProcessStatus::Unknown(_) => '?',
        _ => 'S',
    }
}

fn ourselves() -> sysinfo::Pid {
    sysinfo::Pid::from_u32(std::process::id())
}

/// Our own process; the start time is 0 where the system does not show it.
pub(super) fn myself() -> Pid {
    let pid = std::process::id();
    Pid {
        pid,
        starttime: started(pid),
    }
}

/// Start time of a process; 0 where it is gone already, or not shown.
pub(super) fn started(pid: u32) -> u64 {
    let time = glance(pid, ProcessRefreshKind::nothing(), sysinfo::Process::start_time);
    time.flatten().unwrap_or(0)
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
    let unseen = || Signalled::Refused("the system does not show which process this is".to_owned());
    if pid.starttime == 0 {
        return unseen();
    }
    let alive = |p: &sysinfo::Process| p.start_time() == pid.starttime && p.status() != ProcessStatus::Zombie;
    match glance(pid.pid, ProcessRefreshKind::nothing(), alive) {
        Some(Some(true)) => {}
        Some(Some(false)) => return Signalled::Gone,
        _ => {
            return match rustix::process::test_kill_process(number) {
                Err(rustix::io::Errno::SRCH) => Signalled::Gone,
                _ => unseen(),
            };
        }
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
    entries: Vec<OsString>,
}

impl Seen {
    /// True where the process inherited this entry of its environment.
    pub fn carries(&self, marker: &[u8]) -> bool {
        self.entries
            .iter()
            .any(|entry| entry.as_encoded_bytes() == marker)
    }
}

/// Every process there is; `None` where the system would not tell.
pub(super) fn everyone() -> Option<Vec<Seen>> {
    let what = ProcessRefreshKind::nothing()
        .with_cmd(UpdateKind::Always)
        .with_environ(UpdateKind::Always);
    let seen = look(ProcessesToUpdate::All, what)?;
    let see = |p: &sysinfo::Process| Seen {
        id: id_of(p),
        ppid: p.parent().map_or(0, sysinfo::Pid::as_u32),
        session: p.session_id().map_or(0, sysinfo::Pid::as_u32),
        dead: p.status() == ProcessStatus::Zombie,
        entries: entries(p).cloned().collect(),
    };
    Some(seen.processes().values().map(see).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_tools_of_a_mac_print_is_read() {
        let told = family("    1     0     0\n  412     1   501\n 9000   412 4294967294\n  x y z\n 7\n");
        assert_eq!(
            (told.len(), told[&412], told[&9000]),
            (3, (1, 501), (412, 4_294_967_294))
        );

        // As lsof 4.91 prints it there.
        let text = "p412\nfcwd\ntDIR\nn/Users/ana\nftxt\ntREG\nn/opt/homebrew/bin/node\nf0\ntCHR\nn/dev/null\n\
            f3\ntREG\nn/Users/ana/shop/orders one.db\nf4\ntIPv4\nPTCP\nn10.0.0.9:51234->10.0.0.5:5432\nTST=ESTABLISHED\n\
            f5\ntIPv6\nPTCP\nn[::1]:8200\nTST=LISTEN\nf6\ntunix\nn/var/run/agent.sock\nf7\ntPIPE\nn->0x1f\nf8\ntIPv4\nPUDP\nn*:5353\n";
        let open = opened(text);
        let mapped = open.iter().filter(|open| open.is_mapped());
        assert_eq!(
            mapped.map(|open| open.name.as_str()).collect::<Vec<_>>(),
            ["/opt/homebrew/bin/node"]
        );
        assert_eq!(
            in_order(open.into_iter().filter_map(Open::in_words)),
            [
                "/Users/ana/shop/orders one.db",
                "/dev/null",
                "tcp 10.0.0.5:5432",
                "tcp listening on [::1]:8200",
                "udp *:5353",
                "unix /var/run/agent.sock"
            ]
        );
    }

    #[test]
    fn an_entry_of_an_environment_is_told_from_an_argument() {
        let named = |text: &str| entry_of(&OsString::from(text)).map(|(name, _)| name);
        assert_eq!(named("A_TOKEN=x=y").as_deref(), Some("A_TOKEN"));
        assert_eq!(
            [named("--name=x"), named("=x"), named("go on")],
            [None, None, None]
        );
    }
}
