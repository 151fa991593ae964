//! In which task the running code is.

use std::cell::{Cell, RefCell};
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
    /// What is further up on the stack than that: rarely anything.
    static BENEATH: RefCell<Vec<Running>> = const { RefCell::new(Vec::new()) };
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

    /// For code that is about to enter another context: the task that runs goes on, and the request that is current
    /// is kept beneath it, where [`all`](Self::all) finds it.
    pub(crate) fn enter_beneath() -> Beneath {
        let running = Self::current();
        let outer = match Context::current().registry() {
            Some(request) => Self {
                request: Arc::as_ptr(request),
                task: None,
            },
            None => NOTHING,
        };
        let outer = outer.enter();
        Beneath {
            _running: (!running.is_nothing()).then(|| running.enter()),
            _outer: outer,
        }
    }

    /// What runs here, and everything beneath it on the stack.
    pub(crate) fn all() -> Vec<Self> {
        let beneath = BENEATH.try_with(|all| all.borrow().clone());
        let mut all = beneath.unwrap_or_default();
        all.push(Self::current());
        all.retain(|running| !running.is_nothing());
        all
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
        let before = before.unwrap_or(NOTHING);
        if !before.is_nothing() {
            let _ = BENEATH.try_with(|all| all.borrow_mut().push(before));
        }
        Entered { before }
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
        if !self.before.is_nothing() {
            let _ = BENEATH.try_with(|all| all.borrow_mut().pop());
        }
    }
}

/// Dropping it puts back what ran before, in the opposite order.
pub(crate) struct Beneath {
    _running: Option<Entered>,
    _outer: Entered,
}
