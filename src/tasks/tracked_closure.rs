//! A blocking closure that counts as a task.

use super::kind::TaskKind;
use crate::request::abandoned::abandon;
use crate::request::guard::TaskGuard;

/// A closure that runs as a task. If it never runs, it is dropped in the task's context.
pub(crate) struct TrackedClosure<F> {
    /// `None` once the closure runs.
    f: Option<F>,
    guard: TaskGuard,
}

impl<F> TrackedClosure<F> {
    pub(crate) fn new(f: F, guard: TaskGuard) -> Self {
        Self { f: Some(f), guard }
    }

    pub(crate) fn call<T, OutputKind>(mut self) -> T
    where
        F: FnOnce() -> T,
        OutputKind: TaskKind<T>,
    {
        let Some(f) = self.f.take() else {
            unreachable!("`call` takes the closure by value")
        };
        if self.guard.has_ended() {
            return f();
        }
        let (output, failure) = self.guard.run(|| {
            let output = f();
            let failure = OutputKind::failure(&output);
            (output, failure)
        });
        self.guard.end_of_run(failure);
        output
    }
}

impl<F> Drop for TrackedClosure<F> {
    fn drop(&mut self) {
        let Some(f) = self.f.take() else {
            return;
        };
        abandon(|| {
            if self.guard.has_ended() {
                drop(f);
            } else {
                self.guard.run(|| drop(f));
            }
        });
    }
}
