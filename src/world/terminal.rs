//! Programs that ask the person at our terminal for themselves: a passphrase, a PIN, a touch.

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::spawn::{Attended, End};
use crate::model::secret::Secret;

/// Runs it in our own session, so that it reaches the terminal; `None` where there is none.
#[allow(
    clippy::disallowed_methods,
    reason = "the world starts programs, and this one needs our terminal"
)]
pub(super) fn run(
    program: &Path,
    argv: &[String],
    env: &[(String, Secret)],
    stdin: &[u8],
) -> Option<Attended> {
    std::fs::File::open("/dev/tty").ok()?;
    let not_started = |e: std::io::Error| Attended {
        end: End::NotStarted(format!("cannot start {}: {e}", program.display())),
        out: Vec::new(),
    };
    let started = Command::new(program)
        .args(argv.iter().skip(1))
        .env_clear()
        .envs(env.iter().map(|(name, value)| (name, value.expose())))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(e) => return Some(not_started(e)),
    };
    if let Some(mut pipe) = child.stdin.take() {
        // Where it stopped reading, how it ended says why.
        let _ = pipe.write_all(stdin);
    }
    Some(match child.wait_with_output() {
        Ok(done) => Attended {
            end: match done.status.code() {
                Some(code) => End::Exit(code),
                None => End::Signal(done.status.signal().unwrap_or(0)),
            },
            out: done.stdout,
        },
        Err(e) => not_started(e),
    })
}
