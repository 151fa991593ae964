//! What a transition leaves to be done outside of the lock.

use std::sync::Arc;
use std::task::Waker;

use super::Request;
use crate::panics;
use crate::process::registry::Seat;
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
    pub(crate) leave: Option<Seat>,
    /// A task has ended, or was reported, and a wait for the process may be over.
    pub(crate) has_changed: bool,
    /// The tokio-util tracker is to be waited for.
    pub(crate) watch: bool,
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
            watch: false,
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
            watch,
        } = self;
        // This drops no task: a task that ends has a reference to itself.
        drop(handle);
        // Before the request leaves the registry: when the handle is idle, spans are closed.
        drop(span);
        if let Some(seat) = leave {
            request.process().registry().leave(seat);
        }
        if watch {
            request.watch_tracker();
        }
        if has_changed {
            request.process().registry().has_changed();
        }
        if let Some(waker) = wake {
            let _ = panics::caught(|| waker.wake());
        }
    }
}
