//! A flush in `before_release` exports the spans that have closed, and no other. The tests use the real SDK.

mod sdk;

use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode, Version, header};
use axum::routing::any;
use bytes::Bytes;
use http_body::Frame;
use http_body_util::BodyExt;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use telemetry_example::{flush, subscriber, trace, with_layers};
use tokio::time::sleep;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{DrainReport, Hold, Scope, TaskScopeLayer, TaskTrackerLayer, named};
use tracing::subscriber::{DefaultGuard, set_default};
use tracing::{Instrument, info_span};

/// The real SDK, with the spans of this thread.
struct Telemetry {
    exporter: InMemorySpanExporter,
    spans: SdkTracerProvider,
    _subscribed: DefaultGuard,
}

impl Telemetry {
    fn new() -> Self {
        let exporter = InMemorySpanExporter::default();
        let spans = sdk::spans(&exporter);
        let _subscribed = set_default(subscriber(&spans));
        Self {
            exporter,
            spans,
            _subscribed,
        }
    }

    /// Returns the names of the spans exported so far, in alphabetical order.
    fn exported(&self) -> Vec<String> {
        exported(&self.exporter)
    }

    fn hook(
        &self,
    ) -> impl Fn(Arc<DrainReport>) -> Pin<Box<dyn Future<Output = ()> + Send>> + use<> {
        let spans = self.spans.clone();
        move |_| Box::pin(flush(spans.clone()))
    }
}

fn exported(exporter: &InMemorySpanExporter) -> Vec<String> {
    let spans = exporter.get_finished_spans().expect("it works");
    let mut names: Vec<String> = spans
        .into_iter()
        .map(|span| span.name.into_owned())
        .collect();
    names.sort();
    names
}

/// A body of two frames, of which the second one comes slightly later, and then the end.
struct Stream {
    left: [Option<Pin<Box<dyn Future<Output = ()> + Send>>>; 2],
}

impl Stream {
    fn new() -> Self {
        let after = |millis| Some(Box::pin(sleep(Duration::from_millis(millis))) as _);
        Self {
            left: [after(1), after(2)],
        }
    }

    /// Returns a body of one frame that never ends.
    fn without_end() -> Self {
        let [first, _] = Self::new().left;
        Self {
            left: [first, Some(Box::pin(pending()))],
        }
    }
}

impl http_body::Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(next) = self.left.iter_mut().find(|wait| wait.is_some()) else {
            return Poll::Ready(None);
        };
        let Some(wait) = next else {
            unreachable!("found as one")
        };
        if wait.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        *next = None;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from("12345")))))
    }
}

/// The kinds of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Whole,
    Empty,
    NoContent,
    Stream,
    StreamOfKnownLength,
}

const ANSWERS: [Answer; 5] = [
    Answer::Whole,
    Answer::Empty,
    Answer::NoContent,
    Answer::Stream,
    Answer::StreamOfKnownLength,
];

impl Answer {
    fn is_stream(self) -> bool {
        matches!(self, Answer::Stream | Answer::StreamOfKnownLength)
    }

    fn response(self) -> Response<Body> {
        let mut response = Response::new(match self {
            Answer::Whole => Body::from("0123456789"),
            Answer::Empty | Answer::NoContent => Body::empty(),
            Answer::Stream | Answer::StreamOfKnownLength => Body::new(Stream::new()),
        });
        if self == Answer::NoContent {
            *response.status_mut() = StatusCode::NO_CONTENT;
        }
        if self == Answer::StreamOfKnownLength {
            response
                .headers_mut()
                .insert(header::CONTENT_LENGTH, 10.into());
        }
        response
    }

    /// Returns a route that spawns this many tasks and answers.
    fn route(self, tasks: usize) -> Router {
        let handler = async move || {
            for index in 0..tasks {
                named("audit").spawn(sleep(Duration::from_millis(5 * index as u64)));
            }
            self.response()
        };
        Router::new().route("/", any(handler))
    }
}

/// Returns the names of the spans of a request with this many tasks.
fn all_of(tasks: usize) -> Vec<&'static str> {
    [vec!["request"], vec!["task"; tasks]].concat()
}

/// Reads a response as far as a server reads it.
async fn read(response: Response<Body>, answer: Answer) -> Body {
    let mut body = response.into_body();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        length += frame
            .expect("no error")
            .into_data()
            .map_or(0, |data| data.len());
        if answer == Answer::StreamOfKnownLength && length == 10 {
            // A server ends the response with this frame.
            break;
        }
    }
    body
}

fn get() -> Request<Body> {
    Request::new(Body::empty())
}

#[tokio::test]
async fn with_the_trace_inside_every_span_is_out_before_the_response_ends() {
    for answer in ANSWERS {
        for tasks in [0, 1, 3] {
            let telemetry = Telemetry::new();
            let tracker = TaskTrackerLayer::new();
            let app = with_layers(answer.route(tasks), tracker, &telemetry.spans);
            let response = app.oneshot(get()).await.expect("infallible");
            if answer.is_stream() {
                assert_eq!(telemetry.exported(), [""; 0], "{answer:?} begins at once");
            } else {
                assert_eq!(
                    telemetry.exported(),
                    all_of(tasks),
                    "{answer:?} at its head"
                );
            }
            let body = read(response, answer).await;
            assert_eq!(telemetry.exported(), all_of(tasks), "{answer:?} at its end");
            drop(body);
        }
    }
}

