//! Signatures and sign-offs against the real `ssh-keygen`.

pub mod attacks;
mod keygen;
mod keys;
