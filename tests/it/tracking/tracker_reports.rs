//! Tasks in the `TaskTracker` of a request are reported, even if they end in the first turn of the scheduler.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::task::yield_now;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_task_tracker::{Hold, Scope, named};

use super::tracker_holds::stream;
use crate::support::{after, current, ms, observed, request, tracked};

#[tokio::test(start_paused = true)]
async fn a_quick_task_of_a_tracker_is_reported_where_a_head_is_held() {
    let (log, layer) = observed();
    let service = tracked(&layer, || {
        current().tracker().spawn(async {});
    });
    drop(service.oneshot(request()).await);
    assert_eq!(log.report().completed, 1);
}

#[tokio::test(start_paused = true)]
async fn quick_tasks_of_a_tracker_are_reported_beside_one_of_the_request() {
    let (log, layer) = observed();
    let service = tracked(&layer, || {
        current().spawn(yield_now());
        current().tracker().spawn(yield_now());
    });
    drop(service.oneshot(request()).await);
    assert_eq!(log.report().completed, 2);
}

#[tokio::test(start_paused = true)]
async fn a_quick_task_of_a_tracker_is_reported_where_an_end_is_held() {
    let (log, layer) = observed();
    let service = layer.layer(service_fn(|_: Request<()>| async {
        current().tracker().spawn(async {});
        let frames = [Ok::<_, Infallible>(Frame::data(Bytes::from("a")))];
        let body = StreamBody::new(futures_util::stream::iter(frames));
        Ok::<_, Infallible>(Response::new(body))
    }));
    let response = service.oneshot(request()).await.expect("infallible");
    drop(response.into_body().collect().await);
    assert_eq!(log.report().completed, 1);
}

/// A report in the head changes nothing of what observers get.
#[tokio::test(start_paused = true)]
async fn a_quick_task_of_a_tracker_is_reported_where_nothing_is_held() {
    for extension in [true, false] {
        let (log, layer) = observed();
        let layer = layer.hold(Hold::Never).report_extension(extension);
        let service = layer.layer(service_fn(|_: Request<()>| async {
            current().tracker().spawn(async {});
            Ok::<_, Infallible>(Response::new(stream()))
        }));
        let response = service.oneshot(request()).await.expect("infallible");
        // The task ends before the end of the body is looked at.
        yield_now().await;
        drop(response.into_body().collect().await);
        after(1).await;
        let reports = log.reports();
        let spawned: Vec<_> = reports.iter().map(|report| report.spawned).collect();
        assert_eq!(spawned, [1], "extension: {extension}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_quick_task_of_a_tracker_is_reported_by_a_scope() {
    let ((), report) = Scope::new()
        .run(|tasks| async move {
            tasks.tracker().spawn(async {});
        })
        .await;
    assert_eq!(report.spawned, 1, "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_ends_after_those_of_the_tracker_is_the_last() {
    let (log, layer) = observed();
    let service = tracked(&layer, || {
        named("own").spawn(after(60));
        current().tracker().spawn(after(30));
    });
    drop(service.oneshot(request()).await);
    let last = log.report().last.expect("tasks were waited for");
    assert_eq!(last.name.as_deref(), Some("own"));
}

#[tokio::test(start_paused = true)]
async fn a_task_of_the_tracker_that_ends_after_the_others_is_the_last() {
    let (log, layer) = observed();
    let service = tracked(&layer, || {
        named("own").spawn(after(30));
        current().tracker().spawn(after(60));
    });
    drop(service.oneshot(request()).await);
    let last = log.report().last.expect("tasks were waited for");
    assert_eq!((last.name.as_deref(), last.age), (None, ms(60)));
}

/// A response that is dropped has what was alive then, also in a tracker that has got more since it was looked at.
#[tokio::test(start_paused = true)]
async fn a_dropped_response_counts_what_its_tracker_has_got_meanwhile() {
    let (log, layer) = observed();
    let mut service = tracked(&layer, || {
        let tasks = current();
        tasks.tracker().spawn(after(100));
        tokio::spawn(async move {
            after(5).await;
            tasks.tracker().spawn(after(100));
            tasks.tracker().spawn(after(100));
        });
    });
    let mut held = Box::pin(service.call(request()));
    for _ in 0..2 {
        assert!(futures_util::poll!(&mut held).is_pending());
    }
    after(10).await;
    drop(held);
    let report = log.report();
    assert_eq!(
        (report.spawned, report.stragglers.len()),
        (3, 3),
        "{report}"
    );
}
