//! The host of a drill: processes, files and a crontab that exist only in memory.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::entropy::Seeded;
use super::programs::{FOLDER, PROGRAMS};
use super::scenario::{AgentPlan, HostLayout};
use crate::model::time::Moment;
use crate::world::files::Stat;
use crate::world::host::{Identity, Pid, Process, Signal, Signalled};

/// Whose process it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The responder's own: the shell and this program.
    Responder,
    /// The agent's.
    Agent,
    /// Nobody's who has a part in the incident.
    Bystander,
}

struct Running {
    seen: Process,
    whose: Whose,
    env: Vec<(String, String)>,
}

struct Held {
    bytes: Vec<u8>,
    owner: String,
    mode: u32,
    mtime_ms: i64,
}

/// The host.
pub struct Machine {
    name: String,
    boot: String,
    responder: String,
    agent_user: String,
    own: Pid,
    env: BTreeMap<String, String>,
    processes: BTreeMap<u32, Running>,
    files: BTreeMap<PathBuf, Held>,
    /// Containers by name; true = paused.
    containers: BTreeMap<String, bool>,
    next_pid: u32,
}

impl Machine {
    /// A host as laid out, with the responder logged in and the agent not started yet.
    pub fn new(layout: &HostLayout, seeded: &Seeded, now: Moment) -> Self {
        let mut machine = Machine {
            name: layout.name.clone(),
            boot: seeded.uuid(),
            responder: layout.responder.clone(),
            agent_user: layout.agent_user.clone(),
            own: Pid { pid: 0, starttime: 0 },
            env: BTreeMap::new(),
            processes: BTreeMap::new(),
            files: BTreeMap::new(),
            containers: layout
                .containers
                .iter()
                .map(|name| (name.clone(), false))
                .collect(),
            next_pid: 1,
        };
        for (name, _) in PROGRAMS {
            let path = Path::new(FOLDER).join(name);
            // Read as what they stand for: programs, not scripts.
            let bytes = [b"\x7fELF\xff simulated program ", name.as_bytes()].concat();
            machine.write(&path, bytes, "root", 0o755, now);
        }
        let early = Moment {
            mono_us: 1_000_000,
            ..now
        };
        let argv = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect();
        machine.start("root", argv(&["/sbin/init"]), 0, Whose::Bystander, &[], early);
        machine.next_pid = 400 + u32::try_from(seeded.below(200)).unwrap_or(0);
        for (user, argv) in &layout.bystanders {
            machine.start(user, argv.clone(), 1, Whose::Bystander, &[], early);
        }
        machine.next_pid = 2_000 + u32::try_from(seeded.below(30_000)).unwrap_or(0);
        let user = layout.responder.clone();
        let session = machine.start("root", argv(&["sshd: ana"]), 1, Whose::Responder, &[], now);
        let shell = machine.start(&user, argv(&["-bash"]), session.pid, Whose::Responder, &[], now);
        let us = argv(&["/usr/local/bin/incident", "drill"]);
        machine.own = machine.start(&user, us, shell.pid, Whose::Responder, &[], now);
        machine
    }

    /// Starts a process; the session is that of its parent unless it is a child of init.
    pub fn start(
        &mut self,
        user: &str,
        argv: Vec<String>,
        ppid: u32,
        whose: Whose,
        env: &[(String, String)],
        now: Moment,
    ) -> Pid {
        let pid = self.next_pid;
        self.next_pid += 1;
        let id = Pid {
            pid,
            starttime: now.mono_us / 10_000,
        };
        let session = match self.processes.get(&ppid) {
            Some(parent) if ppid > 1 => parent.seen.session,
            _ => pid,
        };
        let seen = Process {
            id,
            ppid,
            session,
            uid: uid(user),
            user: user.to_owned(),
            state: 'S',
            exe: argv.first().map(|program| executable(program)),
            argv,
            cwd: Some(PathBuf::from(if whose == Whose::Agent {
                "/srv/rental"
            } else {
                "/"
            })),
            readable: true,
        };
        let env = env.to_vec();
        self.processes.insert(pid, Running { seen, whose, env });
        id
    }

    /// A process ends by itself.
    pub fn end(&mut self, pid: Pid) {
        if self.running(pid).is_some() {
            self.processes.remove(&pid.pid);
        }
    }

    /// Starts the agent's processes, each the child of the one before.
    pub fn start_agent(&mut self, plan: &AgentPlan, env: &[(String, String)], now: Moment) {
        let cron = self
            .processes
            .values()
            .find(|p| p.seen.argv.first().is_some_and(|a| a.ends_with("/cron")))
            .map_or(1, |p| p.seen.id.pid);
        let user = self.agent_user.clone();
        let mut parent = cron;
        for argv in &plan.processes {
            parent = self
                .start(&user, argv.clone(), parent, Whose::Agent, env, now)
                .pid;
        }
    }

