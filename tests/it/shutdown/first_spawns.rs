//! A shutdown that begins while the first task of a request is about to enter the registry.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use http::Request;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{TaskTrackerLayer, TrackerHandle};

use crate::support::{Slot, Wakes, current, full, put, request, take, tracked};

#[tokio::test]
async fn a_held_response_hears_of_a_shutdown_that_begins_meanwhile() {
    let limit = Instant::now() + Duration::from_secs(3);
    for attempt in 0..2000 {
        if Instant::now() > limit {
            return;
        }
        once(attempt).await;
    }
}

async fn once(attempt: usize) {
    let handle = TrackerHandle::new();
    let layer = TaskTrackerLayer::new().tracked_by(&handle);
    // A long list: who walks over it has it locked for a while.
    let mut crowd = Vec::new();
    for _ in 0..5_000 {
        let slot = Slot::default();
        let out = slot.clone();
        let service = tracked(&layer, move || put(&out, current().token()));
        let mut response: Pin<Box<dyn Future<Output = _>>> = Box::pin(service.oneshot(request()));
        let polled = response
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        drop(response);
        crowd.push(take(&slot));
    }
    let stop = Arc::new(AtomicBool::new(false));
    let walker = thread::spawn({
        let (handle, stop) = (handle.clone(), stop.clone());
        move || {
            while !stop.load(Ordering::SeqCst) {
                let _ = handle.live_tasks();
            }
        }
    });
    let (hand_over, handed_over) = mpsc::channel::<tower_task_tracker::Tasks>();
    let spawner = thread::spawn(move || {
        let tasks = handed_over.recv().expect("it is handed over");
        let token = tasks.token();
        (tasks, token)
    });
    let service = layer.layer(service_fn(move |_: Request<()>| {
        let hand_over = hand_over.clone();
        async move {
            let tasks = current();
            hand_over.send(tasks.clone()).expect("somebody listens");
            while tasks.is_empty() {
                std::hint::spin_loop();
            }
            Ok::<_, Infallible>(full("done"))
        }
    }));
    let mut response: Pin<Box<dyn Future<Output = _>>> = Box::pin(service.oneshot(request()));
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(wakes.clone());
    let mut cx = Context::from_waker(&waker);
    for _ in 0..3 {
        assert!(response.as_mut().poll(&mut cx).is_pending());
    }
    wakes.take();
    handle.begin_shutdown(Duration::ZERO);
    let (tasks, token) = spawner.join().expect("no panic");
    stop.store(true, Ordering::SeqCst);
    walker.join().expect("no panic");
    let woken = wakes.take();
    let mut ready = false;
    for _ in 0..3 {
        if let Poll::Ready(answer) = response.as_mut().poll(&mut cx) {
            drop(answer);
            ready = true;
            break;
        }
    }
    drop((tasks, token, crowd));
    assert!(ready, "the shutdown is over, and ends the hold");
    assert!(
        woken > 0,
        "nobody told the response of the shutdown (attempt {attempt})"
    );
}
