//! A provider as a table of data: read from YAML, every mistake shown with its place.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use super::rule::Rule;
use super::template::{self, Part};
use crate::model::diagnostic::{Diagnostic, Place};
use crate::model::yaml::{self, Fields, Mistakes, Node};

/// Requests under way to one host at once, unless the table says less.
const IN_FLIGHT: u64 = 64;
/// Milliseconds for one call with all its retries, unless the table says otherwise.
const DEADLINE_MS: u64 = 15_000;

/// Who a call is made as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum As {
    /// With the responder's credential.
    Responder,
    /// With the agent's own secret.
    Agent,
    /// With no credential at all.
    Nobody,
}

/// A value the table asks for in the target's `with`.
#[derive(Debug)]
pub(super) struct Need {
    /// What it is, for people.
    pub is: String,
    /// Used where it is not given.
    pub default: Option<String>,
    /// True where it may be left out.
    pub optional: bool,
}

/// How a credential is sent.
#[derive(Debug)]
pub(super) struct Login {
    /// Header name.
    pub header: String,
    /// Template of its value.
    pub value: String,
}

/// One HTTP request.
#[derive(Debug)]
pub(super) struct Call {
    /// Where it stands in its file.
    pub place: Place,
    /// Method.
    pub method: String,
    /// Template of path and query.
    pub path: String,
    /// Who it is made as.
    pub by: As,
    /// Body, values to be filled in.
    pub body: Option<Value>,
    /// True where sending it twice does no more than sending it once.
    pub repeatable: bool,
}

/// A call that changes something.
#[derive(Debug)]
pub(super) struct Act {
    /// The request.
    pub call: Call,
    /// Answers that mean: taken.
    pub ok: Vec<Rule>,
    /// Answers that mean: was already so.
    pub already: Vec<Rule>,
}

/// A call that looks.
#[derive(Debug)]
pub(super) struct Look {
    /// The request.
    pub call: Call,
    /// Answers that mean: alive.
    pub alive: Vec<Rule>,
    /// Answers that only a dead credential gets.
    pub dead: Vec<Rule>,
    /// Answers that a live one that may do less, or one that never was, would get as well. They mean
    /// dead only where this very call saw it alive before the cut.
    pub gone: Vec<Rule>,
}

/// What lives on beside the credential.
#[derive(Debug)]
pub(super) struct Sessions {
    /// Lists it.
    pub list: Call,
    /// JSON pointer to the list in the answer.
    pub items: String,
    /// JSON pointer from an item to its id; without one the item itself is the id.
    pub id: Option<String>,
    /// Answers that mean: the list is empty.
    pub none: Vec<Rule>,
    /// Ends it: once for each item where it uses `{item}`, else once for all.
    pub end: Option<Act>,
}

/// A provider.
#[derive(Debug)]
pub(super) struct Table {
    /// Where it starts in its file.
    pub place: Place,
    /// Name of the adapter.
    pub name: String,
    /// What it cuts.
    pub title: String,
    /// Keys of `with`.
    pub needs: BTreeMap<String, Need>,
    /// Regular expressions of the secrets it cuts.
    pub shapes: Vec<String>,
    /// Template of the start of every address.
    pub base: String,
    /// Templates of the hosts that may be sent a credential.
    pub hosts: Vec<String>,
    /// Headers sent with every call; one with an optional value that is not given is left out.
    pub headers: Vec<(String, String)>,
    /// How the responder's credential is sent.
    pub responder: Option<Login>,
    /// How the agent's secret is sent.
    pub agent: Option<Login>,
    /// Propagation time.
    pub window: Duration,
    /// Limit of a call with its retries.
    pub deadline: Duration,
    /// Requests under way to one host at once.
    pub in_flight: usize,
    /// What may live on after the cut and cannot be ended here, in words.
    pub outlives: Option<String>,
    /// How a person does it by hand.
    pub manual: String,
    /// What the glance saves: name to JSON pointer into the answer of the look-up.
    pub keep: BTreeMap<String, String>,
    /// The calls that cut, in order.
    pub cut: Vec<Act>,
    /// What lives on beside it.
    pub sessions: Option<Sessions>,
    /// Reads the provider's record.
    pub lookup: Option<Look>,
    /// Tries the agent's secret.
    pub usage: Option<Look>,
    /// The calls that give it back.
    pub restore: Vec<Act>,
    /// Calls that show, beforehand, that the cut would be allowed: `alive` is yes, `dead` is no.
    pub armed: Vec<Look>,
}

impl Table {
    /// Reads a table. `name` is the key it stands under; without one it says its own.
    pub fn from_node(file: &str, name: Option<&str>, node: &Node) -> Result<Table, Vec<Diagnostic>> {
        let mistakes = Mistakes::of(file);
        let table = read(name, node, &mistakes);
        match table {
            Some(table) if mistakes.count() == 0 => Ok(table),
            _ => Err(mistakes.into_sorted()),
        }
    }

