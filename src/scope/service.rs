//! The service that a scope layer makes.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower_service::Service;

use super::asks::Asks;
use super::fails::Fails;
use super::future::TaskScopeFuture;
use super::role::{Role, is_held, tell_limits};
use crate::request::Shared;
use crate::tasks::Tasks;

/// The service that [`TaskScopeLayer`](crate::TaskScopeLayer) makes.
///
/// Request, response and error types are those of the inner service, readiness is passed through, and
/// it is `Clone` where the inner service is.
///
/// # Panics
///
/// A panic of the inner service, in `call` or while its future is polled, is passed on; its request
/// counts as dropped.
#[derive(Clone)]
pub struct TaskScopeService<S, D = (), X = ()> {
    inner: S,
    shared: Arc<Shared>,
    deadlines: D,
    failure: X,
}

impl<S, D, X> TaskScopeService<S, D, X> {
    pub(super) fn new(inner: S, shared: Arc<Shared>, deadlines: D, failure: X) -> Self {
        Self {
            inner,
            shared,
            deadlines,
            failure,
        }
    }

    /// The inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The inner service. What it is called with directly is not tracked.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The inner service.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<R, S, D, X> Service<R> for TaskScopeService<S, D, X>
where
    S: Service<R>,
    D: Asks<R>,
    X: Fails<Result<S::Response, S::Error>> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = TaskScopeFuture<S::Future, X>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        // Made before the inner service is called: if that panics, dropping it reports the request.
        let outer = Tasks::current().filter(is_held);
        let (mut role, tracked) = Role::new(outer, &self.shared, || None);
        tell_limits(&tracked, &self.shared.settings, &self.deadlines, &request);
        let inner = {
            let _entered = role.enter();
            self.inner.call(request)
        };
        TaskScopeFuture::new(inner, role, self.failure.clone())
    }
}

impl<S: fmt::Debug, D: fmt::Debug, X> fmt::Debug for TaskScopeService<S, D, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskScopeService")
            .field("inner", &self.inner)
            .field("settings", &self.shared.settings)
            .field("deadlines", &self.deadlines)
            .finish_non_exhaustive()
    }
}
