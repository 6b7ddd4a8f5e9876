//! Programs: started by argument list, watched, ended with everything they started.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use super::Later;
use crate::model::secret::Secret;

pub use super::children::RealSpawn;

/// What to run. Never a shell unless argv says so.
#[derive(Debug)]
pub struct Command {
    /// Program (absolute path, or a name looked up in `PATH`) and arguments.
    pub argv: Vec<String>,
    /// Working directory; `None` = ours.
    pub cwd: Option<PathBuf>,
    /// The whole environment: nothing is inherited.
    pub env: Vec<(String, Secret)>,
    /// Bytes for standard input; `None` = `/dev/null`.
    pub stdin: Option<Secret>,
    /// Wall time after which it is ended.
    pub deadline: Duration,
    /// Time without any output after which it is ended; `None` = no such limit.
    pub no_progress: Option<Duration>,
    /// Bytes kept of each stream; the rest is counted and dropped.
    pub cap: u64,
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// By itself, with this code.
    Exit(i32),
    /// By a signal that was not ours.
    Signal(i32),
    /// By us, after the deadline.
    Deadline,
    /// By us, after too long without output.
    NoProgress,
    /// By us, on Ctrl-C.
    Interrupted,
    /// It never ran, and why.
    NotStarted(String),
}

/// What is known after a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// How it ended.
    pub end: End,
    /// Milliseconds from start to end.
    pub ms: u64,
    /// Bytes of standard output, including those dropped by the cap.
    pub out_bytes: u64,
    /// Bytes of standard error, including those dropped by the cap.
    pub err_bytes: u64,
    /// True where a stream was longer than the cap.
    pub truncated: bool,
    /// Processes besides the program itself that had to be ended with it.
    pub escapees: u32,
    /// Processes that outlived a program which ended by itself (a service it started). Left alone.
    pub left: u32,
}

/// A child as it is written into the journal before anything else is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Child {
    /// Process id.
    pub pid: u32,
    /// Start time in clock ticks since boot, to tell it from a later process of the same id.
    pub starttime: u64,
}

/// What became of a program that could ask for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attended {
    /// How it ended.
    pub end: End,
    /// Its standard output.
    pub out: Vec<u8>,
}

/// Starts programs.
pub trait Spawn {
    /// Runs one program to its end in a session of its own, output streamed to the two writers.
    ///
    /// `started` is called once, as soon as the process exists. The program and everything it started
    /// are ended (TERM, two seconds of grace, KILL) at the deadline, without progress, or on Ctrl-C.
    fn run<'a>(
        &'a self,
        command: Command,
        out: &'a mut dyn Write,
        err: &'a mut dyn Write,
        started: &'a mut dyn FnMut(Child),
    ) -> Later<'a, Ran>;

    /// Runs a program that may ask the person at our terminal (a passphrase, a PIN, a touch): in our own session,
    /// with its errors on our screen. Gives its standard output; `None` where there is no terminal to ask at.
    fn at_terminal(&self, argv: &[String], env: &[(String, Secret)], stdin: &[u8]) -> Option<Attended> {
        let _ = (argv, env, stdin);
        None
    }

    /// Starts a program that outlives this one, in a session of its own, with nothing to read from or write to,
    /// and forgets it. What cannot be started is not: nobody waits for it. Drills start nothing.
    fn detach(&self, argv: &[String], env: Vec<(String, Secret)>) {
        let _ = (argv, env);
    }

    /// The absolute path a program name stands for, by `PATH`; `None` where there is none.
    fn find(&self, program: &str) -> Option<PathBuf>;
}
