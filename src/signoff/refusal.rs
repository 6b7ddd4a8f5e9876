//! Why an answer does not count: one reason each, with what to do about it.

use super::read::BadStatement;
use crate::model::time;
use crate::sshsig::{NotCounted, SigError};

/// The first thing in which two acts, or what they rest on, differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Change {
    /// The steps or their order.
    #[error("the step")]
    Step,
    /// What runs.
    #[error("the act")]
    Act,
    /// Where it runs, or a file it rests on.
    #[error("the target")]
    Target,
    /// The pinned runbook.
    #[error("the runbook")]
    Runbook,
    /// The repair boundary.
    #[error("the boundary")]
    Boundary,
    /// The sealed baseline.
    #[error("the baseline")]
    Baseline,
}

/// Why an answer does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No signature, or one that proves nothing.
    #[error("the answer is not signed: {0}")]
    Unsigned(SigError),
    /// A good signature of another text, or this one changed afterwards.
    #[error("the signature does not fit the statement: the text was changed, or another text was signed")]
    BadSignature,
    /// Made for another purpose, such as a git commit or a seal.
    #[error("the signature was made for `{found}`, not for `{wanted}`")]
    Namespace {
        /// Namespace in the signature.
        found: String,
        /// Namespace that counts here.
        wanted: &'static str,
    },
    /// A drill's answer in a real incident, or the other way round.
    #[error("{}", if *.incident_is_drill { "a signature of a real incident counts in no drill" } else { "a drill's signature counts in no real incident" })]
    Drill {
        /// True where the open incident is the drill.
        incident_is_drill: bool,
    },
    /// The key is nobody's, as far as counting goes.
    #[error("{0}")]
    NotCounted(NotCounted),
    /// The key, its certificate or its authority is on the list of revoked ones.
    #[error("the key {fingerprint}, or what vouches for it, is revoked")]
    Revoked {
        /// `SHA256:…` of the key.
        fingerprint: String,
    },
    /// Signed, but no statement of ours.
    #[error("what was signed is no statement of this tool: {0}")]
    NotAStatement(BadStatement),
    /// Signed, but neither approves nor refuses.
    #[error("the statement says neither `decision: approve` nor `decision: refuse`")]
    NoDecision,
    /// Signed for another incident.
    #[error("the statement is for {theirs}, this is {ours}")]
    OtherIncident {
        /// Incident in the statement.
        theirs: String,
        /// Incident that is open.
        ours: String,
    },
    /// No such request in this journal.
    #[error("this journal has no request {seq} with that hash")]
    UnknownRequest {
        /// Sequence number in the statement.
        seq: u64,
    },
    /// The requester took the request back.
    #[error("request {seq} was withdrawn")]
    Withdrawn {
        /// The request.
        seq: u64,
    },
    /// What was asked for has already been run; a sign-off is used up once.
    #[error("request {seq} has been used up: what it allowed was run once")]
    Consumed {
        /// The request.
        seq: u64,
    },
    /// Somebody has refused it already.
    #[error("request {seq} was refused by {by}")]
    AlreadyRefused {
        /// The request.
        seq: u64,
        /// Who refused.
        by: String,
    },
    /// What was signed is not what was asked.
    #[error("{0} in the signed statement is not the one that was asked for")]
    Differs(Change),
    /// What was asked is not what would run now.
    #[error("{0} has changed since the request was made")]
    Stale(Change),
    /// The head in the statement is none of this journal's.
    #[error("record {seq} of this journal does not have the hash that the statement names")]
    UnknownHead {
        /// Sequence number in the statement.
        seq: u64,
    },
    /// The one-time number was used before, or belongs to another request.
    #[error("the statement's nonce belongs to another answer, which was filed before")]
    NonceReplayed,
    /// Some other line differs from the text that was issued.
    #[error("line `{line}` differs from the statement that was issued")]
    Altered {
        /// The line as it was signed.
        line: String,
    },
    /// The requester signed their own request.
    #[error("{person} asked for this and cannot approve it")]
    OwnRequest {
        /// The signer.
        person: String,
    },
    /// The signer is part of the response.
    #[error("{person} has acted in this incident and does not count for its quorum")]
    Acted {
        /// The signer.
        person: String,
    },
    /// The same person, by whichever key, has approved this request before.
    #[error("{person} has already approved request {seq}; people are counted, not signatures")]
    SecondAnswer {
        /// The signer.
        person: String,
        /// The request.
        seq: u64,
    },
    /// The answer was filed before, and its time is over.
    #[error("the approval of {person} expired at {}", time::rfc3339(*.at_ms))]
    Expired {
        /// The signer.
        person: String,
        /// When, ms since the epoch.
        at_ms: i64,
    },
    /// The rule asks for a touched FIDO key.
    #[error("the key {fingerprint} {}", if *.can_tell { "was not touched when it signed" } else { "cannot show that somebody touched it" })]
    NotTouched {
        /// `SHA256:…` of the key.
        fingerprint: String,
        /// True for a FIDO key that says no; false for a key that cannot say.
        can_tell: bool,
    },
    /// The rule asks for a PIN or a finger.
    #[error("the key {fingerprint} did not ask for its PIN when it signed")]
    NotVerified {
        /// `SHA256:…` of the key.
        fingerprint: String,
    },
    /// A FIDO counter went down: there is a second device with this key.
    #[error("the counter of key {fingerprint} went from {before} to {now}: the key may have been copied")]
    CounterFell {
        /// `SHA256:…` of the key.
        fingerprint: String,
        /// Counter of the last filed answer.
        before: u32,
        /// Counter of this one.
        now: u32,
    },
}

