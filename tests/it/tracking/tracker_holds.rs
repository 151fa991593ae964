//! The response waits for the tasks in the `TaskTracker` of its request.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{Hold, TaskTrackerLayer, named, spawn};

use crate::support::{Slot, after, current, ms, observed, put, request, take, tracked};

/// A stream of unknown length.
pub(crate) fn stream() -> UnsyncBoxBody<Bytes, Infallible> {
    let frames = ["a", "b"].map(|part| Ok(Frame::data(Bytes::from(part))));
    StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync()
}

#[tokio::test(start_paused = true)]
async fn a_tokio_util_tracker_holds_the_response() {
    let (log, layer) = observed();
    let service = tracked(&layer, || {
        let tasks = current();
        tasks.tracker().spawn(after(90));
        spawn(after(30));
    });

    let start = Instant::now();
    let response = service.oneshot(request()).await.expect("infallible");
    assert_eq!(start.elapsed(), ms(90));
    drop(response);
    let report = log.report();
    assert_eq!((report.spawned, report.completed), (2, 2));
    let last = report.last.expect("the tracker's task was waited for");
    assert_eq!(last.name.as_deref(), None);
}

#[tokio::test(start_paused = true)]
async fn tasks_of_a_tokio_util_tracker_hold_the_end_of_a_body() {
    let (log, layer) = observed();
    let service = layer.layer(service_fn(|_: Request<()>| async {
        current().tracker().spawn(after(90));
        Ok::<_, Infallible>(Response::new(stream()))
    }));
    let start = Instant::now();
    let response = service.oneshot(request()).await.expect("infallible");
    assert_eq!(start.elapsed(), ms(0), "a stream passes");
    drop(response.into_body().collect().await);
    assert_eq!(start.elapsed(), ms(90));
    assert_eq!(log.report().completed, 1);

    let layer = TaskTrackerLayer::new().hold(Hold::End);
    let service = tracked(&layer, || {
        current().tracker().spawn(after(90));
    });
    let response = service.oneshot(request()).await.expect("infallible");
    let start = Instant::now();
    drop(response.into_body().collect().await);
    assert_eq!(start.elapsed(), ms(90));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_moved_while_only_a_tokio_util_tracker_is_waited_for_is_noticed() {
    let tasks = Slot::default();
    let handed_out = tasks.clone();
    let service = tracked(&TaskTrackerLayer::new(), move || {
        current().tracker().spawn(after(20_000));
        put(&handed_out, current());
    });
    let start = Instant::now();
    tokio::spawn(async move {
        after(100).await;
        take(&tasks).set_drain_timeout(ms(200));
    });
    drop(service.oneshot(request()).await);
    assert_eq!(start.elapsed(), ms(200));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_awaits_the_tracker_of_a_held_response_goes_on() {
    let layer = TaskTrackerLayer::new().before_release(|_| async {});
    let service = tracked(&layer, || {
        let tracker = current().tracker().clone();
        drop(
            named("waits")
                .detached()
                .spawn(async move { tracker.wait().await }),
        );
    });
    drop(service.oneshot(request()).await);
    let idle = tokio::time::timeout(ms(1000), layer.handle().wait_idle()).await;
    after(1).await;
    assert!(idle.is_ok(), "the tracker was never closed");
}

#[tokio::test(start_paused = true)]
async fn what_a_hook_spawns_in_the_tracker_is_waited_for() {
    let tracker = Slot::<tokio_util::task::TaskTracker>::default();
    let kept = tracker.clone();
    let (log, layer) = observed();
    let layer = layer.before_release(move |_| {
        take(&kept).spawn(after(20));
        async {}
    });
    let service = tracked(&layer, move || {
        put(&tracker, current().tracker().clone());
        spawn(after(10));
    });
    drop(service.oneshot(request()).await);
    let report = log.report();
    assert!(
        report.stragglers.is_empty() && report.is_clean(),
        "{report}"
    );
    assert_eq!((report.spawned, report.held), (2, ms(30)));
}
