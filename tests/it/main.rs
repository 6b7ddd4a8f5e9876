//! Everything that needs the whole crate, a real server or the built binary. One binary, one link.
#![allow(missing_docs, reason = "tests document themselves by name")]

mod cli;
mod collectors;
mod drill;
mod effects;
mod evidence;
mod house;
mod local;
mod orders;
mod promises;
mod providers;
mod redact;
mod runbooks;
mod signoff;
mod store;
mod support;
mod walk;