    /// True where a process of the agent with exactly these arguments runs and is not frozen.
    pub fn acts(&self, argv: &[String]) -> bool {
        self.processes
            .values()
            .any(|p| p.whose == Whose::Agent && p.seen.argv == argv && p.seen.state != 'T')
    }

    /// True where any process of the agent exists.
    pub fn agent_exists(&self) -> bool {
        self.processes.values().any(|p| p.whose == Whose::Agent)
    }

    /// True where the daemon that reads crontabs runs.
    pub fn cron_runs(&self) -> bool {
        self.processes
            .values()
            .any(|p| p.seen.argv.first().is_some_and(|a| a.ends_with("/cron")) && p.seen.state != 'T')
    }

    /// Whose process this is; `None` where there is none.
    pub fn whose(&self, pid: Pid) -> Option<Whose> {
        self.running(pid).map(|p| p.whose)
    }

    fn running(&self, pid: Pid) -> Option<&Running> {
        self.processes.get(&pid.pid).filter(|p| p.seen.id == pid)
    }

    /// Who and where we are.
    pub fn identity(&self) -> Identity {
        Identity {
            host: self.name.clone(),
            boot: self.boot.clone(),
            user: self.responder.clone(),
            uid: uid(&self.responder),
            pid: self.own,
            os: "drill".into(),
            sees_all: true,
            scope: format!("every process of the simulated host {}", self.name),
        }
    }

    /// Every process.
    pub fn processes(&self) -> Vec<Process> {
        self.processes.values().map(|p| p.seen.clone()).collect()
    }

    /// Environment of a process.
    pub fn environment(&self, pid: Pid) -> Vec<(String, String)> {
        self.running(pid).map_or_else(Vec::new, |p| p.env.clone())
    }

    /// What a process has open.
    pub fn open_files(&self, pid: Pid) -> Vec<String> {
        match self.whose(pid) {
            Some(Whose::Agent) => vec!["/srv/rental".into(), "tcp api.harbor.example:443".into()],
            _ => Vec::new(),
        }
    }

    /// Files a process has mapped into its memory: what it runs, and the libraries of that.
    pub fn mapped_files(&self, pid: Pid) -> Vec<String> {
        let exe = self.running(pid).and_then(|p| p.seen.exe.as_ref());
        let libc = "/usr/lib/x86_64-linux-gnu/libc.so.6".to_owned();
        exe.map_or_else(Vec::new, |exe| vec![exe.display().to_string(), libc])
    }

    /// Sends a signal. The responder is not root, yet may signal everybody: the drill is about judgement.
    pub fn signal(&mut self, pid: Pid, signal: Signal) -> Signalled {
        if pid.pid == 1 {
            return Signalled::Refused("init cannot be signalled".into());
        }
        if self.running(pid).is_none() {
            return Signalled::Gone;
        }
        match signal {
            Signal::Stop => self.set_state(pid, 'T'),
            Signal::Continue => self.set_state(pid, 'S'),
            Signal::Terminate | Signal::Kill => {
                self.processes.remove(&pid.pid);
                for orphan in self.processes.values_mut().filter(|p| p.seen.ppid == pid.pid) {
                    orphan.seen.ppid = 1;
                }
            }
        }
        Signalled::Sent
    }

    fn set_state(&mut self, pid: Pid, state: char) {
        if let Some(process) = self.processes.get_mut(&pid.pid) {
            process.seen.state = state;
        }
    }

    /// An environment variable of the responder.
    pub fn env(&self, name: &str) -> Option<String> {
        self.env.get(name).cloned()
    }

