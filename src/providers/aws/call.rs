//! Calls to AWS, signed by the responder or by the agent's own keys.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use url::Url;

use super::keys::Keys;
use super::sigv4::{self, Scope, Unsigned, encoded};
use crate::model::fact::Fact;
use crate::model::grant::Target;
use crate::model::secret::Secret;
use crate::providers::limits::Turn;
use crate::providers::scrub::scrub;
use crate::providers::wire::{self, Way};
use crate::providers::xml::{self, Element};
use crate::providers::{Ctx, not_tried, with};
use crate::world::http::{HttpRequest, HttpResponse, TlsFiles};

/// A service, by the name it is signed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    /// One for the whole world, signed for one region of the partition.
    Iam,
    Sts,
    S3,
    Events,
    Scheduler,
    Lambda,
}

impl Service {
    fn name(self) -> &'static str {
        match self {
            Service::Iam => "iam",
            Service::Sts => "sts",
            Service::S3 => "s3",
            Service::Events => "events",
            Service::Scheduler => "scheduler",
            Service::Lambda => "lambda",
        }
    }
}

/// An answer that is not a success.
pub(super) enum Refusal {
    /// AWS said no, in its words.
    Said {
        /// HTTP status.
        status: u16,
        /// As in `NoSuchEntity`.
        code: String,
        /// For people; scrubbed.
        message: String,
    },
    /// No answer to be had, or none that can be read.
    Failed(Fact),
}

impl Refusal {
    /// True where AWS said one of these codes.
    pub fn is(&self, codes: &[&str]) -> bool {
        matches!(self, Refusal::Said { code, .. } if codes.contains(&code.as_str()))
    }

    /// True where what was asked for is not there.
    pub fn is_absent(&self) -> bool {
        self.is(&["NoSuchEntity", "ResourceNotFoundException"])
    }

    /// As a fact.
    pub fn fact(self) -> Fact {
        match self {
            Refusal::Said {
                status,
                code,
                message,
            } => Fact::Error {
                status,
                text: scrub(&format!("{code}: {message}"), []),
            },
            Refusal::Failed(fact) => fact,
        }
    }
}

/// Codes that say: not now.
const LATER: [&str; 12] = [
    "InternalFailure",
    "InternalError",
    "ServiceFailure",
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "SlowDown",
    "ServiceUnavailable",
    "EntityTemporarilyUnmodifiable",
    "ConcurrentModification",
];
/// Codes of a signature that came at the wrong time.
const SKEWED: [&str; 4] = [
    "RequestTimeTooSkewed",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
];
/// Error of the clock that AWS tolerates.
const TOLERATED_MS: i64 = 240_000;

/// Whoever signs, and where the calls go.
pub(super) struct Caller<'a> {
    ctx: Ctx<'a>,
    given: &'a BTreeMap<String, String>,
    /// The credentials that sign.
    pub keys: Keys,
    turn: Turn,
    /// What the provider's clock is ahead of ours, in ms.
    ahead_ms: Cell<i64>,
}

impl<'a> Caller<'a> {
    /// The responder.
    pub fn responder(ctx: Ctx<'a>, target: &'a Target, turn: Turn) -> Result<Self, Fact> {
        let auth = ctx
            .auth
            .ok_or_else(|| not_tried("no credential of the responder is at hand"))?;
        let keys = Keys::parse(auth, None).map_err(|e| not_tried(format!("the responder's: {e}")))?;
        Ok(Caller::with_keys(ctx, target, keys, turn))
    }

    /// The agent, with its own secret.
    pub fn agent(ctx: Ctx<'a>, target: &'a Target) -> Result<Self, Fact> {
        let secret = ctx
            .secret
            .ok_or_else(|| not_tried("the agent's own secret is not at hand"))?;
        let id = with(target).get("key").map(String::as_str);
        let keys = Keys::parse(secret, id).map_err(|e| not_tried(format!("the agent's: {e}")))?;
        if id.is_some_and(|id| id != keys.id) {
            return Err(not_tried("the secret at hand belongs to another access key"));
        }
        Ok(Caller::with_keys(ctx, target, keys, Turn::Look))
    }

    /// Somebody with these keys.
    pub fn with_keys(ctx: Ctx<'a>, target: &'a Target, keys: Keys, turn: Turn) -> Self {
        Caller {
            ctx,
            given: with(target),
            keys,
            turn,
            ahead_ms: Cell::new(0),
        }
    }

