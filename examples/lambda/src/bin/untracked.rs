//! Loses the work: a plain `tokio::spawn`, which no layer waits for.

use axum::Router;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::routing::post;
use lambda_example::Order;
use lambda_http::Error;

#[tokio::main]
async fn main() -> Result<(), Error> {
    lambda_http::tracing::init_default_subscriber();
    lambda_http::run(Router::new().route("/orders", post(take))).await
}

async fn take(Query(order): Query<Order>) -> (StatusCode, String) {
    tokio::spawn(order.work());
    (
        StatusCode::CREATED,
        format!("order {} is taken\n", order.id),
    )
}
