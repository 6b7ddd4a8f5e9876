//! A simulated world, its scenarios and players, and the score read from the record.
//!
//! Absent from this room: every way out of the process. No sockets, programs, signals or files: the
//! ports below are the program's own data structures, and a test looks for anything else.

pub mod clock;
pub mod entropy;
pub mod executor;
pub mod harbor;
pub mod scenario;
