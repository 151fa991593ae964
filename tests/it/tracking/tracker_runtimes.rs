//! A wait for a `TaskTracker` goes on where the runtime of the wait has ended.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use tokio::task::yield_now;
use tower::Service;
use tower_task_tracker::TaskTrackerLayer;

use crate::support::{Slot, Wakes, current, paused_runtime, put, request, take, tracked};

/// Polls so often, and lets the runtime run in between.
async fn is_held<F: Future>(held: &mut Pin<Box<F>>, wakes: &Arc<Wakes>) -> bool {
    for _ in 0..4 {
        let waker = Waker::from(wakes.clone());
        let polled = held.as_mut().poll(&mut Context::from_waker(&waker));
        if polled.is_ready() {
            return false;
        }
        yield_now().await;
    }
    true
}

/// The wait for a tracker that has a task, first on a runtime that ends meanwhile, and then on another one.
/// `is_gone`: the first one has ended before.
fn move_to_another_runtime(is_gone: bool) {
    let token = Slot::default();
    let keep = token.clone();
    // No timer: that would be one of the first runtime.
    let layer = TaskTrackerLayer::new().drain_timeout(None);
    let mut service = tracked(&layer, move || put(&keep, current().tracker().token()));
    let mut held = Box::pin(service.call(request()));
    let wakes = Arc::new(Wakes::default());
    let first = paused_runtime();
    if is_gone {
        let handle = first.handle().clone();
        drop(first);
        let _entered = handle.enter();
        let waker = Waker::from(wakes.clone());
        for _ in 0..4 {
            let polled = held.as_mut().poll(&mut Context::from_waker(&waker));
            assert!(polled.is_pending());
        }
        // The first poll gives the tasks their turn.
        assert_eq!(wakes.take(), 1, "each wake-up would begin another watch");
    } else {
        assert!(first.block_on(is_held(&mut held, &wakes)));
        wakes.take();
        drop(first);
        assert_eq!(wakes.take(), 1, "the wait has to begin another watch");
    }
    paused_runtime().block_on(async {
        assert!(is_held(&mut held, &wakes).await, "its task is alive");
        wakes.take();
        drop(take(&token));
        yield_now().await;
        assert!(wakes.take() > 0, "its last task has ended");
        assert!(!is_held(&mut held, &wakes).await);
    });
}

#[test]
fn a_wait_for_a_tracker_goes_on_where_its_runtime_ends_meanwhile() {
    move_to_another_runtime(false);
}

#[test]
fn a_wait_for_a_tracker_goes_on_where_its_runtime_had_ended_before() {
    move_to_another_runtime(true);
}
