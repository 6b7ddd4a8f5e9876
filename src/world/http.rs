//! HTTP: one request, one answer, no redirects, no hidden retries.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use url::{Host, Url};

use super::{Later, NetError, chain};
use crate::model::secret::Secret;

/// One request. Header values and bodies may hold secrets, so all of them are kept as such.
pub struct HttpRequest {
    /// `GET`, `POST`, `PUT`, `PATCH`, `DELETE`, `LIST`, …
    pub method: String,
    /// Absolute URL. Its query may be a signature (Azure takes one nowhere else), so that it is never shown.
    pub url: String,
    /// Header names and values.
    pub headers: Vec<(String, Secret)>,
    /// Body bytes.
    pub body: Option<Secret>,
    /// Limit for the whole attempt, connecting included.
    pub deadline: Duration,
    /// Certificates to trust besides, and a client identity.
    pub tls: TlsFiles,
}

impl std::fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("url", &shown(&self.url))
            .field("headers", &self.headers)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// The address without its query.
fn shown(url: &str) -> &str {
    url.split('?').next().unwrap_or("")
}

/// PEM files for private certificate authorities and client certificates.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TlsFiles {
    /// Extra certificate authorities.
    pub ca: Option<PathBuf>,
    /// Client key and certificate chain in one file.
    pub identity: Option<PathBuf>,
}

/// One answer, its body cut at [`BODY_CAP`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// HTTP status.
    pub status: u16,
    /// Header names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// At most [`BODY_CAP`] bytes.
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// First value of a header, by lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }
}

/// Longest body that is read, in bytes; the rest is dropped unread.
pub const BODY_CAP: usize = 4 << 20;

/// Another clock, as the answer of its host told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockSeen {
    /// Whose clock.
    pub host: String,
    /// How far this host is ahead of it, in milliseconds.
    pub ahead_ms: i64,
    /// How far that may be wrong either way, in milliseconds.
    pub give_ms: u64,
}

/// Sends requests.
pub trait Http {
    /// The clock that the answers so far told best, from hosts that proved who they are.
    fn clock_seen(&self) -> Option<ClockSeen> {
        None
    }
    /// Sends one request once. Redirects are answers, not followed: a followed one would carry the token along.
    fn send(&self, request: HttpRequest) -> Later<'_, Result<HttpResponse, NetError>>;
}

/// Limit for making a connection, TLS included. A host that does not answer within it is down.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);

/// How long an idle connection is kept: shorter than the idle limits of common servers, so that a
/// cut never goes out on a connection the other side has just closed.
const IDLE_LIMIT: Duration = Duration::from_secs(15);

/// The network, through reqwest with rustls.
///
/// Clients are built when first needed, one for each set of TLS files: building one fails on a host
/// without a trust store, and that must not touch the calls that bring their own.
#[derive(Default)]
pub struct RealHttp {
    clients: RefCell<BTreeMap<(TlsFiles, bool), reqwest::Client>>,
    clock: RefCell<Option<ClockSeen>>,
}

impl RealHttp {
    /// No client is built yet.
    pub fn new() -> Self {
        RealHttp::default()
    }

    fn client(&self, tls: &TlsFiles, plain: bool) -> Result<reqwest::Client, NetError> {
        let key = (tls.clone(), plain);
        if let Some(client) = self.clients.borrow().get(&key) {
            return Ok(client.clone());
        }
        let client = build(tls, plain)?;
        self.clients.borrow_mut().insert(key, client.clone());
        Ok(client)
    }

