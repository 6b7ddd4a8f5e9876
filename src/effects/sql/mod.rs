//! SQL text to effects: statements split by tokens, classified by their first words, reads proved by a parser.
//!
//! A statement reads only if the parser understands it, no word in it writes, and every function it
//! calls is on the list of reading functions. Everything else is classified by a table of leading
//! words, or is `Unknown`.

mod amount;
mod bound;
mod functions;
mod places;
mod statements;

use sqlparser::ast::{Query, SetExpr, Statement};
use sqlparser::dialect::{
    Dialect as Grammar, GenericDialect, MySqlDialect, PostgreSqlDialect, SQLiteDialect,
};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, Tokenizer, Whitespace, Word};

use crate::model::effect::Effect;

use super::eye::Eye;

pub(super) use amount::rows;

/// Whose SQL it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL and its relatives.
    Postgres,
    /// MySQL and MariaDB.
    MySql,
    /// SQLite.
    Sqlite,
    /// Not known which.
    Generic,
}

impl Dialect {
    fn grammar(self) -> &'static dyn Grammar {
        match self {
            Dialect::Postgres => &PostgreSqlDialect {},
            Dialect::MySql => &MySqlDialect {},
            Dialect::Sqlite => &SQLiteDialect {},
            Dialect::Generic => &GenericDialect {},
        }
    }
}

/// The longest statement the parser is given, in tokens: its trees are as deep as `1+1+1+…` is long.
const TOKENS: usize = 2_000;
/// How deep the parser may recurse; deeper is not understood. Unoptimised, a level takes up to 100 KiB of stack, and a
/// thread has two MiB: twelve levels fit, and so do three queries inside one another.
const PARSE_DEPTH: usize = 12;

/// One statement: its tokens without whitespace, and its text.
struct One<'t> {
    tokens: &'t [Token],
    text: String,
}

/// Looks at every statement in a text.
pub(super) fn detect(eye: &mut Eye<'_>, sql: &str, dialect: Dialect) {
    if eye.afford(sql) {
        let sql = sql.trim_start_matches('\u{feff}');
        eye.reading(sql, |eye| read(eye, sql, dialect));
    }
}

fn read(eye: &mut Eye<'_>, sql: &str, dialect: Dialect) {
    // MySQL runs what stands in `/*! … */`; a comment inside a comment ends elsewhere in each dialect.
    let hidden =
        sql.contains("/*!") || sql.contains("/*M!") || sql.matches("/*").count() != sql.matches("*/").count();
    if hidden {
        eye.unknown(sql, "sql.comment-may-run");
    }
    // A lone carriage return ends a comment in one dialect and not in another; so may a NUL a text.
    if sql.contains('\0') || sql.replace("\r\n", "\n").contains('\r') {
        eye.unknown(sql, "sql.odd-characters");
    }
    let tokens = match Tokenizer::new(dialect.grammar(), sql).tokenize() {
        Ok(tokens) => tokens,
        Err(_) => {
            eye.unknown(sql, "sql.not-understood");
            return statements::scan(eye, sql);
        }
    };
    let nested = tokens.iter().any(
        |token| matches!(token, Token::Whitespace(Whitespace::MultiLineComment(inner)) if inner.contains("/*")),
    );
    if nested {
        eye.unknown(sql, "sql.comment-may-run");
        statements::scan(eye, sql);
    }
    let tokens: Vec<Token> = tokens
        .into_iter()
        .filter(|token| !matches!(token, Token::Whitespace(_)))
        .collect();
    let mut any = false;
    // Looked for only where somebody asks: the tokens are read once more, with their places.
    let places = eye.places.as_ref().map(|_| places::statements(sql, dialect));
    let mut places = places.into_iter().flatten();
    for tokens in tokens
        .split(|token| *token == Token::SemiColon)
        .filter(|tokens| !tokens.is_empty())
    {
        any = true;
        let one = One {
            tokens,
            text: text_of(tokens),
        };
        eye.part(places.next(), |eye| statement(eye, &one, dialect));
    }
    if !any {
        eye.see(Effect::Read, sql, "sql.nothing");
    }
}

