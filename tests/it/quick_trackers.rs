//! Tasks of the tokio-util tracker that end in the first turn of the scheduler are seen all the same.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::task::yield_now;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{Scope, TaskTrackerLayer, named};

use crate::support::{Log, after, current, ms, request, tracked};

#[tokio::test(start_paused = true)]
async fn a_quick_task_of_a_tracker_is_reported_where_a_head_is_held() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().on_drain(log.clone());
    let service = tracked(&layer, || {
        current().tracker().spawn(async {});
    });
    drop(service.oneshot(request()).await);
    assert_eq!(log.report().completed, 1);
}

#[tokio::test(start_paused = true)]
async fn quick_tasks_of_a_tracker_are_reported_beside_one_of_the_request() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().on_drain(log.clone());
    let service = tracked(&layer, || {
        current().spawn(yield_now());
        current().tracker().spawn(yield_now());
    });
    drop(service.oneshot(request()).await);
    assert_eq!(log.report().completed, 2);
}

#[tokio::test(start_paused = true)]
async fn a_quick_task_of_a_tracker_is_reported_where_an_end_is_held() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().on_drain(log.clone());
    let service = layer.layer(service_fn(|_: Request<()>| async {
        current().tracker().spawn(async {});
        let frames = [Ok::<_, Infallible>(Frame::data(Bytes::from("a")))];
        let body = StreamBody::new(futures_util::stream::iter(frames));
        Ok::<_, Infallible>(Response::new(body))
    }));
    let response = service.oneshot(request()).await.expect("infallible");
    drop(response.into_body().collect().await);
    assert_eq!(log.report().completed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_quick_task_of_a_tracker_is_reported_by_a_scope() {
    let ((), report) = Scope::new()
        .run(|tasks| async move {
            tasks.tracker().spawn(async {});
        })
        .await;
    assert_eq!(report.spawned, 1, "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn whoever_awaits_the_tracker_of_a_held_response_goes_on() {
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