    /// Sets an environment variable of the responder.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.env.insert(name.to_owned(), value.to_owned());
    }

    /// Home folder of the responder.
    pub fn home(&self) -> PathBuf {
        Path::new("/home").join(&self.responder)
    }

    /// Containers, and whether each is paused.
    pub fn containers(&mut self) -> &mut BTreeMap<String, bool> {
        &mut self.containers
    }

    /// True where a container of this name is paused.
    pub fn paused(&self, name: &str) -> bool {
        self.containers.get(name).is_some_and(|paused| *paused)
    }

    /// The file that holds a user's crontab.
    pub fn crontab(user: &str) -> PathBuf {
        Path::new("/var/spool/cron/crontabs").join(user)
    }

    /// A file's bytes, of at most `cap`.
    pub fn read(&self, path: &Path, cap: u64) -> io::Result<Vec<u8>> {
        if self.is_dir(path) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let file = self.files.get(path).ok_or(io::ErrorKind::NotFound)?;
        if file.bytes.len() as u64 > cap {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(file.bytes.clone())
    }

    /// Replaces a file.
    pub fn write(&mut self, path: &Path, bytes: Vec<u8>, owner: &str, mode: u32, now: Moment) {
        let file = Held {
            bytes,
            owner: owner.to_owned(),
            mode,
            mtime_ms: now.utc_ms,
        };
        self.files.insert(path.to_path_buf(), file);
    }

    /// Adds to a file, which keeps its owner; a new one belongs to the agent's user.
    pub fn append(&mut self, path: &Path, bytes: &[u8], now: Moment) {
        let owner = self.agent_user.clone();
        let file = self.files.entry(path.to_path_buf()).or_insert(Held {
            bytes: Vec::new(),
            owner,
            mode: 0o644,
            mtime_ms: now.utc_ms,
        });
        file.bytes.extend_from_slice(bytes);
        file.mtime_ms = now.utc_ms;
    }

    /// Removes a file.
    pub fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.files
            .remove(path)
            .map(drop)
            .ok_or(io::ErrorKind::NotFound.into())
    }

    /// Names in a folder, sorted.
    pub fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        if !self.is_dir(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let mut names: Vec<PathBuf> = self
            .files
            .keys()
            .filter_map(|f| f.strip_prefix(path).ok()?.components().next())
            .map(|first| PathBuf::from(first.as_os_str()))
            .collect();
        names.dedup();
        Ok(names)
    }

    /// What a path is.
    pub fn stat(&self, path: &Path) -> io::Result<Stat> {
        let is_dir = self.is_dir(path);
        let file = self.files.get(path);
        if file.is_none() && !is_dir {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Stat {
            len: file.map_or(0, |f| f.bytes.len() as u64),
            mode: file.map_or(0o755, |f| f.mode),
            uid: file.map_or(0, |f| uid(&f.owner)),
            gid: file.map_or(0, |f| uid(&f.owner)),
            mtime_ms: file.map_or(0, |f| f.mtime_ms),
            ctime_ms: file.map_or(0, |f| f.mtime_ms),
            is_dir,
            is_file: !is_dir,
            is_link: false,
        })
    }

    fn is_dir(&self, path: &Path) -> bool {
        !self.files.contains_key(path) && self.files.keys().any(|f| f.starts_with(path))
    }
}

/// A user's number: fixed for the users every host has, else above 1000.
fn uid(user: &str) -> u32 {
    match user {
        "root" => 0,
        "www-data" => 33,
        "postgres" => 105,
        "ana" => 1000,
        _ => 1001,
    }
}

/// Where a program lies, without arguments in its name.
fn executable(program: &str) -> PathBuf {
    let program = program
        .trim_start_matches('-')
        .split(':')
        .next()
        .unwrap_or(program);
    let path = Path::new(program);
    if path.is_absolute() {
        return path.to_path_buf();
    }
    Path::new("/usr/bin").join(path)
}

#[cfg(test)]
mod tests {
    use super::super::clock::tests::start;
    use super::super::scenario::Scenario;
    use super::*;

    fn machine() -> (Machine, AgentPlan) {
        let scenario = Scenario::shipped("nine-seconds").unwrap();
        let mut machine = Machine::new(&scenario.host, &Seeded::new(1, "host"), start());
        machine.start_agent(&scenario.agent, &[("CLAUDECODE".into(), "1".into())], start());
        (machine, scenario.agent)
    }

    #[test]
    fn a_frozen_agent_does_not_act_and_a_killed_one_is_gone() {
        let (mut m, plan) = machine();
        let brain = &plan.processes[1];
        let pid = m.processes().iter().find(|p| p.argv == *brain).unwrap().id;
        assert!(m.acts(brain));
        assert_eq!(m.signal(pid, Signal::Stop), Signalled::Sent);
        assert!(!m.acts(brain) && m.agent_exists());
        assert_eq!(m.signal(pid, Signal::Kill), Signalled::Sent);
        assert_eq!(m.signal(pid, Signal::Kill), Signalled::Gone);
        let orphan = m.processes().into_iter().find(|p| p.argv == plan.processes[2]);
        assert_eq!(orphan.unwrap().ppid, 1, "its MCP server outlives it");
    }

    #[test]
    fn a_signal_never_reaches_a_later_process_of_the_same_number() {
        let (mut m, _) = machine();
        let mut pid = m.identity().pid;
        pid.starttime += 1;
        assert_eq!(m.signal(pid, Signal::Kill), Signalled::Gone);
    }

    #[test]
    fn folders_are_what_files_lie_in() {
        let (mut m, _) = machine();
        m.write(Path::new("/a/b/c"), b"x".to_vec(), "root", 0o600, start());
        m.write(Path::new("/a/b/d"), b"y".to_vec(), "root", 0o600, start());
        assert_eq!(m.list(Path::new("/a")).unwrap(), [PathBuf::from("b")]);
        assert!(m.stat(Path::new("/a/b")).unwrap().is_dir);
        assert_eq!(
            m.read(Path::new("/a/b"), 9).unwrap_err().kind(),
            io::ErrorKind::IsADirectory
        );
        assert_eq!(
            m.read(Path::new("/a/b/c"), 0).unwrap_err().kind(),
            io::ErrorKind::FileTooLarge
        );
    }
}
