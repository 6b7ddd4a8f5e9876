//! Tests of `drill`; see the functions below.
