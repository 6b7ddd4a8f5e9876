//! Ctrl-C, as a number that others look at.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// How often the responder pressed Ctrl-C.
pub trait Interrupt {
    /// 0 = go on; 1 = start nothing new; 2 or more = leave now.
    fn count(&self) -> u32;
}

/// Counts SIGINT and SIGTERM of this process; swallows SIGHUP, so that a lost connection ends nothing.
#[derive(Clone)]
pub struct RealInterrupt(Arc<AtomicU32>);

impl RealInterrupt {
    /// Takes the three signals over, for the rest of the process's life.
    pub fn install() -> io::Result<Self> {
        let count = Arc::new(AtomicU32::new(0));
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
        let seen = Arc::clone(&count);
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                for signal in signals.forever() {
                    if signal != SIGHUP {
                        seen.fetch_add(1, Ordering::SeqCst);
                    }
                }
            })?;
        Ok(RealInterrupt(count))
    }

    /// Counts nothing: for programs that must keep the system's own reaction to Ctrl-C.
    pub fn never() -> Self {
        RealInterrupt(Arc::new(AtomicU32::new(0)))
    }
}

impl Interrupt for RealInterrupt {
    fn count(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}
