//! The answer is posted at once. The layer waits for the work before the runtime requests the next event. So the client
//! does not wait, and the answer does not show whether the work has failed.
//!
//! `INVOKE_MODE=RESPONSE_STREAM` is for a front that streams, such as a function URL with that mode. With it, the
//! runtime polls the body in a task of its own, outside the request. So the layer waits for what the body spawns while
//! it streams only if the body spawns through a `Tasks` that it contains.

use std::convert::Infallible;
use std::env;
use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body_util::{BodyExt, Full};
use lambda_http::{Error, Request, Response};
use lambda_runtime::LambdaInvocation;
use lambda_runtime::layers::TracingLayer;
use tower::ServiceExt;
use tower_task_tracker::{TaskScopeLayer, deadline};

/// The time that the request for the next event may take.
const MARGIN: Duration = Duration::from_millis(500);

#[tokio::main]
async fn main() -> Result<(), Error> {
    lambda_http::tracing::init_default_subscriber();

    // Lambda kills the instance at the deadline of its invocation.
    let deadline =
        deadline::unix_millis(|invocation: &LambdaInvocation| Some(invocation.context.deadline))
            .named("lambda")
            .margin(MARGIN);
    let scope = TaskScopeLayer::new()
        // No client waits, so the work may take all the time of the invocation.
        .drain_timeout(None)
        .deadline_source(deadline)
        .on_drain(|report| println!("{report}"));

    let app = lambda_example::app();
    // The last layer is the outermost. With `TracingLayer` there, every log event has the id of its request.
    match env::var("INVOKE_MODE").as_deref() {
        Ok("RESPONSE_STREAM") => {
            let runtime = lambda_http::streaming_runtime(app);
            runtime.layer(scope).layer(TracingLayer::new()).run().await
        }
        _ => {
            let runtime = lambda_http::runtime(ServiceExt::<Request>::then(app, whole));
            runtime.layer(scope).layer(TracingLayer::new()).run().await
        }
    }
}

/// Reads the whole body, because `lambda_http::runtime` requires a body that is `Sync`, and axum's is not. The body is
/// read within the request, so that the layer also waits for what the body spawns.
async fn whole(answer: Result<Response<Body>, Infallible>) -> Result<Response<Full<Bytes>>, Error> {
    let (parts, body) = answer?.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Response::from_parts(parts, Full::new(body)))
}
