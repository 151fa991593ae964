//! This layer among others, in both orders: what changes if another layer is outside of it, or inside.
//!
//! In each stack the handler spawns a task that takes [`WORK`]. How and when the answer comes, and the contents of the
//! report, show which layers saw the hold. The table of neighbours in the guide `layers` has a row for each of these modules.
//!
//! | module | |
//! |---|---|
//! | `admission` | Concurrency limits. Outside of this layer they count held heads, inside it only handlers that run. |
//! | `body_deadlines` | Deadlines of bodies. Outside of this layer they cut a held end. Inside it their time runs on while the head of a stream is held. |
//! | `buffer` | A buffer calls its service in a task of its own. Outside of this layer that changes nothing. Inside it, `call` runs without the request's context. |
//! | `catch_panic` | A panic of a handler. If it is caught outside of this layer, this layer treats it as a disconnect. If it is caught inside, the answer is like any other. |
//! | `compression` | A compressor. Outside of this layer it leaves the head held. Inside it makes a stream of every body that it compresses. |
//! | `cors` | CORS. Outside of this layer it answers preflights itself, and adds its headers to every answer. Inside it adds none to the answer for a request that this layer refuses. |
//! | `early_drops` | Layers that detect disconnects. Outside of this layer they also notice clients that leave a held response. Inside they see the handler alone, and report a disconnect for a body that this layer drops. |
//! | `flushes` | A hook that flushes spans. The span of a trace inside of this layer has closed by then, the span of a trace outside has not. `examples/telemetry` tests the same with the OpenTelemetry SDK. |
//! | `handlers` | The innermost services of the stacks. |
//! | `request_id` | The request's id: this layer uses the id that the request has when it arrives there. |
//! | `routers` | Which layer is outside: a `ServiceBuilder` and a `Router` order their layers in opposite ways. |
//! | `scopes` | `TaskScopeLayer` on a router: it holds the answer, and cannot fail it. |
//! | `timeout` | A timeout. Outside of this layer it cuts the hold of a head short. Inside it limits the handler alone. |
//! | `timeout_bodies` | Timeouts of bodies. Outside of this layer they cut a held end. Inside they hide the length of the body. |
//! | `trace` | A trace outside of this layer includes the hold in its latency, and sees what the client gets. |
//! | `trace_spans` | The log with a trace outside of this layer and inside: which events are in the request's span, and in which order. |
//! | `whole_bodies` | Layers that read a body to its end, or that replace it. |
//! | `wire` | One exchange over a real HTTP/1 connection in memory, with the times at which its parts arrive. |

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

/// A layer that is observed by the log.
fn observed(log: &Log) -> TaskTrackerLayer {
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
