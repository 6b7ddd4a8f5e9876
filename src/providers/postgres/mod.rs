//! PostgreSQL roles: no new login, every open backend ended, prepared transactions rolled back.
//!
//! `NOLOGIN` alone stops nothing that is already connected, and dropping a role stops not even its
//! running statement; so the backends are ended, those of dropped roles among them, and the session
//! opened before the cut is tried again. Roles are followed by their OID, which a backend keeps when
//! its role is renamed or dropped.

pub(super) mod cron;
mod members;
mod renew;
mod roles;

use std::time::Duration;

use regex::Regex;

use super::desk::{
    Names, agents_url, ended, error, listed, noted, opened, or_by_hand, tried, tried_open, unknown_keys,
};
use super::{About, Adapter, Ctx, New, Opened, ProvedBy, Renewable, not_tried, seen_alive, was_alive};
use crate::model::fact::{Fact, Glance};
use crate::model::grant::Target;
use crate::model::secret::Secret;
use crate::world::{Later, NetError};
use roles::{Office, Role, Saved, identifier};

/// The adapter `postgres`.
pub(super) struct Postgres;

/// How a person does it by hand.
const MANUAL: &str = "psql: ALTER ROLE … NOLOGIN CONNECTION LIMIT 0; SELECT pg_terminate_backend(pid) \
                      FROM pg_stat_activity WHERE usename = '…'";

/// What a login that did not succeed says about the role.
fn refusal(ctx: Ctx<'_>, text: &str) -> Option<Fact> {
    let about_the_role = text.contains("is not permitted to log in")
        || text.contains("too many connections for role")
        || (text.starts_with("28") && text.contains("role \"") && text.contains("does not exist"));
    let password = text.starts_with("28P01");
    match () {
        () if about_the_role => Some(Fact::TriedNew { refused: true }),
        () if password && was_alive(ctx.earlier, "use") => Some(Fact::TriedNew { refused: true }),
        () if password => Some(not_tried(
            "the password is refused, and was not seen to work before the cut",
        )),
        // The server knew the credential and refused something else, or could not judge it at all.
        () => None,
    }
}

fn url(ctx: Ctx<'_>, target: &Target) -> Result<Secret, Fact> {
    let login = Names::of(target, "role", "roles").only();
    agents_url(ctx, &["postgres", "postgresql"], login)
}

impl Adapter for Postgres {
    fn name(&self) -> &str {
        "postgres"
    }

    fn title(&self) -> &str {
        "PostgreSQL roles and their open sessions"
    }

    fn about(&self) -> About {
        let words = |list: &[&str]| list.iter().map(|w| (*w).to_owned()).collect();
        About {
            kinds: words(&["role with a password, certificate or any other login"]),
            proved_by: ProvedBy::RealServer,
            permissions: words(&[
                "CREATEROLE (and ADMIN on the role, from PostgreSQL 16)",
                "pg_signal_backend",
                "SUPERUSER, to roll back the role's prepared transactions and to revoke memberships granted by others",
            ]),
            needs: vec![
                ("role".to_owned(), "exact name of one role".to_owned()),
                (
                    "roles".to_owned(),
                    "or several, split at commas; * stands for anything, as in v-*-agent-*".to_owned(),
                ),
            ],
            manual: MANUAL.to_owned(),
        }
    }

    fn window(&self) -> Duration {
        Duration::ZERO
    }

    fn reversible(&self, _: &Target) -> bool {
        true
    }

    fn check(&self, target: &Target) -> Vec<String> {
        let mut wrong = Names::mistakes(target, "role", "roles");
        wrong.extend(unknown_keys("postgres", target, &["role", "roles"]));
        wrong
    }

    fn shapes(&self) -> &[Regex] {
        &[]
    }

    fn open<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Opened> {
        Box::pin(async move { opened(ctx, url(ctx, target)).await })
    }

