//! The line of truth: where we are, what is not proved, what comes next.

use crate::model::incident::Incident;
use crate::model::time::Moment;

/// One line, at most 80 columns.
pub fn line(incident: &Incident, now: Moment) -> String {
    crate::report::truth_line(incident, now)
}
