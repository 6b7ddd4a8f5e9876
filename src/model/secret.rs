//! Secrets in a type that cannot be printed, serialised or cloned, and references to them.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// A secret value in memory; wiped when dropped.
///
/// It has no `Display`, `Serialize` or `Clone`, and its `Debug` prints no part of it.
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes ownership of a secret value.
    pub fn new(value: String) -> Self {
        Secret(Zeroizing::new(value))
    }

    /// Joins parts, some of them secret, into one secret (`Bearer ` + token).
    pub fn joined(parts: &[&str]) -> Self {
        let mut all = String::with_capacity(parts.iter().map(|p| p.len()).sum());
        for part in parts {
            all.push_str(part);
        }
        Secret::new(all)
    }

    /// The value itself. Every call is a place where a secret could leak: keep them few.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// True where there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Where a secret is read from, just in time. This, never the value, is what is written down.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretRef {
    /// An environment variable of the responder.
    Env(String),
    /// A file, without its trailing line end.
    File(PathBuf),
    /// Standard output of a program, as an argument list.
    Command(Vec<String>),
    /// An environment variable of a process of the agent, read while it is frozen.
    Process(String),
    /// A value held in memory for this run only (found by the scan, or pasted).
    Held(String),
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretRef::Env(name) => write!(f, "${name}"),
            SecretRef::File(path) => write!(f, "file {}", path.display()),
            SecretRef::Command(argv) => write!(f, "output of `{}`", argv.join(" ")),
            SecretRef::Process(name) => write!(f, "${name} of the agent's process"),
            SecretRef::Held(name) => write!(f, "held in memory as {name}"),
        }
    }
}
