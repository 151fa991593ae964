//! When the span of a request closes: once the response is out and nothing is waited for, even if parts of the request
//! are kept.

use std::any::Any;
use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake};

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_task_tracker::{
    DrainSettings, Hold, Scope, TaskScopeLayer, TaskSpans, TaskTrackerLayer, Tasks, Unfinished,
    named,
};
use tracing::{Instrument, info_span};

use crate::subscribers::closed::Closed;
use crate::support::{
    Body, Frames, Slot, after, current, full, ms, put, request, take, timeless_runtime, tracked,
};

type Kept = Slot<Box<dyn Any + Send>>;

/// A way to keep something of a request.
type Keeper = (&'static str, fn(Tasks, &Kept));

const KEEPERS: [Keeper; 6] = [
    ("a `Tasks`", |tasks, kept| put(kept, Box::new(tasks))),
    ("a builder that spawns nothing", |tasks, kept| {
        put(kept, Box::new(tasks.named("never").required()));
    }),
    ("a scope that is not polled", |tasks, kept| {
        put(kept, Box::new(tasks.within(pending::<()>())));
    }),
    ("a scope that runs", |tasks, kept| {
        let socket = tokio::spawn(tasks.within(pending::<()>()));
        put(kept, Box::new(AbortOnDrop(socket)));
    }),
    ("a tokio-util tracker", |tasks, kept| {
        put(kept, Box::new(tasks.tracker().clone()));
    }),
    ("a `Tasks` in a task of its own", |tasks, kept| {
        let task = tokio::spawn(async move {
            pending::<()>().await;
            drop(tasks);
        });
        put(kept, Box::new(AbortOnDrop(task)));
    }),
];

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Serves a request in a span `request` that nothing but the layer keeps once this has ended.
async fn serve<S, R>(service: S, request: R) -> Result<S::Response, S::Error>
where
    S: Service<R>,
{
    service
        .oneshot(request)
        .instrument(info_span!("request"))
        .await
}

#[tokio::test(start_paused = true)]
async fn nothing_that_is_kept_of_a_request_keeps_its_span() {
    for (what, keep) in KEEPERS {
        for spawns in [false, true] {
            let (closed, kept) = (Closed::default(), Kept::default());
            let _watching = closed.watch();
            let to_keep = kept.clone();
            let service = tracked(&TaskTrackerLayer::new(), move || {
                keep(current(), &to_keep);
                if spawns {
                    named("audit").spawn(after(20));
                }
            });
            let answer = serve(service, request()).await.expect("infallible");
            drop(answer.into_body().collect().await);
            assert_eq!(closed.count("request"), 1, "{what}, with tasks: {spawns}");
            drop(kept);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nor_does_it_where_no_response_is_waited_for() {
    for (what, keep) in KEEPERS {
        let (closed, kept) = (Closed::default(), Kept::default());
        let _watching = closed.watch();
        let to_keep = kept.clone();
        let layer = TaskScopeLayer::new();
        let service = layer.layer(service_fn(move |(): ()| {
            keep(current(), &to_keep);
            async { Ok::<_, Infallible>(()) }
        }));
        let _ = serve(service, ()).await;
        assert_eq!(closed.count("request"), 1, "a service: {what}");

        let to_keep = kept.clone();
        let function = Scope::new().run(move |tasks| {
            keep(tasks, &to_keep);
            async {}
        });
        function.instrument(info_span!("function")).await;
        assert_eq!(closed.count("function"), 1, "a function: {what}");
    }
}

#[tokio::test(start_paused = true)]
async fn nor_does_it_in_an_exchange_that_goes_on_as_a_stream() {
    for (what, keep) in KEEPERS {
        let (closed, kept) = (Closed::default(), Kept::default());
        let _watching = closed.watch();
        let to_keep = kept.clone();
        let service = TaskTrackerLayer::new().layer(service_fn(move |_: Request<()>| {
            keep(current(), &to_keep);
            let mut response = full("");
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            async { Ok::<_, Infallible>(response) }
        }));
        let answer = serve(service, request()).await;
        assert_eq!(closed.count("request"), 1, "{what}");
        drop((answer, kept));
    }
}

#[tokio::test(start_paused = true)]
async fn nor_does_it_when_the_service_fails() {
    for (what, keep) in KEEPERS {
        let (closed, kept) = (Closed::default(), Kept::default());
        let _watching = closed.watch();
        let to_keep = kept.clone();
        let service = TaskTrackerLayer::new().layer(service_fn(move |_: Request<()>| {
            keep(current(), &to_keep);
            async { Err::<Response<Body>, _>("no") }
        }));
        assert!(serve(service, request()).await.is_err());
        assert_eq!(closed.count("request"), 1, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn nor_does_a_future_that_has_answered() {
    for keeps in [false, true] {
        let (closed, kept) = (Closed::default(), Kept::default());
        let _watching = closed.watch();
        let to_keep = kept.clone();
        let mut service = TaskTrackerLayer::new().layer(service_fn(move |_: Request<()>| {
            if keeps {
                put(&to_keep, Box::new(current()));
            }
            async { Err::<Response<Body>, _>("no") }
        }));
        let answered = info_span!("request").in_scope(|| service.call(request()));
        let mut answered = Box::pin(answered);
        assert!((&mut answered).await.is_err());
        assert_eq!(closed.count("request"), 1, "with a kept `Tasks`: {keeps}");
    }
}

#[tokio::test(start_paused = true)]
async fn while_a_head_is_held_the_span_is_open() {
    let (closed, kept) = (Closed::default(), Kept::default());
    let _watching = closed.watch();
    let to_keep = kept.clone();
    let service = tracked(&TaskTrackerLayer::new(), move || {
        put(&to_keep, Box::new(current()));
        // In a span of no parent: it is the response that keeps the request's.
        let task = info_span!(parent: None, "elsewhere");
        let _entered = task.enter();
        named("audit").spawn(after(20));
    });
    let mut held = pin!(serve(service, request()));
    assert!(futures_util::poll!(&mut held).is_pending());
    after(19).await;
    assert!(futures_util::poll!(&mut held).is_pending());
    assert_eq!(closed.count("request"), 0, "the head is held");
    let answer = held.await;
    assert_eq!(closed.count("request"), 1);
    drop(answer);
}

#[tokio::test(start_paused = true)]
async fn until_the_end_of_a_body_the_span_is_open() {
    for spawns in [false, true] {
        let (closed, kept) = (Closed::default(), Kept::default());
        let _watching = closed.watch();
        let to_keep = kept.clone();
        let service = TaskTrackerLayer::new().layer(service_fn(move |_: Request<()>| {
            put(&to_keep, Box::new(current()));
            if spawns {
                named("audit").spawn(after(20));
            }
            async { Ok::<_, Infallible>(Response::new(Frames::new(["a", "b"]))) }
        }));
        let answer = serve(service, request()).await.expect("infallible");
        let mut body = answer.into_body();
        for _ in 0..2 {
            assert!(body.frame().await.is_some());
            assert_eq!(closed.count("request"), 0, "the body streams");
        }
        assert!(body.frame().await.is_none());
        assert_eq!(closed.count("request"), 1, "with tasks: {spawns}");
    }
}

#[tokio::test(start_paused = true)]
async fn when_the_client_leaves_the_span_closes() {
    for (policy, open_for) in [
        (Unfinished::Continue, 0),
        (Unfinished::Cancel { grace: ms(50) }, 30),
    ] {
        let (closed, kept) = (Closed::default(), Kept::default());
        let _watching = closed.watch();
        let to_keep = kept.clone();
        let layer = TaskTrackerLayer::new().at_disconnect(policy);
        let service = tracked(&layer, move || {
            put(&to_keep, Box::new(current()));
            let task = info_span!(parent: None, "elsewhere");
            let _entered = task.enter();
            named("audit").spawn(after(40));
        });
        let left = tokio::time::timeout(ms(10), serve(service, request())).await;
        assert!(left.is_err(), "it was held");
        if open_for > 0 {
            assert_eq!(closed.count("request"), 0, "its tasks have time to stop");
            after(open_for).await;
            tokio::task::yield_now().await;
        }
        assert_eq!(closed.count("request"), 1, "{policy:?}");
        layer.handle().wait_idle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn under_never_the_span_is_open_until_the_tasks_are_done() {
    let (closed, kept) = (Closed::default(), Kept::default());
    let _watching = closed.watch();
    let to_keep = kept.clone();
    let layer = TaskTrackerLayer::new().hold(Hold::Never);
    let service = tracked(&layer, move || {
        put(&to_keep, Box::new(current()));
        let task = info_span!(parent: None, "elsewhere");
        let _entered = task.enter();
        named("audit").spawn(after(20));
    });
    let answer = serve(service, request()).await.expect("infallible");
    drop(answer.into_body().collect().await);
    assert_eq!(closed.count("request"), 0, "a task is waited for");
    layer.handle().wait_idle().await;
    assert_eq!(closed.count("request"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_straggler_in_a_span_under_the_requests_keeps_that_open() {
    let closed = Closed::default();
    let _watching = closed.watch();
    let layer = TaskTrackerLayer::new().drain_timeout(ms(10));
    let service = tracked(&layer, || drop(named("slow").spawn(after(50))));
    let answer = serve(service, request()).await.expect("infallible");
    drop(answer.into_body().collect().await);
    assert_eq!(
        closed.count("request"),
        0,
        "a parent closes after its children"
    );
    layer.handle().wait_idle().await;
    assert_eq!(closed.all(), ["task", "request"]);
}

#[tokio::test(start_paused = true)]
async fn a_straggler_keeps_it_open_unless_its_span_is_linked() {
    for (spans, closed_at_release) in [
        (TaskSpans::Child, 0),
        (TaskSpans::Linked, 1),
        (TaskSpans::Inherit, 0),
    ] {
        let closed = Closed::default();
        let _watching = closed.watch();
        let settings = DrainSettings::new().drain_timeout(ms(10)).task_spans(spans);
        let layer = TaskTrackerLayer::new().settings(settings);
        let service = tracked(&layer, || drop(named("slow").spawn(after(50))));
        let answer = serve(service, request()).await.expect("infallible");
        drop(answer.into_body().collect().await);
        assert_eq!(closed.count("request"), closed_at_release, "{spans:?}");
        layer.handle().wait_idle().await;
        assert_eq!(closed.count("request"), 1, "{spans:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_detached_task_does_not_keep_it_open_whatever_the_spans_of_tasks_are() {
    for spans in [TaskSpans::Child, TaskSpans::Linked, TaskSpans::Inherit] {
        let closed = Closed::default();
        let _watching = closed.watch();
        let layer = TaskTrackerLayer::new().settings(DrainSettings::new().task_spans(spans));
        let service = tracked(&layer, || drop(named("cache").detached().spawn(after(50))));
        let answer = serve(service, request()).await.expect("infallible");
        drop(answer.into_body().collect().await);
        assert_eq!(closed.count("request"), 1, "{spans:?}");
        layer.handle().wait_idle().await;
        assert_eq!(closed.count("request"), 1);
    }
}

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

    /// At each moment since this was asked last.
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

/// Polls a future that waits, lets time pass until it is woken, and says what has closed by then.
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
