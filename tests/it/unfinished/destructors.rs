//! The destructors of aborted tasks: they have until the deadline, and what they spawn is tracked.

use http::StatusCode;
use tower::ServiceExt;
use tower_task_tracker::{Outcome, TaskState, TaskTrackerLayer, Tasks, Unfinished, named, spawn};

use super::layer;
use crate::support::{
    DropTime, LastWords, Log, after, current, held, ms, request, slow_with, tracked,
};

#[tokio::test(start_paused = true)]
async fn what_a_destructor_spawns_has_until_the_deadline() {
    let log = Log::default();
    let (written, cut) = (DropTime::new(), DropTime::new());
    let layer = layer(&log, 1000, Unfinished::Abort);
    let held = held(&layer, {
        let (written, cut) = (written.clone(), cut.clone());
        move || {
            let (written, cut) = (written.watch(), cut.watch());
            named("slow").spawn(async move {
                let _last_words = LastWords::new(move || {
                    let (written, cut) = (written, cut);
                    named("quick words").spawn(async move {
                        let _written = written;
                        after(50).await;
                    });
                    named("long words").spawn(async move {
                        let _cut = cut;
                        after(60_000).await;
                    });
                });
                after(60_000).await;
            });
        }
    })
    .await;
    assert_eq!(held, ms(1000));
    assert_eq!(written.get(), Some(ms(950)), "it had 100 ms, and took 50");
    let report = log.report();
    assert_eq!(report.spawned, 3, "{report}");
    assert_eq!(report.stragglers.len(), 1, "{report}");
    layer.handle().wait_idle().await;
    assert_eq!(cut.get(), Some(ms(1000)), "it is aborted at the deadline");
    let ends = log.late_ends();
    assert_eq!(ends.len(), 1);
    assert_eq!(ends[0].state, TaskState::Aborted);
}

#[tokio::test(start_paused = true)]
async fn what_destructors_spawn_at_the_deadline_is_reported_as_alive_and_then_aborted() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(1000))
        .at_deadline(Unfinished::Abort)
        .observer(log.clone());
    let service = tracked(&layer, || {
        spawn_at_drop(current());
    });
    drop(service.oneshot(request()).await);
    layer.handle().wait_idle().await;
    let report = log.report();
    assert_eq!(
        (report.aborted, report.stragglers.len()),
        (1, 1),
        "{report}"
    );
    let ends = log.late_ends();
    assert_eq!(ends.len(), 1);
    assert_eq!(ends[0].state, TaskState::Aborted, "{}", ends[0]);
}

pub(crate) fn spawn_at_drop(tasks: Tasks) {
    let last_words = crate::support::LastWords::new(move || {
        drop(tasks.named("last will").spawn(after(600_000)));
    });
    spawn(async move {
        let _last_words = last_words;
        after(600_000).await;
    });
}

/// The outcome does not depend on how the aborted task ends.
#[tokio::test(start_paused = true)]
async fn a_destructor_that_panics_makes_no_success_of_a_deadline() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(1000))
        .at_deadline(Unfinished::Abort)
        .deadline_status(StatusCode::GATEWAY_TIMEOUT)
        .observer(log.clone());
    let service = tracked(&layer, || {
        slow_with(|| std::panic::resume_unwind(Box::new("planned")));
    });
    let Ok(answer) = service.oneshot(request()).await;
    let report = log.report();
    assert_eq!(
        (report.outcome, answer.status()),
        (Outcome::DeadlineExceeded, StatusCode::GATEWAY_TIMEOUT),
        "{report}"
    );
}
