//! Events about tasks that no report counts: they are in the span of the task, with the request's id.

use std::future::Future;

use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_task_tracker::{DrainObserver, DrainReport, TaskInfo, TaskTrackerLayer, Tasks, named};
use tracing::{Instrument, info_span};

use crate::subscribers::lines::Lines;
use crate::support::{Slot, after, current, ms, put, take, tracked, with_field};

/// Logs each of its calls.
struct LogsCalls;

impl DrainObserver for LogsCalls {
    fn on_drain(&self, _: &DrainReport) {
        tracing::info!("called for the request");
    }

    fn on_late_spawn(&self, task: &TaskInfo) {
        tracing::info!("called for the late spawn of {task}");
    }

    fn on_late_end(&self, task: &TaskInfo) {
        tracing::info!("called for the end of {task}");
    }
}

const ID: &str = r#" request_id="r-7""#;

fn layer() -> TaskTrackerLayer {
    TaskTrackerLayer::new()
        .drain_timeout(ms(10))
        .observer(LogsCalls)
}

/// What is logged of a request with an id that runs `start` in a span `request`, and of what `then` does with its
/// tasks afterwards.
async fn logged<Fut: Future>(
    layer: TaskTrackerLayer,
    start: impl Fn() + Clone + Send + 'static,
    then: impl FnOnce(Tasks) -> Fut,
) -> Lines {
    let lines = Lines::default();
    let _recording = lines.record();
    let kept = Slot::default();
    let keep = kept.clone();
    let service = tracked(&layer, move || {
        put(&keep, current());
        start();
    });
    let request = with_field("x-request-id", "r-7");
    let held = service.oneshot(request).instrument(info_span!("request"));
    let answer = held.await.expect("infallible");
    drop(answer.into_body().collect().await);
    then(take(&kept)).await;
    layer.handle().wait_idle().await;
    lines
}

async fn fails() -> Result<(), &'static str> {
    after(50).await;
    Err("no stock")
}

#[tokio::test(start_paused = true)]
async fn events_about_a_late_task_are_in_its_own_span_with_the_requests_id() {
    let lines = logged(
        layer(),
        || {},
        async |tasks| drop(tasks.named("late").fallible().spawn(fails())),
    )
    .await;
    for (part, level) in [
        ("a task was spawned after its request was released", "WARN"),
        ("a tracked task failed", "WARN"),
        ("called for the late spawn of late", "INFO"),
        ("called for the end of late", "INFO"),
    ] {
        let line = lines.with(part);
        let span = format!(r#"{level} task{{name="late" location="#);
        assert!(line.starts_with(&span), "{line}");
        assert_eq!(line.contains(ID), level == "WARN", "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn events_about_a_straggler_are_in_its_own_span_with_the_requests_id() {
    let start = || drop(named("slow").fallible().spawn(fails()));
    let lines = logged(layer(), start, async |_| {}).await;
    for part in ["a tracked task failed", "called for the end of slow"] {
        let line = lines.with(part);
        let span = r#"request:task{name="slow" location="#;
        assert!(line.contains(span), "{line}");
    }
    assert!(lines.with("a tracked task failed").contains(ID));
    let report = lines.with("called for the request");
    assert!(report.starts_with("INFO request: it::"), "{report}");
}

#[tokio::test(start_paused = true)]
async fn events_about_a_detached_task_are_in_a_span_that_names_the_request() {
    let start = || drop(named("cache").detached().fallible().spawn(fails()));
    let lines = logged(layer(), start, async |_| {}).await;
    for part in ["a tracked task failed", "called for the end of cache"] {
        let line = lines.with(part);
        let (span, rest) = line.split_once('}').expect("it is in a span");
        assert!(span.contains(r#" task{name="cache" location="#), "{line}");
        assert!(span.contains(ID), "{line}");
        assert_eq!(rest.contains(ID), part == "a tracked task failed", "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn events_about_a_task_that_is_waited_for_are_in_the_requests_span() {
    let start = || {
        // Whatever span it runs in.
        let _elsewhere = info_span!(parent: None, "elsewhere").entered();
        let task = named("order").fallible();
        task.spawn(async { Err::<(), _>("no stock") });
    };
    let lines = logged(layer(), start, async |_| {}).await;
    let line = lines.with("a tracked task failed");
    assert!(
        line.starts_with("WARN request: tower_task_tracker:"),
        "{line}"
    );
    assert!(line.contains(ID), "{line}");
}

#[tokio::test(start_paused = true)]
async fn without_a_span_of_the_task_events_are_in_the_requests_while_it_is_open() {
    let lines = Lines::default();
    let _recording = lines.record_from(tracing::Level::WARN);
    let layer = layer();
    let service = tracked(&layer, || {
        let _elsewhere = tracing::error_span!(parent: None, "elsewhere").entered();
        let task = named("cache").detached().fallible();
        task.spawn(async { Err::<(), _>("cold") });
        named("audit").spawn(after(5));
    });
    let span = tracing::error_span!("request");
    drop(
        service
            .oneshot(with_field("x-request-id", "r-7"))
            .instrument(span)
            .await,
    );
    let line = lines.with("a tracked task failed");
    assert!(
        line.starts_with("WARN elsewhere: tower_task_tracker:"),
        "{line}"
    );
    assert!(line.contains(ID), "{line}");
}

#[tokio::test(start_paused = true)]
async fn events_about_a_request_without_an_id_have_none() {
    let lines = Lines::default();
    let _recording = lines.record();
    let layer = layer();
    let service = tracked(&layer, || {
        named("order")
            .fallible()
            .spawn(async { Err::<(), _>("no stock") });
        named("cache").detached().fallible().spawn(fails());
    });
    drop(service.oneshot(crate::support::request()).await);
    layer.handle().wait_idle().await;
    assert_eq!(lines.count("a tracked task failed"), 2);
    assert_eq!(lines.count("request_id"), 0);
}