    fn glance<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Glance> {
        Box::pin(async move {
            let seen = async {
                let office = Office::open(ctx, target).await?;
                let members = office.members().await?;
                Ok((office.backends().await?.len(), members, office.roles))
            };
            let (backends, members, roles) = match seen.await {
                Ok(seen) => seen,
                Err(fact) => {
                    return Glance {
                        facts: vec![fact],
                        undo: None,
                    };
                }
            };
            let mut facts = vec![noted("sessions", format!("{backends} open before the cut"))];
            facts.extend(roles.iter().map(Role::remembered));
            // A role that was cut before has nothing to save: its earlier state is on record already.
            let roles: Vec<Role> = roles.into_iter().filter(|role| role.login).collect();
            facts.extend((!roles.is_empty()).then(|| seen_alive("record")));
            let members: Vec<_> = members.into_iter().filter(|edge| edge.revocable()).collect();
            let nothing = roles.is_empty() && members.is_empty();
            let saved = Saved { roles, members };
            let undo = (!nothing).then(|| serde_json::to_vec(&saved).ok()).flatten();
            Glance { facts, undo }
        })
    }

    fn cut<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let mut facts = Vec::new();
            let done = async {
                let office = Office::open(ctx, target).await?;
                if office.roles.is_empty() {
                    facts.push(match office.known.is_empty() {
                        false => Fact::AlreadyDone { status: 0 },
                        true => not_tried("no role of these names was seen, now or before"),
                    });
                }
                for role in &office.roles {
                    let sql = format!("ALTER ROLE {} NOLOGIN CONNECTION LIMIT 0", identifier(&role.name));
                    match office.desk.say(&sql).await {
                        Ok(_) => facts.push(Fact::Accepted { status: 0 }),
                        Err(NetError::Refused(text)) if text.starts_with("42704") => {
                            facts.push(Fact::AlreadyDone { status: 0 });
                        }
                        Err(error) => facts.push(super::desk::failed(ctx, &error)),
                    }
                }
                facts.extend(office.cut_members().await?);
                facts.extend(office.leftovers().await?);
                Ok(())
            };
            let done = done.await;
            or_by_hand(&mut facts, done, MANUAL);
            facts
        })
    }

    fn sessions<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let mut facts = Vec::new();
            let done = async {
                let office = Office::open(ctx, target).await?;
                office.end_backends(&mut facts).await?;
                office.end_prepared(&mut facts).await
            };
            let done = done.await;
            facts.extend(done.err());
            facts
        })
    }

    fn probe<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let mut facts = Vec::new();
            let looked = async {
                let office = Office::open(ctx, target).await?;
                facts.push(match office.roles.is_empty() {
                    false => Fact::ReadBack {
                        dead: office.roles.iter().all(|role| !role.login),
                    },
                    true if was_alive(ctx.earlier, "record") => Fact::ReadBack { dead: true },
                    true => not_tried("there is no such role, and none was seen before the cut"),
                });
                facts.push(listed(office.backends().await?.len()));
                Ok(())
            };
            let looked: Result<(), Fact> = looked.await;
            facts.extend(looked.err());
            facts.push(tried(ctx, url(ctx, target), |text| refusal(ctx, text)).await);
            facts.extend(tried_open(ctx, "SELECT 1").await);
            facts
        })
    }

    fn restore<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target, undo: &'a [u8]) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let Ok(saved) = serde_json::from_slice::<Saved>(undo) else {
                return vec![not_tried("what was saved before the cut cannot be read")];
            };
            match Office::open(ctx, target).await {
                Ok(office) => office.give_back(&saved).await,
                Err(fact) => vec![fact],
            }
        })
    }

    fn renewable(&self, _: &Target, saved: &[u8]) -> Renewable {
        renew::renewable(saved)
    }

    fn renew<'a>(
        &'a self,
        ctx: Ctx<'a>,
        target: &'a Target,
        saved: &'a [u8],
        service: &'a str,
    ) -> Later<'a, Result<New, Vec<Fact>>> {
        Box::pin(renew::renew(ctx, target, saved, service))
    }

    fn armed<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let office = match Office::open(ctx, target).await {
                Ok(office) => office,
                Err(fact) => return vec![fact],
            };
            if office.roles.is_empty() {
                return vec![error("there is no such role")];
            }
            let mut facts = Vec::new();
            for role in &office.roles {
                match office.may_cut(role).await {
                    Ok(None) => {}
                    Ok(Some(why)) => facts.push(error(why)),
                    Err(fact) => facts.push(fact),
                }
            }
            if facts.is_empty() {
                let words = "the responder's login may alter the role and end its sessions";
                facts.push(noted("armed", words));
            }
            facts
        })
    }
}

/// Counts what ended, if anything did.
fn some_ended(facts: &mut Vec<Fact>, count: usize) {
    facts.extend((count > 0).then(|| ended(count)));
}
