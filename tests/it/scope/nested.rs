//! Scopes and layers inside of each other.

use std::convert::Infallible;

use bytes::Bytes;
use http::Request;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::time::Instant;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_task_tracker::{
    Outcome, Scope, TaskScopeLayer, TaskTrackerLayer, TrackerHandle, named, scope, spawn,
};

use super::layer::{Event, event, handle};
use crate::support::{Log, after, current, full, ms, request, tracked};

#[tokio::test(start_paused = true)]
async fn a_scope_inside_of_a_request_has_its_own_tasks_and_limits_and_is_seen_by_its_handle() {
    let layer = TaskTrackerLayer::new();
    let handle = layer.handle();
    let seen = handle.clone();
    let other = TrackerHandle::new();
    let elsewhere = other.clone();
    let service = tower::Layer::layer(
        &layer,
        tower::service_fn(move |_: http::Request<()>| {
            let (seen, elsewhere) = (seen.clone(), elsewhere.clone());
            async move {
                let ((), report) = scope(|_| async { drop(spawn(after(10))) }).await;
                assert_eq!(report.spawned, 1);
                assert_eq!(current().len(), 0, "those were the scope's");

                let inner = Scope::new().drain_timeout(ms(0));
                inner.run(|_| async { drop(spawn(after(10))) }).await;
                assert_eq!(seen.live_tasks(), 1);

                let inner = inner.tracked_by(&elsewhere);
                inner.run(|_| async { drop(spawn(after(10))) }).await;
                assert_eq!((seen.live_tasks(), elsewhere.live_tasks()), (1, 1));
                Ok::<_, std::convert::Infallible>(crate::support::full("done"))
            }
        }),
    );
    drop(service.oneshot(request()).await);
}

