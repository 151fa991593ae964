//! Flushes on several threads: a span that closes on another thread has closed when the flush begins.

mod sdk;

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::any;
use http_body_util::BodyExt;
use opentelemetry_sdk::trace::InMemorySpanExporter;
use telemetry_example::{subscriber, with_layers};
use tower::ServiceExt;
use tower_task_tracker::{TaskTrackerLayer, named};

const TASKS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_span_is_missed_that_closes_on_another_thread() {
    let exporter = InMemorySpanExporter::default();
    let spans = sdk::spans(&exporter);
    tracing::subscriber::set_global_default(subscriber(&spans)).expect("it is the first");
    let routes = Router::new().route(
        "/",
        any(async || {
            for _ in 0..TASKS {
                named("audit").spawn(tokio::time::sleep(Duration::from_micros(50)));
                named("quick").spawn(async {});
            }
            "thank you"
        }),
    );
    let app = with_layers(routes, TaskTrackerLayer::new(), &spans);
    for round in 0..500 {
        let request = Request::new(Body::empty());
        let response = app.clone().oneshot(request).await.expect("infallible");
        let exported = exporter.get_finished_spans().expect("it works");
        let names: Vec<_> = exported.iter().map(|span| &*span.name).collect();
        assert_eq!(names.len(), 1 + 2 * TASKS, "round {round}: {names:?}");
        drop(response.into_body().collect().await);
        exporter.reset();
    }
}
