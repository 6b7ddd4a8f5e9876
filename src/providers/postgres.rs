//! PostgreSQL roles: no new login, every open backend ended, prepared transactions named.
//!
//! `NOLOGIN` alone stops nothing that is already connected, and dropping a role stops not even its
//! running statement; so the backends are ended, those of dropped roles among them, and the session
//! opened before the cut is tried again.

use std::time::Duration;

use regex::Regex;
use serde::{Deserialize, Serialize};
use url::Url;

use super::scrub::scrub;
use super::{About, Adapter, Ctx, OpenSession, Opened, ProvedBy, not_tried, seen_alive, was_alive, with};
use crate::model::fact::{Fact, Glance};
use crate::model::grant::Target;
use crate::model::secret::Secret;
use crate::world::sql::{Rows, SqlSession};
use crate::world::{Later, NetError};

/// Limit for opening a session, and for one statement.
const LIMIT: Duration = Duration::from_secs(10);
/// How long ended backends are waited for, and how often they are looked for.
const ENDING: (Duration, Duration) = (Duration::from_secs(3), Duration::from_millis(50));

/// The adapter `postgres`.
pub(super) struct Postgres;

/// What the cut changes, as it was.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    login: bool,
    limit: i64,
    until: Option<String>,
}

/// The responder's session for one call of the adapter.
struct Desk<'a> {
    ctx: Ctx<'a>,
    role: &'a str,
    session: Box<dyn SqlSession>,
}

impl<'a> Desk<'a> {
    /// Logs in as the responder, or gives the fact that says why not.
    async fn open(ctx: Ctx<'a>, target: &'a Target) -> Result<Self, Fact> {
        let Some(role) = with(target).get("role") else {
            return Err(not_tried("`with` has no `role`"));
        };
        let Some(auth) = ctx.auth else {
            return Err(not_tried("no credential of the responder is at hand"));
        };
        let session = ctx
            .world
            .sql
            .open(auth, LIMIT)
            .await
            .map_err(|e| failed(ctx, &e))?;
        let desk = Desk { ctx, role, session };
        // Our literals double their quotes and nothing else, which is right only under this setting.
        desk.ask("SET standard_conforming_strings = on; SET statement_timeout = '10s'")
            .await?;
        Ok(desk)
    }

    async fn ask(&self, sql: &str) -> Result<Rows, Fact> {
        match ask(self.ctx, &*self.session, sql).await {
            Ok(rows) => Ok(rows),
            Err(error) => Err(failed(self.ctx, &error)),
        }
    }

    /// The role as it is now, `None` where there is none.
    async fn record(&self) -> Result<Option<Saved>, Fact> {
        let sql = format!(
            "SELECT rolcanlogin, rolconnlimit, rolvaliduntil FROM pg_catalog.pg_roles WHERE rolname = {}",
            literal(self.role)
        );
        let rows = self.ask(&sql).await?;
        let cell = |n: usize| rows.first().and_then(|row| row.get(n)).cloned().flatten();
        Ok((!rows.is_empty()).then(|| Saved {
            login: cell(0).as_deref() == Some("t"),
            limit: cell(1).and_then(|n| n.parse().ok()).unwrap_or(-1),
            until: cell(2),
        }))
    }

    /// Process ids of the role's backends. Where the role is gone: of every backend whose role is gone,
    /// for the server no longer says which role it was.
    async fn backends(&self) -> Result<Vec<String>, Fact> {
        let role = literal(self.role);
        let sql = format!(
            "SELECT a.pid FROM pg_catalog.pg_stat_activity a \
             WHERE a.pid <> pg_catalog.pg_backend_pid() AND a.usesysid IS NOT NULL AND (a.usename = {role} \
             OR (NOT EXISTS (SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = {role}) \
             AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_roles WHERE oid = a.usesysid)))"
        );
        let rows = self.ask(&sql).await?;
        Ok(rows
            .into_iter()
            .filter_map(|row| row.into_iter().next().flatten())
            .collect())
    }