    /// The region that is asked.
    pub fn region(&self) -> &'a str {
        self.given.get("region").map_or("us-east-1", String::as_str)
    }

    /// `aws`, `aws-cn` or `aws-us-gov`, for names of what AWS itself owns.
    pub fn partition(&self) -> &'static str {
        match self.region() {
            region if region.starts_with("cn-") => "aws-cn",
            region if region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        }
    }

    /// True where AWS itself is asked, not something that speaks as it does.
    pub fn is_aws(&self) -> bool {
        let url = |endpoint: &String| Url::parse(endpoint).ok();
        match self.given.get("endpoint").map(url) {
            None => true,
            Some(url) => url
                .as_ref()
                .and_then(Url::host_str)
                .is_some_and(|host| host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn")),
        }
    }

    /// What the record says, as far as it proves anything. Something else than AWS may keep a record of
    /// what it does not enforce, so its word of death needs a try; its word of life never does.
    pub fn read_back(&self, dead: bool) -> Fact {
        match dead && !self.is_aws() {
            true => not_tried(
                "the record says cut; but it is not that of AWS itself, so only trying the credential would prove it",
            ),
            false => Fact::ReadBack { dead },
        }
    }

    /// Wall time of AWS in ms, as far as it is known to differ from ours.
    pub fn now_ms(&self) -> i64 {
        self.ctx
            .world
            .clock
            .now()
            .utc_ms
            .saturating_add(self.ahead_ms.get())
    }

    /// An action of a query service, answered in XML.
    pub async fn query(
        &self,
        service: Service,
        action: &str,
        params: &[(&str, &str)],
    ) -> Result<Element, Refusal> {
        let version = match service {
            Service::Sts => "2011-06-15",
            _ => "2010-05-08",
        };
        // Written as the vendor's own clients write it: some servers sign what they have read, not what came.
        let written = |text: &str| encoded(text, " ").replace(' ', "+");
        let all = [("Action", action), ("Version", version)];
        let body: Vec<String> = all
            .iter()
            .chain(params)
            .map(|(name, value)| format!("{}={}", written(name), written(value)))
            .collect();
        let content = "application/x-www-form-urlencoded; charset=utf-8".to_owned();
        let answer = self
            .send(
                service,
                "POST",
                "/",
                &[("content-type", content)],
                &body.join("&"),
            )
            .await?;
        xml::parse(&answer.body).map_err(|e| self.unreadable(answer.status, &e.to_string()))
    }

    /// Buckets of the account, as somebody allowed to see them sees them.
    pub async fn list_buckets(&self) -> Result<(), Refusal> {
        let answer = self.send(Service::S3, "GET", "/", &[], "").await?;
        match xml::parse(&answer.body) {
            Ok(root) if root.name == "ListAllMyBucketsResult" => Ok(()),
            Ok(_) => Err(self.unreadable(answer.status, "this is no list of buckets")),
            Err(e) => Err(self.unreadable(answer.status, &e.to_string())),
        }
    }

    /// An action named in a header, JSON both ways.
    pub async fn target(&self, service: Service, action: &str, body: &Value) -> Result<Value, Refusal> {
        let headers = [
            ("content-type", "application/x-amz-json-1.1".to_owned()),
            ("x-amz-target", action.to_owned()),
        ];
        let answer = self
            .send(service, "POST", "/", &headers, &body.to_string())
            .await?;
        self.json(&answer)
    }

    /// A call of a REST service, JSON both ways. `path` is made of fixed words and [`encoded`] names.
    pub async fn rest(
        &self,
        service: Service,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Refusal> {
        let headers = [("content-type", "application/json".to_owned())];
        let body = body.map(Value::to_string).unwrap_or_default();
        let answer = self.send(service, method, path, &headers, &body).await?;
        self.json(&answer)
    }

    fn json(&self, answer: &HttpResponse) -> Result<Value, Refusal> {
        if answer.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&answer.body)
            .map_err(|e| self.unreadable(answer.status, &format!("the answer is not JSON: {e}")))
    }

    fn unreadable(&self, status: u16, text: &str) -> Refusal {
        Refusal::Failed(Fact::Error {
            status,
            text: scrub(text, self.secrets()),
        })
    }

    fn secrets(&self) -> Vec<&Secret> {
        let own = [
            Some(&self.keys.secret),
            self.keys.token.as_ref(),
            self.ctx.auth,
            self.ctx.secret,
        ];
        own.into_iter().flatten().collect()
    }

    /// Sends; once more by the provider's clock where ours is far from it.
    async fn send(
        &self,
        service: Service,
        method: &str,
        path: &str,
        headers: &[(&str, String)],
        body: &str,
    ) -> Result<HttpResponse, Refusal> {
        let (url, region) = self.address(service, path).map_err(Refusal::Failed)?;
        let scope = Scope {
            region: &region,
            service: service.name(),
        };
        let request = Unsigned {
            method,
            url: &url,
            headers,
            body,
        };
        for last in [false, true] {
            let answer = self.once(scope, request).await.map_err(Refusal::Failed)?;
            if (200..300).contains(&answer.status) {
                return Ok(answer);
            }
            let refusal = self.refusal(&answer);
            let ahead = ahead_ms(&answer, self.ctx.world.clock.now().utc_ms);
            let Some(ahead) =
                ahead.filter(|ahead| !last && ahead.abs() > TOLERATED_MS && refusal.is(&SKEWED))
            else {
                return Err(refusal);
            };
            self.ahead_ms.set(ahead);
        }
        Err(self.unreadable(0, "the clocks of this host and of AWS cannot be brought together"))
    }

    async fn once(&self, scope: Scope<'_>, request: Unsigned<'_>) -> Result<HttpResponse, Fact> {
        let url = request.url;
        let host = format!(
            "{}:{}",
            url.host_str().unwrap_or(""),
            url.port_or_known_default().unwrap_or(0)
        );
        let file = |key: &str| self.given.get(key).map(Into::into);
        let tls = TlsFiles {
            ca: file("ca"),
            identity: None,
        };
        let secrets = self.secrets();
        let way = Way {
            host: &host,
            turn: self.turn,
            secrets: &secrets,
        };
        let make = |now_ms: i64, deadline: Duration| {
            let at_ms = now_ms.saturating_add(self.ahead_ms.get());
            let mut headers = sigv4::signed(&self.keys, scope, at_ms, request);
            let plain = request.headers.iter().map(|(n, v)| (*n, v.as_str()));
            let agent = ("user-agent", concat!("incident/", env!("CARGO_PKG_VERSION")));
            let added: Vec<(String, Secret)> = plain
                .filter(|(name, _)| !headers.iter().any(|(n, _)| n == name))
                .chain([agent])
                .map(|(name, value)| (name.to_owned(), Secret::new(value.to_owned())))
                .collect();
            headers.extend(added);
            HttpRequest {
                method: request.method.to_owned(),
                url: url.to_string(),
                headers,
                body: (!request.body.is_empty()).then(|| Secret::new(request.body.to_owned())),
                deadline,
                tls: tls.clone(),
            }
        };
        let again = |answer: &HttpResponse| {
            matches!(answer.status, 429 | 502..=504)
                || (answer.status >= 400 && LATER.contains(&self.said(answer).0.as_str()))
        };
        wire::send(self.ctx, way, &again, &make).await
    }

    /// Code and message of an answer, in whichever form its service has.
    fn said(&self, answer: &HttpResponse) -> (String, String) {
        let root = xml::parse(&answer.body).ok();
        let error = root.as_ref().and_then(|root| match root.name.as_str() {
            "Error" => Some(root),
            _ => root.at(&["Error"]).or_else(|| root.at(&["Errors", "Error"])),
        });
        if let Some(error) = error {
            let text = |name: &str| error.text_at(&[name]).unwrap_or("").to_owned();
            return (text("Code"), text("Message"));
        }
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        let text = |names: &[&str]| names.iter().find_map(|name| body.get(name)?.as_str());
        let code = answer
            .header("x-amzn-errortype")
            .or_else(|| text(&["__type", "code", "Code"]))
            .unwrap_or("");
        // `com.amazon#Code` and `Code:http://…` both occur.
        let code = code
            .rsplit('#')
            .next()
            .unwrap_or("")
            .split(':')
            .next()
            .unwrap_or("");
        let message = text(&["message", "Message"]).map(str::to_owned);
        let message = message.unwrap_or_else(|| String::from_utf8_lossy(&answer.body).into_owned());
        (code.to_owned(), message)
    }

    fn refusal(&self, answer: &HttpResponse) -> Refusal {
        if (300..400).contains(&answer.status) {
            return self.unreadable(
                answer.status,
                "the provider redirects; a signature is not sent along",
            );
        }
        let (code, message) = self.said(answer);
        Refusal::Said {
            status: answer.status,
            code: scrub(&code, self.secrets()),
            message: scrub(&message, self.secrets()),
        }
    }

    /// Where a service is, and the region it is signed for.
    fn address(&self, service: Service, path: &str) -> Result<(Url, String), Fact> {
        let region = self.region();
        if region.is_empty() || !region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err(not_tried("`region` is not the name of a region"));
        }
        let (suffix, iam, home) = match self.partition() {
            "aws-cn" => (
                "amazonaws.com.cn",
                "iam.cn-north-1.amazonaws.com.cn",
                "cn-north-1",
            ),
            "aws-us-gov" => ("amazonaws.com", "iam.us-gov.amazonaws.com", "us-gov-west-1"),
            _ => ("amazonaws.com", "iam.amazonaws.com", "us-east-1"),
        };
        let base = match (self.given.get("endpoint"), service) {
            (Some(endpoint), _) => endpoint.trim_end_matches('/').to_owned(),
            (None, Service::Iam) => format!("https://{iam}"),
            (None, _) => format!("https://{}.{region}.{suffix}", service.name()),
        };
        let url = Url::parse(&format!("{base}{path}"))
            .ok()
            .filter(|url| url.has_host() && url.username().is_empty() && url.password().is_none())
            .ok_or_else(|| not_tried("`endpoint` is not an address, as in https://aws.example:4566"))?;
        let region = match service {
            Service::Iam => home,
            _ => region,
        };
        Ok((url, region.to_owned()))
    }
}

/// What the clock of whoever answered is ahead of ours, in ms.
fn ahead_ms(answer: &HttpResponse, now_ms: i64) -> Option<i64> {
    let date = httpdate::parse_http_date(answer.header("date")?).ok()?;
    let at = date.duration_since(std::time::SystemTime::UNIX_EPOCH).ok()?;
    i64::try_from(at.as_millis()).ok()?.checked_sub(now_ms)
}

/// A path of fixed words and names.
pub(super) fn path(parts: &[&str]) -> String {
    parts
        .iter()
        .map(|part| format!("/{}", encoded(part, "")))
        .collect()
}
