//! An IAM role: nobody may assume it any more, and every session of it is denied.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::{join, join3};
use regex::Regex;
use serde_json::{Value, json};

use super::Card;
use super::attempt::{Tried, acting, in_time, meaning, open_session, refused, remembered, try_session};
use super::call::{Caller, Refusal, Service};
use super::iam::{Holder, WINDOW, armed, document};
use crate::model::fact::{Fact, Glance};
use crate::model::grant::Target;
use crate::providers::limits::Turn;
use crate::providers::{About, Adapter, Ctx, Opened, ProvedBy, not_tried, seen_alive, was_alive, with};
use crate::world::Later;

/// The adapter `aws-role`.
pub(super) struct Role;

const CARD: Card = Card {
    kinds: &["IAM role", "sessions of a role (ASIA…), whoever assumed it"],
    proved_by: ProvedBy::Contract,
    permissions: &[
        "iam:GetRole",
        "iam:UpdateAssumeRolePolicy",
        "iam:PutRolePolicy",
        "iam:GetRolePolicy",
        "iam:DeleteRolePolicy",
        "iam:SimulatePrincipalPolicy (armed check)",
    ],
    needs: &[("role", "name of the role")],
    may: &[],
    manual: "IAM console, Roles, the role: Revoke sessions, Revoke active sessions; then Trust relationships, \
             Edit trust policy: remove every Allow",
};

/// The role as IAM has it.
struct Record {
    arn: String,
    trust: Value,
}

/// A trust policy that lets nobody in.
fn closed() -> Value {
    json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"},
    ]})
}

/// True where no statement allows anything.
fn is_closed(trust: &Value) -> bool {
    let allows = |statement: &Value| statement.get("Effect").and_then(Value::as_str) != Some("Deny");
    match trust.get("Statement") {
        Some(Value::Array(all)) => !all.iter().any(allows),
        Some(one) => !allows(one),
        None => false,
    }
}

/// Everybody the trust policy names: their sessions end, too.
fn trusted(trust: &Value) -> BTreeSet<String> {
    fn texts(value: &Value, into: &mut BTreeSet<String>) {
        match value {
            Value::String(text) => {
                into.insert(text.clone());
            }
            Value::Array(all) => all.iter().for_each(|v| texts(v, into)),
            Value::Object(all) => all.values().for_each(|v| texts(v, into)),
            _ => {}
        }
    }
    let mut all = BTreeSet::new();
    let statements = match trust.get("Statement") {
        Some(Value::Array(statements)) => statements.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    for statement in statements {
        texts(statement.get("Principal").unwrap_or(&Value::Null), &mut all);
    }
    all
}

struct Desk<'a> {
    caller: Caller<'a>,
    role: &'a str,
}

impl<'a> Desk<'a> {
    fn open(ctx: Ctx<'a>, target: &'a Target, turn: Turn) -> Result<Self, Fact> {
        let role = with(target)
            .get("role")
            .ok_or_else(|| not_tried("`with` has no `role`"))?;
        Ok(Desk {
            caller: Caller::responder(ctx, target, turn)?,
            role,
        })
    }

    /// The role, `None` where there is none.
    async fn record(&self) -> Result<Option<Record>, Refusal> {
        let wanted = [("RoleName", self.role)];
        let root = match self.caller.query(Service::Iam, "GetRole", &wanted).await {
            Ok(root) => root,
            Err(refusal) if refusal.is_absent() => return Ok(None),
            Err(refusal) => return Err(refusal),
        };
        let text = |name| root.text_at(&["GetRoleResult", "Role", name]);
        let record = text("Arn").zip(text("AssumeRolePolicyDocument").and_then(document));
        match record {
            Some((arn, trust)) => Ok(Some(Record {
                arn: arn.to_owned(),
                trust,
            })),
            None => Err(Refusal::Failed(not_tried(
                "GetRole gives no name or no trust policy",
            ))),
        }
    }

