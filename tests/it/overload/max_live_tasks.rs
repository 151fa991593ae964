//! Which tasks count, and which requests are refused.

use std::convert::Infallible;

use http::{Request, StatusCode};
use http_body::Body as _;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{TaskTrackerLayer, Tasks, named, spawn};

use crate::support::{Slot, after, current, full, held, ms, put, request, take, tracked};

/// A service that leaves a detached task of so many milliseconds behind.
fn leaving(millis: u64) -> impl Fn() + Clone + Send {
    move || drop(named("left behind").detached().spawn(after(millis)))
}

#[tokio::test(start_paused = true)]
async fn with_too_many_tasks_alive_a_request_is_refused_before_the_service() {
    let layer = TaskTrackerLayer::new().max_live_tasks(2);
    let service = tracked(&layer, leaving(100));
    for _ in 0..2 {
        let Ok(answer) = service.clone().oneshot(request()).await;
        assert_eq!(answer.status(), StatusCode::OK);
    }
    let Ok(refused) = service.clone().oneshot(request()).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(refused.headers()["cache-control"], "no-store");
    assert!(refused.body().is_end_stream());
    assert!(
        refused.into_body().get_ref().is_none(),
        "the service made none"
    );
    assert_eq!(layer.handle().live_tasks(), 2, "it did not run");
    after(101).await;
    let Ok(answer) = service.oneshot(request()).await;
    assert_eq!(answer.status(), StatusCode::OK, "there is room again");
    drop(answer);
    layer.handle().wait_idle().await;
}

#[tokio::test(start_paused = true)]
async fn a_task_of_the_process_counts_until_its_end() {
    let layer = TaskTrackerLayer::new().max_live_tasks(1);
    let handle = layer.handle();
    let service = tracked(&layer, || {});
    let is_refused = || async {
        let Ok(answer) = service.clone().oneshot(request()).await;
        answer.status() == StatusCode::SERVICE_UNAVAILABLE
    };
    assert!(!is_refused().await);
    let tasks = handle.process_tasks();
    let token = tasks.token();
    assert!(is_refused().await);
    drop(token);
    assert!(!is_refused().await);
    let tracked = tasks.track_future(std::future::pending::<()>());
    assert!(is_refused().await);
    drop(tracked);
    tasks.spawn(std::future::pending::<()>()).abort();
    tasks.spawn(async { std::panic::resume_unwind(Box::new("planned")) });
    after(1).await;
    assert!(!is_refused().await, "all have ended");
}

#[tokio::test(start_paused = true)]
async fn a_route_may_have_its_own_limit_on_the_same_tasks() {
    let outer = TaskTrackerLayer::new();
    let route = TaskTrackerLayer::new().max_live_tasks(1);
    let route = route.layer(service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(full("done"))
    }));
    let service = outer.layer(service_fn(move |request: Request<()>| {
        let route = route.clone();
        async move { route.oneshot(request).await }
    }));
    let ok = service.clone().oneshot(request()).await;
    assert!(ok.is_ok_and(|answer| answer.status() == StatusCode::OK));
    let _token = outer.handle().process_tasks().token();
    let Ok(refused) = service.oneshot(request()).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
}

/// The status of one more request.
async fn status(layer: &TaskTrackerLayer) -> StatusCode {
    let Ok(answer) = tracked(layer, || {}).oneshot(request()).await;
    answer.status()
}

#[tokio::test(start_paused = true)]
async fn what_was_spawned_before_the_limit_first_wraps_a_service_does_not_count() {
    let before = TaskTrackerLayer::new();
    held(&before, leaving(1000)).await;
    let layer = TaskTrackerLayer::new()
        .tracked_by(&before.handle())
        .max_live_tasks(1);
    assert_eq!(status(&layer).await, StatusCode::OK);
    held(&layer, leaving(1000)).await;
    assert_eq!(status(&layer).await, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test(start_paused = true)]
async fn a_nested_limit_counts_from_its_first_request_on() {
    let outer = TaskTrackerLayer::new();
    let route = TaskTrackerLayer::new().max_live_tasks(1);
    let route = route.layer(service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(full("done"))
    }));
    let service = outer.layer(service_fn(move |request: Request<()>| {
        let route = route.clone();
        async move { route.oneshot(request).await }
    }));
    let _before = outer.handle().process_tasks().token();
    let Ok(first) = service.clone().oneshot(request()).await;
    assert_eq!(first.status(), StatusCode::OK);
    let _after = outer.handle().process_tasks().token();
    let Ok(second) = service.oneshot(request()).await;
    assert_eq!(second.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test(start_paused = true)]
async fn late_tasks_count_too_and_tasks_in_the_tracker_do_not() {
    let layer = TaskTrackerLayer::new().max_live_tasks(1);
    let kept: Slot<Tasks> = Slot::default();
    held(&layer, {
        let kept = kept.clone();
        move || put(&kept, current())
    })
    .await;
    let kept = take(&kept);
    kept.tracker().spawn(after(1000));
    assert_eq!(status(&layer).await, StatusCode::OK);
    kept.spawn(after(1000));
    assert_eq!(status(&layer).await, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test(start_paused = true)]
async fn requests_that_arrive_at_the_same_time_may_all_pass() {
    let layer = TaskTrackerLayer::new().max_live_tasks(1);
    let service = layer.layer(service_fn(|_: Request<()>| async {
        after(10).await;
        spawn(after(10));
        Ok::<_, Infallible>(full("done"))
    }));
    // Both arrive before either handler has spawned.
    let (first, second) = (service.clone(), service);
    let (first, second) = tokio::join!(first.oneshot(request()), second.oneshot(request()));
    let statuses = [first, second].map(|answer| answer.expect("infallible").status());
    assert_eq!(statuses, [StatusCode::OK; 2]);
}

#[tokio::test(start_paused = true)]
async fn the_readiness_of_the_service_does_not_depend_on_the_limit() {
    let layer = TaskTrackerLayer::new().max_live_tasks(0);
    let mut service = tracked(&layer, || {});
    let ready = tokio::time::timeout(ms(1), service.ready()).await;
    assert!(ready.is_ok(), "ready, although it refuses every request");
    assert_eq!(status(&layer).await, StatusCode::SERVICE_UNAVAILABLE);
}
