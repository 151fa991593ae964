//! Warnings and errors that an alert can be built on: each is logged once, and only with a reason.

use std::convert::Infallible;
use std::future::pending;

use http::Request;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_http::catch_panic::CatchPanicLayer;
use tower_task_tracker::{
    RunToCompletionLayer, Scope, TaskBuilder, TaskScopeLayer, TaskTrackerLayer, Tasks,
    TrackerHandle, Unfinished, named, scope, spawn, untracked,
};

use crate::logs::events::logged;
use crate::run_to_completion::handlers::poll_and_leave;
use crate::subscribers::lines::Lines;
use crate::support::{Body, Slot, after, current, full, ms, put, request, runtime, take, tracked};

const LOST: &str = "a handler was dropped before it had answered";

const UNSEEN: &str = "that of this layer does not see it";

fn errors(lines: &Lines) -> usize {
    let text = lines.text();
    let levels = text.lines().map(str::trim_start);
    levels.filter(|line| line.starts_with("ERROR")).count()
}

#[tokio::test(start_paused = true)]
async fn a_required_task_that_does_not_complete_is_one_error_that_names_it() {
    let fails: fn(TaskBuilder) = |task| {
        task.required().spawn(async { Err::<(), _>("no stock") });
    };
    let panics: fn(TaskBuilder) = |task| {
        let work = async {
            if true {
                std::panic::resume_unwind(Box::new("no stock"));
            }
            Ok::<_, &str>(())
        };
        task.required().spawn(work);
    };
    let aborts: fn(TaskBuilder) = |task| {
        let work = pending::<Result<(), &str>>();
        task.required().spawn(work).abort();
    };
    let late: fn(TaskBuilder) = |task| {
        task.required().spawn(pending::<Result<(), &str>>());
    };
    for (what, own, spawn) in [
        ("failed", Some("WARN"), fails),
        ("panicked", Some("WARN"), panics),
        ("was dropped before its end", None, aborts),
        ("is late", None, late),
    ] {
        let layer = TaskTrackerLayer::new().drain_timeout(ms(10));
        let lines = Lines::default();
        let _listening = lines.listen();
        drop(
            tracked(&layer, move || spawn(named("order")))
                .oneshot(request())
                .await,
        );
        assert_eq!(errors(&lines), 1, "{what}: {}", lines.text());
        let line = lines.with("a task that the response depends on has failed");
        assert!(line.contains("order ("), "{what}: {line}");
        if let Some(level) = own {
            let line = lines.with(&format!("a required task {what}"));
            assert!(line.starts_with(level), "{line}");
            assert!(line.contains("task=order ("), "{line}");
        }
    }
}

