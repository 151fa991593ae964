//! The life of one task, as a value.

use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread;

use super::Request;
use super::context::{Context, RunningTask};
use super::task::{Admitted, Begins, Kind, Ticket};
use crate::panics;
use crate::report::TaskState;
use crate::trace::Span;

/// A task that counts as alive. Dropping the guard ends the task; its future or closure has to be dropped before.
///
/// The guard is moved into the task, and is small so that the task is.
#[derive(Debug)]
pub(crate) struct TaskGuard {
    /// The request that the task counts in. While the task runs, the context that was current before stands here; once
    /// the task has ended, none does, as outside of a request.
    context: ManuallyDrop<Context>,
    task: Task,
    /// What most tasks do not have. The destructor of the guard drops both, so that it does nothing where there is
    /// neither: that of an `Option<Box<_>>` is a call, also for `None`.
    extra: ManuallyDrop<Option<Box<Extra>>>,
}

/// What a guard has of its task: little, because each task contains it. The rest is in the table of the request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Task {
    pub(super) ticket: Ticket,
    /// No response waits for it.
    is_detached: bool,
    /// The report counts it: it was spawned before the release, and is not detached.
    pub(super) is_counted: bool,
    /// It is counted in the load of the process.
    pub(super) is_load: bool,
    /// A poll of it was pending: it has an age.
    has_age: bool,
    #[cfg(feature = "metrics")]
    label: Option<&'static str>,
}

#[derive(Debug, Default)]
pub(super) struct Extra {
    /// `None` if the task has no span of its own.
    pub(super) span: Option<Span>,
    /// `Some` once the task has panicked, with the message if that was a string.
    panic: Option<Option<String>>,
}

impl TaskGuard {
    /// `_label`: the name, as a label of metrics.
    #[inline]
    pub(super) fn new(
        request: &Arc<Request>,
        admitted: Admitted,
        is_load: bool,
        _label: Option<&'static str>,
        extra: Option<Box<Extra>>,
    ) -> Self {
        Self {
            context: ManuallyDrop::new(Context::within(request.clone())),
            task: Task {
                ticket: admitted.ticket(),
                is_detached: admitted.kind == Kind::Detached,
                is_counted: admitted.is_counted,
                is_load,
                has_age: false,
                #[cfg(feature = "metrics")]
                label: _label,
            },
            extra: ManuallyDrop::new(extra),
        }
    }

    /// The guard of a task that runs outside of any request: like one whose task has ended.
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

    /// Runs a part of the task, in the request's context and in the task's span. A panic is noted, and resumed.
    pub(crate) fn run<T>(&mut self, work: impl FnOnce() -> T) -> T {
        self.try_run(work)
            .unwrap_or_else(|payload| resume_unwind(payload))
    }

    /// Like [`run`](Self::run), but returns a panic as a value.
    #[inline]
    pub(crate) fn try_run<T>(&mut self, work: impl FnOnce() -> T) -> thread::Result<T> {
        let running = RunningTask {
            id: self.task.ticket.id,
            is_detached: self.task.is_detached,
        };
        let span = self.extra.as_ref().and_then(|extra| extra.span.as_ref());
        let work = AssertUnwindSafe(work);
        let caught = self.context.run_task(running, || match span {
            Some(span) => span.in_scope(|| catch_unwind(work)),
            None => catch_unwind(work),
        });
        if let Err(payload) = &caught {
            self.note_panic(panics::message(&**payload));
        }
        caught
    }

    #[cold]
    fn note_panic(&mut self, message: Option<String>) {
        let extra = self.extra.get_or_insert_default();
        // The first panic counts: the future's destructor may panic too.
        extra.panic.get_or_insert(message);
    }

    /// A poll of the task was pending. The first time gives the task an age.
    #[inline]
    pub(crate) fn stamp(&mut self) {
        if !self.task.has_age {
            self.task.has_age = true;
            if let Some(request) = self.context.own() {
                request.stamp(self.task.ticket.slot, self.task.ticket.id);
            }
        }
    }

    /// Whether the task has ended, or runs outside of any request.
    #[inline]
    pub(crate) fn has_ended(&self) -> bool {
        self.context.is_outside()
    }

    /// Ends a task that has run to its end. With a message, it has failed.
    #[inline]
    pub(crate) fn end_of_run(&mut self, failure: Option<String>) {
        match failure {
            None => self.complete(),
            Some(_) => self.end(TaskState::Failed, failure),
        }
    }

    /// Ends the work of a token that is dropped: it has completed, or panicked if the thread is panicking.
    pub(crate) fn end_of_token(&mut self) {
        if thread::panicking() {
            self.end(TaskState::Panicked, None);
        } else {
            self.complete();
        }
    }

    /// Lists another task like this one, with the same name and place.
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
    fn abandon(&mut self) {
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
            panic: None,
        })
    }
}

impl Task {
    /// The name, as a label of metrics.
    pub(super) fn label(&self) -> Option<&'static str> {
        #[cfg(feature = "metrics")]
        return self.label;
        #[cfg(not(feature = "metrics"))]
        None
    }
}
