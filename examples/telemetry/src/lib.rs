//! The layers of a server that exports its spans before a response ends.

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

/// What the server answers.
pub fn routes() -> Router {
    Router::new()
        .route("/", get(async || "welcome\n"))
        .route("/orders", post(order))
}

async fn order() -> &'static str {
    named("audit").spawn(tokio::time::sleep(Duration::from_millis(50)));
    "thank you\n"
}

/// Puts the two layers around the routes. Of a `Router`'s layers the last one is outside, and this order is the
/// point of the example.
///
/// A span is exported after it has closed. `TraceLayer` keeps the span of a request in the body of the response.
/// The tracker drops that body when it has come to its end, then waits for the tasks, and then calls the hook: by
/// then every span of the request has closed. If `TraceLayer` were outside, its span would be open until the
/// response has left, and a flush before that would miss it.
pub fn with_layers(routes: Router, tracker: TaskTrackerLayer, spans: &SdkTracerProvider) -> Router {
    let spans = spans.clone();
    let tracker = tracker.before_release(move |_: Arc<DrainReport>| flush(spans.clone()));
    routes.layer(trace()).layer(tracker)
}

/// A span for each request.
pub fn trace() -> TraceLayer<HttpMakeClassifier> {
    TraceLayer::new_for_http().make_span_with(DefaultMakeSpan::new().level(Level::INFO))
}

/// Exports everything that has closed.
pub async fn flush(spans: SdkTracerProvider) {
    // It blocks until the exporter is done. The task needs no tracking: it is awaited here.
    let flushed = spawn_blocking(move || spans.force_flush()).await;
    if !matches!(flushed, Ok(Ok(()))) {
        eprintln!("spans were not exported: {flushed:?}");
    }
}

/// Makes OpenTelemetry's spans of those of `tracing`.
pub fn subscriber(spans: &SdkTracerProvider) -> impl Subscriber + Send + Sync + use<> {
    let tracer = spans.tracer("telemetry-example");
    tracing_subscriber::registry()
        .with(LevelFilter::INFO)
        .with(tracing_opentelemetry::layer().with_tracer(tracer))
}
