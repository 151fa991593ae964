//! Deadlines of bodies. Outside the tracker they cut a held end. Inside it their time runs on while the head of a
//! stream is held.

use std::convert::Infallible;
use std::fmt::Debug;
use std::pin::pin;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_http::timeout::ResponseBodyDeadlineLayer;
use tower_task_tracker::{Hold, Outcome, TaskTrackerLayer, named};

use super::handlers::{TEXT, stream, text};
use super::wire::exchange;
use super::{LIMIT, NoBody, WORK, answer, observed};
use crate::support::{Log, full};

const AT_ONCE: Duration = Duration::ZERO;

fn deadline() -> ResponseBodyDeadlineLayer {
    ResponseBodyDeadlineLayer::new(LIMIT)
}

#[tokio::test(start_paused = true)]
async fn a_body_deadline_outside_breaks_off_a_held_end() {
    let log = Log::default();
    let stack = ServiceBuilder::new()
        .layer(deadline())
        .layer(observed(&log));
    let got = exchange(stack.service(stream())).await;
    assert_eq!((got.head_after, got.body), (AT_ONCE, TEXT.into()));
    assert_eq!((got.ended_after, got.is_whole), (LIMIT, false));
    assert_eq!(log.report().outcome, Outcome::Dropped);
}

#[tokio::test(start_paused = true)]
async fn a_body_deadline_outside_counts_from_the_release_of_a_held_head() {
    let log = Log::default();
    let stack = ServiceBuilder::new()
        .layer(deadline())
        .layer(observed(&log));
    let got = exchange(stack.service(text(AT_ONCE))).await;
    assert_eq!((got.head_after, got.is_whole), (WORK, true));
    assert_eq!(log.report().outcome, Outcome::Drained);

    let log = Log::default();
    let layer = observed(&log).hold(Hold::Head);
    let stack = ServiceBuilder::new().layer(deadline()).layer(layer);
    let got = exchange(stack.service(stream())).await;
    assert_eq!((got.head_after, got.is_whole), (WORK, true));
    assert_eq!(log.report().outcome, Outcome::Drained);
}

#[tokio::test(start_paused = true)]
async fn a_body_deadline_inside_does_not_see_a_held_end_nor_the_held_head_of_a_whole_body() {
    let log = Log::default();
    let stack = ServiceBuilder::new()
        .layer(observed(&log))
        .layer(deadline());
    let got = exchange(stack.service(stream())).await;
    assert_eq!((got.ended_after, got.is_whole), (WORK, true));
    assert_eq!(log.report().outcome, Outcome::Drained);

    // It passes on how long the body is, so that the head is held as without it.
    let log = Log::default();
    let stack = ServiceBuilder::new()
        .layer(observed(&log))
        .layer(deadline());
    let got = exchange(stack.service(text(AT_ONCE))).await;
    assert_eq!((got.head_after, got.body), (WORK, TEXT.into()));
    assert!(got.is_whole, "its body was taken before the deadline");
    assert_eq!(log.report().outcome, Outcome::Drained);
}

#[tokio::test(start_paused = true)]
async fn a_body_deadline_inside_does_not_see_the_held_head_of_a_whole_body_in_any_mode() {
    let stack = ServiceBuilder::new().layer(TaskTrackerLayer::new().hold(Hold::Head));
    let got = exchange(stack.layer(deadline()).service(text(AT_ONCE))).await;
    assert_eq!((got.head_after, got.body), (WORK, TEXT.into()));

    let stack = ServiceBuilder::new().layer(TaskTrackerLayer::new());
    let required = service_fn(async |_: Request<Incoming>| {
        let order = async {
            tokio::time::sleep(WORK).await;
            Ok::<_, Infallible>(())
        };
        named("order").required().spawn(order);
        Ok::<_, Infallible>(full(TEXT))
    });
    let got = exchange(stack.layer(deadline()).service(required)).await;
    assert_eq!((got.head_after, got.body), (WORK, TEXT.into()));
}

#[tokio::test(start_paused = true)]
async fn a_body_deadline_inside_passes_while_the_head_of_a_stream_is_held() {
    let layer = TaskTrackerLayer::new().hold(Hold::Head);
    let stack = ServiceBuilder::new().layer(layer).layer(deadline());
    assert_broken_off(answer(stack.service(stream())).await).await;

    // The same for a required task, for which the head is held by default.
    let required = service_fn(async |request: Request<NoBody>| {
        let order = async {
            tokio::time::sleep(WORK).await;
            Ok::<_, Infallible>(())
        };
        named("order").required().spawn(order);
        stream().oneshot(request).await
    });
    let stack = ServiceBuilder::new().layer(TaskTrackerLayer::new());
    let stack = stack.layer(deadline());
    assert_broken_off(answer(stack.service(required)).await).await;
}

/// The head was held, and the body fails in place of its data.
async fn assert_broken_off<B>((answer, took): (Response<B>, Duration))
where
    B: Body<Data: Debug, Error: Debug>,
{
    assert_eq!((answer.status(), took), (StatusCode::OK, WORK));
    let mut body = pin!(answer.into_body());
    let first = body.frame().await;
    assert!(matches!(first, Some(Err(_))), "{first:?}");
}
