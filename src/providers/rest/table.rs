//! A provider as a table of data, and what must hold of the table as a whole.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use regex::Regex;
use serde_json::Value;

use super::read;
use super::rule::Rule;
use super::template::{self, Part};
use crate::model::diagnostic::{Diagnostic, Place};
use crate::model::yaml::{Mistakes, Node};
use crate::providers::ProvedBy;
use crate::providers::limits::Turn;

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
    /// True for `user:password`, sent as HTTP Basic.
    pub basic: bool,
}

/// What a call carries; values are filled in.
#[derive(Debug)]
pub(super) enum Body {
    /// JSON.
    Json(Value),
    /// A web form.
    Form(Vec<(String, String)>),
}

/// One HTTP request.
#[derive(Debug)]
pub(super) struct Call {
    /// Where it stands in its file.
    pub place: Place,
    /// Method.
    pub method: String,
    /// Template of the start of its address, where that is not the table's.
    pub base: Option<String>,
    /// Template of path and query.
    pub path: String,
    /// Who it is made as.
    pub by: As,
    /// Headers of this call alone; they win over the common ones.
    pub headers: Vec<(String, String)>,
    /// What it carries.
    pub body: Option<Body>,
    /// True where the provider takes the secret in the address only.
    pub secret_in_path: bool,
    /// True where sending it twice does no more than sending it once.
    pub repeatable: bool,
    /// Whether it waits among cuts or among looks where the host takes no more.
    pub turn: Turn,
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

/// A way to look.
#[derive(Debug)]
pub(super) enum Look {
    /// A call whose answer tells.
    Answer {
        /// The request.
        call: Call,
        /// Answers that mean: alive.
        alive: Vec<Rule>,
        /// Answers that only a dead credential gets.
        dead: Vec<Rule>,
        /// Answers that a live one that may do less, or one that never was, would get as well. They mean
        /// dead only where this very call saw it alive before the cut.
        gone: Vec<Rule>,
    },
    /// A listing: alive where it holds the item, gone where it was read to its end and does not.
    Among {
        /// The listing.
        list: Listing,
        /// JSON pointer from an item to its id.
        id: String,
        /// Template of the id looked for.
        is: String,
    },
}

impl Look {
    /// Its request.
    pub fn call(&self) -> &Call {
        match self {
            Look::Answer { call, .. } => call,
            Look::Among { list, .. } => &list.call,
        }
    }
}

/// A call that lists, page by page.
#[derive(Debug)]
pub(super) struct Listing {
    /// The first page.
    pub call: Call,
    /// JSON pointer to the list in an answer.
    pub items: String,
    /// How the next page is found; without it there is one page.
    pub next: Option<Next>,
    /// Only items with one of these values at this JSON pointer.
    pub only: Option<(String, Vec<Value>)>,
}

/// Where the next page is.
#[derive(Debug)]
pub(super) enum Next {
    /// In the header `Link`, as `rel="next"`.
    Link,
    /// At a JSON pointer of the answer: a whole address, or a value for the parameter `query`.
    At {
        /// The pointer.
        pointer: String,
        /// Parameter that takes the value.
        query: Option<String>,
        /// JSON pointer that must hold `true` for a next page to be there.
        more: Option<String>,
    },
    /// A parameter that counts from 1; a page without items is the last.
    Page(String),
}

/// What lives on beside the credential.
#[derive(Debug)]
pub(super) struct Sessions {
    /// Lists it.
    pub list: Listing,
    /// JSON pointer from an item to its id; without one the item itself is the id.
    pub id: Option<String>,
    /// Answers that mean: the list is empty.
    pub none: Vec<Rule>,
    /// Ends it, call by call: once for each item where `{item}` is used, else once for all.
    pub end: Vec<Act>,
}

/// Work that goes on at the provider, whoever started it.
#[derive(Debug)]
pub(super) struct Running {
    /// Lists it.
    pub list: Listing,
    /// JSON pointer from an item to its name.
    pub name: String,
    /// What runs; the name follows.
    pub what: String,
    /// JSON pointer from an item to what `end` calls `{item}`; without one it is the name.
    pub id: Option<String>,
    /// Calls it off. Empty where the provider cannot.
    pub end: Vec<Act>,
}

/// A door at the provider that closes by itself, such as the time in which a deletion can be undone.
#[derive(Debug)]
pub(super) struct Closing {
    /// Lists what can still be held.
    pub list: Listing,
    /// JSON pointer from an item to its name.
    pub name: String,
    /// JSON pointer from an item to its deadline, RFC 3339. An item without one closes nothing.
    pub closes: String,
    /// What is added to that moment, ms: how long the provider keeps what was deleted then.
    pub lasts_ms: u64,
    /// What closes; the name follows.
    pub what: String,
    /// What holds it open, or uses it in time; the name follows.
    pub hold: String,
}

/// The header in which a provider says when it takes requests again, besides `Retry-After`.
#[derive(Debug)]
pub(super) struct RateLimit {
    /// Its name, in lower case.
    pub reset: String,
    /// What it counts.
    pub unit: Unit,
    /// Header whose `0` tells a 403 for too many requests from one for a missing right.
    pub remaining: Option<String>,
}

/// What a rate-limit header counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// Seconds from now.
    Seconds,
    /// Seconds since 1970.
    Epoch,
}

