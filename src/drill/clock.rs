//! Simulated time: it stands still while the program computes and jumps when everybody waits.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::model::time::Moment;
use crate::world::{Clock, Later};

/// What goes on by itself while time passes: the agent, its supervisor, the provider's queue.
pub trait Passing {
    /// Lets everything happen that is due up to and including this moment, in order of time.
    fn pass(&self, until: Moment);
}

/// The clock of a drill. Clones are the same clock.
#[derive(Clone)]
pub struct SimClock(Rc<Time>);

struct Time {
    /// Wall time at monotonic zero, ms since the epoch.
    boot_utc_ms: i64,
    now_us: Cell<u64>,
    timers: RefCell<BTreeMap<(u64, u64), Option<Waker>>>,
    timers_made: Cell<u64>,
    passing: RefCell<Option<Weak<dyn Passing>>>,
}

impl SimClock {
    /// A clock that reads `start` and stands still.
    pub fn new(start: Moment) -> Self {
        SimClock(Rc::new(Time {
            boot_utc_ms: start.utc_ms - ms(start.mono_us),
            now_us: Cell::new(start.mono_us),
            timers: RefCell::default(),
            timers_made: Cell::new(0),
            passing: RefCell::new(None),
        }))
    }

    /// Whom to tell that time passes.
    pub fn carry(&self, passing: Weak<dyn Passing>) {
        *self.0.passing.borrow_mut() = Some(passing);
    }

    /// The moment at a monotonic reading of this clock.
    pub fn at(&self, mono_us: u64) -> Moment {
        Moment {
            utc_ms: self.0.boot_utc_ms + ms(mono_us),
            mono_us,
        }
    }

    /// Lets time pass as a person does who reads, thinks or types.
    pub fn advance(&self, span: Duration) {
        self.move_to(self.0.now_us.get() + us(span));
    }

    /// Jumps to the next timer and wakes who waits on it; false where nobody waits on anything.
    pub(super) fn jump(&self) -> bool {
        let Some(due) = self.0.timers.borrow().keys().next().map(|(due, _)| *due) else {
            return false;
        };
        self.move_to(due.max(self.0.now_us.get()));
        true
    }

    fn move_to(&self, due_us: u64) {
        let passing = self.0.passing.borrow().as_ref().and_then(Weak::upgrade);
        if let Some(passing) = passing {
            passing.pass(self.at(due_us));
        }
        self.0.now_us.set(due_us);
        let waking: Vec<Waker> = self
            .0
            .timers
            .borrow_mut()
            .range_mut(..=(due_us, u64::MAX))
            .filter_map(|(_, waker)| waker.take())
            .collect();
        waking.into_iter().for_each(Waker::wake);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Moment {
        self.at(self.0.now_us.get())
    }

    fn sleep(&self, span: Duration) -> Later<'static, ()> {
        let number = self.0.timers_made.get();
        self.0.timers_made.set(number + 1);
        let key = (self.0.now_us.get() + us(span), number);
        self.0.timers.borrow_mut().insert(key, None);
        Box::pin(Timer {
            time: Rc::clone(&self.0),
            key,
        })
    }
}

/// One wait. Dropped, it is forgotten: a deadline nobody needs any more never moves the clock.
struct Timer {
    time: Rc<Time>,
    key: (u64, u64),
}

impl Future for Timer {
    type Output = ();
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.time.now_us.get() >= self.key.0 {
            return Poll::Ready(());
        }
        let waker = cx.waker().clone();
        self.time.timers.borrow_mut().insert(self.key, Some(waker));
        Poll::Pending
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.time.timers.borrow_mut().remove(&self.key);
    }
}

fn us(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX / 4)
}

fn ms(us: u64) -> i64 {
    i64::try_from(us / 1_000).unwrap_or(i64::MAX)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn start() -> Moment {
        Moment {
            utc_ms: 1_773_457_641_000,
            mono_us: 86_400_000_000,
        }
    }

    #[test]
    fn both_readings_move_together() {
        let clock = SimClock::new(start());
        assert_eq!(clock.now(), start());
        clock.advance(Duration::from_secs(20));
        assert_eq!(clock.now().utc_ms, start().utc_ms + 20_000);
        assert_eq!(clock.now().mono_us, start().mono_us + 20_000_000);
    }

    #[test]
    fn a_dropped_wait_moves_nothing() {
        let clock = SimClock::new(start());
        drop(clock.sleep(Duration::from_secs(15)));
        assert!(!clock.jump());
        assert_eq!(clock.now(), start());
    }

    #[test]
    fn the_world_is_told_before_the_clock_shows_the_time() {
        struct Log(RefCell<Vec<i64>>);
        impl Passing for Log {
            fn pass(&self, until: Moment) {
                self.0.borrow_mut().push(until.utc_ms);
            }
        }
        let clock = SimClock::new(start());
        let log = Rc::new(Log(RefCell::default()));
        let passing: Rc<dyn Passing> = log.clone();
        clock.carry(Rc::downgrade(&passing));
        clock.advance(Duration::from_millis(5));
        assert_eq!(*log.0.borrow(), [start().utc_ms + 5]);
    }
}
