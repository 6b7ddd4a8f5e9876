//! Tests of `providers`; see the functions below.