#[tokio::test]
async fn what_a_stream_spawns_is_out_too() {
    let telemetry = Telemetry::new();
    let route = Router::new().route(
        "/",
        any(async || {
            let body = Stream::new().map_frame(|frame| {
                named("delivery").spawn(sleep(Duration::from_millis(10)));
                frame
            });
            Response::new(Body::new(body))
        }),
    );
    let app = with_layers(route, TaskTrackerLayer::new(), &telemetry.spans);
    let response = app.oneshot(get()).await.expect("infallible");
    drop(response.into_body().collect().await);
    assert_eq!(telemetry.exported(), all_of(2));
}

#[tokio::test]
async fn with_the_trace_outside_the_span_of_the_request_is_missed() {
    for answer in [Answer::Whole, Answer::Stream] {
        let telemetry = Telemetry::new();
        let tracker = TaskTrackerLayer::new().before_release(telemetry.hook());
        let app = answer.route(1).layer(tracker).layer(trace());
        let response = app.oneshot(get()).await.expect("infallible");
        drop(response.into_body().collect().await);
        assert_eq!(telemetry.exported(), ["task"], "{answer:?}");
        // The next flush exports it, or the end of the process.
        flush(telemetry.spans.clone()).await;
        assert_eq!(telemetry.exported(), ["request", "task"], "{answer:?}");
    }
}

#[tokio::test]
async fn where_the_head_of_a_stream_is_held_the_span_of_the_request_is_missed_in_any_order() {
    let telemetry = Telemetry::new();
    let tracker = TaskTrackerLayer::new().hold(Hold::Head);
    let app = with_layers(Answer::Stream.route(1), tracker, &telemetry.spans);
    let response = app.oneshot(get()).await.expect("infallible");
    assert_eq!(telemetry.exported(), ["task"], "at its head");
    drop(response.into_body().collect().await);
    assert_eq!(telemetry.exported(), ["task"], "at its end");
}

#[tokio::test]
async fn a_body_that_is_complete_and_does_not_end_keeps_the_span_of_the_request_over_http_2_alone()
{
    for (version, exported) in [
        (Version::HTTP_11, &["request", "task"][..]),
        (Version::HTTP_2, &["task"]),
    ] {
        let telemetry = Telemetry::new();
        let routes = Router::new().route(
            "/",
            any(async || {
                named("audit").spawn(sleep(Duration::from_millis(5)));
                let mut response = Response::new(Body::new(Stream::without_end()));
                response
                    .headers_mut()
                    .insert(header::CONTENT_LENGTH, 5.into());
                response
            }),
        );
        let app = with_layers(routes, TaskTrackerLayer::new(), &telemetry.spans);
        let mut request = get();
        *request.version_mut() = version;
        let response = app.oneshot(request).await.expect("infallible");
        let mut body = response.into_body();
        assert!(body.frame().await.is_some(), "what completes it");
        assert_eq!(telemetry.exported(), exported, "{version:?}");
    }
}

#[tokio::test]
async fn under_never_every_span_is_out_when_the_handle_is_idle() {
    for answer in ANSWERS {
        let telemetry = Telemetry::new();
        let tracker = TaskTrackerLayer::new().hold(Hold::Never);
        let handle = tracker.handle();
        let app = with_layers(answer.route(2), tracker, &telemetry.spans);
        let response = app.oneshot(get()).await.expect("infallible");
        drop(response.into_body().collect().await);
        handle.wait_idle().await;
        assert_eq!(telemetry.exported(), all_of(2), "{answer:?}");
    }
}

#[tokio::test]
async fn a_window_that_closes_too_early_calls_no_hook_and_the_end_of_the_process_exports() {
    let telemetry = Telemetry::new();
    let exporter = telemetry.exporter.clone();
    let tracker = TaskTrackerLayer::new().drain_timeout(Duration::ZERO);
    let handle = tracker.handle();
    let app = with_layers(Answer::Whole.route(3), tracker, &telemetry.spans);
    let response = app.oneshot(get()).await.expect("infallible");
    drop(response.into_body().collect().await);
    assert_eq!(telemetry.exported(), [""; 0]);
    let report = handle.shutdown(Duration::from_secs(5)).await;
    assert!(report.is_clean(), "{report}");
    telemetry.spans.force_flush().expect("it works");
    assert_eq!(exported(&exporter), all_of(3));
}

#[tokio::test]
async fn a_service_and_a_function_flush_the_spans_inside_of_them() {
    for tasks in [0, 2] {
        let telemetry = Telemetry::new();
        let work = move || {
            let work = async move {
                for index in 0..tasks {
                    named("audit").spawn(sleep(Duration::from_millis(5 * index)));
                }
                Ok::<_, Infallible>(())
            };
            work.instrument(info_span!("request"))
        };
        let all = all_of(tasks as usize);
        let layer = TaskScopeLayer::new().before_release(telemetry.hook());
        let service = layer.layer(service_fn(move |(): ()| work()));
        let _ = service.oneshot(()).await;
        assert_eq!(telemetry.exported(), all, "a service");
        telemetry.exporter.reset();
        let scope = Scope::new().before_release(telemetry.hook());
        let _ = scope.run(move |_| work()).await;
        assert_eq!(telemetry.exported(), all, "a function");
    }
}
