//! What a handler that runs on spawns is tracked and not late; what others spawn is late.

use std::convert::Infallible;

use http::{Request, StatusCode};
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_http::timeout::TimeoutLayer;
use tower_task_tracker::{
    RunToCompletionLayer, TaskScopeLayer, TaskTrackerLayer, Tasks, named, spawn,
};

use super::poll_and_leave;
use crate::support::{Log, Slot, after, current, full, ms, observed, put, request, take};

#[tokio::test(start_paused = true)]
async fn what_it_spawns_after_the_report_is_tracked_and_not_late() {
    let (log, layer) = observed();
    let service = ServiceBuilder::new()
        .layer(layer.clone())
        .layer(RunToCompletionLayer::new())
        .service(service_fn(|_: Request<()>| async {
            after(10).await;
            assert!(Tasks::current().is_some(), "it is in its request");
            named("child").spawn(async {
                spawn(after(10));
                after(20).await;
            });
            Ok::<_, Infallible>(full("written"))
        }));
    poll_and_leave(service.oneshot(request()));
    after(15).await;
    assert_eq!(layer.handle().live_tasks(), 2, "the child and its own");
    layer.handle().wait_idle().await;
    assert_eq!(log.late_spawns().len(), 0);
    assert_eq!(log.late_ends().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_others_spawn_late_is_late_all_the_same() {
    let (log, layer) = observed();
    let kept = Slot::<Tasks>::default();
    let out = kept.clone();
    let service = ServiceBuilder::new()
        .layer(layer.clone())
        .layer(RunToCompletionLayer::new())
        .service(service_fn(move |_: Request<()>| {
            put(&out, current());
            async { Ok::<_, Infallible>(full("written")) }
        }));
    drop(service.oneshot(request()).await);
    take(&kept).spawn(after(1));
    assert_eq!(log.late_spawns().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_the_rest_of_a_handler_spawns_after_a_deadline_is_not_late() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(50))
        .observer(log.clone());
    let service = ServiceBuilder::new()
        .layer(layer.clone())
        .layer(TimeoutLayer::with_status_code(
            StatusCode::REQUEST_TIMEOUT,
            ms(100),
        ))
        .layer(RunToCompletionLayer::new())
        .service(service_fn(|_: Request<()>| async {
            after(1000).await;
            named("child").spawn(after(1));
            Ok::<_, Infallible>(full("written"))
        }));
    drop(service.oneshot(request()).await);
    layer.handle().wait_idle().await;
    assert_eq!(log.late_spawns().len(), 0);
    let ends = log.late_ends();
    let mut names: Vec<_> = ends
        .iter()
        .filter_map(|task| task.name.as_deref())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["child", "run_to_completion"], "it ran on: {ends:?}");
}

#[tokio::test(start_paused = true)]
async fn what_others_spawn_late_in_a_request_that_was_left_is_late_all_the_same() {
    let log = Log::default();
    let layer = TaskScopeLayer::new().observer(log.clone());
    let kept = Slot::default();
    let out = kept.clone();
    let service = ServiceBuilder::new()
        .layer(layer.clone())
        .layer(RunToCompletionLayer::new())
        .service(service_fn(move |(): ()| {
            put(&out, current());
            async {
                after(10).await;
                Ok::<_, Infallible>(())
            }
        }));
    poll_and_leave(service.oneshot(()));
    layer.handle().wait_idle().await;
    take(&kept).named("late").spawn(after(1));
    assert_eq!(log.late_spawns().len(), 1, "the handler has ended long ago");
}

#[tokio::test(start_paused = true)]
async fn after_the_end_of_the_handler_a_spawn_through_a_kept_tasks_is_late() {
    let log = Log::default();
    let kept = Slot::<Tasks>::default();
    let out = kept.clone();
    let service = ServiceBuilder::new()
        .layer(
            TaskTrackerLayer::new()
                .drain_timeout(ms(200))
                .observer(log.clone()),
        )
        .layer(TimeoutLayer::with_status_code(
            StatusCode::REQUEST_TIMEOUT,
            ms(50),
        ))
        .layer(RunToCompletionLayer::new())
        .service(service_fn(move |_: Request<()>| {
            put(&out, current());
            async {
                spawn(after(600_000));
                after(100).await;
                Ok::<_, Infallible>(full("written"))
            }
        }));
    drop(service.oneshot(request()).await);
    assert_eq!(log.report().stragglers.len(), 1);
    take(&kept).spawn(after(1));
    assert_eq!(log.late_spawns().len(), 1);
}
