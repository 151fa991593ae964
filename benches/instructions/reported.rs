//! Requests of a server that reads reports and logs warnings, as most servers do. Each has one empty task.

use std::hint::black_box;
use std::io;

use tower_task_tracker::TaskTrackerLayer;
use tracing::Level;

use crate::contender::Contender;
use crate::contenders::{join_set, ours_with};

/// Returns the layer with `on_drain`, under a subscriber.
pub(crate) fn ours_reported() -> Contender {
    subscribe();
    let layer = TaskTrackerLayer::new().on_drain(|report| {
        black_box(report);
    });
    ours_with(&layer, 1, || async {})
}

/// Returns the handler that does it by hand, under the same subscriber.
pub(crate) fn join_set_reported() -> Contender {
    subscribe();
    join_set(1)
}

/// Installs a subscriber that formats warnings and discards them.
fn subscribe() {
    tracing_subscriber::fmt()
        .with_max_level(Level::WARN)
        .with_writer(io::sink)
        .init();
}
