//! The repair boundary: one pure function says whether an act may run.
//!
//! [`zone_of`] says on which side an act lands and why; [`judge`] adds stage order, baseline, plan and
//! quorum. The engine combines nothing: it asks [`judge`] and does as it is told.
//! Absent from this room: files, clocks, signatures (they are checked before they become events).

mod alone;
mod judge;
mod quorum;
mod rules;
mod standing;
mod stricter;
mod table;
mod zone;

pub use alone::{Alone, alone};
pub use judge::{Answer, Asked, Refusal, Verdict, judge};
pub use stricter::stricter;
pub use table::{Row, RuleRow, Stretch, idle, matrix, unlisted, unmet};
pub use zone::{Because, zone_of};

#[cfg(test)]
mod alone_tests;
#[cfg(test)]
mod gate_commands_tests;
#[cfg(test)]
mod gate_desk_tests;
#[cfg(test)]
mod gate_oracle_tests;
#[cfg(test)]
mod gate_tests;
#[cfg(test)]
mod matrix_tests;
#[cfg(test)]
mod policy_tests;
#[cfg(test)]
mod quorum_tests;
#[cfg(test)]
mod rules_tests;
#[cfg(test)]
mod stricter_tests;
#[cfg(test)]
mod table_tests;
#[cfg(test)]
mod zone_tests;
