//! Tests of `redact`; see the functions below.
