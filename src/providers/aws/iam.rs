//! What the adapters for keys, users and roles ask IAM for.

use serde_json::{Value, json};
use url::form_urlencoded;

use super::call::{Caller, Refusal, Service};
use crate::model::fact::{Fact, Observed};
use crate::model::time::{parse_rfc3339, rfc3339};
use crate::providers::not_tried;

/// Time for a change of IAM to reach every server, with a margin: some four seconds were measured.
pub(super) const WINDOW: std::time::Duration = std::time::Duration::from_secs(6);
/// Longest life of a session of a user (GetSessionToken, GetFederationToken), and of a role, in ms.
pub(super) const LONGEST: (i64, i64) = (36 * 3_600_000, 12 * 3_600_000);

/// Everything denied.
pub(super) fn deny_all() -> Value {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]})
}

/// Everything denied to sessions issued before this moment.
///
/// Requests signed by a long-lived key carry no such moment and are not touched: it complements making a
/// key inactive and never replaces it.
fn deny_older(before_ms: i64) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Deny", "Action": "*", "Resource": "*",
        "Condition": {"DateLessThan": {"aws:TokenIssueTime": rfc3339(before_ms)}},
    }]})
}

/// The moment in a policy as [`deny_older`] writes it, ms.
fn denied_before(policy: &Value) -> Option<i64> {
    let moment = policy.pointer("/Statement/0/Condition/DateLessThan/aws:TokenIssueTime")?;
    let effect = policy.pointer("/Statement/0/Effect")?;
    parse_rfc3339(moment.as_str()?).filter(|_| effect == "Deny")
}

