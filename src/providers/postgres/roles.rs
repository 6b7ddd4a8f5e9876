//! The roles that are meant, their backends and what they left behind.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use super::members::Edge;
use super::some_ended;
use crate::model::fact::Fact;
use crate::model::grant::Target;
use crate::model::secret::Secret;
use crate::providers::desk::{
    Desk, Names, cell, ended, error, failed, first, listed, noted, residual, responders,
};
use crate::providers::{Ctx, renewed};
use crate::world::NetError;

/// How long ended backends are waited for, and how often they are looked for.
const ENDING: (Duration, Duration) = (Duration::from_secs(3), Duration::from_millis(50));
/// Label of the facts that remember which OID a role had.
const ROLE: &str = "role";

/// One role as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Role {
    pub oid: u32,
    pub name: String,
    pub login: bool,
    pub limit: i64,
}

/// What the cut changes, as it was.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Saved {
    pub roles: Vec<Role>,
    pub members: Vec<Edge>,
}

impl Role {
    /// The fact by which its backends are found when it is gone.
    pub fn remembered(&self) -> Fact {
        noted(ROLE, format!("{} {}", self.oid, self.name))
    }
}

/// The responder's session, the roles that are meant, and those that were meant and are gone.
pub(super) struct Office<'a> {
    pub desk: Desk<'a>,
    pub roles: Vec<Role>,
    /// Name by OID of every role seen now or before.
    pub known: BTreeMap<u32, String>,
}

impl<'a> Office<'a> {
    /// Logs in as the responder and finds the roles, or gives the fact that says why not.
    pub async fn open(ctx: Ctx<'a>, target: &'a Target) -> Result<Self, Fact> {
        let desk = open(ctx, None).await?;
        let names = Names::of(target, "role", "roles");
        let mut known = remembered(ctx);
        let services = renewed(ctx.earlier);
        let sql = "SELECT oid, rolname, rolcanlogin, rolconnlimit, rolname IN (current_user, session_user) \
                   FROM pg_catalog.pg_roles ORDER BY oid";
        let mut roles = Vec::new();
        for row in desk.ask(sql).await? {
            let (Some(oid), Some(name)) = (number(cell(&row, 0)), cell(&row, 1)) else {
                continue;
            };
            // A pattern never means the responder's own login; its exact name does.
            let own = cell(&row, 4) == Some("t") && !names.exactly(name);
            // A service's new login is not the agent's, whatever it is called.
            let own = own || services.contains(&name);
            if (names.has(name) && !own) || known.contains_key(&oid) {
                roles.push(Role {
                    oid,
                    name: name.to_owned(),
                    login: cell(&row, 2) == Some("t"),
                    limit: cell(&row, 3).and_then(|n| n.parse().ok()).unwrap_or(-1),
                });
            }
        }
        known.extend(roles.iter().map(|role| (role.oid, role.name.clone())));
        Ok(Office { desk, roles, known })
    }

    /// The roles' OIDs as a list for SQL; never empty.
    pub fn oids(&self) -> String {
        let all: Vec<String> = self.known.keys().map(u32::to_string).collect();
        match all.is_empty() {
            true => "0".to_owned(),
            false => all.join(", "),
        }
    }

    /// The condition that the OID in this column is one of ours. Where no role was ever seen, it is any
    /// OID that belongs to no role: the server no longer says whose that was.
    fn ours(&self, column: &str) -> String {
        match self.known.is_empty() {
            false => format!("{column} IN ({})", self.oids()),
            true => format!("{column} NOT IN (SELECT oid FROM pg_catalog.pg_roles)"),
        }
    }

    fn activity(&self) -> String {
        format!(
            "pg_catalog.pg_stat_activity a WHERE a.pid <> pg_catalog.pg_backend_pid() AND {}",
            self.ours("a.usesysid")
        )
    }

    /// Process ids of the roles' backends.
    pub async fn backends(&self) -> Result<Vec<u32>, Fact> {
        let rows = self
            .desk
            .ask(&format!("SELECT a.pid FROM {}", self.activity()))
            .await?;
        Ok(rows.iter().filter_map(|row| number(cell(row, 0))).collect())
    }

