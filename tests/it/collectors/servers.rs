//! Collectors against real databases, and against HTTP servers of our own.

use std::time::Duration;

use incident::collectors::Limits;
use incident::model::act::CaptureSpec;
use incident::model::event::ItemStatus;
use incident::model::secret::Secret;
use serde_json::Value;

use super::shelf::{LIMITS, of, status, take, with_secret};
use crate::providers::mysql::Maria;
use crate::providers::redis::Redis;
use crate::support::network_world;
use crate::support::servers::Pg;
use crate::support::stub::{Reply, Stub, say};

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_postgres_server_is_read_by_a_login_that_can_only_read() {
    let world = network_world();
    let Some(pg) = Pg::start(&world) else { return };
    pg.run(
        &world,
        "create role reader login password 'made-up' in role pg_monitor; create table orders (id int primary key, what text); \
         insert into orders select g, 'x' from generate_series(1, 1000) g; delete from orders where id > 900; \
         create table hidden (id int); grant select on orders to reader; \
         create table guarded (id int, whose text); insert into guarded values (1, 'reader'), (2, 'ana'); grant select on guarded to reader; \
         alter table guarded enable row level security; create policy own on guarded using (whose = current_user); \
         create table \"held; drop table orders\" (id int); grant select on \"held; drop table orders\" to reader",
    );
    // Somebody, perhaps the agent, is in the middle of changing a table.
    let admin = Secret::new(pg.admin());
    let holder = world
        .wait(world.sql.open(&admin, Duration::from_secs(10)))
        .unwrap()
        .unwrap();
    let lock = "begin; lock table \"held; drop table orders\" in access exclusive mode";
    world.wait(holder.query(lock)).unwrap().unwrap();
    let before = pg.run(&world, CHANGES);
    let spec = with_secret(&world, of("postgres", &[]), "url", &pg.url("reader", "made-up"));
    let (taken, shelf) = take(&world, &spec, LIMITS);
    let rows = lines(&shelf.text("row-counts.jsonl"));
    assert!(
        rows.iter().any(|r| r["table"] == "orders" && r["rows"] == "900"),
        "{rows:?}"
    );
    // A policy would have shown one of two rows; a lock would have held up all. Both are named, and nothing is made up.
    assert_eq!(status(&taken, "row-counts.jsonl"), ItemStatus::Truncated);
    for (table, why) in [
        ("guarded", "row-level security"),
        ("held; drop table orders", "lock timeout"),
    ] {
        let row = rows.iter().find(|r| r["table"] == table).unwrap();
        assert!(
            row["rows"].is_null() && row["why"].as_str().unwrap().contains(why),
            "{row}"
        );
    }
    let sizes = lines(&shelf.text("tables.jsonl"));
    let size = |table: &str| &sizes.iter().find(|r| r["table"] == table).unwrap()["bytes"];
    assert!(
        size("held; drop table orders").is_null() && size("orders").is_string(),
        "{sizes:?}"
    );
    drop(holder);
    let uncounted = lines(&shelf.text("not-counted.jsonl"));
    assert_eq!(
        uncounted[0]["table"], "hidden",
        "what may not be counted is named"
    );
    let columns = lines(&shelf.text("columns.jsonl"));
    assert!(
        columns
            .iter()
            .any(|c| c["table"] == "orders" && c["column"] == "what")
    );
    assert!(shelf.text("indexes.jsonl").contains("orders_pkey"));
    assert!(shelf.text("roles.jsonl").contains("reader"));
    // Without the extension there is nothing to read: said, not left out.
    assert_eq!(status(&taken, "cron-jobs.jsonl"), ItemStatus::Failed);
    assert_eq!(status(&taken, "restore-point"), ItemStatus::Skipped);
    let whole = taken.iter().filter(|t| t.status == ItemStatus::Collected).count();
    assert!(whole >= 19, "{taken:#?}");
    assert_eq!(before, pg.run(&world, CHANGES), "nothing was changed");
    assert!(!format!("{taken:?}").contains("made-up"));
}

/// What a look may not change: contents, catalogs, and the position of the write-ahead log.
const CHANGES: &str = "select count(*) from pg_class; select count(*) from pg_proc; select sum(n_tup_ins + n_tup_upd + n_tup_del) \
                       from pg_stat_user_tables; select count(*) from orders";

