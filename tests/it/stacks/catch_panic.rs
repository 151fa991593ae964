//! A panic of a handler. If it is caught outside the tracker, the tracker treats it as a disconnect. If it is caught
//! inside, the answer is like any other.

use std::convert::Infallible;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use tower::{Service, ServiceBuilder, service_fn};
use tower_http::catch_panic::CatchPanicLayer;
use tower_task_tracker::{Outcome, TaskState, Unfinished};

use super::handlers::leave_work_behind;
use super::wire::exchange;
use super::{LIMIT, NoBody, WORK, answer, observed};
use crate::support::{Body, Log};

/// A handler that leaves work behind, and panics a little later.
fn panics<R: Send + 'static>() -> impl Service<
    Request<R>,
    Response = Response<Body>,
    Error = Infallible,
    Future = impl Future<Output = Result<Response<Body>, Infallible>> + Send + use<R>,
> + Clone
+ use<R> {
    service_fn(async |_| {
        leave_work_behind();
        tokio::time::sleep(LIMIT).await;
        // It prints nothing on stderr.
        std::panic::resume_unwind(Box::new("no database"))
    })
}

/// The same, before there is a future.
fn panics_in_call() -> impl Service<
    Request<NoBody>,
    Response = Response<Body>,
    Error = Infallible,
    Future = std::future::Ready<Result<Response<Body>, Infallible>>,
> {
    service_fn(|_| {
        leave_work_behind();
        std::panic::resume_unwind(Box::new("no database"))
    })
}

const PANICKED: StatusCode = StatusCode::INTERNAL_SERVER_ERROR;

#[tokio::test(start_paused = true)]
async fn a_panic_caught_outside_is_answered_at_once_and_its_tasks_run_on() {
    let log = Log::default();
    let layer = observed(&log);
    let handle = layer.handle();
    let stack = ServiceBuilder::new().layer(CatchPanicLayer::new());
    let (answer, took) = answer(stack.layer(layer).service(panics())).await;
    assert_eq!((answer.status(), took), (PANICKED, LIMIT));
    let report = log.report();
    assert_eq!(report.outcome, Outcome::Dropped);
    assert_eq!(report.stragglers[0].name.as_deref(), Some("work"));
    assert_eq!(report.held, Duration::ZERO, "nothing was waited for");

    handle.wait_idle().await;
    assert_eq!(log.late_ends()[0].state, TaskState::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_panic_caught_outside_is_a_disconnect_to_the_policy() {
    let log = Log::default();
    let layer = observed(&log).at_disconnect(Unfinished::Abort);
    let handle = layer.handle();
    let stack = ServiceBuilder::new().layer(CatchPanicLayer::new());
    let (answer, _) = answer(stack.layer(layer).service(panics())).await;
    assert_eq!(answer.status(), PANICKED);
    handle.wait_idle().await;
    let report = log.report();
    assert_eq!((report.outcome, report.aborted), (Outcome::Dropped, 1));
}

#[tokio::test(start_paused = true)]
async fn a_panic_caught_inside_is_an_answer_that_is_held() {
    let log = Log::default();
    let stack = ServiceBuilder::new().layer(observed(&log));
    let stack = stack.layer(CatchPanicLayer::new());
    let (answer, took) = answer(stack.service(panics())).await;
    assert_eq!((answer.status(), took), (PANICKED, WORK));
    let report = log.report();
    assert_eq!((report.outcome, report.completed), (Outcome::Drained, 1));
    assert_eq!(report.held, WORK - LIMIT);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_call_is_treated_like_one_of_the_future() {
    let log = Log::default();
    let stack = ServiceBuilder::new().layer(CatchPanicLayer::new());
    let (outside, took) = answer(stack.layer(observed(&log)).service(panics_in_call())).await;
    assert_eq!((outside.status(), took), (PANICKED, Duration::ZERO));
    assert_eq!(log.report().outcome, Outcome::Dropped);

    let log = Log::default();
    let stack = ServiceBuilder::new().layer(observed(&log));
    let stack = stack.layer(CatchPanicLayer::new());
    let (inside, took) = answer(stack.service(panics_in_call())).await;
    assert_eq!((inside.status(), took), (PANICKED, WORK));
    assert_eq!(log.report().outcome, Outcome::Drained);
}

#[tokio::test(start_paused = true)]
async fn on_the_wire_both_are_whole_answers() {
    let stack = ServiceBuilder::new().layer(CatchPanicLayer::new());
    let stack = stack.layer(observed(&Log::default()));
    let outside = exchange(stack.service(panics())).await;
    let stack = ServiceBuilder::new().layer(observed(&Log::default()));
    let stack = stack.layer(CatchPanicLayer::new());
    let inside = exchange(stack.service(panics())).await;
    for (got, after) in [(outside, LIMIT), (inside, WORK)] {
        assert_eq!((got.head.status, got.head_after), (PANICKED, after));
        assert_eq!(
            (&got.body[..], got.is_whole),
            (&b"Service panicked"[..], true)
        );
    }
}
