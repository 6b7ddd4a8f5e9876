//! `incident`: stop, assess, contain, recover, when an AI agent has broken production.
//!
//! The house, top floor first. Arrows point down; rooms never import each other.
//!
//! ```text
//! cli                     commands, screens, prompts; wire.rs builds the real World
//! drill                   the simulated World, scenarios, players, score
//! engine                  the loop; returns questions, prints nothing
//! boundary signoff store evidence collectors access providers local report      the rooms
//! world effects sshsig redact journal age      ports and their real halves; pure readers of foreign text; sealing
//! model                   the words: plain data and pure rules
//! ```

pub mod cli;
pub mod drill;

pub mod engine;

pub mod access;
pub mod boundary;
pub mod collectors;
pub mod evidence;
pub mod local;
pub mod providers;
pub mod report;
pub mod signoff;
pub mod store;

pub mod age;
pub mod effects;
pub mod journal;
pub mod redact;
pub mod sshsig;
pub mod world;

pub mod model;
