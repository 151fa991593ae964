//! The future of a scoped answer.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::drained::Drained;
use super::fails::Fails;
use super::role::Role;
use crate::registry::context::Context as TrackingContext;

pin_project! {
    /// The future of [`TaskScopeService`](crate::TaskScopeService): the inner future, and then the wait
    /// for the tasks.
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
    pub struct TaskScopeFuture<F: Future, X = ()> {
        #[pin]
        drained: Drained<F>,
        failure: X,
    }
}

impl<F: Future, X> TaskScopeFuture<F, X> {
    pub(super) fn new(inner: F, role: Role, failure: X) -> Self {
        Self {
            drained: Drained::new(inner, role),
            failure,
        }
    }
}

impl<F: Future, X: Fails<F::Output>> Future for TaskScopeFuture<F, X> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let (answer, report) = ready!(this.drained.poll(cx));
        Poll::Ready(match report.filter(|report| report.required_failed) {
            Some(report) => {
                // What it spawns belongs to no request.
                let mut outside = TrackingContext::Untracked;
                let _entered = outside.enter();
                this.failure.fail(answer, &report)
            }
            None => answer,
        })
    }
}

impl<F: Future, X> fmt::Debug for TaskScopeFuture<F, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskScopeFuture")
            .field("drained", &self.drained)
            .finish_non_exhaustive()
    }
}
