//! 101, or 2xx to `CONNECT`: nothing is held, and a later spawn is not late.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use tokio::time::Instant;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_task_tracker::{Outcome, Tasks, spawn};

use crate::support::{Slot, after, current, full, ms, observed, put, request, take};

#[tokio::test(start_paused = true)]
async fn what_is_spawned_after_an_upgrade_is_not_late() {
    let (log, layer) = observed();
    let mut service = layer.layer(service_fn(|_: Request<()>| async {
        let tasks = current();
        tasks.spawn(async {
            after(30).await;
            spawn(after(30));
        });
        let mut response = Response::new(Empty::<Bytes>::new());
        *response.status_mut() = http::StatusCode::SWITCHING_PROTOCOLS;
        Ok::<_, Infallible>(response)
    }));
    let mut future = tokio_test::task::spawn(service.call(request()));
    assert!(future.poll().is_ready(), "an upgrade is not held");
    let report = log.report();
    assert_eq!(report.outcome, Outcome::Upgraded);
    assert_eq!(report.stragglers.len(), 1);
    let start = Instant::now();
    layer.handle().wait_idle().await;
    assert_eq!(start.elapsed(), ms(60));
    assert!(log.late_spawns().is_empty());
    assert_eq!(log.late_ends().len(), 2);
}

/// Through a `Tasks` that was kept, where no task of the request spawns.
#[tokio::test(start_paused = true)]
async fn what_an_upgraded_exchange_spawns_through_a_kept_handle_is_not_late() {
    let (log, layer) = observed();
    let kept = Slot::<Tasks>::default();
    let keep = kept.clone();
    let service = layer.layer(service_fn(move |_: Request<()>| {
        put(&keep, current());
        let mut response = full("");
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        std::future::ready(Ok::<_, Infallible>(response))
    }));
    drop(service.oneshot(request()).await);
    let tasks = take(&kept);
    assert!(tasks.is_released());
    tasks.named("socket").spawn(after(10));
    layer.handle().wait_idle().await;
    assert!(log.late_spawns().is_empty());
    assert_eq!(log.late_ends().len(), 1);
}
