//! A whole IAM user: everything denied, its keys and service credentials made inactive.

use std::time::Duration;

use futures_util::future::{join, join3};
use regex::Regex;
use serde::{Deserialize, Serialize};

use super::Card;
use super::attempt::{acting, in_time, open_session, refused, remembered, try_session};
use super::call::{Caller, Refusal, Service};
use super::holder::{Holder, LONGEST, WINDOW, bounded, deny_all};
use super::iam::{Asked, Held, armed, who};
use crate::model::fact::{Fact, Glance};
use crate::model::grant::Target;
use crate::providers::limits::Turn;
use crate::providers::{About, Adapter, Ctx, Opened, ProvedBy, not_tried, seen_alive, was_alive, with};
use crate::world::Later;

/// The adapter `aws-user`.
pub(super) struct User;

/// The inline policy that denies everything.
const POLICY: &str = "IncidentDenyAll";

const CARD: Card = Card {
    kinds: &[
        "IAM user with all its access keys",
        "its sessions",
        "its console sign-in",
        "its service-specific credentials",
    ],
    proved_by: ProvedBy::Emulator,
    permissions: &[
        "iam:PutUserPolicy",
        "iam:GetUserPolicy",
        "iam:DeleteUserPolicy",
        "iam:PutUserPermissionsBoundary (where no inline policy is taken)",
        "iam:DeleteUserPermissionsBoundary (to undo that)",
        "iam:GetUser",
        "iam:GetLoginProfile",
        "iam:ListAccessKeys",
        "iam:UpdateAccessKey",
        "iam:ListServiceSpecificCredentials",
        "iam:UpdateServiceSpecificCredential",
        "iam:GetRole (armed check, for single sign-on)",
        "iam:SimulatePrincipalPolicy (armed check)",
    ],
    needs: &[("user", "name of the IAM user")],
    may: &[],
    manual: "IAM console, Users, the user, Permissions: Set permissions boundary AWSDenyAll; then Security \
             credentials: deactivate every access key",
};

/// What a restore needs: what was usable, and the boundary there was.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    keys: Vec<String>,
    /// `None` where they could not be listed in time.
    service_credentials: Option<Vec<String>>,
    boundary: Option<String>,
}

/// Name of a user as policies name it, path included.
pub(super) async fn arn(caller: &Caller<'_>, user: &str) -> Result<String, Refusal> {
    let root = caller
        .query(Service::Iam, "GetUser", &[("UserName", user)])
        .await?;
    let arn = root.text_at(&["GetUserResult", "User", "Arn"]).map(str::to_owned);
    arn.ok_or_else(|| Refusal::Failed(not_tried("GetUser gives no name")))
}

struct Desk<'a> {
    ctx: Ctx<'a>,
    caller: Caller<'a>,
    user: &'a str,
}

impl<'a> Desk<'a> {
    fn open(ctx: Ctx<'a>, target: &'a Target, turn: Turn) -> Result<Self, Fact> {
        let user = with(target)
            .get("user")
            .ok_or_else(|| not_tried("`with` has no `user`"))?;
        Ok(Desk {
            ctx,
            caller: Caller::responder(ctx, target, turn)?,
            user,
        })
    }

