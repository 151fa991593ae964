//! Which layer is outside: a `ServiceBuilder` and a `Router` order their layers in opposite ways.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{Request, StatusCode};
use tokio::time::Instant;
use tower::{ServiceBuilder, ServiceExt};
use tower_http::timeout::TimeoutLayer;
use tower_task_tracker::{TaskTrackerLayer, Tasks};

use super::handlers::{TEXT, leave_work_behind};
use super::{LIMIT, WORK};

/// The timeout is outside: it cuts the hold.
const CUT: (StatusCode, Duration) = (StatusCode::GATEWAY_TIMEOUT, LIMIT);
/// The timeout is inside: it bounds the handler.
const HELD: (StatusCode, Duration) = (StatusCode::OK, WORK);

fn timeout() -> TimeoutLayer {
    TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, LIMIT)
}

fn ours() -> TaskTrackerLayer {
    TaskTrackerLayer::new()
}

async fn handler() -> &'static str {
    leave_work_behind();
    TEXT
}

fn router() -> Router {
    Router::new().route("/", get(handler))
}

async fn get_from(router: Router, path: &str) -> (StatusCode, Duration) {
    let request = Request::get(path).body(Body::empty());
    let start = Instant::now();
    let Ok(answer) = router.oneshot(request.expect("a request")).await;
    (answer.status(), start.elapsed())
}

#[tokio::test(start_paused = true)]
async fn in_a_service_builder_the_first_layer_is_outside() {
    let cut = ServiceBuilder::new().layer(timeout()).layer(ours());
    assert_eq!(get_from(router().layer(cut), "/").await, CUT);
    let held = ServiceBuilder::new().layer(ours()).layer(timeout());
    assert_eq!(get_from(router().layer(held), "/").await, HELD);
}

#[tokio::test(start_paused = true)]
async fn of_a_routers_layers_the_last_one_is_outside() {
    let cut = router().layer(ours()).layer(timeout());
    assert_eq!(get_from(cut, "/").await, CUT);
    let held = router().layer(timeout()).layer(ours());
    assert_eq!(get_from(held, "/").await, HELD);
}

#[tokio::test(start_paused = true)]
async fn of_a_tuple_the_first_layer_is_outside() {
    assert_eq!(
        get_from(router().layer((timeout(), ours())), "/").await,
        CUT
    );
    assert_eq!(
        get_from(router().layer((ours(), timeout())), "/").await,
        HELD
    );
}

#[tokio::test(start_paused = true)]
async fn of_a_routes_layers_the_last_one_is_outside_and_the_routers_are_further_out() {
    let route = get(handler).layer::<_, Infallible>(ours()).layer(timeout());
    let cut = Router::new().route("/", route);
    assert_eq!(get_from(cut, "/").await, CUT);
    let route = get(handler).layer::<_, Infallible>(timeout()).layer(ours());
    let held = Router::new().route("/", route);
    assert_eq!(get_from(held, "/").await, HELD);

    let inside = Router::new().route("/", get(handler).layer(timeout()));
    assert_eq!(get_from(inside.layer(ours()), "/").await, HELD);
    let outside = Router::new().route("/", get(handler).layer(ours()));
    assert_eq!(get_from(outside.layer(timeout()), "/").await, CUT);
    let nested = Router::new().nest("/shop", router().layer(ours()));
    assert_eq!(get_from(nested.layer(timeout()), "/shop").await, CUT);
}

#[tokio::test(start_paused = true)]
async fn routes_that_are_added_after_the_layer_are_not_tracked() {
    let asks = async |_: Tasks| TEXT;
    let router = router().layer(ours()).route("/late", get(asks));
    assert_eq!(get_from(router.clone(), "/").await, HELD);
    let missing = (StatusCode::INTERNAL_SERVER_ERROR, Duration::ZERO);
    assert_eq!(get_from(router, "/late").await, missing);
}

#[tokio::test(start_paused = true)]
async fn a_fallback_is_tracked_by_a_layer_and_not_by_a_route_layer() {
    let layered = router().fallback(handler).layer(ours());
    assert_eq!(get_from(layered, "/nowhere").await, HELD);
    let layered = router().fallback(handler).route_layer(ours());
    assert_eq!(get_from(layered.clone(), "/").await, HELD);
    let at_once = (StatusCode::OK, Duration::ZERO);
    assert_eq!(get_from(layered, "/nowhere").await, at_once);
}
