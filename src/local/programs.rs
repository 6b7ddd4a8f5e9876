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

/// Runs a program to its end. `Err` is the fact that it gave no answer.
pub(super) async fn ask(world: &World, argv: &[&str], stdin: Option<String>) -> Result<Said, Fact> {
    let passed = ["HOME", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"];
    let mut env: Vec<(String, Secret)> = passed
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), Secret::new(world.host.env(name)?))))
        .collect();
    for (name, value) in [
        (
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ),
        ("LC_ALL", "C"),
        ("SYSTEMD_PAGER", ""),
        ("SYSTEMD_COLORS", "0"),
    ] {
        env.push((name.to_owned(), Secret::new(value.to_owned())));
    }
    let command = Command {
        argv: argv.iter().map(|a| (*a).to_owned()).collect(),
        cwd: None,
        env,
        stdin: stdin.map(Secret::new),
        deadline: DEADLINE,
        no_progress: None,
        cap: CAP,
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let ran = world.spawn.run(command, &mut out, &mut err, &mut |_| {}).await;
    match ran.end {
        End::Exit(_) if ran.truncated => Err(error(&format!("{}: the answer is too long", argv.join(" ")))),
        End::Exit(code) => Ok(Said {
            code,
            out: String::from_utf8(out).map_err(|_| error(&format!("{}: not UTF-8", argv.join(" "))))?,
            err: String::from_utf8_lossy(&err).into_owned(),
        }),
        End::Deadline | End::NoProgress => Err(Fact::Silent { after_ms: ran.ms }),
        End::Interrupted => Err(error(&format!("{}: interrupted", argv.join(" ")))),
        End::NotStarted(why) => Err(error(&why)),
        End::Signal(signal) => Err(error(&format!("{}: ended by signal {signal}", argv.join(" ")))),
    }
}
