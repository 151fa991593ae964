//! `TaskScopeLayer`: services that are not HTTP.

use std::convert::Infallible;
use std::future::poll_fn;
use std::task::{Context, Waker};

use tokio::time::Instant;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_task_tracker::{
    Limit, Outcome, TaskScopeLayer, TaskScopeService, Tasks, TrackerHandle, Unfinished, deadline,
    named, spawn,
};

use crate::support::{Log, Slot, after, current, ms, put, take};

/// An event from somewhere.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Event {
    /// How long its task takes, in milliseconds.
    pub(crate) work: u64,
    pub(crate) due: Option<Instant>,
}

pub(crate) fn event(work: u64) -> Event {
    Event { work, due: None }
}

pub(crate) async fn handle(event: Event) -> Result<u64, Infallible> {
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
async fn unfinished_tasks_are_aborted_if_that_is_the_policy() {
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

#[tokio::test]
async fn the_readiness_of_the_service_is_passed_through_and_it_can_be_cloned() {
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
async fn a_panic_of_the_handler_is_reported_and_passed_on() {
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
