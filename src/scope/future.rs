//! The future of a scope service.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::drained::Drained;
use super::failure_policy::FailurePolicy;
use super::role::Role;

pin_project! {
    /// The future of [`TaskScopeService`](crate::TaskScopeService): the inner future, and then the wait for the tasks.
    ///
    /// It keeps the answer, or the error, during the wait. So it is `Send` only if the inner future, the answer and the
    /// error are `Send`.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the inner future, or its answer. [`at_disconnect`](crate::TaskScopeLayer::at_disconnect)
    /// decides what happens to the tasks. The outcome of the report is [`Dropped`](crate::Outcome::Dropped).
    ///
    /// # Panics
    ///
    /// Panics if it is polled after it has ended, and as
    /// [`DrainSettings::drain_timeout`](crate::DrainSettings::drain_timeout) does.
    pub struct TaskScopeFuture<F: Future, Failure: FailurePolicy<F::Output> = ()> {
        #[pin]
        drained: Drained<F, Failure>,
    }
}

impl<F: Future, Failure: FailurePolicy<F::Output>> TaskScopeFuture<F, Failure> {
    pub(super) fn new(inner: F, role: Role, failure: Failure) -> Self {
        Self {
            drained: Drained::new(inner, role, failure),
        }
    }
}

impl<F: Future, Failure: FailurePolicy<F::Output>> Future for TaskScopeFuture<F, Failure> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().drained.poll(cx).map(|(answer, _)| answer)
    }
}

impl<F: Future, Failure: FailurePolicy<F::Output>> fmt::Debug for TaskScopeFuture<F, Failure> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskScopeFuture")
            .field("drained", &self.drained)
            .finish_non_exhaustive()
    }
}