    async fn once(&self, request: HttpRequest) -> Result<HttpResponse, NetError> {
        let url = Url::parse(&request.url)
            .map_err(|e| NetError::Setup(format!("`{}` is not an address: {e}", shown(&request.url))))?;
        let plain = plain(&url)?;
        let client = self.client(&request.tls, plain)?;
        let method = reqwest::Method::from_bytes(request.method.as_bytes())
            .map_err(|_| NetError::Setup(format!("`{}` is not an HTTP method", request.method)))?;
        let mut building = client.request(method, url).headers(headers(&request.headers)?);
        if let Some(body) = &request.body {
            building = building.body(body.expose().to_owned());
        }
        let sent = wall_ms();
        let mut answer = building.send().await.map_err(net_error)?;
        let mut response = HttpResponse {
            status: answer.status().as_u16(),
            headers: named(answer.headers()),
            body: Vec::new(),
        };
        if let (Some(host), false) = (answer.url().host_str(), plain) {
            self.hear_clock(clock_of(host, &response, sent, wall_ms()));
        }
        while let Some(chunk) = answer.chunk().await.map_err(net_error)? {
            let room = BODY_CAP - response.body.len();
            response.body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() >= room {
                break;
            }
        }
        Ok(response)
    }
}

/// Wall time in milliseconds since the epoch.
#[allow(clippy::disallowed_methods, reason = "the real half of a port")]
fn wall_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}

/// What the `Date` of an answer says of our clock, which read `sent` before the request and `got` after it.
///
/// The header names the second in which the answer was made, and it was made somewhere in between. A
/// stored answer (`Age`) tells nothing, nor one during which our clock went back.
fn clock_of(host: &str, response: &HttpResponse, sent: i64, got: i64) -> Option<ClockSeen> {
    if got < sent || response.header("age").is_some() {
        return None;
    }
    let date = httpdate::parse_http_date(response.header("date")?).ok()?;
    let date = date.duration_since(std::time::UNIX_EPOCH).ok()?;
    let date_ms = i64::try_from(date.as_millis()).ok()?;
    // Their second begins at `date_ms`: theirs is half a second later on average, ours half the way.
    let ours = sent + (got - sent) / 2;
    Some(ClockSeen {
        host: host.to_owned(),
        ahead_ms: ours - (date_ms + 500),
        give_ms: 500 + (got - sent).unsigned_abs() / 2 + 1,
    })
}

impl RealHttp {
    /// Keeps the surest.
    fn hear_clock(&self, heard: Option<ClockSeen>) {
        let Some(heard) = heard else { return };
        let mut clock = self.clock.borrow_mut();
        if clock.as_ref().is_none_or(|known| heard.give_ms < known.give_ms) {
            *clock = Some(heard);
        }
    }
}

impl Http for RealHttp {
    fn clock_seen(&self) -> Option<ClockSeen> {
        self.clock.borrow().clone()
    }

    #[allow(clippy::disallowed_methods, reason = "the real half of a port")]
    fn send(&self, request: HttpRequest) -> Later<'_, Result<HttpResponse, NetError>> {
        let limit = request.deadline;
        Box::pin(async move {
            match tokio::time::timeout(limit, self.once(request)).await {
                Ok(outcome) => outcome,
                Err(_) => Err(NetError::Silent(limit)),
            }
        })
    }
}

/// True for plain HTTP, which is allowed to this machine only: a token must not cross a network in clear.
fn plain(url: &Url) -> Result<bool, NetError> {
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => Ok(false),
        "http" if loopback => Ok(true),
        "http" => Err(NetError::Setup(
            "plain http is used to this machine only; write https".to_owned(),
        )),
        other => Err(NetError::Setup(format!("`{other}` is not http or https"))),
    }
}

fn build(tls: &TlsFiles, plain: bool) -> Result<reqwest::Client, NetError> {
    super::install_crypto();
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(CONNECT_LIMIT)
        .pool_idle_timeout(IDLE_LIMIT)
        .tcp_nodelay(true)
        .https_only(!plain);
    if plain {
        // Loopback needs neither a proxy nor a trust store; a rescue shell may have no trust store at all.
        builder = builder.no_proxy().tls_certs_only([]);
    }
    if let Some(path) = &tls.ca {
        let bundle = reqwest::Certificate::from_pem_bundle(&read_pem(path)?)
            .map_err(|e| unreadable(path, &chain(&e)))?;
        if bundle.is_empty() {
            return Err(unreadable(path, "it holds no certificate"));
        }
        builder = builder.tls_certs_merge(bundle);
    }
    if let Some(path) = &tls.identity {
        let identity = reqwest::Identity::from_pem(&read_pem(path)?).map_err(|e| {
            let hint = "an encrypted key must be decrypted first, as with `openssl pkey`";
            unreadable(path, &format!("{} ({hint})", chain(&e)))
        })?;
        builder = builder.identity(identity);
    }
    builder.build().map_err(|e| {
        let text = chain(&e);
        let hint = match text.contains("No CA certificates") {
            true => "; name a file with `ca`",
            false => "",
        };
        NetError::Setup(format!("{text}{hint}"))
    })
}

