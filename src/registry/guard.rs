//! The life of one task, as a value.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread;

use super::Registry;
use super::context::Context;
use super::entry::Task;
use crate::panics;
use crate::report::TaskState;
use crate::trace::Span;

/// One task that is counted as alive. Dropping it is the task's end, however it came to it; what
/// it was doing has to be dropped before.
#[derive(Debug)]
pub(crate) struct TaskGuard {
    /// The request it counts in: in here always, except while the task runs.
    context: Context,
    task: Task,
    /// The task was spawned by us, so that tokio knows when it has ended.
    spawned: bool,
    /// Seen waiting, so that it has an age.
    seen_waiting: bool,
    /// How it would end if it were dropped now.
    end: TaskState,
    /// What there is to say of that end.
    message: Option<Box<str>>,
    span: Span,
}

impl TaskGuard {
    pub(crate) fn new(registry: &Arc<Registry>, task: Task, spawned: bool) -> Self {
        Self {
            context: Context::within(registry.clone()),
            task,
            spawned,
            seen_waiting: false,
            end: TaskState::Aborted,
            message: None,
            span: registry.task_span(&task.brief),
        }
    }

    /// Runs a piece of the task: in the request's context, in its span. A panic
    /// is noted and goes on.
    pub(crate) fn run<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let caught = {
            let _entered = self.context.enter();
            self.span.in_scope(|| catch_unwind(AssertUnwindSafe(work)))
        };
        caught.unwrap_or_else(|payload| {
            self.end = TaskState::Panicked;
            self.message = panics::message(&*payload).map(String::into_boxed_str);
            resume_unwind(payload)
        })
    }

    /// The task goes on later. From the first time on it has an age.
    pub(crate) fn waits(&mut self) {
        if !self.seen_waiting {
            self.seen_waiting = true;
            if let Some(registry) = self.context.registry() {
                registry.stamp();
            }
        }
    }

    /// The task has run to its end, and has failed if there is a message.
    pub(crate) fn end_of_run(mut self, failure: Option<String>) {
        self.end = match failure {
            None => TaskState::Completed,
            Some(_) => TaskState::Failed,
        };
        self.message = failure.map(String::into_boxed_str);
    }

    /// What holds it has no end of its own: its drop is its end, unless its thread is panicking.
    pub(crate) fn end_of_token(mut self) {
        self.end = if thread::panicking() {
            TaskState::Panicked
        } else {
            TaskState::Completed
        };
    }

    /// Another task like this one, spawned at the same place.
    pub(crate) fn another(&self) -> Option<Self> {
        let registry = self.context.registry()?;
        Some(registry.admit_elsewhere(self.task.brief))
    }
}

impl Drop for TaskGuard {
    fn drop(&mut self) {
        if let Some(registry) = self.context.registry() {
            let message = self.message.take().map(String::from);
            registry.end(self.task, self.spawned, self.end, message);
        }
    }
}
