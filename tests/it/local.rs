//! Tests of `local`; see the functions below.
