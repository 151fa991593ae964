//! Only the end of the last task wakes a held response. A released request drops the waker of its wait, so that a
//! kept `Tasks` does not keep the server's task alive.

use std::any::Any;
use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Request, Response};
use http_body::{Body as _, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_task_tracker::{Hold, TaskTrackerLayer, Unfinished, spawn};

use crate::support::{Slot, Wakes, after, current, ms, put, request, runtime, take, tracked};

/// How a hold ends while a waker is kept for it.
struct Way {
    what: &'static str,
    layer: fn() -> TaskTrackerLayer,
    /// How many milliseconds the task takes.
    takes: u64,
    leaves: bool,
}

/// With a hook the last waker is kept for its limits, and no task takes it.
fn with_hook(millis: u64) -> TaskTrackerLayer {
    TaskTrackerLayer::new().before_release(move |_| after(millis))
}

const WAYS: &[Way] = &[
    Way {
        what: "a hook is through, and the report is read",
        layer: || with_hook(20).on_drain(|_| {}),
        takes: 10,
        leaves: false,
    },
    Way {
        what: "a hook is through, and nothing reads the report",
        layer: || with_hook(20),
        takes: 10,
        leaves: false,
    },
    Way {
        what: "a hook is through after tasks that were aborted",
        layer: || {
            let layer = with_hook(5).drain_timeout(ms(100));
            layer.at_deadline(Unfinished::Abort)
        },
        takes: 600,
        leaves: false,
    },
    Way {
        what: "the deadline has passed",
        layer: || TaskTrackerLayer::new().drain_timeout(ms(100)),
        takes: 600,
        leaves: false,
    },
    Way {
        what: "the client has left",
        layer: TaskTrackerLayer::new,
        takes: 600,
        leaves: true,
    },
];

/// Polls so often, a millisecond apart, and returns whether the future was ready.
async fn is_ready<F: Future>(future: &mut Pin<Box<F>>, polls: usize, wakes: &Arc<Wakes>) -> bool {
    for _ in 0..polls {
        let waker = Waker::from(wakes.clone());
        let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        if polled.is_ready() {
            return true;
        }
        after(1).await;
    }
    false
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_released_keeps_no_waker() {
    for way in WAYS {
        let Way {
            what,
            layer,
            takes,
            leaves,
        } = *way;
        let layer = layer();
        let kept = Slot::default();
        let keep = kept.clone();
        let mut service = tracked(&layer, move || {
            put(&keep, current());
            spawn(after(takes));
        });
        let wakes = Arc::new(Wakes::default());
        let mut answer = Box::pin(service.call(request()));
        assert!(!is_ready(&mut answer, 5, &wakes).await, "{what}: held");
        assert!(Arc::strong_count(&wakes) > 1, "{what}: a waker is kept");
        if !leaves {
            assert!(is_ready(&mut answer, 200, &wakes).await, "{what}");
        }
        drop(answer);
        assert_eq!(Arc::strong_count(&wakes), 1, "{what}: none is kept");
        wakes.take();
        layer.handle().wait_idle().await;
        assert_eq!(wakes.take(), 0, "{what}: nothing wakes the server");
        drop(kept);
    }
}

/// A body that gives one frame, then spawns a task of 30 ms, and gives no more.
fn stalled() -> UnsyncBoxBody<Bytes, Infallible> {
    let first = stream::iter([Ok(Frame::data(Bytes::from("a")))]);
    let rest = stream::once(async {
        spawn(after(30));
        pending().await
    });
    StreamBody::new(first.chain(rest)).boxed_unsync()
}

#[tokio::test(start_paused = true)]
async fn a_window_that_closes_gives_its_waker_back() {
    let layer = with_hook(5).hold(Hold::Head);
    let mut service = layer.layer(service_fn(|_: Request<()>| async {
        spawn(after(5));
        Ok::<_, Infallible>(Response::new(stalled()))
    }));
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(wakes.clone());
    let mut cx = Context::from_waker(&waker);
    let mut answer = Box::pin(service.call(request()));
    let response = loop {
        if let Poll::Ready(response) = answer.as_mut().poll(&mut cx) {
            break response.expect("infallible");
        }
        after(1).await;
    };
    drop(answer);
    assert_eq!(Arc::strong_count(&wakes), 2, "none is kept but this one");
    let mut body = pin!(response.into_body());
    assert!(body.as_mut().poll_frame(&mut cx).is_ready());
    assert!(body.as_mut().poll_frame(&mut cx).is_pending());
    wakes.take();
    after(100).await;
    assert_eq!(
        wakes.take(),
        0,
        "the task's end changes nothing for a stream"
    );
}

#[tokio::test(start_paused = true)]
async fn while_a_hook_runs_the_end_of_a_task_wakes_nothing() {
    let layer = TaskTrackerLayer::new().before_release(|_| {
        spawn(after(20));
        after(100)
    });
    let mut service = tracked(&layer, || {});
    let wakes = Arc::new(Wakes::default());
    let mut answer = Box::pin(service.call(request()));
    assert!(!is_ready(&mut answer, 5, &wakes).await, "the hook runs");
    wakes.take();
    after(50).await;
    assert_eq!(wakes.take(), 0, "the task has ended, the hook has not");
    after(50).await;
    assert_eq!(wakes.take(), 1, "the hook is through");
    assert!(is_ready(&mut answer, 1, &wakes).await);
}

#[tokio::test(start_paused = true)]
async fn a_held_response_is_woken_by_the_last_end_alone() {
    let (end_first, first) = tokio::sync::oneshot::channel::<()>();
    let (end_last, last) = tokio::sync::oneshot::channel::<()>();
    let ends = Slot::default();
    put(&ends, [first, last]);
    let layer = TaskTrackerLayer::new().drain_timeout(None);
    let mut service = tracked(&layer, move || {
        for end in take(&ends) {
            spawn(async { drop(end.await) });
        }
    });
    let mut future = tokio_test::task::spawn(service.call(request()));
    assert!(future.poll().is_pending());
    assert!(future.is_woken(), "the first poll asks for one turn");
    tokio::task::yield_now().await;
    assert!(future.poll().is_pending());
    assert!(!future.is_woken());
    tokio::task::yield_now().await;
    assert!(!future.is_woken(), "nothing has happened");
    end_first.send(()).expect("the task waits");
    tokio::task::yield_now().await;
    assert_eq!(layer.handle().live_tasks(), 1, "one has ended");
    assert!(!future.is_woken(), "another one is alive");
    end_last.send(()).expect("the task waits");
    tokio::task::yield_now().await;
    assert!(future.is_woken(), "the end of the last task wakes it");
    assert!(future.poll().is_ready());
}

#[test]
fn a_waker_that_owns_a_task_of_the_request_can_be_dropped() {
    struct Owns(Mutex<Option<Box<dyn Any + Send>>>);
    impl Wake for Owns {
        fn wake(self: Arc<Self>) {}
    }
    let (done, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = runtime();
        let _entered = runtime.enter();
        let token = Slot::default();
        let handed_out = token.clone();
        let service = tracked(&TaskTrackerLayer::new(), move || {
            put(&handed_out, current().token());
        });
        let mut held = Box::pin(service.oneshot(request()));
        let owner = Arc::new(Owns(Mutex::new(None)));
        let waker = Waker::from(owner.clone());
        let polled = held.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        *owner.0.lock().expect("unpoisoned") = Some(Box::new(take(&token)));
        // The waker that is stored is the last owner now, and the next poll replaces it.
        drop((waker, owner));
        let polled = held.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        drop(polled);
        done.send(()).expect("the test waits");
    });
    let limit = Duration::from_secs(10);
    wait.recv_timeout(limit)
        .expect("it was dropped under a lock");
}