    /// Ends the backends and waits for them to be gone.
    pub async fn end_backends(&self, facts: &mut Vec<Fact>) -> Result<(), Fact> {
        let found = self.backends().await?;
        facts.push(listed(found.len()));
        if found.is_empty() {
            return Ok(());
        }
        if self.known.is_empty() {
            facts.push(noted(
                "sessions",
                "those of every role that no longer exists: the server does not say which role it was",
            ));
        }
        let sql = format!(
            "SELECT pg_catalog.pg_terminate_backend(a.pid) FROM {}",
            self.activity()
        );
        let told = match self.desk.say(&sql).await {
            Ok(rows) => rows,
            // One that we may not end keeps the whole statement from ending any.
            Err(NetError::Refused(text)) => {
                facts.push(failed(self.desk.ctx, &NetError::Refused(text)));
                let mut rows = Vec::new();
                for pid in &found {
                    let one = format!("{sql} AND a.pid = {pid}");
                    rows.extend(self.desk.say(&one).await.into_iter().flatten());
                }
                rows
            }
            Err(error) => return Err(failed(self.desk.ctx, &error)),
        };
        let count = told.iter().filter(|row| cell(row, 0) == Some("t")).count();
        facts.push(ended(count));
        if count == 0 {
            facts.push(listed(self.backends().await?.len()));
            return Ok(());
        }
        let clock = &self.desk.ctx.world.clock;
        let started = clock.now().mono_us;
        loop {
            let left = self.backends().await?.len();
            let spent = Duration::from_micros(clock.now().mono_us.saturating_sub(started));
            if left == 0 || spent > ENDING.0 {
                facts.push(listed(left));
                return Ok(());
            }
            clock.sleep(ENDING.1).await;
        }
    }

    /// Rolls back what the roles left prepared, in each database that holds some of it.
    pub async fn end_prepared(&self, facts: &mut Vec<Fact>) -> Result<(), Fact> {
        let sql = format!(
            "SELECT x.gid, d.datname, d.datname = pg_catalog.current_database() \
             FROM pg_catalog.pg_prepared_xact() x JOIN pg_catalog.pg_database d ON d.oid = x.dbid \
             WHERE {} ORDER BY d.datname",
            self.ours("x.ownerid")
        );
        let mut count = 0;
        let mut elsewhere: BTreeMap<String, Result<Desk<'_>, Fact>> = BTreeMap::new();
        for row in self.desk.ask(&sql).await? {
            let (Some(gid), Some(database)) = (cell(&row, 0), cell(&row, 1)) else {
                continue;
            };
            let rollback = format!("ROLLBACK PREPARED {}", literal(gid));
            let outcome = if cell(&row, 2) == Some("t") {
                self.desk.ask(&rollback).await
            } else {
                if !elsewhere.contains_key(database) {
                    let there = open(self.desk.ctx, Some(database)).await;
                    elsewhere.insert(database.to_owned(), there);
                }
                match elsewhere.get(database) {
                    Some(Ok(desk)) => desk.ask(&rollback).await,
                    Some(Err(fact)) => Err(fact.clone()),
                    None => continue,
                }
            };
            let what = format!(
                "prepared transaction {gid} in database {database}: connect there and run {rollback}"
            );
            let reported = |o: &crate::model::fact::Observed| matches!(&o.fact, Fact::InFlight { what: w } if *w == what);
            match outcome {
                Ok(_) => {
                    count += 1;
                    if self.desk.ctx.earlier.iter().any(reported) {
                        facts.push(Fact::Over { what });
                    }
                }
                Err(fact) => facts.extend([fact, Fact::InFlight { what }]),
            }
        }
        some_ended(facts, count);
        Ok(())
    }

