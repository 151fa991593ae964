//! What takes the place of the library's `sync`: `loom`'s primitives, and an abort handle without a task.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::AtomicBool as Flag;

pub(crate) use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
pub(crate) use loom::sync::{Mutex, MutexGuard};

/// The library's are `const`, and `loom`'s are not.
macro_rules! thread_local_of_loom {
    ($visibility:vis static $name:ident: $type:ty = const $init:block;) => {
        loom::thread_local! {
            $visibility static $name: $type = $init;
        }
    };
}
pub(crate) use thread_local_of_loom as thread_local;

/// What would abort a task. Clones belong to the same task.
#[derive(Debug, Clone, Default)]
pub(crate) struct AbortHandle(Arc<Flag>);

impl AbortHandle {
    pub(crate) fn abort(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_aborted(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Whether this is the only one: all clones are dropped.
    pub(crate) fn is_last(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}

loom::thread_local! {
    static NUMBER: Cell<usize> = Cell::new(0);
}

/// The number of this thread, which decides on its shard: the same for all threads, unless a model has set others.
pub(crate) fn thread_number() -> usize {
    NUMBER.with(Cell::get)
}

pub(crate) fn set_thread_number(number: usize) {
    NUMBER.with(|own| own.set(number));
}
