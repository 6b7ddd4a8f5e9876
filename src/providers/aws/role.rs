//! An IAM role: nobody may assume it any more, and every session of it is denied.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join3;
use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Card;
use super::attempt::{
    Tried, acting, in_time, is_over, meaning, open_session, refused, remembered, try_session,
};
use super::call::{Caller, Refusal, Service};
use super::holder::{Holder, WINDOW, bounded};
use super::iam::{Asked, armed, decoded, who};
use crate::model::fact::{Fact, Glance};
use crate::model::grant::Target;
use crate::providers::limits::Turn;
use crate::providers::{About, Adapter, Ctx, Opened, ProvedBy, not_tried, seen_alive, was_alive, with};
use crate::world::Later;

/// The adapter `aws-role`.
pub(super) struct Role;

const CARD: Card = Card {
    kinds: &["IAM role", "sessions of a role (ASIA…), whoever assumed it"],
    proved_by: ProvedBy::Emulator,
    permissions: &[
        "iam:GetRole",
        "iam:UpdateAssumeRolePolicy",
        "iam:PutRolePolicy",
        "iam:GetRolePolicy",
        "iam:DeleteRolePolicy",
        "iam:PutRolePermissionsBoundary (where no inline policy is taken)",
        "iam:DeleteRolePermissionsBoundary (to undo that)",
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
    /// The trust policy, as it was written.
    written: String,
    trust: Value,
    boundary: Option<String>,
}

/// What a restore needs.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    /// The trust policy, as it was written.
    trust: String,
    boundary: Option<String>,
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
        let role = root.at(&["GetRoleResult", "Role"]);
        let record = role.and_then(|role| {
            let written = decoded(role.text_at(&["AssumeRolePolicyDocument"])?)?;
            let boundary = ["PermissionsBoundary", "PermissionsBoundaryArn"];
            Some(Record {
                arn: role.text_at(&["Arn"])?.to_owned(),
                trust: serde_json::from_str(&written).ok()?,
                written,
                boundary: role.text_at(&boundary).map(str::to_owned),
            })
        });
        let unreadable = || Refusal::Failed(not_tried("GetRole gives no name or no trust policy"));
        record.ok_or_else(unreadable).map(Some)
    }

    fn holder(&self) -> Holder<'a> {
        Holder::Role(self.role)
    }

    /// Denies everything to the sessions there are: by a policy with a date, and where AWS takes none by a
    /// boundary. That denies the new ones, too, so it is only for a role that is closed already.
    async fn end_sessions(&self) -> Vec<Fact> {
        let refusal = match self.holder().end_sessions(&self.caller).await {
            Ok(ended) => return vec![ended],
            Err(refusal) if refusal.is_absent() => return Vec::new(),
            Err(refusal) => refusal,
        };
        let mut facts = Vec::new();
        let tries = matches!(refusal, Refusal::Said { .. });
        facts.push(refusal.fact());
        let bound = async {
            let closed = tries && self.record().await?.is_some_and(|r| is_closed(&r.trust));
            if closed {
                self.holder().bound(&self.caller).await?;
            }
            Ok(closed)
        };
        match bound.await {
            Ok(true) => facts.push(bounded(self.role)),
            Ok(false) => facts.push(self.holder().left(&self.caller)),
            Err(second) => facts.extend([Refusal::fact(second), self.holder().left(&self.caller)]),
        }
        facts
    }

    /// What the record says: of the role, and whether its sessions are denied (`None`: it is not there).
    async fn look(&self, ctx: Ctx<'_>) -> Result<(Fact, Option<bool>), Refusal> {
        let denied = self.holder().sessions_are_ended(&self.caller, ctx.earlier);
        let bound = self.holder().is_bound(&self.caller);
        let (record, denied, bound) = join3(self.record(), denied, bound).await;
        Ok(match record? {
            Some(record) => {
                let denied = denied? || bound?;
                let closed = is_closed(&record.trust);
                (self.caller.read_back(closed && denied), closed.then_some(denied))
            }
            None if was_alive(ctx.earlier, "record") => (self.caller.read_back(true), None),
            None => (
                not_tried("there is no such role, and none was seen before the cut"),
                None,
            ),
        })
    }

    async fn set_trust(&self, trust: &str) -> Result<(), Refusal> {
        let wanted = [("RoleName", self.role), ("PolicyDocument", trust)];
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
                Ok(Some(record)) if record.trust != closed() => record,
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
            let saved = Saved {
                trust: record.written,
                boundary: record.boundary,
            };
            Glance {
                // One that let nobody in before may have sessions all the same.
                facts: (!is_closed(&record.trust))
                    .then(|| seen_alive("record"))
                    .into_iter()
                    .chain([hit])
                    .collect(),
                undo: serde_json::to_vec(&saved).ok(),
            }
        })
    }

    fn cut<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let desk = match Desk::open(ctx, target, Turn::Cut) {
                Ok(desk) => desk,
                Err(fact) => return CARD.or_by_hand(fact),
            };
            match desk.set_trust(&closed().to_string()).await {
                Ok(()) => vec![Fact::Accepted { status: 200 }, desk.holder().left(&desk.caller)],
                Err(refusal) if refusal.is_absent() => vec![Fact::AlreadyDone { status: 404 }],
                Err(refusal) => vec![refusal.fact()],
            }
        })
    }

    fn sessions<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            match Desk::open(ctx, target, Turn::Cut) {
                Ok(desk) => desk.end_sessions().await,
                Err(fact) => vec![fact],
            }
        })
    }

    fn probe<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let record = async {
                let desk = Desk::open(ctx, target, Turn::Look)?;
                let (fact, denied) = desk.look(ctx).await.map_err(Refusal::fact)?;
                Ok((desk, fact, denied))
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
            let (own, tried) = tried.unwrap_or_else(|why: Fact| (None, why));
            let session = session.into_iter().chain(own);
            let session: Vec<Fact> = session.collect();
            let mut facts = match record {
                Ok((desk, fact, denied)) => {
                    let worst = session
                        .iter()
                        .max_by_key(|f| matches!(f, Fact::TriedOpen { refused: false }));
                    let ended = denied.map(|stands| is_over(&desk.caller, stands, worst));
                    let news = ended.and_then(|e| desk.holder().news(&desk.caller, ctx.earlier, e));
                    [Some(fact), news].into_iter().flatten().collect()
                }
                Err(why) => vec![why],
            };
            facts.extend(session);
            // The word of proof last: the newest fact is what a screen shows first.
            facts.push(tried);
            facts
        })
    }

    fn restore<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target, undo: &'a [u8]) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let Ok(saved) = serde_json::from_slice::<Saved>(undo) else {
                return vec![not_tried("what was saved before the cut cannot be read")];
            };
            let given_back = async {
                let desk = Desk::open(ctx, target, Turn::Cut).map_err(Refusal::Failed)?;
                let role = desk.holder();
                let mut facts = Vec::new();
                if role.is_bound(&desk.caller).await? {
                    // The role comes back, its old sessions do not.
                    let ended = role.end_sessions(&desk.caller).await;
                    facts.push(ended.map_err(|refusal| role.would_revive(refusal))?);
                    role.unbind(&desk.caller, saved.boundary.as_deref()).await?;
                }
                desk.set_trust(&saved.trust).await?;
                facts.extend(role.tidy(&desk.caller).await);
                let trust = serde_json::from_str::<Value>(&saved.trust).ok();
                let same = desk.record().await?.is_some_and(|r| Some(r.trust) == trust);
                let dead = !same || role.is_bound(&desk.caller).await?;
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
                let me = who(&desk.caller).await?;
                armed(&desk.caller, &me, &[Asked::on(&role.arn, &actions)]).await
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
