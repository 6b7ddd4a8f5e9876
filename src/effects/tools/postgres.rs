//! `psql` and the programs that come with PostgreSQL.

use crate::model::effect::Effect::{
    self, BackupChange, BulkData, ConfigChange, CredentialChange, DataRestore, DataWrite, InfraChange,
    OneWay, Read, SchemaChange, ServiceRestart, Traffic,
};

use crate::effects::eye::{Cmd, Eye, Stdin};
use crate::effects::options::Options;
use crate::effects::sql::{self, Dialect};
use crate::effects::{paths, shell};

use super::psql_text;

const PSQL: Options = Options {
    valued: "-c --command -f --file -d --dbname -h --host -p --port -U --username -v --set --variable -o --output -L --log-file -F --field-separator -R --record-separator -P --pset -T --table-attr",
    flags: "-A --no-align -t --tuples-only -q --quiet -X --no-psqlrc -w --no-password -W --password -1 --single-transaction -a --echo-all -b -e -E -n -x --expanded -z -0 -H --html --csv -S -s -l --list -V --version -? --help",
};

/// Backslash commands that show or format and cannot write, run or read other files.
const SHOWS: &str = " d dt di dv dm ds df dn du dg dp ddp dx dy db dc dC dd dD dE des det deu dew dF dFd dFp dFt dL dl dO do dP drds dRp dRs dT dA dAc dAf dAo dAp dconfig l list conninfo timing x pset echo qecho warn a t f H C q sf sv z errverbose h ? if else elif endif restrict unrestrict unset sv p r ";

/// `psql`: every `-c`, `-f` and, without either, what it reads on standard input.
pub(super) fn psql(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    let mut given = false;
    let mut at = 0;
    let mut positional = 0;
    while let Some(arg) = cmd.args.get(at) {
        if !arg.text.starts_with('-') || arg.text == "-" {
            positional += 1;
            connection(eye, &arg.text, &line);
            at += 1;
            continue;
        }
        let mut known = true;
        let width = PSQL.width(&arg.text, &mut known).max(1);
        if !known {
            eye.unknown(&line, "psql.option-not-known");
        }
        let (name, value) = value(
            &arg.text,
            width,
            cmd.args.get(at + 1).map_or("", |next| next.text.as_str()),
        );
        match name {
            'c' => {
                given = true;
                text(eye, value);
            }
            'f' => {
                given = true;
                match eye.script(value).map(std::str::from_utf8) {
                    Some(Ok(script)) => text(eye, script),
                    _ if value == "-" => standard_input(eye, cmd, &line),
                    _ => eye.unknown(&line, "psql.file-not-read"),
                }
            }
            'd' => connection(eye, value, &line),
            'l' | 'V' | '?' => {
                given = true;
                eye.see(Read, &line, "psql.lists");
            }
            'o' | 'L' => {
                if value.starts_with('|') {
                    eye.unknown(&line, "psql.output-program");
                } else if let Some(effects) = paths::touched(value) {
                    eye.see_all(effects, &line, "psql.output-file");
                }
            }
            // A variable can carry any text into the script.
            'v' if !matches!(
                value.split('=').next(),
                Some("ON_ERROR_STOP" | "VERBOSITY" | "ON_ERROR_ROLLBACK")
            ) =>
            {
                eye.unknown(&line, "psql.variable");
            }
            'W' => eye.unknown(&line, "psql.asks"),
            _ => {}
        }
        at += width;
    }
    if positional > 2 {
        eye.unknown(&line, "psql.option-not-known");
    }
    if !given {
        standard_input(eye, cmd, &line);
    }
}

/// A connection string may carry options for the server, such as `session_replication_role`.
fn connection(eye: &mut Eye<'_>, value: &str, line: &str) {
    let lower = value.to_ascii_lowercase();
    if lower.contains("options=") || lower.contains("service=") {
        eye.unknown(line, "psql.connection-options");
    }
}

