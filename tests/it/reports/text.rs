//! The contents of a report.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;

use http::Request;
use http_body_util::BodyExt;
use tokio::time::timeout;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{
    DrainReport, Outcome, ShutdownReport, TaskTrackerLayer, TrackerHandle, named, spawn,
};

use crate::support::{
    Log, Slot, after, assert_adds_up, current, full, ms, put, request, take, told, tracked,
};

#[tokio::test(start_paused = true)]
async fn the_report_of_a_held_head_rides_in_the_extensions() {
    let layer = TaskTrackerLayer::new().report_extension(true);
    let service = tracked(&layer, || {
        named("audit").spawn(after(40));
    });
    let response = service.oneshot(request()).await.expect("infallible");
    let report = response
        .extensions()
        .get::<Arc<DrainReport>>()
        .expect("the head was held");
    assert_adds_up(report);
    assert_eq!(report.held, ms(40));
    assert_eq!(report.drain, ms(40));
    assert_eq!(
        report.last.as_ref().and_then(|task| task.name.as_deref()),
        Some("audit")
    );
}

#[tokio::test(start_paused = true)]
async fn tasks_that_end_before_the_handler_does_are_reported_but_not_held_for() {
    let (log, layer) = told();
    let service = tower::Layer::layer(
        &layer,
        tower::service_fn(|_: http::Request<()>| async {
            spawn(after(10)).await.expect("no panic");
            Ok::<_, std::convert::Infallible>(crate::support::full("ok"))
        }),
    );
    let Ok(response) = service.oneshot(request()).await;
    drop(response.into_body().collect().await);
    let report = log.report();
    assert_eq!((report.outcome, report.completed), (Outcome::Drained, 1));
    assert_eq!(report.held, ms(0));
    assert_eq!(report.last, None);
}

#[tokio::test(start_paused = true)]
async fn ages_begin_when_a_task_is_first_seen_waiting() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(100))
        .observer(log.clone());
    let service = tracked(&layer, || {
        named("first").spawn(async {
            after(30).await;
            named("second").spawn(after(1000));
            after(1000).await;
        });
    });
    drop(service.oneshot(request()).await);
    let ages: Vec<_> = log
        .report()
        .stragglers
        .iter()
        .map(|task| task.age)
        .collect();
    assert_eq!(ages, [ms(100), ms(70)]);
}

#[tokio::test(start_paused = true)]
async fn a_long_list_of_tasks_is_compacted_without_losing_anybody() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(100))
        .observer(log.clone());
    let service = tower::Layer::layer(
        &layer,
        tower::service_fn(|_: http::Request<()>| async {
            let tasks = current();
            let tokens: Vec<_> = (0..50).map(|_| tasks.named("kept").token()).collect();
            for _ in 0..1000 {
                spawn(async {});
                spawn(async { panic!("one of many") });
                tokio::task::yield_now().await;
            }
            for _ in 0..50 {
                named("waiting").spawn(std::future::pending::<()>());
            }
            tokio::spawn(async move {
                after(10).await;
                drop(tokens);
            });
            Ok::<_, std::convert::Infallible>(crate::support::full("ok"))
        }),
    );
    drop(service.oneshot(request()).await);
    let report = log.report();
    assert_eq!((report.spawned, report.completed), (2100, 1050));
    assert_eq!(report.panicked, 1000);
    assert_eq!(report.stragglers.len(), 50);
    assert!(
        report
            .stragglers
            .iter()
            .all(|task| task.name.as_deref() == Some("waiting"))
    );
    assert!(report.stragglers.iter().all(|task| task.age == ms(100)));
}

#[tokio::test(start_paused = true)]
async fn endless_trouble_does_not_fill_the_memory() {
    let (log, layer) = told();
    let service = tracked(&layer, || {
        spawn(async {
            for _ in 0..10_000 {
                spawn(pending::<()>()).abort();
                tokio::task::yield_now().await;
            }
        });
    });
    drop(service.oneshot(request()).await);
    let report = log.reports().remove(0);
    assert_eq!((report.spawned, report.aborted), (10_001, 10_000));
    assert_eq!(report.failures.len(), 1024);
}

#[tokio::test(start_paused = true)]
async fn a_line_has_the_first_sixteen_tasks_and_places_in_the_place_of_names() {
    for (count, more) in [(16, ""), (17, " and 1 more"), (20, " and 4 more")] {
        let (log, layer) = told();
        let service = tracked(&layer, move || {
            for _ in 0..count {
                spawn(std::future::pending::<()>()).abort();
            }
        });
        drop(service.oneshot(request()).await);
        let line = log.report().to_string();
        assert_eq!(
            line.matches("tests/it/reports/text.rs:").count(),
            16,
            "{line}"
        );
        let end = format!(" (aborted){more}");
        assert!(line.ends_with(&end), "{count} tasks: {line}");
    }
    let handle = TrackerHandle::new();
    let _token = handle.process_tasks().token();
    let line = handle.snapshot()[0].to_string();
    assert!(line.starts_with("tests/it/reports/text.rs:"), "{line}");
    assert!(!line.contains('('), "its age is not known yet: {line}");
}

