//! When the handle becomes idle: after everything of a request, and not before.

use std::convert::Infallible;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::FutureExt;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_task_tracker::{
    DrainObserver, DrainReport, TaskInfo, TaskScopeLayer, TaskTrackerLayer, Tasks, TrackerHandle,
    named, spawn,
};
use tracing::info_span;

use crate::subscribers::closed::Closed;
use crate::support::{Log, Slot, after, current, ms, put, request, runtime, take, tracked};

type Waits = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Asks in each callback whether the handle is idle: from outside, and through a wait within the request.
#[derive(Clone, Default)]
struct Asks {
    handle: TrackerHandle,
    inside: Arc<Mutex<Option<Waits>>>,
    asked: Arc<Mutex<Vec<(&'static str, bool)>>>,
}

impl Asks {
    fn ask(&self, callback: &'static str) {
        let outside = self.handle.wait_idle().now_or_never().is_some();
        let mut inside = self.inside.lock().expect("no panic holds it").take();
        let mut cx = Context::from_waker(Waker::noop());
        let is_idle = |wait: &mut Waits| wait.as_mut().poll(&mut cx).is_ready();
        let inside_is_over = inside.as_mut().is_some_and(is_idle);
        *self.inside.lock().expect("no panic holds it") = inside.filter(|_| !inside_is_over);
        let is_idle = outside || inside_is_over || self.handle.live_requests() == 0;
        let mut asked = self.asked.lock().expect("no panic holds it");
        asked.push((callback, is_idle));
    }
}

impl DrainObserver for Asks {
    fn on_drain(&self, _: &DrainReport) {
        self.ask("drain");
    }
    fn on_late_spawn(&self, _: &TaskInfo) {
        self.ask("late spawn");
    }
    fn on_late_end(&self, _: &TaskInfo) {
        self.ask("late end");
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_not_idle_while_an_observer_is_called() {
    let asks = Asks::default();
    let layer = TaskTrackerLayer::new()
        .tracked_by(&asks.handle)
        .drain_timeout(ms(10))
        .observer(asks.clone());
    let kept = Slot::<Tasks>::default();
    let keep = kept.clone();
    let service = tracked(&layer, move || {
        put(&keep, current());
        spawn(after(20));
        named("cache").detached().spawn(after(30));
    });
    drop(service.oneshot(request()).await);
    asks.handle.wait_idle().await;
    let tasks = take(&kept);
    // Alone, and over at once.
    drop(tasks.token());
    let asked = asks.asked.lock().expect("no panic holds it");
    let callbacks = ["drain", "late end", "late end", "late spawn", "late end"];
    assert_eq!(*asked, callbacks.map(|callback| (callback, false)));
    assert_eq!(asks.handle.live_requests(), 0);
}

/// A wait in a task of the request does not wait for that task, and returns only after the observers were called for the
/// other tasks.
#[tokio::test(start_paused = true)]
async fn nor_is_it_for_a_task_of_the_request_that_waits_for_it() {
    let asks = Asks::default();
    let layer = TaskTrackerLayer::new()
        .tracked_by(&asks.handle)
        .drain_timeout(ms(10))
        .observer(asks.clone());
    let inside = asks.clone();
    let service = tracked(&layer, move || {
        let handle = inside.handle.clone();
        let wait = async move { handle.wait_idle().await };
        let wait = current().named("waits").track_future(wait);
        *inside.inside.lock().expect("no panic holds it") = Some(Box::pin(wait));
        spawn(after(20));
        named("cache").detached().spawn(after(30));
    });
    drop(service.oneshot(request()).await);
    after(40).await;
    let asked = asks.asked.lock().expect("no panic holds it").clone();
    let callbacks = ["drain", "late end", "late end"];
    assert_eq!(*asked, callbacks.map(|callback| (callback, false)));
    let wait = asks.inside.lock().expect("no panic holds it").take();
    let wait = wait.expect("it waits").now_or_never();
    assert!(wait.is_some(), "nothing but the wait is left");
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

/// There is no runtime that could wait for the rest of it, and nothing that keeps it.
#[test]
fn what_runs_on_in_a_tracker_without_a_request_keeps_no_handle_waiting() {
    let runtime = runtime();
    let elsewhere = runtime.handle().clone();
    let log = Log::default();
    let layer = TaskScopeLayer::new()
        .drain_timeout(ms(0))
        .observer(log.clone());
    let handle = TrackerHandle::new();
    let layer = layer.tracked_by(&handle);
    let (end, ends) = tokio::sync::oneshot::channel::<()>();
    let ends = Arc::new(Mutex::new(Some(ends)));
    let mut service = layer.layer(service_fn(move |(): ()| {
        let ends = take(&ends);
        let tracked = async move { drop(ends.await) };
        current().tracker().spawn_on(tracked, &elsewhere);
        std::future::pending::<Result<(), Infallible>>()
    }));
    let mut answer = Box::pin(service.call(()));
    let polled = answer
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
    drop((answer, service));
    assert_eq!(log.report().stragglers.len(), 1);
    end.send(()).expect("it waits");
    runtime.block_on(async {
        let limit = std::time::Duration::from_secs(10);
        let idle = tokio::time::timeout(limit, handle.wait_idle()).await;
        assert!(idle.is_ok(), "{handle:?}");
    });
}

/// By then nothing else has to be told to it.
#[tokio::test(start_paused = true)]
async fn a_task_that_has_the_report_of_a_shutdown_is_not_aborted_by_another_one() {
    let handle = TrackerHandle::new();
    let layer = TaskTrackerLayer::new().tracked_by(&handle);
    let done = Slot::<()>::default();
    let is_done = done.clone();
    let at_shutdown = handle.clone();
    let service = tracked(&layer, move || {
        let (handle, done) = (at_shutdown.clone(), is_done.clone());
        named("admin").detached().spawn(async move {
            handle.shutdown(ms(10)).await;
            after(500).await;
            put(&done, ());
        });
    });
    drop(service.oneshot(request()).await);
    after(200).await;
    let report = handle.shutdown(ms(10)).await;
    assert_eq!(report.aborted, 0, "{report}");
    handle.wait_idle().await;
    take(&done);
}

/// Whatever is current where the callback is called.
#[tokio::test(start_paused = true)]
async fn a_callback_is_called_outside_of_the_request_that_is_current_there() {
    struct Spawns(Arc<Mutex<Vec<bool>>>);
    impl Spawns {
        fn look(&self) {
            let is_outside = Tasks::current().is_none();
            self.0.lock().expect("no panic holds it").push(is_outside);
            spawn(after(1000));
        }
    }
    impl DrainObserver for Spawns {
        fn on_drain(&self, _: &DrainReport) {
            self.look();
        }
        fn on_late_spawn(&self, _: &TaskInfo) {
            self.look();
        }
        fn on_late_end(&self, _: &TaskInfo) {
            self.look();
        }
    }
    let outside = Arc::<Mutex<Vec<bool>>>::default();
    let first = TaskTrackerLayer::new().observer(Spawns(outside.clone()));
    let kept = Slot::<Tasks>::default();
    let keep = kept.clone();
    let mut service = tracked(&first, move || {
        put(&keep, current());
        spawn(after(20));
    });
    let mut held = Box::pin(service.call(request()));
    assert!(futures_util::poll!(&mut held).is_pending());
    let held = Arc::new(Mutex::new(Some(held)));
    let tasks = take(&kept);
    let log = Log::default();
    let second = TaskTrackerLayer::new().observer(log.clone());
    let service = tracked(&second, move || {
        // The first request is left, and used, by the handler of the second one.
        drop(take(&held));
        drop(tasks.token());
    });
    let begin = tokio::time::Instant::now();
    drop(service.oneshot(request()).await);
    assert_eq!(begin.elapsed(), ms(0), "nothing is spawned in it");
    assert!(log.reports().is_empty());
    let outside = outside.lock().expect("no panic holds it");
    assert_eq!(*outside, [true; 3]);
}

/// A shutdown that begins cancels the tokens of the process: what that wakes is not the crate's.
#[tokio::test(start_paused = true)]
async fn a_waker_that_panics_at_a_shutdown_keeps_no_response_held() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            std::panic::resume_unwind(Box::new("planned"));
        }
    }
    let layer = TaskTrackerLayer::new();
    let handle = layer.handle();
    let token = handle.process_tasks().cancellation_token();
    let mut stops = Box::pin(token.cancelled());
    let waker = Waker::from(Arc::new(Panics));
    let polled = stops.as_mut().poll(&mut Context::from_waker(&waker));
    assert_eq!(polled, Poll::Pending);
    let mut service = tracked(&layer, || drop(spawn(after(600_000))));
    let mut held = tokio_test::task::spawn(service.call(request()));
    for _ in 0..2 {
        assert!(held.poll().is_pending());
        tokio::task::yield_now().await;
    }
    let began = std::panic::catch_unwind(AssertUnwindSafe(|| {
        handle.begin_shutdown(std::time::Duration::ZERO);
    }));
    assert!(began.is_ok(), "it is caught");
    assert!(held.is_woken());
    assert!(held.poll().is_ready());
}

/// Whichever of them is polled first goes on at once.
#[tokio::test(start_paused = true)]
async fn waits_of_several_tasks_are_over_together_whatever_they_do_then() {
    let layer = TaskTrackerLayer::new();
    let handle = layer.handle();
    let ended = Arc::<Mutex<Vec<std::time::Duration>>>::default();
    let ends = ended.clone();
    let service = tracked(&layer, move || {
        for _ in 0..2 {
            let (handle, ends) = (handle.clone(), ends.clone());
            let begin = tokio::time::Instant::now();
            named("waits").spawn(async move {
                handle.wait_idle().await;
                spawn(after(1000));
                ends.lock()
                    .expect("no panic holds it")
                    .push(begin.elapsed());
            });
        }
        spawn(after(20));
    });
    drop(service.oneshot(request()).await);
    let ended = ended.lock().expect("no panic holds it");
    assert_eq!(*ended, [ms(20); 2]);
}

/// It has nothing to do after the end.
#[tokio::test(start_paused = true)]
async fn a_task_that_waits_for_idleness_is_aborted_at_the_end_of_a_shutdown() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(10))
        .observer(log.clone());
    let handle = layer.handle();
    let service = tracked(&layer, move || {
        let handle = handle.clone();
        named("waits").spawn(async move { handle.wait_idle().await });
        named("slow").spawn(after(600_000));
    });
    drop(service.oneshot(request()).await);
    let report = layer.handle().shutdown(ms(100)).await;
    assert_eq!(report.aborted, 2, "{report}");
}
