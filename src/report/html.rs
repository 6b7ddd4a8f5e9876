//! The postmortem as one HTML page that loads nothing, runs nothing and links nowhere.

use minijinja::{Environment, Value, context};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd, html::push_html};

use super::escape;
use super::facts::Report;
use super::markdown::{ReportError, markdown};

const NAME: &str = "report.html.j2";
const PAGE: &str = include_str!("../../templates/report.html.j2");

/// The postmortem as HTML: the Markdown, set. There is one template for the words, so the two cannot differ.
pub fn html(report: &Report) -> Result<String, ReportError> {
    let text = markdown(report)?;
    let mut body = String::with_capacity(2 * text.len());
    push_html(
        &mut body,
        Parser::new_ext(&text, Options::ENABLE_TABLES).filter_map(shown),
    );
    let values = context! {
        id => report.id.clone(),
        drill => report.drill,
        title => escape::plain(&report.title),
        body => Value::from_safe_string(body),
    };
    // A name that ends in .html is what makes minijinja escape what is no safe string.
    Environment::new()
        .render_named_str(NAME, PAGE, values)
        .map_err(|source| ReportError { name: NAME, source })
}

/// What a page may hold. The Markdown writes no HTML, link or image, so one that is there anyway was smuggled in.
fn shown(event: Event<'_>) -> Option<Event<'_>> {
    match event {
        Event::Html(text) | Event::InlineHtml(text) => Some(Event::Text(text)),
        Event::Start(Tag::HtmlBlock | Tag::Link { .. } | Tag::Image { .. })
        | Event::End(TagEnd::HtmlBlock | TagEnd::Link | TagEnd::Image) => None,
        event => Some(event),
    }
}