    /// What a cut role leaves that no session shows: slots, passwords for other servers, jobs.
    pub async fn leftovers(&self) -> Result<Vec<Fact>, Fact> {
        let oids = self.oids();
        let sql = format!(
            "SELECT s.slot_name FROM pg_catalog.pg_replication_slots s WHERE EXISTS \
             (SELECT 1 FROM pg_catalog.pg_roles WHERE oid IN ({oids}) AND rolreplication) ORDER BY 1"
        );
        let mut facts = self.strangers().await?;
        for row in self.desk.ask(&sql).await? {
            let slot = cell(&row, 0).unwrap_or_default();
            facts.push(residual(format!(
                "replication slot {slot} may be the role's: it keeps WAL until SELECT pg_drop_replication_slot({})",
                literal(slot)
            )));
        }
        let sql = format!(
            "SELECT usename, srvname FROM pg_catalog.pg_user_mappings WHERE umuser IN ({oids}) ORDER BY 1, 2"
        );
        for row in self.desk.ask(&sql).await? {
            if let (Some(role), Some(server)) = (cell(&row, 0), cell(&row, 1)) {
                facts.push(residual(format!(
                    "role {role} has a user mapping for server {server} and could read the password in it: change it there"
                )));
            }
        }
        if first(
            &self.desk.ask("SELECT pg_catalog.to_regclass('cron.job')").await?,
            0,
        )
        .is_some()
        {
            let names: Vec<String> = self.known.values().map(|name| literal(name)).collect();
            let sql = format!(
                "SELECT jobid, username FROM cron.job WHERE active AND username IN ({}) ORDER BY jobid",
                if names.is_empty() {
                    "NULL".to_owned()
                } else {
                    names.join(", ")
                }
            );
            // Who may not read the jobs is told so by the trigger `postgres-cron`.
            for row in self.desk.say(&sql).await.unwrap_or_default() {
                if let (Some(job), Some(role)) = (cell(&row, 0), cell(&row, 1)) {
                    facts.push(Fact::Revives {
                        what: format!(
                            "pg_cron job {job} of {role}, unless `postgres-cron` switches it off as a trigger"
                        ),
                        until_ms: None,
                    });
                }
            }
        }
        Ok(facts)
    }

    /// Sessions of dropped roles that were never seen: the agent's, where its lease was revoked before we came.
    async fn strangers(&self) -> Result<Vec<Fact>, Fact> {
        if self.known.is_empty() {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT a.pid FROM pg_catalog.pg_stat_activity a WHERE a.usesysid NOT IN ({}) \
             AND a.usesysid NOT IN (SELECT oid FROM pg_catalog.pg_roles) ORDER BY 1",
            self.oids()
        );
        let rows = self.desk.ask(&sql).await?;
        let pids: Vec<&str> = rows.iter().filter_map(|row| cell(row, 0)).collect();
        let what = format!(
            "sessions {} run in roles that no longer exist, and the server does not say whose they were: if one is the \
             agent's, SELECT pg_terminate_backend(pid)",
            pids.join(", ")
        );
        Ok((!pids.is_empty()).then(|| residual(what)).into_iter().collect())
    }

    /// Why the responder's login may not cut this role; `None` where it may.
    pub async fn may_cut(&self, role: &Role) -> Result<Option<String>, Fact> {
        let sql = format!(
            "SELECT me.rolsuper OR (me.rolcreaterole AND NOT it.rolsuper \
             AND (pg_catalog.current_setting('server_version_num')::int < 160000 \
             OR pg_catalog.pg_has_role(current_user, it.oid, 'MEMBER WITH ADMIN OPTION')) \
             AND pg_catalog.pg_has_role(current_user, 'pg_signal_backend', 'MEMBER')), it.rolname = current_user \
             FROM pg_catalog.pg_roles me, pg_catalog.pg_roles it \
             WHERE me.rolname = current_user AND it.oid = {}",
            role.oid
        );
        let rows = self.desk.ask(&sql).await?;
        Ok(match () {
            () if first(&rows, 1) == Some("t") => Some("the responder's own login is this role".to_owned()),
            () if first(&rows, 0) == Some("t") => None,
            () => Some("the responder's login needs CREATEROLE and pg_signal_backend".to_owned()),
        })
    }