fn text_of(tokens: &[Token]) -> String {
    let mut text = String::new();
    for (n, token) in tokens.iter().take(120).enumerate() {
        let glued = matches!(
            token,
            Token::Comma | Token::RParen | Token::Period | Token::LParen | Token::DoubleColon
        ) || n > 0
            && matches!(
                tokens.get(n - 1),
                Some(Token::LParen | Token::Period | Token::DoubleColon)
            );
        if n > 0 && !glued {
            text.push(' ');
        }
        text.push_str(&token.to_string());
        if text.len() > 400 {
            break;
        }
    }
    text
}

/// The unquoted word at a place, in upper case; empty for anything else.
fn word_at(tokens: &[Token], at: usize) -> String {
    match tokens.get(at) {
        Some(Token::Word(Word {
            value,
            quote_style: None,
            ..
        })) => value.to_ascii_uppercase(),
        _ => String::new(),
    }
}

fn has_word(tokens: &[Token], wanted: &[&str]) -> bool {
    tokens.iter().enumerate().any(|(at, token)| match token {
        Token::Word(word) if word.quote_style.is_none() => {
            wanted.iter().any(|w| word.value.eq_ignore_ascii_case(w))
                && !(at > 0 && matches!(tokens.get(at - 1), Some(Token::Period)))
        }
        _ => false,
    })
}

fn statement(eye: &mut Eye<'_>, one: &One<'_>, dialect: Dialect) {
    let tokens = one.tokens;
    functions::positively(eye, one);
    if tokens.contains(&Token::Backslash) {
        eye.unknown(&one.text, "sql.backslash");
    }
    match word_at(tokens, 0).as_str() {
        // The parser does not know `TABLE x`, which is `SELECT * FROM x`.
        "TABLE"
            if tokens
                .iter()
                .skip(1)
                .all(|token| matches!(token, Token::Word(_) | Token::Period))
                && tokens.len() <= 4 =>
        {
            eye.see(Effect::Read, &one.text, "sql.table");
        }
        "SELECT" | "VALUES" | "WITH" | "INSERT" | "UPDATE" | "DELETE" | "REPLACE" => {
            parsed(eye, one, dialect)
        }
        "" if tokens.first() == Some(&Token::LParen) => parsed(eye, one, dialect),
        "EXPLAIN" | "DESCRIBE" | "DESC" => explain(eye, one, dialect),
        _ => statements::by_words(eye, one),
    }
}

/// `EXPLAIN` reads; `EXPLAIN ANALYZE` does what it explains.
fn explain(eye: &mut Eye<'_>, one: &One<'_>, dialect: Dialect) {
    let mut at = 1;
    let mut runs = false;
    if one.tokens.get(at) == Some(&Token::LParen) {
        while let Some(token) = one.tokens.get(at).filter(|token| **token != Token::RParen) {
            runs |= matches!(token, Token::Word(w) if w.value.to_ascii_uppercase().starts_with("ANALY"));
            at += 1;
        }
        at += 1;
    }
    while matches!(
        word_at(one.tokens, at).as_str(),
        "ANALYZE" | "ANALYSE" | "VERBOSE" | "EXTENDED" | "QUERY" | "PLAN" | "FOR"
    ) {
        runs |= word_at(one.tokens, at).starts_with("ANALY");
        at += 1;
    }
    let rest = one.tokens.get(at..).unwrap_or_default();
    let starts_again = matches!(word_at(rest, 0).as_str(), "EXPLAIN" | "DESCRIBE" | "DESC");
    if runs && !rest.is_empty() && !starts_again {
        statement(
            eye,
            &One {
                tokens: rest,
                text: one.text.clone(),
            },
            dialect,
        );
    } else if runs {
        eye.unknown(&one.text, "sql.not-understood");
    } else if has_word(
        one.tokens.get(..one.tokens.len().min(10)).unwrap_or_default(),
        &["ANALYZE", "ANALYSE"],
    ) {
        eye.unknown(&one.text, "sql.explain-may-run");
    } else {
        eye.see(Effect::Read, &one.text, "sql.explain");
    }
}

