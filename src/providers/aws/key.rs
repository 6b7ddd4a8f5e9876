//! A long-lived access key: made inactive, and the sessions made with it denied.

use std::sync::LazyLock;
use std::time::Duration;

use futures_util::future::{join, join3};
use regex::Regex;
use serde::{Deserialize, Serialize};

use super::Card;
use super::attempt::{Tried, in_time, is_over, known, open_session, refused, try_session};
use super::call::{Caller, Refusal, Service};
use super::holder::{Holder, LONGEST, WINDOW};
use super::iam::{Asked, Held, armed, who};
use super::keys::Keys;
use crate::model::fact::{Fact, Glance, Observed};
use crate::model::grant::Target;
use crate::providers::limits::Turn;
use crate::providers::{
    About, Adapter, Ctx, New, Opened, ProvedBy, Renewable, not_tried, renewed, seen_alive, was_alive, with,
};
use crate::world::Later;

/// The adapter `aws-key`.
pub(super) struct Key;

const CARD: Card = Card {
    kinds: &["access key of an IAM user (AKIA…)", "sessions of that user"],
    proved_by: ProvedBy::Emulator,
    permissions: &[
        "iam:UpdateAccessKey",
        "iam:ListAccessKeys",
        "iam:GetAccessKeyLastUsed",
        "iam:PutUserPolicy",
        "iam:GetUserPolicy",
        "iam:DeleteUserPolicy",
        "iam:GetUser (armed check)",
        "iam:GetRole (armed check, for single sign-on)",
        "iam:SimulatePrincipalPolicy (armed check)",
        "iam:CreateAccessKey (a new key for a service)",
    ],
    needs: &[],
    may: &[
        (
            "key",
            "id of the access key; read from the agent's own secret where it is left out",
        ),
        ("user", "its IAM user; looked up where it is left out"),
    ],
    manual: "aws iam update-access-key --user-name USER --access-key-id KEY --status Inactive; then deny its \
             sessions: IAM console, the user, Add inline policy",
};

/// What a restore needs.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Saved {
    pub user: String,
    pub key: String,
}

/// The key, its user, and whoever cuts.
struct Desk<'a> {
    ctx: Ctx<'a>,
    caller: Caller<'a>,
    key: String,
    user: String,
    /// True where the key has to cut itself.
    own: bool,
}

impl<'a> Desk<'a> {
    async fn open(ctx: Ctx<'a>, target: &'a Target, turn: Turn) -> Result<Self, Fact> {
        let given = with(target);
        let own = ctx.auth.is_none() && ctx.secret.is_some();
        let caller = match own {
            true => Caller::agent(ctx, target)?,
            false => Caller::responder(ctx, target, turn)?,
        };
        let key = match (given.get("key"), ctx.secret) {
            (Some(key), _) => key.clone(),
            (None, Some(secret)) => {
                Keys::parse(secret, None)
                    .map_err(|e| not_tried(e.to_string()))?
                    .id
            }
            (None, None) => {
                return Err(not_tried(
                    "neither `key` nor the agent's secret says which key it is",
                ));
            }
        };
        let user = match given.get("user") {
            Some(user) => user.clone(),
            None => owner(&caller, &key, own).await.map_err(Refusal::fact)?,
        };
        Ok(Desk {
            ctx,
            caller,
            key,
            user,
            own,
        })
    }

    /// Whether AWS lists the key as active; `None` where it is not listed. Other active keys of the user besides.
    async fn record(&self) -> Result<(Option<bool>, Vec<String>), Refusal> {
        let all = match Held::AccessKey.list(&self.caller, &self.user).await {
            // A user that is no more holds nothing.
            Err(refusal) if refusal.is_absent() => Vec::new(),
            all => all?,
        };
        let mine = all.iter().find(|k| k.id == self.key).map(|k| k.active);
        // A service's new key is not the agent's.
        let services = renewed(self.ctx.earlier);
        let other =
            |k: &super::iam::Listed| k.active && k.id != self.key && !services.contains(&k.id.as_str());
        let others = all.into_iter().filter(other);
        Ok((mine, others.map(|k| k.id).collect()))
    }

