//! Azure storage: shared access signatures behind a stored access policy, and account keys.
//!
//! Requests are signed with the account key. Source: Azure Storage, "Authorize with Shared Key".

mod account;
mod sas;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use url::Url;
use zeroize::Zeroizing;

use super::limits::Turn;
use super::scrub::scrub;
use super::wire::{self, Way};
use super::{Adapter, Ctx, not_tried, was_alive, with, xml};
use crate::model::fact::Fact;
use crate::model::grant::Target;
use crate::model::secret::Secret;
use crate::world::http::{HttpRequest, HttpResponse, TlsFiles};

/// Every adapter for Azure storage.
pub(super) fn adapters() -> Vec<Box<dyn Adapter>> {
    vec![Box::new(sas::Sas), Box::new(account::Account)]
}

/// Version of the protocol; one that has been there for years, so that stand-ins know it, too.
const VERSION: &str = "2021-12-02";
/// A stored access policy may take this long to reach every server.
const WINDOW: Duration = Duration::from_secs(30);

/// Name in lower case, and value.
type Header = (String, String);

/// One storage account.
struct Desk<'a> {
    ctx: Ctx<'a>,
    account: &'a str,
    /// Address of the account, without a slash at its end.
    base: Url,
    turn: Turn,
    tls: TlsFiles,
}

/// One request.
#[derive(Debug, Clone, Copy)]
struct Call<'a> {
    method: &'a str,
    /// Below the account, with a slash at its start; encoded.
    path: &'a str,
    /// Not encoded.
    query: &'a [(&'a str, &'a str)],
    /// Names in lower case.
    headers: &'a [(&'a str, &'a str)],
    body: &'a str,
}

/// An answer that is not a success.
struct Refusal {
    status: u16,
    code: String,
    text: String,
}

impl From<Refusal> for Fact {
    fn from(refusal: Refusal) -> Fact {
        Fact::Error {
            status: refusal.status,
            text: refusal.text,
        }
    }
}

impl<'a> Desk<'a> {
    fn open(ctx: Ctx<'a>, target: &'a Target, turn: Turn) -> Result<Self, Fact> {
        let given = with(target);
        let account = given
            .get("account")
            .ok_or_else(|| not_tried("`with` has no `account`"))?;
        let lower = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        if account.is_empty() || !account.bytes().all(lower) {
            return Err(not_tried("`account` is not the name of a storage account"));
        }
        let base = match given.get("endpoint") {
            Some(endpoint) => endpoint.trim_end_matches('/').to_owned(),
            None => format!("https://{account}.blob.core.windows.net"),
        };
        let base = Url::parse(&base)
            .ok()
            .filter(|url| url.has_host() && url.username().is_empty() && url.query().is_none())
            .ok_or_else(|| not_tried("`endpoint` is not an address, as in https://blob.example/account"))?;
        Ok(Desk {
            ctx,
            account,
            base,
            turn,
            tls: TlsFiles {
                ca: given.get("ca").map(Into::into),
                identity: None,
            },
        })
    }

