//! Statements known by their first words.

use crate::effects::eye::Eye;
use crate::model::effect::Effect::{
    self, BackupChange, BulkData, ConfigChange, CredentialChange, DataRestore, DataWrite, InfraChange,
    OneWay, Read, SchemaChange, SecurityConfig, ServiceRestart, Traffic, Unknown,
};

use sqlparser::tokenizer::Token;

use super::{One, has_word, word_at};

/// Leading words and what they change. Words between a verb and its object (`OR REPLACE`, `UNIQUE`,
/// `IF EXISTS`) are left out of the comparison. The longest match counts.
const ROWS: &[(&str, &[Effect])] = &[
    ("DROP DATABASE", &[SchemaChange, BulkData, OneWay]),
    ("DROP SCHEMA", &[SchemaChange, BulkData, OneWay]),
    ("DROP TABLE", &[SchemaChange, BulkData, OneWay]),
    ("DROP TABLESPACE", &[SchemaChange, OneWay]),
    ("DROP OWNED", &[SchemaChange, BulkData, CredentialChange, OneWay]),
    ("DROP ROLE", &[CredentialChange]),
    ("DROP USER", &[CredentialChange]),
    ("DROP GROUP", &[CredentialChange]),
    ("DROP POLICY", &[SecurityConfig]),
    ("DROP TRIGGER", &[SchemaChange, SecurityConfig]),
    ("DROP SERVER", &[SchemaChange, ConfigChange]),
    ("DROP SUBSCRIPTION", &[ConfigChange, BackupChange]),
    ("DROP PUBLICATION", &[ConfigChange, BackupChange]),
    ("DROP", &[SchemaChange]),
    ("TRUNCATE", &[BulkData, OneWay]),
    ("CREATE DATABASE", &[DataRestore]),
    ("CREATE ROLE", &[CredentialChange]),
    ("CREATE USER", &[CredentialChange]),
    ("CREATE GROUP", &[CredentialChange]),
    ("CREATE POLICY", &[SecurityConfig]),
    ("CREATE FUNCTION", &[SchemaChange, Unknown]),
    ("CREATE PROCEDURE", &[SchemaChange, Unknown]),
    ("CREATE TRIGGER", &[SchemaChange, Unknown]),
    ("CREATE RULE", &[SchemaChange, Unknown]),
    ("CREATE EVENT", &[SchemaChange, Unknown]),
    ("CREATE LANGUAGE", &[SchemaChange, Unknown]),
    ("CREATE EXTENSION", &[SchemaChange, Unknown]),
    ("CREATE SERVER", &[SchemaChange, ConfigChange]),
    ("CREATE SUBSCRIPTION", &[ConfigChange, BulkData]),
    ("CREATE PUBLICATION", &[ConfigChange]),
    ("CREATE TABLE", &[SchemaChange]),
    ("CREATE INDEX", &[SchemaChange]),
    ("CREATE VIEW", &[SchemaChange]),
    ("CREATE SCHEMA", &[SchemaChange]),
    ("CREATE SEQUENCE", &[SchemaChange]),
    ("CREATE TYPE", &[SchemaChange]),
    ("CREATE DOMAIN", &[SchemaChange]),
    ("CREATE STATISTICS", &[SchemaChange]),
    ("CREATE", &[SchemaChange, Unknown]),
    ("ALTER ROLE", &[CredentialChange]),
    ("ALTER USER", &[CredentialChange]),
    ("ALTER GROUP", &[CredentialChange]),
    ("ALTER DEFAULT PRIVILEGES", &[CredentialChange]),
    ("ALTER POLICY", &[SecurityConfig]),
    ("ALTER SYSTEM", &[ConfigChange]),
    ("ALTER", &[SchemaChange]),
    ("RENAME", &[SchemaChange]),
    ("GRANT", &[CredentialChange]),
    ("REVOKE", &[CredentialChange]),
    ("REASSIGN", &[CredentialChange]),
    ("SECURITY LABEL", &[SecurityConfig]),
    ("COMMENT ON", &[SchemaChange]),
    ("INSERT", &[BulkData]),
    ("REPLACE", &[BulkData]),
    ("UPDATE", &[BulkData]),
    ("DELETE", &[BulkData, OneWay]),
    ("MERGE", &[BulkData]),
    ("LOAD DATA", &[BulkData]),
    ("VACUUM", &[DataWrite, OneWay]),
    ("VACUUM FULL", &[BulkData, OneWay]),
    ("OPTIMIZE", &[BulkData, OneWay]),
    ("CLUSTER", &[BulkData, OneWay]),
    ("REINDEX", &[SchemaChange, Traffic]),
    ("REFRESH MATERIALIZED VIEW", &[DataWrite]),
    ("REFRESH", &[DataWrite]),
    ("ANALYZE", &[DataWrite]),
    ("LOCK", &[Traffic]),
    ("UNLOCK", &[Traffic]),
    ("NOTIFY", &[DataWrite]),
    ("KILL", &[Traffic]),
    ("SHUTDOWN", &[ServiceRestart, Traffic]),
    ("FLUSH PRIVILEGES", &[CredentialChange]),
    ("FLUSH", &[ConfigChange]),
    ("PURGE", &[BackupChange, OneWay]),
    ("RESET MASTER", &[BackupChange, OneWay]),
    ("RESET BINARY", &[BackupChange, OneWay]),
    ("RESET REPLICA", &[ConfigChange, OneWay]),
    ("RESET SLAVE", &[ConfigChange, OneWay]),
    ("RESET PERSIST", &[ConfigChange]),
    ("RESET QUERY", &[ConfigChange]),
    ("STOP", &[ConfigChange]),
    ("START REPLICA", &[ConfigChange]),
    ("START SLAVE", &[ConfigChange]),
    ("CHANGE", &[ConfigChange, InfraChange]),
    ("IMPORT FOREIGN", &[SchemaChange]),
    ("ATTACH", &[DataWrite]),
    ("CALL", &[Unknown]),
    ("DO", &[Unknown]),
    ("EXECUTE", &[Unknown]),
    ("PREPARE", &[Unknown]),
    ("SET SESSION_REPLICATION_ROLE", &[SecurityConfig, OneWay]),
    ("SET ROW_SECURITY", &[SecurityConfig]),
    ("SET ROLE", &[SecurityConfig]),
    ("SET AUTHORIZATION", &[SecurityConfig]),
    ("SET PASSWORD", &[CredentialChange]),
    ("SET FOREIGN_KEY_CHECKS", &[SecurityConfig]),
    ("SET SQL_LOG_BIN", &[SecurityConfig, BackupChange]),
    ("SET SQL_SAFE_UPDATES", &[SecurityConfig]),
    ("SET PERSIST", &[ConfigChange]),
    ("SET GLOBAL", &[ConfigChange]),
    ("SET STATEMENT_TIMEOUT", &[Read]),
    ("SET LOCK_TIMEOUT", &[Read]),
    ("SET IDLE_IN_TRANSACTION_SESSION_TIMEOUT", &[Read]),
    ("SET TIMEZONE", &[Read]),
    ("SET TIME ZONE", &[Read]),
    ("SET CLIENT_ENCODING", &[Read]),
    ("SET NAMES", &[Read]),
    ("SET APPLICATION_NAME", &[Read]),
    ("SET DATESTYLE", &[Read]),
    ("SET INTERVALSTYLE", &[Read]),
    ("SET EXTRA_FLOAT_DIGITS", &[Read]),
    ("SET WORK_MEM", &[Read]),
    ("SET CLIENT_MIN_MESSAGES", &[Read]),
    ("SET DEFAULT_TRANSACTION_READ_ONLY", &[Read]),
    ("SET TRANSACTION", &[Read]),
    ("SET CHARACTERISTICS", &[Read]),
    ("RESET", &[Read]),
    ("SHOW", &[Read]),
    ("BEGIN", &[Read]),
    ("START TRANSACTION", &[Read]),
    ("COMMIT", &[Read]),
    ("COMMIT PREPARED", &[Unknown]),
    ("ROLLBACK", &[Read]),
    ("ROLLBACK PREPARED", &[Unknown]),
    ("ABORT", &[Read]),
    ("END", &[Read]),
    ("SAVEPOINT", &[Read]),
    ("RELEASE", &[Read]),
    ("USE", &[Read]),
    ("FETCH", &[Read]),
    ("CLOSE", &[Read]),
    ("DISCARD", &[Read]),
    ("DETACH DATABASE", &[Read]),
];

