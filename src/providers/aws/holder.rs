//! Whom IAM denies something: a user or a role, by an inline policy or by a permissions boundary.

use serde_json::{Value, json};

use super::call::{Caller, Refusal, Service};
use super::iam::document;
use crate::model::fact::{Fact, Observed};
use crate::model::time::{parse_rfc3339, rfc3339};

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

/// The managed policy of AWS that denies everything.
fn deny_boundary(caller: &Caller<'_>) -> String {
    format!("arn:{}:iam::aws:policy/AWSDenyAll", caller.partition())
}

/// That a boundary did what no policy could.
pub(super) fn bounded(name: &str) -> Fact {
    Fact::Noted {
        label: "deny".to_owned(),
        text: format!(
            "AWS took no inline policy for {name}: everything is denied by the permissions boundary AWSDenyAll"
        ),
    }
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
    pub async fn end_sessions(self, caller: &Caller<'_>) -> Result<Fact, Refusal> {
        let (.., policy) = self.parts();
        let before = caller.now_ms() + i64::try_from(WINDOW.as_millis()).unwrap_or(0);
        self.put(caller, policy, &deny_older(before)).await?;
        Ok(self.ended(before))
    }

    /// Denies everything to everybody who acts as this one, by a permissions boundary: one call, whatever
    /// policies there are and however full they are.
    pub async fn bound(self, caller: &Caller<'_>) -> Result<(), Refusal> {
        self.set_boundary(caller, Some(&deny_boundary(caller))).await
    }

    /// Why the access is not given back: nothing would keep its old sessions out.
    pub fn would_revive(self, refusal: Refusal) -> Refusal {
        match refusal {
            Refusal::Said {
                status,
                code,
                message,
            } => Refusal::Said {
                status,
                message: format!(
                    "its old sessions would live again: {} needs room for one inline policy that denies \
                     them ({message})",
                    self.name()
                ),
                code,
            },
            failed => failed,
        }
    }

    /// The permissions boundary there is.
    pub async fn boundary(self, caller: &Caller<'_>) -> Result<Option<String>, Refusal> {
        let (kind, key, _) = self.parts();
        let action = format!("Get{kind}");
        let root = caller.query(Service::Iam, &action, &[(key, self.name())]).await?;
        let result = format!("{action}Result");
        let at = [&result, kind, "PermissionsBoundary", "PermissionsBoundaryArn"];
        Ok(root.text_at(&at).map(str::to_owned))
    }

    async fn set_boundary(self, caller: &Caller<'_>, arn: Option<&str>) -> Result<(), Refusal> {
        let (kind, key, _) = self.parts();
        let mut wanted = vec![(key, self.name())];
        wanted.extend(arn.map(|arn| ("PermissionsBoundary", arn)));
        let verb = if arn.is_some() { "Put" } else { "Delete" };
        let action = format!("{verb}{kind}PermissionsBoundary");
        caller.query(Service::Iam, &action, &wanted).await.map(|_| ())
    }

    /// True where everything is denied by a boundary.
    pub async fn is_bound(self, caller: &Caller<'_>) -> Result<bool, Refusal> {
        Ok(self.boundary(caller).await? == Some(deny_boundary(caller)))
    }

    /// Puts the boundary back that [`Holder::bound`] replaced. One that somebody has set since stays.
    pub async fn unbind(self, caller: &Caller<'_>, saved: Option<&str>) -> Result<(), Refusal> {
        match saved != Some(deny_boundary(caller).as_str()) && self.is_bound(caller).await? {
            true => self.set_boundary(caller, saved).await,
            false => Ok(()),
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
        let longest = self.longest();
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

    fn longest(self) -> i64 {
        match self {
            Holder::User(_) => LONGEST.0,
            Holder::Role(_) => LONGEST.1,
        }
    }

    /// Its sessions, which live on until they are denied.
    pub fn left(self, caller: &Caller<'_>) -> Fact {
        Fact::Residual {
            what: self.sessions(),
            until_ms: Some(caller.now_ms() + self.longest()),
        }
    }

    /// What is to be said of its sessions, once: that they may live on, or that this is over.
    pub fn news(self, caller: &Caller<'_>, earlier: &[Observed], ended: bool) -> Option<Fact> {
        let what = self.sessions();
        let left = earlier.iter().rev().find_map(|o| match &o.fact {
            Fact::Residual { what: w, .. } if *w == what => Some(true),
            Fact::Over { what: w } if *w == what => Some(false),
            _ => None,
        });
        match (ended, left) {
            (true, Some(true)) => Some(Fact::Over { what }),
            (false, Some(false) | None) => Some(self.left(caller)),
            _ => None,
        }
    }

    fn sessions(self) -> String {
        match self {
            Holder::User(name) => format!("sessions of user {name} (GetSessionToken, GetFederationToken)"),
            Holder::Role(name) => format!("sessions of role {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_moment_of_a_deny_is_read_from_ours_and_from_no_other() {
        let policy = deny_older(1_795_312_447_000);
        assert_eq!(denied_before(&policy), Some(1_795_312_447_000));
        assert_eq!(denied_before(&deny_all()), None);
        let allow = policy.to_string().replace("Deny", "Allow");
        assert_eq!(
            serde_json::from_str(&allow).ok().as_ref().and_then(denied_before),
            None
        );
    }
}