#[tokio::test(start_paused = true)]
async fn a_request_does_not_wait_for_tasks_that_outlive_a_scope_in_it_and_its_handle_sees_them() {
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
async fn inside_of_another_scope_a_layer_only_adds_its_sources_and_observers() {
    let (outer_log, inner_log) = (Log::default(), Log::default());
    let outer = TaskScopeLayer::new().observer(outer_log.clone());
    let inner = TaskScopeLayer::new()
        .deadline_from(|event: &Event| event.due)
        .observer(inner_log.clone());
    let service = ServiceBuilder::new()
        .layer(outer.clone())
        .map_future(|inner| async move {
            let answer = inner.await;
            assert_eq!(current().len(), 1, "the inner layer does not wait");
            answer
        })
        .layer(inner.clone())
        .service(service_fn(handle));
    let start = Instant::now();
    let event = Event {
        work: 600_000,
        due: Some(start + ms(30)),
    };
    let _ = service.oneshot(event).await;
    assert_eq!(start.elapsed(), ms(30), "the inner source counts");
    assert_eq!(outer_log.report(), inner_log.report());
    assert_eq!(inner.handle().live_tasks(), 0);
    assert_eq!(outer.handle().live_tasks(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_every_request_that_passes_a_layer_in_a_scope_counts() {
    let layer = TaskScopeLayer::new().deadline_from(|event: &Event| event.due);
    let mut service = layer.layer(service_fn(handle));
    let start = Instant::now();
    let due = |millis| Event {
        work: 600_000,
        due: Some(start + ms(millis)),
    };
    let ((), report) = scope(|_| async move {
        let _ = service.call(due(500)).await;
        let _ = service.call(due(100)).await;
    })
    .await;
    assert_eq!(report.outcome, Outcome::DeadlineExceeded);
    assert_eq!(start.elapsed(), ms(100), "the earliest limit counts");
}

#[tokio::test(start_paused = true)]
async fn a_tracker_layer_inside_of_a_scope_holds_nothing() {
    let log = Log::default();
    let inner = TaskTrackerLayer::new().observer(log.clone());
    let service = ServiceBuilder::new()
        .layer(TaskScopeLayer::new())
        .map_future(|inner| async move {
            let answer = inner.await;
            assert_eq!(current().len(), 1, "the head is not held here");
            answer
        })
        .service(tracked(&inner, || drop(named("work").spawn(after(20)))));
    let start = Instant::now();
    let _ = service.oneshot(request()).await;
    assert_eq!(start.elapsed(), ms(20));
    assert_eq!(log.report().spawned, 1);
}

#[tokio::test(start_paused = true)]
async fn a_tracker_layer_inside_of_a_scope_leaves_the_body_as_it_is() {
    let inner = TaskTrackerLayer::new().layer(service_fn(|_: http::Request<()>| async {
        // Few bodies go on after an error, and none is made to stop there.
        let frames = [Ok("one"), Err("torn"), Ok("two")];
        let frames = frames.map(|frame| frame.map(|data| Frame::data(Bytes::from(data))));
        let body = StreamBody::new(futures_util::stream::iter(frames));
        Ok::<_, Infallible>(http::Response::new(body))
    }));
    let response = TaskScopeLayer::new().layer(inner).oneshot(request()).await;
    let mut body = response.expect("infallible").into_body();
    let mut seen = Vec::new();
    while let Some(frame) = body.frame().await {
        seen.push(frame.is_ok());
    }
    assert_eq!(seen, [true, false, true]);
}

#[tokio::test(start_paused = true)]
async fn a_scope_layer_inside_of_a_tracker_layer_holds_nothing() {
    let service = TaskTrackerLayer::new().layer(
        ServiceBuilder::new()
            .map_future(|inner| async move {
                let answer = inner.await;
                assert_eq!(current().len(), 1, "the scope does not wait");
                answer
            })
            .layer(TaskScopeLayer::new().drain_timeout(ms(15)))
            .service(service_fn(|_: http::Request<()>| async {
                spawn(after(20));
                Ok::<_, Infallible>(crate::support::full("done"))
            })),
    );
    let start = Instant::now();
    let _ = service.oneshot(request()).await;
    assert_eq!(start.elapsed(), ms(15), "its setting counts");
}

#[tokio::test(start_paused = true)]
async fn a_straggler_that_calls_a_scope_is_a_request_of_its_own() {
    let (sender, mut observed) = tokio::sync::mpsc::unbounded_channel();
    let layer = TaskScopeLayer::new().drain_timeout(ms(10));
    let inner = layer.layer(service_fn(handle));
    let service = layer.layer(service_fn(move |(): ()| {
        let (inner, sender) = (inner.clone(), sender.clone());
        async move {
            spawn(async move {
                after(100).await;
                let called = Instant::now();
                let _ = inner.oneshot(event(5)).await;
                let _ = sender.send(called.elapsed());
            });
            Ok::<_, Infallible>(())
        }
    }));
    let _ = service.oneshot(()).await;
    assert_eq!(observed.recv().await, Some(ms(5)), "it was held by itself");
}

#[tokio::test(start_paused = true)]
async fn several_layers_and_observers_share_one_handle() {
    let handle = TrackerHandle::new();
    let scope = TaskScopeLayer::new().tracked_by(&handle);
    let http = TaskTrackerLayer::new().tracked_by(&handle);
    let first = scope.layer(service_fn(handle_slowly)).oneshot(event(100));
    let second = tracked(&http, || drop(spawn(after(200)))).oneshot(request());
    let all = async { tokio::join!(first, second) };
    let (_, ()) = tokio::join!(all, async {
        after(10).await;
        assert_eq!((handle.live_requests(), handle.live_tasks()), (2, 2));
        handle.begin_shutdown(ms(20));
    });
    assert_eq!(handle.live_tasks(), 2, "both were released by the shutdown");
}

async fn handle_slowly(event: Event) -> Result<u64, Infallible> {
    handle(event).await
}

#[tokio::test(start_paused = true)]
async fn nothing_waits_for_what_a_body_spawns_if_its_layer_is_inside_of_a_scope() {
    let scope = TaskScopeLayer::new();
    let service = scope.layer(
        TaskTrackerLayer::new().layer(service_fn(|_: Request<()>| async {
            let tasks = current();
            let frames = futures_util::stream::once(async move {
                tasks.spawn(after(1000));
                Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"data")))
            });
            Ok::<_, Infallible>(http::Response::new(StreamBody::new(frames)))
        })),
    );
    let asked = Instant::now();
    let response = service.oneshot(request()).await.expect("infallible");
    let body = response.into_body().collect().await.expect("no error");
    assert_eq!(body.to_bytes(), "data");
    assert_eq!(asked.elapsed(), ms(0));
    assert_eq!(scope.handle().live_tasks(), 1, "it runs on");
}
