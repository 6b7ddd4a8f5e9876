//! Reads the calls of a table, and what their answers mean.

use serde_json::Value;

use super::{needed, pairs};
use crate::model::yaml::{self, Fields, Mistakes, Node};
use crate::providers::limits::Turn;
use crate::providers::rest::rule::Rule;
use crate::providers::rest::table::{
    Act, As, Body, Call, Closing, Listing, Look, Next, Own, Renew, Running, Sessions, Unless,
};

pub(super) fn acts(node: Option<&Node>, key: &'static str, mistakes: &Mistakes) -> Vec<Act> {
    let items = node.map(|n| yaml::items(n, key, mistakes)).unwrap_or_default();
    items.iter().filter_map(|n| act(n, mistakes)).collect()
}

fn act(node: &Node, mistakes: &Mistakes) -> Option<Act> {
    let mut fields = Fields::of(node, "an act", mistakes)?;
    let call = fields
        .need("call", "write the request")
        .and_then(|n| call(n, mistakes))
        .map(|call| Call {
            turn: Turn::Cut,
            ..call
        });
    let ok = rules(
        fields.need("ok", "write which answers mean that it was taken"),
        "ok",
        mistakes,
    );
    let already = rules(fields.take("already"), "already", mistakes);
    fields.finish();
    Some(Act {
        call: call?,
        ok,
        already,
    })
}

pub(super) fn look(node: &Node, what: &'static str, mistakes: &Mistakes) -> Option<Look> {
    let mut fields = Fields::of(node, what, mistakes)?;
    if let Some(is) = fields.text("is") {
        let list = listing(&mut fields);
        let id = needed(&mut fields, "id", "write a JSON pointer from an item to its id");
        fields.finish();
        return Some(Look::Among {
            list: list?,
            id: id?,
            is,
        });
    }
    let call = fields
        .need("call", "write the request")
        .and_then(|n| call(n, mistakes));
    let alive = rules(
        fields.need("alive", "write which answers mean alive"),
        "alive",
        mistakes,
    );
    let dead = rules(fields.take("dead"), "dead", mistakes);
    let gone = rules(fields.take("gone"), "gone", mistakes);
    fields.finish();
    Some(Look::Answer {
        call: call?,
        alive,
        dead,
        gone,
    })
}

pub(super) fn own(node: &Node, mistakes: &Mistakes) -> Option<Own> {
    let mut fields = Fields::of(node, "`own`", mistakes)?;
    let call = fields
        .need("call", "write the request")
        .and_then(|n| call(n, mistakes));
    let at = needed(&mut fields, "at", "write a JSON pointer into its answer");
    let is = needed(
        &mut fields,
        "is",
        "write what stands there where it is the target",
    );
    fields.finish();
    Some(Own {
        call: call?,
        at: at?,
        is: is?,
    })
}

pub(super) fn renew(node: &Node, mistakes: &Mistakes) -> Option<Renew> {
    let mut fields = Fields::of(node, "`renew`", mistakes)?;
    let request = fields
        .need("call", "write the request")
        .and_then(|n| call(n, mistakes));
    let ok = rules(
        fields.need("ok", "write which answers mean that it was made"),
        "ok",
        mistakes,
    );
    let secret = needed(&mut fields, "secret", "write a JSON pointer to the new secret");
    let name = needed(
        &mut fields,
        "name",
        "write a JSON pointer to what the provider knows it by",
    );
    let rights = needed(&mut fields, "rights", "say what it may do");
    let no_more = fields.take("no-more").map(|n| pairs(n, "no-more", mistakes));
    let unless = fields.take("unless").map(|n| yaml::items(n, "unless", mistakes));
    let unless = unless.unwrap_or_default().iter().filter_map(|n| {
        let mut fields = Fields::of(n, "an entry of `unless`", mistakes)?;
        let kept = needed(&mut fields, "kept", "name a value that `keep` saves");
        let (has, lacks) = (fields.text("has"), fields.text("lacks"));
        let why = needed(&mut fields, "why", "say why it cannot be made then");
        fields.finish();
        Some(Unless {
            kept: kept?,
            has,
            lacks,
            why: why?,
        })
    });
    let unless = unless.collect();
    let withdraw = acts(fields.take("withdraw"), "withdraw", mistakes);
    fields.finish();
    Some(Renew {
        act: Act {
            call: Call {
                turn: Turn::Cut,
                ..request?
            },
            ok,
            already: Vec::new(),
        },
        secret: secret?,
        name: name?,
        rights: rights?,
        no_more: no_more.unwrap_or_default(),
        unless,
        withdraw,
    })
}

