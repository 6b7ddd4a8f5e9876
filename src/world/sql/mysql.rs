//! MySQL and MariaDB sessions.

use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, DriverError, Error, OptsBuilder, SslOpts, Value};

use super::address::Address;
use super::{ANSWER, Line, Rows, SqlSession, tls, too_long};
use crate::world::{Later, NetError, chain, install_crypto};

/// Server errors after which the session is over: shutdown, killed (MariaDB, MySQL), ended for idleness.
const ENDED: [u16; 4] = [1053, 1927, 3169, 4031];

pub(super) async fn connect(address: &Address) -> Result<Box<dyn SqlSession>, NetError> {
    let ssl = match address.encrypted {
        true => {
            install_crypto();
            let certificates = tls::authorities(address.authority.as_deref())?;
            let certificates = certificates.into_iter().map(|c| c.to_vec().into());
            let options = SslOpts::default().with_disable_built_in_roots(true);
            Some(options.with_root_certs(certificates.collect()))
        }
        false => None,
    };
    let options = OptsBuilder::default()
        .ip_or_hostname(&address.host)
        .tcp_port(address.port.unwrap_or(3306))
        .user(address.user.clone())
        .pass(address.password.clone())
        .db_name(address.database.clone())
        .socket(address.socket.clone())
        // Going over to a socket file the server names would log in by another way than the agent does.
        .prefer_socket(false)
        .stmt_cache_size(0)
        // Given here, they are not asked for with a statement that a login without rights may not run.
        .max_allowed_packet(Some(ANSWER))
        .wait_timeout(Some(28_800))
        .connect_attribute("program_name", "incident")
        .ssl_opts(ssl);
    let client = Conn::new(options).await.map_err(|e| match words(&e) {
        (Some(_), text) => NetError::Refused(text),
        (None, text) => NetError::Connect(text),
    })?;
    Ok(Box::new(Session(RefCell::new(Line::Open(client)))))
}

struct Session(RefCell<Line<Conn>>);

impl Drop for Session {
    /// Says goodbye, where the socket takes it at once: the server would count the client as aborted.
    fn drop(&mut self) {
        if let Line::Open(client) = self.0.replace(Line::Over) {
            let bye = pin!(client.disconnect());
            let _ = bye.poll(&mut Context::from_waker(Waker::noop()));
        }
    }
}

impl SqlSession for Session {
    fn query<'a>(&'a self, sql: &'a str) -> Later<'a, Result<Rows, NetError>> {
        Box::pin(async move {
            let mut client = self.0.borrow_mut().take()?;
            let outcome = ask(&mut client, sql).await;
            *self.0.borrow_mut() = Line::after(client, &outcome);
            outcome
        })
    }
}

async fn ask(client: &mut Conn, sql: &str) -> Result<Rows, NetError> {
    let mut answer = client.query_iter(sql).await.map_err(failed)?;
    let (mut rows, mut bytes) = (Rows::new(), 0_usize);
    while !answer.is_empty() {
        let set = answer.for_each(|row| {
            let cells = row.unwrap();
            bytes += cells.iter().map(|cell| size(cell) + 16).sum::<usize>();
            if bytes <= ANSWER {
                rows.push(cells.into_iter().map(text).collect());
            }
        });
        set.await.map_err(failed)?;
        if bytes > ANSWER {
            return Err(too_long());
        }
    }
    Ok(rows)
}

fn size(cell: &Value) -> usize {
    match cell {
        Value::Bytes(bytes) => bytes.len(),
        _ => 0,
    }
}

fn text(cell: Value) -> Option<String> {
    match cell {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        // Statements go as text, so that numbers and times come as text, too.
        other => Some(other.as_sql(true)),
    }
}

fn failed(error: Error) -> NetError {
    match words(&error) {
        (Some(code), text) if !ENDED.contains(&code) => NetError::Refused(text),
        (_, text) => NetError::Lost(text),
    }
}

/// The server's error number, and `number: message` where the server spoke, else the chain of causes.
fn words(error: &Error) -> (Option<u16>, String) {
    match error {
        Error::Server(said) => (Some(said.code), format!("{}: {}", said.code, said.message)),
        // Its text would print the bytes of the packet.
        Error::Driver(DriverError::UnexpectedPacket { .. }) => {
            (None, "the server broke the protocol".to_owned())
        }
        other => (None, chain(other)),
    }
}
