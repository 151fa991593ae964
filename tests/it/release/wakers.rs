//! A released request drops the waker of its wait. So a kept `Tasks` does not keep the server's task alive, and a task
//! that runs on does not wake the server's task.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use tower::{Layer, Service, service_fn};
use tower_task_tracker::{Hold, TaskTrackerLayer, Unfinished, spawn};

use crate::support::{Slot, Wakes, after, current, ms, put, request, tracked};

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
