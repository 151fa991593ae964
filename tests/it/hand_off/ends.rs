//! What the end of a hand-off means for the response, the report, the log and the metrics.

use tower::ServiceExt;
use tower_task_tracker::{NotDone, Outcome, TaskState, TaskTrackerLayer, named};

use super::{Queue, full_queue, work};
use crate::support::{Log, after, assert_adds_up, held, ms, request, tracked};

#[tokio::test(start_paused = true)]
async fn if_the_hand_off_fails_the_task_counts_by_its_own_end_with_the_message_of_the_hand_off() {
    for (fails, state) in [(true, TaskState::Failed), (false, TaskState::Aborted)] {
        let log = Log::default();
        let layer = TaskTrackerLayer::new()
            .drain_timeout(ms(1000))
            .observer(log.clone());
        let service = tracked(&layer, move || {
            let late = named("late").or_hand_off(full_queue);
            late.spawn(async move {
                if !fails {
                    after(600_000).await;
                }
                Err::<(), _>("its own failure")
            });
        });
        let response = service.oneshot(request()).await.expect("infallible");
        assert_eq!(response.status(), 500);
        let report = log.report();
        assert!(report.required_failed, "{report}");
        assert_eq!(report.handed_off, 0, "{report}");
        let failed = &report.failures[0];
        assert_eq!(failed.state, state, "{report}");
        assert_eq!(
            failed.message.as_deref(),
            Some("the queue is full"),
            "{report}"
        );
        assert_adds_up(&report);
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_hand_off_is_its_failure() {
    for in_the_closure in [true, false] {
        let log = Log::default();
        let layer = TaskTrackerLayer::new().observer(log.clone());
        let service = tracked(&layer, move || {
            named("late")
                .or_hand_off(move |_| {
                    assert!(!in_the_closure, "no queue");
                    async move {
                        assert!(in_the_closure, "no queue");
                        Ok::<_, &str>(())
                    }
                })
                .spawn(async { Err::<(), _>("at once") });
        });
        let response = service.oneshot(request()).await.expect("infallible");
        assert_eq!(response.status(), 500);
        let report = log.report();
        assert_eq!((report.failed, report.panicked), (1, 0), "{report}");
        assert_eq!(report.failures[0].message.as_deref(), Some("no queue"));
    }
}

#[tokio::test(start_paused = true)]
async fn tasks_that_are_handed_off_are_counted_once() {
    let (log, queue) = (Log::default(), Queue::new());
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(1000))
        .observer(log.clone());
    held(&layer, {
        let queue = queue.clone();
        move || {
            queue.task().spawn(work(100));
            queue.task().spawn(work(600_000));
            queue.task().spawn(async { Err::<(), _>("at once") });
            named("plain").spawn(after(10));
        }
    })
    .await;
    let report = log.report();
    assert_eq!(report.outcome, Outcome::Drained, "{report}");
    let counts = (report.spawned, report.completed, report.handed_off);
    assert_eq!(counts, (4, 2, 2), "{report}");
    assert_adds_up(&report);
    let line = report.to_string();
    assert!(
        line.contains("2 of 4 tasks completed, 2 handed off"),
        "{line}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_hand_off_runs_in_the_context_of_the_request() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().observer(log.clone());
    let held = held(&layer, || {
        named("late")
            .or_hand_off(|_| async {
                named("from the hand-off").spawn(after(300));
                Ok::<_, &str>(())
            })
            .spawn(async { Err::<(), _>("at once") });
    })
    .await;
    assert_eq!(held, ms(300), "what it spawns is waited for");
    assert_eq!(log.report().spawned, 2);
}

#[tokio::test(start_paused = true)]
async fn a_task_of_a_hand_off_may_have_a_hand_off() {
    let (log, queue) = (Log::default(), Queue::new());
    let layer = TaskTrackerLayer::new().observer(log.clone());
    held(&layer, {
        let queue = queue.clone();
        move || {
            let queue = queue.clone();
            named("late")
                .or_hand_off(move |_| async move {
                    queue.task().spawn(async { Err::<(), _>("again") });
                    Ok::<_, &str>(())
                })
                .spawn(async { Err::<(), _>("at once") });
        }
    })
    .await;
    assert_eq!(queue.entry().0, NotDone::Failed);
    assert_eq!(log.report().handed_off, 2);
}