fn standard_input(eye: &mut Eye<'_>, cmd: &Cmd<'_>, line: &str) {
    match cmd.stdin {
        Stdin::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(sql) => text(eye, sql),
            Err(_) => eye.unknown(line, "script.not-text"),
        },
        Stdin::Unseen => eye.unknown(line, "psql.reads-terminal"),
    }
}

/// The letter an option stands for, and its value.
fn value<'t>(option: &'t str, width: usize, next: &'t str) -> (char, &'t str) {
    let next = if width == 2 { next } else { "" };
    if let Some(long) = option.strip_prefix("--") {
        let (name, value) = long.split_once('=').unwrap_or((long, next));
        let letter = match name {
            "command" => 'c',
            "file" => 'f',
            "dbname" => 'd',
            "list" => 'l',
            "version" => 'V',
            "help" => '?',
            "output" => 'o',
            "log-file" => 'L',
            "set" | "variable" => 'v',
            "password" => 'W',
            _ => '-',
        };
        return (letter, value);
    }
    // `-Atc TEXT`, `-cTEXT`: the first letter that takes a value takes the rest or the next word.
    for (at, letter) in option.char_indices().skip(1) {
        if "cfdhpUvoLFRPT".contains(letter) {
            let attached = option.get(at + 1..).unwrap_or_default();
            return (letter, if attached.is_empty() { next } else { attached });
        }
    }
    let first = option.chars().skip(1).find(|letter| "lV?W".contains(*letter));
    (first.unwrap_or('-'), "")
}

/// A psql text: SQL with backslash commands and variables.
fn text(eye: &mut Eye<'_>, script: &str) {
    if eye.afford(script) {
        eye.reading(script, |eye| parts(eye, script));
    }
}

fn parts(eye: &mut Eye<'_>, script: &str) {
    let parts = psql_text::split(script);
    if parts.broken {
        eye.unknown(script, "psql.unfinished");
    }
    // A variable can carry any text into the statement.
    if parts.variable {
        eye.unknown(script, "psql.variable");
    }
    for command in &parts.commands {
        eye.deeper(command, |eye| backslash(eye, command));
    }
    if !parts.sql.trim().is_empty() || parts.commands.is_empty() {
        sql::detect(eye, &parts.sql, Dialect::Postgres);
    }
}

/// One backslash command, without its backslash.
fn backslash(eye: &mut Eye<'_>, command: &str) {
    let line = format!("\\{command}");
    let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    let rest = rest.trim();
    if let Some(shell_text) = command.strip_prefix('!') {
        return shell::text(eye, shell_text, &Stdin::Unseen);
    }
    if rest.contains('`') {
        return eye.unknown(&line, "psql.runs-program");
    }
    match name {
        "i" | "ir" | "include" | "include_relative" => match eye.script(rest).map(std::str::from_utf8) {
            Some(Ok(script)) => text(eye, script),
            _ => eye.unknown(&line, "psql.file-not-read"),
        },
        "copy" => sql::detect(eye, &format!("COPY {rest}"), Dialect::Postgres),
        "password" => eye.see(CredentialChange, &line, "psql.password"),
        "set" => eye.see(Read, &line, "psql.shows"),
        // `\g FILE` and `\g |PROGRAM` write; alone it ends a statement.
        "g" | "gx" | "gdesc" | "gset" | "crosstabview" if rest.is_empty() => {
            eye.see(Read, &line, "psql.shows")
        }
        _ if SHOWS.contains(&format!(" {} ", name.trim_end_matches(['+', 'S', 'x'])))
            || SHOWS.contains(&format!(" {name} ")) =>
        {
            eye.see(Read, &line, "psql.shows");
        }
        _ => eye.unknown(&line, "psql.backslash"),
    }
}

