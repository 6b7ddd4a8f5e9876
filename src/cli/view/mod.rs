//! One file a screen.

pub mod asked;
pub mod danger;
pub mod drill;
pub mod explained;
pub mod found;
pub mod next;
pub mod plan;
pub mod proofs;
pub mod truth;
pub mod verdict;
