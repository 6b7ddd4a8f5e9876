//! Small programs of this system, run for their words.

use std::time::Duration;

use crate::model::fact::Fact;
use crate::model::secret::Secret;
use crate::world::World;
use crate::world::spawn::{Command, End};

/// Longest wait for one of them.
const DEADLINE: Duration = Duration::from_secs(5);
/// Bytes kept of each of its streams.
const CAP: u64 = 4 << 20;

/// What a program said.
pub(super) struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    /// The failure as a fact: its words, at most 200 characters.
    pub fn error(&self, what: &str) -> Fact {
        let words = if self.err.trim().is_empty() {
            &self.out
        } else {
            &self.err
        };
        error(&format!("{what}: {} (exit {})", words.trim(), self.code))
    }
}

pub(super) fn error(text: &str) -> Fact {
    Fact::Error {
        status: 0,
        text: text.replace('\n', " ").chars().take(200).collect(),
    }
}

pub(super) fn noted(label: &str, text: impl Into<String>) -> Fact {
    Fact::Noted {
        label: label.to_owned(),
        text: text.into(),
    }
}

/// Where programs of this system are looked for.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs a program to its end. `Err` is the fact that it gave no answer.
pub(super) async fn ask(world: &World, argv: &[&str], stdin: Option<String>) -> Result<Said, Fact> {
    let passed = ["HOME", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"];
    let mut env: Vec<(&str, String)> = passed
        .into_iter()
        .filter_map(|name| Some((name, world.host.env(name)?)))
        .collect();
    env.extend(
        [("PATH", PATH), ("SYSTEMD_PAGER", ""), ("SYSTEMD_COLORS", "0")]
            .map(|(name, value)| (name, value.to_owned())),
    );
    let deadline = DEADLINE;
    Ask {
        argv,
        stdin,
        env,
        deadline,
    }
    .run(world)
    .await
}

/// One program, run for its words.
pub(super) struct Ask<'a> {
    pub argv: &'a [&'a str],
    pub stdin: Option<String>,
    /// Its environment, besides the language.
    pub env: Vec<(&'a str, String)>,
    pub deadline: Duration,
}

impl Ask<'_> {
    /// Runs it to its end. `Err` is the fact that it gave no answer.
    pub async fn run(self, world: &World) -> Result<Said, Fact> {
        let argv = self.argv;
        let language = [("LC_ALL", "C".to_owned())];
        let env = self.env.into_iter().chain(language);
        let command = Command {
            argv: argv.iter().map(|a| (*a).to_owned()).collect(),
            cwd: None,
            env: env.map(|(n, value)| (n.to_owned(), Secret::new(value))).collect(),
            stdin: self.stdin.map(Secret::new),
            deadline: self.deadline,
            no_progress: None,
            cap: CAP,
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let ran = world.spawn.run(command, &mut out, &mut err, &mut |_| {}).await;
        let line = argv.join(" ");
        match ran.end {
            End::Exit(_) if ran.truncated => Err(error(&format!("{line}: the answer is too long"))),
            End::Exit(code) => Ok(Said {
                code,
                out: String::from_utf8(out).map_err(|_| error(&format!("{line}: not UTF-8")))?,
                err: String::from_utf8_lossy(&err).into_owned(),
            }),
            End::Deadline | End::NoProgress => Err(Fact::Silent { after_ms: ran.ms }),
            End::Interrupted => Err(error(&format!("{line}: interrupted"))),
            End::NotStarted(why) => Err(error(&why)),
            End::Signal(signal) => Err(error(&format!("{line}: ended by signal {signal}"))),
        }
    }
}
