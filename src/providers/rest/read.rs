//! Reads a table from YAML, every mistake with its place.

use std::collections::BTreeMap;
use std::time::Duration;

use regex::Regex;
use serde_json::Value;

use super::rule::Rule;
use super::table::{Act, As, Call, Closing, Login, Look, Need, Sessions, Table};
use crate::model::yaml::{self, Fields, Mistakes, Node};
use crate::providers::ProvedBy;
use crate::providers::limits::Turn;

/// Requests under way to one host at once, unless the table says less.
const IN_FLIGHT: u64 = 64;
/// Milliseconds for one call with all its retries, unless the table says otherwise.
const DEADLINE_MS: u64 = 15_000;

/// The table as far as it can be read; `None` only with a mistake noted.
pub(super) fn table(name: Option<&str>, node: &Node, mistakes: &Mistakes) -> Option<Table> {
    let mut fields = Fields::of(node, "a provider table", mistakes)?;
    let own = match name {
        Some(name) => Some(name.to_owned()),
        None => needed(
            &mut fields,
            "name",
            "give the provider a name, as in `name: harbor`",
        ),
    };
    let title = needed(&mut fields, "title", "say in a few words what it cuts");
    let kinds = fields.texts("kinds");
    let proved_by = fields.take("proved-by").map(|n| proved_by(n, mistakes));
    let proved_by = proved_by.unwrap_or(ProvedBy::Contract);
    let permissions = fields.texts("permissions");
    let needs = fields
        .take("needs")
        .map(|n| needs(n, mistakes))
        .unwrap_or_default();
    let shapes = shapes(&mut fields, mistakes);
    let base = needed(
        &mut fields,
        "base",
        "write the start of every address, as in `base: \"{address}\"`",
    );
    let hosts = fields.texts("hosts");
    if hosts.is_empty() {
        let remedy = "name the hosts that may be sent a credential, as in `hosts: [\"{address}\"]`";
        mistakes.add(node.place, "the table has no `hosts`", Some(remedy.to_owned()));
    }
    let headers = fields
        .take("headers")
        .map(|n| pairs(n, "headers", mistakes))
        .unwrap_or_default();
    let responder = fields.take("responder").and_then(|n| login(n, mistakes));
    let agent = fields.take("agent").and_then(|n| login(n, mistakes));
    let window = Duration::from_millis(fields.span("window").unwrap_or(0));
    let deadline = Duration::from_millis(fields.span("deadline").unwrap_or(DEADLINE_MS));
    let in_flight = usize::try_from(fields.number("in-flight").unwrap_or(IN_FLIGHT)).unwrap_or(1);
    let outlives = fields.text("outlives");
    let manual = needed(
        &mut fields,
        "manual",
        "write the console path or command a person uses instead",
    );
    let keep: BTreeMap<String, String> = fields
        .take("keep")
        .map(|n| pairs(n, "keep", mistakes))
        .unwrap_or_default()
        .into_iter()
        .collect();
    let cut = acts(fields.need("cut", "write the calls that cut"), "cut", mistakes);
    let sessions = fields.take("sessions").and_then(|n| sessions(n, mistakes));
    let closing = fields
        .take("closing")
        .map(|n| yaml::items(n, "closing", mistakes));
    let closing = closing.unwrap_or_default();
    let closing = closing.iter().filter_map(|n| closes(n, mistakes)).collect();
    let lookup = fields.take("lookup").and_then(|n| look(n, "`lookup`", mistakes));
    let usage = fields.take("use").and_then(|n| look(n, "`use`", mistakes));
    if lookup.is_none() && usage.is_none() {
        let remedy = "add `lookup` (read the record back) or `use` (try the secret)";
        mistakes.add(
            node.place,
            "nothing here can ever prove the cut",
            Some(remedy.to_owned()),
        );
    }
    let restore = acts(fields.take("restore"), "restore", mistakes);
    let armed = fields
        .take("armed")
        .map(|n| yaml::items(n, "armed", mistakes))
        .unwrap_or_default();
    let armed = armed
        .iter()
        .filter_map(|n| look(n, "`armed`", mistakes))
        .collect();
    fields.finish();
    Some(Table {
        place: node.place,
        name: own?,
        title: title?,
        kinds,
        proved_by,
        permissions,
        needs,
        shapes,
        base: base?,
        hosts,
        headers,
        responder,
        agent,
        window,
        deadline,
        in_flight,
        outlives,
        manual: manual?,
        keep,
        cut,
        sessions,
        closing,
        lookup,
        usage,
        restore,
        armed,
    })
}

