//! The log with a trace outside the tracker and inside: which events are in the request's span, and in which order.

use std::convert::Infallible;

use http::{Request, Response};
use tower::{Service, ServiceBuilder, service_fn};
use tower_http::trace::TraceLayer;
use tower_task_tracker::{DrainReport, TaskTrackerLayer, named};

use super::{LIMIT, NoBody, WORK, answer, answered};
use crate::subscribers::lines::Lines;
use crate::support::{Body, full};

/// A part of the trace's event about an answer.
const RESPONDED: &str = "finished processing request";

/// A part of the event about a drain.
const DRAINED: &str = "the tasks of a request report=drained";

#[track_caller]
fn is_in_request(lines: &Lines, part: &str) -> bool {
    lines.with(part).contains("request{method=GET")
}

fn layer() -> TaskTrackerLayer {
    TaskTrackerLayer::new().on_drain(|_: &DrainReport| tracing::info!("in the callback"))
}

/// A handler whose work logs its end.
fn talking() -> impl Service<
    Request<NoBody>,
    Response = Response<Body>,
    Error = Infallible,
    Future = impl Future<Output = Result<Response<Body>, Infallible>> + Send,
> + Clone {
    service_fn(async |_| {
        named("work").spawn(async {
            tokio::time::sleep(WORK).await;
            tracing::info!("the work is done");
        });
        Ok(full("done"))
    })
}

#[tokio::test(start_paused = true)]
async fn with_a_trace_outside_tasks_callbacks_and_our_events_are_in_the_requests_span() {
    let lines = Lines::default();
    let _recording = lines.record();
    let stack = ServiceBuilder::new().layer(TraceLayer::new_for_http());
    answer(stack.layer(layer()).service(talking())).await;
    for part in ["the work is done", "in the callback", DRAINED] {
        assert!(is_in_request(&lines, part), "{part}");
    }
}

#[tokio::test(start_paused = true)]
async fn with_a_trace_inside_only_the_handlers_own_tasks_are_in_the_requests_span() {
    let lines = Lines::default();
    let _recording = lines.record();
    let stack = ServiceBuilder::new().layer(layer());
    let stack = stack.layer(TraceLayer::new_for_http());
    answer(stack.service(talking())).await;
    assert!(is_in_request(&lines, "the work is done"));
    for part in ["in the callback", DRAINED] {
        assert!(!is_in_request(&lines, part), "{part}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_event_about_a_hold_that_is_cut_short_is_in_the_span_of_a_trace_outside() {
    let lines = Lines::default();
    let _recording = lines.record();
    let stack = ServiceBuilder::new().timeout(LIMIT);
    let stack = stack.layer(TraceLayer::new_for_http()).layer(layer());
    let (cut, _) = answered(stack.service(talking())).await;
    assert!(cut.is_err(), "it took too long");
    for part in ["in the callback", "the tasks of a request report=dropped"] {
        assert!(is_in_request(&lines, part), "{part}");
    }
}

// In real time: the trace's clock is not tokio's.
#[tokio::test]
async fn the_latency_that_a_trace_outside_logs_has_the_hold_in_it() {
    let lines = Lines::default();
    let _recording = lines.record();
    let stack = ServiceBuilder::new().layer(TraceLayer::new_for_http());
    answer(stack.layer(layer()).service(talking())).await;
    let line = lines.with(RESPONDED);
    let done = lines.place("the work is done");
    assert!(lines.place(RESPONDED) > done, "after it");
    let latency = line.split("latency=").nth(1).unwrap_or_default();
    let latency = latency.split(' ').next().unwrap_or_default().parse();
    let latency: u128 = latency.unwrap_or_else(|error| panic!("{error}: {line}"));
    assert!(latency >= WORK.as_millis(), "{line}");
}

#[tokio::test(start_paused = true)]
async fn a_trace_inside_logs_the_response_before_the_hold() {
    let lines = Lines::default();
    let _recording = lines.record();
    let stack = ServiceBuilder::new().layer(layer());
    let stack = stack.layer(TraceLayer::new_for_http());
    answer(stack.service(talking())).await;
    let done = lines.place("the work is done");
    assert!(lines.place(RESPONDED) < done, "before it");
}
