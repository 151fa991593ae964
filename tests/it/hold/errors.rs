//! An error of the service is held, and so is a response with an error status.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};
use tower_task_tracker::{Hold, Outcome, TaskTrackerLayer, spawn};

use crate::support::{Body, after, full, ms, observed, request};

#[tokio::test(start_paused = true)]
async fn a_handler_error_waits_for_its_tasks() {
    let (log, layer) = observed();
    let service = layer.layer(service_fn(|_: Request<()>| async {
        spawn(after(60));
        Err::<Response<Body>, &str>("refused")
    }));

    let start = Instant::now();
    let error = service
        .oneshot(request())
        .await
        .expect_err("it is an error");
    assert_eq!(error, "refused");
    assert_eq!(start.elapsed(), ms(60));
    assert_eq!(log.report().outcome, Outcome::Drained);
}

#[tokio::test(start_paused = true)]
async fn an_error_status_waits_for_its_tasks() {
    let layer = TaskTrackerLayer::new();
    let service = layer.layer(service_fn(|_: Request<()>| async {
        spawn(after(60));
        let mut response = full("broken");
        *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
        Ok::<_, Infallible>(response)
    }));

    let start = Instant::now();
    let response = service.oneshot(request()).await.expect("infallible");
    assert_eq!(response.status(), http::StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(start.elapsed(), ms(60));
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_service_waits_in_every_mode_that_holds() {
    for (hold, waits) in [
        (Hold::Auto, 30),
        (Hold::End, 30),
        (Hold::Head, 30),
        (Hold::Never, 0),
    ] {
        let service =
            TaskTrackerLayer::new()
                .hold(hold)
                .layer(service_fn(|_: Request<()>| async {
                    spawn(after(30));
                    Err::<Response<Full<Bytes>>, _>("no")
                }));
        let start = Instant::now();
        assert_eq!(service.oneshot(request()).await.err(), Some("no"));
        assert_eq!(start.elapsed(), ms(waits), "{hold:?}");
    }
}
