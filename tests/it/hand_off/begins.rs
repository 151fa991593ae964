//! When a task is handed off, and why.

use std::sync::{Arc, Mutex};

use tower::ServiceExt;
use tower_task_tracker::{NotDone, TaskState, TaskTrackerLayer, Unfinished, named, spawn};

use super::{Queue, full_queue, work};
use crate::support::{
    LastWords, Log, Slot, after, held, ms, observed, put, request, slow, take, tracked,
};

#[tokio::test(start_paused = true)]
async fn a_task_that_completes_is_not_handed_off() {
    let (log, queue) = (Log::default(), Queue::new());
    let layer = TaskTrackerLayer::new().observer(log.clone());
    let held = held(&layer, {
        let queue = queue.clone();
        move || drop(queue.task().spawn(work(100)))
    })
    .await;
    assert_eq!(held, ms(100));
    assert_eq!(queue.entries(), []);
    let report = log.report();
    assert_eq!((report.completed, report.handed_off), (1, 0), "{report}");
    assert!(report.is_clean() && !report.required_failed, "{report}");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_completes_after_its_abort_was_requested_is_not_handed_off() {
    let (log, queue) = (Log::default(), Queue::new());
    let layer = TaskTrackerLayer::new().observer(log.clone());
    let task = {
        let queue = queue.clone();
        move || {
            let aborts_itself: Slot<tokio::task::AbortHandle> = Slot::default();
            let its_handle = aborts_itself.clone();
            let task = queue.task().spawn(async move {
                // The abort of a task that runs takes effect at the end of this poll, which is its last one.
                take(&its_handle).abort();
                Ok::<_, &str>(())
            });
            put(&aborts_itself, task.abort_handle());
        }
    };
    held(&layer, task).await;
    assert_eq!(queue.entries(), []);
    assert_eq!(log.report().completed, 1, "{}", log.report());
}

#[tokio::test(start_paused = true)]
async fn a_task_that_fails_is_handed_off_at_once() {
    let (log, queue) = (Log::default(), Queue::new());
    let layer = TaskTrackerLayer::new().observer(log.clone());
    let response = {
        let queue = queue.clone();
        tracked(&layer, move || {
            queue.task().spawn(async {
                after(100).await;
                Err::<(), _>("the mail service is down")
            });
        })
    };
    let response = response.oneshot(request()).await.expect("infallible");
    assert_eq!(response.status(), 200);
    assert_eq!(queue.entry(), (NotDone::Failed, ms(100)));
    let report = log.report();
    let counts = (report.spawned, report.handed_off, report.failed);
    assert_eq!(counts, (1, 1, 0), "{report}");
    assert!(report.is_clean() && !report.required_failed, "{report}");
    assert!(report.failures.is_empty(), "{report}");
    let last = report.last.expect("the response waited for it");
    assert_eq!(last.state, TaskState::HandedOff);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_panics_is_handed_off_at_once() {
    let queue = Queue::new();
    let log = Log::default();
    let layer = TaskTrackerLayer::new().observer(log.clone());
    held(&layer, {
        let queue = queue.clone();
        move || {
            queue.task().spawn(async {
                after(100).await;
                if true {
                    panic!("no stock");
                }
                Ok::<_, &str>(())
            });
        }
    })
    .await;
    assert_eq!(queue.entry(), (NotDone::Panicked, ms(100)));
    assert_eq!((log.report().handed_off, log.report().panicked), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_aborted_is_handed_off_at_once() {
    let queue = Queue::new();
    let log = Log::default();
    let layer = TaskTrackerLayer::new().observer(log.clone());
    held(&layer, {
        let queue = queue.clone();
        move || {
            let task = queue.task().spawn(work(60_000));
            tokio::spawn(async move {
                after(100).await;
                task.abort();
                let error = task.await.expect_err("it was aborted");
                assert!(error.is_cancelled());
            });
        }
    })
    .await;
    assert_eq!(queue.entry(), (NotDone::Aborted, ms(100)));
    assert_eq!((log.report().handed_off, log.report().aborted), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_task_is_handed_off_after_its_future_was_dropped() {
    let layer = TaskTrackerLayer::new().drain_timeout(ms(1000));
    let steps: Steps = Steps::default();
    let recorded = steps.clone();
    held(&layer, move || {
        let (dropped, begun) = (recorded.clone(), recorded.clone());
        let late = named("late").or_hand_off(move |_| {
            record(&begun, "handed off");
            async { Ok::<_, &str>(()) }
        });
        late.spawn(async move {
            let before = alive_on_this_runtime();
            let _dropped = LastWords::new(move || {
                let has_spawned = alive_on_this_runtime() > before;
                record(&dropped, if has_spawned { "too late" } else { "dropped" });
            });
            work(600_000).await
        });
    })
    .await;
    let steps = steps.lock().expect("no panic holds this lock");
    assert_eq!(*steps, ["dropped", "handed off"]);
}

type Steps = Arc<Mutex<Vec<&'static str>>>;

fn record(steps: &Steps, step: &'static str) {
    steps.lock().expect("no panic holds this lock").push(step);
}

/// How many tokio tasks are alive. A hand-off is one.
fn alive_on_this_runtime() -> usize {
    let runtime = tokio::runtime::Handle::current();
    runtime.metrics().num_alive_tasks()
}

#[tokio::test(start_paused = true)]
async fn between_the_end_of_the_task_and_its_hand_off_the_request_counts_one_task() {
    let queue = Queue::slow(100);
    let layer = TaskTrackerLayer::new();
    let handle = layer.handle();
    let held = held(&layer, {
        let queue = queue.clone();
        move || drop(queue.task().spawn(async { Err::<(), _>("at once") }))
    });
    let count = async {
        for _ in 0..100 {
            assert_eq!(handle.live_tasks(), 1);
            tokio::task::yield_now().await;
        }
    };
    let (held, ()) = tokio::join!(held, async {
        // The handler runs first.
        tokio::task::yield_now().await;
        count.await;
    });
    assert_eq!(held, ms(100));
}

#[tokio::test(start_paused = true)]
async fn if_the_client_leaves_under_continue_the_task_runs_on() {
    let (log, queue) = (Log::default(), Queue::new());
    let layer = TaskTrackerLayer::new().observer(log.clone());
    let service = {
        let queue = queue.clone();
        tracked(&layer, move || drop(queue.task().spawn(work(300))))
    };
    let response = tokio::time::timeout(ms(100), service.oneshot(request()));
    assert!(response.await.is_err(), "the client left");
    layer.handle().wait_idle().await;
    assert_eq!(queue.entries(), []);
    assert_eq!(log.late_ends()[0].state, TaskState::Completed);
}

#[tokio::test(start_paused = true)]
async fn if_the_client_leaves_under_cancel_or_abort_the_task_is_handed_off_once_it_has_stopped() {
    for (unfinished, begins) in [
        (Unfinished::Abort, 100),
        (Unfinished::Cancel { grace: ms(200) }, 280),
    ] {
        let (log, queue) = (Log::default(), Queue::new());
        let layer = TaskTrackerLayer::new()
            .at_disconnect(unfinished)
            .observer(log.clone());
        let service = {
            let queue = queue.clone();
            tracked(&layer, move || drop(queue.task().spawn(work(60_000))))
        };
        let response = tokio::time::timeout(ms(100), service.oneshot(request()));
        assert!(response.await.is_err(), "the client left");
        layer.handle().wait_idle().await;
        let (why, begun) = queue.entry();
        assert_eq!(why, NotDone::ClientGone);
        assert!(
            begun >= ms(begins) && begun <= ms(300),
            "{unfinished:?}: {begun:?}"
        );
        assert_eq!(log.report().handed_off, 1, "{}", log.report());
    }
}

#[tokio::test(start_paused = true)]
async fn a_hand_off_that_has_begun_is_not_stopped_when_the_client_leaves() {
    let (log, queue) = (Log::default(), Queue::slow(1000));
    let layer = TaskTrackerLayer::new()
        .at_disconnect(Unfinished::Abort)
        .observer(log.clone());
    let service = {
        let queue = queue.clone();
        tracked(&layer, move || {
            drop(queue.task().spawn(async { Err::<(), _>("at once") }));
        })
    };
    let response = tokio::time::timeout(ms(100), service.oneshot(request()));
    assert!(response.await.is_err(), "the client left");
    layer.handle().wait_idle().await;
    assert_eq!(queue.entry().0, NotDone::Failed);
    assert_eq!(log.late_ends()[0].state, TaskState::HandedOff);
}

#[tokio::test(start_paused = true)]
async fn a_task_of_a_released_request_is_handed_off_if_it_fails() {
    let (log, queue) = (Log::default(), Queue::new());
    let layer = TaskTrackerLayer::new().observer(log.clone());
    let service = {
        let queue = queue.clone();
        slow(&layer, ms(0), move || {
            queue.task().spawn(async {
                after(300).await;
                Err::<(), _>("too late")
            });
        })
    };
    let response = tokio::time::timeout(ms(100), service.oneshot(request()));
    assert!(response.await.is_err(), "the client left");
    layer.handle().wait_idle().await;
    assert_eq!(queue.entry(), (NotDone::Failed, ms(300)));
    assert_eq!(log.late_ends()[0].state, TaskState::HandedOff);
}

#[tokio::test(start_paused = true)]
async fn outside_of_a_request_a_task_is_handed_off_too() {
    let queue = Queue::new();
    let task = queue.task().spawn(async { Err::<(), _>("outside") });
    assert_eq!(task.await.expect("no panic"), Err("outside"));
    tokio::task::yield_now().await;
    assert_eq!(queue.entry().0, NotDone::Failed);
}

#[test]
fn without_a_runtime_the_hand_off_has_failed() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().observer(log.clone());
    let runtime = crate::support::paused_runtime();
    let service = tracked(&layer, || {
        drop(named("late").or_hand_off(full_queue).spawn(work(1000)));
    });
    let mut response = Box::pin(service.oneshot(request()));
    runtime.block_on(async {
        assert!(tokio::time::timeout(ms(10), &mut response).await.is_err());
    });
    // The runtime drops the task. No runtime is left that could run the hand-off.
    drop(runtime);
    drop(response);
    let report = log.report();
    assert_eq!((report.aborted, report.handed_off), (1, 0), "{report}");
    assert!(report.required_failed, "{report}");
}

#[tokio::test(start_paused = true)]
async fn a_hand_off_that_is_not_needed_is_dropped_as_a_part_of_its_task() {
    let (log, layer) = observed();
    let held = held(&layer, || {
        let words = LastWords::new(|| drop(spawn(after(100))));
        let late = named("late").or_hand_off(move |_| {
            let _words = &words;
            async { Ok::<_, &str>(()) }
        });
        late.spawn(work(10));
    })
    .await;
    assert_eq!(held, ms(110));
    let report = log.report();
    assert_eq!((report.spawned, report.completed), (2, 2), "{report}");
}
