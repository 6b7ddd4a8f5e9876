//! Our terminal: what was typed or pasted there beside an answer, and programs that ask the person for themselves: a
//! passphrase, a PIN, a touch.

use std::io::{IsTerminal, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::termios::{self, LocalModes, OptionalActions, QueueSelector, SpecialCodeIndex};
use zeroize::Zeroizing;

use super::spawn::{Attended, End};
use crate::model::secret::Secret;

/// Forgets what was typed before a question stood on the screen: it was meant for something else.
pub fn forget_typed() {
    let tty = std::io::stdin();
    if tty.is_terminal() {
        // Where the terminal cannot, the question is asked all the same.
        let _ = termios::tcflush(&tty, QueueSelector::IFlush);
    }
}

/// What follows within a tenth of a second of an answered line: the rest of several lines that were pasted.
pub fn pasted_on() -> Zeroizing<Vec<u8>> {
    /// Longest paste that is taken, in bytes.
    const CAP: usize = 1 << 20;
    let mut rest = Zeroizing::new(Vec::new());
    let tty = std::io::stdin();
    let Ok(before) = termios::tcgetattr(&tty) else {
        return rest;
    };
    let mut bare = before.clone();
    bare.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
    bare.special_codes[SpecialCodeIndex::VMIN] = 0;
    bare.special_codes[SpecialCodeIndex::VTIME] = 1;
    if termios::tcsetattr(&tty, OptionalActions::Now, &bare).is_ok() {
        let mut piece = Zeroizing::new([0_u8; 4096]);
        while rest.len() < CAP {
            match rustix::io::read(&tty, piece.as_mut_slice()) {
                Ok(0) | Err(_) => break,
                Ok(n) => rest.extend_from_slice(piece.get(..n).unwrap_or_default()),
            }
        }
        let _ = termios::tcsetattr(&tty, OptionalActions::Now, &before);
    }
    rest
}

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
