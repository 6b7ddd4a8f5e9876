//! What a look leaves behind: on the responder's host, and in the statistics of databases that are looked at.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use incident::collectors::by_name;
use incident::model::event::ItemStatus;
use incident::model::secret::Secret;
use incident::world::World;

use super::shelf::{LIMITS, of, status, take, with_secret};
use crate::providers::mysql::Maria;
use crate::providers::redis::Redis;
use crate::support::desk::{Desk, PROGRAM};
use crate::support::servers::Pg;
use crate::support::{network_world, not_tested};

/// Names and numbers, as a server tells them.
type Told = BTreeMap<String, String>;

/// What has another number now, or is new or gone.
fn changed(before: &Told, after: &Told) -> Vec<String> {
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    let differs = |name: &&&String| before.get(**name) != after.get(**name);
    names.iter().filter(differs).map(|name| (*name).clone()).collect()
}

/// Everything PostgreSQL counts of its databases, tables, indexes and sequences, what stands in the table, who may
/// do what, and the number of the next transaction that writes.
const POSTGRES: &str = "\
select 'database ' || d.datname || ' ' || v.key, v.value from pg_stat_database d, jsonb_each_text(to_jsonb(d)) v where d.datname is not null \
union all select 'table ' || t.schemaname || '.' || t.relname || ' ' || v.key, v.value from pg_stat_all_tables t, jsonb_each_text(to_jsonb(t)) v \
where t.schemaname !~ '^pg_t' \
union all select 'index ' || i.indexrelname || ' ' || v.key, v.value from pg_stat_all_indexes i, jsonb_each_text(to_jsonb(i)) v \
where i.schemaname !~ '^pg_t' \
union all select 'size ' || relname, pg_relation_size(oid)::text from pg_class where relkind = 'r' \
union all select 'settings', md5(string_agg(name || setting, ',' order by name)) from pg_settings \
union all select 'roles', md5(string_agg(r::text, ',' order by rolname)) from pg_roles r \
union all select 'sequence', last_value::text || is_called from orders_id_seq \
union all select 'contents', md5(string_agg(o::text, ',' order by id)) from orders o \
union all select 'next transaction', pg_snapshot_xmax(pg_current_snapshot())::text";

/// What those count who only read, and what a session counts that begins and ends.
const READS: [&str; 16] = [
    "numbackends",
    "xact_commit",
    "xact_rollback",
    "blks_read",
    "blks_hit",
    "tup_returned",
    "tup_fetched",
    "sessions",
    "session_time",
    "active_time",
    "idle_in_transaction_time",
    "seq_scan",
    "seq_tup_read",
    "idx_scan",
    "idx_tup_read",
    "idx_tup_fetch",
];

fn postgres(world: &World, pg: &Pg) -> Told {
    // A session hands its numbers in when it ends, or a second later.
    std::thread::sleep(Duration::from_millis(1_500));
    let rows = pg.run(world, POSTGRES);
    let told = rows.into_iter().map(|row| {
        let mut cells = row.into_iter();
        let mut cell = || cells.next().flatten().unwrap_or_default();
        (cell(), cell())
    });
    told.collect()
}

fn writes(changed: &[String]) -> Vec<&String> {
    let read = |name: &&String| !READS.iter().any(|read| name.ends_with(&format!(" {read}")));
    changed.iter().filter(read).collect()
}

