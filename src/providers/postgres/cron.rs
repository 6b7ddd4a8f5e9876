//! pg_cron jobs: switched off without being unscheduled, running ones ended.
//!
//! `NOLOGIN` keeps a job from running and leaves it scheduled: it would go on as soon as the role is
//! given back.

use std::time::Duration;

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::roles::open;
use crate::model::fact::{Fact, Glance};
use crate::model::grant::Target;
use crate::providers::desk::{
    Desk, Names, cell, ended, error, first, listed, noted, or_by_hand, unknown_keys,
};
use crate::providers::{About, Adapter, Ctx, Opened, ProvedBy, not_tried, seen_alive, was_alive, with};
use crate::world::{Later, NetError};

/// The adapter `postgres-cron`.
pub(in crate::providers) struct PostgresCron;

const MANUAL: &str = "psql, in the database of pg_cron: SELECT cron.alter_job(jobid, active := false) \
                      FROM cron.job WHERE username = '…'";

/// Jobs that were active.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    jobs: Vec<u64>,
}

struct Job {
    id: u64,
    name: Option<String>,
    role: String,
    active: bool,
}

/// The jobs that are meant.
struct Table<'a> {
    desk: Desk<'a>,
    jobs: Vec<Job>,
    /// True where this login sees the jobs of every role.
    all: bool,
}

impl<'a> Table<'a> {
    async fn open(ctx: Ctx<'a>, target: &'a Target) -> Result<Self, Fact> {
        let mut desk = open(ctx, None).await?;
        // Jobs of all databases stand in one; who may not be told in which looks here.
        let sql =
            "SELECT pg_catalog.current_setting('cron.database_name', true), pg_catalog.current_database()";
        if let Ok(rows) = desk.say(sql).await
            && let (Some(there), Some(here)) = (first(&rows, 0), first(&rows, 1))
            && there != here
        {
            desk = open(ctx, Some(there)).await?;
        }
        let sql = "SELECT j.jobid, pg_catalog.to_jsonb(j) ->> 'jobname', j.username, j.active, \
                   pg_catalog.row_security_active('cron.job') FROM cron.job j ORDER BY j.jobid";
        let rows = match desk.say(sql).await {
            Ok(rows) => rows,
            Err(NetError::Refused(text)) if text.starts_with("42P01") || text.starts_with("3F000") => {
                return Err(not_tried("pg_cron is not installed in this database"));
            }
            Err(error) => return Err(crate::providers::desk::failed(ctx, &error)),
        };
        let all = desk
            .ask("SELECT NOT pg_catalog.row_security_active('cron.job')")
            .await?;
        let all = first(&all, 0) == Some("t");
        let names = Names::of(target, "role", "roles");
        let wanted = with(target).get("job");
        let jobs = rows.iter().filter_map(|row| {
            let job = Job {
                id: cell(row, 0)?.parse().ok()?,
                name: cell(row, 1).map(str::to_owned),
                role: cell(row, 2)?.to_owned(),
                active: cell(row, 3) == Some("t"),
            };
            let meant = match wanted {
                Some(wanted) => job.name.as_ref() == Some(wanted) || job.id.to_string() == *wanted,
                None => names.has(&job.role),
            };
            meant.then_some(job)
        });
        let jobs = jobs.collect();
        Ok(Table { desk, jobs, all })
    }

    fn active(&self) -> impl Iterator<Item = &Job> {
        self.jobs.iter().filter(|job| job.active)
    }

    async fn switch(&self, job: u64, on: bool) -> Result<(), Fact> {
        let sql = format!("SELECT cron.alter_job({job}, active := {on})");
        self.desk.ask(&sql).await.map(|_| ())
    }

    /// Runs that are under way; `None` where the server keeps no list of them.
    async fn running(&self, what: &str) -> Result<Option<usize>, Fact> {
        let ids: Vec<String> = self.jobs.iter().map(|job| job.id.to_string()).collect();
        let log = self
            .desk
            .ask("SELECT pg_catalog.current_setting('cron.log_run', true)")
            .await?;
        if ids.is_empty() || first(&log, 0) != Some("on") {
            return Ok(None);
        }
        let sql = format!(
            "SELECT {what} FROM cron.job_run_details d JOIN pg_catalog.pg_stat_activity a \
             ON a.pid = d.job_pid AND a.usename = d.username \
             WHERE d.jobid IN ({}) AND d.status NOT IN ('succeeded', 'failed')",
            ids.join(", ")
        );
        Ok(Some(self.desk.ask(&sql).await?.len()))
    }
}

impl Adapter for PostgresCron {
    fn name(&self) -> &str {
        "postgres-cron"
    }

    fn title(&self) -> &str {
        "pg_cron jobs in PostgreSQL"
    }

