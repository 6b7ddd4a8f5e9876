//! Runs futures in simulated time: poll until nothing is woken, then jump to the next timer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

use super::clock::SimClock;
use crate::world::{Executor, Later};

/// The executor of a drill.
pub struct SimExecutor {
    clock: SimClock,
}

impl SimExecutor {
    /// An executor that moves this clock.
    pub fn new(clock: SimClock) -> Self {
        SimExecutor { clock }
    }
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Executor for SimExecutor {
    /// Returns early only where the future waits and no timer is left that could wake it.
    fn block_on(&self, mut future: Later<'_, ()>) {
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        loop {
            while woken.0.swap(false, Ordering::Relaxed) {
                if future.as_mut().poll(&mut cx).is_ready() {
                    return;
                }
            }
            if !self.clock.jump() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::time::Duration;

    use futures_util::future::join_all;

    use super::super::clock::tests::start;
    use super::*;
    use crate::world::Clock;

    fn seconds(clock: &SimClock) -> i64 {
        (clock.now().utc_ms - start().utc_ms) / 1_000
    }

    #[test]
    fn waits_cost_no_real_time_and_run_in_order() {
        let clock = SimClock::new(start());
        let order = RefCell::new(Vec::new());
        let wait = |s: u64| {
            let (clock, order) = (clock.clone(), &order);
            async move {
                clock.sleep(Duration::from_secs(s)).await;
                clock.sleep(Duration::from_secs(s)).await;
                order.borrow_mut().push((s, seconds(&clock)));
            }
        };
        let all = join_all([wait(7_200), wait(2), wait(30)]);
        SimExecutor::new(clock.clone()).block_on(Box::pin(async {
            all.await;
        }));
        assert_eq!(*order.borrow(), [(2, 4), (30, 60), (7_200, 14_400)]);
    }

    #[test]
    fn a_deadline_that_was_not_needed_does_not_pass() {
        let clock = SimClock::new(start());
        let exec = SimExecutor::new(clock.clone());
        exec.block_on(Box::pin(async {
            let slow = clock.sleep(Duration::from_secs(15));
            let fast = clock.sleep(Duration::from_secs(1));
            futures_util::future::select(slow, fast).await;
        }));
        exec.block_on(clock.sleep(Duration::from_secs(1)));
        assert_eq!(seconds(&clock), 2);
    }

    #[test]
    fn it_gives_up_where_nothing_is_left_to_wait_for() {
        let clock = SimClock::new(start());
        let done = Cell::new(false);
        SimExecutor::new(clock).block_on(Box::pin(async {
            std::future::pending::<()>().await;
            done.set(true);
        }));
        assert!(!done.get());
    }
}
