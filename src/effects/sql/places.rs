//! Where the statements of a text stand in it.

use std::ops::Range;

use sqlparser::tokenizer::{Location, Token, Tokenizer};

use super::Dialect;

/// The bytes of every statement that is not empty, in order, without its semicolon.
pub(super) fn statements(sql: &str, dialect: Dialect) -> Vec<Range<usize>> {
    let tokens = Tokenizer::new(dialect.grammar(), sql).tokenize_with_location();
    let starts: Vec<usize> = sql.char_indices().map(|(at, _)| at).collect();
    let ends = sql
        .chars()
        .enumerate()
        .filter(|(_, c)| *c == '\n')
        .map(|(n, _)| n + 1);
    let lines: Vec<usize> = std::iter::once(0).chain(ends).collect();
    // Lines and columns count from one, columns in characters.
    let byte = |at: Location| {
        let line = usize::try_from(at.line).ok()?.checked_sub(1)?;
        let column = usize::try_from(at.column).ok()?.checked_sub(1)?;
        let nth = lines.get(line)? + column;
        Some(starts.get(nth).copied().unwrap_or(sql.len()))
    };
    let tokens: Vec<_> = tokens
        .unwrap_or_default()
        .into_iter()
        .filter(|token| !matches!(token.token, Token::Whitespace(_)))
        .collect();
    tokens
        .split(|token| token.token == Token::SemiColon)
        .filter_map(|tokens| {
            let (first, last) = (tokens.first()?, tokens.last()?);
            let (from, to) = (byte(first.span.start)?, byte(last.span.end)?);
            Some(from..to.max(from))
        })
        .collect()
}
