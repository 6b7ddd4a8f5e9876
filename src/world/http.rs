//! HTTP: one request, one answer, no redirects, no hidden retries.

use std::path::PathBuf;
use std::time::Duration;

use super::{Later, NetError};
use crate::model::secret::Secret;

/// One request. Header values and bodies may hold secrets, so all of them are kept as such.
#[derive(Debug)]
pub struct HttpRequest {
    /// `GET`, `POST`, `PUT`, `PATCH`, `DELETE`, `LIST`, …
    pub method: String,
    /// Absolute URL. Never holds a secret.
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

/// Sends requests.
pub trait Http {
    /// Sends one request once. Redirects are answers, not followed: a followed one would carry the token along.
    fn send(&self, request: HttpRequest) -> Later<'_, Result<HttpResponse, NetError>>;
}