/// The programs beside `psql`.
pub(super) fn utility(eye: &mut Eye<'_>, cmd: &Cmd<'_>) {
    let line = cmd.text();
    if cmd
        .args
        .iter()
        .any(|arg| matches!(arg.text.as_str(), "--version" | "--help" | "-V" | "-?"))
        && cmd.args.len() == 1
    {
        return eye.see(Read, &line, "postgres.version");
    }
    let short = |letter: char| {
        cmd.args.iter().any(|arg| {
            arg.text.starts_with('-')
                && !arg.text.starts_with("--")
                && arg.text.get(1..).is_some_and(|rest| rest.starts_with(letter))
        })
    };
    let long = |name: &str| {
        cmd.args.iter().any(|arg| {
            arg.text.len() > 3
                && arg.text.starts_with("--")
                && (name.starts_with(arg.text.split('=').next().unwrap_or_default()))
        })
    };
    match cmd.name {
        // An empty room beside the damaged one: destroys nothing.
        "createdb" => eye.see(DataRestore, &line, "postgres.createdb"),
        "dropdb" => eye.see_all(&[SchemaChange, BulkData, OneWay], &line, "postgres.dropdb"),
        "createuser" | "dropuser" => eye.see(CredentialChange, &line, "postgres.user"),
        "pg_restore" => {
            let clean = cmd.args.iter().any(|arg| is_cluster_with(&arg.text, 'c')) || long("--clean");
            let into =
                short('d') || cmd.args.iter().any(|arg| is_cluster_with(&arg.text, 'd')) || long("--dbname");
            let lists = short('l') || long("--list");
            if clean {
                eye.see_all(
                    &[SchemaChange, BulkData, OneWay, DataRestore],
                    &line,
                    "postgres.restore-clean",
                );
            } else if into {
                eye.see(DataRestore, &line, "postgres.restore");
            } else if lists && !short('f') && !long("--file") {
                eye.see(Read, &line, "postgres.restore-lists");
            } else if short('f') || long("--file") {
                eye.see(DataWrite, &line, "postgres.restore-to-file");
            } else {
                eye.unknown(&line, "postgres.restore-nowhere");
            }
            if long("--disable-triggers") {
                eye.see(Effect::SecurityConfig, &line, "postgres.disable-triggers");
            }
        }
        "vacuumdb" => {
            let full = short('f') || long("--full");
            eye.see_all(&[DataWrite, OneWay], &line, "postgres.vacuum");
            if full {
                eye.see_all(&[BulkData, OneWay], &line, "postgres.vacuum-full");
            }
        }
        "reindexdb" => eye.see_all(&[SchemaChange, Traffic], &line, "postgres.reindex"),
        "clusterdb" => eye.see_all(&[BulkData, OneWay], &line, "postgres.cluster"),
        "pg_ctl" | "pg_ctlcluster" => match cmd.args.iter().map(|arg| arg.text.as_str()).find(|word| {
            matches!(
                *word,
                "status"
                    | "start"
                    | "stop"
                    | "restart"
                    | "reload"
                    | "promote"
                    | "kill"
                    | "initdb"
                    | "logrotate"
            )
        }) {
            Some("status") => eye.see(Read, &line, "postgres.ctl-status"),
            Some("start" | "restart") => eye.see(ServiceRestart, &line, "postgres.ctl-restart"),
            Some("stop") => eye.see_all(&[ServiceRestart, Traffic], &line, "postgres.ctl-stop"),
            Some("reload" | "logrotate") => eye.see(ConfigChange, &line, "postgres.ctl-reload"),
            Some("promote") => eye.see_all(&[InfraChange, OneWay], &line, "postgres.ctl-promote"),
            _ => eye.unknown(&line, "postgres.ctl"),
        },
        "pg_basebackup" => eye.see(Effect::Protect, &line, "postgres.basebackup"),
        "pg_resetwal" | "pg_rewind" => eye.see_all(
            &[BulkData, BackupChange, OneWay],
            &line,
            "postgres.rewrites-cluster",
        ),
        _ => eye.unknown(&line, "postgres.not-known"),
    }
}

/// Whether a short-option cluster of `pg_restore` holds a letter before any letter with a value.
fn is_cluster_with(arg: &str, letter: char) -> bool {
    if arg.starts_with("--") || !arg.starts_with('-') {
        return false;
    }
    for c in arg.chars().skip(1) {
        if c == letter {
            return true;
        }
        if "dfFhIjLnNpPSTtU".contains(c) {
            return false;
        }
    }
    false
}
