//! PostgreSQL sessions, as text in and text out.

use std::time::Duration;

use super::{Later, NetError};
use crate::model::secret::Secret;

/// Rows of one statement; each cell as text, `None` for NULL.
pub type Rows = Vec<Vec<Option<String>>>;

/// Opens sessions.
pub trait Sql {
    /// Opens one session. A refused login is [`NetError::Refused`] with the server's SQLSTATE and text.
    fn open<'a>(
        &'a self,
        url: &'a Secret,
        deadline: Duration,
    ) -> Later<'a, Result<Box<dyn SqlSession>, NetError>>;
}

/// One open session, closed when dropped.
pub trait SqlSession {
    /// Runs one or more statements and gives the rows of all of them, in order.
    fn query<'a>(&'a self, sql: &'a str) -> Later<'a, Result<Rows, NetError>>;
}
