//! Subscribers whose spans or events panic or take long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_task_tracker::{TaskTrackerLayer, spawn};
use tracing::Level;
use tracing::span::{Attributes, Id, Record};

use crate::subscribers::lines::subscribe;
use crate::support::{Log, Slot, after, current, held, ms, observed, put, request, take, tracked};

struct NoSpans;

impl tracing::Subscriber for NoSpans {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        panic!("no span can be made")
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &tracing::Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test(start_paused = true)]
async fn a_task_whose_span_cannot_be_made_runs_and_is_waited_for() {
    let _guard = subscribe(NoSpans, Level::TRACE);
    let (log, layer) = observed();
    let spawns = || {
        spawn(after(20));
    };
    assert_eq!(held(&layer, spawns).await, ms(20));
    assert_eq!(log.report().completed, 1);
    layer.handle().wait_idle().await;
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
    let _guard = subscribe(SlowLog(hook.clone()), Level::TRACE);
    let (log, layer) = observed();
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
async fn a_subscriber_that_panics_at_events_changes_nothing() {
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
    let _guard = subscribe(Panics, Level::TRACE);
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(10))
        .observer(log.clone());
    let service = tracked(&layer, || {
        spawn(async { panic!("boom") });
        spawn(after(30));
        let tasks = current();
        tokio::spawn(async move {
            after(20).await;
            tasks.spawn(async {});
        });
    });
    let response = service.oneshot(request()).await.expect("infallible");
    let body = response.into_body().collect().await.expect("a whole body");
    assert_eq!(body.to_bytes(), "done");
    layer.handle().wait_idle().await;
    assert_eq!((log.report().panicked, log.late_spawns().len()), (1, 1));
    assert_eq!(log.late_ends().len(), 2);
}

/// A subscriber that panics must not take anything down: here it hangs the thread.
#[tokio::test(start_paused = true)]
async fn a_subscriber_that_panics_on_enter_does_not_spin() {
    use tracing_subscriber::layer::SubscriberExt;
    struct Panics(Arc<AtomicUsize>, Arc<AtomicUsize>);
    impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Panics {
        fn on_enter(&self, _: &tracing::Id, _: tracing_subscriber::layer::Context<'_, S>) {
            // Only so often, so that the test ends.
            if self.1.load(Ordering::SeqCst) == 1 && self.0.fetch_add(1, Ordering::SeqCst) < 1000 {
                std::panic::resume_unwind(Box::new("planned"));
            }
        }
    }
    let (entered, armed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let layer = Panics(entered.clone(), armed.clone());
    let _guard = subscribe(tracing_subscriber::registry().with(layer), Level::TRACE);
    let layer = TaskTrackerLayer::new().before_release(|_| async {});
    let service = tracked(&layer, || {});
    let answer = {
        let span = tracing::info_span!("request");
        let _entered = span.enter();
        let mut service = service;
        tower::Service::call(&mut service, request())
    };
    armed.store(1, Ordering::SeqCst);
    drop(answer.await);
    let entered = entered.load(Ordering::SeqCst);
    assert!(entered < 100, "entered {entered} times for one hook");
}

/// A layer of a subscriber that panics whenever a span is entered, left or closed, once it is armed.
#[derive(Clone, Default)]
struct Interfering(Arc<AtomicBool>);

impl Interfering {
    fn touched(&self) {
        if self.0.load(Ordering::SeqCst) {
            std::panic::resume_unwind(Box::new("planned"));
        }
    }
}

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Interfering {
    fn on_enter(&self, _: &Id, _: tracing_subscriber::layer::Context<'_, S>) {
        self.touched();
    }
    fn on_exit(&self, _: &Id, _: tracing_subscriber::layer::Context<'_, S>) {
        self.touched();
    }
    fn on_close(&self, _: Id, _: tracing_subscriber::layer::Context<'_, S>) {
        self.touched();
    }
}

/// What a request does whose spans panic when they are touched, once it is handled. `waits`: for its tasks; else
/// the client leaves in the middle.
async fn touched(waits: bool) -> Log {
    use tracing_subscriber::layer::SubscriberExt;
    let interfering = Interfering::default();
    let subscriber = tracing_subscriber::registry().with(interfering.clone());
    let _guard = subscribe(subscriber, Level::TRACE);
    let (log, layer) = observed();
    let hooked = Arc::new(AtomicUsize::new(0));
    let hook = hooked.clone();
    let layer = layer.before_release(move |_| {
        hook.fetch_add(1, Ordering::SeqCst);
        async {}
    });
    let mut service = tracked(&layer, || {
        spawn(after(20));
        spawn(async { after(20).await });
        tower_task_tracker::named("cache")
            .detached()
            .spawn(after(30));
    });
    // No guard of its own: only what the layer does is of interest.
    let span = tracing::info_span!("request");
    let held = span.in_scope(|| tower::Service::call(&mut service, request()));
    std::mem::forget(span);
    let mut held = Box::pin(held);
    assert!(futures_util::poll!(&mut held).is_pending());
    interfering.0.store(true, Ordering::SeqCst);
    if waits {
        drop(held.await.expect("infallible"));
        assert_eq!(hooked.load(Ordering::SeqCst), 1);
    } else {
        drop(held);
    }
    layer.handle().wait_idle().await;
    log
}

#[tokio::test(start_paused = true)]
async fn spans_that_panic_when_they_are_touched_keep_nothing_from_running() {
    let log = touched(true).await;
    let report = log.report();
    assert_eq!((report.spawned, report.completed), (2, 2), "{report}");
    assert_eq!(log.late_ends().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn spans_that_panic_when_they_are_touched_take_no_destructor_down() {
    let log = touched(false).await;
    assert_eq!(log.report().stragglers.len(), 2);
    assert_eq!(log.late_ends().len(), 3, "each has completed");
}
