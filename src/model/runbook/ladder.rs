//! Whom a request is brought to, in which order, and when one person may act alone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Person, secret_ref};
use crate::model::secret::SecretRef;
use crate::model::yaml::{self, Fields, Mistakes, Node, Value};

/// When one person may act at the boundary alone, because nobody answers. Never outside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lone {
    /// Cooling delay after asking, in milliseconds.
    pub after_ms: u64,
    /// How long it may be used once the delay is over, in milliseconds.
    pub valid_ms: u64,
}

/// How others hear of a request. What is carried is the request, never the authority.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// Told of what one person wants to do alone: as many as the program reaches. An argument list.
    pub notify: Vec<String>,
    /// Who is asked, one rung after the other.
    pub ladder: Vec<Rung>,
}

/// One rung of the ladder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rung {
    /// Its name, as in `colleague`.
    pub name: String,
    /// People or roles it reaches, for the eyes of the responder.
    pub who: Vec<String>,
    /// How, each tried at once.
    pub ways: Vec<Way>,
    /// What is sent.
    pub sends: Sends,
    /// Time to answer, in milliseconds; then the next rung is climbed.
    pub within_ms: u64,
}

/// One way to tell somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// A program, what is sent on its standard input.
    Program(Vec<String>),
    /// A POST of one JSON object.
    Webhook(Webhook),
}

/// Where a webhook posts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The only host it may reach.
    pub host: String,
    /// The address.
    pub url: WebhookUrl,
    /// Sent as a bearer token.
    pub token: Option<SecretRef>,
}

/// The address of a webhook: in many chats it is itself a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookUrl {
    /// Written down.
    Plain(String),
    /// Read just in time.
    From(SecretRef),
}

/// What a rung sends, beside the text to sign and how, which every rung sends. What it does not name it does not send.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sends {
    /// Ten lines on where the incident stands.
    pub brief: bool,
    /// The end of the timeline.
    pub timeline: bool,
    /// Exhibits, by the name of their capture or its step.
    pub exhibits: Vec<String>,
}

impl Sends {
    /// The request and the brief: what a rung sends that says nothing else.
    pub fn usual() -> Sends {
        Sends {
            brief: true,
            ..Sends::default()
        }
    }

    /// In words, as written in a runbook.
    pub fn words(&self) -> String {
        let mut all = vec!["statement"];
        all.extend(self.brief.then_some("brief"));
        all.extend(self.timeline.then_some("timeline"));
        all.extend(self.exhibits.iter().map(String::as_str));
        all.join(", ")
    }
}

impl Webhook {
    /// Where its secrets are read from.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretRef> {
        let url = match &self.url {
            WebhookUrl::Plain(_) => None,
            WebhookUrl::From(source) => Some(source),
        };
        url.into_iter().chain(&self.token)
    }
}

impl Way {
    /// How it is called in the record: the program, or the host. Never an address, which may be a secret.
    pub fn name(&self) -> String {
        match self {
            Way::Program(argv) => argv.first().cloned().unwrap_or_default(),
            Way::Webhook(hook) => format!("webhook at {}", hook.host),
        }
    }
}

/// A delay shorter than this cools nobody down.
const LEAST_DELAY_MS: u64 = 5 * 60_000;
/// Delay before one person may act alone, where nothing is said.
const DELAY_MS: u64 = 15 * 60_000;
/// Time in which one person may then do so, and in which a rung may answer, where nothing is said.
const VALID_MS: u64 = 30 * 60_000;
/// Time a rung has to answer, where nothing is said.
const WITHIN_MS: u64 = 10 * 60_000;

/// Reads `lone`, `notify` and `ladder` of `escalation`.
pub(super) fn reach(
    fields: &mut Fields<'_, '_>,
    people: &BTreeMap<String, Person>,
    mistakes: &Mistakes,
) -> (Option<Lone>, Reach) {
    let lone = fields.take("lone").and_then(|n| lone(n, mistakes));
    let notify = fields.texts("notify");
    let mut ladder = Vec::new();
    if let Some(node) = fields.take("ladder") {
        for (n, node) in yaml::items(node, "ladder", mistakes).iter().enumerate() {
            ladder.extend(rung(node, n + 1, people, mistakes));
        }
    }
    (lone, Reach { notify, ladder })
}

