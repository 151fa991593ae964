//! Work that cannot be stopped: blocking closures, and tasks that do not yield. These tests use a clock that runs,
//! because that work runs on threads of its own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use tower::ServiceExt;
use tower_task_tracker::{DrainSettings, NotDone, TaskState, TaskTrackerLayer, named};

use super::Queue;
use crate::subscribers::lines::Lines;
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
    let gone = Arc::new(Mutex::new(Some(gone)));
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
    let gone = Arc::new(Mutex::new(Some(gone)));
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

#[test]
fn a_closure_that_still_waits_for_a_thread_is_handed_off_in_time_and_does_not_run() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(1)
        .enable_time()
        .build()
        .expect("a runtime");
    let (log, queue) = (Log::default(), Queue::new());
    let layer = layer(&log);
    let (go, gone) = mpsc::channel::<()>();
    let has_run = Arc::new(AtomicBool::new(false));
    runtime.block_on(async {
        // The only thread is not free.
        tokio::task::spawn_blocking(move || gone.recv());
        let service = {
            let (queue, has_run) = (queue.clone(), has_run.clone());
            tracked(&layer, move || {
                let has_run = has_run.clone();
                queue.task().spawn_blocking(move || {
                    has_run.store(true, Ordering::SeqCst);
                    Ok::<_, &str>(())
                });
            })
        };
        let response = service.oneshot(request()).await.expect("infallible");
        assert_eq!(response.status(), 200);
        assert_eq!(queue.entry().0, NotDone::Deadline);
        assert_eq!(log.report().handed_off, 1, "{}", log.report());
    });
    drop(go);
    // Waits for the thread.
    drop(runtime);
    assert!(!has_run.load(Ordering::SeqCst));
    assert_eq!(log.all().len(), 1, "the report alone: {:?}", log.all());
}

#[test]
fn the_hand_off_of_a_closure_that_runs_on_runs_in_the_span_of_its_task() {
    let runtime = runtime();
    let lines = Lines::default();
    let _recording = lines.record();
    let log = Log::default();
    let settings = DrainSettings::new()
        .drain_timeout(ms(400))
        .hand_off_grace(ms(350));
    let layer = TaskTrackerLayer::new().settings(settings).observer(log);
    let (go, gone) = mpsc::channel::<()>();
    let gone = Arc::new(Mutex::new(Some(gone)));
    let service = tracked(&layer, move || {
        let gone = gone.lock().expect("one call").take().expect("one call");
        let late = named("late").or_hand_off(async |_| {
            tracing::info!("polled");
            Ok::<_, &str>(())
        });
        late.spawn_blocking(move || {
            let _ = gone.recv();
            Ok::<_, &str>(())
        });
    });
    let span = tracing::info_span!("request", id = 7);
    let response = runtime.block_on(tracing::Instrument::instrument(
        service.oneshot(request()),
        span,
    ));
    assert_eq!(response.expect("infallible").status(), 200);
    drop(go);
    drop(runtime);
    let line = lines.with("polled");
    assert!(line.contains("request{id=7}:task{name=\"late\""), "{line}");
}
