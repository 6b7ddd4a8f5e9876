//! Signatures and sign-offs against the real `ssh-keygen`.

mod keygen;
mod keys;
