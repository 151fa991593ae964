//! `Unfinished::Abort`: tasks are aborted shortly before the deadline.

use tower_task_tracker::{
    Limit, Outcome, TaskInfo, TaskState, TaskTrackerLayer, Unfinished, named,
};

use super::{cancel, layer};
use crate::support::{DropTime, Log, after, current, held, ms};

#[tokio::test(start_paused = true)]
async fn aborted_just_before_the_deadline_a_task_has_time_for_its_destructors() {
    // Of a window, the last 100 ms, or the last tenth if that is shorter.
    for (window, aborted_at) in [(25_000, 24_900), (1000, 900), (100, 90)] {
        let log = Log::default();
        let dropped = DropTime::new();
        let held = held(&layer(&log, window, Unfinished::Abort), {
            let dropped = dropped.clone();
            move || {
                let (watch, cancelled) = (dropped.watch(), current().cancellation_token());
                named("slow").spawn(async move {
                    let _watch = watch;
                    after(60_000).await;
                });
                named("watching").spawn(async move { cancelled.cancelled().await });
            }
        })
        .await;
        assert_eq!(dropped.get(), Some(ms(aborted_at)), "{window} ms");
        assert!(held <= ms(window), "never past the deadline: {held:?}");
        let report = log.report();
        let closed = (report.outcome, report.closed_by);
        let late = (Outcome::DeadlineExceeded, Some(Limit::DrainTimeout));
        assert_eq!(closed, late, "{window} ms: {report}");
        assert!(report.stragglers.is_empty(), "none is alive: {report}");
        let aborted = |task: &TaskInfo| task.state == TaskState::Aborted;
        assert!(report.failures.iter().all(aborted), "{report}");
        // The token is cancelled too late for this.
        assert_eq!((report.spawned, report.aborted), (2, 2), "{window} ms");
        let ends = log.late_ends();
        assert!(ends.is_empty(), "all is in the report: {window} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn once_what_was_aborted_is_gone_the_response_waits_no_longer() {
    let log = Log::default();
    let held = held(&layer(&log, 1000, Unfinished::Abort), || {
        named("slow").spawn(after(60_000));
    })
    .await;
    assert_eq!(held, ms(900), "nothing is held for nothing");
    assert_eq!(log.report().aborted, 1);
}

#[tokio::test(start_paused = true)]
async fn work_that_is_done_before_the_abort_is_not_touched() {
    let log = Log::default();
    let held = held(&layer(&log, 1000, Unfinished::Abort), || {
        named("quick").spawn(after(899));
    })
    .await;
    assert_eq!(held, ms(899));
    assert!(log.report().is_clean());
    assert_eq!(log.report().outcome, Outcome::Drained);
}

#[tokio::test(start_paused = true)]
async fn without_a_grace_the_token_is_cancelled_when_tasks_are_aborted() {
    let log = Log::default();
    let held = held(&layer(&log, 1000, cancel(0)), || {
        let cancelled = current().cancellation_token();
        let token = current().token();
        // Not tokio's to abort.
        std::mem::drop(tokio::spawn(async move {
            cancelled.cancelled().await;
            drop(token);
        }));
    })
    .await;
    assert_eq!(held, ms(900));
}

#[tokio::test(start_paused = true)]
async fn with_no_time_at_all_tasks_get_one_turn_and_are_aborted() {
    for unfinished in [Unfinished::Abort, cancel(0), cancel(500)] {
        let log = Log::default();
        let held = held(&layer(&log, 0, unfinished), || {
            named("quick").spawn(async {});
            named("slow").spawn(after(60_000));
        })
        .await;
        assert_eq!(held, ms(0), "{unfinished:?}");
        let report = log.report();
        assert_eq!(
            (report.completed, report.aborted),
            (1, 1),
            "{unfinished:?}: {report}"
        );
    }
}

/// `cancelled`: "whether the tasks were asked to stop: those that completed may have done less".
#[tokio::test(start_paused = true)]
async fn a_report_is_not_cancelled_if_the_tasks_were_done_before_the_abort() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(1000))
        .at_deadline(Unfinished::Abort)
        .before_release(|_| after(950))
        .observer(log.clone());
    held(&layer, || drop(named("quick").spawn(after(20)))).await;
    let report = log.report();
    assert_eq!((report.outcome, report.held), (Outcome::Drained, ms(970)));
    assert!(!report.cancelled, "{report}");
}
