//! This host: who we are, what runs, and signals that cannot hit the wrong process.

use std::path::PathBuf;

use crate::model::secret::Secret;

pub use super::here::RealHost;

/// One process, told from a later one of the same id by its start time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid {
    /// Process id.
    pub pid: u32,
    /// Start time: clock ticks since boot; on macOS seconds since 1970.
    pub starttime: u64,
}

/// What is visible of one process. Fields that may not be read are empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Which process.
    pub id: Pid,
    /// Its parent's id.
    pub ppid: u32,
    /// Session id.
    pub session: u32,
    /// Real user id.
    pub uid: u32,
    /// User name, or the number as text.
    pub user: String,
    /// One letter of `/proc/PID/stat`: `R`, `S`, `T`, `Z`, …
    pub state: char,
    /// Executable.
    pub exe: Option<PathBuf>,
    /// Arguments.
    pub argv: Vec<String>,
    /// Working directory.
    pub cwd: Option<PathBuf>,
    /// True where the environment can be read by us.
    pub readable: bool,
}

/// Who and where we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Host name.
    pub host: String,
    /// Kernel's boot id.
    pub boot: String,
    /// Our user's name.
    pub user: String,
    /// Our user id.
    pub uid: u32,
    /// Our process.
    pub pid: Pid,
    /// `linux`, `macos`, `drill`.
    pub os: String,
    /// True where we see every user's processes of the whole host (root, first PID namespace, no hidepid).
    pub sees_all: bool,
    /// What we can see, in words for the record.
    pub scope: String,
}

/// A signal we send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGSTOP.
    Stop,
    /// SIGCONT.
    Continue,
    /// SIGTERM.
    Terminate,
    /// SIGKILL.
    Kill,
}

/// What became of a signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signalled {
    /// Delivered to that very process.
    Sent,
    /// That process no longer exists.
    Gone,
    /// Not allowed, or not possible, and why.
    Refused(String),
}

/// Looks at this host and signals its processes.
pub trait Host {
    /// Who and where we are.
    fn identity(&self) -> Identity;
    /// Every process we can see.
    fn processes(&self) -> Result<Vec<Process>, HostError>;
    /// The environment of one process; empty where it may not be read.
    fn environment(&self, pid: Pid) -> Vec<(String, Secret)>;
    /// Open files and sockets of one process, in words (`/srv/x`, `tcp 10.0.0.5:5432`).
    fn open_files(&self, pid: Pid) -> Vec<String>;
    /// Files that one process has mapped into its memory.
    fn mapped_files(&self, _: Pid) -> Vec<String> {
        Vec::new()
    }
    /// Sends a signal to exactly this process (by pidfd, start time checked).
    fn signal(&self, pid: Pid, signal: Signal) -> Signalled;
    /// Environment variable of the responder.
    fn env(&self, name: &str) -> Option<String>;
    /// Home folder of the responder.
    fn home(&self) -> Option<PathBuf>;
    /// Working directory.
    fn cwd(&self) -> PathBuf;
    /// The file of this program itself, where there is one.
    fn program(&self) -> Option<PathBuf> {
        None
    }
}

/// The host would not tell.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot {doing}: {why}")]
pub struct HostError {
    /// What was tried, as in `list processes`.
    pub doing: &'static str,
    /// What the system said.
    pub why: String,
}
