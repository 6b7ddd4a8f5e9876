//! How many requests are under way to each host at once.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Counts requests under way, one counter a host, shared by every adapter of a run.
#[derive(Default)]
pub struct Limits {
    hosts: RefCell<BTreeMap<String, Arc<Semaphore>>>,
}

impl Limits {
    /// Nothing is under way.
    pub fn new() -> Self {
        Limits::default()
    }

    /// Waits until fewer than `most` requests are under way to `host`; the first to ask sets the number.
    pub(crate) async fn enter(&self, host: &str, most: usize) -> Option<OwnedSemaphorePermit> {
        let gate = {
            let mut hosts = self.hosts.borrow_mut();
            let gate = hosts
                .entry(host.to_owned())
                .or_insert_with(|| Arc::new(Semaphore::new(most.max(1))));
            Arc::clone(gate)
        };
        // Only a closed semaphore gives nothing, and nobody closes these.
        gate.acquire_owned().await.ok()
    }
}
