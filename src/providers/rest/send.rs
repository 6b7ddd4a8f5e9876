//! Sends one call of a table: filled in, to an allowed host, retried where that is safe.

use std::time::{Duration, SystemTime};

use serde_json::Value;
use url::Url;

use super::table::{As, Call, Table};
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
    fn unsent(sent: Sent) -> Self {
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

/// Sends `call`. `settled` tells the answers the table has a rule for: those are never retried.
pub(super) async fn send(
    ctx: Ctx<'_>,
    table: &Table,
    call: &Call,
    vars: Vars<'_>,
    settled: &dyn Fn(&HttpResponse) -> bool,
) -> Reply {
    let address = match address(table, call, vars) {
        Ok(address) => address,
        Err(missing) => return Reply::unsent(Sent::Missing(missing)),
    };
    let host = host_of(&address);
    let _permit = ctx.limits.enter(&host, table.in_flight, call.turn).await;
    let started = ctx.world.clock.now().mono_us;
    let spent = || Duration::from_micros(ctx.world.clock.now().mono_us.saturating_sub(started));
    let mut tries = Vec::new();
    loop {
        let left = table.deadline.saturating_sub(spent());
        let request = match request(table, call, vars, &address, left.min(ATTEMPT)) {
            Ok(request) => request,
            Err(missing) => return Reply::unsent(Sent::Missing(missing)),
        };
        let outcome = ctx.world.http.send(request).await;
        tries.push(word(&outcome));
        let asked = match &outcome {
            Ok(answer) if settled(answer) => None,
            Ok(answer) => again(call, answer).then(|| retry_after(ctx.world, answer)),
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

fn address(table: &Table, call: &Call, vars: Vars<'_>) -> Result<Url, Missing> {
    let base = template::base(&table.base, vars)?;
    let path = template::path(&call.path, vars)?;
    let unfit = |why| Missing::Unfit(table.base.clone(), why);
    let address = Url::parse(&format!("{base}{path}")).map_err(|_| unfit("it is not an address"))?;
    if !address.username().is_empty() || address.password().is_some() {
        return Err(unfit("a credential does not belong into an address"));
    }
    let here = host_of(&address);
    for host in &table.hosts {
        let allowed = template::base(host, vars)?;
        let allowed = match Url::parse(&allowed) {
            Ok(url) if url.has_host() => host_of(&url),
            _ => format!("{allowed}:443"),
        };
        if allowed == here {
            return Ok(address);
        }
    }
    Err(unfit("its host is not among the `hosts` of the table"))
}

/// `host:port`, in lower case.
fn host_of(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or(0);
    format!("{}:{port}", url.host_str().unwrap_or(""))
}

fn request(
    table: &Table,
    call: &Call,
    vars: Vars<'_>,
    address: &Url,
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
        headers.push((login.header.clone(), template::header(&login.value, vars)?));
    }
    let body = match &call.body {
        Some(body) => {
            headers.push(("Content-Type".to_owned(), plain("application/json")));
            Some(Secret::new(template::body(body, vars)?.to_string()))
        }
        None => None,
    };
    let file = |key: &str| vars.with.get(key).map(Into::into);
    Ok(HttpRequest {
        method: call.method.clone(),
        url: address.to_string(),
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
fn again(call: &Call, answer: &HttpResponse) -> bool {
    match answer.status {
        429 => true,
        403 => answer.header("retry-after").is_some(),
        502..=504 => call.repeatable,
        _ => false,
    }
}

/// How long the provider asks to wait: seconds or an HTTP date.
fn retry_after(world: &World, answer: &HttpResponse) -> Option<Duration> {
    let text = answer.header("retry-after")?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let at = date.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let now = Duration::from_millis(u64::try_from(world.clock.now().utc_ms).unwrap_or(0));
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