/// Words that say how, not what, between a verb and its object.
const BETWEEN: [&str; 20] = [
    "OR",
    "REPLACE",
    "TEMP",
    "TEMPORARY",
    "LOCAL",
    "UNLOGGED",
    "UNIQUE",
    "FOREIGN",
    "MATERIALIZED",
    "EXTERNAL",
    "VIRTUAL",
    "CONSTRAINT",
    "TRUSTED",
    "PROCEDURAL",
    "SESSION",
    "CONCURRENTLY",
    "BINARY",
    "FORCE",
    "AGGREGATE",
    "ALGORITHM",
];

/// Pragmas that only show something.
const PRAGMAS: &str = " table_info table_xinfo table_list index_list index_info index_xinfo foreign_key_list foreign_key_check integrity_check quick_check database_list compile_options page_count freelist_count page_size user_version schema_version journal_mode encoding collation_list function_list ";

/// Classifies a statement by its first words.
pub(super) fn by_words(eye: &mut Eye<'_>, one: &One<'_>) {
    let first = word_at(one.tokens, 0);
    match first.as_str() {
        "COPY" => copy(eye, one),
        "PRAGMA" => pragma(eye, one),
        _ => rows(eye, one, &first),
    }
}

fn rows(eye: &mut Eye<'_>, one: &One<'_>, first: &str) {
    let text = &one.text;
    let skip = matches!(first, "DROP" | "CREATE" | "ALTER" | "SET" | "LOAD");
    let mut words = vec![first.to_owned()];
    for at in 1..one.tokens.len().min(8) {
        let word = word_at(one.tokens, at);
        if !(skip && BETWEEN.contains(&word.as_str())) {
            words.push(word);
        }
    }
    let line = words.join(" ");
    let best = ROWS
        .iter()
        .filter(|(pattern, _)| {
            line.strip_prefix(pattern)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        })
        .max_by_key(|(pattern, _)| pattern.len());
    let Some((pattern, effects)) = best else {
        return eye.unknown(text, "sql.statement-not-known");
    };
    let rule = format!("sql.{}", pattern.to_ascii_lowercase().replace(' ', "-"));
    eye.see_all(effects, text, &rule);
    // `BEGIN NOT ATOMIC DELETE …` and `SET NAMES x, GLOBAL …` begin like something harmless.
    const WRITES: [&str; 12] = [
        "INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE", "DROP", "ALTER", "GRANT", "REVOKE", "CALL", "DO",
        "EXECUTE",
    ];
    let odd = has_word(one.tokens, &WRITES)
        || first == "SET" && one.tokens.contains(&Token::Comma)
        || matches!(*pattern, "SET NAMES" | "SET CLIENT_ENCODING")
            && !text.to_ascii_lowercase().contains("utf");
    if *effects == [Read] && (odd || one.tokens.len() > 40)
        || first == "ANALYZE" && one.tokens.len() > 12
        || first == "ANALYZE" && has_word(one.tokens, &WRITES)
    {
        eye.unknown(text, "sql.not-understood");
    }
    match first {
        "DROP" | "TRUNCATE" if has_word(one.tokens, &["CASCADE"]) => eye.see(OneWay, text, "sql.cascade"),
        "DROP" if has_word(one.tokens, &["MATERIALIZED"]) => eye.see(OneWay, text, "sql.drop-materialized"),
        "ALTER" => alter(eye, one, &line),
        "SET" if has_word(one.tokens, &["GLOBAL", "PERSIST", "PERSIST_ONLY"]) => {
            eye.see(ConfigChange, text, "sql.set-global")
        }
        "SET" | "SHOW" | "USE" => super::functions::unknown_ones(eye, one),
        "CREATE" if has_word(one.tokens, &["SELECT"]) => {
            eye.see(DataWrite, text, "sql.create-as-select");
            super::functions::positively(eye, one);
        }
        "GRANT" | "CREATE" | "REVOKE" => {}
        _ => {}
    }
}

