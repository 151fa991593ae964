//! The future of a handler that runs to its end.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

use crate::tasks::handler::run_on;

/// The future of [`RunToCompletionService`](crate::RunToCompletionService): the inner future in a box.
///
/// # Cancel safety
///
/// Dropped before its end, the inner future goes on as a task.
///
/// # Panics
///
/// When polled after it has ended.
pub struct RunToCompletionFuture<F>
where
    F: Future + Send + 'static,
{
    /// `None` once it has ended.
    inner: Option<Pin<Box<F>>>,
    /// It is being polled. Seen by the destructor: that has panicked.
    is_polled: bool,
    /// Where the layer was made.
    location: &'static Location<'static>,
}

impl<F> RunToCompletionFuture<F>
where
    F: Future + Send + 'static,
{
    pub(super) fn new(inner: F, location: &'static Location<'static>) -> Self {
        Self {
            inner: Some(Box::pin(inner)),
            is_polled: false,
            location,
        }
    }
}

impl<F> Future for RunToCompletionFuture<F>
where
    F: Future + Send + 'static,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let Some(inner) = &mut this.inner else {
            panic!("`RunToCompletionFuture` polled after it has ended");
        };
        this.is_polled = true;
        let polled = inner.as_mut().poll(cx);
        this.is_polled = false;
        if polled.is_ready() {
            this.inner = None;
        }
        polled
    }
}

impl<F> Drop for RunToCompletionFuture<F>
where
    F: Future + Send + 'static,
{
    fn drop(&mut self) {
        // After a panic there is nothing to be completed, and without a runtime nobody to do it.
        if self.is_polled || Handle::try_current().is_err() {
            return;
        }
        if let Some(inner) = self.inner.take() {
            run_on(inner, self.location);
        }
    }
}

impl<F> fmt::Debug for RunToCompletionFuture<F>
where
    F: Future + Send + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunToCompletionFuture")
            .field("has_ended", &self.inner.is_none())
            .finish_non_exhaustive()
    }
}