/// A statement whose effect hangs on its shape, not on its first words.
fn parsed(eye: &mut Eye<'_>, one: &One<'_>, dialect: Dialect) {
    let text = &one.text;
    if one.tokens.len() > TOKENS {
        eye.unknown(text, "sql.too-long");
        return statements::by_words(eye, one);
    }
    // Reads of server files and writes to them hide in clauses that not every dialect parses.
    if has_word(one.tokens, &["OUTFILE", "DUMPFILE"]) {
        eye.see_all(&[Effect::DataWrite], text, "sql.into-file");
    }
    let mut parser = Parser::new(dialect.grammar())
        .with_recursion_limit(PARSE_DEPTH)
        .with_tokens(one.tokens.to_vec());
    let statement = parser
        .parse_statement()
        .ok()
        .filter(|_| parser.peek_token().token == Token::EOF);
    let before = eye.sights();
    match statement {
        Some(Statement::Query(query)) => query_parts(eye, one, &query),
        Some(statement) => write(eye, text, &statement),
        None => {
            eye.unknown(text, "sql.not-understood");
            return statements::by_words(eye, one);
        }
    }
    functions::unknown_ones(eye, one);
    if eye.sights() == before {
        eye.see(Effect::Read, text, "sql.select");
    }
}

/// Notes what a query writes or locks; says nothing about one that only reads.
fn query_parts(eye: &mut Eye<'_>, one: &One<'_>, query: &Query) {
    let text = &one.text;
    let before = eye.sights();
    writes_in(eye, text, query, 0);
    if eye.sights() == before
        && has_word(
            one.tokens,
            &["INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE", "REPLACE"],
        )
    {
        // `FOR UPDATE`, or a write where the tree was not followed.
        eye.unknown(text, "sql.write-word-in-query");
    }
    if !query.locks.is_empty() || has_word(one.tokens, &["SHARE", "LOCK"]) {
        eye.unknown(text, "sql.locks-rows");
    }
    if has_word(one.tokens, &["INTO"]) && eye.sights() == before {
        eye.see_all(
            &[Effect::SchemaChange, Effect::DataWrite],
            text,
            "sql.select-into",
        );
    }
}

fn writes_in(eye: &mut Eye<'_>, text: &str, query: &Query, depth: usize) {
    if depth > PARSE_DEPTH {
        return eye.unknown(text, "sql.too-deep");
    }
    for table in query.with.iter().flat_map(|with| &with.cte_tables) {
        writes_in(eye, text, &table.query, depth + 1);
    }
    match &*query.body {
        SetExpr::Insert(statement)
        | SetExpr::Update(statement)
        | SetExpr::Delete(statement)
        | SetExpr::Merge(statement) => {
            write(eye, text, statement);
        }
        SetExpr::Query(inner) => writes_in(eye, text, inner, depth + 1),
        _ => {}
    }
}

fn write(eye: &mut Eye<'_>, text: &str, statement: &Statement) {
    match statement {
        Statement::Insert(insert) => {
            let values = insert
                .source
                .as_ref()
                .is_none_or(|source| matches!(*source.body, SetExpr::Values(_)));
            if values && !insert.overwrite {
                eye.see(Effect::DataWrite, text, "sql.insert");
            } else {
                eye.see(Effect::BulkData, text, "sql.insert-select");
            }
            if insert.source.as_ref().is_some_and(|source| source.with.is_some()) {
                eye.unknown(text, "sql.write-with-query");
            }
        }
        Statement::Update(update) => {
            let bounded = update.selection.as_ref().is_some_and(bound::is_bounded);
            let (effect, rule) = if bounded {
                (Effect::DataWrite, "sql.update")
            } else {
                (Effect::BulkData, "sql.update-unbounded")
            };
            eye.see(effect, text, rule);
        }
        Statement::Delete(delete) => {
            if delete.selection.as_ref().is_some_and(bound::is_bounded) {
                eye.see(Effect::DataWrite, text, "sql.delete");
            } else {
                eye.see_all(&[Effect::BulkData, Effect::OneWay], text, "sql.delete-unbounded");
            }
        }
        Statement::Merge { .. } => eye.see(Effect::BulkData, text, "sql.merge"),
        _ => eye.unknown(text, "sql.not-understood"),
    }
}

#[cfg(test)]
mod tests;
