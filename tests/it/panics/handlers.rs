//! A handler that panics: the response is dropped, and the panic goes on.

use std::convert::Infallible;

use http::{Request, Response};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_task_tracker::{Outcome, TaskState, Tasks, spawn};

use crate::support::{Body, after, observed, request, tracked};

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_in_call_is_reported_as_dropped() {
    let (log, layer) = observed();
    let mut service = layer.layer(service_fn(
        |_: Request<()>| -> std::future::Ready<Result<Response<Body>, Infallible>> {
            tower_task_tracker::named("orphan").spawn(after(5));
            panic!("in call")
        },
    ));

    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        drop(service.call(request()));
    }));
    assert!(panicked.is_err(), "the panic is passed on");
    assert!(Tasks::current().is_none(), "the context was left");
    let report = log.report();
    assert_eq!(report.outcome, Outcome::Dropped);
    assert_eq!(report.stragglers[0].name.as_deref(), Some("orphan"));

    layer.handle().wait_idle().await;
    assert_eq!(log.late_ends().len(), 1, "the orphan ran to its end");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_when_polled_is_reported_as_dropped() {
    let (log, layer) = observed();
    let service = tracked(&layer, || {
        spawn(after(5));
        panic!("when polled")
    });

    let panic = tokio::spawn(service.oneshot(request()))
        .await
        .expect_err("the panic is passed on");
    assert!(panic.is_panic());
    assert_eq!(log.report().outcome, Outcome::Dropped);
    layer.handle().wait_idle().await;
    assert_eq!(log.late_ends()[0].state, TaskState::Completed);
}
