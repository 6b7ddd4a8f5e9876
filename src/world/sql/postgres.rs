//! PostgreSQL sessions.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use futures_util::TryStreamExt;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::{DbError, Severity};
use tokio_postgres::{Client, Config, SimpleQueryMessage, SimpleQueryRow};
use tokio_postgres_rustls::MakeRustlsConnect;
use url::Url;

use super::{ANSWER, Rows, SqlSession, tls, too_long};
use crate::world::{Later, NetError, chain};

pub(super) async fn connect(url: &str) -> Result<Box<dyn SqlSession>, NetError> {
    let (mut config, authority) = configure(url)?;
    let here = |host: &Host| match host {
        Host::Tcp(name) => name == "localhost" || name == "127.0.0.1" || name == "::1",
        Host::Unix(_) => true,
    };
    let local = config.get_hosts().iter().all(here)
        && config.get_hostaddrs().iter().all(std::net::IpAddr::is_loopback);
    if !local && config.get_ssl_mode() == SslMode::Prefer {
        config.ssl_mode(SslMode::Require);
    }
    config.application_name("incident");
    let (client, line): (Client, Line) = if local && config.get_ssl_mode() != SslMode::Require {
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.map_err(login_error)?;
        (client, Box::pin(connection))
    } else {
        let (client, connection) = config
            .connect(secured(authority.as_deref())?)
            .await
            .map_err(login_error)?;
        (client, Box::pin(connection))
    };
    let line = RefCell::new(Some(line));
    Ok(Box::new(RealSession {
        client: Some(client),
        line,
    }))
}

/// Reads the address. The parameters only libpq knows are taken out first, since the parser refuses them.
fn configure(text: &str) -> Result<(Config, Option<String>), NetError> {
    // The parser's own message may quote the address with its password: it is dropped.
    let bad = || NetError::Setup("this is not a PostgreSQL address".to_owned());
    let mut authority = None;
    let text = match Url::parse(text) {
        Ok(mut url) => {
            let mut kept = Vec::new();
            for (name, value) in url.query_pairs() {
                match (&*name, &*value) {
                    ("sslrootcert", _) => authority = Some(value.into_owned()),
                    ("sslmode", "verify-ca" | "verify-full") => {
                        kept.push(("sslmode".to_owned(), "require".to_owned()));
                    }
                    _ => kept.push((name.into_owned(), value.into_owned())),
                }
            }
            url.set_query(None);
            if !kept.is_empty() {
                url.query_pairs_mut().extend_pairs(kept);
            }
            url.to_string()
        }
        Err(_) => text.to_owned(),
    };
    Ok((text.parse().map_err(|_| bad())?, authority))
}

fn secured(authority: Option<&str>) -> Result<MakeRustlsConnect, NetError> {
    let client = tls::client(authority)?;
    Ok(MakeRustlsConnect::new(client.as_ref().clone()))
}

/// What carries the bytes of a session; it only moves while it is polled.
type Line = Pin<Box<dyn Future<Output = Result<(), tokio_postgres::Error>>>>;

/// One session. The connection is polled together with the statement, so that no task outlives the
/// session and dropping it closes the socket. One statement at a time.
struct RealSession {
    /// There until it is dropped.
    client: Option<Client>,
    line: RefCell<Option<Line>>,
}

impl Drop for RealSession {
    /// Says goodbye, where the socket takes it at once: the server would count the session as abandoned.
    fn drop(&mut self) {
        drop(self.client.take());
        let _ = self.move_line(&mut Context::from_waker(Waker::noop()));
    }
}

impl RealSession {
    /// Moves bytes. A line that has ended is dropped: it must not be polled again.
    fn move_line(&self, cx: &mut Context<'_>) -> Poll<Result<(), tokio_postgres::Error>> {
        let mut slot = self.line.borrow_mut();
        let ended = match slot.as_mut() {
            Some(line) => line.as_mut().poll(cx),
            None => Poll::Ready(Ok(())),
        };
        if ended.is_ready() {
            *slot = None;
        }
        ended
    }
}

impl SqlSession for RealSession {
    fn query<'a>(&'a self, sql: &'a str) -> Later<'a, Result<Rows, NetError>> {
        Box::pin(async move {
            let Some(client) = self.client.as_ref().filter(|client| !client.is_closed()) else {
                return Err(NetError::Lost("the session is closed".to_owned()));
            };
            let mut statement = pin!(rows_of(client, sql));
            poll_fn(|cx| {
                let ended = self.move_line(cx);
                match (statement.as_mut().poll(cx), ended) {
                    (Poll::Ready(Ok(rows)), _) => Poll::Ready(Ok(rows)),
                    // Why the session ended says more than that the statement got no answer.
                    (_, Poll::Ready(Err(e))) => Poll::Ready(Err(NetError::Lost(words(&e)))),
                    (Poll::Ready(Err(e)), _) => Poll::Ready(Err(e)),
                    (Poll::Pending, Poll::Ready(Ok(()))) => {
                        Poll::Ready(Err(NetError::Lost("the server ended the session".to_owned())))
                    }
                    (Poll::Pending, Poll::Pending) => Poll::Pending,
                }
            })
            .await
        })
    }
}

/// Every row of these statements. What is not read to its end is thrown away by the client, so that
/// the session goes on.
async fn rows_of(client: &Client, sql: &str) -> Result<Rows, NetError> {
    let messages = client.simple_query_raw(sql).await.map_err(statement_error)?;
    let mut messages = pin!(messages);
    let (mut rows, mut bytes, mut refused) = (Rows::new(), 0_usize, None);
    loop {
        let row = match messages.try_next().await {
            Ok(Some(SimpleQueryMessage::Row(row))) => cells(&row),
            Ok(Some(_)) => continue,
            Ok(None) => return refused.map_or(Ok(rows), |e| Err(statement_error(e))),
            // Behind a refusal the server says that it is ready again. A session that has not read that cannot end
            // with a goodbye: the server would count it as abandoned.
            Err(e) if refused.is_none() && goes_on(&e) => {
                refused = Some(e);
                continue;
            }
            Err(e) => return Err(statement_error(refused.unwrap_or(e))),
        };
        bytes += row
            .iter()
            .map(|cell| cell.as_ref().map_or(0, String::len) + 16)
            .sum::<usize>();
        if bytes > ANSWER {
            return Err(too_long());
        }
        rows.push(row);
    }
}

/// True where the server refused a statement and keeps the session: FATAL and PANIC end it.
fn goes_on(error: &tokio_postgres::Error) -> bool {
    let severity = error.as_db_error().and_then(DbError::parsed_severity);
    severity == Some(Severity::Error)
}

fn cells(row: &SimpleQueryRow) -> Vec<Option<String>> {
    (0..row.len())
        .map(|i| row.try_get(i).ok().flatten().map(str::to_owned))
        .collect()
}

fn login_error(error: tokio_postgres::Error) -> NetError {
    match error.as_db_error() {
        Some(_) => NetError::Refused(words(&error)),
        None => NetError::Connect(words(&error)),
    }
}

fn statement_error(error: tokio_postgres::Error) -> NetError {
    match goes_on(&error) {
        true => NetError::Refused(words(&error)),
        false => NetError::Lost(words(&error)),
    }
}

/// `SQLSTATE: message` where the server spoke, else the chain of causes.
fn words(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{}: {}", db.code().code(), db.message()),
        None => chain(error),
    }
}
