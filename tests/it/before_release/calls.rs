//! What is awaited before a response is released.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tokio::time::Instant;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_task_tracker::{DrainReport, Hold, Limit, Outcome, TaskTrackerLayer, Tasks, named};

use crate::support::{DropTime, Frames, Log, after, ms, request, tracked};

/// The reports that hooks were called with.
#[derive(Clone, Default)]
struct Calls(Arc<Mutex<Vec<DrainReport>>>);

impl Calls {
    fn note(&self, report: &DrainReport) {
        let mut calls = self.0.lock().expect("no panic holds this lock");
        calls.push(report.clone());
    }

    fn all(&self) -> Vec<DrainReport> {
        self.0.lock().expect("no panic holds this lock").clone()
    }
}

/// A layer whose hook takes so long.
fn layer(calls: &Calls, millis: u64) -> TaskTrackerLayer {
    let calls = calls.clone();
    TaskTrackerLayer::new().before_release(move |report| {
        calls.note(&report);
        async move { after(millis).await }
    })
}

async fn held(layer: &TaskTrackerLayer, start: impl Fn() + Clone + Send + 'static) -> Duration {
    let arrived = Instant::now();
    let Ok(answer) = tracked(layer, start).oneshot(request()).await;
    let took = arrived.elapsed();
    let body = answer.into_body().collect().await;
    assert_eq!(body.expect("it is whole").to_bytes(), "done");
    took
}

#[tokio::test(start_paused = true)]
async fn it_runs_when_the_tasks_are_done_and_before_the_head() {
    let (calls, log) = (Calls::default(), Log::default());
    let layer = layer(&calls, 30).observer(log.clone());
    let took = held(&layer, || drop(named("audit").spawn(after(20)))).await;
    assert_eq!(took, ms(50));
    let calls = calls.all();
    assert_eq!(calls.len(), 1);
    assert_eq!((calls[0].completed, calls[0].held), (1, ms(20)));
    assert_eq!(log.report().held, ms(50));
    assert_eq!(
        log.report().last.and_then(|task| task.name),
        Some("audit".into()),
        "no task came after it"
    );
}

#[tokio::test(start_paused = true)]
async fn it_runs_without_tasks_too_and_nothing_is_reported_then() {
    let (calls, log) = (Calls::default(), Log::default());
    let took = held(&layer(&calls, 30).observer(log.clone()), || {}).await;
    assert_eq!(took, ms(30));
    assert_eq!(calls.all(), [DrainReport::default()]);
    assert!(log.all().is_empty());
}

#[tokio::test(start_paused = true)]
async fn it_runs_once_and_a_stream_is_held_at_its_end_for_it() {
    let calls = Calls::default();
    let service = layer(&calls, 30).layer(service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(Frames::new(["a", "b"])))
    }));
    let arrived = Instant::now();
    let Ok(answer) = service.oneshot(request()).await;
    let mut body = answer.into_body();
    for _ in 0..2 {
        let frame = body.frame().await;
        assert!(frame.is_some_and(|frame| frame.is_ok()));
        assert_eq!(arrived.elapsed(), ms(0), "data passes at once");
    }
    assert!(body.frame().await.is_none());
    assert_eq!(arrived.elapsed(), ms(30));
    assert_eq!(calls.all().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn it_is_dropped_at_the_deadline() {
    let log = Log::default();
    let dropped = DropTime::new();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(100))
        .observer(log.clone())
        .before_release({
            let dropped = dropped.clone();
            move |_| {
                let watch = dropped.watch();
                async move {
                    let _watch = watch;
                    after(60_000).await;
                }
            }
        });
    assert_eq!(held(&layer, || {}).await, ms(100), "also without tasks");
    assert_eq!(dropped.get(), Some(ms(100)));
    held(&layer, || drop(named("audit").spawn(after(20)))).await;
    let report = log.report();
    assert_eq!(report.outcome, Outcome::DeadlineExceeded);
    assert_eq!(report.closed_by, Some(Limit::DrainTimeout));
    assert!(report.is_clean(), "the task is done: {report}");
}

#[tokio::test(start_paused = true)]
async fn that_it_was_late_is_no_reason_for_another_status() {
    let layer = layer(&Calls::default(), 60_000)
        .drain_timeout(ms(100))
        .deadline_status(StatusCode::GATEWAY_TIMEOUT);
    let service = tracked(&layer, || drop(named("audit").spawn(after(20))));
    let Ok(answer) = service.oneshot(request()).await;
    assert_eq!(answer.status(), StatusCode::OK, "the work was done");
}

#[tokio::test(start_paused = true)]
async fn a_window_that_closes_before_the_tasks_are_done_does_not_call_it() {
    let calls = Calls::default();
    let layer = layer(&calls, 0).drain_timeout(ms(100));
    held(&layer, || drop(named("slow").spawn(after(500)))).await;
    assert!(calls.all().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_it_spawns_is_waited_for() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .observer(log.clone())
        .before_release(|_| async {
            assert!(Tasks::current().is_some());
            named("flush").spawn(after(40));
        });
    assert_eq!(held(&layer, || {}).await, ms(40));
    assert_eq!(log.report().spawned, 1);
    assert!(log.late_spawns().is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_that_panics_counts_as_done_and_the_next_one_runs() {
    let calls = Calls::default();
    let layer = TaskTrackerLayer::new()
        .before_release(|_| -> std::future::Ready<()> {
            std::panic::resume_unwind(Box::new("when called"))
        })
        .before_release(|_| async { std::panic::resume_unwind(Box::new("when polled")) })
        .before_release({
            let calls = calls.clone();
            move |report| {
                calls.note(&report);
                async {}
            }
        });
    assert_eq!(held(&layer, || {}).await, ms(0));
    assert_eq!(calls.all().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn several_run_one_after_the_other_and_one_of_both_layers_once() {
    let calls = Calls::default();
    let outer = layer(&calls, 30);
    let inner = outer.clone().before_release(|_| after(10));
    let mut service = outer.layer(tracked(&inner, || {}));
    let arrived = Instant::now();
    drop(service.call(request()).await);
    assert_eq!(arrived.elapsed(), ms(40));
    assert_eq!(calls.all().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_of_an_inner_layer_alone_runs_too() {
    let calls = Calls::default();
    let inner = tracked(&layer(&calls, 10), || {});
    let mut service = TaskTrackerLayer::new().layer(inner);
    let arrived = Instant::now();
    drop(service.call(request()).await);
    assert_eq!(arrived.elapsed(), ms(10));
    assert_eq!(calls.all().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn under_never_it_runs_after_the_response() {
    let calls = Calls::default();
    let layer = layer(&calls, 30).hold(Hold::Never);
    let took = held(&layer, || drop(named("audit").spawn(after(20)))).await;
    assert_eq!(took, ms(0));
    after(20).await;
    tokio::task::yield_now().await;
    assert_eq!(calls.all().len(), 1);
    layer.handle().wait_idle().await;
}

#[tokio::test(start_paused = true)]
async fn it_does_not_run_for_a_client_that_has_left() {
    let calls = Calls::default();
    let layer = layer(&calls, 30);
    let service = tracked(&layer, || drop(named("slow").spawn(after(500))));
    let held = tokio::time::timeout(ms(100), service.oneshot(request())).await;
    assert!(held.is_err());
    layer.handle().wait_idle().await;
    assert!(calls.all().is_empty());
}
