//! Everything outside the program, as ports with their real halves.
//!
//! A [`World`] is the only way out: the rooms above are handed one and never ask the operating
//! system themselves. `cli/wire.rs` builds the real one, `drill` the simulated one.
//! Absent from this room: meaning. It reads, sends, starts and signals; it decides nothing.

mod children;
pub mod clock;
pub mod entropy;
pub mod executor;
pub mod files;
pub mod host;
pub mod http;
pub mod interrupt;
pub mod jail;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod macos;
#[cfg(target_os = "linux")]
mod proc;
pub mod secrets;
pub mod spawn;
pub mod sql;
pub mod terminal;

use std::cell::RefCell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;

use futures_util::future::{Either, select};

#[cfg(target_os = "linux")]
use linux as here;
#[cfg(not(target_os = "linux"))]
use macos as here;

pub use clock::Clock;
pub use entropy::Entropy;
pub use files::Files;
pub use host::Host;
pub use http::Http;
pub use interrupt::Interrupt;
pub use secrets::Secrets;
pub use spawn::Spawn;
pub use sql::Sql;

/// Chooses ring for every TLS connection of this process. May be called any number of times.
fn install_crypto() {
    // An error only says that somebody chose before us.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The whole chain of causes: the useful words sit two or three levels down.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let more = cause.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        next = cause.source();
    }
    text
}

/// A future that stays on this thread.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Runs futures to their end: tokio in the real world, a jump-ahead executor in drills.
pub trait Executor {
    /// Polls `future` until it is done.
    fn block_on(&self, future: Later<'_, ()>);
}

/// Whether acts reach anything real.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorldKind {
    /// This machine and its network.
    Real,
    /// A simulation inside this process. Can reach nothing.
    Drill,
}

/// All ports together.
pub struct World {
    /// Real or drill.
    pub kind: WorldKind,
    /// Time.
    pub clock: Box<dyn Clock>,
    /// Randomness.
    pub entropy: Box<dyn Entropy>,
    /// HTTP requests.
    pub http: Box<dyn Http>,
    /// Sessions with databases.
    pub sql: Box<dyn Sql>,
    /// Programs.
    pub spawn: Box<dyn Spawn>,
    /// This host: who we are, processes, signals.
    pub host: Box<dyn Host>,
    /// Files outside the case folder.
    pub files: Box<dyn Files>,
    /// Secrets, read just in time.
    pub secrets: Box<dyn Secrets>,
    /// Ctrl-C.
    pub interrupt: Box<dyn Interrupt>,
    /// What runs the futures.
    pub executor: Box<dyn Executor>,
}

impl World {
    /// Runs one future to its end and hands back what it gave.
    ///
    /// Returns `None` only where the executor gave up on it (a drill whose world has no timer left to
    /// jump to), which no real world does.
    pub fn wait<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let slot = RefCell::new(None);
        self.executor.block_on(Box::pin(async {
            let value = future.await;
            *slot.borrow_mut() = Some(value);
        }));
        slot.into_inner()
    }

    /// The value of `future`, or `None` where `limit` passed first. The future is dropped then.
    pub async fn timeout<T>(&self, limit: Duration, future: impl Future<Output = T>) -> Option<T> {
        let future = pin!(future);
        let timer = self.clock.sleep(limit);
        match select(future, timer).await {
            Either::Left((value, _)) => Some(value),
            Either::Right(((), _)) => None,
        }
    }
}

/// Why a request outside did not give an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetError {
    /// No answer within the limit. It may have been carried out.
    #[error("no answer within {} ms", .0.as_millis())]
    Silent(Duration),
    /// The connection could not be made (refused, DNS, TLS): nothing was sent.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The connection broke after the request was sent: it may have been carried out.
    #[error("connection lost: {0}")]
    Lost(String),
    /// The server answered with a refusal of the credentials (SQL login, TLS client).
    #[error("refused: {0}")]
    Refused(String),
    /// The request could not be built, or would have gone to a stranger (bad address, no trust store, a
    /// certificate not to be believed): nothing was sent, and nothing changes by asking again.
    #[error("{0}")]
    Setup(String),
}
