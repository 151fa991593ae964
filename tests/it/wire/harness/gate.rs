//! A task that ends when the test opens a gate.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// What one task waits for. Clones are the same gate.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate(Arc<State>);

#[derive(Debug, Default)]
struct State {
    reached: Notify,
    opened: Notify,
    passed: AtomicBool,
}

impl Gate {
    /// Lets the task pass, now or when it comes.
    pub(crate) fn open(&self) {
        self.0.opened.notify_one();
    }

    /// The task.
    pub(crate) fn task(&self) -> impl Future<Output = ()> + Send + use<> {
        let gate = self.clone();
        async move {
            gate.0.reached.notify_one();
            gate.0.opened.notified().await;
            gate.0.passed.store(true, Ordering::SeqCst);
        }
    }

    /// Waits until the task has come to it.
    pub(crate) async fn reached(&self) {
        self.0.reached.notified().await;
    }

    /// Whether the task has come through.
    pub(crate) fn was_passed(&self) -> bool {
        self.0.passed.load(Ordering::SeqCst)
    }
}
