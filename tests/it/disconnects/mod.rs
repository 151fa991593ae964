//! When a client leaves, the response is dropped: the report has `Outcome::Dropped`, and `at_disconnect` takes the
//! policy for the tasks.
//!
//! | module | |
//! |---|---|
//! | `complete` | A response that the server has whole is complete: its drop is no disconnect. |
//! | `destructors` | What destructors spawn when the client has left. |
//! | `policies` | `at_disconnect`: tasks run on, are asked to stop, or are aborted. |
//! | `reports` | When a client leaves, its request is reported once, as dropped. |
//! | `runtimes` | A client that leaves where there is no runtime, or where the runtime ends. |

mod complete;
mod destructors;
mod policies;
mod reports;
mod runtimes;

use tokio::time::timeout;
use tower::ServiceExt;
use tower_task_tracker::{DrainReport, Outcome, TaskTrackerLayer, Unfinished, named};

use crate::support::{DropTime, Log, after, ms, request, tracked};

fn layer(log: &Log, unfinished: Unfinished) -> TaskTrackerLayer {
    TaskTrackerLayer::new()
        .at_disconnect(unfinished)
        .observer(log.clone())
}

/// Serves a request that runs `start`; the client leaves while its head is held.
async fn left_after(
    layer: &TaskTrackerLayer,
    patience: u64,
    start: impl Fn() + Clone + Send + 'static,
) {
    let held = timeout(ms(patience), tracked(layer, start).oneshot(request())).await;
    assert!(held.is_err(), "it was not held");
}

/// A task that never ends, and is watched.
fn slow(watched: &DropTime) -> impl Fn() + Clone + Send + use<> {
    let watched = watched.clone();
    move || {
        let watch = watched.watch();
        named("slow").spawn(async move {
            let _watch = watch;
            after(60_000).await;
        });
    }
}

#[track_caller]
fn dropped(log: &Log) -> DrainReport {
    let report = log.report();
    assert_eq!(report.outcome, Outcome::Dropped);
    assert_eq!(report.closed_by, None);
    report
}