/// A list, or the one thing that would stand in it.
pub(super) fn one_or_more(node: &Node) -> &[Node] {
    match &node.value {
        yaml::Value::List(items) => items,
        _ => std::slice::from_ref(node),
    }
}

pub(super) fn sessions(node: &Node, mistakes: &Mistakes) -> Option<Sessions> {
    let mut fields = Fields::of(node, "`sessions`", mistakes)?;
    let list = listing(&mut fields);
    let id = fields.text("id");
    let none = rules(fields.take("none"), "none", mistakes);
    let end = fields.take("end").map(one_or_more).unwrap_or_default();
    let end = end.iter().filter_map(|n| act(n, mistakes)).collect();
    fields.finish();
    Some(Sessions {
        list: list?,
        id,
        none,
        end,
    })
}

pub(super) fn running(node: &Node, mistakes: &Mistakes) -> Option<Running> {
    let mut fields = Fields::of(node, "an entry of `running`", mistakes)?;
    let list = listing(&mut fields);
    let name = item_name(&mut fields);
    let what = needed(&mut fields, "what", "say what runs; the item's name follows");
    let id = fields.text("id");
    let end = fields.take("end").map(one_or_more).unwrap_or_default();
    let end = end.iter().filter_map(|n| act(n, mistakes)).collect();
    fields.finish();
    Some(Running {
        list: list?,
        name: name?,
        what: what?,
        id,
        end,
    })
}

pub(super) fn closes(node: &Node, mistakes: &Mistakes) -> Option<Closing> {
    let mut fields = Fields::of(node, "an entry of `closing`", mistakes)?;
    let list = listing(&mut fields);
    let name = item_name(&mut fields);
    let closes = needed(
        &mut fields,
        "closes",
        "write a JSON pointer to the deadline, as in `closes: /undo_until`",
    );
    let lasts_ms = fields.span("lasts").unwrap_or(0);
    let what = needed(&mut fields, "what", "say what closes; the item's name follows");
    let hold = needed(
        &mut fields,
        "hold",
        "write what holds it open; the item's name follows",
    );
    fields.finish();
    Some(Closing {
        list: list?,
        name: name?,
        closes: closes?,
        lasts_ms,
        what: what?,
        hold: hold?,
    })
}

fn item_name(fields: &mut Fields<'_, '_>) -> Option<String> {
    needed(
        fields,
        "name",
        "write a JSON pointer to the item's name, as in `name: /id`",
    )
}

/// What every listing says: `list`, `items`, `next`, `where`.
fn listing(fields: &mut Fields<'_, '_>) -> Option<Listing> {
    let mistakes = fields.mistakes();
    let first = fields
        .need("list", "write the request that lists them")
        .and_then(|n| call(n, mistakes));
    let items = needed(
        fields,
        "items",
        "write a JSON pointer to the list, as in `items: /data/keys`",
    );
    let next = fields.take("next").and_then(|n| next(n, mistakes));
    let only = fields.take("where").and_then(|n| only(n, mistakes));
    Some(Listing {
        call: first?,
        items: items?,
        next,
        only,
    })
}

fn next(node: &Node, mistakes: &Mistakes) -> Option<Next> {
    let mut fields = Fields::of(node, "`next`", mistakes)?;
    let (link, page, at) = (fields.flag("link"), fields.text("page"), fields.text("at"));
    let (query, more) = (fields.text("query"), fields.text("while"));
    fields.finish();
    match (link, page, at) {
        (Some(true), None, None) => Some(Next::Link),
        (None, Some(name), None) => Some(Next::Page(name)),
        (None, None, Some(pointer)) => Some(Next::At { pointer, query, more }),
        _ => {
            let remedy = "write one of `link: true`, `page: page` or `at: /next`".to_owned();
            let message = "`next` does not say where the next page is";
            mistakes.add(node.place, message, Some(remedy));
            None
        }
    }
}

fn only(node: &Node, mistakes: &Mistakes) -> Option<(String, Vec<Value>)> {
    let mut fields = Fields::of(node, "`where`", mistakes)?;
    let at = needed(&mut fields, "at", "write a JSON pointer into an item");
    let any_of = fields.texts("any-of").into_iter().map(json).collect();
    fields.finish();
    Some((at?, any_of))
}

