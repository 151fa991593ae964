//! The `TaskTracker` of a request: its tasks are waited for. They are reported even if they end in the first turn of
//! the scheduler.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use tokio::task::yield_now;
use tokio::time::Instant;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_task_tracker::{Hold, Scope, TaskTrackerLayer, named, spawn};

use crate::support::{
    Slot, Wakes, after, current, ms, paused_runtime, put, request, take, told, tracked,
};

/// A stream of unknown length.
fn stream() -> UnsyncBoxBody<Bytes, Infallible> {
    let frames = ["a", "b"].map(|part| Ok(Frame::data(Bytes::from(part))));
    StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync()
}

#[tokio::test(start_paused = true)]
async fn a_tokio_util_tracker_holds_the_response() {
    let (log, layer) = told();
    let service = tracked(&layer, || {
        let tasks = current();
        tasks.tracker().spawn(after(90));
        spawn(after(30));
    });

    let start = Instant::now();
    let response = service.oneshot(request()).await.expect("infallible");
    assert_eq!(start.elapsed(), ms(90));
    drop(response);
    let report = log.report();
    assert_eq!((report.spawned, report.completed), (2, 2));
    let last = report.last.expect("the tracker's task was waited for");
    assert_eq!(last.name.as_deref(), None);
}

#[tokio::test(start_paused = true)]
async fn tasks_of_a_tokio_util_tracker_hold_the_end_of_a_body() {
    let (log, layer) = told();
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
async fn a_quick_task_of_a_tracker_is_reported_where_a_head_is_held() {
    let (log, layer) = told();
    let service = tracked(&layer, || {
        current().tracker().spawn(async {});
    });
    drop(service.oneshot(request()).await);
    assert_eq!(log.report().completed, 1);
}

#[tokio::test(start_paused = true)]
async fn quick_tasks_of_a_tracker_are_reported_beside_one_of_the_request() {
    let (log, layer) = told();
    let service = tracked(&layer, || {
        current().spawn(yield_now());
        current().tracker().spawn(yield_now());
    });
    drop(service.oneshot(request()).await);
    assert_eq!(log.report().completed, 2);
}

#[tokio::test(start_paused = true)]
async fn a_quick_task_of_a_tracker_is_reported_where_an_end_is_held() {
    let (log, layer) = told();
    let service = layer.layer(service_fn(|_: Request<()>| async {
        current().tracker().spawn(async {});
        let frames = [Ok::<_, Infallible>(Frame::data(Bytes::from("a")))];
        let body = StreamBody::new(futures_util::stream::iter(frames));
        Ok::<_, Infallible>(Response::new(body))
    }));
    let response = service.oneshot(request()).await.expect("infallible");
    drop(response.into_body().collect().await);
    assert_eq!(log.report().completed, 1);
}

/// A report in the head changes nothing of what observers get.
#[tokio::test(start_paused = true)]
async fn a_quick_task_of_a_tracker_is_reported_where_nothing_is_held() {
    for extension in [true, false] {
        let (log, layer) = told();
        let layer = layer.hold(Hold::Never).report_extension(extension);
        let service = layer.layer(service_fn(|_: Request<()>| async {
            current().tracker().spawn(async {});
            Ok::<_, Infallible>(Response::new(stream()))
        }));
        let response = service.oneshot(request()).await.expect("infallible");
        // The task ends before the end of the body is looked at.
        yield_now().await;
        drop(response.into_body().collect().await);
        after(1).await;
        let reports = log.reports();
        let spawned: Vec<_> = reports.iter().map(|report| report.spawned).collect();
        assert_eq!(spawned, [1], "extension: {extension}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_quick_task_of_a_tracker_is_reported_by_a_scope() {
    let ((), report) = Scope::new()
        .run(|tasks| async move {
            tasks.tracker().spawn(async {});
        })
        .await;
    assert_eq!(report.spawned, 1, "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn whoever_awaits_the_tracker_of_a_held_response_goes_on() {
    let layer = TaskTrackerLayer::new().before_release(|_| async {});
    let service = tracked(&layer, || {
        let tracker = current().tracker().clone();
        drop(
            named("waits")
                .detached()
                .spawn(async move { tracker.wait().await }),
        );
    });
    drop(service.oneshot(request()).await);
    let idle = tokio::time::timeout(ms(1000), layer.handle().wait_idle()).await;
    after(1).await;
    assert!(idle.is_ok(), "the tracker was never closed");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_ends_after_those_of_the_tracker_is_the_last() {
    let (log, layer) = told();
    let service = tracked(&layer, || {
        named("own").spawn(after(60));
        current().tracker().spawn(after(30));
    });
    drop(service.oneshot(request()).await);
    let last = log.report().last.expect("tasks were waited for");
    assert_eq!(last.name.as_deref(), Some("own"));
}

#[tokio::test(start_paused = true)]
async fn a_task_of_the_tracker_that_ends_after_the_others_is_the_last() {
    let (log, layer) = told();
    let service = tracked(&layer, || {
        named("own").spawn(after(30));
        current().tracker().spawn(after(60));
    });
    drop(service.oneshot(request()).await);
    let last = log.report().last.expect("tasks were waited for");
    assert_eq!((last.name.as_deref(), last.age), (None, ms(60)));
}

#[tokio::test(start_paused = true)]
async fn what_a_hook_spawns_in_the_tracker_is_waited_for() {
    let tracker = Slot::<tokio_util::task::TaskTracker>::default();
    let kept = tracker.clone();
    let (log, layer) = told();
    let layer = layer.before_release(move |_| {
        take(&kept).spawn(after(20));
        async {}
    });
    let service = tracked(&layer, move || {
        put(&tracker, current().tracker().clone());
        spawn(after(10));
    });
    drop(service.oneshot(request()).await);
    let report = log.report();
    assert!(
        report.stragglers.is_empty() && report.is_clean(),
        "{report}"
    );
    assert_eq!((report.spawned, report.held), (2, ms(30)));
}

/// Polls so often, and lets the runtime run in between.
async fn is_held<F: Future>(held: &mut Pin<Box<F>>, wakes: &Arc<Wakes>) -> bool {
    for _ in 0..4 {
        let waker = Waker::from(wakes.clone());
        let polled = held.as_mut().poll(&mut Context::from_waker(&waker));
        if polled.is_ready() {
            return false;
        }
        yield_now().await;
    }
    true
}

/// The wait for a tracker that has a task, first on a runtime that ends meanwhile, and then on another one.
/// `is_gone`: the first one has ended before.
fn move_to_another_runtime(is_gone: bool) {
    let token = Slot::default();
    let keep = token.clone();
    // No timer: that would be one of the first runtime.
    let layer = TaskTrackerLayer::new().drain_timeout(None);
    let mut service = tracked(&layer, move || put(&keep, current().tracker().token()));
    let mut held = Box::pin(service.call(request()));
    let wakes = Arc::new(Wakes::default());
    let first = paused_runtime();
    if is_gone {
        let handle = first.handle().clone();
        drop(first);
        let _entered = handle.enter();
        let waker = Waker::from(wakes.clone());
        for _ in 0..4 {
            let polled = held.as_mut().poll(&mut Context::from_waker(&waker));
            assert!(polled.is_pending());
        }
        // The first poll gives the tasks their turn.
        assert_eq!(wakes.take(), 1, "each wake-up would begin another watch");
    } else {
        assert!(first.block_on(is_held(&mut held, &wakes)));
        wakes.take();
        drop(first);
        assert_eq!(wakes.take(), 1, "the wait has to begin another watch");
    }
    paused_runtime().block_on(async {
        assert!(is_held(&mut held, &wakes).await, "its task is alive");
        wakes.take();
        drop(take(&token));
        yield_now().await;
        assert!(wakes.take() > 0, "its last task has ended");
        assert!(!is_held(&mut held, &wakes).await);
    });
}

#[test]
fn a_wait_for_a_tracker_goes_on_where_its_runtime_ends_meanwhile() {
    move_to_another_runtime(false);
}

#[test]
fn a_wait_for_a_tracker_goes_on_where_its_runtime_had_ended_before() {
    move_to_another_runtime(true);
}
