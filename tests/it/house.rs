//! Tests of `house`; see the functions below.
