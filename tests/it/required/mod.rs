//! Required tasks: the response fails if a required task panics, returns an `Err`, is aborted, or is alive at the
//! deadline. `failure_status`, `deadline_status`, the header fields that a replaced head keeps, a body that has
//! begun, gRPC.
//!
//! | module | |
//! |---|---|
//! | `wakes` | A head that is held for required tasks alone, while such tasks start and end on another thread. |
//! | `awaited` | Two ways to do the work that an answer promises: as a required task it may be late, so that the response fails and the work is done all the same; if the handler awaits it, this cannot happen. |
//! | `begun_bodies` | What becomes of a body that has begun when a required task fails. |
//! | `failures` | The head of a response fails with a required task; which status it has. |
//! | `grpc` | A gRPC call whose required task fails has the status 13 (`INTERNAL`). |
//! | `grpc_known_length` | A failed gRPC call whose body is of known length, and was polled before the wait. |
//! | `refusal_fields` | Which header fields of the handler's answer a failed head keeps. |
//! | `refusal_framing` | What a failed head does on a real connection. |
//! | `release` | A required task that ends or fails in the moment of the release. |
//! | `streams` | The head of a stream is held while a required task is alive, and no longer. |

mod awaited;
mod begun_bodies;
mod failures;
mod grpc;
mod grpc_known_length;
mod refusal_fields;
mod refusal_framing;
mod release;
mod streams;
mod wakes;

use tokio::task::JoinHandle;
use tower_task_tracker::named;

use crate::support::after;

type Outcome = Result<(), &'static str>;

/// Spawns a task that the response depends on, and that takes so long.
pub(crate) fn required(millis: u64, outcome: Outcome) -> JoinHandle<Outcome> {
    named("order").required().spawn(async move {
        after(millis).await;
        outcome
    })
}

pub(crate) const FAILURE: Outcome = Err("out of stock");