#[test]
fn a_wrong_login_is_forbidden_and_the_rest_is_not_tried() {
    let world = network_world();
    let Some(pg) = Pg::start(&world) else { return };
    let spec = with_secret(&world, of("postgres", &[]), "url", &pg.url("nobody", "wrong"));
    let (taken, _) = take(&world, &spec, LIMITS);
    assert_eq!(status(&taken, "activity.jsonl"), ItemStatus::Forbidden);
    assert_eq!(status(&taken, "roles.jsonl"), ItemStatus::Skipped);
    assert!(taken.iter().all(|t| t.bytes == 0));
    // Nobody answers: one wait, not twenty.
    let spec = with_secret(&world, of("postgres", &[]), "url", "postgres://a:b@127.0.0.1:1/x");
    let (taken, _) = take(&world, &spec, LIMITS);
    assert_eq!(status(&taken, "activity.jsonl"), ItemStatus::Failed);
    assert_eq!(status(&taken, "roles.jsonl"), ItemStatus::Skipped);
}

#[test]
fn a_mariadb_server_is_read() {
    let world = network_world();
    let Some(maria) = Maria::start(&world, &[]) else {
        return;
    };
    maria.run(
        &world,
        "create database shop; create table shop.orders (id int primary key); insert into shop.orders values (1), (2); \
         create table shop.`o``; drop table shop.orders` (id int); create table shop.hidden (id int, what text); \
         create user reader@'%' identified by 'made-up'; grant select on shop.orders to reader@'%'; \
         grant select on shop.`o``; drop table shop.orders` to reader@'%'; grant insert on shop.hidden to reader@'%'",
    );
    let spec = with_secret(&world, of("mysql", &[]), "url", &maria.url("reader", "made-up"));
    let (taken, shelf) = take(&world, &spec, LIMITS);
    let rows = lines(&shelf.text("row-counts.jsonl"));
    let count = |table: &str| rows.iter().find(|r| r["table"] == table).unwrap();
    assert_eq!(count("orders")["rows"], "2", "{rows:?}");
    assert_eq!(count("o`; drop table shop.orders")["rows"], "0");
    assert!(
        count("hidden")["why"].as_str().unwrap().contains("1142"),
        "{rows:?}"
    );
    assert_eq!(status(&taken, "row-counts.jsonl"), ItemStatus::Truncated);
    let spec = with_secret(&world, of("mysql", &[]), "url", &maria.root());
    let (taken, shelf) = take(&world, &spec, LIMITS);
    assert_eq!(status(&taken, "row-counts.jsonl"), ItemStatus::Collected);
    assert!(shelf.text("tables.jsonl").contains("\"orders\""), "{taken:#?}");
    assert!(shelf.text("columns.jsonl").contains("\"id\""));
    assert!(shelf.text("status.jsonl").contains("\"Uptime\""));
    let whole = taken.iter().filter(|t| t.status == ItemStatus::Collected).count();
    assert!(whole >= 12, "{taken:#?}");
}

#[test]
fn a_redis_server_is_read() {
    let world = network_world();
    let Some(redis) = Redis::start(&world) else { return };
    let spec = with_secret(&world, of("redis", &[]), "url", &redis.url("desk", "desk"));
    let (taken, shelf) = take(&world, &spec, LIMITS);
    assert!(shelf.text("info.txt").contains("redis_version"), "{taken:#?}");
    assert!(shelf.text("users.txt").contains("user bot"));
    assert!(
        taken.iter().all(|t| t.status == ItemStatus::Collected),
        "{taken:#?}"
    );
}