impl Refusal {
    /// Its short name in the record.
    pub fn name(&self) -> &'static str {
        match self {
            Refusal::Unsigned(_) => "unsigned",
            Refusal::BadSignature => "bad-signature",
            Refusal::Namespace { .. } => "namespace",
            Refusal::Drill { .. } => "drill",
            Refusal::NotCounted(_) => "not-counted",
            Refusal::Revoked { .. } => "revoked",
            Refusal::NotAStatement(_) => "not-a-statement",
            Refusal::NoDecision => "no-decision",
            Refusal::OtherIncident { .. } => "other-incident",
            Refusal::UnknownRequest { .. } => "unknown-request",
            Refusal::Withdrawn { .. } => "withdrawn",
            Refusal::Consumed { .. } => "consumed",
            Refusal::AlreadyRefused { .. } => "already-refused",
            Refusal::Differs(_) => "differs",
            Refusal::Stale(_) => "stale",
            Refusal::UnknownHead { .. } => "unknown-head",
            Refusal::NonceReplayed => "nonce-replayed",
            Refusal::Altered { .. } => "altered",
            Refusal::OwnRequest { .. } => "own-request",
            Refusal::Acted { .. } => "acted",
            Refusal::SecondAnswer { .. } => "second-answer",
            Refusal::Expired { .. } => "expired",
            Refusal::NotTouched { .. } => "not-touched",
            Refusal::NotVerified { .. } => "not-verified",
            Refusal::CounterFell { .. } => "counter-fell",
        }
    }

    /// What to do now, one sentence.
    pub fn remedy(&self) -> &'static str {
        match self {
            Refusal::Unsigned(_) => {
                "Sign the statement's file with the printed `ssh-keygen -Y sign` line and file what it writes."
            }
            Refusal::BadSignature | Refusal::Altered { .. } | Refusal::NotAStatement(_) => {
                "Send the file again as an attachment and sign it unchanged."
            }
            Refusal::Namespace { .. } => "Sign again with the printed line; its `-n` must stay as it is.",
            Refusal::Drill { .. } | Refusal::OtherIncident { .. } => {
                "Ask for a sign-off of this incident with `incident escalate STEP`."
            }
            Refusal::NotCounted(why) => match why {
                NotCounted::UnknownKey { .. } => {
                    "Ask somebody on the roster; who signs is decided before an incident, in `allowed_signers`."
                }
                NotCounted::Authority { .. } | NotCounted::Wildcard { .. } => {
                    "Ask somebody whose own key stands on the roster under one plain name."
                }
                NotCounted::SeveralNames { .. } => {
                    "Ask somebody else; after the incident give each key one name."
                }
                NotCounted::Namespace { .. } => {
                    "Ask somebody else, or sign with a key the roster allows for sign-offs."
                }
                NotCounted::Certificate { .. } => {
                    "Ask the authority for a certificate of your own name that is valid now, or sign with a plain key of the roster."
                }
                NotCounted::NotYet { .. } | NotCounted::Ended { .. } => {
                    "Ask somebody whose key is valid today."
                }
            },
            Refusal::Revoked { .. } => "Ask somebody else, and find out who signed with it.",
            Refusal::NoDecision => "Sign one of the two files that were offered, approve or refuse.",
            Refusal::UnknownRequest { .. } | Refusal::UnknownHead { .. } => {
                "Check that this is the right case folder; else ask again with `incident escalate STEP`."
            }
            Refusal::Withdrawn { .. }
            | Refusal::Consumed { .. }
            | Refusal::NonceReplayed
            | Refusal::Expired { .. } => {
                "Ask again with `incident escalate STEP`; each request is good for one run."
            }
            Refusal::AlreadyRefused { .. } => "Talk to whoever refused; then ask again with a changed act.",
            Refusal::Differs(_) | Refusal::Stale(_) => {
                "Ask again with `incident escalate STEP`, so that what is signed is what runs."
            }
            Refusal::OwnRequest { .. } | Refusal::Acted { .. } | Refusal::SecondAnswer { .. } => {
                "Ask another person on the roster who has no part in this response."
            }
            Refusal::NotTouched { .. } => "Sign with a FIDO key (`ed25519-sk`) of the roster and touch it.",
            Refusal::NotVerified { .. } => {
                "Sign with a FIDO key made with `-O verify-required`, and give its PIN."
            }
            Refusal::CounterFell { .. } => "Treat the key as stolen; ask another person on the roster.",
        }
    }
}
