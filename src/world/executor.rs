//! What runs the futures of the real world: one tokio runtime on the calling thread.

use std::io;

use tokio::runtime::{Builder, Runtime};

use super::{Executor, Later};

/// A current-thread tokio runtime. Pooled connections live as long as it does.
pub struct RealExecutor {
    runtime: Runtime,
}

impl RealExecutor {
    /// Builds the runtime. Fails where the system has no more file descriptors.
    pub fn new() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(RealExecutor { runtime })
    }
}

impl Executor for RealExecutor {
    /// Must not be entered again from inside a future it runs: tokio panics then.
    fn block_on(&self, future: Later<'_, ()>) {
        self.runtime.block_on(future);
    }
}
