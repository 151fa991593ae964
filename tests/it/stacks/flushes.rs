//! A hook that flushes spans. The span of a trace inside the tracker has closed by then, the span of a trace outside
//! has not. `examples/telemetry` tests the same with the OpenTelemetry SDK.

use std::convert::Infallible;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::BodyExt;
use tower::{Service, ServiceBuilder, service_fn};
use tower_http::trace::TraceLayer;
use tower_task_tracker::TaskTrackerLayer;

use super::handlers::{stream, text};
use super::{NoBody, answer};
use crate::subscribers::closed::Closed;
use crate::support::{Slot, full, put, take};

/// Which spans have closed when the hook is called, with a trace in one place.
async fn closed_at_flush<S, B>(is_inside: bool, service: S) -> Vec<&'static str>
where
    S: Service<Request<NoBody>, Response = Response<B>, Error = Infallible>,
    B: http_body::Body<Error = Infallible> + 'static,
{
    let closed = Closed::default();
    let _watching = closed.watch();
    let seen = Slot::default();
    let (see, all) = (seen.clone(), closed.clone());
    let layer = TaskTrackerLayer::new().before_release(move |_| {
        put(&see, all.all());
        async {}
    });
    let trace = TraceLayer::new_for_http();
    if is_inside {
        let stack = ServiceBuilder::new().layer(layer).layer(trace);
        let (answer, _) = answer(stack.service(service)).await;
        drop(answer.into_body().collect().await);
    } else {
        let stack = ServiceBuilder::new().layer(trace).layer(layer);
        let (answer, _) = answer(stack.service(service)).await;
        drop(answer.into_body().collect().await);
    }
    assert_eq!(closed.count("request"), 1, "at the end");
    take(&seen)
}

#[tokio::test(start_paused = true)]
async fn a_flush_has_the_span_of_a_trace_inside_and_misses_that_of_one_outside() {
    for (is_inside, all) in [(true, &["task", "request"][..]), (false, &["task"])] {
        let whole = closed_at_flush(is_inside, text(Duration::ZERO)).await;
        assert_eq!(
            whole, all,
            "a whole body, with the trace inside: {is_inside}"
        );
        let streamed = closed_at_flush(is_inside, stream()).await;
        assert_eq!(
            streamed, all,
            "a stream, with the trace inside: {is_inside}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn without_tasks_too_a_flush_has_the_span_of_a_trace_inside_alone() {
    for (is_inside, all) in [(true, &["request"][..]), (false, &[])] {
        let idle = service_fn(async |_| Ok::<_, Infallible>(full("done")));
        let closed = closed_at_flush(is_inside, idle).await;
        assert_eq!(closed, all, "with the trace inside: {is_inside}");
    }
}
