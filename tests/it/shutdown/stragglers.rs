//! Tasks that no response waits for: a shutdown waits for them, and aborts them in the end.

use std::convert::Infallible;
use std::time::Duration;

use http::{Request, Response};
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{TaskTrackerLayer, TrackerHandle, Unfinished, named};

use super::slow;
use crate::support::{
    DropTime, Frames, Slot, after, current, ms, paused_runtime, put, request, take, tracked,
    with_field,
};

/// A handle with a task that no response waits for.
async fn straggling(layer: TaskTrackerLayer, watched: &DropTime, millis: u64) -> TrackerHandle {
    let layer = layer.drain_timeout(ms(0));
    drop(
        tracked(&layer, slow(watched, millis))
            .oneshot(request())
            .await,
    );
    assert_eq!(layer.handle().live_tasks(), 1);
    layer.handle()
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_tasks_that_no_response_waits_for() {
    let watched = DropTime::new();
    let handle = straggling(TaskTrackerLayer::new(), &watched, 300).await;
    let report = handle.shutdown(ms(1000)).await;
    assert_eq!(report.waited, ms(300));
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.completed, 1);
    assert_eq!(
        report.to_string(),
        "shut down after 300.0ms: 1 tasks completed"
    );
}

#[tokio::test(start_paused = true)]
async fn stragglers_are_stopped_by_their_policy_and_aborted_at_the_end() {
    for (policy, at) in [
        (Unfinished::Continue, 1000),
        (Unfinished::Abort, 900),
        (Unfinished::Cancel { grace: ms(400) }, 900),
    ] {
        let watched = DropTime::new();
        // Their own window has closed by a client's deadline, which detaches.
        let layer = TaskTrackerLayer::new()
            .at_deadline(policy)
            .deadline_source(tower_task_tracker::deadline::grpc_timeout());
        let service = tracked(&layer, slow(&watched, 60_000));
        drop(service.oneshot(with_field("grpc-timeout", "1n")).await);
        after(1).await;
        let start = Instant::now();
        let report = layer.handle().shutdown(ms(1000)).await;
        assert_eq!(start.elapsed(), ms(at), "{policy:?}");
        assert_eq!(report.aborted, 1, "{policy:?}: {report}");
        assert!(report.to_string().contains("1 aborted"), "{report}");
    }
}

#[tokio::test(start_paused = true)]
async fn stragglers_that_come_up_during_a_shutdown_have_their_grace_too() {
    let asked = DropTime::new();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(0))
        .at_deadline(Unfinished::Cancel { grace: ms(800) });
    let handle = layer.handle();
    handle.spawn(after(60_000));
    let service = tracked(&layer, {
        let asked = asked.clone();
        move || {
            // The time of its own window is up; this one is spawned after it.
            let tasks = current();
            let (watch, token) = (asked.watch(), tasks.cancellation_token());
            tokio::spawn(async move {
                after(100).await;
                tasks.named("late").spawn(async move {
                    let _watch = watch;
                    token.cancelled().await;
                });
            });
        }
    });
    let served = async {
        after(50).await;
        drop(service.oneshot(request()).await);
    };
    let ((), report) = tokio::join!(served, handle.shutdown(ms(1000)));
    assert_eq!(asked.get(), Some(ms(200)), "at the end less its grace");
    assert_eq!((report.completed, report.aborted), (1, 1), "{report}");
}

#[tokio::test(start_paused = true)]
async fn the_destructors_of_aborted_tasks_have_a_moment_after_the_end() {
    let layer = TaskTrackerLayer::new().drain_timeout(ms(0));
    let service = tracked(&layer, || {
        named("slow").spawn(async {
            let _last_words = crate::support::LastWords::new(|| {
                named("last words").detached().spawn(after(50));
            });
            after(60_000).await;
        });
    });
    drop(service.oneshot(request()).await);
    let report = layer.handle().shutdown(ms(1000)).await;
    assert_eq!(report.waited, ms(1050));
    assert_eq!((report.completed, report.aborted), (1, 1), "{report}");
}

#[tokio::test(start_paused = true)]
async fn what_a_destructor_spawns_at_the_end_is_aborted_too() {
    let layer = TaskTrackerLayer::new().drain_timeout(ms(0));
    let service = tracked(&layer, || {
        crate::support::slow_with(|| {
            named("rollback").detached().spawn(after(60_000));
        });
    });
    drop(service.oneshot(request()).await);
    let report = layer.handle().shutdown(ms(1000)).await;
    assert!(report.still_running.is_empty(), "{report}");
    let names: Vec<_> = report
        .failures
        .iter()
        .map(|task| task.name.as_deref())
        .collect();
    assert_eq!(names, [Some("slow"), Some("rollback")]);
    assert!(
        report
            .to_string()
            .contains("2 aborted; failures: slow (aborted"),
        "{report}"
    );
}

#[tokio::test(start_paused = true)]
async fn of_two_shutdowns_the_earliest_end_counts() {
    let handle = straggling(TaskTrackerLayer::new(), &DropTime::new(), 60_000).await;
    let start = Instant::now();
    let (first, second) = tokio::join!(handle.shutdown(ms(5000)), async {
        after(100).await;
        handle.shutdown(ms(400)).await
    });
    assert_eq!(start.elapsed(), ms(500));
    assert_eq!((first.waited, second.waited), (ms(500), ms(500)));
    assert_eq!(first.failures[0].name.as_deref(), Some("slow"));
    assert_eq!((first.aborted, second.aborted), (1, 1));
    let again = handle.shutdown(Duration::MAX).await;
    assert_eq!(again.waited, ms(500), "it is over");
    assert_eq!(again.aborted, 1);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_that_is_dropped_aborts_nothing() {
    let watched = DropTime::new();
    let handle = straggling(TaskTrackerLayer::new(), &watched, 3000).await;
    let waited = tokio::time::timeout(ms(50), handle.shutdown(ms(1000))).await;
    assert!(waited.is_err());
    handle.wait_idle().await;
    assert_eq!(watched.get(), Some(ms(3000)));
}

/// As above, where a shutdown is awaited.
#[test]
fn a_shutdown_is_over_after_the_last_task_of_a_tracker_also_without_a_runtime() {
    let runtime = paused_runtime();
    let layer = TaskTrackerLayer::new();
    let kept = Slot::default();
    let keep = kept.clone();
    let service = layer.layer(service_fn(move |_: Request<()>| {
        current().tracker().spawn(after(20));
        put(&keep, current());
        async { Ok::<_, Infallible>(Response::new(Frames::new(["a"]))) }
    }));
    let Ok(answer) = runtime.block_on(service.oneshot(request()));
    drop(answer);
    let _kept = take(&kept);
    runtime.block_on(async {
        after(100).await;
        let report = layer.handle().shutdown(ms(500)).await;
        assert_eq!(report.waited, ms(0), "{report}");
    });
}