#[test]
fn a_cluster_is_read_part_after_part_with_the_logs_of_every_container() {
    let world = network_world();
    let stub = Stub::start(|_, seen| {
        assert_eq!(seen.headers["authorization"], "Bearer made-up");
        match seen.path.as_str() {
            "/api/v1/pods?limit=500" => say(200, PODS),
            "/api/v1/pods?limit=500&continue=m%2F2" => say(200, r#"{"metadata":{},"items":[]}"#),
            "/api/v1/nodes?limit=500" => say(403, r#"{"reason":"Forbidden"}"#),
            path if path.starts_with("/api/v1/namespaces/shop/pods/web/log?container=") => {
                say(200, "hello\n")
            }
            "/version" => say(200, "{}"),
            _ => say(404, "{}"),
        }
    });
    let spec = of("kubernetes", &[("api", stub.address().trim_end_matches('/'))]);
    let spec = with_secret(&world, spec, "token", "made-up");
    let (taken, shelf) = take(&world, &spec, LIMITS);
    assert_eq!(shelf.text("pods.json").lines().count(), 2, "both parts are kept");
    assert_eq!(shelf.text("log-shop-web-app.txt"), "hello\n");
    assert_eq!(shelf.text("log-shop-web-side.txt"), "hello\n");
    assert_eq!(status(&taken, "nodes.json"), ItemStatus::Forbidden);
    assert_eq!(status(&taken, "jobs.json"), ItemStatus::Failed);
}

const PODS: &str = r#"{"metadata":{"continue":"m/2"},"items":[{"metadata":{"namespace":"shop","name":"web"},"spec":{"containers":[{"name":"app"},{"name":"side"}]}}]}"#;

#[test]
fn an_address_is_probed_whatever_it_answers() {
    let world = network_world();
    let stub = Stub::start(|_, _| {
        let cookie = ("set-cookie", "session=made-up".to_owned());
        Reply::Say(503, vec![cookie], "down for maintenance".to_owned())
    });
    let spec = of("http", &[("url", &stub.address())]);
    let (taken, shelf) = take(&world, &spec, LIMITS);
    assert!(
        taken.iter().all(|t| t.status == ItemStatus::Collected),
        "{taken:?}"
    );
    let head = shelf.text("answer.head");
    assert!(
        head.starts_with("HTTP 503\n") && !head.contains("made-up"),
        "{head}"
    );
    assert_eq!(shelf.text("answer"), "down for maintenance\n");
}

#[test]
fn a_profile_takes_what_it_was_given_and_names_the_rest() {
    let world = network_world();
    let Some(redis) = Redis::start(&world) else { return };
    let spec = with_secret(
        &world,
        of("database", &[]),
        "redis.url",
        &redis.url("desk", "desk"),
    );
    let (taken, shelf) = take(
        &world,
        &spec,
        Limits {
            total: LIMITS.total,
            ..LIMITS
        },
    );
    assert!(shelf.text("redis-info.txt").contains("redis_version"));
    let hole = taken.iter().find(|t| t.name == "postgres").unwrap();
    assert!(
        hole.why.as_deref().unwrap().contains("was not given `url`"),
        "{hole:?}"
    );
    let wrong = of("database", &[("colour", "red")]);
    let (taken, _) = take(&world, &wrong, LIMITS);
    assert!(
        taken[0].why.as_deref().unwrap().contains("takes `colour`"),
        "{taken:?}"
    );
    let CaptureSpec::Collector { .. } = wrong else {
        panic!()
    };
}

#[test]
fn what_changes_a_database_is_done_where_it_is_asked_for_and_only_then() {
    let world = network_world();
    let Some(pg) = Pg::start_cron(&world) else { return };
    pg.run(&world, "create extension pg_cron");
    pg.run(
        &world,
        "create role reader login password 'made-up' in role pg_monitor; grant usage on schema cron to reader; \
         select cron.schedule('purge', '0 3 * * *', 'delete from orders')",
    );
    let position = |world: &_| {
        pg.run(world, "select pg_current_wal_insert_lsn()")[0][0]
            .clone()
            .unwrap()
    };
    // Written before it is looked at: what a server still does by itself is not the look's.
    pg.run(&world, "checkpoint");
    let before = position(&world);
    let spec = with_secret(&world, of("postgres", &[]), "url", &pg.admin());
    let (taken, shelf) = take(&world, &spec, LIMITS);
    assert_eq!(status(&taken, "restore-point"), ItemStatus::Skipped);
    assert!(
        shelf.text("cron-jobs.jsonl").contains("delete from orders"),
        "{taken:#?}"
    );
    assert!(shelf.text("extensions.jsonl").contains("pg_cron"));
    let CaptureSpec::Collector { name, with, .. } = spec else {
        panic!()
    };
    let asked = CaptureSpec::Collector {
        name,
        with,
        changing: vec!["restore-point".to_owned()],
    };
    let (taken, shelf) = take(&world, &asked, LIMITS);
    assert_eq!(
        status(&taken, "restore-point"),
        ItemStatus::Collected,
        "{taken:#?}"
    );
    assert!(
        shelf.text("restore-point").contains("\"lsn\":\""),
        "{}",
        shelf.text("restore-point")
    );
    assert_ne!(before, position(&world), "the record of it");
    // Who sees only their own jobs sees none, and is told so: an empty list would say that there are none.
    let spec = with_secret(&world, of("postgres", &[]), "url", &pg.url("reader", "made-up"));
    let (taken, _) = take(&world, &spec, LIMITS);
    let jobs = taken.iter().find(|t| t.name == "cron-jobs.jsonl").unwrap();
    assert_eq!(jobs.status, ItemStatus::Forbidden, "{jobs:?}");
    assert!(
        jobs.why.as_deref().unwrap().contains("row-level security"),
        "{jobs:?}"
    );
}
