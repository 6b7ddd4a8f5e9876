//! Tests of `cli`; see the functions below.
