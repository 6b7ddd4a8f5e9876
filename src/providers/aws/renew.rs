//! A new access key of the same user, beside the one that was made inactive and stays so.

use super::call::{Caller, Service};
use super::key::Saved;
use crate::model::fact::Fact;
use crate::model::grant::Target;
use crate::model::secret::Secret;
use crate::providers::limits::Turn;
use crate::providers::{Ctx, New, Renewable, not_tried};

pub(super) fn renewable(saved: &[u8]) -> Renewable {
    match serde_json::from_slice::<Saved>(saved) {
        Ok(saved) => Renewable::With(format!("those of the IAM user {}, whose key it is", saved.user)),
        Err(_) => Renewable::No("what was saved before the cut cannot be read".to_owned()),
    }
}

/// Makes the key. AWS gives a user two; a third is refused.
pub(super) async fn renew(
    ctx: Ctx<'_>,
    target: &Target,
    saved: &[u8],
    service: &str,
) -> Result<New, Vec<Fact>> {
    let saved: Saved = serde_json::from_slice(saved)
        .map_err(|_| vec![not_tried("what was saved before the cut cannot be read")])?;
    let caller = Caller::responder(ctx, target, Turn::Cut).map_err(|fact| vec![fact])?;
    let made = caller
        .query(Service::Iam, "CreateAccessKey", &[("UserName", &saved.user)])
        .await
        .map_err(|refusal| vec![refusal.fact()])?;
    let at = |name| made.text_at(&["CreateAccessKeyResult", "AccessKey", name]);
    let (Some(id), Some(secret)) = (at("AccessKeyId"), at("SecretAccessKey")) else {
        let text = format!(
            "AWS took the request and gave no key: look for one of {}",
            saved.user
        );
        return Err(vec![Fact::Error { status: 200, text }]);
    };
    // A profile, as every tool of AWS reads it.
    let lines = [
        "[",
        service,
        "]\naws_access_key_id = ",
        id,
        "\naws_secret_access_key = ",
        secret,
    ];
    Ok(New {
        name: id.to_owned(),
        secret: Secret::joined(&lines),
        facts: Vec::new(),
    })
}
