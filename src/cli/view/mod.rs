//! One file a screen.

pub mod drill;
pub mod found;
pub mod plan;
pub mod proofs;
pub mod truth;
pub mod verdict;
