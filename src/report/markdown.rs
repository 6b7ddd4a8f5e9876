//! Templates filled in: every value is escaped on its way out, so no template can forget to.

use minijinja::value::{Serde, Value};
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

use super::facts::Report;
use super::{escape, words};
use crate::model::time::span;

const REPORT: &str = include_str!("../../templates/report.md.j2");

/// A template does not fit what it is to show.
#[derive(Debug, thiserror::Error)]
#[error("the template `{name}` cannot be filled in")]
pub struct ReportError {
    /// Which template.
    pub name: &'static str,
    /// What does not fit, with its line.
    #[source]
    pub source: minijinja::Error,
}

/// The postmortem as Markdown.
pub fn markdown(report: &Report) -> Result<String, ReportError> {
    fill("report.md.j2", REPORT, report)
}

/// Fills one template in.
pub(super) fn fill(name: &'static str, text: &str, values: &impl Serialize) -> Result<String, ReportError> {
    environment()
        .render_named_str(name, text, Serde(values))
        .map(|text| text.trim_end().to_owned() + "\n")
        .map_err(|source| ReportError { name, source })
}

fn environment() -> Environment<'static> {
    let mut env = Environment::new();
    // A key that is misspelt in a template is a mistake, not an empty place in a postmortem.
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_formatter(|out, _, value| {
        match (value.is_none(), value.is_safe()) {
            (true, _) => {}
            (_, true) => out.write_str(&value.to_string())?,
            _ => out.write_str(&escape::markdown(&value.to_string()))?,
        }
        Ok(())
    });
    env.add_filter("took", |ms: Option<u64>, never: String| ms.map_or(never, span));
    env.add_filter("list", |items: Vec<String>| words::list(items));
    env.add_filter("numbers", |items: Vec<u64>| {
        Value::from_safe_string(words::list(items.into_iter().map(|n| format!("#{n}"))))
    });
    env.add_filter("code", |text: String| {
        Value::from_safe_string(escape::code(&text))
    });
    env.add_filter("quotation", |text: String| {
        Value::from_safe_string(escape::quotation(&text))
    });
    env
}
