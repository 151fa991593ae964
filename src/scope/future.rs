//! The future of a scoped answer.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::drained::Drained;
use super::fails::Fails;
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
    pub struct TaskScopeFuture<F: Future, X: Fails<F::Output> = ()> {
        #[pin]
        drained: Drained<F, X>,
    }
}

impl<F: Future, X: Fails<F::Output>> TaskScopeFuture<F, X> {
    pub(super) fn new(inner: F, role: Role, failure: X) -> Self {
        Self {
            drained: Drained::new(inner, role, failure),
        }
    }
}

impl<F: Future, X: Fails<F::Output>> Future for TaskScopeFuture<F, X> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().drained.poll(cx).map(|(answer, _)| answer)
    }
}

impl<F: Future, X: Fails<F::Output>> fmt::Debug for TaskScopeFuture<F, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskScopeFuture")
            .field("drained", &self.drained)
            .finish_non_exhaustive()
    }
}
