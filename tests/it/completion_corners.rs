//! `RunToCompletionLayer` in combination with other rules.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;
use tower_task_tracker::{
    DrainReport, RunToCompletionLayer, TaskScopeLayer, TaskTrackerLayer, Tasks, Unfinished, named,
    spawn,
};

use crate::run_to_completion::handlers::poll_and_leave;
use crate::subscribers::lines::Lines;
use crate::support::{Log, Slot, after, current, full, ms, put, request, take};

#[tokio::test(start_paused = true)]
async fn the_rest_of_a_handler_logs_in_the_span_of_its_request() {
    let lines = Lines::default();
    let _listening = lines.listen();
    let layer = TaskTrackerLayer::new();
    let service = ServiceBuilder::new()
        .layer(
            TraceLayer::new_for_http()
                .make_span_with(|_: &Request<Full<Bytes>>| tracing::info_span!("request", id = 7)),
        )
        .layer(layer.clone())
        .layer(RunToCompletionLayer::new())
        .service(service_fn(|_: Request<Full<Bytes>>| async {
            tracing::info!("the beginning");
            after(10).await;
            tracing::info!("the rest");
            spawn(async { tracing::info!("its task") });
            Ok::<_, Infallible>(full("written"))
        }));
    poll_and_leave(service.oneshot(Request::new(Full::default())));
    layer.handle().wait_idle().await;
    for part in ["the beginning", "the rest", "its task"] {
        let line = lines.with(part);
        assert!(line.contains("request{id=7}"), "{line}");
    }
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
async fn a_handler_in_two_such_layers_is_aborted_at_the_deadline_and_counted_once() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(500))
        .at_deadline(Unfinished::Abort)
        .observer(log.clone());
    let service = ServiceBuilder::new()
        .layer(layer.clone())
        .layer(TimeoutLayer::with_status_code(
            StatusCode::REQUEST_TIMEOUT,
            ms(100),
        ))
        // Of the router, and of the route.
        .layer(RunToCompletionLayer::new())
        .layer(RunToCompletionLayer::new())
        .service(service_fn(|_: Request<()>| async {
            after(600_000).await;
            Ok::<_, Infallible>(full("written"))
        }));
    drop(service.oneshot(request()).await);
    let report = log.report();
    assert_eq!((report.spawned, report.aborted), (1, 1), "{report}");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_a_handler_in_three_such_layers() {
    let layer = TaskTrackerLayer::new();
    let service = ServiceBuilder::new()
        .layer(layer.clone())
        .layer(RunToCompletionLayer::new())
        .layer(RunToCompletionLayer::new())
        .layer(RunToCompletionLayer::new())
        .service(service_fn(|_: Request<()>| async {
            after(600_000).await;
            Ok::<_, Infallible>(full("written"))
        }));
    poll_and_leave(service.oneshot(request()));
    let report = layer.handle().shutdown(ms(100)).await;
    let counts = (report.aborted, report.still_running.len());
    assert_eq!(counts, (1, 0), "{report}");
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
async fn a_service_that_it_calls_when_its_client_has_left_holds_for_itself() {
    for unfinished in [Unfinished::Continue, Unfinished::Cancel { grace: ms(1000) }] {
        let inner = TaskScopeLayer::new()
            .fail_with(|_: &DrainReport| "failed".to_owned())
            .layer(service_fn(|(): ()| async {
                named("write").required().spawn(async {
                    after(30).await;
                    Err::<(), _>("disk full")
                });
                Ok::<_, String>(())
            }));
        let answer = Slot::default();
        let out = answer.clone();
        let layer = TaskScopeLayer::new().at_disconnect(unfinished);
        let service = ServiceBuilder::new()
            .layer(layer.clone())
            .layer(RunToCompletionLayer::new())
            .service(service_fn(move |(): ()| {
                let (inner, out) = (inner.clone(), out.clone());
                async move {
                    after(100).await;
                    let answer = inner.oneshot(()).await;
                    put(&out, answer);
                    Ok::<_, Infallible>(())
                }
            }));
        poll_and_leave(service.oneshot(()));
        layer.handle().wait_idle().await;
        assert_eq!(take(&answer), Err("failed".to_owned()), "{unfinished:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_an_aborted_task_has_called_ends_with_it() {
    let log = Log::default();
    let inner = RunToCompletionLayer::new().layer(service_fn(|(): ()| async {
        after(500).await;
        Ok::<_, Infallible>(())
    }));
    let layer = TaskScopeLayer::new()
        .at_disconnect(Unfinished::Abort)
        .observer(log.clone());
    let service = layer.layer(service_fn(move |(): ()| {
        spawn(inner.clone().oneshot(()));
        std::future::pending::<Result<(), Infallible>>()
    }));
    poll_and_leave(service.oneshot(()));
    layer.handle().wait_idle().await;
    let report = log.report();
    assert_eq!((report.spawned, report.aborted), (1, 1), "{report}");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_has_ended_before_the_deadline_excuses_nobody() {
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
