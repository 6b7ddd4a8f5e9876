//! A simulated world, its scenarios and players, and the score read from the record.
//!
//! [`run()`] plays a drill with a scripted [`Player`]. A person plays the same way: set up an [`Exercise`],
//! hand its `world` and [`Exercise::written`] to the engine, call [`Exercise::thinks`] with what is due
//! before doing it (time passes by a fixed amount a kind of step, and the news that came is shown),
//! [`Exercise::answers`] when somebody is asked to sign, and [`sheet`] at the end.
//!
//! Absent from this room: every way out of the process. No sockets, programs, signals or files: the
//! ports below are the program's own data structures, and a test looks for anything else.

pub mod agent;
pub mod clock;
pub mod colleague;
pub mod entropy;
pub mod executor;
pub mod exercise;
pub mod harbor;
pub mod host;
pub mod player;
pub mod ports;
pub mod programs;
pub mod round;
pub mod run;
pub mod scenario;
pub mod score;
pub mod sim;
pub mod spawn;

pub use exercise::Exercise;
pub use player::{Player, pace};
pub use run::{DrillError, Outcome, open, play, run, sheet, watched};
pub use score::Sheet;
