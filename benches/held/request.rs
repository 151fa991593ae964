//! A request with a task, whose response is held in one of several ways.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tokio::task::JoinHandle;
use tokio::time::{Sleep, sleep, timeout};
use tokio_util::task::TaskTracker;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_task_tracker::TaskTrackerLayer;

/// The duration of the task of a request.
pub(crate) const TASK: Duration = Duration::from_millis(100);

/// The default drain timeout of the layer.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(25);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// The handler does the work itself.
    NoTask,
    /// The handler waits for a tracker of its own, with a limit.
    ByHand,
    Layer,
}

/// When a request arrived, and when its response was ready.
pub(crate) type Times = (Instant, Instant);

impl Way {
    /// Returns the name of this way in a table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NoTask => "no task: the handler waits 100 ms",
            Self::ByHand => "by hand: `TaskTracker` and `timeout` in the handler",
            Self::Layer => "`TaskTrackerLayer`",
        }
    }

    /// Returns a function that starts one request each time it is called.
    pub(crate) fn starter(self) -> Box<dyn Fn() -> JoinHandle<Times>> {
        match self {
            Self::NoTask => starter(service_fn(no_task)),
            Self::ByHand => starter(service_fn(by_hand)),
            Self::Layer => starter(TaskTrackerLayer::new().layer(service_fn(tracked))),
        }
    }
}

/// Returns the task. Its time starts with this call, so the first poll does not matter.
pub(crate) fn task() -> Sleep {
    sleep(TASK)
}

type Answer = Result<Response<Full<Bytes>>, Infallible>;

async fn no_task(_: Request<()>) -> Answer {
    task().await;
    Ok(answer())
}

async fn by_hand(_: Request<()>) -> Answer {
    let tracker = TaskTracker::new();
    tracker.spawn(task());
    tracker.close();
    // A late response is still a response.
    let _ = timeout(DRAIN_TIMEOUT, tracker.wait()).await;
    Ok(answer())
}

async fn tracked(_: Request<()>) -> Answer {
    tower_task_tracker::spawn(task());
    Ok(answer())
}

fn answer() -> Response<Full<Bytes>> {
    Response::new(Full::from("hello"))
}

fn starter<S, B>(service: S) -> Box<dyn Fn() -> JoinHandle<Times>>
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send,
    B: Body<Data: Send, Error: Send> + Send + 'static,
{
    // The spawned future contains a pointer, so that its size does not depend on the service.
    let service = Arc::new(service);
    Box::new(move || tokio::spawn(serve(service.clone())))
}

async fn serve<S, B>(service: Arc<S>) -> Times
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible> + Clone,
    B: Body,
{
    let start = Instant::now();
    let Ok(response) = S::clone(&service).oneshot(Request::new(())).await;
    let body = response.into_body().collect().await;
    assert!(body.is_ok(), "nothing fails here");
    (start, Instant::now())
}
