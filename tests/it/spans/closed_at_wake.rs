//! Spans have closed before the response or the handle that waits is woken.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use http_body_util::BodyExt;
use tower::Service;
use tower_task_tracker::{TaskTrackerLayer, named, spawn};
use tracing::info_span;

use super::serve;
use crate::subscribers::closed::Closed;
use crate::support::{Slot, after, current, ms, put, request, take, timeless_runtime, tracked};

/// What has closed by the moment at which it wakes.
struct AtWake {
    closed: Closed,
    seen: Mutex<Vec<Vec<&'static str>>>,
}

impl AtWake {
    fn new(closed: &Closed) -> Arc<Self> {
        Arc::new(Self {
            closed: closed.clone(),
            seen: Mutex::default(),
        })
    }

    /// What had closed at each wake-up since the last call of `take`.
    fn take(&self) -> Vec<Vec<&'static str>> {
        std::mem::take(&mut *self.seen.lock().expect("no panic holds this lock"))
    }
}

impl Wake for AtWake {
    fn wake(self: Arc<Self>) {
        let closed = self.closed.all();
        self.seen
            .lock()
            .expect("no panic holds this lock")
            .push(closed);
    }
}

/// Polls a future that waits, lets time pass until it is woken, and returns what has closed by then.
async fn closed_at_wake(closed: &Closed, waits: impl Future) -> Vec<&'static str> {
    let at_wake = AtWake::new(closed);
    let waker = at_wake.clone().into();
    let mut waits = pin!(waits);
    // In its first turn a wait wakes itself.
    for _ in 0..2 {
        let polled = waits.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(
            matches!(polled, Poll::Pending),
            "there is something to wait for"
        );
    }
    at_wake.take();
    after(100).await;
    at_wake.take().first().expect("it was woken").clone()
}

#[tokio::test(start_paused = true)]
async fn when_the_last_task_lets_a_response_go_its_span_has_closed() {
    for required in [false, true] {
        let closed = Closed::default();
        let _watching = closed.watch();
        let service = tracked(&TaskTrackerLayer::new(), move || {
            if required {
                let task = named("store").required();
                task.spawn(async {
                    after(20).await;
                    Ok::<_, Infallible>(())
                });
            } else {
                named("audit").spawn(after(20));
            }
        });
        let at_wake = closed_at_wake(&closed, serve(service, request())).await;
        assert_eq!(at_wake, ["task"], "required: {required}");
    }
}

#[tokio::test(start_paused = true)]
async fn when_the_last_spawn_lets_a_response_go_the_tasks_span_has_closed() {
    let closed = Closed::default();
    let _watching = closed.watch();
    let kept = Slot::default();
    let keep = kept.clone();
    let service = tracked(&TaskTrackerLayer::new(), move || {
        put(&keep, (current(), current().token()));
    });
    let mut held = pin!(serve(service, request()));
    let at_wake = AtWake::new(&closed);
    let waker = at_wake.clone().into();
    for _ in 0..2 {
        let polled = held.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending(), "a token is alive");
    }
    at_wake.take();
    let (tasks, token) = take(&kept);
    let dead = timeless_runtime();
    let on = dead.handle().clone();
    dead.shutdown_background();
    // Its future is dropped inside of the spawn, and the token with it: the spawn itself is the last.
    drop(tasks.spawn_on(async move { drop(token) }, &on));
    assert_eq!(at_wake.take(), [["task", "task"]]);
}

#[tokio::test(start_paused = true)]
async fn when_the_handle_is_idle_all_spans_have_closed() {
    type Start = fn();
    let starts: [(&str, Start); 3] = [
        ("a straggler", || drop(named("slow").spawn(after(50)))),
        ("a detached task", || {
            drop(named("cache").detached().spawn(after(50)));
        }),
        ("one that panics", || {
            named("slow").spawn(async {
                after(50).await;
                std::panic::resume_unwind(Box::new("planned"));
            });
        }),
    ];
    for (what, start) in starts {
        let closed = Closed::default();
        let _watching = closed.watch();
        let layer = TaskTrackerLayer::new().drain_timeout(ms(10));
        let answer = serve(tracked(&layer, start), request())
            .await
            .expect("infallible");
        drop(answer.into_body().collect().await);
        let handle = layer.handle();
        let mut at_wake = closed_at_wake(&closed, handle.wait_idle()).await;
        at_wake.sort_unstable();
        assert_eq!(at_wake, ["request", "task"], "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn when_a_late_spawn_leaves_the_handle_idle_its_span_has_closed() {
    let closed = Closed::default();
    let _watching = closed.watch();
    let layer = TaskTrackerLayer::new();
    let kept = Slot::default();
    let keep = kept.clone();
    let service = tracked(&layer, move || put(&keep, current()));
    let answer = serve(service, request()).await.expect("infallible");
    drop(answer.into_body().collect().await);
    let tasks = take(&kept);
    let token = tasks.token();
    let handle = layer.handle();
    let mut idle = pin!(handle.wait_idle());
    let at_wake = AtWake::new(&closed);
    let waker = at_wake.clone().into();
    let polled = idle.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending(), "a token is alive");
    let dead = timeless_runtime();
    let on = dead.handle().clone();
    dead.shutdown_background();
    drop(tasks.spawn_on(async move { drop(token) }, &on));
    assert_eq!(at_wake.take(), [["request", "task", "task"]]);
}

/// Looks at what has closed when it is woken.
struct LooksAtWake(Closed, Slot<Vec<&'static str>>);

impl Wake for LooksAtWake {
    fn wake(self: Arc<Self>) {
        put(&self.1, self.0.all());
    }
}

#[tokio::test(start_paused = true)]
async fn the_span_of_a_response_that_was_waited_for_has_closed_by_then() {
    let closed = Closed::default();
    let _watching = closed.watch();
    let layer = TaskTrackerLayer::new();
    let handle = layer.handle();
    let mut service = tracked(&layer, || drop(spawn(after(20))));
    let answer = info_span!("request").in_scope(|| service.call(request()));
    let mut answer = Box::pin(answer);
    assert!(futures_util::poll!(&mut answer).is_pending());
    let at_wake = Arc::new(LooksAtWake(closed.clone(), Slot::default()));
    let mut idle = Box::pin(handle.wait_idle());
    let waker = Waker::from(at_wake.clone());
    let polled = idle.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    drop(answer.await);
    assert_eq!(take(&at_wake.1), ["task", "request"]);
}
