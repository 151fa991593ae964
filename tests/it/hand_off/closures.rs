//! Work that cannot be stopped: blocking closures, and tasks that do not yield. These tests use a clock that runs,
//! because that work runs on threads of its own.

use std::sync::mpsc;

use tower::ServiceExt;
use tower_task_tracker::{DrainSettings, NotDone, TaskState, TaskTrackerLayer};

use super::Queue;
use crate::support::{Log, held, ms, request, runtime, tracked};

fn layer(log: &Log) -> TaskTrackerLayer {
    TaskTrackerLayer::new()
        .settings(
            DrainSettings::new()
                .drain_timeout(ms(400))
                .hand_off_grace(ms(350)),
        )
        .observer(log.clone())
}

#[test]
fn a_closure_that_has_begun_runs_on_beside_its_hand_off_and_its_end_is_ignored() {
    let runtime = runtime();
    let (log, queue) = (Log::default(), Queue::new());
    let layer = layer(&log);
    let (go, gone) = mpsc::channel::<()>();
    let gone = std::sync::Arc::new(std::sync::Mutex::new(Some(gone)));
    runtime.block_on(async {
        let service = {
            let queue = queue.clone();
            tracked(&layer, move || {
                let gone = gone.lock().expect("one call").take().expect("one call");
                queue.task().spawn_blocking(move || {
                    let _ = gone.recv();
                    Err::<(), _>("its end is ignored")
                });
            })
        };
        let response = service.oneshot(request()).await.expect("infallible");
        assert_eq!(response.status(), 200);
        assert_eq!(queue.entry().0, NotDone::Deadline);
        let report = log.report();
        assert_eq!((report.spawned, report.handed_off), (1, 1), "{report}");
        layer.handle().wait_idle().await;
        drop(go);
    });
    // Waits for the thread of the closure.
    drop(runtime);
    assert_eq!(log.all().len(), 1, "the report alone: {:?}", log.all());
    assert_eq!(queue.entries().len(), 1);
}

#[test]
fn a_closure_that_fails_is_handed_off() {
    let runtime = runtime();
    let (log, queue) = (Log::default(), Queue::new());
    let layer = layer(&log);
    runtime.block_on(held(&layer, {
        let queue = queue.clone();
        move || drop(queue.task().spawn_blocking(|| Err::<(), _>("at once")))
    }));
    assert_eq!(queue.entry().0, NotDone::Failed);
    assert_eq!(log.report().handed_off, 1, "{}", log.report());
}

#[test]
fn a_closure_that_completes_is_not_handed_off() {
    let runtime = runtime();
    let (log, queue) = (Log::default(), Queue::new());
    let layer = layer(&log);
    runtime.block_on(held(&layer, {
        let queue = queue.clone();
        move || drop(queue.task().spawn_blocking(|| Ok::<_, &str>(())))
    }));
    assert_eq!(queue.entries(), []);
    assert_eq!(log.report().completed, 1, "{}", log.report());
}

#[test]
fn a_task_that_does_not_yield_is_late_and_is_not_handed_off_if_it_completes_after_all() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a runtime");
    let (log, queue) = (Log::default(), Queue::new());
    let layer = layer(&log);
    let (go, gone) = mpsc::channel::<()>();
    let gone = std::sync::Arc::new(std::sync::Mutex::new(Some(gone)));
    let service = {
        let queue = queue.clone();
        tracked(&layer, move || {
            let gone = gone.lock().expect("one call").take().expect("one call");
            queue.task().spawn(async move {
                let _ = gone.recv();
                Ok::<_, &str>(())
            });
        })
    };
    let response = runtime.block_on(runtime.spawn(service.oneshot(request())));
    let response = response.expect("no panic").expect("infallible");
    assert_eq!(response.status(), 500);
    drop(go);
    runtime.block_on(layer.handle().wait_idle());
    assert_eq!(queue.entries(), []);
    assert_eq!(log.late_ends()[0].state, TaskState::Completed);
}
