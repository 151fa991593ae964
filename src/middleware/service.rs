//! The service that the layer makes.

use std::fmt;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use http::{HeaderMap, Request, Response};
use http_body::Body;
use tokio::time::Instant;
use tower_service::Service;

use super::body::ResponseBody;
use super::future::{ResponseFuture, Role};
use super::hold::Exchange;
use crate::deadline::{self, Sources};
use crate::drain::Drain;
use crate::registry::context::Context;
use crate::registry::{Registry, Shared};
use crate::tasks::Tasks;
use crate::{metrics, trace};

/// The service that [`TaskTrackerLayer`](crate::TaskTrackerLayer) makes.
///
/// Request and error types are those of the inner service, readiness is passed through, and it is
/// `Clone` where the inner service is.
///
/// # Panics
///
/// A panic of the inner service, in `call` or while its future is polled, is passed on; its
/// request counts as dropped.
#[derive(Clone)]
pub struct TaskTrackerService<S> {
    inner: S,
    shared: Arc<Shared>,
    sources: Sources,
    max_live_tasks: Option<usize>,
}

impl<S> TaskTrackerService<S> {
    pub(crate) fn new(
        inner: S,
        shared: Arc<Shared>,
        sources: Sources,
        max_live_tasks: Option<usize>,
    ) -> Self {
        Self {
            inner,
            shared,
            sources,
            max_live_tasks,
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

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let exchange = Exchange::of(request.method());
        let outer = outer(&request);
        if self.is_overloaded(outer.as_ref()) {
            return ResponseFuture::shed(exchange);
        }
        // Made before the inner service is called: if that panics, dropping it reports the request.
        let (mut role, request) = self.role(outer, request);
        let inner = {
            let _entered = role.enter();
            self.inner.call(request)
        };
        ResponseFuture::new(inner, role, exchange)
    }
}

impl<S> TaskTrackerService<S> {
    /// Whether the request is ours, or belongs to a layer or scope further out.
    fn role<B>(&self, outer: Option<Tasks>, mut request: Request<B>) -> (Role, Request<B>) {
        if let Some(tasks) = outer {
            tasks.registry.overlay(&self.shared.settings);
            let mut request = self.limit(&tasks.registry, request);
            request.extensions_mut().insert(tasks.clone());
            return (Role::Nested(Context::In(tasks.registry)), request);
        }
        let (drain, registry) = Drain::new(self.shared.clone(), request_id(request.headers()));
        request = self.limit(&registry, request);
        request.extensions_mut().insert(Tasks { registry });
        (Role::Owner(drain), request)
    }

    fn is_overloaded(&self, outer: Option<&Tasks>) -> bool {
        let Some(max) = self.max_live_tasks else {
            return false;
        };
        let process = outer.map_or(&self.shared.process, |tasks| tasks.registry.process());
        let live = process.load();
        if live < max {
            return false;
        }
        trace::shed(live);
        metrics::shed();
        true
    }

    /// Tells the request of the limits that are known as it arrives.
    fn limit<B>(&self, registry: &Registry, request: Request<B>) -> Request<B> {
        let total_timeout = self.shared.settings.window.total_timeout.flatten();
        if self.sources.is_empty() && total_timeout.is_none() {
            return request;
        }
        let now = Instant::now();
        let (parts, body) = request.into_parts();
        let limits = deadline::limits(&self.sources, &registry.asked(), &parts, now);
        registry.limit(total_timeout.map(|_| now), limits, &self.sources);
        Request::from_parts(parts, body)
    }
}

/// The tasks of a layer or scope further out that this request belongs to.
fn outer<B>(request: &Request<B>) -> Option<Tasks> {
    // One that was released holds nothing any more: what is served over an upgraded connection, or
    // called by a straggler, is a request of its own. Nor does the work of the process hold.
    let holds = |tasks: &Tasks| !tasks.is_released() && !tasks.registry.is_process();
    let extension = request.extensions().get::<Tasks>().cloned().filter(holds);
    extension.or_else(|| Tasks::current().filter(holds))
}

/// The id that middleware further out, or a proxy, has given the request.
fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get("x-request-id")?;
    id.to_str().ok().map(str::to_owned)
}

impl<S: fmt::Debug> fmt::Debug for TaskTrackerService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskTrackerService")
            .field("inner", &self.inner)
            .field("settings", &self.shared.settings)
            .field("sources", &self.sources)
            .finish_non_exhaustive()
    }
}
