//! Signatures and sign-offs against the real `ssh-keygen`.

mod attacks;
mod keygen;
mod keys;
