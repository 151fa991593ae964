//! A request that has a task, held in one way or another.

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

/// How long the task of a request takes.
pub(crate) const TASK: Duration = Duration::from_millis(100);

/// The layer's own default.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(25);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// The handler does the work itself.
    NoTask,
    /// The handler waits for a tracker of its own, with a limit.
    ByHand,
    Layer,
}

/// When a request came, and when its answer was there.
pub(crate) type Times = (Instant, Instant);

impl Way {
    /// What a table calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NoTask => "no task: the handler waits 100 ms",
            Self::ByHand => "by hand: `TaskTracker` and `timeout` in the handler",
            Self::Layer => "`TaskTrackerLayer`",
        }
    }

    /// What starts one request each time it is called.
    pub(crate) fn starter(self) -> Box<dyn Fn() -> JoinHandle<Times>> {
        match self {
            Self::NoTask => starter(service_fn(no_task)),
            Self::ByHand => starter(service_fn(by_hand)),
            Self::Layer => starter(TaskTrackerLayer::new().layer(service_fn(tracked))),
        }
    }
}

/// The task. Its time starts here, so that it does not matter when it is polled first.
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
    // An answer that is late is an answer.
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
    // The future that is spawned has room for a pointer, whatever the service is.
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
