//! The service for HTTP.

use std::fmt;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use http::request::Parts;
use http::{HeaderMap, HeaderName, Request, Response};
use http_body::Body;
use tower_service::Service;

use super::body::ResponseBody;
use super::fields::first_of;
use super::future::ResponseFuture;
use super::hold::Exchange;
use crate::deadline::Sources;
use crate::request::Shared;
use crate::request::context::Context;
use crate::scope::role::{Role, add_limits, has_limits, is_held};
use crate::tasks::Tasks;
use crate::{metrics, trace};

/// The service of a [`TaskTrackerLayer`](crate::TaskTrackerLayer).
///
/// Its request and error types are those of the inner service. Its readiness is that of the inner service. It is
/// `Clone` if the inner service is.
///
/// # Panics
///
/// A panic of the inner service, in `call` or in its future, is passed on. The request then counts as dropped.
#[derive(Clone)]
pub struct TaskTrackerService<S> {
    inner: S,
    shared: Arc<Shared>,
    sources: Sources<Parts>,
    max_live_tasks: Option<usize>,
}

impl<S> TaskTrackerService<S> {
    pub(crate) fn new(
        inner: S,
        shared: Arc<Shared>,
        sources: Sources<Parts>,
        max_live_tasks: Option<usize>,
    ) -> Self {
        Self {
            inner,
            shared,
            sources,
            max_live_tasks,
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

    #[inline]
    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let exchange = Exchange::of(&request);
        let outer = outer(&request);
        if self.is_overloaded(outer.as_ref()) {
            return ResponseFuture::shed(exchange);
        }
        // Before the inner service is called: if that panics, the drop of `role` reports the request.
        let id = || request_id(request.headers());
        let (mut role, tracked) = Role::new(outer, &self.shared, id);
        if has_limits(&self.shared.settings, &self.sources) {
            let (parts, body) = request.into_parts();
            add_limits(&tracked, &self.shared.settings, &self.sources, &parts);
            request = Request::from_parts(parts, body);
        }
        request.extensions_mut().insert(Tasks { request: tracked });
        let entered = role.enter();
        let inner = self.inner.call(request);
        drop(entered);
        ResponseFuture::new(inner, role, exchange)
    }
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

impl<S> TaskTrackerService<S> {
    fn is_overloaded(&self, outer: Option<&Tasks>) -> bool {
        let Some(max) = self.max_live_tasks else {
            return false;
        };
        let process = outer.map_or(&self.shared.process, |tasks| tasks.request.process());
        let live = process.load();
        if live < max {
            return false;
        }
        trace::shed(live);
        metrics::shed();
        true
    }
}

/// Returns the tasks of an enclosing layer or scope that this request belongs to.
#[inline]
fn outer<B>(request: &Request<B>) -> Option<Tasks> {
    if Context::is_nowhere() && request.extensions().is_empty() {
        return None;
    }
    find_outer(request)
}

fn find_outer<B>(request: &Request<B>) -> Option<Tasks> {
    // The context comes first, because a scope may be between the two layers. The extensions are for a request that was
    // passed to another task, where the context is lost.
    let current = Tasks::current().filter(is_held);
    current.or_else(|| request.extensions().get().cloned().filter(is_held))
}

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Returns the `x-request-id`, which a proxy or middleware outside of the layer has set.
#[inline]
fn request_id(headers: &HeaderMap) -> Option<String> {
    if headers.is_empty() {
        return None;
    }
    find_request_id(headers)
}

fn find_request_id(headers: &HeaderMap) -> Option<String> {
    let id = first_of(headers, &REQUEST_ID)?;
    id.to_str().ok().map(str::to_owned)
}
