//! Tests of `effects`; see the functions below.
