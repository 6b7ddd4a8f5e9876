//! One answer: does it count, and if not, why not.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::refusal::{Change, Refusal};
use super::statement::{Bound, Decision, Statement, namespace};
use crate::model::ids::IncidentId;
use crate::model::runbook::Touch;
use crate::sshsig::{Roster, SigError, Signature, VerifiedKey, verify};

/// Namespace of a requester's own signature under the request; it approves nothing.
pub const REQUEST_NAMESPACE: &str = "request@incident-v1";

/// What came back from a signer.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// The text they signed; `None` where only the signature came back, over one of our two texts.
    pub statement: Option<&'a [u8]>,
    /// The armoured signature.
    pub signature: &'a [u8],
}

/// Where a request stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RequestState {
    /// Waits for answers.
    Open,
    /// Taken back by the requester.
    Withdrawn,
    /// What it allowed has been started.
    Consumed,
    /// Refused, by this person.
    Refused(String),
}

/// A request of this incident, as it was issued and as it would be issued now.
#[derive(Debug, Clone)]
pub struct Request {
    /// The statement that was offered to sign.
    pub statement: Statement,
    /// Where it stands.
    pub state: RequestState,
    /// What it is tied to, resolved again now.
    pub now: Bound,
}

/// Everything an answer is held against.
pub struct AcceptContext<'a> {
    /// The open incident.
    pub incident: &'a IncidentId,
    /// Every request of this incident.
    pub requests: &'a [Request],
    /// The roster pinned when it opened.
    pub roster: &'a Roster,
    /// Roles by principal, from the pinned runbook.
    pub roles: &'a BTreeMap<String, BTreeSet<String>>,
    /// Whether a key, its certificate or the authority behind that is revoked.
    pub revoked: &'a dyn Fn(&VerifiedKey) -> bool,
    /// The one human behind a principal, as the runbook knows them, however the name is written.
    pub human: &'a dyn Fn(&str) -> String,
    /// Principals of everyone who acted or answered.
    pub acted: &'a BTreeSet<String>,
    /// Fingerprints of keys used by them, the responder's own keys included.
    pub acted_keys: &'a BTreeSet<String>,
    /// Answers filed so far.
    pub accepted: &'a [Accepted],
    /// Hash of a record of this journal by its sequence number.
    pub head: &'a dyn Fn(u64) -> Option<String>,
    /// Wall time, ms since the epoch; validity runs from here.
    pub now_ms: i64,
}

/// An answer that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// The one name of the key in the roster.
    pub person: String,
    /// Their roles, from the runbook.
    pub roles: BTreeSet<String>,
    /// The key, and what it says about touch and PIN.
    pub key: VerifiedKey,
    /// What they answered.
    pub decision: Decision,
    /// The request it answers.
    pub request_seq: u64,
    /// The request's nonce.
    pub nonce: String,
    /// When it was filed, ms since the epoch.
    pub filed_ms: i64,
    /// Until when it counts, ms since the epoch.
    pub expires_ms: i64,
}

/// Decides whether one answer counts.
///
/// A refusal needs no more than a key of the roster: whoever knows a reason may stop an act, also
/// someone who could not approve it.
pub fn accept(answer: &Answer<'_>, ctx: &AcceptContext<'_>) -> Result<Accepted, Refusal> {
    let drill = ctx.incident.is_drill();
    let signature = Signature::parse(answer.signature).map_err(Refusal::Unsigned)?;
    if signature.namespace() == namespace(!drill) {
        return Err(Refusal::Drill {
            incident_is_drill: drill,
        });
    }
    let (key, text) = match answer.statement {
        Some(text) => (verified(&signature, text, drill)?, text.to_vec()),
        None => signed_of_ours(&signature, ctx, drill)?,
    };
    if (ctx.revoked)(&key) {
        return Err(Refusal::Revoked {
            fingerprint: key.fingerprint,
        });
    }
    let person = ctx
        .roster
        .who_signed(&key, namespace(drill), ctx.now_ms)
        .map_err(Refusal::NotCounted)?;
    let signed = read(&text)?;
    let issued = asked(&signed, ctx)?;
    if signed.decision == Decision::Approve {
        independent(&person, &key, issued, ctx)?;
        device(&key, issued.touch_needed, ctx)?;
    }
    let valid_ms = i64::try_from(issued.valid_s)
        .unwrap_or(i64::MAX)
        .saturating_mul(1000);
    Ok(Accepted {
        roles: ctx.roles.get(&person).cloned().unwrap_or_default(),
        person,
        key,
        decision: signed.decision,
        request_seq: signed.request_seq,
        nonce: signed.nonce,
        filed_ms: ctx.now_ms,
        expires_ms: ctx.now_ms.saturating_add(valid_ms),
    })
}