    fn holder(&self) -> Holder<'a> {
        Holder::User(self.user)
    }

    /// True where the deny stands, as a policy or as a boundary.
    async fn is_denied(&self) -> Result<bool, Refusal> {
        let policy = self.holder().policy(&self.caller, POLICY);
        let (policy, bound) = join(policy, self.holder().is_bound(&self.caller)).await;
        Ok(policy? == Some(deny_all()) || bound?)
    }

    async fn active(&self, what: Held) -> Result<Vec<String>, Refusal> {
        match what.list(&self.caller, self.user).await {
            Ok(all) => Ok(all.into_iter().filter(|k| k.active).map(|k| k.id).collect()),
            Err(refusal) => Err(refusal),
        }
    }

    /// The console password, which the deny leaves without any use.
    async fn password(&self) -> Option<Fact> {
        let wanted = [("UserName", self.user)];
        let asked = self.caller.query(Service::Iam, "GetLoginProfile", &wanted).await;
        asked.ok().map(|_| Fact::Noted {
            label: "console".to_owned(),
            text: "there is a console password: signing in stays possible, and everything after it is denied"
                .to_owned(),
        })
    }

    async fn saved(&self) -> Result<Saved, Refusal> {
        let keys = self.active(Held::AccessKey);
        // Not every place knows them: they must not keep the rest from being saved.
        let service = in_time(self.ctx, async {
            self.active(Held::ServiceCredential).await.ok()
        });
        let (keys, service, boundary) = join3(keys, service, self.holder().boundary(&self.caller)).await;
        Ok(Saved {
            keys: keys?,
            service_credentials: service,
            boundary: boundary?,
        })
    }

    /// Denies everything: by a policy, and where AWS takes none (they are full, or the responder may not) by
    /// a boundary.
    async fn deny(&self) -> Result<Vec<Fact>, Vec<Fact>> {
        let accepted = Fact::Accepted { status: 200 };
        let refusal = match self.holder().put(&self.caller, POLICY, &deny_all()).await {
            Ok(()) => return Ok(vec![accepted]),
            Err(refusal) if refusal.is_absent() => return Ok(vec![Fact::AlreadyDone { status: 404 }]),
            Err(refusal @ Refusal::Failed(_)) => return Err(vec![refusal.fact()]),
            Err(refusal) => refusal.fact(),
        };
        match self.holder().bound(&self.caller).await {
            Ok(()) => Ok(vec![refusal, bounded(self.user), accepted]),
            Err(second) => Err(vec![refusal, second.fact()]),
        }
    }

    /// Makes everything of this kind inactive, and says how much was active.
    async fn deactivate(&self, what: Held) -> Result<(u32, Vec<Fact>), Fact> {
        let active = match self.active(what).await {
            Err(refusal) if refusal.is_absent() => Vec::new(),
            other => other.map_err(Refusal::fact)?,
        };
        let told = active
            .iter()
            .map(|id| what.set(&self.caller, Some(self.user), id, false));
        let told = futures_util::future::join_all(told).await;
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let ended = active.iter().zip(&told).filter(|(_, told)| told.is_ok());
        let ended: Vec<&str> = ended.map(|(id, _)| id.as_str()).collect();
        let mut facts = Vec::new();
        if !ended.is_empty() {
            // By name, too: whoever undoes it by hand has to know which were active.
            let (label, text) = ("made inactive".to_owned(), ended.join(", "));
            facts.extend([
                Fact::Noted { label, text },
                Fact::Ended {
                    count: count(ended.len()),
                },
            ]);
        }
        facts.extend(told.into_iter().filter_map(Result::err).map(Refusal::fact));
        Ok((count(active.len()), facts))
    }
}

impl Adapter for User {
    fn name(&self) -> &str {
        "aws-user"
    }

    fn title(&self) -> &str {
        "AWS user: everything denied, its keys inactive"
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
        Some("the same keys, wherever they were copied to; none of the old sessions")
    }

    fn check(&self, target: &Target) -> Vec<String> {
        CARD.check(self.name(), target)
    }

    fn shapes(&self) -> &[Regex] {
        &[]
    }

    fn open<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Opened> {
        Box::pin(async move {
            let facts = match Caller::agent(ctx, target) {
                Ok(agent) => {
                    let tried = async { Some(remembered("use", &acting(&agent).await)) };
                    let session = in_time(ctx, open_session(ctx, target, &agent, None));
                    let (tried, session) = join(in_time(ctx, tried), session).await;
                    [tried, session].into_iter().flatten().flatten().collect()
                }
                Err(fact) => vec![fact],
            };
            Opened { session: None, facts }
        })
    }

    fn glance<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Glance> {
        Box::pin(async move {
            let looked = async {
                let desk = Desk::open(ctx, target, Turn::Look).map_err(Refusal::Failed)?;
                let (denied, saved, password) =
                    join3(desk.is_denied(), desk.saved(), in_time(ctx, desk.password())).await;
                Ok((denied?, saved?, password))
            };
            match looked.await {
                // A user that was cut before has nothing to save: its earlier state is on record already.
                Ok((true, ..)) => Glance::default(),
                Ok((false, saved, password)) => {
                    let active = Fact::Noted {
                        label: "active".to_owned(),
                        text: format!(
                            "{} access keys and {} service credentials before the cut",
                            saved.keys.len(),
                            saved
                                .service_credentials
                                .as_ref()
                                .map_or("unknown".to_owned(), |s| s.len().to_string()),
                        ),
                    };
                    Glance {
                        facts: [Some(seen_alive("record")), Some(active), password]
                            .into_iter()
                            .flatten()
                            .collect(),
                        undo: serde_json::to_vec(&saved).ok(),
                    }
                }
                Err(refusal) => Glance {
                    facts: vec![Refusal::fact(refusal)],
                    undo: None,
                },
            }
        })
    }

