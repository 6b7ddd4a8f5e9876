//! Labelled statements.

use super::*;
use crate::effects::detect_sql;
use crate::model::effect::Effects;

fn seen(sql: &str, dialect: Dialect) -> Vec<(Effect, String)> {
    detect_sql(sql, dialect)
        .into_iter()
        .map(|seen| (seen.effect, seen.rule))
        .collect()
}

fn effects(sql: &str, dialect: Dialect) -> Effects {
    detect_sql(sql, dialect)
        .into_iter()
        .map(|seen| seen.effect)
        .collect()
}

#[test]
fn statements_that_only_look_are_reads() {
    let table = r#"
        select 1
        SELECT count(*), max(id) FROM orders WHERE created_at > now() - interval '1 day'
        select o.id, sum(l.price) over (partition by o.id) from orders o join lines l on l.order_id = o.id
        with recent as (select * from orders where id > 5) select count(*) from recent
        with recent(id, n) as (select id, count(*) from orders group by 1) select * from recent
        select * from pg_catalog.pg_stat_activity where state <> 'idle'
        select pg_size_pretty(pg_database_size('orders'))
        select 'DROP TABLE x; delete from y'
        select "update" from t -- drop table x
        select $$ drop table x; $$
        values (1, 2)
        table orders
        show server_version
        explain select * from t
        explain analyze select * from t
        explain delete from t
        begin; set local statement_timeout = '5s'; select 1; rollback
        begin read only; select 1; commit;
        set transaction read only
        copy (select * from t) to stdout
        copy orders (id, total) to stdout with (format csv)
        ;
        select 1;;
    "#;
    for sql in table.lines().map(str::trim).filter(|row| !row.is_empty()) {
        let seen = seen(sql, Dialect::Postgres);
        assert!(
            seen.iter().all(|(effect, _)| *effect == Effect::Read),
            "{sql}: {seen:?}"
        );
    }
    for (sql, dialect) in [
        ("show processlist", Dialect::MySql),
        ("select version(), database()", Dialect::MySql),
        (
            "select * from t where a = 'it\\'s' # drop table x",
            Dialect::MySql,
        ),
        ("pragma table_info(t)", Dialect::Sqlite),
        ("pragma integrity_check", Dialect::Sqlite),
        ("select sqlite_version()", Dialect::Sqlite),
    ] {
        assert_eq!(effects(sql, dialect), Effects::from([Effect::Read]), "{sql}");
    }
}

