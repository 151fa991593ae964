//! The shop over HTTP.

use axum::Router;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;

use crate::export::export;
use crate::order::Order;

/// Returns the routes, without a layer that waits for their work.
///
/// * `POST /orders?id=1&takes=200` takes an order, and answers before its work is done.
/// * `GET /export?id=1&takes=200&rows=3` streams, and starts work while it streams.
pub fn app() -> Router {
    Router::new()
        .route("/orders", post(take))
        .route("/export", get(export))
        // Inside the layer that waits. There a panic becomes a response like any other. If it reached the layer, it
        // would drop the request, and the layer would not wait for its tasks.
        .layer(CatchPanicLayer::new())
}

/// Takes an order, and answers without awaiting the work. If the response waits for the work and the work fails, the
/// response fails, too.
async fn take(Query(order): Query<Order>) -> (StatusCode, String) {
    tower_task_tracker::named("order")
        .required()
        .spawn(order.work());
    assert!(!order.panics, "order {} makes the handler panic", order.id);
    (
        StatusCode::CREATED,
        format!("order {} is taken\n", order.id),
    )
}
