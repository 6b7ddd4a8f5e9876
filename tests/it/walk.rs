//! Tests of `walk`; see the functions below.
