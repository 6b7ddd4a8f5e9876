//! Tests of `promises`; see the functions below.
