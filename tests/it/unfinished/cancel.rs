//! `Unfinished::Cancel`: tasks are asked to stop, and have a grace until they are aborted.
//! `Tasks::cancellation_token`.

use std::time::Duration;

use tower_task_tracker::{Outcome, Unfinished, named};

use super::{cancel, layer};
use crate::support::{DropTime, Log, after, current, held, ms};

#[tokio::test(start_paused = true)]
async fn cancelled_a_grace_before_the_deadline_a_task_may_end_by_itself() {
    let log = Log::default();
    let held = held(&layer(&log, 1000, cancel(400)), || {
        let cancelled = current().cancellation_token();
        named("polite").spawn(async move {
            cancelled.cancelled().await;
            after(50).await;
        });
    })
    .await;
    assert_eq!(held, ms(650), "600 ms, and 50 ms to tidy up");
    let report = log.report();
    assert_eq!(report.outcome, Outcome::Drained);
    assert!(report.is_clean(), "it has ended by itself: {report}");
    assert!(report.cancelled, "but it was asked to");
    assert!(report.to_string().contains("asked to stop"));
}

#[tokio::test(start_paused = true)]
async fn what_is_left_of_a_cancelled_request_is_aborted() {
    let log = Log::default();
    let dropped = DropTime::new();
    let held = held(&layer(&log, 1000, cancel(400)), {
        let dropped = dropped.clone();
        move || {
            let watch = dropped.watch();
            named("deaf").spawn(async move {
                let _watch = watch;
                after(60_000).await;
            });
        }
    })
    .await;
    assert_eq!(dropped.get(), Some(ms(900)));
    assert_eq!(held, ms(900));
    assert_eq!(log.report().outcome, Outcome::DeadlineExceeded);
    assert_eq!(log.report().aborted, 1);
}

#[tokio::test(start_paused = true)]
async fn half_of_a_short_grace_is_for_tasks_that_stop_by_themselves() {
    let log = Log::default();
    let (polite, deaf) = (DropTime::new(), DropTime::new());
    let held = held(&layer(&log, 1000, cancel(50)), {
        let (polite, deaf) = (polite.clone(), deaf.clone());
        move || {
            let (polite, deaf) = (polite.watch(), deaf.watch());
            let cancelled = current().cancellation_token();
            named("polite").spawn(async move {
                let _polite = polite;
                cancelled.cancelled().await;
                after(20).await;
            });
            named("deaf").spawn(async move {
                let _deaf = deaf;
                after(60_000).await;
            });
        }
    })
    .await;
    assert_eq!((polite.get(), deaf.get()), (Some(ms(970)), Some(ms(975))));
    assert_eq!(held, ms(975));
    assert_eq!((log.report().completed, log.report().aborted), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_grace_longer_than_the_window_begins_with_the_window() {
    for grace in [ms(1000), ms(5000), Duration::MAX] {
        let log = Log::default();
        let held = held(&layer(&log, 1000, Unfinished::Cancel { grace }), || {
            let cancelled = current().cancellation_token();
            named("polite").spawn(async move { cancelled.cancelled().await });
        })
        .await;
        assert_eq!(held, ms(0), "{grace:?}");
        assert!(log.report().is_clean(), "{grace:?}: {}", log.report());
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_is_a_child_and_is_cancelled_by_a_cancellation_before_it_was_made() {
    let log = Log::default();
    held(&layer(&log, 1000, cancel(500)), || {
        let tasks = current();
        let (mine, other) = (tasks.cancellation_token(), tasks.cancellation_token());
        mine.cancel();
        assert!(!other.is_cancelled(), "a child cancels no other token");
        named("late to ask").spawn(async move {
            after(600).await;
            assert!(other.is_cancelled());
            assert!(tasks.cancellation_token().is_cancelled());
        });
    })
    .await;
    assert!(log.report().is_clean(), "{}", log.report());
}

#[tokio::test(start_paused = true)]
async fn the_first_token_is_cancelled_too_by_a_cancellation_before_it_was_made() {
    let log = Log::default();
    held(&layer(&log, 1000, cancel(500)), || {
        let tasks = current();
        named("late to ask").spawn(async move {
            after(600).await;
            assert!(tasks.cancellation_token().is_cancelled());
        });
    })
    .await;
    assert!(log.report().is_clean(), "{}", log.report());
}
