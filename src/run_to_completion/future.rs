//! The future of a handler that runs to its end.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::panics;
use crate::request::abandoned::can_spawn_rest;
use crate::tasks::handler::spawn_rest;
use crate::trace::Span;

/// The future of [`RunToCompletionService`](crate::RunToCompletionService): the inner future in a box.
///
/// # Cancel safety
///
/// If it is dropped before its end, the inner future goes on as a task, or is dropped in place: see
/// [`RunToCompletionLayer`](crate::RunToCompletionLayer).
///
/// # Panics
///
/// Panics if it is polled after it has ended.
pub struct RunToCompletionFuture<F>
where
    F: Future + Send + 'static,
{
    /// `None` once the inner future has ended.
    inner: Option<Pin<Box<F>>>,
    /// True during a poll. If the destructor finds it true, the inner future has panicked.
    is_polled: bool,
    /// The span that was current when the service was called.
    span: Option<Span>,
    /// The place where the layer was made.
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
            span: Span::current(),
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
        let Some(inner) = self.inner.take() else {
            return;
        };
        // After a panic of the handler there is nothing left to complete.
        if self.is_polled || !can_spawn_rest() {
            return;
        }
        let mut rest = Some(inner);
        let mut run_on = || {
            if let Some(rest) = rest.take() {
                spawn_rest(rest, self.location);
            }
        };
        // The code that drops this may run in no span, so the span of the request is entered. If a subscriber panics,
        // the handler is still spawned, and the panic does not leave this destructor.
        if let Some(span) = &self.span {
            let _ = panics::caught(|| span.in_scope(&mut run_on));
        }
        let _ = panics::caught(run_on);
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
