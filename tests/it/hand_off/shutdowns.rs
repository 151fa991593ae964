//! Hand-offs at a shutdown.

use std::convert::Infallible;

use http::Request;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{
    DrainSettings, NotDone, Outcome, RunToCompletionLayer, TaskState, TaskTrackerLayer, Unfinished,
    named, spawn,
};

use super::{Queue, full_queue, work};
use crate::support::{
    DropTime, LastWords, Log, Slot, after, current, full, held, ms, put, request, take, tracked,
};

fn layer(log: &Log) -> TaskTrackerLayer {
    let settings = DrainSettings::new().hand_off_grace(ms(300));
    TaskTrackerLayer::new()
        .settings(settings)
        .observer(log.clone())
}

#[tokio::test(start_paused = true)]
async fn a_held_task_is_handed_off_the_grace_before_the_end_of_the_shutdown() {
    let (log, queue) = (Log::default(), Queue::new());
    let layer = layer(&log);
    let service = {
        let queue = queue.clone();
        tracked(&layer, move || drop(queue.task().spawn(work(600_000))))
    };
    let handle = layer.handle();
    let shutdown = async {
        after(100).await;
        handle.shutdown(ms(1000)).await
    };
    let (response, report) = tokio::join!(service.oneshot(request()), shutdown);
    assert_eq!(response.expect("infallible").status(), 200);
    assert_eq!(queue.entry(), (NotDone::Shutdown, ms(800)));
    assert_eq!((report.handed_off, report.aborted), (1, 0), "{report}");
    assert!(report.is_clean(), "{report}");
    assert_eq!(log.report().outcome, Outcome::Drained);
}

