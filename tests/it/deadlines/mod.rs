//! When a hold ends although tasks are alive: the limits of the drain window, and the sources of deadlines.

mod asked;
mod at_least;
mod clients;
mod environment;
mod grpc_timeout;
mod lambda;
mod limits;
mod margin;
mod moving;
mod nested;
mod prefer;
mod races;
mod robust;
mod several;
mod sources;
mod stopping;
mod unix_millis;
mod windows;

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

/// The same, and how often it was asked.
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
