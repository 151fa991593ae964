//! `at_least`: the shortest window that a source leaves, counted from the opening of the window.

use std::time::Duration;

use http_body_util::{BodyExt, StreamBody};
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::deadline::{self, Source};
use tower_task_tracker::{Hold, Limit, TaskTrackerLayer, named, spawn};

use super::{OWN, hold, hold_after, layer_with, slow};
use crate::support::{Slot, after, current, ms, put, request, take, tracked, with_field};

const BOUND: Limit = Limit::Source("grpc-timeout");

/// The client's timeout, and no window shorter than 50 ms.
fn layer() -> TaskTrackerLayer {
    layer_with(deadline::grpc_timeout().at_least(ms(50)))
}

#[tokio::test(start_paused = true)]
async fn it_counts_from_the_opening_of_the_window() {
    for (timeout, handling, took) in [
        ("10m", 0, 50),
        ("10m", 5, 55),
        // The timeout has passed before the handler answers.
        ("10m", 200, 250),
        ("60m", 5, 60),
        ("60m", 20, 70),
        ("500m", 5, 500),
    ] {
        let request = with_field("grpc-timeout", timeout);
        let held = hold_after(ms(handling), &layer(), request).await;
        held.is_closed_by(BOUND, ms(took), (timeout, handling));
    }
}

#[tokio::test(start_paused = true)]
async fn before_the_window_opens_it_is_taken_as_if_it_opened_at_the_arrival() {
    let held = hold_after(ms(20), &layer(), with_field("grpc-timeout", "10m")).await;
    assert_eq!(held.known, Some(ms(50)));
    held.is_closed_by(BOUND, ms(70), "it opened 20 ms later");
    let seen = Slot::default();
    let sees = seen.clone();
    let service = slow(&layer(), ms(20), move || {
        let (tasks, sees) = (current(), sees.clone());
        let opens = Instant::now();
        spawn(async move {
            after(5).await;
            put(&sees, tasks.deadline().map(|deadline| deadline - opens));
        });
    });
    drop(service.oneshot(with_field("grpc-timeout", "10m")).await);
    assert_eq!(take(&seen), Some(ms(50)), "now the opening is known");
}

#[tokio::test(start_paused = true)]
async fn it_makes_no_window_longer_than_other_limits_do() {
    let request = || with_field("grpc-timeout", "10m");
    let held = hold(&layer().drain_timeout(ms(40)), request()).await;
    held.is_closed_by(Limit::DrainTimeout, ms(40), "the drain timeout");
    let held = hold_after(ms(5), &layer().total_timeout(ms(30)), request()).await;
    held.is_closed_by(Limit::TotalTimeout, ms(30), "the total timeout");
    let other = Source::new("other", |_| Some(Instant::now() + ms(20)));
    let held = hold(&layer().deadline_source(other), request()).await;
    held.is_closed_by(Limit::Source("other"), ms(20), "another source");
}

#[tokio::test(start_paused = true)]
async fn it_is_no_reason_to_wait_for_longer_than_the_tasks_take() {
    let service = slow(&layer(), ms(5), || {
        spawn(after(20));
    });
    let start = Instant::now();
    drop(service.oneshot(with_field("grpc-timeout", "10m")).await);
    assert_eq!(start.elapsed(), ms(25));
}

#[tokio::test(start_paused = true)]
async fn beyond_the_range_of_the_clock_only_the_other_limits_count() {
    for at_least in [OWN * 2, Duration::from_secs(1 << 40), Duration::MAX] {
        let layer = layer_with(deadline::grpc_timeout().at_least(at_least));
        let held = hold(&layer, with_field("grpc-timeout", "10m")).await;
        held.is_closed_by(Limit::DrainTimeout, OWN, at_least);
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_stream_has_it_from_the_end_of_its_body() {
    let layer = layer().hold(Hold::End);
    let service = layer.layer(service_fn(|_: http::Request<()>| async {
        spawn(std::future::pending::<()>());
        let frames = futures_util::stream::once(async {
            after(100).await;
            Ok::<_, std::convert::Infallible>(http_body::Frame::data(bytes::Bytes::from("x")))
        });
        Ok::<_, std::convert::Infallible>(http::Response::new(StreamBody::new(Box::pin(frames))))
    }));
    let start = Instant::now();
    let response = service.oneshot(with_field("grpc-timeout", "10m")).await;
    let body = response.expect("infallible").into_body();
    assert_eq!(start.elapsed(), ms(0), "the head is not held");
    drop(body.collect().await.expect("no error"));
    assert_eq!(start.elapsed(), ms(150));
}

#[tokio::test(start_paused = true)]
async fn without_a_timeout_of_the_client_at_least_sets_no_limit() {
    hold(&layer(), request())
        .await
        .is_left_to_the_layer("no header");
}

/// "never below the source's `at_least`". `drain_timeout(Duration::MAX)` is no limit either.
#[tokio::test(start_paused = true)]
async fn at_least_beyond_the_range_of_the_clock_is_no_limit() {
    let source = deadline::grpc_timeout().at_least(Duration::MAX);
    let layer = TaskTrackerLayer::new().deadline_source(source);
    let service = tracked(&layer, || drop(named("slow").spawn(after(500))));
    let arrived = Instant::now();
    drop(service.oneshot(with_field("grpc-timeout", "10m")).await);
    assert_eq!(arrived.elapsed(), ms(500));
}
