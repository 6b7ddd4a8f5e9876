//! Addresses of MySQL and Redis servers. (PostgreSQL's own parser reads its own.)

use std::net::IpAddr;

use percent_encoding::percent_decode_str;
use url::Url;

use super::NetError;

/// What an address says.
pub(super) struct Address {
    pub scheme: String,
    pub host: String,
    pub port: Option<u16>,
    pub user: Option<String>,
    pub password: Option<String>,
    /// The path without its slash: a database.
    pub database: Option<String>,
    /// A socket file instead of host and port.
    pub socket: Option<String>,
    /// File with the certificates of a private authority.
    pub authority: Option<String>,
    /// True where the connection must be encrypted and the certificate checked.
    pub encrypted: bool,
}

impl Address {
    /// Reads one. No error repeats any part of it.
    pub fn read(text: &str) -> Result<Address, NetError> {
        let bad = |why: &str| NetError::Setup(format!("this address cannot be used: {why}"));
        let url = Url::parse(text).map_err(|_| bad("it is not a URL"))?;
        let value = |name: &str| {
            let found = url.query_pairs().find(|(key, _)| key == name);
            found.map(|(_, value)| value.into_owned())
        };
        let decoded = |text: &str| {
            let text = percent_decode_str(text).decode_utf8();
            text.map(|t| t.into_owned())
                .map_err(|_| bad("its login is not UTF-8"))
        };
        let given = |text: &str| (!text.is_empty()).then_some(decoded(text)).transpose();
        let host = url.host_str().unwrap_or("localhost");
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let socket = value("socket");
        let here = socket.is_some()
            || host == "localhost"
            || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        let encrypted = match value("sslmode").as_deref() {
            Some("disable") => false,
            Some("require" | "verify-ca" | "verify-full") => true,
            None | Some("prefer") => !here,
            Some(_) => {
                return Err(bad(
                    "`sslmode` is `disable`, `prefer`, `require` or `verify-full`",
                ));
            }
        };
        Ok(Address {
            scheme: url.scheme().to_owned(),
            host,
            port: url.port(),
            user: given(url.username())?,
            password: url.password().map(decoded).transpose()?,
            database: given(url.path().trim_start_matches('/'))?,
            socket,
            authority: value("sslrootcert"),
            encrypted,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Address {
        Address::read(text).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn another_host_is_encrypted_unless_the_address_says_otherwise() {
        for (text, encrypted) in [
            ("mysql://a@127.0.0.1:3306", false),
            ("mysql://a@[::1]", false),
            ("mysql://a@localhost", false),
            ("mysql://a@db.example.com", true),
            ("mysql://a@10.0.0.1?sslmode=disable", false),
            ("mysql://a@127.0.0.1?sslmode=verify-full", true),
            ("mysql://a@db.example.com?socket=/run/db.sock", false),
            ("mysql://a@127.0.0.1.example.com", true),
        ] {
            assert_eq!(read(text).encrypted, encrypted, "{text}");
        }
    }

    #[test]
    fn logins_are_decoded_and_errors_repeat_nothing() {
        let address = read("mysql://odd%40name:p%2Bw+1@h/db?sslrootcert=/ca.pem");
        assert_eq!(address.user.as_deref(), Some("odd@name"));
        assert_eq!(address.password.as_deref(), Some("p+w+1"));
        assert_eq!(address.database.as_deref(), Some("db"));
        assert_eq!(address.authority.as_deref(), Some("/ca.pem"));
        let error = Address::read("mysql://a:hunter2@h?sslmode=maybe").err().unwrap();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
