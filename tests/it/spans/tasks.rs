//! The spans that tasks run in: `TaskSpans::Child`, `Linked` and `Inherit`.

use std::convert::Infallible;

use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{
    DrainSettings, Scope, TaskScopeLayer, TaskSpans, TaskTrackerLayer, named, spawn,
};

use crate::subscribers::lines::{Lines, logged};
use crate::support::{after, ms, request, tracked};

#[tokio::test(start_paused = true)]
async fn each_task_runs_in_a_span_of_its_own_under_the_requests() {
    let lines = logged(TaskTrackerLayer::new(), || {
        named("audit").spawn(async {
            after(1).await;
            tracing::info!("from audit");
        });
        spawn(async { tracing::info!("without a name") });
    })
    .await;
    let line = lines.with("from audit");
    let file = file!();
    let span = format!("request{{id=7}}:task{{name=\"audit\" location={file}:");
    assert!(line.contains(&span), "{line}");
    let line = lines.with("without a name");
    assert!(line.contains("request{id=7}:task{location="), "{line}");
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_span_is_not_in_that_of_the_one_before() {
    let lines = Lines::default();
    let _recording = lines.record();
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
async fn without_a_span_of_its_own_a_task_runs_in_the_one_it_was_spawned_in() {
    let layer =
        TaskTrackerLayer::new().settings(DrainSettings::new().task_spans(TaskSpans::Inherit));
    let lines = logged(layer, || {
        named("audit").spawn(async {
            after(1).await;
            tracing::info!("from audit");
        });
    })
    .await;
    let line = lines.with("from audit");
    assert!(line.contains("request{id=7}: it::spans"), "{line}");
}

#[tokio::test(start_paused = true)]
async fn a_route_may_switch_the_spans_of_tasks_off() {
    let lines = Lines::default();
    let _recording = lines.record();
    let route = tracked(
        &TaskTrackerLayer::new().settings(DrainSettings::new().task_spans(TaskSpans::Inherit)),
        || {
            spawn(async { tracing::info!("from a task") });
        },
    );
    let service = tower::Layer::layer(&TaskTrackerLayer::new(), route);
    drop(service.oneshot(request()).await);
    assert!(!lines.with("from a task").contains("task{"));
}

#[tokio::test(start_paused = true)]
async fn a_computed_name_is_in_the_span_of_its_task_and_in_the_events_about_it() {
    let lines = logged(TaskTrackerLayer::new().drain_timeout(ms(5)), || {
        let id = 7;
        named(format!("order {id}")).spawn(async {
            tracing::info!("from an order");
            after(10).await;
        });
    })
    .await;
    let line = lines.with("from an order");
    assert!(line.contains("task{name=\"order 7\" location="), "{line}");
    let line = lines.with("deadline exceeded");
    assert!(line.contains("order 7 (running"), "{line}");
}

#[tokio::test(start_paused = true)]
async fn a_linked_span_is_a_root_span_with_the_id_of_its_request() {
    let settings = DrainSettings::new().task_spans(TaskSpans::Linked);
    let lines = Lines::default();
    let _recording = lines.record();
    let service = tracked(&TaskTrackerLayer::new().settings(settings), || {
        named("audit").spawn(async { tracing::info!("from audit") });
    });
    let mut request = request();
    let id = http::HeaderValue::from_static("abc");
    request.headers_mut().insert("x-request-id", id);
    let span = tracing::info_span!("request", id = 7);
    drop(tracing::Instrument::instrument(service.oneshot(request), span).await);
    let line = lines.with("from audit");
    assert!(line.contains("task{name=\"audit\" location="), "{line}");
    assert!(line.contains("request_id=\"abc\""), "{line}");
    assert!(!line.contains("request{id=7}"), "{line}");
}

#[tokio::test(start_paused = true)]
async fn a_scope_sets_the_spans_of_its_tasks() {
    for spans in [TaskSpans::Child, TaskSpans::Linked, TaskSpans::Inherit] {
        let own = spans != TaskSpans::Inherit;
        let settings = DrainSettings::new().task_spans(spans);
        let lines = Lines::default();
        let _recording = lines.record();
        let layer = TaskScopeLayer::new().settings(settings.clone());
        let service = layer.layer(service_fn(|(): ()| async {
            spawn(async { tracing::info!("from a service") });
            Ok::<_, Infallible>(())
        }));
        let _ = service.oneshot(()).await;
        let function = Scope::new().settings(settings).run(|_| async {
            spawn(async { tracing::info!("from a function") });
        });
        function.await;
        for part in ["from a service", "from a function"] {
            let line = lines.with(part);
            assert_eq!(line.contains("task{"), own, "{line}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn where_the_filter_leaves_the_tasks_span_out_the_requests_is_kept() {
    let lines = Lines::default();
    let _recording = lines.record_from(tracing::Level::WARN);
    let service = tracked(&TaskTrackerLayer::new(), || {
        spawn(async { tracing::warn!("from a task") });
    });
    let request_span = tracing::error_span!("request", id = 7);
    let held = service.oneshot(request());
    drop(tracing::Instrument::instrument(held, request_span).await);
    let line = lines.with("from a task");
    assert!(line.contains("request{id=7}: it::spans"), "{line}");
}
