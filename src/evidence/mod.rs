//! Exhibits, the ledger, the seal, and the bundle: written, read and verified.
//!
//! A bundle is a BagIt 1.0 bag in one canonical ustar file. One signature over
//! `tagmanifest-sha256.txt` covers everything: tag manifest → manifest → data, journal, sign-offs.
//! Plain `tar`, `sha256sum -c` and `ssh-keygen -Y verify` check it without us (`VERIFY.txt` in it says how);
//! [`verify()`] checks more, and neither extracts a file nor believes a header.
//!
//! ```text
//! exhibit    what was collected and what was not      rows       each piece of it, read from the journal
//! names      which names a bundle may hold            hashing    many files on a few threads
//! manifest   lists of names and hashes                ustar      the one header of a name and a size
//! chain      the journal, read as a stream            seal       what the signature vouches for
//! write      the members made into a file             plan       a case made into a list of members
//! signoffs   witnesses of the journal                 read       a hostile bundle made into a list of members
//! anchors    heads held elsewhere, files beside it    stamp, der RFC 3161: request, answer, signature
//! disclose   a part that proves it is of the whole    report     what was found, as data
//! verify     unchanged? vouched for? complete?
//! shelf      one file of a bundle or a case           text       foreign bytes escaped, and searched
//! opening    what the first record binds
//! ```
//!
//! Absent from this room: signing (the caller does), collecting, clocks, the terminal.

mod anchors;
mod chain;
mod der;
mod disclose;
mod exhibit;
mod hashing;
mod manifest;
mod names;
mod opening;
mod plan;
mod read;
mod report;
mod rows;
mod seal;
mod shelf;
mod signoffs;
mod stamp;
mod text;
mod ustar;
mod verify;
mod write;

pub use disclose::{DiscloseError, Disclosed, disclose, disclose_planned, signer_name, to_countersign};
pub use exhibit::{Hole, Ledger, LeftOut};
pub use hashing::{At, Digested, Job, hash_many};
pub use manifest::Entry;
pub use plan::{BundleMeta, Plan, PlanError, plan};
pub use rows::Row;
pub use seal::{Seal, handover_namespace, seal_namespace, signoff_namespace};
pub use shelf::{Proving, Shelf, ShelfError};
pub use stamp::{REPLY_CAP, Stamp, StampError, StampRequest};
pub use text::{Hit, Searched, escape, escape_bytes, search, show};
pub use verify::{
    Anchored, Countersigned, Fault, JournalReport, Kind, Receipt, Signer, SignoffCheck, VerifyError,
    VerifyOptions, VerifyReport, Vouched, verify,
};
pub use write::{WriteError, write, write_file};
