//! What is logged, where, and in which span.

use tower::ServiceExt;
use tower_task_tracker::{OnDrain, TaskTrackerLayer, TrackerHandle, named, spawn};

use crate::lines::Lines;
use crate::support::{after, ms, request, tracked};

/// What is logged while a request is served that runs `start`, in a span `request`.
async fn logged(layer: TaskTrackerLayer, start: impl Fn() + Clone + Send + 'static) -> Lines {
    let lines = Lines::default();
    let _listening = lines.listen();
    let request_span = tracing::info_span!("request", id = 7);
    let handle = layer.handle();
    let held = request_span.in_scope(|| tracked(&layer, start).oneshot(request()));
    drop(tracing::Instrument::instrument(held, request_span).await);
    handle.wait_idle().await;
    lines
}

#[tokio::test(start_paused = true)]
async fn each_task_runs_in_a_span_of_its_own_under_the_requests() {
    let lines = logged(TaskTrackerLayer::new(), || {
        named("audit").spawn(async {
            after(1).await;
            tracing::info!("from audit");
        });
        spawn(async { tracing::info!("from nobody") });
    })
    .await;
    let line = lines.with("from audit");
    let span = "request{id=7}:task{name=\"audit\" location=tests/it/logs.rs:";
    assert!(line.contains(span), "{line}");
    let line = lines.with("from nobody");
    assert!(line.contains("request{id=7}:task{location="), "{line}");
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_span_is_not_in_that_of_the_one_before() {
    let lines = Lines::default();
    let _listening = lines.listen();
    let service = tracked(&TaskTrackerLayer::new(), || {
        drop(
            named("fails")
                .fallible()
                .spawn(async { Err::<(), _>("no stock") }),
        );
    });
    let idle = tracked(&TaskTrackerLayer::new(), || {});
    let span = tracing::info_span!("request", id = 7);
    drop(tracing::Instrument::instrument(idle.oneshot(request()), span).await);
    drop(service.oneshot(request()).await);
    let line = lines.with("a tracked task failed");
    assert!(!line.contains("request{id=7}"), "{line}");
}

#[tokio::test(start_paused = true)]
async fn switched_off_it_runs_in_the_span_it_was_spawned_in() {
    let layer = TaskTrackerLayer::new().task_spans(false);
    let lines = logged(layer, || {
        named("audit").spawn(async {
            after(1).await;
            tracing::info!("from audit");
        });
    })
    .await;
    let line = lines.with("from audit");
    assert!(line.contains("request{id=7}: it::logs"), "{line}");
}

#[tokio::test(start_paused = true)]
async fn a_route_may_switch_it_off() {
    let lines = Lines::default();
    let _listening = lines.listen();
    let route = tracked(&TaskTrackerLayer::new().task_spans(false), || {
        spawn(async { tracing::info!("from a task") });
    });
    let service = tower::Layer::layer(&TaskTrackerLayer::new(), route);
    drop(service.oneshot(request()).await);
    assert!(!lines.with("from a task").contains("task{"));
}

#[tokio::test(start_paused = true)]
async fn each_event_has_its_level_and_is_in_the_requests_span() {
    struct Told;
    impl OnDrain for Told {
        fn on_drain(&self, _: &tower_task_tracker::DrainReport) {
            tracing::info!("a callback");
        }
    }
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(100))
        .on_drain(Told);
    let lines = logged(layer, || {
        named("panics").spawn(async { std::panic::resume_unwind(Box::new("no server")) });
        let fails = || async { Err::<(), _>("no stock") };
        named("fails").fallible().spawn(fails());
        named("order").required().spawn(fails());
        named("slow").spawn(async {
            after(500).await;
            named("late").spawn(async {});
        });
    })
    .await;
    for (part, level) in [
        ("a tracked task panicked", "ERROR"),
        ("a tracked task failed", "WARN"),
        ("a required task failed", "ERROR"),
        ("spawned after its request was released", "WARN"),
        ("a task that the response depends on has failed", "ERROR"),
        ("a callback", "INFO"),
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
    let report = lines.with("has failed report=");
    assert!(report.contains("stragglers: slow"), "{report}");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_is_warned_of_with_its_stragglers_and_a_drain_is_no_news() {
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

#[tokio::test]
async fn a_spawn_outside_of_a_request_is_warned_of_once_for_each_place() {
    let lines = Lines::default();
    let _listening = lines.listen();
    for _ in 0..3 {
        drop(spawn(async {}).await);
    }
    let line = lines.with("spawned outside a request");
    assert!(
        line.starts_with("WARN") && line.contains("tests/it/logs.rs"),
        "{line}"
    );
    drop(TrackerHandle::new().spawn(async {}).await);
    lines.with("spawned outside a request");
}

#[tokio::test(start_paused = true)]
async fn where_nobody_listens_to_the_tasks_span_the_requests_is_kept() {
    let lines = Lines::default();
    let _listening = lines.listen_from(tracing::Level::WARN);
    let service = tracked(&TaskTrackerLayer::new(), || {
        spawn(async { tracing::warn!("from a task") });
    });
    let request_span = tracing::error_span!("request", id = 7);
    let held = service.oneshot(request());
    drop(tracing::Instrument::instrument(held, request_span).await);
    let line = lines.with("from a task");
    assert!(line.contains("request{id=7}: it::logs"), "{line}");
}
