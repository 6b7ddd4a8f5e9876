//! Reads a table from YAML, every mistake with its place.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use regex::Regex;

use self::calls::{acts, closes, look, one_or_more, own, renew, rules, running, sessions};
use super::table::{Keep, Login, Need, RateLimit, Table, Unit};
use crate::model::yaml::{self, Fields, Mistakes, Node};
use crate::providers::ProvedBy;

mod calls;

/// Requests under way to one host at once, unless the table says less.
const IN_FLIGHT: u64 = 64;
/// Milliseconds for one call with all its retries, unless the table says otherwise.
const DEADLINE_MS: u64 = 15_000;

/// The table as far as it can be read; `None` only with a mistake noted.
pub(super) fn table(name: Option<&str>, node: &Node, mistakes: &Mistakes) -> Option<Table> {
    let mut fields = Fields::of(node, "a provider table", mistakes)?;
    let its_name = match name {
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
    let rate_limit = fields.take("rate-limit").and_then(|n| rate_limit(n, mistakes));
    let errors = rules(fields.take("errors"), "errors", mistakes);
    let outlives = fields.text("outlives");
    let manual = needed(
        &mut fields,
        "manual",
        "write the console path or command a person uses instead",
    );
    let keep = fields
        .take("keep")
        .map(|n| pairs(n, "keep", mistakes))
        .unwrap_or_default();
    let keep = keep.into_iter().map(|(name, at)| match name.strip_suffix('?') {
        Some(bare) => (bare.to_owned(), Keep { at, optional: true }),
        None => (name, Keep { at, optional: false }),
    });
    let keep = keep.collect();
    let by_hand = "write the calls that cut, or `cut: []` where only a person can";
    let cut = acts(fields.need("cut", by_hand), "cut", mistakes);
    let sessions_of = fields.take("sessions").map(one_or_more);
    let sessions_of = sessions_of.unwrap_or_default().iter();
    let sessions = sessions_of.filter_map(|n| sessions(n, mistakes)).collect();
    let listed = |node: Option<&'_ Node>, key| {
        let nodes = node.map(|n| yaml::items(n, key, mistakes));
        nodes.unwrap_or_default().to_vec()
    };
    let running_of = listed(fields.take("running"), "running");
    let running = running_of.iter().filter_map(|n| running(n, mistakes)).collect();
    let closing = listed(fields.take("closing"), "closing");
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
    let (anew, revives) = (fields.text("anew"), fields.text("revives"));
    let ends = fields.text("ends");
    let own = fields.take("own").and_then(|n| own(n, mistakes));
    let ways = fields.take("renew").map(one_or_more).unwrap_or_default();
    let renew = ways.iter().filter_map(|n| renew(n, mistakes)).collect();
    let armed = listed(fields.take("armed"), "armed");
    let armed = armed
        .iter()
        .filter_map(|n| look(n, "`armed`", mistakes))
        .collect();
    let unarmed = fields.text("unarmed");
    fields.finish();
    Some(Table {
        place: node.place,
        name: its_name?,
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
        rate_limit,
        errors,
        deadline,
        in_flight,
        outlives,
        manual: manual?,
        keep,
        cut,
        sessions,
        running,
        closing,
        lookup,
        usage,
        restore,
        anew,
        revives,
        ends,
        own,
        renew,
        armed,
        unarmed,
        checked: RefCell::default(),
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
    if let Some(pair) = fields.text("basic") {
        fields.finish();
        return Some(Login {
            header: "Authorization".to_owned(),
            value: pair,
            basic: true,
        });
    }
    let header = needed(
        &mut fields,
        "header",
        "name the header, as in `header: Authorization`, or write `basic: \"user:{auth}\"`",
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
        basic: false,
    })
}

fn rate_limit(node: &Node, mistakes: &Mistakes) -> Option<RateLimit> {
    let mut fields = Fields::of(node, "`rate-limit`", mistakes)?;
    let reset = needed(
        &mut fields,
        "reset",
        "name the header, as in `reset: x-ratelimit-reset`",
    );
    let unit = needed(&mut fields, "in", "write `seconds` or `epoch`");
    let remaining = fields.text("remaining");
    fields.finish();
    let unit = match unit?.as_str() {
        "seconds" => Unit::Seconds,
        "epoch" => Unit::Epoch,
        other => {
            let remedy = "write `seconds` (from now) or `epoch` (since 1970)".to_owned();
            mistakes.add(
                node.place,
                format!("`in: {other}` counts nothing known"),
                Some(remedy),
            );
            return None;
        }
    };
    Some(RateLimit {
        reset: reset?.to_ascii_lowercase(),
        unit,
        remaining: remaining.map(|name| name.to_ascii_lowercase()),
    })
}
