//! Deadlines and policies that change after tasks were aborted.

use tower::ServiceExt;
use tower_task_tracker::{Outcome, TaskState, TaskTrackerLayer, Unfinished, named};

use crate::support::{
    DropTime, Log, after, current, held, ms, observed, request, slow_with, tracked,
};

/// "While the response waits already, it counts from now on."
#[tokio::test(start_paused = true)]
async fn continue_that_is_set_after_the_abort_counts_from_then_on() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(1000))
        .at_deadline(Unfinished::Abort)
        .observer(log.clone());
    held(&layer, || {
        slow_with(|| {
            current().set_at_deadline(Unfinished::Continue);
            named("rollback").spawn(after(5000));
        });
    })
    .await;
    layer.handle().wait_idle().await;
    let ends: Vec<_> = log.late_ends().iter().map(|task| task.state).collect();
    assert_eq!(ends, [TaskState::Completed]);
}

/// "They are aborted so shortly before the deadline that their destructors end in time."
#[tokio::test(start_paused = true)]
async fn a_deadline_that_was_moved_after_the_abort_aborts_in_time_too() {
    let log = Log::default();
    let dropped = DropTime::new();
    let watched = dropped.clone();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(1000))
        .at_deadline(Unfinished::Abort)
        .observer(log.clone());
    held(&layer, move || {
        let watched = watched.clone();
        slow_with(move || {
            current().set_drain_timeout(ms(10_000));
            let watch = watched.watch();
            named("rollback").spawn(async move {
                let _watch = watch;
                after(60_000).await;
            });
        });
    })
    .await;
    let report = log.report();
    assert_eq!(report.aborted, 2, "{report}");
    assert_eq!(dropped.get(), Some(ms(9900)));
}

/// What was aborted first counts, however often the deadline moves.
#[tokio::test(start_paused = true)]
async fn a_deadline_that_moves_after_its_abort_and_is_not_met_has_cut_tasks_short_all_the_same() {
    let (log, layer) = observed();
    let layer = layer.drain_timeout(ms(1000)).at_deadline(Unfinished::Abort);
    let service = tracked(&layer, || {
        let tasks = current();
        named("aborted").spawn(after(600_000));
        let token = named("elsewhere").token();
        tokio::spawn(async move {
            after(950).await;
            tasks.set_drain_timeout(ms(2000));
            // After the second abort, which finds nothing that it can abort.
            after(1000).await;
            drop(token);
        });
    });
    let begin = tokio::time::Instant::now();
    drop(service.oneshot(request()).await);
    assert_eq!(begin.elapsed(), ms(1950));
    let report = log.report();
    assert_eq!(report.outcome, Outcome::DeadlineExceeded, "{report}");
    assert_eq!((report.completed, report.aborted), (1, 1), "{report}");
}
