//! CORS. Outside the tracker it answers preflights itself, and adds its headers to every answer. Inside it adds none to
//! the answer for a request that the tracker refuses.

use std::convert::Infallible;
use std::time::Duration;

use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use tokio::time::Instant;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
use tower_http::cors::CorsLayer;
use tower_task_tracker::{Outcome, TaskTrackerLayer, named};

use super::handlers::text;
use super::{LIMIT, NoBody, WORK, observed, request};
use crate::support::{Body, Log, full};

const SHOP: HeaderValue = HeaderValue::from_static("https://shop.example");

fn cors() -> CorsLayer {
    let layer = CorsLayer::new().allow_origin(SHOP);
    layer.allow_methods([Method::GET])
}

/// A request of a script of the shop.
fn from_the_shop(method: Method) -> Request<NoBody> {
    let mut request = request();
    request.headers_mut().insert(ORIGIN, SHOP);
    *request.method_mut() = method;
    request
}

/// The preflight that its browser sends before.
fn preflight() -> Request<NoBody> {
    let mut request = from_the_shop(Method::OPTIONS);
    let get = HeaderValue::from_static("GET");
    let headers = request.headers_mut();
    headers.insert(ACCESS_CONTROL_REQUEST_METHOD, get);
    request
}

/// An answer as a browser sees it.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    took: Duration,
}

async fn ask<S, B>(service: S, request: Request<NoBody>) -> Answer
where
    S: Service<Request<NoBody>, Response = Response<B>, Error = Infallible>,
{
    let start = Instant::now();
    let Ok(answer) = service.oneshot(request).await;
    Answer {
        status: answer.status(),
        headers: answer.headers().clone(),
        took: start.elapsed(),
    }
}

impl Answer {
    /// Whether a script may see it.
    fn is_shown(&self) -> bool {
        self.headers.get(ACCESS_CONTROL_ALLOW_ORIGIN) == Some(&SHOP)
    }
}

/// A handler whose answer fails with its task.
fn failing() -> impl Service<
    Request<NoBody>,
    Response = Response<Body>,
    Error = Infallible,
    Future = impl Future<Output = Result<Response<Body>, Infallible>> + Send,
> + Clone {
    service_fn(async |_| {
        let order = async {
            tokio::time::sleep(LIMIT).await;
            Err::<(), _>("no stock")
        };
        named("order").required().spawn(order);
        Ok(full("done"))
    })
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_held_and_shown_to_scripts_in_both_orders() {
    let (outside, inside) = (Log::default(), Log::default());
    let stack = ServiceBuilder::new().layer((cors(), observed(&outside)));
    let first = ask(
        stack.service(text(Duration::ZERO)),
        from_the_shop(Method::GET),
    )
    .await;
    let stack = ServiceBuilder::new().layer((observed(&inside), cors()));
    let second = ask(
        stack.service(text(Duration::ZERO)),
        from_the_shop(Method::GET),
    )
    .await;
    for (log, answer) in [(outside, first), (inside, second)] {
        assert_eq!((answer.status, answer.took), (StatusCode::OK, WORK));
        assert!(answer.is_shown(), "{answer:?}");
        assert_eq!(log.report().outcome, Outcome::Drained);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_a_failure_or_a_deadline_replaces_is_shown_to_scripts_in_both_orders() {
    let late = StatusCode::GATEWAY_TIMEOUT;
    let layer = || {
        let layer = observed(&Log::default()).drain_timeout(LIMIT);
        layer.deadline_status(late)
    };
    let get = || from_the_shop(Method::GET);
    let outside = || ServiceBuilder::new().layer((cors(), layer()));
    let inside = || ServiceBuilder::new().layer((layer(), cors()));
    let failed = StatusCode::INTERNAL_SERVER_ERROR;
    for (status, answer) in [
        (
            late,
            ask(outside().service(text(Duration::ZERO)), get()).await,
        ),
        (
            late,
            ask(inside().service(text(Duration::ZERO)), get()).await,
        ),
        (failed, ask(outside().service(failing()), get()).await),
        (failed, ask(inside().service(failing()), get()).await),
    ] {
        assert_eq!((answer.status, answer.took), (status, LIMIT));
        assert!(answer.is_shown(), "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_refused_is_shown_to_scripts_only_with_cors_outside() {
    let full = || TaskTrackerLayer::new().max_live_tasks(0);
    let refused = StatusCode::SERVICE_UNAVAILABLE;

    let stack = ServiceBuilder::new().layer((cors(), full()));
    let outside = ask(
        stack.service(text(Duration::ZERO)),
        from_the_shop(Method::GET),
    )
    .await;
    assert_eq!((outside.status, outside.is_shown()), (refused, true));

    let stack = ServiceBuilder::new().layer((full(), cors()));
    let inside = ask(
        stack.service(text(Duration::ZERO)),
        from_the_shop(Method::GET),
    )
    .await;
    assert_eq!((inside.status, inside.is_shown()), (refused, false));
}

#[tokio::test(start_paused = true)]
async fn a_preflight_is_refused_with_cors_inside_and_never_reaches_a_layer_inside_of_it() {
    let full = || TaskTrackerLayer::new().max_live_tasks(0);
    let stack = ServiceBuilder::new().layer((cors(), full()));
    let outside = ask(stack.service(text(Duration::ZERO)), preflight()).await;
    assert_eq!((outside.status, outside.is_shown()), (StatusCode::OK, true));

    let stack = ServiceBuilder::new().layer((full(), cors()));
    let inside = ask(stack.service(text(Duration::ZERO)), preflight()).await;
    let refused = StatusCode::SERVICE_UNAVAILABLE;
    assert_eq!((inside.status, inside.is_shown()), (refused, false));
}

#[tokio::test(start_paused = true)]
async fn a_preflight_is_not_held_with_cors_inside_but_waits_for_what_is_awaited_before_each_release()
 {
    let stack = ServiceBuilder::new().layer((observed(&Log::default()), cors()));
    let inside = ask(stack.service(text(Duration::ZERO)), preflight()).await;
    assert_eq!((inside.took, inside.is_shown()), (Duration::ZERO, true));

    let flushes = || TaskTrackerLayer::new().before_release(|_| tokio::time::sleep(LIMIT));
    let stack = ServiceBuilder::new().layer((flushes(), cors()));
    let inside = ask(stack.service(text(Duration::ZERO)), preflight()).await;
    assert_eq!((inside.took, inside.is_shown()), (LIMIT, true));

    let stack = ServiceBuilder::new().layer((cors(), flushes()));
    let outside = ask(stack.service(text(Duration::ZERO)), preflight()).await;
    assert_eq!((outside.took, outside.is_shown()), (Duration::ZERO, true));
}
