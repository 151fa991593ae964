//! The service that the layer makes.

use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::body::ResponseBody;
use super::future::{ResponseFuture, Role};
use super::hold::Exchange;
use crate::drain::Drain;
use crate::registry::Shared;
use crate::registry::context::Context;
use crate::tasks::Tasks;

/// The service that [`TaskTrackerLayer`](crate::TaskTrackerLayer) makes.
///
/// Request and error types are those of the inner service, readiness is passed through, and it is
/// `Clone` where the inner service is.
///
/// # Panics
///
/// A panic of the inner service, in `call` or while its future is polled, is passed on; its
/// request counts as dropped.
#[derive(Debug, Clone)]
pub struct TaskTrackerService<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> TaskTrackerService<S> {
    pub(crate) fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared }
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

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for TaskTrackerService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: Body,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let exchange = Exchange::of(request.method());
        // Made before the inner service is called: if that panics, dropping it reports the request.
        let mut role = self.role(&mut request);
        let inner = {
            let _entered = role.enter();
            self.inner.call(request)
        };
        ResponseFuture::new(inner, role, exchange)
    }
}

impl<S> TaskTrackerService<S> {
    /// Whether the request is ours, or belongs to a layer or scope further out.
    fn role<B>(&self, request: &mut Request<B>) -> Role {
        // One that was released holds nothing any more: what is served over an upgraded connection,
        // or called by a straggler, is a request of its own.
        let holds = |tasks: &Tasks| !tasks.is_released();
        let extension = request.extensions().get::<Tasks>().cloned().filter(holds);
        let found = extension.is_some();
        if let Some(tasks) = extension.or_else(|| Tasks::current().filter(holds)) {
            tasks.registry.overlay(&self.shared.settings);
            if !found {
                request.extensions_mut().insert(tasks.clone());
            }
            return Role::Nested(Context::In(tasks.registry));
        }
        let (drain, registry) = Drain::new(self.shared.clone());
        request.extensions_mut().insert(Tasks { registry });
        Role::Owner(drain)
    }
}
