//! Ways in which tasks and tokens end.

use tower_task_tracker::{named, spawn};

use super::parts::{fails, panics, tracked};
use crate::foreign::stage::Stage;
use crate::support::{after, current};

pub(super) async fn tasks_of_every_end(stage: Stage) {
    let service = tracked(&stage, &stage.layer(), |_| {
        named("completes").spawn(after(10));
        named("fails").fallible().spawn(fails(20, "planned"));
        named("panics").spawn(panics(30));
        named("never runs").spawn(after(600_000)).abort();
        let aborted = named("is aborted").spawn(after(600_000));
        spawn(async move {
            after(40).await;
            aborted.abort();
        });
        let token = named("token").token();
        let clone = token.clone();
        tokio::spawn(async move {
            after(50).await;
            drop(token);
            after(10).await;
            drop(clone);
        });
        tokio::spawn(named("elsewhere").track_future(after(70)));
        named("blocking").spawn_blocking(|| {});
    });
    stage.serve(service).await;
}

pub(super) async fn no_task(stage: Stage) {
    let service = tracked(&stage, &stage.layer(), |_| {});
    stage.serve(service).await;
}

pub(super) async fn one_task(stage: Stage) {
    let service = tracked(&stage, &stage.layer(), |_| {
        spawn(after(20));
    });
    stage.serve(service).await;
}

pub(super) async fn a_tracker_ends_last(stage: Stage) {
    let service = tracked(&stage, &stage.layer(), |_| {
        spawn(after(20));
        current().tracker().spawn(after(40));
    });
    stage.serve(service).await;
}

pub(super) async fn a_token_is_dropped_last(stage: Stage) {
    let service = tracked(&stage, &stage.layer(), |_| {
        let token = current().token();
        tokio::spawn(async move {
            after(20).await;
            drop(token);
        });
    });
    stage.serve(service).await;
}
