//! Tests of `store`; see the functions below.