fn needed(fields: &mut Fields<'_, '_>, key: &'static str, remedy: &str) -> Option<String> {
    let mistakes = fields.mistakes();
    let node = fields.need(key, remedy)?;
    yaml::text(node, key, mistakes)
}

fn pairs(node: &Node, key: &str, mistakes: &Mistakes) -> Vec<(String, String)> {
    let yaml::Value::Map(entries) = &node.value else {
        mistakes.add(node.place, format!("`{key}` must be a mapping"), None);
        return Vec::new();
    };
    let pair = |(k, v): &(yaml::Key, Node)| Some((k.text.clone(), yaml::text(v, &k.text, mistakes)?));
    entries.iter().filter_map(pair).collect()
}

fn needs(node: &Node, mistakes: &Mistakes) -> BTreeMap<String, Need> {
    let yaml::Value::Map(entries) = &node.value else {
        mistakes.add(node.place, "`needs` must be a mapping", None);
        return BTreeMap::new();
    };
    let one = |(key, node): &(yaml::Key, Node)| {
        let need = match &node.value {
            yaml::Value::Text(is) => Need {
                is: is.clone(),
                default: None,
                optional: false,
            },
            _ => {
                let mut fields = Fields::of(node, "a need", mistakes)?;
                let is = needed(&mut fields, "is", "say what it is");
                let default = fields.text("default");
                let optional = fields.flag("optional").unwrap_or(false);
                fields.finish();
                Need {
                    is: is?,
                    default,
                    optional,
                }
            }
        };
        Some((key.text.clone(), need))
    };
    entries.iter().filter_map(one).collect()
}

fn proved_by(node: &Node, mistakes: &Mistakes) -> ProvedBy {
    match yaml::text(node, "proved-by", mistakes).as_deref() {
        Some("real-server") => ProvedBy::RealServer,
        Some("emulator") => ProvedBy::Emulator,
        Some("sdk") => ProvedBy::Sdk,
        Some("contract") | None => ProvedBy::Contract,
        Some(other) => {
            let remedy = "write `real-server`, `emulator`, `sdk` or `contract`".to_owned();
            mistakes.add(
                node.place,
                format!("`{other}` proves nothing known here"),
                Some(remedy),
            );
            ProvedBy::Contract
        }
    }
}

fn shapes(fields: &mut Fields<'_, '_>, mistakes: &Mistakes) -> Vec<Regex> {
    let Some(node) = fields.take("secret-shapes") else {
        return Vec::new();
    };
    let whole = |shape: String| {
        let made = Regex::new(&format!("^(?:{shape})$"));
        if made.is_err() {
            mistakes.add(node.place, format!("`{shape}` is not a regular expression"), None);
        }
        made.ok()
    };
    let shapes = yaml::texts(node, "secret-shapes", mistakes);
    shapes.into_iter().filter_map(whole).collect()
}

fn login(node: &Node, mistakes: &Mistakes) -> Option<Login> {
    let mut fields = Fields::of(node, "a login", mistakes)?;
    let header = needed(
        &mut fields,
        "header",
        "name the header, as in `header: Authorization`",
    );
    let value = needed(
        &mut fields,
        "value",
        "write its value, as in `value: \"Bearer {auth}\"`",
    );
    fields.finish();
    Some(Login {
        header: header?,
        value: value?,
    })
}