fn read_pem(path: &Path) -> Result<Vec<u8>, NetError> {
    std::fs::read(path).map_err(|e| unreadable(path, &e.to_string()))
}

fn unreadable(path: &Path, why: &str) -> NetError {
    NetError::Setup(format!("cannot use {}: {why}", path.display()))
}

fn headers(wanted: &[(String, Secret)]) -> Result<HeaderMap, NetError> {
    let mut all = HeaderMap::new();
    for (name, value) in wanted {
        let bad = |what: &str| NetError::Setup(format!("the {what} of header `{name}` cannot be sent"));
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad("name"))?;
        let mut value = HeaderValue::from_str(value.expose()).map_err(|_| bad("value"))?;
        value.set_sensitive(true);
        all.append(key, value);
    }
    Ok(all)
}

fn named(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| {
            let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), text)
        })
        .collect()
}

/// True where the server's certificate is not to be believed. Asking again gives the same one.
fn is_stranger(error: &(dyn std::error::Error + 'static)) -> bool {
    let inside = error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref);
    matches!(error.downcast_ref(), Some(rustls::Error::InvalidCertificate(_)))
        || inside.is_some_and(|e| is_stranger(e))
        || error.source().is_some_and(is_stranger)
}

/// The cause of all the others.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}

/// Tells what was certainly not sent from what may have been carried out.
fn net_error(error: reqwest::Error) -> NetError {
    let host = error.url().and_then(|url| url.host_str()).map(str::to_owned);
    let error = error.without_url();
    let text = chain(&error);
    match () {
        () if error.is_builder() || is_stranger(&error) => NetError::Setup(text),
        // Which host, and the last cause: what lies between says the same four times.
        () if error.is_connect() => {
            NetError::Connect(format!("{}: {}", host.unwrap_or_default(), innermost(&error)))
        }
        () => NetError::Lost(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: i64 = 1_795_317_247_000; // 2026-11-22T03:14:07Z

    fn answer(headers: &[(&str, &str)]) -> HttpResponse {
        let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        HttpResponse {
            status: 200,
            headers: headers.collect(),
            body: Vec::new(),
        }
    }

    #[test]
    fn an_answer_tells_how_far_our_clock_is_ahead_and_how_sure_that_is() {
        let date = ("date", "Sun, 22 Nov 2026 03:14:02 GMT");
        let seen = clock_of("api.example.com", &answer(&[date]), SENT, SENT + 200).unwrap();
        // Ours was at :07.1 half the way, theirs somewhere in :02.
        assert_eq!((seen.ahead_ms, seen.give_ms), (4600, 601));
        for (headers, got) in [
            (&[][..], SENT + 200),
            (&[("date", "yesterday")], SENT + 200),
            (&[date, ("age", "90")], SENT + 200),
            (&[date], SENT - 1),
        ] {
            assert_eq!(clock_of("api.example.com", &answer(headers), SENT, got), None);
        }
    }

    #[test]
    fn the_surest_answer_is_kept() {
        let http = RealHttp::new();
        let seen = |give_ms| {
            Some(ClockSeen {
                host: "api.example.com".to_owned(),
                ahead_ms: 1,
                give_ms,
            })
        };
        for heard in [None, seen(700), seen(510), seen(600), None] {
            http.hear_clock(heard);
        }
        assert_eq!(http.clock_seen(), seen(510));
    }
}