#[test]
fn the_statistics_of_postgres_show_one_session_that_read_and_no_more() {
    let world = network_world();
    let Some(pg) = Pg::start(&world) else { return };
    for sql in [
        "alter system set autovacuum = off; ",
        "select pg_reload_conf()",
        "create table orders (id serial primary key, what text); insert into orders (what) select 'x' from generate_series(1, 5000); \
         delete from orders where id % 7 = 0; create role reader login password 'made-up' in role pg_monitor; grant select on orders to reader",
        "vacuum (freeze, analyze)",
        // What the analysis wrote into the catalogs is not left to be tidied up by whoever reads them.
        "vacuum (freeze)",
    ] {
        pg.run(&world, sql);
    }
    // The look at the statistics is a look, too: what it leaves must be there before and after.
    postgres(&world, &pg);
    let before = postgres(&world, &pg);
    let spec = of("database", &[]);
    let spec = with_secret(&world, spec, "postgres.url", &pg.url("reader", "made-up"));
    let (taken, _) = take(&world, &spec, LIMITS);
    assert_eq!(
        status(&taken, "postgres-row-counts.jsonl"),
        ItemStatus::Collected,
        "{taken:#?}"
    );
    let after = postgres(&world, &pg);
    let all = changed(&before, &after);
    let of = |told: &Told, name: &str| told[name].parse::<i64>().unwrap();
    // The table is counted, and its statistics say so: they see a look.
    let scans = "table public.orders seq_scan";
    assert!(of(&after, scans) > of(&before, scans) + 1, "{all:?}");
    assert!(writes(&all).is_empty(), "{:?}", writes(&all));
    let sessions = "database postgres sessions";
    // Its own, and that of the look at the statistics.
    assert_eq!(of(&after, sessions) - of(&before, sessions), 2, "{all:?}");
    // What is left is what the collector says it leaves.
    let declared = by_name("postgres").unwrap().leaves.join(" ");
    assert!(declared.contains("one session and what it read in its statistics"));
    // And had anything been written, this would tell.
    pg.run(&world, "insert into orders (what) values ('y')");
    let all = changed(&after, &postgres(&world, &pg));
    for name in [
        "contents",
        "next transaction",
        "sequence",
        "table public.orders n_tup_ins",
    ] {
        assert!(writes(&all).iter().any(|w| *w == name), "{name}: {all:?}");
    }
}

/// Counters of statements and rows that write, what stands in the table, and when it was written last.
fn maria(world: &World, maria: &Maria) -> Told {
    let mut told = Told::new();
    let writing = [
        "aborted_",
        "com_insert",
        "com_update",
        "com_delete",
        "com_replace",
        "com_create",
        "com_drop",
        "com_alter",
        "com_load",
        "com_truncate",
        "com_grant",
        "com_flush",
        "handler_update",
        "handler_delete",
        "handler_write",
        "innodb_rows_",
        "binlog_commits",
        "rows_",
    ];
    for row in maria.run(world, "show global status") {
        let name = row[0].clone().unwrap().to_lowercase();
        let reads = name.ends_with("_read") || name.ends_with("_sent");
        if !reads && writing.iter().any(|w| name.starts_with(w)) {
            told.insert(name, row[1].clone().unwrap_or_default());
        }
    }
    for (name, sql) in [
        ("contents", "checksum table shop.orders"),
        (
            "written",
            "select table_rows, update_time from information_schema.tables where table_schema = 'shop'",
        ),
        ("users", "checksum table mysql.global_priv"),
        (
            "settings",
            "select md5(group_concat(variable_name, variable_value order by variable_name)) from information_schema.global_variables where variable_name not like '%timestamp%'",
        ),
    ] {
        told.insert(name.to_owned(), format!("{:?}", maria.run(world, sql)));
    }
    told
}

#[test]
fn the_counters_of_a_mariadb_server_show_no_write() {
    let world = network_world();
    let Some(server) = Maria::start(&world, &[]) else {
        return;
    };
    server.run(&world, "create database shop; create table shop.orders (id int primary key, what text); insert into shop.orders values (1, 'a'), (2, 'b')");
    maria(&world, &server);
    let before = maria(&world, &server);
    assert!(before.len() > 20, "{before:?}");
    let spec = with_secret(&world, of("database", &[]), "mysql.url", &server.root());
    let (taken, _) = take(&world, &spec, LIMITS);
    assert_eq!(
        status(&taken, "mysql-tables.jsonl"),
        ItemStatus::Collected,
        "{taken:#?}"
    );
    let after = maria(&world, &server);
    assert_eq!(changed(&before, &after), [""; 0]);
    server.run(&world, "insert into shop.orders values (3, 'c')");
    let all = changed(&after, &maria(&world, &server));
    for name in ["contents", "com_insert"] {
        assert!(all.iter().any(|c| c == name), "{all:?}");
    }
}