/// Whom an inline policy is put on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder<'a> {
    User(&'a str),
    Role(&'a str),
}

impl Holder<'_> {
    fn parts(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Holder::User(_) => ("User", "UserName", "IncidentDenyOldSessions"),
            // The name that the console's own button uses, so that nobody is puzzled by it.
            Holder::Role(_) => ("Role", "RoleName", "AWSRevokeOlderSessions"),
        }
    }

    fn name(&self) -> &str {
        match self {
            Holder::User(name) | Holder::Role(name) => name,
        }
    }

    /// Puts an inline policy.
    pub async fn put(self, caller: &Caller<'_>, policy: &str, document: &Value) -> Result<(), Refusal> {
        let (kind, key, _) = self.parts();
        let document = document.to_string();
        let wanted = [
            (key, self.name()),
            ("PolicyName", policy),
            ("PolicyDocument", &document),
        ];
        let action = format!("Put{kind}Policy");
        caller.query(Service::Iam, &action, &wanted).await.map(|_| ())
    }

    /// Takes an inline policy away; one that is not there is away.
    pub async fn delete(self, caller: &Caller<'_>, policy: &str) -> Result<(), Refusal> {
        let (kind, key, _) = self.parts();
        let wanted = [(key, self.name()), ("PolicyName", policy)];
        let action = format!("Delete{kind}Policy");
        match caller.query(Service::Iam, &action, &wanted).await {
            Err(refusal) if !refusal.is_absent() => Err(refusal),
            _ => Ok(()),
        }
    }

    /// An inline policy, `None` where there is none.
    pub async fn policy(self, caller: &Caller<'_>, policy: &str) -> Result<Option<Value>, Refusal> {
        let (kind, key, _) = self.parts();
        let wanted = [(key, self.name()), ("PolicyName", policy)];
        match caller
            .query(Service::Iam, &format!("Get{kind}Policy"), &wanted)
            .await
        {
            Ok(root) => {
                let text = root
                    .children
                    .iter()
                    .find_map(|result| result.text_at(&["PolicyDocument"]));
                Ok(text.and_then(document))
            }
            Err(refusal) if refusal.is_absent() => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    /// Denies everything to the sessions issued until the cut has reached every server.
    pub async fn end_sessions(self, caller: &Caller<'_>, earlier: &[Observed]) -> Vec<Fact> {
        let (.., policy) = self.parts();
        let now = caller.now_ms();
        let before = now + i64::try_from(WINDOW.as_millis()).unwrap_or(0);
        let left = |longest: i64| Fact::Residual {
            what: self.left(),
            until_ms: Some(now + longest),
        };
        match self.put(caller, policy, &deny_older(before)).await {
            Ok(()) => {
                let was_left =
                    |o: &Observed| matches!(&o.fact, Fact::Residual { what, .. } if *what == self.left());
                let over = earlier
                    .iter()
                    .any(was_left)
                    .then(|| Fact::Over { what: self.left() });
                over.into_iter().chain([self.ended(before)]).collect()
            }
            Err(refusal) => {
                let longest = match self {
                    Holder::User(_) => LONGEST.0,
                    Holder::Role(_) => LONGEST.1,
                };
                vec![refusal.fact(), left(longest)]
            }
        }
    }

    /// Whether the sessions this incident ended are still denied.
    pub async fn sessions_are_ended(
        self,
        caller: &Caller<'_>,
        earlier: &[Observed],
    ) -> Result<bool, Refusal> {
        let (.., policy) = self.parts();
        let before = self
            .policy(caller, policy)
            .await?
            .as_ref()
            .and_then(denied_before);
        // A policy that somebody left there long ago denies nothing of today.
        Ok(before.is_some_and(|at| earlier.iter().any(|o| o.fact == self.ended(at))))
    }

    /// Takes the dated deny away once every session it denies has expired, and says so where it stays.
    pub async fn tidy(self, caller: &Caller<'_>) -> Vec<Fact> {
        let (.., policy) = self.parts();
        let longest = match self {
            Holder::User(_) => LONGEST.0,
            Holder::Role(_) => LONGEST.1,
        };
        let stands = match self.policy(caller, policy).await {
            Ok(stands) => stands.as_ref().and_then(denied_before),
            Err(refusal) => return vec![refusal.fact()],
        };
        match stands {
            Some(at) if at + longest > caller.now_ms() => vec![Fact::Noted {
                label: "sessions".to_owned(),
                text: format!(
                    "no old session comes back: policy {policy} stays on {} and can go after {}",
                    self.name(),
                    rfc3339(at + longest)
                ),
            }],
            Some(_) => self
                .delete(caller, policy)
                .await
                .err()
                .map(Refusal::fact)
                .into_iter()
                .collect(),
            None => Vec::new(),
        }
    }

    fn ended(self, before_ms: i64) -> Fact {
        Fact::Noted {
            label: "sessions".to_owned(),
            text: format!(
                "{}: every session issued before {} is denied",
                self.name(),
                rfc3339(before_ms)
            ),
        }
    }

    fn left(self) -> String {
        match self {
            Holder::User(name) => format!("sessions of user {name} (GetSessionToken, GetFederationToken)"),
            Holder::Role(name) => format!("sessions of role {name}"),
        }
    }
}

/// A policy as IAM gives it: JSON, percent-encoded.
pub(super) fn document(text: &str) -> Option<Value> {
    if text.starts_with('{') {
        return serde_json::from_str(text).ok();
    }
    let plus = text.replace('+', "%2B");
    let (decoded, _) = form_urlencoded::parse(plus.as_bytes()).next()?;
    serde_json::from_str(&decoded).ok()
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

/// Checks that the responder may do all of `actions` to `arn`, and is not the target itself.
pub(super) async fn armed(caller: &Caller<'_>, arn: &str, actions: &[&str]) -> Result<Fact, Refusal> {
    let me = who(caller).await?;
    let may_not = |text: String| Fact::Error { status: 0, text };
    // A session of a role is judged by its role: arn:aws:sts::1:assumed-role/NAME/SESSION.
    let source = match me.split_once(":assumed-role/") {
        Some((start, rest)) => {
            let name = rest.split('/').next().unwrap_or("");
            format!("{}:role/{name}", start.replacen(":sts:", ":iam:", 1))
        }
        None => me.clone(),
    };
    if source == arn {
        return Ok(may_not(
            "the responder's own credential is this very one".to_owned(),
        ));
    }
    let may = Fact::Noted {
        label: "armed".to_owned(),
        text: "the responder's credential may make this cut".to_owned(),
    };
    if me.ends_with(":root") {
        return Ok(may);
    }
    let numbered: Vec<String> = (1..=actions.len())
        .map(|n| format!("ActionNames.member.{n}"))
        .collect();
    let mut wanted = vec![
        ("PolicySourceArn", source.as_str()),
        ("ResourceArns.member.1", arn),
    ];
    wanted.extend(numbered.iter().map(String::as_str).zip(actions.iter().copied()));
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
    let lacking: Vec<&str> = actions.iter().filter(|a| !allowed(a)).copied().collect();
    Ok(match lacking.is_empty() {
        true => may,
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
        let policy = deny_older(1_795_312_447_000);
        assert_eq!(denied_before(&policy), Some(1_795_312_447_000));
        let encoded = super::super::sigv4::encoded(&policy.to_string(), "");
        assert_eq!(document(&encoded), Some(policy.clone()));
        assert_eq!(document(&policy.to_string()), Some(policy));
        assert_eq!(
            document("%7B%22a%22%3A%22b+c%26d%3De%22%7D"),
            Some(json!({"a": "b+c&d=e"}))
        );
        assert_eq!(denied_before(&deny_all()), None);
    }
}
