//! What the adapters for keys, users and roles ask IAM for.

use serde_json::Value;
use url::form_urlencoded;

use super::call::{Caller, Refusal, Service};
use crate::model::fact::Fact;
use crate::providers::not_tried;

/// A policy as IAM gives it: JSON, percent-encoded.
pub(super) fn document(text: &str) -> Option<Value> {
    serde_json::from_str(&decoded(text)?).ok()
}

/// The text of a policy as it was written.
pub(super) fn decoded(text: &str) -> Option<String> {
    if text.trim_start().starts_with('{') {
        return Some(text.to_owned());
    }
    let plus = text.replace('+', "%2B");
    let (decoded, _) = form_urlencoded::parse(plus.as_bytes()).next()?;
    Some(decoded.into_owned())
}

/// One access key of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    /// Its id.
    pub id: String,
    /// Whether AWS lets it be used.
    pub active: bool,
}

/// What a user holds: access keys, or credentials for one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    AccessKey,
    ServiceCredential,
}

impl Held {
    fn words(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            Held::AccessKey => (
                "ListAccessKeys",
                "AccessKeyMetadata",
                "AccessKeyId",
                "UpdateAccessKey",
            ),
            Held::ServiceCredential => (
                "ListServiceSpecificCredentials",
                "ServiceSpecificCredentials",
                "ServiceSpecificCredentialId",
                "UpdateServiceSpecificCredential",
            ),
        }
    }

    /// All of them.
    pub async fn list(self, caller: &Caller<'_>, user: &str) -> Result<Vec<Listed>, Refusal> {
        let (action, list, id, _) = self.words();
        let root = caller.query(Service::Iam, action, &[("UserName", user)]).await?;
        let unreadable = |text: &str| {
            Refusal::Failed(Fact::Error {
                status: 200,
                text: format!("{action}: {text}"),
            })
        };
        let result = root.at(&[&format!("{action}Result")]);
        let result = result.ok_or_else(|| unreadable("there is no result in the answer"))?;
        if result.text_at(&["IsTruncated"]) == Some("true") {
            return Err(unreadable("there are more than one answer holds"));
        }
        let members = result
            .at(&[list])
            .map(|list| list.children.as_slice())
            .unwrap_or_default();
        let one = |member: &crate::providers::xml::Element| {
            Some(Listed {
                id: member.text_at(&[id])?.to_owned(),
                active: member.text_at(&["Status"])? != "Inactive",
            })
        };
        members
            .iter()
            .map(|m| one(m).ok_or_else(|| unreadable("an entry has no id or no status")))
            .collect()
    }

    /// Makes one usable or unusable.
    pub async fn set(
        self,
        caller: &Caller<'_>,
        user: Option<&str>,
        id: &str,
        active: bool,
    ) -> Result<(), Refusal> {
        let (.., key, action) = self.words();
        let mut wanted = vec![(key, id), ("Status", if active { "Active" } else { "Inactive" })];
        wanted.extend(user.map(|user| ("UserName", user)));
        caller.query(Service::Iam, action, &wanted).await.map(|_| ())
    }
}

/// Account and name of whoever signs, as in `arn:aws:iam::123456789012:user/ana`.
pub(super) async fn who(caller: &Caller<'_>) -> Result<String, Refusal> {
    let root = caller.query(Service::Sts, "GetCallerIdentity", &[]).await?;
    let arn = root
        .text_at(&["GetCallerIdentityResult", "Arn"])
        .map(str::to_owned);
    arn.ok_or_else(|| Refusal::Failed(not_tried("GetCallerIdentity gives no name")))
}

