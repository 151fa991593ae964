//! What is counted, and from when until when.

use std::convert::Infallible;
use std::sync::Arc;

use http::{Request, Response};
use http_body_util::BodyExt;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{DrainReport, Outcome, named, spawn};

use crate::support::{Frames, after, current, full, ms, observed, request, tracked};

#[tokio::test(start_paused = true)]
async fn the_report_of_a_head_counts_no_running_task_as_completed() {
    let (log, layer) = observed();
    let layer = layer.report_extension(true);
    let service = layer.layer(service_fn(|_: Request<()>| async {
        named("slow").spawn(after(400));
        named("order").required().spawn(async {
            after(20).await;
            Ok::<(), &str>(())
        });
        Ok::<_, Infallible>(Response::new(Frames::new(["a"])))
    }));
    let Ok(response) = service.oneshot(request()).await;
    let so_far = response.extensions().get::<Arc<DrainReport>>().cloned();
    let so_far = so_far.expect("the head was held");
    crate::support::assert_adds_up(&so_far);
    assert_eq!((so_far.spawned, so_far.completed), (2, 1), "{so_far}");
    let alive: Vec<_> = so_far
        .stragglers
        .iter()
        .map(|task| task.name.as_deref())
        .collect();
    assert_eq!(alive, [Some("slow")]);
    assert!(!so_far.is_clean(), "{so_far}");
    drop(response.into_body().collect().await);
    assert_eq!(log.report().completed, 2);
}

#[tokio::test(start_paused = true)]
async fn a_look_from_outside_does_not_make_a_report() {
    let (log, layer) = observed();
    let handle = layer.handle();
    let service = layer.layer(service_fn(move |_: Request<()>| {
        let handle = handle.clone();
        async move {
            let tasks = current();
            tasks.tracker().spawn(after(5));
            tasks.tracker().spawn(after(5));
            assert_eq!(handle.snapshot().len(), 2);
            after(10).await;
            Ok::<_, Infallible>(full("done"))
        }
    }));
    drop(service.oneshot(request()).await);
    let counted: Vec<usize> = log.reports().iter().map(|report| report.spawned).collect();
    assert_eq!(
        counted, [0usize; 0],
        "nothing was alive while the response waited"
    );
}

#[tokio::test(start_paused = true)]
async fn tasks_that_end_before_the_handler_does_are_reported_but_not_held_for() {
    let (log, layer) = observed();
    let service = tower::Layer::layer(
        &layer,
        tower::service_fn(|_: http::Request<()>| async {
            spawn(after(10)).await.expect("no panic");
            Ok::<_, std::convert::Infallible>(crate::support::full("ok"))
        }),
    );
    let Ok(response) = service.oneshot(request()).await;
    drop(response.into_body().collect().await);
    let report = log.report();
    assert_eq!((report.outcome, report.completed), (Outcome::Drained, 1));
    assert_eq!(report.held, ms(0));
    assert_eq!(report.last, None);
}

/// Its request announces the ends of tasks, for the wait: that is no reason to report them twice.
#[tokio::test(start_paused = true)]
async fn beside_a_task_that_waits_for_the_handle_an_end_is_reported_once() {
    let (log, layer) = observed();
    let handle = layer.handle();
    let service = tracked(&layer, move || {
        let handle = handle.clone();
        named("waits").spawn(async move { handle.wait_idle().await });
        named("completes").spawn(after(20));
        named("fails").fallible().spawn(async {
            after(30).await;
            Err::<(), _>("planned")
        });
    });
    drop(service.oneshot(request()).await);
    layer.handle().wait_idle().await;
    let report = log.report();
    assert_eq!((report.completed, report.failed), (2, 1), "{report}");
    assert!(log.late_ends().is_empty(), "{:?}", log.late_ends());
}
