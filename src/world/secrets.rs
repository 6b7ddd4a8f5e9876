//! Secrets: read just in time, from where the reference says.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt;

use super::Later;
use crate::model::secret::{Secret, SecretRef};

/// A secret could not be read. Says where from, never what.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot read the secret from {from}: {why}")]
pub struct SecretError {
    /// The reference, in words.
    pub from: String,
    /// What went wrong.
    pub why: String,
}

/// Reads secrets.
pub trait Secrets {
    /// Reads one secret now. Every value read is also taught to the redactor.
    fn read<'a>(&'a self, from: &'a SecretRef) -> Later<'a, Result<Secret, SecretError>>;
    /// Keeps a value in memory for this run, under a name usable as [`SecretRef::Held`].
    fn hold(&self, name: &str, value: Secret);
    /// Every value read or held so far, for the redactor. Called with each value in turn.
    fn known(&self, each: &mut dyn FnMut(&str));
}

/// Longest secret, in bytes: a key with its chain fits, a log file given by mistake does not.
const SECRET_CAP: u64 = 64 << 10;

/// Longest time a program may take to print a secret; a forgotten prompt must not hold up stop.
const COMMAND_LIMIT: Duration = Duration::from_secs(10);

/// Secrets of this responder on this machine.
///
/// [`SecretRef::Process`] is not looked up here: whoever froze the process hands the value over with
/// [`Secrets::hold`] under the variable's name.
#[derive(Default)]
pub struct RealSecrets {
    held: RefCell<BTreeMap<String, Secret>>,
    seen: RefCell<Vec<Secret>>,
}

impl RealSecrets {
    /// Nothing is read yet.
    pub fn new() -> Self {
        RealSecrets::default()
    }

    async fn find(&self, from: &SecretRef) -> Result<String, String> {
        let text = match from {
            SecretRef::Env(name) => environment(name)?,
            SecretRef::File(path) => file(path)?,
            SecretRef::Command(argv) => output(argv).await?,
            SecretRef::Process(name) => self.held(name).ok_or("no frozen process holds it")?,
            SecretRef::Held(name) => self.held(name).ok_or("it was not found or given in this run")?,
        };
        let value = text.strip_suffix('\n').unwrap_or(&text);
        let value = value.strip_suffix('\r').unwrap_or(value);
        match value.is_empty() {
            true => Err("it is empty".to_owned()),
            false => Ok(value.to_owned()),
        }
    }

    fn held(&self, name: &str) -> Option<String> {
        self.held.borrow().get(name).map(|s| s.expose().to_owned())
    }
}

impl Secrets for RealSecrets {
    fn read<'a>(&'a self, from: &'a SecretRef) -> Later<'a, Result<Secret, SecretError>> {
        Box::pin(async move {
            let value = self.find(from).await.map_err(|why| SecretError {
                from: from.to_string(),
                why,
            })?;
            let known = |s: &Secret| s.expose() == value;
            if !self.seen.borrow().iter().any(known) {
                self.seen.borrow_mut().push(Secret::new(value.clone()));
            }
            Ok(Secret::new(value))
        })
    }

    fn hold(&self, name: &str, value: Secret) {
        self.held.borrow_mut().insert(name.to_owned(), value);
    }

    fn known(&self, each: &mut dyn FnMut(&str)) {
        self.held.borrow().values().for_each(|s| each(s.expose()));
        self.seen.borrow().iter().for_each(|s| each(s.expose()));
    }
}

#[allow(clippy::disallowed_methods, reason = "the real half of a port")]
fn environment(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|e| match e {
        std::env::VarError::NotPresent => "it is not set".to_owned(),
        std::env::VarError::NotUnicode(_) => "it is not text".to_owned(),
    })
}

fn file(path: &Path) -> Result<String, String> {
    let kind = std::fs::metadata(path).map_err(|e| e.to_string())?;
    if !kind.is_file() {
        // Reading a pipe or a terminal could wait for ever.
        return Err("it is not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|f| f.take(SECRET_CAP + 1).read_to_end(&mut bytes))
        .map_err(|e| e.to_string())?;
    text(bytes)
}

#[allow(clippy::disallowed_methods, reason = "the real half of a port")]
async fn output(argv: &[String]) -> Result<String, String> {
    let (program, arguments) = argv.split_first().ok_or("no program is named")?;
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // What a password manager says on standard error may quote what it read.
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| format!("it did not start: {e}"))?;
    let pipe = child.stdout.take().ok_or("it has no output")?;
    let whole = async {
        let mut bytes = Vec::new();
        let read = pipe.take(SECRET_CAP + 1).read_to_end(&mut bytes).await;
        let status = child.wait().await.map_err(|e| e.to_string())?;
        read.map_err(|e| e.to_string())?;
        match status.success() {
            true => text(bytes),
            false => Err(format!("it ended with {status}")),
        }
    };
    match tokio::time::timeout(COMMAND_LIMIT, whole).await {
        Ok(outcome) => outcome,
        Err(_) => Err(format!("no answer within {} s", COMMAND_LIMIT.as_secs())),
    }
}

fn text(bytes: Vec<u8>) -> Result<String, String> {
    if bytes.len() as u64 > SECRET_CAP {
        return Err(format!("it is longer than {SECRET_CAP} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())
}
