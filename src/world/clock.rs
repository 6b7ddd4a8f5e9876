//! Time: two readings and a way to wait.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::Later;
use crate::model::time::Moment;

/// Reads both clocks and waits.
pub trait Clock {
    /// Both clocks, read together.
    fn now(&self) -> Moment;
    /// Ready after `span`.
    fn sleep(&self, span: Duration) -> Later<'static, ()>;
    /// Holds this thread for `span`, also inside a future: only for waiting on another process's lock.
    /// A drill shares its record with nobody and returns at once.
    fn pause(&self, span: Duration) {
        let _ = span;
    }
}

/// The clock that goes on while the machine sleeps.
#[cfg(target_os = "linux")]
const SINCE_BOOT: rustix::time::ClockId = rustix::time::ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const SINCE_BOOT: rustix::time::ClockId = rustix::time::ClockId::Monotonic;

/// The clocks of this machine.
pub struct RealClock {
    origin: Instant,
    origin_us: u64,
}

impl RealClock {
    /// Reads the boot clock once; later readings are offsets from it.
    #[allow(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the clock"
    )]
    pub fn new() -> Self {
        let boot = rustix::time::clock_gettime(SINCE_BOOT);
        let origin_us = u64::try_from(boot.tv_sec).unwrap_or(0) * 1_000_000
            + u64::try_from(boot.tv_nsec).unwrap_or(0) / 1_000;
        RealClock {
            origin: Instant::now(),
            origin_us,
        }
    }
}

impl Default for RealClock {
    fn default() -> Self {
        RealClock::new()
    }
}

impl Clock for RealClock {
    #[allow(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the clock"
    )]
    fn now(&self) -> Moment {
        let utc = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let since = self.origin.elapsed();
        Moment {
            utc_ms: i64::try_from(utc.as_millis()).unwrap_or(i64::MAX),
            mono_us: self.origin_us + u64::try_from(since.as_micros()).unwrap_or(0),
        }
    }

    #[allow(clippy::disallowed_methods, reason = "this is the one place that waits")]
    fn sleep(&self, span: Duration) -> Later<'static, ()> {
        // Made when first polled: tokio's timer exists only inside its runtime.
        Box::pin(async move { tokio::time::sleep(span).await })
    }

    #[allow(clippy::disallowed_methods, reason = "this is the one place that waits")]
    fn pause(&self, span: Duration) {
        std::thread::sleep(span);
    }
}