/// Everything Redis counts of commands that are not among those the collector declares, and what is kept.
fn redis(world: &World, redis: &Redis) -> Told {
    const LOOKS: [&str; 14] = [
        "auth",
        "hello",
        "select",
        "info",
        "client|",
        "config|get",
        "acl|list",
        "acl|log",
        "slowlog|get",
        "dbsize",
        "lastsave",
        "latency|latest",
        "ping",
        "quit",
    ];
    let url = Secret::new(redis.url("desk", "desk"));
    let session = world
        .wait(world.sql.open(&url, Duration::from_secs(10)))
        .unwrap()
        .unwrap();
    let rows = world.wait(session.query("info all")).unwrap().unwrap();
    let text: Vec<String> = rows.into_iter().flatten().flatten().collect();
    let lines = text.iter().flat_map(|text| text.lines());
    let kept = lines.filter_map(|line| line.split_once(':')).filter(|(name, _)| {
        let command = name.strip_prefix("cmdstat_");
        match command {
            Some(command) => !LOOKS.iter().any(|look| command.starts_with(look)),
            None => {
                name.starts_with("db")
                    || name.starts_with("maxmemory")
                    || [
                        "rdb_changes_since_last_save",
                        "rdb_last_save_time",
                        "expired_keys",
                        "evicted_keys",
                        "aof_enabled",
                        "role",
                        "tracking_clients",
                        "number_of_cached_scripts",
                    ]
                    .contains(name)
            }
        }
    });
    kept.map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn the_counters_of_redis_show_no_write() {
    let world = network_world();
    let Some(server) = Redis::start(&world) else {
        return;
    };
    let url = Secret::new(server.url("desk", "desk"));
    let run = |command: &str| {
        let session = world
            .wait(world.sql.open(&url, Duration::from_secs(10)))
            .unwrap()
            .unwrap();
        world.wait(session.query(command)).unwrap().unwrap();
    };
    run("set basket 7");
    let before = redis(&world, &server);
    assert!(
        before.keys().any(|k| k == "cmdstat_set") && before.contains_key("db0"),
        "{before:?}"
    );
    let spec = with_secret(
        &world,
        of("database", &[]),
        "redis.url",
        &server.url("desk", "desk"),
    );
    let (taken, _) = take(&world, &spec, LIMITS);
    assert_eq!(
        status(&taken, "redis-info.txt"),
        ItemStatus::Collected,
        "{taken:#?}"
    );
    let after = redis(&world, &server);
    assert_eq!(changed(&before, &after), [""; 0]);
    run("set cart 8");
    let all = changed(&after, &redis(&world, &server));
    for name in ["cmdstat_set", "db0", "rdb_changes_since_last_save"] {
        assert!(all.iter().any(|c| c == name), "{all:?}");
    }
}

/// Kind, length, mode, owner, times of change to the nanosecond, and bytes of everything below, but for what
/// the record itself is.
fn tree(root: &Path, but: &Path) -> BTreeMap<String, String> {
    let (mut all, mut open) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(path) = open.pop() {
        if path == but {
            continue;
        }
        let Ok(meta) = std::fs::symlink_metadata(&path) else {
            continue;
        };
        let bytes = match meta.is_file() && meta.len() < 1 << 20 {
            true => std::fs::read(&path).unwrap_or_default(),
            false => Vec::new(),
        };
        if meta.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().flatten().map(|e| e.path()));
        }
        // The folders above the record are changed by making it; nothing else of them is.
        let above = but.starts_with(&path);
        let times = match above {
            true => None,
            false => Some((meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec())),
        };
        let len = if above { 0 } else { meta.len() };
        let now = (
            len,
            meta.mode(),
            meta.uid(),
            times,
            incident::journal::Hash::of(&bytes),
        );
        all.insert(path.display().to_string(), format!("{now:?}"));
    }
    all
}

