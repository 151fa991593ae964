//! The handle is idle only after the callbacks of a request have run.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};

use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::BodyExt;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{
    DrainObserver, DrainReport, Hold, TaskInfo, TaskTrackerLayer, Tasks, TrackerHandle, named,
    spawn,
};

use crate::support::{
    Frames, Log, Slot, after, current, ms, put, request, runtime, take, timeless_runtime, tracked,
};

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
async fn the_handle_is_not_idle_while_an_observer_is_called() {
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
async fn it_is_not_idle_for_a_task_of_the_request_while_an_observer_is_called() {
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

#[tokio::test(start_paused = true)]
async fn a_request_is_listed_until_its_response_has_ended_and_was_reported() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .hold(Hold::Head)
        .drain_timeout(ms(10))
        .observer(log.clone());
    let service = layer.layer(service_fn(|_: Request<()>| async {
        spawn(after(50));
        Ok::<_, Infallible>(Response::new(Frames::new(["a", "b"])))
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

/// The request is reported and about to leave, while its last spawner has not reported an end yet.
#[test]
fn a_request_that_ends_with_the_listing_of_its_last_task_leaves_the_handle() {
    let dead = timeless_runtime().handle().clone();
    let runtime = runtime();
    let _entered = runtime.enter();
    let (log, slot) = (Log::default(), Slot::default());
    let layer = TaskTrackerLayer::new().observer(log.clone());
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
