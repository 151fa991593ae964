//! Shutdowns, and the work of the process.

use tower_task_tracker::{named, spawn};

use super::parts::{panics, tracked};
use crate::foreign::stage::Stage;
use crate::support::{after, current, ms};

pub(super) async fn a_shutdown_begins(stage: Stage) {
    let handle = stage.handle.clone();
    let service = tracked(&stage, &stage.layer(), move |_| {
        let (handle, tasks) = (handle.clone(), current());
        spawn(after(100));
        tokio::spawn(async move {
            after(10).await;
            handle.begin_shutdown(ms(50));
            assert!(tasks.try_spawn(after(1)).is_err(), "it is refused");
        });
    });
    stage.serve(service).await;
}

pub(super) async fn a_shutdown_ends(stage: Stage) {
    let layer = stage.layer().drain_timeout(ms(10));
    let service = tracked(&stage, &layer, |_| {
        named("slow").spawn(after(600_000));
        named("detached").detached().spawn(after(600_000));
        named("ends in time").spawn(after(30));
    });
    stage.serve(service).await;
    stage.handle.spawn(after(600_000));
    let report = stage.drive(stage.handle.shutdown(ms(100))).await;
    stage.note(report);
}

pub(super) async fn the_work_of_the_process(stage: Stage) {
    stage.arm();
    stage.handle.spawn(after(20));
    stage.handle.spawn(panics(30));
    stage.drive(stage.handle.wait_idle()).await;
    stage.note("idle");
    let report = stage.drive(stage.handle.shutdown(ms(100))).await;
    stage.note(report);
}
