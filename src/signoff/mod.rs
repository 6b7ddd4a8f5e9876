//! Escalation requests, the statement to be signed, and what makes an answer count.
//!
//! A [`Statement`] is the text a second person reads and signs with plain `ssh-keygen -Y sign`:
//! exactly what will run, where, under which runbook, boundary and baseline. [`accept`] decides
//! whether one answer counts, and if not, why; [`quorum`] counts people, not clicks, names or keys.
//!
//! Absent from this room: files, clocks, the journal, signing. Everything comes in as a value; the
//! caller records what comes out.

mod accept;
mod quorum;
mod read;
mod refusal;
mod statement;
mod text;

pub use accept::{AcceptContext, Accepted, Answer, Request, RequestState, Touch, accept, prove_requester};
pub use quorum::{Count, Need, quorum};
pub use read::BadStatement;
pub use refusal::{Change, Refusal};
pub use statement::{Bound, Decision, Part, SignedAct, Statement, Target, namespace, signing_command};
