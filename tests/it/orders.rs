//! Tests of `orders`; see the functions below.
