//! Sends one call of a table: filled in, to an allowed host, retried where that is safe.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use url::Url;
use zeroize::Zeroizing;

use super::table::{As, Body, Call, RateLimit, Table, Unit};
use super::template::{self, Missing, Vars};
use crate::model::fact::Fact;
use crate::model::secret::Secret;
use crate::providers::scrub::scrub;
use crate::providers::{Ctx, not_tried};
use crate::world::http::{HttpRequest, HttpResponse, TlsFiles};
use crate::world::{NetError, World};

/// Limit of one attempt.
const ATTEMPT: Duration = Duration::from_secs(10);
/// First and longest back-off between attempts.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// What became of a call.
pub(super) enum Sent {
    /// An answer that the table may know.
    Answer(HttpResponse),
    /// A value it needs is not there: nothing was sent.
    Missing(Missing),
    /// No answer to be had; the fact says why.
    Failed(Fact),
}

/// A call with the number of attempts it took.
pub(super) struct Reply {
    /// What became of it.
    pub sent: Sent,
    /// One word an attempt (`503`, `no answer`), where there was more than one.
    pub tries: Vec<String>,
}

impl Reply {
    pub fn unsent(sent: Sent) -> Self {
        Reply {
            sent,
            tries: Vec::new(),
        }
    }

    /// The fact that more than one attempt was made.
    pub fn noted(&self) -> Option<Fact> {
        (self.tries.len() > 1).then(|| Fact::Noted {
            label: "attempts".to_owned(),
            text: self.tries.join(", "),
        })
    }
}

/// Where a call goes.
#[derive(Clone)]
pub(super) struct Address {
    /// The whole address.
    pub url: String,
    /// `host:port`, in lower case; one of the `hosts` of the table.
    pub host: String,
}

impl Address {
    /// The address of a call, at a host that the table allows.
    pub fn of(table: &Table, call: &Call, vars: Vars<'_>) -> Result<Address, Missing> {
        let start = call.base.as_ref().unwrap_or(&table.base);
        let base = template::base(start, vars)?;
        let path = template::path(&call.path, vars)?;
        // The path starts with `/`, so the host stands in the base alone: it is read once for all calls.
        let allowed: Result<Vec<String>, Missing> = table
            .hosts
            .iter()
            .map(|host| template::base(host, vars))
            .collect();
        let allowed = allowed?;
        let key = format!("{base} {}", allowed.join(" "));
        if let Some(host) = table.checked.borrow().get(&key) {
            let host = host.clone();
            return Ok(Address {
                url: base + &path,
                host,
            });
        }
        let unfit = |why| Missing::Unfit(start.clone(), why);
        let address = Url::parse(&format!("{base}/")).map_err(|_| unfit("it is not an address"))?;
        if !address.username().is_empty() || address.password().is_some() {
            return Err(unfit("a credential does not belong into an address"));
        }
        let host = Address::host_of(&address);
        let same = |allowed: &String| match Url::parse(allowed) {
            Ok(url) if url.has_host() => Address::host_of(&url) == host,
            _ => format!("{allowed}:443") == host,
        };
        if !allowed.iter().any(same) {
            return Err(unfit("its host is not among the `hosts` of the table"));
        }
        table.checked.borrow_mut().insert(key, host.clone());
        Ok(Address {
            url: base + &path,
            host,
        })
    }

    /// `host:port`, in lower case.
    pub fn host_of(url: &Url) -> String {
        let port = url.port_or_known_default().unwrap_or(0);
        format!("{}:{port}", url.host_str().unwrap_or(""))
    }
}

