//! Limits that move while a response waits, and limits of nested layers.

use std::time::Duration;

use http::request::Parts;
use http::{Request, StatusCode};
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{
    Limit, Outcome, TaskState, TaskTrackerLayer, Unfinished, deadline, named, spawn,
};

use crate::support::{
    DropTime, Log, Slot, after, current, held, ms, put, request, slow_with, take, tracked,
    with_field,
};

/// Every source bounds the window; `Tasks::deadline` says so, the drain does not know.
#[tokio::test(start_paused = true)]
async fn a_source_of_a_nested_layer_that_is_called_during_the_drain_counts() {
    let inner = TaskTrackerLayer::new()
        .deadline_from(|_: &Parts| Some(Instant::now() + Duration::from_secs(1)));
    let known = Slot::default();
    let knows = known.clone();
    let took = held(&TaskTrackerLayer::new(), move || {
        let (inner, knows) = (tracked(&inner, || {}), knows.clone());
        spawn(async move {
            after(100).await;
            drop(inner.oneshot(request()).await);
            put(
                &knows,
                current()
                    .deadline()
                    .expect("known")
                    .duration_since(Instant::now()),
            );
            after(60_000).await;
        });
    })
    .await;
    assert_eq!(take(&known), ms(1000), "the request knows its deadline");
    assert_eq!(took, ms(1100));
}

/// "never below the source's `at_least`". `drain_timeout(Duration::MAX)` is no limit either.
#[tokio::test(start_paused = true)]
async fn at_least_more_than_the_clock_can_tell_is_no_limit() {
    let source = deadline::grpc_timeout().at_least(Duration::MAX);
    let layer = TaskTrackerLayer::new().deadline_source(source);
    let service = tracked(&layer, || drop(named("slow").spawn(after(500))));
    let arrived = Instant::now();
    drop(service.oneshot(with_field("grpc-timeout", "10m")).await);
    assert_eq!(arrived.elapsed(), ms(500));
}

/// "It counts from the moment the request reaches this layer."
#[tokio::test(start_paused = true)]
async fn a_total_timeout_counts_from_its_own_layer_whatever_the_outer_one_asks() {
    for asks in [false, true] {
        let mut outer = TaskTrackerLayer::new();
        if asks {
            outer = outer.deadline_from(|_: &Parts| None);
        }
        let inner = tracked(&TaskTrackerLayer::new().total_timeout(ms(2000)), || {
            spawn(after(60_000));
        });
        let service = outer.layer(service_fn(move |request: Request<()>| {
            let inner = inner.clone();
            async move {
                // An authentication, say.
                after(1000).await;
                inner.oneshot(request).await
            }
        }));
        let arrived = Instant::now();
        drop(service.oneshot(request()).await);
        assert_eq!(arrived.elapsed(), ms(3000), "the outer one asks: {asks}");
    }
}

/// "its unfinished tasks are always detached, whatever the policy".
#[tokio::test(start_paused = true)]
async fn at_the_deadline_of_a_client_nothing_is_aborted_also_after_an_abort() {
    let (log, cleanup) = (Log::default(), DropTime::new());
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(10_000))
        .at_deadline(Unfinished::Abort)
        .deadline_source(deadline::grpc_timeout())
        .observer(log.clone());
    let watched = cleanup.clone();
    let service = tracked(&layer, move || {
        let watched = watched.clone();
        slow_with(move || {
            // What is to be rolled back takes longer: more time, and a task that does it.
            current().set_drain_timeout(ms(60_000));
            let watch = watched.watch();
            named("rollback").spawn(async move {
                let _watch = watch;
                after(40_000).await;
            });
        });
    });
    let arrived = Instant::now();
    drop(service.oneshot(with_field("grpc-timeout", "30S")).await);
    assert_eq!(arrived.elapsed(), ms(30_000), "the client ends the hold");
    assert_eq!(log.report().closed_by, Some(Limit::Source("grpc-timeout")));
    layer.handle().wait_idle().await;
    let ends: Vec<_> = log.late_ends().iter().map(|task| task.state).collect();
    assert_eq!(ends, [TaskState::Completed], "and not the work");
    assert_eq!(cleanup.get(), Some(ms(9900 + 40_000)));
}

/// "While the response waits already, it counts from now on."
#[tokio::test(start_paused = true)]
async fn detach_said_after_the_abort_counts_from_then_on() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(1000))
        .at_deadline(Unfinished::Abort)
        .observer(log.clone());
    held(&layer, || {
        slow_with(|| {
            current().set_at_deadline(Unfinished::Continue);
            named("rollback").spawn(after(5000));
        });
    })
    .await;
    layer.handle().wait_idle().await;
    let ends: Vec<_> = log.late_ends().iter().map(|task| task.state).collect();
    assert_eq!(ends, [TaskState::Completed]);
}

/// "They are aborted so shortly before the deadline that their destructors end in time."
#[tokio::test(start_paused = true)]
async fn a_deadline_that_was_moved_after_the_abort_aborts_in_time_too() {
    let log = Log::default();
    let dropped = DropTime::new();
    let watched = dropped.clone();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(1000))
        .at_deadline(Unfinished::Abort)
        .observer(log.clone());
    held(&layer, move || {
        let watched = watched.clone();
        slow_with(move || {
            current().set_drain_timeout(ms(10_000));
            let watch = watched.watch();
            named("rollback").spawn(async move {
                let _watch = watch;
                after(60_000).await;
            });
        });
    })
    .await;
    let report = log.report();
    assert_eq!(report.aborted, 2, "{report}");
    assert_eq!(dropped.get(), Some(ms(9900)));
}

/// What the outcome says must not hang on how the aborted task ends.
#[tokio::test(start_paused = true)]
async fn a_destructor_that_panics_makes_no_success_of_a_deadline() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(1000))
        .at_deadline(Unfinished::Abort)
        .deadline_status(StatusCode::GATEWAY_TIMEOUT)
        .observer(log.clone());
    let service = tracked(&layer, || {
        slow_with(|| std::panic::resume_unwind(Box::new("planned")));
    });
    let Ok(answer) = service.oneshot(request()).await;
    let report = log.report();
    assert_eq!(
        (report.outcome, answer.status()),
        (Outcome::DeadlineExceeded, StatusCode::GATEWAY_TIMEOUT),
        "{report}"
    );
}
