//! Tests of `collectors`; see the functions below.
