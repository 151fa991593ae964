//! Work that waits until a test opens its gate, and the order of events.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

/// The duration of the work after its gate was opened. If a call does not wait for it, the call ends first.
const TAKES: Duration = Duration::from_millis(50);

/// The events so far, in their order. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Events(Arc<Mutex<Vec<&'static str>>>);

impl Events {
    pub(crate) fn add(&self, event: &'static str) {
        self.0.lock().expect("no panic holds this lock").push(event);
    }

    pub(crate) fn so_far(&self) -> Vec<&'static str> {
        self.0.lock().expect("no panic holds this lock").clone()
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

    /// Returns the events.
    pub(crate) fn events(&self) -> Events {
        self.events.clone()
    }

    /// Opens the gate. The work goes on, even if it reaches the gate later.
    pub(crate) fn open_gate(&self) {
        self.gate.notify_one();
    }

    /// Waits for the gate, does the work, and adds the event `task`.
    pub(crate) async fn complete(self) {
        self.gate.notified().await;
        sleep(TAKES).await;
        self.events.add("task");
    }

    /// Does the same, and then fails.
    pub(crate) async fn fail(self) -> Result<(), &'static str> {
        self.complete().await;
        Err("the book is locked")
    }
}
