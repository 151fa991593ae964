//! The age of a task: from when it is measured, and until when.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use tokio::time::timeout;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{TaskState, TaskTrackerLayer, named, spawn};

use crate::support::{
    Log, Slot, after, current, full, held, ms, observed, put, request, respond, take, tracked,
};

#[tokio::test]
async fn a_closure_that_is_spawned_while_the_response_waits_has_an_age() {
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(200))
        .observer(log.clone());
    let ended = std::sync::Mutex::new(Some(ended));
    let ended = Arc::new(ended);
    held(&layer, move || {
        let ended = ended.lock().expect("no panic holds it").take();
        spawn(async move {
            after(20).await;
            named("late closure").spawn_blocking(move || ended.map(|ended| ended.recv()));
        });
    })
    .await;
    let report = log.report();
    let straggler = report.stragglers.first().expect("it does not end");
    assert_eq!(straggler.name.as_deref(), Some("late closure"), "{report}");
    assert!(straggler.age >= ms(100), "{report}");
    drop(end);
    layer.handle().wait_idle().await;
}

#[tokio::test(start_paused = true)]
async fn a_late_task_has_an_age_at_its_end() {
    let (log, layer) = observed();
    let slot = Slot::default();
    let kept = slot.clone();
    held(&layer, move || put(&kept, current())).await;
    let token = take(&slot).token();
    after(70).await;
    drop(token);
    let ages: Vec<_> = log.late_ends().iter().map(|task| task.age).collect();
    assert_eq!(ages, [ms(70)]);
}

#[tokio::test(start_paused = true)]
async fn ages_begin_when_a_task_is_first_seen_waiting() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(100))
        .observer(log.clone());
    let service = tracked(&layer, || {
        named("first").spawn(async {
            after(30).await;
            named("second").spawn(after(1000));
            after(1000).await;
        });
    });
    drop(service.oneshot(request()).await);
    let ages: Vec<_> = log
        .report()
        .stragglers
        .iter()
        .map(|task| task.age)
        .collect();
    assert_eq!(ages, [ms(100), ms(70)]);
}

#[tokio::test(start_paused = true)]
async fn a_detached_task_that_waits_gives_the_others_an_age() {
    let (log, layer) = observed();
    let token = Slot::default();
    let kept = token.clone();
    let service = layer.layer(service_fn(move |_: Request<()>| {
        let kept = kept.clone();
        async move {
            named("detached").detached().spawn(after(5));
            // It does not wait where that could be seen.
            put(&kept, named("token").token());
            after(100).await;
            Ok::<_, Infallible>(full("done"))
        }
    }));
    let response = timeout(ms(60), service.oneshot(request())).await;
    assert!(response.is_err(), "the client has left");
    let stragglers = log.report().stragglers;
    assert_eq!(stragglers[0].age, ms(60));
    drop(take(&token));
}

#[tokio::test(start_paused = true)]
async fn a_blocking_closure_that_outlives_the_window_is_a_straggler_with_an_age() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(20))
        .observer(log.clone());
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let blocked = std::sync::Mutex::new(Some(blocked));
    let response = respond(&layer, Method::GET, || {
        let blocked = blocked.lock().expect("unpoisoned").take();
        tower_task_tracker::named("stuck").spawn_blocking(move || {
            let blocked = blocked.expect("called once");
            blocked.recv().expect("the test sends");
        });
        Full::new(Bytes::from_static(b"x"))
    });
    // Paused time does not pass by itself while a blocking closure runs.
    let (response, ()) = tokio::join!(response, tokio::time::advance(ms(20)));
    drop(response.into_body().collect().await);
    let straggler = log.report().stragglers.remove(0);
    assert_eq!(
        (straggler.name.as_deref(), straggler.age),
        (Some("stuck"), ms(20))
    );
    assert_eq!(layer.handle().live_tasks(), 1, "it stays with the handle");
    release.send(()).expect("the closure waits");
    layer.handle().wait_idle().await;
    assert_eq!(log.late_ends()[0].state, TaskState::Completed);
}
