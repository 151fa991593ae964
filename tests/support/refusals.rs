//! Answers that are refused, and the fields that are kept of their heads.

use std::convert::Infallible;
use std::time::Duration;

use http::{HeaderMap, Request, StatusCode};
use http_body::Body;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{TaskTrackerLayer, named};

use super::{after, full, request};

/// What a refusal keeps.
pub(crate) const KEPT: [&str; 50] = [
    "accept-ch",
    "alt-svc",
    "apigw-requestid",
    "b3",
    "baggage",
    "cf-ray",
    "clear-site-data",
    "connection",
    "correlation-id",
    "critical-ch",
    "date",
    "document-policy",
    "expect-ct",
    "feature-policy",
    "integrity-policy",
    "integrity-policy-report-only",
    "keep-alive",
    "nel",
    "origin-agent-cluster",
    "proxy-connection",
    "referrer-policy",
    "report-to",
    "reporting-endpoints",
    "request-id",
    "server",
    "server-timing",
    "set-cookie",
    "strict-transport-security",
    "timing-allow-origin",
    "traceparent",
    "traceresponse",
    "tracestate",
    "uber-trace-id",
    "upgrade",
    "vary",
    "via",
    "x-amz-cf-id",
    "x-amz-request-id",
    "x-amzn-requestid",
    "x-amzn-trace-id",
    "x-cloud-trace-context",
    "x-content-type-options",
    "x-correlation-id",
    "x-dns-prefetch-control",
    "x-download-options",
    "x-frame-options",
    "x-permitted-cross-domain-policies",
    "x-request-id",
    "x-trace-id",
    "x-xss-protection",
];

/// Spawns a task that the response fails with.
pub(crate) fn fails() {
    named("order").required().spawn(async {
        after(20).await;
        Err::<(), _>("no stock")
    });
}

/// Spawns a task that is late.
fn late() {
    named("slow").spawn(after(60_000));
}

/// A layer, and what makes it refuse an answer: a task that fails, and one that is late.
pub(crate) fn refusing() -> [(TaskTrackerLayer, fn(), u16); 2] {
    let layer = TaskTrackerLayer::new()
        .drain_timeout(Duration::from_millis(500))
        .deadline_status(StatusCode::GATEWAY_TIMEOUT);
    [(layer.clone(), fails, 500), (layer, late, 504)]
}

/// The fields of a refusal whose handler has answered with these.
pub(crate) async fn refused(layer: &TaskTrackerLayer, start: fn(), fields: HeaderMap) -> HeaderMap {
    let service = layer.layer(service_fn(|_: Request<()>| {
        start();
        let mut answer = full("done");
        *answer.headers_mut() = fields.clone();
        std::future::ready(Ok::<_, Infallible>(answer))
    }));
    let Ok(answer) = service.oneshot(request()).await;
    assert!(answer.status().is_server_error(), "it is refused");
    let (parts, body) = answer.into_parts();
    assert!(body.is_end_stream(), "it has no body");
    parts.headers
}
