//! A handler that was dropped before it had answered: a warning, once a minute for each layer.

use std::convert::Infallible;

use http::Request;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_http::catch_panic::CatchPanicLayer;
use tower_task_tracker::{
    RunToCompletionLayer, Scope, TaskScopeLayer, TaskTrackerLayer, named, scope, spawn, untracked,
};

use crate::run_to_completion::poll_and_leave;
use crate::subscribers::lines::Lines;
use crate::support::{Body, after, full, ms, request, runtime, tracked};

const LOST: &str = "a handler was dropped before it had answered";

/// A handler that takes a second.
pub(crate) async fn slow(_: Request<()>) -> Result<http::Response<Body>, Infallible> {
    after(1000).await;
    Ok(full("written"))
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_is_dropped_with_its_client_is_a_warning_once_a_minute() {
    let lines = Lines::default();
    let _recording = lines.record();
    let layer = TaskTrackerLayer::new();
    let service = layer.layer(service_fn(slow));
    {
        let _span = tracing::info_span!("request", id = 7).entered();
        poll_and_leave(service.clone().oneshot(request()));
    }
    let line = lines.with(LOST);
    assert!(line.starts_with("WARN request{id=7}"), "{line}");
    assert!(line.contains("RunToCompletionLayer"), "{line}");
    assert!(line.ends_with(" suppressed=0"), "{line}");
    // Clones of the layer, and services that it has made, are the same layer.
    let clone = layer.clone().drain_timeout(ms(10));
    for _ in 0..3 {
        poll_and_leave(service.clone().oneshot(request()));
        poll_and_leave(clone.layer(service_fn(slow)).oneshot(request()));
    }
    after(59_000).await;
    poll_and_leave(service.clone().oneshot(request()));
    assert_eq!(lines.count(LOST), 1, "{}", lines.text());
    after(1_000).await;
    poll_and_leave(service.clone().oneshot(request()));
    assert_eq!(lines.count(LOST), 2, "{}", lines.text());
    assert_eq!(lines.count("suppressed=7"), 1, "{}", lines.text());
    // Another layer has a minute of its own.
    let other = TaskTrackerLayer::new().layer(service_fn(slow));
    poll_and_leave(other.oneshot(request()));
    assert_eq!(lines.count(LOST), 3, "{}", lines.text());
}

#[tokio::test(start_paused = true)]
async fn a_scoped_handler_that_is_dropped_is_a_warning_too_and_a_scope_is_not() {
    let lines = Lines::default();
    let _recording = lines.record();
    let layer = TaskScopeLayer::new();
    for _ in 0..3 {
        poll_and_leave(layer.layer(service_fn(slow)).oneshot(request()));
    }
    assert!(lines.with(LOST).starts_with("WARN"), "{}", lines.text());
    poll_and_leave(scope(|_| slow(request())));
    poll_and_leave(Scope::new().run(|_| slow(request())));
    assert_eq!(lines.count(LOST), 1, "{}", lines.text());
    // Of two layers the outer one has the request.
    let outer = TaskTrackerLayer::new();
    let service = outer.layer(TaskTrackerLayer::new().layer(service_fn(slow)));
    poll_and_leave(service.oneshot(request()));
    assert_eq!(lines.count(LOST), 2, "{}", lines.text());
}

#[tokio::test(start_paused = true)]
async fn without_lost_work_there_is_no_warning() {
    let lines = Lines::default();
    let _recording = lines.record();
    // The handler runs on.
    for spawns in [false, true] {
        let layer = TaskTrackerLayer::new();
        let service = ServiceBuilder::new()
            .layer(layer.clone())
            .layer(RunToCompletionLayer::new())
            .service(service_fn(move |request: Request<()>| {
                if spawns {
                    spawn(after(1));
                }
                slow(request)
            }));
        poll_and_leave(service.oneshot(request()));
        layer.handle().wait_idle().await;
    }
    // It runs on in another request, or in none.
    for in_scope in [false, true] {
        let layer = TaskTrackerLayer::new();
        let inner = RunToCompletionLayer::new().layer(service_fn(slow));
        let service = layer.layer(service_fn(move |request: Request<()>| {
            let answer = inner.clone().oneshot(request);
            async move {
                if in_scope {
                    scope(|_| answer).await.0
                } else {
                    untracked(answer).await
                }
            }
        }));
        poll_and_leave(service.oneshot(request()));
        layer.handle().wait_idle().await;
    }
    // It has answered, and its tasks are what is left.
    let layer = TaskTrackerLayer::new();
    poll_and_leave(tracked(&layer, || drop(spawn(after(100)))).oneshot(request()));
    // It was not polled yet.
    drop(layer.layer(service_fn(slow)).call(request()));
    // It has panicked: caught inside of this task, or ending the one it is in.
    let panics = || {
        service_fn(|_: Request<()>| async {
            after(1).await;
            if true {
                std::panic::resume_unwind(Box::new("planned"));
            }
            Ok::<_, Infallible>(full("written"))
        })
    };
    let service = ServiceBuilder::new()
        .layer(CatchPanicLayer::new())
        .layer(layer.clone())
        .service(panics());
    drop(service.oneshot(request()).await);
    let service = layer.layer(panics());
    assert!(tokio::spawn(service.oneshot(request())).await.is_err());
    let events = TaskScopeLayer::new().layer(panics());
    assert!(tokio::spawn(events.oneshot(request())).await.is_err());
    layer.handle().wait_idle().await;
    assert_eq!(lines.count(LOST), 0, "{}", lines.text());
}

#[test]
fn handlers_that_a_runtime_drops_are_no_warning() {
    let lines = Lines::default();
    let _recording = lines.record();
    let layer = TaskTrackerLayer::new();
    let served = |runtime: &tokio::runtime::Runtime| {
        let service = layer.layer(service_fn(slow));
        let served = runtime.spawn(service.oneshot(request()));
        runtime.block_on(async { tokio::task::yield_now().await });
        served
    };
    let one = runtime();
    served(&one);
    // It drops its tasks on this thread, where it is listened.
    drop(one);
    assert_eq!(lines.count(LOST), 0, "{}", lines.text());
    let other = runtime();
    let aborted = served(&other);
    aborted.abort();
    assert!(other.block_on(aborted).is_err());
    assert_eq!(lines.count(LOST), 1, "this runtime goes on");
}

/// A task that is aborted has called it: it ends as that does, and no client has left.
#[tokio::test(start_paused = true)]
async fn a_handler_that_an_aborted_task_has_called_is_no_warning() {
    let lines = Lines::default();
    let _recording = lines.record();
    let layer = TaskTrackerLayer::new();
    let calls = tracked(&layer.clone(), move || {
        let service = layer.layer(service_fn(slow));
        let called = named("calls")
            .detached()
            .spawn(async { drop(service.oneshot(request()).await) });
        tokio::spawn(async move {
            after(5).await;
            called.abort();
        });
    });
    drop(calls.oneshot(request()).await);
    after(10).await;
    assert_eq!(lines.count(LOST), 0, "{}", lines.text());
}