#[tokio::test(start_paused = true)]
async fn detached_tasks_and_stragglers_are_handed_off_while_the_shutdown_is_awaited() {
    for awaited in [true, false] {
        let (log, queue) = (Log::default(), Queue::new());
        let layer = layer(&log).drain_timeout(None);
        let late = Queue::new();
        held(&layer, {
            let queue = queue.clone();
            move || drop(queue.task().detached().spawn(work(5000)))
        })
        .await;
        let service = {
            let late = late.clone();
            tracked(&layer, move || drop(late.task().spawn(work(5000))))
        };
        // The client leaves, so this task is a straggler.
        let left = tokio::time::timeout(ms(5), service.oneshot(request()));
        assert!(left.await.is_err());
        let handle = layer.handle();
        if awaited {
            let report = handle.shutdown(ms(1000)).await;
            assert_eq!(report.handed_off, 2, "{report}");
            for queue in [queue, late] {
                assert_eq!(queue.entry(), (NotDone::Shutdown, ms(705)));
            }
        } else {
            handle.begin_shutdown(ms(1000));
            handle.wait_idle().await;
            assert_eq!((queue.entries(), late.entries()), (vec![], vec![]));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_hand_off_is_stopped_by_the_end_of_the_shutdown() {
    let (log, queue) = (Log::default(), Queue::slow(60_000));
    let layer = layer(&log);
    let service = {
        let queue = queue.clone();
        tracked(&layer, move || drop(queue.task().spawn(work(600_000))))
    };
    let handle = layer.handle();
    let (response, report) = tokio::join!(service.oneshot(request()), handle.shutdown(ms(1000)));
    assert_eq!(response.expect("infallible").status(), 500);
    assert_eq!(queue.entries(), []);
    assert_eq!((report.handed_off, report.aborted), (0, 1), "{report}");
    assert!(
        !report.is_clean() && report.still_running.is_empty(),
        "{report}"
    );
}

#[tokio::test(start_paused = true)]
async fn after_the_end_of_the_shutdown_no_hand_off_begins() {
    let (log, queue) = (Log::default(), Queue::new());
    let layer = layer(&log);
    let handle = layer.handle();
    handle.spawn(async {});
    let tasks = handle.process_tasks();
    let spawner = queue.clone();
    // A task that spawns another one when it is stopped at the end.
    tasks.spawn(async move {
        let _spawns = LastWords::new(move || {
            drop(spawner.task().spawn(work(600_000)));
        });
        after(600_000).await;
    });
    let report = handle.shutdown(ms(1000)).await;
    assert_eq!(queue.entries(), [], "{report}");
    assert_eq!(report.handed_off, 0, "{report}");
    let refused = |task: &&tower_task_tracker::TaskInfo| task.name.as_deref() == Some("late");
    let refused = report
        .failures
        .iter()
        .find(refused)
        .expect("it is in the report");
    assert_eq!(refused.state, TaskState::Aborted);
    let message = refused.message.as_deref();
    assert_eq!(
        message,
        Some("the shutdown ended before the hand-off began")
    );
}

#[tokio::test(start_paused = true)]
async fn a_thousand_tasks_are_handed_off_at_one_shutdown() {
    let (log, queue) = (Log::default(), Queue::slow(100));
    let layer = layer(&log).drain_timeout(None);
    let handle = layer.handle();
    let mut responses = tokio::task::JoinSet::new();
    for _ in 0..1000 {
        let queue = queue.clone();
        let service = tracked(&layer, move || drop(queue.task().spawn(work(600_000))));
        responses.spawn(async move {
            service
                .oneshot(request())
                .await
                .expect("infallible")
                .status()
        });
    }
    let shutdown = async {
        after(10).await;
        handle.shutdown(ms(1000)).await
    };
    let (statuses, report) = tokio::join!(responses.join_all(), shutdown);
    assert!(statuses.iter().all(|status| *status == 200));
    assert_eq!(
        (report.handed_off, queue.entries().len()),
        (1000, 1000),
        "{report}"
    );
    assert!(report.is_clean(), "{report}");
}

#[tokio::test(start_paused = true)]
async fn a_task_of_the_process_is_handed_off_too() {
    let (log, queue) = (Log::default(), Queue::new());
    let handle = layer(&log).handle();
    queue
        .after(handle.process_tasks().named("late"))
        .spawn(work(600_000));
    let failing = named("outside").or_hand_off(full_queue);
    drop(failing);
    let report = handle.shutdown(ms(1000)).await;
    // The tasks of the process have the default grace: a quarter of the time.
    assert_eq!(queue.entry(), (NotDone::Shutdown, ms(750)));
    assert_eq!(report.handed_off, 1, "{report}");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_awaits_the_shutdown_is_not_handed_off() {
    let (log, queue) = (Log::default(), Queue::new());
    let layer = layer(&log);
    let handle = layer.handle();
    held(&layer, {
        let queue = queue.clone();
        move || {
            let handle = handle.clone();
            assert!(current().is_empty());
            queue.task().spawn(async move {
                handle.shutdown(ms(1000)).await;
                Ok::<_, &str>(())
            });
        }
    })
    .await;
    assert_eq!(queue.entries(), []);
    assert_eq!(log.report().completed, 1, "{}", log.report());
}

#[tokio::test(start_paused = true)]
async fn a_held_task_is_handed_off_also_if_nothing_awaits_the_shutdown() {
    let (log, queue) = (Log::default(), Queue::slow(100));
    let layer = layer(&log);
    let service = {
        let queue = queue.clone();
        tracked(&layer, move || drop(queue.task().spawn(work(600_000))))
    };
    layer.handle().begin_shutdown(ms(1000));
    let response = service.oneshot(request()).await.expect("infallible");
    assert_eq!(response.status(), 200);
    assert_eq!(queue.entry(), (NotDone::Shutdown, ms(700)));
    assert_eq!(log.report().handed_off, 1, "{}", log.report());
}

#[tokio::test(start_paused = true)]
async fn a_response_whose_window_is_not_open_yet_is_handed_off_before_the_end_too() {
    let (log, queue) = (Log::default(), Queue::new());
    let layer = layer(&log);
    let service = {
        let queue = queue.clone();
        layer.layer(service_fn(move |_: Request<()>| {
            queue.task().spawn(work(600_000));
            async {
                after(900).await;
                Ok::<_, Infallible>(full("done"))
            }
        }))
    };
    let handle = layer.handle();
    let (response, report) = tokio::join!(service.oneshot(request()), handle.shutdown(ms(1000)));
    assert_eq!(response.expect("infallible").status(), 200);
    assert_eq!(queue.entry(), (NotDone::Shutdown, ms(700)));
    assert_eq!(report.handed_off, 1, "{report}");
}

#[tokio::test(start_paused = true)]
async fn an_earlier_deadline_than_that_of_the_shutdown_is_the_reason() {
    let (log, queue) = (Log::default(), Queue::new());
    let layer = layer(&log).drain_timeout(ms(500));
    let service = {
        let queue = queue.clone();
        tracked(&layer, move || drop(queue.task().spawn(work(600_000))))
    };
    let handle = layer.handle();
    let (response, report) = tokio::join!(service.oneshot(request()), handle.shutdown(ms(1000)));
    assert_eq!(response.expect("infallible").status(), 200);
    assert_eq!(queue.entry(), (NotDone::Deadline, ms(200)));
    assert_eq!(report.handed_off, 1, "{report}");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_spawned_during_a_shutdown_is_handed_off_before_its_end() {
    for (spawned, handed_off) in [(200, 700), (800, 800)] {
        let (log, queue) = (Log::default(), Queue::new());
        let layer = layer(&log);
        let tasks: Slot<tower_task_tracker::Tasks> = Slot::default();
        held(&layer, {
            let tasks = tasks.clone();
            move || {
                // The request stays listed.
                named("other").detached().spawn(work(600_000));
                put(&tasks, current());
            }
        })
        .await;
        let tasks = take(&tasks);
        let spawns = async {
            after(spawned).await;
            let task = queue.after(tasks.named("late").detached());
            task.spawn(work(600_000));
        };
        let handle = layer.handle();
        let (report, ()) = tokio::join!(handle.shutdown(ms(1000)), spawns);
        assert_eq!(queue.entry(), (NotDone::Shutdown, ms(handed_off)));
        assert_eq!(report.handed_off, 1, "{report}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hand_off_that_the_end_of_the_shutdown_stops_has_a_message_of_its_own() {
    let (log, queue) = (Log::default(), Queue::slow(60_000));
    let layer = layer(&log).drain_timeout(None);
    let service = tracked(&layer, {
        let queue = queue.clone();
        move || drop(queue.task().spawn(work(600_000)))
    });
    let handle = layer.handle();
    let (_, report) = tokio::join!(service.oneshot(request()), handle.shutdown(ms(1000)));
    let message = report.failures[0].message.as_deref();
    assert_eq!(message, Some("the shutdown ended before the hand-off did"));
}

#[tokio::test(start_paused = true)]
async fn under_cancel_a_window_that_opens_during_a_shutdown_asks_its_tasks_before_its_own_point() {
    let (log, queue, cancelled) = (Log::default(), Queue::new(), DropTime::new());
    let layer = TaskTrackerLayer::new()
        .at_deadline(Unfinished::Cancel { grace: ms(200) })
        .observer(log.clone());
    let service = {
        let (queue, cancelled) = (queue.clone(), cancelled.clone());
        layer.layer(service_fn(move |_: Request<()>| {
            let (token, watch) = (current().cancellation_token(), cancelled.watch());
            queue.task().spawn(work(600_000));
            spawn(async move {
                token.cancelled().await;
                drop(watch);
            });
            async {
                after(2000).await;
                Ok::<_, Infallible>(full("done"))
            }
        }))
    };
    let handle = layer.handle();
    let (response, _) = tokio::join!(service.oneshot(request()), handle.shutdown(ms(4000)));
    assert_eq!(response.expect("infallible").status(), 200);
    // The window has 2 s, and a quarter of it is the grace of the hand-off.
    assert_eq!(cancelled.get(), Some(ms(3300)));
    assert_eq!(queue.entry(), (NotDone::Shutdown, ms(3500)));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_a_stopped_hand_off_has_called_ends_with_it() {
    let log = Log::default();
    let layer = layer(&log);
    let handler = RunToCompletionLayer::new().layer(service_fn(|(): ()| async {
        after(5000).await;
        Ok::<_, Infallible>(())
    }));
    held(&layer, move || {
        let handler = handler.clone();
        let late = named("late").detached();
        late.or_hand_off(move |_| handler.oneshot(()))
            .spawn(work(600_000));
    })
    .await;
    let report = layer.handle().shutdown(ms(1000)).await;
    assert_eq!(
        (report.aborted, report.still_running.len()),
        (1, 0),
        "{report}"
    );
    assert_eq!(layer.handle().live_tasks(), 0);
}