    /// Gives back what was saved, and reads it back.
    pub async fn give_back(&self, saved: &Saved) -> Vec<Fact> {
        let mut facts = Vec::new();
        let mut alike = true;
        for was in &saved.roles {
            let Some(now) = self.roles.iter().find(|role| role.oid == was.oid) else {
                alike = false;
                facts.push(error(format!(
                    "role {} was dropped since, or made anew: it is not given back",
                    was.name
                )));
                continue;
            };
            let login = if was.login { "LOGIN" } else { "NOLOGIN" };
            let name = identifier(&now.name);
            let sql = format!("ALTER ROLE {name} {login} CONNECTION LIMIT {}", was.limit);
            facts.push(match self.desk.ask(&sql).await {
                Ok(_) => Fact::Accepted { status: 0 },
                Err(fact) => fact,
            });
        }
        for edge in &saved.members {
            if let Err(fact) = self.desk.ask(&edge.grant()).await {
                facts.push(fact);
            }
        }
        let oids: Vec<String> = saved.roles.iter().map(|role| role.oid.to_string()).collect();
        let sql = format!(
            "SELECT oid, rolcanlogin, rolconnlimit FROM pg_catalog.pg_roles WHERE oid IN (0{}{})",
            if oids.is_empty() { "" } else { ", " },
            oids.join(", ")
        );
        match (self.desk.ask(&sql).await, self.members().await) {
            (Ok(rows), Ok(members)) => {
                let back = |was: &Role| {
                    rows.iter().any(|row| {
                        number(cell(row, 0)) == Some(was.oid)
                            && (cell(row, 1) == Some("t")) == was.login
                            && cell(row, 2) == Some(was.limit.to_string().as_str())
                    })
                };
                alike &= saved.members.iter().all(|edge| members.contains(edge));
                let back = saved.roles.iter().all(back);
                facts.push(Fact::ReadBack { dead: !back });
                facts.push(match alike && back {
                    true => noted("restored", "as it was before the cut"),
                    false => error("what was given back is not all as it was before the cut"),
                });
            }
            (Err(fact), _) | (_, Err(fact)) => facts.push(fact),
        }
        facts
    }
}

/// Logs in as the responder, in another database where one is named.
pub(super) async fn open<'a>(ctx: Ctx<'a>, database: Option<&str>) -> Result<Desk<'a>, Fact> {
    let auth = responders(ctx)?;
    let elsewhere = |database: &str| {
        let mut url = Url::parse(auth.expose()).ok()?;
        url.path_segments_mut().ok()?.clear().push(database);
        Some(Secret::new(url.to_string()))
    };
    let desk = match database.map(elsewhere) {
        None => Desk::open_at(ctx, auth).await?,
        Some(Some(url)) => Desk::open_at(ctx, &url).await?,
        Some(None) => {
            return Err(error(
                "another database can be reached only where the responder's credential is a URL",
            ));
        }
    };
    // Our literals double their quotes and nothing else, which is right only under this setting.
    desk.ask("SET standard_conforming_strings = on; SET statement_timeout = '10s'")
        .await?;
    Ok(desk)
}

/// The roles that were seen before, in this call's glance or an earlier sweep's.
fn remembered(ctx: Ctx<'_>) -> BTreeMap<u32, String> {
    let saved = ctx
        .saved
        .and_then(|bytes| serde_json::from_slice::<Saved>(bytes).ok());
    let saved = saved.into_iter().flat_map(|saved| saved.roles);
    let mut known: BTreeMap<u32, String> = saved.map(|role| (role.oid, role.name)).collect();
    for observed in ctx.earlier {
        if let Fact::Noted { label, text } = &observed.fact
            && label == ROLE
            && let Some((oid, name)) = text.split_once(' ')
            && let Some(oid) = number(Some(oid))
        {
            known.insert(oid, name.to_owned());
        }
    }
    known
}

fn number(text: Option<&str>) -> Option<u32> {
    text?.parse().ok()
}

/// An identifier, quoted.
pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A string literal, quoted for `standard_conforming_strings`.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
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