/// The role that a session is judged by, from `arn:aws:sts::1` and `NAME/SESSION`. Its path, which those of
/// single sign-on have, is only in its record.
async fn role_of(caller: &Caller<'_>, account: &str, session: &str) -> String {
    let name = session.split('/').next().unwrap_or("");
    let record = caller.query(Service::Iam, "GetRole", &[("RoleName", name)]).await;
    let arn = record
        .ok()
        .and_then(|root| root.text_at(&["GetRoleResult", "Role", "Arn"]).map(str::to_owned));
    arn.unwrap_or_else(|| format!("{}:role/{name}", account.replacen(":sts:", ":iam:", 1)))
}

/// What an armed check asks about one thing.
pub(super) struct Asked<'a> {
    /// Its name in policies.
    pub arn: &'a str,
    /// What is to be done to it.
    pub actions: &'a [&'a str],
    /// The service that a role is passed to, as in `scheduler.amazonaws.com`.
    pub to: Option<&'a str>,
}

impl<'a> Asked<'a> {
    /// These actions on this.
    pub fn on(arn: &'a str, actions: &'a [&'a str]) -> Self {
        let to = None;
        Asked { arn, actions, to }
    }

    /// Those of the actions that `source` may not do.
    async fn lacking(&self, caller: &Caller<'_>, source: &str) -> Result<Vec<&'a str>, Refusal> {
        let numbered: Vec<String> = (1..=self.actions.len())
            .map(|n| format!("ActionNames.member.{n}"))
            .collect();
        let mut wanted = vec![("PolicySourceArn", source), ("ResourceArns.member.1", self.arn)];
        wanted.extend(
            numbered
                .iter()
                .map(String::as_str)
                .zip(self.actions.iter().copied()),
        );
        wanted.extend(self.to.into_iter().flat_map(|service| {
            [
                ("ContextEntries.member.1.ContextKeyName", "iam:PassedToService"),
                ("ContextEntries.member.1.ContextKeyType", "string"),
                ("ContextEntries.member.1.ContextKeyValues.member.1", service),
            ]
        }));
        let root = caller
            .query(Service::Iam, "SimulatePrincipalPolicy", &wanted)
            .await?;
        let results = root.at(&["SimulatePrincipalPolicyResult", "EvaluationResults"]);
        let results = results.map(|r| r.children.as_slice()).unwrap_or_default();
        let allowed = |action: &&&str| {
            results.iter().any(|r| {
                r.text_at(&["EvalActionName"]) == Some(**action)
                    && r.text_at(&["EvalDecision"]) == Some("allowed")
            })
        };
        Ok(self.actions.iter().filter(|a| !allowed(a)).copied().collect())
    }
}

/// Checks that the responder, known as `me` ([`who`]), may do all that is asked and is not the target itself.
pub(super) async fn armed(caller: &Caller<'_>, me: &str, asked: &[Asked<'_>]) -> Result<Fact, Refusal> {
    let may_not = |text: String| Fact::Error { status: 0, text };
    let source = match me.split_once(":assumed-role/") {
        Some((start, rest)) => role_of(caller, start, rest).await,
        None => me.to_owned(),
    };
    if asked.iter().any(|a| a.arn == source) {
        return Ok(may_not(
            "the responder's own credential is this very one".to_owned(),
        ));
    }
    let mut lacking = Vec::new();
    if !me.ends_with(":root") {
        for asked in asked {
            lacking.extend(asked.lacking(caller, &source).await?);
        }
    }
    Ok(match lacking.is_empty() {
        true => Fact::Noted {
            label: "armed".to_owned(),
            text: "the responder's credential may make this cut".to_owned(),
        },
        false => may_not(format!(
            "the responder's credential may not: {}",
            lacking.join(", ")
        )),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_read_encoded_and_plain() {
        let policy = serde_json::json!({"Statement": {"Sid": "a=b&c+d %"}});
        let encoded = super::super::sigv4::encoded(&policy.to_string(), "");
        assert_eq!(document(&encoded), Some(policy.clone()));
        assert_eq!(decoded(&encoded), Some(policy.to_string()));
        assert_eq!(document(&policy.to_string()), Some(policy));
        assert_eq!(document("%7B"), None);
    }
}
