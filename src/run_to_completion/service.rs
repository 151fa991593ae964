//! The service for handlers that run to their end.

use std::future::Future;
use std::panic::Location;
use std::task::{Context, Poll};

use tower_service::Service;

use super::future::RunToCompletionFuture;

/// The service of a [`RunToCompletionLayer`](crate::RunToCompletionLayer).
///
/// Its request, response and error types are those of the inner service. Its readiness is that of the inner service. It
/// is `Clone` if the inner service is.
#[derive(Debug, Clone)]
pub struct RunToCompletionService<S> {
    inner: S,
    location: &'static Location<'static>,
}

impl<S> RunToCompletionService<S> {
    pub(super) fn new(inner: S, location: &'static Location<'static>) -> Self {
        Self { inner, location }
    }

    /// Returns the inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns the inner service.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Returns the inner service.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<R, S> Service<R> for RunToCompletionService<S>
where
    S: Service<R>,
    S::Future: Future + Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = RunToCompletionFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        RunToCompletionFuture::new(self.inner.call(request), self.location)
    }
}
