//! The handle becomes idle after the last task of a tokio-util `TaskTracker`.

use std::convert::Infallible;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use http::{Request, Response};
use tokio::runtime::Builder;
use tokio::time::timeout;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_task_tracker::{TaskScopeLayer, TaskTrackerLayer, TrackerHandle};

use crate::support::{
    Frames, Log, Slot, after, current, held, ms, paused_runtime, put, request, runtime, take,
    tracked,
};

/// There is no runtime that could wait for the rest of it, and nothing that keeps it.
#[test]
fn what_runs_on_in_a_tracker_without_a_request_keeps_no_handle_waiting() {
    let runtime = runtime();
    let elsewhere = runtime.handle().clone();
    let log = Log::default();
    let layer = TaskScopeLayer::new()
        .drain_timeout(ms(0))
        .observer(log.clone());
    let handle = TrackerHandle::new();
    let layer = layer.tracked_by(&handle);
    let (end, ends) = tokio::sync::oneshot::channel::<()>();
    let ends = Arc::new(Mutex::new(Some(ends)));
    let mut service = layer.layer(service_fn(move |(): ()| {
        let ends = take(&ends);
        let tracked = async move { drop(ends.await) };
        current().tracker().spawn_on(tracked, &elsewhere);
        std::future::pending::<Result<(), Infallible>>()
    }));
    let mut answer = Box::pin(service.call(()));
    let polled = answer
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
    drop((answer, service));
    assert_eq!(log.report().stragglers.len(), 1);
    end.send(()).expect("it waits");
    runtime.block_on(async {
        let limit = std::time::Duration::from_secs(10);
        let idle = tokio::time::timeout(limit, handle.wait_idle()).await;
        assert!(idle.is_ok(), "{handle:?}");
    });
}

/// No task is alive, and yet the handle is never idle.
#[tokio::test(start_paused = true)]
async fn the_handle_is_idle_after_the_last_task_of_a_kept_tracker() {
    let layer = TaskTrackerLayer::new().drain_timeout(ms(10));
    let kept = Slot::default();
    let keep = kept.clone();
    held(&layer, move || {
        let tasks = current();
        tasks.spawn(after(100));
        put(&keep, (tasks.tracker().clone(), tasks));
    })
    .await;
    let (tracker, _kept) = take(&kept);
    tracker.spawn(after(500));
    after(1000).await;
    assert_eq!(layer.handle().live_tasks(), 0);
    let idle = timeout(ms(10_000), layer.handle().wait_idle()).await;
    assert!(idle.is_ok(), "{:?}", layer.handle());
}

/// The same where the response ends on a thread without a runtime.
#[test]
fn the_handle_is_idle_after_the_last_task_of_a_tracker_also_without_a_runtime() {
    let runtime = paused_runtime();
    let layer = TaskTrackerLayer::new();
    let kept = Slot::default();
    let keep = kept.clone();
    let service = layer.layer(service_fn(move |_: Request<()>| {
        current().tracker().spawn(after(20));
        put(&keep, current());
        async { Ok::<_, Infallible>(Response::new(Frames::new(["a"]))) }
    }));
    let Ok(answer) = runtime.block_on(service.oneshot(request()));
    // The client leaves.
    drop(answer);
    let _kept = take(&kept);
    runtime.block_on(async {
        after(100).await;
        assert_eq!(layer.handle().live_tasks(), 0);
        let idle = timeout(ms(500), layer.handle().wait_idle()).await;
        assert!(idle.is_ok(), "{:?}", layer.handle());
    });
}

#[test]
fn a_tracker_is_waited_for_again_after_its_runtime_is_gone() {
    let runtime = || {
        let runtime = Builder::new_current_thread().enable_time().build();
        runtime.expect("a runtime")
    };
    let layer = TaskTrackerLayer::new();
    let kept = Slot::default();
    let keep = kept.clone();
    let first = runtime();
    first.block_on(async {
        let service = tracked(&layer.clone().drain_timeout(ms(1)), move || {
            let tasks = current();
            let token = tasks.tracker().token();
            put(&keep, (token, tasks));
        });
        drop(service.oneshot(request()).await);
        tokio::task::yield_now().await;
    });
    drop(first);
    let (token, _kept) = take(&kept);
    let second = runtime();
    let handle = layer.handle();
    assert_eq!(handle.live_requests(), 1);
    second.block_on(async {
        let idle = tokio::spawn(async move { handle.wait_idle().await });
        tokio::task::yield_now().await;
        drop(token);
        let idle = timeout(ms(10_000), idle).await;
        assert!(idle.is_ok(), "it is never idle");
    });
}
