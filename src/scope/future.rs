//! The future of a scoped answer.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::drained::Drained;
use super::failure_policy::FailurePolicy;
use super::role::Role;

pin_project! {
    /// The future of [`TaskScopeService`](crate::TaskScopeService): the inner future, and then the wait
    /// for the tasks.
    ///
    /// It keeps the answer, or the error, while that is held. So it is `Send` only if both of them are,
    /// beside the inner future.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the inner future or its answer;
    /// [`at_disconnect`](crate::TaskScopeLayer::at_disconnect) says what becomes of the tasks, and the
    /// report says [`Dropped`](crate::Outcome::Dropped).
    ///
    /// # Panics
    ///
    /// When polled after it has ended, or where it has to wait on a runtime without time.
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
