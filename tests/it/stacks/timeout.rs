//! A timeout. Outside the tracker it cuts the hold of a head short. Inside it limits the handler alone.

use std::time::Duration;

use http::StatusCode;
use tower::ServiceBuilder;
use tower::timeout::error::Elapsed;
use tower_http::timeout::TimeoutLayer;
use tower_task_tracker::{Outcome, TaskState};

use super::handlers::{TEXT, stream, text};
use super::wire::exchange;
use super::{FOR_EVER, LIMIT, WORK, answer, answered, observed};
use crate::support::{Log, ms};

fn timeout() -> TimeoutLayer {
    TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, LIMIT)
}

#[tokio::test(start_paused = true)]
async fn a_timeout_outside_cuts_the_hold_short_and_the_tasks_run_on() {
    let log = Log::default();
    let layer = observed(&log);
    let handle = layer.handle();
    let stack = ServiceBuilder::new().layer(timeout()).layer(layer);
    let (answer, took) = answer(stack.service(text(ms(10)))).await;
    assert_eq!(answer.status(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(took, LIMIT);
    let report = log.report();
    assert_eq!(report.outcome, Outcome::Dropped);
    assert_eq!(report.held, LIMIT - ms(10), "held until it was cut");
    assert_eq!(report.stragglers[0].name.as_deref(), Some("work"));

    assert_eq!(handle.live_tasks(), 1, "it runs on");
    let start = tokio::time::Instant::now();
    handle.wait_idle().await;
    assert_eq!(start.elapsed(), WORK - LIMIT);
    assert_eq!(log.late_ends()[0].state, TaskState::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_inside_bounds_the_handler_and_not_the_hold() {
    // In time.
    let log = Log::default();
    let stack = ServiceBuilder::new().layer(observed(&log)).layer(timeout());
    let (quick, took) = answer(stack.service(text(ms(10)))).await;
    assert_eq!((quick.status(), took), (StatusCode::OK, WORK));
    assert_eq!(log.report().outcome, Outcome::Drained);
    assert_eq!(log.report().held, WORK - ms(10));

    // Too late: the timeout's answer waits for the work like the handler's own.
    let log = Log::default();
    let stack = ServiceBuilder::new().layer(observed(&log)).layer(timeout());
    let (late, took) = answer(stack.service(text(FOR_EVER))).await;
    assert_eq!((late.status(), took), (StatusCode::GATEWAY_TIMEOUT, WORK));
    assert_eq!(log.report().outcome, Outcome::Drained);
    assert_eq!(log.report().held, WORK - LIMIT);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_outside_bounds_no_held_end() {
    let log = Log::default();
    let stack = ServiceBuilder::new().layer(timeout()).layer(observed(&log));
    let got = exchange(stack.service(stream())).await;
    assert_eq!(got.head.status, StatusCode::OK);
    assert_eq!(got.head_after, Duration::ZERO);
    assert_eq!(got.data_after, Some(Duration::ZERO));
    assert_eq!((got.ended_after, got.is_whole), (WORK, true));
    assert_eq!(log.report().outcome, Outcome::Drained);
}

#[tokio::test(start_paused = true)]
async fn on_the_wire_a_hold_cut_short_is_a_whole_answer_of_the_timeout() {
    let log = Log::default();
    let stack = ServiceBuilder::new().layer(timeout()).layer(observed(&log));
    let got = exchange(stack.service(text(Duration::ZERO))).await;
    assert_eq!(got.head.status, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!((got.ended_after, got.is_whole), (LIMIT, true));
    assert!(got.body.is_empty(), "the handler's text is not sent");
    assert_eq!(log.report().outcome, Outcome::Dropped);

    let log = Log::default();
    let stack = ServiceBuilder::new().layer(observed(&log)).layer(timeout());
    let got = exchange(stack.service(text(Duration::ZERO))).await;
    assert_eq!((got.head.status, got.head_after), (StatusCode::OK, WORK));
    assert_eq!(got.body, TEXT.as_bytes());
    assert_eq!(log.report().outcome, Outcome::Drained);
}

#[tokio::test(start_paused = true)]
async fn towers_own_timeout_does_the_same_with_an_error() {
    let log = Log::default();
    let outside = ServiceBuilder::new().timeout(LIMIT).layer(observed(&log));
    let (answer, took) = answered(outside.service(text(Duration::ZERO))).await;
    let error = answer.expect_err("it took too long");
    assert!(error.is::<Elapsed>(), "{error}");
    assert_eq!(took, LIMIT);
    assert_eq!(log.report().outcome, Outcome::Dropped);

    // The error is held like any answer.
    let log = Log::default();
    let inside = ServiceBuilder::new().layer(observed(&log)).timeout(LIMIT);
    let (answer, took) = answered(inside.service(text(FOR_EVER))).await;
    assert!(answer.expect_err("it took too long").is::<Elapsed>());
    assert_eq!(took, WORK);
    assert_eq!(log.report().outcome, Outcome::Drained);
}

#[tokio::test(start_paused = true)]
async fn a_total_timeout_within_an_outer_timeout_keeps_the_handlers_answer() {
    let log = Log::default();
    let layer = observed(&log).total_timeout(LIMIT - ms(10));
    let stack = ServiceBuilder::new().layer(timeout()).layer(layer);
    let (answer, took) = answer(stack.service(text(Duration::ZERO))).await;
    assert_eq!((answer.status(), took), (StatusCode::OK, LIMIT - ms(10)));
    assert_eq!(log.report().outcome, Outcome::DeadlineExceeded);
}