fn lone(node: &Node, mistakes: &Mistakes) -> Option<Lone> {
    let mut fields = Fields::of(node, "`lone`", mistakes)?;
    let after_ms = fields.span("after").unwrap_or(DELAY_MS);
    let valid_ms = fields.span("valid").unwrap_or(VALID_MS);
    fields.finish();
    if after_ms < LEAST_DELAY_MS {
        let remedy = Some("write `after: 5m` or more: the delay is what others have to refuse in".to_owned());
        mistakes.add(node.place, "this delay cools nobody down", remedy);
    }
    Some(Lone { after_ms, valid_ms })
}

fn rung(node: &Node, number: usize, people: &BTreeMap<String, Person>, mistakes: &Mistakes) -> Option<Rung> {
    let mut fields = Fields::of(node, "a rung", mistakes)?;
    let name = fields.text("name").unwrap_or_else(|| format!("rung {number}"));
    let who_node = fields.take("who");
    let who = who_node
        .map(|n| yaml::texts(n, "who", mistakes))
        .unwrap_or_default();
    for one in &who {
        let role = people.values().any(|p| p.roles.contains(one));
        if !role && !people.contains_key(one) {
            let place = who_node.map_or(node.place, |n| n.place);
            let remedy = Some("name a person or a role of `people`".to_owned());
            mistakes.add(
                place,
                format!("nobody is called `{one}`, and nobody has that role"),
                remedy,
            );
        }
    }
    let program = fields.texts("notify");
    let mut ways = Vec::new();
    if !program.is_empty() {
        ways.push(Way::Program(program));
    }
    if let Some(node) = fields.take("webhook") {
        ways.extend(webhook(node, mistakes).map(Way::Webhook));
    } else if ways.is_empty() {
        let remedy = Some("write `notify: [program, argument]` or `webhook: https://…`".to_owned());
        mistakes.add(node.place, "nobody is told by this rung", remedy);
    }
    let sends = fields
        .take("send")
        .map_or_else(Sends::usual, |n| sends(n, mistakes));
    let within_ms = fields.span("within").unwrap_or(WITHIN_MS);
    fields.finish();
    Some(Rung {
        name,
        who,
        ways,
        sends,
        within_ms,
    })
}

fn sends(node: &Node, mistakes: &Mistakes) -> Sends {
    let mut sends = Sends::default();
    let named = match &node.value {
        Value::List(_) => yaml::texts(node, "send", mistakes),
        _ => yaml::text(node, "send", mistakes).into_iter().collect(),
    };
    for one in named {
        match one.as_str() {
            "request" | "statement" => {}
            "brief" => sends.brief = true,
            "timeline" => sends.timeline = true,
            name if name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) =>
            {
                sends.exhibits.push(name.to_owned());
            }
            other => {
                let remedy =
                    "write `send: [statement, brief, timeline, NAME]`, where NAME is a capture or its step";
                mistakes.add(
                    node.place,
                    format!("`send: {other}` is no name of a capture"),
                    Some(remedy.into()),
                );
            }
        }
    }
    sends
}

fn webhook(node: &Node, mistakes: &Mistakes) -> Option<Webhook> {
    if let Value::Text(_) = &node.value {
        let text = yaml::text(node, "webhook", mistakes)?;
        return match webhook_host(&text) {
            Ok(host) => Some(Webhook {
                host,
                url: WebhookUrl::Plain(text),
                token: None,
            }),
            Err(why) => {
                let remedy = "write `webhook: {host: HOST, url: {env: NAME}}` where the address is a secret";
                mistakes.add(node.place, why, Some(remedy.into()));
                None
            }
        };
    }
    let mut fields = Fields::of(node, "`webhook`", mistakes)?;
    let host = fields.need("host", "write the only host it may reach");
    let host = host.and_then(|n| yaml::text(n, "host", mistakes));
    let url = fields.need("url", "write `url: {env: NAME}`");
    let url = url.and_then(|n| secret_ref(n, mistakes));
    let token = fields.take("token").and_then(|n| secret_ref(n, mistakes));
    fields.finish();
    Some(Webhook {
        host: host?,
        url: WebhookUrl::From(url?),
        token,
    })
}

/// The host of an address: over TLS or to this machine, without a user in it; `None` for any other.
pub fn host_of(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    };
    let near = matches!(host, "127.0.0.1" | "localhost" | "[::1]");
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_[]:".contains(c);
    let good = !host.is_empty() && host.chars().all(plain) && (scheme == "https" || scheme == "http" && near);
    good.then_some(host)
}

/// The host of an address that may stand in a file: with nothing in it that could be a secret.
fn webhook_host(text: &str) -> Result<String, &'static str> {
    if text.contains(['?', '#', '@']) {
        return Err("an address with a user or a query may hold a secret");
    }
    host_of(text)
        .map(str::to_owned)
        .ok_or("a webhook is reached over https")
}