    /// Ends the backends and waits for them to be gone.
    async fn end_backends(&self, facts: &mut Vec<Fact>) -> Result<(), Fact> {
        let found = self.backends().await?;
        facts.push(listed(&found));
        if found.is_empty() {
            return Ok(());
        }
        let pids = found.join(", ");
        let sql =
            format!("SELECT pg_catalog.pg_terminate_backend(pid) FROM unnest(ARRAY[{pids}]::int[]) pid");
        let told = self.ask(&sql).await?;
        let count = told
            .iter()
            .filter(|row| row.first() == Some(&Some("t".to_owned())))
            .count();
        facts.push(Fact::Ended {
            count: u32::try_from(count).unwrap_or(u32::MAX),
        });
        let clock = &self.ctx.world.clock;
        let started = clock.now().mono_us;
        loop {
            let left = self.backends().await?;
            let spent = Duration::from_micros(clock.now().mono_us.saturating_sub(started));
            if left.is_empty() || spent > ENDING.0 {
                facts.push(listed(&left));
                return Ok(());
            }
            clock.sleep(ENDING.1).await;
        }
    }

    /// Rolls back what the role left prepared in this database, and names what lies in others.
    async fn end_prepared(&self, facts: &mut Vec<Fact>) -> Result<(), Fact> {
        let role = literal(self.role);
        let sql = format!(
            "SELECT gid, database, database = pg_catalog.current_database() FROM pg_catalog.pg_prepared_xacts \
             WHERE owner = {role} OR (owner IS NULL \
             AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = {role}))"
        );
        for row in self.ask(&sql).await? {
            let [Some(gid), Some(database), here] = row.as_slice() else {
                continue;
            };
            if here.as_deref() == Some("t") {
                match self.ask(&format!("ROLLBACK PREPARED {}", literal(gid))).await {
                    Ok(_) => facts.push(Fact::Ended { count: 1 }),
                    Err(fact) => facts.push(fact),
                }
            } else {
                facts.push(Fact::InFlight {
                    what: format!(
                        "prepared transaction {gid} in database {database}: connect there and run ROLLBACK \
                         PREPARED {}",
                        literal(gid)
                    ),
                });
            }
        }
        Ok(())
    }

    /// Logins that may become the role without its password.
    async fn members(&self) -> Result<Vec<Fact>, Fact> {
        let sql = format!(
            "SELECT m.rolname FROM pg_catalog.pg_auth_members a \
             JOIN pg_catalog.pg_roles m ON m.oid = a.member JOIN pg_catalog.pg_roles r ON r.oid = a.roleid \
             WHERE r.rolname = {} AND m.rolcanlogin AND m.rolname <> current_user ORDER BY 1",
            literal(self.role)
        );
        let name = |row: Vec<Option<String>>| row.into_iter().next().flatten();
        let names = self.ask(&sql).await?.into_iter().filter_map(name);
        Ok(names
            .map(|member| Fact::Residual {
                what: format!(
                    "login {member} is a member and can still become {} with SET ROLE",
                    self.role
                ),
                until_ms: None,
            })
            .collect())
    }
}

/// How a person does it by hand.
const MANUAL: &str = "psql: ALTER ROLE … NOLOGIN CONNECTION LIMIT 0; SELECT pg_terminate_backend(pid) \
                      FROM pg_stat_activity WHERE usename = '…'";

/// One statement within its limit.
async fn ask(ctx: Ctx<'_>, session: &dyn SqlSession, sql: &str) -> Result<Rows, NetError> {
    match ctx.world.timeout(LIMIT, session.query(sql)).await {
        Some(outcome) => outcome,
        None => Err(NetError::Silent(LIMIT)),
    }
}

fn failed(ctx: Ctx<'_>, error: &NetError) -> Fact {
    match error {
        NetError::Silent(after) => Fact::Silent {
            after_ms: u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
        },
        other => Fact::Error {
            status: 0,
            text: scrub(&other.to_string(), ctx.auth.into_iter().chain(ctx.secret)),
        },
    }
}

fn listed(pids: &[String]) -> Fact {
    Fact::Listed {
        live: u32::try_from(pids.len()).unwrap_or(u32::MAX),
    }
}

/// An identifier, quoted.
fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A string literal, quoted for `standard_conforming_strings`.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The address the agent logs in with: its own, or the responder's with the role and the bare password.
fn agents_url(ctx: Ctx<'_>, target: &Target) -> Result<Secret, Fact> {
    let secret = ctx
        .secret
        .ok_or_else(|| not_tried("the agent's own secret is not at hand"))?;
    if secret.expose().starts_with("postgres://") || secret.expose().starts_with("postgresql://") {
        return Ok(Secret::new(secret.expose().to_owned()));
    }
    let made = || {
        let mut url = Url::parse(ctx.auth?.expose()).ok()?;
        url.set_username(with(target).get("role")?).ok()?;
        url.set_password(Some(secret.expose())).ok()?;
        Some(Secret::new(url.to_string()))
    };
    made().ok_or_else(|| {
        not_tried("a bare password can be tried only where the responder's credential is a URL")
    })
}

