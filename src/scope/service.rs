//! The service of a scope layer.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower_service::Service;

use super::failure_policy::FailurePolicy;
use super::future::TaskScopeFuture;
use super::role::{Role, add_limits, is_held};
use super::scope_deadlines::ScopeDeadlines;
use crate::request::Shared;
use crate::tasks::Tasks;

/// The service of a [`TaskScopeLayer`](crate::TaskScopeLayer).
///
/// Its request, response and error types are those of the inner service. Its readiness is that of the inner service. It
/// is `Clone` if the inner service is.
///
/// # Panics
///
/// A panic of the inner service, in `call` or in its future, is passed on. The request then counts as dropped.
#[derive(Clone)]
pub struct TaskScopeService<S, Deadlines = (), Failure = ()> {
    inner: S,
    shared: Arc<Shared>,
    deadlines: Deadlines,
    failure: Failure,
}

impl<S, Deadlines, Failure> TaskScopeService<S, Deadlines, Failure> {
    pub(super) fn new(
        inner: S,
        shared: Arc<Shared>,
        deadlines: Deadlines,
        failure: Failure,
    ) -> Self {
        Self {
            inner,
            shared,
            deadlines,
            failure,
        }
    }

    /// Returns the inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns the inner service. Requests that are passed directly to it are not tracked.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Returns the inner service.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<Request, S, Deadlines, Failure> Service<Request> for TaskScopeService<S, Deadlines, Failure>
where
    S: Service<Request>,
    Deadlines: ScopeDeadlines<Request>,
    Failure: FailurePolicy<Result<S::Response, S::Error>> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = TaskScopeFuture<S::Future, Failure>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // Before the inner service is called: if that panics, the drop of `role` reports the request.
        let outer = Tasks::current().filter(is_held);
        let (mut role, tracked) = Role::new(outer, &self.shared, || None);
        add_limits(&tracked, &self.shared.settings, &self.deadlines, &request);
        let inner = {
            let _entered = role.enter();
            self.inner.call(request)
        };
        TaskScopeFuture::new(inner, role, self.failure.clone())
    }
}

impl<S: fmt::Debug, Deadlines: fmt::Debug, Failure> fmt::Debug
    for TaskScopeService<S, Deadlines, Failure>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskScopeService")
            .field("inner", &self.inner)
            .field("settings", &self.shared.settings)
            .field("deadlines", &self.deadlines)
            .finish_non_exhaustive()
    }
}