fn acts(node: Option<&Node>, key: &'static str, mistakes: &Mistakes) -> Vec<Act> {
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

fn look(node: &Node, what: &'static str, mistakes: &Mistakes) -> Option<Look> {
    let mut fields = Fields::of(node, what, mistakes)?;
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
    Some(Look {
        call: call?,
        alive,
        dead,
        gone,
    })
}

fn sessions(node: &Node, mistakes: &Mistakes) -> Option<Sessions> {
    let mut fields = Fields::of(node, "`sessions`", mistakes)?;
    let list = fields
        .need("list", "write the request that lists them")
        .and_then(|n| call(n, mistakes));
    let items = needed(
        &mut fields,
        "items",
        "write a JSON pointer to the list, as in `items: /data/keys`",
    );
    let id = fields.text("id");
    let none = rules(fields.take("none"), "none", mistakes);
    let end = fields.take("end").and_then(|n| act(n, mistakes));
    fields.finish();
    Some(Sessions {
        list: list?,
        items: items?,
        id,
        none,
        end,
    })
}

fn closes(node: &Node, mistakes: &Mistakes) -> Option<Closing> {
    let mut fields = Fields::of(node, "an entry of `closing`", mistakes)?;
    let list = fields
        .need("list", "write the request that lists what can still be held")
        .and_then(|n| call(n, mistakes));
    let items = needed(
        &mut fields,
        "items",
        "write a JSON pointer to the list, as in `items: /items`",
    );
    let name = needed(
        &mut fields,
        "name",
        "write a JSON pointer to the item's name, as in `name: /id`",
    );
    let closes = needed(
        &mut fields,
        "closes",
        "write a JSON pointer to the deadline, as in `closes: /undo_until`",
    );
    let what = needed(&mut fields, "what", "say what closes; the item's name follows");
    let hold = needed(
        &mut fields,
        "hold",
        "write what holds it open; the item's name follows",
    );
    fields.finish();
    Some(Closing {
        list: list?,
        items: items?,
        name: name?,
        closes: closes?,
        what: what?,
        hold: hold?,
    })
}

fn call(node: &Node, mistakes: &Mistakes) -> Option<Call> {
    let mut fields = Fields::of(node, "a call", mistakes)?;
    let method = needed(
        &mut fields,
        "method",
        "write GET, POST, PUT, PATCH, DELETE or LIST",
    );
    let path = needed(&mut fields, "path", "write the path, starting with `/`");
    let by = needed(&mut fields, "as", "write `responder`, `agent` or `nobody`");
    let body = fields.take("body").and_then(|n| {
        let text = yaml::text(n, "body", mistakes)?;
        serde_json::from_str(&text)
            .map_err(|e| mistakes.add(n.place, format!("the body is not JSON: {e}"), None))
            .ok()
    });
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
        path,
        by,
        body,
        repeatable,
        turn: Turn::Look,
    })
}

fn rules(node: Option<&Node>, key: &'static str, mistakes: &Mistakes) -> Vec<Rule> {
    let items = node.map(|n| yaml::items(n, key, mistakes)).unwrap_or_default();
    items.iter().filter_map(|n| rule(n, mistakes)).collect()
}

fn rule(node: &Node, mistakes: &Mistakes) -> Option<Rule> {
    let mut fields = Fields::of(node, "a rule", mistakes)?;
    let statuses = fields.need("status", "write the statuses, as in `status: [200, 204]`");
    let statuses = statuses.map(|n| (n, yaml::texts(n, "status", mistakes)));
    let contains = fields.text("contains");
    let at = fields.text("at");
    let any_of = fields.texts("any-of");
    fields.finish();
    let (place, statuses) = statuses.map(|(n, texts)| (n.place, texts))?;
    let mut status = Vec::new();
    for text in statuses {
        match text.parse() {
            Ok(number @ 100..=599) => status.push(number),
            _ => mistakes.add(place, format!("`{text}` is not an HTTP status"), None),
        }
    }
    // `true` and `3` are JSON; a bare word is a string.
    let json = |text: String| serde_json::from_str(&text).unwrap_or(Value::String(text));
    let any_of = any_of.into_iter().map(json).collect();
    Some(Rule {
        status,
        contains,
        at,
        any_of,
    })
}
