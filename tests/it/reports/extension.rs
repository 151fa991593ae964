//! `report_extension`: the report of a held head is in its extensions.

use std::convert::Infallible;
use std::sync::Arc;

use http::Request;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{DrainReport, TaskTrackerLayer, named, spawn};

use crate::support::{after, assert_adds_up, full, ms, request, tracked};

#[tokio::test(start_paused = true)]
async fn the_report_of_a_held_head_rides_in_the_extensions() {
    let layer = TaskTrackerLayer::new().report_extension(true);
    let service = tracked(&layer, || {
        named("audit").spawn(after(40));
    });
    let response = service.oneshot(request()).await.expect("infallible");
    let report = response
        .extensions()
        .get::<Arc<DrainReport>>()
        .expect("the head was held");
    assert_adds_up(report);
    assert_eq!(report.held, ms(40));
    assert_eq!(report.drain, ms(40));
    assert_eq!(
        report.last.as_ref().and_then(|task| task.name.as_deref()),
        Some("audit")
    );
}

#[tokio::test(start_paused = true)]
async fn a_response_that_had_nothing_to_wait_for_any_more_has_its_report_too() {
    let layer = TaskTrackerLayer::new().report_extension(true);
    let service = layer.layer(service_fn(|_: Request<()>| async {
        drop(spawn(async {}).await);
        Ok::<_, Infallible>(full("done"))
    }));
    let Ok(response) = service.oneshot(request()).await;
    let report = response.extensions().get::<Arc<DrainReport>>();
    assert_eq!(report.map(|report| report.completed), Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_response_of_a_request_that_spawned_nothing_has_no_report() {
    let layer = TaskTrackerLayer::new().report_extension(true);
    let Ok(response) = tracked(&layer, || {}).oneshot(request()).await;
    assert!(response.extensions().get::<Arc<DrainReport>>().is_none());
}

#[tokio::test(start_paused = true)]
async fn by_default_a_held_head_has_no_report() {
    let service = tracked(&TaskTrackerLayer::new(), || drop(spawn(after(40))));
    let Ok(response) = service.oneshot(request()).await;
    assert!(response.extensions().get::<Arc<DrainReport>>().is_none());
}