    /// The responder's account key.
    fn key(&self) -> Result<&'a Secret, Fact> {
        self.ctx
            .auth
            .ok_or_else(|| not_tried("no account key of the responder is at hand"))
    }

    fn secrets(&self) -> Vec<&'a Secret> {
        self.ctx.auth.into_iter().chain(self.ctx.secret).collect()
    }

    /// The address of a call.
    fn url(&self, call: Call<'_>) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!(
            "{}{}",
            self.base.path().trim_end_matches('/'),
            call.path
        ));
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(call.query);
        }
        url
    }

    /// Sends a call signed with this account key.
    async fn signed(&self, key: &Secret, call: Call<'_>) -> Result<Result<HttpResponse, Refusal>, Fact> {
        let key = STANDARD
            .decode(key.expose().trim())
            .map(Zeroizing::new)
            .map_err(|_| not_tried("the account key is not base64"))?;
        let url = self.url(call);
        self.send(call, &url, &|headers| {
            let signature = signature(&key, self.account, &url, call, headers);
            Some(("authorization".to_owned(), signature))
        })
        .await
    }

    async fn send(
        &self,
        call: Call<'_>,
        url: &Url,
        sign: &dyn Fn(&[Header]) -> Option<Header>,
    ) -> Result<Result<HttpResponse, Refusal>, Fact> {
        let host = format!(
            "{}:{}",
            url.host_str().unwrap_or(""),
            url.port_or_known_default().unwrap_or(0)
        );
        let secrets = self.secrets();
        let way = Way {
            host: &host,
            turn: self.turn,
            secrets: &secrets,
        };
        let make = |now_ms: i64, deadline: Duration| {
            let since = Duration::from_millis(u64::try_from(now_ms).unwrap_or(0));
            let mut headers = vec![
                (
                    "x-ms-date".to_owned(),
                    httpdate::fmt_http_date(std::time::UNIX_EPOCH + since),
                ),
                ("x-ms-version".to_owned(), VERSION.to_owned()),
                (
                    "user-agent".to_owned(),
                    concat!("incident/", env!("CARGO_PKG_VERSION")).to_owned(),
                ),
            ];
            headers.extend(
                call.headers
                    .iter()
                    .map(|(n, v)| ((*n).to_owned(), (*v).to_owned())),
            );
            headers.extend(sign(&headers));
            HttpRequest {
                method: call.method.to_owned(),
                url: url.to_string(),
                headers: headers.into_iter().map(|(n, v)| (n, Secret::new(v))).collect(),
                body: (!call.body.is_empty()).then(|| Secret::new(call.body.to_owned())),
                deadline,
                tls: self.tls.clone(),
            }
        };
        let again = |answer: &HttpResponse| matches!(answer.status, 429 | 500 | 502..=504);
        let answer = wire::send(self.ctx, way, &again, &make).await?;
        Ok(match answer.status {
            200..=299 => Ok(answer),
            300..=399 => Err(Refusal {
                status: answer.status,
                code: String::new(),
                text: "the provider redirects; a signature is not sent along".to_owned(),
            }),
            status => {
                let said = xml::parse(&answer.body).ok();
                let said = |name: &str| said.as_ref().and_then(|root| root.text_at(&[name]));
                let code = answer
                    .header("x-ms-error-code")
                    .or_else(|| said("Code"))
                    .unwrap_or("");
                let text = format!("{code}: {}", said("Message").unwrap_or(""));
                Err(Refusal {
                    status,
                    code: scrub(code, self.secrets()),
                    text: scrub(&text, self.secrets()),
                })
            }
        })
    }
}

/// What an answer to a try with the agent's secret means. `Err` says why nothing can be said.
fn refused(ctx: Ctx<'_>, answer: Result<Result<HttpResponse, Refusal>, Fact>) -> Result<bool, Fact> {
    const KNOWN: [&str; 6] = [
        "AuthorizationPermissionMismatch",
        "AuthorizationResourceTypeMismatch",
        "AuthorizationServiceMismatch",
        "BlobNotFound",
        "ContainerNotFound",
        "InvalidRange",
    ];
    // The words, because a stand-in says them under another code, which Azure uses for its firewall.
    const UNKNOWN: &str = "Server failed to authenticate the request";
    let unknown =
        |refusal: &Refusal| refusal.code == "AuthenticationFailed" || refusal.text.contains(UNKNOWN);
    match answer? {
        Ok(_) => Ok(false),
        // Who is told that it may not do this has been recognised.
        Err(refusal) if KNOWN.contains(&refusal.code.as_str()) => Ok(false),
        Err(refusal) if unknown(&refusal) && was_alive(ctx.earlier, "use") => Ok(true),
        Err(refusal) if unknown(&refusal) => Err(not_tried(
            "refused; but it was not seen alive before the cut, and an expired or misspelt one is refused alike",
        )),
        Err(refusal) => Err(refusal.into()),
    }
}

/// The value of `Authorization`.
fn signature(key: &[u8], account: &str, url: &Url, call: Call<'_>, headers: &[Header]) -> String {
    let header = |name: &str| {
        headers
            .iter()
            .find(|(n, _)| n == name)
            .map_or("", |(_, v)| v.as_str())
    };
    let length = match call.body.len() {
        0 => String::new(),
        length => length.to_string(),
    };
    let mut lines = vec![
        call.method,
        header("content-encoding"),
        header("content-language"),
        &length,
        header("content-md5"),
        header("content-type"),
        header("date"),
        header("if-modified-since"),
        header("if-match"),
        header("if-none-match"),
        header("if-unmodified-since"),
        header("range"),
    ];
    let mut own: Vec<String> = headers
        .iter()
        .filter(|(name, _)| name.starts_with("x-ms-"))
        .map(|(name, value)| format!("{name}:{}", value.trim()))
        .collect();
    own.sort_unstable();
    lines.extend(own.iter().map(String::as_str));
    let resource = format!("/{account}{}", url.path());
    lines.push(&resource);
    let mut query: Vec<String> = url
        .query_pairs()
        .map(|(name, value)| format!("{}:{value}", name.to_lowercase()))
        .collect();
    query.sort_unstable();
    lines.extend(query.iter().map(String::as_str));
    // HMAC takes a key of any length: there is no error to be had.
    let signed = Hmac::<Sha256>::new_from_slice(key).map(|mut mac| {
        mac.update(lines.join("\n").as_bytes());
        STANDARD.encode(mac.finalize().into_bytes())
    });
    format!("SharedKey {account}:{}", signed.unwrap_or_default())
}
