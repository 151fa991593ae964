//! The drain window and its limits, of which the earliest is the deadline: `drain_timeout`, `total_timeout`,
//! `deadline_source`, `deadline_from`, the module `deadline`, `set_drain_timeout`. A client may end a wait, and never
//! the work.
//!
//! | module | |
//! |---|---|
//! | `after_the_drain` | Once a response has drained and goes on or fails, its window is closed: a destructor that then reads the deadline finds no drain timeout. |
//! | `at_least` | `at_least`: the shortest window that a source leaves, counted from the opening of the window. |
//! | `clients` | A deadline that the client chose ends the hold, and never the work. |
//! | `clients_and_others` | A client's deadline and other limits: the earliest decides what becomes of the tasks. |
//! | `environment` | `from_env`: a timeout in whole seconds, read from an environment variable. |
//! | `faulty_sources` | Faults of a source that do not harm the request. |
//! | `grpc_timeout` | `grpc-timeout`: how long the caller of a gRPC method waits. |
//! | `head_and_end` | A response that waits twice: at its head and at its end. |
//! | `lambda` | `x-amzn-lambda-context`: the deadline of a Lambda invocation, in Unix milliseconds. |
//! | `margin` | `margin`: what is subtracted from the instant of a source. |
//! | `moving` | `Tasks::set_drain_timeout`: a request that moves its own deadline. |
//! | `nested` | Nested layers: the innermost limits win, and sources add up. |
//! | `nested_sources` | When nested layers call their sources. |
//! | `prefer` | `Prefer: wait=N` (RFC 7240): how many seconds a client is willing to wait. |
//! | `several` | Several limits: the earliest closes the window, and the report names it. |
//! | `sources` | Closures and types as sources of deadlines, one at a time. |
//! | `stopping` | Helpers: what became of a task that was alive at a deadline. |
//! | `timeouts` | The layer's own limits: `drain_timeout` and `total_timeout`. |
//! | `unix_millis` | `unix_millis`: a closure that returns milliseconds of Unix time. |

mod after_the_drain;
mod at_least;
mod clients;
mod clients_and_others;
mod environment;
mod faulty_sources;
mod grpc_timeout;
mod head_and_end;
mod lambda;
mod margin;
mod moving;
mod nested;
mod nested_sources;
mod prefer;
mod several;
mod sources;
mod stopping;
mod timeouts;
mod unix_millis;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Request;
use http::request::Parts;
use tokio::time::Instant;
use tower_task_tracker::TaskTrackerLayer;
use tower_task_tracker::deadline::Source;

use crate::support::deadlines::{
    Held, OWN, hold_after, is_turned_into_tokios_clock, layer_with, unix_now,
};
use crate::support::{ms, slow};

const NOW: Duration = Duration::ZERO;

/// A layer with a closure for a source.
fn layer_from(
    read: impl Fn(&Parts) -> Option<Instant> + Send + Sync + 'static,
) -> TaskTrackerLayer {
    TaskTrackerLayer::new()
        .drain_timeout(OWN)
        .deadline_from(read)
}

/// A source of the platform's: so long after the request arrives.
fn arrival_plus(millis: u64) -> Source {
    Source::new("deadline source", move |_| {
        Some(Instant::now() + ms(millis))
    })
}

/// The same, and how often it was called.
fn counted_plus(millis: u64) -> (Arc<AtomicUsize>, Source) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let source = Source::new("counted", move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        Some(Instant::now() + ms(millis))
    });
    (asked, source)
}

/// Serves a request whose task never ends.
async fn hold(layer: &TaskTrackerLayer, request: Request<()>) -> Held {
    hold_after(NOW, layer, request).await
}
