//! The response waits for the work. It shows the client whether the work is done or has failed.
//!
//! `INVOKE_MODE=RESPONSE_STREAM` is for a front that streams, such as a function URL with that mode. With it, the head
//! and the data of a stream are sent at once, and the end of the stream waits.

use std::env;
use std::time::Duration;

use lambda_http::http::request::Parts;
use lambda_http::{Error, RequestExt};
use tower_task_tracker::{TaskTrackerLayer, deadline};

/// The time that posting the answer may take.
const MARGIN: Duration = Duration::from_millis(500);

#[tokio::main]
async fn main() -> Result<(), Error> {
    lambda_http::tracing::init_default_subscriber();

    // Lambda kills the instance at the deadline of its invocation.
    let deadline =
        deadline::unix_millis(|parts: &Parts| Some(parts.lambda_context_ref()?.deadline))
            .named("lambda")
            .margin(MARGIN);
    let tracker = TaskTrackerLayer::new()
        .deadline_source(deadline)
        .on_drain(|report| println!("{report}"));

    let app = lambda_example::app().layer(tracker);
    match env::var("INVOKE_MODE").as_deref() {
        Ok("RESPONSE_STREAM") => lambda_http::run_with_streaming_response(app).await,
        _ => lambda_http::run(app).await,
    }
}
