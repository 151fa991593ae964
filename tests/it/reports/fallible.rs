//! Fallible tasks: an `Err` counts as a failure.

use std::convert::Infallible;
use std::fmt;

use tower::ServiceExt;
use tower_task_tracker::{TaskState, TaskTrackerLayer, named, spawn};

use crate::support::{Log, after, current, ms, observed, request, tracked};

#[tokio::test(start_paused = true)]
async fn a_fallible_task_that_returns_an_err_is_counted_as_failed_with_its_message() {
    let (log, layer) = observed();
    let service = tracked(&layer, || {
        let tasks = current();
        let failing = tasks.named("mail").fallible().spawn(async {
            after(10).await;
            Err::<(), _>("no server")
        });
        tasks
            .task()
            .fallible()
            .spawn_blocking(|| "x".parse::<u32>());
        named("fine")
            .fallible()
            .spawn(async { Ok::<_, Infallible>(7) });
        // Not fallible: its result does not count.
        spawn(async { Err::<(), _>("ignored") });
        spawn(async move {
            let result = failing.await.expect("no panic");
            assert_eq!(
                result,
                Err("no server"),
                "it comes through the handle as ever"
            );
        });
    });
    drop(service.oneshot(request()).await);
    let report = log.report();
    assert_eq!((report.spawned, report.failed, report.completed), (5, 2, 3));
    assert!(!report.is_clean());
    let mail = report
        .failures
        .iter()
        .find(|task| task.name.as_deref() == Some("mail"));
    let mail = mail.expect("it is in the report");
    assert_eq!(mail.state, TaskState::Failed);
    assert_eq!(mail.message.as_deref(), Some("no server"));
    assert_eq!(mail.to_string(), "mail (failed, 10.0ms: no server)");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_fallible_straggler_that_fails_is_observed() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(10))
        .observer(log.clone());
    let service = tracked(&layer, || {
        let tasks = current();
        tokio::spawn(tasks.named("late").fallible().track_future(async {
            after(20).await;
            Err::<(), _>("too late")
        }));
    });
    drop(service.oneshot(request()).await);
    layer.handle().wait_idle().await;
    assert_eq!((log.report().failed, log.report().stragglers.len()), (0, 1));
    assert_eq!(log.late_ends()[0].state, TaskState::Failed);
    assert_eq!(log.late_ends()[0].message.as_deref(), Some("too late"));
}

#[tokio::test(start_paused = true)]
async fn an_error_whose_message_panics_is_counted_as_a_panic() {
    struct Unspeakable;
    impl fmt::Display for Unspeakable {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("unspeakable")
        }
    }
    let (log, layer) = observed();
    let service = tracked(&layer, || {
        named("mute")
            .fallible()
            .spawn(async { Err::<(), _>(Unspeakable) });
    });
    drop(service.oneshot(request()).await);
    assert_eq!((log.report().failed, log.report().panicked), (0, 1));
}
