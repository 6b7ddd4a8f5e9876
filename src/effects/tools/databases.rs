//! Clients of databases other than PostgreSQL.

use crate::model::effect::Effect::{
    self, BackupChange, BulkData, ConfigChange, CredentialChange, DataWrite, OneWay, Protect, Read,
    SchemaChange, SecurityConfig, ServiceRestart, Traffic, Unknown,
};

use crate::effects::eye::{Cmd, Eye, Stdin};
use crate::effects::options::Options;
use crate::effects::sql::{self, Dialect};
use crate::effects::words::Word;

const MYSQL: Options = Options {
    valued: "-e --execute -h --host -P --port -u --user -D --database -S --socket --protocol --default-character-set --delimiter --init-command --login-path --connect-timeout",
    flags: "-N --skip-column-names -B --batch -s --silent -r --raw -t --table -v --verbose -A --no-auto-rehash -G -E --vertical -f --force -n -q --quick -C -U --safe-updates -H --html -X --xml -w -b -V --version -p --password",
};

fn attached<'t>(option: &'t str, next: &'t str, width: usize) -> &'t str {
    match option.split_once('=') {
        Some((_, value)) if option.starts_with("--") => value,
        _ if width == 2 => next,
        _ => option.split_once('e').map_or("", |(_, value)| value),
    }
}

/// `mysql` and `mariadb`.
pub(super) fn mysql(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    let mut given = false;
    let mut at = 0;
    while let Some(arg) = cmd.args.get(at) {
        if !arg.text.starts_with('-') {
            at += 1;
            continue;
        }
        let mut known = true;
        // `-pSECRET` has its value attached and never takes the next word.
        let width = if arg.text.starts_with("-p") {
            1
        } else {
            MYSQL.width(&arg.text, &mut known).max(1)
        };
        if !known || arg.text.starts_with("--init") || arg.text.starts_with("--delim") {
            eye.unknown(&line, "mysql.option-not-known");
        }
        let executes = arg.text.starts_with("--execute")
            || !arg.text.starts_with("--") && !arg.text.starts_with("-p") && executes(&arg.text);
        if executes {
            given = true;
            let next = cmd.args.get(at + 1).map_or("", |next| next.text.as_str());
            sql::detect(eye, vertical(attached(&arg.text, next, width)), Dialect::MySql);
        }
        if matches!(arg.text.as_str(), "-V" | "--version") {
            given = true;
            eye.see(Read, &line, "mysql.version");
        }
        at += width;
    }
    if !given {
        from_stdin(eye, cmd, Dialect::MySql, "mysql.reads-terminal");
    }
}

/// Without the `\G` that asks for one column a line.
fn vertical(text: &str) -> &str {
    let text = text.trim_end().trim_end_matches(';');
    text.strip_suffix("\\G").unwrap_or(text)
}

fn executes(cluster: &str) -> bool {
    for letter in cluster.chars().skip(1) {
        match letter {
            'e' => return true,
            'h' | 'P' | 'u' | 'D' | 'S' => return false,
            _ => {}
        }
    }
    false
}

fn from_stdin(eye: &mut Eye<'_>, cmd: &Cmd<'_>, dialect: Dialect, rule: &str) {
    match cmd.stdin {
        Stdin::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => sql::detect(eye, text, dialect),
            Err(_) => eye.unknown(&cmd.text(), "script.not-text"),
        },
        Stdin::Unseen => eye.unknown(&cmd.text(), rule),
    }
}

/// `sqlite3 DATABASE TEXT…`; dot commands that only show are reads.
pub(super) fn sqlite(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    const FLAGS: [&str; 14] = [
        "-readonly",
        "-json",
        "-csv",
        "-header",
        "-noheader",
        "-batch",
        "-bail",
        "-column",
        "-line",
        "-list",
        "-box",
        "-table",
        "-markdown",
        "-quote",
    ];
    const SHOWS: [&str; 11] = [
        ".tables",
        ".schema",
        ".indexes",
        ".indices",
        ".databases",
        ".dump",
        ".dbinfo",
        ".headers",
        ".mode",
        ".timeout",
        ".fullschema",
    ];
    let line = cmd.text();
    let start = cmd
        .args
        .iter()
        .take_while(|arg| arg.text.starts_with('-'))
        .count();
    for option in cmd.args.iter().take(start) {
        let name = option.text.replacen("--", "-", 1);
        if !FLAGS.contains(&name.as_str()) {
            eye.unknown(&line, "sqlite.option-not-known");
        }
    }
    let texts = cmd.args.get(start + 1..).unwrap_or_default();
    if texts.is_empty() {
        return from_stdin(eye, cmd, Dialect::Sqlite, "sqlite.reads-terminal");
    }
    for text in texts {
        if text.text.trim_start().starts_with('.') {
            let shows = SHOWS.contains(&text.text.split_whitespace().next().unwrap_or_default());
            let backs_up = text.text.trim_start().starts_with(".backup");
            if shows && !text.text.contains(['\n', '|']) {
                eye.see(Read, &line, "sqlite.shows");
            } else if backs_up && !text.text.contains('\n') {
                eye.see_all(&[Protect, DataWrite], &line, "sqlite.backup");
            } else {
                eye.unknown(&line, "sqlite.dot-command");
            }
        } else {
            sql::detect(eye, &text.text, Dialect::Sqlite);
        }
    }
}

