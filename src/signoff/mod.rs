//! Escalation requests, the statement to be signed, and what makes an answer count.
//!
//! A [`Statement`] is the text a second person reads and signs with plain `ssh-keygen -Y sign`:
//! exactly what will run, where, under which runbook, boundary and baseline. [`accept`] decides
//! whether one answer counts, and if not, why. Whether the people suffice is the boundary's question.
//!
//! Absent from this room: files, clocks, the journal, signing. Everything comes in as a value; the
//! caller records what comes out.

mod accept;
mod block;
mod claim;
mod delegation;
mod hidden;
mod read;
mod refusal;
mod statement;
mod text;

pub use accept::{
    AcceptContext, Accepted, Answer, REQUEST_NAMESPACE, Request, RequestState, accept, prove_requester,
};
pub use block::{BadPaste, delegation_in, ends, signature_in, statement_in, wrap, wrap_delegation};
pub use claim::Claim;
pub use delegation::{Delegation, DelegationContext, NotDelegated, accept_delegation, delegation_namespace};
pub use hidden::{Hidden, odd};
pub use read::BadStatement;
pub use refusal::{Change, Refusal};
pub use statement::{Bound, Decision, Part, SignedAct, Statement, Target, namespace, signing_command};
