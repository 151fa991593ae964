//! `snapshot`, `live_tasks` and `live_requests`.

use std::convert::Infallible;

use http::{HeaderValue, Request, Response};
use http_body_util::BodyExt;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{TaskTrackerLayer, Tasks, TrackerHandle, named};

use crate::support::{after, ms, request, tracked};

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
    assert_eq!(tasks[4].location.file(), file!());
    assert_eq!(
        tasks[4].to_string(),
        "straggler of first (150.0ms, released)"
    );
    assert!(held.await.is_ok_and(|answer| answer.is_ok()));
    handle.wait_idle().await;
    assert!(handle.snapshot().is_empty());
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
            assert_eq!(age(), Some(ms(0)), "it was in no snapshot before");
            after(50).await;
            assert_eq!(age(), Some(ms(50)));
            Ok::<_, Infallible>(Response::new(crate::support::Frames::new(["a"])))
        }
    }));
    let _ = service.oneshot(request()).await;
}
