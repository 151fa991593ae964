//! Replaces the library's `sync`: `loom`'s primitives, and an abort handle without a task.

use std::cell::Cell;
use std::future::Future;
use std::sync::atomic::AtomicBool as Flag;
use std::sync::{Arc, PoisonError, Weak};

pub(crate) use loom::sync::MutexGuard;
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};

/// The library's are `const`, and `loom`'s are not.
macro_rules! thread_local_of_loom {
    ($visibility:vis static $name:ident: $type:ty = const $init:block;) => {
        loom::thread_local! {
            $visibility static $name: $type = $init;
        }
    };
}
pub(crate) use thread_local_of_loom as thread_local;

/// `loom`'s own, without poison.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

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

loom::lazy_static! {
    static ref SPAWNED: Mutex<Vec<loom::thread::JoinHandle<()>>> = Mutex::new(Vec::new());
}

/// Runs the task on a thread of its own.
#[allow(clippy::unnecessary_wraps)]
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Option<AbortHandle> {
    let thread = loom::thread::spawn(move || loom::future::block_on(task));
    SPAWNED.lock().push(thread);
    Some(AbortHandle::default())
}

/// Waits for all tasks that were spawned.
pub(crate) fn join_spawned() {
    loop {
        let next = SPAWNED.lock().pop();
        match next {
            Some(thread) => thread.join().expect("no panic"),
            None => break,
        }
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

loom::lazy_static! {
    /// Stands for the counts of all `Arc`s, which `loom` does not see: a change, or a look, comes before or after another.
    static ref COUNTS: AtomicUsize = AtomicUsize::new(0);
}

/// Comes before a reference is dropped that another thread may upgrade, and after a look at its count.
pub(crate) fn touch_count() {
    COUNTS.fetch_add(1, Ordering::SeqCst);
}

pub(crate) fn upgrade<T>(reference: &Weak<T>) -> Option<Arc<T>> {
    touch_count();
    let upgraded = reference.upgrade();
    touch_count();
    upgraded
}
