//! Sessions with databases, as text in and text out.
//!
//! [`RealSql`] chooses the protocol by the scheme of the address: `postgres` or `postgresql`, `mysql` or
//! `mariadb`, `redis` or `rediss`. To any host but this one a connection is encrypted and the certificate
//! checked, unless the address says `sslmode=disable`; `sslrootcert` names a private authority.

mod address;
mod mysql;
mod postgres;
mod redis;
mod tls;

use std::time::Duration;

use super::{Later, NetError};
use crate::model::secret::Secret;

/// Rows of one statement; each cell as text, `None` for NULL.
pub type Rows = Vec<Vec<Option<String>>>;

/// Most bytes of one answer. Lists of sessions and grants are far smaller; whatever sends more is not
/// read to its end.
const ANSWER: usize = 8 << 20;

/// Opens sessions.
pub trait Sql {
    /// Opens one session. A refused login is [`NetError::Refused`] with the server's own code and text.
    fn open<'a>(
        &'a self,
        url: &'a Secret,
        deadline: Duration,
    ) -> Later<'a, Result<Box<dyn SqlSession>, NetError>>;
}

/// One open session, closed when dropped.
pub trait SqlSession {
    /// Runs one or more statements and gives the rows of all of them, in order.
    ///
    /// A statement the server refuses is [`NetError::Refused`] with the server's code and text (SQLSTATE,
    /// error number or first word), and the session goes on. [`NetError::Lost`] means that the session is
    /// over, [`NetError::Setup`] that we gave it up ourselves: the answer was too long, or nobody waited for it.
    ///
    /// For Redis it is one command, split at blanks; inside double quotes blanks are kept and a
    /// backslash keeps the character after it. An array is one row an element.
    fn query<'a>(&'a self, sql: &'a str) -> Later<'a, Result<Rows, NetError>>;
}

/// Databases over the network, TLS by rustls.
#[derive(Default)]
pub struct RealSql;

impl Sql for RealSql {
    #[allow(clippy::disallowed_methods, reason = "the real half of a port")]
    fn open<'a>(
        &'a self,
        url: &'a Secret,
        deadline: Duration,
    ) -> Later<'a, Result<Box<dyn SqlSession>, NetError>> {
        Box::pin(async move {
            match tokio::time::timeout(deadline, connect(url.expose())).await {
                Ok(outcome) => outcome,
                Err(_) => Err(NetError::Silent(deadline)),
            }
        })
    }
}

async fn connect(url: &str) -> Result<Box<dyn SqlSession>, NetError> {
    match url.split_once("://").map(|(scheme, _)| scheme) {
        // Without a scheme it is libpq's `host=… user=…`.
        None | Some("postgres" | "postgresql") => postgres::connect(url).await,
        Some("mysql" | "mariadb") => mysql::connect(&address::Address::read(url)?).await,
        Some("redis" | "rediss") => redis::connect(&address::Address::read(url)?).await,
        // What stands before the colon may be part of a secret given by mistake: it is not repeated.
        Some(_) => Err(NetError::Setup(
            "this is no address of a database; known are postgres://, mysql://, mariadb://, redis:// and rediss://"
                .to_owned(),
        )),
    }
}

/// A session whose client is used by one statement at a time.
enum Line<T> {
    /// Ready for a statement.
    Open(T),
    /// The server ended it, or it broke.
    Over,
    /// A statement is under way, or was given up half way: what would be read next is not known.
    Busy,
}

impl<T> Line<T> {
    /// Takes the client out. A statement that is dropped before its end leaves the line busy for good.
    fn take(&mut self) -> Result<T, NetError> {
        match std::mem::replace(self, Line::Busy) {
            Line::Open(client) => Ok(client),
            Line::Over => {
                *self = Line::Over;
                Err(NetError::Lost("the session is closed".to_owned()))
            }
            Line::Busy => Err(NetError::Setup(
                "an earlier statement of this session was given up; it cannot be used again".to_owned(),
            )),
        }
    }

    /// Puts the client back, or says that the session is over or given up.
    fn after<R>(client: T, outcome: &Result<R, NetError>) -> Self {
        match outcome {
            Ok(_) | Err(NetError::Refused(_)) => Line::Open(client),
            Err(NetError::Lost(_)) => Line::Over,
            Err(_) => Line::Busy,
        }
    }
}

fn too_long() -> NetError {
    NetError::Setup(format!("the answer is longer than {} MiB", ANSWER >> 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_something_else_is_not_repeated() {
        let world = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let error = world.block_on(connect("hunter2://x")).err().unwrap().to_string();
        assert!(
            error.contains("mariadb://") && !error.contains("hunter2"),
            "{error}"
        );
    }

    #[test]
    fn what_we_gave_up_is_not_called_lost() {
        let mut line = Line::Open(1);
        assert_eq!(line.take(), Ok(1));
        assert!(matches!(line.take(), Err(NetError::Setup(_))));
        line = Line::after(1, &Err::<(), _>(NetError::Lost("gone".into())));
        assert!(matches!(line.take(), Err(NetError::Lost(_))));
        assert!(matches!(line.take(), Err(NetError::Lost(_))));
    }
}