#[test]
fn opening_and_the_first_look_write_nothing_but_the_record() {
    let Some(desk) = Desk::new() else { return };
    for file in [
        ".claude/projects/a/s.jsonl",
        ".codex/history.jsonl",
        ".aws/config",
        ".config/gh/config.yml",
        "logs/app.log",
        "logs/old/app.log.1",
    ] {
        desk.file(file, "one line\n");
    }
    let store = desk.home().join(".local/share/incident");
    std::fs::create_dir_all(store.parent().unwrap()).unwrap();
    let home = desk.home().display().to_string();
    let looked_at = |desk: &Desk| (tree(desk.home(), &store), tree(Path::new("/etc"), &store));
    let before = looked_at(&desk);
    for args in [
        &["start", "--yes"][..],
        &[
            "capture",
            "day-zero",
            &format!("agents.of={home}"),
            &format!("logs.folder={home}/logs"),
        ],
        &["evidence", "show"],
        &["status"],
    ] {
        let out = desk.run(args);
        assert!(
            out.status.code().is_some_and(|code| [0, 3, 4].contains(&code)),
            "{args:?}: {out:?}"
        );
    }
    assert!(desk.kinds().iter().any(|kind| kind == "capture.ended"));
    let after = looked_at(&desk);
    for (before, after) in [(&before.0, &after.0), (&before.1, &after.1)] {
        assert_eq!(changed(before, after), [""; 0]);
    }
    assert!(store.is_dir());
}

/// Every address that a program run so asked the network for, its children's too.
fn asked_for(desk: &Desk, script: &str) -> Option<(String, Vec<String>)> {
    let mut command = desk.jailed("strace");
    command.args([
        "-f",
        "-qq",
        "-o",
        "trace",
        "-e",
        "trace=connect,sendto,sendmsg,sendmmsg",
        "sh",
        "-c",
        script,
        "sh",
        PROGRAM,
    ]);
    let out = command.stdin(Stdio::null()).output().unwrap();
    let trace = std::fs::read_to_string(desk.home().join("trace")).ok()?;
    let lines = trace.lines().filter(|line| line.contains("sa_family=AF_INET"));
    let said = String::from_utf8_lossy(&[&out.stdout[..], &out.stderr].concat()).into_owned();
    Some((said, lines.map(str::to_owned).collect()))
}

#[test]
fn nothing_goes_out_by_itself() {
    let Some(desk) = Desk::new() else { return };
    if std::process::Command::new("strace").arg("-V").output().is_err() {
        not_tested("that nothing goes out by itself (strace)");
        return;
    }
    desk.file("logs/app.log", "one line\n");
    let script = "\"$1\" start --yes; \"$1\" capture day-zero agents.of=$HOME logs.folder=$HOME/logs; \"$1\" attach logs/app.log; \"$1\" seal\n\
                  \"$1\" note x; \"$1\" anchor; \"$1\" bundle -o b.tar; \"$1\" verify b.tar; \"$1\" report > report.md; \"$1\" status; echo over";
    let (said, out) = asked_for(&desk, script).unwrap();
    assert!(
        said.contains("over") && desk.home().join("b.tar").exists(),
        "{said}"
    );
    assert_eq!(out, [""; 0], "{said}");
    // And where somebody asks for it, this tells.
    let (said, out) = asked_for(&desk, "\"$1\" capture http url=http://127.0.0.1:9/").unwrap();
    assert!(
        out.iter().any(|line| line.contains("sin_port=htons(9)")),
        "{said}"
    );
}