/// Late for its response, which is the error, and not once more when it fails in the end.
#[tokio::test(start_paused = true)]
async fn a_required_task_that_is_late_and_then_fails_is_one_error() {
    for panics in [false, true] {
        let layer = TaskTrackerLayer::new().drain_timeout(ms(10));
        let lines = logged(layer, move || {
            named("order").required().spawn(async move {
                after(100).await;
                if panics {
                    std::panic::resume_unwind(Box::new("no stock"));
                }
                Err::<(), _>("no stock")
            });
        })
        .await;
        assert_eq!(errors(&lines), 1, "{}", lines.text());
        let line = lines.with(if panics {
            "task panicked"
        } else {
            "task failed"
        });
        assert!(line.starts_with("WARN"), "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn required_tasks_that_are_aborted_for_a_client_that_left_are_no_error() {
    let layer = TaskTrackerLayer::new().at_disconnect(Unfinished::Abort);
    let lines = Lines::default();
    let _listening = lines.listen();
    let service = tracked(&layer, || {
        let order = named("order").required();
        order.spawn(pending::<Result<(), &str>>());
    });
    let left = tokio::time::timeout(ms(10), service.oneshot(request())).await;
    assert!(left.is_err(), "it was held");
    layer.handle().wait_idle().await;
    assert_eq!(errors(&lines), 0, "{}", lines.text());
}

#[tokio::test(start_paused = true)]
async fn a_required_task_that_is_in_no_report_has_an_error_of_its_own() {
    let lines = logged(TaskTrackerLayer::new(), || {
        let tasks = current();
        tokio::spawn(async move {
            after(10).await;
            let late = tasks.named("late").required();
            late.spawn(async { Err::<(), _>("no stock") });
        });
        spawn(async {});
        // The handle sees nothing else until then.
        named("slow").detached().spawn(after(20));
    })
    .await;
    assert_eq!(errors(&lines), 1, "{}", lines.text());
    let line = lines.with("a required task failed");
    assert!(line.starts_with("ERROR"), "{line}");
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_a_task_that_nothing_depends_on_is_an_error_as_ever() {
    let lines = logged(TaskTrackerLayer::new(), || {
        spawn(async { std::panic::resume_unwind(Box::new("planned")) });
    })
    .await;
    let line = lines.with("a tracked task panicked");
    assert!(line.starts_with("ERROR"), "{line}");
    assert_eq!(errors(&lines), 1, "{}", lines.text());
}

/// A handler that takes a second.
async fn slow(_: Request<()>) -> Result<http::Response<Body>, Infallible> {
    after(1000).await;
    Ok(full("written"))
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_is_dropped_with_its_client_is_warned_of_once_a_minute() {
    let lines = Lines::default();
    let _listening = lines.listen();
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
async fn a_scoped_handler_that_is_dropped_is_warned_of_too_and_a_scope_is_not() {
    let lines = Lines::default();
    let _listening = lines.listen();
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
async fn what_is_no_lost_work_is_not_warned_of() {
    let lines = Lines::default();
    let _listening = lines.listen();
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
fn handlers_that_a_runtime_drops_are_not_warned_of() {
    let lines = Lines::default();
    let _listening = lines.listen();
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
async fn a_handler_that_an_aborted_task_has_called_is_not_warned_of() {
    let lines = Lines::default();
    let _listening = lines.listen();
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

/// Sends a request through both.
async fn pass(outer: &TaskTrackerLayer, inner: &TaskTrackerLayer) {
    let service = outer.layer(tracked(inner, || drop(spawn(after(1)))));
    drop(service.oneshot(request()).await);
}

#[tokio::test(start_paused = true)]
async fn a_handle_that_sees_nothing_is_warned_of_once_for_its_layer() {
    let lines = Lines::default();
    let _listening = lines.listen();
    let outer = TaskTrackerLayer::new();
    let inner = TaskTrackerLayer::new();
    pass(&outer, &inner).await;
    assert_eq!(lines.count(UNSEEN), 0, "nobody looks at it");
    let handle = inner.handle();
    for _ in 0..3 {
        pass(&outer, &inner).await;
        pass(&outer, &inner.clone().drain_timeout(ms(10))).await;
    }
    let line = lines.with(UNSEEN);
    assert!(line.starts_with("WARN"), "{line}");
    assert!(
        line.contains("tests/it/logs/dropped_handlers.rs"),
        "where it was taken: {line}"
    );
    assert!(line.contains("tracked_by"), "{line}");
    assert_eq!(handle.live_requests(), 0);

    // Set, and of another layer.
    let elsewhere = TrackerHandle::new();
    pass(&outer, &TaskTrackerLayer::new().tracked_by(&elsewhere)).await;
    assert_eq!(lines.count(UNSEEN), 2, "{}", lines.text());
    // Around a scope, and inside of one.
    let events = TaskScopeLayer::new().tracked_by(&elsewhere);
    let service = outer.layer(events.layer(service_fn(slow)));
    drop(service.oneshot(request()).await);
    assert_eq!(lines.count(UNSEEN), 3, "{}", lines.text());
}

#[tokio::test(start_paused = true)]
async fn a_handle_that_sees_its_requests_is_not_warned_of() {
    let lines = Lines::default();
    let _listening = lines.listen();
    let outer = TaskTrackerLayer::new();
    let handle = outer.handle();
    // A route's own layer is made from the router's, or says so.
    pass(&outer, &outer.clone().drain_timeout(ms(10))).await;
    pass(&outer, &TaskTrackerLayer::new().tracked_by(&handle)).await;
    // What it was cloned from has a handle of its own, which nothing is known of.
    let base = TaskTrackerLayer::new();
    drop(base.clone().tracked_by(&TrackerHandle::new()));
    pass(&outer, &base).await;
    // What a straggler or a detached task calls is a request of its own.
    let own = TaskTrackerLayer::new();
    let seen = own.handle();
    let called: Slot<Tasks> = Slot::default();
    let out = called.clone();
    let inner = tracked(&own, move || put(&out, current()));
    let service = tracked(&outer, move || {
        let inner = inner.clone();
        named("detached").detached().spawn(async move {
            drop(inner.oneshot(request()).await);
        });
    });
    drop(service.oneshot(request()).await);
    handle.wait_idle().await;
    let token = take(&called).token();
    assert_eq!(seen.live_tasks(), 1, "this handle has it");
    drop(token);
    assert_eq!(lines.count(UNSEEN), 0, "{}", lines.text());
}
