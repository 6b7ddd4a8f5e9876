//! Tests of `support`; see the functions below.
