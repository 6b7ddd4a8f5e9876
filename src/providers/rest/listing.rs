//! Lists, page by page: what was not looked at to its end is never called empty.

use serde_json::Value;
use url::Url;

use super::rule::{self, Rule};
use super::send::{Address, Sent, missing, send, unexpected};
use super::table::{Listing, Next, Table};
use super::template::Vars;
use crate::model::fact::Fact;
use crate::providers::{Ctx, not_tried};
use crate::world::http::HttpResponse;

/// Pages read of one listing.
const MOST_PAGES: usize = 20;

/// What a listing holds.
pub(super) struct Listed {
    /// The items that were asked for.
    pub items: Vec<Value>,
    /// True where the listing was read to its end.
    pub whole: bool,
}

impl Listed {
    /// Text at a JSON pointer of an item, or the item itself.
    pub fn text(item: &Value, pointer: Option<&str>) -> String {
        let found = match pointer {
            Some(pointer) => item.pointer(pointer).unwrap_or(&Value::Null),
            None => item,
        };
        found.as_str().map_or_else(|| found.to_string(), str::to_owned)
    }
}

/// Reads the listing; `None` where a page could not be read, which a fact then says. `none` tells the
/// answers that mean: there is nothing.
pub(super) async fn list(
    ctx: Ctx<'_>,
    table: &Table,
    listing: &Listing,
    none: &[Rule],
    vars: Vars<'_>,
    facts: &mut Vec<Fact>,
) -> Option<Listed> {
    let first = Address::of(table, &listing.call, vars).map_err(|what| facts.push(missing(&what)));
    let first = first.ok()?;
    let mut address = match &listing.next {
        Some(Next::Page(name)) => first.with(name, "1"),
        _ => first.clone(),
    };
    let mut listed = Listed {
        items: Vec::new(),
        whole: false,
    };
    for page in 1..=MOST_PAGES {
        let empty = |answer: &HttpResponse| rule::any(none, answer);
        let reply = send(ctx, table, &listing.call, vars, &address, &empty).await;
        facts.extend(reply.noted());
        let answer = match reply.sent {
            Sent::Answer(answer) if empty(&answer) => {
                listed.whole = true;
                return Some(listed);
            }
            Sent::Answer(answer) => answer,
            Sent::Missing(what) => {
                facts.push(missing(&what));
                return None;
            }
            Sent::Failed(fact) => {
                facts.push(fact);
                return None;
            }
        };
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        let items = body.pointer(&listing.items).and_then(Value::as_array);
        let (200..=299, Some(items), false) = (answer.status, items, rule::any(&table.errors, &answer))
        else {
            facts.push(unexpected(ctx, &answer));
            return None;
        };
        let wanted = |item: &&Value| match &listing.only {
            Some((pointer, values)) => item.pointer(pointer).is_some_and(|v| values.contains(v)),
            None => true,
        };
        listed.items.extend(items.iter().filter(wanted).cloned());
        let next = match &listing.next {
            None => None,
            Some(Next::Page(_) | Next::At { .. }) if items.is_empty() => None,
            Some(Next::Page(name)) => Some(first.with(name, &(page + 1).to_string())),
            Some(Next::Link) => answer
                .header("link")
                .and_then(next_link)
                .map(|link| first.follow(link)),
            Some(Next::At { pointer, query, more }) => {
                let goes_on = |p: &String| body.pointer(p) == Some(&Value::Bool(true));
                let value = body
                    .pointer(pointer)
                    .filter(|_| more.as_ref().is_none_or(goes_on));
                match (value.map(|v| Listed::text(v, None)), query) {
                    (Some(value), _) if value.is_empty() || value == "null" => None,
                    (Some(value), Some(name)) => Some(first.with(name, &value)),
                    (Some(value), None) => Some(first.follow(&value)),
                    (None, _) => None,
                }
            }
        };
        match next {
            None => {
                listed.whole = true;
                return Some(listed);
            }
            Some(next) if next.url == address.url || next.host != address.host => {
                facts.push(not_tried("the next page is the same again, or at another host"));
                return (!listed.items.is_empty()).then_some(listed);
            }
            Some(next) => address = next,
        }
    }
    facts.push(not_tried(format!(
        "the listing goes on after {MOST_PAGES} pages: there are more than the {} found so far",
        listed.items.len()
    )));
    (!listed.items.is_empty()).then_some(listed)
}

/// The address that a `Link` header names as the next page.
fn next_link(header: &str) -> Option<&str> {
    header.split(',').find_map(|link| {
        let (address, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
        let next = |p: &str| matches!(p.trim(), "rel=\"next\"" | "rel=next");
        rest.split(';').any(next).then_some(address)
    })
}

impl Address {
    /// This address with one more parameter.
    fn with(&self, name: &str, value: &str) -> Address {
        let sign = if self.url.contains('?') { '&' } else { '?' };
        let pair: String = url::form_urlencoded::Serializer::new(String::new())
            .append_pair(name, value)
            .finish();
        Address {
            url: format!("{}{sign}{pair}", self.url),
            host: self.host.clone(),
        }
    }

    /// The address that the provider names, seen from this one.
    fn follow(&self, named: &str) -> Address {
        match Url::parse(&self.url).and_then(|here| here.join(named)) {
            Ok(url) => Address {
                host: Address::host_of(&url),
                url: url.into(),
            },
            Err(_) => self.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_link_is_found_among_others() {
        let header = r#"<https://a.example/?page=1>; rel="prev", <https://a.example/?page=3>; rel="next""#;
        assert_eq!(next_link(header), Some("https://a.example/?page=3"));
        assert_eq!(next_link(r#"<https://a.example/>; rel="last""#), None);
    }

    #[test]
    fn a_next_page_elsewhere_is_seen_as_elsewhere() {
        let here = Address {
            url: "https://a.example/v1/keys?x=1".to_owned(),
            host: "a.example:443".to_owned(),
        };
        assert_eq!(here.follow("/v1/keys?page=2").host, here.host);
        assert_eq!(here.follow("https://b.example/keys").host, "b.example:443");
        assert_eq!(
            here.with("cursor", "a&b").url,
            "https://a.example/v1/keys?x=1&cursor=a%26b"
        );
    }
}
