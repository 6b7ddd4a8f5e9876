//! Tests of `evidence`; see the functions below.
