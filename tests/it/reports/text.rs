//! The text of a report, of a task and of a shutdown's report.

use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_task_tracker::{
    DrainReport, ShutdownReport, TaskTrackerLayer, TrackerHandle, named, spawn,
};

use crate::support::{Log, after, ms, observed, request, tracked};

#[tokio::test(start_paused = true)]
async fn a_line_has_the_first_sixteen_tasks_and_places_in_the_place_of_names() {
    for (count, more) in [(16, ""), (17, " and 1 more"), (20, " and 4 more")] {
        let (log, layer) = observed();
        let service = tracked(&layer, move || {
            for _ in 0..count {
                spawn(std::future::pending::<()>()).abort();
            }
        });
        drop(service.oneshot(request()).await);
        let line = log.report().to_string();
        assert_eq!(line.matches(concat!(file!(), ":")).count(), 16, "{line}");
        let end = format!(" (aborted){more}");
        assert!(line.ends_with(&end), "{count} tasks: {line}");
    }
    let handle = TrackerHandle::new();
    let _token = handle.process_tasks().token();
    let line = handle.snapshot()[0].to_string();
    assert!(line.starts_with(concat!(file!(), ":")), "{line}");
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
    let (log, layer) = observed();
    let service = tracked(&layer, || drop(named("slow").detached().spawn(after(100))));
    let Ok(response) = service.oneshot(request()).await;
    drop(response.into_body().collect().await);
    let line = log.report().to_string();
    assert_eq!(line, "drained: no task to wait for, not held");
    layer.handle().wait_idle().await;
    assert_eq!(DrainReport::default().to_string(), line);
}

#[tokio::test(start_paused = true)]
async fn a_time_of_zero_is_written_in_words() {
    let (log, layer) = observed();
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
async fn the_text_of_a_live_task_has_its_release_with_and_without_an_age() {
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
    let (log, layer) = observed();
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