/// Sends `call` to its address. `settled` tells the answers the table has a rule for: those are never retried.
pub(super) async fn send(
    ctx: Ctx<'_>,
    table: &Table,
    call: &Call,
    vars: Vars<'_>,
    address: &Address,
    settled: &dyn Fn(&HttpResponse) -> bool,
) -> Reply {
    let _permit = ctx.limits.enter(&address.host, table.in_flight, call.turn).await;
    let started = ctx.world.clock.now().mono_us;
    let spent = || Duration::from_micros(ctx.world.clock.now().mono_us.saturating_sub(started));
    let mut tries = Vec::new();
    loop {
        let left = table.deadline.saturating_sub(spent());
        let request = match request(table, call, vars, address, left.min(ATTEMPT)) {
            Ok(request) => request,
            Err(missing) => return Reply::unsent(Sent::Missing(missing)),
        };
        let outcome = ctx.world.http.send(request).await;
        tries.push(word(&outcome));
        let asked = match &outcome {
            Ok(answer) if settled(answer) => None,
            Ok(answer) => again(table, call, answer).then(|| wait_of(ctx.world, table, answer)),
            Err(NetError::Connect(_)) => Some(None),
            Err(NetError::Silent(_) | NetError::Lost(_)) => call.repeatable.then_some(None),
            Err(NetError::Refused(_) | NetError::Setup(_)) => None,
        };
        let wait = asked.map(|asked| asked.unwrap_or_default().max(back_off(ctx.world, tries.len())));
        let left = table.deadline.saturating_sub(spent());
        match wait {
            Some(wait) if wait < left => ctx.world.clock.sleep(wait).await,
            _ => {
                let sent = end(ctx, outcome, asked.flatten(), spent());
                return Reply { sent, tries };
            }
        }
    }
}

/// What stands after the last attempt.
fn end(
    ctx: Ctx<'_>,
    outcome: Result<HttpResponse, NetError>,
    asked: Option<Duration>,
    spent: Duration,
) -> Sent {
    match (outcome, asked) {
        (Ok(answer), Some(wait)) => Sent::Failed(Fact::Error {
            status: answer.status,
            text: format!(
                "the provider asks to wait {} s, longer than this call may take",
                wait.as_secs()
            ),
        }),
        (Ok(answer), None) => Sent::Answer(answer),
        (Err(NetError::Silent(_)), _) => Sent::Failed(Fact::Silent {
            after_ms: u64::try_from(spent.as_millis()).unwrap_or(u64::MAX),
        }),
        (Err(error), _) => Sent::Failed(Fact::Error {
            status: 0,
            text: scrub(&error.to_string(), secrets(ctx)),
        }),
    }
}

/// The secrets of this call, to be taken out of every text.
fn secrets<'a>(ctx: Ctx<'a>) -> impl Iterator<Item = &'a Secret> {
    ctx.auth.into_iter().chain(ctx.secret)
}

/// An answer no rule of the table knows, as a fact.
pub(super) fn unexpected(ctx: Ctx<'_>, answer: &HttpResponse) -> Fact {
    let body = String::from_utf8_lossy(&answer.body);
    let said = serde_json::from_slice::<Value>(&answer.body)
        .ok()
        .and_then(|body| {
            [
                "/errors/0",
                "/errors/0/message",
                "/error/message",
                "/message",
                "/error_description",
                "/error",
            ]
            .iter()
            .find_map(|at| body.pointer(at).and_then(Value::as_str).map(str::to_owned))
        });
    let text = match answer.status {
        300..=399 => "the provider redirects; a credential is not sent along".to_owned(),
        _ => said.unwrap_or_else(|| body.into_owned()),
    };
    Fact::Error {
        status: answer.status,
        text: scrub(&text, secrets(ctx)),
    }
}

/// The fact for a value that is not there.
pub(super) fn missing(missing: &Missing) -> Fact {
    not_tried(missing.to_string())
}

