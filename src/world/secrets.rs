//! Secrets: read just in time, from where the reference says.

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