/// What the glance saves.
#[derive(Debug)]
pub(super) struct Keep {
    /// JSON pointer into the answer of the look-up.
    pub at: String,
    /// True where the record may be without it.
    pub optional: bool,
}

/// What the provider says of the responder's own credential.
#[derive(Debug)]
pub(super) struct Own {
    /// Asks, as the responder.
    pub call: Call,
    /// JSON pointer into the answer.
    pub at: String,
    /// Template of what stands there where it is the target.
    pub is: String,
}

/// How a new credential is made in the place of one that was cut.
#[derive(Debug)]
pub(super) struct Renew {
    /// The call.
    pub act: Act,
    /// JSON pointer to the secret in its answer.
    pub secret: String,
    /// JSON pointer to what the provider knows it by.
    pub name: String,
    /// What it may do, for people.
    pub rights: String,
    /// Kept lists, and JSON pointers to lists in the answer that must hold nothing else.
    pub no_more: Vec<(String, String)>,
    /// Kept values with which it cannot be made this way, and why.
    pub unless: Vec<Unless>,
    /// Revokes one that may do more after all, `{item}`.
    pub withdraw: Vec<Act>,
}

/// A kept value with which no new credential is made.
#[derive(Debug)]
pub(super) struct Unless {
    /// Its name.
    pub kept: String,
    /// The word it holds; without this and `lacks`, anything.
    pub has: Option<String>,
    /// The word it does not hold.
    pub lacks: Option<String>,
    /// Why not, for people.
    pub why: String,
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
    /// Kinds of credential it cuts.
    pub kinds: Vec<String>,
    /// What its tests hold it against.
    pub proved_by: ProvedBy,
    /// What the responder's credential must be allowed to do.
    pub permissions: Vec<String>,
    /// Keys of `with`.
    pub needs: BTreeMap<String, Need>,
    /// What the secrets it cuts look like.
    pub shapes: Vec<Regex>,
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
    /// Where it says when to come back.
    pub rate_limit: Option<RateLimit>,
    /// Answers that are errors whatever their status: never `ok`, never `alive`.
    pub errors: Vec<Rule>,
    /// Limit of a call with its retries.
    pub deadline: Duration,
    /// Requests under way to one host at once.
    pub in_flight: usize,
    /// What may live on after the cut and cannot be ended here, in words.
    pub outlives: Option<String>,
    /// How a person does it by hand.
    pub manual: String,
    /// What the glance saves, by name.
    pub keep: BTreeMap<String, Keep>,
    /// The calls that cut, in order. Empty where only a person can.
    pub cut: Vec<Act>,
    /// What lives on beside it.
    pub sessions: Vec<Sessions>,
    /// What goes on at the provider, listed with the sessions and with each probe.
    pub running: Vec<Running>,
    /// Doors that close, listed with each probe.
    pub closing: Vec<Closing>,
    /// Reads the provider's record.
    pub lookup: Option<Look>,
    /// Tries the agent's secret.
    pub usage: Option<Look>,
    /// The calls that give it back.
    pub restore: Vec<Act>,
    /// Where `restore` makes a new record beside the old one: what to know about it.
    pub anew: Option<String>,
    /// What comes to life again with `restore`, in words.
    pub revives: Option<String>,
    /// JSON pointer into the answer of `use` to when the secret ends, RFC 3339.
    pub ends: Option<String>,
    /// Shows whether the responder's credential hangs on the target.
    pub own: Option<Own>,
    /// Ways to make a new credential for a service; the first that fits what was kept is taken.
    pub renew: Vec<Renew>,
    /// Calls that show, beforehand, that the cut would be allowed: `alive` is yes, `dead` is no.
    pub armed: Vec<Look>,
    /// Why a good answer of `armed`, or none at all, does not show that the cut would be allowed.
    pub unarmed: Option<String>,
    /// Hosts by address, once they were checked.
    pub checked: RefCell<BTreeMap<String, String>>,
}

