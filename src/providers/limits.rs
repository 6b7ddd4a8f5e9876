//! How many requests are under way to each host at once, and which goes next.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use tokio::sync::oneshot;

/// Counts requests under way, one gate a host, shared by every adapter of a run.
#[derive(Default)]
pub struct Limits {
    hosts: RefCell<BTreeMap<String, Rc<RefCell<Gate>>>>,
}

/// Whose turn it is where a host takes no more requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It ends access: it goes before every look that waits.
    Cut,
    /// It only looks.
    Look,
}

/// One host.
struct Gate {
    free: usize,
    cuts: VecDeque<oneshot::Sender<Permit>>,
    looks: VecDeque<oneshot::Sender<Permit>>,
}

/// The right to have one request under way. Dropping it lets the next one go.
pub(crate) struct Permit(Rc<RefCell<Gate>>);

impl Limits {
    /// Nothing is under way.
    pub fn new() -> Self {
        Limits::default()
    }

    /// Waits until fewer than `most` requests are under way to `host`; the first to ask sets the number.
    pub(crate) async fn enter(&self, host: &str, most: usize, turn: Turn) -> Option<Permit> {
        let gate = {
            let mut hosts = self.hosts.borrow_mut();
            let made = || {
                Rc::new(RefCell::new(Gate {
                    free: most.max(1),
                    cuts: VecDeque::new(),
                    looks: VecDeque::new(),
                }))
            };
            Rc::clone(hosts.entry(host.to_owned()).or_insert_with(made))
        };
        let waiting = {
            let mut inside = gate.borrow_mut();
            if inside.free > 0 {
                inside.free -= 1;
                drop(inside);
                return Some(Permit(gate));
            }
            let (sender, waiting) = oneshot::channel();
            match turn {
                Turn::Cut => inside.cuts.push_back(sender),
                Turn::Look => inside.looks.push_back(sender),
            }
            waiting
        };
        // Only a dropped gate gives nothing, and `gate` is held here.
        waiting.await.ok()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let next = {
            let mut inside = self.0.borrow_mut();
            // Who waited no longer than its limit is gone.
            let next = loop {
                match inside.cuts.pop_front().or_else(|| inside.looks.pop_front()) {
                    Some(waiting) if waiting.is_closed() => {}
                    next => break next,
                }
            };
            inside.free += usize::from(next.is_none());
            next
        };
        if let Some(waiting) = next {
            // Were it not taken, it would be dropped here and go to the one after.
            let _ = waiting.send(Permit(Rc::clone(&self.0)));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_cut_goes_before_looks_that_have_waited_longer() {
        let limits = Limits::new();
        let enter = |turn| Box::pin(limits.enter("one", 1, turn));
        let first = enter(Turn::Look).now_or_never().flatten();
        assert!(first.is_some());
        let (mut gone, mut look, mut cut) = (enter(Turn::Cut), enter(Turn::Look), enter(Turn::Cut));
        assert!((&mut gone).now_or_never().is_none());
        assert!((&mut look).now_or_never().is_none());
        assert!((&mut cut).now_or_never().is_none());
        drop(gone);
        drop(first);
        assert!((&mut look).now_or_never().is_none(), "the cut goes first");
        let permit = (&mut cut).now_or_never().flatten();
        assert!(permit.is_some());
        // Another host is not held up.
        assert!(limits.enter("two", 1, Turn::Look).now_or_never().is_some());
        drop(permit);
        assert!((&mut look).now_or_never().flatten().is_some());
        assert!(
            enter(Turn::Look).now_or_never().flatten().is_some(),
            "all were given back"
        );
    }
}
