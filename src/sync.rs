//! What `request` and `process` share between threads is made of these. The models in `tests/models` have a module of
//! their own in its place.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
pub(crate) use std::thread_local;

// Without poison: no code of the user's runs under these locks.
pub(crate) use parking_lot::{Mutex, MutexGuard};
pub(crate) use tokio::task::AbortHandle;

use std::cell::Cell;
use std::sync::{Arc, Weak};

/// Upgrades a reference. In the models, other threads may run before the caller goes on.
#[inline]
pub(crate) fn upgrade<T>(reference: &Weak<T>) -> Option<Arc<T>> {
    reference.upgrade()
}

/// The number of this thread. Threads are numbered in the order in which they first call this.
#[inline]
pub(crate) fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    let number = NUMBER.try_with(|number| {
        if number.get() == usize::MAX {
            // Relaxed: it orders nothing.
            number.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        number.get()
    });
    // On a thread that is being torn down any number will do.
    number.unwrap_or(0)
}
