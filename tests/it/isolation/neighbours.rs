//! Requests that are served at the same time.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Request;
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{TaskTrackerLayer, spawn};

use crate::support::{after, current, full, ms, observed, request, tracked};

#[tokio::test(start_paused = true)]
async fn two_clones_of_one_service_hold_their_own_requests_only() {
    let (log, layer) = observed();
    let next = Arc::new(AtomicUsize::new(1));
    let service = tracked(&layer, move || {
        let millis = 100 * next.fetch_add(1, Ordering::SeqCst) as u64;
        spawn(after(millis));
    });

    let start = Instant::now();
    let first = tokio::spawn(service.clone().oneshot(request()));
    let second = tokio::spawn(service.oneshot(request()));
    drop(first.await.expect("no panic"));
    assert_eq!(start.elapsed(), ms(100));
    assert_eq!(layer.handle().live_requests(), 1);
    drop(second.await.expect("no panic"));
    assert_eq!(start.elapsed(), ms(200));
    let spawned: Vec<_> = log.reports().iter().map(|report| report.spawned).collect();
    assert_eq!(spawned, [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn requests_that_are_polled_in_turns_on_one_thread_keep_apart() {
    let layer = TaskTrackerLayer::new();
    let service = layer.layer(service_fn(|request: Request<usize>| async move {
        let count = request.into_body();
        for _ in 0..count {
            spawn(after(1));
            tokio::task::yield_now().await;
        }
        let tasks = current();
        assert_eq!(
            tasks.len(),
            count,
            "another request's tasks are not in here"
        );
        Ok::<_, Infallible>(full("ok"))
    }));
    let one = service.clone().oneshot(Request::new(3));
    let two = service.clone().oneshot(Request::new(5));
    let (one, two) = tokio::join!(one, two);
    one.and(two).expect("infallible");
}
