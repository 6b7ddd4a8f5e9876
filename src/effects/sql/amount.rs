//! How many rows a text can change at most, where its words say so.

use sqlparser::ast::{Expr, FromTable, SetExpr, Statement, Value};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, Tokenizer, Whitespace};

use super::{Dialect, PARSE_DEPTH, TOKENS};

/// The sum over every statement; `None` where one of them gives no bound.
///
/// Rows that its words name: what the database does of its own accord (a cascade, a trigger) stands in no words.
pub(in crate::effects) fn rows(sql: &str, dialect: Dialect) -> Option<u64> {
    // What one server takes for a comment another runs, and a backslash leaves SQL.
    if sql.contains("/*") || sql.contains(['\\', '\0', '\r']) {
        return None;
    }
    let tokens = Tokenizer::new(dialect.grammar(), sql).tokenize().ok()?;
    let is_space = |t: &Token| {
        matches!(
            t,
            Token::Whitespace(Whitespace::Space | Whitespace::Newline | Whitespace::Tab)
        )
    };
    let tokens: Vec<Token> = tokens.into_iter().filter(|t| !is_space(t)).collect();
    if tokens.len() > TOKENS || tokens.iter().any(|t| matches!(t, Token::Whitespace(_))) {
        return None;
    }
    let mut all: Option<u64> = None;
    for one in tokens
        .split(|t| *t == Token::SemiColon)
        .filter(|one| !one.is_empty())
    {
        let mut parser = Parser::new(dialect.grammar())
            .with_recursion_limit(PARSE_DEPTH)
            .with_tokens(one.to_vec());
        let statement = parser.parse_statement().ok()?;
        if parser.peek_token().token != Token::EOF {
            return None;
        }
        all = Some(all.unwrap_or(0).checked_add(most(&statement)?)?);
    }
    all
}

/// The most rows that one statement changes.
fn most(statement: &Statement) -> Option<u64> {
    match statement {
        Statement::Insert(insert) => {
            // `REPLACE` deletes as many rows as stand in its way.
            let plain = !insert.replace_into
                && insert.or.is_none()
                && !insert.overwrite
                && insert.returning.is_none()
                && insert.output.is_none()
                && insert.partitioned.is_none()
                && insert.assignments.is_empty()
                && insert.settings.is_none()
                && insert.format_clause.is_none()
                && insert.multi_table_insert_type.is_none()
                && insert.multi_table_into_clauses.is_empty()
                && insert.on.is_none();
            let source = insert.source.as_ref().filter(|s| plain && s.with.is_none())?;
            let SetExpr::Values(values) = &*source.body else {
                return None;
            };
            values
                .rows
                .iter()
                .all(|row| row.iter().all(is_value))
                .then_some(())?;
            u64::try_from(values.rows.len()).ok()
        }
        Statement::Update(update) => {
            let plain = update.from.is_none()
                && update.table.joins.is_empty()
                && update.returning.is_none()
                && update.output.is_none()
                && update.or.is_none();
            update.limit.as_ref().filter(|_| plain).and_then(number)
        }
        Statement::Delete(delete) => {
            let from = match &delete.from {
                FromTable::WithFromKeyword(tables) | FromTable::WithoutKeyword(tables) => tables,
            };
            let plain = delete.tables.is_empty()
                && delete.using.is_none()
                && delete.returning.is_none()
                && delete.output.is_none()
                && matches!(from.as_slice(), [one] if one.joins.is_empty());
            delete.limit.as_ref().filter(|_| plain).and_then(number)
        }
        Statement::StartTransaction { .. } | Statement::Commit { .. } => Some(0),
        _ => None,
    }
}

/// A value that runs nothing.
fn is_value(expr: &Expr) -> bool {
    match expr {
        Expr::Value(_) | Expr::TypedString(_) => true,
        // `DEFAULT`, `NULL`, `CURRENT_DATE`
        Expr::Identifier(name) => name.quote_style.is_none(),
        Expr::UnaryOp { expr, .. } | Expr::Nested(expr) | Expr::Cast { expr, .. } => {
            matches!(**expr, Expr::Value(_))
        }
        _ => false,
    }
}

fn number(expr: &Expr) -> Option<u64> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => digits.to_string().parse().ok(),
            _ => None,
        },
        _ => None,
    }
}
