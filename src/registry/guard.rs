//! The life of one task, as a value.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, OnceLock};
use std::thread;

use super::Registry;
use super::context::Context;
use super::entry::Task;
use super::running::Running;
use crate::panics;
use crate::report::TaskState;
use crate::trace::Span;

/// One task that is counted as alive. Dropping it is the task's end, however it came to it; what
/// it was doing has to be dropped before.
///
/// It is moved into the task, and is small so that the task is.
#[derive(Debug)]
pub(crate) struct TaskGuard {
    /// The request it counts in: in here always, except while the task runs, and at its end.
    context: Context,
    task: Task,
    /// What most tasks do not have.
    extra: Option<Arc<Extra>>,
}

/// It is shared with the spawn until the task is listed.
#[derive(Debug)]
pub(super) struct Extra {
    pub(super) span: Span,
    /// The message, once it has panicked.
    panic: OnceLock<Option<String>>,
}

impl TaskGuard {
    #[inline]
    pub(crate) fn new(registry: &Arc<Registry>, task: Task, span: Span) -> Self {
        Self {
            context: Context::within(registry.clone()),
            task,
            extra: (!span.is_none()).then(|| Extra::new(span)),
        }
    }

    /// Runs a piece of the task: in the request's context, in its span, and as the task that runs. A panic
    /// is noted and goes on.
    pub(crate) fn run<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let running = self
            .context
            .registry()
            .map(|request| Running::task(request, self.task.id));
        let running = running.map(Running::enter);
        let entered = self.context.enter();
        let work = AssertUnwindSafe(work);
        let caught = match &self.extra {
            Some(extra) => extra.span.in_scope(|| catch_unwind(work)),
            None => catch_unwind(work),
        };
        drop((entered, running));
        caught.unwrap_or_else(|payload| {
            let extra = self.extra.get_or_insert_with(|| Extra::new(Span::none()));
            // Of several, in the future's destructor too, the first counts.
            extra.panic.get_or_init(|| panics::message(&*payload));
            resume_unwind(payload)
        })
    }

    /// The task goes on later. From the first time on it has an age.
    pub(crate) fn waits(&mut self) {
        if !self.task.has_age {
            self.task.has_age = true;
            if let Some(registry) = self.context.registry() {
                registry.stamp();
            }
        }
    }

    /// The task has run to its end, and has failed if there is a message.
    pub(crate) fn end_of_run(mut self, failure: Option<String>) {
        let state = match failure {
            None => TaskState::Completed,
            Some(_) => TaskState::Failed,
        };
        self.end(state, failure);
    }

    /// What holds it has no end of its own: its drop is its end, unless its thread is panicking.
    pub(crate) fn end_of_token(mut self) {
        let state = if thread::panicking() {
            TaskState::Panicked
        } else {
            TaskState::Completed
        };
        self.end(state, None);
    }

    /// Another task like this one, spawned at the same place.
    pub(crate) fn another(&self) -> Option<Self> {
        let registry = self.context.registry()?;
        let brief = registry.ledger().brief(self.task.id)?;
        Some(registry.admit_elsewhere(brief))
    }

    pub(super) fn extra(&self) -> Option<&Arc<Extra>> {
        self.extra.as_ref()
    }

    #[inline]
    fn end(&mut self, state: TaskState, message: Option<String>) {
        if let Some(registry) = std::mem::take(&mut self.context).into_registry() {
            registry.end(self.task, state, message, self.extra.take());
        }
    }
}

impl Drop for TaskGuard {
    fn drop(&mut self) {
        let panic = self.extra.as_ref().and_then(|extra| extra.panic.get());
        match panic.cloned() {
            Some(message) => self.end(TaskState::Panicked, message),
            None => self.end(TaskState::Aborted, None),
        }
    }
}

impl Extra {
    fn new(span: Span) -> Arc<Self> {
        Arc::new(Self {
            span,
            panic: OnceLock::new(),
        })
    }
}
