//! Services that are not HTTP.

use std::convert::Infallible;
use std::future::poll_fn;
use std::task::{Context, Waker};

use bytes::Bytes;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::time::Instant;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_task_tracker::{
    Limit, Outcome, TaskScopeLayer, TaskScopeService, TaskTrackerLayer, Tasks, TrackerHandle,
    Unfinished, deadline, named, scope, spawn,
};

use crate::support::{Log, Slot, after, current, ms, put, request, take, tracked};

/// An event from somewhere.
#[derive(Debug, Clone, Copy)]
struct Event {
    /// How long its task takes, in milliseconds.
    work: u64,
    due: Option<Instant>,
}

fn event(work: u64) -> Event {
    Event { work, due: None }
}

async fn handle(event: Event) -> Result<u64, Infallible> {
    named("work").spawn(after(event.work));
    Ok(event.work)
}

#[tokio::test(start_paused = true)]
async fn an_answer_waits_for_the_tasks_of_its_request() {
    let log = Log::default();
    let layer = TaskScopeLayer::new().observer(log.clone());
    let mut service = layer.layer(service_fn(handle));
    let start = Instant::now();
    for (index, work) in [10, 20].into_iter().enumerate() {
        let ready = service.ready().await.expect("infallible");
        assert_eq!(ready.call(event(work)).await, Ok(work));
        let report = &log.reports()[index];
        assert_eq!((report.outcome, report.held), (Outcome::Drained, ms(work)));
    }
    assert_eq!(start.elapsed(), ms(30));
    assert_eq!(layer.handle().live_requests(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_error_waits_too() {
    let service = TaskScopeLayer::new().layer(service_fn(|(): ()| {
        spawn(after(10));
        async { Err::<(), _>("broken") }
    }));
    let start = Instant::now();
    assert_eq!(service.oneshot(()).await, Err("broken"));
    assert_eq!(start.elapsed(), ms(10));
}

#[tokio::test(start_paused = true)]
async fn a_request_may_be_borrowed() {
    let owned = String::from("text");
    let mut service = TaskScopeLayer::new().layer(service_fn(|text: &str| {
        let length = text.len();
        async move {
            spawn(after(10));
            Ok::<_, Infallible>(length)
        }
    }));
    assert_eq!(service.call(owned.as_str()).await, Ok(4));
}

#[tokio::test(start_paused = true)]
async fn with_nothing_alive_an_answer_is_there_at_the_first_poll() {
    let log = Log::default();
    let layer = TaskScopeLayer::new().observer(log.clone());
    let service = layer.layer(service_fn(|(): ()| async { Ok::<_, Infallible>("answer") }));
    let mut answer = Box::pin(service.oneshot(()));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(answer.as_mut().poll(&mut cx).is_ready());
    assert_eq!(log.all().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_wait_ends_at_each_limit() {
    let base = TaskScopeLayer::new().drain_timeout(ms(500));
    check_limit(base.clone(), 500, Limit::DrainTimeout).await;
    check_limit(
        base.clone().total_timeout(ms(400)),
        400,
        Limit::TotalTimeout,
    )
    .await;
    let by_closure = base.clone().deadline_from(|event: &Event| event.due);
    check_limit(by_closure, 300, Limit::Source("deadline source")).await;
    let with_margin = deadline::Source::new("queue", |event: &Event| event.due).margin(ms(100));
    let several = base
        .deadline_from(|_: &Event| None)
        .deadline_source(with_margin)
        .deadline_from(|event: &Event| event.due);
    check_limit(several, 200, Limit::Source("queue")).await;
}

async fn check_limit<D>(layer: TaskScopeLayer<D>, millis: u64, bound: Limit)
where
    D: Clone,
    TaskScopeService<tower::util::ServiceFn<fn(Event) -> Handling>, D>:
        Service<Event, Response = u64, Error = Infallible>,
{
    let log = Log::default();
    let handle = TrackerHandle::new();
    let layer = layer.observer(log.clone()).tracked_by(&handle);
    let service = layer.layer(service_fn(handling as fn(Event) -> Handling));
    let start = Instant::now();
    let event = Event {
        work: 600_000,
        due: Some(start + ms(300)),
    };
    assert_eq!(service.oneshot(event).await, Ok(600_000));
    assert_eq!(start.elapsed(), ms(millis), "{bound}");
    let report = log.report();
    assert_eq!(report.outcome, Outcome::DeadlineExceeded);
    assert_eq!(report.closed_by, Some(bound));
    assert_eq!(handle.live_tasks(), 1, "it runs on");
}

type Handling = std::pin::Pin<Box<dyn Future<Output = Result<u64, Infallible>> + Send>>;

fn handling(event: Event) -> Handling {
    Box::pin(handle(event))
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_past_at_the_arrival_is_ignored() {
    let layer = TaskScopeLayer::new().deadline_from(|event: &Event| event.due);
    let service = layer.layer(service_fn(handle));
    let start = Instant::now();
    let late = Event {
        work: 50,
        due: Some(start),
    };
    after(10).await;
    assert_eq!(service.oneshot(late).await, Ok(50));
    assert_eq!(start.elapsed(), ms(60));
}

#[tokio::test(start_paused = true)]
async fn what_is_unfinished_is_aborted_where_that_was_said() {
    let log = Log::default();
    let layer = TaskScopeLayer::new()
        .drain_timeout(ms(100))
        .at_deadline(Unfinished::Abort)
        .at_disconnect(Unfinished::Abort)
        .observer(log.clone());
    let service = layer.layer(service_fn(handle));
    let start = Instant::now();
    let _ = service.clone().oneshot(event(600_000)).await;
    assert_eq!((start.elapsed(), log.report().aborted), (ms(90), 1));

    // Dropped in the middle of its wait.
    let mut answer = Box::pin(service.oneshot(event(600_000)));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(answer.as_mut().poll(&mut cx).is_pending());
    drop(answer);
    layer.handle().wait_idle().await;
    let reports = log.reports();
    assert_eq!(
        (reports[1].outcome, reports[1].aborted),
        (Outcome::Dropped, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn hooks_are_awaited_in_the_window() {
    let (first, second) = (Slot::default(), Slot::default());
    let (sees_first, sees_second) = (first.clone(), second.clone());
    let layer = TaskScopeLayer::new()
        .before_release(move |report| {
            put(&sees_first, (report.completed, Instant::now()));
            after(5)
        })
        .before_release(move |report| {
            put(&sees_second, (report.completed, Instant::now()));
            after(600_000)
        })
        .drain_timeout(ms(100));
    let start = Instant::now();
    let _ = layer.layer(service_fn(handle)).oneshot(event(10)).await;
    assert_eq!(start.elapsed(), ms(100), "the second is dropped there");
    assert_eq!(take(&first), (1, start + ms(10)), "after the task");
    assert_eq!(take(&second), (1, start + ms(15)), "after the first");
}

#[tokio::test(start_paused = true)]
async fn inside_of_another_scope_it_only_adds_what_it_says() {
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
    assert_eq!(start.elapsed(), ms(30), "the inner source is heard");
    assert_eq!(outer_log.report(), inner_log.report());
    assert_eq!(inner.handle().live_tasks(), 0);
    assert_eq!(outer.handle().live_tasks(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_every_request_that_passes_a_layer_in_a_scope_is_heard() {
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
    let (sender, mut told) = tokio::sync::mpsc::unbounded_channel();
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
    assert_eq!(told.recv().await, Some(ms(5)), "it was held by itself");
}

#[tokio::test(start_paused = true)]
async fn several_layers_and_listeners_share_one_handle() {
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

#[tokio::test]
async fn the_service_stays_what_it_was() {
    let (mock, mut handle) = tower_test::mock::pair::<&'static str, &'static str>();
    let mut service = TaskScopeLayer::default().layer(mock);
    handle.allow(0);
    let ready = tokio_test::task::spawn(poll_fn(|cx| service.poll_ready(cx))).poll();
    assert!(ready.is_pending(), "readiness is passed through");
    handle.allow(1);
    let mut service = service.clone();
    service.ready().await.expect("the mock is there");
    let answer = service.call("in");
    let (asked, respond) = handle.next_request().await.expect("it was called");
    assert_eq!(asked, "in");
    respond.send_response("out");
    assert_eq!(answer.await.expect("an answer"), "out");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_is_told_of_and_passed_on() {
    let log = Log::default();
    let layer = TaskScopeLayer::new().observer(log.clone());
    for in_call in [true, false] {
        let service = layer.layer(service_fn(move |(): ()| {
            drop(spawn(after(10)));
            assert!(!in_call, "in call");
            async move {
                assert!(in_call, "when polled");
                Ok::<_, Infallible>(())
            }
        }));
        let joined = tokio::spawn(async move { service.oneshot(()).await });
        assert!(joined.await.expect_err("passed on").is_panic());
    }
    let outcomes: Vec<_> = log.reports().iter().map(|report| report.outcome).collect();
    assert_eq!(outcomes, [Outcome::Dropped, Outcome::Dropped]);
    assert_eq!(layer.handle().live_tasks(), 2, "their tasks run on");
}

#[tokio::test(start_paused = true)]
async fn its_tasks_are_the_current_ones_in_call_and_in_the_future() {
    let service = TaskScopeLayer::new().layer(service_fn(|(): ()| {
        let in_call = current();
        async move {
            in_call.spawn(after(1));
            assert_eq!(current().len(), 1, "the same");
            Ok::<_, Infallible>(())
        }
    }));
    let _ = service.oneshot(()).await;
    assert!(Tasks::current().is_none(), "and not outside");
}