#[test]
fn statements_that_change_are_seen() {
    let table = r#"
        schema-change bulk-data one-way | drop table x
        schema-change bulk-data one-way | DROP/**/TABLE/**/x
        schema-change bulk-data one-way | drop table if exists public.x cascade
        schema-change bulk-data one-way | dRoP -- x
        schema-change bulk-data one-way | drop database orders with (force)
        schema-change bulk-data one-way | drop schema public cascade
        schema-change | drop index concurrently i
        credential-change | drop owned by agent
        bulk-data one-way | truncate orders
        bulk-data one-way | truncate table orders restart identity cascade
        bulk-data one-way | delete from orders
        bulk-data one-way | delete from orders where true
        bulk-data one-way | delete from orders where 1=1
        bulk-data one-way | delete from orders where id = id
        bulk-data one-way | delete from orders where id > 0
        bulk-data one-way | delete from orders where id = 5 or 1=1
        bulk-data one-way | delete from orders where not (id = 5)
        bulk-data one-way | delete from orders where id in (select id from x)
        bulk-data one-way | delete from orders where deleted = true
        data-write | delete from orders where id = 5
        data-write | delete from orders where id in (1, 2) and total > 5
        data-write | update orders set total = 0 where id between 1 and 5
        bulk-data | update orders set total = 0
        bulk-data | update orders set total = 0 where total is not null
        data-write | insert into orders (id, total) values (1, 2)
        bulk-data | insert into orders select * from old
        bulk-data one-way | with gone as (delete from orders returning *) select count(*) from gone
        bulk-data | with x as (select 1) update orders set a = 1
        bulk-data one-way | explain analyze delete from orders
        bulk-data one-way | explain (analyze, verbose) delete from orders
        unknown | select * from orders for update
        schema-change | select * into copy_of from orders
        traffic | select pg_terminate_backend(pid) from pg_stat_activity
        traffic | select "pg_terminate_backend"(5)
        traffic | select pg_catalog . pg_terminate_backend (5)
        data-write | select setval('s', 1)
        data-write one-way | select lo_unlink(5)
        unknown | select wipe_everything()
        unknown | select public.count(1)
        unknown | select dblink_exec('x', 'drop table y')
        unknown | select pg_read_file('/etc/passwd')
        unknown | select * from query_to_xml('drop table x', true, true, '')
        schema-change | alter table orders add column x int
        schema-change bulk-data one-way | alter table orders drop column x
        schema-change security-config | alter table orders disable trigger all
        schema-change security-config | alter table orders disable row level security
        schema-change | alter database a rename to b
        schema-change | alter table a rename to b
        data-restore | create database orders_restored
        unknown | create or replace function f() returns void as $$ begin end $$ language plpgsql
        schema-change | create unique index concurrently i on t (a)
        schema-change data-write | create table x as select * from y
        credential-change | grant all on all tables in schema public to agent
        credential-change | revoke connect on database orders from agent
        credential-change | create role x login
        credential-change | alter role x password 'y'
        config-change | alter system set wal_level = minimal
        security-config | set session_replication_role = replica
        security-config | set session session_replication_role to 'replica'
        security-config | set session authorization postgres
        unknown | set search_path = evil
        unknown one-way | copy t to program 'sh'
        unknown one-way | copy t from program 'curl x'
        bulk-data | copy t from stdin
        data-write | copy t to '/tmp/x'
        unknown | do $$ begin delete from x; end $$
        unknown | call purge()
        unknown | prepare x as delete from t
        data-write one-way | vacuum orders
        bulk-data one-way | vacuum full orders
        bulk-data one-way | select 1; delete from orders
        bulk-data one-way | begin; truncate x; rollback
        traffic | lock table orders
        config-change | select pg_reload_conf()
        protect | select pg_create_restore_point('before')
        backup-change one-way | select pg_drop_replication_slot('x')
        unknown | begin not atomic delete from x
        unknown | set names utf8, global read_only = 0
        unknown | analyze delete from x
        unknown | this is not sql
        unknown | select 'open
        unknown | select 1 \gexec
        bulk-data | merge into a using b on a.id = b.id when matched then delete
    "#;
    for row in table.lines().map(str::trim).filter(|row| !row.is_empty()) {
        let (wanted, sql) = row.split_once(" | ").unwrap();
        let sql = sql.replace("dRoP -- x", "dRoP -- x\n tAbLe x");
        let seen = seen(&sql, Dialect::Postgres);
        for word in wanted.split_whitespace() {
            assert!(
                seen.iter().any(|(effect, _)| effect.word() == word),
                "{sql}: no {word} in {seen:?}"
            );
        }
    }
    for (sql, dialect, effect) in [
        ("/*! DROP TABLE x */", Dialect::MySql, Effect::Unknown),
        (
            "select 1 /*!50000 into outfile '/tmp/x' */",
            Dialect::MySql,
            Effect::Unknown,
        ),
        (
            "select * from t into outfile '/tmp/x'",
            Dialect::MySql,
            Effect::DataWrite,
        ),
        ("select 1; -- x\rdrop table x", Dialect::Generic, Effect::Unknown),
        (
            "explain format=tree analyze delete from x",
            Dialect::MySql,
            Effect::Unknown,
        ),
        ("kill 5", Dialect::MySql, Effect::Traffic),
        (
            "purge binary logs before now()",
            Dialect::MySql,
            Effect::BackupChange,
        ),
        ("set global read_only = 1", Dialect::MySql, Effect::ConfigChange),
        ("set @@global.read_only = 1", Dialect::MySql, Effect::Unknown),
        ("set password = 'x'", Dialect::MySql, Effect::CredentialChange),
        ("replace into t values (1)", Dialect::MySql, Effect::DataWrite),
        ("select load_file('/etc/passwd')", Dialect::MySql, Effect::Unknown),
        (
            "pragma writable_schema = 1",
            Dialect::Sqlite,
            Effect::ConfigChange,
        ),
        (
            "pragma journal_mode(delete)",
            Dialect::Sqlite,
            Effect::ConfigChange,
        ),
        ("attach database 'x' as y", Dialect::Sqlite, Effect::DataWrite),
        (
            "select load_extension('x')",
            Dialect::Sqlite,
            Effect::SecurityConfig,
        ),
        (
            "select 1 /* /* */ ; drop table x; -- */",
            Dialect::Generic,
            Effect::Unknown,
        ),
    ] {
        assert!(
            effects(sql, dialect).contains(&effect),
            "{sql}: {:?}",
            seen(sql, dialect)
        );
    }
}

#[test]
fn a_tidy_write_is_only_a_write() {
    let only = |sql: &str| effects(sql, Dialect::Postgres);
    assert_eq!(
        only("delete from orders where id = 5"),
        Effects::from([Effect::DataWrite])
    );
    assert_eq!(
        only("insert into orders (id, total) values (1, lower('A'))"),
        Effects::from([Effect::DataWrite])
    );
    assert_eq!(
        only("create database orders_restored"),
        Effects::from([Effect::DataRestore])
    );
    assert_eq!(
        only("grant select on orders to ana"),
        Effects::from([Effect::CredentialChange])
    );
}

#[test]
fn long_and_deep_statements_end() {
    let chain = format!("select {}", vec!["1"; 60_000].join("+"));
    let deep = format!("select {}1{}", "(".repeat(50_000), ")".repeat(50_000));
    let nots = format!("select {} true", "not ".repeat(50_000));
    for sql in [chain, deep, nots] {
        assert!(effects(&sql, Dialect::Postgres).contains(&Effect::Unknown));
    }
    let shorter = format!("select {}", vec!["1"; 900].join("+"));
    assert_eq!(
        effects(&shorter, Dialect::Postgres),
        Effects::from([Effect::Read])
    );
}
