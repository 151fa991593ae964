//! A hook does not run for a client that has left, and is dropped when its client leaves.

use tower::{Service, ServiceExt};
use tower_task_tracker::{TaskTrackerLayer, Tasks, named};

use super::{Calls, layer};
use crate::support::{LastWords, Slot, after, ms, put, request, take, tracked};

#[tokio::test(start_paused = true)]
async fn a_hook_does_not_run_for_a_client_that_has_left() {
    let calls = Calls::default();
    let layer = layer(&calls, 30);
    let service = tracked(&layer, || drop(named("slow").spawn(after(500))));
    let held = tokio::time::timeout(ms(100), service.oneshot(request())).await;
    assert!(held.is_err());
    layer.handle().wait_idle().await;
    assert!(calls.all().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_hook_whose_client_leaves_is_dropped_in_its_request() {
    let inside = Slot::default();
    let is_inside = inside.clone();
    let layer = TaskTrackerLayer::new().before_release(move |_| {
        let is_inside = is_inside.clone();
        let last_words = LastWords::new(move || put(&is_inside, Tasks::current().is_some()));
        async move {
            let _held = last_words;
            after(600_000).await;
        }
    });
    let mut service = tracked(&layer, || {});
    let left = tokio::time::timeout(ms(10), service.call(request())).await;
    assert!(left.is_err(), "it is held");
    assert!(take(&inside));
}
