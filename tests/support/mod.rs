//! Helpers that the tests share.

pub(crate) mod deadlines;
mod frames;
mod log;
mod play;
pub(crate) mod refusals;
mod runtimes;
mod watch;

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response};
use http_body_util::Full;
use tokio::time::Instant;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_task_tracker::{ResponseBody, TaskTrackerLayer, TaskTrackerService, Tasks};

pub(crate) use self::frames::Frames;
pub(crate) use self::log::{Log, assert_adds_up, observed};
pub(crate) use self::play::{Act, Play, read_all};
pub(crate) use self::runtimes::{paused_runtime, runtime, timeless_runtime};
pub(crate) use self::watch::{DropTime, LastWords, Wakes};

pub(crate) type Body = Full<Bytes>;

pub(crate) fn request() -> Request<()> {
    Request::new(())
}

/// A request with these fields, in their order.
pub(crate) fn with_fields(name: &'static str, values: &[&[u8]]) -> Request<()> {
    let mut request = request();
    for value in values {
        let value = HeaderValue::from_bytes(value).expect("a header's value");
        let name = HeaderName::from_static(name);
        request.headers_mut().append(name, value);
    }
    request
}

pub(crate) fn with_field(name: &'static str, value: impl AsRef<[u8]>) -> Request<()> {
    with_fields(name, &[value.as_ref()])
}

/// A response whose whole body is there.
pub(crate) fn full(body: &'static str) -> Response<Body> {
    Response::new(Full::from(body))
}

/// A handler that runs `start` and then answers with a whole body.
pub(crate) fn tracked<F>(
    layer: &TaskTrackerLayer,
    start: F,
) -> TaskTrackerService<
    impl Service<
        Request<()>,
        Response = Response<Body>,
        Error = Infallible,
        Future = impl Future<Output = Result<Response<Body>, Infallible>> + Send + use<F>,
    > + Clone
    + use<F>,
>
where
    F: Fn() + Clone + Send + 'static,
{
    slow(layer, Duration::ZERO, start)
}

/// A handler that takes so long, runs `start` and then answers with a whole body.
pub(crate) fn slow<F>(
    layer: &TaskTrackerLayer,
    handling: Duration,
    start: F,
) -> TaskTrackerService<
    impl Service<
        Request<()>,
        Response = Response<Body>,
        Error = Infallible,
        Future = impl Future<Output = Result<Response<Body>, Infallible>> + Send + use<F>,
    > + Clone
    + use<F>,
>
where
    F: Fn() + Clone + Send + 'static,
{
    layer.layer(service_fn(move |_: Request<()>| {
        let start = start.clone();
        async move {
            // A sleep of zero is no turn of the scheduler, but may be one tick of the timer.
            if !handling.is_zero() {
                tokio::time::sleep(handling).await;
            }
            start();
            Ok(full("done"))
        }
    }))
}

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Waits in virtual time.
pub(crate) async fn after(millis: u64) {
    tokio::time::sleep(ms(millis)).await;
}

/// A place to hand something out of a handler.
pub(crate) type Slot<T> = Arc<Mutex<Option<T>>>;

pub(crate) fn put<T>(slot: &Slot<T>, value: T) {
    *slot.lock().expect("no panic holds this lock") = Some(value);
}

#[track_caller]
pub(crate) fn take<T>(slot: &Slot<T>) -> T {
    let value = slot.lock().expect("no panic holds this lock").take();
    value.expect("it was put there")
}

#[track_caller]
pub(crate) fn current() -> Tasks {
    Tasks::current().expect("in a request")
}

/// For how long a request is held that runs `start`.
pub(crate) async fn held(
    layer: &TaskTrackerLayer,
    start: impl Fn() + Clone + Send + 'static,
) -> Duration {
    let arrived = Instant::now();
    drop(tracked(layer, start).oneshot(request()).await);
    arrived.elapsed()
}

/// Spawns a task that would run for ten minutes, and does something in its destructor.
pub(crate) fn slow_with(last_words: impl FnOnce() + Send + 'static) {
    tower_task_tracker::named("slow").spawn(async move {
        let _last_words = LastWords::new(last_words);
        after(600_000).await;
    });
}

/// The response of a handler that runs `start` and then makes a body.
pub(crate) async fn respond<B, S>(
    layer: &TaskTrackerLayer,
    method: Method,
    body: S,
) -> Response<ResponseBody<B>>
where
    B: http_body::Body,
    S: Fn() -> B,
{
    let mut request = request();
    *request.method_mut() = method;
    let service = service_fn(|_: Request<()>| {
        let response = Response::new(body());
        async { Ok::<_, Infallible>(response) }
    });
    let answered = layer.layer(service).oneshot(request).await;
    answered.expect("infallible")
}
