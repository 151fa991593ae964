//! Timeouts of bodies. Outside the tracker they cut a held end. Inside they hide the length of the body.

use std::time::Duration;

use http::StatusCode;
use tower::ServiceBuilder;
use tower_http::timeout::ResponseBodyTimeoutLayer;
use tower_task_tracker::{Hold, Outcome};

use super::handlers::{TEXT, stream, text};
use super::wire::exchange;
use super::{LIMIT, WORK, observed};
use crate::support::Log;

fn timeout() -> ResponseBodyTimeoutLayer {
    ResponseBodyTimeoutLayer::new(LIMIT)
}

#[tokio::test(start_paused = true)]
async fn a_body_timeout_outside_breaks_off_a_held_end() {
    let log = Log::default();
    let stack = ServiceBuilder::new().layer(timeout()).layer(observed(&log));
    let got = exchange(stack.service(stream())).await;
    assert_eq!(got.head.status, StatusCode::OK);
    assert_eq!(got.body, TEXT.as_bytes(), "all of it was there");
    assert_eq!((got.ended_after, got.is_whole), (LIMIT, false));
    assert_eq!(log.report().outcome, Outcome::Dropped);

    // A held head is none of its business.
    let log = Log::default();
    let stack = ServiceBuilder::new().layer(timeout()).layer(observed(&log));
    let got = exchange(stack.service(text(Duration::ZERO))).await;
    assert_eq!((got.head_after, got.is_whole), (WORK, true));
    assert_eq!(log.report().outcome, Outcome::Drained);
}

#[tokio::test(start_paused = true)]
async fn a_body_timeout_inside_does_not_see_the_hold() {
    let log = Log::default();
    let stack = ServiceBuilder::new().layer(observed(&log)).layer(timeout());
    let got = exchange(stack.service(stream())).await;
    assert_eq!((got.ended_after, got.is_whole), (WORK, true));
    assert_eq!(log.report().outcome, Outcome::Drained);
}

#[tokio::test(start_paused = true)]
async fn a_body_timeout_inside_makes_a_stream_of_a_whole_body() {
    // It hides the length of the body that it wraps: so the end is held, and not the head.
    let log = Log::default();
    let stack = ServiceBuilder::new().layer(observed(&log)).layer(timeout());
    let got = exchange(stack.service(text(Duration::ZERO))).await;
    assert_eq!(got.head_after, Duration::ZERO);
    assert_eq!((got.ended_after, got.is_whole), (WORK, true));

    let log = Log::default();
    let layer = observed(&log).hold(Hold::Head);
    let stack = ServiceBuilder::new().layer(layer).layer(timeout());
    let got = exchange(stack.service(text(Duration::ZERO))).await;
    assert_eq!((got.head_after, got.ended_after), (WORK, WORK));
}
