//! The contenders: the same handler, served in several ways.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;
use tower::{Layer, Service, service_fn};
use tower_http::add_extension::AddExtensionLayer;
use tower_task_tracker::{TaskTrackerLayer, Tasks, spawn};

use crate::contender::Contender;

/// The default drain timeout of the layer.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(25);

/// Makes the tasks of a request.
pub(crate) trait Task<F>: Fn() -> F + Copy + Send + Sync + 'static {}

impl<F, M> Task<F> for M where M: Fn() -> F + Copy + Send + Sync + 'static {}

/// Returns the response of every handler.
pub(crate) fn answer() -> Response<Full<Bytes>> {
    Response::new(Full::from("thank you"))
}

/// Returns a handler that spawns nothing.
pub(crate) fn handler()
-> impl Service<Request<()>, Response = Response<Full<Bytes>>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ 'static {
    service_fn(|_: Request<()>| async { Ok::<_, Infallible>(answer()) })
}

/// Returns the handler without a layer.
pub(crate) fn bare() -> Contender {
    Contender::new(handler())
}

pub(crate) fn add_extension() -> Contender {
    Contender::new(AddExtensionLayer::new(Arc::new("state")).layer(handler()))
}

/// Returns the layer with a handler that spawns nothing.
pub(crate) fn ours_idle() -> Contender {
    Contender::new(TaskTrackerLayer::new().layer(handler()))
}

/// Returns the layer with a handler that spawns this many empty tasks through the `Tasks` in the request.
pub(crate) fn ours(tasks: usize) -> Contender {
    ours_with(&TaskTrackerLayer::new(), tasks, || async {})
}

/// Like [`ours`], with a given layer and given tasks.
pub(crate) fn ours_with<F>(layer: &TaskTrackerLayer, tasks: usize, task: impl Task<F>) -> Contender
where
    F: Future<Output = ()> + Send + 'static,
{
    let handler = service_fn(move |request: Request<()>| async move {
        let own: &Tasks = request.extensions().get().expect("the layer's");
        for _ in 0..tasks {
            own.spawn(task());
        }
        Ok::<_, Infallible>(answer())
    });
    Contender::new(layer.layer(handler))
}

/// Like [`ours`], with the free function `spawn`.
pub(crate) fn ours_free(tasks: usize) -> Contender {
    let handler = service_fn(move |_: Request<()>| async move {
        for _ in 0..tasks {
            spawn(async {});
        }
        Ok::<_, Infallible>(answer())
    });
    Contender::new(TaskTrackerLayer::new().layer(handler))
}

/// Returns a handler that does by hand what the layer does: it waits for its tasks with a limit, and aborts the rest.
pub(crate) fn join_set(tasks: usize) -> Contender {
    join_set_with(tasks, || async {})
}

/// Like [`join_set`], with given tasks.
pub(crate) fn join_set_with<F>(tasks: usize, task: impl Task<F>) -> Contender
where
    F: Future<Output = ()> + Send + 'static,
{
    let handler = service_fn(move |_: Request<()>| async move {
        let mut set = JoinSet::new();
        for _ in 0..tasks {
            set.spawn(task());
        }
        let drained = async { while set.join_next().await.is_some() {} };
        if tokio::time::timeout(TIMEOUT, drained).await.is_err() {
            set.abort_all();
        }
        Ok::<_, Infallible>(answer())
    });
    Contender::new(handler)
}

/// Returns a handler that does the least by hand: it waits for its tasks with a limit.
pub(crate) fn task_tracker(tasks: usize) -> Contender {
    let handler = service_fn(move |_: Request<()>| async move {
        let tracker = TaskTracker::new();
        for _ in 0..tasks {
            tracker.spawn(async {});
        }
        tracker.close();
        let _ = tokio::time::timeout(TIMEOUT, tracker.wait()).await;
        Ok::<_, Infallible>(answer())
    });
    Contender::new(handler)
}
