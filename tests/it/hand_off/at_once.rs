//! Several things at one moment: a stop, an end, a panic, a shutdown.

use std::sync::{Arc, Mutex, mpsc};

use tokio::task::JoinHandle;
use tokio::time::Instant;
use tower::ServiceExt;
use tower_task_tracker::{
    DrainSettings, NotDone, TaskState, TaskTrackerLayer, Unfinished, named, spawn,
};

use super::{Queue, work};
use crate::support::{LastWords, Log, Slot, after, held, ms, put, request, runtime, take, tracked};

fn layer(log: &Log) -> TaskTrackerLayer {
    let settings = DrainSettings::new()
        .drain_timeout(ms(1000))
        .hand_off_grace(ms(300));
    TaskTrackerLayer::new()
        .settings(settings)
        .observer(log.clone())
}

#[test]
fn closures_that_have_begun_are_handed_off_in_the_order_of_their_spawns() {
    let runtime = runtime();
    let settings = DrainSettings::new()
        .drain_timeout(ms(400))
        .hand_off_grace(ms(350));
    let layer = TaskTrackerLayer::new().settings(settings);
    let order: Arc<Mutex<Vec<usize>>> = Arc::default();
    let gates: Arc<Mutex<Vec<mpsc::Sender<()>>>> = Arc::default();
    let service = {
        let (order, gates) = (order.clone(), gates.clone());
        tracked(&layer, move || {
            for number in 0..5 {
                let (go, gone) = mpsc::channel::<()>();
                gates.lock().expect("no panic holds this lock").push(go);
                let order = order.clone();
                let late = named("late").or_hand_off(async move |_| {
                    order.lock().expect("no panic holds this lock").push(number);
                    Ok::<_, &str>(())
                });
                late.spawn_blocking(move || {
                    let _ = gone.recv();
                    Ok::<_, &str>(())
                });
            }
        })
    };
    let response = runtime.block_on(service.oneshot(request()));
    assert_eq!(response.expect("infallible").status(), 200);
    gates.lock().expect("no panic holds this lock").clear();
    drop(runtime);
    let order = order.lock().expect("no panic holds this lock");
    assert_eq!(*order, [0, 1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn the_destructor_of_a_closure_that_is_not_needed_may_panic() {
    let log = Log::default();
    let service = tracked(&layer(&log), || {
        let words = LastWords::new(|| std::panic::resume_unwind(Box::new("planned")));
        named("late")
            .or_hand_off(move |_| {
                let _words = &words;
                async { Ok::<_, &str>(()) }
            })
            .spawn(work(100));
    });
    let response = service.oneshot(request()).await.expect("infallible");
    assert_eq!(response.status(), 200);
    assert_eq!(log.report().completed, 1, "{}", log.report());
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_aborted_before_its_first_poll_is_handed_off() {
    let (log, queue) = (Log::default(), Queue::new());
    held(&layer(&log), {
        let queue = queue.clone();
        move || queue.task().spawn(work(100)).abort()
    })
    .await;
    assert_eq!(queue.entry().0, NotDone::Aborted);
    assert_eq!(log.report().handed_off, 1, "{}", log.report());
}

#[tokio::test(start_paused = true)]
async fn a_task_whose_destructor_panics_when_it_is_stopped_is_handed_off_once() {
    let (log, queue) = (Log::default(), Queue::new());
    held(&layer(&log), {
        let queue = queue.clone();
        move || {
            queue.task().spawn(async {
                let _words = LastWords::new(|| std::panic::resume_unwind(Box::new("planned")));
                work(600_000).await
            });
        }
    })
    .await;
    assert_eq!(queue.entry().1, ms(700));
    let report = log.report();
    assert_eq!((report.spawned, report.handed_off), (1, 1), "{report}");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_fails_at_its_point_is_handed_off_once() {
    let (log, queue) = (Log::default(), Queue::new());
    held(&layer(&log), {
        let queue = queue.clone();
        move || {
            queue.task().spawn(async {
                after(700).await;
                Err::<(), _>("no mail")
            });
        }
    })
    .await;
    assert_eq!(queue.entry().1, ms(700));
    assert_eq!(log.report().handed_off, 1, "{}", log.report());
}

#[tokio::test(start_paused = true)]
async fn a_task_that_a_hook_spawns_has_its_point_too() {
    let (log, queue) = (Log::default(), Queue::new());
    let hooked = queue.clone();
    let layer = layer(&log).before_release(move |_| {
        let queue = hooked.clone();
        async move {
            after(100).await;
            queue.task().spawn(work(600_000));
        }
    });
    let held = held(&layer, || drop(spawn(after(100)))).await;
    assert!(held <= ms(1000), "{held:?}");
    let (why, begun) = queue.entry();
    assert_eq!(why, NotDone::Deadline);
    assert!(begun >= ms(700) && begun <= ms(900), "{begun:?}");
    assert_eq!(log.report().handed_off, 1, "{}", log.report());
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_without_any_time_claims_no_success_that_is_none() {
    for takes in [0, 100] {
        let (log, queue) = (Log::default(), Queue::slow(takes));
        let layer = layer(&log);
        let service = {
            let queue = queue.clone();
            tracked(&layer, move || drop(queue.task().spawn(work(600_000))))
        };
        let handle = layer.handle();
        let shutdown = async {
            after(10).await;
            handle.shutdown(ms(0)).await
        };
        let (response, report) = tokio::join!(service.oneshot(request()), shutdown);
        let queued = queue.entries().len();
        let status = response.expect("infallible").status();
        assert_eq!(status == 200, queued == 1, "{takes} ms: {report}");
        assert_eq!(report.handed_off, queued, "{takes} ms: {report}");
        assert_eq!(
            report.handed_off + report.aborted,
            1,
            "{takes} ms: {report}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_that_is_shortened_moves_the_point() {
    let (log, queue) = (Log::default(), Queue::new());
    let layer = layer(&log).drain_timeout(None);
    let handle = layer.handle();
    let service = {
        let queue = queue.clone();
        tracked(&layer, move || drop(queue.task().spawn(work(600_000))))
    };
    let shutdown = async {
        handle.begin_shutdown(ms(10_000));
        after(100).await;
        handle.begin_shutdown(ms(1000));
    };
    let (response, ()) = tokio::join!(service.oneshot(request()), shutdown);
    assert_eq!(response.expect("infallible").status(), 200);
    assert_eq!(queue.entry(), (NotDone::Shutdown, ms(800)));
}

#[tokio::test(start_paused = true)]
async fn a_task_whose_client_left_is_handed_off_before_the_end_of_a_shutdown_that_is_awaited() {
    let (log, queue) = (Log::default(), Queue::slow(100));
    let layer = layer(&log).at_disconnect(Unfinished::Cancel { grace: ms(10_000) });
    let service = {
        let queue = queue.clone();
        tracked(&layer, move || drop(queue.task().spawn(work(600_000))))
    };
    let left = tokio::time::timeout(ms(100), service.oneshot(request()));
    assert!(left.await.is_err(), "the client left");
    let begun = Instant::now();
    let report = layer.handle().shutdown(ms(1000)).await;
    assert!(begun.elapsed() <= ms(1000));
    assert_eq!(queue.entry(), (NotDone::Shutdown, ms(800)));
    assert_eq!(report.handed_off, 1, "{report}");
    let ends = log.reports().into_iter().map(|report| report.handed_off);
    let late = log.late_ends();
    let late = late
        .iter()
        .filter(|task| task.state == TaskState::HandedOff);
    assert_eq!(ends.sum::<usize>() + late.count(), 1, "{:?}", log.all());
}

#[tokio::test(start_paused = true)]
async fn a_detached_task_that_awaits_the_shutdown_is_not_handed_off_by_it() {
    let (log, queue) = (Log::default(), Queue::new());
    let layer = layer(&log);
    let handle = layer.handle();
    handle.process_tasks().spawn(after(900));
    held(&layer, {
        let (queue, handle) = (queue.clone(), handle.clone());
        move || {
            let handle = handle.clone();
            queue.task().detached().spawn(async move {
                handle.shutdown(ms(1000)).await;
                Ok::<_, &str>(())
            });
        }
    })
    .await;
    handle.wait_idle().await;
    assert_eq!(queue.entries(), []);
    assert_eq!(log.late_ends()[0].state, TaskState::Completed);
}

#[test]
fn a_shutdown_does_not_count_the_later_end_of_a_closure_that_was_handed_off() {
    for fails in [false, true] {
        let runtime = runtime();
        let settings = DrainSettings::new().hand_off_grace(ms(350));
        let layer = TaskTrackerLayer::new().settings(settings);
        let (go, gone) = mpsc::channel::<()>();
        let join: Slot<JoinHandle<Result<(), &str>>> = Slot::default();
        let report = runtime.block_on(async {
            let tasks = layer.handle().process_tasks();
            let ends = join.clone();
            let late = tasks.named("late").or_hand_off(async move |_| {
                // The closure ends while its hand-off is alive.
                drop(go);
                let end = take(&ends).await.expect("no panic");
                assert_eq!(end.is_err(), fails);
                Ok::<_, &str>(())
            });
            let closure = late.spawn_blocking(move || {
                let _ = gone.recv();
                if fails {
                    Err("its end is ignored")
                } else {
                    Ok(())
                }
            });
            put(&join, closure);
            layer.handle().shutdown(ms(400)).await
        });
        assert_eq!((report.handed_off, report.completed), (1, 0), "{report}");
        assert!(report.is_clean(), "{report}");
    }
}
