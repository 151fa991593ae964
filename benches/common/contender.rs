//! A way to serve requests, and the time it takes.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::time::{Duration, Instant};

use http::{Request, Response};
use http_body::Body;
use tower::Service;

type Running = Pin<Box<dyn Future<Output = Duration>>>;

/// A way to serve requests.
pub(crate) struct Contender {
    run: Box<dyn Fn(u64) -> Running>,
}

impl Contender {
    /// Serves this many requests, and returns how long that took.
    pub(crate) fn run(&self, requests: u64) -> Running {
        (self.run)(requests)
    }

    pub(crate) fn new<S, B>(service: S) -> Self
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
        Self { run: Box::new(run) }
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

/// Runs the requests one after another in a task: waking the root future of `block_on` would cost more than what is
/// measured.
async fn in_a_task<F>(requests: F) -> Duration
where
    F: Future<Output = ()> + Send + 'static,
{
    let timed = tokio::spawn(async {
        let start = Instant::now();
        requests.await;
        start.elapsed()
    });
    timed.await.expect("no request panics")
}
