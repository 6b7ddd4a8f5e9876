//! Tests of `runbooks`; see the functions below.
