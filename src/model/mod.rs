//! The words of the house: plain data, its YAML and JSON forms, and the pure rules over it.
//!
//! Absent from this room: I/O of any kind, clocks, randomness, the terminal.

pub mod act;
pub mod approved;
pub mod diagnostic;
pub mod effect;
pub mod event;
pub mod examples;
pub mod fact;
pub mod grant;
pub mod hours;
pub mod ids;
pub mod incident;
pub mod inventory;
pub mod reach;
pub mod recipient;
pub mod runbook;
pub mod secret;
pub mod time;
pub mod trust;
pub mod yaml;
