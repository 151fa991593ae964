//! A request that passed a nested layer whose own handle does not list it: a warning, once for each layer.

use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{TaskScopeLayer, TaskTrackerLayer, Tasks, TrackerHandle, named, spawn};

use super::dropped_handlers::slow;
use crate::subscribers::lines::Lines;
use crate::support::{Slot, after, current, ms, put, request, take, tracked};

const UNSEEN: &str = "that of this layer does not see it";

/// Sends a request through both.
async fn pass(outer: &TaskTrackerLayer, inner: &TaskTrackerLayer) {
    let service = outer.layer(tracked(inner, || drop(spawn(after(1)))));
    drop(service.oneshot(request()).await);
}

#[tokio::test(start_paused = true)]
async fn a_handle_that_does_not_list_a_request_is_a_warning_once_for_its_layer() {
    let lines = Lines::default();
    let _recording = lines.record();
    let outer = TaskTrackerLayer::new();
    let inner = TaskTrackerLayer::new();
    pass(&outer, &inner).await;
    assert_eq!(lines.count(UNSEEN), 0, "the handle was not taken");
    let handle = inner.handle();
    for _ in 0..3 {
        pass(&outer, &inner).await;
        pass(&outer, &inner.clone().drain_timeout(ms(10))).await;
    }
    let line = lines.with(UNSEEN);
    assert!(line.starts_with("WARN"), "{line}");
    assert!(line.contains(file!()), "where it was taken: {line}");
    assert!(line.contains("tracked_by"), "{line}");
    assert_eq!(handle.live_requests(), 0);

    // Set, and of another layer.
    let elsewhere = TrackerHandle::new();
    pass(&outer, &TaskTrackerLayer::new().tracked_by(&elsewhere)).await;
    assert_eq!(lines.count(UNSEEN), 2, "{}", lines.text());
    // Around a scope, and inside of one.
    let events = TaskScopeLayer::new().tracked_by(&elsewhere);
    let service = outer.layer(events.layer(service_fn(slow)));
    drop(service.oneshot(request()).await);
    assert_eq!(lines.count(UNSEEN), 3, "{}", lines.text());
}

#[tokio::test(start_paused = true)]
async fn a_handle_that_lists_its_requests_is_no_warning() {
    let lines = Lines::default();
    let _recording = lines.record();
    let outer = TaskTrackerLayer::new();
    let handle = outer.handle();
    // A route's own layer is made from the router's, or shares its handle.
    pass(&outer, &outer.clone().drain_timeout(ms(10))).await;
    pass(&outer, &TaskTrackerLayer::new().tracked_by(&handle)).await;
    // What it was cloned from has a handle of its own, which nothing is known of.
    let base = TaskTrackerLayer::new();
    drop(base.clone().tracked_by(&TrackerHandle::new()));
    pass(&outer, &base).await;
    // What a straggler or a detached task calls is a request of its own.
    let own = TaskTrackerLayer::new();
    let seen = own.handle();
    let called: Slot<Tasks> = Slot::default();
    let out = called.clone();
    let inner = tracked(&own, move || put(&out, current()));
    let service = tracked(&outer, move || {
        let inner = inner.clone();
        named("detached").detached().spawn(async move {
            drop(inner.oneshot(request()).await);
        });
    });
    drop(service.oneshot(request()).await);
    handle.wait_idle().await;
    let token = take(&called).token();
    assert_eq!(seen.live_tasks(), 1, "this handle has it");
    drop(token);
    assert_eq!(lines.count(UNSEEN), 0, "{}", lines.text());
}
