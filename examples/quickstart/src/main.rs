//! A shop whose work goes on in the background.

use std::time::Duration;

use axum::{Router, routing::post};
use tokio::time::sleep;
use tower_task_tracker::{TaskTrackerLayer, named};

/// The audit entry takes 0.2 s. The answer goes out when it is written.
async fn order() -> &'static str {
    named("audit").spawn(sleep(Duration::from_millis(200)));
    "thank you\n"
}

/// The invoice takes 3 s, which is longer than the drain timeout below.
async fn invoice() -> &'static str {
    named("invoice").spawn(sleep(Duration::from_secs(3)));
    "it is on its way\n"
}

/// The answer depends on the charge, because the task is required.
async fn charge() -> &'static str {
    let charge = async { Err::<(), _>("the card was refused") };
    named("charge").required().spawn(charge);
    "paid\n"
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let layer = TaskTrackerLayer::new()
        .drain_timeout(Duration::from_secs(1))
        .on_drain(|report| println!("{report}"));
    let app: Router = Router::new()
        .route("/orders", post(order))
        .route("/invoices", post(invoice))
        .route("/charges", post(charge))
        .layer(layer);
    let port = std::env::var("PORT").unwrap_or("3000".to_owned());
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn an_order_has_its_audit_entry() {
        let (answer, report) = tower_task_tracker::scope(|_| super::order()).await;
        assert_eq!(answer, "thank you\n");
        assert_eq!(report.completed, 1, "{report}");
    }
}
