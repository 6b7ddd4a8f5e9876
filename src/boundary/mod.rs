//! The repair boundary: one pure function says whether an act may run.
