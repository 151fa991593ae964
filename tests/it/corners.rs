//! Corners in which something was lost once, or could hang.

use std::any::Any;
use std::convert::Infallible;
use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use tokio::time::Instant;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_task_tracker::{
    DrainReport, Hold, OnDrain, TaskInfo, TaskTrackerLayer, Tasks, scope, spawn,
};

use crate::support::{Frames, Log, after, full, ms, request, tracked};

/// Hands something out of a handler.
type Slot<T> = Arc<Mutex<Option<T>>>;

fn put<T>(slot: &Slot<T>, value: T) {
    *slot.lock().expect("unpoisoned") = Some(value);
}

fn take<T>(slot: &Slot<T>) -> T {
    let value = slot.lock().expect("unpoisoned").take();
    value.expect("it was put there")
}

fn current() -> Tasks {
    Tasks::current().expect("in a request")
}

/// A stream of unknown length.
fn stream() -> UnsyncBoxBody<Bytes, Infallible> {
    let frames = ["a", "b"].map(|part| Ok(Frame::data(Bytes::from(part))));
    StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync()
}

#[tokio::test(start_paused = true)]
async fn tasks_of_a_tokio_util_tracker_hold_the_end_of_a_body() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().on_drain(log.clone());
    let service = layer.layer(service_fn(|_: Request<()>| async {
        current().tracker().spawn(after(90));
        Ok::<_, Infallible>(Response::new(stream()))
    }));
    let start = Instant::now();
    let response = service.oneshot(request()).await.expect("infallible");
    assert_eq!(start.elapsed(), ms(0), "a stream passes");
    drop(response.into_body().collect().await);
    assert_eq!(start.elapsed(), ms(90));
    assert_eq!(log.report().completed, 1);

    let layer = TaskTrackerLayer::new().hold(Hold::End);
    let service = tracked(&layer, || {
        current().tracker().spawn(after(90));
    });
    let response = service.oneshot(request()).await.expect("infallible");
    let start = Instant::now();
    drop(response.into_body().collect().await);
    assert_eq!(start.elapsed(), ms(90));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_moved_while_only_a_tokio_util_tracker_is_waited_for_is_noticed() {
    let tasks = Slot::default();
    let handed_out = tasks.clone();
    let service = tracked(&TaskTrackerLayer::new(), move || {
        current().tracker().spawn(after(20_000));
        put(&handed_out, current());
    });
    let start = Instant::now();
    tokio::spawn(async move {
        after(100).await;
        take(&tasks).set_drain_timeout(ms(200));
    });
    drop(service.oneshot(request()).await);
    assert_eq!(start.elapsed(), ms(200));
}