    async fn set_trust(&self, trust: &Value) -> Result<(), Refusal> {
        let trust = trust.to_string();
        let wanted = [("RoleName", self.role), ("PolicyDocument", trust.as_str())];
        let set = self.caller.query(Service::Iam, "UpdateAssumeRolePolicy", &wanted);
        set.await.map(|_| ())
    }
}

/// With the agent's base keys: another try to assume the role. With a session of the role: its use.
async fn attempt(ctx: Ctx<'_>, target: &Target, agent: &Caller<'_>) -> Result<Fact, Fact> {
    if agent.keys.token.is_some() {
        let refused = refused(ctx.earlier, "use", acting(agent).await)?;
        return Ok(Fact::TriedNew { refused });
    }
    let desk = Desk::open(ctx, target, Turn::Look)?;
    let role = desk.record().await.map_err(Refusal::fact)?;
    let role = role.ok_or_else(|| not_tried("there is no such role to assume"))?;
    let wanted = [
        ("RoleArn", role.arn.as_str()),
        ("RoleSessionName", "incident-probe"),
        ("DurationSeconds", "900"),
    ];
    let answer = agent.query(Service::Sts, "AssumeRole", &wanted).await;
    match meaning(answer.map(|_| ())) {
        Tried::Denied { .. } if was_alive(ctx.earlier, "use") => Ok(Fact::TriedNew { refused: true }),
        Tried::Denied { .. } => Err(not_tried(
            "it may not assume the role, and was not seen to before the cut",
        )),
        Tried::Allowed => Ok(Fact::TriedNew { refused: false }),
        Tried::Invalid => Err(not_tried(
            "the key that would assume the role is not known to AWS (any more)",
        )),
        Tried::Unknown(fact) => Err(fact),
    }
}

impl Adapter for Role {
    fn name(&self) -> &str {
        "aws-role"
    }

    fn title(&self) -> &str {
        "AWS role: nobody may assume it, its sessions denied"
    }

    fn about(&self) -> About {
        CARD.about()
    }

    fn window(&self) -> Duration {
        WINDOW
    }

    fn reversible(&self, _: &Target) -> bool {
        true
    }

    fn check(&self, target: &Target) -> Vec<String> {
        CARD.check(self.name(), target)
    }

    fn shapes(&self) -> &[Regex] {
        &[]
    }

    fn open<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Opened> {
        Box::pin(async move {
            let tried = async {
                let agent = Caller::agent(ctx, target)?;
                if agent.keys.token.is_some() {
                    return Ok(remembered("use", &acting(&agent).await));
                }
                let role = Desk::open(ctx, target, Turn::Look)?
                    .record()
                    .await
                    .map_err(Refusal::fact)?;
                let role = role.ok_or_else(|| not_tried("there is no such role to assume"))?;
                let opened = open_session(ctx, target, &agent, Some(&role.arn)).await;
                let mut facts =
                    opened.ok_or_else(|| not_tried("the agent's key could not assume the role"))?;
                facts.push(seen_alive("use"));
                Ok(facts)
            };
            let tried = in_time(ctx, async {
                Some(tried.await.unwrap_or_else(|why: Fact| vec![why]))
            });
            Opened {
                session: None,
                facts: tried.await.unwrap_or_default(),
            }
        })
    }

    fn glance<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Glance> {
        Box::pin(async move {
            let looked = async {
                let desk = Desk::open(ctx, target, Turn::Look).map_err(Refusal::Failed)?;
                desk.record().await
            };
            let record = match looked.await {
                Ok(Some(record)) if !is_closed(&record.trust) => record,
                // A role that was cut before has nothing to save: its earlier state is on record already.
                Ok(_) => return Glance::default(),
                Err(refusal) => {
                    return Glance {
                        facts: vec![refusal.fact()],
                        undo: None,
                    };
                }
            };
            let others: Vec<String> = trusted(&record.trust).into_iter().collect();
            let hit = Fact::Noted {
                label: "also hit".to_owned(),
                text: format!(
                    "the sessions of everybody who assumed the role end, too; trusted were: {}",
                    others.join(", ").chars().take(400).collect::<String>()
                ),
            };
            Glance {
                facts: vec![seen_alive("record"), hit],
                undo: serde_json::to_vec(&record.trust).ok(),
            }
        })
    }