    /// What AWS says of the last use, which no cut changes but which is evidence.
    async fn last_used(&self) -> Option<Fact> {
        let root = self
            .caller
            .query(
                Service::Iam,
                "GetAccessKeyLastUsed",
                &[("AccessKeyId", &self.key)],
            )
            .await
            .ok()?;
        let last = root.at(&["GetAccessKeyLastUsedResult", "AccessKeyLastUsed"])?;
        let text = |name| last.text_at(&[name]).unwrap_or("?");
        let at = last.text_at(&["LastUsedDate"])?;
        Some(Fact::Noted {
            label: "last-used".to_owned(),
            text: format!("{at}, {} in {}", text("ServiceName"), text("Region")),
        })
    }

    async fn end_sessions(&self) -> Vec<Fact> {
        let user = Holder::User(&self.user);
        match user.end_sessions(&self.caller).await {
            Ok(ended) => vec![ended],
            // The next lever would take the user's other keys, too: that is for people to choose.
            Err(refusal) => vec![refusal.fact(), user.left(&self.caller)],
        }
    }

    /// What the record says of the key, and `None` or what it says of the sessions.
    async fn look(&self) -> Result<(Vec<Fact>, Option<bool>), Refusal> {
        let earlier = self.ctx.earlier;
        let denied = Holder::User(&self.user).sessions_are_ended(&self.caller, earlier);
        let (record, denied) = join(self.record(), denied).await;
        let (mine, active) = record?;
        let mut facts = others(earlier, &self.user, &active);
        facts.push(match mine {
            Some(active) => self.caller.read_back(!active),
            None if was_alive(earlier, "record") => self.caller.read_back(true),
            None => not_tried("the user has no such key, and none was seen before the cut"),
        });
        // While the key itself lives, its sessions are not what is to be said.
        Ok((facts, denied.ok().filter(|_| mine != Some(true))))
    }
}

/// The user that a key belongs to.
async fn owner(caller: &Caller<'_>, key: &str, own: bool) -> Result<String, Refusal> {
    if own {
        let arn = who(caller).await?;
        let user = arn
            .split_once(":user/")
            .and_then(|(_, path)| path.rsplit('/').next());
        return user
            .map(str::to_owned)
            .ok_or_else(|| Refusal::Failed(not_tried("the key does not belong to an IAM user")));
    }
    let root = caller
        .query(Service::Iam, "GetAccessKeyLastUsed", &[("AccessKeyId", key)])
        .await?;
    let user = root.text_at(&["GetAccessKeyLastUsedResult", "UserName"]);
    user.filter(|user| !user.is_empty())
        .map(str::to_owned)
        .ok_or_else(|| Refusal::Failed(not_tried("AWS names no user for this key; write `user`")))
}

/// Other keys that the user can still use, and those that were named before and no longer are.
fn others(earlier: &[Observed], user: &str, active: &[String]) -> Vec<Fact> {
    let words =
        |key: &str| format!("access key {key} of the same user {user}, which this grant does not cut");
    let named = |what: &str| {
        earlier
            .iter()
            .any(|o| matches!(&o.fact, Fact::Residual { what: w, .. } if w == what))
    };
    let now: Vec<String> = active.iter().map(|key| words(key)).collect();
    let end = words("");
    let (_, end) = end.split_once("  ").unwrap_or(("", &end));
    let over = earlier.iter().filter_map(|o| match &o.fact {
        Fact::Residual { what, .. } if what.ends_with(end) && !now.contains(what) => {
            Some(Fact::Over { what: what.clone() })
        }
        _ => None,
    });
    let fresh = now.iter().filter(|what| !named(what)).map(|what| Fact::Residual {
        what: what.clone(),
        until_ms: None,
    });
    over.chain(fresh).collect()
}

impl Adapter for Key {
    fn name(&self) -> &str {
        "aws-key"
    }