/// `ALTER TABLE` loses data where it drops, and a guard where it disables one.
fn alter(eye: &mut Eye<'_>, one: &One<'_>, line: &str) {
    let text = &one.text;
    if has_word(one.tokens, &["DROP"]) && line.starts_with("ALTER TABLE") {
        let loses = !has_word(
            one.tokens,
            &["CONSTRAINT", "DEFAULT", "INDEX", "EXPRESSION", "IDENTITY"],
        ) || has_word(one.tokens, &["COLUMN"]);
        let effects: &[Effect] = if loses {
            &[BulkData, OneWay]
        } else {
            &[SecurityConfig]
        };
        eye.see_all(effects, text, "sql.alter-drop");
    }
    if has_word(one.tokens, &["DISABLE", "OWNER", "SECURITY"]) {
        eye.see(SecurityConfig, text, "sql.alter-guard");
    }
    if has_word(one.tokens, &["TYPE", "USING", "TRUNCATE", "DISCARD"]) {
        eye.see(BulkData, text, "sql.alter-rewrites");
    }
}

fn copy(eye: &mut Eye<'_>, one: &One<'_>) {
    let text = &one.text;
    let tokens = one.tokens;
    if has_word(tokens, &["PROGRAM"]) {
        return eye.see_all(&[Unknown, OneWay], text, "sql.copy-program");
    }
    // Only what follows the first bracket pair decides the direction.
    let bracketed = tokens.get(1) == Some(&Token::LParen);
    if bracketed && has_word(tokens, &["INSERT", "UPDATE", "DELETE", "MERGE", "INTO"]) {
        return eye.see_all(&[BulkData, Unknown], text, "sql.copy-of-write");
    }
    super::functions::unknown_ones_in_query(eye, one, bracketed);
    let stdout = has_word(tokens, &["STDOUT"]);
    let from = !bracketed && has_word(tokens, &["FROM"]);
    match (from, has_word(tokens, &["TO"]), stdout) {
        (true, _, _) => eye.see(BulkData, text, "sql.copy-from"),
        (false, true, true) => eye.see(Read, text, "sql.copy-to-stdout"),
        (false, true, false) => eye.see(DataWrite, text, "sql.copy-to-file"),
        _ => eye.unknown(text, "sql.not-understood"),
    }
}