    fn cut<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let desk = match Desk::open(ctx, target, Turn::Cut) {
                Ok(desk) => desk,
                Err(fact) => return CARD.or_by_hand(fact),
            };
            vec![match desk.set_trust(&closed()).await {
                Ok(()) => Fact::Accepted { status: 200 },
                Err(refusal) if refusal.is_absent() => Fact::AlreadyDone { status: 404 },
                Err(refusal) => refusal.fact(),
            }]
        })
    }

    fn sessions<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            match Desk::open(ctx, target, Turn::Cut) {
                Ok(desk) => {
                    Holder::Role(desk.role)
                        .end_sessions(&desk.caller, ctx.earlier)
                        .await
                }
                Err(fact) => vec![fact],
            }
        })
    }

    fn probe<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let record = async {
                let desk = Desk::open(ctx, target, Turn::Look).map_err(Refusal::Failed)?;
                let denied = Holder::Role(desk.role).sessions_are_ended(&desk.caller, ctx.earlier);
                let (record, denied) = join(desk.record(), denied).await;
                Ok(match record? {
                    Some(record) => desk.caller.read_back(is_closed(&record.trust) && denied?),
                    None if was_alive(ctx.earlier, "record") => desk.caller.read_back(true),
                    None => not_tried("there is no such role, and none was seen before the cut"),
                })
            };
            let tried = async {
                let agent = Caller::agent(ctx, target)?;
                let fact = attempt(ctx, target, &agent).await?;
                // A session of the role that is at hand is itself the one from before the cut.
                let open = match (&fact, &agent.keys.token) {
                    (Fact::TriedNew { refused }, Some(_)) => Some(Fact::TriedOpen { refused: *refused }),
                    _ => None,
                };
                Ok((open, fact))
            };
            let (record, session, tried) = join3(record, try_session(ctx, target), tried).await;
            let record = record.unwrap_or_else(Refusal::fact);
            let (own, tried) = tried.unwrap_or_else(|why: Fact| (None, why));
            // The word of proof last: the newest fact is what a screen shows first.
            [Some(record), session, own, Some(tried)]
                .into_iter()
                .flatten()
                .collect()
        })
    }

    fn restore<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target, undo: &'a [u8]) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let Ok(trust) = serde_json::from_slice::<Value>(undo) else {
                return vec![not_tried("what was saved before the cut cannot be read")];
            };
            let given_back = async {
                let desk = Desk::open(ctx, target, Turn::Cut).map_err(Refusal::Failed)?;
                desk.set_trust(&trust).await?;
                let mut facts = Holder::Role(desk.role).tidy(&desk.caller).await;
                let record = desk.record().await?;
                let dead = record.is_none_or(|r| r.trust != trust);
                facts.extend([Fact::Accepted { status: 200 }, Fact::ReadBack { dead }]);
                Ok(facts)
            };
            given_back
                .await
                .unwrap_or_else(|refusal: Refusal| vec![refusal.fact()])
        })
    }

    fn armed<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let checked = async {
                let desk = Desk::open(ctx, target, Turn::Look).map_err(Refusal::Failed)?;
                let role = desk.record().await?;
                let role = role.ok_or_else(|| Refusal::Failed(not_tried("there is no such role")))?;
                let actions = [
                    "iam:UpdateAssumeRolePolicy",
                    "iam:PutRolePolicy",
                    "iam:GetRolePolicy",
                ];
                armed(&desk.caller, &role.arn, &actions).await
            };
            vec![checked.await.unwrap_or_else(Refusal::fact)]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_trust_that_lets_nobody_in_is_closed() {
        assert!(is_closed(&closed()));
        let open = json!({"Statement": {"Effect": "Allow", "Principal": {"Service": ["ec2.amazonaws.com", "x"], "AWS": "y"}}});
        assert!(!is_closed(&open) && !is_closed(&json!({})));
        let names: Vec<String> = trusted(&open).into_iter().collect();
        assert_eq!(names, ["ec2.amazonaws.com", "x", "y"]);
    }
}
