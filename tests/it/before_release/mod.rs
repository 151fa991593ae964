//! `before_release`: a hook is awaited when the tasks are done and before the response is released, within the drain
//! window.
//!
//! | module | |
//! |---|---|
//! | `calls` | When hooks are called, and how often. |
//! | `deadlines` | A hook is part of the drain window: it is dropped at the deadline. |
//! | `disconnects` | A hook does not run for a client that has left, and is dropped when its client leaves. |
//! | `never` | Under `Hold::Never` a hook runs after the response. |

mod calls;
mod deadlines;
mod disconnects;
mod never;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::BodyExt;
use tokio::time::Instant;
use tower::ServiceExt;
use tower_task_tracker::{DrainReport, TaskTrackerLayer};

use crate::support::{after, request, tracked};

/// The reports that hooks were called with.
#[derive(Clone, Default)]
struct Calls(Arc<Mutex<Vec<DrainReport>>>);

impl Calls {
    fn note(&self, report: &DrainReport) {
        let mut calls = self.0.lock().expect("no panic holds this lock");
        calls.push(report.clone());
    }

    fn all(&self) -> Vec<DrainReport> {
        self.0.lock().expect("no panic holds this lock").clone()
    }
}

/// A layer whose hook takes so long.
fn layer(calls: &Calls, millis: u64) -> TaskTrackerLayer {
    let calls = calls.clone();
    TaskTrackerLayer::new().before_release(move |report| {
        calls.note(&report);
        async move { after(millis).await }
    })
}

async fn held_whole(
    layer: &TaskTrackerLayer,
    start: impl Fn() + Clone + Send + 'static,
) -> Duration {
    let arrived = Instant::now();
    let Ok(answer) = tracked(layer, start).oneshot(request()).await;
    let took = arrived.elapsed();
    let body = answer.into_body().collect().await;
    assert_eq!(body.expect("it is whole").to_bytes(), "done");
    took
}
