//! A blocking closure that counts as a task.

use crate::guard::TaskGuard;

/// Runs a closure as a task. If it is never run, it is dropped in the task's context.
pub(crate) struct TrackedClosure<F> {
    /// `None` once it runs.
    f: Option<F>,
    /// `None` outside of a request, and once the task has ended.
    guard: Option<TaskGuard>,
}

impl<F> TrackedClosure<F> {
    pub(crate) fn new(f: F, guard: Option<TaskGuard>) -> Self {
        Self { f: Some(f), guard }
    }

    pub(crate) fn call<T>(mut self) -> T
    where
        F: FnOnce() -> T,
    {
        let Some(f) = self.f.take() else {
            unreachable!("`call` takes the closure by value")
        };
        let Some(mut guard) = self.guard.take() else {
            return f();
        };
        let output = guard.run(f);
        guard.complete();
        output
    }
}

impl<F> Drop for TrackedClosure<F> {
    fn drop(&mut self) {
        if let (Some(f), Some(guard)) = (self.f.take(), &mut self.guard) {
            guard.run(|| drop(f));
        }
    }
}
