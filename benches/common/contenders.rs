//! Who is measured: the same handler, served in several ways.

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

/// The layer's own default.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(25);

/// Makes each of a request's tasks.
pub(crate) trait Task<F>: Fn() -> F + Copy + Send + Sync + 'static {}

impl<F, M> Task<F> for M where M: Fn() -> F + Copy + Send + Sync + 'static {}

/// Of the handler.
pub(crate) fn answer() -> Response<Full<Bytes>> {
    Response::new(Full::from("thank you"))
}

/// Spawns nothing.
pub(crate) fn handler()
-> impl Service<Request<()>, Response = Response<Full<Bytes>>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ 'static {
    service_fn(|_: Request<()>| async { Ok::<_, Infallible>(answer()) })
}

/// The handler alone.
pub(crate) fn bare() -> Contender {
    Contender::new(handler())
}

pub(crate) fn add_extension() -> Contender {
    Contender::new(AddExtensionLayer::new(Arc::new("state")).layer(handler()))
}

/// The layer, and a handler that spawns nothing.
pub(crate) fn ours_idle() -> Contender {
    Contender::new(TaskTrackerLayer::new().layer(handler()))
}

/// The layer, and so many empty tasks spawned through the handle in the request.
pub(crate) fn ours(tasks: usize) -> Contender {
    ours_with(&TaskTrackerLayer::new(), tasks, || async {})
}

/// The same with a layer that has settings, or with other tasks.
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

/// The same through the free function.
pub(crate) fn ours_free(tasks: usize) -> Contender {
    let handler = service_fn(move |_: Request<()>| async move {
        for _ in 0..tasks {
            spawn(async {});
        }
        Ok::<_, Infallible>(answer())
    });
    Contender::new(TaskTrackerLayer::new().layer(handler))
}

/// By hand, with the same powers.
pub(crate) fn join_set(tasks: usize) -> Contender {
    join_set_with(tasks, || async {})
}

/// The same with other tasks.
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

/// By hand, with the fewest powers.
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
