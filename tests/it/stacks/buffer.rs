//! A buffer calls its service in a task of its own. Outside the tracker that changes nothing. Inside it, `call` runs
//! without the request's context.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::time::Duration;

use http::{Request, Response};
use tokio::time::timeout;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
use tower_task_tracker::{Outcome, Tasks};

use super::handlers::{leave_work_behind, text};
use super::{LIMIT, NoBody, WORK, answer, observed, request};
use crate::support::{Body, Log, full};

#[tokio::test(start_paused = true)]
async fn through_a_buffer_the_head_is_held_in_both_orders() {
    let log = Log::default();
    let outside = ServiceBuilder::new().buffer(8).layer(observed(&log));
    let (_, took) = answer(outside.service(text(Duration::ZERO))).await;
    assert_eq!((took, log.report().outcome), (WORK, Outcome::Drained));

    let log = Log::default();
    let inside = ServiceBuilder::new().layer(observed(&log)).buffer(8);
    let (_, took) = answer(inside.service(text(Duration::ZERO))).await;
    assert_eq!((took, log.report().outcome), (WORK, Outcome::Drained));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_is_seen_through_a_buffer_outside() {
    let log = Log::default();
    let stack = ServiceBuilder::new().buffer(8).layer(observed(&log));
    let service = stack.service(text(Duration::ZERO));
    let left = timeout(LIMIT, service.oneshot(request())).await;
    assert!(left.is_err(), "it is held");
    let report = log.report();
    assert_eq!((report.outcome, report.held), (Outcome::Dropped, LIMIT));
}

/// A service that does something in `call`, before there is a future.
fn eager(
    start: impl Fn(&Request<NoBody>) + Send + 'static,
) -> impl Service<
    Request<NoBody>,
    Response = Response<Body>,
    Error = Infallible,
    Future = Ready<Result<Response<Body>, Infallible>>,
> + Send
+ 'static {
    service_fn(move |request| {
        start(&request);
        ready(Ok(full("done")))
    })
}

#[tokio::test(start_paused = true)]
async fn what_is_spawned_in_call_is_tracked_with_the_buffer_outside() {
    let log = Log::default();
    let stack = ServiceBuilder::new().buffer(8).layer(observed(&log));
    let (_, took) = answer(stack.service(eager(|_| leave_work_behind()))).await;
    assert_eq!((took, log.report().spawned), (WORK, 1));
}

#[tokio::test(start_paused = true)]
async fn with_the_buffer_inside_call_has_no_context_but_the_request_has_its_tasks() {
    let log = Log::default();
    let stack = ServiceBuilder::new().layer(observed(&log)).buffer(8);
    let (_, took) = answer(stack.service(eager(|_| leave_work_behind()))).await;
    assert_eq!(took, Duration::ZERO);
    assert!(log.all().is_empty(), "no request tracks it");

    let stack = ServiceBuilder::new().layer(observed(&log)).buffer(8);
    let stack = stack.service(eager(|request| {
        let tasks = request.extensions().get::<Tasks>();
        tasks
            .expect("a tracked request")
            .spawn(tokio::time::sleep(WORK));
    }));
    assert_eq!(answer(stack).await.1, WORK);
    assert_eq!(log.report().outcome, Outcome::Drained);
}
