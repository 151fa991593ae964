//! The events about a request: level, fields and span.

use http::request::Parts;
use tokio::time::Instant;
use tower::{Service, ServiceExt};
use tower_task_tracker::deadline::{self, Source};
use tower_task_tracker::{DrainObserver, DrainReport, TaskInfo, TaskTrackerLayer, named, spawn};

use crate::subscribers::lines::{Lines, logged, logged_of};
use crate::support::{after, current, ms, request, tracked, with_field};

#[tokio::test(start_paused = true)]
async fn a_request_that_is_refused_is_logged_with_how_many_tasks_are_alive() {
    let layer = TaskTrackerLayer::new().max_live_tasks(1);
    // The first question has them counted from then on.
    drop(tracked(&layer, || {}).oneshot(request()).await);
    let _tokens = [(); 3].map(|()| layer.handle().process_tasks().token());
    let lines = Lines::default();
    let _recording = lines.record();
    let service = tracked(&layer, || {});
    let span = tracing::info_span!("request", id = 7);
    drop(tracing::Instrument::instrument(service.oneshot(request()), span).await);
    let line = lines.with("a request was shed");
    assert!(line.starts_with("DEBUG request{id=7}"), "{line}");
    assert!(line.ends_with(" live_tasks=3"), "{line}");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_is_ignored_is_logged_with_its_source_and_the_reason() {
    let past = Instant::now();
    after(1).await;
    for (request, layer, fields) in [
        (
            with_field("grpc-timeout", "x"),
            TaskTrackerLayer::new().deadline_source(deadline::grpc_timeout()),
            r#" source="grpc-timeout" reason="it is no gRPC timeout""#,
        ),
        (
            request(),
            TaskTrackerLayer::new().deadline_source(Source::new("tuned", move |_| Some(past))),
            r#" source="tuned" reason="it is past""#,
        ),
        (
            request(),
            TaskTrackerLayer::new().deadline_from(move |_: &Parts| Some(past)),
            r#" source="deadline source" reason="it is past""#,
        ),
    ] {
        let line = logged_of(request, layer, || {})
            .await
            .with("a deadline was ignored");
        assert!(line.starts_with("DEBUG request{id=7}"), "{line}");
        assert!(line.ends_with(fields), "{fields}: {line}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_callback_that_panics_is_logged_as_an_error_with_its_message() {
    fn planned<T>() -> T {
        std::panic::resume_unwind(Box::new("planned"))
    }
    for (callback, layer) in [
        (
            "an observer",
            TaskTrackerLayer::new().on_drain(|_: &DrainReport| planned()),
        ),
        (
            "a hook",
            TaskTrackerLayer::new().before_release(|_| async { planned() }),
        ),
        (
            "a source",
            TaskTrackerLayer::new().deadline_from(|_: &Parts| planned()),
        ),
    ] {
        let lines = logged(layer, || drop(spawn(async {}))).await;
        let line = lines.with("a callback panicked");
        assert!(
            line.starts_with("ERROR request{id=7}"),
            "{callback}: {line}"
        );
        assert!(line.ends_with(r#" panic="planned""#), "{callback}: {line}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_awaited_before_the_release_logs_in_the_requests_span() {
    let layer = TaskTrackerLayer::new().before_release(|_| {
        tracing::info!("called");
        async {
            after(10).await;
            tracing::info!("flushed");
        }
    });
    let lines = Lines::default();
    let _recording = lines.record();
    let mut service = tracked(&layer, || {});
    // The service was called there. Its future may be polled elsewhere.
    let held = tracing::info_span!("request", id = 7).in_scope(|| service.call(request()));
    drop(held.await);
    for part in ["called", "flushed"] {
        let line = lines.with(part);
        assert!(line.contains("request{id=7}: it::logs"), "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_event_has_its_level_and_is_in_the_requests_span() {
    struct LogsCalls;
    impl DrainObserver for LogsCalls {
        fn on_drain(&self, _: &DrainReport) {
            tracing::info!("a callback");
        }
        fn on_late_spawn(&self, task: &TaskInfo) {
            tracing::info!("called for the late spawn of {task}");
        }
        fn on_late_end(&self, task: &TaskInfo) {
            tracing::info!("called for the end of {task}");
        }
    }
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(100))
        .observer(LogsCalls);
    let lines = logged(layer, || {
        named("panics").spawn(async { std::panic::resume_unwind(Box::new("no server")) });
        let fails = || async { Err::<(), _>("no stock") };
        named("fails").fallible().spawn(fails());
        named("order").required().spawn(fails());
        named("slow").spawn(after(500));
        let tasks = current();
        let comes_late = async move {
            after(400).await;
            tasks.named("late").spawn(async {});
        };
        tokio::spawn(tracing::Instrument::in_current_span(comes_late));
    })
    .await;
    for (part, level) in [
        ("a tracked task panicked", "ERROR"),
        ("a tracked task failed", "WARN"),
        ("a required task failed", "WARN"),
        ("spawned after its request was released", "WARN"),
        ("a task that the response depends on has failed", "ERROR"),
        ("a callback", "INFO"),
        ("called for the late spawn of late", "INFO"),
        ("called for the end of slow", "INFO"),
        ("called for the end of late", "INFO"),
    ] {
        let line = lines.with(part);
        assert!(line.starts_with(level), "{line}");
        assert!(line.contains("request{id=7}"), "{line}");
    }
    let panicked = lines.with("a tracked task panicked");
    assert!(
        panicked.contains("no server"),
        "with its message: {panicked}"
    );
    assert!(panicked.contains("task=panics ("), "{panicked}");
    let late = lines.with("spawned after its request was released");
    assert!(late.contains("task=late (running"), "{late}");
    let report = lines.with("has failed report=");
    assert!(report.contains("stragglers: slow"), "{report}");
}

#[tokio::test(start_paused = true)]
async fn a_missed_deadline_is_a_warning_with_its_stragglers_and_a_drain_is_none() {
    let timeout = TaskTrackerLayer::new().drain_timeout(ms(100));
    let slow = || drop(named("slow").spawn(after(500)));
    let lines = logged(timeout, slow).await;
    let line = lines.with("the drain window closed");
    assert!(
        line.starts_with("WARN") && line.contains("stragglers: slow"),
        "{line}"
    );
    let lines = logged(TaskTrackerLayer::new(), slow).await;
    let line = lines.with("the tasks of a request");
    assert!(
        line.starts_with("DEBUG") && line.contains("1 of 1"),
        "{line}"
    );
}

#[tokio::test(start_paused = true)]
async fn every_event_has_the_target_that_users_filter_by() {
    let lines = logged(TaskTrackerLayer::new().drain_timeout(ms(5)), || {
        spawn(async { panic!("planned") });
        named("late").spawn(after(20));
    })
    .await;
    let all = Lines::text(&lines);
    assert!(all.lines().count() > 1, "{all}");
    let foreign: Vec<_> = all
        .lines()
        .filter(|line| !line.contains(" tower_task_tracker: "))
        .collect();
    assert_eq!(foreign, [""; 0], "{all}");
}
