//! A trace outside the tracker includes the hold in its latency, and sees what the client gets.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt;
use tokio::time::Instant;
use tower::ServiceBuilder;
use tower_http::trace::{
    DefaultMakeSpan, DefaultOnBodyChunk, DefaultOnRequest, DefaultOnResponse, HttpMakeClassifier,
    OnBodyChunk, OnEos, OnResponse, TraceLayer,
};
use tracing::Span;

use super::handlers::{stream, text};
use super::{LIMIT, WORK, answer, observed};
use crate::support::Log;

/// Which callbacks of a trace were called, and when.
#[derive(Debug, Clone)]
struct Heard {
    start: Instant,
    said: Arc<Mutex<Vec<(Said, Duration)>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Response(StatusCode),
    End,
}

type Trace = TraceLayer<
    HttpMakeClassifier,
    DefaultMakeSpan,
    DefaultOnRequest,
    Heard,
    DefaultOnBodyChunk,
    Heard,
>;

impl Heard {
    fn from_now_on() -> Self {
        Self {
            start: Instant::now(),
            said: Arc::default(),
        }
    }

    fn layer(&self) -> Trace {
        let layer = TraceLayer::new_for_http();
        layer.on_response(self.clone()).on_eos(self.clone())
    }

    fn push(&self, said: Said) {
        let at = self.start.elapsed();
        let mut all = self.said.lock().expect("no panic holds this lock");
        all.push((said, at));
    }

    fn all(&self) -> Vec<(Said, Duration)> {
        self.said.lock().expect("no panic holds this lock").clone()
    }
}

impl<B> OnResponse<B> for Heard {
    fn on_response(self, response: &Response<B>, _: Duration, _: &Span) {
        self.push(Said::Response(response.status()));
    }
}

impl OnEos for Heard {
    fn on_eos(self, _: Option<&HeaderMap>, _: Duration, _: &Span) {
        self.push(Said::End);
    }
}

#[tokio::test(start_paused = true)]
async fn a_trace_outside_counts_a_held_head_in_and_one_inside_does_not() {
    let heard = Heard::from_now_on();
    let stack = ServiceBuilder::new().layer(heard.layer());
    let stack = stack.layer(observed(&Log::default()));
    let (answer_outside, took) = answer(stack.service(text(Duration::ZERO))).await;
    drop(answer_outside.into_body().collect().await);
    assert_eq!(took, WORK);
    let response = (Said::Response(StatusCode::OK), WORK);
    assert_eq!(heard.all(), [response, (Said::End, WORK)]);

    let heard = Heard::from_now_on();
    let stack = ServiceBuilder::new().layer(observed(&Log::default()));
    let stack = stack.layer(heard.layer());
    let (answer_inside, took) = answer(stack.service(text(Duration::ZERO))).await;
    drop(answer_inside.into_body().collect().await);
    assert_eq!(took, WORK);
    let at_once = Duration::ZERO;
    let response = (Said::Response(StatusCode::OK), at_once);
    // The body was looked at to see whether it is there.
    assert_eq!(heard.all(), [response, (Said::End, at_once)]);
}

#[tokio::test(start_paused = true)]
async fn a_trace_outside_counts_a_held_end_in_and_one_inside_does_not() {
    let at_once = Duration::ZERO;
    let response = (Said::Response(StatusCode::OK), at_once);

    let heard = Heard::from_now_on();
    let stack = ServiceBuilder::new().layer(heard.layer());
    let stack = stack.layer(observed(&Log::default()));
    let (streamed, _) = answer(stack.service(stream())).await;
    drop(streamed.into_body().collect().await);
    assert_eq!(heard.start.elapsed(), WORK);
    assert_eq!(heard.all(), [response, (Said::End, WORK)]);

    let heard = Heard::from_now_on();
    let stack = ServiceBuilder::new().layer(observed(&Log::default()));
    let stack = stack.layer(heard.layer());
    let (streamed, _) = answer(stack.service(stream())).await;
    drop(streamed.into_body().collect().await);
    assert_eq!(heard.start.elapsed(), WORK);
    assert_eq!(heard.all(), [response, (Said::End, at_once)]);
}

#[tokio::test(start_paused = true)]
async fn only_a_trace_outside_sees_the_status_that_replaces_the_handlers() {
    let late = StatusCode::GATEWAY_TIMEOUT;
    let layer = || {
        let layer = observed(&Log::default()).drain_timeout(LIMIT);
        layer.deadline_status(late)
    };
    let heard = Heard::from_now_on();
    let stack = ServiceBuilder::new().layer(heard.layer()).layer(layer());
    let (answered, _) = answer(stack.service(text(Duration::ZERO))).await;
    assert_eq!(answered.status(), late);
    assert_eq!(heard.all()[0], (Said::Response(late), LIMIT));

    let heard = Heard::from_now_on();
    let stack = ServiceBuilder::new().layer(layer()).layer(heard.layer());
    let (answered, _) = answer(stack.service(text(Duration::ZERO))).await;
    assert_eq!(answered.status(), late);
    let handlers = Said::Response(StatusCode::OK);
    assert_eq!(heard.all()[0], (handlers, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_trace_inside_sees_the_data_of_a_whole_body_before_the_head_goes_out() {
    let seen = Chunks::from_now_on();
    let stack = ServiceBuilder::new().layer(observed(&Log::default()));
    let stack = stack.layer(seen.layer());
    let (inside, took) = answer(stack.service(text(Duration::ZERO))).await;
    assert_eq!(took, WORK, "the head");
    assert_eq!(seen.all(), [Duration::ZERO], "the body was looked at");
    drop(inside.into_body().collect().await);
    assert_eq!(seen.all().len(), 1, "it is seen once");

    let seen = Chunks::from_now_on();
    let stack = ServiceBuilder::new().layer(seen.layer());
    let stack = stack.layer(observed(&Log::default()));
    let (outside, took) = answer(stack.service(text(Duration::ZERO))).await;
    assert_eq!((took, seen.all()), (WORK, vec![]));
    drop(outside.into_body().collect().await);
    assert_eq!(seen.all(), [WORK], "when the server asks for it");
}

/// When a trace has seen data of a body.
#[derive(Debug, Clone)]
struct Chunks {
    start: Instant,
    seen: Arc<Mutex<Vec<Duration>>>,
}

impl Chunks {
    fn from_now_on() -> Self {
        Self {
            start: Instant::now(),
            seen: Arc::default(),
        }
    }

    fn layer(
        &self,
    ) -> TraceLayer<HttpMakeClassifier, DefaultMakeSpan, DefaultOnRequest, DefaultOnResponse, Self>
    {
        TraceLayer::new_for_http().on_body_chunk(self.clone())
    }

    fn all(&self) -> Vec<Duration> {
        self.seen.lock().expect("no panic holds this lock").clone()
    }
}

impl OnBodyChunk<Bytes> for Chunks {
    fn on_body_chunk(&mut self, _: &Bytes, _: Duration, _: &Span) {
        let at = self.start.elapsed();
        let mut seen = self.seen.lock().expect("no panic holds this lock");
        seen.push(at);
    }
}
