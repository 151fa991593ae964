//! Two ways to do the work that an answer promises:
//!
//! * As a required task, the work may be late: the response fails, and the work is done all the same.
//! * If the handler awaits the work, this cannot happen.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tokio::time::Instant;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_task_tracker::{Hold, Outcome, TaskTrackerLayer, Unfinished, named};

use crate::support::{Body, Log, after, full, ms, request};

/// Orders that are stored: each takes longer than the route's responses wait.
#[derive(Debug, Clone, Default)]
struct Store(Arc<AtomicUsize>);

impl Store {
    async fn put(self) -> Result<(), &'static str> {
        after(1500).await;
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn stored(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

fn route(log: &Log) -> TaskTrackerLayer {
    let layer = TaskTrackerLayer::new().observer(log.clone());
    layer.drain_timeout(ms(1000))
}

async fn ask<S>(service: &S) -> (StatusCode, Duration)
where
    S: Service<
            Request<()>,
            Response = Response<tower_task_tracker::ResponseBody<Body>>,
            Error = Infallible,
        > + Clone,
{
    let start = Instant::now();
    let Ok(answer) = service.clone().oneshot(request()).await;
    let status = answer.status();
    let read = answer.into_body().collect().await;
    assert!(read.is_ok(), "the body is whole");
    (status, start.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_late_as_a_required_task_is_answered_500_and_stored_all_the_same() {
    let (log, store) = (Log::default(), Store::default());
    let layer = route(&log);
    let orders = store.clone();
    let service = layer.layer(service_fn(move |_: Request<()>| {
        named("store").required().spawn(orders.clone().put());
        async { Ok::<_, Infallible>(full("stored")) }
    }));
    let failed = (StatusCode::INTERNAL_SERVER_ERROR, ms(1000));
    assert_eq!(ask(&service).await, failed);
    assert_eq!(store.stored(), 0, "it is not stored yet");
    // The sender tries again.
    assert_eq!(ask(&service).await, failed);
    layer.handle().wait_idle().await;
    assert_eq!(store.stored(), 2, "one order, stored twice");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_the_handler_awaits_is_answered_as_it_went() {
    let (log, store) = (Log::default(), Store::default());
    let orders = store.clone();
    let service = route(&log).layer(service_fn(move |_: Request<()>| {
        let put = orders.clone().put();
        async {
            let is_stored = put.await.is_ok();
            Ok::<_, Infallible>(full(if is_stored { "stored" } else { "not" }))
        }
    }));
    let whole = (StatusCode::OK, ms(1500));
    assert_eq!(
        ask(&service).await,
        whole,
        "no timeout of the layer bounds it"
    );
    assert_eq!(store.stored(), 1);
    assert!(log.all().is_empty(), "it has no tasks");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_the_handler_awaits_is_answered_as_it_went_too() {
    let (log, store) = (Log::default(), Store::default());
    let orders = store.clone();
    let service = route(&log).layer(service_fn(move |_: Request<()>| {
        let put = named("store").spawn(orders.clone().put());
        async {
            let is_stored = matches!(put.await, Ok(Ok(())));
            Ok::<_, Infallible>(full(if is_stored { "stored" } else { "not" }))
        }
    }));
    assert_eq!(ask(&service).await, (StatusCode::OK, ms(1500)));
    assert_eq!(store.stored(), 1);
    let report = log.report();
    assert_eq!((report.outcome, report.completed), (Outcome::Drained, 1));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_awaited_is_answered_without_the_rest_under_hold_never() {
    let (log, store) = (Log::default(), Store::default());
    let orders = store.clone();
    let layer = route(&log).hold(Hold::Never);
    let service = layer.layer(service_fn(move |_: Request<()>| {
        let put = orders.clone().put();
        async {
            let is_stored = put.await.is_ok();
            named("mail").spawn(after(60_000));
            Ok::<_, Infallible>(full(if is_stored { "stored" } else { "not" }))
        }
    }));
    assert_eq!(ask(&service).await, (StatusCode::OK, ms(1500)));
    assert_eq!(store.stored(), 1);
    assert_eq!(layer.handle().live_tasks(), 1, "the rest is tracked");
}

#[tokio::test(start_paused = true)]
async fn a_late_store_that_is_aborted_is_not_stored() {
    let (log, store) = (Log::default(), Store::default());
    let layer = route(&log).at_deadline(Unfinished::Abort);
    let orders = store.clone();
    let service = layer.layer(service_fn(move |_: Request<()>| {
        named("store").required().spawn(orders.clone().put());
        async { Ok::<_, Infallible>(full("stored")) }
    }));
    let (status, _) = ask(&service).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    layer.handle().wait_idle().await;
    after(10_000).await;
    assert_eq!(store.stored(), 0);
}
