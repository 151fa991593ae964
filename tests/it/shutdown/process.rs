//! Tasks of the process itself: `TrackerHandle::spawn` and `process_tasks`.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use tokio::time::Instant;
use tower::ServiceExt;
use tower_task_tracker::{TaskState, TrackerHandle, named};

use super::slow;
use crate::support::{DropTime, Wakes, after, ms, observed, request, tracked};

#[tokio::test(start_paused = true)]
async fn the_work_of_the_process_is_of_no_request_and_is_waited_for() {
    let handle = TrackerHandle::new();
    let (asked, stopped) = (DropTime::new(), DropTime::new());
    let tasks = handle.process_tasks();
    let token = tasks.cancellation_token();
    let (watch, asked_watch) = (stopped.watch(), asked.watch());
    handle.spawn(async move {
        let _watch = watch;
        named("nested").spawn(after(20));
        token.cancelled().await;
        drop(asked_watch);
        after(300).await;
    });
    after(100).await;
    assert_eq!((handle.live_requests(), handle.live_tasks()), (1, 1));
    assert!(!tasks.is_released(), "it never is");
    let report = handle.shutdown(ms(1000)).await;
    assert_eq!(asked.get(), Some(ms(100)), "it is asked to stop at once");
    assert_eq!(stopped.get(), Some(ms(400)));
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.completed, 1);
    assert!(handle.process_tasks().cancellation_token().is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn a_layer_that_the_process_itself_calls_is_the_outermost() {
    let (log, layer) = observed();
    let handle = layer.handle();
    let service = tracked(&layer, slow(&DropTime::new(), 30));
    let asked = Instant::now();
    let called = handle.spawn(async move { service.oneshot(request()).await });
    let answer = called.await.expect("no panic");
    assert_eq!(asked.elapsed(), ms(30), "it is held");
    drop(answer);
    assert_eq!(
        log.report().last.map(|task| task.state),
        Some(TaskState::Completed)
    );
}

#[tokio::test(start_paused = true)]
async fn a_token_of_the_process_is_cancelled_whatever_became_of_the_rest() {
    let handle = TrackerHandle::new();
    let token = handle.process_tasks().cancellation_token();
    handle.spawn({
        let token = token.clone();
        async move { token.cancelled().await }
    });
    let report = handle.shutdown(ms(1000)).await;
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.waited, ms(0));
    assert!(token.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn a_token_of_the_process_is_cancelled_though_it_has_no_task() {
    let handle = TrackerHandle::new();
    let (before, kept) = (
        handle.process_tasks().cancellation_token(),
        handle.process_tasks(),
    );
    handle.begin_shutdown(ms(1000));
    assert!(before.is_cancelled());
    assert!(kept.cancellation_token().is_cancelled());
    assert!(handle.process_tasks().cancellation_token().is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn work_that_failed_or_panicked_is_not_clean() {
    let handle = TrackerHandle::new();
    handle.begin_shutdown(ms(1000));
    let fails = async { Err::<(), _>("no disk") };
    handle
        .process_tasks()
        .named("fails")
        .fallible()
        .spawn(fails);
    let panics = async { std::panic::resume_unwind(Box::new("no memory")) };
    handle.process_tasks().named("panics").spawn(panics);
    let report = handle.shutdown(ms(1000)).await;
    assert_eq!((report.failed, report.panicked, report.aborted), (1, 1, 0));
    assert!(!report.is_clean());
    let line = report.to_string();
    assert!(
        line.contains("0 tasks completed, 1 failed, 1 panicked; failures: "),
        "{line}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_stopped_is_named() {
    let handle = TrackerHandle::new();
    let (let_go, until) = std::sync::mpsc::channel::<()>();
    let (began, begun) = tokio::sync::oneshot::channel();
    handle
        .process_tasks()
        .named("stuck")
        .spawn_blocking(move || {
            let _ = began.send(());
            let _ = until.recv();
        });
    assert!(begun.await.is_ok());
    let (report, ()) = tokio::join!(handle.shutdown(ms(20)), async {
        for _ in 0..100 {
            // Paused time does not pass by itself while a blocking closure runs.
            tokio::time::advance(ms(10)).await;
        }
    });
    assert!(report.waited >= ms(20), "{report}");
    assert_eq!(report.still_running.len(), 1);
    assert_eq!(report.still_running[0].name.as_deref(), Some("stuck"));
    assert!(!report.is_clean());
    assert!(
        report.to_string().contains("; still running: stuck ("),
        "{report}"
    );
    drop(let_go);
    handle.wait_idle().await;
}

#[tokio::test(start_paused = true)]
async fn a_spawn_in_a_listed_request_does_not_wake_it() {
    let handle = TrackerHandle::new();
    let tasks = handle.process_tasks();
    let _alive = tasks.token();
    let mut shutdown = pin!(handle.shutdown(ms(10_000)));
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(wakes.clone());
    let mut cx = Context::from_waker(&waker);
    assert!(shutdown.as_mut().poll(&mut cx).is_pending());
    wakes.take();
    for _ in 0..10 {
        drop(tasks.token());
        assert!(shutdown.as_mut().poll(&mut cx).is_pending());
    }
    assert_eq!(wakes.take(), 0, "it walks over all requests each time");
}
