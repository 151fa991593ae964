//! The answer is posted at once. The work is waited for before the runtime asks for the next event, so
//! the client waits for nothing, and is told nothing of the work.
//!
//! `INVOKE_MODE=RESPONSE_STREAM` is for a front that streams, such as a function URL with that mode. What
//! a body spawns while it streams is waited for only if it does so through a `Tasks` that it was given:
//! the runtime polls it in a task of its own, outside of the request.

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

/// What asking for the next event may take.
const MARGIN: Duration = Duration::from_millis(500);

#[tokio::main]
async fn main() -> Result<(), Error> {
    lambda_http::tracing::init_default_subscriber();

    // At the deadline of its invocation Lambda kills the instance.
    let deadline =
        deadline::unix_millis(|invocation: &LambdaInvocation| Some(invocation.context.deadline))
            .named("lambda")
            .margin(MARGIN);
    let scope = TaskScopeLayer::new()
        // Nobody waits: the work may take all the time that the invocation has.
        .drain_timeout(None)
        .deadline_source(deadline)
        .on_drain(|report| println!("{report}"));

    let app = lambda_example::app();
    // The outermost comes last: with `TracingLayer` there, what is logged has the id of its request.
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

/// Reads the body: `lambda_http::runtime` takes none that is not `Sync`, as axum's is not. It is read as
/// a part of the request, so that what it spawns is waited for as well.
async fn whole(answer: Result<Response<Body>, Infallible>) -> Result<Response<Full<Bytes>>, Error> {
    let (parts, body) = answer?.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Response::from_parts(parts, Full::new(body)))
}
