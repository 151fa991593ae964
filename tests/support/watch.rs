//! Records that a value is dropped, or that a waker is woken.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Wake;
use std::time::Duration;

use tokio::time::Instant;

/// The moment at which something was dropped, counted from when this was made.
#[derive(Debug, Clone)]
pub(crate) struct DropTime {
    made: Instant,
    dropped: Arc<Mutex<Option<Duration>>>,
}

impl DropTime {
    pub(crate) fn new() -> Self {
        Self {
            made: Instant::now(),
            dropped: Arc::default(),
        }
    }

    /// Whatever holds this is watched.
    pub(crate) fn watch(&self) -> impl Drop + Send + use<> {
        struct Watch(DropTime);
        impl Drop for Watch {
            fn drop(&mut self) {
                let dropped = self.0.made.elapsed();
                *self.0.dropped.lock().expect("no panic holds this lock") = Some(dropped);
            }
        }
        Watch(self.clone())
    }

    pub(crate) fn get(&self) -> Option<Duration> {
        *self.dropped.lock().expect("no panic holds this lock")
    }
}

/// Does something when it is dropped.
pub(crate) struct LastWords<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> LastWords<F> {
    pub(crate) fn new(say: F) -> Self {
        Self(Some(say))
    }
}

impl<F: FnOnce()> Drop for LastWords<F> {
    fn drop(&mut self) {
        if let Some(say) = self.0.take() {
            say();
        }
    }
}

/// A waker that counts.
#[derive(Default)]
pub(crate) struct Wakes(AtomicUsize);

impl Wakes {
    /// How often it was woken since this was asked last.
    pub(crate) fn take(&self) -> usize {
        self.0.swap(0, Ordering::SeqCst)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}
