//! Hooks of `before_release`.

use tower_task_tracker::{named, spawn};

use super::parts::tracked;
use crate::foreign::stage::{Stage, planned};
use crate::support::{after, ms};

pub(super) async fn a_hook_is_awaited(stage: Stage) {
    let layer = stage.layer().before_release(|_| async {
        after(10).await;
        named("of the hook").spawn(after(10));
    });
    let service = tracked(&stage, &layer, |_| {
        spawn(after(20));
    });
    stage.serve(service).await;
}

pub(super) async fn a_hook_meets_the_deadline(stage: Stage) {
    let layer = stage
        .layer()
        .drain_timeout(ms(100))
        .before_release(|_| after(600_000));
    let service = tracked(&stage, &layer, |_| {
        spawn(after(20));
    });
    stage.serve(service).await;
}

pub(super) async fn a_hook_panics(stage: Stage) {
    let layer = stage.layer().before_release(|_| async {
        after(10).await;
        planned();
    });
    let service = tracked(&stage, &layer, |_| {
        spawn(after(20));
    });
    stage.serve(service).await;
}
