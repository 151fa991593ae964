//! A task that panics affects neither its siblings nor the response, unless it is required.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::BodyExt;
use tokio::time::Instant;
use tower::ServiceExt;
use tower_task_tracker::{TaskState, TaskTrackerLayer, spawn};

use crate::support::{Log, after, current, ms, observed, request, tracked};

#[tokio::test(start_paused = true)]
async fn a_panicking_task_touches_neither_its_siblings_nor_the_response() {
    let (log, layer) = observed();
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
async fn the_end_of_a_straggler_that_panics_is_observed() {
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
    let (log, layer) = observed();
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

#[tokio::test(start_paused = true)]
async fn a_token_dropped_by_a_panicking_thread_counts_as_a_panic() {
    let (log, layer) = observed();
    let service = tracked(&layer, || {
        let token = current().token();
        let actor = std::thread::spawn(move || {
            let _token = token;
            panic!("the actor fails");
        });
        drop(actor.join());
    });
    drop(service.oneshot(request()).await);
    after(0).await;
    assert_eq!(log.report().panicked, 1);
}
