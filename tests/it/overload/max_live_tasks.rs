//! Which tasks count, and which requests are shed.

use std::convert::Infallible;

use http::{Request, StatusCode};
use http_body::Body as _;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{TaskTrackerLayer, named};

use crate::support::{after, full, request, tracked};

/// A service that leaves a detached task of so many milliseconds behind.
fn leaving(millis: u64) -> impl Fn() + Clone + Send {
    move || drop(named("left behind").detached().spawn(after(millis)))
}

#[tokio::test(start_paused = true)]
async fn with_too_many_tasks_alive_a_request_is_shed_before_the_service() {
    let layer = TaskTrackerLayer::new().max_live_tasks(2);
    let service = tracked(&layer, leaving(100));
    for _ in 0..2 {
        let Ok(answer) = service.clone().oneshot(request()).await;
        assert_eq!(answer.status(), StatusCode::OK);
    }
    let Ok(shed) = service.clone().oneshot(request()).await;
    assert_eq!(shed.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(shed.headers()["retry-after"], "1");
    assert_eq!(shed.headers()["cache-control"], "no-store");
    assert!(shed.body().is_end_stream());
    assert!(
        shed.into_body().get_ref().is_none(),
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
async fn every_kind_of_task_counts_until_its_end() {
    let layer = TaskTrackerLayer::new().max_live_tasks(1);
    let handle = layer.handle();
    let service = tracked(&layer, || {});
    let is_shed = || async {
        let Ok(answer) = service.clone().oneshot(request()).await;
        answer.status() == StatusCode::SERVICE_UNAVAILABLE
    };
    assert!(!is_shed().await);
    let tasks = handle.process_tasks();
    let token = tasks.token();
    assert!(is_shed().await);
    drop(token);
    assert!(!is_shed().await);
    let tracked = tasks.track_future(std::future::pending::<()>());
    assert!(is_shed().await);
    drop(tracked);
    tasks.spawn(std::future::pending::<()>()).abort();
    tasks.spawn(async { std::panic::resume_unwind(Box::new("planned")) });
    after(1).await;
    assert!(!is_shed().await, "all have ended");
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
    let Ok(shed) = service.oneshot(request()).await;
    assert_eq!(shed.status(), StatusCode::SERVICE_UNAVAILABLE);
}