/// Checks that the requester signed the request with a key of the roster.
///
/// What is signed is the approving text under `request@incident-v1`. An unproven requester is no
/// error of the incident: the caller raises the quorum by one and says so in the statement.
pub fn prove_requester(
    statement: &Statement,
    armoured: &[u8],
    roster: &Roster,
    now_ms: i64,
) -> Result<VerifiedKey, Refusal> {
    let signature = Signature::parse(armoured).map_err(Refusal::Unsigned)?;
    let text = statement.for_decision(Decision::Approve).render();
    let key = verify(&signature, text.as_bytes(), REQUEST_NAMESPACE).map_err(|why| match why {
        SigError::Namespace { found, .. } => Refusal::Namespace {
            found,
            wanted: REQUEST_NAMESPACE,
        },
        SigError::Mismatch => Refusal::BadSignature,
        other => Refusal::Unsigned(other),
    })?;
    let person = roster
        .who_signed(&key, REQUEST_NAMESPACE, now_ms)
        .map_err(Refusal::NotCounted)?;
    if person != statement.requester {
        return Err(Refusal::Altered {
            line: format!("requester: {}", statement.requester),
        });
    }
    Ok(key)
}

fn verified(signature: &Signature, text: &[u8], drill: bool) -> Result<VerifiedKey, Refusal> {
    let wanted = namespace(drill);
    verify(signature, text, wanted).map_err(|why| match why {
        SigError::Namespace { found, .. } => Refusal::Namespace { found, wanted },
        SigError::Mismatch => Refusal::BadSignature,
        other => Refusal::Unsigned(other),
    })
}

/// Finds the one of our own texts that a bare signature fits.
fn signed_of_ours(
    signature: &Signature,
    ctx: &AcceptContext<'_>,
    drill: bool,
) -> Result<(VerifiedKey, Vec<u8>), Refusal> {
    let mut why = Refusal::BadSignature;
    for request in ctx.requests.iter().rev() {
        for decision in [Decision::Approve, Decision::Refuse] {
            let text = request.statement.for_decision(decision).render().into_bytes();
            match verified(signature, &text, drill) {
                Ok(key) => return Ok((key, text)),
                Err(reason) => why = reason,
            }
        }
    }
    Err(why)
}

fn read(text: &[u8]) -> Result<Statement, Refusal> {
    let text = String::from_utf8_lossy(text);
    Statement::parse(&text).map_err(|why| {
        let decides = text
            .lines()
            .any(|line| matches!(line, "decision: approve" | "decision: refuse"));
        if decides || !text.starts_with(super::statement::FORMAT) {
            Refusal::NotAStatement(why)
        } else {
            Refusal::NoDecision
        }
    })
}

/// The issued statement that this one repeats word for word.
fn asked<'a>(signed: &Statement, ctx: &AcceptContext<'a>) -> Result<&'a Statement, Refusal> {
    if signed.incident != *ctx.incident {
        return Err(Refusal::OtherIncident {
            theirs: signed.incident.to_string(),
            ours: ctx.incident.to_string(),
        });
    }
    let seq = signed.request_seq;
    let request = ctx
        .requests
        .iter()
        .find(|r| r.statement.request_seq == seq && r.statement.request_hash == signed.request_hash)
        .ok_or(Refusal::UnknownRequest { seq })?;
    let issued = &request.statement;
    let reused = |nonce: &str| {
        ctx.accepted
            .iter()
            .any(|a| a.nonce == nonce && a.request_seq != seq)
    };
    if reused(&signed.nonce) {
        return Err(Refusal::NonceReplayed);
    }
    if let Some(change) = signed.bound.differs(&issued.bound) {
        return Err(Refusal::Differs(change));
    }
    let head = (ctx.head)(signed.head_seq);
    if head.as_ref() != Some(&signed.head_hash) {
        return Err(Refusal::UnknownHead { seq: signed.head_seq });
    }
    let (theirs, ours) = (signed.render(), issued.for_decision(signed.decision).render());
    if let Some((line, _)) = theirs.lines().zip(ours.lines()).find(|(a, b)| a != b) {
        return Err(Refusal::Altered {
            line: line.to_owned(),
        });
    }
    match &request.state {
        RequestState::Open => {}
        RequestState::Withdrawn => return Err(Refusal::Withdrawn { seq }),
        RequestState::Consumed => return Err(Refusal::Consumed { seq }),
        RequestState::Refused(by) => return Err(Refusal::AlreadyRefused { seq, by: by.clone() }),
    }
    match issued.bound.differs(&request.now) {
        Some(change) if signed.decision == Decision::Approve => Err(Refusal::Stale(change)),
        _ => Ok(issued),
    }
}

