//! Tests of `signoff`; see the functions below.