    fn title(&self) -> &str {
        "AWS access key: inactive, its sessions denied"
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

    fn revives(&self) -> Option<&str> {
        Some("the same key, wherever it was copied to; none of its old sessions")
    }

    fn check(&self, target: &Target) -> Vec<String> {
        let mut all = CARD.check(self.name(), target);
        match (with(target).get("key"), target) {
            (Some(key), _) if key.starts_with("ASIA") => {
                all.push(
                    "`key` is that of a session: cut its user (aws-user) or its role (aws-role)".to_owned(),
                );
            }
            (None, Target::Grant(grant)) if grant.secret.is_none() => {
                all.push(
                    "`with` has no `key` (id of the access key), and there is no `secret` to read it from"
                        .to_owned(),
                );
            }
            _ => {}
        }
        all
    }

    fn shapes(&self) -> &[Regex] {
        static SHAPES: LazyLock<Vec<Regex>> = LazyLock::new(|| {
            // The pair, as it is pasted; alone, neither half says what it is.
            let pair = Regex::new("^AKIA[A-Z2-7]{16}:[A-Za-z0-9/+]{40}$");
            pair.into_iter().collect()
        });
        &SHAPES
    }

    fn open<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Opened> {
        Box::pin(async move {
            let facts = match Caller::agent(ctx, target) {
                Ok(agent) => {
                    let tried = in_time(ctx, async {
                        Some(match known(&agent).await {
                            Tried::Allowed => vec![seen_alive("use")],
                            Tried::Unknown(fact) => vec![fact],
                            _ => Vec::new(),
                        })
                    });
                    let session = in_time(ctx, open_session(ctx, target, &agent, None));
                    let (tried, session) = join(tried, session).await;
                    [tried, session].into_iter().flatten().flatten().collect()
                }
                Err(fact) => vec![fact],
            };
            Opened { session: None, facts }
        })
    }

    fn glance<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Glance> {
        Box::pin(async move {
            let desk = match Desk::open(ctx, target, Turn::Look).await {
                Ok(desk) => desk,
                Err(fact) => {
                    return Glance {
                        facts: vec![fact],
                        undo: None,
                    };
                }
            };
            let (record, used) = join(desk.record(), in_time(ctx, desk.last_used())).await;
            let mut facts: Vec<Fact> = used.into_iter().collect();
            // A key that was cut before has nothing to save: its earlier state is on record already.
            let active = match record {
                Ok((active, _)) => active == Some(true),
                Err(refusal) => {
                    facts.push(refusal.fact());
                    false
                }
            };
            facts.extend(active.then(|| seen_alive("record")));
            let saved = Saved {
                user: desk.user,
                key: desk.key,
            };
            let undo = active.then(|| serde_json::to_vec(&saved).ok()).flatten();
            Glance { facts, undo }
        })
    }

    fn cut<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let desk = match Desk::open(ctx, target, Turn::Cut).await {
                Ok(desk) => desk,
                Err(fact) => return CARD.or_by_hand(fact),
            };
            let mut facts = Vec::new();
            if desk.own {
                // Afterwards it could do nothing more.
                facts.extend(desk.end_sessions().await);
            }
            let set = Held::AccessKey.set(&desk.caller, Some(&desk.user), &desk.key, false);
            match set.await {
                Ok(()) => facts.push(Fact::Accepted { status: 200 }),
                Err(refusal) if refusal.is_absent() => facts.push(Fact::AlreadyDone { status: 404 }),
                Err(refusal) => {
                    facts.push(refusal.fact());
                    return facts;
                }
            }
            if !desk.own {
                facts.push(Holder::User(&desk.user).left(&desk.caller));
            }
            facts.push(Fact::Residual {
                what: format!(
                    "sessions of roles that user {} assumed: cut each role it may assume (aws-role)",
                    desk.user
                ),
                until_ms: Some(desk.caller.now_ms() + LONGEST.1),
            });
            facts
        })
    }

    fn sessions<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            match Desk::open(ctx, target, Turn::Cut).await {
                Ok(desk) if desk.own => Vec::new(),
                Ok(desk) => desk.end_sessions().await,
                Err(fact) => vec![fact],
            }
        })
    }

    fn probe<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let record = async {
                let desk = Desk::open(ctx, target, Turn::Look).await?;
                if desk.own {
                    return Err(not_tried("the key itself cannot read its record any more"));
                }
                let (facts, denied) = desk.look().await.map_err(Refusal::fact)?;
                Ok((desk, facts, denied))
            };
            let tried = async {
                let agent = Caller::agent(ctx, target)?;
                let refused = refused(ctx.earlier, "use", known(&agent).await)?;
                Ok(Fact::TriedNew { refused })
            };
            let (record, session, tried) = join3(record, try_session(ctx, target), tried).await;
            let mut facts = match record {
                Ok((desk, mut facts, denied)) => {
                    let ended = denied.map(|stands| is_over(&desk.caller, stands, session.as_ref()));
                    let user = Holder::User(&desk.user);
                    facts.extend(ended.and_then(|ended| user.news(&desk.caller, ctx.earlier, ended)));
                    facts
                }
                Err(why) => vec![why],
            };
            facts.extend(session);
            // The word of proof last: the newest fact is what a screen shows first.
            facts.push(tried.unwrap_or_else(|why: Fact| why));
            facts
        })
    }

    fn restore<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target, undo: &'a [u8]) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let Ok(saved) = serde_json::from_slice::<Saved>(undo) else {
                return vec![not_tried("what was saved before the cut cannot be read")];
            };
            let caller = match Caller::responder(ctx, target, Turn::Cut) {
                Ok(caller) => caller,
                Err(fact) => return vec![fact],
            };
            let set = Held::AccessKey.set(&caller, Some(&saved.user), &saved.key, true);
            if let Err(refusal) = set.await {
                return vec![refusal.fact()];
            }
            let mut facts = Holder::User(&saved.user).tidy(&caller).await;
            facts.push(Fact::Accepted { status: 200 });
            match Held::AccessKey.list(&caller, &saved.user).await {
                Ok(all) => facts.push(Fact::ReadBack {
                    dead: !all.iter().any(|k| k.id == saved.key && k.active),
                }),
                Err(refusal) => facts.push(refusal.fact()),
            }
            facts
        })
    }

    fn renewable(&self, _: &Target, saved: &[u8]) -> Renewable {
        super::renew::renewable(saved)
    }

    fn renew<'a>(
        &'a self,
        ctx: Ctx<'a>,
        target: &'a Target,
        saved: &'a [u8],
        service: &'a str,
    ) -> Later<'a, Result<New, Vec<Fact>>> {
        Box::pin(super::renew::renew(ctx, target, saved, service))
    }

    fn armed<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let checked = async {
                let desk = Desk::open(ctx, target, Turn::Look)
                    .await
                    .map_err(Refusal::Failed)?;
                if desk.caller.keys.id == desk.key {
                    return Ok(Fact::Error {
                        status: 0,
                        text: "the responder's own credential is this very key".to_owned(),
                    });
                }
                let arn = super::user::arn(&desk.caller, &desk.user).await?;
                let actions = [
                    "iam:UpdateAccessKey",
                    "iam:ListAccessKeys",
                    "iam:PutUserPolicy",
                    "iam:GetUserPolicy",
                ];
                let me = who(&desk.caller).await?;
                armed(&desk.caller, &me, &[Asked::on(&arn, &actions)]).await
            };
            vec![checked.await.unwrap_or_else(Refusal::fact)]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_keys_are_named_once_and_taken_back_when_they_are_gone() {
        let first = others(&[], "bot", &["AKIA1".to_owned()]);
        assert!(matches!(first.as_slice(), [Fact::Residual { what, .. }] if what.contains("AKIA1")));
        let earlier: Vec<Observed> = first
            .into_iter()
            .map(|fact| Observed { at_us: 1, fact })
            .collect();
        assert!(others(&earlier, "bot", &["AKIA1".to_owned()]).is_empty());
        assert!(matches!(
            others(&earlier, "bot", &[]).as_slice(),
            [Fact::Over { .. }]
        ));
    }
}
