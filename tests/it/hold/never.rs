//! `Hold::Never`: nothing is held, and the tasks are tracked and reported.

use std::convert::Infallible;
use std::future::pending;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::Body as _;
use http_body_util::{BodyExt, Full};
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{Hold, Outcome, TaskState, TaskTrackerLayer, Unfinished, named, spawn};

use crate::support::{
    Frames, Log, after, current, ms, paused_runtime, request, respond, runtime, timeless_runtime,
};

#[tokio::test(start_paused = true)]
async fn with_hold_never_the_report_comes_when_the_tasks_are_done() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .hold(Hold::Never)
        .observer(log.clone());
    let start = Instant::now();
    let response = respond(&layer, Method::GET, || {
        spawn(after(80));
        Full::new(Bytes::from_static(b"x"))
    })
    .await;
    drop(response.into_body().collect().await);
    assert_eq!(start.elapsed(), ms(0));
    assert!(log.reports().is_empty());
    layer.handle().wait_idle().await;
    assert_eq!(start.elapsed(), ms(80));
    let report = log.report();
    assert_eq!((report.held, report.drain), (ms(0), ms(80)));
    assert_eq!(report.outcome, Outcome::Drained);
}

#[tokio::test(start_paused = true)]
async fn with_hold_never_a_shutdown_waits_for_what_the_responses_left_behind() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .hold(Hold::Never)
        .observer(log.clone());
    let start = Instant::now();
    let response = respond(&layer, Method::GET, || {
        named("mail").spawn(after(80));
        named("audit").spawn(async { std::panic::resume_unwind(Box::new("planned")) });
        Full::new(Bytes::from_static(b"x"))
    })
    .await;
    drop(response.into_body().collect().await);
    assert_eq!(start.elapsed(), ms(0), "nothing is held");
    after(1).await;
    let alive = layer.handle().snapshot();
    let names: Vec<_> = alive.iter().map(|task| task.name.as_deref()).collect();
    assert_eq!(names, [Some("mail")], "it has its name: {alive:?}");

    let shutdown = layer.handle().shutdown(ms(1000)).await;
    assert_eq!(start.elapsed(), ms(80));
    assert!(shutdown.still_running.is_empty(), "{shutdown}");
    let report = log.report();
    assert_eq!(report.outcome, Outcome::Drained, "{report}");
    assert_eq!((report.completed, report.panicked), (1, 1), "{report}");
}

#[test]
fn with_hold_never_a_runtime_that_shuts_down_ends_the_wait() {
    // The answer to `GET` ends with its head, and the one to `HEAD` when it is dropped.
    for method in [Method::GET, Method::HEAD] {
        let log = Log::default();
        let layer = TaskTrackerLayer::new()
            .hold(Hold::Never)
            .observer(log.clone());
        let runtime = runtime();
        // The task outlives the runtime that the wait is on.
        let elsewhere = timeless_runtime();
        runtime.block_on(async {
            let response = respond(&layer, method.clone(), || {
                let tasks = current();
                tasks.spawn_on(pending::<()>(), elsewhere.handle());
                let frames: [_; 0] = [];
                Frames::new(frames)
            })
            .await;
            if method == Method::GET {
                drop(response.into_body().collect().await);
            }
            tokio::task::yield_now().await;
            assert!(
                log.reports().is_empty(),
                "it is waited for in the background"
            );
        });
        drop(runtime);
        assert_eq!(log.report().stragglers.len(), 1);
        drop(elsewhere);
        assert_eq!(log.late_ends().len(), 1);
        assert_eq!(layer.handle().live_requests(), 0);
    }
}

#[test]
fn with_hold_never_and_no_runtime_the_body_is_reported_as_it_stands() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .hold(Hold::Never)
        .observer(log.clone());
    let runtime = runtime();
    let response = runtime.block_on(respond(&layer, Method::GET, || {
        spawn(pending::<()>());
        Full::new(Bytes::from_static(b"x"))
    }));
    let mut body = tokio_test::task::spawn(response.into_body());
    // Outside of the runtime.
    let read = body.enter(|cx, body| body.poll_frame(cx).is_ready());
    assert!(read, "it is not held");
    assert_eq!(log.report().stragglers.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_handler_sets_the_hold_of_its_own_response() {
    let layer = TaskTrackerLayer::new();
    let response = respond(&layer, Method::GET, || {
        let tasks = current();
        tasks.set_hold(Hold::Never);
        tasks.spawn(after(50));
        Full::new(Bytes::from_static(b"x"))
    });
    let start = Instant::now();
    drop(response.await);
    assert_eq!(start.elapsed(), ms(0));
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

#[tokio::test(start_paused = true)]
async fn under_hold_never_the_window_opens_at_the_end_of_the_response_and_its_deadline_applies_the_policy()
 {
    for (policy, stragglers, aborted) in [
        (Unfinished::Continue, 1, 0),
        (Unfinished::Abort, 0, 1),
        (Unfinished::Cancel { grace: ms(500) }, 0, 1),
    ] {
        let log = Log::default();
        let layer = TaskTrackerLayer::new()
            .hold(Hold::Never)
            .at_deadline(policy)
            .observer(log.clone());
        let start = Instant::now();
        let response = respond(&layer, Method::GET, || {
            named("slow").spawn(pending::<()>());
            Full::new(Bytes::from_static(b"x"))
        })
        .await;
        drop(response.into_body().collect().await);
        assert_eq!(start.elapsed(), ms(0), "nothing is held");
        after(25_001).await;
        let report = log.report();
        assert_eq!(report.outcome, Outcome::DeadlineExceeded, "{report}");
        let counts = (report.stragglers.len(), report.aborted);
        assert_eq!(counts, (stragglers, aborted), "{policy:?}: {report}");
        assert!(
            report.drain <= ms(25_000) && report.drain > ms(24_000),
            "{report}"
        );
    }
}
