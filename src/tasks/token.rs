//! Work that is no future here.

use crate::request::guard::TaskGuard;

/// Work that its request waits for until this is dropped, made by
/// [`Tasks::token`](crate::Tasks::token).
///
/// The drop counts as the completion of the work, or as a panic if the thread is panicking. A
/// clone counts as another task.
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
