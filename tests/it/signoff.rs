//! Signatures and sign-offs against the real `ssh-keygen`.

mod alone;
pub mod attacks;
mod authority;
mod certificates;
mod early;
mod keygen;
mod keys;
mod lender;
mod lent;
mod people;
mod thirty;
