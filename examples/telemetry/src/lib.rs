//! The layers of a server that exports the spans of a request before its response ends.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::task::spawn_blocking;
use tower_http::trace::{DefaultMakeSpan, HttpMakeClassifier, TraceLayer};
use tower_task_tracker::{DrainReport, TaskTrackerLayer, named};
use tracing::level_filters::LevelFilter;
use tracing::{Level, Subscriber};
use tracing_subscriber::layer::SubscriberExt;

/// Returns the routes of the server.
pub fn routes() -> Router {
    Router::new()
        .route("/", get(async || "welcome\n"))
        .route("/orders", post(order))
}

async fn order() -> &'static str {
    named("audit").spawn(tokio::time::sleep(Duration::from_millis(50)));
    "thank you\n"
}

/// Adds the two layers to the routes, with the tracker outside. The last layer of a `Router` is the outermost.
///
/// The order matters, because a span is exported only after it has closed. `TraceLayer` keeps the span of a request in
/// the body of the response. The tracker proceeds as follows:
///
/// 1. It drops that body when it has reached its end. This closes the span of the request.
/// 2. It waits for the tasks. Their spans close when they end.
/// 3. It calls the hook, which flushes. By then every span of the request has closed.
///
/// If `TraceLayer` were outside, its span would be open until the response is sent, and the flush would miss it.
pub fn with_layers(routes: Router, tracker: TaskTrackerLayer, spans: &SdkTracerProvider) -> Router {
    let spans = spans.clone();
    let tracker = tracker.before_release(move |_: Arc<DrainReport>| flush(spans.clone()));
    routes.layer(trace()).layer(tracker)
}

/// Returns a layer that makes a span for each request.
pub fn trace() -> TraceLayer<HttpMakeClassifier> {
    TraceLayer::new_for_http().make_span_with(DefaultMakeSpan::new().level(Level::INFO))
}

/// Exports all spans that have closed.
pub async fn flush(spans: SdkTracerProvider) {
    // `force_flush` blocks until the exporter is done. The task needs no tracking, because it is awaited here.
    let flushed = spawn_blocking(move || spans.force_flush()).await;
    if !matches!(flushed, Ok(Ok(()))) {
        eprintln!("spans were not exported: {flushed:?}");
    }
}

/// Returns a subscriber that makes OpenTelemetry spans from the spans of `tracing`.
pub fn subscriber(spans: &SdkTracerProvider) -> impl Subscriber + Send + Sync + use<> {
    let tracer = spans.tracer("telemetry-example");
    tracing_subscriber::registry()
        .with(LevelFilter::INFO)
        .with(tracing_opentelemetry::layer().with_tracer(tracer))
}
