//! Handlers that run to their end after their caller has dropped the response.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{Request, StatusCode};
use tokio::time::Instant;
use tower::util::BoxCloneService;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_http::timeout::TimeoutLayer;
use tower_task_tracker::{
    Outcome, RunToCompletionLayer, TaskScopeLayer, TaskState, TaskTrackerLayer, Tasks, Unfinished,
    named, spawn, untracked,
};

use crate::subscribers::lines::Lines;
use crate::support::{
    Body, LastWords, Log, Slot, after, current, full, ms, put, request, take, told,
};

const HANDLER: &str = "run_to_completion";

/// How far handlers have come.
#[derive(Debug, Clone, Default)]
struct Steps(Arc<AtomicUsize>);

impl Steps {
    fn step(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn taken(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// A handler that takes a second, with one step at its beginning and one at its end.
fn handler(
    layer: &TaskTrackerLayer,
    steps: &Steps,
) -> BoxCloneService<Request<()>, http::Response<tower_task_tracker::ResponseBody<Body>>, Infallible>
{
    let steps = steps.clone();
    let service = ServiceBuilder::new()
        .layer(layer.clone())
        .layer(RunToCompletionLayer::new())
        .service(service_fn(move |_: Request<()>| {
            let steps = steps.clone();
            async move {
                steps.step();
                after(1000).await;
                steps.step();
                Ok::<_, Infallible>(full("written"))
            }
        }));
    BoxCloneService::new(service)
}

/// Polls a response once, and drops it.
pub(crate) fn poll_and_leave<F: Future>(response: F) {
    let mut response = Box::pin(response);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(response.as_mut().poll(&mut cx).is_pending());
}

#[tokio::test(start_paused = true)]
async fn a_handler_runs_on_as_a_task_of_its_request() {
    let (log, steps) = (Log::default(), Steps::default());
    let layer = TaskTrackerLayer::new().observer(log.clone());
    let start = Instant::now();
    poll_and_leave(handler(&layer, &steps).oneshot(request()));

    let report = log.report();
    assert_eq!((report.outcome, report.spawned), (Outcome::Dropped, 1));
    let straggler = &report.stragglers[0];
    assert_eq!(straggler.name.as_deref(), Some(HANDLER));
    assert!(straggler.location.file().ends_with("run_to_completion.rs"));
    assert_eq!(layer.handle().live_tasks(), 1);

    layer.handle().wait_idle().await;
    assert_eq!((steps.taken(), start.elapsed()), (2, ms(1000)));
    let ends = log.late_ends();
    assert_eq!(ends.len(), 1);
    assert_eq!(
        (ends[0].name.as_deref(), ends[0].state),
        (Some(HANDLER), TaskState::Completed)
    );
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_was_not_polled_yet_runs_from_its_beginning() {
    let steps = Steps::default();
    let layer = TaskTrackerLayer::new();
    let mut service = handler(&layer, &steps);
    let Ok(service) = service.ready().await;
    drop(service.call(request()));
    assert_eq!(steps.taken(), 0);
    layer.handle().wait_idle().await;
    assert_eq!(steps.taken(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_is_waited_for_is_no_task() {
    let (log, steps) = (Log::default(), Steps::default());
    let layer = TaskTrackerLayer::new().observer(log.clone());
    let tasks = tokio::runtime::Handle::current().metrics();
    let alive = tasks.num_alive_tasks();
    let mut response = Box::pin(handler(&layer, &steps).oneshot(request()));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(response.as_mut().poll(&mut cx).is_pending());
    assert_eq!(tasks.num_alive_tasks(), alive, "nothing was spawned");
    assert_eq!(response.await.expect("infallible").status(), StatusCode::OK);
    assert_eq!((steps.taken(), log.all().len()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn no_disconnect_policy_stops_it() {
    let cancel = Unfinished::Cancel { grace: ms(300) };
    for (unfinished, reported) in [
        (Unfinished::Continue, ms(0)),
        (Unfinished::Abort, ms(100)),
        (cancel, ms(300)),
    ] {
        let (log, steps) = (Log::default(), Steps::default());
        let layer = TaskTrackerLayer::new()
            .at_disconnect(unfinished)
            .observer(log.clone());
        poll_and_leave(handler(&layer, &steps).oneshot(request()));
        tokio::time::sleep(reported + ms(1)).await;
        let report = log.report();
        assert_eq!(report.outcome, Outcome::Dropped, "{unfinished:?}");
        assert_eq!(report.stragglers.len(), 1, "{report}");
        layer.handle().wait_idle().await;
        assert_eq!(steps.taken(), 2, "{unfinished:?}");
        assert_eq!(log.late_ends()[0].state, TaskState::Completed);
    }
}

#[tokio::test(start_paused = true)]
async fn the_request_s_token_is_cancelled_for_it_too() {
    let log = Log::default();
    let seen = Slot::<Duration>::default();
    let layer = TaskTrackerLayer::new()
        .at_disconnect(Unfinished::Cancel { grace: ms(500) })
        .observer(log.clone());
    let out = seen.clone();
    let service = ServiceBuilder::new()
        .layer(layer.clone())
        .layer(RunToCompletionLayer::new())
        .service(service_fn(move |_: Request<()>| {
            let out = out.clone();
            async move {
                let start = Instant::now();
                current().cancellation_token().cancelled().await;
                put(&out, start.elapsed());
                Ok::<_, Infallible>(full("stopped"))
            }
        }));
    poll_and_leave(service.oneshot(request()));
    layer.handle().wait_idle().await;
    assert_eq!(take(&seen), ms(0), "asked at once");
    assert_eq!(log.report().completed, 1, "it had time to end by itself");
}

#[tokio::test(start_paused = true)]
async fn what_it_spawns_after_the_report_is_tracked_and_not_late() {
    let (log, layer) = told();
    let service = ServiceBuilder::new()
        .layer(layer.clone())
        .layer(RunToCompletionLayer::new())
        .service(service_fn(|_: Request<()>| async {
            after(10).await;
            assert!(Tasks::current().is_some(), "it is in its request");
            named("child").spawn(async {
                spawn(after(10));
                after(20).await;
            });
            Ok::<_, Infallible>(full("written"))
        }));
    poll_and_leave(service.oneshot(request()));
    after(15).await;
    assert_eq!(layer.handle().live_tasks(), 2, "the child and its own");
    layer.handle().wait_idle().await;
    assert_eq!(log.late_spawns().len(), 0);
    assert_eq!(log.late_ends().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_others_spawn_late_is_late_all_the_same() {
    let (log, layer) = told();
    let kept = Slot::<Tasks>::default();
    let out = kept.clone();
    let service = ServiceBuilder::new()
        .layer(layer.clone())
        .layer(RunToCompletionLayer::new())
        .service(service_fn(move |_: Request<()>| {
            put(&out, current());
            async { Ok::<_, Infallible>(full("written")) }
        }));
    drop(service.oneshot(request()).await);
    take(&kept).spawn(after(1));
    assert_eq!(log.late_spawns().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_between_the_layers_has_its_answer_held_for_the_handler() {
    let base = TaskTrackerLayer::new();
    // It is a deadline now, and no disconnect: of the window, from 100 ms on, the last tenth is for
    // destructors.
    let aborts = base.clone().at_deadline(Unfinished::Abort);
    for (layer, steps_taken, held, outcome) in [
        (base.drain_timeout(None), 2, 1000, Outcome::Drained),
        (
            aborts.drain_timeout(ms(500)),
            1,
            100 + 450,
            Outcome::DeadlineExceeded,
        ),
    ] {
        let (log, steps) = (Log::default(), Steps::default());
        let counted = steps.clone();
        let service = ServiceBuilder::new()
            .layer(layer.clone().observer(log.clone()))
            .layer(TimeoutLayer::with_status_code(
                StatusCode::REQUEST_TIMEOUT,
                ms(100),
            ))
            .layer(RunToCompletionLayer::new())
            .service(service_fn(move |_: Request<()>| {
                let steps = counted.clone();
                async move {
                    steps.step();
                    after(1000).await;
                    steps.step();
                    Ok::<_, Infallible>(full("written"))
                }
            }));
        let start = Instant::now();
        let Ok(response) = service.oneshot(request()).await;
        assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT, "{layer:?}");
        assert_eq!(start.elapsed(), ms(held), "{layer:?}");
        assert_eq!(steps.taken(), steps_taken, "{layer:?}");
        assert_eq!(log.report().outcome, outcome, "{layer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn its_answer_is_dropped_in_its_request() {
    let log = Log::default();
    let scope = TaskScopeLayer::new().observer(log.clone());
    let service = ServiceBuilder::new()
        .layer(scope.clone())
        .layer(RunToCompletionLayer::new())
        .service(service_fn(|(): ()| async {
            after(10).await;
            Ok::<_, Infallible>(LastWords::new(|| drop(named("last will").spawn(after(10)))))
        }));
    poll_and_leave(service.oneshot(()));
    scope.handle().wait_idle().await;
    let ends = log.late_ends();
    assert_eq!(
        ends.iter()
            .filter_map(|end| end.name.as_deref())
            .collect::<Vec<_>>(),
        [HANDLER, "last will"]
    );
    assert_eq!(log.report().outcome, Outcome::Dropped);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_it_and_aborts_it_in_the_end() {
    let (log, steps) = (Log::default(), Steps::default());
    let layer = TaskTrackerLayer::new().observer(log.clone());
    poll_and_leave(handler(&layer, &steps).oneshot(request()));
    let report = layer.handle().shutdown(ms(2000)).await;
    assert_eq!((report.waited, report.completed), (ms(1000), 1));
    assert_eq!(steps.taken(), 2);

    let layer = TaskTrackerLayer::new().at_disconnect(Unfinished::Abort);
    poll_and_leave(handler(&layer, &steps).oneshot(request()));
    let report = layer.handle().shutdown(ms(300)).await;
    assert_eq!((report.aborted, report.still_running.len()), (1, 0));
    assert_eq!(steps.taken(), 3, "it did not come to its end");
}

#[tokio::test(start_paused = true)]
async fn its_panic_is_told() {
    let log = Log::default();
    let layer = TaskScopeLayer::new().observer(log.clone());
    let service = ServiceBuilder::new()
        .layer(layer.clone())
        .layer(RunToCompletionLayer::new())
        .service(service_fn(|fails: bool| async move {
            after(10).await;
            assert!(!fails, "on purpose");
            Ok::<_, Infallible>(())
        }));
    poll_and_leave(service.oneshot(true));
    layer.handle().wait_idle().await;
    let ends = log.late_ends();
    assert_eq!(ends[0].state, TaskState::Panicked);
    assert_eq!(ends[0].message.as_deref(), Some("on purpose"));
}

#[tokio::test(start_paused = true)]
async fn after_a_panic_nothing_of_it_runs_again() {
    let steps = Steps::default();
    let counted = steps.clone();
    let layer = TaskScopeLayer::new();
    let service = ServiceBuilder::new()
        .layer(layer.clone())
        .layer(RunToCompletionLayer::new())
        .service(service_fn(move |(): ()| {
            let (mut polls, steps) = (0, counted.clone());
            std::future::poll_fn(move |_| {
                polls += 1;
                steps.step();
                assert_eq!(polls, 2, "on purpose, at the first poll");
                Poll::Ready(Ok::<_, Infallible>(()))
            })
        }));
    let mut response = Box::pin(service.oneshot(()));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut cx = Context::from_waker(Waker::noop());
        let _ = response.as_mut().poll(&mut cx);
    }));
    assert!(panicked.is_err());
    drop(response);
    assert_eq!(layer.handle().live_tasks(), 0);
    tokio::task::yield_now().await;
    assert_eq!(steps.taken(), 1);
}

#[tokio::test(start_paused = true)]
async fn outside_of_a_request_it_runs_on_with_a_warning_and_untracked_without() {
    let lines = Lines::default();
    let _listening = lines.listen();
    let steps = Steps::default();
    let counted = steps.clone();
    let service = RunToCompletionLayer::new().layer(service_fn(move |millis: u64| {
        let steps = counted.clone();
        async move {
            after(millis).await;
            steps.step();
            Ok::<_, Infallible>(())
        }
    }));
    poll_and_leave(untracked(service.clone().oneshot(10)));
    assert_eq!(lines.count("outside a request"), 0);
    poll_and_leave(service.clone().oneshot(10));
    assert_eq!(lines.count("outside a request"), 1);
    after(20).await;
    assert_eq!(steps.taken(), 2);
}

#[tokio::test(start_paused = true)]
async fn outside_of_the_tracker_s_layer_the_handler_and_its_hold_run_on_in_a_plain_spawn() {
    let lines = Lines::default();
    let _listening = lines.listen();
    let (log, layer) = told();
    let service = ServiceBuilder::new()
        .layer(RunToCompletionLayer::new())
        .layer(layer.clone())
        .service(service_fn(|_: Request<()>| async {
            after(10).await;
            spawn(after(20));
            Ok::<_, Infallible>(full("written"))
        }));
    let start = Instant::now();
    poll_and_leave(service.oneshot(request()));
    assert_eq!(
        layer.handle().live_tasks(),
        0,
        "the handler is no task of it"
    );
    assert_eq!(lines.count("outside a request"), 1);
    after(15).await;
    layer.handle().wait_idle().await;
    assert_eq!(start.elapsed(), ms(30));
    assert_eq!((log.report().completed, log.report().drain), (1, ms(20)));
}

#[test]
fn without_a_runtime_it_is_dropped_in_place() {
    let dropped = Steps::default();
    let counted = dropped.clone();
    let mut service = RunToCompletionLayer::new().layer(service_fn(move |(): ()| {
        let counted = counted.clone();
        async move {
            let _guard = LastWords::new(move || counted.step());
            std::future::pending::<()>().await;
            Ok::<_, Infallible>(())
        }
    }));
    poll_and_leave(service.call(()));
    assert_eq!(dropped.taken(), 1);
}

#[tokio::test]
async fn the_service_stays_what_it_was() {
    let (mock, mut handle) = tower_test::mock::pair::<&'static str, &'static str>();
    let mut service = RunToCompletionLayer::default().layer(mock);
    handle.allow(0);
    let ready = tokio_test::task::spawn(std::future::poll_fn(|cx| service.poll_ready(cx))).poll();
    assert!(ready.is_pending(), "readiness is passed through");
    handle.allow(1);
    let mut service = service.clone();
    service.ready().await.expect("the mock is there");
    let response = service.call("in");
    let (asked, respond) = handle.next_request().await.expect("it was called");
    assert_eq!(asked, "in");
    respond.send_response("out");
    assert_eq!(response.await.expect("an answer"), "out");
}
