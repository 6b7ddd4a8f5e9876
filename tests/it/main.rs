//! Everything that needs the whole crate, a real server or the built binary. One binary, one link.
#![allow(missing_docs, reason = "tests document themselves by name")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "helpers of tests are tests too; clippy exempts only the functions marked #[test]"
)]

// Where `src/world/macos.rs` looks for it: see `local/other_half.rs`.
use incident::model;

mod access;
mod cli;
mod collectors;
mod drill;
mod effects;
mod evidence;
mod examples;
mod fuzz;
mod house;
mod ladder;
mod local;
mod mirror;
mod orders;
mod originals;
mod plan;
mod promises;
mod providers;
mod redact;
mod runbooks;
mod signoff;
mod store;
mod support;
mod sweep;
mod trust;
mod undo;
mod walk;
mod whose;
