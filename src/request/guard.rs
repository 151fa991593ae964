//! The life of one task, as a value.

use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread;

use super::Request;
use super::context::{Context, RunningTask};
use super::task::{Admitted, Begins, Task, Ticket};
use crate::panics;
use crate::report::TaskState;
use crate::trace::Span;

/// A task that counts as alive. Dropping the guard ends the task. Its future or closure is dropped before the guard.
///
/// The guard is moved into the task. It is small, so that the task is small too.
#[derive(Debug)]
pub(crate) struct TaskGuard {
    /// The request that the task counts in. While the task is polled, this is the context that was current before. Once
    /// the task has ended, it is [`Context::outside`].
    context: ManuallyDrop<Context>,
    task: Task,
    /// `None` for most tasks.
    ///
    /// This field and `context` are dropped by the destructor of the guard, which does nothing if there is neither. The
    /// destructor of an `Option<Box<_>>` would be a call, even for `None`.
    extra: ManuallyDrop<Option<Box<Extra>>>,
}

#[derive(Debug, Default)]
pub(super) struct Extra {
    /// `None` if the task has no span of its own.
    pub(super) span: Option<Span>,
    /// `Some` once the task has panicked, with the message if that was a string.
    panic: Option<Option<String>>,
    pub(super) hand_off: HandOffRole,
}

/// What a guard has to do with a hand-off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum HandOffRole {
    /// The task has no hand-off.
    #[default]
    None,
    /// If the task does not complete, it is handed off.
    Armed,
    /// The guard is that of the hand-off itself.
    HandOff,
}

impl TaskGuard {
    /// Creates the guard. `label`: the name, as a label of metrics.
    #[inline]
    pub(super) fn new(
        request: &Arc<Request>,
        admitted: Admitted,
        is_load: bool,
        label: Option<&'static str>,
        extra: Option<Box<Extra>>,
    ) -> Self {
        Self {
            context: ManuallyDrop::new(Context::within(request.clone())),
            task: Task::new(&admitted, is_load, label),
            extra: ManuallyDrop::new(extra),
        }
    }

    /// Returns the guard of a hand-off, which takes the place of this task. `extra`: of the task, if it has ended.
    pub(super) fn of_hand_off(
        request: &Arc<Request>,
        task: Task,
        extra: Option<Box<Extra>>,
    ) -> Self {
        let mut extra = extra.unwrap_or_default();
        extra.hand_off = HandOffRole::HandOff;
        extra.panic = None;
        Self {
            context: ManuallyDrop::new(Context::within(request.clone())),
            task,
            extra: ManuallyDrop::new(Some(extra)),
        }
    }

    /// Returns the guard of a task that runs outside of any request. It is like the guard of a task that has ended.
    pub(crate) fn outside() -> Self {
        Self {
            context: ManuallyDrop::new(Context::outside()),
            task: Task {
                ticket: Ticket {
                    slot: u32::MAX,
                    id: u32::MAX,
                },
                is_detached: false,
                is_counted: false,
                is_load: false,
                has_age: true,
                #[cfg(feature = "metrics")]
                label: None,
            },
            extra: ManuallyDrop::new(None),
        }
    }

    #[inline]
    pub(crate) fn ticket(&self) -> Ticket {
        self.task.ticket
    }

    pub(super) fn span(&self) -> Option<&Span> {
        self.extra.as_ref()?.span.as_ref()
    }

    /// Runs a part of the task, in the context of the request and in the span of the task. Notes a panic, and resumes
    /// it.
    pub(crate) fn run<T>(&mut self, work: impl FnOnce() -> T) -> T {
        self.try_run(work)
            .unwrap_or_else(|payload| resume_unwind(payload))
    }

    /// Like [`run`](Self::run), but returns a panic as a value.
    #[inline]
    pub(crate) fn try_run<T>(&mut self, work: impl FnOnce() -> T) -> thread::Result<T> {
        let span = self.extra.as_ref().and_then(|extra| extra.span.as_ref());
        let caught = run_part(&mut self.context, &self.task, span, work);
        if let Err(payload) = &caught {
            self.note_panic(panics::message(&**payload));
        }
        caught
    }