fn request(
    table: &Table,
    call: &Call,
    vars: Vars<'_>,
    address: &Address,
    deadline: Duration,
) -> Result<HttpRequest, Missing> {
    let plain = |text: &str| Secret::new(text.to_owned());
    let mut headers = vec![(
        "User-Agent".to_owned(),
        plain(concat!("incident/", env!("CARGO_PKG_VERSION"))),
    )];
    for (name, value) in &table.headers {
        match template::header(value, vars) {
            Ok(value) => headers.push((name.clone(), value)),
            Err(Missing::Value(need)) if table.needs.get(&need).is_some_and(|n| n.optional) => {}
            Err(other) => return Err(other),
        }
    }
    let login = match call.by {
        As::Responder => table.responder.as_ref(),
        As::Agent => table.agent.as_ref(),
        As::Nobody => None,
    };
    if let Some(login) = login {
        let value = template::header(&login.value, vars)?;
        let value = match login.basic {
            true => {
                let pair = Zeroizing::new(BASE64_STANDARD.encode(value.expose()));
                Secret::joined(&["Basic ", &pair])
            }
            false => value,
        };
        headers.push((login.header.clone(), value));
    }
    let (kind, body) = match &call.body {
        Some(Body::Json(body)) => {
            let text = template::body(body, vars)?.to_string();
            ("application/json", Some(Secret::new(text)))
        }
        Some(Body::Form(fields)) => {
            let form = template::form(fields, vars)?;
            ("application/x-www-form-urlencoded", Some(form))
        }
        None => ("", None),
    };
    if body.is_some() {
        headers.push(("Content-Type".to_owned(), plain(kind)));
    }
    for (name, value) in &call.headers {
        let value = match template::header(value, vars) {
            Err(Missing::Value(need)) if table.needs.get(&need).is_some_and(|n| n.optional) => continue,
            value => value?,
        };
        headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        headers.push((name.clone(), value));
    }
    let file = |key: &str| vars.with.get(key).map(Into::into);
    Ok(HttpRequest {
        method: call.method.clone(),
        url: address.url.clone(),
        headers,
        body,
        deadline,
        tls: TlsFiles {
            ca: file("ca"),
            identity: file("client-cert"),
        },
    })
}

/// True for answers that say: not now. 429 and a 403 that names a time were not carried out; after a
/// 502, 503 or 504 nobody knows, so only what may be repeated is.
fn again(table: &Table, call: &Call, answer: &HttpResponse) -> bool {
    let spent = |limit: &RateLimit| {
        let left = limit.remaining.as_ref().and_then(|name| answer.header(name));
        left.is_some_and(|left| left.trim() == "0")
    };
    match answer.status {
        429 => true,
        403 => answer.header("retry-after").is_some() || table.rate_limit.as_ref().is_some_and(spent),
        502..=504 => call.repeatable,
        _ => false,
    }
}

/// How long the provider asks to wait: `Retry-After` as seconds or an HTTP date, else its own header.
fn wait_of(world: &World, table: &Table, answer: &HttpResponse) -> Option<Duration> {
    let now = Duration::from_millis(u64::try_from(world.clock.now().utc_ms).unwrap_or(0));
    let own = |limit: &RateLimit| {
        // Some count in fractions of a second.
        let told: f64 = answer.header(&limit.reset)?.trim().parse().ok()?;
        let told = Duration::try_from_secs_f64(told).ok()?;
        Some(match limit.unit {
            Unit::Seconds => told,
            Unit::Epoch => told.saturating_sub(now),
        })
    };
    let Some(text) = answer.header("retry-after").map(str::trim) else {
        return table.rate_limit.as_ref().and_then(own);
    };
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let at = date.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(at.saturating_sub(now))
}

/// Full jitter: anything between nothing and a ceiling that doubles with every attempt.
fn back_off(world: &World, tries: usize) -> Duration {
    let doubled = BACK_OFF.0.saturating_mul(1 << tries.saturating_sub(1).min(10));
    let ceiling = doubled.min(BACK_OFF.1);
    let mut random = [u8::MAX; 2];
    // Without randomness the longest wait is used.
    let _ = world.entropy.fill(&mut random);
    ceiling.mul_f64(f64::from(u16::from_be_bytes(random)) / f64::from(u16::MAX))
}

fn word(outcome: &Result<HttpResponse, NetError>) -> String {
    match outcome {
        Ok(answer) => answer.status.to_string(),
        Err(NetError::Silent(_)) => "no answer".to_owned(),
        Err(NetError::Connect(_)) => "no connection".to_owned(),
        Err(NetError::Lost(_)) => "connection lost".to_owned(),
        Err(NetError::Refused(_) | NetError::Setup(_)) => "not sent".to_owned(),
    }
}
