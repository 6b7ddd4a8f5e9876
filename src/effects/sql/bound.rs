//! Whether a `WHERE` bounds what it selects, as far as the text shows.

use sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, Value};

/// How deep conditions are followed; deeper counts as no bound.
const DEPTH: usize = 60;

/// A condition is a bound only if it names rows: a column equal to a value, in a list of values or
/// between two values, on every side of every `OR`. A comparison such as `id > 0` bounds nothing.
pub(super) fn is_bounded(condition: &Expr) -> bool {
    names_rows(condition, 0)
}

fn names_rows(condition: &Expr, depth: usize) -> bool {
    if depth > DEPTH {
        return false;
    }
    match condition {
        Expr::Nested(inner) => names_rows(inner, depth + 1),
        Expr::BinaryOp { left, op, right } => match op {
            BinaryOperator::And => names_rows(left, depth + 1) || names_rows(right, depth + 1),
            BinaryOperator::Or => names_rows(left, depth + 1) && names_rows(right, depth + 1),
            BinaryOperator::Eq => column(left) && value(right) || value(left) && column(right),
            _ => false,
        },
        Expr::InList {
            expr,
            list,
            negated: false,
        } => column(expr) && list.iter().all(value),
        Expr::Between {
            expr,
            negated: false,
            low,
            high,
        } => column(expr) && value(low) && value(high),
        _ => false,
    }
}

fn column(expr: &Expr) -> bool {
    match expr {
        Expr::Identifier(name) => {
            let lower = name.value.to_ascii_lowercase();
            !matches!(
                lower.as_str(),
                "true" | "false" | "null" | "current_user" | "user" | "session_user" | "current_date"
            )
        }
        Expr::CompoundIdentifier(_) => true,
        _ => false,
    }
}

/// A value that can pick out rows; `active = true` picks out half a table.
fn value(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => !matches!(value.value, Value::Boolean(_) | Value::Null),
        Expr::TypedString(_) => true,
        Expr::Cast { expr, .. } => matches!(**expr, Expr::Value(_)) && value(expr),
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => matches!(**expr, Expr::Value(_)),
        _ => false,
    }
}
