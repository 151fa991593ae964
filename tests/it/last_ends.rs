//! Tasks that end after everything else, and tasks that are spawned at the very end of a response.

use std::convert::Infallible;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, StreamBody};
use tokio::time::timeout;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{Hold, Outcome, TaskState, TaskTrackerLayer, Unfinished, named, spawn};

use crate::support::{
    Frames, Log, Slot, after, current, held, ms, paused_runtime, put, request, take,
};

/// "A body handed its last frame is complete": its client has not left.
#[tokio::test(start_paused = true)]
async fn what_a_complete_body_spawns_at_its_drop_is_no_disconnect() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .at_disconnect(Unfinished::Abort)
        .observer(log.clone());
    let service = layer.layer(service_fn(|_: Request<()>| async {
        let body = Frames::new(["a", "b"]).always_hints(2).spawns_at_drop(50);
        Ok::<_, Infallible>(Response::new(body))
    }));
    let Ok(answer) = service.oneshot(request()).await;
    let mut body = answer.into_body();
    for _ in 0..2 {
        assert!(body.frame().await.is_some_and(|frame| frame.is_ok()));
    }
    drop(body);
    layer.handle().wait_idle().await;
    let report = log.report();
    assert_ne!(report.outcome, Outcome::Dropped, "{report}");
    assert_eq!(report.aborted, 0, "{report}");
}

/// "Dropped from now on ... where there is no runtime, it is reported as it stands."
#[test]
fn under_never_the_end_of_a_response_without_a_runtime_aborts_nothing() {
    let runtime = paused_runtime();
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .hold(Hold::Never)
        .at_disconnect(Unfinished::Abort)
        .observer(log.clone());
    let service = layer.layer(service_fn(|_: Request<()>| async {
        spawn(after(20));
        Ok::<_, Infallible>(Response::new(Frames::new(["a"])))
    }));
    let answer = runtime.block_on(service.oneshot(request()));
    let Ok(answer) = answer;
    let mut body = Box::pin(answer.into_body());
    // A server that runs elsewhere.
    let mut cx = Context::from_waker(Waker::noop());
    while let Poll::Ready(Some(_)) = body.as_mut().poll_frame(&mut cx) {}
    assert!(body.is_end_stream(), "the response has ended as it should");
    runtime.block_on(layer.handle().wait_idle());
    let ends: Vec<_> = log.late_ends().iter().map(|task| task.state).collect();
    assert_eq!(ends, [TaskState::Completed], "{:?}", log.reports());
}

/// No task is alive, and yet the handle is never idle.
#[tokio::test(start_paused = true)]
async fn the_handle_is_idle_after_the_last_task_of_a_kept_tracker() {
    let layer = TaskTrackerLayer::new().drain_timeout(ms(10));
    let kept = Slot::default();
    let keep = kept.clone();
    held(&layer, move || {
        let tasks = current();
        tasks.spawn(after(100));
        put(&keep, (tasks.tracker().clone(), tasks));
    })
    .await;
    let (tracker, _kept) = take(&kept);
    tracker.spawn(after(500));
    after(1000).await;
    assert_eq!(layer.handle().live_tasks(), 0);
    let idle = timeout(ms(10_000), layer.handle().wait_idle()).await;
    assert!(idle.is_ok(), "{:?}", layer.handle());
}

/// The same where the response ends on a thread without a runtime.
#[test]
fn the_handle_is_idle_after_the_last_task_of_a_tracker_also_without_a_runtime() {
    let runtime = paused_runtime();
    let layer = TaskTrackerLayer::new();
    let kept = Slot::default();
    let keep = kept.clone();
    let service = layer.layer(service_fn(move |_: Request<()>| {
        current().tracker().spawn(after(20));
        put(&keep, current());
        async { Ok::<_, Infallible>(Response::new(Frames::new(["a"]))) }
    }));
    let Ok(answer) = runtime.block_on(service.oneshot(request()));
    // The client leaves.
    drop(answer);
    let _kept = take(&kept);
    runtime.block_on(async {
        after(100).await;
        assert_eq!(layer.handle().live_tasks(), 0);
        let idle = timeout(ms(500), layer.handle().wait_idle()).await;
        assert!(idle.is_ok(), "{:?}", layer.handle());
    });
}

/// As above, where a shutdown is awaited.
#[test]
fn a_shutdown_is_over_after_the_last_task_of_a_tracker_also_without_a_runtime() {
    let runtime = paused_runtime();
    let layer = TaskTrackerLayer::new();
    let kept = Slot::default();
    let keep = kept.clone();
    let service = layer.layer(service_fn(move |_: Request<()>| {
        current().tracker().spawn(after(20));
        put(&keep, current());
        async { Ok::<_, Infallible>(Response::new(Frames::new(["a"]))) }
    }));
    let Ok(answer) = runtime.block_on(service.oneshot(request()));
    drop(answer);
    let _kept = take(&kept);
    runtime.block_on(async {
        after(100).await;
        let report = layer.handle().shutdown(ms(500)).await;
        assert_eq!(report.waited, ms(0), "{report}");
    });
}

#[tokio::test(start_paused = true)]
async fn the_last_task_has_its_age_at_its_end_however_long_the_body_streams_after_it() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .hold(Hold::Head)
        .observer(log.clone());
    let service = layer.layer(service_fn(|_: Request<()>| async {
        current().spawn(after(100));
        let frames = futures_util::stream::once(async {
            after(5000).await;
            Ok::<_, Infallible>(Frame::data(Bytes::from("a")))
        });
        Ok::<_, Infallible>(Response::new(StreamBody::new(frames)))
    }));
    let Ok(response) = service.oneshot(request()).await;
    let body = pin!(response.into_body());
    drop(body.collect().await);
    let last = log.report().last.expect("there was one");
    assert_eq!(last.age, ms(100));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_ends_while_the_response_goes_on_is_not_the_one_that_let_its_head_go() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .hold(Hold::Head)
        .observer(log.clone());
    let tasks = Slot::default();
    let kept = tasks.clone();
    let service = layer.layer(service_fn(move |_: Request<()>| {
        put(&kept, current());
        async {
            named("head").spawn(after(20));
            Ok::<_, Infallible>(Response::new(Frames::new(["a"])))
        }
    }));
    let Ok(answer) = service.oneshot(request()).await;
    let tasks = take(&tasks);
    // The head is out, and nothing waits until the body ends.
    drop(tasks.named("while it streams").spawn(after(5)).await);
    drop(answer.into_body().collect().await);
    let report = log.report();
    assert_eq!(report.completed, 2);
    let last = report.last.expect("one task was waited for");
    assert_eq!(last.name.as_deref(), Some("head"));
}
