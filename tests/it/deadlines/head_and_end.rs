//! A response that waits twice: at its head and at its end.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, StreamBody};
use tokio::time::{Instant, timeout};
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{Hold, Limit, Outcome, TaskTrackerLayer, spawn};

use super::arrival_plus;
use crate::support::deadlines::layer_with;
use crate::support::{Frames, Log, after, ms, request, respond};

/// Serves a request whose handler spawns a task of `head` and answers with `body`: when its head came,
/// and its end, counted from the arrival.
async fn head_and_end<B>(
    layer: &TaskTrackerLayer,
    head: Option<u64>,
    body: impl Fn() -> B + Clone + Send + 'static,
) -> (Duration, Duration)
where
    B: Body<Data = Bytes, Error = Infallible> + Send,
{
    let service = layer.layer(service_fn(move |_: Request<()>| {
        let body = body.clone();
        async move {
            if let Some(millis) = head {
                spawn(after(millis));
            }
            Ok::<_, Infallible>(Response::new(body()))
        }
    }));
    let start = Instant::now();
    let response = service.oneshot(request()).await.expect("infallible");
    let head = start.elapsed();
    drop(response.into_body().collect().await.expect("no error"));
    (head, start.elapsed())
}

/// A stream that takes so long for its one frame, and then may spawn a task that never ends.
fn stream(millis: u64, spawns: bool) -> impl Body<Data = Bytes, Error = Infallible> + Send {
    let frames = futures_util::stream::once(async move {
        after(millis).await;
        if spawns {
            spawn(pending::<()>());
        }
        Ok(Frame::data(Bytes::from_static(b"data")))
    });
    StreamBody::new(Box::pin(frames))
}

#[tokio::test(start_paused = true)]
async fn where_the_head_has_waited_to_its_deadline_the_end_never_waits_again() {
    let bases = [
        (TaskTrackerLayer::new().drain_timeout(ms(50)), 50),
        (TaskTrackerLayer::new().total_timeout(ms(60)), 60),
        (layer_with(arrival_plus(70)), 70),
    ];
    for (base, millis) in bases {
        let log = Log::default();
        let layer = base.clone().hold(Hold::Head).observer(log.clone());
        // What would be held of them is the end mark, and the last frame of a known length.
        let bodies = [
            || Frames::new(["one", "two"]),
            || Frames::new(["one", "two"]).shows_its_end(),
            || Frames::new(["one", "two"]).always_hints(6),
        ];
        for body in bodies {
            let (head, end) = head_and_end(&layer, Some(10_000), body).await;
            assert_eq!((head, end), (ms(millis), ms(millis)), "{base:?}");
        }
        let observed = log.reports().into_iter();
        let observed: Vec<_> = observed
            .map(|report| (report.outcome, report.held))
            .collect();
        let late = (Outcome::DeadlineExceeded, ms(millis));
        assert_eq!(observed, [late; 3], "{base:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_whose_head_has_waited_to_its_deadline_waits_for_nothing_that_its_body_spawns() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .hold(Hold::Head)
        .drain_timeout(ms(50))
        .observer(log.clone());
    let (head, end) = head_and_end(&layer, Some(10_000), || stream(30, true)).await;
    assert_eq!((head, end), (ms(50), ms(80)));
    assert_eq!(log.report().spawned, 1);
    assert_eq!(log.late_spawns().len(), 1, "the request was released");
}

#[tokio::test(start_paused = true)]
async fn where_the_head_was_drained_the_end_has_a_drain_timeout_of_its_own() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .hold(Hold::Head)
        .drain_timeout(ms(50))
        .observer(log.clone());
    let (head, end) = head_and_end(&layer, Some(20), || stream(100, true)).await;
    assert_eq!((head, end), (ms(20), ms(170)));
    let report = log.report();
    assert_eq!(report.closed_by, Some(Limit::DrainTimeout));
    assert_eq!(report.held, ms(70), "the head and the end together");
}

#[tokio::test(start_paused = true)]
async fn where_the_head_was_drained_the_total_timeout_goes_on() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .hold(Hold::Head)
        .total_timeout(ms(130))
        .observer(log.clone());
    let (head, end) = head_and_end(&layer, Some(20), || stream(100, true)).await;
    assert_eq!((head, end), (ms(20), ms(130)));
    assert_eq!(log.report().closed_by, Some(Limit::TotalTimeout));
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_passes_while_the_body_streams_cuts_nothing_off() {
    let bases = [
        TaskTrackerLayer::new().total_timeout(ms(50)),
        layer_with(arrival_plus(50)),
    ];
    for base in bases {
        let log = Log::default();
        let layer = base.clone().observer(log.clone());
        let (head, end) = head_and_end(&layer, Some(10_000), || stream(200, false)).await;
        assert_eq!(head, ms(0), "a stream's head is not held: {base:?}");
        assert_eq!(
            end,
            ms(200),
            "its end waits no longer than its data: {base:?}"
        );
        assert_eq!(log.report().outcome, Outcome::DeadlineExceeded, "{base:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_drain_timeout_of_a_stream_counts_from_its_end() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(50))
        .observer(log.clone());
    let (head, end) = head_and_end(&layer, Some(10_000), || stream(200, false)).await;
    assert_eq!((head, end), (ms(0), ms(250)));
    assert_eq!(log.report().closed_by, Some(Limit::DrainTimeout));
}

#[tokio::test(start_paused = true)]
async fn once_the_window_has_closed_at_the_head_the_end_does_not_wait() {
    let layer = TaskTrackerLayer::new()
        .hold(Hold::Head)
        .drain_timeout(ms(10));
    let service = layer.layer(service_fn(|_: Request<()>| async {
        spawn(after(500));
        let body = Frames::new(["a"]).spawns_at_drop(500);
        Ok::<_, Infallible>(Response::new(body))
    }));
    let start = Instant::now();
    let Ok(response) = service.oneshot(request()).await;
    assert_eq!(start.elapsed(), ms(10));
    let body = timeout(ms(1), response.into_body().collect()).await;
    assert!(body.is_ok(), "the end is not held again");
}

#[tokio::test(start_paused = true)]
async fn a_window_that_closed_at_the_head_stays_closed_at_the_end() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .hold(Hold::Head)
        .drain_timeout(ms(50))
        .observer(log.clone());
    let start = Instant::now();
    let response = respond(&layer, Method::GET, || {
        spawn(after(500));
        Frames::new(["a", "b"])
    })
    .await;
    assert_eq!(start.elapsed(), ms(50));
    assert!(log.reports().is_empty(), "the report waits for the end");
    drop(response.into_body().collect().await);
    assert_eq!(start.elapsed(), ms(50), "it is not held a second time");
    assert_eq!(log.report().outcome, Outcome::DeadlineExceeded);
}