#[tokio::test(start_paused = true)]
async fn a_report_is_one_line() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(100))
        .observer(log.clone());
    let service = tracked(&layer, || {
        named("audit").spawn(after(10));
        named("mail").spawn(async { panic!("no\nserver") });
        named("index").spawn(after(500));
        named("thumbnail").spawn(after(500));
    });
    drop(service.oneshot(request()).await);
    assert_eq!(
        log.report().to_string(),
        "deadline exceeded (drain timeout): 1 of 4 tasks completed, held 100.0ms; \
         failures: mail (panicked: no\\nserver); \
         stragglers: index (running, 100.0ms), thumbnail (running, 100.0ms)"
    );
}

#[tokio::test(start_paused = true)]
async fn a_line_counts_no_tasks_where_none_was_waited_for() {
    let (log, layer) = told();
    let service = tracked(&layer, || drop(named("slow").detached().spawn(after(100))));
    let Ok(response) = service.oneshot(request()).await;
    drop(response.into_body().collect().await);
    let line = log.report().to_string();
    assert_eq!(line, "drained: no task to wait for, not held");
    layer.handle().wait_idle().await;
    assert_eq!(DrainReport::default().to_string(), line);
}

#[tokio::test(start_paused = true)]
async fn a_time_of_zero_is_told_in_words() {
    let (log, layer) = told();
    let service = tower::Layer::layer(
        &layer,
        tower::service_fn(|_: http::Request<()>| async {
            named("quick")
                .fallible()
                .spawn(async { Err::<(), _>("no") })
                .await
                .expect("no panic")
                .expect_err("it fails");
            Ok::<_, std::convert::Infallible>(crate::support::full("ok"))
        }),
    );
    let Ok(response) = service.oneshot(request()).await;
    drop(response.into_body().collect().await);
    assert_eq!(
        log.report().to_string(),
        "drained: 0 of 1 tasks completed, not held; failures: quick (failed: no)"
    );
    let nothing = ShutdownReport::default().to_string();
    assert_eq!(nothing, "shut down at once: 0 tasks completed");
    let handle = TrackerHandle::new();
    let token = handle.process_tasks().named("thread").token();
    assert_eq!(handle.snapshot()[0].to_string(), "thread");
    after(10).await;
    assert_eq!(handle.snapshot()[0].to_string(), "thread (10.0ms)");
    drop(token);
}

#[tokio::test(start_paused = true)]
async fn a_live_task_of_a_released_request_says_so_with_and_without_an_age() {
    let layer = TaskTrackerLayer::new().drain_timeout(ms(0));
    let service = tracked(&layer, || drop(named("slow").spawn(after(100))));
    drop(service.oneshot(request()).await);
    after(10).await;
    let line = layer.handle().snapshot()[0].to_string();
    assert_eq!(line, "slow (10.0ms, released)");
    let mut task = layer.handle().snapshot().remove(0);
    task.age = ms(0);
    assert_eq!(task.to_string(), "slow (released)");
    layer.handle().wait_idle().await;
}

#[tokio::test(start_paused = true)]
async fn a_required_task_that_failed_stands_before_the_others() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(100))
        .observer(log.clone());
    let service = tracked(&layer, || {
        for _ in 0..20 {
            named("other")
                .fallible()
                .spawn(async { Err::<(), _>("no") });
        }
        named("slow").spawn(after(500));
        named("charge")
            .required()
            .spawn(async { Err::<(), _>("no card") });
        named("order").required().spawn(async {
            after(500).await;
            Ok::<_, String>(())
        });
    });
    drop(service.oneshot(request()).await);
    let line = log.report().to_string();
    let start = "deadline exceeded (drain timeout): 0 of 23 tasks completed, held 100.0ms; \
        a required task has failed: charge (failed: no card), order (running, 100.0ms); \
        failures: other (failed: no), ";
    assert!(line.starts_with(start), "{line}");
    let end = " and 4 more; stragglers: slow (running, 100.0ms)";
    assert!(line.ends_with(end), "{line}");
    layer.handle().wait_idle().await;
}

#[tokio::test(start_paused = true)]
async fn a_required_task_whose_client_left_has_not_failed() {
    let (log, layer) = told();
    let service = tracked(&layer, || {
        named("charge")
            .required()
            .spawn(async { Err::<(), _>("no card") });
        named("order").required().spawn(async {
            after(500).await;
            Ok::<_, String>(())
        });
    });
    drop(tokio::time::timeout(ms(100), service.oneshot(request())).await);
    assert_eq!(
        log.report().to_string(),
        "dropped: 0 of 2 tasks completed, held 100.0ms; \
         a required task has failed: charge (failed: no card); \
         stragglers: order (running, 100.0ms)"
    );
    layer.handle().wait_idle().await;
}

#[tokio::test(start_paused = true)]
async fn a_detached_task_that_waits_gives_the_others_an_age() {
    let (log, layer) = told();
    let token = Slot::default();
    let kept = token.clone();
    let service = layer.layer(service_fn(move |_: Request<()>| {
        let kept = kept.clone();
        async move {
            named("detached").detached().spawn(after(5));
            // It does not wait where that could be seen.
            put(&kept, named("token").token());
            after(100).await;
            Ok::<_, Infallible>(full("done"))
        }
    }));
    let response = timeout(ms(60), service.oneshot(request())).await;
    assert!(response.is_err(), "the client has left");
    let stragglers = log.report().stragglers;
    assert_eq!(stragglers[0].age, ms(60));
    drop(take(&token));
}
