//! Tasks that are alive at the deadline.

use tower_task_tracker::{Unfinished, named, spawn};

use super::parts::{cancellable, fails, panics, tracked};
use crate::foreign::stage::Stage;
use crate::support::{after, current, ms};

pub(super) async fn tasks_outlive_the_deadline(stage: Stage) {
    let layer = stage.layer().drain_timeout(ms(30));
    let service = tracked(&stage, &layer, |_| {
        named("slow").spawn(after(50));
        named("slow and broken").spawn(panics(60));
        named("store").required().spawn(fails(70, "full"));
        let tasks = current();
        tokio::spawn(async move {
            after(40).await;
            tasks.named("late").spawn(after(5));
        });
    });
    stage.serve(service).await;
}

pub(super) async fn tasks_are_aborted_at_the_deadline(stage: Stage) {
    let layer = stage
        .layer()
        .drain_timeout(ms(1000))
        .at_deadline(Unfinished::Abort);
    let service = tracked(&stage, &layer, |_| {
        named("slow").spawn(after(600_000));
        let token = named("cannot be aborted").token();
        tokio::spawn(async move {
            after(1100).await;
            drop(token);
        });
    });
    stage.serve(service).await;
}

pub(super) async fn tasks_are_cancelled_at_the_deadline(stage: Stage) {
    let policy = Unfinished::Cancel { grace: ms(500) };
    let layer = stage.layer().drain_timeout(ms(1000)).at_deadline(policy);
    let service = tracked(&stage, &layer, |_| {
        named("watches").spawn(cancellable());
        named("does not").spawn(after(600_000));
    });
    stage.serve(service).await;
}

pub(super) async fn the_deadline_is_moved(stage: Stage) {
    let layer = stage.layer().drain_timeout(ms(100));
    let service = tracked(&stage, &layer, |_| {
        let tasks = current();
        spawn(async move {
            after(10).await;
            tasks.set_drain_timeout(ms(200));
            after(100).await;
            tasks.set_drain_timeout(ms(120));
            after(100).await;
        });
    });
    stage.serve(service).await;
}
