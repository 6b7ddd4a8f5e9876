//! OpenSSH signatures and rosters: parsed and verified in process.
//!
//! A signature says which key signed; only the roster says whose key that is; neither says that it
//! counts. What counts is the business of `signoff`. We accept nothing that `ssh-keygen -Y verify`
//! would refuse, and read what it ignores: the touch and PIN flags of FIDO keys.
//!
//! Absent from this room: signing (that is `ssh-keygen -Y sign`, with its agents, touches and PINs),
//! files, clocks.

mod certificate;
mod revoked;
mod roster;
mod verify;

pub use certificate::Certificate;
pub use revoked::{Revoked, RevokedError};
pub use roster::{Entry, NotCounted, Roster};
pub use verify::{SigError, Signature, VerifiedKey, fingerprint_of, verify};

#[cfg(test)]
mod made_tests;
