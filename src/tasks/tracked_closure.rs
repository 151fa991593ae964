//! A blocking closure that counts as a task.

use super::handler::abandon;
use super::kind::TaskKind;
use crate::request::guard::TaskGuard;

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

    pub(crate) fn call<T, J>(mut self) -> T
    where
        F: FnOnce() -> T,
        J: TaskKind<T>,
    {
        let Some(f) = self.f.take() else {
            unreachable!("`call` takes the closure by value")
        };
        let Some(mut guard) = self.guard.take() else {
            return f();
        };
        let (output, failure) = guard.run(|| {
            let output = f();
            let failure = J::failure(&output);
            (output, failure)
        });
        guard.end_of_run(failure);
        output
    }
}

impl<F> Drop for TrackedClosure<F> {
    fn drop(&mut self) {
        let Some(f) = self.f.take() else {
            return;
        };
        abandon(|| match &mut self.guard {
            Some(guard) => guard.run(|| drop(f)),
            None => drop(f),
        });
    }
}
