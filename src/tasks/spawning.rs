//! The steps of every spawn: list the task, spawn it, attach its abort handle.

use std::future::Future;
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::kind::TaskKind;
use super::tracked_future::TrackedFuture;
use crate::request::Request;
use crate::request::guard::TaskGuard;
use crate::request::task::{TaskSpec, Ticket};

/// Spawns a task on the current runtime.
///
/// # Panics
///
/// Panics outside of a tokio runtime.
#[track_caller]
#[inline]
pub(super) fn spawn_in<F, OutputKind>(
    request: Option<&Arc<Request>>,
    spec: TaskSpec,
    future: F,
) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    OutputKind: TaskKind<F::Output> + 'static,
{
    let (spawning, guard) = Spawning::admit(request, spec);
    let handle = tokio::spawn(TrackedFuture::<F, OutputKind>::new(future, guard));
    spawning.spawned(handle)
}

/// A task that is listed, and is spawned next. Without a request it is not listed.
///
/// No lock is held meanwhile: on a runtime that has shut down the spawn drops the future at once, and its destructor
/// may run any code.
pub(super) struct Spawning<'a> {
    request: Option<&'a Arc<Request>>,
    ticket: Ticket,
}

impl<'a> Spawning<'a> {
    #[inline(always)]
    pub(super) fn admit(request: Option<&'a Arc<Request>>, spec: TaskSpec) -> (Self, TaskGuard) {
        let guard = match request {
            Some(request) => request.admit(spec),
            None => TaskGuard::outside(),
        };
        (Self::new(request, &guard), guard)
    }

    #[inline]
    pub(super) fn new(request: Option<&'a Arc<Request>>, guard: &TaskGuard) -> Self {
        Self {
            request,
            ticket: guard.ticket(),
        }
    }

    /// Attaches the task's abort handle. The task may have ended by now.
    #[inline(always)]
    pub(super) fn spawned<T>(self, handle: JoinHandle<T>) -> JoinHandle<T> {
        if let Some(request) = self.request {
            request.attach(self.ticket, handle.abort_handle());
        }
        handle
    }
}