    fn cut<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let desk = match Desk::open(ctx, target, Turn::Cut) {
                Ok(desk) => desk,
                Err(fact) => return CARD.or_by_hand(fact),
            };
            let mut facts = match desk.deny().await {
                Ok(facts) => facts,
                Err(facts) => return facts,
            };
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
            let desk = match Desk::open(ctx, target, Turn::Cut) {
                Ok(desk) => desk,
                Err(fact) => return vec![fact],
            };
            let both = join(
                desk.deactivate(Held::AccessKey),
                desk.deactivate(Held::ServiceCredential),
            );
            let (keys, service) = both.await;
            let mut facts = Vec::new();
            let mut live = None;
            for seen in [keys, service] {
                match seen {
                    Ok((count, more)) => {
                        live = Some(count.saturating_add(live.unwrap_or(0)));
                        facts.extend(more);
                    }
                    Err(fact) => facts.push(fact),
                }
            }
            facts.splice(0..0, live.map(|live| Fact::Listed { live }));
            facts
        })
    }

    fn probe<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let record = async {
                let desk = Desk::open(ctx, target, Turn::Look).map_err(Refusal::Failed)?;
                Ok(match desk.is_denied().await {
                    Ok(denied) => desk.caller.read_back(denied),
                    Err(refusal) if refusal.is_absent() && was_alive(ctx.earlier, "record") => {
                        desk.caller.read_back(true)
                    }
                    Err(refusal) if refusal.is_absent() => {
                        not_tried("there is no such user, and none was seen before the cut")
                    }
                    Err(refusal) => return Err(refusal),
                })
            };
            let tried = async {
                let agent = Caller::agent(ctx, target)?;
                let refused = refused(ctx.earlier, "use", acting(&agent).await)?;
                Ok(Fact::TriedNew { refused })
            };
            let (record, session, tried) = join3(record, try_session(ctx, target), tried).await;
            let record = record.unwrap_or_else(Refusal::fact);
            let tried = tried.unwrap_or_else(|why: Fact| why);
            // The word of proof last: the newest fact is what a screen shows first.
            [Some(record), session, Some(tried)]
                .into_iter()
                .flatten()
                .collect()
        })
    }

    fn restore<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target, undo: &'a [u8]) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let Ok(saved) = serde_json::from_slice::<Saved>(undo) else {
                return vec![not_tried("what was saved before the cut cannot be read")];
            };
            let mut facts = Vec::new();
            let given_back = async {
                let desk = Desk::open(ctx, target, Turn::Cut).map_err(Refusal::Failed)?;
                let user = desk.holder();
                // First the old sessions are denied by themselves: the user comes back, they do not.
                let ended = user.end_sessions(&desk.caller).await;
                facts.push(ended.map_err(|refusal| user.would_revive(refusal))?);
                let keys = saved.keys.iter().map(|id| (Held::AccessKey, id));
                let service = saved.service_credentials.iter().flatten();
                let service = service.map(|id| (Held::ServiceCredential, id));
                for (what, id) in keys.chain(service) {
                    match what.set(&desk.caller, Some(desk.user), id, true).await {
                        // Deleted since, as it should be where a new one took its place.
                        Err(refusal) if refusal.is_absent() => facts.push(Fact::Noted {
                            label: "gone".to_owned(),
                            text: format!("{id} is no more and does not come back"),
                        }),
                        set => set?,
                    }
                }
                user.unbind(&desk.caller, saved.boundary.as_deref()).await?;
                user.delete(&desk.caller, POLICY).await?;
                desk.is_denied().await
            };
            let given_back = given_back.await;
            facts.extend(saved.service_credentials.is_none().then(|| Fact::Manual {
                how: format!(
                    "service credentials could not be listed before the cut and stay inactive; which they are: \
                     aws iam list-service-specific-credentials --user-name {}",
                    with(target).get("user").map_or("USER", String::as_str)
                ),
            }));
            match given_back {
                Ok(dead) => facts.extend([Fact::Accepted { status: 200 }, Fact::ReadBack { dead }]),
                Err(refusal) => facts.push(Refusal::fact(refusal)),
            }
            facts
        })
    }

    fn armed<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let checked = async {
                let desk = Desk::open(ctx, target, Turn::Look).map_err(Refusal::Failed)?;
                let arn = arn(&desk.caller, desk.user).await?;
                let actions = [
                    "iam:PutUserPolicy",
                    "iam:ListAccessKeys",
                    "iam:UpdateAccessKey",
                    "iam:ListServiceSpecificCredentials",
                    "iam:UpdateServiceSpecificCredential",
                ];
                let me = who(&desk.caller).await?;
                armed(&desk.caller, &me, &[Asked::on(&arn, &actions)]).await
            };
            vec![checked.await.unwrap_or_else(Refusal::fact)]
        })
    }
}
