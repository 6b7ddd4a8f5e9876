//! Trying the agent's own credentials, and what an answer means.

use std::time::Duration;

use super::call::{Caller, Refusal, Service};
use super::keys::Keys;
use crate::model::fact::{Fact, Observed};
use crate::model::grant::Target;
use crate::model::secret::SecretRef;
use crate::providers::limits::Turn;
use crate::providers::{Ctx, not_tried, seen_alive, was_alive};

/// One look before the cut takes no longer than this: the sweep waits 500 ms and forgets what comes later.
const BEFORE: Duration = Duration::from_millis(430);

/// What a look before the cut gives within the time there is.
pub(super) async fn in_time<T: Default>(ctx: Ctx<'_>, look: impl Future<Output = T>) -> T {
    ctx.world.timeout(BEFORE, look).await.unwrap_or_default()
}

/// What trying came to.
pub(super) enum Tried {
    /// It was let through.
    Allowed,
    /// It was known and not let through; `explicit` where AWS named a deny.
    Denied { explicit: bool },
    /// The credential is not (or no longer) known.
    Invalid,
    /// Nothing can be said.
    Unknown(Fact),
}

/// What an answer to a call with the agent's credential means.
pub(super) fn meaning(answer: Result<(), Refusal>) -> Tried {
    const INVALID: [&str; 5] = [
        "InvalidClientTokenId",
        "InvalidAccessKeyId",
        "UnrecognizedClientException",
        "InvalidToken",
        "AuthFailure",
    ];
    const DENIED: [&str; 4] = [
        "AccessDenied",
        "AccessDeniedException",
        "UnauthorizedOperation",
        "AllAccessDisabled",
    ];
    match answer {
        Ok(()) => Tried::Allowed,
        Err(refusal) if refusal.is(&INVALID) => Tried::Invalid,
        Err(Refusal::Said { code, message, .. }) if DENIED.contains(&code.as_str()) => Tried::Denied {
            explicit: message.contains("explicit deny"),
        },
        // An expired session and a secret that does not fit say nothing about the cut.
        Err(refusal) if refusal.is(&["ExpiredToken", "ExpiredTokenException"]) => {
            Tried::Unknown(not_tried("the session at hand has expired by itself"))
        }
        Err(refusal) if refusal.is(&["SignatureDoesNotMatch", "InvalidSignatureException"]) => {
            Tried::Unknown(not_tried("the secret at hand does not belong to this access key"))
        }
        Err(refusal) => Tried::Unknown(refusal.fact()),
    }
}

/// Whether a *key* is known to AWS. Right for a key that was made inactive, wrong for a deny: AWS answers
/// this call under any policy.
pub(super) async fn known(caller: &Caller<'_>) -> Tried {
    let named = async || {
        meaning(
            caller
                .query(Service::Sts, "GetCallerIdentity", &[])
                .await
                .map(|_| ()),
        )
    };
    let tried = match caller.is_aws() {
        true => named().await,
        // What stands in for AWS may have S3 and no STS.
        false => match acting(caller).await {
            Tried::Unknown(Fact::Error { .. }) => named().await,
            other => other,
        },
    };
    match tried {
        // Whoever is told no is known.
        Tried::Denied { .. } => Tried::Allowed,
        other => other,
    }
}

/// A call that a policy can deny. What was seen before the cut stands in the record under its name.
const ACTION: &str = "s3:ListAllMyBuckets";

/// The record's word for what `who` was seen to do before the cut.
fn doing(who: &str) -> String {
    format!("{who}, {ACTION}")
}

/// What is to be remembered of a try before the cut.
pub(super) fn remembered(who: &str, tried: &Tried) -> Vec<Fact> {
    match tried {
        Tried::Allowed => vec![seen_alive(who), seen_alive(&doing(who))],
        Tried::Denied { explicit: false } => vec![seen_alive(who)],
        // Denied by a deny that stood before: known, but nothing can be learnt by asking again.
        Tried::Denied { explicit: true } | Tried::Invalid => Vec::new(),
        Tried::Unknown(fact) => vec![fact.clone()],
    }
}

/// Tries something that the policies decide upon.
pub(super) async fn acting(caller: &Caller<'_>) -> Tried {
    meaning(caller.list_buckets().await)
}

/// True: refused because of the cut. `Err` says why nothing can be said.
pub(super) fn refused(earlier: &[Observed], who: &str, tried: Tried) -> Result<bool, Fact> {
    let before = |what: &str| was_alive(earlier, what);
    match tried {
        Tried::Allowed => Ok(false),
        Tried::Invalid if before(who) => Ok(true),
        Tried::Invalid => Err(not_tried(format!(
            "AWS does not know the credential, and {who} was not seen alive before the cut"
        ))),
        Tried::Denied { explicit: true } if before(who) => Ok(true),
        Tried::Denied { .. } if before(&doing(who)) => Ok(true),
        Tried::Denied { .. } => Err(not_tried(format!(
            "refused {ACTION}, which it was not seen to be allowed before the cut"
        ))),
        Tried::Unknown(fact) => Err(fact),
    }
}

/// Name under which the session opened before the cut is held in memory.
fn held(target: &Target) -> String {
    format!("aws-session:{}", target.id())
}

/// Where a session opened before the cut is remembered, in words of the record.
pub(super) const SESSION: &str = "session";

/// Opens a session with the agent's keys and tries it, within the time there is.
///
/// `None` where none could be opened.
pub(super) async fn open_session(
    ctx: Ctx<'_>,
    target: &Target,
    agent: &Caller<'_>,
    role: Option<&str>,
) -> Option<Vec<Fact>> {
    let answer = match role {
        None => {
            let wanted = [("DurationSeconds", "900")];
            agent.query(Service::Sts, "GetSessionToken", &wanted).await
        }
        Some(arn) => {
            let wanted = [
                ("RoleArn", arn),
                ("RoleSessionName", "incident-probe"),
                ("DurationSeconds", "900"),
            ];
            agent.query(Service::Sts, "AssumeRole", &wanted).await
        }
    };
    let root = answer.ok()?;
    let given = root
        .children
        .iter()
        .find_map(|result| result.at(&["Credentials"]))?;
    let text = |name: &str| given.text_at(&[name]);
    let keys = Keys::of(
        text("AccessKeyId")?,
        text("SecretAccessKey")?,
        Some(text("SessionToken")?),
    )?;
    ctx.world.secrets.hold(&held(target), keys.packed());
    let session = Caller::with_keys(ctx, target, keys, Turn::Look);
    Some(remembered(SESSION, &acting(&session).await))
}

/// Uses the session opened before the cut once more.
pub(super) async fn try_session(ctx: Ctx<'_>, target: &Target) -> Option<Fact> {
    let kept = SecretRef::Held(held(target));
    let keys = Keys::parse(&ctx.world.secrets.read(&kept).await.ok()?, None).ok()?;
    let session = Caller::with_keys(ctx, target, keys, Turn::Look);
    let outcome = refused(ctx.earlier, SESSION, acting(&session).await);
    Some(outcome.map_or_else(|why| why, |refused| Fact::TriedOpen { refused }))
}

/// True where the sessions from before the cut are over: their deny stands in a record that can be believed,
/// or one of them was tried and refused. One that was let through says that they are not.
pub(super) fn is_over(caller: &Caller<'_>, denied: bool, tried: Option<&Fact>) -> bool {
    match tried {
        Some(Fact::TriedOpen { refused }) => denied && *refused,
        _ => denied && caller.is_aws(),
    }
}