    #[cold]
    fn note_panic(&mut self, message: Option<String>) {
        let extra = self.extra.get_or_insert_default();
        // The first panic counts. The destructor of the future may panic after it.
        extra.panic.get_or_insert(message);
    }

    /// Gives a start to this task, and to every other one that has none. Called after each poll that is pending. Only
    /// the first call has an effect.
    #[inline]
    pub(crate) fn stamp(&mut self) {
        if !self.task.has_age {
            self.task.has_age = true;
            if let Some(request) = self.context.own() {
                request.stamp(self.task.ticket.slot, self.task.ticket.id);
            }
        }
    }

    /// Returns whether the task has ended, or runs outside of any request.
    #[inline]
    pub(crate) fn has_ended(&self) -> bool {
        self.context.is_outside()
    }

    /// Ends a task that has run to its end. If there is a message, the task has failed.
    #[inline]
    pub(crate) fn end_of_run(&mut self, failure: Option<String>) {
        match failure {
            None => self.complete(),
            Some(_) => self.end(TaskState::Failed, failure),
        }
    }

    /// Lets the task be handed off if it does not complete.
    pub(super) fn arm(&mut self) {
        self.extra.get_or_insert_default().hand_off = HandOffRole::Armed;
    }

    /// Notes that the task is a blocking closure, which an abort does not end.
    pub(crate) fn note_closure(&self) {
        if let Some(request) = self.context.own() {
            request.note_closure(self.task, self.span().cloned());
        }
    }

    /// Ends the work of a token that is dropped. The work has panicked if the thread is panicking, and has completed
    /// otherwise.
    pub(crate) fn end_of_token(&mut self) {
        if thread::panicking() {
            self.end(TaskState::Panicked, None);
        } else {
            self.complete();
        }
    }

    /// Lists another task with the same name and location.
    pub(crate) fn another(&self) -> Self {
        let request = self.context.own();
        let spec = request.and_then(|request| request.spec(self.task.ticket));
        match (request, spec) {
            (Some(request), Some((spec, Some(name)))) => {
                request.admit_named(spec, Begins::Elsewhere, name)
            }
            (Some(request), Some((spec, None))) => request.admit_elsewhere(spec),
            _ => Self::outside(),
        }
    }

    fn complete(&mut self) {
        if let Some(request) = std::mem::take(&mut *self.context).into_own() {
            request.complete(&self.task, &mut self.extra);
        }
    }

    #[cold]
    fn end(&mut self, state: TaskState, message: Option<String>) {
        if let Some(request) = std::mem::take(&mut *self.context).into_own() {
            request.end(&self.task, state, message, self.extra.take());
        }
    }

    /// Ends a task that has not run to its end.
    #[cold]
    pub(super) fn abandon(&mut self) {
        let panic = self.extra.as_mut().and_then(|extra| extra.panic.take());
        if !self.has_ended() {
            match panic {
                Some(message) => self.end(TaskState::Panicked, message),
                None => self.end(TaskState::Aborted, None),
            }
        }
        drop(self.extra.take());
    }
}

/// Runs a part of a task, in this context of its request and in its span. Returns a panic as a value.
#[inline]
pub(super) fn run_part<T>(
    context: &mut Context,
    task: &Task,
    span: Option<&Span>,
    work: impl FnOnce() -> T,
) -> thread::Result<T> {
    let running = RunningTask {
        id: task.ticket.id,
        is_detached: task.is_detached,
    };
    let work = AssertUnwindSafe(work);
    context.run_task(running, || match span {
        Some(span) => span.in_scope(|| catch_unwind(work)),
        None => catch_unwind(work),
    })
}

impl Drop for TaskGuard {
    #[inline]
    fn drop(&mut self) {
        if !self.has_ended() || self.extra.is_some() {
            self.abandon();
        }
    }
}

impl Extra {
    pub(super) fn of_span(span: Span) -> Box<Self> {
        Box::new(Self {
            span: Some(span),
            ..Self::default()
        })
    }
}
