//! When hooks are called, and how often.

use std::convert::Infallible;

use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::time::Instant;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_task_tracker::{DrainReport, TaskTrackerLayer, Tasks, named};

use super::{Calls, held_whole, layer};
use crate::support::{Frames, Log, after, ms, request, tracked};

#[tokio::test(start_paused = true)]
async fn a_hook_runs_when_the_tasks_are_done_and_before_the_head() {
    let (calls, log) = (Calls::default(), Log::default());
    let layer = layer(&calls, 30).observer(log.clone());
    let took = held_whole(&layer, || drop(named("audit").spawn(after(20)))).await;
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
async fn a_hook_runs_without_tasks_too_and_nothing_is_reported_then() {
    let (calls, log) = (Calls::default(), Log::default());
    let took = held_whole(&layer(&calls, 30).observer(log.clone()), || {}).await;
    assert_eq!(took, ms(30));
    assert_eq!(calls.all(), [DrainReport::default()]);
    assert!(log.all().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_hook_runs_once_and_a_stream_is_held_at_its_end_for_it() {
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
async fn what_a_hook_spawns_is_waited_for() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .observer(log.clone())
        .before_release(|_| async {
            assert!(Tasks::current().is_some());
            named("flush").spawn(after(40));
        });
    assert_eq!(held_whole(&layer, || {}).await, ms(40));
    assert_eq!(log.report().spawned, 1);
    assert!(log.late_spawns().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_panics_counts_as_done_and_the_next_one_runs() {
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
    assert_eq!(held_whole(&layer, || {}).await, ms(0));
    assert_eq!(calls.all().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn several_hooks_run_one_after_the_other_and_a_hook_of_both_layers_once() {
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
async fn a_hook_of_an_inner_layer_alone_runs_too() {
    let calls = Calls::default();
    let inner = tracked(&layer(&calls, 10), || {});
    let mut service = TaskTrackerLayer::new().layer(inner);
    let arrived = Instant::now();
    drop(service.call(request()).await);
    assert_eq!(arrived.elapsed(), ms(10));
    assert_eq!(calls.all().len(), 1);
}