/// Another person, with no part in the incident. The roster has each key under one name only, so the name says it.
fn independent(
    person: &str,
    key: &VerifiedKey,
    issued: &Statement,
    ctx: &AcceptContext<'_>,
) -> Result<(), Refusal> {
    let human = (ctx.human)(person);
    let same = |name: &str| (ctx.human)(name) == human;
    let name = || person.to_owned();
    if same(&issued.requester) {
        return Err(Refusal::OwnRequest { person: name() });
    }
    if ctx.acted.iter().any(|a| same(a)) || ctx.acted_keys.contains(&key.fingerprint) {
        return Err(Refusal::Acted { person: name() });
    }
    let before = ctx.accepted.iter().find(|a| {
        a.request_seq == issued.request_seq
            && a.decision == Decision::Approve
            && (same(&a.person) || a.key.fingerprint == key.fingerprint)
    });
    match before {
        Some(a) if a.expires_ms < ctx.now_ms => Err(Refusal::Expired {
            person: name(),
            at_ms: a.expires_ms,
        }),
        Some(a) => Err(Refusal::SecondAnswer {
            person: name(),
            seq: a.request_seq,
        }),
        None => Ok(()),
    }
}

fn device(key: &VerifiedKey, touch: Touch, ctx: &AcceptContext<'_>) -> Result<(), Refusal> {
    let fingerprint = || key.fingerprint.clone();
    if touch >= Touch::Present && key.user_presence != Some(true) {
        return Err(Refusal::NotTouched {
            fingerprint: fingerprint(),
            can_tell: key.user_presence.is_some(),
        });
    }
    if touch >= Touch::Verified && key.user_verified != Some(true) {
        return Err(Refusal::NotVerified {
            fingerprint: fingerprint(),
        });
    }
    let last = ctx
        .accepted
        .iter()
        .filter(|a| a.key.fingerprint == key.fingerprint)
        .filter_map(|a| a.key.counter)
        .max();
    match (last, key.counter) {
        (Some(before), Some(now)) if now < before => Err(Refusal::CounterFell {
            fingerprint: fingerprint(),
            before,
            now,
        }),
        _ => Ok(()),
    }
}

impl Bound {
    /// The first thing in which the two differ; `None` where a sign-off of one holds for the other.
    ///
    /// Asked when an answer is filed, and again, freshly resolved, just before the act runs.
    pub fn differs(&self, other: &Bound) -> Option<Change> {
        let steps = |b: &Bound| b.acts.iter().map(|a| a.step.clone()).collect::<Vec<_>>();
        let words = |b: &Bound| {
            let acts = b.acts.iter();
            acts.map(|a| (a.kind.clone(), a.args.clone(), a.env.clone(), a.parts.clone()))
                .collect::<Vec<_>>()
        };
        let targets = |b: &Bound| b.acts.iter().map(|a| a.targets.clone()).collect::<Vec<_>>();
        let checks = [
            (Change::Step, steps(self) != steps(other)),
            (Change::Act, words(self) != words(other)),
            (Change::Target, targets(self) != targets(other)),
            (Change::Act, self.act_sha256 != other.act_sha256),
            (Change::Runbook, self.runbook_sha256 != other.runbook_sha256),
            (Change::Boundary, self.boundary_sha256 != other.boundary_sha256),
            (Change::Baseline, self.baseline != other.baseline),
        ];
        checks
            .into_iter()
            .find_map(|(change, differs)| differs.then_some(change))
    }
}
