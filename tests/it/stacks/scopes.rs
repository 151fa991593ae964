//! `TaskScopeLayer` on a router: it holds the answer, and cannot fail it.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::error_handling::HandleErrorLayer;
use axum::routing::get;
use futures_util::stream;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tokio::time::Instant;
use tower::{BoxError, ServiceBuilder, ServiceExt};
use tower_task_tracker::{DrainReport, TaskScopeLayer, TaskTrackerLayer, named, spawn};

use super::handlers::leave_work_behind;
use super::{LIMIT, WORK};
use crate::support::Log;

/// A router whose answer depends on a task that fails.
fn failing() -> Router {
    let handler = async || {
        let order = async {
            tokio::time::sleep(LIMIT).await;
            Err::<(), _>("no stock")
        };
        named("order").required().spawn(order);
        "taken"
    };
    Router::new().route("/", get(handler))
}

async fn get_from(router: Router) -> (StatusCode, Duration, Body) {
    let request = Request::get("/").body(Body::empty());
    let start = Instant::now();
    let Ok(answer) = router.oneshot(request.expect("a request")).await;
    (answer.status(), start.elapsed(), answer.into_body())
}

#[tokio::test(start_paused = true)]
async fn on_a_router_a_scope_layer_holds_an_answer_whose_required_task_fails_and_keeps_its_200() {
    let log = Log::default();
    let scoped = failing().layer(TaskScopeLayer::new().observer(log.clone()));
    let (status, took, _) = get_from(scoped).await;
    assert_eq!((status, took), (StatusCode::OK, LIMIT));
    assert!(log.report().required_failed, "the report has it");

    let (status, took, _) = get_from(failing().layer(TaskTrackerLayer::new())).await;
    let failed = StatusCode::INTERNAL_SERVER_ERROR;
    assert_eq!((status, took), (failed, LIMIT), "the layer for HTTP");
}

#[tokio::test(start_paused = true)]
async fn on_a_router_the_error_of_a_failed_scope_needs_a_layer_outside_that_handles_it() {
    // A router's services have no errors: they get a type that can be one.
    let layers = ServiceBuilder::new()
        .layer(HandleErrorLayer::new(async |error: BoxError| {
            (StatusCode::BAD_GATEWAY, error.to_string())
        }))
        .layer(TaskScopeLayer::new().fail_with(|report: &DrainReport| report.to_string().into()))
        .map_err(|error: Infallible| BoxError::from(error));
    let (status, took, _) = get_from(failing().layer(layers)).await;
    assert_eq!((status, took), (StatusCode::BAD_GATEWAY, LIMIT));
}

#[tokio::test(start_paused = true)]
async fn on_a_router_a_scope_layer_holds_the_head_of_a_stream_and_leaves_its_body_out() {
    let handler = || {
        get(async || {
            leave_work_behind();
            let spawning = stream::once(async {
                spawn(tokio::time::sleep(WORK));
                Ok::<_, Infallible>(Bytes::from("streamed"))
            });
            Body::from_stream(spawning)
        })
    };
    let log = Log::default();
    let scope = TaskScopeLayer::new().observer(log.clone());
    let start = Instant::now();
    let (_, took, body) = get_from(Router::new().route("/", handler()).layer(scope)).await;
    assert_eq!(took, WORK, "the head");
    assert_eq!(log.report().spawned, 1, "the handler's");
    assert!(body.collect().await.is_ok(), "it is whole");
    assert_eq!(
        start.elapsed(),
        WORK,
        "the end does not wait for the body's"
    );

    let start = Instant::now();
    let tracked = Router::new()
        .route("/", handler())
        .layer(TaskTrackerLayer::new());
    let (_, took, body) = get_from(tracked).await;
    assert_eq!(took, Duration::ZERO, "the layer for HTTP lets it stream");
    assert!(body.collect().await.is_ok(), "it is whole");
    assert_eq!(start.elapsed(), WORK, "its end has waited for both");
}
