//! What a transition leaves to be done outside of the lock.

use std::sync::Arc;
use std::task::Waker;

use tokio::time::Instant;

use super::hand_off::BesideClosure;
use super::task::TaskSpec;
use crate::process::registry::Registration;
use crate::report::TaskInfo;
use crate::trace::Span;

/// What a caller must do once the lock is free. Wakers, handles and spans may run code of others, which may take the
/// lock.
#[derive(Debug)]
#[must_use = "the transition is not complete without its effects"]
pub(crate) struct Effects<H> {
    /// The waker to wake.
    pub(crate) wake: Option<Waker>,
    /// The abort handle to drop.
    pub(crate) handle: Option<H>,
    /// The span to drop.
    pub(crate) span: Option<Arc<Span>>,
    /// If `Some`, the request leaves the registry.
    pub(crate) leave: Option<Registration>,
    /// True if a task has ended, or was reported, and a wait for the process may be over.
    pub(crate) has_changed: bool,
    /// True if a wait for the tokio-util tracker is to be spawned.
    pub(crate) wait_for_tracker: bool,
}

/// The result of attaching an abort handle.
#[derive(Debug)]
#[must_use = "a handle that is given back is to be dropped outside of the lock"]
pub(crate) enum Attached<H> {
    /// The handle is kept in the slot of its task.
    Kept,
    /// The task has ended. The caller drops the handle.
    Ended(H),
    /// The task was to be aborted before its handle was attached. The caller aborts it.
    ToAbort(H),
}

/// The recorded end of a task that did not complete.
#[derive(Debug)]
pub(crate) struct Failure<H> {
    pub(crate) info: TaskInfo,
    /// True if the report counts this end.
    pub(crate) is_counted: bool,
    /// True if the event about the request covers this task. If the task is required, that event is the error, and the
    /// event about the task is a warning.
    pub(crate) is_reported: bool,
    /// The abort handle to drop outside of the lock.
    pub(crate) handle: Option<H>,
}

/// What is left to do after a completed task was counted out: outside of the lock, in this order.
#[derive(Debug)]
#[must_use = "the transition is not complete without its effects"]
pub(crate) struct Completed<H> {
    /// The abort handle to drop.
    pub(crate) handle: Option<H>,
    /// The waker to wake.
    pub(crate) wake: Option<Waker>,
}

/// The end of a task that no report counts. Once it is reported, the caller calls
/// `State::callbacks_done`.
#[derive(Debug, Clone)]
pub(crate) struct LateEnd {
    pub(crate) spec: TaskSpec,
    /// The name, if it was computed.
    pub(crate) name: Option<Arc<str>>,
    pub(crate) started: Option<Instant>,
}

/// What stops tasks, outside of the lock.
#[derive(Debug)]
#[must_use = "the tasks are not stopped yet"]
pub(crate) struct Stops<H> {
    /// The handles of the tasks to abort.
    pub(crate) handles: Vec<H>,
    /// The hand-offs of blocking closures to start.
    pub(crate) hand_offs: Vec<BesideClosure>,
}

impl<H> Stops<H> {
    pub(crate) const fn none() -> Self {
        Self {
            handles: Vec::new(),
            hand_offs: Vec::new(),
        }
    }
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
