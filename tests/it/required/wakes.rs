//! A head that is held for required tasks alone, while such tasks start and end on another thread.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{Hold, TaskTrackerLayer};

use crate::support::{Wakes, current, request};

#[tokio::test]
async fn a_head_hears_of_the_end_of_tasks_that_come_and_go_elsewhere() {
    come_and_go_elsewhere(Hold::Auto).await;
}

#[tokio::test]
async fn a_response_that_waits_for_required_tasks_alone_is_woken_by_their_end_too() {
    come_and_go_elsewhere(Hold::Required).await;
}

async fn come_and_go_elsewhere(hold: Hold) {
    let limit = Instant::now() + Duration::from_secs(3);
    for attempt in 0..20_000 {
        if Instant::now() > limit {
            return;
        }
        let done = Arc::new(AtomicBool::new(false));
        let over = done.clone();
        let service = TaskTrackerLayer::new()
            .hold(hold)
            .layer(service_fn(move |_: Request<()>| {
                let tasks = current();
                let kept = tasks.token();
                let first = tasks.named("required").required().token();
                let over = over.clone();
                thread::spawn(move || {
                    drop(first);
                    for _ in 0..300 {
                        drop(tasks.named("required").required().token());
                    }
                    drop(kept);
                    drop(tasks);
                    over.store(true, Ordering::SeqCst);
                });
                async {
                    let frames = [Ok::<_, Infallible>(Frame::data(Bytes::from("a")))];
                    let body = StreamBody::new(futures_util::stream::iter(frames));
                    Ok::<_, Infallible>(Response::new(body))
                }
            }));
        let mut response: Pin<Box<dyn Future<Output = _>>> = Box::pin(service.oneshot(request()));
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(wakes.clone());
        let mut cx = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(answer) = response.as_mut().poll(&mut cx) {
                drop(answer);
                break;
            }
            // Everything is over: who waits has been woken by now, or never is.
            loop {
                let over = done.load(Ordering::SeqCst);
                if wakes.take() > 0 {
                    break;
                }
                if over {
                    let polled = response.as_mut().poll(&mut cx).is_ready();
                    panic!("nobody woke it in attempt {attempt}; asked again, ready: {polled}");
                }
                thread::yield_now();
            }
        }
        while !done.load(Ordering::SeqCst) {
            thread::yield_now();
        }
    }
}
