//! A token for work that runs elsewhere.

use crate::request::guard::TaskGuard;

/// Work that its request waits for until this token is dropped. [`Tasks::token`](crate::Tasks::token) returns it.
///
/// The drop counts as the completion of the work, or as a panic if the thread is panicking. A clone counts as another
/// task.
#[derive(Debug)]
#[must_use = "the work counts as done when the token is dropped"]
pub struct TaskToken {
    guard: TaskGuard,
}

impl TaskToken {
    pub(crate) fn new(guard: TaskGuard) -> Self {
        Self { guard }
    }
}

impl Clone for TaskToken {
    fn clone(&self) -> Self {
        Self::new(self.guard.another())
    }
}

impl Drop for TaskToken {
    fn drop(&mut self) {
        self.guard.end_of_token();
    }
}