fn pragma(eye: &mut Eye<'_>, one: &One<'_>) {
    let name = word_at(one.tokens, 1).to_ascii_lowercase();
    // Given a value, these would be set.
    let settable = [
        "user_version",
        "schema_version",
        "journal_mode",
        "encoding",
        "page_size",
    ]
    .contains(&name.as_str());
    let listed = !name.is_empty() && PRAGMAS.contains(&format!(" {name} "));
    let shows = listed && !one.tokens.contains(&Token::Eq) && (!settable || one.tokens.len() == 2);
    if shows {
        eye.see(Read, &one.text, "sql.pragma-shows");
    } else {
        eye.see_all(&[ConfigChange, Unknown], &one.text, "sql.pragma");
    }
}

/// Looks for dangerous words in text that no tokenizer understood. It can only add.
pub(super) fn scan(eye: &mut Eye<'_>, sql: &str) {
    let upper = sql.to_ascii_uppercase();
    let words: Vec<&str> = upper
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|w| !w.is_empty())
        .take(20_000)
        .collect();
    for pair in words.windows(2) {
        let [verb, object] = pair else { continue };
        let effects: &[Effect] = match (*verb, *object) {
            ("DROP", "DATABASE" | "SCHEMA" | "TABLE" | "OWNED") => &[SchemaChange, BulkData, OneWay],
            ("DELETE", "FROM") | ("TRUNCATE", _) => &[BulkData, OneWay],
            ("DROP" | "ALTER" | "CREATE", "ROLE" | "USER") => &[CredentialChange],
            ("INSERT", "INTO") => &[DataWrite],
            _ => continue,
        };
        eye.see_all(effects, &format!("{verb} {object}"), "sql.words-seen");
    }
}
