//! MySQL and MariaDB accounts: every host row of a user locked, its connections killed.
//!
//! `ACCOUNT LOCK` keeps new logins out and touches neither an open connection nor a scheduled event of
//! the account: the first are killed here, the second are triggers ([`events`]).

mod accounts;
pub(super) mod events;

use std::time::Duration;

use regex::Regex;

use super::desk::{
    Names, agents_url, error, listed, noted, opened, or_by_hand, tried, tried_open, unknown_keys,
};
use super::{About, Adapter, Ctx, Opened, ProvedBy, not_tried, seen_alive, was_alive};
use crate::model::fact::{Fact, Glance};
use crate::model::grant::Target;
use crate::model::secret::Secret;
use crate::world::{Later, NetError};
use accounts::{Account, Office, Rights, Saved};

/// The adapter `mysql`.
pub(super) struct Mysql;

const MANUAL: &str = "mysql: ALTER USER '…'@'…' ACCOUNT LOCK for every row of SELECT User, Host FROM mysql.user; \
                      then KILL CONNECTION for every id of SHOW PROCESSLIST";

/// What a login that did not succeed says about the account.
fn refusal(ctx: Ctx<'_>, text: &str) -> Option<Fact> {
    // 4151 of MariaDB and 3118 of MySQL: the account is locked.
    if text.starts_with("4151:") || text.starts_with("3118:") {
        return Some(Fact::TriedNew { refused: true });
    }
    let password = text.starts_with("1045:");
    match was_alive(ctx.earlier, "use") {
        true if password => Some(Fact::TriedNew { refused: true }),
        false if password => Some(not_tried(
            "the password is refused, and was not seen to work before the cut",
        )),
        _ => None,
    }
}

fn url(ctx: Ctx<'_>, target: &Target) -> Result<Secret, Fact> {
    let login = Names::of(target, "user", "users").only();
    agents_url(ctx, &["mysql", "mariadb"], login)
}

impl Adapter for Mysql {
    fn name(&self) -> &str {
        "mysql"
    }

    fn title(&self) -> &str {
        "MySQL and MariaDB accounts and their open connections"
    }

    fn about(&self) -> About {
        let words = |list: &[&str]| list.iter().map(|w| (*w).to_owned()).collect();
        About {
            kinds: words(&["account with a password, certificate or any other login"]),
            proved_by: ProvedBy::RealServer,
            permissions: words(&[
                "CREATE USER",
                "PROCESS",
                "CONNECTION ADMIN (MySQL: CONNECTION_ADMIN) or SUPER",
                "SELECT on mysql.user",
            ]),
            needs: vec![
                (
                    "user".to_owned(),
                    "exact name of one user, on whatever host".to_owned(),
                ),
                (
                    "users".to_owned(),
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
        let mut wrong = Names::mistakes(target, "user", "users");
        wrong.extend(unknown_keys("mysql", target, &["user", "users"]));
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
            let office = match Office::open(ctx, target).await {
                Ok(office) => office,
                Err(fact) => {
                    return Glance {
                        facts: vec![fact],
                        undo: None,
                    };
                }
            };
            let mut facts = vec![match office.connections().await {
                Ok(open) => noted("sessions", format!("{} open before the cut", open.len())),
                Err(fact) => fact,
            }];
            // An account that was locked before has nothing to save.
            let open = office.accounts.into_iter().filter(|account| !account.locked);
            let saved = Saved {
                accounts: open.map(|account| (account.user, account.host)).collect(),
            };
            if saved.accounts.is_empty() {
                return Glance { facts, undo: None };
            }
            facts.push(seen_alive("record"));
            let undo = serde_json::to_vec(&saved).ok();
            Glance { facts, undo }
        })
    }

    fn cut<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let mut facts = Vec::new();
            let done = async {
                let office = Office::open(ctx, target).await?;
                for account in office.accounts.iter().filter(|account| !account.locked) {
                    let sql = format!("ALTER USER {} ACCOUNT LOCK", account.quoted());
                    facts.push(match office.desk.say(&sql).await {
                        Ok(_) => Fact::Accepted { status: 0 },
                        // It was dropped in the meantime.
                        Err(NetError::Refused(text)) if text.starts_with("1396:") => {
                            Fact::AlreadyDone { status: 0 }
                        }
                        Err(error) => super::desk::failed(ctx, &error),
                    });
                }
                if facts.is_empty() {
                    let seen = !office.accounts.is_empty() || was_alive(ctx.earlier, "record");
                    facts.push(match seen {
                        true => Fact::AlreadyDone { status: 0 },
                        false => not_tried("no account of these names was seen, now or before"),
                    });
                }
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
            let done = async { Office::open(ctx, target).await?.end_connections(&mut facts).await };
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
                facts.push(match office.accounts.is_empty() {
                    false => Fact::ReadBack {
                        dead: office.accounts.iter().all(|account| account.locked),
                    },
                    true if was_alive(ctx.earlier, "record") => Fact::ReadBack { dead: true },
                    true => not_tried("there is no such account, and none was seen before the cut"),
                });
                facts.push(listed(office.connections().await?.len()));
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
            let done = async {
                let office = Office::open(ctx, target).await?;
                let mut facts = Vec::new();
                for (user, host) in &saved.accounts {
                    let sql = format!("ALTER USER {} ACCOUNT UNLOCK", accounts::quoted(user, host));
                    facts.push(match office.desk.ask(&sql).await {
                        Ok(_) => Fact::Accepted { status: 0 },
                        Err(fact) => fact,
                    });
                }
                let now = Office::open(ctx, target).await?;
                let back = |(user, host): &(String, String)| {
                    let same = |a: &&Account| a.user == *user && a.host == *host;
                    now.accounts.iter().find(same).is_some_and(|a| !a.locked)
                };
                facts.push(Fact::ReadBack {
                    dead: !saved.accounts.iter().all(back),
                });
                Ok(facts)
            };
            done.await.unwrap_or_else(|fact: Fact| vec![fact])
        })
    }

    fn armed<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let done = async {
                let office = Office::open(ctx, target).await?;
                let rights = Rights::read(&office.desk).await?;
                Ok(match () {
                    () if office.accounts.is_empty() => error("there is no such account"),
                    () if office.accounts.iter().any(|a| a.user == office.me) => {
                        error("the responder's own login is this user")
                    }
                    () if rights.any(&["CREATE USER"]) && rights.any(&["PROCESS"]) && rights.may_kill() => {
                        noted(
                            "armed",
                            "the responder's login may lock the account and kill its connections",
                        )
                    }
                    () => error(
                        "the responder's login needs CREATE USER, PROCESS and CONNECTION ADMIN (or SUPER)",
                    ),
                })
            };
            vec![done.await.unwrap_or_else(|fact: Fact| fact)]
        })
    }
}
