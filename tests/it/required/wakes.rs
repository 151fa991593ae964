//! A head that is held for required tasks alone, while such tasks start and end on another thread.
//!
//! The models have the part of the request in this: `required_tasks_that_come_and_go_wake_a_wait_for_those_alone`. They
//! do not reach the steps of the head in `src/http/release.rs`, and no code of a user runs between these steps. So this
//! test needs threads.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

use http::{Request, Response};
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{TaskToken, TaskTrackerLayer, Tasks};

use crate::support::{Frames, Wakes, current, request};

/// Drops a required task, spawns and ends more of them, and then ends the others.
fn come_and_go(tasks: &Tasks, first: TaskToken, others: TaskToken) {
    drop(first);
    for _ in 0..300 {
        drop(tasks.named("required").required().token());
    }
    drop(others);
}

#[tokio::test]
async fn required_tasks_that_come_and_go_on_another_thread_wake_the_held_head() {
    let limit = Instant::now() + Duration::from_secs(1);
    while Instant::now() < limit {
        let over = Arc::new(AtomicBool::new(false));
        let is_over = over.clone();
        let service = TaskTrackerLayer::new().layer(service_fn(move |_: Request<()>| {
            let tasks = current();
            let others = tasks.token();
            let first = tasks.named("required").required().token();
            let is_over = is_over.clone();
            thread::spawn(move || {
                come_and_go(&tasks, first, others);
                drop(tasks);
                is_over.store(true, Ordering::SeqCst);
            });
            async { Ok::<_, Infallible>(Response::new(Frames::new(["a"]))) }
        }));
        let mut head: Pin<Box<dyn Future<Output = _>>> = Box::pin(service.oneshot(request()));
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(wakes.clone());
        while head
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
        {
            loop {
                // Read before the wake-ups, so that all of them have happened if it is true.
                let over = over.load(Ordering::SeqCst);
                if wakes.take() > 0 {
                    break;
                }
                assert!(!over, "all tasks have ended, and the head was not woken");
                thread::yield_now();
            }
        }
        while !over.load(Ordering::SeqCst) {
            thread::yield_now();
        }
    }
}
