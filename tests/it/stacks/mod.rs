//! The layer among others, in both orders: what changes if another layer is outside the tracker, or inside.
//!
//! In each stack the handler spawns a task that takes [`WORK`]. How and when the answer comes, and the contents of the
//! report, show which layers saw the hold. The table "Where the layer stands" of the crate's documentation has a row
//! for each of these modules.

mod admission;
mod body_deadlines;
mod buffer;
mod catch_panic;
mod compression;
mod cors;
mod early_drops;
mod flushes;
mod handlers;
mod request_id;
mod routers;
mod scopes;
mod timeout;
mod timeout_bodies;
mod trace;
mod trace_spans;
mod whole_bodies;
mod wire;

use std::fmt::Debug;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use tokio::time::{Instant, timeout};
use tower::{Service, ServiceExt};
use tower_task_tracker::TaskTrackerLayer;

use crate::support::Log;

/// How long the work takes that a handler leaves behind.
const WORK: Duration = Duration::from_millis(100);
/// A limit that the work does not meet.
const LIMIT: Duration = Duration::from_millis(40);
/// More virtual time than anything here takes.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// The body of a request.
type NoBody = Empty<Bytes>;

fn request() -> Request<NoBody> {
    Request::new(Empty::new())
}

/// A layer that tells the log.
fn told(log: &Log) -> TaskTrackerLayer {
    TaskTrackerLayer::new().observer(log.clone())
}

/// What a service answers, and after how long.
async fn answered<S, B>(service: S) -> (Result<Response<B>, S::Error>, Duration)
where
    S: Service<Request<NoBody>, Response = Response<B>>,
{
    let start = Instant::now();
    let answer = timeout(FOR_EVER, service.oneshot(request())).await;
    (answer.expect("an answer"), start.elapsed())
}

/// The same, where it is no error.
async fn answer<S, B>(service: S) -> (Response<B>, Duration)
where
    S: Service<Request<NoBody>, Response = Response<B>, Error: Debug>,
{
    let (answer, took) = answered(service).await;
    (answer.expect("no error"), took)
}
