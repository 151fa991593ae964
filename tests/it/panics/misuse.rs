//! Panics of tasks and handlers, and panics of the crate where it is misused.

use std::convert::Infallible;
use std::future::{Future, pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};

use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::time::Instant;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_task_tracker::{
    Outcome, RunToCompletionLayer, TaskScopeLayer, TaskState, TaskTrackerLayer, Tasks,
    TrackerHandle, spawn,
};

use crate::support::{Body, Log, after, current, ms, request, timeless_runtime, told, tracked};

#[tokio::test(start_paused = true)]
async fn a_panicking_task_touches_neither_its_siblings_nor_the_response() {
    let (log, layer) = told();
    let finished = Arc::new(AtomicUsize::new(0));
    let counter = finished.clone();
    let service = tracked(&layer, move || {
        for index in 0..4 {
            let counter = counter.clone();
            tower_task_tracker::named("sibling").spawn(async move {
                after(10 * index).await;
                assert_ne!(index, 1, "task {index} fails");
                counter.fetch_add(1, Ordering::SeqCst);
            });
        }
    });

    let start = Instant::now();
    let response = service.oneshot(request()).await.expect("infallible");
    assert_eq!(start.elapsed(), ms(30));
    let body = response.into_body().collect().await.expect("a whole body");
    assert_eq!(body.to_bytes(), "done");
    assert_eq!(finished.load(Ordering::SeqCst), 3);

    let report = log.report();
    assert_eq!((report.completed, report.panicked), (3, 1));
    assert!(!report.is_clean());
    let failures = &report.failures[0];
    assert_eq!(failures.state, TaskState::Panicked);
    assert_eq!(failures.name.as_deref(), Some("sibling"));
    assert_eq!(failures.age, ms(10));
    let message = failures.message.as_deref().unwrap_or_default();
    assert!(message.contains("task 1 fails"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_in_call_is_reported_as_dropped() {
    let (log, layer) = told();
    let mut service = layer.layer(service_fn(
        |_: Request<()>| -> std::future::Ready<Result<Response<Body>, Infallible>> {
            tower_task_tracker::named("orphan").spawn(after(5));
            panic!("in call")
        },
    ));

    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        drop(service.call(request()));
    }));
    assert!(panicked.is_err(), "the panic is passed on");
    assert!(Tasks::current().is_none(), "the context was left");
    let report = log.report();
    assert_eq!(report.outcome, Outcome::Dropped);
    assert_eq!(report.stragglers[0].name.as_deref(), Some("orphan"));

    layer.handle().wait_idle().await;
    assert_eq!(log.late_ends().len(), 1, "the orphan ran to its end");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_when_polled_is_reported_as_dropped() {
    let (log, layer) = told();
    let service = tracked(&layer, || {
        spawn(after(5));
        panic!("when polled")
    });

    let panic = tokio::spawn(service.oneshot(request()))
        .await
        .expect_err("the panic is passed on");
    assert!(panic.is_panic());
    assert_eq!(log.report().outcome, Outcome::Dropped);
    layer.handle().wait_idle().await;
    assert_eq!(log.late_ends()[0].state, TaskState::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_straggler_that_panics_is_told_of() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(10))
        .observer(log.clone());
    let service = tracked(&layer, || {
        spawn(async {
            after(20).await;
            panic!("too late");
        });
    });

    drop(service.oneshot(request()).await);
    layer.handle().wait_idle().await;
    assert_eq!(log.report().stragglers.len(), 1);
    let ends = log.late_ends();
    assert_eq!(ends[0].state, TaskState::Panicked);
    assert_eq!(ends[0].message.as_deref(), Some("too late"));
}

#[tokio::test(start_paused = true)]
async fn a_spawn_that_panics_is_counted_as_aborted() {
    let (log, layer) = told();
    let service = tracked(&layer, || {
        // There is no `LocalSet`.
        let spawned = catch_unwind(AssertUnwindSafe(|| drop(current().spawn_local(async {}))));
        assert!(spawned.is_err());
        spawn(after(10));
    });
    let start = Instant::now();
    drop(service.oneshot(request()).await);
    assert_eq!(start.elapsed(), ms(10), "nothing is left to wait for");
    assert_eq!((log.report().aborted, log.report().completed), (1, 1));
}

/// What is said by a panic of this.
#[track_caller]
fn message_of(panics: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(panics)).expect_err("it panics");
    let formatted = payload.downcast_ref::<String>().cloned();
    let message = formatted.or_else(|| payload.downcast_ref::<&str>().map(ToString::to_string));
    message.expect("a string")
}

/// What a future says that panics after a few polls.
fn polled(future: impl Future) -> String {
    let mut future = Box::pin(future);
    message_of(|| {
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..3 {
            drop(future.as_mut().poll(&mut cx));
        }
    })
}

/// What a future says that is polled once more after it has ended.
async fn polled_again(future: impl Future) -> String {
    let mut future = Box::pin(future);
    drop(future.as_mut().await);
    polled(future)
}

#[tokio::test]
async fn each_future_that_is_polled_after_its_end_says_so_by_its_name() {
    let answers = |(): ()| ready(Ok::<_, Infallible>(()));
    let tasks = TrackerHandle::new().process_tasks();
    for (said, name) in [
        (
            polled_again(tracked(&TaskTrackerLayer::new(), || {}).call(request())).await,
            "`ResponseFuture` polled after it has ended",
        ),
        (
            polled_again(TaskScopeLayer::new().layer(service_fn(answers)).call(())).await,
            "a scope was polled after it had ended",
        ),
        (
            polled_again(
                RunToCompletionLayer::new()
                    .layer(service_fn(answers))
                    .call(()),
            )
            .await,
            "`RunToCompletionFuture` polled after it has ended",
        ),
        (
            polled_again(tasks.track_future(ready(()))).await,
            "`TrackedFuture` polled after it has ended",
        ),
        (
            polled_again(tasks.within(ready(()))).await,
            "a future in a request's context was polled after it had ended",
        ),
    ] {
        assert_eq!(said, name);
    }
}

#[test]
fn a_wait_on_a_runtime_without_time_panics() {
    let runtime = timeless_runtime();
    let _entered = runtime.enter();
    let waits = || drop(spawn(pending::<()>()));
    let mut response = tracked(&TaskTrackerLayer::new(), waits);
    let mut answer = TaskScopeLayer::new().layer(service_fn(move |(): ()| {
        waits();
        ready(Ok::<_, Infallible>(()))
    }));
    for said in [polled(response.call(request())), polled(answer.call(()))] {
        assert!(said.contains("timers are disabled"), "{said}");
    }
}
