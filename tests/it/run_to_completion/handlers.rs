//! A handler whose client has left runs on as a task of its request.

use std::convert::Infallible;
use std::task::{Context, Poll, Waker};

use http::StatusCode;
use tokio::time::Instant;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_task_tracker::{
    Outcome, RunToCompletionLayer, TaskScopeLayer, TaskState, TaskTrackerLayer, named, untracked,
};

use super::{Steps, handler, poll_and_leave};
use crate::subscribers::lines::Lines;
use crate::support::{LastWords, Log, after, ms, request};

const HANDLER: &str = "run_to_completion";

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
    let file = straggler.location.file();
    assert!(file.ends_with("run_to_completion/mod.rs"), "{file}");
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
async fn its_panic_is_observed() {
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
    let _recording = lines.record();
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
