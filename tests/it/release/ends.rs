//! Each way in which the hold of a head ends.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http_body_util::BodyExt;
use tokio::time::Instant;
use tower::{Service, ServiceExt};
use tower_task_tracker::{DrainReport, Limit, Outcome, TaskState, TaskTrackerLayer, spawn};

use crate::support::{Log, after, ms, observed, request, tracked};

#[tokio::test(start_paused = true)]
async fn without_a_task_the_response_is_ready_at_the_first_poll() {
    let (log, layer) = observed();
    let layer = layer.report_extension(true);
    let mut service = tracked(&layer, || {});

    let mut future = tokio_test::task::spawn(service.call(request()));
    let response = match future.poll() {
        std::task::Poll::Ready(response) => response.expect("the handler is infallible"),
        std::task::Poll::Pending => panic!("a response without tasks was held"),
    };
    assert!(
        response.extensions().get::<Arc<DrainReport>>().is_none(),
        "there is nothing to report"
    );
    let body = response.into_body().collect().await.expect("a whole body");
    assert_eq!(body.to_bytes(), "done");
    assert!(log.all().is_empty(), "nothing was spawned: {:?}", log.all());
    assert_eq!(layer.handle().live_requests(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_aborted_task_is_counted_as_aborted() {
    let (log, layer) = observed();
    let service = tracked(&layer, || {
        let handle = tower_task_tracker::named("doomed").spawn(pending::<()>());
        spawn(async move {
            after(15).await;
            handle.abort();
        });
    });

    let start = Instant::now();
    drop(service.oneshot(request()).await);
    assert_eq!(start.elapsed(), ms(15));
    let report = log.report();
    assert_eq!((report.completed, report.aborted), (1, 1));
    assert_eq!(report.failures[0].state, TaskState::Aborted);
    assert_eq!(report.failures[0].name.as_deref(), Some("doomed"));
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_the_response_goes_and_stragglers_run_on() {
    let log = Log::default();
    let layer = TaskTrackerLayer::new()
        .drain_timeout(ms(100))
        .observer(log.clone())
        .report_extension(true);
    let finished = Arc::new(AtomicBool::new(false));
    let flag = finished.clone();
    let service = tracked(&layer, move || {
        let flag = flag.clone();
        tower_task_tracker::named("quick").spawn(after(20));
        tower_task_tracker::named("slow").spawn(async move {
            after(250).await;
            flag.store(true, Ordering::SeqCst);
        });
    });

    let start = Instant::now();
    let response = service.oneshot(request()).await.expect("infallible");
    assert_eq!(start.elapsed(), ms(100));
    let in_extensions = response.extensions().get::<Arc<DrainReport>>().cloned();
    drop(response.into_body().collect().await);

    let report = log.report();
    assert_eq!(in_extensions.as_deref(), Some(&report));
    assert_eq!(report.outcome, Outcome::DeadlineExceeded);
    assert_eq!(report.closed_by, Some(Limit::DrainTimeout));
    assert_eq!((report.spawned, report.completed), (2, 1));
    assert_eq!(report.stragglers.len(), 1);
    assert_eq!(report.stragglers[0].name.as_deref(), Some("slow"));
    assert_eq!(report.stragglers[0].state, TaskState::Running);
    assert_eq!(report.stragglers[0].age, ms(100));

    assert_eq!(layer.handle().live_tasks(), 1, "it was not aborted");
    layer.handle().wait_idle().await;
    assert_eq!(start.elapsed(), ms(250));
    assert!(finished.load(Ordering::SeqCst));
    let ends = log.late_ends();
    assert_eq!(ends.len(), 1);
    assert_eq!(ends[0].name.as_deref(), Some("slow"));
    assert_eq!(ends[0].age, ms(250));
}
