//! Who is measured: the same handler, served in several ways.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use std::future::poll_fn;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;
use tower::{Layer, Service, service_fn};
use tower_http::add_extension::AddExtensionLayer;
use tower_task_tracker::{TaskTrackerLayer, Tasks, spawn};

use crate::measure::in_a_task;

const TIMEOUT: Duration = Duration::from_secs(25);

type Running = Pin<Box<dyn Future<Output = Duration>>>;

/// A way to serve requests.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    run: Box<dyn Fn(u32) -> Running>,
}

impl Contender {
    /// Serves so many requests, and says how long that took.
    pub(crate) fn run(&self, requests: u32) -> Running {
        (self.run)(requests)
    }

    fn new<S, B>(name: &'static str, service: S) -> Self
    where
        S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
        S: Clone + Send + 'static,
        S::Future: Send,
        B: Body + Send + 'static,
    {
        let run = move |requests| {
            let mut service = service.clone();
            let all = async move {
                for _ in 0..requests {
                    let Ok(response) = service.call(Request::new(())).await;
                    read(response.into_body()).await;
                }
            };
            Box::pin(in_a_task(all)) as Running
        };
        Self {
            name,
            run: Box::new(run),
        }
    }
}

/// Reads a body to its end, as a server does.
async fn read<B: Body>(body: B) {
    let mut body = pin!(body);
    while !body.is_end_stream() {
        if poll_fn(|cx| body.as_mut().poll_frame(cx)).await.is_none() {
            break;
        }
    }
}

fn answer() -> Response<Full<Bytes>> {
    Response::new(Full::from("thank you"))
}

/// The handler alone.
pub(crate) fn bare() -> Contender {
    let handler = service_fn(|_: Request<()>| async { Ok::<_, Infallible>(answer()) });
    Contender::new("the handler alone", handler)
}

pub(crate) fn add_extension() -> Contender {
    let handler = service_fn(|_: Request<()>| async { Ok::<_, Infallible>(answer()) });
    Contender::new(
        "`AddExtensionLayer`",
        AddExtensionLayer::new(TaskTracker::new()).layer(handler),
    )
}

/// The layer, and a handler that spawns nothing.
pub(crate) fn ours_idle() -> Contender {
    let handler = service_fn(|_: Request<()>| async { Ok::<_, Infallible>(answer()) });
    Contender::new("ours", TaskTrackerLayer::new().layer(handler))
}

/// The layer, and so many empty tasks spawned through the handle in the request.
pub(crate) fn ours(tasks: usize) -> Contender {
    let handler = service_fn(move |request: Request<()>| async move {
        let own: &Tasks = request.extensions().get().expect("the layer's");
        for _ in 0..tasks {
            own.spawn(async {});
        }
        Ok::<_, Infallible>(answer())
    });
    Contender::new("ours", TaskTrackerLayer::new().layer(handler))
}

/// The same through the free function.
pub(crate) fn ours_free(tasks: usize) -> Contender {
    let handler = service_fn(move |_: Request<()>| async move {
        for _ in 0..tasks {
            spawn(async {});
        }
        Ok::<_, Infallible>(answer())
    });
    Contender::new("ours", TaskTrackerLayer::new().layer(handler))
}

/// By hand, with the same powers.
pub(crate) fn join_set(tasks: usize) -> Contender {
    let handler = service_fn(move |_: Request<()>| async move {
        let mut set = JoinSet::new();
        for _ in 0..tasks {
            set.spawn(async {});
        }
        let drained = async { while set.join_next().await.is_some() {} };
        if tokio::time::timeout(TIMEOUT, drained).await.is_err() {
            set.abort_all();
        }
        Ok::<_, Infallible>(answer())
    });
    Contender::new("`JoinSet` + timeout + `abort_all`", handler)
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
    Contender::new("`TaskTracker` + timeout", handler)
}