    fn about(&self) -> About {
        let words = |list: &[&str]| list.iter().map(|w| (*w).to_owned()).collect();
        let need = |key: &str, what: &str| (key.to_owned(), what.to_owned());
        About {
            kinds: words(&["job of pg_cron (a trigger)"]),
            proved_by: ProvedBy::RealServer,
            permissions: words(&["SUPERUSER, or the role that owns the job"]),
            needs: vec![
                need("job", "number or name of one job"),
                need("role", "or every job of this role"),
                need(
                    "roles",
                    "or of these roles, split at commas; * stands for anything",
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
        let mut wrong = match with(target).contains_key("job") {
            true => Vec::new(),
            false => Names::mistakes(target, "role", "roles"),
        };
        wrong.extend(unknown_keys(self.name(), target, &["job", "role", "roles"]));
        wrong
    }

    fn shapes(&self) -> &[Regex] {
        &[]
    }

    fn open<'a>(&'a self, _: Ctx<'a>, _: &'a Target) -> Later<'a, Opened> {
        Box::pin(async {
            Opened {
                session: None,
                facts: vec![Fact::NoSessions],
            }
        })
    }

    fn glance<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Glance> {
        Box::pin(async move {
            let table = match Table::open(ctx, target).await {
                Ok(table) => table,
                Err(fact) => {
                    return Glance {
                        facts: vec![fact],
                        undo: None,
                    };
                }
            };
            let mut facts: Vec<Fact> = table
                .active()
                .map(|job| {
                    let name = job.name.as_deref().unwrap_or("without a name");
                    noted("job", format!("{} ({name}) of {}", job.id, job.role))
                })
                .collect();
            let jobs: Vec<u64> = table.active().map(|job| job.id).collect();
            if jobs.is_empty() {
                return Glance { facts, undo: None };
            }
            facts.push(seen_alive("record"));
            let undo = serde_json::to_vec(&Saved { jobs }).ok();
            Glance { facts, undo }
        })
    }

    fn cut<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let mut facts = Vec::new();
            let done = async {
                let table = Table::open(ctx, target).await?;
                for job in table.active() {
                    facts.push(match table.switch(job.id, false).await {
                        Ok(()) => Fact::Accepted { status: 0 },
                        Err(fact) => fact,
                    });
                }
                if facts.is_empty() {
                    let seen = !table.jobs.is_empty() || was_alive(ctx.earlier, "record");
                    facts.push(match seen {
                        true => Fact::AlreadyDone { status: 0 },
                        false => not_tried("no such job is visible to the responder's login"),
                    });
                }
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
                let table = Table::open(ctx, target).await?;
                let Some(found) = table.running("1").await? else {
                    return Ok(());
                };
                if found > 0 {
                    facts.push(listed(found));
                    let told = table
                        .running("pg_catalog.pg_terminate_backend(a.pid, 2000)")
                        .await?;
                    facts.push(ended(told.unwrap_or(0)));
                }
                facts.push(listed(table.running("1").await?.unwrap_or(found)));
                Ok(())
            };
            let done: Result<(), Fact> = done.await;
            facts.extend(done.err());
            facts
        })
    }

    fn probe<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let table = match Table::open(ctx, target).await {
                Ok(table) => table,
                Err(fact) => return vec![fact],
            };
            let gone = table.all && was_alive(ctx.earlier, "record");
            vec![match table.jobs.is_empty() {
                false => Fact::ReadBack {
                    dead: table.active().next().is_none(),
                },
                true if gone => Fact::ReadBack { dead: true },
                true => not_tried("no such job is visible to the responder's login"),
            }]
        })
    }

    fn restore<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target, undo: &'a [u8]) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let Ok(saved) = serde_json::from_slice::<Saved>(undo) else {
                return vec![not_tried("what was saved before the cut cannot be read")];
            };
            let done = async {
                let table = Table::open(ctx, target).await?;
                let mut facts = Vec::new();
                for job in &saved.jobs {
                    facts.push(match table.switch(*job, true).await {
                        Ok(()) => Fact::Accepted { status: 0 },
                        Err(fact) => fact,
                    });
                }
                let now = Table::open(ctx, target).await?;
                let back = |id: &u64| now.active().any(|job| job.id == *id);
                facts.push(Fact::ReadBack {
                    dead: !saved.jobs.iter().all(back),
                });
                Ok(facts)
            };
            done.await.unwrap_or_else(|fact: Fact| vec![fact])
        })
    }

    fn armed<'a>(&'a self, ctx: Ctx<'a>, target: &'a Target) -> Later<'a, Vec<Fact>> {
        Box::pin(async move {
            let done = async {
                let table = Table::open(ctx, target).await?;
                let me = table
                    .desk
                    .ask("SELECT rolsuper, rolname FROM pg_catalog.pg_roles WHERE rolname = current_user")
                    .await?;
                let own = table.jobs.iter().all(|job| first(&me, 1) == Some(&job.role));
                Ok(match () {
                    () if table.jobs.is_empty() => error("no such job is visible to the responder's login"),
                    () if own || first(&me, 0) == Some("t") => {
                        noted("armed", "the responder's login may switch the job off")
                    }
                    () => error("the responder's login needs SUPERUSER, or to be the job's own role"),
                })
            };
            vec![done.await.unwrap_or_else(|fact: Fact| fact)]
        })
    }
}
