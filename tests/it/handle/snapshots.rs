//! What `TrackerHandle` shows of a process, and how `max_live_tasks` protects it from overload.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};

use http::{HeaderValue, Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{Hold, TaskTrackerLayer, Tasks, TrackerHandle, named, spawn};

use crate::support::{
    Frames, Log, Slot, after, current, full, ms, put, request, runtime, take, timeless_runtime,
    tracked,
};

#[tokio::test(start_paused = true)]
async fn a_snapshot_names_every_live_task_and_its_request() {
    let handle = TrackerHandle::new();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(100))
        .tracked_by(&handle);
    let service = tracked(&layer, || {
        named("straggler").spawn(after(1000));
        named("detached").detached().spawn(after(1000));
        drop(named("done").token());
    });
    let mut first = request();
    let id = HeaderValue::from_static("first");
    first.headers_mut().insert("x-request-id", id);
    drop(service.clone().oneshot(first).await);
    handle.process_tasks().task().spawn(after(1000));
    let held = tokio::spawn(service.oneshot(request()));
    after(50).await;

    let mut tasks = handle.snapshot();
    tasks.sort_by_key(|task| (task.name.clone(), task.request_id.clone(), task.age));
    let seen: Vec<_> = tasks
        .iter()
        .map(|task| {
            (
                task.name.as_deref(),
                task.request_id.as_deref(),
                task.released,
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (None, None, false),
            (Some("detached"), None, false),
            (Some("detached"), Some("first"), true),
            (Some("straggler"), None, false),
            (Some("straggler"), Some("first"), true),
        ]
    );
    assert_eq!(tasks[4].age, ms(150));
    assert!(tasks[4].location.file().ends_with("handle.rs"));
    assert_eq!(
        tasks[4].to_string(),
        "straggler of first (150.0ms, released)"
    );
    assert!(held.await.is_ok_and(|answer| answer.is_ok()));
    handle.wait_idle().await;
    assert!(handle.snapshot().is_empty());
}

/// A service that leaves a detached task of so many milliseconds behind.
fn leaving(millis: u64) -> impl Fn() + Clone + Send {
    move || drop(named("left behind").detached().spawn(after(millis)))
}

#[tokio::test(start_paused = true)]
async fn with_too_many_tasks_alive_a_request_is_shed_before_the_service() {
    let layer = TaskTrackerLayer::new().max_live_tasks(2);
    let service = tracked(&layer, leaving(100));
    for _ in 0..2 {
        let Ok(answer) = service.clone().oneshot(request()).await;
        assert_eq!(answer.status(), StatusCode::OK);
    }
    let Ok(shed) = service.clone().oneshot(request()).await;
    assert_eq!(shed.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(shed.headers()["retry-after"], "1");
    assert_eq!(shed.headers()["cache-control"], "no-store");
    assert!(shed.body().is_end_stream());
    assert!(
        shed.into_body().get_ref().is_none(),
        "the service made none"
    );
    assert_eq!(layer.handle().live_tasks(), 2, "it did not run");
    after(101).await;
    let Ok(answer) = service.oneshot(request()).await;
    assert_eq!(answer.status(), StatusCode::OK, "there is room again");
    drop(answer);
    layer.handle().wait_idle().await;
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_task_counts_until_its_end() {
    let layer = TaskTrackerLayer::new().max_live_tasks(1);
    let handle = layer.handle();
    let service = tracked(&layer, || {});
    let is_shed = || async {
        let Ok(answer) = service.clone().oneshot(request()).await;
        answer.status() == StatusCode::SERVICE_UNAVAILABLE
    };
    assert!(!is_shed().await);
    let tasks = handle.process_tasks();
    let token = tasks.token();
    assert!(is_shed().await);
    drop(token);
    assert!(!is_shed().await);
    let tracked = tasks.track_future(std::future::pending::<()>());
    assert!(is_shed().await);
    drop(tracked);
    tasks.spawn(std::future::pending::<()>()).abort();
    tasks.spawn(async { std::panic::resume_unwind(Box::new("planned")) });
    after(1).await;
    assert!(!is_shed().await, "all have ended");
}

#[tokio::test(start_paused = true)]
async fn a_route_may_have_its_own_limit_on_the_same_tasks() {
    let outer = TaskTrackerLayer::new();
    let route = TaskTrackerLayer::new().max_live_tasks(1);
    let route = route.layer(service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(full("done"))
    }));
    let service = outer.layer(service_fn(move |request: Request<()>| {
        let route = route.clone();
        async move { route.oneshot(request).await }
    }));
    let ok = service.clone().oneshot(request()).await;
    assert!(ok.is_ok_and(|answer| answer.status() == StatusCode::OK));
    let _token = outer.handle().process_tasks().token();
    let Ok(shed) = service.oneshot(request()).await;
    assert_eq!(shed.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test(start_paused = true)]
async fn the_work_of_the_process_is_seen_by_the_handle_while_it_is_alive() {
    let handle = TrackerHandle::new();
    let tasks: Tasks = handle.process_tasks();
    assert!(tasks.is_empty());
    tasks.spawn(after(20));
    assert_eq!((tasks.len(), handle.live_tasks()), (1, 1));
    handle.wait_idle().await;
    tasks.named("again").spawn(after(20));
    assert_eq!(handle.live_requests(), 1, "it is seen again");
    handle.wait_idle().await;
    assert!(tasks.is_empty());
    // One that is kept does not keep the handle busy.
    assert!(tasks.tracker().is_empty());
    handle.wait_idle().await;
}

#[tokio::test(start_paused = true)]
async fn a_response_whose_body_goes_on_is_still_a_live_request() {
    let layer = TaskTrackerLayer::new();
    let service = layer.layer(service_fn(|_: Request<()>| async {
        named("quick").spawn(async {});
        Ok::<_, Infallible>(Response::new(crate::support::Frames::new(["a"])))
    }));
    let Ok(answer) = service.oneshot(request()).await;
    after(1).await;
    assert_eq!(layer.handle().live_requests(), 1);
    assert_eq!(layer.handle().live_tasks(), 0);
    drop(answer.into_body().collect().await);
    assert_eq!(layer.handle().live_requests(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_work_of_the_process_has_an_age_from_its_spawn_on() {
    let handle = TrackerHandle::new();
    let _token = handle.process_tasks().token();
    after(30).await;
    let age = || handle.snapshot().first().map(|task| task.age);
    assert_eq!(age(), Some(ms(30)));
    after(50).await;
    assert_eq!(age(), Some(ms(80)));
}

#[tokio::test(start_paused = true)]
async fn from_the_first_snapshot_on_a_request_s_tasks_have_an_age() {
    let layer = TaskTrackerLayer::new();
    let handle = layer.handle();
    let service = layer.layer(service_fn(move |_: Request<()>| {
        let handle = handle.clone();
        async move {
            let _token = named("token").token();
            after(30).await;
            let age = || handle.snapshot().first().map(|task| task.age);
            assert_eq!(age(), Some(ms(0)), "nobody had looked at it before");
            after(50).await;
            assert_eq!(age(), Some(ms(50)));
            Ok::<_, Infallible>(Response::new(crate::support::Frames::new(["a"])))
        }
    }));
    let _ = service.oneshot(request()).await;
}

#[tokio::test(start_paused = true)]
async fn the_handle_is_idle_only_after_everybody_was_told() {
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

/// Its report is made, and it wants to leave, while its last spawner is still about to tell of an end.
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
