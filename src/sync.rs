//! The primitives for state that threads share, for `request` and `process`. The models in `tests/models` put their own
//! module in its place.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
pub(crate) use std::thread_local;

// These locks have no poison. They need none, because no user code runs under them.
pub(crate) use parking_lot::{Mutex, MutexGuard};
pub(crate) use tokio::task::AbortHandle;

use std::cell::Cell;
use std::future::Future;
use std::sync::{Arc, Weak};

use tokio::runtime::Handle;

/// Upgrades a reference. In the models, other threads may run before the caller goes on.
#[inline]
pub(crate) fn upgrade<T>(reference: &Weak<T>) -> Option<Arc<T>> {
    reference.upgrade()
}

/// Spawns a task on the current runtime, and returns its abort handle. If there is no runtime, drops the task and
/// returns `None`.
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Option<AbortHandle> {
    let runtime = Handle::try_current().ok()?;
    Some(runtime.spawn(task).abort_handle())
}

/// Returns the number of this thread. Threads are numbered in the order of their first call.
#[inline]
pub(crate) fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    let number = NUMBER.try_with(|number| {
        if number.get() == usize::MAX {
            // Relaxed: the counter orders no other access.
            number.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        number.get()
    });
    // Fails only on a thread that is being torn down. Any number is correct there.
    number.unwrap_or(0)
}