/// What a login that did not succeed says about the role.
fn refusal(ctx: Ctx<'_>, error: &NetError) -> Fact {
    let NetError::Refused(text) = error else {
        return failed(ctx, error);
    };
    let about_the_role = text.contains("is not permitted to log in")
        || text.contains("too many connections for role")
        || (text.starts_with("28") && text.contains("role \"") && text.contains("does not exist"));
    let password = text.starts_with("28P01");
    match () {
        () if about_the_role => Fact::TriedNew { refused: true },
        () if password && was_alive(ctx.earlier, "use") => Fact::TriedNew { refused: true },
        () if password => not_tried("the password is refused, and was not seen to work before the cut"),
        // The server knew the credential and refused something else, or could not judge it at all.
        () => failed(ctx, error),
    }
}

impl Adapter for Postgres {
    fn name(&self) -> &str {
        "postgres"
    }

    fn title(&self) -> &str {
        "PostgreSQL role: no login, its sessions ended"
    }

    fn about(&self) -> About {
        let words = |all: &[&str]| all.iter().map(|w| (*w).to_owned()).collect();
        About {
            kinds: words(&["role with password, certificate or any other login"]),
            proved_by: ProvedBy::RealServer,
            permissions: words(&["CREATEROLE, or ADMIN on the role", "pg_signal_backend"]),
            needs: vec![("role".to_owned(), "name of the role".to_owned())],
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
        let given = with(target);
        let lacking =
            (!given.contains_key("role")).then(|| "`with` has no `role` (name of the role)".to_owned());
        let unknown = given.keys().filter(|key| *key != "role");
        let unknown = unknown.map(|key| format!("`postgres` does not know `{key}`"));
        lacking.into_iter().chain(unknown).collect()
    }

    fn shapes(&self) -> &[Regex] {
        &[]
    }

    fn open<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Opened> {
        Box::pin(async move {
            let url = match agents_url(ctx, target) {
                Ok(url) => url,
                Err(fact) => {
                    return Opened {
                        session: None,
                        facts: vec![fact],
                    };
                }
            };
            match ctx.world.sql.open(&url, LIMIT).await {
                Ok(session) => Opened {
                    session: Some(OpenSession(session)),
                    facts: vec![seen_alive("use")],
                },
                Err(error) => Opened {
                    session: None,
                    facts: vec![failed(ctx, &error)],
                },
            }
        })
    }

    fn glance<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Glance> {
        Box::pin(async move {
            let seen = async {
                let desk = Desk::open(ctx, target).await?;
                let saved = desk.record().await?;
                let backends = desk.backends().await?.len();
                Ok((saved, backends))
            };
            let (saved, backends) = match seen.await {
                Ok(seen) => seen,
                Err(fact) => {
                    return Glance {
                        facts: vec![fact],
                        undo: None,
                    };
                }
            };
            let mut facts = vec![Fact::Noted {
                label: "sessions".to_owned(),
                text: format!("{backends} open before the cut"),
            }];
            // A role that was cut before has nothing to save: its earlier state is on record already.
            let saved = saved.filter(|s| s.login);
            facts.extend(saved.as_ref().map(|_| seen_alive("record")));
            let undo = saved.and_then(|s| serde_json::to_vec(&s).ok());
            Glance { facts, undo }
        })
    }

    fn cut<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let mut facts = Vec::new();
            let done = async {
                let desk = Desk::open(ctx, target).await?;
                let sql = format!("ALTER ROLE {} NOLOGIN CONNECTION LIMIT 0", identifier(desk.role));
                match ask(ctx, &*desk.session, &sql).await {
                    Ok(_) => facts.push(Fact::Accepted { status: 0 }),
                    Err(NetError::Refused(text)) if text.starts_with("42704") => {
                        facts.push(Fact::AlreadyDone { status: 0 });
                    }
                    Err(error) => return Err(failed(ctx, &error)),
                }
                facts.extend(desk.members().await?);
                Ok(())
            };
            if let Err(fact) = done.await {
                let unsent = matches!(fact, Fact::NotTried { .. });
                facts.push(fact);
                if unsent {
                    facts.push(Fact::Manual {
                        how: MANUAL.to_owned(),
                    });
                }
            }
            facts
        })
    }

    fn sessions<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let mut facts = Vec::new();
            let done = async {
                let desk = Desk::open(ctx, target).await?;
                desk.end_backends(&mut facts).await?;
                desk.end_prepared(&mut facts).await
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
                let desk = Desk::open(ctx, target).await?;
                match desk.record().await? {
                    Some(role) => facts.push(Fact::ReadBack { dead: !role.login }),
                    None if was_alive(ctx.earlier, "record") => facts.push(Fact::ReadBack { dead: true }),
                    None => facts.push(not_tried(
                        "there is no such role, and none was seen before the cut",
                    )),
                }
                facts.push(listed(&desk.backends().await?));
                Ok(())
            };
            let looked: Result<(), Fact> = looked.await;
            facts.extend(looked.err());
            match agents_url(ctx, target) {
                Ok(url) => match ctx.world.sql.open(&url, LIMIT).await {
                    Ok(_) => facts.push(Fact::TriedNew { refused: false }),
                    Err(error) => facts.push(refusal(ctx, &error)),
                },
                Err(fact) => facts.push(fact),
            }
            if let Some(OpenSession(session)) = ctx.open {
                facts.push(match ask(ctx, &**session, "SELECT 1").await {
                    Err(NetError::Lost(_)) => Fact::TriedOpen { refused: true },
                    Err(error @ NetError::Silent(_)) => failed(ctx, &error),
                    // An answer of any kind is an open session.
                    Ok(_) | Err(_) => Fact::TriedOpen { refused: false },
                });
            }
            facts
        })
    }

    fn restore<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target, undo: &'a [u8]) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let Ok(saved) = serde_json::from_slice::<Saved>(undo) else {
                return vec![not_tried("what was saved before the cut cannot be read")];
            };
            let done = async {
                let desk = Desk::open(ctx, target).await?;
                let login = if saved.login { "LOGIN" } else { "NOLOGIN" };
                let name = identifier(desk.role);
                desk.ask(&format!(
                    "ALTER ROLE {name} {login} CONNECTION LIMIT {}",
                    saved.limit
                ))
                .await?;
                let role = desk.record().await?;
                Ok(vec![
                    Fact::Accepted { status: 0 },
                    Fact::ReadBack {
                        dead: role.is_none_or(|r| !r.login),
                    },
                ])
            };
            done.await.unwrap_or_else(|fact: Fact| vec![fact])
        })
    }

    fn armed<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let done = async {
                let desk = Desk::open(ctx, target).await?;
                let role = literal(desk.role);
                let sql = format!(
                    "SELECT me.rolsuper OR (me.rolcreaterole AND NOT it.rolsuper AND \
                     pg_catalog.pg_has_role(current_user, 'pg_signal_backend', 'MEMBER')), it.rolname = current_user \
                     FROM pg_catalog.pg_roles me, pg_catalog.pg_roles it \
                     WHERE me.rolname = current_user AND it.rolname = {role}"
                );
                let rows = desk.ask(&sql).await?;
                let yes = |n: usize| rows.first().and_then(|r| r.get(n)) == Some(&Some("t".to_owned()));
                let refused = |text: &str| Fact::Error {
                    status: 0,
                    text: text.to_owned(),
                };
                Ok(match () {
                    () if rows.is_empty() => refused("there is no such role"),
                    () if yes(1) => refused("the responder's own login is this role"),
                    () if yes(0) => Fact::Noted {
                        label: "armed".to_owned(),
                        text: "the responder's login may alter the role and end its sessions".to_owned(),
                    },
                    () => refused("the responder's login needs CREATEROLE and pg_signal_backend"),
                })
            };
            vec![done.await.unwrap_or_else(|fact: Fact| fact)]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_become_statements() {
        assert_eq!(identifier("a\"; DROP ROLE b; --"), "\"a\"\"; DROP ROLE b; --\"");
        assert_eq!(literal("a'; DROP ROLE b; --"), "'a''; DROP ROLE b; --'");
    }
}