impl Table {
    /// Reads a table. `name` is the key it stands under; without one it says its own.
    pub fn from_node(file: &str, name: Option<&str>, node: &Node) -> Result<Table, Vec<Diagnostic>> {
        let mistakes = Mistakes::of(file);
        let table = read::table(name, node, &mistakes);
        if let Some(table) = &table {
            check(table, &mistakes);
        }
        match table {
            Some(table) if mistakes.count() == 0 => Ok(table),
            _ => Err(mistakes.into_sorted()),
        }
    }

    /// Every call.
    fn calls(&self) -> impl Iterator<Item = &Call> {
        let ends = self.sessions.iter().map(|s| &s.end);
        let ends = ends.chain(self.running.iter().map(|r| &r.end)).flatten();
        let anew = self.renew.iter();
        let anew = anew.flat_map(|r| std::iter::once(&r.act).chain(&r.withdraw));
        let acts = self.cut.iter().chain(&self.restore).chain(ends).chain(anew);
        let lists = self.sessions.iter().map(|s| &s.list);
        let lists = lists.chain(self.running.iter().map(|r| &r.list));
        let lists = lists.chain(self.closing.iter().map(|c| &c.list));
        let looks = self.lookup.iter().chain(&self.usage).chain(&self.armed);
        let looks = looks.map(Look::call).chain(lists.map(|l| &l.call));
        let looks = looks.chain(self.own.iter().map(|own| &own.call));
        acts.map(|a| &a.call).chain(looks)
    }
}

/// What only shows when the table is seen as a whole: names nobody gives, logins nobody describes.
fn check(table: &Table, mistakes: &Mistakes) {
    let given: BTreeSet<&str> = table.needs.keys().map(String::as_str).collect();
    for taken in ["auth", "secret", "item", "service"] {
        if given.contains(taken) {
            let message = format!("`{taken}` under `needs` already means something here");
            mistakes.add(table.place, message, Some("choose another name".to_owned()));
        }
    }
    let saved = |name: &str| {
        let key = name.strip_prefix("undo.").map(|key| key.trim_end_matches('?'));
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
    for look in table.lookup.iter().chain(&table.usage).chain(&table.armed) {
        if let Look::Among { is, list, .. } = look {
            names(is, list.call.place, mistakes, open);
        }
    }
    let mut without = BTreeSet::new();
    if let Some(own) = &table.own {
        names(&own.is, own.call.place, mistakes, open);
    }
    for renew in &table.renew {
        names(&renew.rights, renew.act.call.place, mistakes, |name| {
            saved(name) || open(name)
        });
        let kept = renew.no_more.iter().map(|(kept, _)| kept);
        for kept in kept.chain(renew.unless.iter().map(|u| &u.kept)) {
            if !table.keep.contains_key(kept) {
                let message = format!("`{kept}` is not among what `keep` saves");
                mistakes.add(renew.act.call.place, message, None);
            }
        }
        if renew.withdraw.is_empty() && !renew.no_more.is_empty() {
            let message = "what may do more after all must be revoked: `withdraw` is missing";
            mistakes.add(renew.act.call.place, message, None);
        }
    }
    for call in table.calls() {
        let anew = table.renew.iter().any(|r| std::ptr::eq(&r.act.call, call));
        let open = |name: &str| open(name) || (anew && name == "service");
        let any = |name: &str| any(name) || open(name);
        let in_path = |name: &str| name == "secret" && call.secret_in_path;
        let path = |name: &str| name == "item" || in_path(name) || saved(name) || open(name);
        names(&call.path, call.place, mistakes, path);
        if let Some(base) = &call.base {
            names(base, call.place, mistakes, open);
        }
        for (_, value) in &call.headers {
            names(value, call.place, mistakes, any);
        }
        match &call.body {
            Some(Body::Json(body)) => strings(body, &mut |text| names(text, call.place, mistakes, any)),
            Some(Body::Form(fields)) => fields
                .iter()
                .for_each(|(_, text)| names(text, call.place, mistakes, any)),
            None => {}
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