fn call(node: &Node, mistakes: &Mistakes) -> Option<Call> {
    let mut fields = Fields::of(node, "a call", mistakes)?;
    let method = needed(
        &mut fields,
        "method",
        "write GET, POST, PUT, PATCH, DELETE or LIST",
    );
    let path = needed(&mut fields, "path", "write the path, starting with `/`");
    let base = fields.text("base");
    let by = needed(&mut fields, "as", "write `responder`, `agent` or `nobody`");
    let json = fields.take("body").and_then(|n| {
        let text = yaml::text(n, "body", mistakes)?;
        serde_json::from_str(&text)
            .map_err(|e| mistakes.add(n.place, format!("the body is not JSON: {e}"), None))
            .ok()
    });
    let form = fields.take("form").map(|n| pairs(n, "form", mistakes));
    if let (Some(_), Some(_)) = (&json, &form) {
        let message = "a call carries `body` or `form`, not both";
        mistakes.add(node.place, message, None);
    }
    let body = json.map(Body::Json).or(form.map(Body::Form));
    let headers = fields.take("headers").map(|n| pairs(n, "headers", mistakes));
    let secret_in_path = fields.flag("secret-in-path").unwrap_or(false);
    let repeatable = fields.flag("repeatable");
    fields.finish();
    let (method, path) = (method?, path?);
    if !path.starts_with('/') {
        mistakes.add(
            node.place,
            format!("the path `{path}` does not start with `/`"),
            None,
        );
    }
    let harmless = match method.as_str() {
        "GET" | "LIST" | "HEAD" | "PUT" | "DELETE" => true,
        "POST" | "PATCH" => false,
        other => {
            let remedy = Some("write GET, POST, PUT, PATCH, DELETE or LIST".to_owned());
            mistakes.add(
                node.place,
                format!("`{other}` is not a method known here"),
                remedy,
            );
            false
        }
    };
    let by = match by?.as_str() {
        "responder" => As::Responder,
        "agent" => As::Agent,
        "nobody" => As::Nobody,
        other => {
            let remedy = Some("write `responder`, `agent` or `nobody`".to_owned());
            mistakes.add(node.place, format!("`as: {other}` names nobody"), remedy);
            As::Nobody
        }
    };
    let repeatable = repeatable.unwrap_or(harmless);
    Some(Call {
        place: node.place,
        method,
        base,
        path,
        by,
        headers: headers.unwrap_or_default(),
        body,
        secret_in_path,
        repeatable,
        turn: Turn::Look,
    })
}

pub(super) fn rules(node: Option<&Node>, key: &'static str, mistakes: &Mistakes) -> Vec<Rule> {
    let items = node.map(|n| yaml::items(n, key, mistakes)).unwrap_or_default();
    items.iter().filter_map(|n| rule(n, mistakes)).collect()
}

fn rule(node: &Node, mistakes: &Mistakes) -> Option<Rule> {
    let mut fields = Fields::of(node, "a rule", mistakes)?;
    let statuses = fields.need("status", "write the statuses, as in `status: [200, 204]`");
    let statuses = statuses.map(|n| (n, yaml::texts(n, "status", mistakes)));
    let contains = fields.text("contains");
    let at = fields.text("at");
    let (any_of, none_of) = (fields.texts("any-of"), fields.texts("none-of"));
    let lacks = fields.text("lacks");
    let header = fields.take("header").and_then(|n| listed(n, mistakes));
    fields.finish();
    let (place, statuses) = statuses.map(|(n, texts)| (n.place, texts))?;
    let mut status = Vec::new();
    for text in statuses {
        match text.parse() {
            Ok(number @ 100..=599) => status.push(number),
            _ => mistakes.add(place, format!("`{text}` is not an HTTP status"), None),
        }
    }
    let any_of = any_of.into_iter().map(json).collect();
    Some(Rule {
        status,
        contains,
        at,
        any_of,
        none_of: none_of.into_iter().map(json).collect(),
        lacks,
        header,
    })
}

/// A header and the words of which it lists one: `{x-oauth-scopes: [repo]}`.
fn listed(node: &Node, mistakes: &Mistakes) -> Option<(String, Vec<String>)> {
    match &node.value {
        yaml::Value::Map(entries) if entries.len() == 1 => {
            let (name, words) = entries.first()?;
            let words = yaml::texts(words, "header", mistakes);
            Some((name.text.to_ascii_lowercase(), words))
        }
        _ => {
            let remedy = "write one header, as in `header: {x-oauth-scopes: [repo]}`".to_owned();
            mistakes.add(node.place, "`header` names no header", Some(remedy));
            None
        }
    }
}

/// `true` and `3` are JSON; a bare word is a string.
fn json(text: String) -> Value {
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}
