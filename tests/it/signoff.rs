//! Signatures and sign-offs against the real `ssh-keygen`.

mod alone;
pub mod attacks;
mod authority;
mod certificates;
mod keygen;
mod keys;
mod lent;
mod people;
mod thirty;
