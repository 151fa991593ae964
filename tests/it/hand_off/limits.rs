//! Which limit the hand-off point belongs to, and what happens if a window opens late.

use tokio::task::JoinHandle;
use tokio::time::Instant;
use tower::ServiceExt;
use tower_task_tracker::{
    DrainSettings, NotDone, Outcome, TaskState, TaskTrackerLayer, Unfinished, deadline, named,
    spawn,
};

use super::{Queue, work};
use crate::support::{
    DropTime, Log, Slot, after, current, held, ms, put, request, slow, take, tracked, with_field,
};

fn with_grace(log: &Log, timeout: u64, grace: u64) -> TaskTrackerLayer {
    TaskTrackerLayer::new()
        .drain_timeout(ms(timeout))
        .settings(DrainSettings::new().hand_off_grace(ms(grace)))
        .observer(log.clone())
}

#[tokio::test(start_paused = true)]
async fn the_point_is_before_the_earliest_limit_of_the_server() {
    for (drain, total, source, point) in [
        (1000, 2000, 3000, 700),
        (2000, 1000, 3000, 700),
        (3000, 2000, 1000, 700),
    ] {
        let (log, queue) = (Log::default(), Queue::new());
        let end = Instant::now() + ms(source);
        let layer = with_grace(&log, drain, 300)
            .total_timeout(ms(total))
            .deadline_from(move |_: &http::request::Parts| Some(end));
        held(&layer, {
            let queue = queue.clone();
            move || drop(queue.task().spawn(work(600_000)))
        })
        .await;
        assert_eq!(queue.entry(), (NotDone::Deadline, ms(point)), "{drain} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_of_the_client_between_the_point_and_the_limit_moves_no_point() {
    let (log, queue) = (Log::default(), Queue::slow(500));
    let layer = with_grace(&log, 5000, 3000).deadline_source(deadline::prefer_wait());
    let service = {
        let queue = queue.clone();
        tracked(&layer, move || drop(queue.task().spawn(work(600_000))))
    };
    let arrived = Instant::now();
    let response = service.oneshot(with_field("prefer", "wait=3")).await;
    assert_eq!(response.expect("infallible").status(), 200);
    assert_eq!(arrived.elapsed(), ms(2500));
    assert_eq!(queue.entry(), (NotDone::Deadline, ms(2000)));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_of_the_client_that_passes_during_a_hand_off_does_not_stop_it() {
    let (log, queue) = (Log::default(), Queue::slow(1500));
    let layer = with_grace(&log, 5000, 3000)
        .at_deadline(Unfinished::Abort)
        .deadline_source(deadline::prefer_wait());
    let service = {
        let queue = queue.clone();
        tracked(&layer, move || drop(queue.task().spawn(work(600_000))))
    };
    let arrived = Instant::now();
    let response = service.oneshot(with_field("prefer", "wait=3")).await;
    assert_eq!(response.expect("infallible").status(), 500);
    assert_eq!(arrived.elapsed(), ms(3000));
    layer.handle().wait_idle().await;
    assert_eq!(queue.entry(), (NotDone::Deadline, ms(2000)));
    assert_eq!(log.late_ends()[0].state, TaskState::HandedOff);
}

#[tokio::test(start_paused = true)]
async fn a_window_that_opens_inside_the_grace_gives_each_task_one_turn_and_then_hands_off() {
    let (log, queue) = (Log::default(), Queue::slow(100));
    let layer = with_grace(&log, 60_000, 300).total_timeout(ms(1000));
    let service = {
        let queue = queue.clone();
        slow(&layer, ms(800), move || {
            queue.task().spawn(async { Ok::<_, &str>(()) });
            queue.task().spawn(work(600_000));
        })
    };
    let arrived = Instant::now();
    let response = service.oneshot(request()).await.expect("infallible");
    assert_eq!(response.status(), 200, "the hand-off is in time");
    assert_eq!(arrived.elapsed(), ms(900));
    assert_eq!(queue.entry(), (NotDone::Deadline, ms(800)));
    let report = log.report();
    assert_eq!((report.completed, report.handed_off), (1, 1), "{report}");
}

#[tokio::test(start_paused = true)]
async fn the_task_runs_to_its_point_if_the_window_opens_before_it() {
    let (log, queue) = (Log::default(), Queue::new());
    let layer = with_grace(&log, 60_000, 300).total_timeout(ms(1000));
    let service = {
        let queue = queue.clone();
        slow(&layer, ms(600), move || drop(queue.task().spawn(work(50))))
    };
    let response = service.oneshot(request()).await.expect("infallible");
    assert_eq!(response.status(), 200);
    assert_eq!(queue.entries(), [], "there was time to complete");
}

#[tokio::test(start_paused = true)]
async fn the_handle_of_a_task_that_was_stopped_for_its_hand_off_gives_a_cancelled_error() {
    let log = Log::default();
    let queue = Queue::slow(100);
    let handle: Slot<JoinHandle<_>> = Slot::default();
    held(&with_grace(&log, 1000, 300), {
        let handle = handle.clone();
        move || put(&handle, queue.task().spawn(work(600_000)))
    })
    .await;
    assert_eq!(log.report().handed_off, 1, "{}", log.report());
    let error = take(&handle).await.expect_err("it was stopped");
    assert!(error.is_cancelled(), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_handle_of_a_task_cannot_stop_its_hand_off() {
    let (log, queue) = (Log::default(), Queue::slow(500));
    held(&with_grace(&log, 10_000, 300), {
        let queue = queue.clone();
        move || {
            let task = queue.task().spawn(async { Err::<(), _>("at once") });
            spawn(async move {
                after(100).await;
                task.abort();
            });
        }
    })
    .await;
    assert_eq!(queue.entry().0, NotDone::Failed);
    assert_eq!(log.report().handed_off, 1, "{}", log.report());
}

#[tokio::test(start_paused = true)]
async fn a_task_that_stops_when_it_is_asked_to_is_not_handed_off_if_it_completes() {
    for completes in [true, false] {
        let (log, queue) = (Log::default(), Queue::new());
        let policy = Unfinished::Cancel { grace: ms(200) };
        held(&with_grace(&log, 1000, 300).at_deadline(policy), {
            let queue = queue.clone();
            move || {
                let token = current().cancellation_token();
                queue.task().spawn(async move {
                    token.cancelled().await;
                    after(50).await;
                    if completes { Ok(()) } else { Err("stopped") }
                });
            }
        })
        .await;
        let report = log.report();
        if completes {
            assert_eq!(queue.entries(), []);
            assert_eq!(report.completed, 1, "{report}");
        } else {
            assert_eq!(queue.entry(), (NotDone::Failed, ms(550)));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn under_abort_other_tasks_are_stopped_at_the_end_and_not_at_the_point() {
    let (log, queue) = (Log::default(), Queue::slow(50));
    let stopped = DropTime::new();
    let layer = with_grace(&log, 1000, 300).at_deadline(Unfinished::Abort);
    held(&layer, {
        let (queue, stopped) = (queue.clone(), stopped.clone());
        move || {
            let watch = stopped.watch();
            queue.task().spawn(work(600_000));
            named("plain").spawn(async move {
                let _watch = watch;
                after(600_000).await;
            });
        }
    })
    .await;
    assert_eq!(queue.entry(), (NotDone::Deadline, ms(700)));
    assert_eq!(stopped.get(), Some(ms(900)), "before the end");
    let report = log.report();
    assert_eq!((report.handed_off, report.aborted), (1, 1), "{report}");
}

#[tokio::test(start_paused = true)]
async fn a_task_with_a_hand_off_is_required() {
    let (log, queue) = (Log::default(), Queue::new());
    held(&with_grace(&log, 1000, 300), {
        let queue = queue.clone();
        move || drop(queue.task().spawn(work(100)))
    })
    .await;
    let last = log.report().last.expect("the response waited for it");
    assert!(last.required, "{last}");
}

#[tokio::test(start_paused = true)]
async fn under_cancel_the_tasks_are_asked_before_the_point_also_if_a_client_waits_less_long() {
    let (log, queue) = (Log::default(), Queue::new());
    let layer = TaskTrackerLayer::new()
        .settings(DrainSettings::new().hand_off_grace(ms(3000)))
        .drain_timeout(ms(5000))
        .at_deadline(Unfinished::Cancel { grace: ms(500) })
        .deadline_source(deadline::prefer_wait())
        .observer(log.clone());
    let asked = DropTime::new();
    let service = {
        let (queue, asked) = (queue.clone(), asked.clone());
        tracked(&layer, move || {
            let (token, watch) = (current().cancellation_token(), asked.watch());
            queue.task().spawn(work(600_000));
            spawn(async move {
                token.cancelled().await;
                drop(watch);
            });
        })
    };
    let response = service.oneshot(with_field("prefer", "wait=3")).await;
    assert_eq!(response.expect("infallible").status(), 200);
    assert_eq!(queue.entry(), (NotDone::Deadline, ms(2000)));
    assert_eq!(asked.get(), Some(ms(1500)));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_wait_until_the_point_stops_and_cancels_nothing() {
    let (log, queue) = (Log::default(), Queue::new());
    let layer = with_grace(&log, 5000, 3000)
        .at_deadline(Unfinished::Cancel { grace: ms(1500) })
        .deadline_source(deadline::prefer_wait());
    let tasks: Slot<tower_task_tracker::Tasks> = Slot::default();
    let service = {
        let (queue, tasks) = (queue.clone(), tasks.clone());
        tracked(&layer, move || {
            put(&tasks, current());
            queue.task().spawn(work(10_000));
        })
    };
    // Its deadline is between the moment of the cancellation, at 500 ms, and the point, at 2 s.
    let request = with_field("prefer", "wait=1");
    let response = service.oneshot(request).await.expect("infallible");
    assert_eq!(response.status(), 500);
    assert!(!take(&tasks).cancellation_token().is_cancelled());
    layer.handle().wait_idle().await;
    assert_eq!(queue.entries(), []);
}

#[tokio::test(start_paused = true)]
async fn a_hand_off_that_fails_after_the_abort_step_is_a_failure_and_no_missed_deadline() {
    let log = Log::default();
    let layer = with_grace(&log, 1000, 300)
        .at_deadline(Unfinished::Abort)
        .deadline_status(http::StatusCode::GATEWAY_TIMEOUT);
    let service = tracked(&layer, || {
        let late = named("late").or_hand_off(|_| async {
            after(250).await;
            Err::<(), _>("the queue is full")
        });
        late.spawn(work(600_000));
    });
    let response = service.oneshot(request()).await.expect("infallible");
    assert_eq!(response.status(), 500);
    let report = log.report();
    assert_eq!(report.outcome, Outcome::Drained, "{report}");
    assert_eq!(
        (report.aborted, report.required_failed),
        (1, true),
        "{report}"
    );
}