#[tokio::test(start_paused = true)]
async fn what_a_callback_spawns_belongs_to_no_request() {
    #[derive(Clone, Default)]
    struct SendsMetrics(Arc<AtomicUsize>);
    impl SendsMetrics {
        fn send(&self) {
            let sent = self.0.fetch_add(1, Ordering::SeqCst);
            assert!(sent < 100, "each callback makes the next one");
            spawn(async {});
        }
    }
    impl OnDrain for SendsMetrics {
        fn on_drain(&self, _: &DrainReport) {
            self.send();
        }
        fn on_late_spawn(&self, _: &TaskInfo) {
            self.send();
        }
        fn on_detached_end(&self, _: &TaskInfo) {
            self.send();
        }
    }
    let metrics = SendsMetrics::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(10))
        .on_drain(metrics.clone());
    let service = tracked(&layer, || {
        spawn(async {
            after(50).await;
            spawn(async {});
        });
    });
    drop(service.oneshot(request()).await);
    layer.handle().wait_idle().await;
    assert_eq!(
        metrics.0.load(Ordering::SeqCst),
        4,
        "a report, a late spawn, two ends"
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_while_a_panic_is_logged_leaves_nothing_behind() {
    type Hook = Slot<Box<dyn FnOnce() + Send>>;
    /// Runs the hook in the middle of an error's log call, which may take as long as it likes.
    struct SlowLog(Hook);
    impl tracing::Subscriber for SlowLog {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }
        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
        fn event(&self, event: &tracing::Event<'_>) {
            if *event.metadata().level() == tracing::Level::ERROR {
                let hook = self.0.lock().expect("unpoisoned").take();
                if let Some(hook) = hook {
                    hook();
                }
            }
        }
        fn enter(&self, _: &tracing::span::Id) {}
        fn exit(&self, _: &tracing::span::Id) {}
    }
    let hook = Hook::default();
    let _guard = tracing::subscriber::set_default(SlowLog(hook.clone()));
    let log = Log::default();
    let layer = TaskTrackerLayer::new().on_drain(log.clone());
    let kept = Slot::default();
    let keep = kept.clone();
    let service = tracked(&layer, move || {
        put(&keep, current());
        spawn(async {
            after(10).await;
            panic!("boom");
        });
    });
    let mut held = Box::pin(service.oneshot(request()));
    assert!(futures_util::poll!(&mut held).is_pending());
    put(
        &hook,
        Box::new(move || {
            let client = std::thread::spawn(move || drop(held));
            client.join().expect("no panic");
        }),
    );
    after(20).await;
    assert_eq!(log.report().panicked, 1);
    assert!(take(&kept).is_released());
    assert_eq!(
        (layer.handle().live_tasks(), layer.handle().live_requests()),
        (0, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_spawn_that_panics_is_counted_as_aborted() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().on_drain(log.clone());
    let service = tracked(&layer, || {
        // There is no `LocalSet`.
        let spawned = catch_unwind(AssertUnwindSafe(|| drop(current().spawn_local(async {}))));
        assert!(spawned.is_err());
        spawn(after(10));
    });
    let start = Instant::now();
    drop(service.oneshot(request()).await);
    assert_eq!(start.elapsed(), ms(10), "nothing is left to wait for");
    assert_eq!((log.report().aborted, log.report().completed), (1, 1));
}

#[test]
fn a_waker_that_owns_a_task_of_the_request_can_be_dropped() {
    struct Owns(Mutex<Option<Box<dyn Any + Send>>>);
    impl Wake for Owns {
        fn wake(self: Arc<Self>) {}
    }
    let (done, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
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

#[tokio::test(start_paused = true)]
async fn a_request_in_the_context_of_a_released_one_is_held_by_itself() {
    let kept = Slot::default();
    let keep = kept.clone();
    let outer = TaskTrackerLayer::new();
    let service = tracked(&outer, move || {
        put(&keep, current());
        spawn(async {});
    });
    drop(service.oneshot(request()).await);
    let tasks = take(&kept);
    assert!(tasks.is_released());

    // As over an upgraded connection.
    let inner = tracked(&TaskTrackerLayer::new(), || {
        spawn(after(30));
    });
    let start = Instant::now();
    let mut with_extension = request();
    with_extension.extensions_mut().insert(tasks.clone());
    drop(tasks.scope(inner.oneshot(with_extension)).await);
    assert_eq!(start.elapsed(), ms(30));
}

#[tokio::test(start_paused = true)]
async fn a_body_whose_hint_never_changes_is_told_of_as_it_told() {
    let service = TaskTrackerLayer::new().layer(service_fn(|_: Request<()>| async {
        spawn(after(5));
        let body = Frames::new(["abc"]).always_hints(3);
        Ok::<_, Infallible>(Response::new(body))
    }));
    let response = service.oneshot(request()).await.expect("infallible");
    assert_eq!(response.body().size_hint().exact(), Some(3));
    let body = response.into_body().collect().await.expect("no error");
    assert_eq!(body.to_bytes(), "abc");
}

#[tokio::test(start_paused = true)]
async fn tasks_that_outlive_a_scope_inside_of_a_request_are_seen_by_its_handle() {
    let layer = TaskTrackerLayer::new();
    let service = layer.layer(service_fn(|_: Request<()>| async {
        let library = scope(|tasks| async move {
            tasks.spawn(after(50));
        });
        let cut_short = tokio::time::timeout(ms(10), library).await;
        assert!(cut_short.is_err());
        Ok::<_, Infallible>(full("x"))
    }));
    drop(service.oneshot(request()).await);
    assert_eq!(layer.handle().live_tasks(), 1);
    let start = Instant::now();
    layer.handle().wait_idle().await;
    assert_eq!(start.elapsed(), ms(40));
}

#[tokio::test(start_paused = true)]
async fn the_handle_is_idle_only_after_everybody_was_told() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .hold(Hold::Head)
        .drain_timeout(ms(10))
        .on_drain(log.clone());
    let service = layer.layer(service_fn(|_: Request<()>| async {
        spawn(after(50));
        Ok::<_, Infallible>(Response::new(stream()))
    }));
    let response = service.oneshot(request()).await.expect("infallible");
    after(100).await;
    assert_eq!(layer.handle().live_tasks(), 0);
    assert_eq!(
        layer.handle().live_requests(),
        1,
        "the response has not ended"
    );
    assert!(log.reports().is_empty());
    drop(response.into_body().collect().await);
    assert_eq!(log.report().stragglers.len(), 1);
    assert_eq!(layer.handle().live_requests(), 0);
}

#[tokio::test(start_paused = true)]
async fn endless_trouble_does_not_fill_the_memory() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().on_drain(log.clone());
    let service = tracked(&layer, || {
        spawn(async {
            for _ in 0..10_000 {
                spawn(pending::<()>()).abort();
                tokio::task::yield_now().await;
            }
        });
    });
    drop(service.oneshot(request()).await);
    let report = log.reports().remove(0);
    assert_eq!((report.spawned, report.aborted), (10_001, 10_000));
    assert_eq!(report.troubled.len(), 1024);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_panics_spoils_nothing() {
    struct Panics;
    impl tracing::Subscriber for Panics {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }
        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
        fn event(&self, event: &tracing::Event<'_>) {
            assert_ne!(event.metadata().target(), "tower_task_tracker");
        }
        fn enter(&self, _: &tracing::span::Id) {}
        fn exit(&self, _: &tracing::span::Id) {}
    }
    let _guard = tracing::subscriber::set_default(Panics);
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(10))
        .on_drain(log.clone());
    let service = tracked(&layer, || {
        spawn(async { panic!("boom") });
        spawn(async {
            after(20).await;
            spawn(async {});
        });
    });
    let response = service.oneshot(request()).await.expect("infallible");
    let body = response.into_body().collect().await.expect("a whole body");
    assert_eq!(body.to_bytes(), "done");
    layer.handle().wait_idle().await;
    assert_eq!((log.report().panicked, log.late_spawns().len()), (1, 1));
    assert_eq!(log.detached_ends().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_somebody_had_for_longer_leaves_nothing_to_the_next_one() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new().on_drain(log.clone());
    let mut service = layer.layer(service_fn(|request: Request<()>| async move {
        if request.uri().path() == "/first" {
            return Err(current());
        }
        spawn(after(50));
        Ok(full("done"))
    }));
    let mut first = request();
    *first.uri_mut() = "/first".parse().expect("a path");
    let mut first = Box::pin(service.call(first));
    // The error has its tasks, and the future has what owns them.
    let error = first.as_mut().await.expect_err("it is one");
    drop(error);
    drop(first);
    let start = Instant::now();
    let second = service.call(request()).await.expect("it is none");
    assert_eq!(start.elapsed(), ms(50), "it was released before it began");
    drop(second.into_body().collect().await);
    assert_eq!(log.report().completed, 1);
    assert_eq!(log.late_spawns(), []);
}

#[tokio::test(start_paused = true)]
async fn a_thread_keeps_nothing_of_the_users_when_the_service_is_gone() {
    let channel = Arc::new(());
    let (told, awaited) = (channel.clone(), channel.clone());
    for layer in [
        TaskTrackerLayer::new().on_drain(move |_: &DrainReport| drop(told.clone())),
        TaskTrackerLayer::new().before_release(move |_| {
            drop(awaited.clone());
            std::future::ready(())
        }),
    ] {
        let idle = tracked(&layer, || {});
        drop(idle.oneshot(request()).await);
        let busy = tracked(&layer, || drop(spawn(after(10))));
        drop(busy.oneshot(request()).await);
    }
    assert_eq!(Arc::strong_count(&channel), 1);
}

#[tokio::test(start_paused = true)]
async fn requests_of_several_layers_in_turns_keep_their_own_settings() {
    let (log, other_log) = (Log::default(), Log::default());
    let layer = TaskTrackerLayer::new;
    let slow: fn() = || drop(spawn(after(50)));
    let unheard = tracked(&layer().drain_timeout(ms(20)), slow);
    let heard = tracked(&layer().drain_timeout(ms(30)).on_drain(log.clone()), slow);
    let idle = tracked(&layer().on_drain(other_log.clone()), (|| {}) as fn());
    // What this one leaves behind is what the next one is served with.
    let plain = tracked(&layer(), (|| {}) as fn());
    for (service, waits) in [(&unheard, 20), (&heard, 30), (&idle, 0)].repeat(2) {
        drop(plain.clone().oneshot(request()).await);
        let start = Instant::now();
        drop(service.clone().oneshot(request()).await);
        assert_eq!(start.elapsed(), ms(waits));
    }
    assert_eq!(log.reports().len(), 2);
    assert_eq!(other_log.reports().len(), 0);
}

/// What a waker does that polls at once.
struct Polls(Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>);

impl Wake for Polls {
    fn wake(self: Arc<Self>) {
        let waker = Waker::noop();
        let mut response = self.0.lock().expect("unpoisoned");
        if let Some(polled) = response.as_mut() {
            if polled
                .as_mut()
                .poll(&mut Context::from_waker(waker))
                .is_ready()
            {
                *response = None;
            }
        }
    }
}

/// Its report is made, and it wants to leave, while its last spawner is still about to tell of an end.
#[test]
fn a_request_that_ends_with_the_listing_of_its_last_task_leaves_the_handle() {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let dead = runtime.expect("a runtime").handle().clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let runtime = runtime.expect("a runtime");
    let _entered = runtime.enter();
    let (log, slot) = (Log::default(), Slot::default());
    let layer = TaskTrackerLayer::new().on_drain(log.clone());
    let out = slot.clone();
    let service = tracked(&layer, move || put(&out, (current(), current().token())));
    let response = service.oneshot(request());
    let polls = Arc::new(Polls(Mutex::new(Some(Box::pin(async {
        drop(response.await);
    })))));
    let waker = Waker::from(polls.clone());
    for _ in 0..2 {
        let mut response = polls.0.lock().expect("unpoisoned").take().expect("pending");
        assert!(
            response
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        *polls.0.lock().expect("unpoisoned") = Some(response);
    }
    let (tasks, token) = take(&slot);
    // Dropped inside of the spawn, so that the spawner alone is left when the task is listed.
    drop(tasks.spawn_on(async move { drop(token) }, &dead));
    assert_eq!(log.report().aborted, 1);
    assert_eq!(layer.handle().live_requests(), 0);
}
