//! What a transition leaves to be done outside of the lock.

use std::sync::Arc;
use std::task::Waker;

use tokio::time::Instant;

use super::Request;
use super::task::TaskSpec;
use crate::panics;
use crate::process::registry::Registration;
use crate::report::TaskInfo;
use crate::sync::AbortHandle;
use crate::trace::Span;

/// What is to be done once the lock is free: wakers, handles and spans may run code of others, such as code that takes
/// the lock.
#[derive(Debug)]
#[must_use = "the transition is not complete without its effects"]
pub(crate) struct Effects<H> {
    /// To be woken.
    pub(crate) wake: Option<Waker>,
    /// To be dropped.
    pub(crate) handle: Option<H>,
    /// To be dropped.
    pub(crate) span: Option<Arc<Span>>,
    /// The request leaves the registry.
    pub(crate) leave: Option<Registration>,
    /// A task has ended, or was reported, and a wait for the process may be over.
    pub(crate) has_changed: bool,
    /// The tokio-util tracker is to be waited for.
    pub(crate) wait_for_tracker: bool,
}

/// What became of the abort handle of a task.
#[derive(Debug)]
#[must_use = "a handle that is given back is to be dropped outside of the lock"]
pub(crate) enum Attached<H> {
    Kept,
    /// The task has ended.
    Ended(H),
    /// The task was to be aborted before it was spawned.
    ToAbort(H),
}

/// The end of a task that did not complete was written down.
#[derive(Debug)]
pub(crate) struct Failure<H> {
    pub(crate) info: TaskInfo,
    /// The report counts its end.
    pub(crate) is_counted: bool,
    /// If the task is required, the event of its request is the error for it.
    pub(crate) is_reported: bool,
    /// To be dropped outside of the lock.
    pub(crate) handle: Option<H>,
}

/// A task that has completed was counted out. Both are for outside of the lock, in this order.
#[derive(Debug)]
#[must_use = "the transition is not complete without its effects"]
pub(crate) struct Completed<H> {
    /// To be dropped.
    pub(crate) handle: Option<H>,
    /// To be woken.
    pub(crate) wake: Option<Waker>,
}

/// A task has ended that no report counts as ended: [`State::callbacks_done`](super::state::State::callbacks_done) has to follow once
/// this was reported.
#[derive(Debug, Clone)]
pub(crate) struct LateEnd {
    pub(crate) spec: TaskSpec,
    /// If it was computed.
    pub(crate) name: Option<Arc<str>>,
    pub(crate) started: Option<Instant>,
}

impl<H> Effects<H> {
    #[inline]
    pub(super) const fn none() -> Self {
        Self {
            wake: None,
            handle: None,
            span: None,
            leave: None,
            has_changed: false,
            wait_for_tracker: false,
        }
    }
}

impl Effects<AbortHandle> {
    /// Carries out everything, in this order. The wake-up is the last: the wait that it wakes finds the rest done.
    #[inline(always)]
    pub(super) fn carry_out(self, request: &Arc<Request>) {
        let Self {
            wake,
            handle,
            span,
            leave,
            has_changed,
            wait_for_tracker,
        } = self;
        // This drops no task: a task that ends has a reference to itself.
        drop(handle);
        // Before the request leaves the registry: when the handle is idle, spans are closed.
        drop(span);
        if let Some(registration) = leave {
            request.process().registry().leave(registration);
        }
        if wait_for_tracker {
            request.spawn_tracker_wait();
        }
        if has_changed {
            request.process().registry().has_changed();
        }
        if let Some(waker) = wake {
            let _ = panics::caught(|| waker.wake());
        }
    }
}