    /// Every call with its place in words.
    fn calls(&self) -> impl Iterator<Item = &Call> {
        let acts = self.cut.iter().chain(&self.restore).map(|a| &a.call);
        let sessions = self.sessions.iter();
        let lists = sessions.clone().map(|s| &s.list);
        let ends = sessions.filter_map(|s| s.end.as_ref()).map(|a| &a.call);
        let looks = self
            .lookup
            .iter()
            .chain(&self.usage)
            .chain(&self.armed)
            .map(|l| &l.call);
        acts.chain(lists).chain(ends).chain(looks)
    }
}

fn read(name: Option<&str>, node: &Node, mistakes: &Mistakes) -> Option<Table> {
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
    let table = Table {
        place: node.place,
        name: own?,
        title: title?,
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
        lookup,
        usage,
        restore,
        armed,
    };
    check(&table, mistakes);
    Some(table)
}

/// What only shows when the table is seen as a whole: names nobody gives, logins nobody describes.
fn check(table: &Table, mistakes: &Mistakes) {
    let given: BTreeSet<&str> = table.needs.keys().map(String::as_str).collect();
    for taken in ["auth", "secret", "item"] {
        if given.contains(taken) {
            let message = format!("`{taken}` under `needs` already means something here");
            mistakes.add(table.place, message, Some("choose another name".to_owned()));
        }
    }
    let saved = |name: &str| {
        let key = name.strip_prefix("undo.");
        key.is_some_and(|key| table.keep.contains_key(key))
    };
    // Addresses end up in logs and proxies, common headers go out with every call: no secret stands in one.
    let open = |name: &str| given.contains(name);
    let any = |name: &str| matches!(name, "auth" | "secret" | "item") || saved(name) || open(name);
    names(&table.base, table.place, mistakes, open);
    let common = table.headers.iter().map(|(_, value)| value);
    for text in table.hosts.iter().chain(common) {
        names(text, table.place, mistakes, open);
    }
    for login in table.responder.iter().chain(&table.agent) {
        names(&login.value, table.place, mistakes, any);
    }
    let mut without = BTreeSet::new();
    for call in table.calls() {
        let path = |name: &str| name == "item" || saved(name) || open(name);
        names(&call.path, call.place, mistakes, path);
        if let Some(body) = &call.body {
            strings(body, &mut |text| names(text, call.place, mistakes, any));
        }
        match call.by {
            As::Responder if table.responder.is_none() => without.insert("responder"),
            As::Agent if table.agent.is_none() => without.insert("agent"),
            _ => false,
        };
    }
    for who in without {
        let remedy = format!("add `{who}: {{header: Authorization, value: \"Bearer {{…}}\"}}`");
        let message = format!("calls are made as `{who}`, but the table does not say how it logs in");
        mistakes.add(table.place, message, Some(remedy));
    }
    if !table.keep.is_empty() && table.lookup.is_none() {
        mistakes.add(
            table.place,
            "`keep` reads from the answer of `lookup`, which is missing",
            None,
        );
    }
}

fn names(text: &str, place: Place, mistakes: &Mistakes, known: impl Fn(&str) -> bool) {
    match template::parts(text) {
        Err(why) => mistakes.add(place, format!("`{text}`: {why}"), None),
        Ok(parts) => {
            for part in parts {
                if let Part::Var(name) | Part::Segments(name) = part
                    && !known(name)
                {
                    let message = format!("no value is named `{name}` here, as in `{text}`");
                    let remedy = Some(match name {
                        "auth" | "secret" => "a secret stands in a login or a body only".to_owned(),
                        _ => format!("name `{name}` under `needs`, or correct it"),
                    });
                    mistakes.add(place, message, remedy);
                }
            }
        }
    }
}

fn strings(value: &Value, each: &mut dyn FnMut(&str)) {
    match value {
        Value::String(text) => each(text),
        Value::Array(items) => items.iter().for_each(|v| strings(v, each)),
        Value::Object(fields) => fields.values().for_each(|v| strings(v, each)),
        _ => {}
    }
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

fn shapes(fields: &mut Fields<'_, '_>, mistakes: &Mistakes) -> Vec<String> {
    let Some(node) = fields.take("secret-shapes") else {
        return Vec::new();
    };
    let shapes = yaml::texts(node, "secret-shapes", mistakes);
    for shape in &shapes {
        if regex::Regex::new(shape).is_err() {
            mistakes.add(node.place, format!("`{shape}` is not a regular expression"), None);
        }
    }
    shapes
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
        .and_then(|n| call(n, mistakes));
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
