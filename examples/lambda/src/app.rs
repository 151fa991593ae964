//! The shop over HTTP.

use axum::Router;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;

use crate::export::export;
use crate::order::Order;

/// The routes, without anything that waits for their work.
///
/// * `POST /orders?id=1&takes=200` takes an order, and answers before its work is done;
/// * `GET /export?id=1&takes=200&rows=3` streams, and starts work while it does.
pub fn app() -> Router {
    Router::new()
        .route("/orders", post(take))
        .route("/export", get(export))
        // Inside of what waits: a panic that gets as far as that drops the request, and then nobody
        // waits for its tasks. Here it becomes an answer like any other.
        .layer(CatchPanicLayer::new())
}

/// Awaits nothing. Where the answer waits for the work, the task's failure is the answer's too.
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
