//! Work that a test lets go on, and the order in which things happen.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

/// What the work takes once it was let go: an end that does not wait for it is seen before.
const TAKES: Duration = Duration::from_millis(50);

/// What has happened, in its order. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Events(Arc<Mutex<Vec<&'static str>>>);

impl Events {
    pub(crate) fn add(&self, event: &'static str) {
        self.0.lock().expect("nobody panics here").push(event);
    }

    pub(crate) fn so_far(&self) -> Vec<&'static str> {
        self.0.lock().expect("nobody panics here").clone()
    }
}

/// The work of one task. Clones share its gate and its events.
#[derive(Debug, Clone, Default)]
pub(crate) struct Work {
    gate: Arc<Notify>,
    events: Events,
}

impl Work {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// What tells of it.
    pub(crate) fn events(&self) -> Events {
        self.events.clone()
    }

    /// It may go on, now or when it comes there.
    pub(crate) fn let_go(&self) {
        self.gate.notify_one();
    }

    /// Waits for the test, takes its time, and tells that the `task` is done.
    pub(crate) async fn carried_out(self) {
        self.gate.notified().await;
        sleep(TAKES).await;
        self.events.add("task");
    }

    /// The same, but it fails in the end.
    pub(crate) async fn failed(self) -> Result<(), &'static str> {
        self.carried_out().await;
        Err("the book is locked")
    }
}
