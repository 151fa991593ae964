//! In which task the running code is.

use std::cell::Cell;
use std::ptr;
use std::sync::Arc;

use super::Registry;
use super::context::Context;

/// The innermost task that this thread runs, or code further up on the stack that is no task.
///
/// It is kept apart from the [`Context`](super::context::Context), which is where spawns go: inside of a task
/// that may be another request, or none, while the task is still the one that runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Running {
    /// The address of its request, to be compared alone: what runs holds its request meanwhile. Null where
    /// there is none.
    request: *const Registry,
    /// `None` for code that is no task.
    task: Option<u32>,
}

const NOTHING: Running = Running {
    request: ptr::null(),
    task: None,
};

thread_local! {
    static RUNNING: Cell<Running> = const { Cell::new(NOTHING) };
}

impl Running {
    /// No task, although one may be further up on the stack: for callbacks.
    pub(crate) const fn nothing() -> Self {
        NOTHING
    }

    #[inline]
    pub(crate) fn task(request: &Arc<Registry>, task: u32) -> Self {
        Self {
            request: Arc::as_ptr(request),
            task: Some(task),
        }
    }

    /// What runs here, for code that is about to enter another context: the task, or else the request that
    /// is current, of which nothing else would be left to be seen.
    pub(crate) fn beneath() -> Self {
        let running = Self::current();
        if !running.is_nothing() {
            return running;
        }
        match Context::current().registry() {
            Some(request) => Self {
                request: Arc::as_ptr(request),
                task: None,
            },
            None => NOTHING,
        }
    }

    #[inline]
    pub(crate) fn current() -> Self {
        RUNNING.try_with(Cell::get).unwrap_or(NOTHING)
    }

    /// The task's id, if it is one of this request.
    #[inline]
    pub(crate) fn task_of(self, request: &Registry) -> Option<u32> {
        self.task.filter(|_| self.is_in(request))
    }

    pub(crate) fn is_in(self, request: &Registry) -> bool {
        ptr::eq(self.request, request)
    }

    pub(crate) fn is_nothing(self) -> bool {
        self.request.is_null()
    }

    /// Makes this the task that runs, until the guard is dropped.
    #[inline]
    pub(crate) fn enter(self) -> Entered {
        let before = RUNNING.try_with(|running| running.replace(self));
        Entered {
            before: before.unwrap_or(NOTHING),
        }
    }
}

/// Dropping it puts back what ran before, also while a panic unwinds.
pub(crate) struct Entered {
    before: Running,
}

impl Drop for Entered {
    #[inline]
    fn drop(&mut self) {
        // On a thread that is being torn down there is nothing to put back.
        let _ = RUNNING.try_with(|running| running.set(self.before));
    }
}