const REDIS: &[(&str, &[Effect])] = &[
    (
        "get mget exists keys scan ttl pttl type info ping dbsize strlen hget hgetall hkeys hlen hmget hscan llen lrange lindex scard smembers sismember sscan zcard zrange zscore zcount zscan xlen xrange xinfo memory object time lastsave role echo getrange bitcount randomkey dump pfcount geopos",
        &[Read],
    ),
    (
        "set setex setnx mset append incr decr incrby decrby hset hdel hincrby lpush rpush lpop rpop lset lrem ltrim sadd srem spop zadd zrem expire expireat pexpire persist rename copy restore xadd xdel xtrim getset getdel setrange publish",
        &[DataWrite],
    ),
    ("del unlink", &[DataWrite, OneWay]),
    ("flushall flushdb swapdb", &[BulkData, OneWay]),
    ("migrate", &[BulkData, OneWay]),
    ("bgsave save", &[Protect]),
    ("bgrewriteaof", &[BackupChange]),
    ("acl auth", &[CredentialChange]),
    ("shutdown", &[ServiceRestart, Traffic, OneWay]),
    ("failover replicaof slaveof cluster", &[Effect::InfraChange]),
    ("debug module eval evalsha fcall function script", &[Unknown]),
];

/// `redis-cli`, `valkey-cli`.
pub(super) fn redis(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    let options = Options {
        valued: "-h -p -s -a -u -n --user --pass -t --cacert --cert --key --sni",
        flags: "--raw --no-raw --csv --json -c --tls --no-auth-warning --insecure -2 -3",
    };
    const LOOKS: [&str; 8] = [
        "--scan",
        "--bigkeys",
        "--memkeys",
        "--hotkeys",
        "--stat",
        "--latency",
        "--latency-history",
        "--latency-dist",
    ];
    if let Some(at) = cmd.args.iter().position(|arg| LOOKS.contains(&arg.as_str())) {
        let (start, known) = options.skip(cmd.args.get(..at).unwrap_or_default());
        let rest: Vec<&str> = cmd.args.iter().skip(at + 1).map(Word::as_str).collect();
        let plain = matches!(
            rest.as_slice(),
            [] | ["--pattern" | "--count" | "-i", _] | ["--pattern", _, "--count", _]
        );
        if known && start == at && plain && cmd.args.iter().all(|arg| arg.fixed) {
            return eye.see(Read, &line, "redis.looks");
        }
    }
    let (start, known) = options.skip(cmd.args);
    if !known {
        eye.unknown(&line, "redis.option-not-known");
    }
    let words: Vec<String> = cmd
        .args
        .iter()
        .skip(start)
        .map(|arg| arg.text.to_ascii_lowercase())
        .collect();
    let verb = words.first().map_or("", String::as_str);
    let second = words.get(1).map_or("", String::as_str);
    let rule = format!(
        "redis.{}",
        if verb.len() < 20 && verb.chars().all(|c| c.is_ascii_alphanumeric()) {
            verb
        } else {
            "command"
        }
    );
    match (verb, second) {
        ("config", "get")
        | ("client", "list" | "info" | "id" | "getname")
        | ("slowlog", "get" | "len")
        | ("cluster", "info" | "nodes" | "slots")
        | ("acl", "list" | "whoami" | "users" | "cat" | "log")
        | ("latency", "latest" | "history") => {
            return eye.see(Read, &line, &rule);
        }
        ("config", _) => return eye.see(ConfigChange, &line, &rule),
        ("client", "kill" | "pause" | "unpause") => return eye.see(Traffic, &line, &rule),
        ("memory", "purge") => return eye.see(ConfigChange, &line, &rule),
        _ => {}
    }
    match REDIS
        .iter()
        .find(|(verbs, _)| !verb.is_empty() && verbs.split(' ').any(|known| known == verb))
    {
        Some((_, effects)) => eye.see_all(effects, &line, &rule),
        None => eye.unknown(&line, "redis.command-not-known"),
    }
}

/// `mysqladmin`.
pub(super) fn mysqladmin(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    let words: Vec<&str> = cmd.args.iter().map(|arg| arg.text.as_str()).collect();
    let has = |wanted: &str| words.contains(&wanted);
    if has("drop") {
        eye.see_all(&[SchemaChange, BulkData, OneWay], &line, "mysqladmin.drop");
    } else if has("shutdown") {
        eye.see_all(&[ServiceRestart, Traffic], &line, "mysqladmin.shutdown");
    } else if has("password") {
        eye.see(CredentialChange, &line, "mysqladmin.password");
    } else if has("flush-logs") || has("flush-privileges") || has("reload") {
        eye.see(SecurityConfig, &line, "mysqladmin.flush");
    } else if (has("status")
        || has("processlist")
        || has("ping")
        || has("extended-status")
        || has("variables")
        || has("version"))
        && !has("kill")
        && !has("create")
    {
        eye.see(Read, &line, "mysqladmin.status");
    } else {
        eye.unknown(&line, "mysqladmin.not-known");
    }
}
