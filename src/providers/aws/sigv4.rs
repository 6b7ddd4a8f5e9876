//! AWS Signature Version 4 in the headers of a request.
//!
//! Source: AWS General Reference, "Create a signed AWS API request", with its published test vectors.

use chrono::DateTime;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::keys::Keys;
use crate::model::secret::Secret;

/// What a signature is valid for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'a> {
    /// As in `us-east-1`.
    pub region: &'a str,
    /// As in `iam`.
    pub service: &'a str,
}

/// The request as it will be sent, but for what signing adds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unsigned<'a> {
    /// As in `POST`.
    pub method: &'a str,
    /// Path segments and query are percent-encoded as [`encoded`] does.
    pub url: &'a Url,
    /// Names in lower case.
    pub headers: &'a [(&'a str, String)],
    /// The bytes.
    pub body: &'a str,
}

/// The headers to send, the signature among them. `at_ms` is wall time; AWS allows five minutes of error.
pub(super) fn signed(
    keys: &Keys,
    scope: Scope<'_>,
    at_ms: i64,
    request: Unsigned<'_>,
) -> Vec<(String, Secret)> {
    let at = DateTime::from_timestamp_millis(at_ms).unwrap_or_default();
    let (moment, day) = (
        at.format("%Y%m%dT%H%M%SZ").to_string(),
        at.format("%Y%m%d").to_string(),
    );
    let digest = hex(&Sha256::digest(request.body));
    let mut headers: Vec<(&str, &str)> = request.headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    headers.push(("x-amz-date", &moment));
    if scope.service == "s3" {
        headers.push(("x-amz-content-sha256", &digest));
    }
    if let Some(token) = &keys.token {
        headers.push(("x-amz-security-token", token.expose()));
    }
    let host = authority(request.url);
    let mut all = headers.clone();
    all.push(("host", &host));
    all.sort_unstable();
    let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let lines: String = all
        .iter()
        .map(|(name, value)| format!("{name}:{}\n", squeezed(value)))
        .collect();
    // S3 alone takes the path as it is sent; the others encode it once more.
    let path = match scope.service {
        "s3" => request.url.path().to_owned(),
        _ => encoded(request.url.path(), "/"),
    };
    let canonical = Secret::joined(&[
        request.method,
        "\n",
        &path,
        "\n",
        &query(request.url),
        "\n",
        &lines,
        "\n",
        &names,
        "\n",
        &digest,
    ]);
    let range = format!("{day}/{}/{}/aws4_request", scope.region, scope.service);
    let canonical = hex(&Sha256::digest(canonical.expose()));
    let to_sign = format!("AWS4-HMAC-SHA256\n{moment}\n{range}\n{canonical}");
    let first = Secret::joined(&["AWS4", keys.secret.expose()]);
    let key = [day.as_str(), scope.region, scope.service, "aws4_request"]
        .iter()
        .fold(first.expose().as_bytes().to_vec(), |key, part| mac(&key, part));
    let signature = hex(&mac(&key, &to_sign));
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{range}, SignedHeaders={names}, Signature={signature}",
        keys.id
    );
    headers.push(("authorization", &authorization));
    let kept = |(name, value): (&str, &str)| (name.to_owned(), Secret::new(value.to_owned()));
    headers.into_iter().map(kept).collect()
}

/// Percent-encoded but for unreserved characters and those in `keep`.
pub(super) fn encoded(text: &str, keep: &str) -> String {
    let mut all = String::with_capacity(text.len());
    for byte in text.bytes() {
        let plain =
            byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || keep.as_bytes().contains(&byte);
        match plain {
            true => all.push(char::from(byte)),
            false => all.push_str(&format!("%{byte:02X}")),
        }
    }
    all
}

/// `host`, with the port where it is not the usual one: what the client sends as `Host`.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or("");
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn query(url: &Url) -> String {
    let mut pairs: Vec<(String, String)> = url
        .query_pairs()
        .map(|(name, value)| (encoded(&name, ""), encoded(&value, "")))
        .collect();
    pairs.sort_unstable();
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join("&")
}

/// Without space around it, and with one for every run of it inside.
fn squeezed(value: &str) -> String {
    let words: Vec<&str> = value.split(' ').filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    // HMAC takes a key of any length: there is no error to be had.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return Vec::new();
    };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys of the published test suite.
    fn keys(token: Option<&str>) -> Keys {
        Keys {
            id: "AKIDEXAMPLE".to_owned(),
            secret: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned()),
            token: token.map(|t| Secret::new(t.to_owned())),
        }
    }

    fn signature(
        service: &str,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &str,
        token: Option<&str>,
    ) -> String {
        let headers: Vec<(&str, String)> = headers.iter().map(|(n, v)| (*n, (*v).to_owned())).collect();
        let scope = Scope {
            region: "us-east-1",
            service,
        };
        let request = Unsigned {
            method,
            url: &Url::parse(url).unwrap(),
            headers: &headers,
            body,
        };
        // 2015-08-30T12:36:00Z, the moment of the suite.
        let all = signed(&keys(token), scope, 1_440_938_160_000, request);
        let (_, authorization) = all.iter().find(|(name, _)| name == "authorization").unwrap();
        let (_, signature) = authorization.expose().rsplit_once("Signature=").unwrap();
        signature.to_owned()
    }

    const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

    #[test]
    fn the_published_vectors_are_met() {
        let base = "https://example.amazonaws.com";
        let at = |path: &str| signature("service", "GET", &format!("{base}{path}"), &[], "", None);
        // get-vanilla
        assert_eq!(
            at("/"),
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
        );
        // get-vanilla-query-order-key-case
        assert_eq!(
            at("/?Param2=value2&Param1=value1"),
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"
        );
        // post-vanilla
        assert_eq!(
            signature("service", "POST", base, &[], "", None),
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
        );
        // post-x-www-form-urlencoded
        assert_eq!(
            signature("service", "POST", base, &[FORM], "Param1=value1", None),
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"
        );
        // get-header-value-trim
        assert_eq!(
            signature(
                "service",
                "GET",
                base,
                &[("my-header1", " value1"), ("my-header2", " \"a   b   c\"")],
                "",
                None
            ),
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"
        );
    }

    #[test]
    fn the_example_of_the_documentation_is_met() {
        let content = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");
        let url = "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08";
        assert_eq!(
            signature("iam", "GET", url, &[content], "", None),
            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
        );
    }

    #[test]
    fn nothing_of_the_secret_is_sent() {
        let request = Unsigned {
            method: "GET",
            url: &Url::parse("https://s3.us-east-1.amazonaws.com/").unwrap(),
            headers: &[],
            body: "",
        };
        let scope = Scope {
            region: "us-east-1",
            service: "s3",
        };
        let all = signed(&keys(Some("session")), scope, 0, request);
        let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "x-amz-date",
                "x-amz-content-sha256",
                "x-amz-security-token",
                "authorization"
            ]
        );
        assert!(all.iter().all(|(_, value)| !value.expose().contains("wJalr")));
    }
}
