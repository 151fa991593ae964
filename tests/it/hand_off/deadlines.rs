//! The hand-off point: how long before a deadline a task is stopped and handed off.

use tokio::time::Instant;
use tower::ServiceExt;
use tower_task_tracker::{
    DrainSettings, Limit, NotDone, Outcome, TaskState, TaskTrackerLayer, Unfinished, named, spawn,
};

use super::{Queue, work};
use crate::support::{DropTime, Log, after, current, held, ms, request, slow, tracked};

fn layer(log: &Log, timeout: u64) -> TaskTrackerLayer {
    TaskTrackerLayer::new()
        .drain_timeout(ms(timeout))
        .observer(log.clone())
}

fn with_grace(log: &Log, timeout: u64, grace: u64) -> TaskTrackerLayer {
    layer(log, timeout).settings(DrainSettings::new().hand_off_grace(ms(grace)))
}

#[tokio::test(start_paused = true)]
async fn by_default_a_quarter_of_the_window_and_two_seconds_at_most_are_kept_free() {
    for (window, point) in [(1000, 750), (4000, 3000), (8000, 6000), (25_000, 23_000)] {
        let (log, queue) = (Log::default(), Queue::new());
        let held = held(&layer(&log, window), {
            let queue = queue.clone();
            move || drop(queue.task().spawn(work(600_000)))
        })
        .await;
        assert_eq!(queue.entry(), (NotDone::Deadline, ms(point)), "{window} ms");
        assert_eq!(held, ms(point), "the hand-off takes no time here");
        let report = log.report();
        assert_eq!((report.handed_off, report.aborted), (1, 0), "{report}");
        assert_eq!(report.outcome, Outcome::Drained, "{report}");
        assert!(report.is_clean() && !report.required_failed, "{report}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_grace_is_a_setting_and_begins_with_the_window_if_it_is_longer() {
    for (grace, point) in [(300, 700), (0, 1000), (1000, 0), (5000, 0)] {
        let (log, queue) = (Log::default(), Queue::new());
        held(&with_grace(&log, 1000, grace), {
            let queue = queue.clone();
            move || drop(queue.task().spawn(work(600_000)))
        })
        .await;
        // With a grace of zero the hand-off begins after the release.
        tokio::task::yield_now().await;
        assert_eq!(queue.entry(), (NotDone::Deadline, ms(point)), "{grace} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_is_stopped_at_that_point_whatever_the_policy_is() {
    for policy in [
        Unfinished::Continue,
        Unfinished::Abort,
        Unfinished::Cancel { grace: ms(100) },
    ] {
        let (log, queue) = (Log::default(), Queue::new());
        held(&with_grace(&log, 1000, 300).at_deadline(policy), {
            let queue = queue.clone();
            move || drop(queue.task().spawn(work(600_000)))
        })
        .await;
        assert_eq!(queue.entry(), (NotDone::Deadline, ms(700)), "{policy:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn under_cancel_the_token_is_cancelled_the_cancel_grace_before_that_point() {
    let (log, queue) = (Log::default(), Queue::new());
    let policy = Unfinished::Cancel { grace: ms(200) };
    let cancelled = DropTime::new();
    held(&with_grace(&log, 1000, 300).at_deadline(policy), {
        let (queue, cancelled) = (queue.clone(), cancelled.clone());
        move || {
            let (token, watch) = (current().cancellation_token(), cancelled.watch());
            queue.task().spawn(work(600_000));
            spawn(async move {
                token.cancelled().await;
                drop(watch);
            });
        }
    })
    .await;
    assert_eq!(cancelled.get(), Some(ms(500)));
    assert_eq!(queue.entry(), (NotDone::Deadline, ms(700)));
}

#[tokio::test(start_paused = true)]
async fn a_hand_off_does_not_cancel_the_token_of_the_request() {
    let (log, queue) = (Log::default(), Queue::slow(50));
    held(&with_grace(&log, 1000, 300), {
        let queue = queue.clone();
        move || {
            let token = current().cancellation_token();
            queue.task().spawn(work(600_000));
            spawn(async move {
                after(900).await;
                assert!(!token.is_cancelled(), "the task may go on");
            });
        }
    })
    .await;
    let report = log.report();
    assert_eq!((report.completed, report.handed_off), (1, 1), "{report}");
    assert!(!report.cancelled, "{report}");
}

#[tokio::test(start_paused = true)]
async fn a_task_without_a_hand_off_keeps_the_whole_window() {
    let (log, queue) = (Log::default(), Queue::new());
    let held = held(&with_grace(&log, 1000, 300), {
        let queue = queue.clone();
        move || {
            queue.task().spawn(work(600_000));
            named("plain").spawn(after(990));
        }
    })
    .await;
    assert_eq!(held, ms(990));
    assert!(log.report().is_clean(), "{}", log.report());
}

#[tokio::test(start_paused = true)]
async fn a_hand_off_that_is_late_fails_the_response_and_its_result_is_reported() {
    let (log, queue) = (Log::default(), Queue::slow(500));
    let layer = with_grace(&log, 1000, 300);
    let service = {
        let queue = queue.clone();
        tracked(&layer, move || drop(queue.task().spawn(work(600_000))))
    };
    let arrived = Instant::now();
    let response = service.oneshot(request()).await.expect("infallible");
    assert_eq!(arrived.elapsed(), ms(1000), "not past the deadline");
    assert_eq!(response.status(), 500);
    let report = log.report();
    assert!(report.required_failed, "{report}");
    assert_eq!(report.outcome, Outcome::DeadlineExceeded, "{report}");
    assert_eq!(report.stragglers.len(), 1, "{report}");
    layer.handle().wait_idle().await;
    assert_eq!(queue.entry().0, NotDone::Deadline, "it went on");
    assert_eq!(log.late_ends()[0].state, TaskState::HandedOff);
}

#[tokio::test(start_paused = true)]
async fn a_hand_off_that_has_begun_is_not_aborted_at_the_deadline() {
    let (log, queue) = (Log::default(), Queue::slow(500));
    let layer = with_grace(&log, 1000, 300).at_deadline(Unfinished::Abort);
    held(&layer, {
        let queue = queue.clone();
        move || drop(queue.task().spawn(work(600_000)))
    })
    .await;
    layer.handle().wait_idle().await;
    assert_eq!(queue.entry().0, NotDone::Deadline);
    assert_eq!(log.late_ends()[0].state, TaskState::HandedOff);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_the_client_chose_stops_nothing_and_the_hand_off_stays_armed() {
    for work_fails in [false, true] {
        let (log, queue) = (Log::default(), Queue::new());
        let layer = layer(&log, 10_000)
            .at_deadline(Unfinished::Abort)
            .deadline_source(tower_task_tracker::deadline::prefer_wait());
        let service = {
            let queue = queue.clone();
            tracked(&layer, move || {
                queue.task().spawn(async move {
                    after(3000).await;
                    if work_fails { Err("after all") } else { Ok(()) }
                });
            })
        };
        let response = service.oneshot(crate::support::with_field("prefer", "wait=1"));
        let arrived = Instant::now();
        let response = response.await.expect("infallible");
        assert_eq!(arrived.elapsed(), ms(1000));
        assert_eq!(response.status(), 500, "the task is not done");
        layer.handle().wait_idle().await;
        let end = log.late_ends()[0].state;
        if work_fails {
            assert_eq!(queue.entry(), (NotDone::Failed, ms(3000)));
            assert_eq!(end, TaskState::HandedOff);
        } else {
            assert_eq!(queue.entries(), []);
            assert_eq!(end, TaskState::Completed);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn before_a_later_deadline_of_the_client_the_point_is_that_of_the_layer() {
    let (log, queue) = (Log::default(), Queue::new());
    let layer =
        with_grace(&log, 1000, 300).deadline_source(tower_task_tracker::deadline::prefer_wait());
    let service = {
        let queue = queue.clone();
        tracked(&layer, move || drop(queue.task().spawn(work(600_000))))
    };
    let response = service
        .oneshot(crate::support::with_field("prefer", "wait=30"))
        .await;
    assert_eq!(response.expect("infallible").status(), 200);
    assert_eq!(queue.entry(), (NotDone::Deadline, ms(700)));
}

#[tokio::test(start_paused = true)]
async fn if_the_deadline_has_passed_the_tasks_get_one_turn_and_then_the_hand_off_begins() {
    let (log, queue) = (Log::default(), Queue::slow(100));
    let layer = layer(&log, 10_000).total_timeout(ms(500));
    let service = {
        let queue = queue.clone();
        // The handler takes longer than the total timeout.
        slow(&layer, ms(700), move || {
            queue.task().spawn(async { Ok::<_, &str>(()) });
            queue.task().spawn(work(600_000));
        })
    };
    let arrived = Instant::now();
    let response = service.oneshot(request()).await.expect("infallible");
    assert_eq!(arrived.elapsed(), ms(700), "it fails at once");
    assert_eq!(response.status(), 500);
    let report = log.report();
    assert_eq!(
        (report.completed, report.stragglers.len()),
        (1, 1),
        "{report}"
    );
    layer.handle().wait_idle().await;
    assert_eq!(
        queue.entry(),
        (NotDone::Deadline, ms(700)),
        "the hand-off went on"
    );
    assert_eq!(log.late_ends()[0].state, TaskState::HandedOff);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_spawned_while_the_window_is_open_has_its_point_too() {
    let (log, queue) = (Log::default(), Queue::new());
    held(&with_grace(&log, 1000, 300), {
        let queue = queue.clone();
        move || {
            let queue = queue.clone();
            spawn(async move {
                after(100).await;
                queue.task().spawn(work(600_000));
            });
        }
    })
    .await;
    assert_eq!(queue.entry(), (NotDone::Deadline, ms(700)));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_spawned_after_its_point_is_handed_off_at_once() {
    let (log, queue) = (Log::default(), Queue::new());
    held(&with_grace(&log, 1000, 300), {
        let queue = queue.clone();
        move || {
            let queue = queue.clone();
            spawn(async move {
                after(800).await;
                queue.task().spawn(work(600_000));
            });
        }
    })
    .await;
    assert_eq!(queue.entry(), (NotDone::Deadline, ms(800)));
}

#[tokio::test(start_paused = true)]
async fn the_point_moves_with_the_drain_timeout() {
    let (log, queue) = (Log::default(), Queue::new());
    held(&with_grace(&log, 1000, 300), {
        let queue = queue.clone();
        move || {
            let tasks = current();
            queue.task().spawn(work(600_000));
            spawn(async move {
                after(100).await;
                tasks.set_drain_timeout(ms(2000));
            });
        }
    })
    .await;
    assert_eq!(queue.entry(), (NotDone::Deadline, ms(1700)));
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_of_the_server_there_is_no_point() {
    let (log, queue) = (Log::default(), Queue::new());
    let layer = layer(&log, 1000).drain_timeout(None);
    let held = held(&layer, {
        let queue = queue.clone();
        move || drop(queue.task().spawn(work(100_000)))
    })
    .await;
    assert_eq!(held, ms(100_000));
    assert_eq!(queue.entries(), []);
}

#[tokio::test(start_paused = true)]
async fn hooks_run_after_the_hand_offs_in_the_time_that_is_left() {
    let (log, queue) = (Log::default(), Queue::slow(100));
    let seen = Log::default();
    let layer = with_grace(&log, 1000, 300).before_release({
        let queue = queue.clone();
        move |report| {
            assert_eq!(queue.entries().len(), 1, "the hand-off has ended");
            assert_eq!(report.handed_off, 1);
            after(100)
        }
    });
    let held = held(&layer, {
        let queue = queue.clone();
        move || drop(queue.task().spawn(work(600_000)))
    })
    .await;
    assert_eq!(held, ms(900));
    assert_eq!(log.report().closed_by, None::<Limit>);
    assert!(seen.all().is_empty());
}

#[tokio::test(start_paused = true)]
async fn tasks_that_are_spawned_again_and_again_do_not_postpone_the_release() {
    let (log, queue) = (Log::default(), Queue::new());
    let service = tracked(&layer(&log, 0), move || {
        let (queue, tasks) = (queue.clone(), current());
        queue.task().spawn(work(600_000));
        tokio::spawn(async move {
            for _ in 0..1000 {
                queue.after(tasks.named("late")).spawn(work(600_000));
                tokio::task::yield_now().await;
            }
        });
    });
    let response = service.oneshot(request()).await.expect("infallible");
    assert_eq!(response.status(), 500);
    let report = log.report();
    assert!(report.spawned < 10, "released after a few turns: {report}");
}
